"""Sums of many numbers by BLAS, as exact as NumPy's own.

BLAS adds up a long vector in a few registers, each of which soon holds a sum beside which the next number is small: of
thirty million equal float32 numbers a thousandth is lost. Here long vectors are cut into runs. BLAS adds up a run, and
NumPy the sums of all runs, pairwise or in float64.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

#: Numbers in a run. In fewer, calls of BLAS take longer than its sums; in more, they are less exact.
RUN = 1 << 12
#: From how many numbers on there are runs: for fewer the calls that make them take longer than they are worth.
LONG = 1 << 16


@functools.lru_cache(maxsize=256)
def ones(n: int, dtype: np.dtype[Any]) -> Any:
    """A vector of ones, to sum with. Nobody writes into it."""
    made = np.ones(n, dtype)
    made.flags.writeable = False
    return made


def dot(a: Any, b: Any) -> Any:
    """Σ a b of two real vectors. Of symbols it is a plain product: the compiler's backends see to long ones themselves."""
    return row_dots(a, b) if a.size >= LONG and type(a) is np.ndarray else a.dot(b)


def row_dots(a: Any, b: Any) -> Any:
    """Σ a b along the last axis of two real arrays of one shape."""
    n = a.shape[-1]
    if n < LONG:
        return np.vecdot(a, b)
    whole = n - n % RUN
    runs = (*a.shape[:-1], -1, RUN)
    parts = np.vecdot(a[..., :whole].reshape(runs), b[..., :whole].reshape(runs))
    sums = np.add.reduce(parts, -1, dtype=np.float64)
    return (sums + np.vecdot(a[..., whole:], b[..., whole:])).astype(a.dtype)


def row_sums(x: Any) -> Any:
    """The sums of the rows of a matrix."""
    return x @ ones(x.shape[1], x.dtype) if x.shape[1] < LONG else np.add.reduce(x, 1)


def column_sums(x: Any) -> Any:
    """The sums over the last but one axis of a matrix, or of several."""
    n = x.shape[-2]
    if n < LONG:
        return ones(n, x.dtype) @ x
    whole = n - n % RUN
    parts = ones(RUN, x.dtype) @ x[..., :whole, :].reshape((*x.shape[:-2], -1, RUN, x.shape[-1]))
    sums = np.add.reduce(parts, -2, dtype=np.float64)
    return (sums + ones(n - whole, x.dtype) @ x[..., whole:, :]).astype(x.dtype)
