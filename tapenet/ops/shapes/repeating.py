"""Repeating arrays and their elements.

Rules are stated: the derived one of `repeat` takes up to 9 times as long, that of `tile` 1.1 times.
"""

from __future__ import annotations

import math
import operator

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.indexing.selecting import taken
from tapenet.ops.op import Scatter, op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import whole
from tapenet.typing import Array, Shape


def _lengths(shape: tuple[int, ...], reps: Array) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How often each axis is repeated, and how long it is: as many numbers for both."""
    counts = tuple(map(operator.index, reps)) if np.ndim(reps) else (operator.index(reps),)
    ndim = max(len(shape), len(counts))
    return (1,) * (ndim - len(counts)) + counts, (1,) * (ndim - len(shape)) + shape


def _tile_a(g: Array, A_shape: Shape, reps: Array) -> Array:
    A_shape = whole(A_shape)
    counts, lengths = _lengths(A_shape, reps)
    # Each axis is split in two; the first counts the repetitions.
    apart = np.reshape(g, tuple(k for pair in zip(counts, lengths, strict=True) for k in pair))
    return np.reshape(np.sum(apart, axis=tuple(range(0, 2 * len(counts), 2))), A_shape)


@op(
    numpy=np.tile,
    A=_tile_a,
    gradients="A: Σ g over the repetitions",
    samples=lambda r: [
        sample(r.normal(size=3), 2),
        sample(r.normal(size=(2, 2)), (1, 2)),
        sample(r.normal(size=2), (2, 1, 3)),
        sample(r.normal(size=(2, 1, 2)), (2,)),
        sample(r.normal(size=()), (2, 2)),
        sample(r.normal(size=2), (2, 0)),
        sample(r.normal(size=(2, 2)), ()),
    ],
)
def tile(A: Array, reps: Array) -> Array:
    """An array repeated as a whole, `reps` times along each axis.

    Args:
        A: an array.
        reps: an integer, or one per axis; where their numbers differ the shorter side gets ones in front.

    Returns:
        an array whose lengths are those of `A` times `reps`. The gradient is the sum over the repetitions.

    >>> import tapenet as tn
    >>> tn.tile(tn.tensor([1.0, 2.0]), (2, 2))
    Tensor([[1., 2., 1., 2.],
            [1., 2., 1., 2.]])
    """
    return np.tile(A, reps)


def _each_repeated(shape: tuple[int, ...], repeats: Array, axis: int | None) -> tuple[tuple[int, ...], int, int | None]:
    """The shape and the axis along which elements are repeated, and how often if all are equally."""
    if axis is None or not shape:
        shape, axis = (math.prod(shape),), 0
    axis = normalize_axis_index(axis, len(shape))
    return shape, axis, max(int(np.reshape(repeats, ())), 0) if np.size(repeats) == 1 else None


#: Up to how many elements one after another are added as exactly as in pairs.
_FEW = 32


def _repeat_a(g: Array, a_shape: Shape, repeats: Array, axis: int | None) -> Array | Scatter:
    shape, along, count = _each_repeated(whole(a_shape), repeats, axis)
    if count is None:
        return taken(g, a_shape, repeat(np.arange(shape[along]), repeats), axis)
    apart = np.reshape(g, (math.prod(shape[: along + 1]), count, math.prod(shape[along + 1 :])))
    if count == 2:  # the quickest by far
        return np.reshape(apart[:, 0] + apart[:, 1], whole(a_shape))
    # Sums of a few elements are several times as fast by einsum as by np.sum.
    few = type(g) is np.ndarray and count <= _FEW
    return np.reshape(np.einsum("ijk->ik", apart) if few else np.sum(apart, 1), whole(a_shape))


@op(
    numpy=np.repeat,
    nondiff=("repeats",),
    a=_repeat_a,
    gradients="a: Σ g over the repetitions",
    samples=lambda r: [
        sample(r.normal(size=(2, 2)), 2),
        sample(r.normal(size=(2, 3)), 2, axis=-1),
        sample(r.normal(size=(2, 3)), [0, 2], 0),
        sample(r.normal(size=(2, 2)), np.array([1, 0, 2, 1])),
        sample(r.normal(size=(2, 2)), [3], axis=1),
        sample(r.normal(size=()), 3),
        sample(r.normal(size=(2, 1)), 0, 1),
    ],
    hint=lambda a, repeats, axis: (
        f"a has shape {np.shape(a)}: give one number of repeats, 0 or more, or one for each element along the axis"
    ),
)
def repeat(a: Array, repeats: Array, axis: int | None = None) -> Array:
    """Each element repeated, next to itself, along an axis.

    Args:
        a: an array.
        repeats: how many times, for all elements or one number for each along the axis.
        axis: an axis, or None for all elements in row-major order.

    Returns:
        an array that is longer along the axis. The gradient is the sum over the repetitions.

    Raises:
        ValueError: a negative number, or as many numbers as the axis is not long.
        TypeError: numbers that are no integers.

    >>> import tapenet as tn
    >>> tn.repeat(tn.tensor([1.0, 2.0]), [1, 3])
    Tensor([1., 2., 2., 2.])
    """
    return np.repeat(a, repeats, axis)
