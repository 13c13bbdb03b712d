"""Signals without negative frequencies, and what is made of them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tapenet import ops
from tapenet.ops.elementwise.complex import imag, real
from tapenet.ops.fft.axes import fft2, ifft2
from tapenet.ops.fft.transforms import fft, fftshift, ifft, irfft
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed
from tapenet.scipy.signal.broadcasting import along
from tapenet.scipy.signal.extension import part
from tapenet.scipy.signal.resampling import resampled_spectrum
from tapenet.typing import Array


def _weights(n: int) -> Array:
    """Of each frequency of n: 1 at 0, and at n/2; 2 at positive ones, else 0."""
    found = np.zeros(n)
    found[: (n + 1) // 2] = 2
    found[0] = 1
    if n % 2 == 0:
        found[n // 2] = 1
    return found


@followed(
    "signal.hilbert", "x", gradients="x: Re of the transposed transform of g",
    samples=lambda r: [sample(r.normal(size=5)), sample(r.normal(size=(4, 2)), 6, 0), sample(r.normal(size=(2, 4)), N=3)],
)  # fmt: skip
def hilbert(x: Array, N: int | None = None, axis: int = -1) -> Array:
    """The analytic signal of a real one, whose imaginary part is its Hilbert transform.

    Args:
        x: a real array.
        N: how many samples, by default as many as there are.
        axis: along which.

    Raises:
        ValueError: complex numbers, or N below 1.

    >>> import numpy as np, tapenet as tn
    >>> abs(tn.scipy.signal.hilbert(tn.tensor(np.cos(np.arange(8) * np.pi / 2)))).round(9)
    Tensor([1., 1., 1., 1., 1., 1., 1., 1.])
    """
    n = x.shape[axis] if N is None else N
    found: Array = ifft(ops.multiply(fft(x, n, axis), along(_weights(n), axis, x.ndim, x.dtype)), axis=axis)
    return found


@followed(
    "signal.hilbert2", "x", gradients="x: Re of the transposed transform of g",
    samples=lambda r: [sample(r.normal(size=(3, 4))), sample(r.normal(size=(2, 3)), (3, 2))],
)  # fmt: skip
def hilbert2(x: Array, N: int | tuple[int, int] | None = None, axes: tuple[int, int] = (-2, -1)) -> Array:
    """The analytic signal of a real image.

    Args:
        x: a real array.
        N: how many samples along both axes.
        axes: along which.

    Raises:
        ValueError: complex numbers, N below 1, or axes that are none.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.signal.hilbert2(tn.tensor(np.eye(2))).shape
    (2, 2)
    """
    sizes = (x.shape[axes[0]], x.shape[axes[1]]) if N is None else (N, N) if isinstance(N, int) else N
    spectrum = fft2(x, sizes, axes)
    for n, axis in zip(sizes, axes, strict=True):
        kept = np.where(np.arange(n) < (n + 1) // 2, np.where(np.arange(n) > 0, 2.0, 1.0), 0.0)
        spectrum = ops.multiply(spectrum, along(kept, axis, x.ndim, x.dtype))
    found: Array = ifft2(spectrum, axes=axes)
    return found


@followed(
    "signal.envelope", "z", gradients="that of the transforms and of abs",
    samples=lambda r: [
        sample(r.normal(size=8)),
        sample(r.normal(size=(7, 2)), (1, 3), axis=0, residual="all", squared=True),
        sample(r.normal(size=8), (None, None), residual=None),
    ],
)  # fmt: skip
def envelope(
    z: Array, bp_in: tuple[int | None, int | None] = (1, None), *, n_out: int | None = None, squared: bool = False,
    residual: Literal["lowpass", "all"] | None = "lowpass", axis: int = -1,
) -> Array:  # fmt: skip
    """The envelope of a signal within a band of its frequencies, and what is left of it.

    Args:
        z: a real or complex array.
        bp_in: the first frequency of the band and that behind the last, as numbers of coefficients.
        n_out: how many samples to give.
        squared: whether to give the square of the envelope.
        residual: what is given beside: "lowpass", what is below the band; "all"; or None for nothing.
        axis: along which.

    Raises:
        ValueError: a band that is none, or another option.

    >>> import numpy as np, tapenet as tn
    >>> x = tn.tensor(np.cos(np.arange(8) * np.pi / 2))
    >>> tn.scipy.signal.envelope(x, residual=None).round(9)
    Tensor([1., 1., 1., 1., 1., 1., 1., 1.])
    """
    z = np.moveaxis(z, axis, -1)
    n = z.shape[-1]
    m = n if n_out is None else n_out
    start, stop = (-(n // 2) if bp_in[0] is None else bp_in[0]), ((n + 1) // 2 if bp_in[1] is None else bp_in[1])
    weights = np.ones(n)
    if z.dtype.kind != "c":  # the coefficients of rfft
        weights[n // 2 + 1 :] = 0
        if start > 0:
            weights[start:stop] *= 2
        elif stop > 0:
            weights[1:stop] *= 2
    spectrum = ops.multiply(fft(z), along(weights, -1, z.ndim, z.dtype))
    if start <= 0 < stop:
        band = fftshift(spectrum, -1)[..., start + n // 2 : stop + n // 2]
    elif stop == 0:  # SciPy's slice is empty
        band = 0 * spectrum[..., :1]
    else:
        band = part(spectrum, slice(start, stop), -1)
    base = ifft(band, m) * (m / n)
    found: Array = real(base) ** 2 + imag(base) ** 2 if squared else np.hypot(real(base), imag(base))
    found = np.moveaxis(found, -1, axis)
    if residual is None:
        return found
    left = np.ones(n)  # what SciPy leaves, with its slices: of a band that begins or ends at 0 it is not all beyond
    if start <= 0 < stop:
        left[:stop] = left[start:] = 0
    else:
        left[start:stop] = 0
    if residual == "lowpass":
        if stop > 0:
            left[stop : (n + 1) // 2] = 0
        else:
            left[start:] = left[: (n + 1) // 2] = 0
    rest = ops.multiply(spectrum, along(left, -1, z.ndim, z.dtype))
    if z.dtype.kind == "c":
        rest = ifft(resampled_spectrum(rest, m) * (m / n), m)
        found = ops.multiply(found, np.ones((), z.dtype))  # both parts are complex
    else:
        half = np.ones(n)
        if m != n and (least := min(n, m)) % 2 == 0:
            half[least // 2] = 2 if m < n else 0.5
        rest = (m / n) * irfft(ops.multiply(rest, along(half, -1, z.ndim, z.dtype)), m)
    both: Array = np.stack([found, np.moveaxis(rest, -1, axis)])
    return both
