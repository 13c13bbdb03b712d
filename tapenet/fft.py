"""Discrete Fourier transforms of tensors, as `np.fft`: every function is that of the same name there."""
