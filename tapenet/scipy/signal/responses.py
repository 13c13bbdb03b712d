"""What filters do to each frequency."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from tapenet import ops
from tapenet.ops.derived import array_like, known
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed, scipys
from tapenet.scipy.signal.design import check_rate
from tapenet.typing import Array

if TYPE_CHECKING:
    from collections.abc import Callable

    from tapenet.autodiff.tensor import Tensor
    from tapenet.typing import ArrayLike

Frequencies = int | Array | None


def _count(worN: Frequencies, usual: int) -> int | None:
    """How many frequencies are asked for, where not which."""
    if worN is None:
        return usual
    number = isinstance(worN, (int, np.integer)) or (
        isinstance(worN, np.ndarray) and worN.ndim == 0 and worN.dtype.kind in "iu"
    )
    return int(worN) if number else None


def _angles(worN: Frequencies, whole: bool, fs: float, include_nyquist: bool = False) -> Array:
    """The frequencies, as angles from one sample to the next."""
    check_rate(fs)
    n = _count(worN, 512)
    if n is not None:
        return np.linspace(0, 2 * math.pi if whole else math.pi, n, endpoint=include_nyquist and not whole)
    points: Array = array_like(worN)
    w: Array = (points if points.ndim else np.atleast_1d(points)) * (2 * math.pi / fs)
    return w


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


def _analog_response(b: Array, a: Array, w: Array) -> Array:
    found: tuple[Array, Array] = scipys("signal.freqs")(b, a, w)  # type: ignore[assignment]
    return found[1]


@followed(
    _analog_response, "b", "a", "w", gradients="those of polynomials in i w",
    samples=lambda r: [sample(r.normal(size=2), np.array([1.0, 0.4, 0.7]), _POINTS)],
)  # fmt: skip
def analog_response(b: Array, a: Array, w: Array) -> Array:
    """The ratio of the polynomials with coefficients b and a, the highest first, at i w."""
    top, bottom = (
        ops.matmul(ops.multiply(1j ** np.arange(len(c)), w[:, np.newaxis] ** np.arange(len(c))), np.flip(c))
        for c in (b, a)
    )
    found: Array = ops.divide(top, bottom)
    return found


def freqs(
    b: ArrayLike, a: ArrayLike, worN: Frequencies = 200, plot: Callable[[Array, Array], object] | None = None
) -> tuple[Array, Array]:
    """The response of an analog filter.

    Args:
        b, a: the coefficients, the highest power first.
        worN: the angular frequencies, or how many: then they are chosen around the roots of b and a.
        plot: is called with the frequencies and the response.

    Raises:
        ValueError: a number of frequencies where a compiled program computes coefficients.

    >>> import tapenet as tn
    >>> w, h = tn.scipy.signal.freqs([1.0], tn.tensor([1.0, 1.0]), [0.0, 1.0])
    >>> abs(h).round(3)
    Tensor([1.   , 0.707])
    """
    b, a = np.atleast_1d(array_like(b)), np.atleast_1d(array_like(a))
    n = _count(worN, 200)
    if n is None:
        w = np.atleast_1d(array_like(worN))
    else:
        values = known(b), known(a)
        if any(v is None for v in values):
            raise ValueError(
                f"freqs: {n} frequencies are chosen by coefficients that a compiled program computes; pass them"
            )
        w = scipys("signal.findfreqs")(*values, n)  # type: ignore[assignment]
    h = analog_response(b, a, w)
    if plot is not None:
        plot(w, h)
    return w, h


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
        the frequencies and the delays. Where the filter has a zero or a pole there is none, and 0 takes its place.

    Warns:
        UserWarning: a frequency with a zero or a pole at most 10 eps away.

    >>> import tapenet as tn
    >>> tn.scipy.signal.group_delay((tn.tensor([0.0, 0.0, 1.0]), [1.0]), w=[0.5])[1].round(9)
    Tensor([2.])
    """
    angles = _angles(w, whole, fs)
    parts = []
    singular = np.zeros(angles.shape, bool)
    for c in system:
        c = np.atleast_1d(array_like(c))
        below = _polynomial(c, angles)
        values = known(below)
        if values is not None:
            near = abs(values) < 10 * np.finfo(float).eps
            if near.any():
                warnings.warn(f"group_delay: a zero or pole at the frequencies {known(angles)[near]}", stacklevel=2)
            singular = singular | (values == 0)
        parts.append(np.real(_polynomial(c * np.arange(len(c)), angles) / np.where(singular, 1.0, below)))
    return angles * (fs / (2 * math.pi)), np.where(singular, 0.0, parts[0] - parts[1])  # type: ignore[return-value]
