"""How the step sizes of chapter 4a were chosen: by accuracy on the validation alphabet, Greek.

    python -m mapping_lib.study few_shot_images --tune

prints, for every method that takes steps, for one and five examples and for 5 and 20 ways, the accuracy of every one of
`Method.choices` on `N_TASKS` tasks, and the best. Those stand in `methods.TUNED`; only "from scratch" takes at 20 ways
what was chosen for 5. The alpha and the steps of MAML and ANIL in *training* were chosen before, among (0.4, 1),
(0.1, 3) and (0.3, 3), by runs of 300 outer steps of MAML judged on the same alphabet; what is chosen here are the
steps that they take afterwards.
"""

from collections.abc import Iterator

import torch

from .methods import GLYPHS, METHODS, TUNED, Tuned
from .study import accuracies

N_TASKS = 50


def validate(method: str, n_way: int, k_shot: int, *, n_tasks: int = N_TASKS) -> dict[Tuned, float]:
    """The mean accuracy on validation tasks of every choice that a method has.

    >>> sorted(validate("joint training", 5, 1, n_tasks=1))[0]
    Tuned(alpha=0.001, steps=10)
    """
    setting = {"n_way": n_way, "k_shot": k_shot, "jitter": 1.0}
    family = GLYPHS.episodes("validation", n_way, 1.0)
    tasks = family.sample(n_tasks, k_shot, 3, generator=torch.Generator().manual_seed(1))
    return {
        choice: float(accuracies(method, setting, tasks, tuned=choice).mean()) for choice in METHODS[method].choices
    }


def tune() -> Iterator[str]:
    """Every choice with its accuracy, and the best, a line each."""
    for method, n_way, k_shot in TUNED:
        validated = validate(method, n_way, k_shot)
        case = f"{method}, {n_way} ways, K = {k_shot}"
        yield from (f"{case}: alpha {alpha}, {steps} steps: {score:.3f}" for (alpha, steps), score in validated.items())
        yield f"{case}: best {max(validated, key=validated.get)}"
