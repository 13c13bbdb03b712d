"""What the normalisations share: products of rows, and blocks that stay in the cache from the mean to the result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tapenet.program.runs import row_dots

#: Elements of a block: a few arrays of that size fit the last cache. Fewer would be nearer, but are more calls.
BLOCK = 1 << 19
#: From this length on, products of rows are best summed by BLAS, one call a row.
LONG = 16


def blocks(length: int, width: int) -> Iterator[slice]:
    """Slices of an axis of `length`, whose places hold `width` elements each."""
    step = max(BLOCK // max(width, 1), 1)
    return (slice(i, i + step) for i in range(0, length, step))


def row_products(a: Any, b: Any) -> Any:
    """Σ a b along each row of two matrices."""
    return row_dots(a, b) if a.shape[1] >= LONG else np.einsum("ij,ij->i", a, b)


def as_rows(x: Any, shape: tuple[int, ...]) -> Any:
    """The last axes, of this shape, as the rows of a matrix."""
    n = math.prod(shape)
    rows = (-1 if n else math.prod(x.shape[: len(x.shape) - len(shape)]), n)
    return x.reshape(rows) if type(x) is np.ndarray else np.reshape(x, rows)


def usable(mean: Any, first: Any) -> Any:
    """Means, in place of which the first number of each row counts where their sum overflowed: numbers as large as that
    are all equal, or the squares of their differences overflow too. Plain NumPy."""
    if type(mean) is np.ndarray and math.isfinite(np.add.reduce(mean, None)):
        return mean
    return np.where(np.isfinite(mean), mean, first)


def mean_of(x: Any, axes: tuple[int, ...]) -> Any:
    """The mean over axes, none of which is empty; they are kept. Plain NumPy."""
    chosen = {axis % x.ndim for axis in axes}
    first = x[tuple(slice(1) if i in chosen else slice(None) for i in range(x.ndim))]
    return usable(np.mean(x, axes, keepdims=True), first)


def inverse_root(var: Any, eps: float) -> Any:
    """1 / √(var + eps)."""
    scale = var + eps
    return np.reciprocal(np.sqrt(scale, scale), scale)


def params(r: np.random.Generator, n: int) -> tuple[Any, Any]:
    """A scale and a shift for samples."""
    return r.uniform(0.5, 1.5, n), r.normal(size=n)
