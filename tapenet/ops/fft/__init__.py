"""Discrete Fourier transforms: what `np.fft` has."""
