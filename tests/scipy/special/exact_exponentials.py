"""Exponentials, logarithms and what is made of them; gamma and beta functions (`cases.py`)."""

from __future__ import annotations

from typing import Any

from mpmath import mp

from tests.scipy.special.cases import Case


def boxcox1p(x: Any, lam: Any) -> Any:
    return mp.expm1(lam * mp.log1p(x)) / lam


def inv_boxcox1p(y: Any, lam: Any) -> Any:
    return mp.expm1(mp.log1p(y * lam) / lam)


def log(x: Any) -> Any:
    return mp.log(x)


def betaln(x: Any, y: Any) -> Any:
    return mp.loggamma(x) + mp.loggamma(y) - mp.loggamma(x + y)


INSIDE = [1e-30, 1e-9, 0.3, 0.7, 1 - 1e-9]
DEGREES = [1e-9, 0.3, 30.0, 91.0, 1e5]
WIDE = [1e-100, 0.3, 7.0]

CASES = {
    "betaln": Case(betaln, [[1e-9, 0.3, 5.0, 1e3, 1e8], [1e-9, 0.3, 5.0, 1e5]]),
    "binom": Case(mp.binomial, [[0.3, 5.0, 1e3, 1e8], [1e-9, 0.3, 3.0, 4.5]]),
    "boxcox": Case(lambda x, lam: boxcox1p(x - 1, lam), [[0.3, 0.999, 7.0, 1e5], [1e-12, -2.0, 0.5, 3.0]]),
    "boxcox1p": Case(boxcox1p, [[-0.3, -0.999, 7.0, 1e5], [1e-12, -2.0, 0.5, 3.0]]),
    "cosdg": Case(lambda x: mp.cos(mp.radians(x)), [DEGREES]),
    "cotdg": Case(lambda x: mp.cot(mp.radians(x)), [DEGREES]),
    "entr": Case(lambda x: -x * log(x), [WIDE]),
    "exprel": Case(lambda x: mp.expm1(x) / x, [[-300.0, -1.0, -1e-9, 1e-5, 1.0, 50.0, 600.0]]),
    "gammaln": Case(mp.loggamma, [[1e-100, 1e-9, 0.3, 1.0, 5.0, 1e10]]),
    "inv_boxcox": Case(lambda y, lam: 1 + inv_boxcox1p(y, lam), [[-0.3, 0.1, 7.0], [1e-12, 0.5, 3.0]]),
    "inv_boxcox1p": Case(inv_boxcox1p, [[-0.3, 0.1, 7.0], [1e-12, 0.5, 3.0]]),
    "kl_div": Case(lambda x, y: x * log(x / y) - x + y, [[1e-6, 0.3, 7.0], [1e-6, 0.29999, 8.0]]),
    "log_expit": Case(lambda x: -mp.log1p(mp.exp(-x)), [[-3.0, 1e-8, 1.0, 30.0, 300.0]]),
    "logit": Case(lambda x: log(x) - mp.log1p(-x), [INSIDE]),
    "poch": Case(mp.rf, [[0.3, 5.0, 1e3, 1e8], [1e-9, 0.3, 3.0, 4.5]]),
    "pseudo_huber": Case(lambda x, y: x * x * (mp.sqrt(1 + (y / x) ** 2) - 1), [[1e-5, 1.0, 1e5], [1e-5, 1.0, -1e5]]),
    "rel_entr": Case(lambda x, y: x * log(x / y), [WIDE, [1e-100, 0.9999999, 8.0]]),
    "sindg": Case(lambda x: mp.sin(mp.radians(x)), [DEGREES]),
    "tandg": Case(lambda x: mp.tan(mp.radians(x)), [DEGREES]),
}
