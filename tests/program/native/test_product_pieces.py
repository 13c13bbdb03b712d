"""Products of matrices that are cut into pieces, which threads share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Program, Reference, Write
from tests.program.passes.programs import Build

pytest.importorskip("llvmlite")

import tapenet as tn
from tapenet.kernels import linear, panels
from tapenet.llvm import gemm, sharing
from tapenet.llvm.blas import find
from tapenet.llvm.processor import Registers
from tapenet.program.native import pieces, product_tiles, products
from tapenet.program.native.module import Module
from tests.program.native.running import compiled


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have every product cut that can be."""
    monkeypatch.setattr(pieces, "PART", 1)
    monkeypatch.setattr(sharing, "PART", 1)
    monkeypatch.setattr(sharing, "BYTE", 0)
    monkeypatch.setattr(product_tiles, "PLAIN", 4)
    monkeypatch.setattr(product_tiles, "PACKED", 8)
    yield
    tn.set_num_threads(None)
    tn.deterministic(False)


def product(a: tuple[int, ...], b: tuple[int, ...], ta: bool = False, tb: bool = False, dtype: Any = "f4") -> Program:
    build = Build()
    x, y = build.input(*a, dtype=dtype), build.input(*b, dtype=dtype)
    return build.program(build.emit("dot", x, y, ta=ta, tb=tb))


def check(program: Program, ta: bool = False, tb: bool = False) -> list[bytes]:
    """What the program gives is right with one, two and three threads; the bytes of what it gives."""
    r = np.random.default_rng(0)
    given = [r.normal(size=v.shape).astype(v.dtype) for v in program.inputs]
    x, y = given
    expected = (x.swapaxes(-1, -2) if ta else x).astype("f8") @ (y.swapaxes(-1, -2) if tb else y).astype("f8")
    runner = compiled(program)
    found = []
    for count in (1, 2, 3):
        tn.set_num_threads(count)
        (got,) = runner.call(*given)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)
        found.append(got.tobytes())
    return found


SHAPES = [(300, 130, 70), (64, 300, 31), (128, 64, 200), (1, 500, 300), (257, 40, 257), (512, 10, 12), (96, 784, 100)]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
def test_of_our_own(ta: bool, tb: bool, dtype: str) -> None:
    """Blocks have the numbers that the whole has."""
    for n, m, k in SHAPES:
        program = product((k, n) if ta else (n, k), (m, k) if tb else (k, m), ta, tb, dtype)
        found = check(program, ta, tb)
        # BLAS's blocks may round otherwise, and so may parts of a sum.
        blas = re.search(r"@tn_[sd]gem[mv]\(|@product_", Module(program).text)
        if not blas and not any(map(products.MatrixProduct.room, program.body)):
            assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("ta", [False, True])
def test_of_our_own_cut_along_what_they_sum_up(ta: bool, tb: bool, dtype: str) -> None:
    """In tn.deterministic() the numbers are the same for any number of threads."""
    for n, m, k in ((130, 20, 700), (20, 130, 300), (70, 64, 513)):
        program = product((k, n) if ta else (n, k), (m, k) if tb else (k, m), ta, tb, dtype)
        assert products.MatrixProduct.room(program.body[0])
        check(program, ta, tb)
        with tn.deterministic():
            found = check(program, ta, tb)
        assert found[0] == found[1] == found[2]


def test_a_sum_in_parts_that_is_added_in_place() -> None:
    r = np.random.default_rng(0)
    x, y, w = (r.normal(size=s).astype("f4") for s in ((700, 130), (700, 20), (130, 20)))
    for count in (1, 2, 5):
        tn.set_num_threads(count)
        target = tn.asarray(w.copy())
        b = Build()
        i, j = b.input(*x.shape), b.input(*y.shape)
        reference = Reference(target)
        b.writes.append(Write(reference, b.emit("add", reference, b.emit("dot", i, j, ta=True))))
        compiled(b.program()).call(x, y)
        np.testing.assert_allclose(target.numpy(), w + x.T @ y, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tb", [False, True])
def test_few_rows_are_eager_modes_kernel(tb: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "wide", lambda: True)  # with narrow registers BLAS is as quick
    program = product((16, 600), (300, 600), tb=True) if tb else product((8, 1100), (1100, 520))
    assert ("linear_inner" if tb else "linear_streamed") in Module(program).text
    found = check(program, tb=tb)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("tall", [False, True])
def test_a_tall_result_is_cut_into_rows_first(tall: bool) -> None:
    """So a thread comes to the rows that it made in the kernel before."""
    n, m, k = (600, 130, 70) if tall else (130, 600, 70)
    text = Module(product((n, k), (k, m))).text
    # Of three pointers, how high and how broad pieces are, and of how many each one's rows are, and its columns.
    *_, of_rows, of_columns = re.findall(r"store (?:ptr|i64) (%?\w+), ptr", text)[:7]
    assert (of_rows == "1", of_columns == "1") == (not tall, tall)


def test_products_share_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths and strides are arguments of it, but for how many columns are left over behind panels."""
    monkeypatch.setattr(gemm, "largest", lambda: gemm.LARGEST_WIDE)  # with narrow registers they would be BLAS's
    b = Build()
    shapes = (200, 300, 448), (262, 130, 832)
    program = b.program(*(b.emit("dot", b.input(n, k), b.input(k, m)) for n, k, m in shapes))
    text = Module(program).text
    assert len(re.findall(r"define internal void @\w+\(ptr %context", text)) == 1
    r = np.random.default_rng(0)
    given = [r.normal(size=s).astype("f4") for n, k, m in shapes for s in ((n, k), (k, m))]
    for found, a, w in zip(compiled(program).call(*given), given[::2], given[1::2], strict=True):
        np.testing.assert_allclose(found, a @ w, rtol=1e-3, atol=1e-4)


def test_what_vectors_filled_in_part_and_many_results_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three products of as many multiply-adds, that all take far longer than a square one."""
    monkeypatch.setattr(products, "registers", lambda: Registers(64, 32))
    shapes = (128, 128, 80), (256, 10, 512), (10, 512, 256), (256, 512, 10)
    square, *others = (products.cycles(product((n, k), (k, m)).body[0]) for n, m, k in shapes)
    assert all(cycles > 1.4 * square for cycles in others)


def test_they_are_cut() -> None:
    assert "call void @tn_share" in Module(product((300, 70), (70, 130))).text
    assert "call void @tn_share" in Module(product((5, 30, 7), (5, 7, 13))).text


@pytest.mark.skipif(find() is None, reason="BLAS is not found here")
@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
def test_by_blas(ta: bool, tb: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm, "largest", lambda: 0)
    monkeypatch.setattr(panels, "LARGEST", 0)
    for n, m, k in SHAPES:
        program = product((k, n) if ta else (n, k), (m, k) if tb else (k, m), ta, tb)
        check(program, ta, tb)
        with tn.deterministic():
            found = check(program, ta, tb)
            assert found[0] == found[1] == found[2]
    module = compiled(product((300, 70), (70, 130))).module
    assert "call i64 @tn_blocks" in module.text
    assert module.alone


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_batches(dtype: str) -> None:
    for a, b in (
        ((6, 20, 30), (6, 30, 17)),
        ((2, 3, 9, 8), (2, 3, 8, 7)),
        ((7, 40, 3), (7, 3, 40)),
        ((2, 90, 70), (2, 70, 65)),
    ):
        found = check(product(a, b, dtype=dtype))
        assert found[0] == found[1] == found[2]


def test_what_is_added_in_place() -> None:
    r = np.random.default_rng(0)
    x, y, w = (r.normal(size=s).astype("f4") for s in ((40, 300), (40, 130), (300, 130)))
    for count in (1, 3):
        tn.set_num_threads(count)
        target = tn.asarray(w.copy())
        b = Build()
        i, j = b.input(40, 300), b.input(40, 130)
        reference = Reference(target)
        b.writes.append(Write(reference, b.emit("add", reference, b.emit("dot", i, j, ta=True))))
        compiled(b.program()).call(x, y)
        np.testing.assert_allclose(target.numpy(), w + x.T @ y, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(find() is None, reason="BLAS is not found here")
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
def test_long_sums(ta: bool, tb: bool, add: bool) -> None:
    """Cut along what they sum up; added up in the order of the parts."""
    r = np.random.default_rng(0)
    for n, m, k in ((20, 1, 60_001), (1, 3, 240_000), (1, 1, 700_000), (5, 17, 150_000)):
        x = r.normal(size=(k, n) if ta else (n, k)).astype("f4")
        y = r.normal(size=(m, k) if tb else (k, m)).astype("f4")
        expected = (x.T if ta else x).astype("f8") @ (y.T if tb else y).astype("f8")
        found = []
        for count in (1, 3):
            tn.set_num_threads(count)
            target = tn.asarray(np.ones((n, m), "f4", order="F"))
            b = Build()
            made = b.emit("dot", b.input(*x.shape), b.input(*y.shape), ta=ta, tb=tb)
            reference = Reference(target)
            b.writes.append(Write(reference, b.emit("add", reference, made) if add else made))
            runner = compiled(b.program())
            runner.call(x, y)
            assert any(products.MatrixProduct.room(e) for e in runner.module.program.body)
            np.testing.assert_allclose(target.numpy(), expected + add, rtol=1e-4, atol=2e-3 * k**0.5)
            found.append(target.numpy().tobytes())
        assert found[0] == found[1]


def test_the_switch() -> None:
    with tn.deterministic():
        with tn.deterministic(False):
            pass
        with pytest.raises(KeyError), tn.deterministic():
            raise KeyError
