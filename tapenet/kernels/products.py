"""Products of matrices by BLAS, in parts that the worker threads take: each call of BLAS computes on the thread that makes it,
as OpenBLAS's own threads go on spinning for some 20 ms after each product, and hold the processors meanwhile. Eager mode and
compiled programs call the same code."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeVar

import numpy as np

from tapenet.kernels import aligned
from tapenet.llvm import blas, rehearsal, sharing, workers
from tapenet.llvm.blas import GRAIN, PLAIN, ROW_MAJOR, TRANSPOSED, Length, Matrix, call
from tapenet.llvm.code import Code
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Kernel
from tapenet.llvm.sharing import Shared
from tapenet.typing import DType

#: Multiply-adds in the time that it takes to read a number from memory.
READ = 10
#: What a product is cut along: the rows of its result, its columns, or what it sums up.
Axis = Literal["rows", "columns", "sums"]
#: What of operands and result then moves from part to part, and whether along its rows.
_MOVED: dict[Axis, Sequence[tuple[int, bool]]] = {
    "rows": ((0, True), (2, True)), "columns": ((1, False), (2, False)), "sums": ((0, False), (1, True)),
}  # fmt: skip
_Place = TypeVar("_Place")


class Kind(NamedTuple):
    """Of products that have one code: which operands are transposed, whether the right one is a vector, whether the product is
    added to what is there."""

    left: bool
    right: bool
    vector: bool
    add: bool
    dtype: DType


class Product(NamedTuple):
    """A product of matrices (n, k) and (k, m), by how BLAS reads these and the result.

    Attributes:
        add: whether it is added to what is there.
    """

    n: int
    m: int
    k: int
    a: Matrix
    b: Matrix
    c: Matrix
    dtype: DType
    add: bool = False

    @property
    def kind(self) -> Kind:
        """What code it has, if it is arranged."""
        return Kind(self.a.transposed, self.b.transposed, self.m == 1, self.add, self.dtype)

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Rows, columns, and how many products are summed up."""
        return self[:3]

    @property
    def leading(self) -> tuple[int, int, int]:
        """How far the rows of operands and result lie apart."""
        return self.a.leading, self.b.leading, self.c.leading

    @property
    def along(self) -> Axis:
        """What it is cut along in blocks."""
        return "rows" if self.n >= self.m else "columns"

    @property
    def blocks(self) -> int:
        """How many blocks it is worth."""
        n, m, k = self.lengths
        work = READ * n * k if m == 1 else n * m * k - sharing.BYTE * self.dtype.itemsize * (n * k + k * m + n * m)
        return min(work // sharing.PART, max(n, m) // (2 * GRAIN))


def arranged(p: Product, at: Sequence[_Place]) -> tuple[Product, Sequence[_Place]]:
    """A product or the transposed one, such that the result is in C order or a column, with what stands for its operands and
    result. Vectors are columns then."""
    if p.n == 1 < p.m or (p.c.transposed and p.m > 1):
        a, b, c = (Matrix(not x.transposed, x.leading) for x in (p.b, p.a, p.c))
        p, at = p._replace(n=p.m, m=p.n, a=a, b=b, c=c), (at[1], at[0], *at[2:])
    if p.m == 1:
        b, c = (Matrix(False, 1 if x.transposed else x.leading) for x in (p.b, p.c))
        p = p._replace(b=b, c=c)
    return p, at


def write(code: Code, kind: Kind, lengths: Sequence[Length], leading: Sequence[Length], at: Sequence[str]) -> None:
    """One call of BLAS, given pointers to operands and result."""
    n, m, k = lengths
    left, right = (TRANSPOSED if turned else PLAIN for turned in kind[:2])
    (a, b, out), (by_a, by_b, by_out) = at, leading
    beta = 1.0 if kind.add else 0.0
    if kind.vector:
        rows = (k, n) if kind.left else (n, k)
        call(code, "gemv", kind.dtype, (ROW_MAJOR, left), *rows, 1.0, a, by_a, b, by_b, beta, out, by_out)
    else:
        options = ROW_MAJOR, left, right
        call(code, "gemm", kind.dtype, options, n, m, k, 1.0, a, by_a, b, by_b, beta, out, by_out)


@factory(64)
def parts(kind: Kind, along: Axis) -> Shared:
    """The code of a product in parts. Arguments: operands and result, of sums one for each part; `lengths` and `leading`."""
    k = Kernel("product", kind.dtype)
    arrays = k.array(1), k.array(1), k.each(1) if along == "sums" else k.array(1)
    lengths, leading = ([k.integer() for _ in range(3)] for _ in range(2))
    begin, end = k.range(1 if along == "sums" else GRAIN, rounds=1)
    at = [array.pointer for array in arrays]
    for i, by_rows in _MOVED[along]:
        turned = (kind.left, kind.right, False)[i]
        at[i] = arrays[i].at(begin if turned == by_rows else begin * leading[i])
    lengths[("rows", "columns", "sums").index(along)] = end - begin
    write(k, kind, lengths, leading, at)
    return k.shared()


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray | None:
    """a @ b of two matrices, or of a matrix and a vector, of one dtype of floats; None where one thread is to compute it, or
    the operands lie in memory as BLAS reads none. It is written to `out`, if given, in C order."""
    recorded = rehearsal.state.record is not None
    if not recorded and workers.blocks(workers.MOST) < 2:
        return None
    right = b if b.ndim == 2 else b[:, None]
    read, read_right = _matrix(a), _matrix(right)
    if read is None or read_right is None or blas.find() is None:
        return None
    (n, k), m = a.shape, right.shape[1]
    p, at = arranged(Product(n, m, k, read, read_right, Matrix(False, m), a.dtype), (a, b))
    most = p.blocks
    if not recorded and workers.blocks(most) < 2:
        return None
    made = aligned((n, *b.shape[1:]), a.dtype) if out is None else out
    with blas.alone():
        parts(p.kind, p.along)(max(n, m), n * m * k, *at, made, *p.lengths, *p.leading, blocks=most)
    return made


def stack(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """a @ b of stacks of matrices (..., n, k) and (..., k, m), which broadcast: some products to each thread; None as above."""
    if workers.threads() < 2 or blas.find() is None:
        return None
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (n, k), m, count = a.shape[-2:], b.shape[-1], math.prod(lead)
    a, b = (np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b))
    left, right = _matrix(a), _matrix(b)
    if left is None or right is None or min(n, m, k) < 2 or not count:
        return None
    run = _stack(Kind(left.transposed, right.transposed, False, False, a.dtype))
    work = count * n * m * k
    most = run.parts(count, work)
    if most < 2:
        return None
    out = aligned((*lead, n, m), a.dtype)
    size = a.itemsize
    places = _places(lead, *(tuple(s // size for s in x.strides[:-2]) for x in (a, b)))
    with blas.alone():
        run(count, work, a, b, out, places, n, m, k, left.leading, right.leading, parts=most)
    return out


@functools.lru_cache(maxsize=16)
def _places(lead: tuple[int, ...], *strides: tuple[int, ...]) -> np.ndarray:
    """Where each matrix begins in the arrays with these strides, in elements."""
    at = np.indices(lead).reshape(len(lead), -1)
    return np.ascontiguousarray(np.stack([np.array(s, np.int64) @ at for s in strides], -1), np.int64)


def _matrix(x: np.ndarray) -> Matrix | None:
    """The matrix along the last two axes."""
    if any(s % x.itemsize for s in x.strides[-2:]):
        return None
    return blas.matrix(x.shape, tuple(s // x.itemsize for s in x.strides))


@factory(8)
def _stack(kind: Kind) -> Shared:
    """Some products of two stacks. Arguments: operands and result, where the matrices of the operands begin; n, m and the
    length summed over, and how far the rows of the operands lie apart."""
    k = Kernel("stack", kind.dtype)
    a, b, out, places = k.array(1), k.array(1), k.array(1), k.array(1, 2, dtype=np.int64)
    n, m, depth, left, right = (k.integer() for _ in range(5))
    begin, end = k.range()
    for i in k.turns(end, begin):
        at = a.at(places.load(i, 0)), b.at(places.load(i, 1)), out.at(i * n * m)
        write(k, kind, (n, m, depth), (left, right, m), at)
    return k.shared()
