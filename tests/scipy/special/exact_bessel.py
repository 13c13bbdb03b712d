"""Bessel functions and their kin, in mpmath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpmath import mp

from tests.scipy.special.cases import Case

ORDERS = [-20.3, -5.0, -3.5, -0.25, 0.0, 1e-6, 0.3, 0.5, 1.0, 2.5, 10.0, 49.5, 120.0]
REAL = [1e-8, 1e-3, 0.5, 1.7, 4.5, 10.0, 49.7, 300.0]
PLANE = [1e-3 + 1e-3j, 1 + 2j, -3 + 0.5j, 10 - 20j]


def finite(v: float, z: complex) -> bool:
    """Whether neither values nor derivatives are too large or too small for floats, and mpmath's differences right: at order 0, iv
    is even in more digits than these have where z is large; and the mixed derivative of yv is 1e-8 beside 1e8 at 1e-8.
    """
    return (abs(v) < 40 or abs(z) > 1) and (v != 0 or abs(z) in (1e-3, 0.5, 1.7, 4.5, 10.0))


def bessel(exact: Callable[..., Any], z: list[complex], **options: Any) -> Case:
    return Case(exact, [ORDERS, z], most=40, where=finite, **options)


CASES = {
    "jv": bessel(mp.besselj, [*REAL, *PLANE]),
    "jve": bessel(mp.besselj, REAL),
    "yv": bessel(mp.bessely, [*REAL, *PLANE]),
    "yve": bessel(mp.bessely, REAL),
    "hankel1": bessel(mp.hankel1, [*REAL, *PLANE]),
    "hankel1e": bessel(lambda v, z: mp.hankel1(v, z) * mp.exp(-1j * z), [*REAL, *PLANE]),
    "hankel2": bessel(mp.hankel2, [*REAL, *PLANE]),
    "hankel2e": bessel(lambda v, z: mp.hankel2(v, z) * mp.exp(1j * z), [*REAL, *PLANE]),
    "iv": bessel(mp.besseli, [*REAL, *PLANE]),
    "ive": bessel(lambda v, z: mp.besseli(v, z) * mp.exp(-z), REAL),
    "kv": bessel(mp.besselk, [*REAL, *PLANE]),
    "kve": bessel(lambda v, z: mp.besselk(v, z) * mp.exp(z), [*REAL, *PLANE]),
}
