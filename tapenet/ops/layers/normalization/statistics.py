"""What the normalisations share: the mean."""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.reductions.sums import sum as _sum
from tapenet.typing import Array, Shape


def mean_of(x: Array, axes: Shape) -> Array:
    """The mean over axes, which are kept; a sum that does not overflow."""
    count = math.prod(x.shape[axis] for axis in axes) or 1
    if type(x) is np.ndarray and x.dtype == np.float32:
        # NumPy adds up one by one what does not lie side by side: in float64.
        return (np.add.reduce(x, axes, np.float64, keepdims=True) / count).astype(x.dtype)
    return _sum(x * (1 / count), axes, keepdims=True)


def params(r: np.random.Generator, n: int) -> tuple[Array, Array]:
    """A scale and a shift for samples."""
    return r.uniform(0.5, 1.5, n), r.normal(size=n)
