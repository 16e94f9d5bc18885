"""The checks: each looks at a `Patient` and says what it saw, and which faults that shows."""

import math

import torch
from torch import Tensor

from mapping_lib.data_checks import not_finite, not_scaled
from mapping_lib.doctor.patient import TOLERANCE, Patient, one
from mapping_lib.doctor.sharing import deals_unnoticed, evidence_meets
from mapping_lib.doctor.slopes import distance_from_first_order, error_against_central_differences
from mapping_lib.doctor.steps import apart, gradient, same, slope_where_it_moves
from mapping_lib.params import copied, difference, dot, norm
from mapping_lib.task import Params, Task, each, map_tasks

Seen = tuple[str, tuple[str, ...] | None]
"""What was seen, in words, and the names of the faults that it shows; None where it allows no verdict."""

STRAIGHT = 1e-9
"""Relative distance from a line up to which a way is straight; a second step of 0.001 bends it by some thousandth."""

UNMEASURABLE = "cannot be measured while the same call gives other answers"


def runs(patient: Patient) -> Seen:
    """It gives a finite meta-loss, and a direction with theta's names and shapes."""
    meta_loss, direction = patient.answer
    if _shapes(direction) != _shapes(patient.theta):
        return "the direction has other names or shapes than θ", ("does not run",)
    if not all(bool(d.isfinite().all()) for d in direction.values()) or not math.isfinite(meta_loss):
        blame = not_finite(patient.tasks) or not_scaled(patient.tasks)
        seen = f"meta-loss {meta_loss:.2g}, or a direction that is not finite"
        return seen + (f"; {blame}" if blame else ""), ("does not run",)
    return f"meta-loss {_number(meta_loss)}", ()


def theta_is_kept(patient: Patient) -> Seen:
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
            moved.append(name)
    seen = f"changed by {' and '.join(moved)}" if moved else "unchanged by meta_grad and adapt"
    return seen, ("θ is changed in place",) * bool(moved)


def tasks_are_independent(patient: Patient) -> Seen:
    """What a task adds depends neither on what was asked before nor on the other tasks of the batch."""
    fault, shown_by = patient.coupling
    return shown_by or "the same answer when asked again, and beside other tasks", (fault,) * bool(fault)


def queries_count(patient: Patient) -> Seen:
    """Another query for one task changes the direction (where there is none: the meta-loss)."""
    n, out = patient.n_tasks, patient.left_out
    seen = f"{n - len(out)} of {n} queries change the answer"
    if len(out) == n:  # where the meta-loss is known, its name says what is judged in place of the query
        return seen, None if patient.measure[0] else ("the query is not judged",)
    last = out == list(range(n - 1))
    return seen, (("only the last task counts" if last else "tasks are left out"),) * bool(out)


def adapts(patient: Patient) -> Seen:
    """phi differs from theta, and does not lie uphill of it on the support."""
    before = patient.before
    if before is None:
        still = all(same(phi, patient.phis[0]) for phi in patient.phis)
        return "φ is made from the evidence, not by steps from θ", ("no inner loop",) * still
    if patient.stands_still:
        return "φ is θ, for every task", ("no inner loop",)
    if patient.remembers:
        return UNMEASURABLE, None
    tasks = list(each(patient.tasks))
    cosines, off, sizes = [], [], []
    for phi, task in zip(patient.phis, tasks, strict=True):
        slope = slope_where_it_moves(lambda p, task=task: patient.error(p, task.support), before, phi)
        step, uphill = difference(before, phi), gradient(lambda p, task=task: patient.error(p, task.support), before)
        cosines.append(float(dot(step, uphill) / (norm(step) * norm(uphill)).clamp_min(1e-300)))
        here = slope(before)
        off.append(apart(here, step))
        sizes.append(float(norm(step) / norm(here).clamp_min(1e-300)))
    cosine = sum(cosines) / len(cosines)
    supports = [task.support for task in tasks]
    after, at_theta = (patient.losses(params, supports).mean() for params in (patient.phis, [before] * len(tasks)))
    misread = bool(patient.loose_labels or patient.unread)  # then a step aslant has a name already
    climbs = cosine < 0 and bool(after > at_theta) and not misread  # a learned rule may lie aslant, as long as it helps
    seen = f"from θ to φ: cosine {cosine:.2f} with −∇L_S(θ)"
    straight = max(off) < STRAIGHT and cosine > 0
    if straight and max(sizes) - min(sizes) < 1e-6 * max(sizes):
        seen += f": one step of {sizes[0]:.3g}"
    faults = ("the gradient is added",) * climbs + ("every step looks at θ",) * _looks_at_theta(patient, straight)
    return seen, faults


def _looks_at_theta(patient: Patient, straight: bool) -> bool:
    """Whether several steps follow one gradient, that at theta, though the gradients on the way are others."""
    task, before = one(patient.tasks, 0), patient.before
    phis = [patient.adapt(task, k) for k in (1, 2)] if patient.obeys else [patient.phis[0]]
    slope = slope_where_it_moves(lambda p: patient.error(p, task.support), before, phis[0])
    if apart(slope(phis[0]), slope(before)) < 1e-6:  # the second gradient lies along the first
        return False
    if not patient.obeys:
        return straight and (patient.steps or 1) > 1
    one_step, two_steps = (difference(phi, before) for phi in phis)
    sizes = torch.cat([step.abs().flatten() for step in one_step.values()])
    sizes = sizes[sizes > 0]
    by_sign = len(sizes) > 1 and bool(sizes.max() - sizes.min() <= STRAIGHT * sizes.max())  # signs may well stay
    return not by_sign and apart(one_step, two_steps) < STRAIGHT


def meta_loss(patient: Patient) -> Seen:
    """The meta-loss is the query loss after adaptation, and not one of its look-alikes."""
    name, _, faults = patient.measure
    if patient.claims == "no gradient":
        return name or "a number of its own, as its claim allows", ()
    if not name:
        named = patient.remembers or len(patient.left_out) == patient.n_tasks or patient.loose_labels or patient.unread
        return "none of the losses it could be", None if named else ("not the query loss after adaptation",)
    return name, () if patient.stands_still else faults  # without an "after": that is named already


def direction(patient: Patient) -> Seen:
    """The direction is what the learner claims it is, up to its length."""
    if patient.claims == "no gradient":
        climbs = _climbs(patient)
        seen = "claims to be no gradient, and is not held to one"
        return (seen + "; but it goes uphill", ("the direction climbs",)) if climbs else (seen, None)
    if float(norm(patient.answer[1])) == 0:
        return "is zero", ("no gradient reaches θ",)
    if patient.remembers:
        return UNMEASURABLE, None
    # what tasks do to each other has its own name: then judge the direction of one
    chosen = [patient.n_tasks - 1] if patient.leak or patient.some_left_out else list(range(patient.n_tasks))
    tasks = patient.single(chosen[0]) if len(chosen) == 1 else patient.tasks
    direction = patient.meta_grad(tasks)[1]
    from_first = distance_from_first_order(patient, chosen, direction)
    if patient.claims == "first order":
        if from_first is None:
            return "cannot be compared: the meta-loss is not known to be one at φ", None
        seen = f"relative distance {_small(from_first)} from the mean query gradient at φ"
        return seen, ("not first order",) * (not from_first <= TOLERANCE)
    error, length = error_against_central_differences(patient, tasks, direction)
    seen = f"relative error {_small(error)} against central differences"
    if error <= TOLERANCE:
        share = "" if from_first is None else f"; second-order share {100 * from_first:.0f} %"
        return seen + share + (f"; {length:.3g} times as long" if abs(length - 1) > 0.01 else ""), ()
    if from_first is not None and from_first <= TOLERANCE:
        return f"{seen}; it is the mean gradient at φ", ("second order is cut",)
    return seen, ("not the gradient of its meta-loss",)


def _climbs(patient: Patient) -> bool:
    """Whether a direction that is no gradient leads uphill, from theta and from phi alike."""
    if patient.before is None or patient.remembers or patient.stands_still or not patient.tasks.query.x.shape[1]:
        return False
    direction = patient.meta_grad(patient.many)[1]
    tasks = list(each(patient.many))
    phis = [patient.adapt(task) for task in tasks]
    for params in ([patient.before] * len(tasks), phis):
        slopes = [gradient(lambda p, t=t: patient.error(p, t.query), q) for t, q in zip(tasks, params, strict=True)]
        mean = {name: sum(g[name] for g in slopes) / len(slopes) for name in slopes[0]}
        own = {name: direction[name] for name in mean}
        if not float(dot(own, mean)) < -0.1 * float(norm(own) * norm(mean)):
            return False
    return True


def labels_stay(patient: Patient) -> Seen:
    """Labels that are dealt to other examples of the same batch change phi, the direction, and the loss."""
    if patient.remembers:
        return UNMEASURABLE, None
    loose = patient.loose_labels
    if loose:
        return f"dealt to other examples, they change nothing in {' and '.join(loose)}", ("the loss broadcasts",)
    return "dealt to other examples, they change the answer", ()


def examples_count(patient: Patient) -> Seen:
    """Every example of a support changes phi, and every example of a query the direction."""
    if patient.remembers:
        return UNMEASURABLE, None
    if patient.unread:
        return "; ".join(patient.unread), ("examples are left out",)
    return "each changes the answer", ()


def query_error_falls(patient: Patient) -> Seen:
    """On fresh tasks, the query error at phi is below that at theta.

    A fresh theta may rise without a fault: the inner step fits a few examples, and has not yet been taught
    to generalise. There, only an inner step that raises the support error too is at fault.
    """
    if patient.before is None:
        return "φ has other parameters than θ: nothing to compare with", None
    if patient.remembers:
        return UNMEASURABLE, None
    tasks = list(each(patient.many))
    phis, thetas = [patient.adapt(task) for task in tasks], [patient.before] * len(tasks)
    before, after = (patient.losses(params, [task.query for task in tasks]) for params in (thetas, phis))
    rise = after - before
    beyond_chance = patient.is_trained and bool(rise.mean() > 3 * rise.std() / len(tasks) ** 0.5)
    both_rise = False
    if not rise.mean() <= 0:
        s_before, s_after = (patient.losses(params, [task.support for task in tasks]) for params in (thetas, phis))
        both_rise = not s_after.mean() <= s_before.mean()
    if patient.loose_labels or patient.unread:
        both_rise = beyond_chance = False  # a rise has its name already
    seen = f"query error {_number(before.mean())} before, {_number(after.mean())} after, {len(tasks)} tasks"
    return seen, ("adaptation raises the query error",) * (both_rise or beyond_chance)


def are_disjoint(patient: Patient) -> Seen:
    """The family puts no example into both support and query."""
    shared = total = 0
    for task in each(patient.many):
        same = (task.support.x[:, None] == task.query.x[None]).flatten(2).all(-1)
        shared, total = shared + int(same.any(0).sum()), total + len(task.query.x)
    return f"{shared} of {total} query examples stand in the support", ("support and query overlap",) * (shared > 0)


def evaluation(patient: Patient) -> Seen:
    """Change the query, then the evidence, and see whether the reported error knows."""
    thetas = []

    def ask(tasks: Task) -> Tensor:
        thetas.append(copied(patient.theta))
        error = torch.as_tensor(patient.evaluate(thetas[-1], tasks)).detach().double().mean()
        if not error.isfinite():
            raise ValueError(f"evaluate gave {float(error)}")
        return error

    tasks, others = patient.tasks, patient.others
    own = ask(tasks)

    def unchanged(tasks: Task) -> bool:
        return bool((ask(tasks) - own).abs() <= 1e-6 * own.abs())

    seen = {
        "θ is changed in place": not same(thetas[0], patient.theta),
        "tasks leak": not unchanged(map_tasks(lambda t: t.flip(0), tasks)),
        "judged on the support": unchanged(tasks._replace(query=others.query)),
        "judged before adaptation": unchanged(others._replace(query=tasks.query)),
    }
    if not any(seen.values()) and deals_unnoticed(lambda tasks: ask(tasks)[None], tasks):
        meets = evidence_meets(lambda tasks: ask(tasks)[None], tasks, others)
        seen["one φ for all tasks" if meets else "another task's query is judged"] = True
    faults = tuple(name for name, is_seen in seen.items() if is_seen)
    return f"reports {_number(own)}" + "; it knows support and query" * (not faults), faults


def _shapes(params: Params) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in params.items()}


def _number(value: float | Tensor) -> str:
    return f"{value:.2f}" if 0.01 <= abs(value) < 1e4 else f"{value:.2g}"


def _small(error: float) -> str:
    """A rounding error in words: its digits differ from machine to machine."""
    return f"below {TOLERANCE:g}" if error <= TOLERANCE else f"{error:.2g}"


ALWAYS = {
    "it runs": runs,
    "θ is left as it was": theta_is_kept,
    "tasks are independent": tasks_are_independent,
    "every task's query counts": queries_count,
    "adaptation goes downhill": adapts,
    "what the meta-loss measures": meta_loss,
    "the direction": direction,
    "labels stay with their inputs": labels_stay,
    "every example counts": examples_count,
    "adaptation helps": query_error_falls,
    "support and query are disjoint": are_disjoint,
}
"""The checks by name, in the order in which they are made."""

OF_EVALUATION = {"the evaluation": evaluation}
"""Made where the reader has an evaluation to be looked at."""
