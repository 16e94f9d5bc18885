"""How a direction is measured: against central differences, and against the mean gradient at phi."""

import torch
from torch import Tensor

from mapping_lib.doctor.patient import TOLERANCE, Patient, one
from mapping_lib.doctor.steps import gradient
from mapping_lib.params import dot, norm
from mapping_lib.task import Params, Task


def error_against_central_differences(patient: Patient, tasks: Task, direction: Params) -> tuple[float, float]:
    """How far the direction is from the gradient of the meta-loss that the learner itself reports.

    Returns the relative error of the best positive multiple, and how many times too long the direction is. A
    kink of the network between the two points spoils a difference: then a shorter one may agree. A wrong
    direction agrees at no length.
    """
    promised = torch.tensor([float(dot(direction, v)) for v in patient.probes], dtype=torch.float64)
    for eps in (1e-6, 1e-8, 1e-10):
        slopes = _slopes(patient, tasks, eps)
        factor = (slopes / promised).median().clamp_min(1e-30)
        error = (factor * promised - slopes).abs().median() / slopes.abs().median().clamp_min(1e-30)
        if error <= TOLERANCE:
            break
    return float(error), float(1 / factor)


def _slopes(patient: Patient, tasks: Task, eps: float) -> Tensor:
    """The slope of the meta-loss along each probe, by central differences."""
    slopes = []
    for v in patient.probes:
        up, down = ({n: p + sign * eps * v[n] for n, p in patient.theta.items()} for sign in (1, -1))
        slopes.append((patient.meta_grad(tasks, up)[0] - patient.meta_grad(tasks, down)[0]) / (2 * eps))
    return torch.tensor(slopes, dtype=torch.float64)


def distance_from_first_order(patient: Patient, chosen: list[int], direction: Params) -> float | None:
    """The relative distance of the mean gradient at phi, on what is judged, from a positive multiple of direction."""
    role = patient.measure[1]
    if not role or not patient.phis[0].keys() <= patient.theta.keys():
        return None
    grads = []
    for i in chosen:
        batch = getattr(one(patient.tasks, i), role)
        for weight, phi in patient.judged(i):
            slope = gradient(lambda p, batch=batch: patient.error(p, batch), phi)
            grads.append({name: weight * g for name, g in slope.items()})
    mean = {name: sum(g[name] for g in grads) / len(chosen) for name in grads[0]}
    own = {name: direction[name] for name in mean}
    factor = (dot(own, mean) / dot(own, own).clamp_min(1e-300)).clamp_min(0.0)
    return float(norm({name: factor * own[name] - g for name, g in mean.items()}) / norm(mean))
