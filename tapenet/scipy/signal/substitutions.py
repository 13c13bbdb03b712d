"""Filters of other ones, by a ratio of polynomials in the place of the variable: on coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.scipy.signal.design import check_rate
from tapenet.scipy.signal.normalization import normalize
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

Coefficients = tuple[Array, Array]


def _put(b: ArrayLike, a: ArrayLike, top: Array, bottom: Array) -> Coefficients:
    """Σ c[k] top^k bottom^(n - k) for the numerator and the denominator, n the larger degree; the denominator begins with 1."""
    parts = [np.atleast_1d(array_like(c)) for c in (b, a)]
    n = max(c.shape[0] for c in parts) - 1
    made = []
    for c in parts:
        power = np.ones(1)
        for _ in range(n + 1 - c.shape[0]):
            power = np.convolve(power, bottom)
        found = c[0] * power
        # Horner's scheme, in which a step multiplies what is lower by one more of `bottom`
        for k in range(1, c.shape[0]):
            power = np.convolve(power, bottom)
            found = _sum(np.convolve(found, top), c[k] * power)
        made.append(found)
    return normalize(*made)


def _sum(a: Array, b: Array) -> Array:
    """The sum of two polynomials."""
    n = max(a.shape[0], b.shape[0])
    first, second = (np.concatenate([np.zeros(n - c.shape[0]), c]) for c in (a, b))
    total: Array = first + second
    return total


def bilinear(b: ArrayLike, a: ArrayLike, fs: ArrayLike = 1.0) -> Coefficients:
    """A digital filter of an analog one, by s = 2 fs (z - 1) / (z + 1). There are gradients by coefficients and rate.

    Raises:
        ValueError: coefficients with several axes, or what is no rate.

    >>> import tapenet as tn
    >>> tn.scipy.signal.bilinear([1.0], tn.tensor([1.0, 1.0]))[1].round(6)
    Tensor([ 1.      , -0.333333])
    """
    check_rate(fs)
    parts = [np.atleast_1d(array_like(c)) for c in (b, a)]
    for i, c in enumerate(parts):
        if c.ndim != 1:
            raise ValueError(f"bilinear: Parameter {'ba'[i]} is not a 1d array since it has shape {c.shape}")
        values = known(c)
        if values is not None:
            parts[i] = c[c.shape[0] - len(np.trim_zeros(np.asarray(values), "f")) :]
    return _put(parts[0], parts[1], 2 * array_like(fs) * np.array([1.0, -1.0]), np.array([1.0, 1.0]))


def lp2lp(b: ArrayLike, a: ArrayLike, wo: ArrayLike = 1.0) -> Coefficients:
    """An analog low-pass filter with its edge at `wo` in the place of 1. There are gradients by all arguments.

    >>> import tapenet as tn
    >>> tn.scipy.signal.lp2lp([1.0], [1.0, 1.0], tn.tensor(2.0))
    (Tensor([2.]), Tensor([1., 2.]))
    """
    return _put(b, a, np.array([1.0, 0.0]), np.reshape(array_like(wo), 1))


def lp2hp(b: ArrayLike, a: ArrayLike, wo: ArrayLike = 1.0) -> Coefficients:
    """A high-pass filter with its edge at `wo` of an analog low-pass filter with its edge at 1.

    >>> import tapenet as tn
    >>> tn.scipy.signal.lp2hp([1.0], [1.0, 1.0], tn.tensor(2.0))
    (Tensor([1., 0.]), Tensor([1., 2.]))
    """
    return _put(b, a, np.reshape(array_like(wo), 1), np.array([1.0, 0.0]))


def _band(wo: ArrayLike, bw: ArrayLike) -> tuple[Array, Array]:
    """s² + wo², and s bw."""
    one, none = np.ones(1), np.zeros(1)
    square = np.reshape(array_like(wo), 1) ** 2
    return np.concatenate([one, none, square]), np.concatenate([np.reshape(array_like(bw), 1), none])


def lp2bp(b: ArrayLike, a: ArrayLike, wo: ArrayLike = 1.0, bw: ArrayLike = 1.0) -> Coefficients:
    """A band-pass filter around `wo`, `bw` wide, of an analog low-pass filter with its edge at 1.

    >>> import tapenet as tn
    >>> tn.scipy.signal.lp2bp([1.0], [1.0, 1.0], 1.0, tn.tensor(2.0))
    (Tensor([2., 0.]), Tensor([1., 2., 1.]))
    """
    return _put(b, a, *_band(wo, bw))


def lp2bs(b: ArrayLike, a: ArrayLike, wo: ArrayLike = 1.0, bw: ArrayLike = 1.0) -> Coefficients:
    """A band-stop filter around `wo`, `bw` wide, of an analog low-pass filter with its edge at 1.

    >>> import tapenet as tn
    >>> tn.scipy.signal.lp2bs([1.0], [1.0, 1.0], 1.0, tn.tensor(2.0))
    (Tensor([1., 0., 1.]), Tensor([1., 2., 1.]))
    """
    return _put(b, a, *reversed(_band(wo, bw)))
