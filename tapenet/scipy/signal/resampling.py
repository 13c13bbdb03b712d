"""Signals at another rate: by their Fourier transform, or by a filter."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from tapenet import ops
from tapenet.ops.derived import array_like
from tapenet.ops.fft.transforms import fft, ifft, irfft, rfft
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed, scipys
from tapenet.scipy.signal.broadcasting import along
from tapenet.scipy.signal.convolution import fftconvolve
from tapenet.scipy.signal.extension import part
from tapenet.scipy.signal.filtering import sosfilt_only, sosfiltfilt_by
from tapenet.typing import Array

Window = str | float | tuple[str | float, ...] | Array | Callable[[Array], Array] | None


def resampled_spectrum(spectrum: Array, num: int) -> Array:
    """A whole spectrum, along the last axis, of another length: the frequency in the middle of an even number is two."""
    n = spectrum.shape[-1]
    if num == n:
        return spectrum
    m = min(num, n)
    k = m // 2
    first, last = spectrum[..., : k + 1], spectrum[..., n - (m - k - 1) :]
    nothing = np.zeros((*spectrum.shape[:-1], max(num - m, 0)), spectrum.dtype)
    if m % 2:
        return np.concatenate([first, nothing, last], -1)
    middle = spectrum[..., k : k + 1]
    if num < n:
        middle = middle + spectrum[..., n - k : n - k + 1]
        return np.concatenate([first[..., :-1], middle, last], -1)
    half = middle / 2
    return np.concatenate([first[..., :-1], half, nothing[..., 1:], half, last], -1)


def _spectral_weights(window: Window, n: int) -> Array:
    """The weight of each frequency."""
    if callable(window):
        return np.asarray(window(np.fft.fftfreq(n)))
    if hasattr(window, "shape"):
        return np.asarray(window)
    found: Array = np.fft.fftshift(scipys("signal.get_window")(window, n))  # type: ignore[call-overload]
    return found


def _resampled(x: Array, num: int, axis: int, window: Window, domain: str) -> Array:
    x = np.moveaxis(x, axis, -1)
    n = x.shape[-1]
    weights = None if window is None else _spectral_weights(window, n)
    if domain == "time" and x.dtype.kind != "c":
        spectrum = rfft(x)
        half, m = spectrum.shape[-1], min(num, n)
        factors = np.ones(half)
        if weights is not None:
            factors = weights[:half].copy()
            factors[1:] = (factors[1:] + np.flip(weights[n - half + 1 :])) / 2
        factors = factors[: m // 2 + 1]
        if m % 2 == 0 and num != n:
            factors[m // 2] *= 2 if num < n else 0.5
        spectrum = ops.multiply(spectrum[..., : m // 2 + 1], along(factors * (num / n), -1, x.ndim, x.dtype))
        found = irfft(spectrum, num)
    else:
        spectrum = fft(x) if domain == "time" else x
        if weights is not None:
            spectrum = ops.multiply(spectrum, along(weights, -1, x.ndim, x.dtype))
        found = ifft(resampled_spectrum(spectrum, num) * (num / n))
    return np.moveaxis(found, -1, axis)


@followed(
    lambda x, num, axis, window, domain: scipys("signal.resample")(x, num, None, axis, window, domain), "x",
    name="resample",
    gradients="x: the transposed resampling of g",
    samples=lambda r: [
        sample(r.normal(size=(6, 2)), 4),
        sample(r.normal(size=5), 8, window=("kaiser", 2.0)),
        sample(r.normal(size=(2, 6)) + 1j * r.normal(size=(2, 6)), 9, axis=1),
        sample(r.normal(size=6) + 1j, 4, domain="freq"),
    ],
)  # fmt: skip
def resampled(
    x: Array, num: int, axis: int = 0, window: Window = None, domain: Literal["time", "freq"] = "time"
) -> Array:
    """`resample` without times."""
    return _resampled(x, num, axis, window, domain)


def resample(
    x: Array, num: int, t: Sequence[float] | Array | None = None, axis: int = 0, window: Window = None,
    domain: Literal["time", "freq"] = "time",
) -> Array | tuple[Array, Array]:  # fmt: skip
    """Signals of a period with another number of samples, by their Fourier transform.

    Args:
        x: an array, real or complex.
        num: how many samples to give.
        t: the times of the samples, evenly spaced; then those of the new ones are returned too.
        axis: along which.
        window: weights of the frequencies, as a name, array or function.
        domain: "time", or "freq" for x that is a transform.

    Raises:
        ValueError: another domain, or a window of another length.

    >>> import tapenet as tn
    >>> tn.scipy.signal.resample(tn.tensor([1.0, 0.0, -1.0, 0.0]), 8).round(3)[:3]
    Tensor([1.   , 0.707, 0.   ])
    """
    found: Array = resampled(x, num, axis, window, domain)
    if t is None:
        return found
    times = array_like(t)
    return found, times[0] + (times[1] - times[0]) * (array_like(x).shape[axis] / num) * np.arange(num)


def _stretched(x: Array, up: int) -> Array:
    """A signal along the last axis with zeros in between."""
    if up == 1:
        return x
    gaps = np.zeros((*x.shape, up - 1), x.dtype)
    return np.concatenate([x[..., np.newaxis], gaps], -1).reshape(*x.shape[:-1], x.shape[-1] * up)[
        ..., : x.shape[-1] * up - up + 1
    ]


@followed(
    "signal.upfirdn", "h", "x",
    gradients="h, x: the transposed of stretching, convolving and thinning out",
    samples=lambda r: [
        sample(r.normal(size=3), r.normal(size=5)),
        sample(r.normal(size=4), r.normal(size=(3, 2)), 3, 2, 0),
        sample(r.normal(size=2), r.normal(size=(2, 4)), 1, 2),
        sample(r.normal(size=1), r.normal(size=2), 3, 1),
    ],
)  # fmt: skip
def upfirdn(
    h: Array, x: Array, up: int = 1, down: int = 1, axis: int = -1, mode: str = "constant", cval: float = 0
) -> Array:
    """Put zeros between samples, convolve with a filter, and keep each sample in so many.

    Args:
        h: the filter, of one axis.
        x: signals.
        up: how many samples each becomes.
        down: of how many samples one is kept.
        axis: along which.
        mode, cval: what is beyond the ends; derivatives are those with "constant" and 0.

    Raises:
        ValueError: a filter with other than one axis, or numbers below 1.

    >>> import tapenet as tn
    >>> tn.scipy.signal.upfirdn([1.0, 0.5], tn.tensor([1.0, 2.0]), 2)
    Tensor([1. , 0.5, 2. , 1. ])
    """
    if mode != "constant" or cval != 0:
        raise NotImplementedError(
            f"upfirdn has no derivative with mode={mode!r}, cval={cval}: extend the signal by np.pad, and use mode='constant'"
        )
    x = np.moveaxis(x, axis, -1)
    kernel = h.reshape((1,) * (x.ndim - 1) + h.shape)
    found = fftconvolve(_stretched(x, up), kernel, axes=-1)[..., ::down]
    return np.moveaxis(found, -1, axis)


def _centred(h: Array, half: int, n: int, up: int, down: int) -> tuple[Array, int, int]:
    """A filter between zeros, so that the middle of a result is kept, and from where to where it lies."""
    wanted = -(-n * up // down)
    before = down - half % down
    first = (half + before) // down
    after = 0
    while ((n - 1) * up + len(h) + before + after - 1) // down + 1 < wanted + first:
        after += 1
    return np.pad(h, (before, after)), first, first + wanted


@followed(
    "signal.resample_poly", "x", gradients="x: the transposed of stretching, convolving and thinning out",
    samples=lambda r: [
        sample(r.normal(size=(6, 2)), 3, 2),
        sample(r.normal(size=(2, 5)), 2, 4, axis=1, window="hamming"),
        sample(r.normal(size=5), 3, 2, padtype="mean"),
    ],
)  # fmt: skip
def resample_poly(
    x: Array, up: int, down: int, axis: int = 0, window: str | tuple[str | float, ...] | Array = ("kaiser", 5.0),
    padtype: str = "constant", cval: float | None = None,
) -> Array:  # fmt: skip
    """Signals at up/down of their rate, by a filter.

    Args:
        x: signals.
        up, down: positive integers.
        axis: along which.
        window: that of the filter, or the filter.
        padtype: what is taken off before, and added behind: "constant" (nothing), "mean", "median", "minimum", "maximum".
        cval: what is beyond the ends; derivatives are those with 0.

    Raises:
        ValueError: rates that are no positive integers, or an unknown option.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.resample_poly(tn.tensor(np.ones(4)), 1, 2).shape
    (2,)
    """
    averages = {"mean": np.mean, "median": np.median, "minimum": np.min, "maximum": np.max}
    if padtype not in ("constant", *averages) or cval:
        raise NotImplementedError(
            f"resample_poly has no derivative with padtype={padtype!r}, cval={cval}: extend the signal by np.pad, and use "
            "padtype='constant'"
        )
    divisor = math.gcd(up, down)
    up, down = up // divisor, down // divisor
    if up == down == 1:
        return x * 1
    if isinstance(window, (list, np.ndarray)):
        h = np.array(window)
        half = (h.size - 1) // 2
    else:
        half = 10 * max(up, down)
        h = scipys("signal.firwin")(2 * half + 1, 1 / max(up, down), window=window)  # type: ignore[assignment]
    h, first, last = _centred(
        (h * up).astype(x.dtype if x.dtype.kind in "fc" else float), half, x.shape[axis], up, down
    )
    level = averages[padtype](x, axis=axis, keepdims=True) if padtype in averages else 0  # type: ignore[operator]
    found: Array = part(upfirdn(h, x - level, up, down, axis), slice(first, last), axis) + level
    return found


@followed(
    "signal.decimate", "x", gradients="x: the transposed filter over g",
    samples=lambda r: [
        sample(r.normal(size=(30, 2)), 2, axis=0),
        sample(r.normal(size=8), 2, 4, zero_phase=False),
        sample(r.normal(size=9), 3, 6, "fir"),
    ],
)  # fmt: skip
def decimate(
    x: Array,
    q: int,
    n: int | None = None,
    ftype: Literal["iir", "fir"] = "iir",
    axis: int = -1,
    zero_phase: bool = True,
) -> Array:
    """Each q-th sample of signals, behind a filter against the frequencies that these cannot hold.

    Args:
        x: signals.
        q: of how many samples one is kept.
        n: the order of the filter, by default 8 ("iir") or 20 q ("fir").
        ftype: "iir" (Chebyshev, of the first kind) or "fir" (a Hamming window).
        axis: along which.
        zero_phase: whether to filter without a delay.

    Raises:
        ValueError: a signal that is too short, or another kind of filter.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.decimate(tn.tensor(np.ones(40)), 2).round(6)[:2]
    Tensor([0.988553, 0.988553])
    """
    kind = x.dtype if x.dtype.kind in "fc" else np.dtype(float)
    axis = axis if axis < 0 else axis - x.ndim
    if ftype == "fir":
        h = scipys("signal.firwin")((20 * q if n is None else n) + 1, 1.0 / q, window="hamming").astype(kind)  # type: ignore[attr-defined]
        if zero_phase:
            found: Array = resample_poly(x, 1, q, axis, h)
            return found
        return part(upfirdn(h, x, 1, q, axis), slice(0, -(-x.shape[axis] // q)), axis)
    if ftype != "iir":
        raise NotImplementedError(
            "decimate has derivatives with ftype='iir' and 'fir': filter by sosfilt, and take x[::q]"
        )
    sos = scipys("signal.cheby1")(8 if n is None else n, 0.05, 0.8 / q, output="sos").astype(kind)  # type: ignore[attr-defined]
    if zero_phase:
        zeros = np.sum(sos[:, [2, 5]] == 0, axis=0)
        x = sosfiltfilt_by(sos, x, axis, "odd", 3 * (2 * len(sos) + 1 - int(min(zeros))))
    else:
        x = sosfilt_only(sos, x, axis)
    return part(x, slice(None, None, q), axis)
