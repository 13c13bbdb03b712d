"""Arrays with parts taken away, put in, or repeated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.indexing.basic import setitem
from tapenet.ops.indexing.selecting import axis_or_flat, integers
from tapenet.ops.op import array_like, derived, sample


@derived(
    numpy=np.delete,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), slice(None, None, 2), 1),
        sample(r.normal(size=(3, 2)), -1, axis=0),
        sample(r.normal(size=(2, 2)), [0, 3, 0]),
        sample(r.normal(size=(3, 2)), np.array([True, False, True]), 0),
        sample(r.normal(size=3), np.array([1])),
        sample(r.normal(size=3), []),
    ],
)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """An array without some of its parts along an axis.

    Args:
        arr: an array.
        obj: which ones: an index, several, booleans, or a slice.
        axis: the axis along which; None takes all elements as one.

    Raises:
        IndexError: an index out of range, or booleans of another number than the axis is long.

    >>> import tapenet as tn
    >>> tn.delete(tn.tensor([1.0, 2.0, 3.0]), 1)
    Tensor([1., 3.])
    """
    arr, axis = axis_or_flat("delete", arr, axis)
    if not isinstance(obj, slice):
        obj = array_like(obj)
        obj = obj.astype(np.intp) if obj.dtype.kind == "f" and obj.shape == (0,) else obj
    kept = setitem(np.ones(arr.shape[axis], bool), False, (obj,))
    return arr[(*(slice(None),) * axis, np.flatnonzero(kept))]


def _integers_or_truths(indices: Any) -> Any:
    """Indices as integers: booleans say for each whether it is one."""
    found = array_like(indices)
    return np.flatnonzero(found) if found.dtype == bool else integers(found)


@derived(
    numpy=np.insert,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), 1, r.normal(size=2), axis=1),
        sample(r.normal(size=(2, 3)), [1], r.normal(size=(2, 2)), 1),
        sample(r.normal(size=(2, 2)), -1, r.normal(size=3)),
        sample(r.normal(size=3), np.array([0, 3, 0]), r.normal(size=3)),
        sample(r.normal(size=(2, 3)), slice(0, 3, 2), 0.5, -1),
        sample(r.normal(size=3), np.array([True, False, True]), r.normal(size=1)),
        sample(r.normal(size=3), [], r.normal(size=0)),
    ],
)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
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
    arr, axis = axis_or_flat("insert", arr, axis)
    length = arr.shape[axis]
    before = np.arange(*obj.indices(length)) if isinstance(obj, slice) else _integers_or_truths(obj)
    if before.ndim > 1:
        raise ValueError(f"insert: the indices must have one axis or none; their shape is {before.shape}")
    values = array_like(values)
    if type(before) is np.ndarray and before.size and not -length <= before.min() <= before.max() <= length:
        raise IndexError(f"insert: {obj} is out of bounds for axis {axis} of shape {arr.shape}")
    before = np.where(before < -length, length + 1, np.where(before < 0, before + length, before))
    if before.size == 1:
        values = np.reshape(values, (1,) * (arr.ndim - values.ndim) + values.shape)
        if not before.ndim:
            values = np.moveaxis(values, 0, axis)
        positions = np.reshape(before, -1) + np.arange(values.shape[axis])
    else:
        positions = before + np.argsort(np.argsort(before, kind="stable"))
    count = positions.shape[0]
    lead = (slice(None),) * axis
    kept = setitem(np.ones(length + count, bool), False, (positions,))
    out = np.zeros((*arr.shape[:axis], length + count, *arr.shape[axis + 1 :]), arr.dtype)
    return setitem(setitem(out, values, (*lead, positions)), arr, (*lead, np.flatnonzero(kept)))


@derived(
    numpy=np.append,
    samples=lambda r: [
        sample(r.normal(size=(2, 2)), r.normal(size=3)),
        sample(r.normal(size=(1, 3)), r.normal(size=(2, 3)), axis=0),
        sample(r.normal(size=2), r.normal(size=())),
    ],
)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
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
    arr, values = array_like(arr), array_like(values)
    if axis is None:
        arr, values, axis = np.reshape(arr, -1), np.reshape(values, -1), 0
    return np.concatenate([arr, values], axis)


@derived(
    numpy=np.resize,
    samples=lambda r: [
        sample(r.normal(size=(2, 2)), (2, 3)),
        sample(r.normal(size=3), 2),
        sample(r.normal(size=(0, 2)), (2, 1)),
        sample(r.normal(size=2), (0, 3)),
        sample(r.normal(size=()), 2),
    ],
)
def resize(a: Any, new_shape: Any) -> Any:
    """The elements in another shape, over again from the first where they are too few; zeros if there are none.

    Raises:
        ValueError: a length is negative.

    >>> import tapenet as tn
    >>> tn.resize(tn.tensor([1.0, 2.0]), (2, 3))
    Tensor([[1., 2., 1.],
            [2., 1., 2.]])
    """
    a = np.reshape(array_like(a), -1)
    shape = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"resize: the lengths of {shape} must not be negative")
    if not a.shape[0]:
        a = np.concatenate([a, np.zeros(1, a.dtype)])
    count, size = a.shape[0], math.prod(shape)
    return np.reshape(a[:size] if size <= count else a[np.arange(size) % count], shape)
