"""Prior-data fitted networks: a transformer that learned on imagined tasks, and says of y a distribution."""

import warnings

import torch
from torch import Tensor, nn

from mapping_lib.checks import check_count, check_number
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.in_context import EVIDENCE, in_context
from mapping_lib.task import Batch, Params

from .methods_density import Density, Forecaster, Said


def prior_fitted(transformer: nn.Module, kind: Density, *, most: int | None = None) -> Forecaster:
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

    return Forecaster(MetaLearner(reader.init, adapt, predict, reader.meta_grad, "exact"), density, kind)


def said_of(pfn: Forecaster, theta: Params, support: Batch, x: Tensor) -> Said:
    """What is said of several tasks: ``support`` and ``x`` lead with the task, and so does the answer.

    >>> from mapping_lib.set_networks import ContextTransformer
    >>> from .methods_density import Normal
    >>> pfn = prior_fitted(ContextTransformer(n_out=2, width=8, heads=2, layers=1), Normal())
    >>> theta = pfn.learner.init(generator=torch.Generator().manual_seed(0))
    >>> said_of(pfn, theta, Batch(torch.zeros(7, 5, 1), torch.ones(7, 5, 1)), torch.zeros(7, 3, 1)).mean.shape
    torch.Size([7, 3, 1])
    """

    def one(support: Batch, x: Tensor) -> Tensor:
        return pfn.density(pfn.learner.adapt(theta, support), x).raw

    with torch.no_grad():
        return Said(pfn.kind, torch.func.vmap(one)(support, x))


def coverage(said: Said, y: Tensor, share: float) -> Tensor:
    """How many of the ``y (task, example, 1)`` lie in the middle interval that has this ``share``, by task ``(task,)``.

    Calibrated is who covers as many as are said. y that are nan do not count.

    >>> from .methods_density import Normal
    >>> said = Said(Normal(), torch.tensor([[[0.0, 0.54]]]).expand(1, 3, 2))  # deviation 1
    >>> coverage(said, torch.tensor([[[0.0], [0.7], [torch.nan]]]), 0.5)
    tensor([0.5000])
    """
    tail = (1 - check_number("share", share, above=0)) / 2
    inside = (said.quantile(tail) <= y) & (y <= said.quantile(1 - tail))
    there = y.isfinite()
    return (inside & there).sum((1, 2)) / there.sum((1, 2))


def exact_wave(x: float, y: float, asked: float, values: Tensor, *, n: int = 400_000) -> Tensor:
    """The density of a wave's y at ``asked``, at rising ``values (row,)``, given one point (x, y) of it: Bayes' rule.

    Of Finn et al.'s waves A sin(x - b), A on 0.1 to 5 and b on 0 to π, those through the point have A = y / sin(x - b).
    Each b weighs |dA/dy| = 1 / |sin(x - b)| where A is in its range; y at ``asked`` is then counted in cells, of which
    the outermost have no end.

    >>> values = torch.linspace(-5, 5, 101, dtype=torch.float32)
    >>> density = exact_wave(1.0, 2.0, 1.0 + torch.pi, values)  # half a turn on: the same, upside down
    >>> round(values[density.argmax()].item(), 2)
    -2.0
    """
    b = torch.linspace(0, torch.pi, n, dtype=torch.float64)
    slope = torch.sin(x - b)
    amplitude = y / slope
    weight = torch.where((amplitude >= 0.1) & (amplitude <= 5), 1 / slope.abs(), 0.0)
    at = torch.where(weight > 0, amplitude * torch.sin(asked - b), 0.0)
    middle = (values[1:] + values[:-1]) / 2
    counts = torch.bincount(torch.bucketize(at, middle.double()), weights=weight, minlength=len(values))
    return (counts / counts.sum() / (values[1] - values[0])).to(values.dtype)
