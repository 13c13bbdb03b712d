"""Arrays with parts taken away, put in, or repeated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.indexing.selecting import taken
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import unbroadcast, whole
from tapenet.typing import Array


def _delete_arr(g: Any, arr_shape: Any, obj: Any, axis: int | None) -> Any:
    shape = whole(arr_shape)
    length = math.prod(shape) if axis is None else shape[axis]
    kept = np.delete(np.arange(length), obj)
    if type(kept) is not np.ndarray:  # not known yet, while a step is captured
        return taken(g, arr_shape, kept, axis)
    gone = np.ones(length, bool)
    gone[kept] = False
    places = np.flatnonzero(gone)
    # Zeros are put in again before what stands there now.
    return np.reshape(np.insert(g, places - np.arange(places.size), 0, axis), shape)


@op(
    numpy=np.delete,
    nondiff=("obj",),
    arr=_delete_arr,
    formula="arr without its parts at obj",
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


def _came_from(g: Any, arr_shape: Any, obj: Any, axis: int | None) -> tuple[Any, Any, int]:
    """Where along an axis of what `insert` gave stand the parts of the array and the values, in order; and the axis."""
    arr_shape = whole(arr_shape)
    length, along = (math.prod(arr_shape), 0) if axis is None else (arr_shape[axis], axis)
    # Of the array -1, of the values which one.
    found = np.insert(np.full(length, -1), obj, np.arange(g.shape[along] - length))
    given = np.flatnonzero(found >= 0)
    return np.flatnonzero(found < 0), given[np.argsort(found[given])], along


def _insert_arr(g: Any, arr_shape: Any, obj: Any, axis: int | None) -> Any:
    kept, _, axis = _came_from(g, arr_shape, obj, axis)
    return np.reshape(np.take(g, kept, axis), whole(arr_shape))


def _insert_values(g: Any, arr_shape: Any, obj: Any, values_shape: Any, axis: int | None) -> Any:
    _, places, axis = _came_from(g, arr_shape, obj, axis)
    part = np.take(g, places, axis)
    if not isinstance(obj, slice) and not np.ndim(obj):  # then the first axis of the values lies along the axis
        part = np.moveaxis(part, axis, 0)
    return unbroadcast(part, values_shape)


@op(
    numpy=np.insert,
    nondiff=("obj",),
    arr=_insert_arr,
    values=_insert_values,
    formula="arr with values put in before its parts at obj",
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


def _parts(g: Any, arr_shape: Any, axis: int | None) -> tuple[Any, Any]:
    """The indices of the two parts of what `append` gave."""
    arr_shape = whole(arr_shape)
    length, along = (math.prod(arr_shape), 0) if axis is None else (arr_shape[axis], axis % g.ndim)
    lead = (slice(None),) * along
    return (*lead, slice(None, length)), (*lead, slice(length, None))


def _append_lowered(arr: Any, values: Any, axis: int | None) -> Any:
    if axis is None:
        arr, values, axis = np.reshape(arr, -1), np.reshape(values, -1), 0
    return np.concatenate([arr, values], axis)


@op(
    numpy=np.append,
    lower=_append_lowered,
    arr=lambda g, arr_shape, axis: np.reshape(g[_parts(g, arr_shape, axis)[0]], whole(arr_shape)),
    values=lambda g, arr_shape, values_shape, axis: np.reshape(g[_parts(g, arr_shape, axis)[1]], whole(values_shape)),
    formula="arr and values behind it",
    gradients="arr: its part of g; values: their part of g",
    samples=lambda r: [
        sample(r.normal(size=(2, 2)), r.normal(size=3)),
        sample(r.normal(size=(1, 3)), r.normal(size=(2, 3)), axis=0),
        sample(r.normal(size=2), r.normal(size=())),
    ],
    hint=lambda arr, values, axis: f"arr has shape {np.shape(arr)}, the values {np.shape(values)}",
)
def append(arr: Array, values: Array, axis: int | None = None) -> Array:
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
    return np.append(arr, values, axis)


def _resize_a(g: Any, a_shape: Any) -> Any:
    shape = whole(a_shape)
    flat, count = np.reshape(g, -1), math.prod(shape)
    if not (count and flat.shape[0]):
        return np.zeros(shape, g.dtype)
    turns, rest = divmod(flat.shape[0], count)
    if not turns:
        return np.reshape(np.concatenate([flat, np.zeros(count - rest, g.dtype)]), shape)
    found = np.sum(np.reshape(flat[: turns * count], (turns, count)), 0) if turns > 1 else flat[:count]
    if rest:
        found = np.concatenate([found[:rest] + flat[turns * count :], found[rest:]])
    return np.reshape(found, shape)


def _resize_lowered(a: Any, new_shape: Any) -> Any:
    a = np.reshape(a, -1)
    shape = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    if not a.shape[0]:
        a = np.concatenate([a, np.zeros(1, a.dtype)])
    count, size = a.shape[0], math.prod(shape)
    return np.reshape(a[:size] if size <= count else a[np.arange(size) % count], shape)


@op(
    numpy=np.resize,
    lower=_resize_lowered,
    a=_resize_a,
    formula="the elements of a in another shape, over again where they are too few",
    gradients="a: Σ g over the repetitions, 0 where left out",
    samples=lambda r: [
        sample(r.normal(size=(2, 2)), (2, 3)),
        sample(r.normal(size=3), 2),
        sample(r.normal(size=(2, 1)), (3, 2)),
        sample(r.normal(size=(2, 1)), (1, 2)),
        sample(r.normal(size=(0, 2)), (2, 1)),
        sample(r.normal(size=2), (0, 3)),
        sample(r.normal(size=()), 2),
    ],
    hint=lambda a, new_shape: f"new_shape={new_shape} must be of integers, none negative",
)
def resize(a: Array, new_shape: Any) -> Array:
    """The elements in another shape, over again from the first where they are too few; zeros if there are none.

    Raises:
        ValueError: a length is negative.

    >>> import tapenet as tn
    >>> tn.resize(tn.tensor([1.0, 2.0]), (2, 3))
    Tensor([[1., 2., 1.],
            [2., 1., 2.]])
    """
    return np.resize(a, new_shape)
