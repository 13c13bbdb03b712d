"""Discrete Fourier transforms of tensors, as `np.fft`: every function is that of the same name there.

`fftfreq` and `rfftfreq` take no arrays: they are NumPy's own.
"""

from numpy.fft import fftfreq, rfftfreq

from tapenet.ops.fft.axes import fft2, fftn, ifft2, ifftn, irfft2, irfftn, rfft2, rfftn
from tapenet.ops.fft.transforms import fft, fftshift, hfft, ifft, ifftshift, ihfft, irfft, rfft

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]
