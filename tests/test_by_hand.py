"""The backward methods that the original tutorial's layers carried, written by hand, against tapenet's gradients.

Dense: dX = dY Wᵀ, dW = Xᵀ dY, db = dY. Valid correlation: dX is the full convolution of dY with W, dW the valid
correlation of X with dY, db the sum over positions. tanh: dY (1 - tanh²). MSE: 2 (y - t) / n.
(The original added a convolution's bias once per input channel and multiplied its gradient by the depth: mistakes,
not kept.)
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

import tapenet as tn
import tapenet.nn.functional as F

Array = NDArray[np.float64]
R = np.random.default_rng(0)


class Dense:
    """Rows in, rows out: weights (in, out), as in the tutorial."""

    def __init__(self, n_in: int, n_out: int) -> None:
        self.w, self.b = R.uniform(-0.5, 0.5, (n_in, n_out)), R.uniform(-0.5, 0.5, (1, n_out))

    def forward(self, x: Array) -> Array:
        self.x = x
        return x @ self.w + self.b

    def backward(self, dy: Array) -> Array:
        self.dw, self.db = self.x.T @ dy, dy
        return dy @ self.w.T


class Tanh:
    def forward(self, x: Array) -> Array:
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (1 - self.y**2)


class Conv:
    """Valid correlation of one image (channels, height, width)."""

    def __init__(self, c_in: int, c_out: int, size: int) -> None:
        self.w, self.b = R.uniform(-0.5, 0.5, (c_out, c_in, size, size)), R.uniform(-0.5, 0.5, c_out)

    def forward(self, x: Array) -> Array:
        self.x = x
        maps = [
            sum(signal.correlate2d(x[c], kernel[c], "valid") for c in range(len(x))) + bias
            for kernel, bias in zip(self.w, self.b, strict=True)
        ]
        return np.stack(maps)

    def backward(self, dy: Array) -> Array:
        outs, ins = self.w.shape[:2]
        self.dw = np.stack([[signal.correlate2d(self.x[c], dy[o], "valid") for c in range(ins)] for o in range(outs)])
        self.db = dy.sum(axis=(1, 2))
        return np.stack([sum(signal.convolve2d(dy[o], self.w[o, c], "full") for o in range(outs)) for c in range(ins)])


def mse(y: Array, t: Array) -> tuple[float, Array]:
    return float(np.mean((y - t) ** 2)), 2 * (y - t) / y.size


def _leaf(a: Array) -> tn.Tensor:
    return tn.tensor(a, requires_grad=True)


def _agree(got: tn.Tensor | None, expected: Array) -> None:
    assert got is not None
    np.testing.assert_allclose(got.data, expected.reshape(got.shape), rtol=1e-12, atol=1e-12)


def test_dense_network() -> None:
    layers = [Dense(6, 5), Tanh(), Dense(5, 3), Tanh()]
    x, t = R.normal(size=(1, 6)), R.normal(size=(1, 3))
    y = x
    for layer in layers:
        y = layer.forward(y)
    error, dy = mse(y, t)
    for layer in reversed(layers):
        dy = layer.backward(dy)

    xs = _leaf(x)
    ws = [(_leaf(d.w.T), _leaf(d.b[0])) for d in layers if isinstance(d, Dense)]
    h = xs
    for w, b in ws:
        h = tn.tanh(F.linear(h, w, b))
    loss = F.mse_loss(h, t)
    loss.backward()

    assert loss.item() == pytest.approx(error, rel=1e-14)
    _agree(xs.grad, dy)
    for dense, (w, b) in zip([d for d in layers if isinstance(d, Dense)], ws, strict=True):
        _agree(w.grad, dense.dw.T)
        _agree(b.grad, dense.db)


def test_convolutional_network() -> None:
    layers = [Conv(1, 3, 3), Tanh(), Conv(3, 2, 3), Tanh()]
    x, t = R.normal(size=(1, 8, 9)), R.normal(size=(2, 4, 5))
    y = x
    for layer in layers:
        y = layer.forward(y)
    error, dy = mse(y, t)
    for layer in reversed(layers):
        dy = layer.backward(dy)

    xs = _leaf(x[None])
    ws = [(_leaf(c.w), _leaf(c.b)) for c in layers if isinstance(c, Conv)]
    h = xs
    for w, b in ws:
        h = tn.tanh(F.conv2d(h, w, b))
    loss = F.mse_loss(h, t[None])
    loss.backward()

    assert loss.item() == pytest.approx(error, rel=1e-14)
    _agree(xs.grad, dy)
    for conv, (w, b) in zip([c for c in layers if isinstance(c, Conv)], ws, strict=True):
        _agree(w.grad, conv.dw)
        _agree(b.grad, conv.db)
