"""An explorer: a State, what it computes, and how that is drawn and said; all of it data or pure functions.

A frame is a dictionary of named arrays, numbers and words. It comes from a `program`, which the page runs by itself, or
from ``compute``, which the kernel runs. The front end (`front/`) reads marks and sentence; `Explorer.words` reads the
same sentence here.
"""

import importlib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets

from mapping_lib.page import front
from mapping_lib.page.displayed import Displayed, pictured, replace_those_of_this_cell
from mapping_lib.page.fields import controls, trait, values_of
from mapping_lib.page.plots import COLOUR_OF, COLOURS
from mapping_lib.page.program import Program, arrays, run
from mapping_lib.page.runs import Runs
from mapping_lib.page.sentence import Sentence, said

CHAPTERS = Path(__file__).parents[1] / "chapters"
Frame = dict[str, Any]


@dataclass(frozen=True)
class Explorer:
    """What an explorer is made of; `open` puts it into a notebook, `specification` gives it to any page.

    ``height`` is that of the picture as a share of its width; ``actions`` are (label, field, "next" or "scatter").
    """

    name: str
    State: type
    title: str
    hint: str
    axes: Sequence[dict[str, Any]]
    marks: Sequence[dict[str, Any]]
    sentence: Sentence
    presets: Mapping[str, Mapping[str, Any]]
    program: Program | None = None
    later: Program | None = None
    kernel: Callable[[Any], Frame] | None = None
    runs: Runs | None = None
    actions: Sequence[tuple[str, str, str]] = ()
    height: float = 0.34
    more: str = "more"
    colours: Mapping[str, str] = field(default_factory=dict)
    shipped: bool = True

    def compute(self, state: Any) -> Frame:
        """The frame of a state: arrays, numbers and words by name."""
        if self.kernel:
            return self.kernel(state)
        frame = self.runs.beginning(state, self.inputs(state)) if self.runs else {}
        return _as_numpy(frame | (run(self.program, self._given(state)) if self.program else {}))

    def compute_later(self, state: Any) -> Frame:
        """The slow part of the frame, which the page asks for when the hand rests."""
        return _as_numpy(run(self.later, self._given(state))) if self.later else {}

    def _given(self, state: Any) -> dict[str, Any]:
        """What the program is given: the state, and the run that a panel opens with."""
        inputs = self.inputs(state)
        return self.runs.shown(inputs) if self.runs else inputs

    def inputs(self, state: Any) -> dict[str, torch.Tensor]:
        """The state as tensors for a program: a choice is the place of its option."""
        return {
            part.name: torch.tensor(_number(part, getattr(state, part.name)), dtype=torch.float32)
            for part in fields(state)
            if part.metadata["kind"] != "box"
        }

    def words(self, state: Any, frame: Frame) -> str:
        """The sentence below the picture, with its marks."""
        return said(self.sentence, values(state, frame))

    def traced(self) -> dict[str, Any]:
        """The programs as the page runs them, traced now: it takes seconds."""
        from mapping_lib.page.tracing import traced  # half a second, which opening a panel can do without

        programs = {"program": self.program, "later": self.later}
        if self.runs:
            programs |= dict(self.runs.programs) | {"evaluate": self.runs.evaluate}
        return {name: traced(program, self._example(name)) for name, program in programs.items() if program}

    def _example(self, name: str) -> dict[str, Any]:
        """Inputs to trace a program with: sizes that vary are primes, repetitions are two at least."""
        inputs = self.inputs(self.State())
        for part in fields(self.State):
            if part.metadata["kind"] == "numbers":
                inputs[part.name] = torch.linspace(-1, 1, 7, dtype=torch.float32)
            elif part.metadata["kind"] == "slider" and isinstance(part.default, int):
                inputs[part.name] = inputs[part.name].clamp_min(2)
        if self.runs and name in ("program", "later"):
            inputs = self.runs.shown(inputs)
        elif self.runs and name == "evaluate":
            begun = next(self.runs.train(self.State(), inputs))
            inputs |= {"theta": begun["theta"], "rates": begun["rates"]}
        elif self.runs:
            inputs |= self.runs.drawn(0, 1, 5) | {"count": torch.tensor(1.0, dtype=torch.float32)}
        return inputs

    @cached_property
    def _made(self) -> tuple[dict[str, Any], bytes]:
        """All that the front end reads but the state, and the bytes of all arrays."""
        names = ("name", "title", "hint", "axes", "marks", "sentence", "height", "more", "presets")
        made = {name: getattr(self, name) for name in names} | {"program": None, "later": None, "runs": None}
        made["sentence"] = [[*group.items()] for group in self.sentence]
        made["actions"] = [dict(zip(("label", "field", "how"), action, strict=True)) for action in self.actions]
        made |= {"fields": controls(self.State), "colours": COLOURS | COLOUR_OF | dict(self.colours)}
        if self.kernel:
            first, data = self.answer(asdict(self.State()))
            return made | {"first": first}, data
        layout, data = _laid_out(arrays(self._constants()))
        programs = self._programs()
        if self.runs:
            steps = {name: programs.pop(name) for name in self.runs.programs}
            programs["runs"] = self.runs.told | {"programs": steps, "evaluate": programs.pop("evaluate")}
        return made | {"constants": layout} | programs, data

    def _constants(self) -> dict[str, Any]:
        """What programs have in their environments from the start."""
        programs = [self.program] + ([*self.runs.programs.values(), self.runs.evaluate] if self.runs else [])
        constants = {name: value for program in programs if program for name, value in program.constants.items()}
        return constants | (self.runs.constants if self.runs else {})

    def answer(self, state: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The frame of a state as the page reads it: numbers and words, where each array lies, and their bytes."""
        frame = self.compute(self.State(**{name: tuple(v) if isinstance(v, list) else v for name, v in state.items()}))
        layout, data = _laid_out({name: value for name, value in frame.items() if isinstance(value, np.ndarray)})
        rest = {name: value for name, value in frame.items() if not isinstance(value, np.ndarray)}
        return {"values": {name: _for_json(value) for name, value in rest.items()}, "layout": layout}, data

    def _programs(self) -> dict[str, Any]:
        """The shipped programs; those of an explorer that a reader made are traced."""
        return json.loads(program_path(self).read_text(encoding="utf-8")) if self.shipped else self.traced()

    def specification(self, **state: Any) -> tuple[dict[str, Any], bytes]:
        """What `mount` of the front end is given: a dictionary for JSON, and the bytes of the arrays."""
        made, data = self._made
        begin = replace(self.State(), **state)
        if self.kernel and state:  # the first frame is that of the state
            first, data = self.answer(asdict(begin))
            made = made | {"first": first}
        return made | {"state": asdict(begin)}, data

    def page(self, theme: str = "", **state: Any) -> str:
        """A page of HTML with this explorer alone."""
        return front.page(self.title, [self.specification(**state)], theme)

    def open(self, **state: Any) -> "Panel":
        """Open the panel: the last line of a notebook cell. ``state`` says where it begins, its `State` what can be."""
        if unknown := set(state) - {part.name for part in fields(self.State)}:
            allowed = ", ".join(part.name for part in fields(self.State))
            raise ValueError(f"{self.name} has no {sorted(unknown)[0]!r}; its state has {allowed}")
        return _panel_class(self.State)(self, state)


def values(state: Any, frame: Frame) -> dict[str, Any]:
    """What templates are filled with: the state, with the labels of choices, and numbers and words of the frame."""
    told = values_of(state)
    for name, value in frame.items():
        if isinstance(value, np.ndarray):
            told |= {name: float(value)} if value.ndim == 0 else {}
        else:
            told[name] = value
    return told


def _number(part: Any, value: Any) -> Any:
    if part.metadata["kind"] == "choice":
        return [option for option, _ in part.metadata["options"]].index(value)
    return value


def _as_numpy(frame: Mapping[str, torch.Tensor]) -> Frame:
    return {name: value.numpy() if isinstance(value, torch.Tensor) else value for name, value in frame.items()}


def _laid_out(arrays: Mapping[str, Any]) -> tuple[list, bytes]:
    """Arrays one behind the other as float32: for each its name, its shape and where it begins."""
    layout, parts, begin = [], [], 0
    for name, value in arrays.items():
        part = np.ascontiguousarray(value, dtype="<f4")
        layout.append([name, list(np.shape(value)), begin])  # ascontiguousarray makes a row of a single number
        parts.append(part.tobytes())
        begin += part.size
    return layout, b"".join(parts)


# All of them ----------------------------------------------------------------------------------------------


def explorers() -> list[Explorer]:
    """The explorers of all chapters, found by folder.

    >>> "adaptation" in [explorer.name for explorer in explorers()]
    True
    """
    files = sorted(CHAPTERS.glob("*/explorer*.py"))
    modules = [importlib.import_module(f"mapping_lib.chapters.{path.parent.name}.{path.stem}") for path in files]
    return [module.EXPLORER for module in modules if hasattr(module, "EXPLORER")]


def program_path(explorer: Explorer) -> Path:
    """Where the programs of an explorer are shipped: in the folder of its wing."""
    return Path(sys.modules[explorer.State.__module__].__file__).parent / "programs" / f"{explorer.name}.json"


def serialised(programs: Mapping[str, Any]) -> str:
    """Programs as they are shipped: a line for each stage."""
    stages = {
        name: "[\n" + ",\n".join(json.dumps(stage, separators=(",", ":")) for stage in program["stages"]) + "]"
        for name, program in programs.items()
    }
    parts = [
        f'"{name}": {{"outputs": {json.dumps(programs[name]["outputs"])}, "stages": {stages[name]}}}'
        for name in programs
    ]
    return "{" + ",\n".join(parts) + "}\n"


# In a notebook --------------------------------------------------------------------------------------------


class Panel(Displayed, anywidget.AnyWidget):
    """An explorer in a cell. The fields of its State are traits: read them, set them, observe them.

    Running a cell again closes the panels that it showed before.
    """

    _esm = front.module()
    _css = front.style()
    _spec = traitlets.Unicode().tag(sync=True)
    _arrays = traitlets.Bytes().tag(sync=True)

    def __init__(self, explorer: Explorer, state: Mapping[str, Any]) -> None:
        self.explorer = explorer
        made, arrays = explorer.specification(**state)
        traits = {name: list(v) if isinstance(v, tuple) else v for name, v in state.items()}
        super().__init__(_spec=json.dumps(made, ensure_ascii=False), _arrays=arrays, **traits)
        self.on_msg(lambda _, content, buffers: self._answer(content))
        replace_those_of_this_cell(self)

    @property
    def state(self) -> Any:
        """The present State."""
        now = {part.name: getattr(self, part.name) for part in fields(self.explorer.State)}
        return self.explorer.State(**{name: tuple(v) if isinstance(v, list) else v for name, v in now.items()})

    @property
    def frame(self) -> Frame:
        """What is drawn now."""
        return self.explorer.compute(self.state)

    def _answer(self, question: dict[str, Any]) -> None:
        """Compute in the kernel what the page asks for; should it fail, say why."""
        try:
            head, data = self.explorer.answer(question["state"])
            self.send({"id": question["id"]} | head, buffers=[data])
        except Exception as problem:
            self.send({"id": question["id"], "problem": f"{type(problem).__name__}: {problem}"})

    def _besides(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return pictured(self.explorer, asdict(self.state))

    def __repr__(self) -> str:
        return f"[explorer: {self.explorer.name}]"


def _for_json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


@cache
def _panel_class(State: type) -> type[Panel]:
    """The class of panels whose traits are the fields of a State."""
    return type("Panel", (Panel,), {part.name: trait(part) for part in fields(State)})
