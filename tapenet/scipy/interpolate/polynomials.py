"""Polynomials through points."""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import known
from tapenet.scipy.followed import followed, scipys
from tapenet.typing import Array


def _scipys(x: Array, xi: Array, y: Array) -> Array:
    draws = np.random.default_rng(0)  # it takes the points in an order by chance
    return np.asarray(scipys("interpolate.BarycentricInterpolator")(xi, y, rng=draws)(x))  # type: ignore[operator]


@followed(_scipys, "x", "xi", "y", name="BarycentricInterpolator")
def lagrange_values(x: Array, xi: Array, y: Array) -> Array:
    """Σ y[j] Π (x - xi[k]) / (xi[j] - xi[k]), the product over all k but j."""
    n = xi.shape[0]
    same = np.eye(n, dtype=bool)
    ratios = (x[..., None, None] - xi) / (xi[:, None] - xi + np.eye(n))
    weights = np.prod(np.where(same, 1.0, ratios), axis=-1)
    found = np.reshape(weights, (-1, n)) @ np.reshape(y, (n, -1))
    return np.reshape(found, (*x.shape, *y.shape[1:]))


def _slopes(xi: Tensor) -> Tensor:
    """The matrix that makes the derivatives at the points of the values at them: Berrut and Trefethen, Barycentric Lagrange
    Interpolation (2004), section 9.3."""
    n = xi.size
    same = np.eye(n)
    apart = xi[:, None] - xi + same
    scale = 4 / ops.stop_gradient(ops.max(xi) - ops.min(xi))  # else products of many differences are too large or small
    weights = 1 / ops.prod(ops.where(same > 0, 1.0, apart * scale), axis=-1)
    beside = ops.where(same > 0, 0.0, weights / weights[:, None] / apart)
    return cast("Tensor", beside - same * ops.sum(beside, axis=1)[:, None])


class _Through:
    """A polynomial through points, whose values are along an axis."""

    def __init__(self, xi: object, yi: object, axis: int) -> None:
        self.xi, values = asarray(xi), asarray(yi)
        #: The points, unless a compiled program computes them.
        self._known = known(xi) if isinstance(xi, Tensor) else np.asarray(xi)
        if self.xi.ndim != 1 or values.shape[axis : axis + 1 or None] != self.xi.shape:
            raise ValueError(
                f"{type(self).__name__}: points of shape {self.xi.shape} and values of shape {values.shape}: one value a "
                f"point along axis {axis}"
            )
        self._axis = axis % values.ndim
        self.yi = cast("Tensor", ops.moveaxis(values, self._axis, 0))

    def _placed(self, found: Tensor, ndim: int, before: int = 0) -> Tensor:
        """With the axes of places where the axis of points was, behind so many others."""
        places = range(before, before + ndim)
        return cast("Tensor", ops.moveaxis(found, tuple(places), tuple(self._axis + p for p in places)))

    def _orders(self, at: Tensor, count: int) -> list[Tensor]:
        raise NotImplementedError

    def __call__(self, x: object) -> Tensor:
        """Values at places of any shape."""
        at = asarray(x)
        return self._placed(self._orders(at, 1)[0], at.ndim)

    def derivatives(self, x: object, der: int | None = None) -> Tensor:
        """The value and the derivatives up to order der - 1 (by default as many as there are points), along a first axis."""
        at = asarray(x)
        found = self._orders(at, self.xi.size if der is None else der)
        return self._placed(cast("Tensor", ops.stack(found)), at.ndim, 1)

    def derivative(self, x: object, der: int = 1) -> Tensor:
        """The derivative of order `der`."""
        at = asarray(x)
        return self._placed(self._orders(at, der + 1)[der], at.ndim)


class BarycentricInterpolator(_Through):
    """The polynomial through points, as `scipy.interpolate.BarycentricInterpolator`, differentiable in values, points and
    places.

    Args:
        xi: the points, all different.
        yi: the values.
        axis: the axis of `yi` that belongs to `xi`.
        wi, rng: of no effect: weights follow from the points, which are taken in the same order each time.

    >>> import numpy as np, tapenet as tn
    >>> square = tn.scipy.interpolate.BarycentricInterpolator(np.array([0.0, 1.0, 3.0]), tn.tensor([0.0, 1.0, 9.0]))
    >>> square(2.0).round(9), square.derivative(2.0).round(9)
    (Tensor(4.), Tensor(4.))
    """

    def __init__(self, xi: object, yi: object, axis: int = 0, *, wi: object = None, rng: object = None) -> None:
        super().__init__(xi, yi, axis)
        points = self._known
        if points is not None and np.unique(points).size < points.size:
            raise ValueError("BarycentricInterpolator: two of the points are the same; KroghInterpolator takes these")

    def _orders(self, at: Tensor, count: int) -> list[Tensor]:
        values, made = self.yi, []
        for order in range(count):
            if order:
                flat = ops.reshape(values, (self.xi.size, -1))
                values = cast("Tensor", ops.reshape(_slopes(self.xi) @ flat, values.shape))
            made.append(cast("Tensor", lagrange_values(at, self.xi, values)))
        return made


class KroghInterpolator(_Through):
    """The polynomial with given values and derivatives at points, as `scipy.interpolate.KroghInterpolator`, differentiable in
    these, in the points and in places.

    Args:
        xi: the points. Where one stands several times in a row, its values are the value and derivatives of rising order.
        yi: the values.
        axis: the axis of `yi` that belongs to `xi`.

    >>> import numpy as np, tapenet as tn
    >>> cubic = tn.scipy.interpolate.KroghInterpolator([0.0, 0.0, 1.0, 1.0], tn.tensor([0.0, 0.0, 1.0, 3.0]))
    >>> cubic(2.0), cubic.derivative(2.0)
    (Tensor(8.), Tensor(12.))
    """

    def __init__(self, xi: object, yi: object, axis: int = 0) -> None:
        super().__init__(xi, yi, axis)
        points = self._known  # where a program computes them they are taken to be different
        table: list[Tensor] = []
        c = [self.yi[0]]
        for k in range(1, self.xi.size):
            again = 0
            while points is not None and again < k and points[k - again - 1] == points[k]:
                again += 1
            parts = [self.yi[k] / math.factorial(again)]
            for i in range(k - again):
                apart = self.xi[i] - self.xi[k]
                parts.append(((table[i + 1] if again else c[i]) - parts[i]) / apart)
            table = parts
            c.append(parts[-1])
        self.c = cast("Tensor", ops.stack(c))

    def _orders(self, at: Tensor, count: int) -> list[Tensor]:
        rest = (1,) * (self.yi.ndim - 1)
        found: list[Tensor] = [self.c[0] * ops.reshape(0 * at, (*at.shape, *rest)) for _ in range(count)]
        for k in reversed(range(self.xi.size)):
            step = ops.reshape(at - self.xi[k], (*at.shape, *rest))
            for order in reversed(range(1, count)):
                found[order] = found[order] * step + found[order - 1]
            found[0] = found[0] * step + self.c[k]
        return [d * math.factorial(order) for order, d in enumerate(found)]
