"""Interpolation between points that lie anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.scipy.followed import followed
from tapenet.scipy.interpolate.piecewise import checked
from tapenet.typing import Array

Kernel = Literal[
    "linear",
    "thin_plate_spline",
    "cubic",
    "quintic",
    "multiquadric",
    "inverse_multiquadric",
    "inverse_quadratic",
    "gaussian",
]


def _root(square: Array) -> Array:
    """A distance; where it is 0 its derivative is taken as 0."""
    there = square > 0
    found: Array = np.where(there, np.sqrt(np.where(there, square, 1.0)), 0.0)
    return found


def _thin_plate(square: Array) -> Array:
    there = square > 0
    found: Array = np.where(there, square * np.log(np.where(there, square, 1.0)) / 2, 0.0)
    return found


#: Of the square of a distance.
_KERNELS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda s: -_root(s),
    "thin_plate_spline": _thin_plate,
    "cubic": lambda s: s * _root(s),
    "quintic": lambda s: -s * s * _root(s),
    "multiquadric": lambda s: -np.sqrt(s + 1),
    "inverse_multiquadric": lambda s: 1 / np.sqrt(s + 1),
    "inverse_quadratic": lambda s: 1 / (s + 1),
    "gaussian": lambda s: np.exp(-s),
}
#: The degree of the polynomial that a kernel is added to, where it is not 0.
_DEGREES = {"thin_plate_spline": 1, "cubic": 1, "quintic": 2}


@op(nondiff=("x", "y"), opaque="a tree of points is searched")
def neighbours(x: Array, y: Array, count: int) -> Array:
    """Which points of y are nearest to each x, in ascending order of their numbers."""
    from scipy.spatial import KDTree

    _, found = KDTree(y).query(x, count)
    return np.sort(np.reshape(found, (x.shape[0], count)), axis=1)


def _squares(a: Array, b: Array) -> Array:
    """The squares of the distances of points."""
    found: Array = np.sum((a[..., :, None, :] - b[..., None, :, :]) ** 2, axis=-1)
    return found


def _monomials(x: Array, degree: int) -> Array:
    """Products of coordinates up to a degree, along a last axis."""
    columns: list[Array] = []
    for power in range(degree + 1):
        for which in itertools.combinations_with_replacement(range(x.shape[-1]), power):
            column = 0 * x[..., 0] + 1
            for axis in which:
                column = column * x[..., axis]
            columns.append(column)
    return np.stack(columns, -1)


def _scipys(
    x: Array,
    y: Array,
    d: Array,
    smoothing: Array,
    epsilon: Array,
    kernel: Kernel,
    degree: int | None,
    count: int | None,
) -> Array:
    from scipy.interpolate import RBFInterpolator

    make = cast("Callable[..., Callable[[Array], Array]]", RBFInterpolator)
    several = smoothing if smoothing.ndim else float(smoothing)
    return make(y, d, count, several, kernel, float(epsilon), degree)(x)


@followed(_scipys, "x", "y", "d", "smoothing", "epsilon", name="RBFInterpolator")
def radial_values(
    x: Array,
    y: Array,
    d: Array,
    smoothing: Array,
    epsilon: Array,
    kernel: Kernel = "thin_plate_spline",
    degree: int | None = None,
    count: int | None = None,
) -> Array:
    """Sums of a kernel of the distances and a polynomial, whose coefficients solve [[K + λ, P], [Pᵀ, 0]] [a, b] = [d, 0]."""
    least = _DEGREES.get(kernel, 0) if degree is None else degree
    values = np.reshape(d, (d.shape[0], -1))
    smooth = smoothing + 0 * y[:, 0]
    if count is None or count >= y.shape[0]:
        found = _solved(x[None], y[None], values[None], smooth[None], epsilon, kernel, least)[0]
    else:
        near = neighbours(x, y, count)
        found = _solved(x[:, None], y[near], values[near], smooth[near], epsilon, kernel, least)[:, 0]
    return np.reshape(found, (x.shape[0], *d.shape[1:]))


def _solved(x: Array, y: Array, d: Array, smoothing: Array, epsilon: Array, kernel: Kernel, degree: int) -> Array:
    """Values at x, for each of several sets of points."""
    phi = _KERNELS[kernel]
    points = y.shape[-2]
    matrix = phi(epsilon**2 * _squares(y, y)) + smoothing[..., None] * np.eye(points)
    rows = phi(epsilon**2 * _squares(x, y))
    right = d
    if degree >= 0:
        middle = np.mean(y, axis=-2, keepdims=True)  # any would do: polynomials of the degree are the same
        left, at = _monomials(y - middle, degree), _monomials(x - middle, degree)
        extra = left.shape[-1]
        corner = np.zeros((*y.shape[:-2], extra, extra))
        across = np.swapaxes(left, -1, -2)
        matrix = np.concatenate([np.concatenate([matrix, left], -1), np.concatenate([across, corner], -1)], -2)
        right = np.concatenate([d, np.zeros((*y.shape[:-2], extra, d.shape[-1]))], -2)
        rows = np.concatenate([rows, at], -1)
    found: Array = rows @ np.linalg.solve(matrix, right)
    return found


class RBFInterpolator:
    """Interpolation by radial basis functions, as `scipy.interpolate.RBFInterpolator`, differentiable in the values, in the
    points, in smoothing and epsilon, and in the places where it is evaluated.

    Args:
        y: the points, of shape (points, coordinates).
        d: the values at them.
        neighbors: use so many of the nearest points at each place; by default all, for which one dense system is solved.
        smoothing: 0 to interpolate; a number, or one for each point.
        kernel: a function of the distance.
        epsilon: the factor of the distances; it may be left out for kernels that it makes no difference to.
        degree: of the polynomial that is added; by default what the kernel needs, at least 0; -1 for none.

    Raises:
        ValueError: SciPy's, for numbers that do not fit.

    >>> import numpy as np, tapenet as tn
    >>> points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> values = tn.tensor([0.0, 1.0, 1.0, 2.0], requires_grad=True)
    >>> tn.scipy.interpolate.RBFInterpolator(points, values)(np.array([[0.5, 0.25]])).detach()
    Tensor([0.75])
    """

    def __init__(
        self,
        y: object,
        d: object,
        neighbors: int | None = None,
        smoothing: object = 0.0,
        kernel: Kernel = "thin_plate_spline",
        epsilon: object = None,
        degree: int | None = None,
    ) -> None:
        self.y, self.d = asarray(y), asarray(d)
        self.smoothing = asarray(smoothing)
        self.epsilon = asarray(1.0 if epsilon is None else epsilon)
        count = (
            len(self.y) if neighbors is None and self.y.ndim else neighbors
        )  # with some given SciPy solves nothing yet
        smooth = self.smoothing if self.smoothing.ndim else 0.0
        checked("RBFInterpolator", self.y, self.d, count, smooth, kernel, None if epsilon is None else 1.0, degree)
        self.neighbors, self.kernel, self.degree = neighbors, kernel, degree

    def __call__(self, x: object) -> Tensor:
        """Values at places, of shape (places, coordinates)."""
        at = asarray(x)
        if at.ndim != 2 or at.shape[1] != self.y.shape[1]:
            what = f"Expected the second axis of `x` to have length {self.y.shape[1]}"
            raise ValueError(
                f"RBFInterpolator: x has shape {at.shape}: {what if at.ndim == 2 else '`x` must be a 2-dimensional array.'}"
            )
        found = radial_values(
            at, self.y, self.d, self.smoothing, self.epsilon, self.kernel, self.degree, self.neighbors
        )
        return cast("Tensor", found)


@op(nondiff=("x", "points"), outputs=2, nondiff_outputs=(0, 1), opaque="the points are triangulated")
def corners(x: Array, points: Array) -> tuple[Array, Array]:
    """The numbers of the corners of the simplex of Delaunay's that holds each place, and whether there is one."""
    from scipy.spatial import Delaunay

    net = Delaunay(points)
    which = net.find_simplex(x)
    return net.simplices[which].astype(np.intp), which >= 0


def _scipys_linear(x: Array, points: Array, values: Array, fill_value: float) -> Array:
    from scipy.interpolate import LinearNDInterpolator

    return np.asarray(LinearNDInterpolator(points, values, fill_value)(x))


@followed(_scipys_linear, "x", "points", "values", name="LinearNDInterpolator")
def triangulated_values(x: Array, points: Array, values: Array, fill_value: float = np.nan) -> Array:
    """The linear function on the simplex that holds each place."""
    at, inside = corners(x, points)
    around = points[at]
    sides = around[:, 1:] - around[:, :1]
    weights = np.linalg.solve(np.swapaxes(sides, -1, -2), (x - around[:, 0])[..., None])[..., 0]
    ends = values[at]
    rest = (1,) * (values.ndim - 1)
    rises = ends[:, 1:] - ends[:, :1]
    found = ends[:, 0] + np.sum(np.reshape(weights, (*weights.shape, *rest)) * rises, axis=1)
    return cast("Array", np.where(np.reshape(inside, (-1, *rest)), found, fill_value))


class LinearNDInterpolator:
    """Linear interpolation on Delaunay's triangulation, as `scipy.interpolate.LinearNDInterpolator`, differentiable in values,
    points and places, as long as the triangulation stays what it is.

    Args:
        points: of shape (points, coordinates).
        values: at the points.
        fill_value: outside of their convex hull.

    >>> import numpy as np, tapenet as tn
    >>> corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> plane = tn.scipy.interpolate.LinearNDInterpolator(corners, np.array([0.0, 1.0, 2.0]))
    >>> plane(np.array([[0.25, 0.25]]))
    Tensor([0.75])
    """

    def __init__(self, points: object, values: object, fill_value: float = np.nan) -> None:
        self.points, self.values, self.fill_value = asarray(points), asarray(values), fill_value

    def __call__(self, *xi: object) -> Tensor:
        """Values at places, whose coordinates are along the last axis, or given one by one."""
        places = asarray(xi[0]) if len(xi) == 1 else ops.stack(ops.broadcast_arrays(*map(asarray, xi)), -1)
        flat = ops.reshape(places, (-1, self.points.shape[1]))
        found = triangulated_values(flat, self.points, self.values, self.fill_value)
        return cast("Tensor", ops.reshape(found, (*places.shape[:-1], *self.values.shape[1:])))
