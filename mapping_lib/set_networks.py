"""Modules that read a set of examples, in any order and number."""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from mapping_lib.checks import check_count, check_tensor
from mapping_lib.networks import mlp


class ContextTransformer(nn.Module):
    """A transformer that reads the support and answers each query: (S, x) -> y_hat, in one forward pass.

    Every example (x, y) becomes one token, every query x another, and a learned start token stands for what
    is known before any example, so that the support may be empty. In each of the ``layers`` the tokens of the
    support attend to each other, those of the queries attend to the support and never to a query: no answer
    depends on what else is asked. This is the attention of Müller et al. 2022 (Transformers can do Bayesian
    inference) and of Nguyen & Grover 2022 (Transformer neural processes, the model TNP-D). No token knows its
    place: the order of examples plays no part, unlike in Garg et al. 2022 (What can transformers learn
    in-context?), where a prompt is read from left to right.

    ``n_x`` and ``n_y`` are the features of x and y, ``n_out`` those of an answer (default: n_y). ``width``, a
    multiple of the number of ``heads``, is the length of a token. Layers are pre-norm (Xiong et al. 2020), with
    GELU. Raises ValueError for a count below 1, a width that the heads do not divide, and inputs of other shapes.

    >>> transformer = ContextTransformer(width=8, heads=2, layers=1)
    >>> transformer(torch.zeros(25, 5, 1), torch.zeros(25, 5, 1), torch.zeros(25, 15, 1)).shape
    torch.Size([25, 15, 1])
    """

    def __init__(
        self, n_x: int = 1, n_y: int = 1, *, n_out: int | None = None, width: int = 64, heads: int = 4, layers: int = 3
    ) -> None:
        super().__init__()
        counts = {"n_x": n_x, "n_y": n_y, "n_out": n_y if n_out is None else n_out}
        for name, value in (counts | {"width": width, "heads": heads, "layers": layers}).items():
            check_count(name, value, at_least=1)
        if width % heads:
            raise ValueError(f"width is {width}; allowed: a multiple of heads, which is {heads}")
        self.n_x, self.n_y = n_x, n_y
        self.start = nn.Parameter(torch.empty(width, dtype=torch.float32))
        self.embed_example = _two_layers(n_x + n_y, width)
        self.embed_query = _two_layers(n_x, width)
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))
        self.read_out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, counts["n_out"]))
        self.float().reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the start token anew, from torch's random state: the one parameter that no layer holds."""
        nn.init.normal_(self.start)

    def forward(self, support_x: Tensor, support_y: Tensor, x: Tensor) -> Tensor:
        """Answer queries x ``(..., query, n_x)`` from a support: ``(..., example, n_x)``, ``(..., example, n_y)``.

        Returns y_hat ``(..., query, n_out)``. Leading dimensions, such as that of tasks, are the same in all three.
        """
        self._check(support_x, support_y, x)
        examples = self.embed_example(torch.cat([support_x, support_y], -1))
        start = self.start.expand(*x.shape[:-2], 1, -1)
        tokens = torch.cat([start, examples, self.embed_query(x)], -2)
        for layer in self.layers:
            tokens = layer(tokens, n_context=1 + support_x.shape[-2])
        return self.read_out(tokens[..., 1 + support_x.shape[-2] :, :])

    def _check(self, support_x: Tensor, support_y: Tensor, x: Tensor) -> None:
        for name, tensor in (("support_x", support_x), ("support_y", support_y), ("x", x)):
            check_tensor(name, tensor)
        lead, k = x.shape[:-2], support_x.shape[-2:-1]
        wanted = {"support_x": (*lead, *k, self.n_x), "support_y": (*lead, *k, self.n_y)}
        wanted["x"] = (*lead, *x.shape[-2:-1], self.n_x)
        for (name, shape), tensor in zip(wanted.items(), (support_x, support_y, x), strict=True):
            if tensor.ndim < 2 or tensor.shape != shape:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}; allowed: {shape}, (..., example, feature)")


class DeepSet(nn.Module):
    """A network from a set of examples to one vector: rho(mean of e(x_i, y_i)) (Zaheer et al. 2017, theorem 2).

    ``n_in`` is the number of features of x and y together, ``n_out`` the length of the vector, ``width`` that
    of all layers but the ``last`` hidden one (by default ``width`` too). The mean of no example is zero.

    >>> deep_set = DeepSet(2, 5)
    >>> deep_set(torch.zeros(10, 1), torch.zeros(10, 1)).shape, deep_set(torch.zeros(0, 1), torch.zeros(0, 1)).shape
    (torch.Size([5]), torch.Size([5]))
    """

    def __init__(self, n_in: int, n_out: int, *, width: int = 64, last: int | None = None) -> None:
        super().__init__()
        self.each = mlp((n_in, width, width, width))
        self.together = mlp((width, width, width if last is None else last, n_out))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Read x ``(..., example, feature)`` and y ``(..., example, feature)``; return ``(..., n_out)``."""
        if y.ndim != x.ndim:
            allowed = "as many dimensions as x, (..., example, feature)"
            raise ValueError(f"y has shape {tuple(y.shape)} and x {tuple(x.shape)}; allowed: {allowed}")
        seen = self.each(torch.cat([x, y], -1))
        return self.together(seen.sum(-2) / max(seen.shape[-2], 1))


def _two_layers(n_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, width), nn.GELU(), nn.Linear(width, width))


class _Layer(nn.Module):
    """tokens + attention, then + a small network for each token by itself; both read normalised tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask = nn.Linear(width, width)
        self.offer = nn.Linear(width, 2 * width)
        self.join = nn.Linear(width, width)
        self.think = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor, n_context: int) -> Tensor:
        """All tokens ask, only the first ``n_context`` are attended to: that takes the place of a mask."""
        tokens = tokens + self.attend(self.norm_1(tokens), n_context)
        return tokens + self.think(self.norm_2(tokens))

    def attend(self, tokens: Tensor, n_context: int) -> Tensor:
        """Return softmax(q k' / sqrt(d)) v for each head (Vaswani et al. 2017, eq. 1), the heads joined."""
        keys, values = self.offer(tokens[..., :n_context, :]).chunk(2, -1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(-2, -3) for t in (self.ask(tokens), keys, values))
        return self.join(scaled_dot_product_attention(q, k, v).transpose(-2, -3).flatten(-2))
