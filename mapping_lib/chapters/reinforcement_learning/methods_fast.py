"""The fast path of `methods.live`: one task's policy by plain products, and the rollouts to look at."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import grad
from torch.nn.functional import linear

from mapping_lib.inner_loop import inner_step
from mapping_lib.networks import FunctionalNetwork
from mapping_lib.task import Batch, Params
from mapping_lib.worlds.goals import Act, Navigation, Rollouts

from .methods import Alphas
from .methods_policies import experience, surrogate


@torch.no_grad()
def updates(
    model: FunctionalNetwork,
    family: Navigation,
    theta: Params,
    luck: Sequence[Batch],
    *,
    alpha: float | Sequence[float],
) -> list[tuple[Params, Rollouts]]:
    """phi after 0, 1, 2 ... updates of one task, each with the rollouts that the next update learns from.

    There are as many as elements of ``luck``, each ``(1, trajectory, horizon, 2)`` as `Navigation.sample` draws it.
    ``model`` is a `GaussianPolicy`, ``alpha`` as for `policy_maml`. Raises ValueError for an alpha below 0.

    >>> from mapping_lib.chapters.reinforcement_learning.methods_policies import GaussianPolicy
    >>> from mapping_lib.networks import functional
    >>> family, model = Navigation(horizon=5), functional(GaussianPolicy((2, 8, 2)))
    >>> luck = [family.sample(1, 4, 0, generator=torch.Generator().manual_seed(i)).support for i in range(3)]
    >>> theta = model.init(generator=torch.Generator().manual_seed(0))
    >>> [rollouts.returns.shape for _, rollouts in updates(model, family, theta, luck, alpha=(0.1, 0.05))]
    [torch.Size([1, 4]), torch.Size([1, 4]), torch.Size([1, 4])]
    """
    sizes = Alphas.of(alpha)
    phi, path = theta, []
    for step, tries in enumerate(luck):
        if step:
            phi = updated(model, *path[-1], sizes.at(step - 1))
        path.append((phi, family.rollouts(acting(phi), tries)))
    return path


def updated(model: FunctionalNetwork, phi: Params, rollouts: Rollouts, alpha: float) -> Params:
    """One update of ``phi``, from the rollouts of one task that it made itself."""
    x, y = experience(rollouts)
    slope = grad(lambda phi: surrogate(model.predict(phi, x[0]), y[0]))(phi)
    return inner_step(phi, slope, alpha)


def acting(phi: Params) -> Act:
    """`GaussianPolicy` with the parameters ``phi``: in a hundred small calls a module costs more than its arithmetic.

    >>> from mapping_lib.chapters.reinforcement_learning.methods_policies import GaussianPolicy
    >>> policy, seen = GaussianPolicy((2, 8, 8, 2)), torch.randn(7, 2)
    >>> torch.equal(acting({name: p.detach() for name, p in policy.named_parameters()})(seen), policy(seen))
    True
    """
    numbers = [p for name, p in phi.items() if name != "log_std"]
    (weight, bias), *layers = zip(numbers[0::2], numbers[1::2], strict=True)

    def act(seen: Tensor) -> Tensor:
        hidden = linear(seen, weight, bias)
        for w, b in layers:
            hidden = linear(hidden.relu_(), w, b)
        return torch.cat([hidden, phi["log_std"].expand_as(hidden)], -1)

    return act
