"""The layers that networks are described with: plain data, which each library makes its own of.

A network is a tuple of layers, one behind the other. Images are (batch, channels, height, width), sequences (batch, length,
width). Parameters stand in the order, and the shapes, of PyTorch's modules.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.side_by_side.tasks import Array


@dataclass(frozen=True)
class Conv:
    """A convolution with square kernels."""

    inputs: int
    outputs: int
    size: int = 3
    stride: int = 1
    padding: int = 1
    groups: int = 1
    bias: bool = False


@dataclass(frozen=True)
class Up:
    """Twice as high and wide: a transposed convolution by 2x2 kernels with stride 2."""

    inputs: int
    outputs: int


@dataclass(frozen=True)
class BatchNorm:
    """Normalisation of channels over the batch, by the batch's own statistics; running ones are kept."""

    channels: int


@dataclass(frozen=True)
class MaxPool:
    """Maxima of square windows."""

    size: int = 2
    stride: int = 2
    padding: int = 0


@dataclass(frozen=True)
class Mean:
    """The mean over all positions of an image or a sequence."""


@dataclass(frozen=True)
class Tokens:
    """An image's positions as a sequence."""


@dataclass(frozen=True)
class Activation:
    """ReLU, ReLU6 or GELU."""

    name: str


@dataclass(frozen=True)
class Linear:
    """A product with a matrix, plus a bias."""

    inputs: int
    outputs: int


@dataclass(frozen=True)
class LayerNorm:
    """Normalisation over the width."""

    width: int


@dataclass(frozen=True)
class Attention:
    """Each position's look at all, or at those before it, and a linear layer behind."""

    width: int
    heads: int
    causal: bool


@dataclass(frozen=True)
class Embedding:
    """Rows of a table by number."""

    rows: int
    width: int


@dataclass(frozen=True)
class Positions:
    """A learned vector for each position is added."""

    length: int
    width: int


@dataclass(frozen=True)
class GRU:
    """One recurrent layer, in both directions."""

    inputs: int
    hidden: int


@dataclass(frozen=True)
class Residual:
    """The sum of what the inner layers make and of the input, or what `skip` makes of that."""

    inner: Layers
    skip: Layers = ()


@dataclass(frozen=True)
class Beside:
    """The input's channels, then those that the inner layers make of it."""

    inner: Layers


Layer = (
    Conv | Up | BatchNorm | MaxPool | Mean | Tokens | Activation | Linear | LayerNorm | Attention | Embedding | Positions
    | GRU | Residual | Beside
)  # fmt: skip
Layers = tuple[Layer, ...]


def shapes(layers: Layers) -> Iterator[tuple[tuple[int, ...], int]]:
    """The shape of each parameter, and what it is drawn by: the number of inputs of an output, or 0 for a scale."""
    for layer in layers:
        match layer:
            case Conv(inputs, outputs, size, groups=groups, bias=bias):
                fan = inputs // groups * size * size
                yield (outputs, inputs // groups, size, size), fan
                if bias:
                    yield (outputs,), fan
            case Up(inputs, outputs):
                yield from [((inputs, outputs, 2, 2), inputs), ((outputs,), inputs)]
            case BatchNorm(width) | LayerNorm(width):
                yield from [((width,), 0), ((width,), 100)]
            case Linear(inputs, outputs):
                yield from [((outputs, inputs), inputs), ((outputs,), inputs)]
            case Attention(width):
                yield from shapes((Linear(width, 3 * width), Linear(width, width)))
            case Embedding(rows, width) | Positions(rows, width):
                yield (rows, width), 10
            case GRU(inputs, hidden):
                rows = 3 * hidden
                for _ in range(2):
                    yield from ((shape, hidden) for shape in ((rows, inputs), (rows, hidden), (rows,), (rows,)))
            case Residual(inner, skip):
                yield from shapes(inner + skip)
            case Beside(inner):
                yield from shapes(inner)


def parameters(layers: Layers) -> list[Array]:
    """Initial values: from U(-1/√n, 1/√n), scales a little off 1."""
    r = np.random.default_rng(2)
    return [
        (r.uniform(-1, 1, shape) / math.sqrt(fan or 100) + (fan == 0)).astype(np.float32)
        for shape, fan in shapes(layers)
    ]
