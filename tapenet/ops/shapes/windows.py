"""Windows that slide over an array, and what folds them back.

Rules are stated: on large arrays derived ones take 3 to 18 times as long.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tapenet.ops.indexing.adding import add_at
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import along_axis
from tapenet.typing import Array, Axis, Shape


def _axes(ndim: int, window_shape: int | Sequence[int], axis: Axis) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The lengths of a window, and the axes along which they lie."""
    lengths = (window_shape,) if isinstance(window_shape, int) else tuple(map(int, np.atleast_1d(window_shape)))
    axes = tuple(range(ndim)) if axis is None else normalize_axis_tuple(axis, ndim, allow_duplicate=True)
    return lengths, axes


def _fold_lowered(a: Array, axis: tuple[int, ...]) -> Array:
    for i in reversed(axis):
        count, length = a.shape[i], a.shape[-1]
        shape = (*a.shape[:i], count + length - 1, *a.shape[i + 1 : -1])
        made = np.zeros_like(a, shape=shape)
        add_at(made, along_axis(i, np.arange(count)[:, None] + np.arange(length)), np.moveaxis(a, -1, i + 1))
        a = made
    return a


def _view_x(g: Array, x_shape: Shape, window_shape: Shape, axis: int) -> Array:
    return fold_windows(g, _axes(len(x_shape), window_shape, axis)[1])


@op(
    precision="moves",
    numpy=np.lib.stride_tricks.sliding_window_view,
    label="windows",
    x=_view_x,
    samples=lambda r: [
        sample(r.normal(size=4), 2),
        sample(r.normal(size=4), (3,)),
        sample(r.normal(size=(2, 3)), (2, 2)),
        sample(r.normal(size=(2, 3)), 2, -1),
        sample(r.normal(size=(2, 3)), (2, 1), axis=(1, 0)),
        sample(r.normal(size=4), (2, 2), (0, 0)),
        sample(r.normal(size=(0, 3)), 2, 1),
    ],
    hint=lambda x, window_shape, axis: (
        f"x has shape {np.shape(x)}: windows are as long or shorter, one length per axis"
    ),
)
def sliding_window_view(x: Array, window_shape: int | Sequence[int], axis: Axis = None) -> Array:
    """All windows of a shape that fit into an array, as a view; `np.lib.stride_tricks.sliding_window_view`.

    Args:
        x: an array.
        window_shape: the lengths of a window, one per axis it slides along.
        axis: these axes (None: all); an axis may come twice.

    Returns:
        an array in which each axis has as many places as windows fit along it, and new last axes run over the window; a
        view, read-only.

    Raises:
        ValueError: a window longer than the array, or not one length per axis.

    >>> import tapenet as tn
    >>> tn.sliding_window_view(tn.tensor([1.0, 2.0, 3.0]), 2)
    Tensor([[1., 2.],
            [2., 3.]])
    """
    return np.lib.stride_tricks.sliding_window_view(x, window_shape, axis)


@op(
    label="fold",
    lower=_fold_lowered,  # one instruction for all places of a window
    a=lambda g, a_shape, axis: sliding_window_view(g, a_shape[len(a_shape) - len(axis) :], axis),
    formula="Σ a[i, k] over i + k",
    samples=lambda r: [
        sample(r.normal(size=(3, 2)), (0,)),
        sample(r.normal(size=(2, 4)), (0,)),
        sample(r.normal(size=(1, 2, 2, 3)), (1, 0)),
        sample(r.normal(size=(2, 2, 2)), (0, 0)),
    ],
)
def fold_windows(a: Array, axis: tuple[int, ...]) -> Array:
    """The sum of overlapping windows, each where it was taken from: the gradient of `sliding_window_view`.

    Args:
        a: windows as `sliding_window_view` gives them.
        axis: a tuple of the axes along which they slide, counted from the first one.

    >>> import tapenet as tn
    >>> tn.fold_windows(tn.tensor([[1.0, 2.0], [10.0, 20.0]]), (0,))
    Tensor([ 1., 12., 20.])
    """
    for i in reversed(axis):
        count, length = a.shape[i], a.shape[-1]
        shape = list(a.shape[:-1])
        shape[i] = count + length - 1
        made = np.zeros(shape, a.dtype)
        # As many additions of whole arrays as a window has places, or as there are windows, whichever is less.
        if length <= count:
            for k in range(length):
                made[along_axis(i, slice(k, k + count))] += a[..., k]
        else:
            parts = np.moveaxis(a, (i, -1), (0, i + 1))
            for k in range(count):
                made[along_axis(i, slice(k, k + length))] += parts[k]
        a = made
    return a
