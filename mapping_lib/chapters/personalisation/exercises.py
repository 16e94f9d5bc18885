"""The exercises of chapter 4b."""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.page.checking import check, close, expect, need, number, numbers, whole


@check("the weight of the data is n tau² / (n tau² + sigma²); the rest of the weight belongs to mu.")
def check_shrunk(shrunk: Callable[[Tensor, float, float, float], float]) -> str:
    """Chapter 4b, exercise 1: ``shrunk(y, mu, tau, sigma)``, the posterior mean of one person's level."""
    for n, mu, tau, sigma in ((3, 10.0, 2.0, 1.0), (1, -1.0, 0.5, 2.0), (8, 0.0, 1.0, 3.0)):
        y = mu + 3 + torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
        own = float(y.mean())
        precision = n / sigma**2 + 1 / tau**2  # the other way: by precisions
        wanted = (float(y.sum()) / sigma**2 + mu / tau**2) / precision

        def between(data: float, prior: float, own: float = own, mu: float = mu) -> float:
            return (data * own + prior * mu) / (data + prior)

        mistakes = {
            "that is the person's own mean: it forgets everybody else.": own,
            "that is the mean of everybody: it forgets the person.": mu,
            "tau and sigma are standard deviations: their squares weigh.": between(n * tau, sigma),
            "the weights are exchanged: the more the noise, the less the data say.": between(sigma**2, n * tau**2),
            "n observations count n times, and here they count once.": between(tau**2, sigma**2),
            "that is half way, whatever tau, sigma and n are.": between(1, 1),
        }
        expect(number(shrunk(y.clone(), mu, tau, sigma)), wanted, f"with {n} observations", mistakes)
    nobody = number(shrunk(torch.zeros(0, dtype=torch.float64), 5.0, 1.0, 1.0))
    need(close(nobody, 5), f"without an observation the answer should be mu = 5, and yours is {nobody:.4g}.")
    return "Little data: the population. Much data: the person."


@check("the variance of the persons' means is tau² + sigma²/n: take sigma²/n off it.")
def check_components(components: Callable[[Tensor], tuple[float, float]]) -> str:
    """Chapter 4b, exercise 2: ``components(y)``, (tau², sigma²) of a table of persons by the method of moments."""
    generator = torch.Generator().manual_seed(0)
    for tau, sigma, n in ((1.0, 2.0, 3), (2.0, 3.0, 4)):
        levels = tau * torch.randn(40_000, 1, generator=generator, dtype=torch.float64)
        y = 7 + levels + sigma * torch.randn(40_000, n, generator=generator, dtype=torch.float64)
        between, within = numbers(components(y.clone()), (2,), "two numbers, tau² and sigma²,").tolist()

        def near(got: float, wanted: float) -> bool:  # as near as 40,000 persons tell it
            return abs(got / wanted - 1) < 0.1

        exchanged = near(between, sigma**2) and near(within, tau**2)
        need(not exchanged, "they are exchanged: tau² comes first, then sigma².")
        rooted = near(between, tau) and near(within, sigma)
        need(not rooted, f"sigma² is {sigma**2:g}, and {within:.2f} is its root: that is a standard deviation.")
        biased = near(within, sigma**2 * (n - 1) / n)
        need(not biased, f"sigma² is {sigma**2:g}, and you find {within:.2f}: each person has a mean, divide by n - 1.")
        need(near(within, sigma**2), f"sigma² is {sigma**2:g}, and you find {within:.2f}.")
        forgot = near(between, tau**2 + sigma**2 / n)
        need(not forgot, f"{between:.2f} is the variance of the persons' means: the noise is still in it.")
        need(near(between, tau**2), f"tau² is {tau**2:g}, and you find {between:.2f}.")
    return "How much people differ, and how much one person's observations do: that is the whole prior."


@check("deal out the persons, not the rows: a row goes where its person goes.")
def check_split(split: Callable[[Tensor, int], Tensor]) -> str:
    """Chapter 4b, exercise 3: ``split(person, n_parts)``, the part of each row, so that no person is in two."""
    generator = torch.Generator().manual_seed(0)
    for n_persons, between_names, n_parts in ((30, 7, 5), (40, 5, 5), (20, 1, 3)):  # names may be multiples of n_parts
        person = torch.randint(n_persons, (400,), generator=generator) * between_names + 3
        part = numbers(split(person.clone(), n_parts), (400,), "one part for each row")
        part = whole(part, "the parts")
        lowest, highest = int(part.min()), int(part.max())
        allowed = f"the parts are numbered 0 ... {n_parts - 1}, and yours go from {lowest} to {highest}."
        need(lowest >= 0 and highest < n_parts, allowed)
        need(
            len(part.unique()) == n_parts, f"some part has nobody in it: with {n_parts} you fill {len(part.unique())}."
        )
        for p in person.unique():
            parts = part[person == p].unique().tolist()
            need(len(parts) == 1, f"person {int(p)} is in the parts {parts}: a test would meet somebody it has seen.")
        counts = [part.bincount().tolist(), [len(person[part == f].unique()) for f in range(n_parts)]]
        alike = [max(count) <= 1.5 * min(count) for count in counts]  # rows or persons: both are fair
        need(any(alike), f"the parts hold very different numbers of persons, {counts[1]}, and of rows, {counts[0]}.")
    return "Held out means: nobody of the test has been seen in training."
