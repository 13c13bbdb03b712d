"""The fast Hankel transform of numbers at logarithmically spaced points (FFTLog; Hamilton, MNRAS 312, 2000)."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from tapenet import ops
from tapenet.ops.elementwise.complex import conjugate, imag, real
from tapenet.ops.fft.transforms import irfft, rfft
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.scipy.followed import followed
from tapenet.special.gamma_functions import loggamma
from tapenet.typing import Array

#: What a parameter is.
Number: TypeAlias = Array | float

_LN_2 = math.log(2)
#: re + i im.
_complex = op(
    lambda re, im: re + 1j * im, name="complex_of", broadcasts=True, re=lambda g: real(g), im=lambda g: -imag(g),
    vmap="leading", doc="re + i im.",
)  # fmt: skip


def _coefficients(n: int, dln: Number, mu: Number, offset: Number, bias: Number) -> Array:
    """The transform of the kernel at the frequencies of n numbers: 2ˣ Γ((mu + 1 + x)/2) / Γ((mu + 1 - x)/2) with
    x = bias + i y, times (k r)^-iy."""
    y = np.linspace(0, math.pi * (n // 2) / n, n // 2 + 1) / dln
    above, below = (mu + 1 + bias) / 2, (mu + 1 - bias) / 2
    gammas = ops.subtract(loggamma(_complex(above, y)), conjugate(loggamma(_complex(below, y))))
    u = ops.exp(ops.add(gammas, _complex(_LN_2 * bias, 2 * y * (_LN_2 - offset))))
    found: Array = ops.where(np.arange(n // 2 + 1) == n / 2, real(u), u)  # the last of an even number is real
    return found


def _tilted(a: Array, exponent: Array) -> Array:
    return a * np.exp(exponent)


def _steps(n: int) -> Array:
    return np.arange(n) - (n - 1) / 2


@followed(
    "fft.fht", "a", "dln", "mu", "offset", "bias",
    gradients="a: the transposed transform of g; all others: that of the coefficients",
    samples=lambda r: [
        sample(r.normal(size=(2, 6)), *map(np.array, (0.2, 0.5, 0.1, 0.2))),
        sample(r.normal(size=5), 0.3, np.array(1.5)),
    ],
)  # fmt: skip
def fht(a: Array, dln: Number, mu: Number, offset: Number = 0.0, bias: Number = 0.0) -> Array:
    """The Hankel transform ∫ a(r) J_mu(k r) k dr of numbers along the last axis, at logarithmically spaced points.

    Differentiable by all arguments, once by `mu` and `bias`.

    Args:
        a: real numbers.
        dln: the spacing of the logarithms of the points.
        mu: the order.
        offset: the logarithm of k times r in the middle.
        bias: the exponent of a power law by which `a` is divided and the result is multiplied.

    >>> import numpy as np, tapenet as tn
    >>> r = tn.tensor(np.logspace(-1, 1, 5))
    >>> a = r * np.exp(-r * r / 2)
    >>> bool(np.allclose(tn.scipy.fft.ifht(tn.scipy.fft.fht(a, 1.15, 0.0), 1.15, 0.0), a))
    True
    """
    n = a.shape[-1]
    a = _tilted(a, -bias * _steps(n) * dln)
    spectrum = ops.multiply(rfft(a), _coefficients(n, dln, mu, offset, bias))
    return _tilted(np.flip(irfft(spectrum, n), -1), -bias * (_steps(n) * dln + offset))


@followed(
    "fft.ifht", "A", "dln", "mu", "offset", "bias",
    gradients="A: the transposed transform of g; all others: that of the coefficients",
    samples=lambda r: [
        sample(r.normal(size=(2, 6)), *map(np.array, (0.7, 0.5, 0.4, 0.2))),
        sample(r.normal(size=5), 0.3, np.array(1.5)),
    ],
)  # fmt: skip
def ifht(A: Array, dln: Number, mu: Number, offset: Number = 0.0, bias: Number = 0.0) -> Array:
    """The inverse of `fht`, whose arguments it has.

    >>> import numpy as np, tapenet as tn
    >>> tn.scipy.fft.ifht(tn.tensor([0.0, 0.0, 0.0]), 0.5, 1.0)
    Tensor([0., 0., 0.])
    """
    n = A.shape[-1]
    A = _tilted(A, bias * (_steps(n) * dln + offset))
    spectrum = ops.divide(rfft(A), conjugate(_coefficients(n, dln, mu, offset, bias)))
    return _tilted(np.flip(irfft(spectrum, n), -1), bias * _steps(n) * dln)


@followed(
    "fft.fhtoffset", "dln", "mu", "initial", "bias",
    gradients="that of the low-ringing condition",
    samples=lambda r: [
        sample(*map(np.array, (0.2, 1.5, 0.3, 0.1))),
        sample(0.1, np.array(2.0)),
    ],
)  # fmt: skip
def fhtoffset(dln: Number, mu: Number, initial: Number = 0.0, bias: Number = 0.0) -> Array:
    """An offset near `initial` with which `fht` rings least; its arguments are those of `fht`.

    >>> import tapenet as tn
    >>> tn.scipy.fft.fhtoffset(0.1, tn.tensor(2.0), 0.5).round(6)
    Tensor(0.545458)
    """
    y = math.pi / 2 / dln
    above, below = (mu + 1 + bias) / 2, (mu + 1 - bias) / 2
    turns = (_LN_2 - initial) / dln + (
        imag(loggamma(_complex(above, y))) + imag(loggamma(_complex(below, y)))
    ) / math.pi
    found: Array = initial + (turns - np.rint(turns)) * dln
    return found
