"""The exercises of chapter 3."""

from collections.abc import Callable

import torch
from torch import Tensor

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import fomaml
from mapping_lib.networks import mlp
from mapping_lib.page.checking import answered, check, need

_mse = torch.nn.functional.mse_loss


@check("repeat m times: the gradient at theta is theta - 3; then theta = theta - alpha * gradient.")
def check_descend(descend: Callable[[float, float, int], float]) -> str:
    """Chapter 3, exercise 1: ``descend(theta, alpha, steps)`` on the loss (theta - 3)^2 / 2."""
    for theta, alpha, steps in ((0.0, 0.5, 1), (1.0, 0.1, 5), (2.0, 0.3, 0), (-1.0, 1.9, 3)):
        expected = 3 + (1 - alpha) ** steps * (theta - 3)
        got = float(answered(descend(torch.tensor(theta), alpha, steps)))
        need(abs(got - expected) < 1e-4, f"descend({theta}, {alpha}, {steps}) is {got:.4f}, not {expected:.4f}.")
    return "After m steps the distance to the minimum is (1 - alpha)^m of what it was."


@check("only the inner gradient is a constant: call .detach() on each of its tensors, and on nothing else.")
def check_first_order(meta_loss: Callable) -> str:
    """Chapter 3, exercise 2: ``meta_loss(theta, tasks)`` whose gradient by theta is FOMAML's."""
    network = mlp((1, 40, 40, 1)).double()
    tasks = Sinusoids(dtype=torch.float64).sample(4, 5, 5, generator=torch.Generator().manual_seed(0))
    oracle = fomaml(network, _mse, alpha=0.01, steps=1)
    theta = oracle.init(generator=torch.Generator().manual_seed(1))
    value, wanted = oracle.meta_grad(theta, tasks)
    leaves = {name: p.clone().requires_grad_() for name, p in theta.items()}
    loss = answered(meta_loss(leaves, tasks))
    need(isinstance(loss, Tensor) and loss.dim() == 0, "the meta-loss should be a tensor without dimensions.")
    need(loss.requires_grad, "no gradient reaches theta: were the parameters detached?")
    need(bool(torch.isclose(loss, value)), "the meta-loss itself has changed: it should not.")
    got = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    need(all(g is not None for g in got), "no gradient reaches some of theta: was a parameter detached?")
    apart = max(float((g - w).abs().max()) for g, w in zip(got, wanted.values(), strict=True))
    need(apart < 1e-8, "this is still a different gradient from FOMAML's.")
    return "The same meta-loss, and the gradient without second derivatives."


@check("average the phis over the tasks (dimension 0), and say from where theta should move away.")
def check_reptile(direction: Callable[[Tensor, Tensor], Tensor]) -> str:
    """Chapter 3, exercise 3: ``direction(theta, phis)``, with ``phis (task, parameter)``, that Reptile descends."""
    theta, phis = torch.tensor([1.0, 2.0]), torch.tensor([[0.0, 2.0], [0.5, 5.0], [1.0, 2.0]])
    got = answered(direction(theta, phis))
    need(isinstance(got, Tensor) and got.shape == theta.shape, "the direction should have the shape of theta.")
    need(not torch.allclose(got, phis.mean(0) - theta), "descending that moves theta away from phi.")
    need(
        torch.allclose(got, theta - phis.mean(0)),
        f"you give {got.tolist()}, expected {(theta - phis.mean(0)).tolist()}.",
    )
    return "Descending theta - phi moves theta towards phi."
