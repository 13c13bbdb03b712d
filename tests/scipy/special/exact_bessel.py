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
    """Whether neither values nor derivatives are too large or too small for floats, and mpmath's differences right: at order 0
    iv is even in more digits than these have where z is large. There, the mixed derivative of yv is 1e-8 beside 1e8 at 1e-8.
    """
    return (abs(v) < 40 or abs(z) > 1) and (v != 0 or abs(z) in (1e-3, 0.5, 1.7, 4.5, 10.0))


def bessel(exact: Callable[..., Any], z: list[complex], **options: Any) -> Case:
    return Case(exact, [ORDERS, z], most=40, where=finite, **options)


def kelvin(x: Any) -> Any:
    """ber + i bei, ker + i kei and their derivatives."""
    up, side = mp.expjpi(0.75), mp.expjpi(0.25)
    return (
        mp.besselj(0, up * x),
        mp.besselk(0, side * x),
        -up * mp.besselj(1, up * x),
        -side * mp.besselk(1, side * x),
    )


def airy(x: Any) -> Any:
    return mp.airyai(x), mp.airyai(x, derivative=1), mp.airybi(x), mp.airybi(x, derivative=1)


def scaled_airy(x: Any) -> Any:
    ai, bi = mp.exp(x ** mp.mpf(1.5) * 2 / 3), mp.exp(-mp.re(x ** mp.mpf(1.5) * 2 / 3))
    return tuple(value * scale for value, scale in zip(airy(x), (ai, ai, bi, bi), strict=True))


def integral(f: Callable[..., Any], struve: Callable[..., Any], sign: int) -> Callable[..., Any]:
    """That of J, Y, K (sign = 1) and I (sign = -1) of order 0 from 0 to x, by Struve functions."""
    return lambda x: mp.pi / 2 * x * (f(0, x) * struve(-1, x) + sign * f(1, x) * struve(0, x))


def power_series(power: int, factor: float, above: list[float], below: list[float], sign: int) -> Callable[..., Any]:
    """factor x^power F(above; below; sign x²/4)."""
    return lambda x: factor * x**power * mp.hyper(above, below, sign * x * x / 4)


def wright(a: Any, b: Any, x: Any) -> Any:
    return mp.nsum(lambda k: x**k * mp.rgamma(a * k + b) / mp.factorial(k), [0, 250], method="direct")


def told(a: float, b: float, x: float) -> bool:
    """Whether mpmath's differences tell the derivatives by x: they are 1e-40 of those by b at a = 15, b = 20."""
    return a < 15 or b < 20


def struve_slope(v: float, x: float) -> bool:
    """Whether the derivative of L by the order is no smaller beside it than mpmath's differences can tell."""
    return finite(v, x) and (v != 0 or x < 30)


POSITIVE = [1e-6, 0.01, 0.5, 2.3, 7.0, 19.5, 40.0]
SIGNED = [-12.0, -3.5, -0.25, *POSITIVE]
WHOLE = [0, 1, 2, 7]
SPHERICAL = [1e-3, 0.5, 4.5, 30.0, 1 + 2j, -3 + 0.5j]
HALF = mp.mpf(0.5)
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
    "yn": Case(mp.bessely, [WHOLE, POSITIVE], most=30),
    "kn": Case(mp.besselk, [WHOLE, POSITIVE], most=30),
    "spherical_jn": Case(lambda n, z: mp.sqrt(mp.pi / 2 / z) * mp.besselj(n + HALF, z), [WHOLE, SPHERICAL], most=30),
    "spherical_yn": Case(lambda n, z: mp.sqrt(mp.pi / 2 / z) * mp.bessely(n + HALF, z), [WHOLE, SPHERICAL], most=30),
    "spherical_in": Case(lambda n, z: mp.sqrt(mp.pi / 2 / z) * mp.besseli(n + HALF, z), [WHOLE, SPHERICAL], most=30),
    "spherical_kn": Case(lambda n, z: mp.sqrt(mp.pi / 2 / z) * mp.besselk(n + HALF, z), [WHOLE, SPHERICAL], most=30),
    "airy": Case(airy, [[*SIGNED, 1 + 2j, -3 + 0.5j, -2 - 4j]]),
    "airye": Case(scaled_airy, [POSITIVE]),
    "itairy": Case(
        lambda x: tuple(f(s * x, derivative=-1) * s for s in (1, -1) for f in (mp.airyai, mp.airybi)), [SIGNED[:-1]]
    ),
    "kelvin": Case(kelvin, [POSITIVE]),
    "ber": Case(lambda x: mp.re(kelvin(x)[0]), [SIGNED]),
    "bei": Case(lambda x: mp.im(kelvin(x)[0]), [SIGNED]),
    "ker": Case(lambda x: mp.re(kelvin(x)[1]), [POSITIVE]),
    "kei": Case(lambda x: mp.im(kelvin(x)[1]), [POSITIVE]),
    "berp": Case(lambda x: mp.re(kelvin(x)[2]), [SIGNED]),
    "beip": Case(
        lambda x: mp.im(kelvin(x)[2]), [SIGNED], where=lambda x: abs(x) > 0.001
    ),  # bei''' is x³ beside bei' = x
    "kerp": Case(lambda x: mp.re(kelvin(x)[3]), [POSITIVE]),
    "keip": Case(lambda x: mp.im(kelvin(x)[3]), [POSITIVE]),
    "itj0y0": Case(
        lambda x: (integral(mp.besselj, mp.struveh, 1)(x), integral(mp.bessely, mp.struveh, 1)(x)), [POSITIVE]
    ),
    "iti0k0": Case(
        lambda x: (integral(mp.besseli, mp.struvel, -1)(x), integral(mp.besselk, mp.struvel, 1)(x)), [POSITIVE]
    ),
    "itstruve0": Case(lambda x: power_series(2, 1 / mp.pi, [1, 1], [1.5, 1.5, 2], -1)(x), [SIGNED]),
    "it2struve0": Case(lambda x: mp.pi / 2 - power_series(1, 2 / mp.pi, [1, 0.5], [1.5, 1.5, 1.5], -1)(x), [POSITIVE]),
    "itmodstruve0": Case(lambda x: power_series(2, 1 / mp.pi, [1, 1], [1.5, 1.5, 2], 1)(x), [SIGNED]),
    "struve": Case(mp.struveh, [ORDERS[1:], REAL], most=40, where=lambda v, x: finite(v, x) and x != 300),
    "modstruve": Case(mp.struvel, [ORDERS[1:], REAL], most=40, where=struve_slope),
    "hyp0f1": Case(
        mp.hyp0f1,
        [
            [-20.3, -3.5, -0.5, 0.01, 0.5, 1, 1.7, 10, 50.5],
            [1e-8, 0.1, 3.0, -3.0, 20, -20.0, 150, -3e3, 1 + 2j, 50 - 70j],
        ],
        most=40,
    ),
    "wright_bessel": Case(
        wright, [[0.0, 0.3, 1.0, 2.5, 15.0], [1e-3, 0.5, 3.0, 20.0], [1e-6, 0.7, 5.0, 40.0]], most=24, where=told
    ),
    "log_wright_bessel": Case(
        lambda a, b, x: mp.log(wright(a, b, x)),
        [[0.3, 1.0, 2.5, 15.0], [1e-3, 0.5, 3.0, 20.0], [1e-6, 0.7, 5.0, 40.0]],
        most=24,
        where=told,
    ),
    "besselpoly": Case(
        lambda a, b, v: (
            a**v * mp.rgamma(v + 1) / (b + v + 1) * mp.hyper([(b + v + 1) / 2], [(b + v + 3) / 2, v + 1], -a * a)
        ),
        [[1e-3, 0.4, 2.0, 6.0], [-0.5, 0.0, 2.5], [-0.3, 0.0, 1.0, 10.5]],
        most=24,
    ),
}
for order in (0, 1):
    for letter, exact in {"j": mp.besselj, "y": mp.bessely, "i": mp.besseli, "k": mp.besselk}.items():
        CASES[f"{letter}{order}"] = Case(lambda x, f=exact, v=order: f(v, x), [SIGNED if letter in "ij" else POSITIVE])
    CASES[f"i{order}e"] = Case(lambda x, v=order: mp.besseli(v, x) * mp.exp(-abs(x)), [SIGNED])
    CASES[f"k{order}e"] = Case(lambda x, v=order: mp.besselk(v, x) * mp.exp(x), [POSITIVE])
