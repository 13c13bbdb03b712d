"""The beta distribution."""

from __future__ import annotations

import numpy as np

from tapenet.compat.autograd.scipy.special import betainc, betaln
from tapenet.compat.autograd.scipy.stats.density import of_scipy
from tapenet.compat.autograd.values import Value


@of_scipy
def logpdf(x: Value, a: Value, b: Value) -> Value:
    """The logarithm of the density, of shapes `a` and `b`."""
    return (a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b)


@of_scipy
def pdf(x: Value, a: Value, b: Value) -> Value:
    """The density."""
    return np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - betaln(a, b))


@of_scipy
def cdf(x: Value, a: Value, b: Value) -> Value:
    """The probability of values up to x; differentiable by x."""
    return betainc(a, b, x)
