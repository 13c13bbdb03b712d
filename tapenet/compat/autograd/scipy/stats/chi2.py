"""The chi-squared distribution."""

from __future__ import annotations

import math

import numpy as np

from tapenet.compat.autograd.scipy.special import gammainc, gammaln
from tapenet.compat.autograd.scipy.stats.density import of_scipy
from tapenet.compat.autograd.values import Value


@of_scipy
def logpdf(x: Value, df: Value) -> Value:
    """The logarithm of the density, of `df` degrees of freedom."""
    return (df / 2 - 1) * np.log(x) - x / 2 - gammaln(df / 2) - df / 2 * math.log(2)


@of_scipy
def pdf(x: Value, df: Value) -> Value:
    """The density."""
    return np.exp((df / 2 - 1) * np.log(x) - x / 2 - gammaln(df / 2) - df / 2 * math.log(2))


@of_scipy
def cdf(x: Value, df: Value) -> Value:
    """The probability of values up to x; differentiable by x."""
    return gammainc(df / 2, x / 2)
