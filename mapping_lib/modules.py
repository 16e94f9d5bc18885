"""What a module must be to serve as a pure function, and where its parameters come from."""

import copy
import threading
from collections.abc import Iterator

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.prune import BasePruningMethod
from torch.utils._python_dispatch import TorchDispatchMode

from mapping_lib.checks import check_generator
from mapping_lib.task import Params

REMEDY = "a forward pass that only computes, perhaps after network.eval()"


def trainable(network: nn.Module) -> Params:
    """The parameters that learn, by name, still attached. Frozen ones (``requires_grad_(False)``) are not among them.

    >>> net = nn.Sequential(nn.Linear(3, 2).requires_grad_(False), nn.Linear(2, 1))
    >>> list(trainable(net))
    ['1.weight', '1.bias']
    """
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def tensors_of(network: nn.Module) -> Params:
    """All parameters and buffers, by name, still attached."""
    return dict(network.named_parameters()) | dict(network.named_buffers())


# What is refused ---------------------------------------------------------------------------------------


def check_network(network: nn.Module, *, may_be_frozen: bool = False) -> None:
    """Raise unless the network has parameters to train (or to keep) and no layer that is known to be unfit."""
    if not isinstance(network, nn.Module):
        raise TypeError(f"network is a {type(network).__name__}; allowed: a torch.nn.Module")
    for name, module in network.named_modules():
        _check_module(f"network layer '{name or 'network'}' is a {type(module).__name__}", module)
    has_any = any(True for _ in network.parameters())
    if not trainable(network) and not (may_be_frozen and has_any):
        frozen = " that learn: all are frozen" if has_any else ""
        raise ValueError(f"network is a {type(network).__name__} without parameters{frozen}; allowed: at least one")


def _check_module(layer: str, module: nn.Module) -> None:
    if any(isinstance(p, nn.parameter.UninitializedTensorMixin) for p in module.parameters(recurse=False)):
        raise ValueError(f"{layer} that has seen no input and has no shape yet; allowed: call network(x) once before")
    if module.training and getattr(module, "track_running_stats", False):
        raise ValueError(
            f"{layer} with running statistics, which its forward pass changes;"
            f" allowed: track_running_stats=False, or a GroupNorm or LayerNorm in its place"
        )
    if module.training and isinstance(module, nn.RReLU):
        raise ValueError(f"{layer}, which draws random numbers; allowed: LeakyReLU in its place")
    if isinstance(module, nn.FractionalMaxPool2d | nn.FractionalMaxPool3d) and module._random_samples is None:
        raise ValueError(f"{layer}, which draws random numbers; allowed: MaxPool in its place")
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        _check_embedding(layer, module)
    for name, made_by in _made_weights(module):
        _check_made_weight(layer, name, made_by, module.training)
    rate = getattr(module, "p", 0.0) if "Dropout" in type(module).__name__ else getattr(module, "dropout", 0.0)
    if module.training and isinstance(rate, int | float) and rate > 0:
        raise ValueError(
            f"{layer} with active dropout {rate}, which draws random numbers;"
            f" allowed: dropout 0, or network.eval() before you pass it"
        )


def _check_embedding(layer: str, module: nn.Embedding | nn.EmbeddingBag) -> None:
    unfit = {
        "max_norm": (module.max_norm is not None, "changes its weights in the forward pass", "max_norm=None"),
        "scale_grad_by_freq": (module.scale_grad_by_freq, "gives scaled numbers for a gradient", "False"),
        "sparse": (module.sparse, "has no second derivative", "sparse=False"),
    }
    for name, (is_set, why, allowed) in unfit.items():
        if is_set:
            raise ValueError(f"{layer} with {name}={getattr(module, name)}, which {why}; allowed: {allowed}")


def _made_weights(module: nn.Module) -> Iterator[tuple[str, object]]:
    """What makes a weight of other numbers, and the weight's name: parametrisations, or older hooks."""
    if is_parametrized(module):
        yield from ((name, made_by) for name, chain in module.parametrizations.items() for made_by in chain)
    hooks = module._forward_pre_hooks.values()
    yield from ((getattr(hook, "name", None) or hook._tensor_name, hook) for hook in hooks if _makes_a_weight(hook))


def _makes_a_weight(hook: object) -> bool:
    return isinstance(hook, BasePruningMethod) or type(hook).__name__ in {"WeightNorm", "SpectralNorm"}


def _check_made_weight(layer: str, name: str, made_by: object, training: bool) -> None:
    if isinstance(made_by, BasePruningMethod):
        raise ValueError(f"{layer} with a pruned {name}; allowed: torch.nn.utils.prune.remove(layer, {name!r}) first")
    kind = type(made_by).__name__
    if kind == "_SpectralNorm" and training:
        raise ValueError(
            f"{layer} with spectral normalisation of its {name}, for which its forward pass changes buffers;"
            " allowed: network.eval() before you pass it"
        )
    if kind in {"WeightNorm", "SpectralNorm"}:
        raise ValueError(
            f"{layer} whose {name} an older hook makes, and keeps; allowed: torch.nn.utils.parametrizations instead"
        )


def is_torchs_own(network: nn.Module) -> bool:
    """Whether every layer is one of PyTorch's: then `check_network` has said all there is to say."""
    return all(type(module).__module__.startswith("torch.nn.modules.") for module in network.modules())


def look_at(network: nn.Module, *like: Tensor) -> None:
    """Run a module of the reader's own once, and raise where it draws random numbers or changes itself.

    It is run on zeros of the shapes of ``like``, in a thread of its own: there no `torch.func` transform is active,
    which would raise errors of its own. Where the run fails, the real one will say so. All is done where the network
    lies, wherever ``like`` does.

    >>> class Noisy(nn.Linear):
    ...     def forward(self, x):
    ...         return nn.functional.dropout(super().forward(x))
    >>> look_at(Noisy(1, 1), torch.zeros(5, 1))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: network is a Noisy whose forward pass draws random numbers; allowed: ...
    """
    network, seen = copy.deepcopy(network), []
    where = next((t.device for t in tensors_of(network).values()), None)
    inputs = [torch.zeros(t.shape, dtype=t.dtype, device=where) for t in like]
    thread = threading.Thread(target=_run_and_look, args=(network, inputs, seen))
    thread.start()
    thread.join()
    if seen:
        raise ValueError(f"network is a {type(network).__name__} whose forward pass {seen[0]}; allowed: {REMEDY}")


def _run_and_look(network: nn.Module, inputs: list[Tensor], seen: list[str]) -> None:
    before = {name: (t, t._version, t.detach().clone()) for name, t in tensors_of(network).items()}
    try:
        with _Draws() as draws:
            network(*inputs)
    except Exception:  # zeros may not suit it: that is no verdict
        return
    seen += ["draws random numbers"] * draws.seen
    for name, now in tensors_of(network).items():
        was, version, value = before.get(name, (None, 0, now))
        if now is not was or now._version != version or not torch.equal(now.detach().nan_to_num(), value.nan_to_num()):
            seen.append(f"changes its {name!r}")


class _Draws(TorchDispatchMode):
    """Notice whether an operator draws random numbers in this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        off = _argument(func, "dropout_p", args, kwargs) == 0.0 or _argument(func, "training", args, kwargs) is False
        self.seen |= torch.Tag.nondeterministic_seeded in func.tags and not off
        return func(*args, **(kwargs or {}))


def _argument(func, name: str, args, kwargs):
    """What an operator is given for an argument; None where it has no such argument."""
    for place, argument in enumerate(func._schema.arguments):
        if argument.name == name:
            return args[place] if place < len(args) else (kwargs or {}).get(name, argument.default_value)
    return None


# Where parameters come from ----------------------------------------------------------------------------


def draw_parameters(network: nn.Module, generator: Generator) -> Params:
    """Draw the trainable parameters anew as each layer's own ``reset_parameters`` does, from ``generator`` alone.

    PyTorch's initialisers know no generator: while they run, what they draw in this thread is drawn from one that
    ``generator`` seeds. Parameters that no layer resets (a module's own `nn.Parameter`) keep the value they have. They
    are drawn on the CPU, so that a seed gives the same on every device, and put where the network's own are.

    >>> draw_parameters(nn.Linear(1, 1), torch.Generator().manual_seed(0))["bias"].shape
    torch.Size([1])
    """
    seed = int(torch.randint(2**62, (1,), generator=check_generator(generator)))
    fresh = copy.deepcopy(network)
    fresh = fresh if any(p.is_meta for p in fresh.parameters()) else fresh.cpu()
    with _DrawFrom(Generator().manual_seed(seed)), torch.no_grad():
        for module in fresh.modules():
            _reset_parametrised(module) if is_parametrized(module) else _reset(module)
    where = {name: p.device for name, p in trainable(network).items()}
    return {name: p.detach().to(where[name]) for name, p in trainable(fresh).items()}


def _reset(module: nn.Module) -> None:
    # nn.MultiheadAttention has it under a private name
    reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
    if callable(reset):
        reset()


def _reset_parametrised(module: nn.Module) -> None:
    """Reset the layer as if its weights were plain, then take what was drawn for what they are made of."""
    plain, names = copy.deepcopy(module), list(module.parametrizations)
    plain.__class__ = type(module).__bases__[0]  # `remove_parametrizations` would change the class of all copies
    del plain.parametrizations
    for name in names:
        setattr(plain, name, nn.Parameter(getattr(module, name)))
    _reset(plain)
    for name in names:
        made_of, drawn = module.parametrizations[name], getattr(plain, name).detach()
        if made_of.is_tensor and made_of.original.shape == drawn.shape:
            made_of.original.copy_(made_of.original.triu() + drawn.tril(-1) if _has_signs(made_of) else drawn)
        else:
            setattr(module, name, drawn)
    for name, p in module.named_parameters(recurse=False):
        p.copy_(getattr(plain, name))


def _has_signs(made_of: nn.Module) -> bool:
    """Whether the diagonal holds signs, +1 or -1, as with Householder's reflections."""
    return any(getattr(getattr(part, "orthogonal_map", None), "name", "") == "householder" for part in made_of)


class _DrawFrom(TorchDispatchMode):
    """Hand one generator to every operator that draws, in this thread."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if torch.Tag.nondeterministic_seeded in func.tags:
            func, kwargs = _with_generator(func), (kwargs or {}) | {"generator": self.generator}
        return func(*args, **(kwargs or {}))


def _with_generator(func):
    """The overload of an operator that takes a generator."""
    takes = [argument.name for argument in func._schema.arguments]
    if "generator" in takes:
        return func
    packet, name = func.overloadpacket, func._overloadname
    wanted = "generator" if name == "default" else f"{name}_generator"
    if wanted not in packet.overloads():
        raise ValueError(
            f"network's reset_parameters draws by {func._schema.name}, which takes no generator; allowed: one that"
            " does, such as torch.nn.init's functions"
        )
    return getattr(packet, wanted)
