"""Matrix products as native code, whichever way they are computed, held against NumPy in float64."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.ir import Program, Reference, Value, Write

pytest.importorskip("llvmlite")

from tapenet.llvm.blas import Matrix, matrix
from tapenet.program.native.products import SMALL
from tapenet.program.passes.accumulate import SMALLEST
from tests.program.evaluate import evaluate
from tests.program.native.running import assert_native, called, compiled, entries
from tests.program.passes.programs import Build, constant

R = np.random.default_rng(0)


def turned(array: Any) -> Any:
    return np.swapaxes(array, -1, -2)


def assert_close(found: Any, a: Any, b: Any, add: Any = 0) -> None:
    """A product, added to an array, whose error is no more than what k roundings of its terms make: any order of the
    sum is within it."""
    exact = np.float64 if found.dtype == np.float32 else np.longdouble
    wide = [np.asarray(v, exact) for v in (a, b, add)]
    terms = np.abs(wide[0]) @ np.abs(wide[1]) + np.abs(wide[2])
    bound = (a.shape[-1] + 2) * np.finfo(found.dtype).eps * terms
    error = np.abs(found - (wide[0] @ wide[1] + wide[2]))
    assert found.shape == terms.shape
    assert (error <= bound).all(), (error - bound).max()


def assert_products(n: int, k: int, m: int, dtype: Any = np.float32, batch: tuple[int, ...] = ()) -> None:
    """The product of (n, k) and (k, m), with either operand given transposed."""
    b = Build()
    left, right = [], []
    for shape, kinds in (((n, k), left), ((k, m), right)):
        kinds += [b.input(*batch, *shape, dtype=dtype), b.input(*batch, *shape[::-1], dtype=dtype)]
    outs = [b.emit("dot", left[ta], right[tb], ta=bool(ta), tb=bool(tb)) for ta in (0, 1) for tb in (0, 1)]
    runner = compiled(b.program(*outs))
    assert called(runner) == []
    x, y = (R.normal(size=(*batch, *s)).astype(dtype) for s in ((n, k), (k, m)))
    given = [x, np.ascontiguousarray(turned(x)), y, np.ascontiguousarray(turned(y))]
    for _ in range(2):
        for found in runner.call(*given):
            assert_close(found, x, y)


SHAPES = [
    (1, 1, 1), (1, 2, 1), (2, 1, 3), (3, 3, 3), (1, 5, 7), (7, 5, 1), (4, 1, 4), (5, 2, 4), (4, 4, 4), (8, 8, 8),
    (13, 14, 15), (16, 16, 16), (17, 33, 31), (1, 64, 100), (100, 64, 1), (3, 100, 3), (64, 3, 64), (2, 200, 50),
    (50, 200, 2), (1, 300, 1), (10, 129, 65),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(shape: tuple[int, int, int]) -> None:
    assert_products(*shape)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 4), (16, 17, 18), (1, 40, 30), (30, 40, 1)], ids=str)
def test_double_precision(shape: tuple[int, int, int]) -> None:
    assert_products(*shape, dtype=np.float64)


@pytest.mark.parametrize(
    "shape", [(330, 340, 350), (5, 700, 400), (400, 700, 5), (1, 900, 500), (500, 900, 1)], ids=str
)
def test_large_products(shape: tuple[int, int, int]) -> None:
    """Those that are BLAS's."""
    assert_products(*shape)


@pytest.mark.parametrize("batch", [(1,), (3,), (2, 3)])
@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 5, 6), (6, 5, 1), (9, 20, 30)], ids=str)
def test_batches(batch: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    assert_products(*shape, batch=batch)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_batch_of_which_one_operand_is_the_same(dtype: Any) -> None:
    b = Build()
    x, w = b.input(3, 8, 9, dtype=dtype), b.input(9, 10, dtype=dtype)
    given = [R.normal(size=v.shape).astype(dtype) for v in (x, w)]
    program = b.program(b.emit("dot", x, b.emit("broadcast", w, shape=(3, 9, 10))))
    assert_close(compiled(program).call(*given)[0], given[0], np.broadcast_to(given[1], (3, 9, 10)))


# -- memory ------------------------------------------------------------------------------------------------------

VIEWS = {
    "gaps": lambda a: np.repeat(np.repeat(a, 2, axis=0), 3, axis=1)[::2, ::3],
    "wide rows": lambda a: np.hstack([a, a])[:, : a.shape[1]],
    "tall columns": lambda a: np.asfortranarray(np.vstack([a, a]))[: a.shape[0]],
    "fortran": np.asfortranarray,
    "upside down": lambda a: a[::-1].copy()[::-1],
    "mirrored": lambda a: a[:, ::-1].copy()[:, ::-1],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", [(3, 4, 5), (20, 30, 40)], ids=str)
def test_operands_in_any_memory(view: str, shape: tuple[int, int, int]) -> None:
    n, k, m = shape
    x, y = (R.normal(size=s).astype(np.float32) for s in ((n, k), (k, m)))
    left = Reference(tn.asarray(VIEWS[view](x)))
    b = Build()
    outs = []
    for other in VIEWS.values():
        right = Reference(tn.asarray(other(y)))
        outs += [b.emit("dot", left, right), b.emit("dot", right, left, ta=True, tb=True)]
    for i, found in enumerate(compiled(b.program(*outs)).call()):
        assert_close(found, *((turned(y), turned(x)) if i % 2 else (x, y)))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("length", [30, 400])
@pytest.mark.parametrize("turn", [False, True])
def test_vectors_in_any_memory(view: str, length: int, turn: bool) -> None:
    """Times a matrix that is multiplied here, and one that is BLAS's."""
    x = R.normal(size=(1, length)).astype(np.float32)
    w = R.normal(size=(length, 300)).astype(np.float32)
    row = Reference(tn.asarray(VIEWS[view](x)))
    column = Reference(tn.asarray(VIEWS[view](turned(x).copy())))
    b = Build()
    y = b.input(*(w.shape[::-1] if turn else w.shape))
    outs = [
        b.emit("dot", row, y, tb=turn),
        b.emit("dot", y, column, ta=not turn),
        b.emit("dot", column, y, ta=True, tb=turn),
    ]
    first, second, third = compiled(b.program(*outs)).call(np.ascontiguousarray(turned(w)) if turn else w)
    assert_close(first, x, w)
    assert_close(second, turned(w), turned(x))
    assert_close(third, x, w)


@pytest.mark.parametrize("shape", [(3, 4, 5), (20, 30, 40), (1, 30, 40), (40, 30, 1), (300, 300, 350)], ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_result_that_is_written_to_a_tensor(shape: tuple[int, int, int], order: Any) -> None:
    n, k, m = shape
    target = Reference(tn.asarray(np.zeros((n, m), np.float32, order=order)))
    b = Build()
    x, y = b.input(n, k), b.input(k, m)
    b.writes.append(Write(target, b.emit("dot", x, y)))
    given = [R.normal(size=v.shape).astype(np.float32) for v in (x, y)]
    compiled(b.program()).call(*given)
    assert_close(target.tensor._data, *given)


def test_broadcast_operands() -> None:
    b = Build()
    row, y = b.input(1, 6), b.input(6, 5)
    rows = b.emit("broadcast", row, shape=(4, 6))
    given = [R.normal(size=v.shape).astype(np.float32) for v in (row, y)]
    wide = np.broadcast_to(given[0], (4, 6))
    first, second = compiled(b.program(b.emit("dot", rows, y), b.emit("dot", y, rows, ta=True, tb=True))).call(*given)
    assert_close(first, wide, given[1])
    assert_close(second, turned(given[1]), turned(wide))


# -- added to an array -------------------------------------------------------------------------------------------

ADDED = [(64, 3, 64), (80, 7, 70), (64, 1, 64), (70, 65, 60), (350, 300, 340), (SMALLEST, 3, 1)]


@pytest.mark.parametrize("shape", ADDED, ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_product_that_is_added(shape: tuple[int, int, int], order: Any) -> None:
    n, k, m = shape
    weight = R.normal(size=(n, m)).astype(np.float32, order=order)
    before = weight.copy()
    p = Reference(tn.asarray(weight))
    b = Build()
    x, y, other = b.input(k, n), b.input(k, m), b.input(n, m)
    b.writes.append(Write(p, b.emit("add", p, b.emit("dot", x, y, ta=True))))
    out = b.emit("subtract", other, b.emit("dot", x, y, ta=True))
    given = [R.normal(size=v.shape).astype(np.float32) for v in (x, y, other)]
    runner = compiled(b.program(out))
    (found,) = runner.call(*given)
    assert_close(weight, turned(given[0]), given[1], before)
    assert_close(found, -turned(given[0]), given[1], given[2])
    if k < min(n, m):
        assert entries(runner).count("dot_add") == 2


# -- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_, np.float16])
def test_other_dtypes_are_numpys(dtype: Any) -> None:
    b = Build()
    x, y = b.input(3, 4, dtype=dtype), b.input(4, 5, dtype=dtype)
    given = [R.integers(0, 2 if dtype is np.bool_ else 5, v.shape).astype(dtype) for v in (x, y)]
    assert called(assert_native(b.program(b.emit("dot", x, y)), *given)) == ["dot"]


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0), (1, 0, 1)], ids=str)
def test_arrays_without_elements(shape: tuple[int, int, int]) -> None:
    n, k, m = shape
    b = Build()
    x, y = b.input(n, k), b.input(k, m)
    assert_native(b.program(b.emit("dot", x, y)), np.zeros((n, k), np.float32), np.zeros((k, m), np.float32))


@pytest.mark.parametrize("shape", [(3, 4, 5), (20, 30, 40), (1, 30, 40), (40, 30, 1)], ids=str)
def test_infinities_and_nan_stay_in_their_rows_and_columns(shape: tuple[int, int, int]) -> None:
    n, k, m = shape
    b = Build()
    x, y = b.input(n, k), b.input(k, m)
    runner = compiled(b.program(b.emit("dot", x, y)))
    for special in (np.inf, -np.inf, np.nan):
        left, right = (R.integers(1, 4, v.shape).astype(np.float32) for v in (x, y))
        left[n // 2, k - 1] = special
        right[0, m // 2] = special
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(runner.call(left, right)[0], left @ right)


def test_both_sides_of_the_line_between_loops_and_others() -> None:
    """Whole numbers: the same to the last bit, however it is computed."""
    for k in (SMALL // 9 - 1, SMALL // 9, SMALL // 9 + 1):
        b = Build()
        x, y = b.input(3, k), b.input(k, 3)
        program: Program = b.program(b.emit("dot", x, y), b.emit("dot", y, x, ta=True, tb=True))
        assert_native(program, *(R.integers(-3, 4, v.shape).astype(np.float32) for v in (x, y)))


def test_a_chain_of_products_with_what_is_computed_between() -> None:
    b = Build()
    x: Value = b.input(12, 20)
    weights: Sequence[Value] = [b.input(20, 20) for _ in range(3)]
    for w in weights:
        x = b.emit("maximum", b.emit("minimum", b.emit("dot", x, w), constant(2)), constant(-2))
    given = [R.integers(-2, 3, v.shape).astype(np.float32) for v in b.inputs]
    program = b.program(x, b.emit("dot", x, x, ta=True))
    runner = assert_native(program, *given)
    assert called(runner) == []
    assert evaluate(program, given).outputs[1].shape == (20, 20)


def test_how_blas_reads_a_matrix() -> None:
    assert matrix((3, 4), (4, 1)) == Matrix(False, 4)
    assert matrix((3, 4), (9, 1)) == Matrix(False, 9)
    assert matrix((3, 4), (1, 3)) == Matrix(True, 3)
    assert matrix((5, 3, 4), (60, 1, 8)) == Matrix(True, 8)
    assert matrix((1, 4), (0, 1)) == Matrix(False, 4)
    assert matrix((4, 1), (1, 0)) == Matrix(False, 1)
    for strides in ((8, 2), (0, 1), (1, 0), (-4, 1), (4, -1), (3, 1)):
        assert matrix((3, 4), strides) is None


def test_of_a_product_in_vectors_llvm_makes_none() -> None:
    """A product written for its shape is said to be of vectors; loops, which LLVM is to make vectors of, are not."""

    def attributes(*shape: int) -> set[str]:
        n, m, k = shape
        a, b = R.normal(size=(n, k)).astype(np.float32), R.normal(size=(k, m)).astype(np.float32)
        step = tn.compile(lambda a, b: a @ b, backend="native")
        for _ in range(2):
            assert_close(step(a, b).numpy(), a, b)
        text = step.variants[0].runner.module.text
        return set(re.findall(r"^define internal void @k\d+\([^\n]*(#\d)", text, re.MULTILINE))

    assert "#3" in attributes(32, 48, 64)
    assert attributes(2, 2, 2) == {"#0"}
