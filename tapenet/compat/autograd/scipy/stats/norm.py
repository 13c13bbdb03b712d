"""The normal distribution."""

from __future__ import annotations

import math

import numpy as np

from tapenet.compat.autograd.scipy.special import log_ndtr, ndtr
from tapenet.compat.autograd.scipy.stats.density import of_scipy
from tapenet.compat.autograd.values import Value

_LOG_ROOT_2PI = math.log(2 * math.pi) / 2


@of_scipy
def logpdf(x: Value, loc: Value = 0.0, scale: Value = 1.0) -> Value:
    """The logarithm of the density.

    >>> from tapenet.compat.autograd import grad
    >>> grad(logpdf)(2.0, 1.0, 0.5)
    np.float64(-4.0)
    """
    return -(((x - loc) / scale) ** 2) / 2 - np.log(scale) - _LOG_ROOT_2PI


@of_scipy
def pdf(x: Value, loc: Value = 0.0, scale: Value = 1.0) -> Value:
    """The density."""
    return np.exp(-(((x - loc) / scale) ** 2) / 2 - _LOG_ROOT_2PI) / scale


@of_scipy
def cdf(x: Value, loc: Value = 0.0, scale: Value = 1.0) -> Value:
    """The probability of values up to x."""
    return ndtr((x - loc) / scale)


@of_scipy
def sf(x: Value, loc: Value = 0.0, scale: Value = 1.0) -> Value:
    """The probability of values above x."""
    return ndtr((loc - x) / scale)


@of_scipy
def logcdf(x: Value, loc: Value = 0.0, scale: Value = 1.0) -> Value:
    """The logarithm of `cdf`."""
    return log_ndtr((x - loc) / scale)


@of_scipy
def logsf(x: Value, loc: Value = 0.0, scale: Value = 1.0) -> Value:
    """The logarithm of `sf`."""
    return log_ndtr((loc - x) / scale)
