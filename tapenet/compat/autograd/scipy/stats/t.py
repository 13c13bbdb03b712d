"""Student's t distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet import ops
from tapenet.compat.autograd.scipy.special import betainc, gammaln
from tapenet.compat.autograd.scipy.stats.density import of_scipy


@of_scipy
def logpdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The logarithm of the density, of `df` degrees of freedom."""
    y = (x - loc) / scale
    norm = gammaln((df + 1) / 2) - gammaln(df / 2) - np.log(df * math.pi) / 2 - np.log(scale)
    return norm - (df + 1) / 2 * np.log1p(y**2 / df)


@of_scipy
def pdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The density."""
    return np.exp(logpdf(x, df, loc, scale))


@of_scipy
def cdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The probability of values up to x; differentiable by all but `df`."""
    y = (x - loc) / scale
    tail = betainc(df / 2, 0.5, df / (df + y**2)) / 2
    return ops.where(y > 0, 1 - tail, tail)


@of_scipy
def logcdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The logarithm of `cdf`."""
    return np.log(cdf(x, df, loc, scale))
