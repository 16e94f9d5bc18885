"""What a network's numbers say of y: a normal distribution, or one of bars."""

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

from mapping_lib.checks import check_number, check_tensor
from mapping_lib.learners import MetaLearner
from mapping_lib.task import Params

HALF = math.sqrt(2) * torch.special.erfinv(torch.tensor(0.5, dtype=torch.float64)).item()
"""Half of a half-normal distribution lies within this many of its scales."""


class Density(Protocol):
    """A distribution of one y, made of ``n_out`` raw numbers ``(..., n_out)``; what it gives has shape ``(..., 1)``."""

    n_out: int

    def mean(self, raw: Tensor) -> Tensor:
        """The mean of y."""

    def deviation(self, raw: Tensor) -> Tensor:
        """The standard deviation of y."""

    def log_density(self, raw: Tensor, y: Tensor) -> Tensor:
        """The logarithm of the density at ``y (..., 1)``."""

    def cdf(self, raw: Tensor, y: Tensor) -> Tensor:
        """The probability of a value not above ``y (..., 1)``."""

    def quantile(self, raw: Tensor, p: float | Tensor) -> Tensor:
        """The value that is not exceeded with probability ``p``, between 0 and 1."""


class Said(NamedTuple):
    """What was said of some y: a kind of distribution and its raw numbers ``(..., n_out)``.

    >>> said = Said(Normal(), torch.tensor([[3.0, 0.0]]))
    >>> said.mean, said.quantile(0.5)
    (tensor([[3.]]), tensor([[3.]]))
    """

    kind: Density
    raw: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean of y ``(..., 1)``."""
        return self.kind.mean(self.raw)

    @property
    def deviation(self) -> Tensor:
        """The standard deviation of y ``(..., 1)``."""
        return self.kind.deviation(self.raw)

    def log_density(self, y: Tensor) -> Tensor:
        """The logarithm of the density at ``y (..., 1)``."""
        return self.kind.log_density(self.raw, y)

    def cdf(self, y: Tensor) -> Tensor:
        """The probability of a value not above ``y (..., 1)``."""
        return self.kind.cdf(self.raw, y)

    def quantile(self, p: float | Tensor) -> Tensor:
        """The value that is not exceeded with probability ``p``, between 0 and 1."""
        return self.kind.quantile(self.raw, p)


class Forecaster(NamedTuple):
    """The ``learner``, whose `predict` gives the mean, and beside it ``density(phi, x) -> Said``, all that it says."""

    learner: MetaLearner
    density: Callable[[Params, Tensor], Said]
    kind: Density


class Normal:
    """A normal distribution: raw numbers ``(..., 2)`` are its mean and, as least + softplus, its deviation.

    ``least``, above 0, keeps the density finite where a network can be sure (Garnelo et al. 2018 learn a mean and a
    variance in the same way). Raises ValueError for raw numbers or y of another shape.

    >>> normal, raw = Normal(least=0.1), torch.tensor([[3.0, 0.0]])
    >>> [round(f(raw).item(), 2) for f in (normal.mean, normal.deviation)]
    [3.0, 0.79]
    >>> round(normal.cdf(raw, normal.quantile(raw, 0.9)).item(), 3)
    0.9
    """

    n_out = 2

    def __init__(self, least: float = 1e-2) -> None:
        self.least = check_number("least", least, above=0)

    def mean(self, raw: Tensor) -> Tensor:
        """The mean of y ``(..., 1)``."""
        return _check_raw(raw, 2)[..., :1]

    def deviation(self, raw: Tensor) -> Tensor:
        """The standard deviation of y ``(..., 1)``, above ``least``."""
        return self.least + softplus(_check_raw(raw, 2)[..., 1:])

    def log_density(self, raw: Tensor, y: Tensor) -> Tensor:
        """log N(y; mean, deviation²) ``(..., 1)`` at ``y (..., 1)``."""
        sigma = self.deviation(raw)
        return -0.5 * (self._standard(raw, y).square() + math.log(2 * math.pi)) - sigma.log()

    def cdf(self, raw: Tensor, y: Tensor) -> Tensor:
        """The probability of a value not above ``y (..., 1)``."""
        return torch.special.ndtr(self._standard(raw, y))

    def quantile(self, raw: Tensor, p: float | Tensor) -> Tensor:
        """The value that is not exceeded with probability ``p``, between 0 and 1 ``(..., 1)``."""
        return self.mean(raw) + self.deviation(raw) * torch.special.ndtri(_check_probability(p, raw))

    def _standard(self, raw: Tensor, y: Tensor) -> Tensor:
        return (_check_y(y) - self.mean(raw)) / self.deviation(raw)


class Bars:
    """Bars between ``edges (bar + 1,)``, each with a probability, softmax of raw numbers ``(..., bar)``.

    This is the Riemann distribution of Müller et al. 2022, with which a prior-data fitted network can say of y whatever
    it likes: two humps, for example. Within a bar the density is flat. In the first and in the last it is that of half
    a normal distribution, which falls away outwards and has half of its mass within the bar, so that no y is
    impossible. At least three bars. Raises ValueError for edges that do not rise, and raw numbers or y of other shapes.

    >>> bars = Bars(torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]))
    >>> raw = torch.tensor([[0.0, 0.0, 9.0, 0.0]])  # almost surely between 0 and 1
    >>> round(bars.mean(raw).item(), 2), round(bars.quantile(raw, 0.25).item(), 2)
    (0.5, 0.25)
    """

    def __init__(self, edges: Tensor) -> None:
        check_tensor("edges", edges, "(bar + 1,)")
        if edges.ndim != 1 or len(edges) < 4:
            raise ValueError(f"edges has shape {tuple(edges.shape)}; allowed: (bar + 1,), at least 4 rising numbers")
        if not bool((edges.diff() > 0).all()):
            raise ValueError("edges do not rise; allowed: (bar + 1,), at least 4 rising numbers")
        self.edges, self.n_out = edges, len(edges) - 1

    def mean(self, raw: Tensor) -> Tensor:
        """The mean of y ``(..., 1)``: that of the bars' means."""
        return (self.probability(raw) * self._moments(raw)[0]).sum(-1, keepdim=True)

    def deviation(self, raw: Tensor) -> Tensor:
        """The standard deviation of y ``(..., 1)``: between the bars and within them."""
        centre, within = self._moments(raw)
        spread = within + (centre - self.mean(raw)).square()
        return (self.probability(raw) * spread).sum(-1, keepdim=True).sqrt()

    def log_density(self, raw: Tensor, y: Tensor) -> Tensor:
        """log p(y) ``(..., 1)`` at ``y (..., 1)``: the log probability of its bar, and the log density within."""
        left, right, scale = self._parts(raw)
        y = _check_y(y)
        inside = (y >= left) & (y < right)
        flat = -(self.edges.diff().to(raw)).log()
        ends = torch.stack([right[0] - y, y - left[-1]], -1).squeeze(-2) / scale
        normal = 0.5 * math.log(2 / math.pi) - scale.log() - 0.5 * ends.square()
        within = torch.cat([normal[..., :1], flat[1:-1].expand(*normal.shape[:-1], -1), normal[..., 1:]], -1)
        log_p = _check_raw(raw, self.n_out).log_softmax(-1) + within
        return torch.where(inside, log_p, 0.0).sum(-1, keepdim=True)

    def cdf(self, raw: Tensor, y: Tensor) -> Tensor:
        """The probability of a value not above ``y (..., 1)``."""
        left, right, scale = self._parts(raw)
        y = _check_y(y)
        flat = ((y - left[1:-1]) / (right - left)[1:-1]).clamp(0, 1)
        first = 1 - torch.erf((right[0] - y).clamp(min=0) / (scale[0] * math.sqrt(2)))
        last = torch.erf((y - left[-1]).clamp(min=0) / (scale[1] * math.sqrt(2)))
        return (self.probability(raw) * torch.cat([first, flat, last], -1)).sum(-1, keepdim=True)

    def quantile(self, raw: Tensor, p: float | Tensor) -> Tensor:
        """The value that is not exceeded with probability ``p``, between 0 and 1 ``(..., 1)``."""
        p, probability = _check_probability(p, raw), self.probability(raw)
        upto = probability.cumsum(-1)
        bar = (upto < p).sum(-1, keepdim=True).clamp(max=self.n_out - 1)
        before = torch.gather(upto - probability, -1, bar)
        share = ((p - before) / torch.gather(probability, -1, bar)).clamp(0, 1)
        left, right, scale = self._parts(raw)
        first = right[0] - scale[0] * math.sqrt(2) * torch.erfinv(1 - share)
        last = left[-1] + scale[1] * math.sqrt(2) * torch.erfinv(share)
        edges = self.edges.to(raw)
        flat = edges[bar] + share * (edges[bar + 1] - edges[bar])
        return torch.where(bar == 0, first, torch.where(bar == self.n_out - 1, last, flat))

    def probability(self, raw: Tensor) -> Tensor:
        """The probability of each bar ``(..., bar)``."""
        return _check_raw(raw, self.n_out).softmax(-1)

    def _parts(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Left and right ends of the bars, the outermost without end, and the scales of the two half-normal ones."""
        edges, far = self.edges.to(raw), torch.full((1,), math.inf, dtype=raw.dtype, device=raw.device)
        scale = torch.stack([edges[1] - edges[0], edges[-1] - edges[-2]]) / HALF
        return torch.cat([-far, edges[1:-1]]), torch.cat([edges[1:-1], far]), scale

    def _moments(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance within each bar."""
        edges, scale = self.edges.to(raw), self._parts(raw)[2]
        ends = edges[[1, -2]] + scale * math.sqrt(2 / math.pi) * torch.tensor([-1, 1], dtype=raw.dtype)
        variance, outer = edges.diff().square() / 12, scale.square() * (1 - 2 / math.pi)
        centre = (edges[1:] + edges[:-1]) / 2
        return tuple(torch.cat([end[:1], inner[1:-1], end[1:]]) for end, inner in ((ends, centre), (outer, variance)))


def _check_raw(raw: Tensor, n_out: int) -> Tensor:
    if check_tensor("raw", raw).shape[-1:] != (n_out,):
        raise ValueError(f"raw has shape {tuple(raw.shape)}; allowed: (..., {n_out}), the distribution's numbers")
    return raw


def _check_y(y: Tensor) -> Tensor:
    if check_tensor("y", y).shape[-1:] != (1,):
        raise ValueError(f"y has shape {tuple(y.shape)}; allowed: (..., 1)")
    return y


def _check_probability(p: float | Tensor, raw: Tensor) -> Tensor:
    if not isinstance(p, Tensor):
        if not 0 < (p := check_number("p", p)) < 1:
            raise ValueError(f"p is {p}; allowed: a probability between 0 and 1")
        return torch.full((1,), p, dtype=raw.dtype, device=raw.device)
    return p.to(raw)
