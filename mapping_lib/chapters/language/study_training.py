"""How each theta of chapter 4c was made: meta-trained, jointly trained or counted, on the 80 training languages."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml
from mapping_lib.learners.prototypes import prototypical
from mapping_lib.networks import functional, mlp
from mapping_lib.study import Recipe
from mapping_lib.study.training import TOLD, Training
from mapping_lib.task import Params

from .family import WIDTH, Languages, part_features
from .methods import PRIOR

N_WAY, HIDDEN = 5, 64

# Networks ---------------------------------------------------------------------------------------------


class Weights(nn.Module):
    """One weight an n-gram: x times the weights, brought to unit length again, times one scale for all.

    >>> torch.allclose(Weights()(torch.full((1, 1024), 1 / 32)), torch.full((1, 1024), 1 / 32))
    True
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_weight = nn.Parameter(torch.zeros(WIDTH, dtype=torch.float32))
        self.log_scale = nn.Parameter(torch.zeros((), dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Weigh ``x (example, 1024)``."""
        return self.log_scale.exp() * normalize(x * self.log_weight.exp(), dim=-1)


def embedding() -> nn.Module:
    """The prototypical network's embedding: 1,024 features to 64 numbers, linear."""
    return nn.Linear(WIDTH, HIDDEN, bias=False)


class Mixture(nn.Module):
    """Raw features and their embedding side by side, each at unit length; ``share`` of the distance is the embedding's.

    >>> mixture = Mixture(0.25)
    >>> x = normalize(torch.rand(1, 1024))
    >>> mixture(x).shape, f"{mixture(x)[:, :1024].square().sum():.2f}"
    (torch.Size([1, 1088]), '0.75')
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(HIDDEN, WIDTH, generator=generator, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Put both side by side, ``(example, 1024 + 64)``."""
        return torch.cat([(1 - self.share) ** 0.5 * x, self.share**0.5 * normalize(x @ self.weight.T, dim=-1)], -1)


def classifier(n_classes: int = N_WAY) -> nn.Sequential:
    """What MAML and joint training train: 1,024 features, 64 hidden units, one logit a class."""
    return mlp((WIDTH, HIDDEN, n_classes))


# Recipes ----------------------------------------------------------------------------------------------


def _meta_trained(learner: str, make: Callable[..., MetaLearner], **given) -> Recipe:
    """Meta-training on the training languages, with one shot and cosine decay of beta to 0."""
    training = Training(make, Languages("train"), k_shot=1, n_query=5, tasks_per_step=8, **given)
    return training.recipe(*TOLD, "schedule", learner=learner, n_way=N_WAY)


def _jointly_trained(steps: int, beta: float, batch: int = 256, seed: int = 0) -> Params:
    """One classifier of all 80 training languages, by Adam on batches of names; its body alone is kept."""
    (x, y), model = part_features("train"), functional(classifier(int(part_features("train")[1].max()) + 1))
    generator = torch.Generator().manual_seed(seed)
    theta = {name: p.requires_grad_() for name, p in model.init(generator=generator).items()}
    adam = torch.optim.Adam(theta.values(), lr=beta, fused=True)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        some = torch.randint(len(x), (batch,), generator=generator)
        adam.zero_grad()
        cross_entropy(model.predict(theta, x[some]), y[some]).backward()
        adam.step()
        decay.step()
    return {name: theta[name].detach() for name in ("0.weight", "0.bias")}


def _background() -> Params:
    """The share of each n-gram among all those of the training languages, half a count added to each."""
    counted = part_features("train", "counts")[0].sum(0) + 0.5
    return {PRIOR: (counted / counted.sum()).log()}


def _inverse_document_frequency() -> Params:
    """Weights log((1 + n) / (1 + n_g)) for the n names of the training languages, n_g of which have g."""
    x, _ = part_features("train", "counts")
    weight = ((1 + len(x)) / (1 + (x > 0).sum(0))).log()
    return {"log_weight": weight.log(), "log_scale": torch.zeros((), dtype=torch.float32)}


JOINT = {"steps": 1500, "beta": 0.01, "batch": 256, "seed": 0}
RECIPES = {
    "names_prior": Recipe(_background, {"learner": "the mean of the prior"}),
    "names_idf": Recipe(_inverse_document_frequency, {"learner": "weights that are counted"}),
    "names_weights": _meta_trained(
        "learned weights", lambda: prototypical(Weights(), N_WAY), beta=0.01, outer_steps=250
    ),
    "names_prototypical": _meta_trained(
        "prototypical", lambda: prototypical(embedding(), N_WAY), beta=0.003, outer_steps=1000
    ),
    "names_maml": _meta_trained(
        "maml",
        partial(maml, classifier(), cross_entropy),
        beta=0.005,
        outer_steps=1000,
        inner={"alpha": 0.5, "steps": 5},
    ),
    "names_joint": Recipe(lambda: _jointly_trained(**JOINT), {"learner": "joint", **JOINT}),
}
