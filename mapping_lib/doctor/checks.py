"""The checks, one function each: `Patient` -> `Finding`, in the order in which they are made."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.doctor.findings import Finding
from mapping_lib.doctor.patient import TOLERANCE, Patient, each, map_tasks, one, same, same_answer
from mapping_lib.params import copied, difference, dot, norm
from mapping_lib.task import Params, Task


def runs(patient: Patient) -> Finding:
    """It gives a finite meta-loss, and a direction with theta's names and shapes."""
    check, (meta_loss, direction) = "it runs", patient.answer
    if _shapes(direction) != _shapes(patient.theta):
        return Finding(check, "the direction has other names or shapes than θ", ("does not run",))
    if not all(bool(d.isfinite().all()) for d in direction.values()) or not math.isfinite(meta_loss):
        return Finding(check, f"meta-loss {meta_loss}, or a direction that is not finite", ("does not run",))
    return Finding(check, f"meta-loss {meta_loss:.2f}")


def theta_is_kept(patient: Patient) -> Finding:
    """Neither meta-training nor adaptation writes into the theta they were given."""
    task, learner = one(patient.tasks, 0), patient.learner
    acts = {
        "meta_grad": lambda theta: learner.meta_grad(theta, patient.tasks),
        "adapt": lambda theta: learner.adapt(theta, task.support, description=task.description),
    }
    moved = []
    for name, act in acts.items():
        theta = copied(patient.theta)
        act(theta)
        if not same(theta, patient.theta):
            moved.append(f"{name} moved it by {float(norm(difference(theta, patient.theta))):.2g}")
    seen = ", ".join(moved) or "unchanged by meta_grad and adapt"
    return Finding("θ is left as it was", seen, ("θ is changed in place",) * bool(moved))


def tasks_are_independent(patient: Patient) -> Finding:
    """The answer depends neither on what was asked before nor on the order of the tasks."""
    check = "tasks are independent"
    if patient.remembers:
        return Finding(check, "the same call, made again, gave another answer", ("tasks leak",))
    reverse = map_tasks(lambda t: t.flip(0), patient.tasks)
    some_count_only = 0 < len(patient.left_out) < patient.n_tasks  # then another order counts another task
    if not some_count_only and not same_answer(patient.meta_grad(reverse), patient.answer):
        return Finding(check, "their order changes the answer", ("tasks leak",))
    return Finding(check, "the same answer when asked again, after other tasks")


def queries_count(patient: Patient) -> Finding:
    """Another query for one task changes the meta-loss or the direction."""
    check, n, out = "every task's query counts", patient.n_tasks, patient.left_out
    seen = f"{n - len(out)} of {n} queries change the answer"
    if len(out) == n:  # where the meta-loss is known, its name says what is judged in place of the query
        return Finding(check, seen, () if patient.measure[0] else ("the query is not judged",))
    last = out == list(range(n - 1))
    return Finding(check, seen, (("only the last task counts" if last else "tasks are left out"),) * bool(out))


def adapts(patient: Patient) -> Finding:
    """phi differs from theta, and lies downhill of it on the support."""
    check, before = "adaptation goes downhill", patient.before
    if before is None:
        still = all(same(phi, patient.phis[0]) for phi in patient.phis)
        return Finding(check, "φ is made from the evidence, not by steps from θ", ("no inner loop",) * still)
    if patient.stands_still:
        return Finding(check, "φ is θ, for every task", ("no inner loop",))
    cosines = []
    for phi, task in zip(patient.phis, each(patient.tasks), strict=True):
        uphill = _gradient(lambda p, task=task: patient.error(p, task.support), before)
        step = difference(phi, before)
        cosines.append(float(-dot(step, uphill) / (norm(step) * norm(uphill)).clamp_min(1e-300)))
    cosine = sum(cosines) / len(cosines)
    seen = f"from θ to φ: cosine {cosine:.2f} with −∇L_S(θ)"
    return Finding(check, seen, ("the gradient is added",) * (cosine < 0))


def meta_loss(patient: Patient) -> Finding:
    """The meta-loss is the query loss after adaptation, and not one of its look-alikes."""
    check, (name, _, faults) = "what the meta-loss measures", patient.measure
    if patient.claims == "no gradient":
        return Finding(check, name or "a number of its own, as its claim allows")
    if not name:
        named = patient.remembers or len(patient.left_out) == patient.n_tasks
        return Finding(check, "none of the losses it could be", ("not the query loss after adaptation",) * (not named))
    if patient.stands_still:
        faults = ()  # there is no "after": that is named already
    return Finding(check, name, faults)


def direction(patient: Patient) -> Finding:
    """The direction is what the learner claims it is."""
    check, direction = "the direction", patient.answer[1]
    if patient.claims == "no gradient":
        return Finding(check, "claims to be no gradient, and is not held to one")
    if float(norm(direction)) == 0:
        return Finding(check, "is zero", ("no gradient reaches θ",))
    if patient.remembers:
        return Finding(check, "cannot be measured while the same call gives other answers")
    from_first = _distance_from_first_order(patient, patient.measure[1])
    if patient.claims == "first order":
        if from_first is None:
            return Finding(check, "cannot be compared: what the meta-loss measures is not known")
        seen = f"relative distance {_small(from_first)} from the mean query gradient at φ"
        return Finding(check, seen, ("not first order",) * (not from_first <= TOLERANCE))
    error = _error_against_central_differences(patient)
    seen = f"relative error {_small(error)} against central differences"
    if error <= TOLERANCE:
        share = "" if from_first is None else f"; second-order share {100 * from_first:.0f} %"
        return Finding(check, seen + share)
    if from_first is not None and from_first <= TOLERANCE:
        return Finding(check, f"{seen}; it is the mean gradient at φ", ("second order is cut",))
    return Finding(check, seen, ("not the gradient of its meta-loss",))


def _error_against_central_differences(patient: Patient, eps: float = 1e-6) -> float:
    """How far the direction is from the gradient of the meta-loss that the learner itself reports."""
    promised = torch.tensor([float(dot(patient.answer[1], v)) for v in patient.probes])
    slopes = []
    for v in patient.probes:
        up, down = ({n: p + sign * eps * v[n] for n, p in patient.theta.items()} for sign in (1, -1))
        slopes.append((patient.meta_grad(theta=up)[0] - patient.meta_grad(theta=down)[0]) / (2 * eps))
    slopes = torch.tensor(slopes)
    return float((promised - slopes).abs().median() / slopes.abs().median().clamp_min(1e-30))


def _distance_from_first_order(patient: Patient, role: str) -> float | None:
    """The relative distance from the mean gradient at phi of the batch that is judged; sums count as means."""
    if not role or not patient.phis[0].keys() <= patient.theta.keys():
        return None
    judged = [getattr(task, role) for task in each(patient.tasks)]
    grads = [
        _gradient(lambda p, batch=batch: patient.error(p, batch), phi)
        for phi, batch in zip(patient.phis, judged, strict=True)
    ]
    mean = {name: sum(g[name] for g in grads) / len(grads) for name in grads[0]}
    scales = (1, len(grads))
    return min(float(norm({n: patient.answer[1][n] / s - g for n, g in mean.items()}) / norm(mean)) for s in scales)


def query_error_falls(patient: Patient) -> Finding:
    """On fresh tasks, the query error at phi is below that at theta."""
    check, tasks = "adaptation helps", list(each(patient.many))
    if patient.before is None:
        return Finding(check, "φ has other parameters than θ: nothing to compare with")
    queries = [task.query for task in tasks]
    after = patient.losses([patient.adapt(task) for task in tasks], queries).mean()
    before = patient.losses([patient.before] * len(tasks), queries).mean()
    seen = f"query error {before:.2f} before, {after:.2f} after, {len(tasks)} tasks"
    return Finding(check, seen, ("adaptation raises the query error",) * (not after <= before))


def are_disjoint(patient: Patient) -> Finding:
    """The family puts no example into both support and query."""
    shared = total = 0
    for task in each(patient.many):
        same = (task.support.x[:, None] == task.query.x[None]).flatten(2).all(-1)
        shared, total = shared + int(same.any(0).sum()), total + len(task.query.x)
    seen = f"{shared} of {total} query examples stand in the support"
    return Finding("support and query are disjoint", seen, ("support and query overlap",) * (shared > 0))


def evaluation(patient: Patient) -> Finding:
    """Change the query, then the support, and see whether the reported error knows."""

    def ask(tasks: Task) -> Tensor:
        return torch.as_tensor(patient.evaluate(theta, tasks)).detach().double().mean()

    theta = copied(patient.theta)
    own = ask(patient.tasks)
    faults = [] if same(theta, patient.theta) else ["θ is changed in place"]

    def unchanged(tasks: Task) -> bool:
        nonlocal theta
        theta = copied(patient.theta)
        return bool((ask(tasks) - own).abs() <= 1e-9 * own.abs())

    again, reverse = patient.tasks, map_tasks(lambda t: t.flip(0), patient.tasks)
    if not (unchanged(again) and unchanged(reverse)):
        faults.append("tasks leak")
    if unchanged(patient.tasks._replace(query=patient.others.query)):
        faults.append("judged on the support")
    if unchanged(patient.tasks._replace(support=patient.others.support)):
        faults.append("judged before adaptation")
    seen = f"reports {float(own):.2f}" + "; it knows support and query" * (not faults)
    return Finding("the evaluation", seen, tuple(faults))


def _gradient(function: Callable[[Params], Tensor], params: Params) -> Params:
    leaves = {name: p.requires_grad_() for name, p in copied(params).items()}
    slopes = torch.autograd.grad(function(leaves), list(leaves.values()), allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(leaves.items(), slopes, strict=True)}


def _shapes(params: Params) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in params.items()}


def _small(error: float) -> str:
    """A rounding error in words: its digits differ from machine to machine."""
    return f"below {TOLERANCE:g}" if error <= TOLERANCE else f"{error:.2g}"


ALWAYS = (
    runs,
    theta_is_kept,
    tasks_are_independent,
    queries_count,
    adapts,
    meta_loss,
    direction,
    query_error_falls,
    are_disjoint,
)
