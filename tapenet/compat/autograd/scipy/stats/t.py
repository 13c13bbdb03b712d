"""Student's t distribution."""

from __future__ import annotations

import math

import numpy as np

from tapenet.compat.autograd.scipy.special import gammaln, stdtr
from tapenet.compat.autograd.scipy.stats.density import of_scipy
from tapenet.compat.autograd.values import Value


@of_scipy
def logpdf(x: Value, df: Value, loc: Value = 0.0, scale: Value = 1.0) -> Value:
    """The logarithm of the density, of `df` degrees of freedom."""
    y = (x - loc) / scale
    norm = gammaln((df + 1) / 2) - gammaln(df / 2) - np.log(df * math.pi) / 2 - np.log(scale)
    return norm - (df + 1) / 2 * np.log1p(y**2 / df)


@of_scipy
def pdf(x: Value, df: Value, loc: Value = 0.0, scale: Value = 1.0) -> Value:
    """The density."""
    return np.exp(logpdf(x, df, loc, scale))


@of_scipy
def cdf(x: Value, df: Value, loc: Value = 0.0, scale: Value = 1.0) -> Value:
    """The probability of values up to x; differentiable by all but `df`."""
    return stdtr(df, (x - loc) / scale)


@of_scipy
def logcdf(x: Value, df: Value, loc: Value = 0.0, scale: Value = 1.0) -> Value:
    """The logarithm of `cdf`."""
    return np.log(cdf(x, df, loc, scale))
