"""Formulas of densities that need more than a line: integrals and series with a fixed number of terms.

All of them are NumPy's functions and ops, so that they are differentiated by every argument, to every order.
"""

from __future__ import annotations

import math
from typing import NoReturn, cast

import numpy as np

from tapenet import ops, special
from tapenet.ops.op import op
from tapenet.typing import Array

LOG_ROOT = 0.5 * math.log(2 * math.pi)


def times_log(a: Array, x: Array) -> Array:
    """a log(x), 0 where both are 0."""
    both = (x == 0) & (a == 0)
    found: Array = np.where(both, 0.0, a * np.log(np.where(both, 1.0, x)))
    return found


def power(x: Array, c: Array) -> Array:
    """x to the power of c > 0, for x from 0 to infinity, with the derivative 0 by c at both ends."""
    inner = (x > 0) & (x < math.inf)
    found: Array = np.where(inner, np.where(inner, x, 1.0) ** c, x)
    return found


def normal(x: Array) -> Array:
    """The logarithm of the standard normal density."""
    return -x * x / 2 - LOG_ROOT


def gamma(x: Array, a: Array) -> Array:
    """The logarithm of the density of a gamma distribution."""
    return cast("Array", times_log(a - 1, x) - x - special.gammaln(a))


def beta(x: Array, a: Array, b: Array) -> Array:
    """The logarithm of the density of a beta distribution."""
    return cast("Array", times_log(a - 1, x) + times_log(b - 1, 1 - x) - special.betaln(a, b))


def log1p_ratio(w: Array) -> Array:
    """log(1 + w) / w, smooth at w = 0."""
    small = np.abs(w) < 0.05
    near, far = np.where(small, w, 0.0), np.where(small, 1.0, w)
    series: Array | float = 0.0
    for k in range(16, 0, -1):
        series = (-1.0) ** (k - 1) / k + near * series
    found: Array = np.where(small, series, np.log1p(far) / far)
    return found


def log_mass(a: Array, b: Array) -> Array:
    """The logarithm of the probability that a standard normal variable lies between a and b."""
    mirrored = a > 0
    low = np.maximum(np.where(mirrored, -b, a), -1e4)
    high = special.log_ndtr(np.where(mirrored, -a, b))
    return cast("Array", high + np.log1p(-np.exp(special.log_ndtr(low) - high)))


def mills(x: Array) -> Array:
    """The logarithm of Mills' ratio of the normal distribution."""
    return cast("Array", special.log_ndtr(-x) - normal(x))


def log_sum(terms: Array) -> Array:
    """The logarithm of the sum of exponentials along the last axis."""
    most = ops.stop_gradient(terms.max(-1))
    most = np.where(np.isfinite(most), most, 0.0)
    return cast("Array", most + np.log(np.exp(terms - most[..., None]).sum(-1)))


#: Nodes of the trapezoidal rule on (0, 1].
_UNIT = np.arange(129) / 128
_SINH, _COSH = np.sinh(np.linspace(-5.5, 5.5, 100)), np.cosh(np.linspace(-5.5, 5.5, 100)) * (11 / 99)
_E = np.exp(np.pi / 2 * np.sinh(np.arange(-5.6, 5.6, 0.08)))
_E_WEIGHTS = np.log(np.pi / 2 * np.cosh(np.arange(-5.6, 5.6, 0.08)) * 0.08)
_LEGENDRE = np.polynomial.legendre.leggauss(400)
_SHORT = np.polynomial.legendre.leggauss(64)


def log_kv(v: Array, z: Array) -> Array:
    """log(exp(z) K_v(z)), of the modified Bessel function: K_v(z) is the integral of exp(-z cosh t) cosh(v t) over t > 0."""
    order = abs(ops.stop_gradient(v))
    first = np.arccosh(1 + 45 / z)
    last = ops.stop_gradient(np.arccosh(1 + (45 + 1.5 * order * first) / z))
    t = last[..., None] * _UNIT
    v, z = v[..., None], z[..., None]
    half = -2 * z * np.sinh(t / 2) ** 2
    terms = np.logaddexp(half + v * t, half - v * t) - math.log(2)
    ends = np.where(_UNIT == 0, math.log(0.5), 0.0)
    return cast("Array", log_sum(terms + ends) + np.log(last / 128))


def log_hypergeometric_beta(a: Array, b: Array, c: Array, z: Array) -> Array:
    """The logarithm of the integral of t^(a-1) (1-t)^(b-1) (1+zt)^-c over (0, 1)."""
    a, b, c, z = (v[..., None] for v in (a, b, c, z))
    t, rest = _E / (1 + _E), 1 / (1 + _E)
    return log_sum(a * np.log(t) + b * np.log(rest) - c * np.log1p(z * t) + _E_WEIGHTS)


def noncentral_chi_square(x: Array, df: Array, nc: Array) -> Array:
    """The logarithm of the density: a Poisson mixture of chi square densities, around its largest term."""
    j = _terms(np.sqrt(nc * x) / 2)
    x, df, nc = x[..., None], df[..., None], nc[..., None]
    return log_sum(times_log(j, nc / 2) - nc / 2 - special.gammaln(j + 1) + gamma(x / 2, df / 2 + j)) - math.log(2)


def noncentral_f(x: Array, dfn: Array, dfd: Array, nc: Array) -> Array:
    """The logarithm of the density: a Poisson mixture of beta prime densities, around its largest term."""
    rate = nc / 2 * dfn * x / (dfd + dfn * x)
    gap = rate - dfn / 2
    j = _terms((gap + np.sqrt(gap * gap + 2 * rate * (dfn + dfd))) / 2)
    x, dfn, dfd, nc = (v[..., None] for v in (x, dfn, dfd, nc))
    a, b, y = dfn / 2 + j, dfd / 2, dfn / dfd * x
    terms = times_log(j, nc / 2) - nc / 2 - special.gammaln(j + 1) - special.betaln(a, b + 0 * j)
    return log_sum(terms + times_log(a - 1, y) - (a + b) * np.log1p(y) + np.log(dfn / dfd))


def _terms(peak: Array) -> Array:
    """Numbers of terms around a peak."""
    first = np.floor(np.maximum(ops.stop_gradient(peak) - 80, 0.0))
    return cast("Array", first[..., None] + np.arange(161.0))


def noncentral_t(x: Array, df: Array, nc: Array) -> Array:
    """The logarithm of the density, an integral over the scale of the denominator."""
    peak = (x * nc + np.sqrt(x * x * nc * nc + 4 * (df + x * x) * df)) / (2 * (df + x * x))
    width = 1 / (peak * np.sqrt(df / peak**2 + df + x * x))
    peak, width = ops.stop_gradient(peak), ops.stop_gradient(width)
    u = np.log(peak)[..., None] + width[..., None] * np.clip(_SINH, -60, 30)
    x, nu, nc = x[..., None], df[..., None], nc[..., None]
    s = np.exp(u)
    terms = _log_scale(s, u, nu) + u + normal(x * s - nc) + np.where(_SINH > 30, -np.inf, np.log(_COSH))
    return cast("Array", log_sum(terms) + np.log(width))


def _log_scale(s: Array, u: Array, df: Array) -> Array:
    """The logarithm of the density of u, the logarithm of s, where s² df has the chi square distribution."""
    half = df / 2
    return cast("Array", math.log(2) + half * np.log(half) - special.gammaln(half) + df * u - half * s * s)


def studentized_range(q: Array, k: Array, df: Array, distribution: bool) -> Array:
    """The density or the distribution function of the range of k normal variables over their standard deviation."""
    tau = np.linspace(-3.6, 3.6, 61)
    u = np.sinh(tau) / np.sqrt(2 * ops.stop_gradient(df))[..., None]
    weights = np.cosh(tau) * (tau[1] - tau[0]) / np.sqrt(2 * ops.stop_gradient(df))[..., None]
    s = np.exp(u)
    z = np.linspace(-8, 8, 97)
    scale = (np.exp(_log_scale(s, u, df[..., None])) * weights)[..., None]
    q, k, s = q[..., None, None], k[..., None, None], s[..., None]
    low = z - q * s
    between = np.maximum(special.ndtr(z) - special.ndtr(low), 1e-290)
    mass = np.exp(normal(z) + (k - 2) * np.log(between)) * k
    mass = mass * (between if distribution else (k - 1) * s * np.exp(normal(low)))
    return cast("Array", (scale * mass).sum((-2, -1)) * (z[1] - z[0]))


def stable(x: Array, alpha: Array, beta: Array, distribution: bool) -> Array:
    """The density or the distribution function of a stable distribution (in the parameters S1), by its characteristic function.

    Exact to about ten digits where |x| < 20 and alpha > 0.7.
    """
    w = (_LEGENDRE[0] + 1) / 2
    v, weights = 40 * w**6, _LEGENDRE[1] * 120 * w**5
    x, alpha, beta = x[..., None], alpha[..., None], beta[..., None]
    log = np.log(v) / alpha
    t = np.exp(log)
    one = alpha == 1
    tangent = np.tan(np.where(one, 0.5, alpha) * (math.pi / 2))
    phase = x * t + np.where(one, 2 / math.pi * beta * t * log, -beta * tangent * v)
    if distribution:
        return cast("Array", 0.5 + (np.sin(phase) * np.exp(-v) * weights / (alpha * v)).sum(-1) / math.pi)
    return cast("Array", (np.cos(phase) * np.exp(-v) * weights * t / (alpha * v)).sum(-1) / math.pi)


def landau(x: Array) -> Array:
    """The density of Landau's distribution, the stable one with alpha = beta = 1: along the imaginary axis where x > 1."""
    one = np.ones_like(x)
    above = np.where(x > 1, x, 1.0)[..., None]
    w = (_LEGENDRE[0] + 1) / 2
    s = 45 * w**2 / above
    terms = np.sin(2 * s) * np.exp(-s * above - 2 / math.pi * s * np.log(s)) * _LEGENDRE[1] * 45 * w / above
    return cast("Array", np.where(x > 1, terms.sum(-1) / math.pi, stable(np.minimum(x, 1.0), one, one, False)))


def kolmogorov(x: Array) -> Array:
    """The density of Kolmogorov's distribution, by one of two series."""
    x = x[..., None]
    k = np.arange(1.0, 12.0)
    above = np.where(x > 0.8, x, 0.8)
    below = np.where(x > 0.8, 0.8, np.maximum(x, 0.03))
    far = 8 * above * ((-1.0) ** (k - 1) * k * k * np.exp(-2 * (k * above) ** 2))
    c = ((2 * k - 1) * math.pi) ** 2 / 8
    near = math.sqrt(2 * math.pi) * np.exp(-c / below**2) * (2 * c / below**4 - 1 / below**2)
    return cast("Array", np.where(x > 0.8, far, near).sum(-1))


def smirnov(x: Array, n: Array) -> Array:
    """The density of the one-sided Kolmogorov-Smirnov statistic of n values, for n up to 1024."""
    x, n = x[..., None], n[..., None]
    j = np.arange(1025.0)
    rest = 1 - x - j / n
    some = (rest > 0) & (j <= n)
    rest, first = np.where(some, rest, 1.0), x + j / n
    log = (j - 1) * np.log(first) + (n - j) * np.log(rest) - special.betaln(np.where(some, n - j, 1.0) + 1, j + 1)
    terms = np.exp(np.where(some, log, 0.0) - np.log(n + 1)) * (x * ((n - j) / rest - (j - 1) / first) - 1)
    return cast("Array", np.where(some, terms, 0.0).sum(-1))


def irwin_hall(x: Array, n: Array) -> Array:
    """The density of the sum of n uniform variables, for n up to 40, where it is a spline of 20 terms on its smaller side."""
    x = np.minimum(x, n - x)[..., None]
    n = n[..., None]
    k = np.arange(20.0)
    some = x > k
    terms = (-1.0) ** k * special.binom(n, k + 0 * n) * np.where(some, x - k, 1.0) ** (n - 1) / special.gamma(n)
    return cast("Array", np.where(some, terms, 0.0).sum(-1))


def von_mises(x: Array, kappa: Array) -> Array:
    """The distribution function of von Mises' distribution, which grows by 1 with each turn."""
    turns = ops.stop_gradient(np.floor(x / (2 * math.pi) + 0.5))
    x = x - 2 * math.pi * turns
    most = ops.stop_gradient(np.minimum(math.pi, 14 / np.sqrt(kappa + 1e-300)))
    x = np.clip(x, -most, most)[..., None]
    t, weights = (_SHORT[0] + 1) / 2, _SHORT[1] / 2
    kappa = kappa[..., None]
    density = np.exp(-2 * kappa * np.sin(x * t / 2) ** 2) / (2 * math.pi * special.i0e(kappa))
    return cast("Array", 0.5 + turns + (density * x * weights).sum(-1))


def _no_slope(g: Array) -> NoReturn:
    raise TypeError("tn.scipy.stats.kstwo: the density has no derivative: detach what it depends on")


@op(nondiff=("n",), x=_no_slope, broadcasts=True, vmap="leading")
def two_sided(x: Array, n: Array) -> Array:
    """The logarithm of the density of the Kolmogorov-Smirnov statistic of n values, without a derivative."""
    from scipy.stats import kstwo

    return cast("Array", kstwo.logpdf(x, n))


def power_sum(a: Array, first: Array, last: Array) -> Array:
    """The sum of j^-a over the whole numbers from `first` to `last`, which may be infinite where a > 1.

    Terms are added up to a number from which the sum is an integral with the corrections of Euler and Maclaurin.
    """
    begin, end = first + _EXPLICIT, np.where(last < math.inf, last, 1.0) + 1 + _EXPLICIT
    i = np.arange(float(_EXPLICIT))
    head = ((first[..., None] + i) ** -a[..., None]).sum(-1)
    beyond = ((end[..., None] - 1 - i) ** -a[..., None]).sum(-1)
    log = np.log(end / begin)
    w = (1 - a) * log
    small = np.abs(w) < 1e-3
    safe = np.where(small, 1.0, w)
    ratio = np.where(small, 1 + w / 2 * (1 + w / 3 * (1 + w / 4 * (1 + w / 5))), np.expm1(safe) / safe)
    between = np.exp((1 - a) * np.log(begin)) * log * ratio - beyond - _corrections(a, end)
    least = np.where(a > 1, a - 1, 1.0)
    rest = np.where(last < math.inf, between, np.exp((1 - a) * np.log(begin)) / least)
    return cast("Array", head + _corrections(a, begin) + rest)


_EXPLICIT = 16
#: Bernoulli's numbers B_2, B_4 ..., over (2k)!.
_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000)


def _corrections(a: Array, n: Array) -> Array:
    term = n**-a
    found, factor = term / 2, a * term / n
    for k, number in enumerate(_BERNOULLI):
        found = found + number * factor
        factor = factor * (a + 2 * k + 1) * (a + 2 * k + 2) / (n * n)
    return cast("Array", found)


def skellam(k: Array, mu1: Array, mu2: Array) -> Array:
    """The logarithm of the probability that two Poisson variables differ by k."""
    least = np.maximum(-k, 0.0)
    j = np.maximum(_terms((np.sqrt(k * k + 4 * ops.stop_gradient(mu1 * mu2)) - k) / 2), least[..., None])
    j = least[..., None] + np.arange(161.0) + np.maximum(j[..., :1] - least[..., None], 0.0)
    k, mu1, mu2 = k[..., None], mu1[..., None], mu2[..., None]
    logs = times_log(k + j, mu1) + times_log(j, mu2) - special.gammaln(k + j + 1) - special.gammaln(j + 1)
    return log_sum(logs - mu1 - mu2)


def log_binomial(n: Array, k: Array) -> Array:
    """The logarithm of the number of ways to choose k of n."""
    return cast("Array", special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))


def fisher(x: Array, M: Array, n: Array, N: Array, odds: Array) -> Array:
    """The logarithm of the probability of Fisher's noncentral hypergeometric distribution, of up to 1,024 values."""

    def weight(x: Array, M: Array, n: Array, N: Array, odds: Array) -> Array:
        return cast("Array", log_binomial(n, x) + log_binomial(M - n, N - x) + x * np.log(odds))

    low, high = np.maximum(0.0, N - (M - n)), np.minimum(N, n)
    every = low[..., None] + np.arange(1025.0)
    some = every <= high[..., None]
    every = np.where(some, every, low[..., None])
    logs = weight(every, *(v[..., None] for v in (M, n, N, odds)))
    return weight(x, M, n, N, odds) - log_sum(np.where(some, logs, -math.inf))


def wallenius(x: Array, M: Array, n: Array, N: Array, odds: Array) -> Array:
    """The logarithm of the probability of Wallenius' noncentral hypergeometric distribution, an integral."""
    left = odds * (n - x) + (M - n) - (N - x)
    rate = 1 / np.where(left > 0, left, 1e-3)
    log_t = -np.log1p(1 / _E)
    log_rest = -np.log1p(_E)
    first = np.log(-np.expm1((odds * rate)[..., None] * log_t))
    second = np.log(-np.expm1(rate[..., None] * log_t))
    terms = x[..., None] * first + (N - x)[..., None] * second + log_t + log_rest + _E_WEIGHTS
    return log_binomial(n, x) + log_binomial(M - n, N - x) + log_sum(terms)
