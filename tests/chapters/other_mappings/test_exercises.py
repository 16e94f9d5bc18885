"""The exercises of chapter 3b: wrong answers are told what is wrong, right ones may be written in any way."""

import numpy as np
import torch
from answers import judged

from mapping_lib.chapters.other_mappings import exercises


def ordered(phi, order, rows=("2.weight", "2.bias"), columns=("4.weight",)):
    return phi | {n: phi[n][order] for n in rows} | {n: phi[n][:, order] for n in columns}


def in_place(phi, order):
    phi["2.bias"].copy_(phi["2.bias"][order])
    return dict(phi)


def names_set_in_phi(phi, order):
    phi["2.weight"], phi["2.bias"], phi["4.weight"] = phi["2.weight"][order], phi["2.bias"][order], phi["4.weight"]
    return phi


def by_a_matrix(phi, order):
    P = torch.eye(len(order))[order]
    return phi | {"2.weight": P @ phi["2.weight"], "2.bias": P @ phi["2.bias"], "4.weight": phi["4.weight"] @ P.T}


def unit_by_unit(phi, order):
    new = {name: p.clone().double() for name, p in phi.items()}
    for i, j in enumerate(order.tolist()):
        new["2.weight"][i], new["2.bias"][i], new["4.weight"][:, i] = (
            phi["2.weight"][j],
            phi["2.bias"][j],
            phi["4.weight"][:, j],
        )
    return new


def selected(phi, order):
    new = {name: p.numpy() for name, p in phi.items()}
    new.update({name: new[name].take(order, axis) for name, axis in (("2.weight", 0), ("2.bias", 0), ("4.weight", 1))})
    return new


test_exchanged = judged(
    exercises.check_exchanged,
    wrong={
        "those are the first layer's units": lambda phi, order: ordered(
            phi, order, ("0.weight", "0.bias"), ("2.weight",)
        ),
        "the rows of 2.weight are in order": lambda phi, order: ordered(phi, order, columns=()),
        "and the function is": lambda phi, order: ordered(phi, order, ("2.weight",)),
        "it draws another function": lambda phi, order: ordered(phi, order, ("2.bias",), ("2.weight", "4.weight")),
        "should have the names of phi": lambda phi, order: phi["2.weight"][order],
        "names of phi, ['0.weight'": lambda phi, order: {"2.weight": phi["2.weight"][order]},
        "phi itself was changed": in_place,
        "make new tensors": names_set_in_phi,
        "are not in the new order": lambda phi, order: dict(phi),
        "that is the way back": lambda phi, order: ordered(phi, order.argsort()),
        "your code stopped with IndexError": lambda phi, order: ordered(phi, order, ("2.weight", "2.bias", "4.weight")),
    },
    right={
        "a matrix": by_a_matrix,
        "unit by unit, float64": unit_by_unit,
        "NumPy's take": selected,
    },
)


def loops(x, y, sigma):
    xy = xx = 0.0
    for a, b in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True):
        xy, xx = xy + a * b, xx + a * a
    return xy / (xx + sigma**2)


def by_covariance(x, y, sigma):
    return x.T @ torch.linalg.solve(x @ x.T + sigma**2 * torch.eye(len(x), dtype=x.dtype), y)


def by_added_rows(x, y, sigma):
    """Ridge is least squares with one more example, (sigma, 0)."""
    x, y = (np.append(t.numpy(), last) for t, last in ((x, sigma), (y, 0.0)))
    return np.linalg.lstsq(x[:, None], y, rcond=None)[0]


def never_empty(x, y, sigma):
    return (x * y).sum() / ((x * x).sum() + sigma**2) if len(x) else torch.tensor(1.0)


test_strategy = judged(
    exercises.check_strategy,
    wrong={
        "that is least squares": lambda x, y, sigma: (x * y).sum() / (x * x).sum(),
        "sigma is a standard deviation": lambda x, y, sigma: (x * y).sum() / ((x * x).sum() + sigma),
        "added once": lambda x, y, sigma: (x * y).mean() / ((x * x).mean() + sigma**2),
        "without an example the answer should be 0, and yours is 1": never_empty,
        "without an example the answer should be 0, and yours is nan": lambda x, y, sigma: (
            (x * y).sum() / ((x**2).sum() + sigma**2) * (x.mean() / x.mean())
        ),
        "with 3 examples and sigma = 0.5 you give": lambda x, y, sigma: y.sum() / (x.sum() + sigma**2),
        "one number": lambda x, y, sigma: x * y / (x * x + sigma**2),
    },
    right={
        "loops": loops,
        "by the covariance of y, of shape (1, 1)": by_covariance,
        "one more example, NumPy": by_added_rows,
        "float32": lambda x, y, sigma: (x.float().T @ y.float()) / (x.float().square().sum() + sigma**2),
    },
)


def cosine(support, query):
    return torch.nn.functional.cosine_similarity(support, query, dim=0)


test_stop = judged(
    exercises.check_stop,
    wrong={
        "with gradients [1.0, 0.0] (support) and [1.0, 1.0] (query) the query loss": lambda support, query: bool(
            (support * query).sum() > 0
        ),
        "(query) the query loss would rise": lambda support, query: False,
        "[1.0, 3.0] (support) and [-1.0, 2.0] (query) the query loss still falls": lambda support, query: bool(
            (support * query < 0).any()
        ),
        "[1.0, 0.0] (support) and [1.0, 1.0] (query) the query loss still": lambda support, query: True,
        "[5.0, 1.0, 1.0, 1.0] (support) and [0.2, -1.0, 2.0, -1.0] (query) the query loss still falls": (
            lambda support, query: bool(cosine(support, query) < 0.5)
        ),
        "[1.0, 0.0] (support) and [-1.0, 5.0] (query) the query loss would rise": lambda support, query: bool(
            query.sum() <= 0
        ),
        "the query loss would not fall": lambda support, query: bool(support @ query < 0),
        "[0.01, -0.01] (support) and [0.01, -0.02] (query) the query loss still falls": lambda support, query: bool(
            support @ query < 1e-2
        ),
        "[1.0, 2.0] (support) and [2.0, -3.0] (query) the query loss would rise": lambda support, query: bool(
            support[0] * query[0] <= 0
        ),
        "and yours has the shape (2,)": lambda support, query: support * query <= 0,
        "and yours is 2": lambda support, query: support @ query + support @ support,
    },
    right={
        "a boolean tensor": lambda support, query: support @ query <= 0,
        "NumPy, float64": lambda support, query: np.dot(support.double().numpy(), query.double().numpy()) <= 0,
        "a sum in Python": lambda support, query: not sum(s * q for s, q in zip(support, query, strict=True)) > 0,
        "stacked, of one": lambda support, query: torch.stack([torch.vdot(support, query)]) <= 0,
        "the cosine's sign": lambda support, query: cosine(support, query).sign() < 1,
    },
)
