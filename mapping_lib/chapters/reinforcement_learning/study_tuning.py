"""How the first alphas of chapter 4d were chosen: by the return after three updates on the validation goals.

    python -m mapping_lib.study reinforcement_learning --tune

prints, for the two methods that were not trained for updates, the return of every alpha in `ALPHAS`, and the best.
"""

from collections.abc import Iterator

from .study import theta_of, validated

ALPHAS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


def validate(method: str, alphas: tuple[float, ...] = ALPHAS) -> dict[float, float]:
    """The return of a method for every alpha that is tried.

    >>> validate("pretrained", (0.5,)).keys()
    dict_keys([0.5])
    """
    return {alpha: validated(method, theta_of(method), alpha=alpha) for alpha in alphas}


def tune() -> Iterator[str]:
    """Every alpha's return, and the best, a line each."""
    for method in ("pretrained", "random"):
        returns = validate(method)
        yield from (f"{method}: alpha {alpha}: {value:.2f}" for alpha, value in returns.items())
        yield f"{method}: best alpha {max(returns, key=returns.get)}"
