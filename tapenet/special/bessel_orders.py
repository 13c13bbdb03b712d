"""Derivatives of Bessel functions by their order: those of the polynomial through SciPy's values at orders around it.

All of them are entire functions of the order. Freed of the exponential by which it grows, such a function is a polynomial of
degree 24 to all digits, as far as one order to both sides. Where the arguments are small the logarithm of the function changes
faster, and the orders lie closer. Modified Bessel functions change slowly where arguments are large, and are even, or nearly
so: there the polynomial is an even one, of the orders around 0, so that small derivatives have all digits too.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tapenet.special.definition import scipys
from tapenet.typing import Array

Function = Callable[[Array, Array], Array]
_NODES = 25
_X: Array = np.cos(np.pi * (2 * np.arange(_NODES) + 1) / (2 * _NODES))


@functools.cache
def _at_the_middle(n: int) -> Array:
    """What the values at the nodes are multiplied with to give the n-th derivative at 0 of the polynomial through them."""
    return _polynomials(np.zeros(()), n) @ _coefficients(_X)


def _coefficients(x: Array) -> Array:
    """The matrix from values at the Chebyshev nodes to coefficients of Chebyshev polynomials."""
    found: Array = 2 / len(x) * np.cos(np.outer(np.arange(len(x)), np.arccos(x)))
    found[0] /= 2
    return found


def _polynomials(x: Array, n: int) -> Array:
    """The n-th derivatives of the Chebyshev polynomials at x, over a last axis."""
    before = np.zeros((*x.shape, _NODES))
    for order in range(n + 1):
        found = np.zeros((*x.shape, _NODES))
        found[..., 0], found[..., 1] = (1, x) if order == 0 else (0, float(order == 1))
        for m in range(2, _NODES):
            found[..., m] = 2 * (x * found[..., m - 1] + order * before[..., m - 1]) - found[..., m - 2]
        before = found
    return found


def leibniz(n: int, first: list[Array], second: list[Array]) -> Array:
    """The n-th derivative of a product, by those of its factors."""
    return sum((math.comb(n, i) * first[i] * second[n - i] for i in range(1, n + 1)), start=first[0] * second[n])


def around(f: Callable[[Array], Array], n: int, v: Array, width: Array, growth: Array) -> Array:
    """The n-th derivative of f at v, where f(v) exp(-growth v) is smooth over v - width to v + width."""
    apart = width[..., None] * _X
    values = f(v[..., None] + apart) * np.exp(-growth[..., None] * apart)
    found = [values @ _at_the_middle(i) / width**i for i in range(n + 1)]
    return leibniz(n, [growth**i for i in range(n + 1)], found)


def around_zero(f: Callable[[Array], Array], n: int, v: Array, width: Array) -> Array:
    """The n-th derivative at v of an even function that is smooth over -width to width."""
    half = _NODES // 2 + 1
    values = f(width[..., None] * _X[:half])
    coefficients = np.concatenate([values, values[..., half - 2 :: -1]], -1) @ _coefficients(_X).T
    coefficients[..., 1::2] = 0
    found: Array = (coefficients * _polynomials(v / width, n)).sum(-1) / width**n
    return found


def log_growth(v: Array, z: Array, sign: float) -> Array:
    """By how much ln|f| changes with |v|, in f that grow with it: by the saddle of its integral."""
    order = np.abs(v)
    found: Array = np.log(np.abs((order + np.sqrt((order * order + sign * z * z).astype(complex))) / z))
    return found


def narrow(z: Array) -> Array:
    """How far orders around a small one reach."""
    found: Array = np.minimum(1, 2 / (1 + np.maximum(np.log(2 / np.abs(z)), 0)))
    return found


def wide(z: Array) -> Array:
    """How much farther they reach in modified functions, where exp(z) leaves nothing of exp(-z), which turns with the order."""
    found: Array = np.where(np.real(z) > 18, np.sqrt(np.abs(z)), 1)
    return found


def _unmodified(f: Function, n: int, v: Array, z: Array, falls: bool) -> Array:
    growth = log_growth(v, z, -1) * (-1 if falls else np.sign(v))
    return around(lambda v: f(v, z[..., None]), n, v, np.where(np.abs(v) < 2, narrow(z), 1), growth)


def _modified(f: Function, n: int, v: Array, z: Array, falls: bool) -> Array:
    far = np.maximum(1, wide(z) / 2)
    growth = log_growth(v, z, 1) * (-1 if falls else np.sign(v))
    return around(lambda v: f(v, z[..., None]), n, v, np.where(np.abs(v) < 2, narrow(z) * far, far), growth)


def _k(f: Function, n: int, v: Array, z: Array) -> Array:
    width = 2 * narrow(z) * wide(z)
    near = np.abs(v) <= width / 2
    even = around_zero(lambda v: f(v, z[..., None]), n, np.where(near, v, 0), width)
    return np.where(near, even, _modified(f, n, v, z, False))


def _i(f: Function, k: Function, n: int, v: Array, z: Array) -> Array:
    """I is an even function less sin(π v)/π K: the latter is small where the real part of z is positive."""
    width = 2 * narrow(z) * wide(z)
    near = (np.abs(v) <= width / 2) & (np.real(z) > 0)
    at = np.where(near, v, 0)
    w = z[..., None]
    even = around_zero(lambda v: f(v, w) + np.sin(np.pi * v) / np.pi * k(v, w), n, at, width)
    sines = [np.pi**i * np.sin(np.pi * (at + i / 2)) for i in range(n + 1)]
    odd = leibniz(n, sines, [_k(k, i, at, z) if i else k(at, z) for i in range(n + 1)]) / np.pi
    return np.where(near, even - odd, _modified(f, n, v, z, True))


class Recurrence(NamedTuple):
    """What the derivative of a Bessel function by its argument is made of.

    Attributes:
        lower, upper: the factors of the functions of the orders below and above.
    """

    lower: float
    upper: float

    def times(self, f: Function, m: int) -> Function:
        """The recurrence done m times."""
        factors = [math.comb(m, i) * self.lower ** (m - i) * self.upper**i for i in range(m + 1)]
        return lambda v, z: sum(
            (c * f(v + (2 * i - m), z) for i, c in enumerate(factors) if i), factors[0] * f(v - m, z)
        )


#: Those of J, Y and the Hankel functions, of I, and of K.
OF_J, OF_I, OF_K = Recurrence(0.5, -0.5), Recurrence(0.5, 0.5), Recurrence(-0.5, -0.5)


def derivative(name: str, v: Array, z: Array, recurrence: Recurrence, n: int, m: int) -> Array:
    """The n-th derivative by the order v of a Bessel function at z, with the recurrence done m times.

    The values of which the polynomial is made are those after the recurrence: it would take digits from what is nearly even.
    """
    theirs = scipys(name)
    f = recurrence.times(theirs, m)
    if n == 0:
        return f(v, z)
    v, z = np.asarray(v), np.asarray(z)
    dtype = theirs(np.zeros((), v.dtype), np.ones((), z.dtype)).dtype
    kind = name.rstrip("12e")[0]
    v, z = np.broadcast_arrays(v.astype(float), z.astype(complex if z.dtype.kind == "c" else float))
    at = np.where(z == 0, 1, z)
    if kind == "k":
        found = _k(f, n, v, at)
    elif kind == "i":
        scaled = name == "ive"

        def beside(v: Array, z: Array) -> Array:
            """K, scaled as I is."""
            found: Array = scipys("kve")(v, z) * np.exp(-z - np.abs(np.real(z))) if scaled else scipys("kv")(v, z)
            return found

        found = _i(f, OF_K.times(beside, m), n, v, at)
    else:
        found = _unmodified(f, n, v, at, kind == "j")
    # Where z is 0, powers of z with a positive exponent are 0.
    found = np.where(z == 0, np.where((v > m) & (kind in "ij"), 0, np.nan), found)
    return found.astype(dtype)
