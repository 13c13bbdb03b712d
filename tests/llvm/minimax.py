"""How the polynomials in `tapenet.llvm.coefficients` were made.

Each is the minimax fit of a function on an interval: the largest weighted error is the smallest possible, up to the
rounding of the coefficients. Found by Lawson's iteration (least squares whose weights are multiplied by the last
errors) in 300 bits. The first few coefficients are rounded one after the other, the others fitted anew each time.

    python -m tests.llvm.minimax [name]      # prints the table; takes some minutes
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath as m
import numpy as np

from tapenet.llvm.coefficients import ERFCX_CENTRE

m.mp.prec = 300
_sqrt = m.sqrt


class Fit(NamedTuple):
    """What one polynomial approximates. Interval, degree and bound (log2 of the largest weighted error) are for
    float32 and float64; None where that type has no such polynomial."""

    function: Callable[[Any], Any]
    at_0: Any
    weight: Callable[[Any], Any]
    intervals: tuple[Any, Any]
    degrees: tuple[int | None, int | None]
    bounds: tuple[float, float]


def _odd(f: Callable[[Any], Any], at_0: Any, limit: Any, degrees: tuple[int, int], bounds: tuple[float, float]) -> Fit:
    """f(x) = x + x z p(z) with z = x^2, by relative error of f, for |x| < limit."""
    return Fit(
        lambda z: (f(_sqrt(z)) - _sqrt(z)) / _sqrt(z) ** 3, at_0, lambda z: z * _sqrt(z) / f(_sqrt(z)),
        ((0, limit**2),) * 2, degrees, bounds,
    )  # fmt: skip


def _both(low: Any, high: Any) -> tuple[Any, Any]:
    return ((low, high), (low, high))


def _erfcx(t: Any) -> Any:
    x = ERFCX_CENTRE * (1 + t) / (1 - t)
    return m.exp(x * x) * m.erfc(x) * (x + ERFCX_CENTRE)


def _fourth_root(x: Any) -> Any:
    """Of twice the normal distribution beyond x."""
    return m.root(m.erfc(x / _sqrt(2)), 4)


def _end(x: str) -> Any:
    return (m.mpf(x) - ERFCX_CENTRE) / (m.mpf(x) + ERFCX_CENTRE)


#: Intervals reach a little beyond what the formulas promise, since the reductions round.
_LN2_HALF = m.log(2) / 2 * (1 + m.mpf(2) ** -12)
_HALF = m.mpf(1) / 2 * (1 + m.mpf(2) ** -12)
_ROOT = m.sqrt(2) * (1 + m.mpf(2) ** -20)
_EIGHTH = (m.sqrt(2) - 1) * (1 + m.mpf(2) ** -12)
_TURN = m.mpf("0.788")

FITS: dict[str, Fit] = {
    # e^r = 1 + r + r^2 p(r), relative to e^r
    "exp": Fit(
        lambda r: (m.exp(r) - 1 - r) / r**2, m.mpf(1) / 2, lambda r: r**2 / m.exp(r), _both(-_LN2_HALF, _LN2_HALF),
        (4, 9), (-28.2, -57.8),
    ),
    # 2^r = 1 + r p(r), relative to 2^r
    "exp2": Fit(lambda r: (2**r - 1) / r, m.log(2), lambda r: r / 2**r, _both(-_HALF, _HALF), (5, 10), (-28.2, -57.6)),
    # float32: log(1 + t) = t - t^2 / 2 + t^3 p(t), relative to it
    # float64: log((1 + s) / (1 - s)) = 2 s + s^3 p(s^2), relative to it; s = t / (2 + t)
    "log": Fit(
        lambda t: (m.log1p(t) - t + t * t / 2) / t**3, m.mpf(1) / 3, lambda t: t**3 / m.log1p(t),
        ((1 / _ROOT - 1, _ROOT - 1), None), (8, None), (-30.1, 0.0),
    ),
    "log, odd": Fit(
        lambda z: (2 * m.atanh(_sqrt(z)) - 2 * _sqrt(z)) / _sqrt(z) ** 3, m.mpf(2) / 3, lambda z: z / 2,
        (None, (0, m.mpf("0.02944"))), (None, 6), (0.0, -59.3),
    ),
    "tanh": _odd(m.tanh, -m.mpf(1) / 3, m.mpf("0.626"), (4, 10), (-27.6, -56.2)),
    "sinh": _odd(m.sinh, m.mpf(1) / 6, m.mpf(1), (3, 6), (-31.5, -61.6)),
    # erf(x) = x + x p(x^2), relative to it
    "erf": Fit(
        lambda z: m.erf(_sqrt(z)) / _sqrt(z) - 1, 2 / _sqrt(m.pi) - 1, lambda z: _sqrt(z) / m.erf(_sqrt(z)),
        _both(0, 1), (6, 11), (-29.1, -56.0),
    ),
    # log2 erfc(1 + u) = p(u), by the error this leaves in erf(1 + u)
    "log2 erfc": Fit(
        lambda u: m.log(m.erfc(u + 1), 2), m.log(m.erfc(1), 2), lambda u: m.erfc(u + 1) * m.log(2),
        ((0, m.mpf("2.93")), (0, m.mpf("4.93"))), (6, 17), (-27.6, -56.9),
    ),
    # float32: the normal distribution beyond x >= 0 is (1 + x p(x))^4 / 2, by the error this leaves there
    "normal tail": Fit(
        lambda x: (_fourth_root(x) - 1) / x, -_sqrt(1 / (8 * m.pi)), lambda x: 2 * x * _fourth_root(x) ** 3,
        ((0, m.mpf("5.5")), None), (9, None), (-27.4, 0.0),
    ),
    # e^(x^2) erfc(x) = p(t) / (x + c), t = (x - c) / (x + c), c = ERFCX_CENTRE; relative to it
    "erfcx": Fit(
        _erfcx, _erfcx(m.mpf(0)), lambda t: 1 / _erfcx(t), (None, (-1, _end("27.3"))),
        (None, 21), (0.0, -53.0),
    ),
    "sin": _odd(m.sin, -m.mpf(1) / 6, _TURN, (3, 4), (-32.4, -47.4)),
    # cos(x) = 1 - z / 2 + z^2 p(z) with z = x^2, relative to it
    "cos": Fit(
        lambda z: (m.cos(_sqrt(z)) - 1 + z / 2) / z**2, m.mpf(1) / 24, lambda z: z * z / m.cos(_sqrt(z)),
        _both(0, _TURN**2), (2, 3), (-32.8, -42.8),
    ),
    "arctan": _odd(m.atan, -m.mpf(1) / 3, _EIGHTH, (4, 10), (-30.3, -59.2)),
    "arcsin": _odd(m.asin, m.mpf(1) / 6, m.mpf("0.50005"), (5, 12), (-31.5, -59.6)),
}  # fmt: skip

_ROUNDED_ONE_BY_ONE = 6
_TINY = m.mpf(10) ** -15


def target(fit: Fit, x: Any) -> tuple[Any, Any]:
    """The function and the weight at x; close to 0 the function's limit, where the formula would be 0 / 0."""
    return (fit.at_0, m.mpf(0)) if abs(x) < _TINY else (fit.function(x), fit.weight(x))


def grid(low: Any, high: Any, n: int) -> list[Any]:
    """Points of an interval, denser towards its ends."""
    low, high = m.mpf(low), m.mpf(high)
    return [(low + high) / 2 - (high - low) / 2 * m.cos(m.pi * (2 * i + 1) / (2 * n)) for i in range(n)]


def _lawson(basis: list[list[Any]], wanted: list[Any], rounds: int) -> list[Any]:
    """Coefficients c for which the largest |wanted[i] - sum c[k] basis[i][k]| is smallest."""
    n, k = len(basis), len(basis[0])
    weights = [m.mpf(1) / n] * n
    best: tuple[Any, list[Any]] = (m.inf, [])
    for _ in range(rounds):
        a, b = m.matrix(k, k), m.matrix(k, 1)
        for row, w, y in zip(basis, weights, wanted, strict=True):
            if w:
                for p in range(k):
                    v = w * row[p]
                    b[p] += v * y
                    for q in range(p, k):
                        a[p, q] += v * row[q]
        for p in range(k):
            for q in range(p):
                a[p, q] = a[q, p]
        c = list(m.lu_solve(a, b))
        errors = [abs(y - m.fdot(row, c)) for row, y in zip(basis, wanted, strict=True)]
        best = min(best, (max(errors), c), key=lambda pair: pair[0])
        weights = [w * e for w, e in zip(weights, errors, strict=True)]
        total = m.fsum(weights)
        weights = [w / total if w > total * m.mpf(10) ** -30 else m.mpf(0) for w in weights]
    return best[1]


def fit(fit: Fit, kind: int, points: int = 160, rounds: int = 60) -> list[float]:
    """The coefficients, lowest first: for float32 (kind 0) or float64 (kind 1)."""
    degree = fit.degrees[kind]
    assert degree is not None
    rounded = (lambda c: float(np.float32(float(c)))) if kind == 0 else float
    xs = grid(*fit.intervals[kind], points)
    values, weights = zip(*(target(fit, x) for x in xs), strict=True)
    done: list[float] = []
    while len(done) <= degree:
        k = len(done)
        basis = [[w * x**j for j in range(k, degree + 1)] for x, w in zip(xs, weights, strict=True)]
        rest = [w * (y - m.polyval(done[::-1] or [0], x)) for x, w, y in zip(xs, weights, values, strict=True)]
        c = _lawson(basis, rest, rounds)
        done += [rounded(v) for v in (c[:1] if k < _ROUNDED_ONE_BY_ONE else c)]
    return done


def error(fit: Fit, kind: int, coefficients: tuple[float, ...], points: int = 500) -> float:
    """log2 of the largest weighted error of a polynomial."""
    found = m.mpf(0)
    for x in grid(*fit.intervals[kind], points):
        y, w = target(fit, x)
        found = max(found, abs(w * (y - m.polyval(coefficients[::-1], x))))
    return float(m.log(found, 2))


if __name__ == "__main__":
    for name in sys.argv[1:] or FITS:
        for kind, suffix in enumerate(("f32", "f64")):
            if FITS[name].degrees[kind] is not None:
                c = fit(FITS[name], kind)
                text = ", ".join(str(np.float32(v)) if kind == 0 else repr(v) for v in c)
                print(f'    ("{name}", "{suffix}"): ({text}),  # 2^{error(FITS[name], kind, tuple(c)):.1f}', flush=True)
