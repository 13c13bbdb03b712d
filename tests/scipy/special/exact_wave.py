"""Mathieu and spheroidal functions in mpmath: eigenvectors of the matrices of their expansions.

References: NIST Digital Library of Mathematical Functions, 28.4, 28.24, 30.8 and 30.11. C. Flammer, Spheroidal Wave Functions
(1957).
"""

from __future__ import annotations

import functools
from typing import Any

import scipy.linalg
from mpmath import mp

from tests.scipy.special.cases import Case

#: How many terms expansions have.
_SIZE = 22


@functools.cache
def _eigen(diagonal: tuple[Any, ...], beside: tuple[Any, ...], k: int, dps: int) -> tuple[Any, list[Any]]:
    """The k-th eigenvalue of a symmetric tridiagonal matrix, and its unit vector: from those in double precision, by inverse
    iteration with Rayleigh's quotient, which triples the digits at each step.
    """
    n = len(diagonal)
    values, vectors = scipy.linalg.eigh_tridiagonal([float(d) for d in diagonal], [float(b) for b in beside])
    value, vector = mp.mpf(values[k]), [mp.mpf(x) for x in vectors[:, k]]
    for _ in range(4 if dps < 100 else 5):
        pivots, right = [diagonal[0] - value], [vector[0]]
        for i in range(1, n):
            factor = beside[i - 1] / pivots[-1]
            pivots.append(diagonal[i] - value - factor * beside[i - 1] or mp.eps)
            right.append(vector[i] - factor * right[-1])
        solved = [right[-1] / pivots[-1]]
        for i in reversed(range(n - 1)):
            solved.append((right[i] - beside[i] * solved[-1]) / pivots[i])
        size = mp.sqrt(sum(x * x for x in solved))
        vector = [x / size for x in reversed(solved)]
        value = sum(d * x * x for d, x in zip(diagonal, vector, strict=True))
        value += 2 * sum(b * vector[i] * vector[i + 1] for i, b in enumerate(beside))
    return value, vector


def _mathieu(kind: str, m: int, q: Any) -> tuple[Any, list[Any], int]:
    """Characteristic value, coefficients, and the first frequency, of ce (kind "a") or se ("b") of order m."""
    m = int(m)
    first = m % 2 if kind == "a" or m % 2 else 2
    diagonal = [mp.mpf((first + 2 * r) ** 2) for r in range(_SIZE)]
    beside = [q] * (_SIZE - 1)
    if first == 1:
        diagonal[0] += q if kind == "a" else -q
    if first == 0:
        beside[0] = mp.sqrt(2) * q
    k = (m - first) // 2
    value, vector = _eigen(tuple(diagonal), tuple(beside), k, mp.dps)
    start = sum(v * (1 if kind == "a" else first + 2 * r) for r, v in enumerate(vector))
    vector = [mp.sign(start) * v for v in vector]  # ce(0) and se'(0) are positive
    if first == 0:
        vector[0] /= mp.sqrt(2)
    return value, vector, first


def _ce(kind: str, m: Any, q: Any, x: Any) -> tuple[Any, Any]:
    """ce or se at x degrees, and the derivative by radians."""
    _, vector, first = _mathieu(kind, m, q)
    z = x * mp.pi / 180
    f, slope = (mp.cos, lambda t: -mp.sin(t)) if kind == "a" else (mp.sin, mp.cos)
    terms = [(first + 2 * r, c) for r, c in enumerate(vector)]
    return sum(c * f(n * z) for n, c in terms), sum(c * n * slope(n * z) for n, c in terms)


@functools.cache
def _second(z: Any, dps: int) -> list[Any]:
    """Bessel functions of the second kind, of the orders 0, 1, ...: by the recurrence, which is stable upwards."""
    found = [mp.bessely(0, z), mp.bessely(1, z)]
    while len(found) < _SIZE:
        found.append(2 * (len(found) - 1) / z * found[-1] - found[-2])
    return found


def _bessel(j: int, n: int, z: Any) -> tuple[Any, Any]:
    """A Bessel function of kind j, and its derivative."""
    if j == 1:
        return mp.besselj(n, z), mp.besselj(n, z, 1)
    y = _second(z, mp.dps)
    return y[n], n / z * y[n] - y[n + 1]


def _modified(kind: str, j: int, m: Any, q: Any, z: Any) -> tuple[Any, Any]:
    """The modified functions of the kinds 1 and 2, and the derivative."""
    _, vector, first = _mathieu(kind, m, q)
    h = mp.sqrt(q)
    down, up = h * mp.exp(-z), h * mp.exp(z)
    sign = 1 if kind == "a" else -1

    def product(r: int) -> tuple[Any, Any]:
        value = slope = mp.mpf(0)
        for weight, p, s in ((1, r, r + first), (sign, r + first, r)):
            (f, df), (g, dg) = _bessel(1, p, down), _bessel(j, s, up)
            value += weight * f * g
            slope += weight * (up * f * dg - down * df * g)
        return value, slope

    scale = (-1) ** ((int(m) - first) // 2) / vector[0] / (2 if first == 0 else 1)
    terms = [[scale * (-1) ** r * vector[r] * f for f in product(r)] for r in range(_SIZE - 4)]
    return sum(term[0] for term in terms), sum(term[1] for term in terms)


def _spheroidal(sign: int, m: Any, n: Any, c: Any) -> tuple[Any, list[Any], int]:
    """The characteristic value, the coefficients d of P_{m+r}^m, not normalised ones, and the first r."""
    m, n = int(m), int(n)
    first = (n - m) % 2
    degrees = [m + first + 2 * i for i in range(_SIZE)]

    def x(k: int) -> Any:  # the matrix of multiplication by x, between degrees k and k + 1
        return mp.sqrt(mp.mpf((k + 1) ** 2 - m * m) / ((2 * k + 1) * (2 * k + 3)))

    square = [(x(k) ** 2 + (x(k - 1) ** 2 if k > m else 0)) for k in degrees]
    diagonal = tuple(k * (k + 1) + sign * c * c * s for k, s in zip(degrees, square, strict=True))
    beside = tuple(sign * c * c * x(k) * x(k + 1) for k in degrees[:-1])
    value, vector = _eigen(diagonal, beside, (n - m - first) // 2, mp.dps)
    norms = [mp.sqrt(mp.mpf(2) / (2 * k + 1) * mp.factorial(k + m) / mp.factorial(k - m)) for k in degrees]
    return value, [v / s for v, s in zip(vector, norms, strict=True)], first


def _legendre(m: int, k: int, x: Any) -> tuple[Any, Any]:
    """P_k^m without the sign (-1)^m, and its derivative."""
    polynomial = [mp.mpf(0)] * (k + 1)
    for i in range(k // 2 + 1):
        polynomial[2 * i] = (-1) ** i * mp.binomial(k, i) * mp.binomial(2 * k - 2 * i, k) / mp.mpf(2) ** k
    coefficients = polynomial
    for _ in range(m):
        degree = len(coefficients) - 1
        coefficients = [v * (degree - i) for i, v in enumerate(coefficients[:-1])] or [mp.mpf(0)]
    degree = len(coefficients) - 1
    slopes = [v * (degree - i) for i, v in enumerate(coefficients[:-1])] or [mp.mpf(0)]
    p, dp = mp.polyval(coefficients, x), mp.polyval(slopes, x)
    root = mp.sqrt(1 - x * x) ** m
    return root * p, root * dp - (m * x / (1 - x * x) * root * p if m else 0)


def _angular(sign: int, m: Any, n: Any, c: Any, x: Any) -> tuple[Any, Any]:
    """S, scaled as the Legendre function at 0 (Flammer's normalisation), and its derivative."""
    _, d, first = _spheroidal(sign, m, n, c)
    m, n = int(m), int(n)

    def s(t: Any) -> tuple[Any, Any]:
        found = [_legendre(m, m + first + 2 * i, t) for i in range(_SIZE)]
        terms = [(a * f[0], a * f[1]) for a, f in zip(d, found, strict=True)]
        return sum(term[0] for term in terms), sum(term[1] for term in terms)

    scale = _legendre(m, n, mp.mpf(0))[first] / s(mp.mpf(0))[first]
    value, slope = s(x)
    return scale * value, scale * slope


def _radial(sign: int, kind: int, m: Any, n: Any, c: Any, x: Any) -> tuple[Any, Any]:
    """R of the first or second kind, prolate (sign 1) or oblate, and its derivative."""
    _, d, first = _spheroidal(sign, m, n, c)
    m, n = int(m), int(n)
    bessel = mp.besselj if kind == 1 else mp.bessely
    weights = [a * mp.factorial(2 * m + first + 2 * i) / mp.factorial(first + 2 * i) for i, a in enumerate(d)]

    def r(t: Any) -> Any:
        terms = (
            (-1) ** ((first + 2 * i + m - n) // 2)
            * w
            * mp.sqrt(mp.pi / (2 * c * t))
            * bessel(m + first + 2 * i + mp.mpf(1) / 2, c * t)
            for i, w in enumerate(weights)
        )
        return mp.sqrt((t * t - sign) / (t * t)) ** m / sum(weights) * sum(terms)

    return r(x), mp.diff(r, x)


Q = [0.05, 1.5, 7.25, 25.0]
ORDERS = [(0, 0), (0, 1), (1, 2), (2, 5)]
C = [0.3, 1.7, 5.5]


def _nm(m: int, n: int, *rest: float) -> bool:
    return (m, n) in ORDERS


CASES: dict[str, Case] = {
    "mathieu_a": Case(lambda m, q: _mathieu("a", m, q)[0], [[0, 1, 2, 5], [-7.25, *Q]]),
    "mathieu_b": Case(lambda m, q: _mathieu("b", m, q)[0], [[1, 2, 5], [-7.25, *Q]]),
    "mathieu_cem": Case(lambda m, q, x: _ce("a", m, q, x), [[0, 1, 2, 5], Q, [-130.0, 25.0, 77.0]], most=12),
    "mathieu_sem": Case(lambda m, q, x: _ce("b", m, q, x), [[1, 2, 5], Q, [-130.0, 25.0, 77.0]], most=12),
    "pro_cv": Case(lambda m, n, c: _spheroidal(1, m, n, c)[0], [[0, 1, 2], [0, 1, 2, 5], C], where=_nm),
    "obl_cv": Case(lambda m, n, c: _spheroidal(-1, m, n, c)[0], [[0, 1, 2], [0, 1, 2, 5], C], where=_nm),
}
for _j in (1, 2):
    for _kind, _name in (("a", "modcem"), ("b", "modsem")):
        CASES[f"mathieu_{_name}{_j}"] = Case(
            functools.partial(_modified, _kind, _j), [[1, 2, 5], [0.5, 1.5, 7.25], [0.1, 0.7, 1.5]], most=8
        )
for _sign, _prefix in ((1, "pro"), (-1, "obl")):
    CASES[f"{_prefix}_ang1"] = Case(
        functools.partial(_angular, _sign), [[0, 1, 2], [0, 1, 2, 5], C, [-0.6, 0.3, 0.95]], most=10, where=_nm
    )
    for _j in (1, 2):
        CASES[f"{_prefix}_rad{_j}"] = Case(
            functools.partial(_radial, _sign, _j), [[0, 1, 2], [0, 1, 2, 5], [1.7, 5.5], [2.5, 6.0]], most=8, where=_nm
        )
