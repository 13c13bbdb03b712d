"""Images at other places: at coordinates, moved, turned, zoomed and under affine maps.

The values are SciPy's. What is differentiated is a formula: a spline at c is Σ w_k(c) coefficient_k over the places k around
c, and the weights w_k are polynomials in c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tapenet import ops
from tapenet.ops.derived import array_like
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed
from tapenet.scipy.ndimage.borders import bordered, for_each, numbers_for_each
from tapenet.scipy.ndimage.spline_filters import filtered_along
from tapenet.special.exponentials import cosdg, sindg
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike

#: As far as SciPy extends an image before it is filtered, in modes without an exact filter.
_FAR = 12


def spline_weights(u: Array, order: int) -> list[Array]:
    """The values of the splines of an order that are not 0 between two knots, at u of the way (de Boor)."""
    weights: list[Array] = [np.ones_like(u)]
    for d in range(1, order + 1):
        below = [((u + (d - j)) / d) * weights[j - 1] if j else None for j in range(d + 1)]
        above = [((1 - u + j) / d) * weights[j] if j < d else None for j in range(d + 1)]
        weights = [b if a is None else a if b is None else a + b for a, b in zip(above, below, strict=True)]  # type: ignore[misc]
    return weights


def _inside(k: Array, n: int, mode: str) -> Array:
    """Where a place beyond an image of n numbers is found in it."""
    if n == 1:
        return np.zeros_like(k)
    if mode in ("nearest", "grid-constant"):
        return np.clip(k, 0, n - 1)
    if mode == "grid-wrap":
        return np.mod(k, n)
    if mode in ("reflect", "grid-mirror"):
        k = np.mod(k, 2 * n)
        return np.where(k >= n, 2 * n - 1 - k, k)
    k = np.mod(k, 2 * n - 2)  # "wrap" and "constant" too, whose splines are those of the mirror image
    return np.where(k > n - 1, 2 * n - 2 - k, k)


def _sampled(
    x: Array,
    coordinates: Sequence[Array],
    order: int,
    mode: str,
    cval: complex,
    prefilter: bool,
    output: DTypeLike | None,
) -> Array:
    """An image at coordinates along its last axes."""
    count = len(coordinates)
    first = x.ndim - count
    lengths = x.shape[first:]
    far = _FAR if prefilter and order > 1 and mode in ("nearest", "grid-constant") else 0
    coefficients = np.astype(x, np.result_type(x.dtype, np.float64))
    for axis in range(first, x.ndim):
        if far:
            coefficients = bordered(coefficients, axis, far, far, mode, cval)
    for axis in range(first, x.ndim):
        if prefilter and order > 1:
            coefficients = filtered_along(coefficients, order, axis - x.ndim, mode)
    index: list[Array] = []
    weights: list[Array] = []
    known: Array | None = None
    outside: Array | None = None
    for axis, (c, n) in enumerate(zip(coordinates, lengths, strict=True)):
        c = np.astype(c, np.float64)
        if mode == "constant":
            within = (c >= 0) & (c <= n - 1)
            known = within if known is None else known & within
        elif mode == "wrap" and n > 1:
            c = np.where((c < 0) | (c > n - 1), c - (n - 1) * np.floor(c / (n - 1)), c)
        c = c + far
        if mode == "nearest":  # further out all numbers around are the same
            c = np.clip(c, -order - 1, n + 2 * far + order)
        knot = np.floor(c if order % 2 else c + 0.5)
        steps = np.arange(order + 1).reshape((order + 1,) + (1,) * c.ndim)
        taps = np.astype(knot, np.int64) - order // 2 + steps
        if mode == "grid-constant":
            beyond = (taps < 0) | (taps > n + 2 * far - 1)
            beyond = beyond.reshape(_spread(axis, count, order, c.ndim, beyond.shape[1:]))
            outside = beyond if outside is None else outside | beyond
        taps = _inside(taps, n + 2 * far, mode)
        index.append(taps.reshape(_spread(axis, count, order, c.ndim, taps.shape[1:])))
        weights.append(np.stack(spline_weights(c - knot if order % 2 else c - knot + 0.5, order)))
    found: Array = coefficients[(..., *index)]  # type: ignore[arg-type]
    if outside is not None:
        found = np.where(outside, cval, found)
    for axis in range(count):
        w = weights[axis].reshape((order + 1,) + (1,) * (count - 1 - axis) + weights[axis].shape[1:])
        found = np.sum(ops.multiply(found, w), axis=first)
    if known is not None:
        found = np.where(known, found, cval)
    return np.astype(found, x.dtype if output is None else output)


def _spread(axis: int, count: int, order: int, ndim: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the places around coordinates along one axis, among those along all."""
    return (1,) * axis + (order + 1,) + (1,) * (count - 1 - axis) + shape


def _grid(shape: Sequence[int]) -> list[Array]:
    """The coordinates of an image's places, one array for each axis, which broadcast."""
    return [np.arange(float(n)).reshape([-1 if i == j else 1 for j in range(len(shape))]) for i, n in enumerate(shape)]


def _together(coordinates: Sequence[Array]) -> list[Array]:
    return list(np.broadcast_arrays(*coordinates))


def _places(r: np.random.Generator, n: int, *lengths: int) -> Array:
    return np.stack([r.uniform(-0.4, length - 0.6, size=n) for length in lengths])


@followed(
    "ndimage.map_coordinates", "input", "coordinates",
    gradients="input: g by the weights, where it came from; coordinates: g by the derivatives of the weights",
    samples=lambda r: [
        sample(r.normal(size=(4, 5)), _places(r, 3, 4, 5)),
        sample(r.normal(size=6), _places(r, 4, 6), order=1, mode="nearest"),
        sample(r.normal(size=6), _places(r, 4, 6), order=2, mode="wrap"),
        sample(r.normal(size=5), _places(r, 4, 5), order=5, mode="reflect"),
        sample(r.normal(size=5), _places(r, 4, 5), mode="grid-constant", cval=0.5),
        sample(r.normal(size=(3, 3)), _places(r, 3, 3, 3), mode="grid-wrap", prefilter=False),
    ],
)  # fmt: skip
def map_coordinates(
    input: Array, coordinates: Array, output: DTypeLike | None = None, order: int = 3, mode: str = "constant",
    cval: float = 0.0, prefilter: bool = True,
) -> Array:  # fmt: skip
    """An image at coordinates, by splines. There are gradients by the image and by the coordinates.

    Args:
        input: an array.
        coordinates: an array with a first axis as long as the image has axes: along it are the coordinates of one place.
        output: the dtype of the result, by default that of the input.
        order: of the splines, from 0 to 5. Of order 0 the derivatives by coordinates are 0, of order 1 they jump at knots.
        mode: what is around the image: "reflect", "mirror", "nearest", "wrap", "grid-wrap", "grid-constant" or "constant".
            With "constant" derivatives by coordinates are 0 outside.
        cval: what is around with "constant".
        prefilter: whether to make the input coefficients of splines; False if it is.

    Raises:
        RuntimeError: another order or mode, or coordinates of another shape.

    >>> import tapenet as tn
    >>> c = tn.tensor([[0.5, 1.0]], requires_grad=True)
    >>> y = tn.scipy.ndimage.map_coordinates([0.0, 1.0, 4.0, 9.0], c, order=1)
    >>> y.sum().backward()
    >>> y.detach(), c.grad
    (Tensor([0.5, 1. ]), Tensor([[1., 3.]]))
    """
    return _sampled(input, [coordinates[i] for i in range(input.ndim)], order, mode, cval, prefilter, output)


def _affine(
    x: Array, matrix: Array, offset: Array | Sequence[float] | float, shape: Sequence[int], order: int, mode: str,
    cval: float, prefilter: bool, output: DTypeLike | None, ndim: int,
) -> Array:  # fmt: skip
    """The last axes of an image under an affine map of coordinates."""
    grid = _grid(shape)
    starts = numbers_for_each(offset, ndim)
    if matrix.ndim == 1:
        coordinates = [matrix[i] * grid[i] + starts[i] for i in range(ndim)]
    else:
        coordinates = [sum(matrix[i, j] * grid[j] for j in range(len(grid))) + starts[i] for i in range(ndim)]
    return _sampled(x, _together(coordinates), order, mode, cval, prefilter, output)


@followed(
    "ndimage.affine_transform", "input", "matrix", "offset",
    gradients="those of map_coordinates at matrix @ place + offset",
    samples=lambda r: [
        sample(r.normal(size=(4, 5)), np.array([[0.8, 0.1], [-0.2, 0.7]]), np.array([0.73, 0.26])),
        sample(r.normal(size=(4, 4)), np.array([0.63, 0.71]), 0.3, (3, 4), order=1, mode="mirror"),
        sample(r.normal(size=(4, 4)), np.array([[0.8, 0.1, 0.2], [0.1, 0.7, 0.4]]), mode="nearest"),
    ],
)  # fmt: skip
def affine_transform(
    input: Array, matrix: Array, offset: Array | Sequence[float] | float = 0.0, output_shape: Sequence[int] | None = None,
    output: DTypeLike | None = None, order: int = 3, mode: str = "constant", cval: float = 0.0, prefilter: bool = True,
) -> Array:  # fmt: skip
    """An image under an affine map: at a place o of the result is what the image has at matrix @ o + offset.

    Args:
        input: an array.
        matrix: d x d for d axes, d numbers (a diagonal), or d x (d + 1) or (d + 1) x (d + 1) with the offset last.
        offset: d numbers, or one for all axes.
        output_shape: the shape of the result, by default that of the input.
        output, order, mode, cval, prefilter: as for `map_coordinates`.

    Raises:
        RuntimeError: a matrix of another shape, or another order or mode.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.affine_transform(tn.tensor(np.arange(4.0)), [[0.5]], order=1)
    Tensor([0. , 0.5, 1. , 1.5])
    """
    matrix = array_like(matrix)
    ndim = input.ndim
    if matrix.ndim == 2 and matrix.shape[1] == ndim + 1 and matrix.shape[0] in (ndim, ndim + 1):
        offset, matrix = matrix[:ndim, ndim], matrix[:ndim, :ndim]
    shape = input.shape if output_shape is None else output_shape
    return _affine(input, matrix, offset, shape, order, mode, cval, prefilter, output, ndim)


@followed(
    "ndimage.shift", "input", "shift", gradients="those of map_coordinates at place - shift",
    samples=lambda r: [
        sample(r.normal(size=(4, 5)), np.array([0.3, -0.4])),
        sample(r.normal(size=5), 0.7, order=2, mode="reflect"),
    ],
)  # fmt: skip
def shift(
    input: Array, shift: Array | Sequence[float] | float, output: DTypeLike | None = None, order: int = 3,
    mode: str = "constant", cval: float = 0.0, prefilter: bool = True,
) -> Array:  # fmt: skip
    """An image moved along its axes. There are gradients by how far, too.

    Args:
        input: an array.
        shift: how far along each axis, or along all.
        output, order, mode, cval, prefilter: as for `map_coordinates`.

    Raises:
        RuntimeError: another number of shifts than axes, or another order or mode.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.shift(tn.tensor([0.0, 1.0, 4.0]), 0.5, order=1)
    Tensor([0. , 0.5, 2.5])
    """
    coordinates = _together(
        [c - d for c, d in zip(_grid(input.shape), numbers_for_each(shift, input.ndim), strict=True)]
    )
    return _sampled(input, coordinates, order, mode, cval, prefilter, output)


@followed(
    "ndimage.zoom", "input", gradients="that of map_coordinates",
    samples=lambda r: [
        sample(r.normal(size=(3, 4)), 1.5),
        sample(r.normal(size=(4, 3)), (0.5, 2), order=1, mode="grid-constant", grid_mode=True),
        sample(r.normal(size=6), 0.7, mode="nearest"),
    ],
)  # fmt: skip
def zoom(
    input: Array, zoom: float | Sequence[float], output: DTypeLike | None = None, order: int = 3, mode: str = "constant",
    cval: float = 0.0, prefilter: bool = True, *, grid_mode: bool = False,
) -> Array:  # fmt: skip
    """An image with other numbers of places: as many times more as `zoom` says, rounded.

    The result depends on `zoom` by these numbers alone: by it there is no derivative. `affine_transform` has one.

    Args:
        input: an array.
        zoom: a factor, or one for each axis.
        output, order, mode, cval, prefilter: as for `map_coordinates`.
        grid_mode: whether places are the middles of cells, whose edges stay, rather than points whose ends stay.

    Raises:
        RuntimeError: another number of factors than axes, or another order or mode.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.zoom(tn.tensor([0.0, 1.0, 2.0]), 5 / 3, order=1)
    Tensor([0. , 0.5, 1. , 1.5, 2. ])
    """
    factors = for_each(zoom, input.ndim)
    shape = [round(n * f) for n, f in zip(input.shape, factors, strict=True)]
    if prefilter and all(f == 1 for f in factors):
        return np.astype(input, input.dtype if output is None else output)
    if grid_mode:
        steps = [n / m for n, m in zip(input.shape, shape, strict=True)]
        coordinates = [(c + 0.5) * step - 0.5 for c, step in zip(_grid(shape), steps, strict=True)]
    else:
        steps = [(n - 1) / (m - 1) if m > 1 else 1.0 for n, m in zip(input.shape, shape, strict=True)]
        coordinates = [c * step for c, step in zip(_grid(shape), steps, strict=True)]
    return _sampled(input, _together(coordinates), order, mode, cval, prefilter, output)


@followed(
    "ndimage.rotate", "input", "angle", gradients="those of map_coordinates at the turned places",
    samples=lambda r: [
        sample(r.normal(size=(4, 4)), np.array(20.0), reshape=False),
        sample(r.normal(size=(3, 4)), 30.0),
        sample(r.normal(size=(2, 3, 4)), np.array(-15.0), (2, 1), reshape=False, order=1, mode="nearest"),
    ],
)  # fmt: skip
def rotate(
    input: Array, angle: Array | float, axes: tuple[int, int] = (1, 0), reshape: bool = True, output: DTypeLike | None = None,
    order: int = 3, mode: str = "constant", cval: float = 0.0, prefilter: bool = True,
) -> Array:  # fmt: skip
    """An image turned in a plane. There are gradients by the angle, too, if the shape does not depend on it.

    Args:
        input: an array with two axes or more.
        angle: in degrees.
        axes: the plane.
        reshape: whether the result holds the whole image; a number as angle is needed for that, else its shape is unknown.
        output, order, mode, cval, prefilter: as for `map_coordinates`.

    Raises:
        ValueError: axes that are no plane, or an array with fewer than two.
        RuntimeError: another order or mode.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.rotate(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), 90).round(9)
    Tensor([[2., 4.],
            [1., 3.]])
    """
    first, second = sorted(axis % input.ndim for axis in axes)
    x = np.moveaxis(input, (first, second), (-2, -1))
    sizes = x.shape[-2:]
    c, s = cosdg(angle), sindg(angle)
    shape = sizes
    if reshape:
        if not isinstance(angle, (int, float)):
            raise NotImplementedError(
                "rotate: with reshape=True the shape depends on the angle, by which there is then no derivative: give "
                "the angle as a number, or reshape=False"
            )
        corners = np.array([[c, s], [-s, c]]) @ [[0, 0, sizes[0], sizes[0]], [0, sizes[1], 0, sizes[1]]]
        shape = tuple(int(n) for n in np.ptp(corners, axis=1) + 0.5)
    rows, columns = _grid(shape)
    rows, columns = rows - (shape[0] - 1) / 2, columns - (shape[1] - 1) / 2
    turned = [c * rows + s * columns + (sizes[0] - 1) / 2, c * columns - s * rows + (sizes[1] - 1) / 2]
    found = _sampled(x, _together(turned), order, mode, cval, prefilter, output)
    return np.moveaxis(found, (-2, -1), (first, second))


@followed(
    "ndimage.geometric_transform", "input", gradients="that of map_coordinates",
    samples=lambda r: [sample(r.normal(size=(3, 4)), lambda place: (0.8 * place[0], place[1] - 0.3), mode="mirror")],
)  # fmt: skip
def geometric_transform(
    input: Array, mapping: Callable[..., Sequence[float]], output_shape: Sequence[int] | None = None,
    output: DTypeLike | None = None, order: int = 3, mode: str = "constant", cval: float = 0.0, prefilter: bool = True,
    extra_arguments: Sequence[object] = (), extra_keywords: Mapping[str, object] | None = None,
) -> Array:  # fmt: skip
    """An image at the coordinates that a function gives for each place of the result.

    There are gradients by the image. For such by the coordinates compute these with tensors, and call `map_coordinates`.

    Args:
        input: an array.
        mapping: from the coordinates of a place, a tuple of integers, to those in the image.
        output_shape: the shape of the result, by default that of the input.
        output, order, mode, cval, prefilter: as for `map_coordinates`.
        extra_arguments, extra_keywords: given to `mapping`.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.geometric_transform(tn.tensor([0.0, 1.0, 4.0]), lambda place: (place[0] / 2,), order=1)
    Tensor([0. , 0.5, 1. ])
    """
    shape = input.shape if output_shape is None else tuple(output_shape)
    places = [mapping(place, *extra_arguments, **(extra_keywords or {})) for place in np.ndindex(*shape)]
    coordinates = np.array(places, float).reshape(*shape, input.ndim)
    return _sampled(input, [coordinates[..., i] for i in range(input.ndim)], order, mode, cval, prefilter, output)
