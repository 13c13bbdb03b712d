"""JAX: one jitted function with its state donated, called with arrays that are on the device already.

JAX is taken at its best: nothing waits for a call before the end of a round; images have their channels last, as XLA's
convolutions on a CPU want them; the inputs of all steps of a recurrent layer go through one product before its `lax.scan`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from tests.benchmarks.compiled.jax_side import adam, start
from tests.benchmarks.layers.jax_side import NHWC, gru, load, norm
from tests.benchmarks.networks.layers import (
    GRU,
    Activation,
    Attention,
    BatchNorm,
    Beside,
    Conv,
    Embedding,
    Layer,
    LayerNorm,
    Layers,
    Linear,
    MaxPool,
    Mean,
    Positions,
    Residual,
    Tokens,
    Up,
)
from tests.benchmarks.networks.workloads import Network
from tests.benchmarks.side_by_side.tasks import Array, Candidate, means

__all__ = ["build", "load"]

ACTIVATIONS = {
    "ReLU": jax.nn.relu,
    "ReLU6": jax.nn.relu6,
    "GELU": functools.partial(jax.nn.gelu, approximate=False),
}


def build(task: Network, how: str) -> Candidate:
    """The task under jit; there is one way, so `how` is empty."""
    parameters = [jnp.asarray(channels_last(p), jnp.float32) for p in task.parameters()]
    x, target = (jnp.asarray(a.transpose(0, 2, 3, 1) if a.ndim == 4 else a) for a in task.data())
    channels = list(normalised(task.layers))
    running = [(jnp.zeros(c), jnp.ones(c)) for c in channels]
    update, rest = (adam, start(parameters)) if task.adam else (momentum, [jnp.zeros_like(p) for p in parameters])
    state: Any = (parameters, rest, running)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state: Any, x: jax.Array, target: jax.Array) -> tuple[Any, jax.Array]:
        parameters, rest, running = state
        value = jax.value_and_grad(loss, argnums=1, has_aux=True)
        (found, statistics), gradients = value(task.layers, parameters, x, target)
        running = [
            tuple(0.9 * old + 0.1 * new for old, new in zip(*pair, strict=True))
            for pair in zip(running, statistics, strict=True)
        ]
        return (*update(task.lr, parameters, gradients, rest), running), found

    def call() -> jax.Array:
        nonlocal state
        state, found = step(state, x, target)
        return found

    return Candidate(call, jax.block_until_ready, lambda loss: means([loss]))


def channels_last(p: Array) -> Array:
    """A kernel of a convolution as (height, width, inputs, outputs)."""
    return p.transpose(2, 3, 1, 0) if p.ndim == 4 else p


def normalised(layers: Layers) -> Iterator[int]:
    """The channels of each batch normalisation."""
    for layer in layers:
        match layer:
            case BatchNorm(channels):
                yield channels
            case Residual(inner, skip):
                yield from normalised(inner + skip)
            case Beside(inner):
                yield from normalised(inner)


def momentum(lr: float, parameters: Any, gradients: Any, velocities: Any) -> tuple[Any, Any]:
    """SGD with momentum 0.9."""
    velocities = [0.9 * v + g for v, g in zip(velocities, gradients, strict=True)]
    return [p - lr * v for p, v in zip(parameters, velocities, strict=True)], velocities


def loss(layers: Layers, parameters: list[jax.Array], x: jax.Array, target: jax.Array) -> tuple[jax.Array, Any]:
    """The loss, with mean and variance of each batch normalisation."""
    run = Run(iter(parameters))
    out = run.sequence(layers, x)
    if target.ndim == 4:
        return jnp.mean((out - target) ** 2), run.statistics
    scores = jax.nn.log_softmax(out.reshape(-1, out.shape[-1]))
    return -jnp.mean(scores[jnp.arange(len(scores)), target.reshape(-1)]), run.statistics


class Run:
    """One pass forward, which takes the parameters in order."""

    def __init__(self, parameters: Iterator[jax.Array]) -> None:
        self.parameters = parameters
        self.statistics: list[tuple[jax.Array, jax.Array]] = []

    def take(self, count: int) -> Iterator[jax.Array]:
        """The next parameters."""
        return (next(self.parameters) for _ in range(count))

    def sequence(self, layers: Layers, x: jax.Array) -> jax.Array:
        """The layers one behind the other."""
        for layer in layers:
            x = self.layer(layer, x)
        return x

    def layer(self, layer: Layer, x: jax.Array) -> jax.Array:
        """What a layer makes."""
        match layer:
            case Conv(stride=stride, padding=padding, groups=groups, bias=bias):
                x = jax.lax.conv_general_dilated(
                    x, next(self.parameters), (stride, stride), [(padding, padding)] * 2,
                    dimension_numbers=NHWC, feature_group_count=groups,
                )  # fmt: skip
                return x + next(self.parameters) if bias else x
            case Up():
                w, bias = self.take(2)
                n, h, width, _ = x.shape
                out = jnp.einsum("nhwi,abio->nhawbo", x, w.transpose(0, 1, 3, 2))
                return out.reshape(n, 2 * h, 2 * width, -1) + bias
            case BatchNorm():
                return self.batch_norm(x)
            case MaxPool(size, stride, padding):
                if size == stride and not padding:
                    n, h, width, c = x.shape
                    return x.reshape(n, h // size, size, width // size, size, c).max(axis=(2, 4))
                pads = [(0, 0), (padding, padding), (padding, padding), (0, 0)]
                return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, size, size, 1), (1, stride, stride, 1), pads)
            case Mean():
                return x.mean(axis=tuple(range(1, x.ndim - 1)))
            case Tokens():
                return x.reshape(len(x), -1, x.shape[-1])
            case Activation(name):
                return ACTIVATIONS[name](x)
            case Linear():
                w, bias = self.take(2)
                return x @ w.T + bias
            case LayerNorm():
                return norm(x, *self.take(2))
            case Attention(heads=heads, causal=causal):
                return self.attention(x, heads, causal)
            case Embedding():
                return next(self.parameters)[x]
            case Positions():
                return x + next(self.parameters)
            case GRU():
                return jnp.concatenate((self.gru(x), self.gru(x[:, ::-1])[:, ::-1]), axis=2)
            case Residual(inner, skip):
                out = self.sequence(inner, x)
                return out + self.sequence(skip, x)
            case Beside(inner):
                return jnp.concatenate((x, self.sequence(inner, x)), axis=3)

    def batch_norm(self, x: jax.Array) -> jax.Array:
        """By the batch's statistics, which are noted."""
        scale, shift = self.take(2)
        count = x.size // x.shape[-1]
        mean = x.mean((0, 1, 2))
        variance = ((x - mean) ** 2).mean((0, 1, 2))
        self.statistics.append(jax.lax.stop_gradient((mean, variance * (count / (count - 1)))))
        return (x - mean) * (scale * jax.lax.rsqrt(variance + 1e-5)) + shift

    def attention(self, x: jax.Array, heads: int, causal: bool) -> jax.Array:
        """Heads side by side."""
        qkv, qkv_bias, output, output_bias = self.take(4)
        batch, length, width = x.shape
        parts = (x @ qkv.T + qkv_bias).reshape(batch, length, 3, heads, width // heads)
        q, k, v = (parts[:, :, i].swapaxes(1, 2) for i in range(3))
        scores = q @ k.swapaxes(2, 3) / math.sqrt(width // heads)
        if causal:
            scores = jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -jnp.inf)
        attended = jax.nn.softmax(scores) @ v
        return attended.swapaxes(1, 2).reshape(batch, length, width) @ output.T + output_bias

    def gru(self, x: jax.Array) -> jax.Array:
        """A scan over the steps, from zeros."""
        by_input, by_hidden, bias_input, bias_hidden = self.take(4)
        inputs = (x @ by_input.T + bias_input).swapaxes(0, 1)
        state = jnp.zeros((len(x), by_hidden.shape[1]), x.dtype)
        return jax.lax.scan(lambda h, x: gru(x, by_hidden, bias_hidden, h), state, inputs)[1].swapaxes(0, 1)
