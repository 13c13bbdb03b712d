"""The smallest, largest and middle numbers of an image or of its parts, and where their weight is."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.ops.op import op
from tapenet.scipy.followed import scipys
from tapenet.scipy.ndimage.measurements import Index, Labels, sum_labels
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

_Place = tuple[int, ...]
_Places = list[_Place] | _Place


@op(nondiff=("x", "labels", "index"), nondiff_outputs=(0,))
def _place(x: Array, labels: Array | None, index: Array | None, name: str) -> Array:
    """Where the smallest or the largest number of each part is, as a place among all; -1 for a part without numbers."""
    found = np.array(scipys(f"ndimage.{name}_position")(x, labels, _plain(index)), np.intp)
    places: Array = np.ravel_multi_index(tuple(found.T), x.shape)
    if labels is None or index is None or not np.ndim(index):
        return places
    return np.where(np.isin(index, labels), np.reshape(places, np.shape(index)), -1)


def _plain(index: Array | None) -> object:
    """An index as SciPy takes it: one label as a number."""
    return index if index is None or np.ndim(index) else np.asarray(index).item()


@op(nondiff=("x", "labels", "index"), outputs=2, nondiff_outputs=(0, 1))
def _middle(x: Array, labels: Array | None, index: Array | None) -> tuple[Array, Array]:
    """Where the one or two numbers in the middle of each part are, as places among all; -1 for a part without numbers."""
    marks = np.zeros(x.shape, int) if labels is None else np.broadcast_to(labels, x.shape)
    if labels is None or index is None:
        marks, wanted = (marks == 0 if labels is None else marks > 0), np.array(True)
    else:
        wanted = np.asarray(index)
    order = np.lexsort((x.ravel(), marks.ravel()))
    ordered = marks.ravel()[order]
    first, last = (np.searchsorted(ordered, wanted, side) for side in ("left", "right"))
    count = last - first
    if not wanted.ndim and count and np.isnan(x.ravel()[order[last - 1]]):  # as of NumPy's median
        return order[last - 1], order[last - 1]
    low, high = (order[np.minimum(first + half, x.size - 1)] for half in ((count - 1) // 2, count // 2))
    return np.where(count, low, -1), np.where(count, high, -1)


def _picked(x: Array, places: Array, missing: float) -> Array:
    """The numbers at places among all."""
    found: Array = np.reshape(x, (-1,))[places]
    return np.where(places < 0, np.astype(np.asarray(missing), found.dtype), found)


def _arrays(labels: Labels, index: Index) -> tuple[Array | None, Array | None]:
    return tuple(None if v is None else array_like(v) for v in (labels, index))  # type: ignore[return-value]


def _extremum(name: str, input: ArrayLike, labels: Labels, index: Index) -> Array:
    x = array_like(input)
    places: Array = _place(x, *_arrays(labels, index), name)
    return _picked(x, places, 0.0)


def minimum(input: ArrayLike, labels: Labels = None, index: Index = None) -> Array:
    """The smallest of the numbers of an image, or of its parts; 0 for a part without numbers. Of several equal ones the
    gradient is of the first one.

    Args:
        input: an array of real numbers.
        labels: integers that broadcast to its shape: the part that each number is in.
        index: the labels of the parts; by default all with labels above 0 together.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.minimum(tn.tensor([1.0, 2.0, 6.0, 8.0]), [0, 0, 1, 1], [0, 1])
    Tensor([1., 6.])
    """
    return _extremum("minimum", input, labels, index)


def maximum(input: ArrayLike, labels: Labels = None, index: Index = None) -> Array:
    """The largest of the numbers of an image, or of its parts; the arguments are those of `minimum`.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.maximum(tn.tensor([1.0, 2.0, 6.0, 8.0]), [0, 0, 1, 1], [0, 1])
    Tensor([2., 8.])
    """
    return _extremum("maximum", input, labels, index)


def extrema(input: ArrayLike, labels: Labels = None, index: Index = None) -> tuple[Array, Array, _Places, _Places]:
    """The smallest and the largest of the numbers of an image, or of its parts, and where these are; the arguments are those of
    `minimum`.

    Raises:
        ValueError: an image that a compiled program computes: where its extremes are is not known then.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.extrema(tn.tensor([3.0, 2.0, 6.0]))
    (Tensor(2.), Tensor(6.), (np.int64(1),), (np.int64(2),))
    """
    x = array_like(input)
    values = known(x)
    if values is None:
        raise ValueError(
            "extrema: where the numbers are depends on the image, which is computed in a compiled program: call it outside, or "
            "take minimum and maximum, which give the numbers alone"
        )
    _, _, least, most = cast("tuple[Array, Array, _Places, _Places]", scipys("ndimage.extrema")(values, labels, index))
    return minimum(x, labels, index), maximum(x, labels, index), least, most


def median(input: ArrayLike, labels: Labels = None, index: Index = None) -> Array:
    """The median of the numbers of an image, or of its parts; nan for a part without numbers. The arguments are those of
    `minimum`.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.median(tn.tensor([1.0, 2.0, 6.0, 9.0]), [0, 0, 1, 1], [0, 1])
    Tensor([1.5, 7.5])
    """
    x = array_like(input)
    x = x if x.dtype.kind == "f" else np.astype(x, float)
    low, high = _middle(x, *_arrays(labels, index))
    return (_picked(x, low, np.nan) + _picked(x, high, np.nan)) / 2


def center_of_mass(
    input: ArrayLike, labels: Labels = None, index: Index = None
) -> tuple[Array, ...] | list[tuple[Array, ...]]:
    """Where the centre of an image is whose numbers are masses, or of its parts: a coordinate for each axis.

    Args:
        input, labels, index: as for `minimum`.

    Returns:
        a tuple of coordinates; with several labels a list of tuples.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.center_of_mass(tn.tensor([[0.0, 1.0], [0.0, 3.0]]))
    (Tensor(0.75), Tensor(1.))
    """
    x = array_like(input)
    if isinstance(index, np.ndarray):
        index = index.tolist()
    mass = sum_labels(x, labels, index)
    grids = np.ogrid[tuple(slice(0, n) for n in x.shape)]
    found = [sum_labels(x * grid, labels, index) / mass for grid in grids]
    if not mass.ndim:
        return tuple(found)
    return [tuple(coordinates) for coordinates in np.stack(found).T]  # as in SciPy, also of an index with several axes
