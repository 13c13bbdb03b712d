"""The gamma distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.compat.autograd.scipy.special import gammainc, gammaln
from tapenet.compat.autograd.scipy.stats.density import of_scipy


@of_scipy
def logpdf(x: Any, a: Any) -> Any:
    """The logarithm of the density, of shape `a`."""
    return (a - 1) * np.log(x) - x - gammaln(a)


@of_scipy
def pdf(x: Any, a: Any) -> Any:
    """The density."""
    return np.exp((a - 1) * np.log(x) - x - gammaln(a))


@of_scipy
def cdf(x: Any, a: Any) -> Any:
    """The probability of values up to x; differentiable by x."""
    return gammainc(a, x)
