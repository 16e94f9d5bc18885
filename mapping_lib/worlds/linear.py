"""Noisy linear functions with normal coefficients: tasks whose best possible learner is known.

The coefficients have a normal distribution and so has the noise; what a support says of a task is then
given by Bayes' rule in closed form (Bishop 2006, section 3.3.1): chapter 3b's `bayes_ridge`.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_count, check_number, check_range, check_tensor
from mapping_lib.families.drawing import check_description, check_draw, check_floating, noisy, split, uniform
from mapping_lib.task import Batch, Task


@dataclass(frozen=True)
class LinearFunctions:
    """The family y = w · x + b + noise.

    ``weight`` and ``intercept`` are standard deviations: every w_j is drawn from N(0, weight²), b from
    N(0, intercept²). Each of the ``n_features`` inputs is uniform on the range ``x`` (low, high). ``noise``
    is the standard deviation of Gaussian noise on every y, support and query alike. Raises ValueError for a
    negative standard deviation, n_features below 1, a range turned round, or a dtype of whole numbers.

    >>> task = LinearFunctions(n_features=3).sample(25, 10, 15, generator=torch.Generator().manual_seed(0))
    >>> task.support.x.shape, task.query.y.shape, task.description.shape
    (torch.Size([25, 10, 3]), torch.Size([25, 15, 1]), torch.Size([25, 4]))
    """

    n_features: int = 1
    weight: float = 1.0
    intercept: float = 1.0
    x: tuple[float, float] = (-5.0, 5.0)
    noise: float = 0.5
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        check_count("n_features", self.n_features, at_least=1)
        for name in ("weight", "intercept", "noise"):
            check_number(name, getattr(self, name), at_least=0)
        check_range("x", self.x)
        check_floating(self.dtype)

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw tasks; support and query are different points of the same function.

        Shapes: x ``(n_tasks, k_shot, n_features)`` and y ``(n_tasks, k_shot, 1)`` in the support, likewise
        with ``n_query`` in the query; description ``(n_tasks, n_features + 1)``, which is (w_1, ..., b).
        Zero examples are legal in either part.
        """
        check_draw(n_tasks, k_shot, n_query, generator)
        deviation = torch.tensor([self.weight] * self.n_features + [self.intercept], dtype=self.dtype)
        drawn = torch.randn((n_tasks, self.n_features + 1), generator=generator, dtype=self.dtype)
        return self.examples(deviation * drawn, k_shot, n_query, generator=generator)

    def examples(self, description: Tensor, k_shot: int, n_query: int, *, generator: Generator) -> Task:
        """Draw fresh examples of given tasks, ``description (task, n_features + 1)`` of the family's dtype.

        >>> lines = torch.tensor([[1.0, 0.0], [-2.0, 3.0]])  # y = x and y = 3 - 2x, both with noise
        >>> LinearFunctions().examples(lines, 10, 5, generator=torch.Generator().manual_seed(0)).query.y.shape
        torch.Size([2, 5, 1])
        """
        check_description(description, self.n_features + 1, self.dtype)
        check_draw(len(description), k_shot, n_query, generator)
        shape = (len(description), k_shot + n_query, self.n_features)
        x = uniform(self.x, shape, generator=generator, dtype=self.dtype)
        y = noisy(self.truth(description, x), self.noise, generator=generator)
        return split(x, y, k_shot, description)

    @staticmethod
    def truth(description: Tensor, x: Tensor) -> Tensor:
        """The noiseless y at ``x (..., example, n_features)`` for descriptions ``(..., n_features + 1)``.

        >>> LinearFunctions.truth(torch.tensor([-2.0, 3.0]), torch.tensor([[0.0], [1.0]]))
        tensor([[3.],
                [1.]])
        """
        check_tensor("description", description)
        return check_tensor("x", x) @ description[..., :-1, None] + description[..., None, -1:]

    def predictive(self, support: Batch, x: Tensor) -> tuple[Tensor, Tensor]:
        """What Bayes' rule says of y at ``x (..., query, n_features)`` from a support: mean and standard deviation.

        With X the inputs and a last column of ones, L = diag(weight², ..., weight², intercept²), y at x̃ is normal with

            mean X̃ L X' (X L X' + noise² I)^-1 y  and  variance noise² + x̃' (L - L X' (X L X' + noise² I)^-1 X L) x̃

        (Bishop 2006, eqs. 3.58 and 3.59; Rasmussen & Williams 2006, eq. 2.12): the posterior predictive distribution;
        no learner can say more. Both are ``(..., query, 1)``; computed in float64, given in the dtype of x. The support
        may be empty. Raises ValueError without noise.

        >>> nothing, one = (Batch(torch.zeros(k, 1), torch.full((k, 1), 2.5)) for k in (0, 1))
        >>> LinearFunctions().predictive(nothing, torch.zeros(1, 1))  # 0, sqrt(1 + 0.25)
        (tensor([[0.]]), tensor([[1.1180]]))
        >>> LinearFunctions().predictive(one, torch.zeros(1, 1))[0]  # 1 / 1.25 of the way to 2.5
        tensor([[2.]])
        """
        check_number("noise", self.noise, above=0)
        spread = torch.tensor([self.weight] * self.n_features + [self.intercept], dtype=torch.float64)
        seen, asked = (torch.cat([a, torch.ones_like(a[..., :1])], -1).double() * spread for a in (support.x, x))
        K = seen @ seen.mT + self.noise**2 * torch.eye(seen.shape[-2], dtype=torch.float64)
        factor, across = torch.linalg.cholesky(K), asked @ seen.mT
        mean = across @ torch.cholesky_solve(support.y.double(), factor)
        known = torch.linalg.solve_triangular(factor, across.mT, upper=False).square().sum(-2)
        variance = self.noise**2 + asked.square().sum(-1) - known
        return mean.to(x.dtype), variance.sqrt()[..., None].to(x.dtype)
