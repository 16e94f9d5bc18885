"""The exercises of chapter 4g: wrong answers are told what is wrong, right ones may be written in any way."""

from statistics import NormalDist

import numpy as np
import torch
from answers import judged

from mapping_lib.chapters.what_came_after import exercises


def count(A, B):
    return A.numel() + B.numel()


def in_place(W, A, B):
    W += B @ A
    return W, count(A, B)


def column_by_row(W, A, B):
    for r in range(len(A)):
        W = W + torch.outer(B[:, r], A[r])
    return W, len(A) * sum(W.shape)


test_updated = judged(
    exercises.check_updated,
    wrong={
        "that is the update alone": lambda W, A, B: (B @ A, count(A, B)),
        "those are the old weights": lambda W, A, B: (W, count(A, B)),
        "the update is subtracted": lambda W, A, B: (W - B @ A, count(A, B)),
        "that is divided by the rank": lambda W, A, B: (W + B @ A / len(A), count(A, B)),
        "A and B are the wrong way round": lambda W, A, B: (
            W + (A @ B if A.shape == B.shape == W.shape else B @ A),
            count(A, B),
        ),
        "that is the product number by number": lambda W, A, B: (
            W + (A * B if A.shape == B.shape == W.shape else B @ A),
            count(A, B),
        ),
        "your code stopped with RuntimeError": lambda W, A, B: (W + A @ B, count(A, B)),
        "W, A or B itself was changed": in_place,
        "that is all of W": lambda W, A, B: (W + B @ A, W.numel()),
        "that is the rank": lambda W, A, B: (W + B @ A, len(A)),
        "those are the numbers of A alone": lambda W, A, B: (W + B @ A, A.numel()),
        "those are the numbers of B alone": lambda W, A, B: (W + B @ A, B.numel()),
        "W is counted, too": lambda W, A, B: (W + B @ A, W.numel() + count(A, B)),
        "should have 2 parts": lambda W, A, B: W + B @ A,
        "the weights should be numbers of shape (3, 5)": lambda W, A, B: (B, count(A, B)),
    },
    right={
        "column by row": column_by_row,
        "NumPy": lambda W, A, B: [W.numpy() + B.numpy() @ A.numpy(), A.numpy().size + B.numpy().size],
        "einsum, float32": lambda W, A, B: (
            W.float() + torch.einsum("or,ri->oi", B.float(), A.float()),
            torch.tensor(len(A) * (W.shape[0] + W.shape[1])),
        ),
    },
)


def by_a_mask(x, y):
    k = len(x)
    others = ~torch.eye(k, dtype=torch.bool)
    both = [t.expand(k, *t.shape)[others].view(k, k - 1, -1) for t in (x, y)]
    return *both, x[:, None], y[:, None]


def by_a_loop(x, y):
    others = [torch.stack([torch.cat([t[:i], t[i + 1 :]]) for i in range(len(t))]) for t in (x, y)]
    return [*others, x.unsqueeze(1), y.unsqueeze(1)]


def by_rolling(x, y):
    parts = [np.stack([np.roll(t.numpy(), -i, axis=0) for i in range(len(t))]) for t in (x, y)]
    return parts[0][:, 1:], parts[1][:, 1:], parts[0][:, :1], parts[1][:, :1]


def in_one_index(x, y):
    k = len(x)
    index = torch.tensor([[j for j in range(k) if j != i] for i in range(k)])
    return x[index], y[index], x.reshape(k, 1, -1), y.reshape(k, 1, -1)


def changed(**parts):
    """The right answer, but for some of its four parts."""

    def answer(x, y):
        right = dict(zip(("others_x", "others_y", "own_x", "own_y"), by_a_mask(x, y), strict=True))
        return tuple((right | {name: change(x, y) for name, change in parts.items()}).values())

    return answer


test_leave_one_out = judged(
    exercises.check_leave_one_out,
    wrong={
        "nothing is left out": changed(others_x=lambda x, y: x.expand(len(x), *x.shape)),
        "example 0 is among the others": changed(others_x=lambda x, y: x[:-1].expand(len(x), -1, -1)),
        "the others' y, task 0: example 0 is among the others": changed(
            others_y=lambda x, y: y[:-1].expand(len(y), -1, -1)
        ),
        "task 0, has the examples [1, 1, 1], not [1, 2, 3]": changed(
            others_x=lambda x, y: x.roll(-1, 0)[:, None].expand(-1, len(x) - 1, -1)
        ),
        "its own x, task 0, has the examples [1], not [0]": changed(own_x=lambda x, y: x.roll(-1, 0)[:, None]),
        "its own y, task 0, has the examples [3], not [0]": changed(own_y=lambda x, y: y.flip(0)[:, None]),
        "a row is no example of the support": changed(own_y=lambda x, y: y[:, None] + 5),
        "its own x has the shape (4, 1)": changed(own_x=lambda x, y: x),
        "should have 4 parts": lambda x, y: by_a_mask(x, y)[:2],
        "should be numbers of shape (4, 3, 1)": changed(others_x=lambda x, y: x[1:]),
    },
    right={"a mask": by_a_mask, "a loop": by_a_loop, "NumPy, other order": by_rolling, "one index": in_one_index},
)


def below_counts(mean, deviation, y, share):
    return (y - mean <= right_z(share) * deviation).double().mean()


def within(z, root=1.0):
    def answer(mean, deviation, y, share):
        return ((y - mean).abs() <= z(share) * deviation**root).double().mean()

    return answer


def right_z(share):
    return NormalDist().inv_cdf(0.5 + share / 2)


def by_cdf(mean, deviation, y, share):
    below = torch.distributions.Normal(mean, deviation).cdf(y)
    return float((((1 - share) / 2 <= below) & (below <= (1 + share) / 2)).float().mean())


def by_erf(mean, deviation, y, share):
    z = 2**0.5 * torch.erfinv(torch.tensor(share, dtype=torch.float64))
    return np.mean((mean - z * deviation <= y).numpy() & (y <= mean + z * deviation).numpy())


def by_counting(mean, deviation, y, share):
    z = right_z(share)
    held = [
        m - z * d <= one <= m + z * d for m, d, one in zip(*(t.tolist() for t in (mean, deviation, y)), strict=True)
    ]
    return sum(held) / len(held)


test_coverage = judged(
    exercises.check_coverage,
    wrong={
        "that is how often it is outside": lambda *given: 1 - within(right_z)(*given),
        "leaves out 1 - share on each side": within(NormalDist().inv_cdf),
        "the share itself is no number of deviations": within(lambda share: share),
        "that is one deviation": within(lambda share: 1.0),
        "which is right for a share of 0.95 alone": within(lambda share: 1.959964),
        "counts what lies below": below_counts,
        "that is a variance": within(right_z, root=2.0),
        "it is no variance": within(right_z, root=0.5),
        "that is what was promised": lambda mean, deviation, y, share: share,
        "one number": lambda mean, deviation, y, share: (y - mean).abs() <= right_z(share) * deviation,
    },
    right={"the distribution function": by_cdf, "erfinv, NumPy": by_erf, "counting": by_counting},
)
