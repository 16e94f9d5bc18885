"""A row of a table: the scores of one method, their mean, and how sure it is."""

from typing import NamedTuple

import torch
from torch import Tensor

from mapping_lib.study.intervals import count_units, half_width


class Row(NamedTuple):
    """The scores of one method in one setting; ``low`` and ``high`` bound the mean by its 95 % interval.

    ``units`` are those of the scores, as `intervals.half_width` has them; None: each score is a unit of its own.

    >>> row = Row.of("maml", "1-shot", torch.tensor([1.0, 2.0, 3.0]))
    >>> round(row.mean, 2), round(row.low, 2), round(row.high, 2), round(row.median, 2), row.n_units
    (2.0, -0.48, 4.48, 2.0, 3)
    """

    method: str
    setting: str
    scores: Tensor
    units: Tensor | None = None

    @classmethod
    def of(cls, method: str, setting: str, scores: Tensor, units: Tensor | None = None) -> "Row":
        """A row of these scores, kept to five digits."""
        kept = torch.tensor([float(f"{s:.5g}") for s in scores.tolist()], dtype=torch.float32)
        return cls(method, setting, kept, units)

    @property
    def mean(self) -> float:
        """The mean over episodes or individuals."""
        return float(self.scores.double().mean())

    @property
    def median(self) -> float:
        """The median over episodes or individuals."""
        return float(self.scores.double().quantile(0.5))

    @property
    def half(self) -> float:
        """Half the width of the 95 % interval of the mean, clustered by unit."""
        return half_width(self.scores, self.units)

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + self.half

    @property
    def n_units(self) -> int:
        """How many units the scores are of."""
        return count_units(len(self.scores), self.units)

    def part(self, which: slice) -> "Row":
        """The row of some of the scores, with their units."""
        return self._replace(scores=self.scores[which], units=None if self.units is None else self.units[which])
