"""Few-shot images (chapter 4a): letters of unseen alphabets from one or five examples of each, measured.

`methods` has the methods, `study_training` how their theta were made, `study_tuning` how their step sizes were chosen,
`study_seeds` what becomes of the order when all have equal care and three seeds, `study_omniglot` the same table for a
reader's own Omniglot. Two tables: the accuracy of all methods; and the accuracy of prototypical networks with and
without normalisation, when the same queries are judged in different company.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from mapping_lib.learners import MetaLearner
from mapping_lib.study import Table, Tolerance
from mapping_lib.task import Params, Task, each
from mapping_lib.worlds.letters import Glyphs

from .methods import FILTERS, GLYPHS, METHODS, TUNED, Source, Tuned, embedding, glyphs_theta, learner_of, theta_of
from .study_episodes import N_QUERY, SETTINGS, right_answers
from .study_seeds import save_seeds
from .study_training import RECIPES as RECIPES

TOLERANCE = Tolerance(0.02)
"""Moved by 1e-6, two answers in ten episodes of 60 are other ones, from scratch, and none of any other method."""


def accuracies(
    method: str, setting: dict, tasks: Task, *, read: Callable[[str], Params] = glyphs_theta, tuned: Tuned | None = None
) -> Tensor:
    """The share of right answers in each episode, ``(task,)``.

    ``setting`` has the "n_way" and "k_shot" of the tasks, ``tuned`` other steps than those in `TUNED`. "from scratch"
    begins at other random weights in each of the episodes.

    >>> tasks = Glyphs("validation").sample(2, 1, 3, generator=torch.Generator().manual_seed(0))
    >>> accuracies("pixel 1-NN", {"n_way": 5, "k_shot": 1}, tasks).shape
    torch.Size([2])
    """
    n_way, n_tasks = setting["n_way"], len(tasks.query.x)
    learner = learner_of(method, n_way, setting["k_shot"], tuned)
    several = METHODS[method].theta is None  # all others begin at one theta, which need not be copied
    theta = theta_of(method, n_way, read)
    if several:
        drawn = [theta_of(method, n_way, seed=i) for i in range(n_tasks)]
        theta = {name: torch.stack([one[name] for one in drawn]) for name in theta}

    return right_answers(learner, theta, tasks, several=several).float().mean(-1)


def table_of(source: Source, settings: dict[str, dict], read: Callable[[str], Params], **others) -> Table:
    """The table of all methods on the held-out part of ``source``, with the theta that ``read`` gives.

    Intervals are over its classes: 600 episodes are of the same few letters. ``others`` are fields of the `Table`.
    """

    def tasks_of(name: str, n: int, generator: Generator) -> Task:
        setting = settings[name]
        family = source.episodes("held out", setting["n_way"], setting["jitter"])
        return family.sample(n, setting["k_shot"], N_QUERY, generator=generator)

    def score(method: str, name: str, n: int, generator: Generator) -> Tensor:
        return accuracies(method, settings[name], tasks_of(name, n, generator), read=read)

    def units(name: str, n: int, generator: Generator) -> Tensor:
        return tasks_of(name, n, generator).description.long()

    tuned = {f"{method}, {n_way} ways, K = {k}": [*chosen] for (method, n_way, k), chosen in TUNED.items()}
    fixed = {"n_query": N_QUERY, "filters": list(FILTERS), "tuned": tuned}
    usual = {"at_once": 10, "tolerance": TOLERANCE, "unit": "letter", "units": units}
    return Table("accuracy", tuple(METHODS), settings, score, fixed, **usual | others)


# Company ----------------------------------------------------------------------------------------------

THETA_OF_NORM = {"none": "prototypical", "group": "group_norm", "batch": "batch_norm"}
"""The theta of the embedding with each normalisation."""

JUDGED_TOGETHER = {
    "one of each class": {"queries judged together": 5},
    "five of one class": {"queries judged together": 5},
    "alone": {"queries judged together": 1},
}


def _company_tasks(n: int, generator: Generator) -> Task:
    return Glyphs("held out").sample(n, 1, 5, generator=generator)


def _company(norm: str, company: str, n: int, generator: Generator) -> Tensor:
    """The same 25 queries of each episode, judged in different company."""
    learner, theta = embedding(norm), glyphs_theta(THETA_OF_NORM[norm])
    rights = []
    for task in each(_company_tasks(n, generator)):
        phi = learner.adapt(theta, task.support)
        rights.append((labels_in_company(learner, phi, task.query.x, company) == task.query.y).float().mean())
    return torch.stack(rights)


def labels_in_company(learner: MetaLearner, phi: Params, x: Tensor, company: str) -> Tensor:
    """The labels that ``learner`` gives to 25 queries ``x``, five of each of five classes, class after class.

    ``company`` is a name in `JUDGED_TOGETHER`: who else is in the batch that `predict` is given.

    >>> from mapping_lib.task import Batch
    >>> learner = embedding("none")
    >>> phi = learner.adapt(glyphs_theta("prototypical"), Batch(torch.rand(5, 1, 28, 28), torch.arange(5)))
    >>> labels_in_company(learner, phi, torch.rand(25, 1, 28, 28), "alone").shape
    torch.Size([25])
    """
    order = torch.arange(25).view(5, 5)
    batches = {"one of each class": order.T, "five of one class": order, "alone": order.view(25, 1)}[company]
    labels = torch.empty(25, dtype=torch.long)
    for batch in batches:
        labels[batch] = learner.predict(phi, x[batch]).argmax(-1)
    return labels


TABLES = {
    "few_shot_images": table_of(GLYPHS, SETTINGS, glyphs_theta),
    "few_shot_company": Table(
        "accuracy",
        tuple(THETA_OF_NORM),
        JUDGED_TOGETHER,
        _company,
        {"n_way": 5, "k_shot": 1, "jitter": 1.0, "part": "held out"},
        tolerance=TOLERANCE,
        unit="letter",
        units=lambda setting, n, generator: _company_tasks(n, generator).description.long(),
    ),
}

OTHERS = {"few_shot_seeds": save_seeds}
