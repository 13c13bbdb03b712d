"""The discrete distributions: the logarithm of the probability of each value, with loc=0.

References: N. L. Johnson, A. W. Kemp and S. Kotz, "Univariate Discrete Distributions", 2005; A. Fog, "Calculation methods for
Wallenius' noncentral hypergeometric distribution", 2008; the documentation of `scipy.stats`.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet import special
from tapenet.scipy.stats import densities as d
from tapenet.scipy.stats.discrete_distribution import Discrete
from tapenet.typing import Array

bernoulli = Discrete(
    "bernoulli", lambda k, p: d.times_log(k, p) + d.times_log(1 - k, 1 - p), 0, 1, valid=lambda p: (p >= 0) & (p <= 1)
)
betabinom = Discrete(
    "betabinom",
    lambda k, n, a, b: (
        special.betaln(k + a, n - k + b) - special.betaln(a, b) - np.log(n + 1) - special.betaln(n - k + 1, k + 1)
    ),
    0, lambda n, a, b: n, valid=lambda n, a, b: (n >= 0) & (a > 0) & (b > 0), integers="n",
)  # fmt: skip


def _beta_negative_binomial(k: int, n: Array, a: Array, b: Array) -> Array:
    """Its k-th moment, by its factorial moments, which exist for a > k."""
    factorial, part = [], np.where(a > k, 1.0, math.inf)
    for i in range(k):
        part = part * (n + i) * (b + i) / (a - 1 - i)
        factorial.append(part)
    weights = {1: (1,), 2: (1, 1), 3: (1, 3, 1), 4: (1, 7, 6, 1)}[k]
    return cast("Array", sum(w * f for w, f in zip(weights, factorial, strict=True)))


betanbinom = Discrete(
    "betanbinom",
    lambda k, n, a, b: (
        special.betaln(a + n, b + k) - special.betaln(a, b) - np.log(n + k) - special.betaln(n, k + 1)
    ),
    valid=lambda n, a, b: (n >= 0) & (a > 0) & (b > 0), integers="n", raw=_beta_negative_binomial,
)  # fmt: skip
binom = Discrete(
    "binom", lambda k, n, p: d.log_binomial(n, k) + d.times_log(k, p) + d.times_log(n - k, 1 - p), 0, lambda n, p: n,
    valid=lambda n, p: (n >= 0) & (p >= 0) & (p <= 1), integers="n",
)  # fmt: skip
boltzmann = Discrete(
    "boltzmann",
    lambda k, lambda_, N: np.log(-np.expm1(-lambda_)) - np.log(-np.expm1(-lambda_ * N)) - lambda_ * k,
    0, lambda lambda_, N: N - 1, integers="N",
    cdf=lambda k, lambda_, N: np.expm1(-lambda_ * (k + 1)) / np.expm1(-lambda_ * N),
)  # fmt: skip
dlaplace = Discrete(
    "dlaplace", lambda k, a: np.log(np.tanh(a / 2)) - a * np.abs(k), -math.inf,
    cdf=lambda k, a: np.where(
        k >= 0, 1 - np.exp(-a * np.maximum(k, 0.0)) / (np.exp(a) + 1), np.exp(a * np.minimum(k + 1, 0.0)) / (np.exp(a) + 1)
    ),
)  # fmt: skip
geom = Discrete(
    "geom", lambda k, p: d.times_log(k - 1, 1 - p) + np.log(p), 1, valid=lambda p: (p > 0) & (p <= 1),
    logsf=lambda k, p: d.times_log(k, 1 - p),
)  # fmt: skip
hypergeom = Discrete(
    "hypergeom",
    lambda k, M, n, N: d.log_binomial(n, k) + d.log_binomial(M - n, N - k) - d.log_binomial(M, N),
    lambda M, n, N: np.maximum(N - (M - n), 0.0), lambda M, n, N: np.minimum(n, N), integers="M n N",
    valid=lambda M, n, N: (M > 0) & (n >= 0) & (N >= 0) & (n <= M) & (N <= M),
)  # fmt: skip
logser = Discrete(
    "logser", lambda k, p: k * np.log(p) - np.log(k) - np.log(-np.log1p(-p)), 1, valid=lambda p: (p > 0) & (p < 1)
)
nbinom = Discrete(
    "nbinom",
    lambda k, n, p: (
        special.gammaln(n + k) - special.gammaln(k + 1) - special.gammaln(n) + n * np.log(p) + d.times_log(k, 1 - p)
    ),
    valid=lambda n, p: (n > 0) & (p > 0) & (p <= 1),
)  # fmt: skip
nchypergeom_fisher, nchypergeom_wallenius = (
    Discrete(
        name, formula, lambda M, n, N, odds: np.maximum(N - (M - n), 0.0), lambda M, n, N, odds: np.minimum(n, N),
        integers="M n N", valid=lambda M, n, N, odds: (n >= 0) & (N >= 0) & (n <= M) & (N <= M) & (odds > 0), limited=True,
    )
    for name, formula in (("nchypergeom_fisher", d.fisher), ("nchypergeom_wallenius", d.wallenius))
)  # fmt: skip
nhypergeom = Discrete(
    "nhypergeom",
    lambda k, M, n, r: d.log_binomial(k + r - 1, k) + d.log_binomial(M - r - k, n - k) - d.log_binomial(M, n),
    0, lambda M, n, r: n, integers="M n r",
    valid=lambda M, n, r: (n >= 0) & (n <= M) & (r >= 0) & (r <= M - n),
)  # fmt: skip
planck = Discrete(
    "planck", lambda k, lambda_: np.log(-np.expm1(-lambda_)) - lambda_ * k, logsf=lambda k, lambda_: -lambda_ * (k + 1)
)
poisson = Discrete("poisson", lambda k, mu: d.times_log(k, mu) - special.gammaln(k + 1) - mu, valid=lambda mu: mu >= 0)
randint = Discrete(
    "randint", lambda k, low, high: -np.log(high - low) + 0 * k, lambda low, high: low, lambda low, high: high - 1,
    integers="low high", valid=lambda low, high: high > low,
)  # fmt: skip
skellam = Discrete("skellam", lambda k, mu1, mu2: d.skellam(k, mu1, mu2), -math.inf, limited=True)
yulesimon = Discrete(
    "yulesimon", lambda k, alpha: np.log(alpha) + special.betaln(k, alpha + 1), 1,
    logsf=lambda k, alpha: np.log(k) + special.betaln(k, alpha + 1),
)  # fmt: skip


def _ones(a: Array) -> Array:
    return np.ones_like(a)


def _zeta(a: Array) -> Array:
    """Riemann's function for a > 1."""
    return d.power_sum(a, _ones(a), np.full_like(a, math.inf))


zipf = Discrete(
    "zipf", lambda k, a: -a * np.log(k) - np.log(_zeta(a)), 1, valid=lambda a: a > 1,
    sf=lambda k, a: d.power_sum(a, k + 1, np.full_like(k, math.inf)) / _zeta(a),
    raw=lambda k, a: np.where(a > k + 1, _zeta(np.where(a > k + 1, a - k, 2.0)), math.inf) / _zeta(a),
)  # fmt: skip
zipfian = Discrete(
    "zipfian", lambda k, a, n: -a * np.log(k) - np.log(d.power_sum(a, _ones(a), n)), 1, lambda a, n: n, integers="n",
    valid=lambda a, n: (a >= 0) & (n >= 1),
    cdf=lambda k, a, n: d.power_sum(a, _ones(k), k) / d.power_sum(a, _ones(k), n),
)  # fmt: skip
