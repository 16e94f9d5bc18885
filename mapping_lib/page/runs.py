"""Meta-training that goes on while the reader watches: a traced outer step for each method, run by the page or here."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mapping_lib.page.draws import uniform
from mapping_lib.page.fields import values_of
from mapping_lib.page.program import Program, as_tensors, call, run
from mapping_lib.page.sentence import filled

CARRIED = ("theta", "first", "second")
"""What one outer step hands on to the next: theta, and the moments of its optimiser."""


class Runs(NamedTuple):
    """A program for one outer step of each method, and one that evaluates a theta.

    ``by`` is the field of the state that names the method, ``tasks`` that with the number of tasks, for each of which
    ``draws`` says how many random numbers the step is given under which name. The fields in ``live`` may change during
    a run; ``name`` is the template of its name. An outer step also reads ``count``, its number from 1; the evaluation
    reads ``theta`` and ``rates``.
    """

    programs: Mapping[str, Program]
    evaluate: Program
    by: str
    tasks: str
    draws: Mapping[str, int]
    outer_steps: int
    live: tuple[str, ...]
    name: str

    def drawn(self, seed: int, step: int, tasks: int) -> dict[str, Tensor]:
        """The random numbers of one outer step, ``(task, number)`` by name."""
        numbers = torch.from_numpy(uniform(seed, step, tasks * sum(self.draws.values())))
        parts = numbers.split([tasks * each for each in self.draws.values()])
        return {name: part.view(tasks, each) for (name, each), part in zip(self.draws.items(), parts, strict=True)}

    @torch.no_grad()
    def train(self, state: Any, inputs: Mapping[str, Tensor]) -> Iterator[dict[str, Any]]:
        """The environment at the start, then after each outer step."""
        program = self.programs[getattr(state, self.by)]
        carried: dict[str, Any] = {}
        for step in range(self.outer_steps + 1):
            drawn = self.drawn(state.seed, step, getattr(state, self.tasks))
            now = {"count": torch.tensor(float(step), dtype=torch.float32), **inputs, **drawn}
            environment = as_tensors({**program.constants, **now}) | carried
            for stage in program.stages if step else program.stages[:1]:
                call(stage, environment)
            carried = {name: environment[name] for name in CARRIED}
            yield environment

    def look(self, environment: Mapping[str, Any], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The evaluation of the theta of an environment."""
        return run(self.evaluate, {**inputs, "theta": environment["theta"], "rates": environment["rates"]})

    def beginning(self, state: Any, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """The frame before the first outer step: curves of one point, and no earlier runs."""
        frame = self.look(next(self.train(state, inputs)), inputs)
        none = torch.zeros(0, 0, dtype=torch.float32)
        curves = {
            "outer": torch.zeros(1, dtype=torch.float32),
            "errors": frame["now"].view(1),
            "earlier_outer": none,
            "earlier_errors": none,
        }
        numbers = {"done": 0.0, "last": float(self.outer_steps), "begun": float(frame["now"])}
        numbers["began"] = float(math.isfinite(numbers["begun"]))
        return frame | curves | numbers | {"earlier_names": [], "run_name": filled(self.name, values_of(state))}
