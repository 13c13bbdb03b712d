"""NumPy's own BLAS: found by name, and done without."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tests.program.passes.programs import Build

pytest.importorskip("llvmlite")

from tapenet.kernels import panels, products
from tapenet.llvm import blas, toolchain
from tapenet.llvm.kernel import Kernel
from tapenet.program.native import entry, runner
from tapenet.program.native import products as native_products
from tests.program.native.running import assert_native, called

SHAPES = [(1, 1, 1), (2, 3, 4), (1, 50, 60), (50, 60, 1), (40, 1, 30), (130, 70, 90)]


def anew() -> Any:
    """What is found now."""
    blas._library.cache_clear()
    try:
        return blas.find.__wrapped__()
    finally:
        blas._library.cache_clear()


def exact(*shape: int, dtype: Any = np.float64) -> Any:
    """Numbers whose products have exact sums, in any order."""
    return (np.random.default_rng(sum(shape)).integers(-9, 10, shape) / 8).astype(dtype)


def normal(*shape: int, dtype: Any = np.float64) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """A NumPy whose BLAS cannot be found."""
    monkeypatch.setattr(native_products, "find", lambda: None)


# -- found -------------------------------------------------------------------------------------------------------


def test_it_is_found_in_builds_of_numpy_itself() -> None:
    config: Any = np.show_config(mode="dicts")
    found = blas.find()
    if config["Build Dependencies"]["blas"]["name"] == "scipy-openblas":
        assert found is not None
    if found is not None:
        assert set(found.addresses) == {"sgemm", "dgemm", "sgemv", "dgemv", "dtrsm", "ztrsm"}
        assert all(found.addresses.values())
        assert len(set(found.addresses.values())) == len(found.addresses)


@pytest.mark.parametrize("letter", "sd")
def test_what_is_found_is_a_product(letter: str) -> None:
    found = blas.find()
    if found is None:
        assert anew() is None
        return
    number, dtype = (ctypes.c_float, np.float32) if letter == "s" else (ctypes.c_double, np.float64)
    i, p = ctypes.c_int32 if found.integer == "i32" else ctypes.c_int64, ctypes.c_void_p
    a, b, x = normal(3, 4, dtype=dtype), normal(4, 5, dtype=dtype), normal(4, dtype=dtype)
    c, y = np.full((3, 5), np.nan, dtype), np.full(3, np.nan, dtype)
    flag = ctypes.c_int
    gemm = ctypes.CFUNCTYPE(None, flag, flag, flag, i, i, i, number, p, i, p, i, number, p, i)
    gemm(found.addresses[f"{letter}gemm"])(
        101, 111, 111, 3, 5, 4, 1.0, a.ctypes.data, 4, b.ctypes.data, 5, 0.0, c.ctypes.data, 5
    )
    gemv = ctypes.CFUNCTYPE(None, flag, flag, i, i, number, p, i, p, i, number, p, i)
    gemv(found.addresses[f"{letter}gemv"])(
        101, 111, 3, 4, 1.0, a.ctypes.data, 4, x.ctypes.data, 1, 0.0, y.ctypes.data, 1
    )
    np.testing.assert_allclose(c, a @ b, rtol=1e-5)
    np.testing.assert_allclose(y, a @ x, rtol=1e-5)


FUNCTION = ctypes.CFUNCTYPE(None)(lambda: None)


@pytest.mark.parametrize(
    ("pattern", "integer"),
    [
        ("scipy_cblas_{}64_", "i64"), ("cblas_{}64_", "i64"), ("cblas_{}$NEWLAPACK$ILP64", "i64"),
        ("scipy_cblas_{}", "i32"), ("cblas_{}", "i32"), ("mkl_cblas_{}", None),
    ],
)  # fmt: skip
def test_names_in_other_builds(pattern: str, integer: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {pattern.format(f) for f in ("sgemm", "dgemm", "sgemv", "dgemv", "dtrsm", "ztrsm")}
    library = type("Library", (), dict.fromkeys(names, FUNCTION))()
    monkeypatch.setattr(ctypes, "CDLL", lambda file: library)
    found = anew()
    assert (found and found.integer) == integer
    if found is not None:
        assert set(found.addresses.values()) == {ctypes.cast(FUNCTION, ctypes.c_void_p).value}


def test_half_of_the_names_are_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    library = type("Library", (), {"cblas_sgemm": FUNCTION, "cblas_dgemm": FUNCTION})()
    monkeypatch.setattr(ctypes, "CDLL", lambda file: library)
    assert anew() is None


def test_where_it_cannot_be_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(file: str) -> Any:
        raise OSError("cannot be loaded")

    with monkeypatch.context() as patch:
        patch.setattr(ctypes, "CDLL", refused)
        assert anew() is None
    monkeypatch.setattr(np, "_core", None)
    assert anew() is None


@pytest.mark.parametrize("integer", ["i32", "i64"])
def test_lengths_are_of_its_type(integer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only compiled, not run: there is one BLAS here."""
    monkeypatch.setattr(blas, "find", lambda: blas.Blas({}, integer))
    k = Kernel("products", "f")
    a, b, out, n = k.array(1), k.array(1), k.array(1), k.integer()
    kind = products.Kind(False, False, False, False, k.dtype)
    for rows in (300, n):
        products.write(k, kind, (rows, 3000, 200), (200, 3000, 3000), [x.pointer for x in (a, b, out)])
    text = k.text()
    assert f"call void @tn_sgemm(i32 101, i32 111, i32 111, {integer} 300, {integer} 3000" in text
    assert f"declare void @tn_sgemm(i32, i32, i32, {integer}, {integer}, {integer}, float, ptr" in text
    assert ("trunc i64" in text) == (integer == "i32")
    assert toolchain.compile_(toolchain.target().header + toolchain._ATTRIBUTES + text)


# -- not found ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "k", "m"), SHAPES)
def test_products_without_it(n: int, k: int, m: int, dtype: Any) -> None:
    for ta, tb in itertools.product([False, True], repeat=2):
        b = Build()
        x = b.input(*((k, n) if ta else (n, k)), dtype=dtype)
        y = b.input(*((m, k) if tb else (k, m)), dtype=dtype)
        made = b.emit("dot", b.emit("negative", x), y, ta=ta, tb=tb)
        program = b.program(b.emit("exp", b.emit("tanh", made)), b.transpose(made, (1, 0)))
        runner = assert_native(program, exact(*x.shape, dtype=dtype), exact(*y.shape, dtype=dtype), rtol=1e-5)
        assert called(runner) == ["dot"]
        assert "gem" not in runner.module.text


@pytest.mark.usefixtures("without")
def test_batches_without_it() -> None:
    b = Build()
    x, y = b.input(3, 4, 5), b.input(3, 5, 6)
    runner = assert_native(
        b.program(b.emit("dot", x, y)), exact(3, 4, 5, dtype="f4"), exact(3, 5, 6, dtype="f4"), rtol=1e-5
    )
    assert called(runner) == ["dot"]


def trained(compile_: Callable[[Any], Any]) -> Any:
    """Losses and parameters of a network that is trained for a few steps."""
    tn.random.seed(0)
    net = nn.Sequential(nn.Linear(20, 40), nn.Tanh(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 5))
    opt = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    run = compile_(step)
    x, y = normal(64, 20, dtype=np.float32), np.arange(64) % 5
    return [run(x, y).item() for _ in range(5)], [p.numpy().copy() for p in net.parameters()]


@pytest.mark.usefixtures("without")
def test_training_without_it() -> None:
    losses, parameters = trained(lambda f: tn.compile(f, backend="native"))
    expected_losses, expected = trained(lambda f: f)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    for p, e in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(p, e, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("without")
def test_loops_without_it() -> None:
    """A product in the body of a loop is called back, and the loop stays native."""

    @tn.compile(backend="native")
    def f(w: Any, x: Any) -> Any:
        return tn.scan(lambda c, row: (tn.tanh(c @ w + row), c.sum()), x[0], x)

    w, x = normal(4, 4), normal(6, 4)
    for _ in range(2):
        last, sums = f(w, x)
    runner: Any = f.variants[0].runner
    assert called(runner) == ([] if entry.usable() else ["loop"])
    assert len(runner.module.called_back) == entry.usable()
    carried, expected = x[0], []
    for row in x:
        expected.append(carried.sum())
        carried = np.tanh(carried @ w + row)
    np.testing.assert_allclose(last.data, carried)
    np.testing.assert_allclose(sums.data, expected)


def test_blas_is_alone_where_kernels_are_called_and_products_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def watched() -> Any:
        seen.append(1)
        return contextlib.nullcontext()

    monkeypatch.setattr(runner, "alone", watched)
    monkeypatch.setattr(panels, "LARGEST", 0)
    images, weight = normal(8, 16, 12, 12, dtype="f"), normal(16, 16, 3, 3, dtype="f")
    square = normal(300, 300, dtype="f")

    def conv(x: Any, w: Any, y: Any) -> Any:
        return tn.conv2d(x, w).reshape(16, -1)[:, :300] @ y[:, :50]

    def large(x: Any, w: Any, y: Any) -> Any:
        return tn.conv2d(x, w).sum() + y @ y

    def product(x: Any, w: Any, y: Any) -> Any:
        return x.sum() + y @ y

    larger = normal(800, 800, dtype="f")  # than what is computed by code for its shape
    for f, y, times in ((conv, square, 1), (large, square, 1), (product, square[:20, :20], 0), (product, larger, 1)):
        seen.clear()
        step = tn.compile(f, backend="native")
        step(images, weight, y)
        np.testing.assert_allclose(step(images, weight, y), f(images, weight, y), rtol=2e-4, atol=1e-2)
        assert len(seen) == times
