"""The functions that are kin to integrals, elliptic and hypergeometric functions, in mpmath."""

from __future__ import annotations

from mpmath import mp

from tests.scipy.special.cases import Case

#: Points of the complex plane away from the negative axis.
PLANE = [0.5 + 0.25j, 2 - 3j, -0.7 + 1.5j, 4 + 0.1j]
POSITIVE = [1e-8, 1e-3, 0.3, 0.9, 1.7, 4.5, 12.25, 33.5, 80.0]

CASES = {
    "exp1": Case(mp.e1, [POSITIVE]),
    "expi": Case(mp.ei, [[-30.0, -4.5, -0.3, -1e-6, *POSITIVE]]),
    "spence": Case(lambda x: mp.polylog(2, 1 - x), [[1e-8, 1e-3, 0.3, 0.9, 0.999, 1.0001, 1.7, 4.5, 80.0]]),
    "expn": Case(mp.expint, [[1, 2, 7, 30], [1e-4, 0.3, 1.7, 12.25, 80.0]]),
}
