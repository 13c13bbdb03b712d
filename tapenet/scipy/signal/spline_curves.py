"""Splines through evenly spaced samples: their coefficients, by filters forward and backward, and their values."""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed
from tapenet.scipy.ndimage.sampling import spline_weights
from tapenet.scipy.signal.filtering import lfilter_on
from tapenet.typing import Array


def _recursive(x: Array, first: Array, ratio: float, gain: float) -> Array:
    """y_0 = first, y_k = gain x_k + ratio y_{k-1}, along the last axis."""
    b, a = np.array([gain], first.dtype), np.array([1.0, -ratio], first.dtype)
    rest, _ = lfilter_on(b, a, x[..., 1:], first * ratio)
    return np.concatenate([first, rest], -1)


def both_ways(x: Array, first: Array, ratio: float, gain: float) -> Array:
    """A recursion forward from `first`, then one backward, as if signals went on as their mirror image."""
    forward = _recursive(x, first, ratio, 1.0)
    last = forward[..., -1:] * (gain / (1 - ratio))
    return np.flip(_recursive(np.flip(forward, -1), last, ratio, gain), -1)


def _exact(signal: Array, ratio: float, gain: float) -> Array:
    powers = ratio ** np.arange(signal.shape[0])
    first = signal[:1] + ratio * np.sum(powers * signal, keepdims=True)
    if len(signal) == 1:
        return first * (ratio / (ratio - 1))
    return both_ways(signal, first, ratio, -ratio) * gain


def _smooth(signal: Array, lamb: float) -> Array:
    """The coefficients of a cubic smoothing spline (Unser, Aldroubi and Eden, 1993)."""
    xi = 1 - 96 * lamb + 24 * lamb * math.sqrt(3 + 144 * lamb)
    omega = math.atan2(math.sqrt(144 * lamb - 1), math.sqrt(xi))
    rho = (24 * lamb - 1 - math.sqrt(xi)) / (24 * lamb)
    rho *= math.sqrt((48 * lamb + 24 * lamb * math.sqrt(3 + 144 * lamb)) / xi)
    cs = 1 - 2 * rho * math.cos(omega) + rho * rho
    b, a = np.array([cs]), np.array([1.0, -2 * rho * math.cos(omega), rho * rho])

    def one_way(k: Array) -> Array:
        return cs / math.sin(omega) * rho**k * np.sin(omega * (k + 1)) * (k > -1)

    def two_ways(k: Array) -> Array:
        scale = cs * cs * (1 + rho * rho) / (1 - rho * rho) / (1 - 2 * rho * rho * math.cos(2 * omega) + rho**4)
        gamma = (1 - rho * rho) / (1 + rho * rho) / math.tan(omega)
        k = abs(k)
        return scale * rho**k * (np.cos(omega * k) + gamma * np.sin(omega * k))

    def goes_on(x: Array, before: Array) -> Array:
        """The recursion behind two values, the earlier one first."""
        older, newer = before[:1], before[1:]
        state = np.concatenate([-a[1] * newer - a[2] * older, -a[2] * newer])
        return lfilter_on(b, a, x, state)[0]

    k = np.arange(signal.shape[0])
    zero, one = one_way(np.array(0.0)), one_way(np.array(1.0))
    start = np.stack([
        zero * signal[0] + np.sum(one_way(k + 1) * signal),
        zero * signal[0] + one * signal[1] + np.sum(one_way(k + 2) * signal),
    ])  # fmt: skip
    forward = np.concatenate([start, goes_on(signal[2:], start)])
    back = np.flip(signal)
    end = np.stack([
        np.sum((two_ways(k) + two_ways(k + 1)) * back), np.sum((two_ways(k - 1) + two_ways(k + 2)) * back)
    ])  # fmt: skip
    return np.flip(np.concatenate([end, goes_on(np.flip(forward)[2:], end)]))


@followed(
    "signal.cspline1d", "signal", gradients="signal: the transposed filters over g",
    samples=lambda r: [sample(r.normal(size=7)), sample(r.normal(size=8), 0.5)],
)  # fmt: skip
def cspline1d(signal: Array, lamb: float = 0.0) -> Array:
    """The coefficients of a cubic spline through samples, or near them.

    Args:
        signal: samples.
        lamb: how smooth the spline is; 0 for one through the samples.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.cspline1d(tn.tensor(np.ones(60)))[30:32].round(9)
    Tensor([1., 1.])
    """
    if lamb:
        return _smooth(signal, lamb)
    return _exact(signal, -2 + math.sqrt(3), 6.0)


@followed(
    "signal.qspline1d", "signal", gradients="signal: the transposed filters over g",
    samples=lambda r: [sample(r.normal(size=7))],
)  # fmt: skip
def qspline1d(signal: Array, lamb: float = 0.0) -> Array:
    """The coefficients of a quadratic spline through samples.

    Args:
        signal: samples.
        lamb: 0.

    Raises:
        ValueError: another lamb.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.qspline1d(tn.tensor(np.ones(60)))[30:32].round(9)
    Tensor([1., 1.])
    """
    return _exact(signal, -3 + 2 * math.sqrt(2), 8.0)


def _evaluated(cj: Array, newx: Array, dx: float, x0: float, order: int) -> Array:
    x = (newx - x0) / dx
    n = cj.shape[0]
    if n > 1:  # a signal goes on as its mirror image
        x = np.where((x < 0) | (x > n - 1), np.mod(x, 2 * n - 2), x)
        x = np.where(x > n - 1, 2 * n - 2 - x, x)
    knot = np.floor(x if order % 2 else x + 0.5)
    weights = spline_weights(x - knot if order % 2 else x - knot + 0.5, order)
    first = np.astype(knot, np.int64) - 1
    found: Array = sum(w * cj[np.clip(first + i, 0, n - 1)] for i, w in enumerate(weights))  # type: ignore[assignment]
    return found


@followed(
    "signal.cspline1d_eval", "cj", "newx", gradients="cj: g by the weights; newx: g by their derivatives",
    samples=lambda r: [
        sample(r.normal(size=6), np.array([0.3, 2.6, -0.7, 5.9])),
        sample(r.normal(size=6), np.array([1.3]), 0.5, 0.2)],
)  # fmt: skip
def cspline1d_eval(cj: Array, newx: Array, dx: float = 1.0, x0: float = 0) -> Array:
    """A cubic spline at places, from its coefficients.

    Args:
        cj: the coefficients.
        newx: the places. There are gradients by them too.
        dx, x0: the spacing of the samples, and where the first one is.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.cspline1d_eval(tn.tensor(np.ones(4)), np.array([0.5, 1.0])).round(9)
    Tensor([1., 1.])
    """
    return _evaluated(cj, newx, dx, x0, 3)


@followed(
    "signal.qspline1d_eval", "cj", "newx", gradients="cj: g by the weights; newx: g by their derivatives",
    samples=lambda r: [
        sample(r.normal(size=6), np.array([0.3, 2.8, -0.7, 5.9])),
        sample(r.normal(size=6), np.array([1.4]), 0.5, 0.2)],
)  # fmt: skip
def qspline1d_eval(cj: Array, newx: Array, dx: float = 1.0, x0: float = 0) -> Array:
    """A quadratic spline at places, from its coefficients; the arguments are those of `cspline1d_eval`.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.qspline1d_eval(tn.tensor(np.ones(4)), np.array([0.5, 1.0])).round(9)
    Tensor([1., 1.])
    """
    return _evaluated(cj, newx, dx, x0, 2)


def terms(ratio: float, precision: float, n: int) -> Array:
    """The weights of the sum that a recursion begins with: powers, up to the first within the precision."""
    powers = ratio ** np.arange(1.0, n + 1)
    weights = np.where(np.arange(n) <= np.sum(np.abs(powers) > precision), powers, 0.0)
    weights[0] += 1
    return weights


@followed(
    "signal.symiirorder1", "signal", gradients="signal: the transposed filters over g",
    samples=lambda r: [sample(r.normal(size=40), 0.7, -0.3), sample(r.normal(size=(2, 60)), 1.0, 0.5, 1e-6)],
)  # fmt: skip
def symiirorder1(signal: Array, c0: float, z1: float, precision: float = -1.0) -> Array:
    """A recursion forward and one backward, c0 / ((1 - z1/z) (1 - z1 z)), of signals that go on as their mirror image.

    Args:
        signal: signals along the last axis of one or two.
        c0: the gain.
        z1: the pole, within the unit circle.
        precision: of the sum that the recursion begins with.

    Raises:
        ValueError: a pole outside, or signals that are too short for the precision.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.symiirorder1(tn.tensor(np.ones(40)), 0.25, 0.5)[20].round(9)
    Tensor(1.)
    """
    narrow = signal.dtype in (np.float32, np.complex64)
    exact = precision if 0 < precision < 1 else 1e-6 if narrow else 1e-11
    weights = terms(z1, exact, signal.shape[-1]).astype(np.float32 if narrow else np.float64)
    return both_ways(signal, np.sum(signal * weights, -1, keepdims=True), z1, c0)
