"""Linear layers in machine code beside NumPy: of floats, and of weights stored as 8-bit integers."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tapenet.native.processor import registers
from tapenet.ops.layers import quantized

pytest.importorskip("llvmlite")
products = importlib.import_module("tapenet.ops.products.basic")
R = np.random.default_rng(0)
wide = pytest.mark.skipif(registers().bytes != 64, reason="BLAS is as fast with narrower registers")


@pytest.fixture(autouse=True)
def small_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels for work of any size."""
    monkeypatch.setattr(products, "WORTH", 0)
    monkeypatch.setattr(products, "_LARGE", 0)
    monkeypatch.setattr(quantized, "WORTH", 0)
    monkeypatch.setattr(quantized, "WORTH_BACK", 0)


def agree(found: Any, expected: Any, dtype: str) -> None:
    assert found.shape == expected.shape
    assert found.dtype == np.dtype(dtype)
    assert abs(found - expected).max() <= (2e-6 if dtype == "f" else 1e-14) * max(1.0, abs(expected).max())


@wide
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(
    ("lead", "inputs", "outputs"),
    [((1,), 4, 4), ((5,), 17, 33), ((13,), 64, 64), ((300,), 20, 70), ((2, 7), 130, 65), ((6,), 5, 200)],
)
def test_linear(lead: Any, inputs: int, outputs: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = importlib.import_module("tapenet.kernels.linear")
    x, g = R.normal(size=(*lead, inputs)), R.normal(size=(*lead, outputs))
    weight, bias = np.asfortranarray(R.normal(size=(outputs, inputs))), R.normal(size=outputs)
    called = []
    for name in ("product", "product_turned", "weight_grad"):
        plain = getattr(kernel, name)
        monkeypatch.setattr(kernel, name, lambda *a, f=plain, n=name: (called.append(n), f(*a))[1])
    results = []
    for on, kind in ((True, dtype), (False, "d")):
        with kernels.switched(on):
            t = [tn.tensor(a.astype(kind), requires_grad=True) for a in (x, weight, bias)]
            out = tn.linear(*t)
            out.backward(g.astype(kind))
            results.append([out.data, *(p.grad.data for p in t)])
    assert {"product", "product_turned", "weight_grad"} <= set(called)
    for mine, numpys in zip(*results, strict=True):
        agree(mine, numpys, dtype)
    assert results[0][2].flags.f_contiguous


@wide
def test_threads_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = importlib.import_module("tapenet.kernels.threads")
    kernel = importlib.import_module("tapenet.kernels.linear")
    x, g, weight = (R.normal(size=s).astype("f") for s in ((37, 24), (37, 50), (24, 50)))
    one = kernel.product(x, weight), kernel.product_turned(g, weight), kernel.weight_grad(x, g)
    monkeypatch.setattr(threads, "processors", lambda: 2)
    monkeypatch.setattr(threads, "WORTH", 0)
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
    agree(found.data, x.data.astype("d") @ exact.T, dtype)
    found.backward(g)
    agree(x.grad.data, g.astype("d") @ exact, dtype)
