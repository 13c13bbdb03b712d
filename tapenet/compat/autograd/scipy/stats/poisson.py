"""The Poisson distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.compat.autograd.scipy.special import gammaincc, gammaln
from tapenet.compat.autograd.scipy.stats.density import of_scipy


@of_scipy
def logpmf(k: Any, mu: Any) -> Any:
    """The logarithm of the probability of k, whole and not negative; differentiable by `mu`."""
    return k * np.log(mu) - mu - gammaln(k + 1)


@of_scipy
def pmf(k: Any, mu: Any) -> Any:
    """The probability of k."""
    return np.exp(k * np.log(mu) - mu - gammaln(k + 1))


@of_scipy
def cdf(k: Any, mu: Any) -> Any:
    """The probability of values up to k."""
    return gammaincc(np.floor(k) + 1, mu)
