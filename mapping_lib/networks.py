"""Floor 1: networks as pure functions, (params, x) -> y_hat."""

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from mapping_lib.checks import check_choice, check_count, check_generator
from mapping_lib.task import Params

NORMS: dict[str, Callable[[int], list[nn.Module]]] = {
    "none": lambda channels: [],
    "group": lambda channels: [nn.GroupNorm(math.gcd(4, channels), channels)],
    "batch": lambda channels: [nn.BatchNorm2d(channels, track_running_stats=False)],
}
"""The normalisations of `conv_net`, by name: modules for a number of channels."""


class FunctionalNetwork(NamedTuple):
    """A network whose parameters are an argument.

    ``init(generator=g)`` gives fresh parameters; ``predict(params, x)`` runs the network on ``x
    (example, feature)`` with them. ``shapes`` maps each parameter's name to its shape.
    """

    init: Callable[..., Params]
    predict: Callable[[Params, Tensor], Tensor]
    shapes: dict[str, torch.Size]
    dtype: torch.dtype
    reads_tokens: bool


def mlp(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Build a fully connected network; ``mlp((1, 40, 40, 1))`` is the one of Finn et al. 2017, section 5.1.

    ``sizes`` are the widths from input to output; ``activation`` stands between the layers, not after
    the last. Raises ValueError for fewer than two widths or a width below 1.

    >>> [tuple(p.shape) for p in mlp((1, 40, 1)).parameters()]
    [(40, 1), (40,), (1, 40), (1,)]
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes is {tuple(sizes)}; allowed: two widths or more, for example (1, 40, 40, 1)")
    for i, width in enumerate(sizes):
        check_count(f"sizes[{i}]", width, at_least=1)
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), activation()]
    return nn.Sequential(*layers[:-1])


def conv_net(n_out: int, filters: Sequence[int] = (32, 32, 32, 32), *, norm: str = "none") -> nn.Sequential:
    """Build a convolutional network for images ``(example, 1, 28, 28)``, with ``n_out`` outputs.

    Each layer has 3 x 3 filters that move in steps of two pixels, a normalisation, and a ReLU: that of Finn et al.
    2017, section 5.2, for Omniglot, "strided convolutions instead of max-pooling". ``filters`` says how many there are
    in each layer. ``norm`` is "none"; "group", over groups of channels of one image; or "batch", over all images that
    are *judged together*: there are no running statistics, as in MAML, so one image's answer hangs on its neighbours.
    A linear layer reads what is left (with four layers 2 x 2 pixels). Raises ValueError for a count below 1, for no
    layer, more than five, or an unknown normalisation.

    >>> [tuple(p.shape) for p in conv_net(5, (8, 8)).parameters() if p.ndim > 1]
    [(8, 1, 3, 3), (8, 8, 3, 3), (5, 392)]
    """
    check_count("n_out", n_out, at_least=1)
    if not 0 < len(filters) <= 5:
        raise ValueError(f"filters is {tuple(filters)}; allowed: one to five numbers, one for each layer")
    make_norm = NORMS[check_choice("norm", norm, NORMS)]
    layers: list[nn.Module] = []
    for i, (n_in, n) in enumerate(itertools.pairwise([1, *filters])):
        check_count(f"filters[{i}]", n, at_least=1)
        layers += [nn.Conv2d(n_in, n, 3, stride=2, padding=1), *make_norm(n), nn.ReLU()]
    side = (28 - 1) // 2 ** len(filters) + 1
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(filters[-1] * side**2, n_out))


def functional(network: nn.Module) -> FunctionalNetwork:
    """Turn any module into a pure function of its parameters, without rewriting it.

    The forward pass must change no buffer and draw no random number: adaptation calls it many times
    and differentiates through all of them. Raises ValueError for a network without parameters, for
    batch normalisation with running statistics and for active dropout.

    >>> net = functional(mlp((1, 3, 1)))
    >>> params = net.init(generator=torch.Generator().manual_seed(0))
    >>> net.predict(params, torch.zeros(5, 1)).shape
    torch.Size([5, 1])
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"network is a {type(network).__name__}; allowed: a torch.nn.Module")
    params = dict(network.named_parameters())
    if not params:
        raise ValueError(f"network is a {type(network).__name__} without parameters; allowed: at least one")
    for name, module in network.named_modules():
        _check_module(name or "network", module)

    def predict(params: Params, x: Tensor) -> Tensor:
        return torch.func.functional_call(network, params, (x,))

    return FunctionalNetwork(
        init=lambda *, generator: _fresh_parameters(network, generator),
        predict=predict,
        shapes={name: p.shape for name, p in params.items()},
        dtype=next(iter(params.values())).dtype,
        reads_tokens=any(isinstance(m, nn.Embedding | nn.EmbeddingBag) for m in network.modules()),
    )


def _check_module(name: str, module: nn.Module) -> None:
    kind = type(module).__name__
    if module.training and getattr(module, "track_running_stats", False):
        raise ValueError(
            f"network layer '{name}' is a {kind} with running statistics, which its forward pass changes;"
            f" allowed: track_running_stats=False, or a GroupNorm or LayerNorm in its place"
        )
    if module.training and isinstance(module, nn.RReLU):
        raise ValueError(
            f"network layer '{name}' is an RReLU, which draws random numbers; allowed: LeakyReLU in its place"
        )
    rate = getattr(module, "p", 0.0) if "Dropout" in kind else getattr(module, "dropout", 0.0)
    if module.training and isinstance(rate, int | float) and rate > 0:
        raise ValueError(
            f"network layer '{name}' is a {kind} with active dropout {rate}, which draws random numbers;"
            f" allowed: dropout 0, or network.eval() before you pass it"
        )


def _fresh_parameters(network: nn.Module, generator: Generator) -> Params:
    """Draw new parameters as each layer's own ``reset_parameters`` does, from ``generator`` alone.

    PyTorch's initialisers read the global random state: it is seeded from ``generator`` and put back.
    Parameters that no layer resets (a module's own `nn.Parameter`) keep the value they have.
    """
    check_generator(generator)
    seed = int(torch.randint(2**62, (1,), generator=generator))
    fresh = copy.deepcopy(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in fresh.modules():
            # nn.MultiheadAttention has it under a private name
            reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
            if callable(reset):
                reset()
    return {name: p.detach() for name, p in fresh.named_parameters()}
