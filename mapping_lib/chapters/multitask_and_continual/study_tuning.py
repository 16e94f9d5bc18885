"""How chapter 4e's settings were chosen.

    python -m mapping_lib.chapters.multitask_and_continual.study_tuning [method ...]

Each method's own grid, on 30 sequences that are judged on other forms than the tables'. A method is chosen by what it
is for: the error on all four tasks at the end, for MAML after adaptation. The step sizes of adaptation are then chosen
for each setting by itself, with 0 (leave it as it is) among them.
"""

from itertools import chain, product

import torch

from mapping_lib.chapters.multitask_and_continual.family import KINDS
from mapping_lib.chapters.multitask_and_continual.study import (
    METHODS_OF,
    SETTINGS,
    Chosen,
    adapted_errors,
    draw,
    errors,
    train,
    wrong,
)
from mapping_lib.console import command, refuse_unknown

N, SEED = 30, 4096
ALPHAS = (0.0, 0.03, 0.1, 0.3, 0.5, 0.8)


def grid(method: str) -> list[Chosen]:
    """What is tried of one method.

    >>> len(grid("joint")), len(grid("EWC")), len(grid("MAML"))
    (3, 9, 4)
    """
    if method == "from scratch":
        return [Chosen()]
    if "MAML" in method:
        return [Chosen(lr=lr, steps=15, alpha=alpha) for lr, alpha in product((0.01, 0.03), (0.5, 0.8))]
    plain = [Chosen(lr=lr) for lr in (0.003, 0.01, 0.03)]
    if method == "EWC":
        return [c._replace(penalty=p) for c in plain for p in (10.0, 100.0, 1000.0)]
    return plain


def choose(kind: str, method: str) -> Chosen:
    """Try the grid, and give the best."""
    adapting = list(SETTINGS)[1:]
    best, lowest, kept = Chosen(), float("inf"), None
    for chosen in grid(method):
        generator = torch.Generator().manual_seed(SEED)
        tasks, seen = draw(kind, N, generator, "tuning")
        model, path = train(kind, method, seen, chosen, generator)
        if "MAML" in method:
            reached = min(float(adapted_errors(model, path[-1], tasks, adapting[0], a).mean()) for a in ALPHAS[1:])
        else:
            reached = float(errors(model, path[-1], tasks.query, wrong)[:, :4].mean())
        print(f"  {kind} {method} {chosen[:4]}: {reached:.3f}", flush=True)
        if reached < lowest:
            best, lowest, kept = chosen, reached, (model, path[-1], tasks)
    found = [[float(adapted_errors(*kept, setting, a).mean()) for a in ALPHAS] for setting in adapting]
    return best._replace(adapt=tuple(ALPHAS[row.index(min(row))] for row in found))


def main() -> None:
    """Print what was tried and what was chosen, kind by kind. On one thread of torch's."""
    parser = command(
        "mapping_lib.chapters.multitask_and_continual.study_tuning", "Choose what chapter 4e's methods are run with."
    )
    parser.add_argument("methods", nargs="*", metavar="method", help="all without names")
    methods = parser.parse_args().methods
    chosen = {kind: METHODS_OF[kind][:-1] for kind in KINDS}  # neighbours have nothing to choose
    refuse_unknown(parser, "method", methods, list(dict.fromkeys(chain(*chosen.values()))))
    torch.set_num_threads(1)
    for kind in KINDS:
        for method in (method for method in chosen[kind] if not methods or method in methods):
            print(f"chosen {kind} {method!r}: {choose(kind, method)}", flush=True)


if __name__ == "__main__":
    main()
