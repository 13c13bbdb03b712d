"""Writing to parts of an array, in place as NumPy's own functions do.

Each changes its first argument by item assignment and returns nothing: on a tensor that makes a new array and a new node
behind the handle, so that what was there before and what is written both have their gradients.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, array_or_number, derived
from tapenet.ops.indexing.items import setitem
from tapenet.ops.indexing.selecting import along, axis_or_flat, integers, within
from tapenet.ops.registry import sample
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, Casting


def _places(flat: Array, shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Flat indices as one per axis; negative ones count from the end, and those out of range stay so."""
    steps = [max(math.prod(shape[i + 1 :]), 1) for i in range(len(shape))]
    first, *others = (np.floor_divide(flat, step) for step in steps)
    return (first, *(np.remainder(i, n) for i, n in zip(others, shape[1:], strict=True)))


def _fitting(name: str, values: ArrayLike, dtype: DType) -> Array:
    """Values as an array; of what is no number nor a list of them the dtype must fit, as in NumPy."""
    found = array_like(values)
    number = not isinstance(values, np.ndarray) and not found.shape
    if number or isinstance(values, (list, tuple)):
        fits = found.dtype.kind != "c" or dtype.kind == "c"
    else:
        fits = np.can_cast(found.dtype, dtype)
    if not fits:
        raise TypeError(
            f"{name}: values of {found.dtype} do not fit an array of {dtype}; convert them with .astype first"
        )
    return found


def _write(a: Array, flat: Array, values: Array) -> None:
    """Write values, over and over if they are too few, to the elements of `a` that flat indices name."""
    _assign(a, flat, np.resize(values, flat.shape))


def _assign(a: Array, flat: Array, values: Array) -> None:
    if a.shape:
        a[_places(flat, a.shape)] = values
    else:
        a[...] = np.reshape(setitem(np.reshape(a, 1), values, flat), ())


def _as(value: Array, dtype: DType) -> Array:
    return value if value.dtype == dtype else value.astype(dtype)


@derived(
    numpy=np.put,
    inplace=True,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([0, -2]), r.normal(size=2)),
        sample(r.normal(size=(2, 3)), [5, 1, 2], r.normal(size=2)),
        sample(r.normal(size=4), 1, r.normal(size=())),
        sample(r.normal(size=(2, 2)), [[4, -5]], r.normal(size=2), "wrap"),
        sample(r.normal(size=(2, 2)), np.array([4, -5]), r.normal(size=2), mode="clip"),
    ],
)
def put(a: Array, ind: ArrayLike, v: ArrayLike, mode: str = "raise") -> None:
    """Write values to elements of `a`, in place.

    Args:
        a: an array.
        ind: their indices, counted through all elements in row-major order. Of an index given twice the last value
            counts, and the others have gradient 0.
        v: the values; of too few, over and over.
        mode: what an index out of range means: "raise" an error, "wrap" around, or "clip" to the ends.

    Raises:
        IndexError: an index out of range.

    >>> import tapenet as tn
    >>> t = tn.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tn.put(t, [0, 3], [5.0, 6.0])
    >>> t
    Tensor([[5., 2.],
            [3., 6.]])
    """
    flat, values = np.reshape(array_like(integers(ind)), -1), array_like(v)
    if flat.shape[0] and 0 not in values.shape:
        _write(a, within(flat, math.prod(a.shape), mode), values)


@derived(
    numpy=np.put_along_axis,
    inplace=True,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([[0, 2], [1, 0]]), r.normal(size=(2, 2)), -1),
        sample(r.normal(size=(2, 3)), np.array([[1, 0, 1]]), r.normal(size=()), axis=0),
        sample(r.normal(size=3), np.array([2, 0]), 0.5, 0),
    ],
)
def put_along_axis(arr: Array, indices: Array, values: Array, axis: int | None) -> None:
    """Write values, for each position along the other axes, to the elements `indices` along `axis`, in place.

    Args:
        arr: an array.
        indices: integers, with as many axes as `arr`; the other axes broadcast against those of `arr`.
        values: broadcast to the shape of the indices.
        axis: the axis they count along; None counts through all elements, and `indices` has one axis.

    Raises:
        ValueError: the numbers of axes differ, or the values do not fit.
        IndexError: an index out of range.

    >>> import tapenet as tn
    >>> t = tn.tensor([[1.0, 2.0], [4.0, 3.0]])
    >>> tn.put_along_axis(t, t.argmax(axis=1, keepdims=True), 0.0, axis=1)
    >>> t
    Tensor([[1., 0.],
            [0., 3.]])
    """
    indices, values = array_like(indices), array_or_number(values)
    if indices.ndim != (1 if axis is None else arr.ndim):
        raise ValueError(
            f"put_along_axis: the indices have shape {indices.shape}, the array {arr.shape}: both need as many axes, or "
            "with axis=None the indices one"
        )
    if indices.dtype.kind not in "iu":
        raise IndexError(f"put_along_axis: the indices must be integers, not {indices.dtype}")
    if axis is None:
        _assign(arr, indices, values)
    else:
        arr[along(arr.shape, indices, axis_or_flat("put_along_axis", arr, axis)[1])] = values


@derived(
    numpy=np.place,
    inplace=True,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([[True, False, True], [False, True, True]]), r.normal(size=3)),
        sample(r.normal(size=3), np.array([1, 0, 1]), [0.5]),
        sample(r.normal(size=3), np.zeros(3, bool), r.normal(size=2)),
    ],
)
def place(arr: Array, mask: ArrayLike, vals: ArrayLike) -> None:
    """Write values one after the other to where a mask holds, in place.

    Args:
        arr: an array.
        mask: booleans, of as many elements.
        vals: the values; of too few, over and over.

    Raises:
        ValueError: there is a place but no value, or the mask has another size.
        TypeError: an array of values whose dtype is not cast safely.

    >>> import tapenet as tn
    >>> t = tn.tensor([1.0, -2.0, -3.0])
    >>> tn.place(t, t < 0, [0.0, 5.0])
    >>> t
    Tensor([1., 0., 5.])
    """
    vals = _fitting("place", vals, arr.dtype)
    chosen = np.flatnonzero(np.reshape(array_like(mask), arr.shape))
    if chosen.shape[0]:
        if 0 in vals.shape:
            raise ValueError("place: there are places to write to, but no values")
        _write(arr, chosen, vals)


@derived(
    numpy=np.putmask,
    inplace=True,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([[True, False, True], [False, True, True]]), r.normal(size=(2, 3))),
        sample(r.normal(size=4), np.array([1, 0, 1, 1]), r.normal(size=3)),
        sample(r.normal(size=3), np.array([True, False, True]), 0.5),
    ],
)
def putmask(a: Array, mask: ArrayLike, values: ArrayLike) -> None:
    """Write to where a mask holds the values that stand in the same places, in place.

    Args:
        a: an array.
        mask: booleans, of as many elements.
        values: an array of as many elements; if it has fewer they are repeated from the first element of `a` on, also
            over places that are not written to.

    Raises:
        ValueError: the mask has another size.
        TypeError: an array of values whose dtype is not cast safely.

    >>> import tapenet as tn
    >>> t = tn.tensor([1.0, -2.0, -3.0])
    >>> tn.putmask(t, t < 0, [7.0, 8.0, 9.0])
    >>> t
    Tensor([1., 8., 9.])
    """
    values = _fitting("putmask", values, a.dtype)
    mask = np.reshape(array_like(mask), a.shape).astype(bool)
    if 0 not in values.shape:
        a[...] = np.where(mask, _as(np.resize(values, a.shape), a.dtype), a)


@derived(
    numpy=np.copyto,
    inplace=True,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 1)), where=np.array([True, False, True])),
        sample(r.normal(size=3), 2, "no", np.array([True, False, True])),
        sample(np.array([1, 2]), r.normal(size=2), casting="unsafe"),
    ],
)
def copyto(dst: Array, src: ArrayLike, casting: Casting = "same_kind", where: ArrayLike = True) -> None:
    """Write an array into another, in place.

    Args:
        dst: an array.
        src: broadcast to it.
        casting: which changes of dtype are allowed: "no", "equiv", "safe", "same_kind" or "unsafe".
        where: booleans, broadcast to `dst`: what to write.

    Raises:
        TypeError: the change of dtype is not allowed.
        ValueError: the shapes do not fit.

    >>> import tapenet as tn
    >>> t = tn.tensor([1.0, -2.0])
    >>> tn.copyto(t, 0.0, where=t < 0)
    >>> t
    Tensor([1., 0.])
    """
    if not isinstance(src, (int, float, complex)):
        src = array_like(src)
    # NumPy decides whether the cast is allowed. Dtypes are enough for that; of a Python number the value counts.
    kind = src if isinstance(src, (int, float, complex)) else np.empty(0, array_like(src).dtype)
    np.copyto(np.empty(0, dst.dtype), kind, casting=casting)
    dst[...] = src if where is True else np.where(array_like(where), _as(array_like(src), dst.dtype), dst)


@derived(
    numpy=np.fill_diagonal,
    inplace=True,
    samples=lambda r: [
        sample(r.normal(size=(3, 3)), r.normal(size=())),
        sample(r.normal(size=(5, 2)), r.normal(size=2)),
        sample(r.normal(size=(5, 2)), r.normal(size=(2, 1)), wrap=True),
        sample(r.normal(size=(2, 3)), 0.5),
        sample(r.normal(size=(2, 2, 2)), r.normal(size=3)),
    ],
)
def fill_diagonal(a: Array, val: ArrayLike, wrap: bool = False) -> None:
    """Write to the main diagonal, in place.

    Args:
        a: an array of two axes, or of more if they are equally long.
        val: a number, or values one after the other; of too few, over and over.
        wrap: whether the diagonal of a tall matrix begins anew, after one row left out, where it has come to the edge.

    Raises:
        ValueError: there are fewer than two axes, or more that are not equally long.

    >>> import tapenet as tn
    >>> t = tn.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tn.fill_diagonal(t, 0.0)
    >>> t
    Tensor([[0., 2.],
            [3., 0.]])
    """
    shape = a.shape
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
        raise ValueError(
            f"fill_diagonal: an array of shape {shape} has no diagonal: it takes two axes, or more of one length"
        )
    step = 1 + sum(math.prod(shape[i:]) for i in range(1, len(shape)))
    end = None if wrap or len(shape) > 2 else shape[1] * shape[1]
    flat = np.arange(math.prod(shape))[:end:step]
    values = array_like(val)
    if flat.size and 0 not in values.shape:
        a[np.unravel_index(flat, shape)] = np.resize(values, flat.shape)
