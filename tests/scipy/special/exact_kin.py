"""The functions that are kin to integrals, elliptic and hypergeometric functions, in mpmath."""

from __future__ import annotations

from typing import Any

from mpmath import mp

from tests.scipy.special.cases import Case

#: Points of the complex plane away from the negative axis.
PLANE = [0.5 + 0.25j, 2 - 3j, -0.7 + 1.5j, 4 + 0.1j]
POSITIVE = [1e-8, 1e-3, 0.3, 0.9, 1.7, 4.5, 12.25, 33.5, 80.0]

WHOLE_LINE = [-80.0, -12.25, -1.7, -0.3, -1e-6, *POSITIVE]


def _fresnel(x: Any) -> tuple[Any, Any]:
    """The modified Fresnel integral F+(x) and the K+ that is scaled by it."""
    root = mp.sqrt(mp.pi)
    f = root / 2 * mp.exp(1j * mp.pi / 4) * mp.erfc(mp.exp(-1j * mp.pi / 4) * x)
    return f, mp.exp(-1j * (x * x + mp.pi / 4)) / root * f


def _ellipj(u: Any, m: Any) -> tuple[Any, ...]:
    """sn, cn, dn and the amplitude, which goes on growing."""
    sn, cn, dn = (mp.ellipfun(kind, u, m=m) for kind in ("sn", "cn", "dn"))
    whole = mp.nint(u / (2 * mp.ellipk(m)))
    return sn, cn, dn, mp.asin(sn) * (-1) ** int(whole) + whole * mp.pi


def _pbdv(v: Any, x: Any) -> tuple[Any, Any]:
    """D and its derivative."""
    d = mp.pcfd(v, x)
    return d, x / 2 * d - mp.pcfd(v + 1, x)


def _pbvv(v: Any, x: Any) -> tuple[Any, Any]:
    """V of order v, V(-v - 1/2, x), and its derivative."""
    value = mp.pcfv(-v - mp.mpf(1) / 2, x)
    return value, mp.pcfv(-v + mp.mpf(1) / 2, x) - x / 2 * value


#: Parameters of elliptic integrals, amplitudes, and arguments of symmetric ones.
M = [-30.0, -0.3, 1e-8, 0.3, 0.9, 0.999, 1 - 1e-9]
PHI = [-4.5, 1e-3, 0.3, 1.5, 12.25]
R = [[1e-6, 0.3, 1.7, 0.5 + 1.5j], [0.3, 0.30001, 80.0], [1e-3, 0.3, -2 - 0.25j]]

CASES = {
    "exp1": Case(mp.e1, [[*POSITIVE, *PLANE]]),
    "expi": Case(mp.ei, [[-30.0, -4.5, -0.3, -1e-6, *POSITIVE]]),
    "spence": Case(lambda x: mp.polylog(2, 1 - x), [[1e-8, 1e-3, 0.3, 0.9, 0.999, 1.0001, 1.7, 4.5, 80.0, *PLANE]]),
    "expn": Case(mp.expint, [[0, 1, 2, 7, 30], [1e-4, 0.3, 1.7, 12.25, 80.0]], most=25),
    "sici": Case(lambda x: (mp.si(x), mp.ci(x)), [[*POSITIVE, *PLANE]]),
    "shichi": Case(lambda x: (mp.shi(x), mp.chi(x)), [[*POSITIVE, *PLANE]]),
    "fresnel": Case(lambda x: (mp.fresnels(x), mp.fresnelc(x)), [[-1.7, -0.3, *POSITIVE[:7], *PLANE]]),
    "modfresnelp": Case(_fresnel, [[-1.7, -0.3, *POSITIVE[:7]]]),
    "modfresnelm": Case(lambda x: tuple(map(mp.conj, _fresnel(x))), [[-1.7, -0.3, *POSITIVE[:7]]]),
    "agm": Case(mp.agm, [[1e-3, 0.7, 1.0, 3.5], [1e-3, 0.7, 1.0, 250.0]]),
    "ellipe": Case(mp.ellipe, [M]),
    "ellipk": Case(mp.ellipk, [M]),
    "ellipkm1": Case(lambda p: mp.ellipk(1 - p), [[1e-12, 1e-3, 0.3, 0.999, 1.7, 30.0]]),
    "ellipeinc": Case(mp.ellipe, [PHI, M]),
    "ellipkinc": Case(mp.ellipf, [PHI, M], most=24),
    "ellipj": Case(_ellipj, [[-4.5, 1e-3, 0.3, 1.7, 12.25], [1e-8, 0.3, 0.9, 0.999]], most=20),
    "elliprc": Case(mp.elliprc, [[1e-6, 0.3, 1.7], [-2.5, -0.3, 0.3, 0.30001, 80.0, -2 + 0.125j]], most=18),
    "elliprd": Case(mp.elliprd, [*R[:2], [1e-3, 0.3, 1.7, -2 - 0.25j]], most=20),
    "elliprf": Case(mp.elliprf, R),
    "elliprg": Case(mp.elliprg, R),
    "elliprj": Case(mp.elliprj, [[1e-3, 1.7], [0.3, 1.7], [1.7, 80.0], [-2.5, -0.3, 0.01, 1.7, 1.7001, 40.0]], most=24),
    "hyp1f1": Case(
        mp.hyp1f1,
        [[-2.5, 0.3, 1.7, 12.25], [-1.3, 0.3, 1.7, 12.25], [-80.0, -12.25, -0.3, 1e-6, 1.7, 33.5, 2 - 3j]],
        most=32,
    ),
    "hyp2f1": Case(
        mp.hyp2f1,
        [
            [-2.4, 0.3, 1.7],
            [0.45, 4.25],
            [-1.3, 0.3, 1.9, 6.35],
            [-30.0, -0.3, 1e-6, 0.65, 0.95, 0.999, 0.3 + 0.4j, -2 + 3j],
        ],
        most=32,
    ),
    # Below a = 1/2 derivatives are of SciPy's values, which lose digits for large x.
    "hyperu": Case(
        mp.hyperu,
        [[-1.3, 0.3, 1.7, 6.4], [-1.3, 0.3, 1.7, 4.25], [1e-3, 0.3, 1.7, 33.5]],
        most=24,
        where=lambda a, b, x: a > 0 or x < 10,
    ),
    "pbdv": Case(_pbdv, [[-2.5, -0.3, 0.3, 1.7, 12.25], [-4.5, 0.3, 1.7, 6.25]]),
    "pbvv": Case(_pbvv, [[-2.5, -0.3, 0.3, 1.7, 6.25], [-3.5, 0.3, 1.7, 6.25]]),
    # SciPy has it for |a| and |x| below 5, with fewer digits toward these.
    "pbwa": Case(
        lambda a, x: (mp.pcfw(a, x), mp.diff(lambda t: mp.pcfw(a, t), x)), [[-3.5, -0.3, 0.3, 1.7], [-3.5, 0.3, 1.7]]
    ),
    "expm1": Case(mp.expm1, [[-30.0, -0.3, 1e-8, 1.7, 33.5, 2 - 3j]]),
    "log1p": Case(mp.log1p, [[-0.999, -0.3, 1e-8, 1.7, 33.5, 2 - 3j]]),
    "lambertw": Case(mp.lambertw, [[-0.3, 1e-8, 0.3, 1.7, 1e6, -2.5 + 0.5j, 1j], [-1, 0, 2]], most=21),
    "wrightomega": Case(
        lambda x: mp.lambertw(mp.exp(x), mp.ceil((mp.im(x) - mp.pi) / (2 * mp.pi))),
        [[-200.0, -12.25, -0.3, 1.0, 33.5, 1e6, 0.5 + 2j, -4 + 1j, 3 - 5j]],
    ),
}
