"""The exercises of chapter 4b."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mapping_lib.page.checking import answered, check, need


@check("the weight of the data is n tau² / (n tau² + sigma²); the rest of the weight belongs to mu.")
def check_shrunk(shrunk: Callable[[Tensor, float, float, float], float]) -> str:
    """Chapter 4b, exercise 1: ``shrunk(y, mu, tau, sigma)``, the posterior mean of one person's level."""
    for n, mu, tau, sigma in ((3, 10.0, 2.0, 1.0), (1, -1.0, 0.5, 2.0), (8, 0.0, 1.0, 3.0)):
        y = mu + 3 + torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
        got = float(answered(shrunk(y, mu, tau, sigma)))
        precision = n / sigma**2 + 1 / tau**2  # the other way: by precisions
        wanted = (float(y.sum()) / sigma**2 + mu / tau**2) / precision
        need(n == 1 or abs(got - float(y.mean())) > 1e-9, "that is the person's own mean: it forgets everybody else.")
        need(abs(got - mu) > 1e-9, "that is the mean of everybody: it forgets the person.")
        need(abs(got - wanted) < 1e-6, f"with {n} observations you give {got:.4f}, and it should be {wanted:.4f}.")
    nobody = float(shrunk(torch.zeros(0, dtype=torch.float64), 5.0, 1.0, 1.0))
    need(nobody == 5, f"without an observation the answer should be mu = 5, and yours is {nobody}.")
    return "Little data: the population. Much data: the person."


@check("the variance of the persons' means is tau² + sigma²/n: take sigma²/n off it.")
def check_components(components: Callable[[Tensor], tuple[float, float]]) -> str:
    """Chapter 4b, exercise 2: ``components(y)``, (tau², sigma²) of a table of persons by the method of moments."""
    generator = torch.Generator().manual_seed(0)
    for tau, sigma, n in ((1.0, 2.0, 3), (2.0, 3.0, 4)):
        levels = tau * torch.randn(40_000, 1, generator=generator, dtype=torch.float64)
        y = 7 + levels + sigma * torch.randn(40_000, n, generator=generator, dtype=torch.float64)
        got = answered(components(y))
        need(isinstance(got, Sequence) and len(got) == 2, "return two numbers, tau² and sigma².")
        between, within = (float(value) for value in got)
        need(abs(within / sigma**2 - 1) < 0.05, f"sigma² is {sigma**2:g}, and you find {within:.2f}.")
        forgot = abs(between / (tau**2 + sigma**2 / n) - 1) < 0.03
        need(not forgot, f"{between:.2f} is the variance of the persons' means: the noise is still in it.")
        need(abs(between / tau**2 - 1) < 0.05, f"tau² is {tau**2:g}, and you find {between:.2f}.")
    return "How much people differ, and how much one person's observations do: that is the whole prior."


@check("deal out the persons, not the rows: a row goes where its person goes.")
def check_split(split: Callable[[Tensor, int], Tensor]) -> str:
    """Chapter 4b, exercise 3: ``split(person, n_parts)``, the part of each row, so that no person is in two."""
    person = torch.randint(30, (400,), generator=torch.Generator().manual_seed(0)) * 7 + 3
    part = answered(split(person, 5))
    need(isinstance(part, Tensor) and part.shape == person.shape, "give one part for each row.")
    need(set(part.tolist()) <= set(range(5)), "the parts are numbered 0 ... n_parts - 1.")
    need(len(part.unique()) == 5, "some part has nobody in it.")
    for p in person.unique():
        parts = part[person == p].unique().tolist()
        need(len(parts) == 1, f"person {int(p)} is in the parts {parts}: a test would meet somebody it has seen.")
    counts = torch.stack([person[part == f].unique().numel() * torch.ones(()) for f in range(5)])
    need(float(counts.max() - counts.min()) <= 3, "the parts hold very different numbers of persons.")
    return "Held out means: nobody of the test has been seen in training."
