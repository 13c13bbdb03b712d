"""Interpolation on a grid of any number of axes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Literal, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.scipy.followed import followed
from tapenet.scipy.interpolate.bsplines import basis
from tapenet.scipy.interpolate.cubic import pchip_coefficients
from tapenet.scipy.interpolate.fitted_splines import interpolating, knots_of
from tapenet.scipy.interpolate.piecewise import piece
from tapenet.typing import Array

Method = Literal["linear", "nearest", "slinear", "cubic", "quintic", "pchip"]
_DEGREES = {"slinear": 1, "cubic": 3, "quintic": 5}


def _cut(grids: Array, sizes: Sequence[int]) -> list[Array]:
    ends = np.cumsum(sizes)
    return [grids[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _scipys(
    xi: Array,
    values: Array,
    grids: Array,
    sizes: tuple[int, ...],
    method: Method,
    bounds_error: bool,
    fill_value: complex | None,
) -> Array:
    from scipy.interpolate import RegularGridInterpolator

    if method in _DEGREES:  # SciPy solves for the coefficients by iteration, to six digits
        linear = _scipys(xi, values, grids, sizes, "linear", bounds_error, fill_value)  # its errors
        k = _DEGREES[method]
        if min(sizes) <= k:
            raise ValueError(f"method {method} needs at least {k + 1} points along each axis, not {min(sizes)}")
        points = _cut(grids, sizes)
        found = _by_splines(list(xi.T), values, points, k)
        return found if fill_value is None else np.where(_inside(list(xi.T), points, found.ndim), found, linear)
    make = cast("Callable[..., Callable[[Array], Array]]", RegularGridInterpolator)
    return make(tuple(_cut(grids, sizes)), values, method, bounds_error, fill_value)(xi)


@followed(_scipys, "xi", "values", "grids", name="RegularGridInterpolator")
def grid_values(
    xi: Array,
    values: Array,
    grids: Array,
    sizes: tuple[int, ...],
    method: Method = "linear",
    bounds_error: bool = True,
    fill_value: complex | None = np.nan,
) -> Array:
    """Values between the points of a grid. `grids` has the points of all axes behind each other, `sizes` how many each has."""
    points = _cut(grids, sizes)
    shape = xi.shape[:-1]
    flat = np.reshape(xi, (-1, len(sizes)))
    x = [flat[:, d] for d in range(len(sizes))]
    if method in ("linear", "nearest"):
        found = _between(x, values, points, method == "nearest")
    elif method == "pchip":
        found = _by_pchip(x, values, points)
    else:
        found = _by_splines(x, values, points, _DEGREES[method])
    if fill_value is not None:
        found = np.where(_inside(x, points, found.ndim), found, fill_value)
    return np.reshape(found, (*shape, *found.shape[1:]))


def _inside(x: Sequence[Array], points: Sequence[Array], ndim: int) -> Array:
    """Which places are in the grid, beside values with so many axes."""
    inside: Array = x[0] == x[0]
    for a, p in zip(x, points, strict=True):
        inside = inside & (a >= p[0]) & (a <= p[-1])
    return np.reshape(inside, (-1, *(1,) * (ndim - 1)))


def _between(x: Sequence[Array], values: Array, points: Sequence[Array], nearest: bool) -> Array:
    """Of the corners around each place the nearest one, or their mean with weights that are products of linear ones."""
    places, parts = [], []
    for a, p in zip(x, points, strict=True):
        i = piece(a, p, 0, p.shape[0] - 2)
        places.append(i)
        parts.append((a - p[i]) / (p[i + 1] - p[i]))
    if nearest:
        return values[tuple(np.where(part <= 0.5, i, i + 1) for i, part in zip(places, parts, strict=True))]
    rest = (1,) * (values.ndim - len(x))
    total: Array = 0 * values[tuple(places)]
    for corner in itertools.product((0, 1), repeat=len(x)):
        weight = 0 * x[0] + 1
        for side, part in zip(corner, parts, strict=True):
            weight = weight * (part if side else 1 - part)
        total = (
            total + np.reshape(weight, (-1, *rest)) * values[tuple(i + s for i, s in zip(places, corner, strict=True))]
        )
    return total


def _by_splines(x: Sequence[Array], values: Array, points: Sequence[Array], k: int) -> Array:
    """Products of B-splines along the axes, which interpolate."""
    c = values
    none = np.zeros((0, 1))
    firsts, rows = [], []
    for d, (a, p) in enumerate(zip(x, points, strict=True)):
        t = knots_of(p, k, False)
        moved = np.moveaxis(c, d, 0)
        flat = np.reshape(moved, (moved.shape[0], -1))
        made = interpolating(p, flat, t, none, none, k, ((), ()))
        c = np.moveaxis(np.reshape(made, moved.shape), 0, d)
        i = piece(a, t, k, p.shape[0] - 1)
        firsts.append(i - k)
        rows.append(basis(a, t, k, i))
    rest = (1,) * (values.ndim - len(x))
    total: Array = 0 * c[tuple(firsts)]
    for corner in itertools.product(range(k + 1), repeat=len(x)):
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


def checked_grid(grid: Sequence[Tensor], values: Tensor, fill_value: complex | None) -> None:
    """Raise what SciPy's class raises for these arguments."""
    if capturing() is None and all(type(a) is Tensor for a in (*grid, values)):
        from scipy.interpolate import RegularGridInterpolator

        make = cast("Callable[..., object]", RegularGridInterpolator)
        make([p._data for p in grid], values._data, "linear", False, fill_value)


class RegularGridInterpolator:
    """Interpolation on a grid, as `scipy.interpolate.RegularGridInterpolator`, differentiable in the values, in the points of
    the grid, and in the places where it is evaluated.

    Args:
        points: the points along each axis, in ascending order.
        values: the values on the grid; further axes are values with several components.
        method: "linear", "nearest", "slinear", "cubic", "quintic" or "pchip".
        bounds_error: raise for places outside of the grid. A compiled function does not look: there they are `fill_value`.
        fill_value: the value outside; None to extrapolate.

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
        fill_value: complex | None = np.nan,
    ) -> None:
        self.grid = tuple(asarray(p) for p in points)
        self.values = asarray(values)
        if len(self.grid) == 1 or all(p.ndim == 1 for p in self.grid):
            checked_grid(self.grid, self.values, fill_value)
        self.method, self.bounds_error, self.fill_value = method, bounds_error, fill_value

    def __call__(self, xi: object, method: Method | None = None) -> Tensor:
        """Values at places, whose coordinates are along the last axis; or a tuple of their coordinates, which broadcast.

        Args:
            xi: the places.
            method: in place of the attribute.
        """
        if isinstance(xi, tuple):
            places = cast("Tensor", ops.stack(ops.broadcast_arrays(*(asarray(x) for x in xi)), -1))
        else:
            places = asarray(xi)
            if places.ndim < 2:  # one place, or many of one coordinate
                places = places.reshape(-1, len(self.grid)) if places.size % len(self.grid) == 0 else places
            if len(self.grid) == 1 and places.shape[-1] != 1:
                places = places[..., None]
        if places.shape[-1:] != (len(self.grid),):
            raise ValueError(
                f"RegularGridInterpolator: places of shape {places.shape}; along their last axis there are "
                f"{len(self.grid)} coordinates"
            )
        grids = ops.concatenate(self.grid)
        sizes = tuple(p.size for p in self.grid)
        chosen = self.method if method is None else method
        flat = places.reshape(-1, len(sizes))
        found = grid_values(flat, self.values, grids, sizes, chosen, self.bounds_error, self.fill_value)
        return cast("Tensor", found).reshape(*places.shape[:-1], *self.values.shape[len(sizes) :])


def interpn(
    points: Sequence[object],
    values: object,
    xi: object,
    method: Method = "linear",
    bounds_error: bool = True,
    fill_value: complex | None = np.nan,
) -> Tensor:
    """Values between the points of a grid, as `scipy.interpolate.interpn`: what `RegularGridInterpolator` gives at `xi`.

    >>> import tapenet as tn
    >>> tn.scipy.interpolate.interpn(([0.0, 1.0], [0.0, 1.0]), [[0.0, 1.0], [2.0, 5.0]], [0.5, 1.0])
    Tensor([3.])
    """
    return RegularGridInterpolator(points, values, method, bounds_error, fill_value)(xi)
