"""What the normalisations share: sums as products with vectors of ones, which BLAS does at the speed of memory, and
blocks that stay in the cache from the mean to the result."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

#: Elements of a block: a few arrays of that size fit the last cache. Fewer would be nearer, but are more calls.
BLOCK = 1 << 19
#: From this length on, products of rows are best summed by BLAS, one call a row.
LONG = 16


@functools.lru_cache(maxsize=256)
def ones(n: int, dtype: np.dtype[Any]) -> Any:
    """A vector of ones, to sum with. Nobody writes into it."""
    made = np.ones(n, dtype)
    made.flags.writeable = False
    return made


def blocks(length: int, width: int) -> Iterator[slice]:
    """Slices of an axis of `length`, whose places hold `width` elements each."""
    step = max(BLOCK // max(width, 1), 1)
    return (slice(i, i + step) for i in range(0, length, step))


def row_sums(x: Any) -> Any:
    """The sums of the rows of a matrix."""
    return x @ ones(x.shape[1], x.dtype)


def column_sums(x: Any) -> Any:
    """The sums of the columns of a matrix."""
    return ones(x.shape[0], x.dtype) @ x


def row_products(a: Any, b: Any) -> Any:
    """Σ a b along each row of two matrices."""
    return np.vecdot(a, b) if a.shape[1] >= LONG else np.einsum("ij,ij->i", a, b)


def inverse_root(var: Any, eps: float) -> Any:
    """1 / √(var + eps)."""
    scale = var + eps
    return np.reciprocal(np.sqrt(scale, scale), scale)


def params(r: np.random.Generator, n: int) -> tuple[Any, Any]:
    """A scale and a shift for samples."""
    return r.uniform(0.5, 1.5, n), r.normal(size=n)
