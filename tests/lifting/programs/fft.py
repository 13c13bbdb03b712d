"""The fast Fourier transform of Cooley and Tukey by hand: bits reversed, then butterflies in place."""

import numpy as np
from scipy.optimize import minimize


def fft(x):
    n = len(x)
    bits = n.bit_length() - 1
    y = np.empty(n, dtype=complex)
    for i in range(n):
        reverse = 0
        for b in range(bits):
            reverse = (reverse << 1) | ((i >> b) & 1)
        y[reverse] = x[i]
    size = 2
    while size <= n:
        half = size // 2
        w = np.exp(-2j * np.pi * np.arange(half) / size)
        for start in range(0, n, size):
            even = y[start : start + half].copy()
            odd = w * y[start + half : start + size]
            y[start : start + half] = even + odd
            y[start + half : start + size] = even - odd
        size *= 2
    return y


PROGRAM, BY = fft, (0,)


def inputs(large=False):
    return (np.random.default_rng(2).normal(size=4096 if large else 16),)


def check():
    (x,) = inputs()
    np.testing.assert_allclose(fft(x), np.fft.fft(x), atol=1e-13)


def use(value_and_grad):
    """Frequency and decay of a tone, by the powers of its spectrum."""
    t = np.arange(16)

    def spectrum(p):
        powers = fft(np.exp(-p[1] * t) * np.cos(p[0] * t))
        return powers.real**2 + powers.imag**2

    truth = np.array([1.1, 0.15])
    seen = spectrum(truth)

    def misfit(p):
        return np.sum((spectrum(p) - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([1.0, 0.1]), jac=True)
    np.testing.assert_allclose(found.x, truth, rtol=1e-4)
