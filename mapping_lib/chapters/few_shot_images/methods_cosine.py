"""Angles in place of lengths: the layers that give two methods of chapter 4a the same careful head.

Baseline++ of Chen et al. 2019 is joint training with a cosine softmax. The two layers here let joint
training and prototypical networks have it alike, on the same embedding of `methods.EMBEDDING` numbers.
"""

from torch import Tensor, nn
from torch.nn.functional import normalize

SCALE = 10.0
"""What a cosine is multiplied by before the softmax. Fixed beforehand for all methods, not chosen on any letters."""


class Cosine(nn.Linear):
    """A last layer whose logits are ``scale * cos(x, w_k)``, one row w_k a class, without a bias.

    >>> layer = Cosine(2, 1)
    >>> bool(layer(layer.weight * 7).sub(SCALE).abs() < 1e-4)
    True
    """

    def __init__(self, n_in: int, n_out: int, scale: float = SCALE) -> None:
        super().__init__(n_in, n_out, bias=False)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """The logits ``(example, n_out)``; the lengths of x and of the rows play no part."""
        return self.scale * normalize(x, dim=-1) @ normalize(self.weight, dim=-1).T


class OnSphere(nn.Module):
    """Give every x the length sqrt(scale / 2), so that -|x - c|² is ``scale * (cos(x, c) - 1)`` for c of that length.

    Behind an embedding it makes of squared distances cosines: with one example a class, `prototypes.prototypical` is
    then the softmax of `Cosine` with the examples as rows.

    >>> import torch
    >>> a, b = OnSphere()(torch.tensor([[3.0, 4.0], [0.5, 0.0]]))
    >>> round(float((a - b).square().sum()), 4), round(SCALE * (1 - 0.6), 4)
    (4.0, 4.0)
    """

    def __init__(self, scale: float = SCALE) -> None:
        super().__init__()
        self.radius = (scale / 2) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        """x with another length."""
        return self.radius * normalize(x, dim=-1)
