"""Linear layers in machine code beside NumPy: of floats, and of weights stored as 8-bit integers."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any
from unittest.mock import Mock

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
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(
    ("lead", "inputs", "outputs"),
    [
        *[((1,), 4, 4), ((5,), 17, 33), ((13,), 64, 64), ((300,), 20, 70), ((2, 7), 130, 65), ((6,), 5, 200)],
        *[((64,), 65, 67), ((3, 100), 70, 300), ((1400,), 200, 70)],  # packed, more than one panel deep, rows in blocks
    ],
)
def test_linear(lead: Any, inputs: int, outputs: int, dtype: str, order: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = importlib.import_module("tapenet.kernels.linear")
    x = R.normal(size=(*lead, inputs))
    weight, bias = np.asarray(R.normal(size=(outputs, inputs)), order=order), R.normal(size=outputs)
    called = []
    for name in ("product", "product_turned", "weight_grad"):
        plain = getattr(kernel, name)
        monkeypatch.setattr(kernel, name, lambda *a, f=plain, n=name: (called.append(n), f(*a))[1])
    found, expected = both(tn.linear, x, weight, bias, dtype=dtype)
    assert {"product", "product_turned", "weight_grad"} <= set(called)
    agree(found, expected, dtype, ERROR[dtype])
    assert found[2].flags.f_contiguous


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize("n", [3, 8, 9, 24, 32, 33, 64])
def test_few_rows(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams, inner products, or tiles, and what takes as long as by one call of BLAS is left to that."""
    kernel = importlib.import_module("tapenet.kernels.linear")
    monkeypatch.setattr(kernel, "SMALL", 2_000)
    monkeypatch.setattr(kernel, "STREAMED", ((32, 0),))
    monkeypatch.setattr(kernel, "BLOCK", 256)  # 50 columns are more than a block
    x, g, weight = R.normal(size=(n, 70)), R.normal(size=(n, 50)), R.normal(size=(70, 50))
    np.testing.assert_allclose(kernel.product(x, weight, g[0]), x @ weight + g[0], 1e-12, 1e-12)
    np.testing.assert_allclose(kernel.product_turned(g, weight), g @ weight.T, 1e-12, 1e-12)
    np.testing.assert_allclose(kernel.weight_grad(x, g), x.T @ g, 1e-12, 1e-12)
    monkeypatch.setattr(kernel, "WEIGHTS", 0)
    monkeypatch.setattr(kernel, "COPIED", 1 << 14)  # 150 columns of 32 rows are copied in parts
    g = R.normal(size=(n, 150))
    np.testing.assert_allclose(kernel.weight_grad(x, g), x.T @ g, 1e-12, 1e-12)
    monkeypatch.undo()
    monkeypatch.setattr(kernel, "registers", lambda: Registers(64, 32))
    taken = [name for name in kernel.LEAST if kernel.takes(name, n, 512, 512)]
    assert ("product" in taken) == (n != 3)
    assert kernel.takes("product", n, 1024, 4096)
    assert kernel.takes("product", n, 2048, 4096) == kernel.takes("weight_grad", n, 1024, 1024) == (n <= 32)
    assert ("product_turned" in taken) == (n != 33)
    assert "weight_grad" in taken


def test_one_thread_alone_streams_whole_rows_of_weights() -> None:
    kernel = importlib.import_module("tapenet.kernels.linear")
    x, weight = R.normal(size=(4, 560)).astype("f"), R.normal(size=(560, 500)).astype("f")
    found = []
    for threads, blocks in ((1, 1), (2, 2), (5, 2)):
        run, length, numbers = kernel._stream(4, 560, 500, x.dtype, threads)
        assert (length, numbers[2]) == (blocks, 512 // blocks)
        found.append(np.empty((4, 500), "f"))
        run(length, 0, x, weight, found[-1], *numbers)
        np.testing.assert_array_equal(found[-1], found[0])
    np.testing.assert_allclose(found[0], x @ weight, 1e-4, 1e-4)


def test_gradients_by_weights_of_one_row_are_outer_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of linear layers and of convolutions of one place, where there are enough."""
    kernel = importlib.import_module("tapenet.kernels.linear")
    monkeypatch.setattr(kernel, "registers", lambda: Registers(64, 32))
    monkeypatch.setattr(kernel, "WORTH", 1 << 21)
    taken = [kernel.takes("weight_grad", 1, *shape) for shape in ((48, 640), (1024, 40), (48, 1152))]
    assert taken == [False, False, True]
    outer = Mock(wraps=kernel._outer)
    monkeypatch.setattr(kernel, "_outer", outer)
    x, y = R.normal(size=(1, 1152)).astype("f"), R.normal(size=(1, 48)).astype("f")
    np.testing.assert_array_equal(kernel.weight_grad(x, y), x.T * y)
    found = tn.conv2d_weight_grad(x[..., None, None], y[..., None, None], (48, 1152, 1, 1))
    np.testing.assert_array_equal(np.asarray(found)[..., 0, 0], y.T * x)
    outer.assert_called_once()  # the first has too few columns
    nothing = np.zeros((1, 1152, 0, 1), "f")  # the place is one of the border
    found = tn.conv2d_weight_grad(nothing, y[..., None, None], (48, 1152, 1, 1), padding=((1, 0), (0, 0)))
    assert not np.any(found)


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


@pytest.mark.parametrize("threads", [1, 2])
def test_what_one_deep_panel_holds_is_summed_up_at_once(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts of any number of rows. Of fewer rows than panels are worth the sums are cut nowhere."""
    linear = importlib.import_module("tapenet.kernels.linear")
    panels = linear.panels
    many_threads(monkeypatch, threads)
    for depth in (panels.DEPTH + 1, 2 * panels.DEPTH):
        x, weight = (R.normal(size=shape).astype("f") for shape in ((panels.MANY, depth), (depth, 300)))
        whole, few = linear.product(x, weight), linear.product(x[: panels.ROWS // 2], weight)
        np.testing.assert_array_equal(whole[: len(few)], few)


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


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(("rows", "outputs"), [(1030, 3), (1024, 16), (5000, 16), (1023, 3), (1030, 1), (70_000, 2)])
def test_the_gradient_of_a_bias_of_many_rows(rows: int, outputs: int, dtype: str) -> None:
    """Its gradient is BLAS's sum, in runs where rows are many."""
    x, weight, bias = (R.normal(size=s).astype(dtype) for s in ((rows, 5), (outputs, 5), outputs))
    t = tn.tensor(bias, requires_grad=True)
    out = tn.linear(x, weight, t)
    np.testing.assert_allclose(out.data, x @ weight.T + bias, 1e-5, 1e-5)
    g = np.ones((rows, outputs), dtype)
    g[-1] = np.nan if rows == 1030 else 0.25
    out.backward(g)
    np.testing.assert_array_equal(t.grad, g.sum(0))
    assert t.grad.dtype == dtype


def test_what_is_too_small_for_a_kernel_does_not_wake_the_threads_of_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    blas = importlib.import_module("tapenet.llvm.blas")
    monkeypatch.setattr(blas, "alone", lambda: seen.append("alone") or contextlib.nullcontext())  # type: ignore[func-returns-value]
    basic = importlib.import_module("tapenet.ops.products.matmul")
    monkeypatch.setattr("tapenet.kernels.linear.WORTH", 1_500_000)  # as they are where no test lifts them
    monkeypatch.setattr(basic, "WORTH", 600_000)
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
    columns = linear.gemm.across(linear.ROWS, np.dtype("f"))  # of one piece
    pieces, tall = linear._pieces(rows, columns, np.dtype("f"))
    assert (pieces - 1) * tall < rows <= pieces * tall


@pytest.mark.parametrize(
    ("rows", "panels", "pieces"), [(64, 1, 2), (47, 1, 1), (384, 1, 4), (64, 3, 6), (32, 3, 3), (64, 8, 8)]
)
def test_two_threads_have_as_much_to_do(rows: int, panels: int, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless each had so few rows that packing what both read would take longer."""
    linear = importlib.import_module("tapenet.kernels.linear")
    monkeypatch.setattr("tapenet.llvm.workers.threads", lambda: 2)
    assert linear._pieces(rows, panels * linear.gemm.across(linear.ROWS, np.dtype("f")), np.dtype("f"))[0] == pieces


@pytest.mark.parametrize("transposed", ["", "left", "right"])
def test_a_narrow_result_is_the_same_for_any_number_of_threads(transposed: str) -> None:
    linear = importlib.import_module("tapenet.kernels.linear")
    a, b = (R.normal(size=shape).astype("f") for shape in ((64, 1000), (1000, 40)))
    given = (
        np.ascontiguousarray(a.T if transposed == "left" else a),
        np.ascontiguousarray(b.T if transposed == "right" else b),
    )
    found = []
    for threads in (1, 2, 3):
        tn.set_num_threads(threads)
        try:
            found.append(np.empty((64, 40), np.float32))
            linear.panelled(*given, found[-1], transposed)
        finally:
            tn.set_num_threads(None)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    agree([found[0]], [a.astype("d") @ b.astype("d")], "f", ERROR["f"])
