"""Splines through points under the names of FITPACK's functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import known
from tapenet.scipy.interpolate.bsplines import BSpline
from tapenet.scipy.interpolate.fitted_splines import make_interp_spline, make_lsq_spline

#: Knots, coefficients with k + 1 zeros behind them, and the degree k.
Parts = tuple[Tensor, Tensor, int]


def _parts(spline: BSpline) -> Parts:
    c = spline.c
    return spline.t, cast("Tensor", ops.concatenate([c, np.zeros((spline.k + 1, *c.shape[1:]))])), spline.k


def _spline(name: str, tck: object) -> BSpline:
    if isinstance(tck, BSpline):
        return tck
    t, c, k = cast("tuple[object, object, int]", tck)
    knots, coefficients = asarray(t), asarray(c)
    if coefficients.ndim != 1:
        raise ValueError(
            f"{name}: the coefficients of a curve in several coordinates have one vector for each: pass one"
        )
    return BSpline(knots, coefficients[: knots.size - k - 1], k)


def splrep(
    x: object, y: object, w: object = None, xb: float | None = None, xe: float | None = None, k: int = 3, task: int = 0,
    s: float | None = None, t: object = None, full_output: bool = False, per: bool = False, quiet: bool = True,
) -> Parts:  # fmt: skip
    """The B-spline through points, as `scipy.interpolate.splrep` with s=0; or, with interior knots `t`, the one that fits best.

    Args:
        x, y: the points, in order, and the values.
        w: the weights of a fit with given knots.
        xb, xe: None: the first and the last point.
        k: the degree, 1 to 5.
        task: 0, or -1 with `t`.
        s: 0, which is the default without weights.
        t: interior knots.
        full_output, per: False.

    Returns:
        the knots, the coefficients with k + 1 zeros behind them, and the degree, for `splev` and its kin; differentiable by
        points and values.

    Raises:
        NotImplementedError: what is not an interpolation, or a fit with given knots.

    >>> import numpy as np, tapenet as tn
    >>> tck = tn.scipy.interpolate.splrep(np.arange(5.0), tn.tensor([0.0, 1.0, 4.0, 9.0, 16.0]))
    >>> tn.scipy.interpolate.splev(2.5, tck).round(9)
    Tensor(6.25)
    """
    name = "splrep"
    if xb is not None or xe is not None or full_output:
        raise NotImplementedError(f"{name}: xb=, xe= and full_output= are not followed: leave them out")
    if per:
        raise NotImplementedError(
            f"{name}: write make_interp_spline(x, y, k, bc_type='periodic') for a periodic spline"
        )
    if not 1 <= k <= 5:
        raise ValueError(f"{name}: k is {k}; degrees are 1 to 5")
    if t is not None:
        points, inner = asarray(x), asarray(t)
        knots = ops.concatenate([*[points[:1]] * (k + 1), inner, *[points[-1:]] * (k + 1)])
        return _parts(make_lsq_spline(points, y, knots, k, w))
    if s or (s is None and w is not None) or task:
        raise NotImplementedError(
            f"{name}: a smoothing spline's knots are searched for, and jump: give s=0, interior knots t=, or write "
            "make_smoothing_spline(x, y, w, lam)"
        )
    return _parts(make_interp_spline(x, y, k))


def splev(x: object, tck: object, der: int = 0, ext: int = 0) -> Tensor:
    """Values of a B-spline, or of its derivative of order `der`, as `scipy.interpolate.splev`.

    Args:
        x: the places.
        tck: what `splrep` gives, or a `BSpline`.
        der: the order of the derivative, at most the degree.
        ext: beyond the ends: 0 extrapolates, 1 gives 0, 2 raises, 3 gives the value at the end.

    Raises:
        ValueError: an order or an `ext` that is none; with `ext=2` a place beyond the ends.

    >>> import tapenet as tn
    >>> tn.scipy.interpolate.splev(tn.tensor([0.5]), ([0.0, 0.0, 1.0, 1.0], [2.0, 4.0, 0.0, 0.0], 1))
    Tensor([3.])
    """
    spline = _spline("splev", tck)
    if not 0 <= der <= spline.k:
        raise ValueError(f"splev: der={der}; a spline of degree {spline.k} has derivatives of orders 0 to {spline.k}")
    if ext not in (0, 1, 2, 3):
        raise ValueError(f"splev: ext={ext}; it is 0, 1, 2 or 3")
    at = asarray(x)
    start, end = spline.t[spline.k], spline.t[spline.t.size - spline.k - 1]
    if ext == 3:
        at = ops.clip(at, start, end)
    found = spline(at, der, True)
    if ext == 2:
        places, first, last = known(at), known(start), known(end)
        if places is not None and ((places < first) | (places > last)).any():
            raise ValueError(f"splev: with ext=2 places are between {first} and {last}, the ends of the spline")
    if ext == 1:
        inside = (at >= start) & (at <= end)
        return cast("Tensor", ops.where(inside, found, 0.0))
    return found


def splint(a: object, b: object, tck: object, full_output: bool = False) -> Tensor:
    """The integral of a B-spline from a to b, as `scipy.interpolate.splint`; beyond its ends it is 0.

    >>> import tapenet as tn
    >>> tn.scipy.interpolate.splint(0.0, tn.tensor(0.5), ([0.0, 0.0, 1.0, 1.0], [2.0, 4.0, 0.0, 0.0], 1))
    Tensor(1.25)
    """
    if full_output:
        raise NotImplementedError("splint: full_output= is not followed: leave it out")
    return _spline("splint", tck).integrate(a, b, False)


def splder(tck: object, n: int = 1) -> Parts | BSpline:
    """The derivative of order n of a B-spline, in the form that it has, as `scipy.interpolate.splder`.

    >>> import tapenet as tn
    >>> tn.scipy.interpolate.splder(([0.0, 0.0, 1.0, 1.0], tn.tensor([2.0, 4.0, 0.0, 0.0]), 1))[1]
    Tensor([2., 0.])
    """
    if n < 0:
        return splantider(tck, -n)
    made = _spline("splder", tck).derivative(n)
    return made if isinstance(tck, BSpline) else _parts(made)


def splantider(tck: object, n: int = 1) -> Parts | BSpline:
    """The antiderivative of order n of a B-spline, in the form that it has, as `scipy.interpolate.splantider`.

    >>> import tapenet as tn
    >>> tn.scipy.interpolate.splantider(([0.0, 0.0, 1.0, 1.0], tn.tensor([2.0, 4.0, 0.0, 0.0]), 1))[1]
    Tensor([0., 1., 3., 0., 0., 0.])
    """
    if n < 0:
        return splder(tck, -n)
    made = _spline("splantider", tck).antiderivative(n)
    return made if isinstance(tck, BSpline) else _parts(made)


#: What `splev` calls the ways to go on beyond the ends.
_BEYOND = {"extrapolate": 0, "zeros": 1, "raise": 2, "const": 3}


def _beyond(ext: int | str) -> int:
    found = _BEYOND.get(ext, ext) if isinstance(ext, str) else ext
    if found not in _BEYOND.values():
        raise ValueError(f"ext is {ext!r}; give one of {', '.join(map(repr, _BEYOND))}, or 0 to 3")
    return cast("int", found)


class UnivariateSpline:
    """The B-spline through points, as `scipy.interpolate.UnivariateSpline` with s=0, differentiable in values, points and
    places.

    Args:
        x, y: the points, in order, and the values.
        w: None.
        bbox: (None, None): the spline begins at the first point and ends at the last.
        k: the degree, 1 to 5.
        s: 0.
        ext: beyond the ends: 0 or "extrapolate", 1 or "zeros", 2 or "raise", 3 or "const".
        check_finite: of no effect: what is not finite is an error.

    Raises:
        NotImplementedError: `s` is not 0.

    >>> import numpy as np, tapenet as tn
    >>> spline = tn.scipy.interpolate.UnivariateSpline(np.arange(5.0), tn.tensor([0.0, 1.0, 4.0, 9.0, 16.0]), s=0)
    >>> spline(2.5).round(9), spline.derivative()(2.5).round(9), spline.integral(0.0, 3.0).round(9)
    (Tensor(6.25), Tensor(5.), Tensor(9.))
    """

    def __init__(
        self, x: object, y: object, w: object = None, bbox: Sequence[float | None] = (None, None), k: int = 3,
        s: float | None = None, ext: int | str = 0, check_finite: bool = False,
    ) -> None:  # fmt: skip
        if s != 0:
            raise NotImplementedError(
                "UnivariateSpline: a smoothing spline's knots are searched for, and jump: give s=0, or write "
                "make_smoothing_spline(x, y, w, lam)"
            )
        self._spline = _spline("UnivariateSpline", splrep(x, y, xb=bbox[0], xe=bbox[1], k=k, s=0))
        self._points, self._values, self.ext = asarray(x), asarray(y), _beyond(ext)

    @classmethod
    def _of(cls, spline: BSpline, ext: int) -> UnivariateSpline:
        made = object.__new__(UnivariateSpline)
        made._spline, made.ext = spline, ext
        return made

    def __call__(self, x: object, nu: int = 0, ext: int | str | None = None) -> Tensor:
        """Values at places, or of the derivative of order `nu`."""
        return splev(x, self._spline, nu, self.ext if ext is None else _beyond(ext))

    def derivatives(self, x: object) -> Tensor:
        """The value at a place, and all derivatives up to the degree."""
        return cast("Tensor", ops.stack([self(x, nu) for nu in range(self._spline.k + 1)]))

    def derivative(self, n: int = 1) -> UnivariateSpline:
        """The derivative of order n, a spline of a lower degree. Constant beyond the ends, it is 0 there."""
        return self._of(self._spline.derivative(n), 1 if self.ext == 3 and n else self.ext)

    def antiderivative(self, n: int = 1) -> UnivariateSpline:
        """The antiderivative of order n, which is 0 at the beginning."""
        return self._of(self._spline.antiderivative(n), self.ext)

    def integral(self, a: object, b: object) -> Tensor:
        """The integral from a to b; beyond the ends the spline is 0."""
        return splint(a, b, self._spline)

    def get_knots(self) -> Tensor:
        """The ends and the knots between them."""
        return self._spline.t[self._spline.k : self._spline.t.size - self._spline.k]

    def get_coeffs(self) -> Tensor:
        """The coefficients."""
        return self._spline.c

    def get_residual(self) -> Tensor:
        """The sum of the squares of what is left over of the values: rounding."""
        return cast("Tensor", ops.sum((self(self._points) - self._values) ** 2))


class InterpolatedUnivariateSpline(UnivariateSpline):
    """The B-spline through points, as `scipy.interpolate.InterpolatedUnivariateSpline`: `UnivariateSpline` with s=0.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.interpolate.InterpolatedUnivariateSpline(np.arange(3.0), tn.tensor([0.0, 1.0, 4.0]), k=2)(1.5).round(9)
    Tensor(2.25)
    """

    def __init__(
        self, x: object, y: object, w: object = None, bbox: Sequence[float | None] = (None, None), k: int = 3,
        ext: int | str = 0, check_finite: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(x, y, w, bbox, k, 0, ext, check_finite)


class RectBivariateSpline:
    """The product spline through values on a grid, as `scipy.interpolate.RectBivariateSpline` with s=0, differentiable in
    values, in the points of both axes, and in places.

    Args:
        x, y: the points of the axes, in order.
        z: the values, of shape (x.size, y.size).
        bbox: None four times: the spline begins and ends at the points.
        kx, ky: the degrees, 1 to 5.
        s: 0.
        maxit: of no effect.

    Raises:
        NotImplementedError: `s` is not 0.

    >>> import numpy as np, tapenet as tn
    >>> x, y = np.arange(4.0), np.arange(5.0)
    >>> spline = tn.scipy.interpolate.RectBivariateSpline(x, y, tn.tensor(x[:, None] * y**2))
    >>> spline.ev(1.5, 2.5).round(9), spline.ev(1.5, 2.5, dy=1).round(9)
    (Tensor(9.375), Tensor(7.5))
    """

    def __init__(
        self, x: object, y: object, z: object, bbox: Sequence[float | None] = (None, None, None, None), kx: int = 3,
        ky: int = 3, s: float = 0, maxit: int = 20,
    ) -> None:  # fmt: skip
        if s != 0 or any(end is not None for end in bbox):
            raise NotImplementedError(
                "RectBivariateSpline: knots of a smoothing spline are searched for, and jump: give s=0, and no bbox="
            )
        values = asarray(z)
        first = make_interp_spline(x, values, kx)
        both = make_interp_spline(y, first.c, ky, axis=1)
        self.coefficients, self._axes = both.c.T, ((first.t, kx), (both.t, ky))

    def _weights(self, places: tuple[object, object], orders: tuple[int, int]) -> list[Tensor]:
        """The values of all B-splines of each axis at places, which beyond the ends are those at the ends."""
        made = []
        for at, nu, (t, k) in zip(places, orders, self._axes, strict=True):
            n = t.size - k - 1
            held = ops.clip(asarray(at), t[k], t[n])
            made.append(BSpline(t, np.eye(n), k)(held, nu))
        return made

    def __call__(self, x: object, y: object, dx: int = 0, dy: int = 0, grid: bool = True) -> Tensor:
        """Values on the grid of x and y, or with grid=False at places (x, y); or those of a derivative of orders dx and dy."""
        if not grid:
            return self.ev(x, y, dx, dy)
        along, across = self._weights((ops.atleast_1d(asarray(x)), ops.atleast_1d(asarray(y))), (dx, dy))
        return along @ self.coefficients @ across.T

    def ev(self, xi: object, yi: object, dx: int = 0, dy: int = 0) -> Tensor:
        """Values at places, whose coordinates broadcast; or those of a derivative of orders dx and dy."""
        places = ops.broadcast_arrays(asarray(xi), asarray(yi))
        along, across = self._weights((places[0], places[1]), (dx, dy))
        return cast("Tensor", ops.sum((along @ self.coefficients) * across, -1))

    def integral(self, xa: object, xb: object, ya: object, yb: object) -> Tensor:
        """The integral over a rectangle; beyond the grid the spline is 0."""
        areas = [
            BSpline(t, np.eye(t.size - k - 1), k).integrate(a, b, False)
            for (t, k), a, b in zip(self._axes, (xa, ya), (xb, yb), strict=True)
        ]
        return areas[0] @ self.coefficients @ areas[1]
