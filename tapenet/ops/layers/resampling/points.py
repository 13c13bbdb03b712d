"""Weighted sums of elements at given places: what sampling on a grid is made of.

One family, closed under differentiation. Σ y · weights · x[index] is linear in each of the arrays x, weights and y; the
three ops are its derivatives by y, x and weights, and the rules of each are the other two.
"""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.indexing.adding import add_at
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.typing import Array, Shape

# -- on raw arrays -----------------------------------------------------------------------------------------------


def _rows(x: Array) -> Array:
    """(n, c, p) as rows of channels, one after the other, with a row of zeros behind each of the batch."""
    n, c, p = x.shape
    rows = np.zeros((n, p + 1, c), x.dtype)
    rows[:, :p] = x.transpose(0, 2, 1)
    return rows.reshape(n * (p + 1), c)


def _flat(index: Array, length: int) -> Array:
    """Places in the rows of the whole batch."""
    return index + (np.arange(len(index)) * (length + 1)).reshape(-1, 1, 1)


def _check(x: Array, weights: Array, index: Array) -> None:
    if x.ndim != 3 or index.ndim != 3 or len(x) != len(index) or weights.shape != index.shape:
        raise ValueError(
            f"the arrays have shapes {x.shape}, {weights.shape} and {index.shape}; they must be (batch, channels, places), "
            "and twice (batch, taps, results)"
        )


_OPAQUE = "rows of channels are read one tap at a time"


# -- the ops -----------------------------------------------------------------------------------------------------


def _sample_x(g: Array, weights: Array, index: Array, x_shape: Shape) -> Array:
    return point_scatter(g, weights, index, x_shape[2])  # type: ignore[no-any-return]


def _sample_weights(g: Array, x: Array, index: Array) -> Array:
    return point_weights(x, g, index)  # type: ignore[no-any-return]


def _scatter_weights(g: Array, y: Array, index: Array) -> Array:
    return point_weights(g, y, index)  # type: ignore[no-any-return]


@op(
    label="sample",
    opaque=_OPAQUE,
    nondiff=("index",),
    multiply_adds=lambda index_shape, x_shape: math.prod(index_shape) * x_shape[1],
    x=_sample_x,
    weights=_sample_weights,
    formula="Σ weights · x[index] over the taps",
    samples=lambda r: [sample(r.normal(size=(2, 1, 3)), r.normal(size=(2, 2, 2)), r.integers(0, 4, (2, 2, 2)))],
)
def point_sample(x: Array, weights: Array, index: Array) -> Array:
    """Weighted sums of the elements of x at given places, the same for all channels.

    Args:
        x: (batch, channels, places).
        weights: (batch, taps, results).
        index: (batch, taps, results), integers from 0 to places; the last stands for a place outside, where there is 0.

    Returns:
        (batch, channels, results).

    >>> import numpy as np, tapenet as tn
    >>> tn.point_sample(tn.tensor([[[1.0, 5.0]]]), np.array([[[0.5], [0.5]]]), np.array([[[0], [1]]]))
    Tensor([[[3.]]])
    """
    _check(x, weights, index)
    rows, flat = _rows(x), _flat(index, x.shape[2])
    found = sum(rows.take(flat[:, t], axis=0) * weights[:, t, :, None] for t in range(index.shape[1]))
    return np.transpose(found, (0, 2, 1))


@op(
    label="sample gradient",
    opaque=_OPAQUE,
    nondiff=("index",),
    multiply_adds=lambda index_shape, y_shape: math.prod(index_shape) * y_shape[1],
    y=lambda g, weights, index: point_sample(g, weights, index),
    weights=_scatter_weights,
    formula="zeros with weights · y added at index",
    samples=lambda r: [sample(r.normal(size=(2, 1, 2)), r.normal(size=(2, 2, 2)), r.integers(0, 4, (2, 2, 2)), 3)],
)
def point_scatter(y: Array, weights: Array, index: Array, length: int) -> Array:
    """The gradient of `point_sample` by x: each element of y, times its weights, added at its places.

    Args:
        y: (batch, channels, results).
        weights: (batch, taps, results).
        index: (batch, taps, results), integers from 0 to places; the last stands for a place outside, where there is 0.
        length: how many places there are.

    Returns:
        (batch, channels, length).

    >>> import numpy as np, tapenet as tn
    >>> tn.point_scatter(tn.tensor([[[6.0]]]), np.array([[[0.5], [0.5]]]), np.array([[[0], [1]]]), 2)
    Tensor([[[3., 3.]]])
    """
    _check(y, weights, index)
    n, c, _ = y.shape
    found = np.zeros((n * (length + 1), c), np.result_type(y, weights))
    flat, rows = _flat(index, length), y.transpose(0, 2, 1)
    for t in range(index.shape[1]):
        add_at(found, flat[:, t].reshape(-1), (rows * weights[:, t, :, None]).reshape(-1, c))
    return found.reshape(n, length + 1, c)[:, :length].transpose(0, 2, 1)


@op(
    label="sample weight gradient",
    opaque=_OPAQUE,
    nondiff=("index",),
    multiply_adds=lambda index_shape, x_shape: math.prod(index_shape) * x_shape[1],
    x=lambda g, y, index, x_shape: point_scatter(y, g, index, x_shape[2]),
    y=lambda g, x, index: point_sample(x, g, index),
    formula="Σ y · x[index] over the channels",
    samples=lambda r: [sample(r.normal(size=(2, 1, 3)), r.normal(size=(2, 1, 2)), r.integers(0, 4, (2, 2, 2)))],
)
def point_weights(x: Array, y: Array, index: Array) -> Array:
    """The gradient of `point_sample` by its weights: products of y with the elements of x that it was made of.

    Args:
        x: (batch, channels, places).
        y: (batch, channels, results).
        index: (batch, taps, results), integers from 0 to places; the last stands for a place outside, where there is 0.

    Returns:
        (batch, taps, results).

    >>> import numpy as np, tapenet as tn
    >>> tn.point_weights(tn.tensor([[[1.0, 5.0]]]), np.array([[[2.0]]]), np.array([[[0], [1]]]))
    Tensor([[[ 2.],
             [10.]]])
    """
    _check(x, y[:, :1], index[:, :1])
    rows, flat = _rows(x), _flat(index, x.shape[2])
    given = np.ascontiguousarray(y.transpose(0, 2, 1))
    found = np.empty(index.shape, np.result_type(x, y))
    for t in range(index.shape[1]):
        np.einsum("nqc,nqc->nq", rows.take(flat[:, t], axis=0), given, out=found[:, t])
    return found
