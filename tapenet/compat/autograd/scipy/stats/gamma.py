"""The gamma distribution."""

from __future__ import annotations

import numpy as np

from tapenet.compat.autograd.scipy.special import gammainc, gammaln
from tapenet.compat.autograd.scipy.stats.density import of_scipy
from tapenet.compat.autograd.values import Value


@of_scipy
def logpdf(x: Value, a: Value) -> Value:
    """The logarithm of the density, of shape `a`."""
    return (a - 1) * np.log(x) - x - gammaln(a)


@of_scipy
def pdf(x: Value, a: Value) -> Value:
    """The density."""
    return np.exp((a - 1) * np.log(x) - x - gammaln(a))


@of_scipy
def cdf(x: Value, a: Value) -> Value:
    """The probability of values up to x; differentiable by x."""
    return gammainc(a, x)
