"""Products of many rows, whose right operand is packed: any order of the operands, any registers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Reference, Write
from tapenet.program.layout import c_strides

pytest.importorskip("llvmlite")

import tapenet as tn
from tapenet.kernels import panels
from tapenet.llvm import gemm, gemv
from tapenet.llvm.processor import Registers
from tests.program.native.running import compiled
from tests.program.native.test_gemm import FLOAT32, MACHINES, edges
from tests.program.native.test_products import assert_close, turned
from tests.program.passes.programs import Build

DEEP = panels.DEPTH


@pytest.fixture(params=MACHINES, ids=["128 bits", "256 bits", "512 bits"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Registers:
    """The registers that code is written for."""
    found: Registers = request.param
    for module in (gemm, gemv, panels):
        monkeypatch.setattr(module, "registers", lambda: found)
    return found


def check(n: int, k: int, m: int, dtype: Any = np.float32) -> Any:
    """x y, x yᵀ, xᵀ y and xᵀ yᵀ, into results of rows and of columns; the module."""
    rng = np.random.default_rng(0)
    b = Build()
    given, outs, targets, pairs = [], [], [], []
    for ta in (False, True):
        for tb in (False, True):
            x = rng.normal(size=(k, n) if ta else (n, k)).astype(dtype)
            y = rng.normal(size=(m, k) if tb else (k, m)).astype(dtype)
            left, right = b.input(*x.shape, dtype=dtype), b.input(*y.shape, dtype=dtype)
            given += [x, y]
            pairs.append((x.T if ta else x, y.T if tb else y))
            outs.append(b.emit("dot", left, right, ta=ta, tb=tb))
            targets.append(np.zeros((n, m), dtype, order="F"))
            b.writes.append(Write(Reference(tn.asarray(targets[-1])), b.emit("dot", left, right, ta=ta, tb=tb)))
    runner = compiled(b.program(*outs))
    for (x, y), found, target in zip(pairs, runner.call(*given), targets, strict=True):
        assert_close(found, x, y)
        assert_close(target, x, y)
    return runner.module


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns(machine: Registers, dtype: Any) -> None:
    for m in edges(machine, dtype):
        check(panels.ROWS, 5, m, dtype)


@pytest.mark.parametrize("n", [panels.ROWS, panels.ROWS + 1, 97])
def test_rows(machine: Registers, n: int) -> None:
    check(n, 33, 70)


@pytest.mark.parametrize("n", [panels.ROWS, 97, 200])
def test_rows_in_blocks(machine: Registers, monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    monkeypatch.setattr(panels, "BLOCK", 1 << 12)
    check(n, 33, 70)


@pytest.mark.parametrize("k", [2, 31, DEEP - 1, DEEP, DEEP + 1, 2 * DEEP, 2 * DEEP + 1, 3 * DEEP + 7])
def test_depths(machine: Registers, k: int) -> None:
    check(70, k, 66)


def test_all_orders_are_written_here() -> None:
    """With wide registers nothing is left to BLAS."""

    def sides(n: int, m: int, k: int) -> list[bool | None]:
        orders = [(a, b) for a in (c_strides((n, k)), (1, n)) for b in (c_strides((k, m)), (1, k))]
        return [panels.side(n, m, k, a, b, c_strides((n, m)), FLOAT32) for a, b in orders]

    with pytest.MonkeyPatch.context() as patch:
        for module in (gemm, panels):
            patch.setattr(module, "registers", lambda: Registers(64, 32))
        assert sides(1024, 384, 128) == [False] * 4
        assert sides(1024, 128, 512) == [None, False, False, False]  # rows of few columns are read as they lie
        assert sides(panels.ROWS - 1, 32, 128) == [None] * 4
        assert sides(1024, 2048, 4096) == [None] * 4  # too large
        assert sides(1024, 768, 2048) == [False, False, None, None]  # but by rows
        assert sides(192, 768, 2048) == [False, False, False, None]  # and for gradients by weights
        module = check(80, 30, 140)
        assert "tn_sgemm" not in module.text
        for module in (gemm, panels):
            patch.setattr(module, "registers", lambda: Registers(32, 16))
        assert sides(512, 384, 128) == [False, None, False, None]


@pytest.mark.parametrize("k", [9, 3 * DEEP])
def test_what_is_added_to(machine: Registers, k: int) -> None:
    rng = np.random.default_rng(0)
    n, m = 75, 150
    for order in ("C", "F"):
        weight = rng.normal(size=(n, m)).astype(np.float32, order=order)  # type: ignore[call-overload]
        before = weight.copy()
        b = Build()
        p, x, y = Reference(tn.asarray(weight)), b.input(n, k), b.input(m, k)
        b.writes.append(Write(p, b.emit("add", p, b.emit("dot", x, y, tb=True))))
        given = [rng.normal(size=v.shape).astype(np.float32) for v in (x, y)]
        compiled(b.program()).call(*given)
        assert_close(weight, given[0], turned(given[1]), before)


def test_nothing_is_read_or_written_beyond_the_edges(machine: Registers) -> None:
    """A result inside of a larger array keeps what is around it and what is there has no say, and neither has what is
    around the operands."""
    rng = np.random.default_rng(0)
    for n, k, m in ((70, 9, 83), (67, 2 * DEEP + 3, 150)):
        for flip in (False, True):
            wide = [
                np.full((r + 2, c + 70), np.nan, np.float32) for r, c in ((n, k), (m, k) if flip else (k, m), (n, m))
            ]
            left, right, out = (w[1:-1, 35:-35] for w in wide)
            left[:], right[:] = (rng.normal(size=v.shape) for v in (left, right))
            a, c, p = (Reference(tn.asarray(v)) for v in (left, right, out))
            b = Build()
            b.writes.append(Write(p, b.emit("dot", a, c, tb=flip)))
            compiled(b.program()).call()
            assert_close(out, left, right.T if flip else right)
            assert np.isnan(wide[2]).sum() == wide[2].size - n * m
