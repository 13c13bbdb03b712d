"""The three products of a linear layer, in tiles held in registers, for any number of rows.

Where there are many, the right operand is packed into panels (`kernels/panels.py`)."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from tapenet.kernels import aligned, panels
from tapenet.kernels.moves import transposed
from tapenet.kernels.threads import deal
from tapenet.llvm import gemm
from tapenet.llvm.kernel import Index, Kernel
from tapenet.llvm.processor import registers

#: Numbers of the matrix of weights, at most: they are read once per block of rows.
LARGEST = 1 << 19
#: Rows that the gradient of the weights takes at a time, so that they stay in the second level cache.
ROWS = 256


def takes(inputs: int, outputs: int) -> bool:
    """Whether there is a kernel for so many inputs and outputs that is faster than BLAS: with wide registers."""
    return registers().bytes == 64 and min(inputs, outputs) >= 4 and inputs * outputs <= LARGEST


def product(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """x @ weight for rows x (n, in) and a dense matrix (in, out), both in C order."""
    return _rows(x, weight, False)


def product_turned(g: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """g @ weightᵀ for rows g (n, out) and a matrix (in, out), both in C order."""
    return _rows(g, weight, True) if len(g) >= panels.ROWS else product(g, transposed(weight))


def _rows(x: np.ndarray, weight: np.ndarray, turned: bool) -> np.ndarray:
    """x @ weight, or x @ weightᵀ."""
    n, inputs = x.shape
    outputs = weight.shape[0 if turned else 1]
    out = aligned((n, outputs), x.dtype)
    run = _product(inputs, outputs, turned, n >= panels.ROWS, x.dtype.char)
    deal(lambda first, last: run(x, weight, out, first, last - first), n, n * inputs * outputs)
    return out


def weight_grad(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    """xᵀ @ g of rows x (n, in) and g (n, out), both in C order: (in, out), in C order."""
    n, inputs, outputs = len(x), x.shape[1], g.shape[1]
    found = np.zeros((inputs, outputs), x.dtype)
    run = _weight_grad(inputs, outputs, inputs >= panels.ROWS, x.dtype.char)
    deal(lambda first, last: run(x, g, found, n, first, last), inputs, n * inputs * outputs)
    return found


@functools.lru_cache(maxsize=256)
def _product(inputs: int, outputs: int, turned: bool, packed: bool, char: str) -> Callable[..., None]:
    k = Kernel("linear", char)
    x, weight, out = k.array(1, inputs), k.array(1), k.array(1, outputs)
    first, n = k.integer(), k.integer()
    matrices = [
        gemm.Matrix(x.at(first), inputs, 1),
        gemm.Matrix(weight.pointer, 1, inputs) if turned else gemm.Matrix(weight.pointer, outputs, 1),
        gemm.Matrix(out.at(first), outputs, 1),
    ]
    if packed:
        panels.write(k, (n.name, outputs, inputs), matrices, False)
    else:
        gemm.write(k, (n.name, outputs, k.opaque(inputs)), matrices, k.dtype, False)
    return k.compile()


@functools.lru_cache(maxsize=256)
def _weight_grad(inputs: int, outputs: int, packed: bool, char: str) -> Callable[..., None]:
    k = Kernel("linear_weight", char)
    x, g, found = k.array(1, inputs), k.array(1, outputs), k.array(inputs, outputs)
    n, begin, end = k.integer(), k.integer(), k.integer()
    count = (end - begin).name

    def matrices(first: Index) -> list[gemm.Matrix]:
        return [
            gemm.Matrix(x.at(first, begin), 1, inputs),
            gemm.Matrix(g.at(first), outputs, 1),
            gemm.Matrix(found.at(begin), outputs, 1),
        ]

    if packed:
        panels.write(k, (count, outputs, n.name), matrices(0), True)
        return k.compile()
    for first in k.turns(n, 0, ROWS):
        left = n - first
        rows = (left < ROWS).where(left, k.index(ROWS))
        gemm.write(k, (count, outputs, rows.name), matrices(first), k.dtype, True)
    return k.compile()
