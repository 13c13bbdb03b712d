"""Products of a matrix and a vector as code of their own, where the matrix's rows are dense: sums along rows.

A few rows at a time, so that each piece of the vector is loaded once for all of them, and the sums do not wait for
one another. What does not fill a vector register is loaded under a mask: rows of ten numbers are one instruction.
"""

from __future__ import annotations

from typing import NamedTuple

from tapenet.llvm.code import Carried, Code, Strides, offset
from tapenet.llvm.emitter import llvm_type, load, store
from tapenet.llvm.gemm import load_masked, mask
from tapenet.llvm.processor import registers
from tapenet.typing import DType

#: The matrix has at most so many bytes: a larger one does not come from the cache, and BLAS may use threads.
LARGEST = 400_000
#: Sums that are computed at once: additions take some four cycles, and one or two begin in each.
SUMS = 8


class Shape(NamedTuple):
    """A matrix of (rows, columns) times a vector; numbers between rows, and between the numbers of the result."""

    rows: int
    columns: int
    row: int
    out: int
    #: Whether the matrix is the left operand.
    left: bool


def shape(n: int, m: int, k: int, a: Strides, b: Strides, c: Strides, dtype: DType) -> Shape | None:
    """How a product of (n, k) and (k, m) is one of a matrix and a vector that is written here; None if it is not.
    Strides are those of operands and result."""
    if (n > 1 and m > 1) or a[1] != 1 or b[0] != 1 or n * m * k * dtype.itemsize > LARGEST:
        return None
    return Shape(n, k, a[0], c[0], True) if m == 1 else Shape(m, k, b[1], c[1], False)


def write(code: Code, found: Shape, pointers: tuple[str, str, str], dtype: DType, add: bool) -> None:
    """The loops of one product, c = a @ b or c += a @ b; `pointers` are those of a, b and c."""
    a, b, c = pointers
    matrix, vector = (a, b) if found.left else (b, a)
    blocks = -(-found.rows // SUMS)
    each = -(-found.rows // blocks)
    full, rest = divmod(found.rows, each)

    def block(first: str | int, count: int) -> None:
        start = offset(code, matrix, first, found.row, dtype)
        out = offset(code, c, first, found.out, dtype)
        _rows(code, count, found, start, vector, out, dtype, add)

    if full == 1:
        block(0, each)
    else:
        code.loop(full, lambda index: block(code.emit(f"mul nuw nsw i64 {index}, {each}"), each))
    if rest:
        block(full * each, rest)


def _rows(code: Code, count: int, found: Shape, matrix: str, vector: str, out: str, dtype: DType, add: bool) -> None:
    """The sums of some rows."""
    lanes = registers().bytes // dtype.itemsize
    t = llvm_type(dtype)
    wide = f"<{lanes} x {t}>"
    many = max(1, SUMS // count)  # sums for each row
    sums = [[Carried("zeroinitializer", wide) for _ in range(many)] for _ in range(count)]

    def step(at: str | int, pieces: int, masked: str | None) -> None:
        """Add the products of some registers full from column `at` on."""
        x = offset(code, vector, at, 1, dtype)
        y = offset(code, matrix, at, 1, dtype)
        for p in range(pieces):
            right = load_masked(code, offset(code, x, p * lanes, 1, dtype), wide, masked, dtype)
            for r in range(count):
                place = offset(code, offset(code, y, r, found.row, dtype), p * lanes, 1, dtype)
                product = code.emit(f"fmul contract {wide} {load_masked(code, place, wide, masked, dtype)}, {right}")
                cell = sums[r][p]
                cell.after = code.emit(f"fadd contract {wide} {cell.register}, {product}")

    def straight(at: int, pieces: int, masked: str | None) -> None:
        step(at, pieces, masked)
        for row in sums:
            for cell in row[:pieces]:
                cell.register = cell.after

    turns, left = divmod(found.columns, many * lanes)
    if turns == 1:
        straight(0, many, None)
    elif turns:
        code.loop(
            turns,
            lambda index: step(code.emit(f"mul nuw nsw i64 {index}, {many * lanes}"), many, None),
            [cell for row in sums for cell in row],
        )
    at = turns * many * lanes
    if left >= lanes:
        straight(at, left // lanes, None)
        at += left // lanes * lanes
    if left % lanes:
        straight(at, 1, mask(left % lanes, lanes))
    name = f"llvm.vector.reduce.fadd.v{lanes}{'f32' if t == 'float' else 'f64'}"
    code.declares.add(f"declare {t} @{name}({t}, {wide})")
    for r, row in enumerate(sums):
        total = row[0].register
        for cell in row[1:]:
            total = code.emit(f"fadd {wide} {total}, {cell.register}")
        place = offset(code, out, r, found.out, dtype)
        before = load(code, place, dtype) if add else "-0.0"
        store(code, code.emit(f"call reassoc {t} @{name}({t} {before}, {wide} {total})"), place, dtype)


__all__ = ["Shape", "shape", "write"]
