"""Splines through images, or near them, by recursions forward and backward along rows and columns."""

from __future__ import annotations

import functools
import importlib
import math

import numpy as np

from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed
from tapenet.scipy.ndimage.correlation import along_axis
from tapenet.scipy.signal.filtering import lfilter_on
from tapenet.scipy.signal.spline_curves import both_ways, terms
from tapenet.typing import Array


@functools.lru_cache(64)
def _starts(n: int, r: float, omega: float, precision: float) -> tuple[Array, Array]:
    """What the recursion of second order begins with, forward and backward, of each of the first and last n numbers."""
    splines = importlib.import_module("scipy.signal._spline")
    return splines.symiirorder2_ic_fwd(np.eye(n), r, omega, precision), splines.symiirorder2_ic_bwd(
        np.eye(n), r, omega, precision
    )


def _second_order(x: Array, r: float, omega: float, precision: float) -> Array:
    """The recursions of second order along the last axis."""
    n = x.shape[-1]
    reach = min(n, int(40 / -math.log(r)) + 8)  # beyond, what counts is less than rounding
    forward, backward = (m.astype(x.dtype) for m in _starts(reach, r, omega, precision))
    a2, a3 = 2 * r * math.cos(omega), -r * r
    b, a = np.array([1 - a2 - a3], x.dtype), np.array([1.0, -a2, -a3], x.dtype)

    def goes_on(rest: Array, before: Array) -> Array:
        older, newer = before[..., :1], before[..., 1:]
        found: Array
        found, _ = lfilter_on(b, a, rest, np.concatenate([a3 * older + a2 * newer, a3 * newer], -1))
        return found

    first, last = x[..., :reach] @ forward, x[..., n - reach :] @ backward
    there = np.concatenate([first, goes_on(x[..., 2:], first)], -1)
    back = np.concatenate([last, goes_on(np.flip(there, -1)[..., 2:], last)], -1)
    return np.flip(back, -1)


def _exactness(precision: float, narrow: bool, wide: float, less: float) -> float:
    return precision if 0 < precision < 1 else less if narrow else wide


@followed(
    "signal.symiirorder2", "input", gradients="input: the transposed filters over g",
    samples=lambda r: [sample(r.normal(size=60), 0.5, 0.4), sample(r.normal(size=(2, 40)), 0.4, 0.9, 1e-6)],
)  # fmt: skip
def symiirorder2(input: Array, r: float, omega: float, precision: float = -1.0) -> Array:
    """A recursion of second order forward and one backward, of signals that go on as their mirror image.

    Args:
        input: real signals along the last axis of one or two.
        r, omega: the size and angle of the poles.
        precision: of the sums that the recursions begin with.

    Raises:
        ValueError: poles outside of the unit circle, or signals that are too short for the precision.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.symiirorder2(tn.tensor(np.ones(60)), 0.5, 0.4)[30].round(9)
    Tensor(1.)
    """
    return _second_order(input, r, omega, _exactness(precision, input.dtype == np.float32, 1e-11, 1e-6))


def _first_order(x: Array, ratio: float, gain: float, precision: float) -> Array:
    weights = terms(ratio, precision, x.shape[-1]).astype(x.dtype)
    return both_ways(x, np.sum(x * weights, -1, keepdims=True), ratio, -ratio * gain)


def _along_both(x: Array, lamb: float, precision: float, ratio: float, gain: float) -> Array:
    """Coefficients along rows, then along columns."""
    precision = _exactness(precision, x.dtype == np.float32, 1e-6, 1e-3)
    if lamb > 1 / 144:
        root = math.sqrt(3 + 144 * lamb)
        xi = 1 - 96 * lamb + 24 * lamb * root
        omega = math.atan(math.sqrt((144 * lamb - 1.0) / xi))
        r = (24 * lamb - 1 - math.sqrt(xi)) / (24 * lamb) * math.sqrt(48 * lamb + 24 * lamb * root) / math.sqrt(xi)
    for _ in range(2):
        one = _second_order(x, r, omega, precision) if lamb > 1 / 144 else _first_order(x, ratio, gain, precision)
        x = np.swapaxes(one, 0, 1)
    return x


@followed(
    "signal.cspline2d", "signal", gradients="signal: the transposed filters over g",
    samples=lambda r: [sample(r.normal(size=(30, 32))), sample(r.normal(size=(40, 36)), 1.0)],
)  # fmt: skip
def cspline2d(signal: Array, lamb: float = 0.0, precision: float = -1.0) -> Array:
    """The coefficients of a cubic spline through an image, or near it.

    Args:
        signal: a real image.
        lamb: how smooth the spline is; 0 for one through the image.
        precision: of the sums that the recursions begin with.

    Raises:
        ValueError: an image that is too small for the precision.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.cspline2d(tn.tensor(np.ones((30, 30))))[15, 15].round(4)
    Tensor(1.)
    """
    return _along_both(signal, lamb, precision, -2 + math.sqrt(3), 6.0)


@followed(
    "signal.qspline2d", "signal", gradients="signal: the transposed filters over g",
    samples=lambda r: [sample(r.normal(size=(24, 26)))],
)  # fmt: skip
def qspline2d(signal: Array, lamb: float = 0.0, precision: float = -1.0) -> Array:
    """The coefficients of a quadratic spline through an image; the arguments are those of `cspline2d`, `lamb` is 0.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.qspline2d(tn.tensor(np.ones((30, 30))))[15, 15].round(4)
    Tensor(1.)
    """
    return _along_both(signal, 0.0, precision, -3 + 2 * math.sqrt(2), 8.0)


@followed(
    "signal.spline_filter", "Iin", gradients="Iin: the transposed filters over g",
    samples=lambda r: [sample(r.normal(size=(50, 52))), sample(r.normal(size=(30, 30)), 0.0)],
)  # fmt: skip
def spline_filter(Iin: Array, lmbda: float = 5.0) -> Array:
    """An image smoothed by a cubic spline.

    Args:
        Iin: a real image.
        lmbda: how smooth the spline is.

    Raises:
        ValueError: an image that is too small.
        TypeError: an image that is not of floats.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.spline_filter(tn.tensor(np.ones((60, 60))))[30, 30].round(4)
    Tensor(1.)
    """
    if Iin.dtype.kind == "c":
        raise NotImplementedError(
            "spline_filter has derivatives by real images: take real and imaginary part one by one"
        )
    weights = (np.array([1.0, 4.0, 1.0], np.float32) / 6.0).astype(np.float64)
    found: Array = _along_both(Iin, lmbda, -1.0, -2 + math.sqrt(3), 6.0)
    for axis in (-1, -2):
        found = along_axis(found, weights, axis, "reflect")
    return found
