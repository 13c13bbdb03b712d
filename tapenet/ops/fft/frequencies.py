"""The frequencies of a Fourier transform's coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.arguments import check_device
from tapenet.ops.derived import derived
from tapenet.ops.registry import Samples, sample
from tapenet.ops.shapes.ranges import as_made, float_dtype
from tapenet.program.low import dtype_of
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike

_SAMPLES: Samples = lambda r: [
    sample(4, r.uniform(1, 2, size=())),
    sample(5, 0.5),
    sample(3, d=r.uniform(1, 2, size=()), device="cpu"),
]


@derived(makes=True, replaces=False, samples=_SAMPLES)
def fftfreq(n: int, d: ArrayLike = 1.0, device: object = None, *, dtype: DTypeLike | None = None) -> Array:
    """The frequencies of the coefficients that `fft` gives, as a tensor: 0 and the positive ones, then the negative ones.

    Args:
        n: the length of the transform.
        d: the time from one sample to the next, which may be a tensor.
        device: "cpu", if anything.
        dtype: of the result; that of `d` by default, float64 for a number.

    >>> import tapenet as tn
    >>> tn.fft.fftfreq(4, 0.5)
    Tensor([ 0. ,  0.5, -1. , -0.5])
    """
    check_device("fftfreq", device)
    return _per_time(np.fft.fftfreq(n), n, d, dtype)


@derived(makes=True, replaces=False, samples=_SAMPLES)
def rfftfreq(n: int, d: ArrayLike = 1.0, device: object = None, *, dtype: DTypeLike | None = None) -> Array:
    """The frequencies of the coefficients that `rfft` gives, as a tensor; the arguments are those of `fftfreq`.

    >>> import tapenet as tn
    >>> tn.fft.rfftfreq(4, 0.5)
    Tensor([0. , 0.5, 1. ])
    """
    check_device("rfftfreq", device)
    return _per_time(np.fft.rfftfreq(n), n, d, dtype)


def _per_time(per_sample: Array, n: int, d: ArrayLike, dtype: DTypeLike | None) -> Array:
    """Frequencies in cycles over the time that `d` is in, from those in cycles from one sample to the next."""
    kind = float_dtype(d)
    cycles = np.rint(per_sample * n).astype(kind)
    found = as_made(np.multiply(cycles, np.divide(1.0, np.multiply(n, d))))
    return np.astype(found, kind if dtype is None else dtype_of(dtype), copy=False)
