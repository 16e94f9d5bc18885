"""The implementations that `outer_step.py` compares: one maker for each, setting -> Contender.

All of them sample the same family, start from the same theta and descend with Adam. Those that need
an optional library import it in their maker, so that a missing one costs its own row only.
"""

import os
import shutil
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.learners.gradient import maml
from mapping_lib.meta_training import meta_train
from mapping_lib.networks import mlp
from mapping_lib.task import Params, Task

SIZES = (1, 40, 40, 1)
ALPHA = 0.01
BETA = 0.001
K_SHOT = N_QUERY = 10
FOREVER = 10**9
mse = nn.functional.mse_loss


class Setting(NamedTuple):
    """What is varied: the number of tasks an outer step, and of inner steps."""

    tasks: int
    steps: int


class Contender(NamedTuple):
    """``gradient`` gives the meta-gradient, to be checked; ``run`` takes ``chunk`` whole outer steps."""

    gradient: Callable[[Params, Task], Params]
    run: Callable[[], object]
    chunk: int = 1
    compile_seconds: float | None = None


class Unavailable(Exception):
    """Why an implementation cannot run here."""


def first_theta() -> Params:
    """The meta-parameters that every implementation starts from."""
    return maml(mlp(SIZES), mse).init(generator=torch.Generator().manual_seed(0))


def sampler(setting: Setting, seed: int = 1, dtype: torch.dtype = torch.float32) -> Callable[[], Task]:
    """A function that draws the tasks of one outer step."""
    family, generator = Sinusoids(dtype=dtype), torch.Generator().manual_seed(seed)
    return lambda: family.sample(setting.tasks, K_SHOT, N_QUERY, generator=generator)


# Ours ------------------------------------------------------------------------------------------------


def ours(setting: Setting) -> Contender:
    """`meta_train` with `maml`, exactly as the notebooks call it: every check and copy is in the time."""
    learner = maml(mlp(SIZES), mse, alpha=ALPHA, steps=setting.steps)
    progress = meta_train(
        learner,
        Sinusoids(),
        beta=BETA,
        outer_steps=FOREVER,
        generator=torch.Generator().manual_seed(1),
        tasks_per_step=setting.tasks,
        k_shot=K_SHOT,
        n_query=N_QUERY,
        theta=first_theta(),
    )
    return Contender(lambda theta, tasks: learner.meta_grad(theta, tasks)[1], lambda: next(progress))


# One task after the other, on a module ---------------------------------------------------------------


def _of_module(setting: Setting, backward: Callable[[nn.Module, Task], None]) -> Contender:
    """A contender made of ``backward``, which adds the meta-gradient to the ``.grad`` of a module."""

    def gradient(theta: Params, tasks: Task) -> Params:
        net = _module_with(theta)
        backward(net, tasks)
        return {name: p.grad for name, p in net.named_parameters()}

    net, sample = _module_with(first_theta()), sampler(setting)
    adam = torch.optim.Adam(net.parameters(), lr=BETA, fused=True)

    def run() -> None:
        adam.zero_grad()
        backward(net, sample())
        adam.step()

    return Contender(gradient, run)


def _module_with(theta: Params) -> nn.Module:
    net = mlp(SIZES).to(next(iter(theta.values())).dtype)
    net.load_state_dict(theta)
    return net


def _each(tasks: Task):
    """The tasks one by one, as tuples (support x, support y, query x, query y)."""
    return zip(*tasks.support, *tasks.query, strict=True)


def plain_loop(setting: Setting) -> Contender:
    """What common libraries do for each task: clone the module, take steps on a graph, backpropagate."""

    def backward(net: nn.Module, tasks: Task) -> None:
        for x, y, query_x, query_y in _each(tasks):
            learner = _clone(net)
            for _ in range(setting.steps):
                params = list(learner.parameters())
                slopes = torch.autograd.grad(mse(learner(x), y), params, create_graph=True)
                _replace(learner, iter([p - ALPHA * g for p, g in zip(params, slopes, strict=True)]))
            (mse(learner(query_x), query_y) / setting.tasks).backward()

    return _of_module(setting, backward)


def _clone(module: nn.Module) -> nn.Module:
    """Copy a module without cutting the graph: its parameters are functions of the original's."""
    clone = module.__new__(type(module))
    clone.__dict__ = {**module.__dict__}
    clone._parameters = {name: None if p is None else p.clone() for name, p in module._parameters.items()}
    clone._modules = {name: _clone(child) for name, child in module._modules.items()}
    return clone


def _replace(module: nn.Module, values) -> None:
    """Put new tensors, which may have a history, in the place of a clone's parameters."""
    for name in module._parameters:
        module._parameters[name] = next(values)
    for child in module._modules.values():
        _replace(child, values)


def by_higher(setting: Setting) -> Contender:
    """`higher`, as in its own MAML example: `innerloop_ctx` around a torch SGD, for each task."""
    try:
        import higher
    except ImportError as error:
        raise Unavailable("higher is not installed") from error

    def backward(net: nn.Module, tasks: Task) -> None:
        inner = torch.optim.SGD(net.parameters(), lr=ALPHA)
        for x, y, query_x, query_y in _each(tasks):
            with higher.innerloop_ctx(net, inner, copy_initial_weights=False) as (learner, descent):
                for _ in range(setting.steps):
                    descent.step(mse(learner(x), y))
                (mse(learner(query_x), query_y) / setting.tasks).backward()

    return _of_module(setting, backward)


def by_torchopt(setting: Setting) -> Contender:
    """TorchOpt, as in its own MAML example: `MetaSGD`, and the module's state put back after each task."""
    try:
        import torchopt
    except ImportError as error:
        raise Unavailable("torchopt is not installed") from error

    def backward(net: nn.Module, tasks: Task) -> None:
        inner = torchopt.MetaSGD(net, lr=ALPHA)
        start = torchopt.extract_state_dict(net, by="reference", detach_buffers=True)
        inner_start = torchopt.extract_state_dict(inner, by="reference")
        for x, y, query_x, query_y in _each(tasks):
            for _ in range(setting.steps):
                inner.step(mse(net(x), y))
            loss = mse(net(query_x), query_y) / setting.tasks
            torchopt.recover_state_dict(net, start)
            torchopt.recover_state_dict(inner, inner_start)
            loss.backward()

    return _of_module(setting, backward)


# All tasks at once, by torch.func --------------------------------------------------------------------


def _predict(params: Params, x: Tensor) -> Tensor:
    """The network written out, which costs less than `torch.func.functional_call`."""
    h = nn.functional.linear(x, params["0.weight"], params["0.bias"]).relu()
    h = nn.functional.linear(h, params["2.weight"], params["2.bias"]).relu()
    return nn.functional.linear(h, params["4.weight"], params["4.bias"])


def _functional_gradient(steps: int) -> Callable[[Params, Task], Params]:
    def support_loss(params: Params, x: Tensor, y: Tensor) -> Tensor:
        return mse(_predict(params, x), y)

    def task_loss(params: Params, x: Tensor, y: Tensor, query_x: Tensor, query_y: Tensor) -> Tensor:
        for _ in range(steps):
            slopes = torch.func.grad(support_loss)(params, x, y)
            params = {name: p - ALPHA * slopes[name] for name, p in params.items()}
        return mse(_predict(params, query_x), query_y)

    def meta_loss(theta: Params, tasks: Task) -> Tensor:
        each = torch.func.vmap(task_loss, in_dims=(None, 0, 0, 0, 0))
        return each(theta, *tasks.support, *tasks.query).mean()

    return torch.func.grad(meta_loss)


def _of_function(setting: Setting, gradient: Callable[[Params, Task], Params]) -> Contender:
    """A contender made of ``gradient``, which returns the meta-gradient."""
    theta, sample = first_theta(), sampler(setting)
    adam = torch.optim.Adam(list(theta.values()), lr=BETA, fused=True)

    def run() -> None:
        direction = gradient(theta, sample())
        for name, p in theta.items():
            p.grad = direction[name]
        adam.step()

    return Contender(gradient, run)


def vmap_grad(setting: Setting) -> Contender:
    """`torch.func`: grad of the mean of vmap over tasks of a loss that calls grad, without compilation."""
    return _of_function(setting, _functional_gradient(setting.steps))


def compiled(setting: Setting) -> Contender:
    """The same function under `torch.compile`, whose cost is reported with all caches off."""
    if not (shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++") or shutil.which("clang++")):
        raise Unavailable("torch.compile finds no C++ compiler")
    import torch._inductor.config

    torch._inductor.config.force_disable_caches = True
    contender = _of_function(setting, torch.compile(_functional_gradient(setting.steps), dynamic=False))
    return contender._replace(compile_seconds=_seconds(contender.run))


# JAX -------------------------------------------------------------------------------------------------

JAX_CHUNK = 50
"""Outer steps in one compiled `lax.scan`."""


def by_jax(setting: Setting) -> Contender:
    """JAX and optax: sampling, meta-gradient and Adam in one compiled `lax.scan` over outer steps."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    try:
        import jax
        import optax
    except ImportError as error:
        raise Unavailable("jax and optax are not both installed") from error

    adam, gradient = optax.adam(BETA), jax.grad(_jax_meta_loss(setting.steps))

    def outer_step(state, key):
        theta, moments = state
        updates, moments = adam.update(gradient(theta, *_jax_sample(key, setting.tasks)), moments)
        return (optax.apply_updates(theta, updates), moments), None

    @jax.jit
    def chunk(theta, moments, key):
        key, now = jax.random.split(key)
        return *jax.lax.scan(outer_step, (theta, moments), jax.random.split(now, JAX_CHUNK))[0], key

    theta = {name: jax.numpy.asarray(p.numpy()) for name, p in first_theta().items()}
    state = [theta, adam.init(theta), jax.random.key(1)]

    def run() -> None:
        state[:] = jax.block_until_ready(chunk(*state))

    return Contender(_from_torch(jax, gradient), run, JAX_CHUNK, _seconds(run))


def _jax_meta_loss(steps: int):
    import jax
    from jax.nn import relu

    def loss(params, x, y):
        h = relu(x @ params["0.weight"].T + params["0.bias"])
        h = relu(h @ params["2.weight"].T + params["2.bias"])
        return ((h @ params["4.weight"].T + params["4.bias"] - y) ** 2).mean()

    def task_loss(params, x, y, query_x, query_y):
        for _ in range(steps):
            slopes = jax.grad(loss)(params, x, y)
            params = {name: p - ALPHA * slopes[name] for name, p in params.items()}
        return loss(params, query_x, query_y)

    each = jax.vmap(task_loss, in_axes=(None, 0, 0, 0, 0))
    return lambda theta, *tasks: each(theta, *tasks).mean()


def _jax_sample(key, n_tasks: int):
    """As `Sinusoids().sample`, with JAX's own random numbers."""
    import jax

    def uniform(key, bounds, n_columns):
        return jax.random.uniform(key, (n_tasks, n_columns, 1), minval=bounds[0], maxval=bounds[1])

    family, keys = Sinusoids(), jax.random.split(key, 3)
    x = uniform(keys[0], family.x, K_SHOT + N_QUERY)
    y = uniform(keys[1], family.amplitude, 1) * jax.numpy.sin(x - uniform(keys[2], family.phase, 1))
    return x[:, :K_SHOT], y[:, :K_SHOT], x[:, K_SHOT:], y[:, K_SHOT:]


def _from_torch(jax, gradient) -> Callable[[Params, Task], Params]:
    """Let a JAX gradient be called with torch tensors, for the check."""
    compiled = jax.jit(gradient)

    def call(theta: Params, tasks: Task) -> Params:
        theta = {name: jax.numpy.asarray(p.numpy()) for name, p in theta.items()}
        batches = [jax.numpy.asarray(t.numpy()) for t in (*tasks.support, *tasks.query)]
        return {name: torch.tensor(jax.device_get(g)) for name, g in compiled(theta, *batches).items()}

    return call


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


CONTENDERS: dict[str, Callable[[Setting], Contender]] = {
    "ours": ours,
    "plain loop": plain_loop,
    "higher": by_higher,
    "TorchOpt": by_torchopt,
    "vmap(grad)": vmap_grad,
    "compile": compiled,
    "jax": by_jax,
}
