"""Arrays as sets: their distinct elements, and what two of them have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from tapenet.ops.derived import array_like, array_or_number, derived
from tapenet.ops.indexing.items import getitem
from tapenet.ops.indexing.sorting import stable_order
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import whole
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


class UniqueAllResult(NamedTuple):
    """What `unique_all` returns."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCountsResult(NamedTuple):
    """What `unique_counts` returns."""

    values: Array
    counts: Array


class UniqueInverseResult(NamedTuple):
    """What `unique_inverse` returns."""

    values: Array
    inverse_indices: Array


def _shared(g: Array, inverse: Array, counts: Array, x_shape: tuple[int, ...], axis: int | None) -> Array:
    """The gradient of distinct elements by the array they are of: in even parts to those that are equal."""
    x_shape, counts = whole(x_shape), counts.astype(g.dtype)
    if axis is None:
        return np.reshape((g / counts)[np.reshape(inverse, -1)], x_shape)
    behind = len(x_shape) - 1 - axis % len(x_shape)
    return np.take(g / np.reshape(counts, (-1,) + (1,) * behind), np.reshape(inverse, -1), axis)


@op(
    label="unique",
    numpy=np.unique_all,
    outputs=4,
    nondiff_outputs=(1, 2, 3),
    result=UniqueAllResult,
    x=lambda g, out, x_shape, axis: _shared(g[0], out[2], out[3], x_shape, axis),
    gradients="x: g/k at each of the k equal ones",
    samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=0)), sample(r.normal(size=()))],
)
def unique_all(x: Array, *, axis: int | None = None, equal_nan: bool = False) -> tuple[Array, ...]:
    """The distinct elements in rising order, and where they stand.

    Args:
        x: an array.
        axis: compare the parts of `x` along this axis; None compares elements.
        equal_nan: count nan as equal to nan.

    Returns:
        a named tuple of `values`; `indices`, of each one's first occurrence; `inverse_indices`, that of each element
        among the values; and `counts`, how often each occurs. Equal elements share the gradient of their value evenly;
        the others have none.

    >>> import tapenet as tn
    >>> tn.unique_all(tn.tensor([2.0, 1.0, 2.0])).values
    Tensor([1., 2.])
    """
    return tuple(np.unique(x, True, True, True, axis, equal_nan=equal_nan))


def _unique_values_x(g: Array, x: Array, axis: int | None, equal_nan: bool) -> Array:
    if type(g) is np.ndarray and axis is None:  # with the elements in order nobody needs to know where each value went
        flat = x.reshape(-1)
        order = np.argsort(flat) if equal_nan or not np.isnan(flat).any() else stable_order(flat, 0)
        found, made = flat[order], np.empty(flat.shape, g.dtype)
        changes = np.concatenate([[True], found[1:] != found[:-1]])
        begins = np.flatnonzero(changes)[: g.size]  # where all nan are one value, that is the last
        counts = np.diff(begins, append=flat.size)
        made[order] = np.repeat(g / counts.astype(g.dtype), counts)
        return made.reshape(x.shape)
    _, _, inverse, counts = unique_all(x, axis=axis, equal_nan=equal_nan)
    return _shared(g, inverse, counts, x.shape, axis)


# In rising order, which NumPy leaves open here.
@op(
    label="unique",
    numpy=np.unique_values,
    x=_unique_values_x,
    gradients="x: g/k at each of the k equal ones",
    samples=lambda r: [sample(np.array([])), sample(r.normal(size=(1, 1)))],
)
def unique_values(x: Array, *, axis: int | None = None, equal_nan: bool = False) -> Array:
    """The distinct elements in rising order. Equal ones share the gradient of their value evenly.

    Args:
        x: an array.
        axis: compare the parts of `x` along this axis; None compares elements.
        equal_nan: count nan as equal to nan.

    >>> import tapenet as tn
    >>> tn.unique_values(tn.tensor([2.0, 1.0, 2.0]))
    Tensor([1., 2.])
    """
    return np.unique(x, axis=axis, equal_nan=equal_nan)


@derived(
    numpy=np.unique,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=4), True, True, True),
        sample(r.normal(size=(3, 2)), return_counts=True, axis=0),
        sample(r.normal(size=(2, 3)), return_index=True, axis=-1, equal_nan=False),
        sample(r.normal(size=0), return_inverse=True),
        sample(np.array([[2, 1], [1, 2]]), return_inverse=True),
    ],
)
def unique(
    ar: Array,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Array | tuple[Array, ...]:
    """The distinct elements in rising order, and on request where they stand.

    Args:
        ar: an array.
        return_index: return each one's first occurrence too.
        return_inverse: return for each element the index of its value too.
        return_counts: return how often each occurs too.
        axis: compare the parts of `ar` along this axis; None compares elements.
        equal_nan: count nan as equal to nan.
        sorted: whether the order must be rising; it always is.

    Returns:
        the values, or a tuple of them and what else was asked for. Equal elements share the gradient of their value
        evenly.

    >>> import tapenet as tn
    >>> tn.unique(tn.tensor([2.0, 1.0, 2.0]), return_counts=True)
    (Tensor([1., 2.]), Tensor([1, 2], dtype=int64))
    """
    if not (return_index or return_inverse or return_counts):
        return unique_values(ar, axis=axis, equal_nan=equal_nan)
    found = unique_all(ar, axis=axis, equal_nan=equal_nan)
    wanted = (True, return_index, return_inverse, return_counts)
    return tuple(part for part, want in zip(found, wanted, strict=True) if want)


@derived(numpy=np.unique_counts, samples=lambda r: [sample(r.normal(size=(2, 2)))])
def unique_counts(x: ArrayLike) -> UniqueCountsResult:
    """The distinct elements in rising order, as `values`, and how often each occurs, as `counts`. Equal ones share the
    gradient of their value evenly; nan equals nothing.

    >>> import tapenet as tn
    >>> tn.unique_counts(tn.tensor([2.0, 1.0, 2.0])).counts.tolist()
    [1, 2]
    """
    found = unique_all(x)
    return UniqueCountsResult(found.values, found.counts)


@derived(numpy=np.unique_inverse, samples=lambda r: [sample(r.normal(size=(2, 2)))])
def unique_inverse(x: ArrayLike) -> UniqueInverseResult:
    """The distinct elements in rising order, as `values`, and for each element the index of its value, as
    `inverse_indices`. Equal ones share the gradient of their value evenly; nan equals nothing.

    >>> import tapenet as tn
    >>> tn.unique_inverse(tn.tensor([2.0, 1.0, 2.0])).inverse_indices.tolist()
    [1, 0, 1]
    """
    found = unique_all(x)
    return UniqueInverseResult(found.values, found.inverse_indices)


def _isin_lanes(
    batched: frozenset[str], element: Array, test_elements: Array, assume_unique: bool, invert: bool, kind: object
) -> object:
    return isin(element, test_elements, assume_unique, invert, kind=kind) if batched == {"element"} else NotImplemented


@op(
    numpy=np.isin,
    nondiff=("element", "test_elements"),
    vmap=_isin_lanes,
    samples=lambda r: [
        sample(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([2.0, 4.0])),
        sample(np.array([1, 2, 3]), np.array([2, 5]), True, invert=True, kind="sort"),
    ],
)
def isin(
    element: Array,
    test_elements: Array,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Literal["sort", "table"] | None = None,
) -> Array:
    """Whether each element is among `test_elements`. Returns a tensor without gradient.

    Args:
        element: an array.
        test_elements: an array.
        assume_unique: both are free of repetitions, which is quicker.
        invert: ask whether it is not.
        kind: how: "sort" or "table"; None chooses.

    >>> import tapenet as tn
    >>> tn.isin(tn.tensor([1, 2]), [2, 3])
    Tensor([False,  True])
    """
    return np.isin(element, test_elements, assume_unique, invert, kind=kind)


@derived(
    numpy=np.union1d,
    samples=lambda r: [sample(r.normal(size=(2, 2)), r.normal(size=2)), sample(r.normal(size=2), np.array([0.5]))],
)
def union1d(ar1: ArrayLike, ar2: ArrayLike) -> Array:
    """The distinct elements of two arrays in rising order. Equal ones, also of both arrays, share the gradient of their
    value evenly.

    >>> import tapenet as tn
    >>> tn.union1d(tn.tensor([2.0, 1.0]), tn.tensor([2.0, 3.0]))
    Tensor([1., 2., 3.])
    """
    return unique_values(np.concatenate([array_or_number(ar1), array_or_number(ar2)], axis=None), equal_nan=True)


@derived(
    numpy=np.intersect1d,
    # Integers: finite differences would move floats that both arrays hold.
    samples=lambda r: [
        sample(np.array([1, 3, 2]), np.array([[2, 4], [3, 5]])),
        sample(np.array([1, 3, 2, 3]), np.array([3, 3, 5, 2]), return_indices=True),
        sample(np.array([3, 1]), np.array([1, 2]), assume_unique=True),
    ],
)
def intersect1d(
    ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False, return_indices: bool = False
) -> Array | tuple[Array, ...]:
    """The distinct elements that two arrays have in common, in rising order.

    The values are taken from `ar1`, whose equal elements share the gradient evenly; `ar2` gets none.

    Args:
        ar1, ar2: arrays, of any shape.
        assume_unique: both are free of repetitions; it makes no difference here.
        return_indices: return each one's first occurrence in `ar1` and in `ar2` too.

    >>> import tapenet as tn
    >>> tn.intersect1d(tn.tensor([3.0, 1.0, 2.0]), [2.0, 3.0])
    Tensor([2., 3.])
    """
    ar1, ar2 = array_like(ar1), array_like(ar2)
    values, dtype = unique_values(ar1, equal_nan=True), np.result_type(ar1.dtype, ar2.dtype)
    common = isin(values, ar2)
    values = getitem(values if values.dtype == dtype else values.astype(dtype), common)
    if not return_indices:
        return values
    first, second = unique_all(ar1, equal_nan=True), unique_all(ar2, equal_nan=True)
    return values, getitem(first.indices, common), getitem(second.indices, isin(second.values, ar1))


@derived(
    replaces=True,
    numpy=np.setdiff1d,
    samples=lambda r: [
        sample(np.array([[3, 1], [2, 5]]), np.array([2, 4])),
        sample(np.array([3.0, 1.0, 2.0]), np.array([0.5, 4.0]), assume_unique=True),
    ],
)
def setdiff1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False) -> Array:
    """The distinct elements of `ar1` that are not in `ar2`, in rising order. Equal ones share the gradient evenly.

    Args:
        ar1, ar2: arrays, of any shape.
        assume_unique: both are free of repetitions; the elements then keep their order.

    >>> import tapenet as tn
    >>> tn.setdiff1d(tn.tensor([3.0, 1.0, 2.0]), [2.0])
    Tensor([1., 3.])
    """
    values = np.reshape(array_like(ar1), -1) if assume_unique else unique_values(ar1, equal_nan=True)
    return getitem(values, isin(values, ar2, invert=True))


@derived(
    numpy=np.setxor1d,
    samples=lambda r: [
        sample(np.array([3, 1, 2]), np.array([2, 4, 0])),
        sample(np.array([3.0, 1.0]), np.array([0.5, 4.0]), assume_unique=True),
    ],
)
def setxor1d(ar1: ArrayLike, ar2: ArrayLike, assume_unique: bool = False) -> Array:
    """The distinct elements that are in one of two arrays alone, in rising order. Equal ones share the gradient evenly.

    Args:
        ar1, ar2: arrays, of any shape.
        assume_unique: both are free of repetitions; it makes no difference here.

    >>> import tapenet as tn
    >>> tn.setxor1d(tn.tensor([3.0, 1.0]), tn.tensor([3.0, 4.0]))
    Tensor([1., 4.])
    """
    return np.sort(np.concatenate([setdiff1d(ar1, ar2), setdiff1d(ar2, ar1)]))
