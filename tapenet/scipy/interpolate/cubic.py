"""Cubic interpolants: slopes at the points, and the cubics that they fix. They differ in their slopes."""

from __future__ import annotations

from functools import partial
from typing import Literal, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op
from tapenet.scipy.followed import followed
from tapenet.scipy.interpolate.piecewise import Extrapolate, PPoly, coefficients
from tapenet.scipy.linalg import solve_banded
from tapenet.typing import Array

#: A condition at an end: by name, or the order of a derivative (its value is an input).
Condition = Literal["not-a-knot", "periodic"] | int


def _column(a: Array, like: Array) -> Array:
    """A vector along the first axis of another array."""
    return np.reshape(a, (-1, *(1,) * (like.ndim - 1)))


def from_slopes(x: Array, y: Array, slopes: Array) -> Array:
    """The coefficients of the cubics through points with these slopes."""
    h = _column(x[1:] - x[:-1], y)
    chord = (y[1:] - y[:-1]) / h
    bend = (slopes[:-1] + slopes[1:] - 2 * chord) / h
    return np.stack([bend / h, (chord - slopes[:-1]) / h - bend, slopes[:-1], y[:-1]])


def _of_cubic_spline(x: Array, y: Array, start: Array, end: Array, conditions: tuple[Condition, Condition]) -> Array:
    kinds = [(k, v) if isinstance(k, int) else k for k, v in zip(conditions, (start, end), strict=True)]
    return coefficients("CubicSpline", x, y, bc_type=kinds[0] if conditions[0] == "periodic" else tuple(kinds))


@followed(_of_cubic_spline, "x", "y", "start", "end", name="CubicSpline")
def spline_coefficients(
    x: Array, y: Array, start: Array, end: Array, conditions: tuple[Condition, Condition] = ("not-a-knot", "not-a-knot")
) -> Array:
    """The coefficients of the cubic spline: its slopes make second derivatives continuous, a tridiagonal system."""
    n = x.shape[0]
    h = x[1:] - x[:-1]
    hs = _column(h, y)
    chord = (y[1:] - y[:-1]) / hs
    if conditions[0] == "periodic":
        return from_slopes(x, y, _periodic_slopes(h, hs, chord))
    if n == 3 and conditions == ("not-a-knot", "not-a-knot"):  # a parabola
        bend = (chord[1] - chord[0]) / (hs[0] + hs[1])
        slopes = np.stack([chord[0] - bend * hs[0], chord[0] + bend * hs[0], chord[1] + bend * hs[1]])
        return from_slopes(x, y, slopes)
    one = 0 * h[:1] + 1
    first, last = conditions
    middle = 2 * (h[:-1] + h[1:])
    inside = 3 * (hs[1:] * chord[:-1] + hs[:-1] * chord[1:])
    if first == "not-a-knot" and n > 2:
        d = h[0] + h[1]
        head = h[1:2], np.reshape(d, (1,)), ((hs[0] + 2 * d) * hs[1] * chord[0] + hs[0] ** 2 * chord[1]) / d
    elif first == 2:
        head = 2 * h[:1], h[:1], 3 * (y[1] - y[0]) - start * hs[0] ** 2 / 2
    else:
        head = one, 0 * one, chord[0] if first == "not-a-knot" else start + 0 * y[0]
    if last == "not-a-knot" and n > 2:
        d = h[-2] + h[-1]
        tail = h[-2:-1], np.reshape(d, (1,)), ((hs[-1] + 2 * d) * hs[-2] * chord[-1] + hs[-1] ** 2 * chord[-2]) / d
    elif last == 2:
        tail = 2 * h[-1:], h[-1:], 3 * (y[-1] - y[-2]) + end * hs[-1] ** 2 / 2
    else:
        tail = one, 0 * one, chord[-1] if last == "not-a-knot" else end + 0 * y[-1]
    bands = np.stack([
        np.concatenate([0 * one, head[1], h[:-1]]),
        np.concatenate([head[0], middle, tail[0]]),
        np.concatenate([h[1:], tail[1], 0 * one]),
    ])  # fmt: skip
    right = np.concatenate([head[2][None], inside, tail[2][None]])
    return from_slopes(x, y, _banded(bands, right))


def _banded(bands: Array, right: Array) -> Array:
    flat = np.reshape(right, (right.shape[0], -1))
    found: Array = np.reshape(solve_banded((1, 1), bands, flat), right.shape)
    return found


def _periodic_slopes(h: Array, hs: Array, chord: Array) -> Array:
    """Slopes of a spline whose ends agree: all but the last by a tridiagonal system with two right sides, that by the equation
    that is left."""
    m = h.shape[0]  # as many slopes as pieces: the first is the last
    before, before_s, chord_before = (np.concatenate([a[-1:], a[:-1]]) for a in (h, hs, chord))
    right = 3 * (hs * chord_before + before_s * chord)
    if m == 2:
        weight = 1 / hs
        slope = np.sum(chord * weight, axis=0) / np.sum(weight, axis=0)
        return np.stack([slope] * 3)
    zero = 0 * h[:1]
    k = m - 1
    bands = np.stack([
        np.concatenate([zero, before[: k - 1]]),
        2 * (before + h)[:k],
        np.concatenate([h[1:k], zero]),
    ])  # fmt: skip
    # Row i: h[i] s[i-1] + 2 (h[i-1] + h[i]) s[i] + h[i-1] s[i+1] = right[i]. The last unknown goes to the right side.
    corner = np.concatenate([-h[:1], 0 * h[1 : k - 1], -before[k - 1 : k]])
    both = (
        np.concatenate([right[:k], np.reshape(corner, (-1, *(1,) * (right.ndim - 1))) + 0 * right[:k]], axis=-1)
        if (right.ndim > 1)
        else np.stack([right[:k], corner], -1)
    )
    found = _banded(bands, both)
    width = right.shape[-1] if right.ndim > 1 else 1
    a, b = (found[..., :width], found[..., width:]) if right.ndim > 1 else (found[:, 0], found[:, 1])
    last = (right[k] - hs[k] * a[k - 1] - before_s[k] * a[0]) / (
        2 * (before_s[k] + hs[k]) + hs[k] * b[k - 1] + before_s[k] * b[0]
    )
    inner = a + b * last
    return np.concatenate([inner, last[None], inner[:1]])


@followed(partial(coefficients, "PchipInterpolator"), "x", "y", name="PchipInterpolator")
def pchip_coefficients(x: Array, y: Array) -> Array:
    """The coefficients of the monotone cubics of Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5 (1984): slopes are weighted
    harmonic means of those of the chords, or 0 where these differ in sign."""
    h = _column(x[1:] - x[:-1], y)
    chord = (y[1:] - y[:-1]) / h
    if x.shape[0] == 2:
        return from_slopes(x, y, np.concatenate([chord, chord]))
    left, right = chord[:-1], chord[1:]
    flat = (np.sign(left) != np.sign(right)) | (left == 0) | (right == 0)
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    mean = (w1 + w2) / (w1 / np.where(flat, 1.0, left) + w2 / np.where(flat, 1.0, right))
    inside = np.where(flat, 0.0, mean)
    first = _pchip_end(h[0], h[1], chord[0], chord[1])
    last = _pchip_end(h[-1], h[-2], chord[-1], chord[-2])
    return from_slopes(x, y, np.concatenate([first[None], inside, last[None]]))


def _pchip_end(h0: Array, h1: Array, chord0: Array, chord1: Array) -> Array:
    """The slope at an end: that of the parabola through three points, kept monotone."""
    slope = ((2 * h0 + h1) * chord0 - h0 * chord1) / (h0 + h1)
    turned = np.sign(slope) != np.sign(chord0)
    steep = (np.sign(chord0) != np.sign(chord1)) & (np.abs(slope) > 3 * np.abs(chord0))
    return np.where(turned, 0.0, np.where(steep, 3 * chord0, slope))


def _scipys_akima(x: Array, y: Array, method: str) -> Array:
    return coefficients("Akima1DInterpolator", x, y, method=method)


@followed(_scipys_akima, "x", "y", name="Akima1DInterpolator")
def akima_coefficients(x: Array, y: Array, method: str = "akima") -> Array:
    """The coefficients of Akima's cubics, J. ACM 17 (1970): a slope is the mean of the chords beside it, weighted by how much
    the chords on the other side change."""
    h = _column(x[1:] - x[:-1], y)
    chord = (y[1:] - y[:-1]) / h
    if x.shape[0] == 2:
        return from_slopes(x, y, np.concatenate([chord, chord]))
    before = 2 * chord[0] - chord[1]
    after = 2 * chord[-1] - chord[-2]
    m = np.concatenate([(2 * before - chord[0])[None], before[None], chord, after[None], (2 * after - chord[-1])[None]])
    change = np.abs(m[1:] - m[:-1])
    if method == "makima":
        change = change + np.abs(m[1:] + m[:-1]) / 2
    left, right = change[2:], change[:-2]
    weight = left + right
    level = weight <= 1e-9 * np.max(weight)
    mean = (left * m[1:-2] + right * m[2:-1]) / np.where(level, 1.0, weight)
    plain = (m[3:] + m[:-3]) / 2 if method == "akima" else 0 * mean
    return from_slopes(x, y, np.where(level, plain, mean))


@followed(partial(coefficients, "CubicHermiteSpline"), "x", "y", "dydx", name="CubicHermiteSpline")
def hermite_coefficients(x: Array, y: Array, dydx: Array) -> Array:
    """The coefficients of the cubics with given values and slopes."""
    return from_slopes(x, y, dydx)


def _moved(y: object, axis: int) -> tuple[Tensor, int]:
    values = asarray(y)
    axis %= values.ndim
    return cast("Tensor", ops.moveaxis(values, axis, 0)), axis


class _Cubic(PPoly):
    def _set(self, op: Op, x: object, y: object, axis: int, extrapolate: Extrapolate | None, *rest: object) -> None:
        points = asarray(x)
        values, place = _moved(y, axis)
        c = op(points, values, *rest)
        super().__init__(c, points, extrapolate, place)


class CubicSpline(_Cubic):
    """The cubic spline through points, as `scipy.interpolate.CubicSpline`, differentiable in values, in points, and in the
    places where it is evaluated.

    Args:
        x: the points, in order.
        y: the values.
        axis: the axis of `y` that belongs to `x`.
        bc_type: "not-a-knot", "clamped", "natural", "periodic", or a pair for both ends, each one of these or (order, value)
            of the first or second derivative there.
        extrapolate: whether the first and last cubic hold beyond the ends (else nan), or "periodic".

    Raises:
        ValueError: SciPy's, for points that are not in order, and shapes and conditions that do not fit.

    >>> import numpy as np, tapenet as tn
    >>> values = tn.tensor([0.0, 1.0, 4.0, 9.0], requires_grad=True)
    >>> spline = tn.scipy.interpolate.CubicSpline(np.arange(4.0), values)
    >>> spline(2.5).backward()
    >>> values.grad
    Tensor([ 0.0625, -0.3125,  0.9375,  0.3125])
    """

    def __init__(
        self,
        x: object,
        y: object,
        axis: int = 0,
        bc_type: object = "not-a-knot",
        extrapolate: Extrapolate | None = None,
    ) -> None:
        pair = (bc_type, bc_type) if isinstance(bc_type, str) else tuple(cast("tuple[object, object]", bc_type))
        if len(pair) != 2 or ("periodic" in pair and bc_type != "periodic"):
            raise ValueError(
                f"CubicSpline: bc_type={bc_type!r}: `bc_type` must contain 2 elements to specify start and end conditions, and "
                "'periodic' holds for both ends"
            )
        rest = _moved(y, axis)[0].shape[1:]
        kinds: list[Condition] = []
        values: list[object] = []
        for one in pair:
            named = (
                {"clamped": (1, np.zeros(rest)), "natural": (2, np.zeros(rest))}.get(one)
                if isinstance(one, str)
                else one
            )
            kind, value = named if isinstance(named, tuple) else (one, 0.0)
            kinds.append(cast("Condition", kind))
            given = asarray(value)
            values.append(given if given.dtype.kind in "fc" else given.astype(np.float64))
        if extrapolate is None and bc_type == "periodic":
            extrapolate = "periodic"
        self._set(spline_coefficients, x, y, axis, extrapolate, *values, tuple(kinds))


class PchipInterpolator(_Cubic):
    """Monotone cubics through points, as `scipy.interpolate.PchipInterpolator`. Where two chords differ in sign the slope is 0,
    and so is its derivative.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.interpolate.PchipInterpolator(np.arange(4.0), np.array([0.0, 1.0, 1.0, 5.0]))([0.5, 1.5, 2.5])
    Tensor([0.6875, 1.    , 2.25  ])
    """

    def __init__(self, x: object, y: object, axis: int = 0, extrapolate: Extrapolate | None = None) -> None:
        self._set(pchip_coefficients, x, y, axis, extrapolate)


class Akima1DInterpolator(_Cubic):
    """Akima's cubics through points, as `scipy.interpolate.Akima1DInterpolator`.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.interpolate.Akima1DInterpolator(np.arange(5.0), np.array([0.0, 0.0, 0.0, 1.0, 2.0]))(2.5)
    Tensor(0.4375)
    """

    def __init__(
        self,
        x: object,
        y: object,
        axis: int = 0,
        *,
        method: Literal["akima", "makima"] = "akima",
        extrapolate: Extrapolate | None = None,
    ) -> None:
        self._set(akima_coefficients, x, y, axis, False if extrapolate is None else extrapolate, method)


class CubicHermiteSpline(_Cubic):
    """Cubics with given values and slopes, as `scipy.interpolate.CubicHermiteSpline`.

    >>> import tapenet as tn
    >>> tn.scipy.interpolate.CubicHermiteSpline([0.0, 1.0], [0.0, 1.0], [0.0, 0.0])(0.25)
    Tensor(0.15625)
    """

    def __init__(
        self, x: object, y: object, dydx: object, axis: int = 0, extrapolate: Extrapolate | None = None
    ) -> None:
        self._set(hermite_coefficients, x, y, axis, extrapolate, _moved(dydx, axis)[0])
