"""Arrays with parts taken away, put in, or repeated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.indexing.selecting import taken
from tapenet.ops.op import Scatter, op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.concatenation import concatenate
from tapenet.ops.shapes.joining import joined
from tapenet.ops.shapes.reshaping import reshape, unbroadcast, whole
from tapenet.typing import Array, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _delete_arr(g: Array, arr_shape: Shape, obj: Array, axis: int | None) -> Array | Scatter:
    shape = whole(arr_shape)
    length = math.prod(shape) if axis is None else shape[axis]
    kept = np.delete(np.arange(length), obj)
    if type(kept) is not np.ndarray:  # not known yet, while a step is captured
        return taken(g, arr_shape, kept, axis)
    gone = np.ones(length, bool)
    gone[kept] = False
    places = np.flatnonzero(gone)
    # Zeros go back in where the elements were.
    return np.reshape(np.insert(g, places - np.arange(places.size), 0, axis), shape)


@op(
    numpy=np.delete,
    nondiff=("obj",),
    arr=_delete_arr,
    gradients="arr: g where it was kept, else 0",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), slice(None, None, 2), 1),
        sample(r.normal(size=(3, 2)), -1, axis=0),
        sample(r.normal(size=(2, 2)), [0, 3, 0]),
        sample(r.normal(size=(3, 2)), np.array([True, False, True]), 0),
        sample(r.normal(size=3), np.array([1])),
        sample(r.normal(size=3), np.zeros(0, int)),
    ],
    hint=lambda arr, obj, axis: f"arr has shape {np.shape(arr)}",
)
def delete(arr: Array, obj: Array, axis: int | None = None) -> Array:
    """An array without some of its parts along an axis.

    Args:
        arr: an array.
        obj: which ones: an index, several, booleans, or a slice.
        axis: the axis along which; None takes all elements as one.

    Raises:
        IndexError: an index out of range.
        ValueError: booleans of another number than the axis is long.

    >>> import tapenet as tn
    >>> tn.delete(tn.tensor([1.0, 2.0, 3.0]), 1)
    Tensor([1., 3.])
    """
    return np.delete(arr, obj, axis)


def _came_from(g: Array, arr_shape: Shape, obj: Array, axis: int | None) -> tuple[Array, Array, int]:
    """Where along an axis of what `insert` gave stand the parts of the array and the values, in order; and the axis."""
    arr_shape = whole(arr_shape)
    length, along = (math.prod(arr_shape), 0) if axis is None else (arr_shape[axis], axis)
    # -1 marks an element of the array, other numbers count the values.
    found = np.insert(np.full(length, -1), obj, np.arange(g.shape[along] - length))
    given = np.flatnonzero(found >= 0)
    return np.flatnonzero(found < 0), given[np.argsort(found[given])], along


def _insert_arr(g: Array, arr_shape: Shape, obj: Array, axis: int | None) -> Array:
    kept, _, axis = _came_from(g, arr_shape, obj, axis)
    return np.reshape(np.take(g, kept, axis), whole(arr_shape))


def _insert_values(g: Array, arr_shape: Shape, obj: Array, values_shape: Shape, axis: int | None) -> Array:
    _, places, axis = _came_from(g, arr_shape, obj, axis)
    part = np.take(g, places, axis)
    if not isinstance(obj, slice) and not np.ndim(obj):  # then the first axis of the values lies along the axis
        part = np.moveaxis(part, axis, 0)
    return unbroadcast(part, values_shape)


@op(
    precision="moves",
    numpy=np.insert,
    nondiff=("obj",),
    arr=_insert_arr,
    values=_insert_values,
    gradients="arr: g where it stands now; values: g where they stand",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), 1, r.normal(size=2), axis=1),
        sample(r.normal(size=(2, 3)), [1], r.normal(size=(2, 2)), 1),
        sample(r.normal(size=(2, 2)), -1, r.normal(size=3)),
        sample(r.normal(size=3), np.array([0, 3, 0]), r.normal(size=3)),
        sample(r.normal(size=(2, 3)), slice(0, 3, 2), 0.5, -1),
        sample(r.normal(size=3), np.array([True, False, True]), r.normal(size=1)),
        sample(r.normal(size=3), np.zeros(0, int), r.normal(size=0)),
    ],
    hint=lambda arr, obj, values, axis: f"arr has shape {np.shape(arr)}, the values {np.shape(values)}",
)
def insert(arr: Array, obj: Array, values: Array, axis: int | None = None) -> Array:
    """An array with values put in before some of its parts along an axis.

    Args:
        arr: an array.
        obj: the parts before which, counted in `arr`: an index, several, booleans, or a slice.
        values: what is put in, broadcast to the shape of the parts, in the dtype of `arr`. Before one index there may be
            several.
        axis: the axis along which; None takes all elements as one.

    Raises:
        IndexError: an index out of range.
        ValueError: the values do not fit.

    >>> import tapenet as tn
    >>> tn.insert(tn.tensor([1.0, 3.0]), 1, tn.tensor(2.0))
    Tensor([1., 2., 3.])
    """
    return np.insert(arr, obj, values, axis)


@derived(
    numpy=np.append,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=(2, 2)), r.normal(size=3)),
        sample(r.normal(size=(1, 3)), r.normal(size=(2, 3)), axis=0),
        sample(r.normal(size=2), r.normal(size=())),
    ],
)
def append(arr: ArrayLike, values: ArrayLike, axis: int | None = None) -> Array:
    """An array with values behind it along an axis.

    Args:
        arr, values: arrays.
        axis: the axis along which; None joins all elements of both in one axis.

    Raises:
        ValueError: the other axes differ in length.

    >>> import tapenet as tn
    >>> tn.append(tn.tensor([1.0]), [2.0, 3.0])
    Tensor([1., 2., 3.])
    """
    parts = [array_like(arr), array_like(values)]
    if axis is None:
        parts, axis = [part if part.ndim == 1 else reshape(part, -1) for part in parts], 0
    return joined("append", parts, axis)


@derived(
    numpy=np.resize,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=(2, 2)), (2, 3)),
        sample(r.normal(size=3), 2),
        sample(r.normal(size=(2, 1)), (3, 2)),
        sample(r.normal(size=(2, 1)), (1, 2)),
        sample(r.normal(size=(0, 2)), (2, 1)),
        sample(r.normal(size=2), (0, 3)),
        sample(r.normal(size=()), 2),
    ],
)
def resize(a: ArrayLike, new_shape: int | Sequence[int]) -> Array:
    """The elements in another shape, over again from the first where they are too few; zeros if there are none.

    Raises:
        ValueError: a length is negative.

    >>> import tapenet as tn
    >>> tn.resize(tn.tensor([1.0, 2.0]), (2, 3))
    Tensor([[1., 2., 1.],
            [2., 1., 2.]])
    """
    row = reshape(array_like(a), -1)
    shape = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"resize: new_shape={new_shape} must be of integers, none negative")
    if not row.shape[0]:
        row = concatenate([row, np.zeros(1, row.dtype)])
    count, size = row.shape[0], math.prod(shape)
    if size > count:
        row = concatenate([row] * (size // count) + [row[: size % count]])
    return reshape(row[:size] if size < count else row, shape)
