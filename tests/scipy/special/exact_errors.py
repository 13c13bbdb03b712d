"""The error function's kin, and distributions of tests (`cases.py`)."""

from __future__ import annotations

from typing import Any

from mpmath import mp

from tests.scipy.special.cases import Case

X = [-30.0, -6.0, -1.2, 1e-9, 0.4, 3.0, 7.5, 2e3]
Z = [0.3 + 0.2j, -4 + 1j, 6.9 + 0.5j, 7.2 - 0.01j, 30 + 3j, 1e-9 + 12j, -2 - 1j]


def wofz(z: Any) -> Any:
    return mp.exp(-z * z) * mp.erfc(-1j * z)


def voigt_profile(x: Any, s: Any, y: Any) -> Any:
    upper, lower = wofz((x + 1j * y) / (s * mp.sqrt(2))), wofz((1j * y - x) / (s * mp.sqrt(2)))
    return (upper + lower).real / (2 * s * mp.sqrt(2 * mp.pi))


def owens_t(h: Any, a: Any) -> Any:
    return mp.quad(lambda t: mp.exp(-h * h * (1 + t * t) / 2) / (1 + t * t), [0, a]) / (2 * mp.pi)


def kolmogorov(x: Any) -> Any:
    return 1 - mp.sqrt(2 * mp.pi) / x * mp.fsum(mp.exp(-(((2 * k - 1) * mp.pi / x) ** 2) / 8) for k in range(1, 30))


CASES = {
    "dawsn": Case(lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x), [[*X[:7], 60.0, *Z[:5]]]),
    "erfcx": Case(lambda x: mp.exp(x * x) * mp.erfc(x), [[-3.0, *X[2:7], 60.0, *Z]]),
    "expit": Case(lambda x: 1 / (1 + mp.exp(-x)), [[-300.0, -2.0, 1e-9, 3.0, 50.0]]),
    "kolmogorov": Case(kolmogorov, [[0.1, 0.4, 0.79, 0.81, 1.7]]),
    "log_ndtr": Case(lambda x: mp.log(mp.ncdf(x)), [[-300.0, -6.0, 1e-9, 1.2, 6.0]]),
    "owens_t": Case(owens_t, [[-2.0, 0.1, 4.0], [-0.5, 1e-6, 3.0]]),
    "voigt_profile": Case(voigt_profile, [[-2.0, 0.1, 300.0], [0.02, 1.7], [1e-6, 0.3, 40.0]]),
    "wofz": Case(wofz, [Z]),
}
