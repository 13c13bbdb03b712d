"""Reductions of rows, the last axis of large arrays, by what is fastest for them: NumPy's own reduce spends 40 ns on each
row, and adds without the instructions that add many numbers at once. All keep the axis, with length one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.program.runs import row_dots, row_sums

#: Below this many elements NumPy's reduce is as fast.
_MANY = 1 << 12
#: Rows no longer than this are taken column by column.
_SHORT = 32
#: Rows at least this long are multiplied by BLAS.
_LONG = 64


def _matrix(x: Any, axis: int) -> Any:
    """A large array as (rows, length), if its rows are such; else None."""
    if type(x) is not np.ndarray or x.size < _MANY or x.dtype.char not in "fd" or not x.flags.c_contiguous:
        return None
    return x.reshape(-1, x.shape[-1]) if axis in (-1, x.ndim - 1) else None


def row_maximum(x: Any, axis: int, lowest: float) -> Any:
    """The largest of each row, and at least the lowest."""
    rows = _matrix(x, axis)
    if rows is None or rows.shape[1] > _SHORT:
        return np.maximum.reduce(x, axis, keepdims=True, initial=lowest)
    found = np.full(rows.shape[0], lowest, x.dtype)
    for column in rows.T:
        np.maximum(found, column, out=found)
    return found.reshape((*x.shape[:-1], 1))


def row_sum(x: Any, axis: int, more: float = 0.0) -> Any:
    """The sum of each row, and a number more."""
    rows = _matrix(x, axis)
    if rows is None:
        return np.add.reduce(x, axis, keepdims=True, initial=more)
    found = row_sums(rows)
    if more:
        found += more
    return found.reshape((*x.shape[:-1], 1))


def row_dot(x: Any, y: Any, axis: int) -> Any:
    """The inner products of the rows of two arrays of one shape."""
    rows, others = _matrix(x, axis), _matrix(y, axis)
    if rows is None or others is None:
        return np.add.reduce(x * y, axis, keepdims=True)
    found = row_dots(rows, others) if rows.shape[1] >= _LONG else np.einsum("ij,ij->i", rows, others)
    return found.reshape((*x.shape[:-1], 1))
