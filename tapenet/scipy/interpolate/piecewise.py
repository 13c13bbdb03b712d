"""Piecewise polynomials."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, Self, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.scipy.followed import followed, scipys
from tapenet.typing import Array

Extrapolate = bool | Literal["periodic"]


def coefficients(name: str, *args: object, **options: object) -> Array:
    """Those of a spline of SciPy's, by the name of what makes it."""
    return np.asarray(scipys(f"interpolate.{name}")(*args, **options).c)  # type: ignore[attr-defined]


def _scipys(x: Array, c: Array, breaks: Array, nu: int, extrapolate: Extrapolate) -> Array:
    from scipy.interpolate import PPoly

    wide = complex if c.dtype.kind == "c" else float
    return np.asarray(
        PPoly.construct_fast(c.astype(wide, copy=False), breaks.astype(float, copy=False), extrapolate)(x, nu)
    )


def checked(name: str, *args: object) -> None:
    """Raise what SciPy's class raises for these arguments. While a program is recorded there are no values to look at."""
    if capturing() is None and all(type(a) is Tensor for a in args if hasattr(a, "dtype")):
        from scipy import interpolate

        getattr(interpolate, name)(*(a._data if isinstance(a, Tensor) else a for a in args))


@op(nondiff=("x", "breaks"))
def piece(x: Array, breaks: Array, first: int, last: int) -> Array:
    """The piece, from `first` to `last`, that holds each x; of a breakpoint the one to its right."""
    return np.clip(np.searchsorted(breaks, x, side="right") - 1, first, last)


@followed(_scipys, "x", "c", "breaks", name="PPoly")
def piecewise_values(x: Array, c: Array, breaks: Array, nu: int = 0, extrapolate: Extrapolate = True) -> Array:
    """Values of a piecewise polynomial, or of its derivative of order `nu`: in the piece i that holds x they are
    Σ c[k, i] (x - breaks[i])^(K - 1 - k)."""
    pieces, last = c.shape[1], c.shape[0] - 1
    ends = breaks[0], breaks[-1]
    at = ends[0] + (x - ends[0]) % (ends[1] - ends[0]) if extrapolate == "periodic" else x
    i = piece(at, breaks, 0, pieces - 1)
    step = np.reshape(at - breaks[i], (*x.shape, *(1,) * (c.ndim - 2)))
    found = 0 * c[0][i]
    for k in range(last + 1 - nu):
        found = found * step + c[k][i] * math.perm(last - k, nu)
    if extrapolate is False:
        inside = np.reshape((x >= ends[0]) & (x <= ends[1]), step.shape)
        found = np.where(inside, found, np.nan)
    return cast("Array", found)


class PPoly:
    """A piecewise polynomial, as `scipy.interpolate.PPoly`. Derivatives are by the coefficients, by the breakpoints, and by the
    places where it is evaluated.

    Attributes:
        c: the coefficients, of shape (degree + 1, pieces, ...), the highest power first.
        x: the breakpoints, in order.
        extrapolate: whether values beyond the ends are those of the first and last piece (else nan), or "periodic".
        axis: where the axis of `x` is in values.

    >>> import numpy as np, tapenet as tn
    >>> square = tn.scipy.interpolate.PPoly(np.array([[1.0], [0.0], [0.0]]), np.array([0.0, 2.0]))
    >>> square(1.5), square.derivative()(1.5), square.integrate(0.0, 1.5)
    (Tensor(2.25), Tensor(3.), Tensor(1.125))
    """

    c: Tensor
    x: Tensor
    extrapolate: Extrapolate
    axis: int
    _whole: ClassVar[bool] = True

    def __init__(self, c: object, x: object, extrapolate: Extrapolate | None = None, axis: int = 0) -> None:
        made, breaks = asarray(c), asarray(x)
        if made.ndim < 2 or breaks.ndim != 1 or breaks.size != made.shape[1] + 1:
            raise ValueError(
                f"PPoly: c has shape {made.shape} and x {breaks.shape}; c has an axis of powers and one of pieces, and x one "
                "breakpoint more than there are pieces"
            )
        self.c, self.x = made, breaks
        self.extrapolate = True if extrapolate is None else extrapolate
        self.axis = axis

    def __call__(self, x: object, nu: int = 0, extrapolate: Extrapolate | None = None) -> Tensor:
        """Values at `x`, of any shape, or of the derivative of order `nu` (of the antiderivative, where `nu` is negative).

        Args:
            x: the places.
            nu: the order of the derivative.
            extrapolate: as the attribute, which it takes the place of.
        """
        if nu < 0:
            return self.antiderivative(-nu)(x, 0, extrapolate)
        at = asarray(x)
        beyond = self.extrapolate if extrapolate is None else extrapolate
        found = cast("Tensor", piecewise_values(at, self.c, self.x, nu, beyond))
        if not self.axis:
            return found
        places = tuple(range(at.ndim))
        return cast("Tensor", ops.moveaxis(found, places, tuple(self.axis + p for p in places)))

    def _like(self, c: Tensor) -> PPoly:
        return PPoly(c, self.x, self.extrapolate, self.axis)

    def derivative(self, nu: int = 1) -> PPoly:
        """The derivative of order `nu`."""
        if nu < 0:
            return self.antiderivative(-nu)
        last = self.c.shape[0] - 1
        if nu > last:
            return self._like(0 * self.c[:1])
        factors = np.array([math.perm(last - k, nu) for k in range(last + 1 - nu)], dtype=float)
        return self._like(self.c[: last + 1 - nu] * factors.reshape(-1, *(1,) * (self.c.ndim - 1)))

    def antiderivative(self, nu: int = 1) -> PPoly:
        """The antiderivative of order `nu`, which is 0 at the first breakpoint."""
        if nu <= 0:
            return self.derivative(-nu)
        found: PPoly = self
        for _ in range(nu):
            found = found._integrated()
        return found

    def _integrated(self) -> PPoly:
        degree = self.c.shape[0]
        rest = (1,) * (self.c.ndim - 2)
        c = self.c / np.arange(degree, 0, -1.0).reshape(-1, 1, *rest)
        length = ops.reshape(self.x[1:] - self.x[:-1], (-1, *rest))
        areas = 0 * c[0]
        for k in range(degree):
            areas = (areas + c[k]) * length
        before = ops.concatenate([0 * areas[:1], ops.cumsum(areas, 0)[:-1]])
        beyond = False if self.extrapolate == "periodic" else self.extrapolate
        return PPoly(ops.concatenate([c, before[None]]), self.x, beyond, self.axis)

    def integrate(self, a: object, b: object, extrapolate: Extrapolate | None = None) -> Tensor:
        """The integral from a to b.

        Args:
            a, b: the limits.
            extrapolate: as the attribute, which it takes the place of.
        """
        beyond = self.extrapolate if extrapolate is None else extrapolate
        whole = PPoly(self.c, self.x, True if beyond == "periodic" else beyond)._integrated()
        ends = asarray(a), asarray(b)
        if beyond != "periodic":
            return whole(ends[1]) - whole(ends[0])
        start, period = self.x[0], self.x[-1] - self.x[0]
        once = whole(self.x[-1])

        def upto(t: Tensor) -> Tensor:
            turns = ops.stop_gradient(ops.floor((t - start) / period))
            found: Tensor = whole(t - turns * period) + turns * once
            return found

        return upto(ends[1]) - upto(ends[0])

    def detach(self) -> Self:
        """The same, without the graph of its coefficients."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__, c=self.c.detach(), x=self.x.detach())
        return made
