"""Interpolation on a grid of any number of axes."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import known
from tapenet.scipy.followed import followed
from tapenet.scipy.interpolate.bsplines import basis, slopes_of
from tapenet.scipy.interpolate.cubic import pchip_coefficients
from tapenet.scipy.interpolate.fitted_splines import interpolating, knots_of
from tapenet.scipy.interpolate.piecewise import piece
from tapenet.typing import Array

Method = Literal[
    "linear", "nearest", "slinear", "cubic", "quintic", "pchip", "slinear_legacy", "cubic_legacy", "quintic_legacy"
]  # fmt: skip
#: Of the methods by splines. Those named legacy are SciPy's older code for the same.
_DEGREES = {"slinear": 1, "cubic": 3, "quintic": 5, "slinear_legacy": 1, "cubic_legacy": 3, "quintic_legacy": 5}
#: How many points a method needs along each axis, if more than one.
_POINTS = {**{method: k + 1 for method, k in _DEGREES.items()}, "pchip": 4}


def _cut(grids: Array, sizes: Sequence[int]) -> list[Array]:
    ends = np.cumsum(sizes)
    return [grids[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _scipys(
    xi: Array,
    values: Array,
    grids: Array,
    fill: Array,
    sizes: tuple[int, ...],
    method: Method,
    nu: tuple[int, ...],
    bounds_error: bool,
    extrapolate: bool,
) -> Array:
    from scipy.interpolate import RegularGridInterpolator

    if method in _DEGREES:  # SciPy solves for the coefficients by iteration, to six digits
        linear = _scipys(xi, values, grids, fill, sizes, "linear", nu, bounds_error, extrapolate)  # its errors
        points = _cut(grids, sizes)
        found = _by_splines(list(xi.T), values, points, _DEGREES[method], nu)
        return found if extrapolate else np.where(_outside(list(xi.T), points, found.ndim), linear, found)
    make = cast("Callable[..., Callable[[Array], Array]]", RegularGridInterpolator)
    return make(tuple(_cut(grids, sizes)), values, method, bounds_error, None if extrapolate else fill)(xi)


@followed(_scipys, "xi", "values", "grids", "fill", name="RegularGridInterpolator")
def grid_values(
    xi: Array,
    values: Array,
    grids: Array,
    fill: Array,
    sizes: tuple[int, ...],
    method: Method = "linear",
    nu: tuple[int, ...] = (),
    bounds_error: bool = True,
    extrapolate: bool = False,
) -> Array:
    """Values between the points of a grid, or of derivatives of orders `nu`. `grids` has the points of all axes behind each
    other, `sizes` how many each has."""
    points = _cut(grids, sizes)
    x = [xi[:, d] for d in range(len(sizes))]
    if method in ("linear", "nearest"):
        found = _between(x, values, points, method == "nearest")
    elif method == "pchip":
        found = _by_pchip(x, values, points)
    else:
        found = _by_splines(x, values, points, _DEGREES[method], nu)
    return found if extrapolate else np.where(_outside(x, points, found.ndim), fill, found)


def _outside(x: Sequence[Array], points: Sequence[Array], ndim: int) -> Array:
    """Which places are not in the grid, beside values with so many axes. What is no number is not outside: it stays so."""
    outside: Array = x[0] < points[0][0]
    for a, p in zip(x, points, strict=True):
        outside = outside | (a < p[0]) | (a > p[-1])
    return np.reshape(outside, (-1, *(1,) * (ndim - 1)))


def _between(x: Sequence[Array], values: Array, points: Sequence[Array], nearest: bool) -> Array:
    """Of the corners around each place the nearest one, or their mean with weights that are products of linear ones. Along an
    axis of one point values are constant."""
    places, parts, sides = [], [], []
    for a, p in zip(x, points, strict=True):
        last = p.shape[0] - 1
        i = piece(a, p, 0, max(last - 1, 0))
        places.append(i)
        parts.append((a - p[i]) / (p[i + 1] - p[i]) if last else 0 * a)
        sides.append((0, 1) if last else (0,))
    rest = (1,) * (values.ndim - len(x))
    if nearest:
        found = values[tuple(np.where(part > 0.5, i + 1, i) for i, part in zip(places, parts, strict=True))]
        number = functools.reduce(np.logical_and, [part == part for part in parts])
        return np.where(np.reshape(number, (-1, *rest)), found, np.nan)
    total: Array = 0 * values[tuple(places)]
    for corner in itertools.product(*sides):
        weight = 0 * x[0] + 1
        for side, part in zip(corner, parts, strict=True):
            weight = weight * (part if side else 1 - part)
        total = (
            total + np.reshape(weight, (-1, *rest)) * values[tuple(i + s for i, s in zip(places, corner, strict=True))]
        )
    return total


def _by_splines(x: Sequence[Array], values: Array, points: Sequence[Array], k: int, nu: Sequence[int]) -> Array:
    """Products of B-splines along the axes, which interpolate, or their derivatives of orders `nu`."""
    c = values
    none = np.zeros((0, 1))
    firsts, rows = [], []
    for d, (a, p, order) in enumerate(zip(x, points, nu, strict=True)):
        t = knots_of(p, k, False)
        moved = np.moveaxis(c, d, 0)
        made = interpolating(p, np.reshape(moved, (moved.shape[0], -1)), t, none, none, k, ((), ()))
        for lower in range(min(order, k)):
            t, made = slopes_of(t, made, k - lower)
        degree = max(k - order, 0)
        c = np.moveaxis(np.reshape(made, (-1, *moved.shape[1:])), 0, d)
        i = piece(a, t, degree, t.shape[0] - degree - 2)
        firsts.append(i - degree)
        rows.append(basis(a, t, degree, i))
    rest = (1,) * (values.ndim - len(x))
    total: Array = 0 * c[tuple(firsts)]
    if max(nu) > k:
        return total
    for corner in itertools.product(*(range(len(row)) for row in rows)):
        weight = 0 * x[0] + 1
        for r, row in zip(corner, rows, strict=True):
            weight = weight * row[r]
        at = tuple(i + r for i, r in zip(firsts, corner, strict=True))
        total = total + np.reshape(weight, (-1, *rest)) * c[at]
    return total


def _by_pchip(x: Sequence[Array], values: Array, points: Sequence[Array]) -> Array:
    """Monotone cubics along the last axis of the grid, then through what they give along the one before, and so on."""
    count = x[0].shape[0]
    found = np.broadcast_to(values, (count, *values.shape))  # place by place
    for d in reversed(range(len(x))):
        a, p = x[d], points[d]
        c = pchip_coefficients(p, np.moveaxis(found, d + 1, 0))  # powers, pieces, places, ...
        i = piece(a, p, 0, p.shape[0] - 2)
        step = np.reshape(a - p[i], (-1, *(1,) * (c.ndim - 3)))
        here = [c[power][i, np.arange(count)] for power in range(4)]
        found = ((here[0] * step + here[1]) * step + here[2]) * step + here[3]
    return found


def _checked(
    grid: Sequence[Tensor],
    values: Tensor,
    method: Method,
    fill_value: object,
    solver: object,
    solver_args: Mapping[str, object] | None,
) -> None:
    """Raise what SciPy's class raises for these arguments. Without a solver no system is solved for that."""
    named = {"method": method if method not in _DEGREES or solver is not None or solver_args else "linear"}
    if capturing() is None and all(type(a) is Tensor for a in (*grid, values)):
        from scipy.interpolate import RegularGridInterpolator

        make = cast("Callable[..., object]", RegularGridInterpolator)
        fill = fill_value.detach().numpy() if isinstance(fill_value, Tensor) else fill_value
        given = {"solver": solver, "solver_args": None if solver_args is None else dict(solver_args)}
        make([p._data for p in grid], values._data, **named, bounds_error=False, fill_value=fill, **given)


def _enough(sizes: Sequence[int], method: Method) -> None:
    for axis, size in enumerate(sizes):
        if size < _POINTS.get(method, 1):
            raise ValueError(
                f"RegularGridInterpolator: there are {size} points in dimension {axis}, and method {method} requires at "
                f"least {_POINTS[method]}"
            )


class RegularGridInterpolator:
    """Interpolation on a grid, as `scipy.interpolate.RegularGridInterpolator`, differentiable in the values, in the points of
    the grid, in `fill_value`, and in the places where it is evaluated.

    Args:
        points: the points along each axis, in ascending or descending order. Along an axis of one point, which "linear" and
            "nearest" take, values are constant.
        values: the values on the grid; further axes are values with several components.
        method: "linear", "nearest", "slinear", "cubic", "quintic" or "pchip".
        bounds_error: raise for places outside of the grid. A compiled function does not look: there they are `fill_value`.
        fill_value: the value outside; None to extrapolate.
        solver, solver_args: for methods by splines, how SciPy is to find coefficients. Its errors are raised; the coefficients
            are those of a direct solution along one axis after another, which is exact.

    Attributes:
        grid: the points along each axis, in ascending order.
        values: the values there.
        method, bounds_error, fill_value: as given.

    Raises:
        ValueError: SciPy's, for points that are not in order, shapes that do not fit, and places outside.

    >>> import numpy as np, tapenet as tn
    >>> heights = tn.tensor([[0.0, 1.0], [2.0, 5.0]], requires_grad=True)
    >>> at = tn.scipy.interpolate.RegularGridInterpolator(([0.0, 1.0], [0.0, 1.0]), heights)
    >>> at([[0.5, 0.5]]).sum().backward()
    >>> heights.grad
    Tensor([[0.25, 0.25],
            [0.25, 0.25]])
    """

    def __init__(
        self,
        points: Sequence[object],
        values: object,
        method: Method = "linear",
        bounds_error: bool = True,
        fill_value: object = np.nan,
        *,
        solver: Callable[..., object] | None = None,
        solver_args: Mapping[str, object] | None = None,
    ) -> None:
        grid, held = [asarray(p) for p in points], asarray(values)
        if held.dtype.kind not in "fc":
            held = held.astype(np.float64)
        _enough([p.size for p in grid], method)
        _checked(grid, held, method, fill_value, solver, solver_args)
        for axis, p in enumerate(grid):
            numbers = known(p)
            if numbers is None or numbers[0] > numbers[-1]:
                order = ops.argsort(p)
                grid[axis], held = p[order], cast("Tensor", ops.take(held, order, axis))
        self.grid, self.values = tuple(grid), held
        self.method, self.bounds_error, self.fill_value = method, bounds_error, fill_value

    def __call__(self, xi: object, method: Method | None = None, *, nu: Sequence[int] | None = None) -> Tensor:
        """Values at places, whose coordinates are along the last axis; or a tuple of their coordinates, which broadcast.

        Args:
            xi: the places.
            method: in place of the attribute.
            nu: with "slinear", "cubic" or "quintic" the orders of a derivative, one for each axis.
        """
        sizes, chosen = tuple(p.size for p in self.grid), self.method if method is None else method
        if chosen not in ("linear", "nearest", *_POINTS):
            raise ValueError(
                f"RegularGridInterpolator: method {chosen!r} is none of linear, nearest, {', '.join(_POINTS)}"
            )
        _enough(sizes, chosen)
        orders = (0,) * len(sizes) if nu is None else tuple(map(operator.index, np.atleast_1d(nu)))
        if nu is not None and chosen not in ("slinear", "cubic", "quintic"):
            raise ValueError(f"RegularGridInterpolator: nu= goes with slinear, cubic and quintic, not with {chosen!r}")
        if len(orders) != len(sizes) or min(orders) < 0:
            raise ValueError(
                f"RegularGridInterpolator: nu={nu!r}; it has an order of 0 or more for each of {len(sizes)} axes"
            )
        if isinstance(xi, tuple):
            places = cast("Tensor", ops.stack(ops.broadcast_arrays(*(asarray(x) for x in xi)), -1))
        else:
            places = asarray(xi)
            if places.ndim < 2 and places.size % len(sizes) == 0:  # one place, or many of one coordinate
                places = places.reshape(-1, len(sizes))
        if places.shape[-1:] != (len(sizes),):
            raise ValueError(
                f"RegularGridInterpolator: xi has shape {places.shape}: The requested sample points xi have dimension "
                f"{places.shape[-1] if places.ndim else 0}, but this RegularGridInterpolator has dimension {len(sizes)}"
            )
        extrapolate = self.fill_value is None
        found = grid_values(
            places.reshape(-1, len(sizes)), self.values, ops.concatenate(self.grid),
            asarray(np.nan if extrapolate else self.fill_value), sizes, chosen, orders, self.bounds_error, extrapolate,
        )  # fmt: skip
        return cast("Tensor", found).reshape(*places.shape[:-1], *self.values.shape[len(sizes) :])


def interpn(
    points: Sequence[object],
    values: object,
    xi: object,
    method: Method | Literal["splinef2d"] = "linear",
    bounds_error: bool = True,
    fill_value: object = np.nan,
) -> Tensor:
    """Values between the points of a grid, as `scipy.interpolate.interpn`: what `RegularGridInterpolator` gives at `xi`. The
    method "splinef2d", for real values on two axes, is "cubic" without extrapolation.

    >>> import tapenet as tn
    >>> tn.scipy.interpolate.interpn(([0.0, 1.0], [0.0, 1.0]), [[0.0, 1.0], [2.0, 5.0]], [0.5, 1.0])
    Tensor([3.])
    """
    if method == "splinef2d":
        held = asarray(values)
        if held.ndim != 2 or len(points) != 2 or held.dtype.kind == "c":
            raise ValueError(
                f"interpn: method splinef2d takes real values on two axes, not {held.dtype} of shape {held.shape} on "
                f"{len(points)}: take 'cubic'"
            )
        if not bounds_error and fill_value is None:
            raise ValueError("interpn: method splinef2d does not extrapolate: give fill_value=, or take 'cubic'")
        method = "cubic"
    return RegularGridInterpolator(points, values, method, bounds_error, fill_value)(xi)
