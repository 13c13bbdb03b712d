"""The Dirichlet distribution."""

from __future__ import annotations

import numpy as np

from tapenet import ops
from tapenet.compat.autograd.scipy.special import gammaln
from tapenet.compat.autograd.scipy.stats.density import of_scipy
from tapenet.compat.autograd.values import Value


@of_scipy
def logpdf(x: Value, alpha: Value) -> Value:
    """The logarithm of the density at a vector x that sums to 1."""
    return ops.sum((alpha - 1) * np.log(x)) - ops.sum(gammaln(alpha)) + gammaln(ops.sum(alpha))


@of_scipy
def pdf(x: Value, alpha: Value) -> Value:
    """The density."""
    return np.exp(logpdf(x, alpha))


@of_scipy
def rvs(alpha: Value, size: int = 1, random_state: object = None) -> Value:
    """Samples, which have no gradient."""
    raise TypeError("dirichlet.rvs: a sample has no gradient: pass getval(alpha)")
