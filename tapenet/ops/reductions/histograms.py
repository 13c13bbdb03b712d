"""Histograms: sums of weights in bins. Their derivatives are those by the weights, and by edges that follow from the values
at the ends; which bin a value falls into is a step."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np

from tapenet.ops import conditions
from tapenet.ops.derived import array_like, array_or_number, derived, is_tensor, known
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.ranges import float_dtype
from tapenet.program.symbols import CannotLower, Symbol, provided
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

    #: The lowest and the highest value that count.
    Range: TypeAlias = Sequence[ArrayLike] | None


# -- which bin -------------------------------------------------------------------------------------------------------


def _places(columns: Sequence[Array], edges: Sequence[Array]) -> Array:
    """The flat index of the cell in which each value falls, -1 where it is in none. The last edge is inside."""
    flat: Array = np.zeros(columns[0].shape, np.intp)
    inside: Array = np.ones(columns[0].shape, np.bool_)
    for x, e in zip(columns, edges, strict=True):
        count = e.shape[0] - 1
        place = np.where(x == e[count], count - 1, np.searchsorted(e, x, "right") - 1)
        inside = inside & (place >= 0) & (place < count)
        flat = flat * count + place
    return np.where(inside, flat, -1)


def _edges_of(a: Array, bins: Array, range: tuple[float, float] | None) -> Array:
    """What `np.histogram_bin_edges` gives, in a program."""
    if isinstance(bins, str):
        raise CannotLower("how many bins there are may depend on values")
    if not isinstance(bins, Symbol) and (np.ndim(bins) or range is not None):
        return np.histogram_bin_edges(np.zeros(1, a.dtype), bins, range)
    edges: Any = bins
    if not np.ndim(bins):
        low, high = np.min(a), np.max(a)
        width = np.where(low == high, 0.5, 0.0).astype(float_dtype(a))
        edges = np.linspace(low - width, high + width, int(bins) + 1, dtype=width.dtype)
    return _rising(edges)


def _rising(edges: Any) -> Array:
    """Edges, in a program that refuses those that fall."""
    wrong = ~np.all(edges[:-1] <= edges[1:])
    text = "edges of bins must rise, and the range of the values be finite"
    return cast("Array", provided(edges, wrong, ValueError, text))


def _dtype_of_sums(points: Array, weights: Array | None) -> DType:
    """That of sums in cells of a grid."""
    narrow = float_dtype(points) if weights is None else float_dtype(points, weights)
    return np.promote_types(narrow, np.float32)


def _at(g: Array, place: Array) -> Array:
    """What a gradient by sums in cells is by the weights that were summed, given the cell of each."""
    return np.where(place < 0, 0, np.reshape(g, -1)[place]).astype(g.dtype)


@op(
    label="bins",
    nondiff=("a", "bins"),
    lower=lambda a, bins, range: _places([np.ravel(a)], [_edges_of(a, bins, range)]),
    samples=lambda r: [sample(r.normal(size=4), 3), sample(r.normal(size=4), np.array([-1.0, 0, 1]))],
)
def bin_places(a: Array, bins: Array, range: tuple[float, float] | None = None) -> Array:
    """In which bin of `np.histogram(a, bins, range)` each of the values falls, -1 for none.

    >>> from tapenet.ops.reductions.histograms import bin_places
    >>> bin_places(np.array([0.5, 3.0, 2.0]), np.array([0, 1, 2])).tolist()
    [0, -1, 1]
    """
    a = np.ravel(a)
    return _places([a], [np.histogram_bin_edges(a, bins, range)])


@op(
    label="cells",
    nondiff=("points", "edges"),
    sequences=("edges",),
    samples=lambda r: [sample(r.normal(size=(4, 2)), [np.array([-1.0, 0, 1]), np.array([-2.0, 2])])],
)
def cell_places(points: Array, edges: Sequence[Array]) -> Array:
    """In which cell of `np.histogramdd(points, edges)` each of the points falls, counted in row-major order, -1 for none.

    >>> from tapenet.ops.reductions.histograms import cell_places
    >>> cell_places(np.array([[0.5, 1.5], [3.0, 0.0]]), [np.array([0, 1]), np.array([0, 1, 2])]).tolist()
    [1, -1]
    """
    return _places(list(np.transpose(points)), edges)


# -- sums ------------------------------------------------------------------------------------------------------------


def _sums(place: Array, count: int, weights: Array | None) -> Array:
    """Sums in cells, in a program. What is in none is summed up in front of the others, and left out."""
    if weights is not None and weights.dtype.kind == "c":
        raise CannotLower("sums of complex numbers")
    row = None if weights is None else np.reshape(weights, -1)
    return np.bincount(place + 1, row, minlength=count + 1)[1:]


#: Values from which on NumPy, which sorts them, takes less time with edges that are given: a million between 1,000 edges take
#: 14 ms, and 20 where each is looked up by halves.
_MANY = 4096


def _bin_sums_program(a: Array, bins: Array, range: tuple[float, float] | None, weights: Array | None) -> Array:
    if not isinstance(bins, str) and np.ndim(bins) and a.size > _MANY:
        raise CannotLower("many values between edges that are given")
    edges = _edges_of(a, bins, range)
    sums = _sums(_places([np.ravel(a)], [edges]), edges.shape[0] - 1, weights)
    return sums if weights is None else sums.astype(weights.dtype)


def _cell_sums_program(points: Array, edges: Sequence[Array], weights: Array | None) -> Array:
    edges = [_rising(e) if isinstance(e, Symbol) else e for e in edges]
    counts = [e.shape[0] - 1 for e in edges]
    sums = _sums(_places(list(np.transpose(points)), edges), math.prod(counts), weights)
    return np.reshape(sums, counts).astype(_dtype_of_sums(points, weights))


@op(
    label="histogram",
    nondiff=("a", "bins"),
    lower=_bin_sums_program,
    weights=lambda g, a, bins, range, weights_shape: np.reshape(_at(g, bin_places(a, bins, range)), weights_shape),
    gradients="weights: g at the bin of each, 0 where it is in none",
    samples=lambda r: [
        sample(r.normal(size=4), 3, None, r.normal(size=4)),
        sample(r.normal(size=4), np.array([-1.0, 0, 1]), None, r.normal(size=4)),
        sample(r.normal(size=4), 3, (-1.0, 1.0)),
    ],
)
def bin_sums(
    a: Array, bins: Array, range: tuple[float, float] | None = None, weights: Array | None = None
) -> Array:  # fmt: skip
    """How many values fall into each bin, or the sum of their weights: what `histogram` returns first.

    >>> from tapenet.ops.reductions.histograms import bin_sums
    >>> bin_sums(np.array([0.5, 0.0, 2.0]), np.array([0, 1, 2]), weights=np.array([1.0, 2.0, 4.0]))
    array([3., 4.])
    """
    return np.histogram(a, bins, range, weights=weights)[0]


@op(
    label="histogram",
    nondiff=("points", "edges"),
    sequences=("edges",),
    lower=_cell_sums_program,
    weights=lambda g, points, edges: _at(g, cell_places(points, edges)),
    samples=lambda r: [
        sample(r.normal(size=(4, 2)), [np.array([-1.0, 0, 1]), np.array([-2.0, 2])], r.normal(size=4)),
    ],
)
def cell_sums(points: Array, edges: Sequence[Array], weights: Array | None = None) -> Array:
    """How many points fall into each cell, or the sum of their weights: what `histogramdd` returns first.

    >>> from tapenet.ops.reductions.histograms import cell_sums
    >>> cell_sums(np.array([[0.5, 1.5], [3.0, 0.0]]), [np.array([0, 1]), np.array([0, 1, 2])])
    array([[0., 1.]])
    """
    sums = np.histogramdd(points, edges, weights=weights)[0]
    return sums.astype(_dtype_of_sums(points, weights), copy=False)


# -- edges -----------------------------------------------------------------------------------------------------------


@op(
    label="edges",
    nondiff=("a", "bins"),
    lower=_edges_of,
    samples=lambda r: [sample(r.normal(size=9), "auto"), sample(r.normal(size=3), 2, (-1.0, 2.0))],
)
def edges_of_bins(a: Array, bins: Array, range: tuple[float, float] | None = None) -> Array:
    """The edges of bins that are given, or found by a rule or from a given range: constants.

    >>> from tapenet.ops.reductions.histograms import edges_of_bins
    >>> edges_of_bins(np.arange(9), "sqrt").tolist()
    [0.0, 2.6666666666666665, 5.333333333333333, 8.0]
    """
    return np.histogram_bin_edges(a, bins, range)


def _are_several(bins: object) -> bool:
    """Whether bins are given as edges, or for each axis; not as one number."""
    return isinstance(bins, (list, tuple)) or np.ndim(bins) > 0  # type: ignore[arg-type]


def _edges(name: str, a: Array, bins: ArrayLike | str, range: Range) -> Array:
    """The edges of bins of values along one axis."""
    if isinstance(bins, str):  # the name of a rule
        bins = edges_of_bins(a, bins, range).shape[0] - 1
    if _are_several(bins):
        edges = array_like(bins)
        return edges_of_bins(a, edges) if isinstance(edges, np.ndarray) else edges
    try:
        count = operator.index(bins)  # type: ignore[arg-type]  # what it is else is said
    except TypeError:
        raise TypeError(f"{name}: bins={bins!r} is neither a whole number nor edges of bins in rising order") from None
    if range is None:
        range = (np.min(a), np.max(a)) if a.size else (0.0, 1.0)
    low, high = map(array_or_number, range)
    ends = known(low), known(high)
    if count < 1 or (None not in ends and not (np.isfinite(ends).all() and ends[0] <= ends[1])):
        raise ValueError(
            f"{name}: there are no {count} bins from {ends[0]} to {ends[1]}: give a number of 1 or more, and range= with "
            "finite numbers that rise"
        )
    if None in ends:
        wrong = np.logical_not(np.isfinite(low) & np.isfinite(high) & np.less_equal(low, high))
        text = f"{name}: the range of the values falls, or is not finite"
        if ends[0] is None:
            low = conditions.provided(low, wrong, ValueError, text)
        else:
            high = conditions.provided(high, wrong, ValueError, text)
    if not (is_tensor(type(low)) or is_tensor(type(high))):
        return edges_of_bins(a, count, (low, high))
    if None in ends or ends[0] == ends[1]:
        width = np.where(np.equal(low, high), 0.5, 0.0).astype(float_dtype(low, high))
        low, high = low - width, high + width
    return np.linspace(low, high, count + 1, dtype=float_dtype(low, high, a))


@derived(
    numpy=np.histogram_bin_edges,
    samples=lambda r: [
        sample(r.normal(size=5), 3),
        sample(r.normal(size=(2, 3)), 2, (-1.0, 2.0)),
        sample(r.normal(size=3), np.array([0.0, 1, 3])),
        sample(r.normal(size=9), "sturges"),
        sample(np.array([2, 2])),
    ],
)
def histogram_bin_edges(
    a: ArrayLike, bins: ArrayLike | str = 10, range: Range = None, weights: ArrayLike | None = None
) -> Array:
    """The edges of the bins that `histogram` uses with the same arguments: bins of equal width are from the least value to
    the largest, by which the edges have derivatives.

    Args:
        a: the values, of any shape.
        bins: how many bins, the edges themselves, or the rule that finds a number ("auto", "fd", "sturges" ...).
        range: the first edge and the last; by default the least and the largest value.
        weights: as for `histogram`; no edge depends on them.

    Raises:
        ValueError: edges that fall, an end that is not finite, or weights with a rule.

    >>> import tapenet as tn
    >>> tn.histogram_bin_edges(tn.tensor([1.0, 2.0, 5.0]), 2)
    Tensor([1., 3., 5.])
    """
    if isinstance(bins, str) and weights is not None:
        raise TypeError(f"histogram: the rule bins={bins!r} is for values without weights: give a number of bins")
    return _edges("histogram", array_like(a), bins, range)


# -- histograms ------------------------------------------------------------------------------------------------------


@derived(
    numpy=np.histogram,
    samples=lambda r: [
        sample(r.normal(size=5), 3),
        sample(r.normal(size=(2, 3)), 3, None, None, r.normal(size=(2, 3))),
        sample(r.normal(size=4), 2, (-1.0, 1.0), True, r.uniform(0.5, 2, 4)),
        sample(r.normal(size=4), np.array([-1.0, 0, 2]), None, False, r.normal(size=4)),
        sample(r.normal(size=9), "auto"),
    ],
)
def histogram(
    a: ArrayLike, bins: ArrayLike | str = 10, range: Range = None, density: bool | None = None,
    weights: ArrayLike | None = None,
) -> tuple[Array, Array]:  # fmt: skip
    """How many values fall into each bin, or the sum of their weights, by which it has derivatives.

    Args:
        a: the values, of any shape. Which bin one falls into is a step, without a derivative.
        bins: how many bins, their edges, or the rule that finds a number ("auto", "fd", "sturges" ...). A bin includes its
            lower edge, the last one its upper edge too.
        range: the first edge and the last; by default the least and the largest value. Values outside are not counted.
        density: divide by the width of the bin and by the sum of all, so that the integral is 1.
        weights: one for each value.

    Returns:
        the sums, of the dtype of the weights or int64, and the edges, which are one more. By the values at both ends the
        edges have derivatives, and so have densities.

    Raises:
        ValueError: edges that fall, an end that is not finite, or weights of another shape than the values.

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0, 2.0, 4.0], requires_grad=True)
    >>> sums, edges = tn.histogram([0.1, 0.2, 0.9], 2, (0, 1), weights=w)
    >>> sums
    Tensor([3., 4.], op=bin_sums)
    >>> (sums * sums).sum().backward()
    >>> w.grad
    Tensor([6., 6., 8.])
    """
    edges = histogram_bin_edges(a, bins, range, weights)
    ends = None if range is None else tuple(map(known, range))
    if (not isinstance(bins, str) and _are_several(bins)) or (ends is not None and None in ends):
        sums = bin_sums(a, edges, None, weights)
    else:
        sums = bin_sums(a, edges.shape[0] - 1, ends, weights)
    return (sums / np.diff(edges) / np.sum(sums) if density else sums), edges


@derived(
    numpy=np.histogramdd,
    samples=lambda r: [
        sample(r.normal(size=(5, 2)), (2, 3)),
        sample(r.normal(size=(5, 2)), 2, None, True, r.uniform(0.5, 2, 5)),
        sample(r.normal(size=(4, 1)), [np.array([-2.0, 0, 2])], None, None, r.normal(size=4)),
        sample(r.normal(size=(4, 2)), (2, 1), [(-1.0, 1.0), None], None, r.normal(size=4)),
    ],
)
def histogramdd(
    sample: ArrayLike | Sequence[ArrayLike], bins: ArrayLike | Sequence[ArrayLike] = 10,
    range: Sequence[Range] | None = None, density: bool | None = None, weights: ArrayLike | None = None,
) -> tuple[Array, tuple[Array, ...]]:  # fmt: skip
    """How many points fall into each cell of a grid, or the sum of their weights, by which it has derivatives.

    Args:
        sample: a row for each point; or a sequence with the coordinates of all points along each axis.
        bins: how many bins, or their edges, for each axis; or one number for all.
        range: the first edge and the last along each axis, where it is not None.
        density: divide by the size of the cell and by the sum of all, so that the integral is 1.
        weights: one for each point.

    Returns:
        the sums as floats, with an axis for each coordinate, and a tuple of the edges along each.

    Raises:
        ValueError: bins or ranges for another number of axes, edges that fall, or an end that is not finite.

    >>> import tapenet as tn
    >>> sums, edges = tn.histogramdd(tn.tensor([[0.0, 0.0], [1.0, 2.0]]), (1, 2))
    >>> sums.tolist(), edges[1].tolist()
    ([[1.0, 1.0]], [0.0, 1.0, 2.0])
    """
    name = "histogramdd"
    points = array_like(sample)
    if points.ndim != 2 or isinstance(sample, (list, tuple)):
        points = np.transpose(np.atleast_2d(points))
    axes = points.shape[1]
    each = cast("Sequence[ArrayLike]", bins) if _are_several(bins) else [cast("ArrayLike", bins)] * axes
    ranges = [None] * axes if range is None else range
    if len(each) != axes or len(ranges) != axes:
        what = f"{len(each)} bins" if len(each) != axes else f"{len(ranges)} ranges"
        raise ValueError(f"{name}: {what} for points with {axes} coordinates: give one for each")
    edges = tuple(_edges(name, points[:, i], b, r) for i, (b, r) in enumerate(zip(each, ranges, strict=True)))
    sums = cell_sums(points, edges, weights)
    if density:
        total = np.sum(sums)
        for i, e in enumerate(edges):
            sums = sums / np.reshape(np.diff(e), (-1, *(1,) * (axes - 1 - i)))
        sums = sums / total
    return sums, edges


@derived(
    numpy=np.histogram2d,
    samples=lambda r: [
        sample(r.normal(size=5), r.normal(size=5), 3),
        sample(r.normal(size=5), r.normal(size=5), (2, 3), None, None, r.normal(size=5)),
        sample(r.normal(size=4), r.normal(size=4), np.array([-1.0, 0, 2]), None, True, r.uniform(1, 2, 4)),
    ],
)
def histogram2d(
    x: ArrayLike, y: ArrayLike, bins: ArrayLike | Sequence[ArrayLike] = 10, range: Sequence[Range] | None = None,
    density: bool | None = None, weights: ArrayLike | None = None,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """How many points of a plane fall into each cell of a grid, or the sum of their weights, by which it has derivatives.

    Args:
        x, y: the coordinates of the points, each with one axis.
        bins: how many bins, or their edges: for both axes, or a pair with those for each.
        range, density, weights: as for `histogramdd`.

    Returns:
        the sums, with bins of x along the first axis; the edges along x; the edges along y.

    Raises:
        ValueError: as many x as y are needed; else as `histogramdd`.

    >>> import tapenet as tn
    >>> tn.histogram2d(tn.tensor([0.0, 1.0]), [0.0, 2.0], 2)[0].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    x, y = array_like(x), array_like(y)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"histogram2d: x and y have shapes {x.shape} and {y.shape}: give one axis, as long for both")
    both = _are_several(bins) and len(bins) not in (1, 2)  # type: ignore[arg-type]
    sums, edges = histogramdd([x, y], [cast("ArrayLike", bins)] * 2 if both else bins, range, density, weights)
    return sums, edges[0], edges[1]
