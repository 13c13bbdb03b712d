"""Draws whose derivative by a parameter follows from the distribution function: at a fixed value of F(x, a),
dx/da = -(∂F/∂a) / (∂F/∂x). Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", NeurIPS 2018.
"""

from __future__ import annotations

import numpy as np

from tapenet.ops.op import op
from tapenet.ops.random import generator
from tapenet.special.bessel import i0e, i1e
from tapenet.special.error_functions import log_ndtr
from tapenet.special.gamma_distribution import gamma_by_shape, gamma_density
from tapenet.typing import Array, Shape

#: Gauss and Legendre's points and weights on [0, 1].
_POINTS, _WEIGHTS = (c / 2 for c in np.polynomial.legendre.leggauss(48))


@op(
    random=True,
    a=lambda g, a, out: -g * _by_shape(a, out),
    label="gamma draw",
)
def standard_gamma(a: Array, size: Shape, rng: np.random.Generator | int | None = None) -> Array:
    """Numbers from the gamma distribution with shape `a` and scale 1."""
    return np.asarray(generator(rng).standard_gamma(a, size), a.dtype)


def _by_shape(a: Array, x: Array) -> Array:
    """(∂P(a, x)/∂a) / (∂P/∂x); of draws that are 0, to rounding, it is 0."""
    drawn = np.where(x > 0, x, 1.0)
    found: Array = np.where(x > 0, gamma_by_shape(a, drawn) / gamma_density(a, drawn), 0.0)
    return found


@op(
    random=True,
    kappa=lambda g, kappa, out: -g * _by_concentration(kappa, out),
    label="von Mises draw",
)
def standard_von_mises(kappa: Array, size: Shape, rng: np.random.Generator | int | None = None) -> Array:
    """Angles from von Mises' distribution about 0 with concentration `kappa`."""
    return np.asarray(generator(rng).vonmises(0.0, kappa, size), kappa.dtype)


def _by_concentration(kappa: Array, angle: Array) -> Array:
    """(∂F/∂κ) / f, from the integral of the density's derivative from 0, where F does not change:
    ∫₀ˣ exp(κ (cos t - cos x)) (cos t - I₁(κ)/I₀(κ)) dt."""
    k, x = kappa[..., None], angle[..., None]
    t = x * (_POINTS + 0.5)
    mean = i1e(k) / i0e(k)
    found: Array = angle * np.sum(_WEIGHTS * np.exp(k * (np.cos(t) - np.cos(x))) * (np.cos(t) - mean), axis=-1)
    return found


@op(
    random=True,
    mean=lambda g, mean, out: -g * _by_mean(mean, out),
    label="Wald draw",
)
def standard_wald(mean: Array, size: Shape, rng: np.random.Generator | int | None = None) -> Array:
    """Numbers from the inverse Gaussian distribution with mean `mean` and scale 1."""
    return np.asarray(generator(rng).wald(mean, 1.0, size), mean.dtype)


def _by_mean(mean: Array, x: Array) -> Array:
    """(∂F/∂μ) / f, where F(x, μ) = Φ((x/μ - 1)/√x) + exp(2/μ) Φ(-(x/μ + 1)/√x): its derivative by μ is
    -2 exp(2/μ) Φ(-(x/μ + 1)/√x) / μ², since those of the two arguments of Φ cancel."""
    root = np.sqrt(x)
    log_density = -((x / mean - 1) ** 2) / (2 * x) - np.log(2 * np.pi * x**3) / 2
    found: Array = -2 / mean**2 * np.exp(2 / mean + log_ndtr(-(x / mean + 1) / root) - log_density)
    return found
