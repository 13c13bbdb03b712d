"""The continuous distributions: the logarithm of each density inside of its support, with loc=0 and scale=1, and a formula of
the distribution function where there is one in elementary functions and the normal distribution's.

References: N. L. Johnson, S. Kotz and N. Balakrishnan, "Continuous Univariate Distributions", 1994; the documentation of
`scipy.stats`.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet import special
from tapenet.scipy.stats import densities as d
from tapenet.scipy.stats.continuous_distribution import Continuous
from tapenet.typing import Array

_inf, _pi = math.inf, math.pi
_log2 = math.log(2)


def _softplus(x: Array) -> Array:
    return np.logaddexp(0.0, x)


alpha = Continuous(
    "alpha", lambda x, a: -2 * np.log(x) + d.normal(a - 1 / x) - special.log_ndtr(a), 0,
    logcdf=lambda x, a: special.log_ndtr(a - 1 / x) - special.log_ndtr(a),
)  # fmt: skip
anglit = Continuous("anglit", lambda x: np.log(np.cos(2 * x)), -_pi / 4, _pi / 4)
arcsine = Continuous("arcsine", lambda x: -math.log(_pi) - 0.5 * np.log(x * (1 - x)), 0, 1)


def _argus(chi: Array) -> Array:
    return cast("Array", special.gammainc(np.full_like(chi, 1.5), chi * chi / 2))


argus = Continuous(
    "argus",
    lambda x, chi: (
        3 * np.log(chi) - d.LOG_ROOT + _log2 - np.log(_argus(chi)) + np.log(x) + 0.5 * np.log1p(-x * x)
        - chi * chi * (1 - x * x) / 2
    ),
    0, 1, sf=lambda x, chi: _argus(chi * np.sqrt((1 - x) * (1 + x))) / _argus(chi),
)  # fmt: skip
beta = Continuous("beta", lambda x, a, b: d.beta(x, a, b), 0, 1)
betaprime = Continuous(
    "betaprime", lambda x, a, b: d.times_log(a - 1, x) - (a + b) * np.log1p(x) - special.betaln(a, b), 0
)
bradford = Continuous(
    "bradford", lambda x, c: np.log(c) - np.log1p(c * x) - np.log(np.log1p(c)), 0, 1,
    cdf=lambda x, c: np.log1p(c * x) / np.log1p(c),
)  # fmt: skip
burr = Continuous(
    "burr", lambda x, c, d_: np.log(c) + np.log(d_) + d.times_log(c * d_ - 1, x) - (d_ + 1) * np.log1p(d.power(x, c)), 0,
    logcdf=lambda x, c, d_: d_ * (c * np.log(x) - np.log1p(d.power(x, c))), names="c d",
)  # fmt: skip
burr12 = Continuous(
    "burr12", lambda x, c, d_: np.log(c) + np.log(d_) + d.times_log(c - 1, x) - (d_ + 1) * np.log1p(d.power(x, c)), 0,
    logsf=lambda x, c, d_: -d_ * np.log1p(d.power(x, c)), names="c d",
)  # fmt: skip
cauchy = Continuous("cauchy", lambda x: -math.log(_pi) - np.log1p(x * x))
chi = Continuous(
    "chi", lambda x, df: (1 - df / 2) * _log2 - special.gammaln(df / 2) + d.times_log(df - 1, x) - x * x / 2, 0
)
chi2 = Continuous("chi2", lambda x, df: d.gamma(x / 2, df / 2) - _log2, 0)
cosine = Continuous("cosine", lambda x: np.log1p(np.cos(x)) - math.log(2 * _pi), -_pi, _pi)


def _ball(beta: Array, m: Array) -> Array:
    """The logarithm of the crystal ball's mass, with the normal density as the density of its core."""
    return cast("Array", np.log(np.exp(d.normal(beta)) * m / (beta * (m - 1)) + special.ndtr(beta)))


def _ball_tail(x: Array, beta: Array, m: Array) -> Array:
    """The logarithm of the density of its tail, without the mass."""
    far = np.where(x > -beta, m / beta, m / beta - beta - x)
    return cast("Array", m * (np.log(m / beta) - np.log(far)) + d.normal(beta))


crystalball = Continuous(
    "crystalball", lambda x, beta, m: np.where(x > -beta, d.normal(x), _ball_tail(x, beta, m)) - _ball(beta, m),
    valid=lambda beta, m: (m > 1) & (beta > 0),
    cdf=lambda x, beta, m: np.exp(-_ball(beta, m)) * np.where(
        x > -beta, np.exp(d.normal(beta)) * m / (beta * (m - 1)) + special.ndtr(x) - special.ndtr(-beta),
        np.exp(_ball_tail(x, beta, m)) * (m / beta - beta - x) / (m - 1),
    ),
    split=lambda beta, m: -beta,
)  # fmt: skip
dgamma = Continuous("dgamma", lambda x, a: d.gamma(np.abs(x), a) - _log2, split=0.0)
dpareto_lognorm = Continuous(
    "dpareto_lognorm",
    lambda x, u, s, a, b: (
        np.log(a) + np.log(b) - np.log(a + b) - np.log(x) + d.normal((np.log(x) - u) / s)
        + np.logaddexp(d.mills(a * s - (np.log(x) - u) / s), d.mills(b * s + (np.log(x) - u) / s))
    ),
    0, valid=lambda u, s, a, b: (s > 0) & (a > 0) & (b > 0),
)  # fmt: skip
dweibull = Continuous(
    "dweibull",
    lambda x, c: np.log(c) - _log2 + d.times_log(c - 1, np.abs(x)) - d.power(np.abs(x), c), split=0.0,
)  # fmt: skip
erlang = Continuous("erlang", lambda x, a: d.gamma(x, a), 0)
expon = Continuous("expon", lambda x: -x, 0)
exponnorm = Continuous("exponnorm", lambda x, K: (0.5 / K - x) / K + special.log_ndtr(x - 1 / K) - np.log(K))
exponpow = Continuous(
    "exponpow", lambda x, b: 1 + np.log(b) + d.times_log(b - 1, x) + d.power(x, b) - np.exp(d.power(x, b)), 0,
    logsf=lambda x, b: -np.expm1(d.power(x, b)),
)  # fmt: skip
exponweib = Continuous(
    "exponweib",
    lambda x, a, c: (
        np.log(a) + np.log(c) + d.times_log(a - 1, -np.expm1(-d.power(x, c))) - d.power(x, c) + d.times_log(c - 1, x)
    ),
    0, logcdf=lambda x, a, c: a * np.log(-np.expm1(-d.power(x, c))),
)  # fmt: skip
f = Continuous(
    "f",
    lambda x, dfn, dfd: (
        dfd / 2 * np.log(dfd) + dfn / 2 * np.log(dfn) + d.times_log(dfn / 2 - 1, x)
        - (dfn + dfd) / 2 * np.log(dfd + dfn * x) - special.betaln(dfn / 2, dfd / 2)
    ),
    0,
)  # fmt: skip
fatiguelife = Continuous(
    "fatiguelife",
    lambda x, c: np.log(x + 1) - (x - 1) ** 2 / (2 * x * c * c) - np.log(2 * c) - d.LOG_ROOT - 1.5 * np.log(x), 0,
    logcdf=lambda x, c: special.log_ndtr((np.sqrt(x) - 1 / np.sqrt(x)) / c),
)  # fmt: skip
fisk = Continuous(
    "fisk", lambda x, c: np.log(c) + d.times_log(c - 1, x) - 2 * np.log1p(d.power(x, c)), 0,
    logsf=lambda x, c: -np.log1p(d.power(x, c)),
)  # fmt: skip
foldcauchy = Continuous(
    "foldcauchy", lambda x, c: np.log(1 / (1 + (x - c) ** 2) + 1 / (1 + (x + c) ** 2)) - math.log(_pi), 0,
    valid=lambda c: c >= 0, cdf=lambda x, c: (np.arctan(x - c) + np.arctan(x + c)) / _pi,
)  # fmt: skip
foldnorm = Continuous(
    "foldnorm", lambda x, c: np.logaddexp(d.normal(x + c), d.normal(x - c)), 0, valid=lambda c: c >= 0,
    sf=lambda x, c: special.ndtr(c - x) + special.ndtr(-c - x),
)  # fmt: skip
gamma = Continuous("gamma", lambda x, a: d.gamma(x, a), 0)
gausshyper = Continuous(
    "gausshyper",
    lambda x, a, b, c, z: (
        d.times_log(a - 1, x) + d.times_log(b - 1, 1 - x) - c * np.log1p(z * x) - d.log_hypergeometric_beta(a, b, c, z)
    ),
    0, 1, valid=lambda a, b, c, z: (a > 0) & (b > 0) & (c == c) & (z > -1),
)  # fmt: skip
genexpon = Continuous(
    "genexpon",
    lambda x, a, b, c: np.log(a - b * np.expm1(-c * x)) - (a + b) * x - b * np.expm1(-c * x) / c, 0,
    logsf=lambda x, a, b, c: -(a + b) * x - b * np.expm1(-c * x) / c,
)  # fmt: skip
genextreme = Continuous(
    "genextreme",
    lambda x, c: -x * d.log1p_ratio(-c * x) * (1 - c) - np.exp(-x * d.log1p_ratio(-c * x)),
    lambda c: np.where(c < 0, 1 / np.where(c < 0, c, -1.0), -_inf),
    lambda c: np.where(c > 0, 1 / np.where(c > 0, c, 1.0), _inf),
    valid=lambda c: np.isfinite(c), logcdf=lambda x, c: -np.exp(-x * d.log1p_ratio(-c * x)),
)  # fmt: skip
gengamma = Continuous(
    "gengamma", lambda x, a, c: np.log(np.abs(c)) + d.times_log(c * a - 1, x) - x**c - special.gammaln(a), 0,
    valid=lambda a, c: (a > 0) & (c != 0),
)  # fmt: skip
genhalflogistic = Continuous(
    "genhalflogistic",
    lambda x, c: _log2 - x * d.log1p_ratio(-c * x) * (1 - c) - 2 * _softplus(-x * d.log1p_ratio(-c * x)),
    0, lambda c: 1 / c, cdf=lambda x, c: np.tanh(x * d.log1p_ratio(-c * x) / 2),
)  # fmt: skip
genhyperbolic = Continuous(
    "genhyperbolic",
    lambda x, p, a, b: (
        p * np.log(a * a - b * b) / 2 - d.LOG_ROOT - (p - 0.5) * np.log(a) - d.log_kv(p, np.sqrt(a * a - b * b))
        + np.sqrt(a * a - b * b) + b * x + d.log_kv(p - 0.5, a * np.sqrt(1 + x * x)) - a * np.sqrt(1 + x * x)
        + (p - 0.5) / 2 * np.log1p(x * x)
    ),
    valid=lambda p, a, b: ((np.abs(b) < a) & (p >= 0)) | ((np.abs(b) <= a) & (p < 0)),
)  # fmt: skip
geninvgauss = Continuous(
    "geninvgauss", lambda x, p, b: (p - 1) * np.log(x) - b * (x + 1 / x - 2) / 2 - _log2 - d.log_kv(p, b), 0,
    valid=lambda p, b: (p == p) & (b > 0),
)  # fmt: skip
genlogistic = Continuous(
    "genlogistic", lambda x, c: np.log(c) - c * _softplus(-x) - _softplus(x), logcdf=lambda x, c: -c * _softplus(-x)
)
gennorm = Continuous(
    "gennorm", lambda x, beta: np.log(beta / 2) - special.gammaln(1 / beta) - d.power(np.abs(x), beta), split=0.0
)
genpareto = Continuous(
    "genpareto", lambda x, c: -(c + 1) * x * d.log1p_ratio(c * x), 0,
    lambda c: np.where(c < 0, -1 / np.where(c < 0, c, -1.0), _inf), valid=lambda c: np.isfinite(c),
    logsf=lambda x, c: -x * d.log1p_ratio(c * x),
)  # fmt: skip
gibrat = Continuous("gibrat", lambda x: d.normal(np.log(x)) - np.log(x), 0)
gompertz = Continuous("gompertz", lambda x, c: np.log(c) + x - c * np.expm1(x), 0, logsf=lambda x, c: -c * np.expm1(x))
gumbel_l = Continuous("gumbel_l", lambda x: x - np.exp(x))
gumbel_r = Continuous("gumbel_r", lambda x: -x - np.exp(-x))
halfcauchy = Continuous("halfcauchy", lambda x: math.log(2 / _pi) - np.log1p(x * x), 0)
halfgennorm = Continuous("halfgennorm", lambda x, beta: np.log(beta) - special.gammaln(1 / beta) - d.power(x, beta), 0)
halflogistic = Continuous("halflogistic", lambda x: _log2 - x - 2 * np.log1p(np.exp(-x)), 0)
halfnorm = Continuous("halfnorm", lambda x: _log2 + d.normal(x), 0)
hypsecant = Continuous("hypsecant", lambda x: math.log(2 / _pi) - np.logaddexp(x, -x))
invgamma = Continuous("invgamma", lambda x, a: -(a + 1) * np.log(x) - special.gammaln(a) - 1 / x, 0)
invgauss = Continuous("invgauss", lambda x, mu: -d.LOG_ROOT - 1.5 * np.log(x) - (x / mu - 1) ** 2 / (2 * x), 0)
invweibull = Continuous(
    "invweibull", lambda x, c: np.log(c) - (c + 1) * np.log(x) - x**-c, 0, logcdf=lambda x, c: -(x**-c)
)
irwinhall = Continuous("irwinhall", lambda x, n: np.log(d.irwin_hall(x, n)), 0, lambda n: n, integers="n", limited=True)


def _skew_t(x: Array, a: Array, b: Array) -> Array:
    s = np.sqrt(a + b + x * x)
    large = np.log(s + np.abs(x)) - np.log(s)
    small = np.log(a + b) - np.log(s) - np.log(s + np.abs(x))
    return cast("Array", (a + 0.5) * np.where(x > 0, large, small) + (b + 0.5) * np.where(x > 0, small, large))


jf_skew_t = Continuous(
    "jf_skew_t", lambda x, a, b: _skew_t(x, a, b) - (a + b - 1) * _log2 - special.betaln(a, b) - 0.5 * np.log(a + b)
)
johnsonsb = Continuous(
    "johnsonsb",
    lambda x, a, b: np.log(b) - np.log(x) - np.log1p(-x) + d.normal(a + b * (np.log(x) - np.log1p(-x))), 0, 1,
    valid=lambda a, b: (b > 0) & (a == a), logcdf=lambda x, a, b: special.log_ndtr(a + b * (np.log(x) - np.log1p(-x))),
)  # fmt: skip
johnsonsu = Continuous(
    "johnsonsu", lambda x, a, b: np.log(b) - 0.5 * np.log1p(x * x) + d.normal(a + b * np.arcsinh(x)),
    valid=lambda a, b: (b > 0) & (a == a), logcdf=lambda x, a, b: special.log_ndtr(a + b * np.arcsinh(x)),
)  # fmt: skip
kappa3 = Continuous(
    "kappa3", lambda x, a: np.log(a) - (1 / a + 1) * np.log(a + d.power(x, a)), 0,
    logcdf=lambda x, a: np.log(x) - np.log(a + d.power(x, a)) / a,
)  # fmt: skip


def _kappa4(x: Array, h: Array, k: Array) -> tuple[Array, Array]:
    """The logarithm of y = (1 - kx)^(1/k), and that of the distribution function, (1 - hy)^(1/h)."""
    log = -x * d.log1p_ratio(-k * x)
    return log, -np.exp(log) * d.log1p_ratio(-h * np.exp(log))


def _kappa4_low(h: Array, k: Array) -> Array:
    above, sized = h > 0, k != 0
    log = np.log(np.where(above, h, 1.0))
    ratio = -np.expm1(-k * log) / np.where(sized, k, 1.0)
    below = np.where(k < 0, 1 / np.where(k < 0, k, -1.0), -_inf)
    return np.where(above, np.where(sized, ratio, log), below)


kappa4 = Continuous(
    "kappa4", lambda x, h, k: (1 - k) * _kappa4(x, h, k)[0] + (1 - h) * _kappa4(x, h, k)[1], _kappa4_low,
    lambda h, k: np.where(k > 0, 1 / np.where(k > 0, k, 1.0), _inf), valid=lambda h, k: (h == h) & (k == k),
    logcdf=lambda x, h, k: _kappa4(x, h, k)[1],
)  # fmt: skip
ksone = Continuous("ksone", lambda x, n: np.log(d.smirnov(x, n)), 0, 1, integers="n", limited=True)
kstwo = Continuous("kstwo", lambda x, n: d.two_sided(x, n), lambda n: 0.5 / n, 1, integers="n")
kstwobign = Continuous("kstwobign", lambda x: np.log(d.kolmogorov(x)), 0)
landau = Continuous("landau", lambda x: np.log(d.landau(x)), limited=True)
laplace = Continuous("laplace", lambda x: -np.abs(x) - _log2, split=0.0)
laplace_asymmetric = Continuous(
    "laplace_asymmetric", lambda x, kappa: x * np.where(x >= 0, -kappa, 1 / kappa) - np.log(kappa + 1 / kappa), split=0.0,
    cdf=lambda x, kappa: np.where(
        x >= 0, 1 - np.exp(-np.maximum(x, 0.0) * kappa) / (1 + kappa**2),
        np.exp(np.minimum(x, 0.0) / kappa) * kappa**2 / (1 + kappa**2),
    ),
)  # fmt: skip
levy = Continuous("levy", lambda x: -d.LOG_ROOT - 1.5 * np.log(x) - 1 / (2 * x), 0)
levy_l = Continuous("levy_l", lambda x: -d.LOG_ROOT - 1.5 * np.log(-x) + 1 / (2 * x), high=0)
levy_stable = Continuous(
    "levy_stable", lambda x, alpha, beta: np.log(d.stable(x, alpha, beta, False)),
    valid=lambda alpha, beta: (alpha > 0) & (alpha <= 2) & (np.abs(beta) <= 1),
    cdf=lambda x, alpha, beta: d.stable(x, alpha, beta, True), limited=True,
)  # fmt: skip
loggamma = Continuous("loggamma", lambda x, c: c * x - np.exp(x) - special.gammaln(c))
logistic = Continuous("logistic", lambda x: -_softplus(x) - _softplus(-x))
loglaplace = Continuous(
    "loglaplace", lambda x, c: np.log(c / 2) + np.where(x < 1, c - 1, -c - 1) * np.log(x), 0, split=1.0
)
lognorm = Continuous(
    "lognorm",
    lambda x, s: d.normal(np.log(x) / s) - np.log(s * x),
    0,
    logcdf=lambda x, s: special.log_ndtr(np.log(x) / s),
)
loguniform, reciprocal = (
    Continuous(
        name, lambda x, a, b: -np.log(x) - np.log(np.log(b) - np.log(a)), lambda a, b: a, lambda a, b: b,
        valid=lambda a, b: (a > 0) & (b > a), cdf=lambda x, a, b: (np.log(x) - np.log(a)) / (np.log(b) - np.log(a)),
    )
    for name in ("loguniform", "reciprocal")
)  # fmt: skip
lomax = Continuous("lomax", lambda x, c: np.log(c) - (c + 1) * np.log1p(x), 0, logsf=lambda x, c: -c * np.log1p(x))
maxwell = Continuous("maxwell", lambda x: 0.5 * math.log(2 / _pi) + 2 * np.log(x) - x * x / 2, 0)
mielke = Continuous(
    "mielke", lambda x, k, s: np.log(k) + d.times_log(k - 1, x) - (1 + k / s) * np.log1p(d.power(x, s)), 0,
    logcdf=lambda x, k, s: k * np.log(x) - k / s * np.log1p(d.power(x, s)),
)  # fmt: skip
moyal = Continuous("moyal", lambda x: -(x + np.exp(-x)) / 2 - d.LOG_ROOT)
nakagami = Continuous(
    "nakagami",
    lambda x, nu: _log2 + nu * np.log(nu) - special.gammaln(nu) + d.times_log(2 * nu - 1, x) - nu * x * x, 0,
)  # fmt: skip
ncf = Continuous(
    "ncf", lambda x, dfn, dfd, nc: d.noncentral_f(x, dfn, dfd, nc), 0,
    valid=lambda dfn, dfd, nc: (dfn > 0) & (dfd > 0) & (nc >= 0), limited=True,
)  # fmt: skip
nct = Continuous(
    "nct", lambda x, df, nc: d.noncentral_t(x, df, nc), valid=lambda df, nc: (df > 0) & (nc == nc), limited=True
)
ncx2 = Continuous(
    "ncx2", lambda x, df, nc: d.noncentral_chi_square(x, df, nc), 0,
    valid=lambda df, nc: (df > 0) & np.isfinite(df) & (nc >= 0), limited=True,
)  # fmt: skip
norm = Continuous("norm", lambda x: d.normal(x))
norminvgauss = Continuous(
    "norminvgauss",
    lambda x, a, b: (
        np.log(a / _pi) + np.log(special.k1e(a * np.sqrt(1 + x * x))) + b * x - a * np.sqrt(1 + x * x)
        + np.sqrt(a * a - b * b) - 0.5 * np.log1p(x * x)
    ),
    valid=lambda a, b: (a > 0) & (np.abs(b) < a),
)  # fmt: skip
pareto = Continuous("pareto", lambda x, b: np.log(b) - (b + 1) * np.log(x), 1, logsf=lambda x, b: -b * np.log(x))


def _pearson3(x: Array, skew: Array) -> Array:
    flat = np.abs(skew) < 1.6e-5
    skew_ = np.where(flat, 1.0, skew)
    shape, rate = 4 / skew_**2, 2 / skew_
    y = rate * x + shape
    gamma = np.log(np.abs(rate)) + d.gamma(np.where(flat | (y <= 0), 1.0, y), shape)
    return np.where(flat, d.normal(x) + skew * (x**3 - 3 * x) / 6, gamma)


pearson3 = Continuous(
    "pearson3", _pearson3,
    lambda skew: np.where(skew > 1.6e-5, -2 / np.where(skew > 1.6e-5, skew, 1.0), -_inf),
    lambda skew: np.where(skew < -1.6e-5, -2 / np.where(skew < -1.6e-5, skew, 1.0), _inf),
    valid=lambda skew: np.isfinite(skew),
)  # fmt: skip
powerlaw = Continuous(
    "powerlaw", lambda x, a: np.log(a) + d.times_log(a - 1, x), 0, 1, logcdf=lambda x, a: a * np.log(x)
)
powerlognorm = Continuous(
    "powerlognorm",
    lambda x, c, s: (
        np.log(c) - np.log(x * s) + d.normal(np.log(x) / s) + (c - 1) * special.log_ndtr(-np.log(x) / s)
    ),
    0, logsf=lambda x, c, s: c * special.log_ndtr(-np.log(x) / s),
)  # fmt: skip
powernorm = Continuous(
    "powernorm", lambda x, c: np.log(c) + d.normal(x) + (c - 1) * special.log_ndtr(-x),
    logsf=lambda x, c: c * special.log_ndtr(-x),
)  # fmt: skip
rayleigh = Continuous("rayleigh", lambda x: np.log(x) - x * x / 2, 0)
rdist = Continuous(
    "rdist", lambda x, c: d.times_log(c / 2 - 1, (1 - x) * (1 + x)) - special.betaln(c / 2, 0.5 + 0 * c), -1, 1
)
recipinvgauss = Continuous(
    "recipinvgauss", lambda x, mu: -((1 - mu * x) ** 2) / (2 * x * mu * mu) - d.LOG_ROOT - 0.5 * np.log(x), 0
)


def _breit_wigner(x: Array, rho: Array) -> Array:
    root = np.sqrt(1 + 1 / rho**2)
    return cast(
        "Array",
        math.log(2 / _pi) + 0.5 * np.log(2 * root * root / (1 + root)) - np.log1p(((x - rho) * (x + rho) / rho) ** 2),
    )


rel_breitwigner = Continuous("rel_breitwigner", _breit_wigner, 0)
rice = Continuous(
    "rice", lambda x, b: np.log(x) - (x - b) ** 2 / 2 + np.log(special.i0e(x * b)), 0, valid=lambda b: b >= 0
)
semicircular = Continuous("semicircular", lambda x: math.log(2 / _pi) + 0.5 * np.log1p(-x * x), -1, 1)
skewcauchy = Continuous(
    "skewcauchy", lambda x, a: -math.log(_pi) - np.log1p((x / (1 + a * np.sign(x))) ** 2), valid=lambda a: np.abs(a) < 1,
    cdf=lambda x, a: (1 - a) / 2 + (1 + a * np.sign(x)) / _pi * np.arctan(x / (1 + a * np.sign(x))), split=0.0,
)  # fmt: skip
skewnorm = Continuous(
    "skewnorm", lambda x, a: _log2 + d.normal(x) + special.log_ndtr(a * x), valid=lambda a: np.isfinite(a)
)
studentized_range = Continuous(
    "studentized_range", lambda x, k, df: np.log(d.studentized_range(x, k, df, False)), 0,
    valid=lambda k, df: (k > 1) & (df > 0), cdf=lambda x, k, df: d.studentized_range(x, k, df, True), limited=True,
)  # fmt: skip
t = Continuous(
    "t", lambda x, df: -(df + 1) / 2 * np.log1p(x * x / df) - special.betaln(df / 2, 0.5 + 0 * df) - np.log(df) / 2
)


def _slopes(x: Array, c: Array, d: Array) -> Array:
    """The density of a trapezoid of height 1."""
    rise = x / np.where(c > 0, c, 1.0)
    fall = (1 - x) / np.where(d < 1, 1 - d, 1.0)
    return np.where(x < c, rise, np.where(x <= d, 1.0, fall))


def _areas(x: Array, c: Array, d: Array) -> Array:
    """The distribution function of a trapezoid."""
    rise = x * x / np.where(c > 0, c, 1.0)
    fall = (1 - x) ** 2 / np.where(d < 1, 1 - d, 1.0)
    return cast("Array", np.where(x < c, rise, np.where(x <= d, 2 * x - c, d - c + 1 - fall)) / (d - c + 1))


trapezoid = Continuous(
    "trapezoid", lambda x, c, d: np.log(_slopes(x, c, d)) + _log2 - np.log(d - c + 1), 0, 1,
    valid=lambda c, d: (c >= 0) & (c <= 1) & (d >= 0) & (d <= 1) & (d >= c), cdf=_areas,
    raw=lambda k, c, d: 2 * (sum(d**i for i in range(k + 2)) - c ** (k + 1)) / ((k + 1) * (k + 2) * (1 + d - c)),
    entropy=lambda c, d: (1 - d + c) / (1 + d - c) / 2 + np.log((1 + d - c) / 2),
)  # fmt: skip
triang = Continuous(
    "triang", lambda x, c: np.log(_slopes(x, c, c)) + _log2, 0, 1, valid=lambda c: (c >= 0) & (c <= 1),
    cdf=lambda x, c: _areas(x, c, c), split=lambda c: c,
)  # fmt: skip
truncexpon = Continuous(
    "truncexpon", lambda x, b: -x - np.log(-np.expm1(-b)), 0, lambda b: b, cdf=lambda x, b: np.expm1(-x) / np.expm1(-b)
)
truncnorm = Continuous(
    "truncnorm", lambda x, a, b: d.normal(x) - d.log_mass(a, b), lambda a, b: a, lambda a, b: b,
    valid=lambda a, b: a < b, logcdf=lambda x, a, b: d.log_mass(a, x) - d.log_mass(a, b),
)  # fmt: skip
truncpareto = Continuous(
    "truncpareto",
    lambda x, b, c: np.log(np.abs(b)) - np.log(np.abs(np.expm1(-b * np.log(c)))) - (b + 1) * np.log(x), 1, lambda b, c: c,
    valid=lambda b, c: (b != 0) & (c > 1), cdf=lambda x, b, c: np.expm1(-b * np.log(x)) / np.expm1(-b * np.log(c)),
)  # fmt: skip


def _weibull_mass(c: Array, a: Array, b: Array) -> Array:
    """The logarithm of the probability that a Weibull variable lies between a and b."""
    end = np.where(b < _inf, d.power(np.where(b < _inf, b, 1.0), c) - d.power(a, c), _inf)
    return -d.power(a, c) + np.log(-np.expm1(-end))


truncweibull_min = Continuous(
    "truncweibull_min",
    lambda x, c, a, b: np.log(c) + d.times_log(c - 1, x) - d.power(x, c) - _weibull_mass(c, a, b),
    lambda c, a, b: a, lambda c, a, b: b, valid=lambda c, a, b: (a >= 0) & (b > a) & (c > 0),
    logcdf=lambda x, c, a, b: _weibull_mass(c, a, x) - _weibull_mass(c, a, b),
)  # fmt: skip
tukeylambda = Continuous(
    "tukeylambda",
    lambda x, lam: -np.logaddexp((lam - 1) * np.log(special.tklmbda(x, lam)), (lam - 1) * np.log(special.tklmbda(-x, lam))),
    lambda lam: np.where(lam > 0, -1 / np.where(lam > 0, lam, 1.0), -_inf),
    lambda lam: np.where(lam > 0, 1 / np.where(lam > 0, lam, 1.0), _inf),
    valid=lambda lam: np.isfinite(lam), cdf=lambda x, lam: special.tklmbda(x, lam),
)  # fmt: skip
uniform = Continuous("uniform", lambda x: 0 * x, 0, 1)


def _turn(x: Array, kappa: Array) -> Array:
    return cast("Array", -2 * kappa * np.sin(x / 2) ** 2 - math.log(2 * _pi) - np.log(special.i0e(kappa)))


vonmises = Continuous(
    "vonmises", lambda x, kappa: _turn(x, kappa), valid=lambda kappa: kappa >= 0, cdf=d.von_mises,
    period=2 * _pi,
)  # fmt: skip
vonmises_line = Continuous(
    "vonmises_line", lambda x, kappa: _turn(x, kappa), -_pi, _pi, valid=lambda kappa: kappa >= 0, cdf=d.von_mises
)
wald = Continuous("wald", lambda x: -d.LOG_ROOT - 1.5 * np.log(x) - (x - 1) ** 2 / (2 * x), 0)
weibull_max = Continuous(
    "weibull_max", lambda x, c: np.log(c) + d.times_log(c - 1, -x) - d.power(-x, c), high=0,
    logcdf=lambda x, c: -d.power(-x, c),
)  # fmt: skip
weibull_min = Continuous(
    "weibull_min", lambda x, c: np.log(c) + d.times_log(c - 1, x) - d.power(x, c), 0, logsf=lambda x, c: -d.power(x, c)
)


def _wrapped(x: Array, c: Array) -> Array:
    first = x < _pi
    angle = np.arctan((1 + c) / (1 - c) * np.tan(np.where(first, x, 2 * _pi - x) / 2)) / _pi
    return cast("Array", np.where(first, angle, 1 - angle))


wrapcauchy = Continuous(
    "wrapcauchy", lambda x, c: np.log1p(-c * c) - math.log(2 * _pi) - np.log(1 + c * c - 2 * c * np.cos(x)), 0, 2 * _pi,
    valid=lambda c: (c > 0) & (c < 1), cdf=_wrapped, split=_pi,
)  # fmt: skip
