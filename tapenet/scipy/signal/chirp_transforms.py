"""The z-transform at points along a spiral."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence

import numpy as np

from tapenet import ops
from tapenet.ops.fft.transforms import complex_normal, fft, ifft
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed, scipys
from tapenet.typing import Array


def _chirped(x: Array, before: Array, kernel: Array, after: Array, axis: int) -> Array:
    """A transform as a convolution: Σ before_j x_j kernel_{k-j} after_k."""
    x = np.moveaxis(x, axis, -1)
    n, m = x.shape[-1], len(after)
    length = int(scipys("fft.next_fast_len")(n + m - 1))  # type: ignore[call-overload]
    found = ifft(ops.multiply(fft(ops.multiply(x, before), length), np.fft.fft(kernel, length)))
    return np.moveaxis(ops.multiply(found[..., n - 1 : n + m - 1], after), -1, axis)


@followed(
    "signal.czt", "x", gradients="x: the transposed transform of g",
    samples=lambda r: [
        sample(complex_normal(r, (5,))),
        sample(complex_normal(r, (4, 2)), 3, cmath.exp(-0.3j), 1.1 + 0.2j, axis=0),
    ],
)  # fmt: skip
def czt(x: Array, m: int | None = None, w: complex | None = None, a: complex = 1 + 0j, *, axis: int = -1) -> Array:
    """The z-transform of signals at the m points a w⁻ᵏ.

    Args:
        x: an array.
        m: how many points, by default as many as samples.
        w: the ratio of points, by default exp(-2πi/m).
        a: the first point.
        axis: along which.

    Raises:
        ValueError: m below 1, or no samples.

    >>> import tapenet as tn
    >>> tn.scipy.signal.czt(tn.tensor([1.0, 2.0])).real.round(9)
    Tensor([ 3., -1.])
    """
    n = x.shape[axis]
    m = n if m is None else m
    k = np.arange(max(m, n))
    chirp = np.exp(-1j * math.pi * (k**2 % (2 * m)) / m) if w is None else w ** (k**2 / 2.0)
    return _chirped(
        x, (1.0 * a) ** -k[:n] * chirp[:n], 1 / np.concatenate([chirp[n - 1 : 0 : -1], chirp[:m]]), chirp[:m], axis
    )


@followed(
    "signal.zoom_fft", "x", gradients="x: the transposed transform of g",
    samples=lambda r: [sample(complex_normal(r, (5,)), 0.7), sample(complex_normal(r, (4, 2)), (0.2, 0.6), 3, fs=3.0, axis=0)],
)  # fmt: skip
def zoom_fft(
    x: Array,
    fn: float | Sequence[float],
    m: int | None = None,
    *,
    fs: float = 2,
    endpoint: bool = False,
    axis: int = -1,
) -> Array:
    """The Fourier transform of signals at m frequencies from fn[0] to fn[1].

    Args:
        x: an array.
        fn: the first and last frequency, or the last one behind 0.
        m: how many, by default as many as samples.
        fs: the rate of the samples.
        endpoint: whether the last frequency is one of them.
        axis: along which.

    Raises:
        ValueError: other than one or two frequencies, or m below 1.

    >>> import tapenet as tn
    >>> tn.scipy.signal.zoom_fft(tn.tensor([1.0, 2.0]), 2.0).real.round(9)
    Tensor([ 3., -1.])
    """
    n = x.shape[axis]
    m = n if m is None else m
    first, last = (0.0, float(np.ravel(fn)[0])) if np.size(fn) == 1 else fn  # type: ignore[misc]
    scale = (last - first) * m / (fs * (m - 1)) if endpoint else (last - first) / fs
    k = np.arange(max(m, n))
    chirp = np.exp(-1j * math.pi * scale * k**2 / m)
    before = np.exp(-2j * math.pi * first / fs * k[:n]) * chirp[:n]
    return _chirped(x, before, 1 / np.concatenate([chirp[n - 1 : 0 : -1], chirp[:m]]), chirp[:m], axis)
