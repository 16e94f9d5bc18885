"""The exercises of the notebooks: their stubs and solutions, and the test that every wrong answer gets."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest

CHAPTERS = sorted((Path(__file__).parent.parent / "notebooks").glob("0[1-4]*.ipynb"))
"""The pages 05* are there to look things up in: they have no exercises."""

IMPORT = re.compile(r"^from mapping_lib\S* import .*\bexercises$", re.MULTILINE)
SOLUTION = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```", re.DOTALL)
CALL = re.compile(r"(exercises\.check_\w+)\((\w+)\)")

PRELUDE = """
import torch
from torch.func import functional_call, grad, vmap
from mapping_lib.networks import mlp
from mapping_lib.task import each

mse = torch.nn.functional.mse_loss
network = mlp((1, 40, 40, 1))


def loss_at(params, batch):
    return mse(functional_call(network, params, (batch.x,)), batch.y)
"""


class Exercise(NamedTuple):
    """A stub as a notebook has it, the solution given there, and the names that both are run with."""

    stub: str
    solution: str
    names: dict[str, Any]

    def passes(self) -> bool:
        """What the chapter's own check says of the function as it stands in ``names``."""
        check, function = CALL.search(self.stub).groups()
        return eval(check, self.names)(self.names[function])


def exercises_of(nb: nbformat.NotebookNode) -> list[Exercise]:
    """Every exercise of a notebook, in order, with nothing run yet but what all of them need."""
    code = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "code")
    stubs = [cell.source for cell in nb.cells if "exercise" in cell.metadata.get("tags", [])]
    solutions = SOLUTION.findall("\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown"))
    assert len(stubs) == len(solutions) >= 2
    exercises = [Exercise(stub, solution, {}) for stub, solution in zip(stubs, solutions, strict=True)]
    for exercise in exercises:
        exec(PRELUDE + IMPORT.search(code).group(), exercise.names)
    return exercises


def wrong_answers(*rows: tuple[Callable, Callable, str]) -> Callable:
    """The test of these rows: the check, an answer that is wrong, and words that the check must print."""

    @pytest.mark.parametrize(("check", "answer", "words"), rows)
    def test(check: Callable, answer: Callable, words: str, capsys: pytest.CaptureFixture) -> None:
        assert not check(answer)
        assert words in capsys.readouterr().out

    return test
