"""The exercises of chapter 4a."""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.page.checking import answered, check, close, expect, need, numbers, truth


@check("the sum of the first k embeddings is k times their mean: add the new one, and divide by k + 1.")
def check_one_more(one_more: Callable[[Tensor, int, Tensor], Tensor]) -> str:
    """Chapter 4a, exercise 1: ``one_more(prototype, k, embedded)``, the prototype when one more example comes in."""
    seen = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for k in (2, 1, 5, 0):
        old, new = seen[:k].mean(0) if k else torch.zeros(4, dtype=seen.dtype), seen[k]
        prototype, embedded = old.clone(), new.clone()
        got = numbers(one_more(prototype, k, embedded), (4,), "one embedding, as long as the old,")
        unchanged = torch.equal(prototype, old) and torch.equal(embedded, new)
        need(unchanged, "the old prototype was changed in place: make a new tensor.")
        mistakes = {
            "the old prototype stands for k examples, not for one.": (old + new) / 2,
            "there are k + 1 examples now: divide by that.": (k * old + new) / max(k, 1),
            "the old prototype is a mean: times k it is the sum, and that is missing.": (old + new) / (k + 1),
            "it is the old one that stands for k examples, not the new one.": (old + k * new) / (k + 1),
            "the new embedding is added whole: it is one of k + 1.": old + new,
        }
        expect(got, seen[: k + 1].mean(0), f"with k = {k}, for the mean of all k + 1 embeddings,", mistakes)
    return "A new example changes the mean, and no old example need be kept."


@check("2 c . x - |c|^2 is -|x - c|^2 plus |x|^2, which is the same for all classes and drops out of the softmax.")
def check_linear(linear: Callable[[Tensor], tuple[Tensor, Tensor]]) -> str:
    """Chapter 4a, exercise 2: ``linear(prototypes)``, weight and bias of the linear layer that tells the same."""
    for n_way in (2, 5):
        generator = torch.Generator().manual_seed(n_way)
        prototypes, x = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (n_way, 40))
        pair = answered(linear(prototypes.clone()))
        need(isinstance(pair, tuple | list) and len(pair) == 2, "return two things: weight, bias.")
        weight = numbers(pair[0], (n_way, 3), "weight (n_way, feature)")
        bias = numbers(pair[1], (n_way,), "bias (n_way,)")
        got, wanted = x @ weight.T + bias, -(x[:, None] - prototypes).square().sum(-1)
        need(not close((-got).softmax(1), wanted.softmax(1)), "the sign: a near prototype should get a *large* logit.")
        need(bool((got.argmax(1) == wanted.argmax(1)).all()), "some points get another answer than by distance.")
        need(close(got.softmax(1), wanted.softmax(1)), "the answers agree; the confidences do not.")
    return "On its embedding a prototypical network is a linear classifier whose weights are read off the support."


@check("ask for every image alone, predict(x[i : i + 1]), and compare with what predict(x) says of all together.")
def check_company(depends_on_company: Callable[[Callable, Tensor], bool]) -> str:
    """Chapter 4a, exercise 3: ``depends_on_company(predict, x)``, whether an answer depends on who else is asked."""
    generator = torch.Generator().manual_seed(0)
    weight, x = (torch.randn(*size, generator=generator) for size in ((3, 4), (6, 4)))
    count = lambda x: torch.arange(1, len(x) + 1)[:, None]  # noqa: E731
    kinds = {
        "each image by itself": (lambda x: x @ weight.T, False),
        "centred by the batch": (lambda x: (x - x.mean(0)) @ weight.T, True),
        "divided by the largest in the batch": (lambda x: x @ weight.T / x.abs().max(), True),
        "normalised image by image": (lambda x: (x - x.mean(1, keepdim=True)) @ weight.T, False),
        "with noise of rounding": (lambda x: x @ weight.T + 1e-7 * len(x), False),
        "centred by the images before": (lambda x: (x - x.cumsum(0) / count(x)) @ weight.T, True),  # first: no company
        "each with the next one, if there is one": (lambda x: torch.cat([x[1:], x[-1:]]) @ weight.T, True),
        "a hundredth nearer to the batch's mean": (lambda x: (0.99 * x + 0.01 * x.mean(0)) @ weight.T, True),
    }
    for kind, (predict, wanted) in kinds.items():
        got = truth(depends_on_company(predict, x.clone()))
        need(got == wanted, f"a predict that works {kind} should give {wanted}.")
    return "Three lines find a leak that no accuracy shows."
