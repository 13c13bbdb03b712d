"""What is measured, defined once for all candidates: data, initial values, learning rates, and the bounds to meet.

Everything is float32, labels and words int64. Parameters stand in the order, and the shapes, of PyTorch's modules. A call is
a training step with plain SGD, except for `Convolution`. Learning rates are such that three steps change the loss far more
than candidates may differ, and that thousands of steps leave numbers of ordinary size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.side_by_side.tasks import Array, Bound, Workload

CANDIDATES = ("tapenet-eager", "tapenet-native", "torch-eager", "torch-compiled", "jax")
PEERS = ("torch-eager", "torch-compiled", "jax")
SLOW = ("torch-compiled",)

Shape = tuple[int, ...]
Names = tuple[str, ...]


def _normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def _uniform(shapes: Iterator[tuple[Shape, int]] | list[tuple[Shape, int]]) -> list[Array]:
    """Arrays from U(-1/√n, 1/√n), PyTorch's default, for (shape, n)."""
    r = np.random.default_rng(2)
    return [(r.uniform(-1, 1, shape) / math.sqrt(n)).astype(np.float32) for shape, n in shapes]


def _layers(*weights: Shape) -> Iterator[tuple[Shape, int]]:
    """Weight and bias of each layer, with the number of inputs of an output."""
    for shape in weights:
        inputs = math.prod(shape[1:])
        yield shape, inputs
        yield shape[:1], inputs


@dataclass(frozen=True)
class Classifier:
    """Blocks of a 3x3 convolution without padding, `activation` and perhaps a 2x2 max-pool, then a dense layer with
    `activation` and one with 10 classes; cross entropy.

    Attributes:
        channels: of the image and behind each block.
        size: height and width of the image.
        hidden: width of the first dense layer.
        activation: "Tanh" or "ReLU".
    """

    channels: tuple[int, ...]
    size: int
    hidden: int
    batch: int
    lr: float
    activation: str = "ReLU"
    pooled: bool = True

    def data(self) -> tuple[Array, Array]:
        """Images and labels."""
        labels = np.random.default_rng(3).integers(10, size=self.batch)
        return _normal(1, self.batch, self.channels[0], self.size, self.size), labels

    def flat(self) -> Shape:
        """(channels, height, width) in front of the dense layers."""
        size = self.size
        for _ in self.channels[1:]:
            size = (size - 2) // (2 if self.pooled else 1)
        return self.channels[-1], size, size

    def parameters(self) -> list[Array]:
        """Weight and bias of each layer."""
        convolutions = ((b, a, 3, 3) for a, b in itertools.pairwise(self.channels))
        return _uniform(list(_layers(*convolutions, (self.hidden, math.prod(self.flat())), (10, self.hidden))))


@dataclass(frozen=True)
class Convolution:
    """A 3x3 convolution with padding 1, and, if `both`, the gradients by image, weight and bias for a given gradient of
    the output. No training."""

    channels: int
    size: int
    batch: int
    both: bool

    def data(self) -> tuple[Array, Array]:
        """The image and the gradient of the output."""
        shape = (self.batch, self.channels, self.size, self.size)
        return _normal(1, *shape), _normal(3, *shape)

    def parameters(self) -> list[Array]:
        """Weight and bias."""
        return _uniform(list(_layers((self.channels, self.channels, 3, 3))))


@dataclass(frozen=True)
class Depthwise:
    """A 3x3 convolution of each channel by itself with padding 1, ReLU, a 1x1 convolution, ReLU; the mean of squares."""

    channels: int
    size: int
    batch: int
    lr: float

    def data(self) -> tuple[Array]:
        """The image."""
        return (_normal(1, self.batch, self.channels, self.size, self.size),)

    def parameters(self) -> list[Array]:
        """Weight and bias of both layers."""
        c = self.channels
        return _uniform(list(_layers((c, 1, 3, 3), (c, c, 1, 1))))


@dataclass(frozen=True)
class Recurrent:
    """One layer over a sequence; the mean of squares of its outputs. `cell` is "LSTM" or "GRU"."""

    cell: str
    steps: int
    batch: int
    inputs: int
    hidden: int
    lr: float

    def data(self) -> tuple[Array]:
        """The sequence: (steps, batch, inputs)."""
        return (_normal(1, self.steps, self.batch, self.inputs),)

    def parameters(self) -> list[Array]:
        """weight_ih, weight_hh, bias_ih, bias_hh."""
        rows = {"LSTM": 4, "GRU": 3}[self.cell] * self.hidden
        return _uniform([(s, self.hidden) for s in ((rows, self.inputs), (rows, self.hidden), (rows,), (rows,))])


@dataclass(frozen=True)
class Transformer:
    """A block with the norms in front: x + output(attention(qkv(norm(x)))), causal, then x + linear(GELU(linear(norm(x))))
    with four times the width inside; the mean of squares."""

    batch: int
    length: int
    width: int
    heads: int
    lr: float

    def data(self) -> tuple[Array]:
        """The sequence: (batch, length, width)."""
        return (_normal(1, self.batch, self.length, self.width),)

    def parameters(self) -> list[Array]:
        """Of norm, qkv, output, norm, and the two linear layers. Scales begin a little off 1 and shifts off 0, so that
        they take part."""
        w = self.width
        qkv, qkv_bias, output, output_bias, up, up_bias, down, down_bias, *norms = _uniform(
            [*_layers((3 * w, w), (w, w), (4 * w, w), (w, 4 * w)), *[((w,), 100)] * 4]
        )
        scale1, shift1, scale2, shift2 = norms
        return [
            *(1 + scale1, shift1, qkv, qkv_bias, output, output_bias),
            *(1 + scale2, shift2, up, up_bias, down, down_bias),
        ]


@dataclass(frozen=True)
class Embedding:
    """Rows of a table looked up; the mean of squares."""

    rows: int
    width: int
    batch: int
    length: int
    lr: float

    def data(self) -> tuple[Array]:
        """Which rows: (batch, length)."""
        return (np.random.default_rng(1).integers(self.rows, size=(self.batch, self.length)),)

    def parameters(self) -> list[Array]:
        """The table."""
        return [_normal(2, self.rows, self.width)]


Task = Classifier | Convolution | Depthwise | Recurrent | Transformer | Embedding


def _workload(title: str, task: Task, eager: float, native: float, variants: Mapping[str, Names] = {}) -> Workload:
    """With the bounds over the fastest peer."""
    bounds = Bound("tapenet-eager", PEERS, eager), Bound("tapenet-native", PEERS, native)
    return Workload(title, task, bounds, variants)


#: What the peak of memory may be, over the better of PyTorch's.
MEMORY = tuple(Bound(c, ("torch-eager", "torch-compiled"), 1.2) for c in ("tapenet-eager", "tapenet-native"))

_CHANNELS_LAST = dict.fromkeys(("torch-eager", "torch-compiled"), ("channels_last",))
_FORMATS = _CHANNELS_LAST | {"jax": ("nhwc",)}

WORKLOADS = {
    "tutorial": _workload(
        "28x28, conv 1, tanh, dense 100, tanh, 10; one image",
        Classifier((1, 1), 28, 100, 1, 0.01, "Tanh", pooled=False),
        *(1.3, 0.4),
    ),
    "cnn-1-8-16": _workload(
        "28x28, conv 8 and 16 with pools, dense 64, 10; batch 64",
        Classifier((1, 8, 16), 28, 64, 64, 0.05),
        *(1.2, 0.8),
        _CHANNELS_LAST,
    ),
    "cnn-3-32-64-64": _workload(
        "32x32, conv 32, 64 and 64 with pools, dense 128, 10; batch 32",
        Classifier((3, 32, 64, 64), 32, 128, 32, 0.05),
        *(1.1, 0.8),
        _CHANNELS_LAST,
    ),
    "conv-forward": _workload(
        "conv 3x3, 64 to 64 channels, 14x14, batch 64: forward", Convolution(64, 14, 64, False), 0.85, 0.75, _FORMATS
    ),
    "conv-both": _workload("the same: forward and all gradients", Convolution(64, 14, 64, True), 0.85, 0.75, _FORMATS),
    "depthwise": _workload(
        "depthwise 3x3, ReLU, 1x1, ReLU, 32 channels, 28x28, batch 32",
        Depthwise(32, 28, 32, 0.05),
        *(1.2, 0.8),
        _CHANNELS_LAST,
    ),
    "lstm": _workload("LSTM 64 to 128, 32 steps, batch 32", Recurrent("LSTM", 32, 32, 64, 128, 2.0), 1.2, 0.8),
    "gru": _workload("GRU 64 to 128, 32 steps, batch 32", Recurrent("GRU", 32, 32, 64, 128, 0.5), 1.2, 0.8),
    "transformer": _workload(
        "transformer block, 8 x 128, width 128, 4 heads, causal", Transformer(8, 128, 128, 4, 0.1), 1.2, 0.85
    ),
    "embedding": _workload(
        "embedding 50,000 x 64, 256 x 32 words",
        Embedding(50_000, 64, 256, 32, 500.0),
        *(1.0, 0.8),
        {"torch-eager": ("sparse",)},
    ),
}
