"""Products that are written for their shape: tiles of any size, for any registers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Reference, Write
from tapenet.program.layout import c_strides

pytest.importorskip("llvmlite")

import tapenet as tn
from tapenet.llvm import gemm, gemv
from tapenet.llvm.gemm import fits
from tapenet.llvm.kernel import Kernel
from tapenet.llvm.processor import Registers
from tests.program.native.running import compiled
from tests.program.native.test_products import assert_close, turned
from tests.program.passes.programs import Build

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
#: Of machines with SSE, AVX2 and AVX-512: LLVM splits vectors that this one has not.
MACHINES = [Registers(16, 16), Registers(32, 16), Registers(64, 32)]


@pytest.fixture(params=MACHINES, ids=["128 bits", "256 bits", "512 bits"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Registers:
    """The registers that code is written for."""
    found: Registers = request.param
    for module in (gemm, gemv):
        monkeypatch.setattr(module, "registers", lambda: found)
    return found


def check(shapes: list[tuple[int, int, int]], dtype: Any) -> None:
    """Products of these shapes, into results of either order, in one program that does not call BLAS."""
    rng = np.random.default_rng(0)
    b = Build()
    outs, pairs, targets = [], [], []
    for n, k, m in shapes:
        x, y = b.input(n, k, dtype=dtype), b.input(k, m, dtype=dtype)
        pairs.append([rng.normal(size=v.shape).astype(dtype) for v in (x, y)])
        outs.append(b.emit("dot", x, y))
        # The transposed product into a tensor of columns: the same code from the other side.
        targets.append(np.zeros((m, n), dtype, order="F"))
        value = b.emit("dot", y, x, ta=True, tb=True)
        b.writes.append(Write(Reference(tn.asarray(targets[-1])), value))
    runner = compiled(b.program(*outs))
    assert "tn_" not in runner.module.text
    for (x, y), found, target in zip(pairs, runner.call(*(a for p in pairs for a in p)), targets, strict=True):
        assert_close(found, x, y)
        assert_close(target, turned(y), turned(x))


def edges(machine: Registers, dtype: Any) -> list[int]:
    """Numbers of columns around those that fill registers and tiles."""
    lanes = machine.bytes // np.dtype(dtype).itemsize
    wide = lanes * machine.number // 8
    return sorted({max(4, n) for n in (4, 5, lanes - 1, lanes, lanes + 1, wide - 1, wide, wide + 1, 2 * wide + 3)})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns(machine: Registers, dtype: Any) -> None:
    check([(4, 3, m) for m in edges(machine, dtype)], dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows(machine: Registers, dtype: Any) -> None:
    check([(n, 5, 20) for n in (4, 5, 6, 7, 11, 13, 14, 15, 28, 29, 43)], dtype)


def test_sums(machine: Registers) -> None:
    check([(6, k, 10) for k in (2, 3, 17, 100)], np.float32)
    check([(14, k, 40) for k in range(2, 3 * gemm.WRITTEN)], np.float32)  # tiles of as many registers as there are


@pytest.mark.parametrize("k", [*range(1, 2 * gemm.WRITTEN + 1), 2 * gemm.WRITTEN + 3])
def test_sums_of_a_length_that_the_running_code_is_given(k: int) -> None:
    x, y, out = (np.random.default_rng(k).normal(size=s) for s in ((6, k), (k, 16), (6, 16)))
    kernel = Kernel("product", FLOAT64)
    at = kernel.array(k, 1), kernel.array(16, 1), kernel.array(16, 1)
    depth, add = kernel.integer(), kernel.integer()
    matrices = [gemm.Matrix(a.pointer, stride, 1) for a, stride in zip(at, (k, 16, 16), strict=True)]
    gemm.write(kernel, (6, 16, depth.name), matrices, FLOAT64, (add > 0).name)
    assert "select" not in kernel.text()  # whether there is something to add to is asked once, not for each vector
    run = kernel.compile()
    expected = x @ y
    run(x, y, out, k, 0)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-14)
    run(x, y, out, k, 1)
    np.testing.assert_allclose(out, 2 * expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_row(machine: Registers, dtype: Any) -> None:
    check([(1, 7, m) for m in (*edges(machine, dtype), 300)], dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_matrix_and_a_vector(machine: Registers, dtype: Any) -> None:
    """Sums along dense rows: of all lengths around registers, and of all numbers of rows around blocks."""
    lanes = machine.bytes // np.dtype(dtype).itemsize
    lengths = (1, 2, lanes - 1, lanes, lanes + 1, 3 * lanes + 1, 8 * lanes, 8 * lanes + 3, 17 * lanes - 1)
    check([(9, k, 1) for k in lengths], dtype)
    check([(n, lanes + 3, 1) for n in (1, 2, 3, 7, 8, 16, 17, 33)], dtype)


@pytest.mark.parametrize(("n", "k", "m"), [(64, 3, 64), (65, 2, 67), (5, 4, 1000), (1000, 4, 5), (4200, 3, 1)])
def test_what_is_added_to(machine: Registers, n: int, k: int, m: int) -> None:
    rng = np.random.default_rng(0)
    for order in ("C", "F"):
        weight = rng.normal(size=(n, m)).astype(np.float32, order=order)  # type: ignore[call-overload]
        before = weight.copy()
        b = Build()
        p, x, y = Reference(tn.asarray(weight)), b.input(n, k), b.input(k, m)
        b.writes.append(Write(p, b.emit("add", p, b.emit("dot", x, y))))
        given = [rng.normal(size=v.shape).astype(np.float32) for v in (x, y)]
        compiled(b.program()).call(*given)
        assert_close(weight, *given, before)


def test_nothing_is_read_or_written_beyond_the_edges(machine: Registers) -> None:
    """A result inside of a larger array keeps what is around it, and what is around the operands has no say."""
    rng = np.random.default_rng(0)
    for n, k, m in ((5, 4, 7), (7, 9, 33), (1, 5, 9), (9, 5, 1), (70, 3, 61)):
        wide = [np.full((r + 2, c + 70), np.nan, np.float32) for r, c in ((n, k), (k, m), (n, m))]
        left, right, out = (w[1:-1, 35:-35] for w in wide)
        left[:], right[:], out[:] = (rng.normal(size=v.shape) for v in (left, right, out))
        before = out.copy()
        a, c, p = (Reference(tn.asarray(v)) for v in (left, right, out))
        b = Build()
        b.writes.append(Write(p, b.emit("add", p, b.emit("dot", a, c))))
        compiled(b.program()).call()
        assert_close(out, left, right, before)
        assert np.isnan(wide[2]).sum() == wide[2].size - n * m


def test_which_products_are_written_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm, "registers", lambda: Registers(32, 16))

    def fit(n: int, k: int, m: int) -> bool:
        return fits(n, m, k, c_strides((n, k)), c_strides((k, m)), c_strides((n, m)), FLOAT32)

    assert fit(4, 2, 4)
    assert fit(1, 2, 4)
    assert fit(1000, 100, 100)
    assert not fit(4, 2, 3)  # not a vector of columns
    assert fit(3, 2, 4)
    assert not fit(4, 1, 4)  # an outer product
    assert not fit(4, 400, 400)  # does not stay in the cache
    columns = ((1, 5), (1, 6), (1, 5))
    assert fits(5, 7, 6, *columns, FLOAT32)  # from the other side
    assert not fits(5, 7, 6, (6, 1), (1, 6), (7, 1), FLOAT32)  # neither


def test_tiles_leave_registers_for_operands(machine: Registers) -> None:
    for vectors in range(1, machine.number // 8 + 1):
        for n in range(1, 60):
            rows = gemm._rows(n, vectors)
            assert rows == 1 or rows * vectors + vectors + 1 < machine.number
            assert rows <= n
            assert n % rows == 0 or n % rows >= rows - -(-n // rows)  # evenly dealt out


@pytest.mark.parametrize(("k", "most"), [(1024, 7), (1040, 14)])
def test_rows_that_compete_for_places_in_a_cache(k: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows of the left operand lie a multiple of 4 KB apart tiles have fewer of them than a cache has ways."""
    monkeypatch.setattr(gemm, "registers", lambda: Registers(64, 32))
    tile, rows = gemm._tile, []
    monkeypatch.setattr(gemm, "_tile", lambda code, count, *args: rows.append(count) or tile(code, count, *args))  # type: ignore[func-returns-value]
    check([(28, k, 24)], np.float32)
    assert max(rows) == most
