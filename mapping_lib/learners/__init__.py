"""Learners, each a mapping from (theta, evidence) to phi, under one contract.

learner                            theta                         the mapping it is
maml, fomaml, anil, reptile        initial weights               (theta, S) -> phi
meta_sgd                           weights and per-weight alpha  (theta, alpha, S) -> phi
hypernetwork                       weights of h                  d -> phi
set_network                        weights of G                  S -> phi
learned_rule                       the rule's weights, a start   (phi, gradient) -> phi', unrolled
gradient_flow                      initial weights, a time tau   tau -> phi(tau)
in_context                         a transformer's weights       (S, x) -> y, phi is theta and the support
policy_maml, trust_region_maml     initial policy                (theta, trajectories) -> phi
prototypical                       an embedding's weights        S -> phi, the means of its classes
naive_bayes                        a prior (pseudo-counts)       S -> phi, the posterior mean
on_features                        a body's weights and theta'   (theta, S) -> phi, adapting on what the body gives
few_numbers, written_numbers       shared weights (and h's)      S or d -> a few numbers -> phi: LoRA, CAVIA
test_time                          a transformer's weights       (theta, S) -> phi, steps before in_context
prior_fitted, neural_process       a reader's weights            (S, x) -> p(y)
recurrent_policy                   a recurrent policy's weights  (theta, trajectories) -> phi, its hidden state
implicit_maml                      initial weights               (theta, S) -> phi, where an inner problem is solved
joint, joint_adam, from_scratch    initial weights               the honest baselines
nearest_neighbour                  nothing                       S -> phi, the support itself
bayes_ridge                        nothing                       S -> phi, Bayes' rule for noisy linear functions
gaussian_prior, choice_prior       a distribution of phi         (theta, S) -> phi, Bayes' rule with a learned prior

`uneven` lets any of them learn from tasks of several sizes. Learners that one chapter uses stand in its folder.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

from torch import Tensor

from mapping_lib.task import Params, Task


class MetaLearner(NamedTuple):
    """A way of learning, and how to improve it. All functions are pure, and any number of threads may use them.

    A learner holds functions, which cannot be sent to another process: send what makes it, a function that the
    process can import with its arguments, and theta, which are tensors.

    ``init(*, generator) -> theta``: fresh meta-parameters.
    ``adapt(theta, support, *, description=None, steps=None) -> phi``: one task; differentiable, vmappable.
    ``predict(phi, x) -> y_hat``: one task, ``x (example, feature)``.
    ``meta_grad(theta, tasks) -> (meta_loss, direction)``: several tasks; the direction has theta's names
    and is what the outer optimiser descends.
    ``claims``: what ``direction`` is said to be, and is tested against: the exact gradient of the
    meta-loss, a first-order stand-in for it, or no gradient of it at all.
    ``adapt_path(theta, support, *, steps) -> path``: several tasks at once (``support`` leads with the
    task dimension); every tensor of ``path`` leads with ``(steps + 1, task)``. For looking, not for
    differentiating. None where adaptation has no steps.
    """

    init: Callable[..., Params]
    adapt: Callable[..., Params]
    predict: Callable[[Params, Tensor], Tensor]
    meta_grad: Callable[[Params, Task], tuple[Tensor, Params]]
    claims: Literal["exact", "first order", "no gradient"]
    adapt_path: Callable[..., Params] | None = None
