"""The exercises of the notebooks: their stubs and solutions, and the table of answers that every check is held by."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import nbformat
import pytest

IMPORT = re.compile(r"^from mapping_lib\S* import .*\bexercises$", re.MULTILINE)
SOLUTION = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```", re.DOTALL)
CALL = re.compile(r"(exercises\.check_\w+)\((\w+)\)")

STOPPED = "your code stopped"

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


def judged(check: Callable, *, wrong: dict[str, Callable], right: dict[str, Callable]) -> Callable:
    """The test of a check by a table of answers.

    ``wrong`` maps words of the sentence that a reader gets, before the hint, to an answer that gets it: at least five
    that a student would give. ``right`` maps a name to an answer that passes: at least three, written otherwise than
    the chapter's own solution. Where an answer itself does not fail, the check may not say that it did.
    """
    assert len(wrong) >= 5, f"{check.__name__} has {len(wrong)} wrong answers"
    assert len(right) >= 3, f"{check.__name__} has {len(right)} right answers"
    rows = [("Not yet: ", words, answer) for words, answer in wrong.items()]
    rows += [("Right. ", "", answer) for answer in right.values()]

    @pytest.mark.parametrize(("verdict", "words", "answer"), rows, ids=[*wrong, *(f"right: {name}" for name in right)])
    def test(verdict: str, words: str, answer: Callable, capsys: pytest.CaptureFixture) -> None:
        passed = check(answer)
        said = " ".join(capsys.readouterr().out.partition("\nHint: ")[0].split())  # lines are wrapped
        assert said.startswith(verdict), said
        assert passed == (verdict == "Right. ")
        assert words in said, said
        assert STOPPED in words or STOPPED not in said, said

    test.check, test.rows = check, rows
    return test
