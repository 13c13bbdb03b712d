"""Discrete Fourier transforms: what `np.fft` has."""

from __future__ import annotations
