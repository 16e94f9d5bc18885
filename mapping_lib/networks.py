"""Networks as pure functions, (params, x) -> y_hat."""

import copy
import itertools
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from mapping_lib.checks import check_choice, check_count, check_generator, check_theta
from mapping_lib.modules import check_network, draw_parameters, is_torchs_own, look_at, tensors_of, trainable
from mapping_lib.params import copied
from mapping_lib.task import Batch, Params
from mapping_lib.twice import needs_plain_steps, plain_steps

NORMS: dict[str, Callable[[int], list[nn.Module]]] = {
    "none": lambda channels: [],
    "group": lambda channels: [nn.GroupNorm(math.gcd(4, channels), channels)],
    "batch": lambda channels: [nn.BatchNorm2d(channels, track_running_stats=False)],
}
"""The normalisations of `conv_net`, by name: modules for a number of channels."""


class FunctionalNetwork(NamedTuple):
    """A network whose parameters are an argument. Any number of threads may use one.

    ``init(generator=g)`` gives fresh parameters; ``predict(params, x)`` runs the network on ``x
    (example, feature)`` with them, ``predict(params, a, b, ...)`` one that reads several inputs. ``shapes`` maps each
    parameter's name to its shape. Frozen parameters (``requires_grad_(False)``) are not among them: they belong to
    the network, as its layers do. ``module`` is the network's own copy, to look at and never to run.
    """

    init: Callable[..., Params]
    predict: Callable[..., Tensor]
    shapes: dict[str, torch.Size]
    dtype: torch.dtype
    reads_tokens: bool
    module: nn.Module


def mlp(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Build a fully connected network; ``mlp((1, 40, 40, 1))`` is the one of Finn et al. 2017, section 5.1.

    ``sizes`` are the widths from input to output; ``activation`` stands between the layers, not after
    the last. The parameters are float32, whatever torch's default dtype; ``.double()`` makes others. As for
    every module of torch, their first values come from torch's random state; those of a learner do not.
    Raises ValueError for fewer than two widths or a width below 1.

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
    return nn.Sequential(*layers[:-1]).float()


def conv_net(n_out: int, filters: Sequence[int] = (32, 32, 32, 32), *, norm: str = "none") -> nn.Sequential:
    """Build a convolutional network for images ``(example, 1, 28, 28)``, with ``n_out`` outputs.

    Each layer has 3 x 3 filters that move in steps of two pixels, a normalisation, and a ReLU: that of Finn et al.
    2017, section 5.2, for Omniglot, "strided convolutions instead of max-pooling". ``filters`` says how many there are
    in each layer. ``norm`` is "none"; "group", over groups of channels of one image; or "batch", over all images that
    are *judged together*: there are no running statistics, as in MAML, so one image's answer hangs on its neighbours.
    A linear layer reads what is left (with four layers 2 x 2 pixels). The parameters are as those of `mlp`.
    Raises ValueError for a count below 1, for no layer, more than five, or an unknown normalisation.

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
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(filters[-1] * side**2, n_out)).float()


def functional(
    network: nn.Module | FunctionalNetwork, *, own_start: bool = False, may_be_frozen: bool = False
) -> FunctionalNetwork:
    """Turn any module into a pure function of its parameters, without rewriting it.

    The module is copied: what happens to it later does not reach the function. Its forward pass must change no
    parameter and no buffer and draw no random number: adaptation calls it many times and differentiates through all
    of them. ``init`` draws fresh parameters as the layers themselves do; with ``own_start`` it gives those that the
    module has, whatever the generator. Every learner of this library takes what this returns in place of a module:
    ``maml(functional(pretrained, own_start=True), loss)`` begins where ``pretrained`` ended.

    Frozen parameters and buffers follow the dtype and the device of the parameters that are given. Raises TypeError
    for what is no module and ValueError for a network without parameters that learn (unless it ``may_be_frozen``),
    batch normalisation with running statistics, active dropout, and layers whose derivative PyTorch gets wrong; a
    module of the reader's own is looked at when it is first run, and refused if it draws or changes itself.

    >>> net = functional(mlp((1, 3, 1)))
    >>> params = net.init(generator=torch.Generator().manual_seed(0))
    >>> net.predict(params, torch.zeros(5, 1)).shape
    torch.Size([5, 1])
    """
    if isinstance(network, FunctionalNetwork):
        return network._replace(init=_init_of(network.module, own_start=True)) if own_start else network
    check_network(network, may_be_frozen=may_be_frozen)
    own = copy.deepcopy(network)
    return FunctionalNetwork(
        init=_init_of(own, own_start=own_start),
        predict=_predictor(own),
        shapes={name: p.shape for name, p in trainable(own).items()},
        dtype=_first(own).dtype,
        reads_tokens=any(isinstance(m, nn.Embedding | nn.EmbeddingBag) for m in own.modules()),
        module=own,
    )


def dtype_of(model: FunctionalNetwork, theta: Params, batch: Batch) -> torch.dtype:
    """The dtype that examples must have: that of ``theta``, which is checked, or their own under a frozen network.

    >>> frozen = functional(nn.Linear(1, 1).requires_grad_(False), may_be_frozen=True)
    >>> dtype_of(frozen, {}, Batch(torch.zeros(3, 1).double(), torch.zeros(3, 1).double()))
    torch.float64
    """
    if model.shapes:
        return check_theta(theta, model.shapes)
    return model.dtype if model.reads_tokens else batch.x.dtype


def _init_of(network: nn.Module, *, own_start: bool) -> Callable[..., Params]:
    def init(*, generator: Generator) -> Params:
        check_generator(generator)
        return copied(trainable(network)) if own_start else draw_parameters(network, generator)

    return init


def _predictor(network: nn.Module) -> Callable[..., Tensor]:
    """``(params, *inputs) -> y_hat`` by a copy of ``network`` for every thread, made at its first call."""
    local = _LocalCopy(network)
    to_look_at, in_steps = [] if is_torchs_own(network) else [network], needs_plain_steps(network)
    own, constants = _first(network), _constants(network)

    def predict(params: Params, *inputs: Tensor) -> Tensor:
        if to_look_at:
            look_at(network, *inputs)
            to_look_at.clear()
        like = next((t for t in (*params.values(), *inputs) if t.is_floating_point()), None)
        if constants and like is not None and (like.dtype, like.device) != (own.dtype, own.device):
            to = {name: like.dtype if t.dtype == own.dtype else t.dtype for name, t in constants.items()}
            params = params | {name: t.to(like.device, to[name]) for name, t in constants.items()}
        with plain_steps() if in_steps else nullcontext():
            return torch.func.functional_call(local.network, params, inputs)

    return predict


def _first(network: nn.Module) -> Tensor:
    """The first of the parameters that learn, or of the frozen ones where none does: it has the network's dtype."""
    return next(iter((trainable(network) or dict(network.named_parameters())).values()))


def _constants(network: nn.Module) -> Params:
    """The frozen parameters and the buffers."""
    learns = trainable(network)
    return {name: t for name, t in tensors_of(network).items() if name not in learns}


class _LocalCopy(threading.local):
    """A copy of a network in every thread: `torch.func.functional_call` writes into the module that it calls.

    All copies share the parameters, which are never written to.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network, {id(p): p for p in network.parameters()})
