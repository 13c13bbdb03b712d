"""Filters that stop or pass one frequency."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tapenet import ops
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed, scipys
from tapenet.scipy.signal.design import check_rate
from tapenet.typing import Array

if TYPE_CHECKING:
    from collections.abc import Callable


def _parts(w0: Array, Q: Array | float, fs: Array | float) -> tuple[Array, Array]:
    """The gain 1 / (1 + tan(bandwidth / 2)), and the cosine of the frequency."""
    angle = ops.divide(ops.multiply(2 * math.pi, w0), fs)
    return 1 / (1 + ops.tan(ops.divide(angle, Q) / 2)), ops.cos(angle)


def _denominator(gain: Array, cosine: Array) -> Array:
    return np.stack([1 + 0 * gain, -2 * gain * cosine, 2 * gain - 1])


def _theirs(name: str) -> Callable[..., object]:
    """SciPy's function, with a rate of samples that it takes."""

    def values(w0: Array, Q: Array | float, fs: Array | float = 2.0) -> object:
        check_rate(fs)
        return scipys(f"signal.{name}")(w0, Q, np.asarray(fs).item())

    return values


@followed(
    _theirs("iirnotch"), "w0", "Q", "fs", outputs=2, gradients="those of 1/(1 + tan(π w0/(Q fs))) and cos(2π w0/fs)",
    samples=lambda r: [sample(np.array(0.4), np.array(5.0), np.array(3.0)), sample(np.array(0.4), np.array(5.0))],
)  # fmt: skip
def iirnotch(w0: Array, Q: Array | float, fs: Array | float = 2.0) -> tuple[Array, Array]:
    """The coefficients of a filter that stops the frequency `w0`. There are gradients by all arguments.

    Args:
        w0: the frequency, in units of half the rate of the samples, or as `fs` says.
        Q: the frequency by the width of the band, at half of the power.
        fs: the rate of the samples.

    Raises:
        ValueError: a frequency that is not between 0 and half the rate, or what is no rate.

    >>> import tapenet as tn
    >>> tn.scipy.signal.iirnotch(tn.tensor(0.5), 1.0)[0].round(6)
    Tensor([ 0.5, -0. ,  0.5])
    """
    gain, cosine = _parts(w0, Q, fs)
    return np.stack([gain, -2 * gain * cosine, gain]), _denominator(gain, cosine)


@followed(
    _theirs("iirpeak"), "w0", "Q", "fs", outputs=2, gradients="those of 1/(1 + tan(π w0/(Q fs))) and cos(2π w0/fs)",
    samples=lambda r: [sample(np.array(0.4), np.array(5.0), np.array(3.0)), sample(np.array(0.4), np.array(5.0))],
)  # fmt: skip
def iirpeak(w0: Array, Q: Array | float, fs: Array | float = 2.0) -> tuple[Array, Array]:
    """The coefficients of a filter that passes the frequency `w0` alone; the arguments are those of `iirnotch`.

    >>> import tapenet as tn
    >>> tn.scipy.signal.iirpeak(tn.tensor(0.5), 1.0)[0].round(6)
    Tensor([ 0.5,  0. , -0.5])
    """
    gain, cosine = _parts(w0, Q, fs)
    return np.stack([1 - gain, 0 * gain, gain - 1]), _denominator(gain, cosine)
