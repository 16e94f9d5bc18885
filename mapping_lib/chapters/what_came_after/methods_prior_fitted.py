"""Prior-data fitted networks: a transformer that learned on imagined tasks, and says of y a distribution."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from mapping_lib.checks import check_count
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.in_context import EVIDENCE, in_context
from mapping_lib.task import Batch, Params

from .methods_density import Density, Said


class PriorFitted(NamedTuple):
    """The ``learner``, whose `predict` gives the mean, and beside it ``density(phi, x) -> Said``, all that it says."""

    learner: MetaLearner
    density: Callable[[Params, Tensor], Said]


def prior_fitted(transformer: nn.Module, kind: Density, *, most: int | None = None) -> PriorFitted:
    """Learn (S, x) -> p(y) from tasks drawn from a prior (Müller et al. 2022: prior-data fitted networks).

    theta is the transformer's weights, and phi is theta with the support beside it: `in_context`, whose answers are the
    ``kind.n_out`` raw numbers of a distribution. The meta-loss is the mean of -log p(y | x, S) over tasks and queries
    (their "prior-data negative log-likelihood"), whose exact gradient is the direction; where it is least, p is the
    posterior predictive distribution of the prior that the tasks are drawn from. ``transformer`` is as for
    `in_context`, with n_out = kind.n_out.

    ``most`` is the largest K that it was trained with: `adapt` to more examples raises a UserWarning that says so, and
    answers. It is no error, as what happens beyond may be the question; None asks it silently. K is a shape: the
    warning comes under `vmap` too, once, and when a program is traced, not when it is run. Raises ValueError
    where the transformer's answers have another length than ``kind.n_out``, and whatever `in_context` raises.

    >>> import torch
    >>> from mapping_lib.set_networks import ContextTransformer
    >>> from .methods_density import Normal
    >>> pfn = prior_fitted(ContextTransformer(n_out=2, width=8, heads=2, layers=1), Normal(), most=10)
    >>> theta = pfn.learner.init(generator=torch.Generator().manual_seed(0))
    >>> phi = pfn.learner.adapt(theta, Batch(torch.zeros(5, 1), torch.ones(5, 1)))
    >>> pfn.learner.predict(phi, torch.zeros(3, 1)).shape, pfn.density(phi, torch.zeros(3, 1)).quantile(0.9).shape
    (torch.Size([3, 1]), torch.Size([3, 1]))
    """
    if most is not None:
        check_count("most", most, at_least=0)

    def loss(raw: Tensor, y: Tensor) -> Tensor:
        return -kind.log_density(raw, y).mean()

    loss.is_strict = True  # log_density looks at the shapes itself
    reader = in_context(transformer, loss)

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        phi = reader.adapt(theta, support, description=description, steps=steps)
        k_shot = phi[EVIDENCE[0]].shape[0]
        if most is not None and k_shot > most:
            warnings.warn(f"support has {k_shot} examples; trained with at most {most}: a guess beyond", stacklevel=2)
        return phi

    def density(phi: Params, x: Tensor) -> Said:
        return Said(kind, reader.predict(phi, x))

    def predict(phi: Params, x: Tensor) -> Tensor:
        return density(phi, x).mean

    return PriorFitted(MetaLearner(reader.init, adapt, predict, reader.meta_grad, "exact"), density)
