"""Filters of images that are given by their Fourier transforms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tapenet import ops
from tapenet.ops.fft.transforms import complex_normal
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed
from tapenet.scipy.ndimage.borders import numbers_for_each
from tapenet.typing import Array

Each = float | Sequence[float] | Array


def _frequencies(input: Array, n: int, axis: int) -> list[Array]:
    """The frequency of each number along the axes, in cycles from one place to the next."""
    found = []
    for i, length in enumerate(input.shape):
        k = np.arange(length) / n if n > 0 and i == axis % input.ndim else np.fft.fftfreq(length)
        found.append(k.reshape([-1 if j == i else 1 for j in range(input.ndim)]))
    return found


@followed(
    "ndimage.fourier_gaussian", "input", "sigma", gradients="those of input · exp(-2π² Σ (σ f)²)",
    samples=lambda r: [
        sample(complex_normal(r, (3, 4)), np.array([0.5, 0.8])),
        sample(r.normal(size=(4, 3)), 0.7, 4, 1),
    ],
)  # fmt: skip
def fourier_gaussian(input: Array, sigma: Each, n: int = -1, axis: int = -1, output: None = None) -> Array:
    """An image smoothed by a normal density: both given by their Fourier transforms.

    Args:
        input: the transform, by `fft` along all axes, or by `rfft` along one.
        sigma: the standard deviation, or one for each axis. There are gradients by it too.
        n: of a transform by `rfft` the length before; else -1.
        axis: along which that was.
        output: None.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.fourier_gaussian(tn.tensor(np.ones(4)), 0.5).round(3)
    Tensor([1.   , 0.735, 0.291, 0.735])
    """
    for f, width in zip(_frequencies(input, n, axis), numbers_for_each(sigma, input.ndim), strict=True):
        input = ops.multiply(input, np.exp(-2 * math.pi**2 * (width * f) ** 2))
    return input


@followed(
    "ndimage.fourier_shift", "input", "shift", gradients="those of input · exp(-2πi Σ f shift)",
    samples=lambda r: [
        sample(complex_normal(r, (3, 4)), np.array([0.5, -0.8])),
        sample(complex_normal(r, (4, 3)), 0.7, 4, 1),
    ],
)  # fmt: skip
def fourier_shift(input: Array, shift: Each, n: int = -1, axis: int = -1, output: None = None) -> Array:
    """An image moved along its axes, given by its Fourier transform.

    Args:
        input, n, axis, output: as for `fourier_gaussian`.
        shift: how far, or how far along each axis. There are gradients by it too.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.ndimage.fourier_shift(tn.tensor(np.ones(4)), 2.0).real.round(9)
    Tensor([ 1., -1.,  1., -1.])
    """
    angle: Array | float = 0.0
    for f, far in zip(_frequencies(input, n, axis), numbers_for_each(shift, input.ndim), strict=True):
        angle = angle + f * far
    found: Array = ops.multiply(input, ops.exp(ops.multiply(-2j * math.pi, angle)))
    return found
