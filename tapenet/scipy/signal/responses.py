"""What filters do to each frequency."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tapenet import ops
from tapenet.ops.derived import array_like
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.autodiff.tensor import Tensor
    from tapenet.typing import ArrayLike

Frequencies = int | Array | None


def _angles(worN: Frequencies, whole: bool, fs: float, include_nyquist: bool = False) -> Array:
    """The frequencies, as angles from one sample to the next."""
    if worN is None or isinstance(worN, (int, np.integer)):
        n = 512 if worN is None else int(worN)
        return np.linspace(0, 2 * math.pi if whole else math.pi, n, endpoint=include_nyquist and not whole)
    return (worN if getattr(worN, "ndim", 0) else np.atleast_1d(worN)) * (2 * math.pi / fs)


def _polynomial(c: Array, w: Array) -> Array:
    """Σ c_k exp(-i w k)."""
    found: Array = ops.matmul(ops.exp(ops.multiply(-1j, w[:, np.newaxis] * np.arange(len(c)))), c)
    return found


_POINTS = np.array([0.1, 0.7, 2.0])


@followed(
    "signal.freqz", "b", "a", "worN", outputs=2, gradients="those of Σ c_k exp(-i w k)",
    samples=lambda r: [
        sample(r.normal(size=3), np.array([1.0, -0.4]), _POINTS),
        sample(r.normal(size=2), np.array([2.0, 0.3, 0.2]), 4, True, fs=2.0),
        sample(r.normal(size=4), worN=5),
    ],
)  # fmt: skip
def freqz(
    b: Array, a: Array | float = 1, worN: Frequencies = 512, whole: bool = False, plot: None = None, fs: float = 2 * math.pi,
    include_nyquist: bool = False,
) -> tuple[Array, Array]:  # fmt: skip
    """The response of a digital filter at frequencies.

    Args:
        b, a: the coefficients, of one axis.
        worN: the frequencies, or how many.
        whole: whether these go around the whole circle.
        plot: None.
        fs: the rate of the samples.
        include_nyquist: whether the last of so many is fs/2.

    Returns:
        the frequencies, and the response, complex.

    >>> import tapenet as tn
    >>> w, h = tn.scipy.signal.freqz(tn.tensor([0.5, 0.5]), worN=[0.0, 3.141592653589793])
    >>> abs(h).round(9)
    Tensor([1., 0.])
    """
    w = _angles(worN, whole, fs, include_nyquist)
    h = _polynomial(b, w)
    if getattr(a, "ndim", 0):
        h = ops.divide(h, _polynomial(a, w))  # type: ignore[arg-type]
    elif not isinstance(a, (int, float)) or a != 1:
        h = ops.divide(h, a)
    return w * (fs / (2 * math.pi)), h


@followed(
    "signal.freqz_sos", "sos", "worN", outputs=2, gradients="that of the product of the sections' responses",
    samples=lambda r: [
        sample(np.array([[1.0, 0.5, 0.2, 1.0, -0.3, 0.2], [0.7, 0.1, 0.4, 1.0, 0.4, 0.1]]), _POINTS),
    ],
)  # fmt: skip
def freqz_sos(sos: Array, worN: Frequencies = 512, whole: bool = False, fs: float = 2 * math.pi) -> tuple[Array, Array]:
    """The response of a cascade of sections of second order; the arguments are those of `freqz`.

    >>> import tapenet as tn
    >>> w, h = tn.scipy.signal.freqz_sos(tn.tensor([[0.5, 0.5, 0.0, 1.0, 0.0, 0.0]]), [0.0])
    >>> abs(h).round(9)
    Tensor([1.])
    """
    w = _angles(worN, whole, fs)
    h: Array = np.ones(())
    for section in range(len(sos)):
        h = ops.multiply(h, ops.divide(_polynomial(sos[section, :3], w), _polynomial(sos[section, 3:], w)))
    return w * (fs / (2 * math.pi)), h


sosfreqz = freqz_sos


@followed(
    "signal.freqs", "b", "a", "worN", outputs=2, gradients="those of polynomials in i w",
    samples=lambda r: [sample(r.normal(size=2), np.array([1.0, 0.4, 0.7]), _POINTS)],
)  # fmt: skip
def freqs(b: Array, a: Array, worN: Array, plot: None = None) -> tuple[Array, Array]:
    """The response of an analog filter at angular frequencies `worN`.

    >>> import tapenet as tn
    >>> w, h = tn.scipy.signal.freqs([1.0], tn.tensor([1.0, 1.0]), [0.0, 1.0])
    >>> abs(h).round(3)
    Tensor([1.   , 0.707])
    """
    w = worN if getattr(worN, "ndim", 0) else np.atleast_1d(worN)
    top, bottom = (
        ops.matmul(ops.multiply(1j ** np.arange(len(c)), w[:, np.newaxis] ** np.arange(len(c))), np.flip(c))
        for c in (b, a)
    )
    return w, ops.divide(top, bottom)


def freqz_zpk(
    z: ArrayLike, p: ArrayLike, k: ArrayLike, worN: Frequencies = 512, whole: bool = False, fs: float = 2 * math.pi
) -> tuple[Array, Tensor]:
    """The response of a digital filter that is given by its zeros, poles and gain; the others are as for `freqz`.

    >>> import tapenet as tn
    >>> w, h = tn.scipy.signal.freqz_zpk([-1.0], [0.0], tn.tensor(0.5), [0.0])
    >>> abs(h)
    Tensor([1.])
    """
    w = _angles(worN, whole, fs)
    point = np.exp(1j * w)[:, np.newaxis]
    top, bottom = (np.prod(ops.subtract(point, array_like(roots)), -1) for roots in (z, p))
    h: Tensor = k * top / bottom
    return w * (fs / (2 * math.pi)), h


def group_delay(
    system: tuple[ArrayLike, ArrayLike], w: Frequencies = 512, whole: bool = False, fs: float = 2 * math.pi
) -> tuple[Array, Tensor]:
    """By how many samples a digital filter delays each frequency: -dφ/dw for a phase φ.

    Args:
        system: the coefficients b, a.
        w, whole, fs: as `worN`, `whole` and `fs` of `freqz`.

    Returns:
        the frequencies and the delays. Where the response is 0 there is none: a delay is inf or nan there.

    >>> import tapenet as tn
    >>> tn.scipy.signal.group_delay((tn.tensor([0.0, 0.0, 1.0]), [1.0]), w=[0.5])[1].round(9)
    Tensor([2.])
    """
    angles = _angles(w, whole, fs)
    parts = []
    for c in system:
        c = np.atleast_1d(array_like(c))
        parts.append(np.real(_polynomial(c * np.arange(len(c)), angles) / _polynomial(c, angles)))
    return angles * (fs / (2 * math.pi)), parts[0] - parts[1]  # type: ignore[return-value]
