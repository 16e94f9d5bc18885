"""The exercises of chapter 4g."""

from collections.abc import Callable
from statistics import NormalDist

import torch
from torch import Generator, Tensor

from mapping_lib.page.checking import answered, check, close, expect, need, number, numbers


@check("the product of B, (out, r), and A, (r, in), has the shape of W; A and B hold r (in + out) numbers.")
def check_updated(updated: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, int]]) -> str:
    """Chapter 4g, exercise 1: ``updated(W, A, B)``, a layer's weights after a rank-r update, and how many numbers."""
    for n_out, n_in, rank in ((3, 5, 2), (40, 40, 1), (4, 4, 4)):
        W, A, B = _drawn(rank, (n_out, n_in), (rank, n_in), (n_out, rank))
        kept = [t.clone() for t in (W, A, B)]
        weights, count = _parts(updated(W, A, B), 2, "the weights, and how many numbers A and B hold")
        need(all(map(torch.equal, kept, (W, A, B))), "W, A or B itself was changed: make a new tensor.")
        given = f"with W of shape {(n_out, n_in)} and rank {rank}"
        got = numbers(weights, (n_out, n_in), f"{given}, the weights")
        mistakes = {
            "that is the update alone: W, which all tasks share, is missing.": B @ A,
            "those are the old weights: nothing was added.": W,
            "the update is subtracted: LoRA adds it.": W - B @ A,
            "that is divided by the rank: here no factor stands before B A.": W + B @ A / rank,
        }
        if n_out == n_in == rank:
            mistakes["A and B are the wrong way round: B A, not A B."] = W + A @ B
            mistakes["that is the product number by number: a matrix product is meant."] = W + A * B
        expect(got, W + B @ A, given, mistakes)
        mistakes = {
            "that is all of W: it stays as it is, and is the same for all tasks.": n_out * n_in,
            "that is the rank; each of its directions has a row of A and a column of B.": rank,
            "those are the numbers of A alone.": rank * n_in,
            "those are the numbers of B alone.": rank * n_out,
            "W is counted, too: for a new task only A and B are new.": n_out * n_in + rank * (n_in + n_out),
        }
        expect(number(count, "the count"), rank * (n_in + n_out), f"{given}, the count:", mistakes)
    return "Of 1,600 weights 80 numbers are new; of a layer of 4 x 4 at rank 4 they are twice as many as its weights."


@check("example i is the question, all others are the support: K tasks. A mask of K x K, False on the diagonal, helps.")
def check_leave_one_out(leave_one_out: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor, Tensor]]) -> str:
    """Chapter 4g, exercise 2: ``leave_one_out(x, y)``, K tasks made of K examples: the others', and its own."""
    for k, n_in in ((4, 1), (2, 1), (7, 3)):
        x, y = _drawn(k, (k, n_in), (k, 1))
        parts = _parts(leave_one_out(x.clone(), y.clone()), 4, "the others' x and y, and its own x and y")
        for i, (name, part, rows) in enumerate(zip(NAMES, parts, (k - 1, k - 1, 1, 1), strict=True)):
            source = (x, y)[i % 2]
            _check_kept_apart(name, part, k, own=i > 1)
            got = numbers(part, (k, rows, source.shape[1]), f"with {k} examples, {name}")
            for row in range(k):
                wanted = [row] if i > 1 else [j for j in range(k) if j != row]
                _check_row(name, got[row], source, wanted, row, among_others=i < 2)
    return "A support of K has become K small tasks, whose answers are known. No query was touched."


NAMES = ("the others' x", "the others' y", "its own x", "its own y")


def _check_kept_apart(name: str, part: object, k: int, *, own: bool) -> None:
    """Say it where nothing was left out, or where the dimension of the examples is missing."""
    shape = tuple(getattr(part, "shape", ()))
    need(own or shape[:2] != (k, k), f"{name}: nothing is left out, each task has all {k} examples.")
    lacks = own and len(shape) == 2
    need(not lacks, f"{name} has the shape {shape}: (task, example, feature), and one example, is meant.")


def _check_row(name: str, got: Tensor, source: Tensor, wanted: list[int], i: int, *, among_others: bool) -> None:
    """The examples of task i, in any order."""
    found = [next((j for j, one in enumerate(source) if close(row, one)), None) for row in got]
    need(None not in found, f"{name}, task {i}: a row is no example of the support.")
    need(
        not among_others or i not in found,
        f"{name}, task {i}: example {i} is among the others, so the answer is given with the question.",
    )
    need(sorted(found) == wanted, f"{name}, task {i}, has the examples {sorted(found)}, not {wanted}.")


@check("half of what the interval leaves out lies on each side: NormalDist().inv_cdf(0.5 + share / 2) deviations.")
def check_coverage(coverage: Callable[[Tensor, Tensor, Tensor, float], float]) -> str:
    """Chapter 4g, exercise 3: ``coverage(mean, deviation, y, share)``, how often the central interval holds y."""
    for seed, share in enumerate((0.95, 0.5, 0.8)):
        mean, noise, spread = _drawn(seed, (400,), (400,), (400,))
        deviation = 0.3 + spread.abs()
        y = mean + (0.6, 1.0, 1.5)[seed] * deviation * noise
        off = (y - mean) / deviation

        def inside(z: float, off: Tensor = off) -> float:
            return float((off.abs() <= z).double().mean())

        z, one_sided = NormalDist().inv_cdf(0.5 + share / 2), NormalDist().inv_cdf(share)
        mistakes = {
            "that is how often it is outside.": 1 - inside(z),
            "that interval leaves out 1 - share on each side: half of it belongs there.": inside(one_sided),
            "the share itself is no number of deviations: ask the normal distribution.": inside(share),
            "that is one deviation, whatever the share.": inside(1.0),
            "that is 1.96 deviations, which is right for a share of 0.95 alone.": inside(1.959964),
            "that counts what lies below the interval as inside: take the distance on both sides.": float(
                (off <= z).double().mean()
            ),
            "the deviation is squared: that is a variance.": float(
                ((y - mean).abs() <= z * deviation**2).double().mean()
            ),
            "the root of the deviation is taken: it is no variance.": float(
                ((y - mean).abs() <= z * deviation.sqrt()).double().mean()
            ),
            "that is what was promised; asked for is how often it was kept.": share,
        }
        got = number(coverage(mean.clone(), deviation.clone(), y.clone(), share))
        expect(got, inside(z), f"with share = {share}", mistakes)
    return "Too often inside: too cautious. Too seldom: too sure. Near the share: calibrated, at this share."


def _drawn(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


def _parts(value: object, n: int, what: str) -> list:
    """The parts of a reader's tuple or list."""
    found = answered(value)
    need(isinstance(found, tuple | list) and len(found) == n, f"the result should have {n} parts: {what}.")
    return list(found)
