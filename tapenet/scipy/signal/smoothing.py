"""Signals smoothed, or with their trends taken away."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed, scipys
from tapenet.scipy.ndimage.correlation import along_axis
from tapenet.scipy.ndimage.windows import median_filter
from tapenet.scipy.signal.broadcasting import along
from tapenet.scipy.signal.convolution import correlate
from tapenet.scipy.signal.extension import part
from tapenet.typing import Array

_coefficients = scipys("signal.savgol_coeffs")


@functools.lru_cache(64)
def _edge(length: int, order: int, deriv: int, delta: float, first: int, last: int) -> Array:
    """The matrix that makes of `length` numbers the values, or derivatives, of the polynomial that fits them best, from a place
    to another one."""
    places = np.arange(length, dtype=float)
    found = np.zeros((last - first, length))
    for k, unit in enumerate(np.eye(length)):
        polynomial = np.polyder(np.poly1d(np.polyfit(places, unit, order)), deriv)
        found[:, k] = polynomial(np.arange(first, last, dtype=float)) / delta**deriv
    return found


@followed(
    "signal.savgol_filter", "x", gradients="x: the transposed filter over g",
    samples=lambda r: [
        sample(r.normal(size=7), 5, 2),
        sample(r.normal(size=(6, 2)), 3, 1, 1, 0.5, 0),
        sample(r.normal(size=6), 4, 2, mode="nearest"),
    ],
)  # fmt: skip
def savgol_filter(
    x: Array, window_length: int, polyorder: int, deriv: int = 0, delta: float = 1.0, axis: int = -1, mode: str = "interp",
    cval: float = 0.0,
) -> Array:  # fmt: skip
    """Signals smoothed by polynomials that fit the samples around each one best (Savitzky and Golay), or their derivatives.

    Args:
        x: real numbers.
        window_length: how many samples a polynomial fits.
        polyorder: its degree.
        deriv: which derivative to give.
        delta: the time between samples.
        axis: along which.
        mode: "interp", the polynomials of the first and last samples at the ends; or what is beyond these, as for
            `ndimage.correlate1d`.
        cval: what is beyond the ends with "constant".

    Raises:
        ValueError: a window that is longer than the signal, or not longer than the degree, or another mode.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.savgol_filter(tn.tensor(np.arange(7.0) ** 2), 5, 2, deriv=2).round(9)
    Tensor([2., 2., 2., 2., 2., 2., 2.])
    """
    weights = np.flip(np.asarray(_coefficients(window_length, polyorder, deriv=deriv, delta=delta)))
    moved = -(window_length % 2 == 0)
    axis = axis if axis < 0 else axis - x.ndim
    if mode != "interp":
        smooth: Array = along_axis(x, weights, axis, mode, cval, moved)
        return smooth
    half, n = window_length // 2, x.shape[axis]
    smooth = along_axis(x, weights, axis, "constant", 0.0, moved)
    ends = []
    for place, first, last in (
        (slice(0, window_length), 0, half),
        (slice(n - window_length, n), window_length - half, window_length),
    ):
        matrix = _edge(window_length, polyorder, deriv, float(delta), first, last).astype(x.dtype)
        ends.append(np.moveaxis(np.moveaxis(part(x, place, axis), axis, -1) @ matrix.T, -1, axis))
    return np.concatenate([ends[0], part(smooth, slice(half, n - half), axis), ends[1]], axis)


@followed(
    "signal.detrend", "data", gradients="data: g without its trend",
    samples=lambda r: [
        sample(r.normal(size=6)),
        sample(r.normal(size=(5, 2)), 0, "constant"),
        sample(r.normal(size=(2, 7)), bp=3),
    ],
)  # fmt: skip
def detrend(
    data: Array, axis: int = -1, type: Literal["linear", "constant"] = "linear", bp: int | Sequence[int] = 0,
    overwrite_data: bool = False,
) -> Array:  # fmt: skip
    """Signals without the line that fits them best, or without their mean.

    Args:
        data: an array.
        axis: along which.
        type: "linear" or "constant".
        bp: where one line ends and another one begins.
        overwrite_data: data are never overwritten.

    Raises:
        ValueError: another type, or a break beyond the end.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.detrend(tn.tensor([1.0, 2.0, 3.0, 5.0])).round(9)
    Tensor([ 0.2, -0.1, -0.4,  0.3])
    """
    if type in ("constant", "c"):
        level: Array = np.mean(data, axis, keepdims=True)
        return data - level
    x = np.moveaxis(data, axis, -1)
    n = x.shape[-1]
    breaks = sorted({0, n, *np.atleast_1d(bp).tolist()})
    parts = [_without_line(x[..., i:j]) for i, j in itertools.pairwise(breaks)]
    whole: Array = np.moveaxis(np.concatenate(parts, -1), -1, axis)
    return whole


def _without_line(x: Array) -> Array:
    n = x.shape[-1]
    if n < 3:
        return x * 0
    line = np.arange(1, n + 1) - (n + 1) / 2
    line = along(line / math.sqrt((line * line).sum()), -1, x.ndim, x.dtype)
    found: Array = x - np.mean(x, -1, keepdims=True) - np.sum(x * line, -1, keepdims=True) * line
    return found


@followed(
    "signal.wiener", "im", gradients="that of the local means and variances",
    samples=lambda r: [sample(r.normal(size=6)), sample(r.normal(size=(4, 5)), (3, 3), 0.4)],
)  # fmt: skip
def wiener(im: Array, mysize: int | Sequence[int] | None = None, noise: float | None = None) -> Array:
    """An image without noise, by its local means and variances (Wiener's filter).

    Args:
        im: an array.
        mysize: the numbers of places around each along the axes, or one for all; odd, by default 3.
        noise: the power of the noise, by default the mean of the local variances.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.wiener(tn.tensor([0.0, 3.0, 1.0, 0.0, 2.0])).shape
    (5,)
    """
    sizes = (3,) * im.ndim if mysize is None else (mysize,) * im.ndim if isinstance(mysize, int) else tuple(mysize)
    count = float(math.prod(sizes))
    window = np.ones(sizes)
    mean = correlate(im, window, "same") / count
    variance = correlate(im * im, window, "same") / count - mean * mean
    level = np.mean(variance) if noise is None else noise
    low = variance < level
    return np.where(low, mean, mean + (im - mean) * (1 - level / np.where(low, 1, variance)))


@followed(
    "signal.medfilt", "volume", gradients="volume: g, where the median was",
    samples=lambda r: [sample(r.normal(size=6)), sample(r.normal(size=(4, 5)), [1, 3])],
)  # fmt: skip
def medfilt(volume: Array, kernel_size: int | Sequence[int] | None = None) -> Array:
    """The median of what is around each place, zeros beyond the ends.

    Args:
        volume: an array of real numbers.
        kernel_size: how many numbers along the axes, or along all; odd, by default 3.

    Raises:
        ValueError: an even number.

    >>> import tapenet as tn
    >>> tn.scipy.signal.medfilt(tn.tensor([1.0, 5.0, 2.0]))
    Tensor([1., 2., 2.])
    """
    size = 3 if kernel_size is None else kernel_size
    found: Array = median_filter(volume, size, mode="constant")
    return found
