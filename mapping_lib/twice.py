"""PyTorch's functions whose second derivative is wrong or missing, computed from functions that have one.

A fused kernel brings its own backward pass, and nobody may have written the derivative of *that*. MAML asks for it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import is_parametrized
from torch.overrides import TorchFunctionMode

LAYERS = (
    nn.Hardsigmoid,
    nn.MultiheadAttention,
    nn.Transformer,
    nn.TransformerEncoder,
    nn.TransformerDecoder,
    nn.TransformerEncoderLayer,
    nn.TransformerDecoderLayer,
)
"""The layers that compute by such a function; weight normalisation is found by its name."""


def needs_plain_steps(network: nn.Module) -> bool:
    """Whether a layer of the network computes by such a function.

    >>> needs_plain_steps(nn.Linear(1, 1)), needs_plain_steps(nn.Sequential(nn.Hardsigmoid()))
    (False, True)
    """
    return any(isinstance(module, LAYERS) or _norms_its_weight(module) for module in network.modules())


def check_norms(network: nn.Module) -> None:
    """Raise for a layer whose second derivative is right for one task, and not for several at once inside a gradient.

    For learners that must take `torch.func.vmap` inside of the gradient. All others take it outside, where it is right.
    """
    wrong = (nn.LayerNorm, nn.modules.batchnorm._NormBase)
    for name, module in network.named_modules():
        if isinstance(module, wrong):
            raise ValueError(
                f"network layer '{name}' is a {type(module).__name__}, whose second derivative torch 2.13 gets wrong"
                " inside of this learner's vmap; allowed: GroupNorm or RMSNorm in its place"
            )


def _norms_its_weight(module: nn.Module) -> bool:
    chains = module.parametrizations.values() if is_parametrized(module) else ()
    return any(type(made_by).__name__ == "_WeightNorm" for chain in chains for made_by in chain)


class plain_steps(TorchFunctionMode):
    """In this context, and in this thread, these functions are computed in steps that can be differentiated twice.

    It costs a few microseconds for every call of a PyTorch function, so it is entered only where it is needed.

    >>> layer = nn.Hardsigmoid()
    >>> with plain_steps():
    ...     torch.func.grad(torch.func.grad(lambda x: layer(x) ** 2))(torch.tensor(0.5))
    tensor(0.0556)
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        return PLAIN.get(func, func)(*args, **(kwargs or {}))


def _attend(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False) -> Tensor:
    in_steps = torch.ops.aten._scaled_dot_product_attention_math
    return in_steps(q, k, v, attn_mask, dropout_p, is_causal, None, scale=scale, enable_gqa=enable_gqa)[0]


def _attend_with_heads(*args, **kwargs) -> tuple[Tensor, Tensor]:
    """Asked for its weights, it computes them: by a softmax, in the open."""
    return F.multi_head_attention_forward(*args, **kwargs | {"need_weights": True})


def _normed(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """Salimans & Kingma 2016, eq. 2: w = g v / |v|; the fused kernel's second derivative is up to 11 % off."""
    return v * (g / torch.norm_except_dim(v, 2, dim))


def _hard_sigmoid(x: Tensor, inplace: bool = False) -> Tensor:
    return F.relu6(x + 3) / 6


PLAIN = {
    F.scaled_dot_product_attention: _attend,
    F.multi_head_attention_forward: _attend_with_heads,
    torch._weight_norm: _normed,
    F.hardsigmoid: _hard_sigmoid,
}
"""What is called in place of what."""
