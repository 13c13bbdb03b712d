"""The Poisson distribution."""

from __future__ import annotations

import numpy as np

from tapenet.compat.autograd.scipy.special import gammaincc, gammaln
from tapenet.compat.autograd.scipy.stats.density import of_scipy
from tapenet.compat.autograd.values import Value


@of_scipy
def logpmf(k: Value, mu: Value) -> Value:
    """The logarithm of the probability of k, whole and not negative; differentiable by `mu`."""
    return k * np.log(mu) - mu - gammaln(k + 1)


@of_scipy
def pmf(k: Value, mu: Value) -> Value:
    """The probability of k."""
    return np.exp(k * np.log(mu) - mu - gammaln(k + 1))


@of_scipy
def cdf(k: Value, mu: Value) -> Value:
    """The probability of values up to k."""
    return gammaincc(np.floor(k) + 1, mu)
