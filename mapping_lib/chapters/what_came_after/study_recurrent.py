"""Chapter 4g2: the return of a policy that remembers, by episode, on the goals of chapter 4d's table.

Time for training: at most 12 minutes on one quiet core were allowed for each theta; the recipe takes about three. It
has two stages: short episodes with much noise, in which to find out what a reward says about the goal; then longer and
more of them with little, in which to use it. Both were chosen by the returns in training and on other goals than the
table's, with seed 0. Seeds 1 and 2 had no part in it: seed 1 learns as much, and seed 2 far less.

How fair is it? The family, the goals and the luck of the trajectories that judge are those of chapter 4d, where a
method has 20 trajectories for each update, and here it has one for each episode.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_choice
from mapping_lib.networks import functional
from mapping_lib.study import Recipe, Table, Tolerance, shipped_theta
from mapping_lib.study.training import Training
from mapping_lib.task import Batch, Params
from mapping_lib.worlds.goals import Navigation, on_the_rim

from .methods_recurrent import Costs, RecurrentPolicy, live, recurrent_policy
from .methods_search import empty, searcher
from .methods_trials import Memory, Trial, trial

FAMILY, WIDTH, EPISODES = Navigation(), 40, 4
POLICY = RecurrentPolicy(WIDTH)
SEED = 2026
"""That of chapter 4d's table, and so the goals are its goals."""

DRAWN = {"k_shot": 60, "n_query": 20}
"""Chapter 4d's: with it, the generator gives its goals and its luck. The 20 that judge make 5 trials of 4 episodes."""

# Training ---------------------------------------------------------------------------------------------


class Stage(NamedTuple):
    """One of the two stages: how long the episodes are, how many make a trial, and what is minimised."""

    horizon: int
    episodes: int
    beta: float
    outer_steps: int
    costs: Costs
    trials: int = 200

    def training(self, start: Callable[[], Params] = dict) -> Training:
        """As a training; the last episode is called the query, and all count alike."""
        family = Navigation(horizon=self.horizon)
        return Training(
            lambda: recurrent_policy(POLICY, family, costs=self.costs), family, self.outer_steps, self.beta,
            k_shot=self.episodes - 1, n_query=1, tasks_per_step=self.trials, start=start,
        )  # fmt: skip


STAGES = (
    Stage(horizon=12, episodes=2, beta=0.005, outer_steps=800, costs=Costs(discount=0.8, noise=0.05)),
    Stage(horizon=25, episodes=4, beta=0.005, outer_steps=600, costs=Costs(discount=0.9, noise=0.001), trials=150),
)


def trained(seed: int, stages: tuple[Stage, ...] = STAGES) -> Params:
    """theta after all stages, each of which begins where the one before ended."""
    theta: Params = {}
    for stage in stages:
        theta = stage.training(partial(dict, theta)).theta(seed)
    return theta


def _recipe(seed: int) -> Recipe:
    stages = [stage._replace(costs=stage.costs._asdict())._asdict() for stage in STAGES]
    return Recipe(partial(trained, seed), {"width": WIDTH, "seed": seed, "stages": stages})


SEEDS = (0, 1, 2)
RECIPES = {f"after_recurrent_{seed}": _recipe(seed) for seed in SEEDS}
CONTESTANTS: dict = {}
"""None: there are returns here, no errors on the waves."""


@cache
def theta_of(seed: int = 0) -> Params:
    """The shipped theta of a training with this seed."""
    return shipped_theta(f"after_recurrent_{seed}")


# What is measured -------------------------------------------------------------------------------------


def remembering(theta: Params, luck: Batch, family: Navigation = FAMILY) -> Trial:
    """The policy as it is meant: its memory stays over all episodes of a task."""
    return live(_MODEL, family, theta, luck)


def by_episodes(theta: Params, luck: Batch, change: Callable[[int, Memory], Memory]) -> list[Trial]:
    """The episodes one by one; before each but the first, the memory of all tasks is what ``change`` makes of it."""
    lived: list[Trial] = []
    for i in range(luck.x.shape[1]):
        memory = change(i, lived[-1].memory) if lived else None
        lived.append(live(_MODEL, FAMILY, theta, Batch(luck.x[:, i : i + 1], luck.y[:, i : i + 1]), memory))
    return lived


def wiped(episode: int, memory: Memory) -> Memory:
    """Nothing is remembered from episode to episode."""
    return Memory(*map(torch.zeros_like, memory))


def swapped(episode: int, memory: Memory) -> Memory:
    """After the first episode every trial gets the memory of another: that of the half a batch away."""
    return Memory(*(part.roll(len(part) // 2, 0) for part in memory)) if episode == 1 else memory


_MODEL = functional(POLICY)


def _returns_changed(change: Callable[[int, Memory], Memory], luck: Batch) -> Tensor:
    return torch.cat([one.rollouts.returns for one in by_episodes(theta_of(), luck, change)], 1)


def named(seed: int) -> str:
    """The table's name of the policy that was trained with this seed.

    >>> named(0), named(2)
    ('a policy that remembers', 'a policy that remembers, seed 2')
    """
    return "a policy that remembers" + (f", seed {seed}" if seed else "")


METHODS: dict[str, Callable[[Batch], Tensor]] = {
    **{named(seed): lambda luck, seed=seed: remembering(theta_of(seed), luck).rollouts.returns for seed in SEEDS},
    "memory wiped": partial(_returns_changed, wiped),
    "memory swapped": partial(_returns_changed, swapped),
    "a search by hand": lambda luck: trial(searcher(FAMILY), FAMILY, luck, empty(luck.x)).rollouts.returns,
}
"""By name: the returns ``(trial, episode)`` with this luck ``(trial, episode, horizon, 2)``."""

TWICE = 1.0
"""Goals outside: on the rim of a square twice as wide as the one that goals are drawn from in training."""

SETTINGS = {f"episode {k}": {"half": None, "episode": k} for k in range(1, EPISODES + 1)}
SETTINGS |= {f"twice as far, episode {k}": {"half": TWICE, "episode": k} for k in (1, EPISODES)}


def judged(n: int, half: float | None, generator: Generator) -> Batch:
    """The luck of 5 trials of 4 episodes for each of ``n`` goals, ``(5 n, 4, horizon, 2)``.

    >>> judged(2, None, torch.Generator().manual_seed(0)).x.shape
    torch.Size([10, 4, 100, 2])
    """
    tasks = FAMILY.sample(n, **DRAWN, generator=generator)
    goals = tasks.description if half is None else on_the_rim(tasks.description, half)
    luck = tasks.query.x.unflatten(1, (-1, EPISODES)).flatten(0, 1)
    return Batch(luck, goals.repeat_interleave(len(luck) // n, 0)[:, None].expand(-1, EPISODES, 2))


def score(method: str, setting: str, n: int, generator: Generator) -> Tensor:
    """The mean return of ``n`` goals in the setting's episode, over their trials."""
    run, (half, episode) = METHODS[check_choice("method", method, METHODS)], SETTINGS[setting].values()
    luck = judged(n, half, generator)
    key = method, luck.y.numpy().tobytes()  # equal goals were drawn with equal luck
    if key not in _SCORES:  # the episodes are columns of the same trials
        with torch.no_grad():
            _SCORES[key] = run(luck).unflatten(0, (n, -1)).mean(1)
    return _SCORES[key][:, episode - 1]


_SCORES: dict[tuple[str, bytes], Tensor] = {}

FIXED = {"family": repr(FAMILY), "policy": WIDTH, "trials": DRAWN["n_query"] // EPISODES}
TABLES = {
    "after_navigation": Table(
        "return", tuple(METHODS), SETTINGS, score, FIXED, n=600, seed=SEED, tolerance=Tolerance(0.05, "most scores")
    )
}
