"""The smallest, largest and middle numbers of an image or of its parts, and where their weight is."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.scipy.followed import scipys
from tapenet.scipy.ndimage.measurements import Index, Labels, sum_labels
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

_Place = tuple[int, ...]


def _values(name: str, x: Array) -> Array:
    found = known(x)
    if found is None:
        raise ValueError(
            f"{name}: which number it is depends on the values of the image, which are computed in a compiled program: call it "
            "outside, or take np.min, np.max or np.median of the numbers with a label there"
        )
    return np.asarray(found)


def _picked(x: Array, places: list[_Place] | _Place) -> Array:
    """The numbers at places: one, or several."""
    found: Array = x[places if isinstance(places, tuple) else tuple(np.array(places, np.intp).T)]
    return found


def _extremum(name: str, input: ArrayLike, labels: Labels, index: Index) -> Array:
    x = array_like(input)
    where = scipys(f"ndimage.{name}_position")(_values(name, x), labels, index)
    return _picked(x, where)  # type: ignore[arg-type]


def minimum(input: ArrayLike, labels: Labels = None, index: Index = None) -> Array:
    """The smallest of the numbers of an image, or of its parts. Of several equal ones the gradient is of the first one.

    Args:
        input: an array of real numbers.
        labels: integers that broadcast to its shape: the part that each number is in.
        index: the labels of the parts; by default all with labels above 0 together.

    Raises:
        ValueError: an image that a compiled program computes.

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


def extrema(
    input: ArrayLike, labels: Labels = None, index: Index = None
) -> tuple[Array, Array, list[_Place] | _Place, list[_Place] | _Place]:
    """The smallest and the largest of the numbers of an image, or of its parts, and where these are; the arguments are those of
    `minimum`.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.extrema(tn.tensor([3.0, 2.0, 6.0]))
    (Tensor(2.), Tensor(6.), (np.int64(1),), (np.int64(2),))
    """
    x = array_like(input)
    found = scipys("ndimage.extrema")(_values("extrema", x), labels, index)
    _, _, least, most = cast("tuple[Array, Array, list[_Place], list[_Place]]", found)
    return _picked(x, least), _picked(x, most), least, most


def _middle(x: Array, marked: Array) -> Array:
    found: Array = np.median(x[marked])
    return found


def median(input: ArrayLike, labels: Labels = None, index: Index = None) -> Array:
    """The median of the numbers of an image, or of its parts; the arguments are those of `minimum`. Labels are no tensors that
    a compiled program computes.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.median(tn.tensor([1.0, 2.0, 6.0, 9.0]), [0, 0, 1, 1], [0, 1])
    Tensor([1.5, 7.5])
    """
    x = array_like(input)
    if labels is None:
        return _middle(x, np.full(x.shape, True))
    marks = np.broadcast_to(np.asarray(labels), x.shape)
    if index is None:
        return _middle(x, marks > 0)
    wanted = np.asarray(index)
    if not wanted.ndim:
        return _middle(x, marks == wanted)
    return np.stack([_middle(x, marks == label) for label in wanted.ravel()]).reshape(wanted.shape)


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
    return [tuple(coordinate[i] for coordinate in found) for i in np.ndindex(mass.shape)]
