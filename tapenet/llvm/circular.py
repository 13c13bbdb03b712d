"""Circular functions and their inverses. Double sin, cos and tan are the C library's."""

from __future__ import annotations

import math

from tapenet.llvm.coefficients import TWO_OVER_PI
from tapenet.llvm.emitter import Value, like_type
from tapenet.llvm.formulas import FORMATS, double, function, in_double, nearest, polynomial


def _quadrant(x: Value) -> tuple[Value, Value]:
    """x = (n + y) pi / 2 with |y| <= 0.501, for any float32 held in a double; gives y pi / 2, and n modulo 2^32."""
    a = abs(x)
    high, middle, low = (x.like(c) for c in TWO_OVER_PI[0])
    for k, constants in enumerate(TWO_OVER_PI[1:], 1):
        beyond = a >= 2.0 ** (24 * k)
        high, middle, low = (beyond.where(x.like(c), h) for c, h in zip(constants, (high, middle, low), strict=True))
    first, second = x * high, x * middle  # both exact
    whole1, n1 = nearest(first)
    whole2, n2 = nearest(second)
    first, second = first - whole1, second - whole2
    whole3, n3 = nearest(first + second)
    y = first - whole3 + second + x * low
    return y * (math.pi / 2.0), (n1 + n2 + n3).convert("trunc", like_type(x.type, "i32"))


def _sine(r: Value) -> Value:
    z = r * r
    return r * z * polynomial("sin", z) + r


def _cosine(r: Value) -> Value:
    z = r * r
    return z * z * polynomial("cos", z) + (z * -0.5 + 1.0)


def _reduced(x: Value) -> tuple[Value, Value]:
    """The same for a float32, rounded to one."""
    r, n = _quadrant(double(x))
    return r.convert("fptrunc", x.type), n


def _sine32(r: Value, n: Value, quarters: int) -> Value:
    """The sine of r + (n + quarters) * pi / 2, for float32."""
    n = n + quarters
    y = (n & 1).ne(0).where(_cosine(r), _sine(r))
    return (y.bits() ^ ((n & 2) << 30)).convert("bitcast", r.type)


@function
def sin(x: Value) -> Value:
    """Sine."""
    return x.e.call("sin", x) if x.type == "double" else x.eq(0.0).where(x, _sine32(*_reduced(x), 0))


@function
def cos(x: Value) -> Value:
    """Cosine."""
    return x.e.call("cos", x) if x.type == "double" else _sine32(*_reduced(x), 1)


def sincos(x: Value) -> Value:
    """Sine and cosine of a float32, which have most in common: the lower and the higher half of an integer."""
    r, n = _reduced(x)
    sine, cosine = x.eq(0.0).where(x, _sine32(r, n, 0)), _sine32(r, n, 1)
    low, high = (half.bits().convert("zext", like_type(x.type, "i64")) for half in (sine, cosine))
    return low + (high << 32)


@function
def tan(x: Value) -> Value:
    """Tangent."""
    if x.type == "double":
        return x.e.call("tan", x)
    r, n = _quadrant(double(x))
    odd = (n & 1).ne(0)
    s, c = _sine(r), _cosine(r)
    return x.eq(0.0).where(x, (odd.where(-c, s) / odd.where(s, c)).convert("fptrunc", x.type))


def _arctan_from(quarters: Value, t: Value) -> Value:
    """quarters * pi / 4 + arctan(t) for |t| <= sqrt(2) - 1."""
    high, low = FORMATS[t.type].quarter_pi
    z = t * t
    return quarters * high + (t * z * polynomial("arctan", z) + quarters * low + t)


@function
def arctan(x: Value) -> Value:
    """Inverse tangent."""
    a = abs(x)
    middle, large = a > math.sqrt(2.0) - 1.0, a > math.sqrt(2.0) + 1.0
    t = large.where(x.like(-1.0), middle.where(a - 1.0, a)) / large.where(a, middle.where(a + 1.0, 1.0))
    quarters = large.where(x.like(2.0), middle.where(x.like(1.0), 0.0))
    return _arctan_from(quarters, t).copysign(x)


@function
@in_double
def arctan2(y: Value, x: Value) -> Value:
    """The angle of the point (x, y)."""
    a, b = abs(x), abs(y)
    steep = b > a
    low, high = steep.where(a, b), steep.where(b, a)
    scale = (high > 2.0**1000).where(x.like(0.25), 1.0)  # keeps the sum of both finite
    low, high = low * scale, high * scale
    diagonal = low.eq(math.inf)  # then both are
    low, high = diagonal.where(x.like(1.0), low), (diagonal | high.eq(0.0)).where(x.like(1.0), high)
    middle = low > high * (math.sqrt(2.0) - 1.0)
    t = middle.where(low - high, low) / middle.where(low + high, high)
    quarters = middle.where(x.like(1.0), 0.0)
    # Reflect at the diagonal, then at the vertical axis.
    t, quarters = steep.where(-t, t), steep.where(2.0 - quarters, quarters)
    left = x.bits() < 0  # also -0
    t, quarters = left.where(-t, t), left.where(4.0 - quarters, quarters)
    angle = _arctan_from(quarters, t).copysign(y)
    return a.compare("uno", b).where(x + y, angle)


def _arcsine(a: Value) -> tuple[Value, Value]:
    """p and whether a > 1/2. There arcsin(a) = pi / 2 - 2 p, else it is p."""
    large = a > 0.5
    z = large.where(0.5 - a * 0.5, a * a)
    s = large.where(z.intrinsic("sqrt"), a)
    return s * z * polynomial("arcsin", z) + s, large


@function
def arcsin(x: Value) -> Value:
    """Inverse sine."""
    high, low = FORMATS[x.type].quarter_pi
    p, large = _arcsine(abs(x))
    return large.where(2.0 * high - (2.0 * p - 2.0 * low), p).copysign(x)


@function
def arccos(x: Value) -> Value:
    """Inverse cosine."""
    high, low = FORMATS[x.type].quarter_pi
    p, large = _arcsine(abs(x))
    left = x < 0.0
    quarters = large.where(left.where(x.like(4.0), 0.0), 2.0)
    term = large.where(left.where(p * -2.0, p * 2.0), -p.copysign(x))
    return quarters * high + (quarters * low + term)
