"""New axes, arrays broadcast to one shape, and grids of coordinates."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.joining import at_least, at_least_3d
from tapenet.ops.shapes.reshaping import broadcast_to, reshape, whole
from tapenet.typing import Array, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _one_or_all(found: list[Array]) -> Array | tuple[Array, ...]:
    return found[0] if len(found) == 1 else tuple(found)


#: What may lie between a caller and a function of NumPy's.
_AROUND = ("tapenet.", "numpy.")


def _settled(found: list[Array]) -> Array | tuple[Array, ...]:
    """The result of `atleast_1d` or `atleast_2d`. SciPy's optimizers call these alone on what a user's function returned, and
    hand it to code in C, which takes nothing but arrays: they get arrays. A tensor that needs a gradient refuses."""
    frame = sys._getframe(2).f_back
    while frame and frame.f_globals.get("__name__", "").startswith(_AROUND):
        frame = frame.f_back
    if frame and frame.f_globals.get("__name__", "").startswith("scipy.optimize."):
        found = [np.asarray(a) for a in found]
    return _one_or_all(found)


@derived(
    numpy=np.atleast_1d,
    replaces=True,
    samples=lambda r: [sample(r.normal(size=())), sample(r.normal(size=()), r.normal(size=(1, 2)), r.normal(size=0))],
)
def atleast_1d(*arys: ArrayLike) -> Array | tuple[Array, ...]:
    """An array with one axis or more: a number becomes an array of length one. Of several arrays a tuple.

    >>> import tapenet as tn
    >>> tn.atleast_1d(tn.tensor(1.0))
    Tensor([1.])
    """
    return _settled([at_least(array_like(a), 1) for a in arys])


@derived(
    numpy=np.atleast_2d,
    replaces=True,
    samples=lambda r: [sample(r.normal(size=2)), sample(r.normal(size=()), r.normal(size=(1, 2, 1)))],
)
def atleast_2d(*arys: ArrayLike) -> Array | tuple[Array, ...]:
    """An array with two axes or more: a vector becomes a row. Of several arrays a tuple.

    >>> import tapenet as tn
    >>> tn.atleast_2d(tn.tensor([1.0, 2.0]))
    Tensor([[1., 2.]])
    """
    return _settled([at_least(array_like(a), 2) for a in arys])


@derived(
    numpy=np.atleast_3d,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=2)),
        sample(r.normal(size=()), r.normal(size=(2, 1)), r.normal(size=(1, 2, 1, 1))),
    ],
)
def atleast_3d(*arys: ArrayLike) -> Array | tuple[Array, ...]:
    """An array with three axes or more: a vector of n becomes (1, n, 1), a matrix (m, n, 1). Of several arrays a tuple.

    >>> import tapenet as tn
    >>> tn.atleast_3d(tn.tensor([1.0, 2.0])).shape
    (1, 2, 1)
    """
    return _one_or_all([at_least_3d(array_like(a)) for a in arys])


@derived(
    numpy=np.broadcast_arrays,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=(2, 1)), r.normal(size=3)),
        sample(r.normal(size=()), r.normal(size=(1, 2)), r.normal(size=(2, 2))),
        sample(r.normal(size=(0, 1)), r.normal(size=2)),
        sample(r.normal(size=2)),
    ],
)
def broadcast_arrays(*args: ArrayLike) -> tuple[Array, ...]:
    """Arrays repeated, without a copy, to the one shape they broadcast to.

    Raises:
        ValueError: there is no such shape.

    >>> import tapenet as tn
    >>> [a.shape for a in tn.broadcast_arrays(tn.tensor([[1.0], [2.0]]), tn.tensor([1.0, 2.0, 3.0]))]
    [(2, 3), (2, 3)]
    """
    arrays = [array_like(a) for a in args]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return tuple(a if a.shape == shape else broadcast_to(a, shape) for a in arrays)


def _one_axis(x: Array, ndim: int, axis: int) -> Array:
    """A vector along one of `ndim` axes."""
    return reshape(x, (*(1,) * axis, -1, *(1,) * (ndim - 1 - axis)))


def _spread_x(g: Array, x_shape: Shape, axis: int) -> Array:
    return np.reshape(np.sum(g, tuple(i for i in range(g.ndim) if i != axis)), whole(x_shape))


@op(
    label=lambda axis: f"along axis {axis}",
    x=_spread_x,
    samples=lambda r: [
        sample(r.normal(size=3), (2, 3, 2), 1),
        sample(r.normal(size=()), (2, 1), 1),
        sample(r.normal(size=0), (2, 0), 1),
    ],
)
def spread(x: Array, shape: tuple[int, ...], axis: int) -> Array:
    """A vector along one axis of an array of a given shape: a coordinate of `meshgrid`.

    >>> import tapenet as tn
    >>> from tapenet.ops.shapes.grids import spread
    >>> spread(tn.tensor([1.0, 2.0]), (2, 3), 0)
    Tensor([[1., 1., 1.],
            [2., 2., 2.]])
    """
    made = np.empty_like(x, shape=shape)
    made[...] = np.reshape(x, (-1, *(1,) * (len(shape) - 1 - axis)))
    return made


@derived(
    numpy=np.meshgrid,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=2), r.normal(size=3)),
        sample(r.normal(size=2), r.normal(size=1), r.normal(size=3), indexing="ij"),
        sample(r.normal(size=2), r.normal(size=3), sparse=True),
        sample(r.normal(size=2), r.normal(size=3), copy=False),
        sample(r.normal(size=2), r.normal(size=())),
        sample(r.normal(size=3)),
        sample(r.normal(size=2), r.normal(size=0)),
    ],
)
def meshgrid(*xi: ArrayLike, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Array, ...]:
    """Coordinates of the points of a grid, from the coordinates along each axis.

    Args:
        *xi: vectors.
        copy: False gives views, read-only.
        sparse: leave the arrays at length one along the other axes, to be broadcast.
        indexing: "xy" counts the first vector along the second axis of the grid, "ij" along the first.

    Returns:
        a tuple with one array per vector.

    Raises:
        ValueError: another word for `indexing`.

    >>> import tapenet as tn
    >>> x, y = tn.meshgrid(tn.tensor([1.0, 2.0]), tn.tensor([5.0, 6.0, 7.0]))
    >>> x.shape, y[:, 0]
    ((3, 2), Tensor([5., 6., 7.]))
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing={indexing!r} is neither 'xy' nor 'ij'")
    ndim = len(xi)
    places = [1, 0, *range(2, ndim)] if indexing == "xy" and ndim > 1 else [*range(ndim)]
    vectors = [array_like(x) for x in xi]
    if copy and not sparse:
        lengths = [0] * ndim
        for x, i in zip(vectors, places, strict=True):
            lengths[i] = math.prod(x.shape)
        return tuple(spread(x, tuple(lengths), i) for x, i in zip(vectors, places, strict=True))
    found: tuple[Array, ...] = tuple(_one_axis(x, ndim, i) for x, i in zip(vectors, places, strict=True))
    if not sparse:
        found = broadcast_arrays(*found)
    return tuple(np.copy(x) for x in found) if copy else found


@derived(
    numpy=np.ix_,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=2), r.normal(size=3)),
        sample(np.array([True, False, True]), np.array([1, 0])),
        sample(r.normal(size=2)),
    ],
)
def ix_(*args: ArrayLike) -> tuple[Array, ...]:
    """Vectors of indices as an open grid: `a[ix_([0, 2], [1, 3])]` is what rows 0 and 2 have in columns 1 and 3. Truth
    values count as the places where they are true.

    Raises:
        ValueError: an argument with other than one axis.

    >>> import tapenet as tn
    >>> [i.shape for i in tn.ix_(tn.tensor([0, 2]), tn.tensor([1, 3, 4]))]
    [(2, 1), (1, 3)]
    """
    found = []
    for i, given in enumerate(args):
        x = array_like(given)
        if x.ndim != 1:
            raise ValueError(f"ix_: argument {i} has shape {x.shape}: each must have one axis")
        if x.dtype == bool:
            x = np.nonzero(x)[0]
        elif not x.shape[0]:
            x = x.astype(np.intp)  # an empty list holds no floats
        found.append(_one_axis(x, len(args), i))
    return tuple(found)
