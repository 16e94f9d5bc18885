"""What a worker process imports: a function that makes a learner from arguments, and one that uses it."""

import torch

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners import MetaLearner
from mapping_lib.learners.gradient import maml
from mapping_lib.networks import mlp


def make_learner(width: int, steps: int) -> MetaLearner:
    """A learner cannot be sent to another process, as its functions are closures; this function and numbers can."""
    return maml(mlp((1, width, 1), torch.nn.Tanh), torch.nn.functional.mse_loss, steps=steps)


def meta_loss(width: int, steps: int, seed: int) -> float:
    """Make the learner anew, and give the meta-loss of a fresh theta."""
    learner, generator = make_learner(width, steps), torch.Generator().manual_seed(seed)
    theta = learner.init(generator=generator)
    return float(learner.meta_grad(theta, Sinusoids().sample(4, 5, 5, generator=generator))[0])
