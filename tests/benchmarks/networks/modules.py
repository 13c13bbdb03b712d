"""Layers as modules, written once for tapenet and PyTorch, whose layers have the same names and arguments: `nn` and `F` are
the modules of either."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

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


def network(layers: Layers, nn: Any, F: Any, concatenate: Callable[..., Any]) -> Any:
    """The layers one behind the other; `concatenate` joins tensors along an axis."""
    made = composed(nn, F, concatenate)

    def module(layer: Layer) -> Any:
        match layer:
            case Conv(inputs, outputs, size, stride, padding, groups, bias):
                return nn.Conv2d(inputs, outputs, size, stride=stride, padding=padding, groups=groups, bias=bias)
            case Up(inputs, outputs):
                return nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
            case BatchNorm(channels):
                return nn.BatchNorm2d(channels)
            case MaxPool(size, stride, padding):
                return nn.MaxPool2d(size, stride=stride, padding=padding)
            case Activation(name):
                return getattr(nn, name)()
            case Linear(inputs, outputs):
                return nn.Linear(inputs, outputs)
            case LayerNorm(width):
                return nn.LayerNorm(width)
            case Attention(width, heads, causal):
                return made["Attention"](width, heads, causal)
            case Embedding(rows, width):
                return nn.Embedding(rows, width)
            case Positions(length, width):
                return made["Positions"](length, width)
            case GRU(inputs, hidden):
                return made["GRU"](inputs, hidden)
            case Residual(inner, skip):
                return made["Residual"](sequence(inner), sequence(skip))
            case Beside(inner):
                return made["Beside"](sequence(inner))
            case Mean() | Tokens():
                return made[type(layer).__name__]()

    def sequence(layers: Layers) -> Any:
        return nn.Sequential(*map(module, layers))

    return sequence(layers)


@functools.cache
def composed(nn: Any, F: Any, concatenate: Callable[..., Any]) -> dict[str, Any]:
    """The classes of layers that neither library has."""

    class Mean(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x.mean((2, 3) if x.ndim == 4 else 1)

    class Tokens(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x.reshape(*x.shape[:2], -1).swapaxes(1, 2)

    class Positions(nn.Module):  # type: ignore[misc]
        def __init__(self, length: int, width: int) -> None:
            super().__init__()
            self.table = nn.Embedding(length, width)

        def forward(self, x: Any) -> Any:
            return x + self.table.weight

    class GRU(nn.Module):  # type: ignore[misc]
        def __init__(self, inputs: int, hidden: int) -> None:
            super().__init__()
            self.layer = nn.GRU(inputs, hidden, batch_first=True, bidirectional=True)

        def forward(self, x: Any) -> Any:
            return self.layer(x)[0]

    class Residual(nn.Module):  # type: ignore[misc]
        def __init__(self, inner: Any, skip: Any) -> None:
            super().__init__()
            self.inner = inner
            self.skip = skip

        def forward(self, x: Any) -> Any:
            return self.inner(x) + self.skip(x)

    class Beside(nn.Module):  # type: ignore[misc]
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Any) -> Any:
            return concatenate((x, self.inner(x)), 1)

    class Attention(nn.Module):  # type: ignore[misc]
        def __init__(self, width: int, heads: int, causal: bool) -> None:
            super().__init__()
            self.heads = heads
            self.causal = causal
            self.qkv = nn.Linear(width, 3 * width)
            self.output = nn.Linear(width, width)

        def forward(self, x: Any) -> Any:
            batch, length, width = x.shape
            qkv = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads)
            q, k, v = (qkv[:, :, i].swapaxes(1, 2) for i in range(3))
            heads = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
            return self.output(heads.swapaxes(1, 2).reshape(batch, length, width))

    return {c.__name__: c for c in (Mean, Tokens, Positions, GRU, Residual, Beside, Attention)}


def loss_of(module: Any, F: Any, x: Any, target: Any) -> Any:
    """Cross entropy with labels; the mean of squared differences from an image."""
    out = module(x)
    if target.ndim == 4:
        return F.mse_loss(out, target)
    return F.cross_entropy(out.reshape(-1, out.shape[-1]), target.reshape(-1))
