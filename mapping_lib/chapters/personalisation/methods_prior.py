"""A learned prior: what most individuals have in common, as a normal distribution of phi. (theta, S) -> phi.

theta is the distribution, phi ~ N(mean, C) with C = factor factor', and for curves the noise of an observation.
Adapting is Bayes' rule: in closed form for curves, where it is the mixed-effects model of statistics; by Newton's
method for choices. `methods_variance` fits theta by maximum likelihood; the outer loop fits it to
forecasts.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from mapping_lib.checks import check_batch, check_count, check_labels, check_tasks, check_theta
from mapping_lib.inner_loop import mean_squared_error
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import through_adaptation
from mapping_lib.task import Batch, Params, Task


def legendre(degree: int) -> Callable[[Tensor], Tensor]:
    """The polynomials of Legendre as features: x ``(example, 1)`` in [-1, 1] -> ``(example, degree + 1)``.

    P_0 = 1, P_1 = x, and (n + 1) P_{n+1} = (2n + 1) x P_n - n P_{n-1} (Abramowitz & Stegun 1964, eq. 8.5.3). On [-1, 1]
    they are orthogonal, so that an equal prior on their weights prefers none of them by accident of scale.

    >>> legendre(2)(torch.tensor([[0.0], [1.0]]))
    tensor([[ 1.0000,  0.0000, -0.5000],
            [ 1.0000,  1.0000,  1.0000]])
    """
    check_count("degree", degree, at_least=0)

    def features(x: Tensor) -> Tensor:
        columns = [torch.ones_like(x), x]
        for n in range(1, degree):
            columns.append(((2 * n + 1) * x * columns[-1] - n * columns[-2]) / (n + 1))
        return torch.cat(columns[: degree + 1], -1)

    return features


class Utility(nn.Module):
    """Logits x · weight, x ``(example, alternative, feature)``: the conditional logit as a network.

    >>> Utility(6)(torch.zeros(7, 4, 6)).shape
    torch.Size([7, 4])
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_features, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """x ``(example, alternative, feature)`` -> ``(example, alternative)``."""
        return x @ self.weight


def gaussian_prior(features: Callable[[Tensor], Tensor], n_features: int) -> MetaLearner:
    """Bayes' rule for y = features(x) phi + noise with phi ~ N(mean, C): the mixed-effects model, as a learner.

    With X = features(support.x), C = factor factor' and s² = exp(2 log_noise), phi has the posterior's two parts,

        weight     = mean + C X' (X C X' + s² I)^-1 (y - X mean)
        covariance = C    - C X' (X C X' + s² I)^-1 X C

    (Rasmussen & Williams 2006, eqs. 2.8 and A.6; Laird & Ware 1982, section 3): shrinkage towards the mean, most
    where the prior is narrow or the data few. theta: mean ``(n_features,)``, factor ``(n_features, n_features)``,
    log_noise ``()``. x, y are ``(example, 1)``. The direction is the exact gradient of the squared error on the query.

    >>> learner = gaussian_prior(legendre(0), 1)
    >>> theta = {"mean": torch.tensor([10.0]), "factor": torch.eye(1), "log_noise": torch.tensor(0.0)}
    >>> phi = learner.adapt(theta, Batch(torch.zeros(3, 1), torch.full((3, 1), 14.0)))  # 10 + 3/4 of the way to 14
    >>> phi["weight"].round(decimals=4), phi["covariance"].round(decimals=4)
    (tensor([13.]), tensor([[0.2500]]))
    """
    shapes = prior_shapes(n_features) | {"log_noise": torch.Size([])}

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        check_batch("support", support, dtype=check_theta(theta, shapes), y_features=True)
        X, noise = features(support.x), theta["log_noise"].exp()
        missed = support.y[:, 0] - X @ theta["mean"]
        # the same as least squares for z, phi = mean + factor z, with one made-up example a feature, of target 0 and
        # length s; X C X' is never formed, which has twice as many digits to lose and is singular where s is small
        Q, R = torch.linalg.qr(torch.cat([X @ theta["factor"], noise * torch.eye(n_features, dtype=X.dtype)]))
        z = torch.linalg.solve_triangular(R, Q[: X.shape[0]].mT @ missed[:, None], upper=True)[:, 0]
        left = noise * torch.linalg.solve_triangular(R.mT, theta["factor"].mT, upper=False)
        return {"weight": theta["mean"] + theta["factor"] @ z, "covariance": left.mT @ left}

    def predict(phi: Params, x: Tensor) -> Tensor:
        return features(x) @ phi["weight"][:, None]

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_tasks(tasks, dtype=check_theta(theta, shapes))
        return through_adaptation(adapt, predict, mean_squared_error, theta, tasks)

    def init(*, generator: Generator) -> Params:
        return wide_prior(n_features) | {"log_noise": torch.tensor(-1.0, dtype=torch.float32)}

    return MetaLearner(init, adapt, predict, meta_grad, "exact")


def choice_prior(n_features: int, *, newton_steps: int = 8) -> MetaLearner:
    """Bayes' rule for choices: P(alternative a) is the softmax of x_a phi, with phi ~ N(mean, C).

    The posterior has no closed form. phi is its highest point (MAP), by Newton's method on z, phi = mean + factor z,

        minimise  -sum log P(choice | phi)  +  |z|² / 2,

    which is convex in z (Train 2009, sections 3.8.3 and 12; Bishop 2006, section 4.5). theta: mean and factor as
    in `gaussian_prior`. x ``(example, alternative, n_features)``, y ``(example,)`` whole numbers. ``predict`` gives
    logits ``(example, alternative)``. The direction is the exact gradient, through the Newton steps, of the mean
    cross entropy on the query. Raises ValueError for labels of another kind.

    >>> learner = choice_prior(1)
    >>> theta = learner.init(generator=torch.Generator().manual_seed(0))
    >>> offers, taken = torch.tensor([[[1.0], [0.0]]]), torch.tensor([0])
    >>> learner.adapt(theta, Batch(offers, taken))  # z = P(not taken): 0.401 = 1 / (1 + exp(0.401))
    {'weight': tensor([0.4011])}
    """
    check_count("newton_steps", newton_steps, at_least=1)
    shapes = prior_shapes(n_features)

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        check_batch("support", support, dtype=check_theta(theta, shapes))
        check_labels("support", support, ndim=1)
        z = highest_point(theta, support, newton_steps=newton_steps)
        return {"weight": theta["mean"] + theta["factor"] @ z}

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_tasks(tasks, dtype=check_theta(theta, shapes))
        for name, batch in (("tasks.support", tasks.support), ("tasks.query", tasks.query)):
            check_labels(name, batch, ndim=2)
        return through_adaptation(adapt, choice_logits, torch.nn.functional.cross_entropy, theta, tasks)

    return MetaLearner(lambda *, generator: wide_prior(n_features), adapt, choice_logits, meta_grad, "exact")


def choice_logits(phi: Params, x: Tensor) -> Tensor:
    """The utility of each alternative, x ``(example, alternative, feature)`` -> ``(example, alternative)``.

    >>> choice_logits({"weight": torch.tensor([2.0, -1.0])}, torch.tensor([[[1.0, 0.0], [1.0, 3.0]]]))
    tensor([[ 2., -1.]])
    """
    return x @ phi["weight"]


def choice_slopes(theta: Params, z: Tensor, batch: Batch, answered: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """First and second derivative by z of -sum log P(choice) + |z|²/2, at phi = mean + factor z.

    With p the probabilities and x̄ = sum_a p_a x_a they are factor' sum(x̄ - x_chosen) + z and
    factor' sum_a p_a (x_a - x̄)(x_a - x̄)' factor + I (McFadden 1974). ``answered (example,)`` leaves examples out.

    >>> theta = {"mean": torch.zeros(1), "factor": torch.eye(1)}
    >>> choice_slopes(theta, torch.zeros(1), Batch(torch.tensor([[[1.0], [0.0]]]), torch.tensor([0])))
    (tensor([-0.5000]), tensor([[1.2500]]))
    """
    x = batch.x @ theta["factor"]  # the features as z sees them
    p = (batch.x @ theta["mean"] + x @ z).softmax(-1)
    taken = (batch.y[:, None] == torch.arange(x.shape[1])).to(x.dtype)
    apart = x - (p[..., None] * x).sum(-2, keepdim=True)
    counts = torch.ones_like(p[:, 0]) if answered is None else answered.to(x.dtype)
    slope = z - ((taken * counts[:, None])[..., None] * apart).sum((0, 1))
    weighted = (p * counts[:, None])[..., None] * apart
    return slope, torch.einsum("eaf,eag->fg", weighted, apart) + torch.eye(len(z), dtype=x.dtype)


def highest_point(theta: Params, batch: Batch, answered: Tensor | None = None, *, newton_steps: int = 8) -> Tensor:
    """The z where the posterior of phi = mean + factor z is highest, by Newton's method from z = 0.

    >>> theta = {"mean": torch.zeros(1), "factor": torch.eye(1)}
    >>> highest_point(theta, Batch(torch.tensor([[[1.0], [0.0]]]), torch.tensor([0])))
    tensor([0.4011])
    """
    z = torch.zeros_like(theta["mean"])
    for _ in range(newton_steps):
        z = newton_step(z, *choice_slopes(theta, z, batch, answered))
    return z


def newton_step(z: Tensor, slope: Tensor, curvature: Tensor) -> Tensor:
    """z - curvature^-1 slope, by Cholesky: a curvature of `choice_slopes` is I and something that is never negative.

    >>> newton_step(torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([[4.0]]))
    tensor([0.5000])
    """
    return z - torch.cholesky_solve(slope[..., None], torch.linalg.cholesky_ex(curvature).L)[..., 0]


def covariance(factor: Tensor, curvature: Tensor) -> Tensor:
    """factor curvature^-1 factor', as a square, which rounding can make neither lopsided nor negative.

    >>> covariance(torch.tensor([[3.0]]), torch.tensor([[4.0]]))
    tensor([[2.2500]])
    """
    left = torch.linalg.solve_triangular(
        torch.linalg.cholesky_ex(curvature).L, factor.mT.expand_as(curvature), upper=False
    )
    return left.mT @ left


def prior_shapes(n_features: int) -> dict[str, torch.Size]:
    """Names and shapes of a normal prior of ``n_features`` numbers.

    >>> prior_shapes(4)
    {'mean': torch.Size([4]), 'factor': torch.Size([4, 4])}
    """
    check_count("n_features", n_features, at_least=1)
    return {"mean": torch.Size([n_features]), "factor": torch.Size([n_features, n_features])}


def wide_prior(n_features: int) -> Params:
    """The standard normal prior: mean 0, C = I, before anything is learned.

    >>> wide_prior(2)["factor"]
    tensor([[1., 0.],
            [0., 1.]])
    """
    single = {"dtype": torch.float32}
    return {"mean": torch.zeros(n_features, **single), "factor": torch.eye(n_features, **single)}
