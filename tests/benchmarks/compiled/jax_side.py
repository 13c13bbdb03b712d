"""JAX: one jitted function with its state donated, called with arrays that are on the device already.

JAX is taken at its best: nothing waits for a call before the end of a round; weights lie as (in, out) for one row and
as (out, in) for many, whichever is faster; on one core there is no dispatch to a second thread.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from tests.benchmarks.compiled.workloads import BlackScholes, Dense, Logistic, Update
from tests.benchmarks.side_by_side import cores
from tests.benchmarks.side_by_side.tasks import Candidate, mean_squares, means

jax.config.update("jax_cpu_enable_async_dispatch", cores() > 1)
jnp.zeros(1).block_until_ready()  # starts JAX


def build(task: Dense | Logistic | BlackScholes | Update, how: str) -> Candidate:
    """The task under jit; there is one way, so `how` is empty."""
    if isinstance(task, Update):
        return update_step(task)
    data = [jnp.asarray(a) for a in task.data()]
    if isinstance(task, BlackScholes):
        return Candidate(functools.partial(prices, *data), jax.block_until_ready, lambda out: means([out[0], *out[1]]))
    parameters = [jnp.asarray(p) for p in task.parameters()]
    if isinstance(task, Dense) and task.batch == 1:
        parameters[0::2] = [w.T.copy() for w in parameters[0::2]]
    update = adam if isinstance(task, Dense) and task.adam else descend
    state: Any = (parameters, start(parameters) if update is adam else ())

    def step(state: Any, batch: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
        parameters, rest = state
        loss_of = logistic_loss if isinstance(task, Logistic) else dense_loss
        loss, gradients = jax.value_and_grad(loss_of)(parameters, *batch)
        return update(task.lr, parameters, gradients, rest), loss

    many = isinstance(task, Dense) and task.batches
    jitted = jax.jit((lambda state, data: jax.lax.scan(step, state, data)) if many else step, donate_argnums=0)
    batch = tuple(data)

    def call() -> jax.Array:
        nonlocal state
        state, loss = jitted(state, batch)
        return loss

    return Candidate(call, jax.block_until_ready, lambda loss: means([loss]))


def dense_loss(parameters: list[jax.Array], x: jax.Array, y: jax.Array) -> jax.Array:
    """The mean squared error of the net."""
    for w, b in zip(parameters[0::2], parameters[1::2], strict=True):
        x = jnp.tanh(x @ (w if len(x) == 1 else w.T) + b)
    return jnp.mean((x - y) ** 2)


def logistic_loss(parameters: list[jax.Array], x: jax.Array, y: jax.Array) -> jax.Array:
    """The mean binary cross-entropy."""
    w, b = parameters
    z = x @ w + b
    return jnp.mean(jax.nn.softplus(z) - z * y)


def descend(lr: float, parameters: Any, gradients: Any, rest: Any) -> tuple[Any, Any]:
    """SGD."""
    return jax.tree.map(lambda p, g: p - lr * g, parameters, gradients), rest


def start(parameters: Any) -> Any:
    """Adam's state: the number of updates and two moments."""
    return jnp.zeros((), int), *(jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))


def adam(lr: float, parameters: Any, gradients: Any, rest: Any) -> tuple[Any, Any]:
    """Adam, with PyTorch's defaults."""
    count, ms, vs = rest
    count += 1
    ms = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, ms, gradients)
    vs = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, vs, gradients)
    rate, correction = lr / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
    update = lambda p, m, v: p - rate * m / (jnp.sqrt(v) / correction + 1e-8)
    return jax.tree.map(update, parameters, ms, vs), (count, ms, vs)


def update_step(task: Update) -> Candidate:
    """A step of Adam, its state donated."""
    p, g = jnp.asarray(task.parameters()), jnp.asarray(task.data())
    state: Any = (p, start(p))
    jitted = jax.jit(lambda state, g: adam(task.lr, state[0], g, state[1]), donate_argnums=0)

    def call() -> jax.Array:
        nonlocal state
        state = jitted(state, g)
        return state[0]

    # What the last call gave is donated to the next.
    return Candidate(call, jax.block_until_ready, lambda p: mean_squares([p]))


def prices(*inputs: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """The sum of the prices and its gradients: as a map over options, summed behind it, which takes half the time of a
    gradient of the sum."""
    values, gradients = mapped(*inputs)
    return values.sum(), gradients


def price(s: jax.Array, k: jax.Array, r: jax.Array, v: jax.Array, t: jax.Array) -> jax.Array:
    """The price of one option."""
    spread = v * jnp.sqrt(t)
    d1 = (jnp.log(s / k) + (r + 0.5 * v * v) * t) / spread
    n1, n2 = (0.5 + 0.5 * jax.scipy.special.erf(d * math.sqrt(0.5)) for d in (d1, d1 - spread))
    return s * n1 - k * jnp.exp(-r * t) * n2


mapped = jax.jit(jax.vmap(jax.value_and_grad(price, argnums=(0, 1, 2, 3, 4))))
