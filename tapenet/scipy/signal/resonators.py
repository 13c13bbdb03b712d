"""Filters that stop or pass one frequency."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _parts(name: str, w0: ArrayLike, Q: ArrayLike, fs: ArrayLike) -> tuple[Array, Array]:
    """The gain 1 / (1 + tan(bandwidth / 2)), and the cosine of the frequency."""
    w0, Q, fs = (array_like(v) for v in (w0, Q, fs))
    angle = 2 * math.pi * w0 / fs
    value = known(angle)
    if value is not None and not 0 < value < math.pi:
        raise ValueError(f"{name}: w0 should be such that 0 < w0 < {known(fs) / 2}, half the rate of the samples")
    return 1 / (1 + np.tan(angle / Q / 2)), np.cos(angle)


def _denominator(gain: Array, cosine: Array) -> Array:
    return np.stack([1 + 0 * gain, -2 * gain * cosine, 2 * gain - 1])


def iirnotch(w0: ArrayLike, Q: ArrayLike, fs: ArrayLike = 2.0) -> tuple[Array, Array]:
    """The coefficients of a filter that stops the frequency `w0`. There are gradients by all arguments.

    Args:
        w0: the frequency, in units of half the rate of the samples, or as `fs` says.
        Q: the frequency by the width of the band, at half of the power.
        fs: the rate of the samples.

    Raises:
        ValueError: a frequency that is not between 0 and half the rate.

    >>> import tapenet as tn
    >>> tn.scipy.signal.iirnotch(tn.tensor(0.5), 1.0)[0].round(6)
    Tensor([ 0.5, -0. ,  0.5])
    """
    gain, cosine = _parts("iirnotch", w0, Q, fs)
    return np.stack([gain, -2 * gain * cosine, gain]), _denominator(gain, cosine)


def iirpeak(w0: ArrayLike, Q: ArrayLike, fs: ArrayLike = 2.0) -> tuple[Array, Array]:
    """The coefficients of a filter that passes the frequency `w0` alone; the arguments are those of `iirnotch`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.iirpeak(tn.tensor(0.5), 1.0)[0].round(6)
    Tensor([ 0.5,  0. , -0.5])
    """
    gain, cosine = _parts("iirpeak", w0, Q, fs)
    return np.stack([1 - gain, 0 * gain, gain - 1]), _denominator(gain, cosine)
