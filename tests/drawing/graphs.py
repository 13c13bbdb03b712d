"""The graphs that the tests of drawing draw, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
from tapenet import nn


def array(*shape: int, dtype: Any = np.float32) -> Any:
    return np.arange(1, 1 + np.prod(shape, dtype=int), dtype=dtype).reshape(shape) / 100


def leaf(*shape: int, dtype: Any = np.float32) -> tn.Tensor:
    return tn.tensor(array(*shape, dtype=dtype), requires_grad=True)


def xor() -> Any:
    w1, b1, w2, b2 = (leaf(*shape, dtype=np.float64) for shape in ((2, 3), (3,), (3, 1), (1,)))
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.tanh(np.tanh(x @ w1 + b1) @ w2 + b2)
    return ((y - x[:, :1]) ** 2).mean()


class CNN(nn.Module):
    def __init__(self) -> None:
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten())
        self.fc = nn.Linear(4 * 13 * 13, 10)

    def forward(self, x: Any) -> Any:
        return self.fc(self.features(x))


_cnn = CNN()


def cnn() -> Any:
    out = _cnn(array(8, 1, 28, 28))
    return ((out - array(8, 10)) ** 2).mean()


split_sign = tn.op(
    lambda x: (np.maximum(x, 0), np.minimum(x, 0)),
    name="split sign",
    outputs=2,
    x=lambda g, x: np.where(x > 0, g[0], g[1]),
)


def two_outputs() -> Any:
    positive, negative = split_sign(leaf(3, 4))
    return positive.sum() - 2 * negative.sum()


def second_order() -> Any:
    w = leaf(3)
    (np.tanh(w) * w**3).sum().backward(create_graph=True)
    assert w.grad is not None
    return (w.grad**2).sum()


class Tied(nn.Module):
    """One weight, used in a layer and again outside it; and one layer called twice."""

    def __init__(self) -> None:
        self.encode = nn.Linear(4, 3, bias=False)
        self.mix = nn.Linear(3, 3)

    def forward(self, x: Any) -> Any:
        h = self.mix(np.tanh(self.mix(self.encode(x)) * 0.5))
        return h @ self.encode.weight


_tied = Tied()


def shared() -> Any:
    return _tied(array(2, 4)).sum()


def concatenated() -> Any:
    a, b = leaf(2, 3), leaf(1, 3)
    return tn.concatenate([a, array(4, 3), np.exp(b), a])[1:, 0].max()


def scalars() -> Any:
    x = leaf(3)
    y = 1 - x / 2 + np.float64(0.1)
    y = np.where(y > 0, y, 0) ** 2 * np.array(3.0, np.float32)
    return np.maximum(np.clip(y, None, 1.5), 0.25)[np.array([0, 2, 2])]


def tape() -> tn.Tape:
    x = tn.tensor(array(4, 3))
    with tn.Tape() as recorded:
        best = x.argmax(axis=0)
        parts = split_sign(x * leaf(3))
        tn.concatenate([parts[0], x, x[best]]).sum()
    return recorded


_two = CNN()


def two_losses() -> dict[str, tn.Tensor]:
    out = _two.fc(array(8, 4 * 13 * 13))
    decay = 1e-4 * sum(np.sum(p**2) for p in _two.fc.parameters())
    return {"loss": np.mean((out - array(8, 10)) ** 2), "decay": decay}


GRAPHS: dict[str, Callable[[], Any]] = {
    f.__name__: f for f in (xor, cnn, two_outputs, second_order, shared, concatenated, scalars, tape, two_losses)
}
