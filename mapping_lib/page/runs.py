"""Meta-training that goes on while the reader watches: a traced outer step for each method, run by the page or here."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mapping_lib.page.draws import uniform
from mapping_lib.page.fields import values_of
from mapping_lib.page.program import Program, as_tensors, call, run
from mapping_lib.page.sentence import filled

CARRIED = ("theta", "first", "second")
"""What one outer step hands on to the next: theta, and the moments of its optimiser."""


class Begun(NamedTuple):
    """A run made beforehand: the state it was made with, its curve ``(point,)`` and ``(point, judged)``, its theta."""

    state: Mapping[str, Any]
    outer: np.ndarray
    errors: np.ndarray
    theta: list[Tensor]


class Runs(NamedTuple):
    """A program for one outer step of each method, and one that evaluates a theta.

    ``by`` is the field of the state that names the method ("" where there is one only), ``tasks`` that with the number
    of tasks, or the number itself; for each task ``draws`` says how many random numbers the step is given under which
    name. The fields in ``live`` may change during a run; ``name`` is the template of its name. An outer step also
    reads ``count``, its number from 1; the evaluation reads ``theta`` and ``rates``, and gives ``now``, the error,
    or with ``judged`` one for each value 0, 1 ... of that field.

    New values of the fields in ``begins`` (without it of all that are not live) begin a new run when the hand rests;
    a panel opens with the run ``begun``, and comes back to it. An explorer that has a program, too, draws that with
    ``theta`` and ``now`` of the present run, and with the numbers that it began with as ``run_alpha`` and the like.
    """

    programs: Mapping[str, Program]
    evaluate: Program
    by: str
    tasks: str | int
    draws: Mapping[str, int]
    outer_steps: int
    live: tuple[str, ...]
    name: str
    begins: tuple[str, ...] = ()
    begun: Begun | None = None
    judged: str = ""

    @property
    def told(self) -> dict[str, Any]:
        """What the front end is told beside the programs; arrays are among the constants."""
        about = self._asdict() | {"begun": self.begun and dict(self.begun.state)}
        return {name: value for name, value in about.items() if name not in ("programs", "evaluate")}

    @property
    def constants(self) -> dict[str, Any]:
        """The arrays of the run that was made beforehand."""
        if not self.begun:
            return {}
        _, outer, errors, theta = self.begun
        outer, errors = _floats(outer), _floats(errors)
        return {"begun_outer": outer, "begun_errors": errors, "begun_theta": theta}

    def drawn(self, seed: int, step: int, tasks: int) -> dict[str, Tensor]:
        """The random numbers of one outer step, ``(task, number)`` by name."""
        numbers = torch.from_numpy(uniform(seed, step, tasks * sum(self.draws.values())))
        parts = numbers.split([tasks * each for each in self.draws.values()])
        return {name: part.view(tasks, each) for (name, each), part in zip(self.draws.items(), parts, strict=True)}

    @torch.no_grad()
    def train(self, state: Any, inputs: Mapping[str, Tensor]) -> Iterator[dict[str, Any]]:
        """The environment at the start, then after each outer step."""
        program = self.programs[getattr(state, self.by)] if self.by else next(iter(self.programs.values()))
        tasks = getattr(state, self.tasks) if isinstance(self.tasks, str) else self.tasks
        carried: dict[str, Any] = {}
        for step in range(self.outer_steps + 1):
            drawn = self.drawn(state.seed, step, tasks)
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
        """The frame of a panel that opens: the run begun, or theta before the first outer step; no earlier runs."""
        if not self.begun:
            frame = self.look(next(self.train(state, inputs)), inputs)
            return frame | self._curve(state, torch.zeros(1, dtype=torch.float32), frame["now"].view(1), done=0.0)
        errors = _floats(self.begun.errors)[:, getattr(state, self.judged) if self.judged else 0]
        begun = replace(state, **self.begun.state)
        return self._curve(begun, _floats(self.begun.outer), errors, done=float(self.outer_steps))

    def _curve(self, state: Any, outer: Tensor, errors: Tensor, *, done: float) -> dict[str, Any]:
        """What is drawn and said of the run of a state, after as many outer steps as are ``done``."""
        none = torch.zeros(0, 0, dtype=torch.float32)
        curves = {"outer": outer, "errors": errors, "earlier_outer": none, "earlier_errors": none, "earlier_names": []}
        numbers = {"done": done, "last": float(self.outer_steps), "begun": float(errors[0])}
        numbers["began"] = float(math.isfinite(numbers["begun"]))
        return curves | numbers | {"run_name": filled(self.name, values_of(state))}

    def shown(self, explorer_inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """What a program that draws the run begun is given beside the state: its theta, and what it began with."""
        began = {f"run_{name}": _floats(float(v)) for name, v in self.begun.state.items()}
        return {**explorer_inputs, **began, "theta": self.begun.theta, "now": _floats(self.begun.errors[-1])}


def _floats(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
