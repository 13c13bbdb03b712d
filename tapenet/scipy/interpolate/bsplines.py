"""B-splines."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.scipy.followed import followed
from tapenet.scipy.interpolate.piecewise import Extrapolate, checked, piece
from tapenet.typing import Array


def basis(x: Array, t: Array, k: int, i: Array) -> list[Array]:
    """The k + 1 B-splines of degree k that are not 0 in the piece [t[i], t[i + 1]) of each x, by Cox and de Boor's recursion:
    de Boor, A Practical Guide to Splines (1978), chapter X."""
    values = [0 * x + 1]
    for d in range(1, k + 1):
        after = [t[i + r + 1] - x for r in range(d)]
        before = [x - t[i - r] for r in range(d)]
        found, carried = [], 0 * x
        for r in range(d):
            part = values[r] / (after[r] + before[d - 1 - r])
            found.append(carried + after[r] * part)
            carried = before[d - 1 - r] * part
        values = [*found, carried]
    return values


def slopes_of(t: Array, c: Array, k: int) -> tuple[Array, Array]:
    """Knots and coefficients of the derivative of a B-spline of degree k."""
    n = c.shape[0]
    width = t[k + 1 : k + n] - t[1:n]
    wide = np.where(width == 0, 1.0, width)
    factor = np.where(width == 0, 0.0, k / wide)
    return t[1:-1], (c[1:] - c[:-1]) * np.reshape(factor, (-1, *(1,) * (c.ndim - 1)))


def _scipys(x: Array, t: Array, c: Array, k: int, nu: int, extrapolate: Extrapolate) -> Array:
    from scipy.interpolate import BSpline

    wide = complex if c.dtype.kind == "c" else float
    spline = BSpline.construct_fast(t.astype(float, copy=False), c.astype(wide, copy=False), k, extrapolate)
    return np.asarray(spline(x, nu))


@followed(_scipys, "x", "t", "c", name="BSpline")
def spline_values(x: Array, t: Array, c: Array, k: int, nu: int = 0, extrapolate: Extrapolate = True) -> Array:
    """Values of a B-spline, or of its derivative of order `nu`: Σ c[j] B[j](x)."""
    n = t.shape[0] - k - 1
    start, end = t[k], t[n]
    at = start + (x - start) % (end - start) if extrapolate == "periodic" else x
    c = c[:n]
    for d in range(min(nu, k)):
        t, c = slopes_of(t, c, k - d)
    degree = max(k - nu, 0)
    i = piece(at, t, degree, t.shape[0] - degree - 2)
    rest = (1,) * (c.ndim - 1)
    found = 0 * c[i]
    if nu <= k:
        for r, value in enumerate(basis(at, t, degree, i)):
            found = found + np.reshape(value, (*x.shape, *rest)) * c[i - degree + r]
    if extrapolate is False:
        inside = np.reshape((x >= start) & (x <= end), (*x.shape, *rest))
        found = np.where(inside, found, np.nan)
    return cast("Array", found)


class BSpline:
    """A B-spline, as `scipy.interpolate.BSpline`. Derivatives are by its coefficients, by its knots, and by the places where it
    is evaluated.

    Args:
        t: the knots, in order: as many as coefficients, and k + 1.
        c: the coefficients, along `axis`.
        k: the degree.
        extrapolate: whether the first and last piece hold beyond the ends (else nan), or "periodic".
        axis: the axis of the coefficients.

    Attributes:
        t, k, extrapolate, axis: as given.
        c: the coefficients, their axis moved to the front.

    Raises:
        ValueError: SciPy's, for knots that are not in order, and too few of them or of coefficients.

    >>> import numpy as np, tapenet as tn
    >>> c = tn.tensor([0.0, 1.0, 0.0, 0.0], requires_grad=True)
    >>> spline = tn.scipy.interpolate.BSpline(np.array([0.0, 0, 0, 1, 2, 2, 2]), c, 2)
    >>> spline(0.5)
    Tensor(0.625, op=BSpline)
    """

    def __init__(self, t: object, c: object, k: int, extrapolate: Extrapolate = True, axis: int = 0) -> None:
        knots, coefficients = asarray(t), asarray(c)
        axis = normalize_axis_index(axis, coefficients.ndim)
        moved = cast("Tensor", ops.moveaxis(coefficients, axis, 0))
        checked("BSpline", knots, moved, k)
        self.t, self.c, self.k, self.extrapolate, self.axis = knots, moved, k, extrapolate, axis

    @property
    def tck(self) -> tuple[Tensor, Tensor, int]:
        """Knots, coefficients and degree."""
        return self.t, self.c, self.k

    @staticmethod
    def of(t: Tensor, c: Tensor, k: int, extrapolate: Extrapolate, axis: int) -> BSpline:
        """A B-spline whose coefficients are along the first axis, and come along `axis` in values."""
        made = object.__new__(BSpline)
        made.t, made.c, made.k, made.extrapolate, made.axis = t, c, k, extrapolate, axis
        return made

    def _like(self, t: Tensor, c: Tensor, k: int, extrapolate: Extrapolate | None = None) -> BSpline:
        return BSpline.of(t, c, k, self.extrapolate if extrapolate is None else extrapolate, self.axis)

    def __call__(self, x: object, nu: int = 0, extrapolate: Extrapolate | None = None) -> Tensor:
        """Values at `x`, of any shape, or of the derivative of order `nu`."""
        at = asarray(x)
        beyond = self.extrapolate if extrapolate is None else extrapolate
        found = cast("Tensor", spline_values(at, self.t, self.c, self.k, nu, beyond))
        if not self.axis:
            return found
        places = tuple(range(at.ndim))
        return cast("Tensor", ops.moveaxis(found, places, tuple(self.axis + p for p in places)))

    def derivative(self, nu: int = 1) -> BSpline:
        """The derivative of order `nu`, a B-spline of a lower degree."""
        t, c = self.t, self.c[: self.t.size - self.k - 1]
        for d in range(nu):
            if self.k - d == 0:
                raise ValueError(f"BSpline: the derivative of order {nu} of degree {self.k} is 0")
            t, c = cast("tuple[Tensor, Tensor]", slopes_of(t, c, self.k - d))  # type: ignore[arg-type]
        return self._like(t, c, self.k - nu)

    def antiderivative(self, nu: int = 1) -> BSpline:
        """The antiderivative of order `nu`, which is 0 at the beginning."""
        made: BSpline = self
        for _ in range(nu):
            made = made._integrated()
        return made

    def _integrated(self) -> BSpline:
        n, rest = self.t.size - self.k - 1, (1,) * (self.c.ndim - 1)
        widths = ops.reshape((self.t[self.k + 1 :] - self.t[:n]) / (self.k + 1), (-1, *rest))
        sums = ops.cumsum(self.c[:n] * widths, 0)
        c = ops.concatenate([0 * sums[:1], sums])
        t = ops.concatenate([self.t[:1], self.t, self.t[-1:]])
        return self._like(t, c, self.k + 1, False if self.extrapolate == "periodic" else None)

    def integrate(self, a: object, b: object, extrapolate: Extrapolate | None = None) -> Tensor:
        """The integral from a to b; beyond the ends, without extrapolation, the spline is 0."""
        beyond = self.extrapolate if extrapolate is None else extrapolate
        whole, ends = self._integrated(), (asarray(a), asarray(b))
        start, end = self.t[self.k], self.t[self.t.size - self.k - 1]
        if beyond == "periodic":
            period, once = end - start, whole(end, 0, True) - whole(start, 0, True)

            def upto(x: Tensor) -> Tensor:
                turns = ops.stop_gradient(ops.floor((x - start) / period))
                found: Tensor = whole(x - turns * period, 0, True) + turns * once
                return found

            return upto(ends[1]) - upto(ends[0])
        if not beyond:
            ends = ops.clip(ends[0], start, end), ops.clip(ends[1], start, end)
        return whole(ends[1], 0, True) - whole(ends[0], 0, True)

    @staticmethod
    def basis_element(t: object, extrapolate: Extrapolate = True) -> BSpline:
        """The B-spline with these knots alone, of degree len(t) - 2."""
        knots = asarray(t)
        k = knots.size - 2
        around = [knots[:1] - 1] * k + [knots] + [knots[-1:] + 1] * k
        c = np.zeros(knots.size + 2 * k - k - 1)
        c[k] = 1.0
        return BSpline(ops.concatenate(around), c, k, extrapolate)
