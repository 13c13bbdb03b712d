"""The incomplete gamma and beta functions, and their inverses (`cases.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import scipy.special
from mpmath import mp

from tests.scipy.special.cases import Case


def solution(f: Callable[[Any], Any], start: float) -> Any:
    """Where f is 0, near `start`."""
    x, step = mp.mpf(start), mp.mpf(1)
    with mp.extraprec(20):
        while abs(step) > abs(x) * mp.eps * 2**16:
            h = x * mp.mpf(2) ** (-mp.prec // 3)
            below, at, above = f(x - h), f(x), f(x + h)
            step = at * 2 * h / (above - below)
            x -= step
    return x


def inverse(
    f: Callable[..., Any], solved: int, scipys: Callable[..., Any], given: int | None = None
) -> Callable[..., Any]:
    """The function that finds argument number `solved` of f; p stands at its place, or at the place `given`."""

    def found(*args: Any) -> Any:
        left = list(args)
        p = left.pop(solved if given is None else given)
        return solution(lambda x: f(*left[:solved], x, *left[solved:]) - p, float(scipys(*map(float, args))))

    return found


def gammainc(a: Any, x: Any) -> Any:
    return mp.gammainc(a, 0, x, regularized=True)


def gammaincc(a: Any, x: Any) -> Any:
    return mp.gammainc(a, x, mp.inf, regularized=True)


def betainc(a: Any, b: Any, x: Any) -> Any:
    return mp.betainc(a, b, 0, x, regularized=True)


def betaincc(a: Any, b: Any, x: Any) -> Any:
    return mp.betainc(b, a, 0, 1 - x, regularized=True)


def fdtr(n: Any, d: Any, x: Any) -> Any:
    return betainc(n / 2, d / 2, n * x / (d + n * x))


def stdtr(v: Any, t: Any) -> Any:
    return betainc(v / 2, mp.mpf(1) / 2, v / (v + t * t)) / 2


def mixed(mean: Any, term: Callable[[int], Any]) -> Any:
    """The sum over j of its probability in Poisson's distribution times a term."""
    return mp.fsum(mp.exp(-mean) * mean**j / mp.factorial(j) * term(j) for j in range(70))


def chndtr(x: Any, v: Any, c: Any) -> Any:
    return mixed(c / 2, lambda j: gammainc(v / 2 + j, x / 2))


def ncfdtr(n: Any, d: Any, c: Any, x: Any) -> Any:
    return mixed(c / 2, lambda j: betainc(n / 2 + j, d / 2, n * x / (d + n * x)))


def nctdtr(v: Any, c: Any, t: Any) -> Any:
    x, half = t * t / (v + t * t), mp.mpf(1) / 2

    def term(j: int) -> Any:
        odd = c / mp.sqrt(2) * mp.factorial(j) / mp.gamma(j + half + 1) * betainc(j + 1, v / 2, x)
        return betainc(j + half, v / 2, x) + odd

    return mp.ncdf(-c) + mixed(c * c / 2, term) / 2


SHAPES = [1e-6, 0.3, 2.5, 40.0, 1e4]
GAMMA = [(a, a * u) for a in SHAPES for u in (1e-30, 0.02, 0.8, 1.0, 1.3, 20.0)]
BETA = [(a, b, x) for a in SHAPES for b in SHAPES for x in (1e-20, 0.02, 0.4, 0.8, 0.999)]
FIRST, SECOND = scipy.special.gammainc, scipy.special.betainc
QUANTILES = [1e-8, 0.2, 0.7, 0.999]

CASES = {
    "gammainc": Case(gammainc, GAMMA, where=lambda a, x: 1e-250 < FIRST(a, x) < 1 - 1e-9),
    "gammaincc": Case(gammaincc, GAMMA, where=lambda a, x: FIRST(a, x) > 1e-9),
    "betainc": Case(betainc, BETA, 24, where=lambda a, b, x: 1e-250 < SECOND(a, b, x) < 1 - 1e-9),
    "betaincc": Case(betaincc, BETA, 24, where=lambda a, b, x: 1e-9 < SECOND(a, b, x) < 1),
    "gammaincinv": Case(inverse(gammainc, 1, scipy.special.gammaincinv), [[0.3, 2.5, 40.0, 1e4], QUANTILES]),
    "gammainccinv": Case(inverse(gammaincc, 1, scipy.special.gammainccinv), [[0.3, 2.5, 40.0, 1e4], QUANTILES]),
    "fdtr": Case(
        fdtr, [[0.01, 3.0, 200.0], [0.4, 30.0], [1e-6, 0.8, 1.7]], 12, where=lambda n, d, x: x > 1e-3 or n < 100
    ),
    "stdtr": Case(stdtr, [[0.01, 0.3, 4.0, 120.0, 1e5, 1e9], [-1e-3, -0.4, -1.6, -7.0]]),
    "chndtr": Case(chndtr, [[0.01, 3.0, 40.0], [0.3, 8.0], [1e-3, 12.0]], 8),
    "ncfdtr": Case(ncfdtr, [[0.7, 9.0], [2.0, 50.0], [0.5, 6.0], [0.3, 1.9]], 5),
    "nctdtr": Case(nctdtr, [[0.7, 12.0], [0.2, 2.5], [0.3, 4.0]], 6),
    "zetac": Case(lambda x: mp.zeta(x) - 1, [[-20.0, -3.3, -0.5, 0.5, 1.001, 3.0, 50.0]]),
    "rgamma": Case(mp.rgamma, [[-2.0, -1.5, 0.0, 1e-9, 0.3, 7.0]]),
}
