"""The table of layers: every layer of `torch.nn` in a smallest network, and what becomes of it in a learner.

Each case is named for its class, a comma, and what is special about it. Its verdict is one of four:

exact        computed for all tasks at once; the meta-gradient is that of central differences
slow         some function of the learner runs task by task (`torch.func.vmap` cannot); as exact
first order  PyTorch has no second derivative: `maml` refuses it in a sentence, `fomaml` and `reptile` are right
refused      ValueError, in one sentence: it draws random numbers, changes itself, or has a derivative that is wrong
"""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize, prune, rnn
from torch.utils.checkpoint import checkpoint


class Case(NamedTuple):
    """``layer()`` makes it; ``reads`` is the shape it is given for one example (None: three tokens); ``call(layer, h)``
    uses it. ``still``: some of its numbers never move by design, and have gradient 0 (a padding row)."""

    verdict: str
    layer: Callable[[], nn.Module]
    reads: tuple[int, ...] | None
    call: Callable = lambda layer, h: layer(h)
    training: bool = True
    still: bool = False


class Around(nn.Module):
    """Linear, layer, linear: reads three numbers or three tokens an example, and answers with one number."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case = case
        self.first = nn.Linear(3, math.prod(case.reads)) if case.reads else nn.Identity()
        self.layer = case.layer()
        x = torch.randn(4, 3) if case.reads else torch.zeros(4, 3, dtype=torch.long)
        lazy = any(isinstance(p, nn.UninitializedParameter) for p in self.layer.parameters())
        self.last = nn.Linear(1 if lazy else self.body(x).shape[1], 1)
        self.double().train(case.training)

    def body(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return torch.tanh(
            self.case.call(self.layer, h.unflatten(1, self.case.reads) if self.case.reads else h).flatten(1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x))


def network(case: Case) -> nn.Module:
    """The network of a case, the same at every call."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the older weight_norm says that there is a newer one
        torch.manual_seed(0)
        return Around(case)


TABLE: dict[str, Case] = {}


def add(verdict: str, name: str, layer: Callable, *reads: int, **more) -> None:
    """Put a case into the table; without ``reads`` it is given tokens."""
    assert name not in TABLE, name
    TABLE[name] = Case(verdict, layer, reads or None, **more)


def dims(name: str) -> list[tuple[int, type[nn.Module], tuple[int, ...]]]:
    """The layers ``name1d`` ... ``name3d`` that there are, each with a small image of two channels."""
    return [(d, getattr(nn, f"{name}{d}d"), (2,) + (4,) * d) for d in (1, 2, 3) if hasattr(nn, f"{name}{d}d")]


# Functions without parameters ----------------------------------------------------------------------------

for kind in (
    *(nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardswish, nn.Hardtanh, nn.Identity, nn.LeakyReLU, nn.LogSigmoid),
    *(nn.Mish, nn.PReLU, nn.ReLU, nn.ReLU6, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softshrink, nn.Softsign),
    *(nn.Tanh, nn.Tanhshrink),
):
    add("exact", kind.__name__, kind, 6)
for kind in (nn.CELU, nn.ELU, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.Mish, nn.ReLU, nn.ReLU6, nn.SELU, nn.SiLU):
    add("exact", f"{kind.__name__}, in place", lambda kind=kind: kind(inplace=True), 6)
for kind in (nn.GLU, nn.LogSoftmax, nn.Softmax, nn.Softmin):
    add("exact", kind.__name__, lambda kind=kind: kind(dim=1), 6)
add("exact", "GELU, tanh", lambda: nn.GELU("tanh"), 6)
add("exact", "PReLU, one for each", lambda: nn.PReLU(6), 6)
add("exact", "Softmax2d", nn.Softmax2d, 3, 2, 2)
add("exact", "Threshold", lambda: nn.Threshold(0.1, 0.2), 6)
add("exact", "Hardsigmoid", nn.Hardsigmoid, 6)
add("refused", "RReLU", nn.RReLU, 6)
add("slow", "RReLU, eval", nn.RReLU, 6, training=False)
add("exact", "Flatten", nn.Flatten, 2, 3)
add("exact", "Unflatten", lambda: nn.Unflatten(1, (2, 3)), 6)
for kind in (nn.CosineSimilarity, nn.PairwiseDistance):
    add("exact", kind.__name__, kind, 2, 3, call=lambda layer, h: layer(h[:, 0], h[:, 1])[:, None])

# Linear, convolutions, pooling, images -------------------------------------------------------------------

add("exact", "Linear", lambda: nn.Linear(4, 4), 4)
add("exact", "Bilinear", lambda: nn.Bilinear(3, 3, 4), 2, 3, call=lambda layer, h: layer(h[:, 0], h[:, 1]))
for name in ("Conv", "ConvTranspose"):
    for d, kind, image in dims(name):
        add("exact", f"{name}{d}d", lambda kind=kind: kind(2, 2, 2, stride=2), *image)
        add("exact", f"{name}{d}d, grouped", lambda kind=kind: kind(2, 4, 2, groups=2, dilation=2), *image)
for d, kind, image in dims("Conv"):
    add("exact", f"Conv{d}d, circular", lambda kind=kind: kind(2, 2, 3, padding=1, padding_mode="circular"), *image)
for name in ("AvgPool", "MaxPool"):
    for d, kind, image in dims(name):
        add("exact", f"{name}{d}d", lambda kind=kind: kind(2), *image)
        add("exact", f"{name}{d}d, overlapping", lambda kind=kind: kind(2, stride=1), *image)
for name in ("AdaptiveAvgPool", "AdaptiveMaxPool"):
    for d, kind, image in dims(name):
        add("exact", f"{name}{d}d", lambda kind=kind: kind(3), *image)
for d, kind, image in dims("LPPool"):
    add("exact", f"LPPool{d}d", lambda kind=kind: kind(2, 2), *image)
for d, kind, image in dims("FractionalMaxPool"):
    add("refused", f"FractionalMaxPool{d}d", lambda kind=kind: kind(2, output_size=2), *image)
    add("refused", f"FractionalMaxPool{d}d, eval", lambda kind=kind: kind(2, output_size=2), *image, training=False)
for d, kind, image in dims("MaxUnpool"):
    pool = getattr(F, f"max_pool{d}d")
    unpool = lambda layer, h, pool=pool: layer(*pool(h, 2, return_indices=True))  # noqa: E731
    add("exact", f"MaxUnpool{d}d", lambda kind=kind: kind(2), *image, call=unpool)
for name in ("CircularPad", "ReflectionPad", "ReplicationPad", "ZeroPad"):
    for d, kind, image in dims(name):
        add("exact", f"{name}{d}d", lambda kind=kind: kind(1), *image)
for d, kind, image in dims("ConstantPad"):
    add("exact", f"ConstantPad{d}d", lambda kind=kind: kind(1, 0.5), *image)
for mode, image in (
    *(("nearest", (2, 3)), ("nearest-exact", (2, 3)), ("linear", (2, 3)), ("bilinear", (2, 3, 3))),
    *(("bicubic", (2, 4, 4)), ("trilinear", (2, 3, 3, 3))),
):
    add("exact", f"Upsample, {mode}", lambda mode=mode: nn.Upsample(scale_factor=2, mode=mode), *image)
for kind in (nn.UpsamplingBilinear2d, nn.UpsamplingNearest2d):
    add("exact", kind.__name__, lambda kind=kind: kind(scale_factor=2), 2, 3, 3)
add("exact", "PixelShuffle", lambda: nn.PixelShuffle(2), 4, 2, 2)
add("exact", "PixelUnshuffle", lambda: nn.PixelUnshuffle(2), 1, 4, 4)
add("exact", "ChannelShuffle", lambda: nn.ChannelShuffle(2), 4, 2, 2)
add("exact", "Fold", lambda: nn.Fold((4, 4), 2, stride=1), 4, 9)
add("exact", "Unfold", lambda: nn.Unfold(2), 2, 3, 3)

# Normalisation and dropout -------------------------------------------------------------------------------

for name in ("BatchNorm", "InstanceNorm"):
    for d, kind, image in dims(name):
        tracking = lambda kind=kind: kind(2, affine=True, track_running_stats=True)  # noqa: E731
        add("refused", f"{name}{d}d, running statistics", tracking, *image)
        add("exact", f"{name}{d}d, running statistics, eval", tracking, *image, training=False)
        add("exact", f"{name}{d}d", lambda kind=kind: kind(2, affine=True, track_running_stats=False), *image)
add("refused", "SyncBatchNorm, running statistics", lambda: nn.SyncBatchNorm(2), 2, 4)
add("exact", "SyncBatchNorm, running statistics, eval", lambda: nn.SyncBatchNorm(2), 2, 4, training=False)
add("exact", "SyncBatchNorm", lambda: nn.SyncBatchNorm(2, track_running_stats=False), 2, 4)
add("exact", "InstanceNorm1d, no parameters", lambda: nn.InstanceNorm1d(2), 2, 4)
add("exact", "LayerNorm", lambda: nn.LayerNorm(5), 5)
add("exact", "RMSNorm", lambda: nn.RMSNorm(5), 5)
add("exact", "GroupNorm", lambda: nn.GroupNorm(2, 4), 4, 3)
add("exact", "LocalResponseNorm", lambda: nn.LocalResponseNorm(3, alpha=1.0), 4, 2, 2)
add("refused", "CrossMapLRN2d", lambda: nn.CrossMapLRN2d(3), 4, 2, 2)
for kind, reads in (
    *((nn.Dropout, (4,)), (nn.AlphaDropout, (4,)), (nn.FeatureAlphaDropout, (4, 3))),
    *((kind, image) for _, kind, image in dims("Dropout")),
):
    add("refused", kind.__name__, lambda kind=kind: kind(0.5), *reads)
    add("exact", f"{kind.__name__}, eval", lambda kind=kind: kind(0.5), *reads, training=False)
add("exact", "Dropout, rate 0", lambda: nn.Dropout(0.0), 4)

# Sequences, attention, tokens ----------------------------------------------------------------------------


def outputs(layer: nn.Module, h: Tensor) -> Tensor:
    """What a recurrent layer answers at every time."""
    return layer(h)[0]


def step_by_step(layer: nn.Module, h: Tensor) -> Tensor:
    """The last state of a cell that reads one time after the other."""
    state = None
    for i in range(h.shape[1]):
        state = layer(h[:, i], state)
    return state[0] if isinstance(state, tuple) else state


def packed(layer: nn.Module, h: Tensor) -> Tensor:
    """A recurrent layer on a packed sequence."""
    pack = rnn.pack_padded_sequence(h, torch.full((len(h),), h.shape[1]), batch_first=True)
    return rnn.pad_packed_sequence(layer(pack)[0], batch_first=True)[0]


for kind in (nn.RNN, nn.LSTM, nn.GRU):
    many = lambda dropout=0.0, kind=kind: kind(2, 2, 2, bidirectional=True, dropout=dropout, batch_first=True)  # noqa: E731
    noisy = lambda many=many: many(0.5)  # noqa: E731
    name = kind.__name__
    add("slow", name, lambda kind=kind: kind(2, 3, batch_first=True), 3, 2, call=outputs)
    add("slow", f"{name}, two layers in both directions", many, 3, 2, call=outputs)
    add("refused", f"{name}, dropout", noisy, 3, 2, call=outputs)
    add("slow", f"{name}, dropout, eval", noisy, 3, 2, call=outputs, training=False)
    add("refused", f"{name}, packed", lambda kind=kind: kind(2, 3, batch_first=True), 3, 2, call=packed)
add("slow", "RNN, relu", lambda: nn.RNN(2, 3, nonlinearity="relu", batch_first=True), 3, 2, call=outputs)
add("slow", "LSTM, projection", lambda: nn.LSTM(2, 3, proj_size=2, batch_first=True), 3, 2, call=outputs)
add("exact", "RNNCell", lambda: nn.RNNCell(2, 3), 3, 2, call=step_by_step)
add("exact", "GRUCell", lambda: nn.GRUCell(2, 3), 3, 2, call=step_by_step)
add("slow", "LSTMCell", lambda: nn.LSTMCell(2, 3), 3, 2, call=step_by_step)

CAUSAL = torch.ones(3, 3, dtype=torch.bool).triu(1)


def attention(dropout: float = 0.0) -> nn.Module:
    """Attention over ``(time, 4)`` with two heads."""
    return nn.MultiheadAttention(4, 2, dropout=dropout, batch_first=True)


def alone(layer: nn.Module, h: Tensor) -> Tensor:
    """Attention of a sequence to itself, by the path that computes no weights."""
    return layer(h, h, h, need_weights=False, attn_mask=CAUSAL, is_causal=True)[0]


def with_weights(layer: nn.Module, h: Tensor) -> Tensor:
    """Attention of a sequence to itself, with its weights."""
    return layer(h, h, h)[0]


def both(layer: nn.Module, h: Tensor) -> Tensor:
    """A layer that reads two sequences."""
    return layer(h, h)


add("exact", "MultiheadAttention", attention, 3, 4, call=with_weights)
add("exact", "MultiheadAttention, need_weights=False", attention, 3, 4, call=alone)
add("refused", "MultiheadAttention, dropout", lambda: attention(0.1), 3, 4, call=with_weights)
add("exact", "MultiheadAttention, dropout, eval", lambda: attention(0.1), 3, 4, call=with_weights, training=False)
SMALL = {"d_model": 4, "nhead": 2, "dim_feedforward": 6, "batch_first": True}
for name, make, call in (
    ("TransformerEncoderLayer", lambda p: nn.TransformerEncoderLayer(dropout=p, **SMALL), lambda layer, h: layer(h)),
    ("TransformerDecoderLayer", lambda p: nn.TransformerDecoderLayer(dropout=p, **SMALL), both),
    (
        "TransformerEncoder",
        lambda p: nn.TransformerEncoder(nn.TransformerEncoderLayer(dropout=p, **SMALL), 1),
        lambda layer, h: layer(h, mask=CAUSAL, is_causal=True),
    ),
    ("TransformerDecoder", lambda p: nn.TransformerDecoder(nn.TransformerDecoderLayer(dropout=p, **SMALL), 1), both),
    ("Transformer", lambda p: nn.Transformer(num_encoder_layers=1, num_decoder_layers=1, dropout=p, **SMALL), both),
):
    add("exact", name, lambda make=make: make(0.0), 3, 4, call=call)
    add("exact", f"{name}, eval", lambda make=make: make(0.1), 3, 4, call=call, training=False)
    add("refused", f"{name}, dropout", lambda make=make: make(0.1), 3, 4, call=call)

add("exact", "Embedding", lambda: nn.Embedding(5, 2))
add("exact", "Embedding, padding", lambda: nn.Embedding(5, 2, padding_idx=0), still=True)
for mode in ("sum", "mean", "max"):
    add("first order", f"EmbeddingBag, {mode}", lambda mode=mode: nn.EmbeddingBag(5, 2, mode=mode))
for kind in (nn.Embedding, nn.EmbeddingBag):
    for option in ({"max_norm": 0.5}, {"scale_grad_by_freq": True}, {"sparse": True}):
        add("refused", f"{kind.__name__}, {next(iter(option))}", lambda kind=kind, option=option: kind(5, 2, **option))
add("refused", "Embedding, max_norm, eval", lambda: nn.Embedding(5, 2, max_norm=0.5), training=False)

# Layers that have no shape yet ---------------------------------------------------------------------------

add("refused", "LazyLinear", lambda: nn.LazyLinear(2), 4)
for name in ("LazyConv", "LazyConvTranspose"):
    for d, kind, image in dims(name):
        add("refused", f"{name}{d}d", lambda kind=kind: kind(2, 2), *image)
for name in ("LazyBatchNorm", "LazyInstanceNorm"):
    for d, kind, image in dims(name):
        add("refused", f"{name}{d}d", lambda kind=kind: kind(affine=True, track_running_stats=False), *image)

# Weights that are made of other weights ------------------------------------------------------------------


class Positive(nn.Module):
    """A reader's own parametrisation."""

    def forward(self, w: Tensor) -> Tensor:
        return F.softplus(w)

    def right_inverse(self, w: Tensor) -> Tensor:
        return torch.where(w > 0, w, 0.1).expm1().log()


def positive() -> nn.Module:
    """A linear layer of positive weights."""
    return parametrize.register_parametrization(nn.Linear(4, 4), "weight", Positive())


def made(make: Callable, **options) -> Callable[[], nn.Module]:
    """A linear layer whose weight ``make`` makes of others."""
    return lambda: make(nn.Linear(4, 4), **options)


add("exact", "weight_norm, one norm", made(parametrizations.weight_norm, dim=None), 4)
add("exact", "weight_norm", made(parametrizations.weight_norm), 4)
add("exact", "weight_norm, dim 1", made(parametrizations.weight_norm, dim=1), 4)
add("refused", "weight_norm, the older", made(nn.utils.weight_norm), 4)
add("refused", "spectral_norm", made(parametrizations.spectral_norm), 4)
add("exact", "spectral_norm, eval", made(parametrizations.spectral_norm), 4, training=False)
add("refused", "spectral_norm, the older", made(nn.utils.spectral_norm), 4)
for way in ("matrix_exp", "cayley", "householder"):  # the last has signs among its parameters
    orthogonal = made(parametrizations.orthogonal, orthogonal_map=way)
    add("exact", f"orthogonal, {way}", orthogonal, 4, still=way == "householder")
add("exact", "parametrize, a reader's own", positive, 4)
add("refused", "prune", made(prune.random_unstructured, name="weight", amount=0.3), 4)

# What a forward pass of the reader's own may do ----------------------------------------------------------


class Counter(nn.Module):
    """It counts in a buffer how often it was called: in place, or by another buffer."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place
        self.register_buffer("n", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.in_place:
            self.n += 1
        else:
            self.n = self.n + 1
        return x * self.n


class Tied(nn.Module):
    """One weight in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.there, self.back = nn.Linear(4, 4), nn.Linear(4, 4)
        self.back.weight = self.there.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.back(torch.tanh(self.there(x)))


class OldFunction(torch.autograd.Function):
    """A function with a derivative of its own, in the form that `torch.func` cannot use."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0].cos()


def checkpointed(layer: nn.Module, h: Tensor) -> Tensor:
    """A layer that is computed a second time for its gradient."""
    return checkpoint(layer, h, use_reentrant=False)


for verdict, name, call in (
    ("slow", "an if", lambda _, h: h if h.sum() > 0 else 2 * h),
    ("slow", "a mask", lambda _, h: h * h[h > 0].sum()),
    ("first order", "cdist", lambda _, h: torch.cdist(h[:, None], h[:, None].roll(1, 2))),
    ("refused", "functional dropout", lambda _, h: F.dropout(h)),
    ("refused", "gumbel_softmax", lambda _, h: F.gumbel_softmax(h)),
    ("refused", "noise", lambda _, h: h + torch.randn_like(h)),
    ("refused", "an old function", lambda _, h: OldFunction.apply(h)),
):
    add(verdict, name, nn.Identity, 4, call=call)
add("exact", "tied weights", Tied, 4)
add("refused", "a checkpoint", lambda: nn.Linear(4, 4), 4, call=checkpointed)
add("refused", "a count in place", lambda: Counter(True), 4)
add("refused", "a count", lambda: Counter(False), 4)

# What is no layer ----------------------------------------------------------------------------------------

NO_LAYERS = {
    "abstract": "Module RNNBase RNNCellBase",
    "containers": "Container DataParallel ModuleDict ModuleList ParameterDict ParameterList Sequential",
    "losses": "AdaptiveLogSoftmaxWithLoss BCELoss BCEWithLogitsLoss CTCLoss CosineEmbeddingLoss CrossEntropyLoss"
    " GaussianNLLLoss HingeEmbeddingLoss HuberLoss KLDivLoss L1Loss LinearCrossEntropyLoss MSELoss MarginRankingLoss"
    " MultiLabelMarginLoss MultiLabelSoftMarginLoss MultiMarginLoss NLLLoss NLLLoss2d PoissonNLLLoss SmoothL1Loss"
    " SoftMarginLoss TripletMarginLoss TripletMarginWithDistanceLoss",
}
"""Classes that `torch.nn` offers and the table leaves out."""
