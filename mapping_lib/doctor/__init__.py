"""Is it really MAML? Checks of a learner by experiment, without reading its code.

Every check asks the learner for numbers, changes one thing, and asks again. It is judged by what it
*claims* ("exact", "first order", "no gradient"): a first-order direction is a fault only in a learner that
says its gradient is exact.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from mapping_lib.checks import check_count, check_drawn, check_family, check_generator, check_params
from mapping_lib.doctor import checks
from mapping_lib.doctor.findings import FAULTS, Diagnosis, Finding
from mapping_lib.doctor.patient import Patient, wide
from mapping_lib.doctor.widening import Widening, is_narrow
from mapping_lib.inner_loop import mean_squared_error
from mapping_lib.learners import MetaLearner
from mapping_lib.task import Params, Task, TaskFamily, map_tasks

__all__ = ["FAULTS", "Diagnosis", "Finding", "diagnose"]


def diagnose(
    learner: MetaLearner,
    family: TaskFamily,
    *,
    theta: Params | None = None,
    evaluate: Callable[[Params, Task], Tensor] | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = mean_squared_error,
    n_tasks: int = 4,
    k_shot: int = 10,
    n_query: int = 10,
    steps: int | None = None,
    generator: Generator | None = None,
) -> Diagnosis:
    """Examine a learner on tasks of a family, and its ``evaluate`` if you give it.

    ``theta`` defaults to ``learner.init``; give a trained one to see whether adaptation helps it.
    ``evaluate(theta, tasks)`` is your own measure of error, one number or one a task. ``loss(y_hat, y)`` is
    the loss that the learner descends. ``steps`` is the number of inner steps that ``adapt`` means to take, if you
    know it: from outside, five steps along one and the same gradient look like one step five times as long. A
    meta-loss may be a weighted sum of the query losses after every inner step (MAML++) where these can be known:
    where ``adapt`` takes as many ``steps`` as it is asked for, or goes down ``loss`` in steps of any sizes, one for
    all or one for each step and parameter.

    Everything is done in float64: float32 tensors of the learner's own, such as class weights, are read in it, which
    a finding then says; whole numbers (labels) become int64. The random state of torch is left as it was.
    ``n_tasks`` >= 2; raises ValueError for counts out of range. What the learner's own code raises becomes a finding.

    >>> from mapping_lib.families.sinusoid import Sinusoids
    >>> from mapping_lib.learners.gradient import maml
    >>> from mapping_lib.networks import mlp
    >>> diagnosis = diagnose(maml(mlp((1, 40, 40, 1)), torch.nn.functional.mse_loss), Sinusoids())
    >>> diagnosis.faults
    ()
    """
    check_count("n_tasks", n_tasks, at_least=2)
    check_count("k_shot", k_shot, at_least=1)
    check_count("n_query", n_query, at_least=1)
    if steps is not None:
        check_count("steps", steps, at_least=1)
    check_family("family", family)
    generator = torch.Generator().manual_seed(0) if generator is None else check_generator(generator)
    sizes = (n_tasks, max(n_tasks, 30))
    tasks, many = (check_drawn(family.sample(n, k_shot, n_query, generator=generator)) for n in sizes)
    tasks, many = map_tasks(wide, tasks), map_tasks(wide, many)
    examined = checks.ALWAYS | (checks.OF_EVALUATION if evaluate else {})
    is_trained = theta is not None
    if is_trained:
        check_params("theta", theta)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        try:
            theta = learner.init(generator=generator) if theta is None else theta
        except Exception as problem:
            return Diagnosis(learner.claims, (_stopped("it runs", problem),))
        theta = {name: wide(p) for name, p in theta.items()}
        patient = Patient(learner, theta, tasks, many, loss, evaluate, _probes(theta, generator), is_trained, steps)
        return Diagnosis(learner.claims, tuple(_in_float64(patient, examined)))


def _probes(theta: Params, generator: Generator) -> list[Params]:
    """Five directions in which theta is moved; the median over them is safe from a kink of the network."""
    single = {"generator": generator, "dtype": torch.float32}
    return [{name: torch.randn(p.shape, **single).double() for name, p in theta.items()} for _ in range(5)]


class _Narrow(Exception):
    """The learner brings float32 tensors of its own, and float64 does not go with them."""


def _findings(patient: Patient, examined: dict[str, Callable[[Patient], checks.Seen]]) -> list[Finding]:
    """Make the checks, up to the first that the learner cannot answer."""
    findings = []
    for name, check in examined.items():
        try:
            findings.append(Finding(name, *check(patient)))
        except Exception as problem:  # the learner's own code failed: that is a finding, not the doctor's end
            if is_narrow(problem) and not patient.is_widened:
                raise _Narrow from problem
            findings.append(_stopped(name, problem))
        if "does not run" in (findings[-1].faults or ()):
            break
    return findings


def _in_float64(patient: Patient, examined: dict[str, Callable[[Patient], checks.Seen]]) -> list[Finding]:
    """Make the checks; where float32 tensors of the learner's own stop them, all of them again with these widened."""
    try:
        return _findings(patient, examined)
    except _Narrow:
        with Widening():
            first, *others = _findings(patient.widened(), examined)
    return [first._replace(seen=f"{first.seen}; float32 tensors of its own are read in float64"), *others]


def _stopped(name: str, problem: Exception) -> Finding:
    line = (str(problem).strip() or "without a word").splitlines()[0]
    if is_narrow(problem):
        line += " (the doctor asks in float64: call .double() on models and tensors of your own)"
    return Finding(name, f"stopped with {type(problem).__name__}: {line}", ("does not run",))
