"""Large matrix products by BLAS in blocks, which the worker threads take: each call of BLAS computes on the thread that makes
it, as OpenBLAS's own threads go on spinning for some 20 ms after each product, and hold the processors meanwhile."""

from __future__ import annotations

import functools
import math

import numpy as np

from tapenet.kernels import aligned
from tapenet.llvm import blas, sharing, workers
from tapenet.llvm.kernel import Kernel, Value
from tapenet.llvm.sharing import Shared

#: Multiply-adds in the time that it takes to read a number from memory.
READ = 10
#: Blocks where results are to be the same for any number of threads (`workers.deterministic`).
EVEN = 8


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray | None:
    """a @ b of two matrices, or of a matrix and a vector, of one dtype of floats; None where one thread is to compute it, or
    the operands lie in memory as BLAS reads none. That of two matrices is written to `out`, if given, in C order."""
    threads = EVEN if workers.is_deterministic() else workers.threads()
    left = _matrix(a)
    if threads < 2 or left is None or blas.find() is None:
        return None
    (n, k), char = a.shape, a.dtype.char
    if b.ndim == 1:
        count = min(threads, READ * n * k // sharing.PART, n // (2 * blas.GRAIN))
        if count < 2 or b.strides[0] != b.itemsize:
            return None
        out = np.empty(n, a.dtype)
        with blas.alone():
            _gemv(left.transposed, char)(n, 0, a, b, out, k, left.leading, parts=count)
        return out
    m, right = b.shape[1], _matrix(b)
    work = n * m * k - sharing.BYTE * a.itemsize * (n * k + k * m + n * m)
    count = min(threads, work // sharing.PART, max(n, m) // (2 * blas.GRAIN))
    if count < 2 or right is None:
        return None
    out = aligned((n, m), a.dtype) if out is None else out
    run = _gemm(n >= m, left.transposed, right.transposed, char)
    with blas.alone():
        run(max(n, m), 0, a, b, out, n, m, k, left.leading, right.leading, parts=count)
    return out


def stack(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """a @ b of stacks of matrices (..., n, k) and (..., k, m), which broadcast: some products to each thread; None as above."""
    if workers.threads() < 2 or blas.find() is None:
        return None
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (n, k), m, count = a.shape[-2:], b.shape[-1], math.prod(lead)
    a, b = (np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b))
    left, right = (_matrix(x) for x in (a, b))
    if left is None or right is None or not count:
        return None
    run = _stack(left.transposed, right.transposed, a.dtype.char)
    work = count * n * m * k
    parts = run.parts(count, work)
    if parts < 2:
        return None
    out = aligned((*lead, n, m), a.dtype)
    size = a.itemsize
    places = _places(lead, *(tuple(s // size for s in x.strides[:-2]) for x in (a, b)))
    with blas.alone():
        run(count, work, a, b, out, places, n, m, k, left.leading, right.leading, parts=parts)
    return out


@functools.lru_cache(maxsize=16)
def _places(lead: tuple[int, ...], *strides: tuple[int, ...]) -> np.ndarray:
    """Where each matrix begins in the arrays with these strides, in elements."""
    at = np.indices(lead).reshape(len(lead), -1)
    return np.ascontiguousarray(np.stack([np.array(s, np.int64) @ at for s in strides], -1), np.int64)


def _matrix(x: np.ndarray) -> blas.Matrix | None:
    """The matrix along the last two axes, if it has some rows and columns."""
    if min(x.shape[-2:]) < 2 or any(s % x.itemsize for s in x.strides[-2:]):
        return None
    return blas.matrix(x.shape, tuple(s // x.itemsize for s in x.strides))


@functools.lru_cache(maxsize=16)
def _gemm(by_rows: bool, turned: bool, turned_right: bool, char: str) -> Shared:
    """Some rows or columns of a result (n, m). Arguments: operands and result; n, m and the length summed over, and the leading
    dimensions of the operands."""
    k = Kernel("gemm", char)
    a, b, out = k.array(1), k.array(1), k.array(1)
    n, m, depth, left, right = (k.integer() for _ in range(5))
    begin, end = k.range(blas.GRAIN)
    if by_rows:
        at = a.at(begin if turned else begin * left), b.pointer, out.at(begin * m)
    else:
        at = a.pointer, b.at(begin * right if turned_right else begin), out.at(begin)
    lengths = (end - begin, m, depth) if by_rows else (n, end - begin, depth)
    how = [blas.TRANSPOSED if t else blas.PLAIN for t in (turned, turned_right)]
    one, zero = k.number(1.0), k.number(0.0)
    _call(k, "gemm", [*how, *lengths, one, at[0], left, at[1], right, zero, at[2], m])
    return k.shared()


@functools.lru_cache(maxsize=8)
def _stack(turned: bool, turned_right: bool, char: str) -> Shared:
    """Some products of two stacks. Arguments: operands and result, where the matrices of the operands begin; n, m and the
    length summed over, and the leading dimensions of the operands."""
    k = Kernel("stack", char)
    a, b, out, places = k.array(1), k.array(1), k.array(1), k.array(1, 2, dtype=np.int64)
    n, m, depth, left, right = (k.integer() for _ in range(5))
    begin, end = k.range()
    how = [blas.TRANSPOSED if t else blas.PLAIN for t in (turned, turned_right)]
    one, zero = k.number(1.0), k.number(0.0)
    for i in k.turns(end, begin):
        first, second = a.at(places.load(i, 0)), b.at(places.load(i, 1))
        _call(k, "gemm", [*how, n, m, depth, one, first, left, second, right, zero, out.at(i * n * m), m])
    return k.shared()


@functools.lru_cache(maxsize=8)
def _gemv(turned: bool, char: str) -> Shared:
    """Some numbers of a vector. Arguments: matrix, vector and result; the length summed over, and the matrix's leading
    dimension."""
    k = Kernel("gemv", char)
    a, b, out = k.array(1), k.array(1), k.array(1)
    depth, leading = k.integer(), k.integer()
    begin, end = k.range(blas.GRAIN)
    some = end - begin
    rows, columns, at = (depth, some, a.at(begin)) if turned else (some, depth, a.at(begin * leading))
    how = blas.TRANSPOSED if turned else blas.PLAIN
    step, one, zero = k.index(1), k.number(1.0), k.number(0.0)
    _call(k, "gemv", [how, rows, columns, one, at, leading, b.pointer, step, zero, out.at(begin), step])
    return k.shared()


def _call(k: Kernel, name: str, arguments: list[int | str | Value]) -> None:
    """Call a function of BLAS with options, pointers and numbers, of which integers are lengths."""
    found = blas.find()
    assert found is not None
    given = [f"i32 {blas.ROW_MAJOR}"]
    for value in arguments:
        if isinstance(value, Value):
            if value.type == "i64" != found.integer:
                value = value.convert("trunc", found.integer)
            given.append(f"{value.type} {value.name}")
        else:
            given.append(f"i32 {value}" if isinstance(value, int) else f"ptr {value}")
    symbol = f"tn_{'s' if k.dtype.char == 'f' else 'd'}{name}"
    k.declares.add(f"declare void @{symbol}({', '.join(text.split(' ')[0] for text in given)})")
    k.line(f"  call void @{symbol}({', '.join(given)})")
