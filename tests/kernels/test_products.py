"""Linear layers in machine code beside NumPy: of floats, and of weights stored as 8-bit integers."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tapenet.llvm.processor import Registers
from tapenet.ops.layers import quantized
from tests.kernels.beside import agree, both, many_threads

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels are chosen, as with wide registers, also where BLAS would be as fast."""
    monkeypatch.setattr(importlib.import_module("tapenet.kernels.linear"), "registers", lambda: Registers(64, 32))


#: Largest error, over the largest number of the result.
ERROR = {"f": 2e-6, "d": 1e-14}


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(
    ("lead", "inputs", "outputs"),
    [
        *[((1,), 4, 4), ((5,), 17, 33), ((13,), 64, 64), ((300,), 20, 70), ((2, 7), 130, 65), ((6,), 5, 200)],
        *[((64,), 65, 67), ((3, 100), 70, 300)],  # packed, and more than one panel deep
    ],
)
def test_linear(lead: Any, inputs: int, outputs: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = importlib.import_module("tapenet.kernels.linear")
    x = R.normal(size=(*lead, inputs))
    weight, bias = np.asfortranarray(R.normal(size=(outputs, inputs))), R.normal(size=outputs)
    called = []
    for name in ("product", "product_turned", "weight_grad"):
        plain = getattr(kernel, name)
        monkeypatch.setattr(kernel, name, lambda *a, f=plain, n=name: (called.append(n), f(*a))[1])
    found, expected = both(tn.linear, x, weight, bias, dtype=dtype)
    assert {"product", "product_turned", "weight_grad"} <= set(called)
    agree(found, expected, dtype, ERROR[dtype])
    assert found[2].flags.f_contiguous


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize("rows", [37, 101, 300])
def test_threads_give_the_same(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = importlib.import_module("tapenet.kernels.linear")
    x, g, weight = (R.normal(size=s).astype("f") for s in ((rows, 94), (rows, 50), (94, 50)))
    one = kernel.product(x, weight), kernel.product_turned(g, weight), kernel.weight_grad(x, g)
    many_threads(monkeypatch, 2)
    two = kernel.product(x, weight), kernel.product_turned(g, weight), kernel.weight_grad(x, g)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(
    ("n", "inputs", "outputs"), [(1, 16, 4), (1, 37, 5), (6, 100, 33), (4, 3, 9), (9, 64, 64), (5, 83, 7)]
)
def test_weights_of_8_bits(n: int, inputs: int, outputs: int, dtype: str) -> None:
    weight, scale = quantized.quantized_weight(R.normal(size=(outputs, inputs)).astype(dtype))
    x = tn.tensor(R.normal(size=(n, inputs)).astype(dtype), requires_grad=True)
    g = R.normal(size=(n, outputs)).astype(dtype)
    found = tn.quantized_linear(x, weight, scale)
    exact = weight.astype("d") * scale.astype("d")[:, None]
    found.backward(g)
    agree((found.data, x.grad.data), (x.data.astype("d") @ exact.T, g.astype("d") @ exact), dtype, ERROR[dtype])


def test_what_is_too_small_for_a_kernel_does_not_wake_the_threads_of_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    blas = importlib.import_module("tapenet.llvm.blas")
    monkeypatch.setattr(blas, "alone", lambda: seen.append("alone") or contextlib.nullcontext())  # type: ignore[func-returns-value]
    basic = importlib.import_module("tapenet.ops.products.matmul")
    monkeypatch.setattr(basic, "WORTH", 1_500_000)  # as they are where no test lifts them
    monkeypatch.setattr(basic, "ALONE", 200_000)
    x, weight = R.normal(size=(64, 80)).astype("f"), tn.tensor(R.normal(size=(60, 80)).astype("f"), requires_grad=True)
    for rows, times in ((x, 2), (x[:8], 0)):
        seen.clear()
        tn.linear(tn.tensor(rows), weight).sum().backward()  # the product, and the gradient by the weight
        assert len(seen) == times
    with kernels.switched(False):
        tn.linear(tn.tensor(x), weight)
    assert len(seen) == 0


@pytest.mark.parametrize("rows", [1, 48, 24_576, 24_577, 25_000])
def test_pieces_for_many_threads_have_rows(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding up how many rows a piece has may leave none for the last ones."""
    linear = importlib.import_module("tapenet.kernels.linear")
    monkeypatch.setattr("tapenet.llvm.workers.threads", lambda: 96)
    pieces, tall = linear._pieces(rows, 16, np.dtype("f"))
    assert (pieces - 1) * tall < rows <= pieces * tall
