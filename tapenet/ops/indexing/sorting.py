"""Order: sorting, partitioning and searching."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tapenet.ops.batched_calls import from_the_end
from tapenet.ops.derived import array_like, derived, known
from tapenet.ops.indexing.selecting import along, taken
from tapenet.ops.op import Scatter, op
from tapenet.ops.registry import sample
from tapenet.typing import Array, Axis

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _reversed(
    a: ArrayLike, axis: int | None, kind: SortKind, order: str | None, stable: bool | None, by: Callable[..., Array]
) -> tuple[Array, int]:
    """What `sort` or `argsort` gives for an array that is reversed before it, so that equal elements keep their order when
    the result is reversed too; and the axis."""
    a = array_like(a)
    a, axis = (np.reshape(a, -1), 0) if axis is None else (a, axis)
    return by(np.flip(a, axis), axis, kind, order, stable=stable), axis


def _argsort_more(
    a: ArrayLike, axis: int | None = -1, kind: SortKind = None, order: str | None = None, *, stable: bool | None = None,
    descending: bool = False,
) -> Array:  # fmt: skip
    if not descending:
        return argsort(a, axis, kind, order, stable=stable)
    found, axis = _reversed(a, axis, kind, order, stable, argsort)
    return np.flip(found.shape[axis] - 1 - found, axis)


@op(
    numpy=np.argsort,
    more=_argsort_more,
    nondiff=("a",),
    vmap="axis",
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3)), 0, "stable"),
        sample(np.array([2, 1, 2, 1]), None, stable=True),
    ],
)
def argsort(
    a: Array, axis: int | None = -1, kind: SortKind = None, order: str | None = None, *, stable: bool | None = None
) -> Array:
    """The indices that sort `a` along an axis (None: all elements in one). Returns a tensor without gradient.

    Args:
        a: an array.
        axis: the axis to sort along.
        kind: "quicksort", "mergesort", "heapsort" or "stable".
        order: None, as the elements have no fields.
        stable: whether equal elements keep their order.
        descending: in falling order; NaN comes first then (by keyword).

    >>> import tapenet as tn
    >>> tn.argsort(tn.tensor([3.0, 1.0, 2.0])).tolist()
    [1, 2, 0]
    """
    return np.argsort(a, axis, kind, order, stable=stable)


#: From how many elements on the quicker way to a stable order is looked for, and up to which length of an axis it is none.
_MANY, _SHORT = 4096, 8

SortKind: TypeAlias = Literal["quicksort", "mergesort", "heapsort", "stable"] | None


def stable_order(a: Array, axis: int | None) -> Array:
    """The indices that sort, of equal elements in the order in which they stand.

    Of many floats, few of which are equal, a sort that heeds no order takes half the time, and then only these have to
    be put right.
    """
    if (
        type(a) is not np.ndarray
        or a.dtype.kind != "f"
        or a.size < _MANY
        or (axis is not None and a.shape[axis] <= _SHORT)
    ):
        return np.argsort(a, axis, kind="stable")
    a, axis = (a.reshape(-1), 0) if axis is None else (a, axis)
    order = np.argsort(a, axis)
    rows = np.moveaxis(order, axis, -1)
    found = np.moveaxis(np.take_along_axis(a, order, axis), axis, -1)
    equal = (found[..., 1:] == found[..., :-1]) | np.isnan(found[..., :-1])
    none = np.zeros((*equal.shape[:-1], 1), bool)
    to_left = np.concatenate([none, equal], -1)
    tied = to_left | np.concatenate([equal, none], -1)
    count = np.count_nonzero(tied)
    if 8 * count > a.size:
        return np.argsort(a, axis, kind="stable")
    if count:
        among = rows[tied]
        rows[tied] = among[np.lexsort((among, np.cumsum(~to_left[tied])))]
    return order


def _sort_a(g: Array, a: Array, axis: int | None) -> Array | Scatter:
    a = array_like(a)
    return _restored(g, a.shape, stable_order(a, axis), axis)


def _restored(g: Array, shape: tuple[int, ...], order: Array, axis: int | None) -> Array | Scatter:
    """The gradient, by an array of `shape`, of its elements in another order along an axis (None: of all as one)."""
    if type(g) is not np.ndarray:
        return taken(g, shape, order, None) if axis is None else Scatter(along(shape, order, axis), g)
    made = np.empty(shape if axis is not None else g.shape, g.dtype)
    np.put_along_axis(made, order, g, axis or 0)  # each element once
    return made.reshape(shape)


def _sort_more(
    a: ArrayLike, axis: int | None = -1, kind: SortKind = None, order: str | None = None, *, stable: bool | None = None,
    descending: bool = False,
) -> Array:  # fmt: skip
    if not descending:
        return sort(a, axis, kind, order, stable=stable)
    return np.flip(*_reversed(a, axis, kind, order, stable, sort))


@op(
    numpy=np.sort,
    more=_sort_more,
    a=_sort_a,
    vmap="axis",
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(3, 2)), 0, "stable"),
        sample(r.normal(size=(3, 2)), axis=None, kind="heapsort"),
        sample(r.normal(size=4), -1, stable=True),
        sample(r.normal(size=(2, 0))),
    ],
)
def sort(
    a: Array, axis: int | None = -1, kind: SortKind = None, order: str | None = None, *, stable: bool | None = None
) -> Array:
    """The elements in rising order along an axis (None: all elements in one).

    The gradient goes back to where each element came from. Equal elements keep their order, whatever `kind` and
    `stable` are, so each has its own gradient.

    Options: `descending=True` sorts in falling order; NaN comes first then.

    Raises:
        ValueError: there is no such axis.

    >>> import tapenet as tn
    >>> tn.sort(tn.tensor([3.0, 1.0, 2.0]))
    Tensor([1., 2., 3.])
    """
    return np.sort(a, axis, kind, order, stable=stable)


@derived(
    numpy=np.sort_complex,
    # NumPy turns float32 into complex128, which the tests of ops reject.
    samples=lambda r: [
        sample(r.normal(size=(2, 3)) + 1j * r.normal(size=(2, 3))),
        sample(np.array([2, 1, 3], np.int16)),
    ],
)
def sort_complex(a: ArrayLike) -> Array:
    """The elements in rising order along the last axis, by real and then by imaginary part, as complex numbers.

    >>> import tapenet as tn
    >>> tn.sort_complex(tn.tensor([2.0, 1.0]))
    Tensor([1.+0.j, 2.+0.j], dtype=complex128)
    """
    a = np.sort(array_like(a))
    return a if a.dtype.kind == "c" else a.astype(np.sort_complex(np.empty(0, a.dtype)).dtype)


@op(
    numpy=np.argpartition,
    nondiff=("a", "kth"),
    vmap="axis",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), 1),
        sample(r.normal(size=(3, 2)), [0, -2], axis=0),
        sample(r.normal(size=3), 1, None, "introselect"),
    ],
)
def argpartition(
    a: Array, kth: Array, axis: int | None = -1, kind: Literal["introselect"] = "introselect", order: None = None
) -> Array:
    """The indices that bring each of the elements `kth` to where it would stand if `a` were sorted, smaller ones
    before it and larger ones behind. Returns a tensor without gradient.

    Args:
        a: an array.
        kth: an index, or several.
        axis: the axis along which; None takes all elements as one.
        kind: "introselect".
        order: None, as the elements have no fields.

    >>> import tapenet as tn
    >>> tn.argpartition(tn.tensor([3.0, 1.0, 2.0]), 1)[1].item()
    2
    """
    return np.argpartition(a, kth, axis, kind, order)


def _partition_a(g: Array, a: Array, out: Array, axis: int | None) -> Array | Scatter:
    a = array_like(a)
    # Sorted, the array and its partition are equal. So their orders say where each element came from and went.
    source, place = stable_order(a, axis), stable_order(out, -1 if axis is None else axis)
    return _restored(np.take_along_axis(g, place, axis), a.shape, source, axis)


@op(
    numpy=np.partition,
    nondiff=("kth",),
    a=_partition_a,
    gradients="a: g to where each element came from",
    vmap="axis",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), 1),
        sample(r.normal(size=(4, 2)), [1, -2], axis=0),
        sample(r.normal(size=(1, 3)), 1, None, "introselect"),
    ],
)
def partition(
    a: Array, kth: Array, axis: int | None = -1, kind: Literal["introselect"] = "introselect", order: None = None
) -> Array:
    """The elements in an order in which each of the elements `kth` stands where it would if `a` were sorted, smaller
    ones before it and larger ones behind.

    The gradient goes back to where each element came from. Equal elements count as in the order in which they stood.

    Args:
        a: an array.
        kth: an index, or several.
        axis: the axis along which; None takes all elements as one.
        kind: "introselect".
        order: None, as the elements have no fields.

    Raises:
        ValueError: `kth` is out of range, or there is no such axis.

    >>> import tapenet as tn
    >>> tn.partition(tn.tensor([3.0, 1.0, 2.0]), 1)
    Tensor([1., 2., 3.])
    """
    return np.partition(a, kth, axis, kind, order)


def _lexsort_lanes(keys: Array, axis: int) -> Array:
    """The first axis of the keys, or their sequence, says which is which; lanes come behind it."""
    if not isinstance(keys, (list, tuple)):
        keys = np.moveaxis(keys, 0, 1)
    found: Array = lexsort(keys, from_the_end(axis, np.ndim(keys[0]) - 1))
    return found


@op(
    numpy=np.lexsort,
    nondiff=("keys",),
    vmap=_lexsort_lanes,
    samples=lambda r: [
        sample((r.normal(size=4), np.array([1, 0, 1, 0]))),
        sample(r.normal(size=(2, 3))),
        sample((r.normal(size=(3, 2)), np.zeros((3, 2))), 0),
    ],
)
def lexsort(keys: Array, axis: int = -1) -> Array:
    """The indices that sort by several keys: by the last of them, where that is equal by the one before, and so on.
    Returns a tensor without gradient.

    Args:
        keys: a sequence of arrays of one shape, or an array of which each row is a key.
        axis: the axis to sort along.

    >>> import tapenet as tn
    >>> tn.lexsort([tn.tensor([2.0, 1.0, 0.0]), tn.tensor([1.0, 1.0, 3.0])]).tolist()
    [1, 0, 2]
    """
    return np.lexsort(keys, axis)


def _searchsorted_lanes(
    batched: frozenset[str], a: Array, v: Array, side: Literal["left", "right"], sorter: Array | None
) -> object:
    return searchsorted(a, v, side, sorter) if batched == {"v"} else NotImplemented


@op(
    numpy=np.searchsorted,
    nondiff=("a", "v", "sorter"),
    vmap=_searchsorted_lanes,
    samples=lambda r: [
        sample(np.array([0.1, 0.4, 0.9]), r.uniform(size=(2, 2))),
        sample(np.array([0.4, 0.9, 0.1]), np.array([0.4]), "right", np.array([2, 0, 1])),
        sample(np.array([0.1, 0.4, 0.9]), 0.5),
    ],
)
def searchsorted(a: Array, v: Array, side: Literal["left", "right"] = "left", sorter: Array | None = None) -> Array:
    """The indices before which `v` would have to be inserted into `a` to keep it sorted. Returns a tensor without
    gradient.

    Args:
        a: a sorted array of one axis.
        v: values of any shape.
        side: before ("left") or after ("right") elements that are equal.
        sorter: the indices that sort `a`, if it is not sorted.

    >>> import tapenet as tn
    >>> tn.searchsorted(tn.tensor([1.0, 2.0, 3.0]), tn.tensor([2.0, 2.5])).tolist()
    [1, 2]
    """
    return np.searchsorted(a, v, side, sorter)


def _digitize_lanes(batched: frozenset[str], x: Array, bins: Array, right: bool) -> object:
    return digitize(x, bins, right) if batched == {"x"} else NotImplemented


@op(
    numpy=np.digitize,
    nondiff=("x", "bins"),
    vmap=_digitize_lanes,
    samples=lambda r: [
        sample(r.uniform(size=(2, 3)), np.array([0.2, 0.5, 0.7])),
        sample(np.array([0.5, 0.1]), np.array([0.7, 0.5, 0.2]), right=True),
    ],
)
def digitize(x: Array, bins: Array, right: bool = False) -> Array:
    """The index of the bin that each element falls into. Returns a tensor without gradient.

    Args:
        x: an array.
        bins: the edges, rising or falling.
        right: whether the right edge belongs to a bin, rather than the left one.

    >>> import tapenet as tn
    >>> tn.digitize(tn.tensor([0.5, 2.5]), [0.0, 1.0, 2.0]).tolist()
    [1, 3]
    """
    return np.digitize(x, bins, right)


@derived(
    numpy=np.trim_zeros,
    # No float is 0: finite differences would move it.
    samples=lambda r: [
        sample(np.array([0, 0, 1, 0, 2, 0])),
        sample(np.array([0, 1, 0]), "f"),
        sample(np.array([0, 1, 0]), trim="B"),
        sample(np.array([0, 0])),
        sample(r.normal(size=3)),
        sample(np.zeros(0)),
    ],
)
def trim_zeros(filt: Array, trim: str = "fb", axis: Axis = None) -> Array:
    """An array without the zeros at its ends.

    Args:
        filt: an array. Of several axes, those parts at the ends of each axis are cut off that are zero throughout.
        trim: at which ends: "f" at the front, "b" at the back, "fb" at both.
        axis: an axis, or several, to trim along; None for all.

    Returns:
        the part that is left, a view. The zeros cut off have gradient 0.

    >>> import tapenet as tn
    >>> tn.trim_zeros(tn.tensor([0.0, 1.0, 0.0, 2.0, 0.0]))
    Tensor([1., 0., 2.])
    """
    filt = array_like(filt)
    if trim.lower() not in ("f", "b", "fb", "bf"):
        raise ValueError(f"trim_zeros: trim={trim!r} is none of 'f', 'b' and 'fb'")
    axes = range(filt.ndim) if axis is None else normalize_axis_tuple(axis, filt.ndim, "axis")
    values = known(filt)
    nonzero = np.not_equal(filt if values is None else values, 0)
    for k in axes:
        length = filt.shape[k]
        if length:
            found = np.any(nonzero, axis=tuple(i for i in range(filt.ndim) if i != k))
            place = np.arange(length)
            first = np.min(np.where(found, place, length)) if "f" in trim.lower() else 0
            last = np.max(np.where(found, place, -1)) if "b" in trim.lower() else length - 1
            if values is None:  # in a program, where other values come
                filt = np.compress((place >= first) & (place <= last), filt, k)
            else:
                filt = filt[(slice(None),) * k + (slice(int(first), int(last) + 1),)]
    return filt
