"""B-splines through points, and those that are fitted to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.indexing.items import scatter_add
from tapenet.scipy.followed import followed
from tapenet.scipy.interpolate.bsplines import BSpline, basis, slopes_of
from tapenet.scipy.interpolate.piecewise import Extrapolate, checked, coefficients, piece
from tapenet.scipy.linalg import solve_banded
from tapenet.typing import Array

Orders = tuple[int, ...]


def _scipys_coefficients(
    x: Array, y: Array, t: Array, left: Array, right: Array, k: int, orders: tuple[Orders, Orders]
) -> Array:
    ends = [list(zip(o, v, strict=True)) or None for o, v in zip(orders, (left, right), strict=True)]
    return coefficients("make_interp_spline", x, y, k, t, tuple(ends))


@followed(_scipys_coefficients, "x", "y", "t", "left", "right", name="make_interp_spline")
def interpolating(
    x: Array, y: Array, t: Array, left: Array, right: Array, k: int, orders: tuple[Orders, Orders]
) -> Array:
    """The coefficients of the B-spline that has these values, and derivatives of these orders at the ends: a banded system."""
    n = t.shape[0] - k - 1
    i = piece(x, t, k, n - 1)
    entries = np.stack(basis(x, t, k, i), axis=1)
    first = i - k
    for side, order in enumerate(orders):
        for d in order if side else reversed(order):
            row = _end_row(x, t, k, d, side)[None]
            column = np.full(1, side * (n - k - 1))
            entries = np.concatenate([entries, row] if side else [row, entries])
            first = np.concatenate([first, column] if side else [column, first])
    shape = (n, *y.shape[1:])
    sides = np.concatenate(
        [
            np.broadcast_to(left, (len(orders[0]), *y.shape[1:])),
            y,
            np.broadcast_to(right, (len(orders[1]), *y.shape[1:])),
        ]
    )
    columns = first[:, None] + np.arange(k + 1)
    bands = scatter_add(entries, (k + np.arange(n)[:, None] - columns, columns), (2 * k + 1, n))
    return np.reshape(solve_banded((k, k), bands, np.reshape(sides, (n, -1))), shape)


def _end_row(x: Array, t: Array, k: int, order: int, side: int) -> Array:
    """The derivatives of the first (last) k + 1 B-splines at the first (last) point."""
    n = t.shape[0] - k - 1
    c: Array = np.eye(n) + 0 * t[0]
    at = x[-1:] if side else x[:1]
    for d in range(order):
        t, c = slopes_of(t, c, k - d)
    degree = k - order
    i = piece(at, t, degree, t.shape[0] - degree - 2)
    whole = sum(value[:, None] * c[i - degree + r] for r, value in enumerate(basis(at, t, degree, i)))
    row: Array = cast("Array", whole)[0]
    return row[n - k - 1 :] if side else row[: k + 1]


def _scipys_periodic(x: Array, y: Array, t: Array, k: int) -> Array:
    return coefficients("make_interp_spline", x, y, k, bc_type="periodic")


@followed(_scipys_periodic, "x", "y", "t", name="make_interp_spline")
def periodic(x: Array, y: Array, t: Array, k: int) -> Array:
    """The coefficients of the periodic B-spline with these values: a system for one of each pair that agree."""
    m = x.shape[0] - 1
    n = m + k
    i = piece(x[:m], t, k, n - 1)
    entries = np.stack(basis(x[:m], t, k, i), axis=1)
    columns = (i[:, None] - k + np.arange(k + 1)) % m
    matrix = scatter_add(entries, (np.arange(m)[:, None] + 0 * columns, columns), (m, m))
    c = np.linalg.solve(matrix, np.reshape(y[:m], (m, -1)))
    return np.reshape(c[np.arange(n) % m], (n, *y.shape[1:]))


def knots_of(x: Array, k: int, conditions: bool) -> Array:
    """SciPy's knots: the points themselves where there are conditions at the ends; else without some near the ends, which are
    no knots, and for even degrees the means of points."""
    if conditions:
        return cast("Array", ops.concatenate([*[x[:1]] * k, x, *[x[-1:]] * k]))
    inner = x if k % 2 else (x[1:] + x[:-1]) / 2
    m = (k + 1) // 2
    return cast("Array", ops.concatenate([*[x[:1]] * (k + 1), inner[m:-m], *[x[-1:]] * (k + 1)]))


def _periodic_knots(x: Array, k: int) -> Array:
    """The points (for even degrees the means of neighbours, but for the ends), which go on around the period."""
    if k % 2 == 0:
        x = ops.concatenate([x[:1], (x[1:-1] + x[:-2]) / 2, x[-1:]])
    m = x.shape[0] - 1
    period = x[-1:] - x[:1]
    places = np.arange(-k, m + 1 + k)
    return cast("Array", x[places % m] + period * (places // m))


def _conditions(bc_type: object) -> list[list[tuple[int, object]]]:
    """Derivatives at both ends, as pairs (order, value)."""
    pair = (bc_type, bc_type) if bc_type is None or isinstance(bc_type, str) else bc_type
    named: dict[object, list[tuple[int, object]]] = {
        None: [], "not-a-knot": [], "clamped": [(1, 0.0)], "natural": [(2, 0.0)],
    }  # fmt: skip
    wrong = ValueError(
        "make_interp_spline: bc_type is None, not-a-knot, clamped, natural, periodic, or a pair of such, or of lists of "
        f"(order, value), not {bc_type!r}"
    )
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise wrong
    found = []
    for one in pair:
        if one is None or (isinstance(one, str) and one in named):
            found.append(named[one])
        elif isinstance(one, (list, tuple)) and all(isinstance(each, (list, tuple)) and len(each) == 2 for each in one):
            found.append(list(one))
        else:
            raise wrong
    return found


def make_interp_spline(
    x: object, y: object, k: int = 3, t: object = None, bc_type: object = None, axis: int = 0, check_finite: bool = True
) -> BSpline:
    """The B-spline of degree k through points, as `scipy.interpolate.make_interp_spline`, differentiable in values, in points,
    in knots and in conditions.

    Args:
        x: the points, in order.
        y: the values.
        k: the degree.
        t: the knots; by default SciPy's choice, by the points.
        bc_type: None or "not-a-knot", "clamped", "natural", "periodic", or a pair of lists of (order, value): derivatives at
            the first and the last point.
        axis: the axis of `y` that belongs to `x`.
        check_finite: of no effect: what is not finite is an error of SciPy's.

    Raises:
        ValueError: SciPy's, for points that are not in order and numbers that do not fit.

    >>> import numpy as np, tapenet as tn
    >>> y = tn.tensor([0.0, 1.0, 4.0, 9.0, 16.0], requires_grad=True)
    >>> spline = tn.scipy.interpolate.make_interp_spline(np.arange(5.0), y)
    >>> spline(2.5).backward()
    >>> y.grad.round(4)
    Tensor([ 0.0156, -0.125 ,  0.6562,  0.5   , -0.0469])
    """
    points, values = asarray(x), asarray(y)
    axis %= values.ndim
    moved = cast("Tensor", ops.moveaxis(values, axis, 0))
    around: Extrapolate = True
    if bc_type == "periodic":
        if t is not None:
            raise NotImplementedError("make_interp_spline: a periodic spline has its own knots: leave t out")
        around = "periodic"
        knots = asarray(_periodic_knots(cast("Array", points), k))
        c = periodic(points, moved, knots, k)
    elif k == 0 and t is None:
        checked("make_interp_spline", points, moved, 0)
        knots, c = asarray(ops.concatenate([points, points[-1:]])), moved
    else:
        ends = _conditions(bc_type)
        if t is not None:
            knots = asarray(t)
        elif k == 1:
            knots = asarray(ops.concatenate([points[:1], points, points[-1:]]))
        else:
            knots = asarray(knots_of(cast("Array", points), k, any(ends)))
        given = [_stacked([value for _, value in end], moved.shape[1:]) for end in ends]
        orders = tuple(tuple(int(order) for order, _ in end) for end in ends)
        c = interpolating(points, moved, knots, *given, k, orders)
    return BSpline.of(knots, cast("Tensor", c), k, around, axis)


def _stacked(values: Sequence[object], shape: tuple[int, ...]) -> object:
    if not values:
        return np.zeros((0, *shape))
    return ops.stack([ops.broadcast_to(asarray(v), shape) for v in values])


def _scipys_fit(x: Array, y: Array, t: Array, w: Array, k: int, method: str) -> Array:
    return coefficients("make_lsq_spline", x, y, t, k, w)


@followed(_scipys_fit, "x", "y", "t", "w", name="make_lsq_spline")
def fitting(x: Array, y: Array, t: Array, w: Array, k: int, method: str = "qr") -> Array:
    """The coefficients of the B-spline with the least Σ w² (y - s(x))², by the normal equations, which are banded."""
    n = t.shape[0] - k - 1
    i = piece(x, t, k, n - 1)
    rows = [w * value for value in basis(x, t, k, i)]
    bands, right = np.zeros((2 * k + 1, n)), np.zeros((n, int(np.prod(y.shape[1:]))))
    weighted = w[:, None] * np.reshape(y, (x.shape[0], -1))
    for r, row in enumerate(rows):
        right = right + scatter_add(row[:, None] * weighted, (i - k + r,), right.shape)
        for s, other in enumerate(rows):
            places = (np.full(x.shape[0], k + r - s), i - k + s)
            bands = bands + scatter_add(row * other, places, bands.shape)
    return np.reshape(solve_banded((k, k), bands, right), (n, *y.shape[1:]))


def make_lsq_spline(
    x: object,
    y: object,
    t: object,
    k: int = 3,
    w: object = None,
    axis: int = 0,
    check_finite: bool = True,
    *,
    method: str = "qr",
) -> BSpline:
    """The B-spline with these knots that fits points best, as `scipy.interpolate.make_lsq_spline`.

    Args:
        x: the points, in order.
        y: the values.
        t: the knots.
        k: the degree.
        w: weights of the points; by default 1.
        axis: the axis of `y` that belongs to `x`.
        check_finite: of no effect.
        method: how SciPy finds the values, "qr" or "norm-eq".

    >>> import numpy as np, tapenet as tn
    >>> x = np.linspace(0, 1, 9)
    >>> spline = tn.scipy.interpolate.make_lsq_spline(x, x**2, np.array([0.0, 0, 0, 0, 1, 1, 1, 1]))
    >>> spline(0.3).round(9)
    Tensor(0.09)
    """
    points, values, knots = asarray(x), asarray(y), asarray(t)
    axis %= values.ndim
    moved = cast("Tensor", ops.moveaxis(values, axis, 0))
    weights = np.ones(points.size) if w is None else asarray(w)
    return BSpline.of(knots, cast("Tensor", fitting(points, moved, knots, weights, k, method)), k, True, axis)
