"""Interpolation along one axis by the name of a method."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.scipy.followed import followed
from tapenet.scipy.interpolate.fitted_splines import make_interp_spline
from tapenet.scipy.interpolate.piecewise import piece
from tapenet.typing import Array

Kind = Literal["linear", "nearest", "nearest-up", "zero", "slinear", "quadratic", "cubic", "previous", "next"]
_DEGREES = {"zero": 0, "slinear": 1, "linear": 1, "quadratic": 2, "cubic": 3}


class interp1d:
    """Interpolation along an axis, as `scipy.interpolate.interp1d`, differentiable in values, in points and in places.

    Args:
        x: the points; they are sorted unless `assume_sorted`.
        y: the values.
        kind: "linear", "nearest", "previous", "next", "zero", "slinear", "quadratic", "cubic", or a degree.
        axis: the axis of `y` that belongs to `x`.
        copy: of no effect.
        bounds_error: raise for places beyond the points; by default, unless there is a `fill_value`.
        fill_value: the value beyond, a pair of values below and above, or "extrapolate".
        assume_sorted: the points are in order.

    Raises:
        ValueError: places beyond the points.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.interpolate.interp1d([0.0, 1.0, 2.0], [0.0, 10.0, 40.0], kind="quadratic")(1.5)
    Tensor(22.5)
    """

    def __init__(
        self,
        x: object,
        y: object,
        kind: Kind | int = "linear",
        axis: int = -1,
        copy: bool = True,
        bounds_error: bool | None = None,
        fill_value: object = np.nan,
        assume_sorted: bool = False,
    ) -> None:
        points, values = asarray(x), asarray(y)
        if points.ndim != 1 or values.shape[axis : axis + 1 or None] != points.shape:
            raise ValueError(
                f"interp1d: points of shape {points.shape}, and values of shape {values.shape} along axis {axis}"
            )
        self.axis = axis % values.ndim
        if not assume_sorted:
            order = ops.argsort(points)
            points, values = points[order], cast("Tensor", ops.take(values, order, self.axis))
        self.x, self.y, self.kind = points, values, kind
        extrapolates = isinstance(fill_value, str) and fill_value == "extrapolate"
        self.fill = None if extrapolates else fill_value
        self.bounds_error = (
            (not extrapolates and bool(np.ndim(cast("float", fill_value)) == 0 and fill_value != fill_value))
            if (bounds_error is None)
            else bounds_error
        )
        degree = kind if isinstance(kind, int) else _DEGREES.get(kind)
        self._spline = None if degree is None else make_interp_spline(points, values, degree, axis=self.axis)

    def __call__(self, x: object) -> Tensor:
        """Values at places of any shape."""
        at = asarray(x)
        found = self._spline(at) if self._spline is not None else self._step(at)
        if self.fill is None:
            return found
        low, high = self.x[0], self.x[-1]
        below, above = ops.less(at, low), ops.greater(at, high)
        if self.bounds_error:
            at = cast("Tensor", within(at, low.detach(), high.detach()))
        pair = self.fill if isinstance(self.fill, tuple) else (self.fill, self.fill)
        shape = (*(1,) * self.axis, *at.shape, *(1,) * (found.ndim - self.axis - at.ndim))
        for beyond, value in zip((below, above), pair, strict=True):
            found = cast("Tensor", ops.where(ops.reshape(beyond, shape), value, found))
        if self.bounds_error:
            found = found + 0 * ops.reshape(at, shape)  # so that a compiled function looks too
        return found

    def _step(self, at: Tensor) -> Tensor:
        """The value of one of the points beside each place."""
        last = self.x.size - 1
        x = self.x
        if self.kind in ("nearest", "nearest-up"):
            middle = (x[1:] + x[:-1]) / 2
            edges = middle if self.kind == "nearest-up" else ops.nextafter(middle.detach(), np.inf)
            places = piece(at, edges, -1, last - 1) + 1
        elif self.kind == "previous":
            places = piece(at, x, 0, last)
        elif self.kind == "next":
            places = piece(at, ops.nextafter(x.detach(), np.inf), -1, last - 1) + 1
        else:
            raise ValueError(
                f"interp1d: kind {self.kind!r} is none of {', '.join([*_DEGREES, 'nearest', 'previous', 'next'])}"
            )
        return cast("Tensor", ops.take(self.y, places, self.axis))


def _look(x: Array, low: Array, high: Array) -> Array:
    for beyond, what in ((x < low, "below"), (x > high, "above")):
        if np.any(beyond):
            raise ValueError(
                f"interp1d: {x[beyond].flat[0] if x.ndim else x} in x is {what} the points, from {low} to {high}"
            )
    return x


@followed(_look, "x", nondiff=("low", "high"))
def within(x: Array, low: Array, high: Array) -> Array:
    """Places, of which none lies beyond the points."""
    return x + 0
