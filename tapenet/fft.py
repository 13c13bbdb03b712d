"""Discrete Fourier transforms of tensors, as `np.fft`: every function is that of the same name there.

`fftfreq` and `rfftfreq` take no arrays: they are NumPy's own.
"""

from tapenet.names import namespace as _namespace

__getattr__, __dir__ = _namespace(__name__)
