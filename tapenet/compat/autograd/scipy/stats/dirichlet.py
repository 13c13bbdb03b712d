"""The Dirichlet distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet import ops
from tapenet.compat.autograd.scipy.special import gammaln
from tapenet.compat.autograd.scipy.stats.density import of_scipy


@of_scipy
def logpdf(x: Any, alpha: Any) -> Any:
    """The logarithm of the density at a vector x that sums to 1."""
    return ops.sum((alpha - 1) * np.log(x)) - ops.sum(gammaln(alpha)) + gammaln(ops.sum(alpha))


@of_scipy
def pdf(x: Any, alpha: Any) -> Any:
    """The density."""
    return np.exp(logpdf(x, alpha))


@of_scipy
def rvs(alpha: Any, size: int = 1, random_state: object = None) -> Any:
    """Samples, which have no gradient."""
    raise TypeError("dirichlet.rvs: a sample has no gradient: pass getval(alpha)")
