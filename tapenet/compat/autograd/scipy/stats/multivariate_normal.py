"""The multivariate normal distribution."""

from __future__ import annotations

import math

import numpy as np

from tapenet import ops
from tapenet.compat.autograd.scipy.stats.density import of_scipy
from tapenet.compat.autograd.values import Value, holds_tensor, plain


@of_scipy
def logpdf(x: Value, mean: Value, cov: Value, allow_singular: bool = False) -> Value:
    """The logarithm of the density at vectors, the last axis of x.

    The gradient by the covariance is symmetric. Of a singular matrix, which `allow_singular` allows, there is none by it.

    Raises:
        NotImplementedError: the gradient by a matrix that may be singular.

    >>> from tapenet.compat.autograd import grad
    >>> grad(logpdf)(np.array([1.0, 2.0]), np.zeros(2), np.diag([1.0, 4.0]))
    array([-1. , -0.5])
    """
    off = x - mean
    if allow_singular:
        if holds_tensor(plain(cov)):
            raise NotImplementedError(
                "multivariate_normal: the density has no gradient by a singular covariance matrix"
            )
        spectrum = np.linalg.eigvalsh(cov)
        spectrum = spectrum[spectrum > 1e-10 * spectrum.max()]
        solved, log_det, rank = off @ np.linalg.pinv(cov), np.sum(np.log(spectrum)), len(spectrum)
    else:
        symmetric = (cov + np.swapaxes(cov, -1, -2)) / 2
        solved = np.linalg.solve(symmetric, off[..., None])[..., 0]
        log_det, rank = np.linalg.slogdet(symmetric)[1], np.shape(cov)[-1]
    return -(ops.sum(off * solved, axis=-1) + log_det + rank * math.log(2 * math.pi)) / 2


@of_scipy
def pdf(x: Value, mean: Value, cov: Value, allow_singular: bool = False) -> Value:
    """The density."""
    return np.exp(logpdf(x, mean, cov, allow_singular))


@of_scipy
def entropy(mean: Value, cov: Value) -> Value:
    """The differential entropy."""
    return (np.linalg.slogdet(cov)[1] + np.shape(cov)[-1] * (1 + math.log(2 * math.pi))) / 2
