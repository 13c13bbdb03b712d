"""Orthogonal polynomials in mpmath."""

from __future__ import annotations

from typing import Any

from mpmath import mp

from tests.scipy.special.cases import Case

DEGREES = [0.0, 0.3, 1.0, 2.5, 7.0, 9.5]
INSIDE = [-0.9, -0.6, 1e-3, 0.3, 1 - 1e-6, 1.7, 0.3 + 0.4j]
SHIFTED = [1e-3, 0.3, 0.98, 1.7]
PARAMETERS = [-0.4, 0.3, 1.7, 4.25]


def _digits(n: float, *args: complex) -> bool:
    """Where SciPy's values at degrees nearby have their digits: toward -1 those of high ones, if no whole numbers, do not."""
    x = args[-1]
    return isinstance(x, complex) or n < 5 or x > -0.9


def _shifted_jacobi(n: Any, p: Any, q: Any, x: Any) -> Any:
    return mp.jacobi(n, p - q, q - 1, 2 * x - 1) / mp.binomial(2 * n + p - 1, n)


CASES = {
    "eval_jacobi": Case(mp.jacobi, [DEGREES, PARAMETERS, PARAMETERS, INSIDE], most=24, where=_digits),
    "eval_sh_jacobi": Case(_shifted_jacobi, [DEGREES, [1.3, 3.5], [0.3, 1.7], SHIFTED], most=20),
    "eval_gegenbauer": Case(mp.gegenbauer, [DEGREES, [-0.3, 0.3, 1.7, 4.25], INSIDE], most=24, where=_digits),
    "eval_genlaguerre": Case(mp.laguerre, [DEGREES, PARAMETERS, [1e-3, 0.3, 1.7, 12.25, 2 - 3j]], most=24),
    "eval_laguerre": Case(lambda n, x: mp.laguerre(n, 0, x), [DEGREES, [1e-3, 0.3, 1.7, 12.25, 2 - 3j]]),
    "eval_legendre": Case(mp.legendre, [DEGREES, INSIDE], where=_digits),
    "eval_sh_legendre": Case(lambda n, x: mp.legendre(n, 2 * x - 1), [DEGREES, SHIFTED]),
    "eval_chebyt": Case(mp.chebyt, [DEGREES, INSIDE]),
    "eval_chebyu": Case(mp.chebyu, [DEGREES, INSIDE]),
    "eval_chebyc": Case(lambda n, x: 2 * mp.chebyt(n, x / 2), [DEGREES, INSIDE]),
    "eval_chebys": Case(lambda n, x: mp.chebyu(n, x / 2), [DEGREES, INSIDE]),
    "eval_sh_chebyt": Case(lambda n, x: mp.chebyt(n, 2 * x - 1), [DEGREES, SHIFTED]),
    "eval_sh_chebyu": Case(lambda n, x: mp.chebyu(n, 2 * x - 1), [DEGREES, SHIFTED]),
    "eval_hermite": Case(mp.hermite, [[0, 1, 2, 7, 30], [-1.7, 1e-3, 0.3, 4.5]]),
    "eval_hermitenorm": Case(
        lambda n, x: mp.hermite(n, x / mp.sqrt(2)) / mp.sqrt(2) ** n, [[0, 1, 2, 7, 30], [-1.7, 1e-3, 0.3, 4.5]]
    ),
}
