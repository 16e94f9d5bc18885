"""Families made of families: any number of shots, pools, mixtures, bad descriptions."""

import math
from collections import Counter

import pytest
import torch
from oracles import refusals, same, seeded
from torch.testing import assert_close

from mapping_lib.chapters.other_mappings.methods import bayes_ridge
from mapping_lib.evaluation import evaluate_by_step
from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.task import Task
from mapping_lib.worlds.derived import Mixed, NoisyDescriptions, Pool, VaryingShots
from mapping_lib.worlds.digits import Digits
from mapping_lib.worlds.linear import LinearFunctions

WAVES, LINES = Sinusoids(), LinearFunctions()
DERIVED = [
    VaryingShots(WAVES),
    Pool(LINES, n_tasks=5, seed=0),
    Mixed((WAVES, LINES)),
    NoisyDescriptions(WAVES, noise=0.1, missing=0.5, blank=(0.0, 0.0)),
    VaryingShots(NoisyDescriptions(Mixed((Pool(WAVES, 3, 0), LINES)), noise=0.1)),
]
every_kind = pytest.mark.parametrize("family", DERIVED, ids=str)


def looks_random(counts: list[int], n: int) -> bool:
    """Whether ``n`` draws spread evenly over as many values as there are counts, within 4 standard errors."""
    p = 1 / len(counts)
    return all(abs(count - n * p) <= 4 * math.sqrt(n * p * (1 - p)) for count in counts)


# What all have in common ------------------------------------------------------------------------------


@every_kind
def test_randomness_is_an_argument(family):
    state, g = torch.get_rng_state(), seeded(1)
    first, again, other = (family.sample(6, 4, 5, generator=seeded(s)) for s in (1, 1, 2))
    assert same(first, again)
    assert not torch.equal(first.query.x, other.query.x)
    assert same(first, family.sample(6, 4, 5, generator=g))
    assert not torch.equal(first.query.x, family.sample(6, 4, 5, generator=g).query.x)
    assert torch.equal(torch.get_rng_state(), state)


@every_kind
def test_each_is_a_value(family):
    """Two that are made alike are equal, and can be the key of a dictionary."""
    assert family == type(family)(
        **{name: getattr(family, name) for name in family.__match_args__ if name != "descriptions"}
    )
    assert len({family, family}) == 1


@every_kind
def test_the_query_has_the_size_asked_for(family):
    for n_query in (0, 7):
        task = family.sample(6, 4, n_query, generator=seeded(0))
        assert task.query.x.shape == task.query.y.shape == (6, n_query, 1)
        assert task.support.x.shape[0] == task.description.shape[0] == 6


@every_kind
def test_each_can_be_evaluated_on(family):
    learner = bayes_ridge(weight=1.0, intercept=1.0, noise=0.5)
    errors = evaluate_by_step(learner, {}, family, k_shot=4, steps=0, n_tasks=10, generator=seeded(0))
    assert torch.isfinite(errors.mean).all()


# Any number of shots ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("at_least", "k_shot"), [(0, 4), (2, 5), (3, 3)])
def test_the_number_of_shots_is_uniform(at_least: int, k_shot: int):
    family, g = VaryingShots(WAVES, at_least), seeded(0)
    sizes = Counter(family.sample(1, k_shot, 1, generator=g).support.x.shape[1] for _ in range(2000))
    assert sorted(sizes) == list(range(at_least, k_shot + 1))
    assert looks_random(list(sizes.values()), 2000)


def test_varying_shots_are_those_of_the_family_itself():
    g, other = seeded(5), seeded(5)
    tasks = VaryingShots(LINES).sample(3, 10, 4, generator=g)
    torch.randint(0, 11, (), generator=other)
    assert same(tasks, LINES.sample(3, tasks.support.x.shape[1], 4, generator=other))


# A finite pool ----------------------------------------------------------------------------------------


def test_all_tasks_are_of_the_pool_and_equally_often():
    pool = Pool(WAVES, n_tasks=8, seed=3)
    drawn = pool.sample(4000, 1, 1, generator=seeded(0)).description
    place = {tuple(d): i for i, d in enumerate(pool.descriptions.tolist())}
    counts = Counter(place[tuple(d)] for d in drawn.tolist())
    assert (len(place), len(counts)) == (8, 8)
    assert looks_random(list(counts.values()), 4000)


def test_a_task_of_the_pool_has_new_examples_each_time():
    task = Pool(LinearFunctions(noise=0.0), n_tasks=1, seed=0).sample(20, 5, 5, generator=seeded(0))
    assert len(task.description.unique(dim=0)) == 1
    assert len(torch.cat([task.support.x, task.query.x], 1).unique()) > 190  # of 200: float32 repeats a few
    (w, b), x = task.description[0], task.support.x
    assert_close(task.support.y, w * x + b)


def test_the_seed_alone_fixes_the_pool():
    first, again, other = (Pool(WAVES, n_tasks=6, seed=seed).descriptions for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.isin(first, other).any()
    assert first.shape == (6, 2)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_fresh_tasks_are_not_of_the_pool_even_where_the_seed_is_the_same(seed: int):
    pool, fresh = Pool(WAVES, n_tasks=50, seed=seed), WAVES.sample(50, 5, 5, generator=seeded(seed))
    assert not torch.isin(fresh.description, pool.descriptions).any()


def test_a_pool_has_the_distribution_of_its_family():
    pool = Pool(LinearFunctions(weight=2.0, intercept=0.5), n_tasks=5000, seed=0)
    assert_close(pool.descriptions.std(0), torch.tensor([2.0, 0.5]), rtol=0.05, atol=0)


# Mixtures ---------------------------------------------------------------------------------------------


def test_each_family_has_its_share():
    family = Mixed((WAVES, LINES, Sinusoids(amplitude=(7.0, 8.0))))
    kind = family.sample(3000, 1, 1, generator=seeded(0)).description[:, :3]
    assert (kind.sum(1) == 1).all()
    assert looks_random(kind.sum(0).int().tolist(), 3000)


def test_every_task_of_a_mixture_is_another():
    task = Mixed((WAVES, LINES)).sample(50, 4, 3, generator=seeded(0))
    for part in (task.support.x, task.support.y, task.query.x, task.query.y, task.description):
        assert len(part.flatten(1).unique(dim=0)) == 50


def test_the_description_says_which_family_and_which_task_of_it():
    planes = LinearFunctions(2, noise=0.0, dtype=torch.float64)
    flat = LinearFunctions(2, weight=0.0, intercept=0.0, noise=0.0, dtype=torch.float64)
    task = Mixed((planes, flat)).sample(30, 3, 2, generator=seeded(0))
    assert task.description.shape == (30, 5)
    for (_, is_flat, *own), y in zip(task.description.tolist(), task.query.y, strict=True):
        assert bool(is_flat) == (own == [0, 0, 0]) == bool((y == 0).all())


def test_the_examples_are_those_of_the_task_described():
    family = Mixed((Sinusoids(dtype=torch.float64), LinearFunctions(noise=0.0, dtype=torch.float64), Bent()))
    task = family.sample(60, 3, 2, generator=seeded(0))
    for i, (wave, line, bent, *own) in enumerate(task.description.tolist()):
        for x, y in ((task.support.x[i], task.support.y[i]), (task.query.x[i], task.query.y[i])):
            expected = wave * own[0] * torch.sin(x - own[1]) + line * (own[0] * x + own[1]) + bent * own[2] * x**2
            assert_close(y, expected, rtol=0, atol=1e-12)
        assert bent or own[2] == 0  # what is missing of a shorter description is zero


class Bent:
    """y = d_2 x^2: a description of three numbers."""

    def sample(self, n_tasks: int, k_shot: int, n_query: int, *, generator: torch.Generator) -> Task:
        line = LinearFunctions(2, dtype=torch.float64).sample(n_tasks, k_shot, n_query, generator=generator)
        a, parts = line.description[:, None, 2:], (line.support, line.query)
        support, query = (b._replace(x=b.x[..., :1], y=a * b.x[..., :1] ** 2) for b in parts)
        return Task(support, query, line.description)


# Bad descriptions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.3, (0.5, 2.0)])
@pytest.mark.parametrize("missing", [0.0, 0.4, 1.0])
def test_the_tasks_are_those_of_the_family(noise, missing: float):
    """In the first call from the same generator, and in all calls those of any other noise."""
    settings = {"noise": noise, "missing": missing, "blank": (1.0, 1.0)}
    g, other = seeded(2), seeded(2)
    spoilt, plain = NoisyDescriptions(WAVES, **settings), NoisyDescriptions(WAVES)
    clear = WAVES.sample(4, 3, 5, generator=seeded(2))
    for call in range(2):
        tasks, expected = (f.sample(4, 3, 5, generator=h) for f, h in ((spoilt, g), (plain, other)))
        assert same(tasks._replace(description=expected.description), expected)
        assert call > 0 or same(expected, clear)


@pytest.mark.parametrize(("noise", "each"), [(0.3, (0.3, 0.3)), ((0.5, 2.0), (0.5, 2.0)), ((0.0, 1.0), (0.0, 1.0))])
def test_the_noise_of_a_description_has_its_standard_deviation(noise, each: tuple[float, float]):
    noisy = NoisyDescriptions(WAVES, noise).sample(20_000, 0, 0, generator=seeded(0)).description
    added = noisy - WAVES.sample(20_000, 0, 0, generator=seeded(0)).description
    assert_close(added.std(0), torch.tensor(each), rtol=0.02, atol=1e-6)
    assert_close(added.mean(0), torch.zeros(2), rtol=0, atol=0.05)
    if 0 not in each:
        assert torch.corrcoef(added.T)[0, 1].item() == pytest.approx(0.0, abs=0.03)


def test_a_missing_description_is_missing_as_a_whole_and_as_often_as_said():
    family = NoisyDescriptions(WAVES, noise=0.2, missing=0.3, blank=(-7.0, 9.0))
    description = family.sample(20_000, 0, 0, generator=seeded(0)).description
    lost = description == torch.tensor([-7.0, 9.0])
    assert torch.equal(lost[:, 0], lost[:, 1])
    assert lost[:, 0].float().mean().item() == pytest.approx(0.3, abs=0.015)
    kept = description[~lost[:, 0]] - WAVES.sample(20_000, 0, 0, generator=seeded(0)).description[~lost[:, 0]]
    assert kept.std().item() == pytest.approx(0.2, rel=0.03)


def test_nothing_is_lost_at_0_and_everything_at_1():
    for missing, blanks in ((0.0, 0), (1.0, 500)):
        family = NoisyDescriptions(WAVES, missing=missing, blank=(-7.0, 9.0))
        assert (family.sample(500, 0, 0, generator=seeded(0)).description[:, 0] == -7).sum() == blanks


# Wrong arguments --------------------------------------------------------------------------------------


def draw(family, n_tasks=3, k_shot=2, n_query=2, generator=None):
    return family.sample(n_tasks, k_shot, n_query, generator=seeded(0) if generator is None else generator)


COUNTS = "allowed: a whole number,"
CALLS = [
    (lambda: VaryingShots(None), "family is None; allowed: a family of tasks with a method sample"),
    (lambda: VaryingShots(WAVES, -1), f"at_least is -1; {COUNTS} 0 or more"),
    (lambda: draw(VaryingShots(WAVES, 3), k_shot=2), f"k_shot is 2; {COUNTS} 3 or more"),
    (lambda: draw(VaryingShots(WAVES), k_shot=-1), f"k_shot is -1; {COUNTS} 0 or more"),
    (lambda: draw(VaryingShots(WAVES), generator=0), "generator is 0; allowed: a torch.Generator"),
    (lambda: Pool(Digits("held out", n_way=2), 5, 0), "family is Digits(images='held out',"),
    (lambda: Pool(WAVES, 0, 0), f"n_tasks is 0; {COUNTS} 1 or more"),
    (lambda: Pool(WAVES, 5, -1), f"seed is -1; {COUNTS} 0 or more"),
    (lambda: Pool(WAVES, 5, None), f"seed is None; {COUNTS} 0 or more"),
    (lambda: draw(Pool(WAVES, 5, 0), n_tasks=0), f"n_tasks is 0; {COUNTS} 1 or more"),
    (lambda: draw(Pool(WAVES, 5, 0), generator=0), "generator is 0; allowed: a torch.Generator"),
    (lambda: Mixed([WAVES, LINES]), "families is [Sinusoids("),
    (lambda: Mixed((WAVES,)), "families is (Sinusoids("),
    (lambda: Mixed(()), "families is (); allowed: a tuple of at least two families"),
    (lambda: Mixed((WAVES, 3)), "families[1] is 3; allowed: a family of tasks with a method sample"),
    (
        lambda: draw(Mixed((WAVES, LinearFunctions(2)))),
        "families draw a support.x of (3, 2, 1) torch.float32, (3, 2, 2)",
    ),
    (
        lambda: draw(Mixed((WAVES, Sinusoids(dtype=torch.float64)))),
        "families draw a support.x of (3, 2, 1) torch.float32,",
    ),
    (lambda: draw(Mixed((WAVES, LINES)), k_shot=-1), f"k_shot is -1; {COUNTS} 0 or more"),
    (lambda: draw(Mixed((WAVES, LINES)), generator=0), "generator is 0; allowed: a torch.Generator"),
    (lambda: NoisyDescriptions(None), "family is None; allowed: a family of tasks with a method sample"),
    (lambda: NoisyDescriptions(WAVES, -0.1), "noise is -0.1; allowed: a finite number, 0 or more"),
    (lambda: NoisyDescriptions(WAVES, (0.1, -0.1)), "noise[1] is -0.1; allowed: a finite number, 0 or more"),
    (lambda: NoisyDescriptions(WAVES, missing=-0.1), "missing is -0.1; allowed: a finite number, 0 or more"),
    (lambda: NoisyDescriptions(WAVES, missing=1.1), "missing is 1.1; allowed: a probability, 0 to 1"),
    (lambda: NoisyDescriptions(WAVES, missing=0.1), "blank is None; allowed: a tuple, one number for each feature"),
    (lambda: NoisyDescriptions(WAVES, blank=0.0), "blank is 0.0; allowed: a tuple, one number for each feature"),
    (lambda: NoisyDescriptions(WAVES, blank=(0.0, math.nan)), "blank[1] is nan; allowed: a finite number"),
    (lambda: draw(NoisyDescriptions(WAVES, (0.1,))), "noise is (0.1,); allowed: 2 numbers, one for each feature"),
    (lambda: draw(NoisyDescriptions(WAVES, blank=(0.0,) * 3)), "blank is (0.0, 0.0, 0.0); allowed: 2 numbers, one for"),
    (lambda: draw(NoisyDescriptions(WAVES), generator=0), "generator is 0; allowed: a torch.Generator"),
]


test_wrong_arguments_are_named = refusals(CALLS)
