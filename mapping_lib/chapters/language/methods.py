"""Naive Bayes for counts: a class is a bag of counted features, with a Dirichlet prior, (theta, S) -> phi."""

import torch
from torch import Tensor

from mapping_lib.checks import check_batch, check_count, check_labels, check_number, check_params, check_tasks
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.many_tasks import through_adaptation
from mapping_lib.task import Batch, Params, Task

PRIOR, LOG_P = "log_prior", "log_p"
"""The names of what theta keeps, ``(feature,)``, and phi, ``(n_way, feature)``."""


def naive_bayes(n_way: int, width: int, *, strength: float = 1.0) -> MetaLearner:
    """Multinomial naive Bayes with a Dirichlet prior (Manning, Raghavan & Schütze 2008, section 13.2).

    x is counts, ``(example, width)``. theta is the logarithm of the prior's ``width`` pseudo-counts a_g; `init` gives
    them all the same value, ``strength`` in sum (add-one smoothing has 1 each). With n_kg the counts of class k,

        phi_kg = log (n_kg + a_g) / Σ_g (n_kg + a_g),  logits_k = Σ_g x_g phi_kg,

    ``(example, n_way)``: a log posterior, up to a constant, where all classes are as likely. It is Bayes' rule with
    the posterior mean for the parameters. A class without an example keeps the prior's mean. The direction is the
    exact gradient of the mean cross entropy on the query, by theta: a prior can be meta-learned. Labels are whole
    numbers 0 ... n_way - 1. Raises ValueError for a count or a strength out of range, and for labels of another kind.

    >>> learner = naive_bayes(n_way=2, width=2, strength=2.0)  # one pseudo-count each
    >>> theta = learner.init(generator=torch.Generator())
    >>> support = Batch(torch.tensor([[3.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    >>> learner.adapt(theta, support)["log_p"].exp()  # 4 of 5, 1 of 5; 1 of 3, 2 of 3
    tensor([[0.8000, 0.2000],
            [0.3333, 0.6667]])
    """
    check_count("n_way", n_way, at_least=1)
    check_count("width", width, at_least=1)
    check_number("strength", strength, above=0)

    def init(*, generator: torch.Generator) -> Params:
        return {PRIOR: torch.full((width,), strength / width, dtype=torch.float32).log()}

    def adapt(theta: Params, support: Batch, *, description=None, steps: int | None = None) -> Params:
        check_batch("support", support, dtype=check_params("theta", theta)[PRIOR].dtype)
        check_labels("support", support, ndim=1)
        of_class = (support.y == torch.arange(n_way)[:, None]).to(support.x.dtype)
        counted = of_class @ support.x + theta[PRIOR].exp()
        return theta | {LOG_P: counted.log() - counted.sum(-1, keepdim=True).log()}

    def predict(phi: Params, x: Tensor) -> Tensor:
        return x @ phi[LOG_P].T

    def meta_grad(theta: Params, tasks: Task) -> tuple[Tensor, Params]:
        check_tasks(tasks, dtype=check_params("theta", theta)[PRIOR].dtype)
        return through_adaptation(adapt, predict, torch.nn.functional.cross_entropy, theta, tasks)

    return MetaLearner(init, adapt, predict, meta_grad, "exact")
