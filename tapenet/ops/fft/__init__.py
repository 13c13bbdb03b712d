"""Discrete Fourier transforms: what `np.fft` has."""

from tapenet.ops.fft import axes as axes
from tapenet.ops.fft import transforms as transforms
