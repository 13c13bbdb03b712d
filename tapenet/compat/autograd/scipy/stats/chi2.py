"""The chi-squared distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.compat.autograd.scipy.special import gammainc, gammaln
from tapenet.compat.autograd.scipy.stats.density import of_scipy


@of_scipy
def logpdf(x: Any, df: Any) -> Any:
    """The logarithm of the density, of `df` degrees of freedom."""
    return (df / 2 - 1) * np.log(x) - x / 2 - gammaln(df / 2) - df / 2 * math.log(2)


@of_scipy
def pdf(x: Any, df: Any) -> Any:
    """The density."""
    return np.exp((df / 2 - 1) * np.log(x) - x / 2 - gammaln(df / 2) - df / 2 * math.log(2))


@of_scipy
def cdf(x: Any, df: Any) -> Any:
    """The probability of values up to x; differentiable by x."""
    return gammainc(df / 2, x / 2)
