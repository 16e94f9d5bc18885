"""How the step sizes of chapter 4a were chosen: by accuracy on the validation alphabet, Greek.

    python -m mapping_lib.chapters.few_shot_images.study_tuning

prints, for every method that takes steps and for one and five examples, the accuracy of every pair (alpha, steps) on
`N_TASKS` 5-way tasks, and the best pair. Those stand in `methods.TUNED`. Joint training, whose steps are
cheap, has a choice for 20 ways of its own; the other methods take there what was chosen for 5. The alpha of MAML and
ANIL in *training* was chosen before, among `TRAINED_WITH`, by runs of 300 outer steps of MAML judged on the same
alphabet; what is chosen here are the steps that they take afterwards.
"""

from collections.abc import Mapping

import torch

from mapping_lib.chapters.few_shot_images.methods import GLYPHS, TUNED, Tuned
from mapping_lib.chapters.few_shot_images.study import accuracies
from mapping_lib.console import command

N_TASKS = 50

GRIDS: Mapping[str, tuple[tuple[float, ...], tuple[int, ...]]] = {
    "from scratch": ((0.003, 0.01), (10, 40)),
    "joint training": ((0.001, 0.003, 0.01, 0.03, 0.1), (10, 50)),
    "MAML": ((0.1, 0.3), (3, 10, 20)),
    "ANIL": ((0.1, 0.3), (3, 10, 20)),
}
"""The step sizes and the numbers of steps that are tried."""

TRAINED_WITH = ((0.4, 1), (0.1, 3), (0.3, 3))
"""The (alpha, steps) tried in MAML's training."""


def tried(method: str, n_way: int, k_shot: int, *, n_tasks: int = N_TASKS) -> dict[Tuned, float]:
    """The mean accuracy on validation tasks of every pair in the method's grid.

    >>> sorted(tried("joint training", 5, 1, n_tasks=1))[0]
    Tuned(alpha=0.001, steps=10)
    """
    setting = {"n_way": n_way, "k_shot": k_shot, "jitter": 1.0}
    family = GLYPHS.episodes("validation", n_way, 1.0)
    tasks = family.sample(n_tasks, k_shot, 3, generator=torch.Generator().manual_seed(1))
    alphas, steps = GRIDS[method]
    pairs = [Tuned(alpha, m) for alpha in alphas for m in steps]
    return {pair: float(accuracies(method, setting, tasks, tuned=pair).mean()) for pair in pairs}


def main() -> None:
    """Print every pair's accuracy, and the best. On one thread of torch's."""
    command("mapping_lib.chapters.few_shot_images.study_tuning", "Try the step sizes of chapter 4a.").parse_args()
    torch.set_num_threads(1)
    for method, n_way, k_shot in TUNED:
        found = tried(method, n_way, k_shot)
        for pair, accuracy in found.items():
            print(
                f"{method}, {n_way} ways, K = {k_shot}: alpha {pair.alpha}, {pair.steps} steps: {accuracy:.3f}",
                flush=True,
            )
        print(f"{method}, {n_way} ways, K = {k_shot}: best {max(found, key=found.get)}")


if __name__ == "__main__":
    main()
