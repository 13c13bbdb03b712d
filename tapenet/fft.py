"""Discrete Fourier transforms of tensors, as `np.fft`: every function is that of the same name there."""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
