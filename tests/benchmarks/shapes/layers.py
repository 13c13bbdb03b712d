"""Layers of all kinds but convolution, over many shapes: few and many channels, short and long rows, up to 10 million
elements. tapenet and PyTorch run the same call of `functional` or of a layer, JAX its own words for it under jit."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Layer(NamedTuple):
    """A layer over arrays.

    Attributes:
        kind: of layer.
        text: what else to call it.
        shapes: of the input and of what else has a gradient.
        labels: how many classes there are and how many labels, where there are any.
        call: the layer by the namespace of functions and the arrays, for tapenet and PyTorch.
        jax: the same for JAX, of arrays alone.
    """

    kind: str
    text: str
    shapes: tuple[Shape, ...]
    call: Callable[..., Any]
    jax: Callable[..., Any]
    labels: tuple[int, int] | None = None

    @property
    def products(self) -> tuple[str, ...]:
        """What is timed."""
        return "forward", "gradient"

    def __str__(self) -> str:
        return f"{self.kind} {self.text}"

    def data(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What has a gradient, and labels."""
        r = np.random.default_rng(0)
        first, *others = (r.standard_normal(s, np.float32) for s in self.shapes)
        scaled = [a / math.sqrt(a.shape[-1]) if a.ndim > 1 else a for a in others]
        return [first, *scaled], [r.integers(0, self.labels[0], self.labels[1])] if self.labels else []


def layers() -> list[Layer]:
    """All of them."""
    made = (_activations, _softmax, _normalisations, _pooling, _linear, _attention, _recurrent)
    return [layer for kind in made for layer in kind()]


def _jnp(name: str) -> Any:
    """A function of JAX's by its path, looked up when it is called."""

    def call(*args: Any, **options: Any) -> Any:
        module, _, function = name.rpartition(".")
        return getattr(importlib.import_module(module), function)(*args, **options)

    return call


_relu, _maximum, _tanh = _jnp("jax.nn.relu"), _jnp("jax.numpy.maximum"), _jnp("jax.numpy.tanh")


def _activations() -> Iterator[Layer]:
    names = {
        "relu": {}, "leaky_relu": {}, "hardswish": {"jax": "hard_swish"}, "relu6": {}, "sigmoid": {}, "tanh": {}, "silu": {},
        "gelu": {}, "elu": {}, "softplus": {}, "mish": {},
    }  # fmt: skip
    for name, known in names.items():
        for size in (10_000, 100_000, 1_500_000, 10_000_000):
            if size == 10_000_000 and name not in ("relu", "gelu", "tanh"):
                continue
            options = {"approximate": False} if name == "gelu" else {}
            jax = functools.partial(_jnp(f"jax.nn.{known.get('jax', name)}"), **options)
            yield Layer("activation", f"{name} {size:,}", ((size,),), lambda F, x, name=name: getattr(F, name)(x), jax)


def _softmax() -> Iterator[Layer]:
    for rows, length in (
        (2_500, 4), (1_000, 10), (100_000, 10), (20_000, 16), (10_000, 33), (256, 64), (1_000, 100), (40_000, 100),
        (4_000, 250), (32, 1_000), (1_000, 1_000), (128, 10_000), (20, 50_000), (2, 1_000_000),
    ):  # fmt: skip
        for name in ("softmax", "log_softmax"):
            yield Layer(
                "softmax", f"{name} {rows} x {length}", ((rows, length),), lambda F, x, n=name: getattr(F, n)(x, -1),
                _jnp(f"jax.nn.{name}"),
            )  # fmt: skip
        yield Layer(
            "softmax", f"cross entropy {rows} x {length}", ((rows, length),), lambda F, x, t: F.cross_entropy(x, t),
            _cross_entropy, (length, rows),
        )  # fmt: skip
    yield Layer(
        "softmax", "softmax of channels 16 x 21 x 64 x 64", ((16, 21, 64, 64),), lambda F, x: F.softmax(x, 1),
        lambda x: _jnp("jax.nn.softmax")(x, 1),
    )  # fmt: skip


def _cross_entropy(x: Any, t: Any) -> Any:
    return -_jnp("jax.numpy.take_along_axis")(_jnp("jax.nn.log_softmax")(x), t[:, None], 1).mean()


def _normalised(x: Any, axes: Any, shift: bool = True) -> Any:
    if shift:
        x = x - x.mean(axes, keepdims=True)
    return x * _jnp("jax.lax.rsqrt")((x * x).mean(axes, keepdims=True) + 1e-5)


def _normalisations() -> Iterator[Layer]:
    for rows, width in (
        (1_000, 16), (320, 32), (100_000, 32), (16, 768), (2_048, 128), (16_384, 64), (512, 768), (4_096, 1_024), (64, 5_000),
        (2, 500_000),
    ):  # fmt: skip
        yield Layer(
            "layer norm", f"{rows} x {width}", ((rows, width), (width,), (width,)),
            lambda F, x, w, b: F.layer_norm(x, w.shape, w, b), lambda x, w, b: _normalised(x, -1) * w + b,
        )  # fmt: skip
        yield Layer(
            "RMS norm", f"{rows} x {width}", ((rows, width), (width,)), lambda F, x, w: F.rms_norm(x, w.shape, w, 1e-5),
            lambda x, w: _normalised(x, -1, False) * w,
        )  # fmt: skip
    images = (
        (64, 16, 4, 4), (16, 3, 32, 32), (64, 8, 28, 28), (16, 64, 16, 16), (64, 512, 1, 1), (64, 512, 2, 2), (16, 256, 7, 7),
        (1, 64, 112, 112), (4, 32, 128, 128), (128, 64, 32, 32), (256, 128), (2_048, 512),
    )  # fmt: skip
    for x in images:
        c, text = x[1], " x ".join(map(str, x))
        kept = (c, *(1,) * (len(x) - 2))
        yield Layer(
            "batch norm", text, (x, (c,), (c,)),
            lambda F, x, w, b: F.batch_norm(x, None, None, w, b, True),
            lambda x, w, b, k=kept: _normalised(x, (0, *range(2, x.ndim))) * w.reshape(k) + b.reshape(k),
        )  # fmt: skip
        if c % 8 == 0:
            yield Layer(
                "group norm", f"{text} in 8", (x, (c,), (c,)), lambda F, x, w, b: F.group_norm(x, 8, w, b),
                lambda x, w, b, k=kept: (
                    _normalised(x.reshape(len(x), 8, -1), -1).reshape(x.shape) * w.reshape(k) + b.reshape(k)
                ),
            )  # fmt: skip
        if math.prod(x[2:]) > 1:
            yield Layer(
                "instance norm", text, (x,), lambda F, x: F.instance_norm(x),
                lambda x: _normalised(x, tuple(range(2, x.ndim))),
            )  # fmt: skip


def _pooling() -> Iterator[Layer]:
    shapes = [
        (1, 8, 40, 40), (16, 3, 32, 32), (64, 16, 14, 14), (1, 64, 112, 112), (16, 64, 32, 32), (64, 256, 8, 8),
        (8, 512, 7, 7), (64, 64, 32, 32),
    ]  # fmt: skip
    for x in shapes:
        text = " x ".join(map(str, x))
        for name, *options in (("max", 2, 2, 0), ("max", 3, 2, 1), ("avg", 2, 2, 0), ("avg", 3, 1, 1)):
            yield Layer(
                "pooling", f"{name} {options[0]} by {options[1]} of {text}", (x,),
                lambda F, x, n=name, o=options: getattr(F, f"{n}_pool2d")(x, *o),
                lambda x, n=name, o=options: _pool(x, n, *o),
            )  # fmt: skip
        yield Layer(
            "pooling", f"mean of {text}", (x,), lambda F, x: F.adaptive_avg_pool2d(x, 1),
            lambda x: x.mean((2, 3), keepdims=True),
        )  # fmt: skip


def _pool(x: Any, name: str, size: int, stride: int, padding: int) -> Any:
    lax = importlib.import_module("jax.lax")
    start, combine = (-np.inf, lax.max) if name == "max" else (0.0, lax.add)
    window, steps, border = (1, 1, size, size), (1, 1, stride, stride), [(0, 0)] * 2 + [(padding,) * 2] * 2
    found = lax.reduce_window(x, start, combine, window, steps, border)
    return found if name == "max" else found / size**2


def _linear() -> Iterator[Layer]:
    for n, i, o in (
        (1, 100, 100), (1, 784, 512), (1, 4_096, 4_096), (4, 512, 512), (16, 1_024, 1_024), (32, 64, 10), (64, 784, 100),
        (64, 512, 512), (256, 784, 512), (1_000, 64, 64), (1_024, 256, 1_024), (10_000, 16, 16), (100_000, 20, 1),
        (100_000, 8, 32), (8, 25_088, 512), (512, 768, 768), (4_096, 64, 3),
    ):  # fmt: skip
        yield Layer(
            "linear", f"{n} x {i} to {o}", ((n, i), (o, i), (o,)), lambda F, x, w, b: F.linear(x, w, b),
            lambda x, w, b: x @ w.T + b,
        )  # fmt: skip


def _attention() -> Iterator[Layer]:
    for batch, heads, length, width in (
        (32, 4, 16, 16), (1, 8, 16, 64), (16, 8, 32, 32), (8, 4, 64, 32), (8, 4, 128, 32), (1, 12, 128, 64), (4, 8, 256, 64),
        (1, 12, 512, 64), (1, 8, 512, 128), (1, 8, 1_024, 64), (2, 4, 1_024, 16), (1, 2, 2_048, 64), (1, 1, 4_096, 64),
        (1, 1, 4_096, 128),
    ):  # fmt: skip
        for causal in (False, True):
            x = (batch, heads, length, width)
            yield Layer(
                "attention", f"{batch} x {heads} x {length} x {width}{' causal' * causal}", (x, x, x),
                lambda F, q, k, v, c=causal: F.scaled_dot_product_attention(q, k, v, is_causal=c),
                lambda q, k, v, c=causal: _jnp("jax.nn.dot_product_attention")(
                    *(a.swapaxes(1, 2) for a in (q, k, v)), is_causal=c
                ).swapaxes(1, 2),
            )  # fmt: skip


def _recurrent() -> Iterator[Layer]:
    for batch, steps, inputs, hidden in (
        (1, 20, 32, 32), (1, 100, 64, 128), (16, 20, 32, 64), (32, 32, 64, 128), (64, 50, 128, 256), (8, 200, 16, 32),
        (128, 10, 256, 512),
    ):  # fmt: skip
        for name, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
            rows = gates * hidden
            shapes = ((steps, batch, inputs), (rows, inputs), (rows, hidden), (rows,), (rows,))
            yield Layer(
                "recurrent", f"{name} {steps} x {batch}, {inputs} to {hidden}", shapes,
                functools.partial(_layer, name, hidden), functools.partial(_scan, name, hidden),
            )  # fmt: skip


def _layer(name: str, hidden: int, F: Any, x: Any, *weights: Any) -> Any:
    """The states after all steps."""
    library = importlib.import_module(F.__name__.partition(".")[0])
    start = library.zeros((x.shape[1], hidden), dtype=x.dtype)
    if library.__name__ == "tapenet":
        states = [start] * (2 if name == "LSTM" else 1)
        return getattr(library, name.lower())(x, *states, *weights)[0]
    function = getattr(library, "rnn_tanh" if name == "RNN" else name.lower())
    states = (start[None], start[None]) if name == "LSTM" else start[None]
    return function(x, states, weights, True, 1, 0.0, True, False, False)[0]


def _scan(name: str, hidden: int, x: Any, w: Any, u: Any, b: Any, c: Any) -> Any:
    jax = importlib.import_module("jax")
    np, sigmoid = jax.numpy, jax.nn.sigmoid

    def turn(state: Any, gates: Any) -> Any:
        h, cell = state
        if name == "RNN":
            h = np.tanh(gates + h @ u.T + c)
        elif name == "GRU":
            (r, z, n), (hr, hz, hn) = np.split(gates, 3, -1), np.split(h @ u.T + c, 3, -1)
            z, n = sigmoid(z + hz), np.tanh(n + sigmoid(r + hr) * hn)
            h = (1 - z) * n + z * h
        else:
            i, f, g, o = np.split(gates + h @ u.T + c, 4, -1)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(cell)
        return (h, cell), h

    start = np.zeros((x.shape[1], hidden), x.dtype)
    return jax.lax.scan(turn, (start, start), x @ w.T + b)[1]


def pulled(shape: Shape) -> np.ndarray:
    """The gradient by the result, which goes back."""
    return np.random.default_rng(1).standard_normal(shape, np.float32)
