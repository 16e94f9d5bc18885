"""How chapter 4e's settings were chosen.

    python -m mapping_lib.study multitask_and_continual --tune

Each method's own choices, on 30 sequences that are judged on other forms than the tables'. A method is chosen by what
it is for: the error on all four tasks at the end, for MAML after adaptation, and for features that are looked up with
ten examples of the task. The step sizes of adaptation, or the readouts, are then chosen for each setting by itself,
with 0 (leave it as it is) among the step sizes.
"""

from collections.abc import Iterator
from functools import lru_cache

import torch

from mapping_lib.task import Params, Task
from mapping_lib.worlds.digits import wrong

from .methods import Model, errors
from .methods_features import READOUTS, Readout
from .study import ADAPTATIONS, adapted_errors, draw, lookup_errors
from .study_methods import METHODS, METHODS_OF, OLD, Chosen, train

N, SEED = 30, 4096
ALPHAS = (0.0, 0.03, 0.1, 0.3, 0.5, 0.8)


@lru_cache(maxsize=10)
def trained(kind: str, method: str, chosen: Chosen) -> tuple[Model, Params, Task]:
    """A method trained with these settings, its final parameters, and the sequences that judge it."""
    generator = torch.Generator().manual_seed(SEED)
    tasks, seen = draw(kind, N, generator, "tuning")
    model, path = train(kind, method, seen, chosen, generator)
    return model, path[-1], tasks


def after_adaptation(kind: str, method: str, chosen: Chosen, setting: str) -> dict[float, float]:
    """The mean error of every step size of one of `ADAPTATIONS`."""
    judged = trained(kind, method, chosen)
    return {alpha: float(adapted_errors(*judged, setting, alpha).mean(1).mean()) for alpha in ALPHAS}


def looked_up(kind: str, method: str, chosen: Chosen) -> dict[Readout, list[float]]:
    """The three mean errors of every readout: all tasks together, an old one alone, the new one."""
    judged = trained(kind, method, chosen)
    return {r: [float(error.mean()) for error in lookup_errors(kind, method, *judged, r)] for r in READOUTS}


def validate(kind: str, method: str) -> dict[Chosen, float]:
    """The mean error of every choice that a method has, by what it is for.

    >>> [chosen.steps for chosen in validate("pairs", "from scratch")]
    [20]
    """

    def error(chosen: Chosen) -> float:
        if METHODS[method].meta:  # 0 would be no adaptation
            return min(list(after_adaptation(kind, method, chosen, "all tasks, 3 steps").values())[1:])
        if METHODS[method].lookup:
            return min(old for _, old, _ in looked_up(kind, method, chosen).values())
        model, params, tasks = trained(kind, method, chosen)
        return float(errors(model, params, tasks.query, wrong)[:, :OLD].mean())

    return {chosen: error(chosen) for chosen in METHODS[method].choices}


def choose(kind: str, method: str, validated: dict[Chosen, float]) -> Chosen:
    """The best of what was validated, with the best step sizes of adaptation, or readouts; of equals the first."""
    best = min(validated, key=validated.get)
    if METHODS[method].lookup:
        found = looked_up(kind, method, best)
        return best._replace(readouts=tuple(min(found, key=lambda r, i=i: found[r][i]) for i in range(3)))
    by_setting = [after_adaptation(kind, method, best, setting) for setting in ADAPTATIONS]
    return best._replace(adapt=tuple(min(reached, key=reached.get) for reached in by_setting))


def tune() -> Iterator[str]:
    """What was tried and what was chosen, kind by kind, a line each."""
    for kind, methods in METHODS_OF.items():
        for method in (method for method in methods if METHODS[method].choices):
            validated = validate(kind, method)
            yield from (f"  {kind} {method} {chosen[:5]}: {error:.3f}" for chosen, error in validated.items())
            yield f"chosen {kind} {method!r}: {choose(kind, method, validated)}"
