"""Spectra of signals over time, and on average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from tapenet import ops
from tapenet.ops.elementwise.complex import conjugate, imag, real
from tapenet.ops.fft.transforms import fft, ifft, irfft, rfft
from tapenet.ops.registry import Sample, sample
from tapenet.scipy.followed import followed, scipys
from tapenet.scipy.signal.extension import Extension, extended
from tapenet.scipy.signal.smoothing import detrend as without_trend
from tapenet.typing import Array

Window = str | float | tuple[str | float, ...] | Array
Detrend = str | Literal[False] | Callable[[Array], Array]
Scaling = Literal["density", "spectrum", "psd"]


def _window(window: Window, nperseg: int | None, length: int, default: int = 256) -> tuple[Array, int]:
    """The window of each segment, and how long that is."""
    if isinstance(window, (str, tuple, float)):
        n = min(default if nperseg is None else int(nperseg), length)
        return np.asarray(scipys("signal.get_window")(window, n)), n
    return np.asarray(window), len(window)


def _segments(x: Array, n: int, step: int) -> Array:
    """The segments of a signal along the last axis, which overlap: along a new axis before that."""
    places = np.arange(0, x.shape[-1] - n + 1, step)[:, np.newaxis] + np.arange(n)
    return x[..., places]


def _transformed(
    x: Array, window: Array, n: int, step: int, nfft: int, detrend: Detrend, onesided: bool, factor: float
) -> Array:
    """The transforms of a signal's segments, times a factor: along the last axis, the segments before."""
    parts = _segments(x, n, step)
    if callable(detrend):
        parts = detrend(parts)
    elif detrend:
        parts = without_trend(parts, -1, detrend)
    precise = x.dtype.itemsize > (8 if x.dtype.kind == "c" else 4)
    weights = (window * factor).astype(np.float64 if precise or x.dtype.kind not in "fc" else np.float32)
    weighed = ops.multiply(parts, weights)
    found: Array = rfft(weighed, nfft) if onesided else fft(weighed, nfft)
    return found


def _sizes(nperseg: int, noverlap: int | None, nfft: int | None) -> tuple[int, int]:
    """The step from one segment to the next, and the length of their transforms."""
    return nperseg - (nperseg // 2 if noverlap is None else int(noverlap)), nperseg if nfft is None else int(nfft)


def _factor(window: Array, fs: float, scaling: str) -> float:
    total = fs * (window * window).sum() if scaling in ("density", "psd") else window.sum() ** 2
    return float(1.0 / np.sqrt(total))


def _padded(x: Array, boundary: Extension, padded: bool, n: int, step: int) -> Array:
    """A signal with its extension, filled up to whole segments."""
    x = extended(x, n // 2, boundary) if boundary is not None else x
    missing = (-(x.shape[-1] - n) % step) % n if padded else 0
    return np.concatenate([x, np.zeros((*x.shape[:-1], missing), x.dtype)], -1) if missing else x


def _times(x: Array, boundary: Extension, n: int, step: int, fs: float) -> Array:
    found = np.arange(n / 2, x.shape[-1] - n / 2 + 1, step) / fs
    return found - (n / 2) / fs if boundary is not None else found


def _frequencies(nfft: int, fs: float, onesided: bool) -> Array:
    return np.fft.rfftfreq(nfft, 1 / fs) if onesided else np.fft.fftfreq(nfft, 1 / fs)


def _signals(r: np.random.Generator) -> tuple[Array, Array]:
    return r.normal(size=(2, 20)), r.normal(size=(18, 2))


@followed(
    "signal.stft", "x", outputs=3, nondiff_outputs=(0, 1), gradients="x: the transposed transforms of g, put together",
    samples=lambda r: [
        sample(_signals(r)[0], nperseg=8),
        sample(_signals(r)[1], 2.0, ("tukey", 0.5), 6, 2, 8, "constant", False, "even", False, 0, "psd"),
    ],
)  # fmt: skip
def stft(
    x: Array, fs: float = 1.0, window: Window = "hann_periodic", nperseg: int | None = 256, noverlap: int | None = None,
    nfft: int | None = None, detrend: Detrend = False, return_onesided: bool = True, boundary: Extension = "zeros",
    padded: bool = True, axis: int = -1, scaling: Scaling = "spectrum",
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The Fourier transforms of segments of signals.

    Args:
        x: an array.
        fs: the rate of the samples.
        window: that of the segments, by name or as an array.
        nperseg: how long segments are.
        noverlap: how far they overlap, by default by half.
        nfft: how long transforms are, by default as segments.
        detrend: what is taken away of each segment: "linear", "constant" or False.
        return_onesided: whether to give half of the transform of real numbers.
        boundary: how signals go on beyond their ends: "zeros", "even", "odd", "constant" or None.
        padded: whether zeros fill up the last segment.
        axis: along which.
        scaling: "spectrum" or "psd".

    Returns:
        the frequencies, the times, and the transforms along the axis, the segments along a last one.

    Raises:
        ValueError: an option that is none, or an overlap of whole segments.

    >>> import numpy as np, tapenet as tn
    >>> f, t, z = tn.scipy.signal.stft(tn.tensor(np.ones(16)), nperseg=4)
    >>> abs(z)[0].round(9)
    Tensor([0.75, 1.  , 1.  , 1.  , 1.  , 1.  , 1.  , 1.  , 0.25])
    """
    x = np.moveaxis(x, axis, -1)
    win, n = _window(window, nperseg, x.shape[-1])
    step, length = _sizes(n, noverlap, nfft)
    x = _padded(x, boundary, padded, n, step)
    onesided = return_onesided and x.dtype.kind != "c"
    found = _transformed(x, win, n, step, length, detrend, onesided, _factor(win, fs, scaling))
    places = _frequencies(length, fs, onesided), _times(x, boundary, n, step, fs)
    return *places, np.moveaxis(found, -1, axis if axis >= 0 else axis - 1)


@followed(
    "signal.istft", "Zxx", outputs=2, nondiff_outputs=(0,), gradients="Zxx: the transposed transforms of g's segments",
    samples=lambda r: [
        sample(r.normal(size=(5, 4)) + 1j * r.normal(size=(5, 4))),
        sample(r.normal(size=(2, 5, 6)) + 1j, 2.0, "boxcar", 5, 2, 6, False, False, 1, 2, "psd"),
    ],
)  # fmt: skip
def istft(
    Zxx: Array, fs: float = 1.0, window: Window = "hann_periodic", nperseg: int | None = None, noverlap: int | None = None,
    nfft: int | None = None, input_onesided: bool = True, boundary: bool = True, time_axis: int = -1, freq_axis: int = -2,
    scaling: Scaling = "spectrum",
) -> tuple[Array, Array]:  # fmt: skip
    """Signals from the transforms of their segments: the inverse of `stft`, whose arguments it has.

    Args:
        Zxx: the transforms.
        input_onesided: whether they are halves of transforms of real numbers.
        boundary: whether signals were extended.
        time_axis, freq_axis: along which segments and frequencies are.

    Returns:
        the times and the signals.

    Raises:
        ValueError: an option that is none, or the same axis twice.

    >>> import numpy as np, tapenet as tn
    >>> _, _, z = tn.scipy.signal.stft(tn.tensor(np.arange(16.0)), nperseg=4)
    >>> tn.scipy.signal.istft(z, nperseg=4)[1][:4].round(9)
    Tensor([0., 1., 2., 3.])
    """
    z = np.moveaxis(Zxx, (freq_axis, time_axis), (-2, -1))
    usual = 2 * (z.shape[-2] - 1) if input_onesided else z.shape[-2]
    n = usual if nperseg is None else int(nperseg)
    length = (n if input_onesided and n == usual + 1 else usual) if nfft is None else int(nfft)
    step = n - (n // 2 if noverlap is None else int(noverlap))
    win, _ = _window(window, n, n)
    win = win.astype(np.float32 if z.dtype == np.complex64 else np.float64)
    factor = win.sum() if scaling == "spectrum" else np.sqrt(fs * sum(win**2))
    parts = irfft(z, length, -2) if input_onesided else ifft(z, length, -2)
    count = z.shape[-1]
    total = n + (count - 1) * step
    norm, x = np.zeros(total), 0
    for i in range(count):
        norm[i * step : i * step + n] += win**2
        around = [(0, 0)] * (z.ndim - 2) + [(i * step, total - n - i * step)]
        x = ops.add(x, np.pad(ops.multiply(parts[..., :n, i], win * win.dtype.type(factor)), around))
    weights = 1 / np.where(norm > 1e-10, norm, 1.0)
    found: Array = ops.multiply(x, weights.astype(win.dtype))
    if boundary:
        found = found[..., n // 2 : total - n // 2]
    if found.ndim > 1:
        time, other = time_axis % Zxx.ndim, freq_axis % Zxx.ndim
        found = np.moveaxis(found, -1, time - (other < time))
    return np.arange(found.shape[0]) / float(fs), found


def _power(
    x: Array, y: Array | None, fs: float, window: Window, nperseg: int | None, noverlap: int | None, nfft: int | None,
    detrend: Detrend, onesided: bool, scaling: str, default: int = 256,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Frequencies, times and the spectra of segments, along the last axis; the segments before. Of one signal, or of two."""
    length = x.shape[-1] if y is None else max(x.shape[-1], y.shape[-1])
    win, n = _window(window, nperseg, length, default)
    step, size = _sizes(n, noverlap, nfft)
    onesided = onesided and x.dtype.kind != "c" and (y is None or y.dtype.kind != "c")
    factor = _factor(win, fs, scaling)
    signals = [v if v.shape[-1] == length else _padded_to(v, length) for v in (x, y) if v is not None]
    spectra = [_transformed(v, win, n, step, size, detrend, onesided, factor) for v in signals]
    double = np.ones(spectra[0].shape[-1])
    if onesided:
        double[1 : None if size % 2 else -1] = 2
    double = double.astype(np.float32 if x.dtype in (np.float32, np.complex64) else np.float64)
    if y is None:
        found = (real(spectra[0]) ** 2 + imag(spectra[0]) ** 2) * double
    else:
        found = ops.multiply(ops.multiply(conjugate(spectra[0]), spectra[1]), double)
    return _frequencies(size, fs, onesided), _times(signals[0], None, n, step, fs), found


def _padded_to(x: Array, length: int) -> Array:
    return np.concatenate([x, np.zeros((*x.shape[:-1], length - x.shape[-1]), x.dtype)], -1)


def _averaged(spectra: Array, average: str) -> Array:
    """The mean or median over segments."""
    n = spectra.shape[-2]
    if average == "mean" or n == 1:
        mean: Array = np.mean(spectra, -2)
        return mean
    steps = 2 * np.arange(1.0, (n - 1) // 2 + 1)
    bias = float(1 + np.sum(1.0 / (steps + 1) - 1.0 / steps))
    if spectra.dtype.kind != "c":
        median: Array = np.median(spectra, -2)
        return median / bias
    raise NotImplementedError("csd has no derivative with average='median' of complex spectra: use average='mean'")


_WORDS = """

    Args:
        {signals}: arrays.
        fs: the rate of the samples.
        window, nperseg, noverlap, nfft, detrend, return_onesided: as for `stft`.
        scaling: "density", power per frequency, or "spectrum", power.
        axis: along which.
        average: "mean" or "median" of the segments.

    Returns:
        {result}.

    Raises:
        ValueError: an option that is none.

    >>> import numpy as np, tapenet as tn
    >>> x = tn.tensor(np.cos(np.arange(32) * np.pi / 2))
    >>> f, p = tn.scipy.signal.{call}
    >>> f[p.argmax().item()].item()
    {peak}
    """


def _welch_samples(r: np.random.Generator) -> list[Sample]:
    return [
        sample(_signals(r)[0], nperseg=8),
        sample(_signals(r)[1], 2.0, "hamming", 6, 2, 8, "linear", False, "spectrum", 0),
    ]


@followed(
    "signal.welch", "x", outputs=2, nondiff_outputs=(0,), samples=_welch_samples,
    gradients="x: 2 Re of the transposed transforms of g times the transforms",
    doc="The power spectrum of signals, on average over segments."
    + _WORDS.format(signals="x", result="the frequencies and the powers", call="welch(x, nperseg=8)", peak="0.25"),
)  # fmt: skip
def welch(
    x: Array, fs: float = 1.0, window: Window = "hann_periodic", nperseg: int | None = None, noverlap: int | None = None,
    nfft: int | None = None, detrend: Detrend = "constant", return_onesided: bool = True, scaling: Scaling = "density",
    axis: int = -1, average: str = "mean",
) -> tuple[Array, Array]:  # fmt: skip
    f, _, spectra = _power(
        np.moveaxis(x, axis, -1), None, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling
    )
    return f, np.moveaxis(_averaged(spectra, average), -1, axis)


@followed(
    "signal.periodogram", "x", outputs=2, nondiff_outputs=(0,),
    gradients="x: 2 Re of the transposed transform of g times the transform",
    samples=lambda r: [sample(r.normal(size=(2, 7))), sample(r.normal(size=(8, 2)), 2.0, "hann", 10, axis=0)],
)  # fmt: skip
def periodogram(
    x: Array, fs: float = 1.0, window: Window | None = "boxcar", nfft: int | None = None, detrend: Detrend = "constant",
    return_onesided: bool = True, scaling: Scaling = "density", axis: int = -1,
) -> tuple[Array, Array]:  # fmt: skip
    """The power spectrum of signals, each as one segment; the arguments are those of `welch`.

    >>> import numpy as np, tapenet as tn
    >>> f, p = tn.scipy.signal.periodogram(tn.tensor(np.cos(np.arange(32) * np.pi / 2)))
    >>> f[p.argmax().item()].item()
    0.25
    """
    x = np.moveaxis(x, axis, -1)
    if nfft is not None and nfft < x.shape[-1]:
        x, nfft = x[..., :nfft], None
    n = x.shape[-1]
    f, _, spectra = _power(
        x, None, fs, "boxcar" if window is None else window, n, 0, nfft, detrend, return_onesided, scaling, n
    )
    return f, np.moveaxis(spectra[..., 0, :], -1, axis)


@followed(
    "signal.csd", "x", "y", outputs=2, nondiff_outputs=(0,), gradients="those of the products of transforms",
    samples=lambda r: [
        sample(_signals(r)[0], r.normal(size=(2, 20)), nperseg=8),
        sample(_signals(r)[1], r.normal(size=(16, 2)), 2.0, "hamming", 6, 2, 8, False, False, "spectrum", 0),
    ],
    doc="The cross spectrum of two signals, on average over segments."
    + _WORDS.replace("p.argmax", "abs(p).argmax").format(
        signals="x, y", result="the frequencies and the spectrum", call="csd(x, x + 1.0, nperseg=8)", peak="0.25"
    ),
)  # fmt: skip
def csd(
    x: Array, y: Array, fs: float = 1.0, window: Window = "hann_periodic", nperseg: int | None = None,
    noverlap: int | None = None, nfft: int | None = None, detrend: Detrend = "constant", return_onesided: bool = True,
    scaling: Scaling = "density", axis: int = -1, average: str = "mean",
) -> tuple[Array, Array]:  # fmt: skip
    x, y = (np.moveaxis(v, axis, -1) for v in (x, y))
    f, _, spectra = _power(x, y, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, scaling)
    return f, np.moveaxis(_averaged(spectra, average), -1, axis)


@followed(
    "signal.coherence", "x", "y", outputs=2, nondiff_outputs=(0,), gradients="those of the spectra",
    samples=lambda r: [sample(_signals(r)[0], r.normal(size=(2, 20)), nperseg=8)],
)  # fmt: skip
def coherence(
    x: Array, y: Array, fs: float = 1.0, window: Window = "hann_periodic", nperseg: int | None = None,
    noverlap: int | None = None, nfft: int | None = None, detrend: Detrend = "constant", axis: int = -1,
) -> tuple[Array, Array]:  # fmt: skip
    """The square of the cross spectrum of two signals by the product of their spectra; the arguments are those of `csd`.

    >>> import numpy as np, tapenet as tn
    >>> x = tn.tensor(np.random.default_rng(0).normal(size=64))
    >>> tn.scipy.signal.coherence(x, 2 * x, nperseg=8)[1].round(9)
    Tensor([1., 1., 1., 1., 1.])
    """
    given = (fs, window, nperseg, noverlap, nfft, detrend, True, "density")
    x, y = (np.moveaxis(v, axis, -1) for v in (x, y))
    f, _, both = _power(x, y, *given)
    each = [_averaged(_power(v, None, *given)[2], "mean") for v in (x, y)]
    mean = _averaged(both, "mean")
    found = (real(mean) ** 2 + imag(mean) ** 2) / each[0] / each[1]
    return f, np.moveaxis(found, -1, axis)


@followed(
    "signal.spectrogram", "x", outputs=3, nondiff_outputs=(0, 1), gradients="that of the transforms and of the mode",
    samples=lambda r: [
        sample(_signals(r)[0], nperseg=8),
        sample(_signals(r)[1], 2.0, "hamming", 6, 2, axis=0, mode="complex"),
        sample(_signals(r)[0], nperseg=8, mode="magnitude"),
    ],
)  # fmt: skip
def spectrogram(
    x: Array, fs: float = 1.0, window: Window = ("tukey_periodic", 0.25), nperseg: int | None = None,
    noverlap: int | None = None, nfft: int | None = None, detrend: Detrend = "constant", return_onesided: bool = True,
    scaling: Scaling = "density", axis: int = -1,
    mode: Literal["psd", "complex", "magnitude", "angle", "phase"] = "psd",
) -> tuple[Array, Array, Array]:  # fmt: skip
    """The power spectra of segments of signals.

    Args:
        x, fs, window, nperseg, noverlap, nfft, detrend, return_onesided, axis: as for `stft`; segments overlap by an eighth.
        scaling: as for `welch`.
        mode: "psd", or of the transforms: "complex", "magnitude", "angle" or "phase" (the angle without jumps).

    Returns:
        the frequencies, the times, and the spectra along the axis, the segments along a last one.

    >>> import numpy as np, tapenet as tn
    >>> f, t, p = tn.scipy.signal.spectrogram(tn.tensor(np.cos(np.arange(32) * np.pi / 2)), nperseg=8)
    >>> f[p[:, 0].argmax().item()].item()
    0.25
    """
    x = np.moveaxis(x, axis, -1)
    win, n = _window(window, nperseg, x.shape[-1])
    overlap = n // 8 if noverlap is None else noverlap
    where = axis if axis >= 0 else axis - 1
    if mode == "psd":
        f, t, found = _power(x, None, fs, win, n, overlap, nfft, detrend, return_onesided, scaling)
        return f, t, np.moveaxis(found, -1, where)
    step, length = _sizes(n, overlap, nfft)
    onesided = return_onesided and x.dtype.kind != "c"
    found = _transformed(x, win, n, step, length, detrend, onesided, _factor(win, fs, scaling))
    if mode == "magnitude":
        found = np.hypot(real(found), imag(found))
    elif mode != "complex":
        found = np.arctan2(imag(found), real(found))
    found = np.moveaxis(found, -1, where)
    f, t = _frequencies(length, fs, onesided), _times(x, None, n, step, fs)
    return f, t, np.unwrap(found, axis=where) if mode == "phase" else found
