"""Activations and the softmax in machine code beside NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tapenet.program.row_kernels import RowKernel
from tests.kernels.beside import agree, both

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "gelu": tn.gelu,
    "gelu tanh": lambda x: tn.gelu(x, "tanh"),
    "relu": tn.relu,
    "sigmoid": tn.sigmoid,
    "leaky_relu": lambda x: tn.leaky_relu(x, 1.5),
    "prelu": lambda x: tn.prelu(x, x.ravel()[:1] * 0 + 0.3),
    "hardtanh": lambda x: tn.hardtanh(x, -0.5, 2.0),
    "threshold": lambda x: tn.threshold(x, 0.3, -7.0),
    "hardshrink": tn.hardshrink,
    "softshrink": tn.softshrink,
    "hardsigmoid": tn.hardsigmoid,
    "hardswish": tn.hardswish,
    "softmax": tn.softmax,
    "log_softmax": tn.log_softmax,
    "softmax of another axis": lambda x: tn.softmax(x, 0),
}


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(7, 37), (3, 2, 16), (5, 1)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_same_as_numpy(name: str, shape: Any, order: Any, dtype: str) -> None:
    data, g = np.asarray(R.normal(size=shape) * 3, order=order), np.asarray(R.normal(size=shape), order=order)
    agree(*both(FUNCTIONS[name], data, dtype=dtype, g=g), dtype, 2e-6 if dtype == "f" else 1e-14)


def test_special_values() -> None:
    x = np.array([[-np.inf, 0.0, np.inf, np.nan], [-np.inf] * 4, [-1e4, 1e4, -200.0, 200.0]], "f")
    np.testing.assert_array_equal(tn.relu(x), np.maximum(x, 0))
    for f in (tn.leaky_relu, tn.hardtanh, tn.hardshrink, tn.softshrink, tn.hardsigmoid):
        with kernels.switched(False):
            expected = f(x)
        np.testing.assert_allclose(f(x), expected, rtol=1e-6)
    for f in (tn.sigmoid, tn.gelu):
        with kernels.switched(False):
            expected = f(x[2:])
        np.testing.assert_allclose(f(x[2:]), expected, rtol=1e-6, atol=1e-30)
    np.testing.assert_array_equal(tn.sigmoid(x[:1, :3]), [[0.0, 0.5, 1.0]])
    assert not tn.softmax(x)[1].any()
    assert (tn.log_softmax(x)[1] == -np.inf).all()
    np.testing.assert_array_equal(tn.softmax(x)[2], [0, 1, 0, 0])
    t = tn.tensor(x[1:], requires_grad=True)
    tn.softmax(t).backward(np.ones((2, 4), "f"))
    assert np.isfinite(t.grad.data).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_kernels_are_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []
    run = RowKernel.__call__
    monkeypatch.setattr(RowKernel, "__call__", lambda kernel, *arrays: called.append(kernel) or run(kernel, *arrays))
    x = tn.tensor(R.normal(size=(3, 17)), requires_grad=True)
    FUNCTIONS[name](x).backward(np.ones((3, 17)))
    assert (
        len(called) == 2
    )  # along another axis none in the forward, and for the gradient one for the sums, one for the rest


def test_the_order_of_memory_is_kept() -> None:
    x = tn.tensor(np.moveaxis(R.normal(size=(3, 5, 7, 11)), 0, -1), requires_grad=True)
    y = tn.hardswish(x)
    y.backward(np.cos(x.data))
    assert y.data.strides == x.data.strides == x.grad.data.strides
