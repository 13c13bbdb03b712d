"""JAX: one jitted function with its state donated, called with arrays that are on the device already.

JAX is taken at its best: nothing waits for a call before the end of a round; images have their channels last, as XLA's
convolutions on a CPU want them; the inputs of all steps of a recurrent layer go through one product before its `lax.scan`;
on one core there is no dispatch to a second thread.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from tests.benchmarks.layers.workloads import (
    Classifier,
    Convolution,
    Depthwise,
    Recurrent,
    Task,
    Transformer,
)
from tests.benchmarks.side_by_side import cores
from tests.benchmarks.side_by_side.tasks import Array, Candidate, mean_squares, means

jax.config.update("jax_cpu_enable_async_dispatch", cores() > 1)
jnp.zeros(1).block_until_ready()  # starts JAX

NCHW = ("NCHW", "OIHW", "NCHW")
NHWC = ("NHWC", "HWIO", "NHWC")


def build(task: Task, how: str) -> Candidate:
    """The task under jit; `how` is empty but for the variant "/nhwc" of a convolution."""
    if isinstance(task, Convolution):
        return convolution(task, NHWC if how else NCHW)
    loss_of, parameters, data = prepared(task)
    state = [jnp.asarray(p) for p in parameters]
    batch = [jnp.asarray(a) for a in data]
    lr = task.lr

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: list[jax.Array], batch: list[jax.Array]) -> tuple[list[jax.Array], jax.Array]:
        loss, gradients = jax.value_and_grad(loss_of)(state, *batch)
        return [p - lr * g for p, g in zip(state, gradients, strict=True)], loss

    def call() -> jax.Array:
        nonlocal state
        state, loss = step(state, batch)
        return loss

    return Candidate(call, jax.block_until_ready, lambda loss: means([loss]))


def load(how: str) -> None:
    """What the first call of all brings into memory."""
    jax.jit(jax.grad(lambda x: jnp.tanh(x @ x).sum()))(jnp.ones((2, 2))).block_until_ready()


Prepared = tuple[Callable[..., jax.Array], list[Array], list[Array]]


def prepared(task: Task) -> Prepared:
    """The loss as a function of parameters and data, and both as it wants them."""
    parameters, data = task.parameters(), list(task.data())
    if isinstance(task, (Classifier, Depthwise)):
        data[0] = data[0].transpose(0, 2, 3, 1).copy()
        parameters = [p.transpose(2, 3, 1, 0).copy() if p.ndim == 4 else p for p in parameters]
    if isinstance(task, Classifier):
        first = parameters[-4].reshape(-1, *task.flat())
        parameters[-4] = first.transpose(0, 2, 3, 1).reshape(len(first), -1)
        if task.batch == 1:
            parameters[-4::2] = [w.T.copy() for w in parameters[-4::2]]
        return functools.partial(classifier, task), parameters, data
    if isinstance(task, Depthwise):
        return depthwise, parameters, data
    if isinstance(task, Recurrent):
        return functools.partial(recurrent, {"LSTM": lstm, "GRU": gru}[task.cell], task.hidden), parameters, data
    if isinstance(task, Transformer):
        return functools.partial(transformer, task.heads), parameters, data
    return (lambda parameters, words: mean_of_squares(parameters[0][words])), parameters, data


def mean_of_squares(out: jax.Array) -> jax.Array:
    """Zero is where the outputs are to go."""
    return jnp.mean(out * out)


def conv(x: jax.Array, w: jax.Array, layout: tuple[str, str, str], pad: int, groups: int = 1) -> jax.Array:
    """A convolution with stride 1."""
    return jax.lax.conv_general_dilated(
        x, w, (1, 1), [(pad, pad)] * 2, dimension_numbers=layout, feature_group_count=groups
    )


def classifier(task: Classifier, parameters: list[jax.Array], x: jax.Array, labels: jax.Array) -> jax.Array:
    """Convolutions, dense layers, cross entropy."""
    activation = {"Tanh": jnp.tanh, "ReLU": jax.nn.relu}[task.activation]
    *convolutions, w1, b1, w2, b2 = parameters
    for w, b in zip(convolutions[0::2], convolutions[1::2], strict=True):
        x = activation(conv(x, w, NHWC, 0) + b)
        if task.pooled:
            x = pooled(x)
    x = x.reshape(len(x), -1)
    if len(x) > 1:
        w1, w2 = w1.T, w2.T
    scores = activation(x @ w1 + b1) @ w2 + b2
    return -jnp.mean(jax.nn.log_softmax(scores)[jnp.arange(len(x)), labels])


def pooled(x: jax.Array) -> jax.Array:
    """The maxima of 2x2 windows, by `reshape`: the gradient of `lax.reduce_window` takes far longer."""
    n, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def depthwise(parameters: list[jax.Array], x: jax.Array) -> jax.Array:
    """Two convolutions with ReLU."""
    w1, b1, w2, b2 = parameters
    x = jax.nn.relu(conv(x, w1, NHWC, 1, groups=x.shape[3]) + b1)
    return mean_of_squares(jax.nn.relu(conv(x, w2, NHWC, 0) + b2))


def recurrent(cell: Callable[..., Any], hidden: int, parameters: list[jax.Array], x: jax.Array) -> jax.Array:
    """A scan over the steps, from zeros."""
    by_input, by_hidden, bias_input, bias_hidden = parameters
    start = jnp.zeros((x.shape[1], hidden), x.dtype)
    state = (start, start) if cell is lstm else start
    inputs = x @ by_input.T + bias_input
    _, outputs = jax.lax.scan(lambda state, x: cell(x, by_hidden, bias_hidden, state), state, inputs)
    return mean_of_squares(outputs)


def lstm(x: jax.Array, w: jax.Array, bias: jax.Array, state: tuple[jax.Array, jax.Array]) -> Any:
    """One step: state and output."""
    h, c = state
    i, f, g, o = jnp.split(x + h @ w.T + bias, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def gru(x: jax.Array, w: jax.Array, bias: jax.Array, h: jax.Array) -> Any:
    """One step: state and output."""
    x_r, x_z, x_n = jnp.split(x, 3, axis=1)
    h_r, h_z, h_n = jnp.split(h @ w.T + bias, 3, axis=1)
    z = jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * h_n)
    h = (1 - z) * n + z * h
    return h, h


def transformer(heads: int, parameters: list[jax.Array], x: jax.Array) -> jax.Array:
    """The block."""
    scale1, shift1, qkv, qkv_bias, output, output_bias, scale2, shift2, up, up_bias, down, down_bias = parameters
    batch, length, width = x.shape
    parts = (norm(x, scale1, shift1) @ qkv.T + qkv_bias).reshape(batch, length, 3, heads, width // heads)
    q, k, v = (parts[:, :, i].swapaxes(1, 2) for i in range(3))
    scores = q @ k.swapaxes(2, 3) / math.sqrt(width // heads)
    causal = jnp.tril(jnp.ones((length, length), bool))
    attended = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf)) @ v
    x = x + attended.swapaxes(1, 2).reshape(batch, length, width) @ output.T + output_bias
    inside = jax.nn.gelu(norm(x, scale2, shift2) @ up.T + up_bias, approximate=False)
    return mean_of_squares(x + inside @ down.T + down_bias)


def norm(x: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """Layer normalisation over the last axis."""
    off = x - x.mean(-1, keepdims=True)
    return off * jax.lax.rsqrt((off * off).mean(-1, keepdims=True) + 1e-5) * scale + shift


def convolution(task: Convolution, layout: tuple[str, str, str]) -> Candidate:
    """In either layout."""
    w, b = task.parameters()
    x, g = task.data()
    if layout is NHWC:
        x, g, w = x.transpose(0, 2, 3, 1), g.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0)
    arrays = [jnp.array(a) for a in (x, w, b, g)]
    channels = (-1,) if layout is NHWC else (-1, 1, 1)

    def f(x: jax.Array, w: jax.Array, b: jax.Array) -> jax.Array:
        return conv(x, w, layout, 1) + b.reshape(channels)

    def both(x: jax.Array, w: jax.Array, b: jax.Array, g: jax.Array) -> Any:
        out, pull = jax.vjp(f, x, w, b)
        return out, *pull(g)

    if task.both:
        return Candidate(functools.partial(jax.jit(both), *arrays), jax.block_until_ready, mean_squares)
    return Candidate(functools.partial(jax.jit(f), *arrays[:3]), jax.block_until_ready, lambda out: mean_squares([out]))
