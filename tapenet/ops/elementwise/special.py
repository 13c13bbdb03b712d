"""Special functions. SciPy, which computes them but for large arrays of float32, is loaded at the first call."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tapenet.ops.elementwise.blocks import blockwise
from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.op import op


@functools.cache
def _scipy(name: str) -> Any:
    import scipy.special

    return getattr(scipy.special, name)


#: erf(x) = tanh(x p(x²)): the coefficients of p, lowest first. The polynomial that leaves the smallest relative error
#: in erf for |x| < 4, 1.0e-7; beyond, tanh is 1 in float32. Made by tests/ops/test_erf.py.
ARTANH_ERF = (1.1283792, 0.10276947, -0.00019271, -0.00061908015, 8.739104e-05, -5.631006e-06, 1.3984804e-07)
#: From this size on the polynomial is faster than SciPy, whose code has no vectors.
_LARGE = 512


@blockwise(1)
def _erf_by_polynomial(x: Any) -> Any:
    *lower, highest = ARTANH_ERF
    y = x * x
    out = y * highest
    for coefficient in lower[:0:-1]:
        out += coefficient
        out *= y
    out += lower[0]
    out *= x
    return np.tanh(out, out=out)


def _erf(x: Any) -> Any:
    if type(x) is not np.ndarray or x.dtype != np.float32 or x.size < _LARGE:
        return _scipy("erf")(x)
    with np.errstate(over="ignore"):  # x², which is no harm
        return _erf_by_polynomial(x)


erf = op(
    _erf,
    name="erf",
    lower="erf",
    x=lambda g, x: g * (2 / math.sqrt(math.pi) * np.exp(-x * x)),
    formula="2/√π · ∫₀ˣ e^(−t²) dt",
    gradients="x: g · 2/√π · e^(−x²)",
    doc="""The error function, element by element: 2/√π times the integral of exp(-t²) from 0 to x.

    Args:
        x: an array of floats, of any shape.

    Returns:
        an array of the shape and dtype of `x`. Its derivative is 2/√π exp(-x²). Large arrays of float32 have a relative
        error of 2.5e-7 at most.

    >>> import tapenet as tn
    >>> tn.erf(tn.tensor([0.0, 1.0]))
    Tensor([0.        , 0.84270079])
    """,
    samples=unary_samples(),
)
