"""The mathematical functions of the native backend, as branch-free LLVM functions of scalars.

LLVM inlines them and turns the loop around them into SIMD code. So there are only selects, no branches and no tables;
a float is rounded to an integer by adding a large constant, which every machine can do; and nothing needs a fused
multiply-add to be accurate. What is written once for both float types takes coefficients and constants by type.
Functions marked `_in_double` compute float32 in double. Zeros with their signs, infinities, nan and denormals come out
as C's functions have them.

Double sin, cos, tan and power are left to the C library; a loop that calls these is not vectorised.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from tapenet.compiler.native.coefficients import ERFCX_CENTRE, POLYNOMIALS, TWO_OVER_PI
from tapenet.compiler.native.emitter import SUFFIX, Emitter, Value

Body = Callable[..., Value]


class _Format(NamedTuple):
    """Numbers that depend on the float type. A pair is one constant in two parts; where it multiplies an exponent or
    a count of quarters, the first part has so few bits that the product is exact."""

    mantissa: int
    bias: int
    #: 1.5 * 2^mantissa. A number added to it is rounded to an integer, which then stands in its low bits.
    magic: float
    magic_bits: int
    #: The bits of sqrt(1/2): mantissas are taken between it and sqrt(2).
    sqrt_half: int
    smallest_normal: float
    #: exp is 0 below the first and infinite above the second.
    exp_range: tuple[float, float]
    ln2: tuple[float, float]
    log10_2: tuple[float, float]
    log2_e: tuple[float, float]
    log10_e: tuple[float, float]
    quarter_pi: tuple[float, float]
    #: From here on e^2a + 1 is e^2a (for tanh; this is 2 a log2(e)), and erf is 1.
    tanh_one: float
    erf_one: float


_FORMATS = {
    "float": _Format(
        23, 127, 1.5 * 2.0**23, 0x4B400000, 0x3F3504F3, 2.0**-126, (-105.0, 89.0),
        (0.693145751953125, 1.4286068203094173e-06), (0.301025390625, 4.605038981195214e-06),
        (1.4426950216293335, 1.9259629911266175e-08), (0.4342944920063019, -1.0103050052231683e-08),
        (0.7853980064392090, 1.5695823926e-07), 30.0, 3.93,
    ),
    "double": _Format(
        52, 1023, 1.5 * 2.0**52, 0x4338000000000000, 0x3FE6A09E667F3BCD, 2.0**-1022, (-746.0, 710.0),
        (0.6931471805598903, 5.497923018708371e-14), (0.30102999566383914, 1.42050232272661e-13),
        (1.4426950408889634, 2.0355273740931033e-17), (0.4342944819032518, 1.098319650216765e-17),
        (0.7853981633974483, 3.061616997868383e-17), 60.0, 5.93,
    ),
}  # fmt: skip

#: By name: the body, with one argument per operand, all of one type.
FUNCTIONS: dict[str, Body] = {}


def _function(body: Body) -> Body:
    FUNCTIONS[body.__name__] = body
    return body


def _in_double(body: Body) -> Body:
    """The same function, with float32 computed in double and rounded once."""

    def widened(*arguments: Value) -> Value:
        if arguments[0].type == "double":
            return body(*arguments)
        return body(*map(_double, arguments)).convert("fptrunc", "float")

    widened.__name__ = body.__name__
    return widened


def _double(x: Value) -> Value:
    return x.convert("fpext", "double")


def call(name: str, *arguments: Value) -> Value:
    """Call one of the functions here."""
    type = arguments[0].type
    return arguments[0].e.call(f"tn_{name}_{SUFFIX[type]}", *arguments)


def _polynomial(name: str, x: Value) -> Value:
    highest, *others = reversed(POLYNOMIALS[name, SUFFIX[x.type]])
    value = x.like(highest)
    for c in others:
        value = value * x + c
    return value


# -- exponentials ------------------------------------------------------------------------------------------------


def _nearest(x: Value) -> tuple[Value, Value]:
    """The integer nearest to x, as a float and as an integer."""
    f = _FORMATS[x.type]
    shifted = x + f.magic
    return shifted - f.magic, shifted.bits() - f.magic_bits


def _reduce(x: Value) -> tuple[Value, Value, Value]:
    """x = n ln 2 + r + low with |r| <= ln(2) / 2, where low is tiny."""
    f = _FORMATS[x.type]
    whole, n = _nearest(x * f.log2_e[0])
    return whole * -f.ln2[0] + x, whole * -f.ln2[1], n


def _reduce2(x: Value) -> tuple[Value, Value]:
    """x = n + r with |r| <= 1/2; gives r and n."""
    whole, n = _nearest(x)
    return x - whole, n


def _expm1_near_0(r: Value, low: Value) -> Value:
    """e^(r + low) - 1 for |r| <= ln(2) / 2 and a tiny low."""
    both = r + low
    return both * both * _polynomial("exp", both) + low + r


def _exp2_near_0(r: Value) -> Value:
    """2^r for |r| <= 1/2."""
    return r * _polynomial("exp2", r) + 1.0


def _power_of_2(biased: Value, type: str) -> Value:
    """2^n, a normal number, from n + bias."""
    return (biased << _FORMATS[type].mantissa).convert("bitcast", type)


def _scale(y: Value, n: Value, offset: int = 0) -> Value:
    """y * 2^(n + offset), in two steps: the power alone may overflow or be denormal where the product is not."""
    biased = n + (2 * _FORMATS[y.type].bias + offset)
    half = biased.op("lshr", biased, 1)
    return y * _power_of_2(half, y.type) * _power_of_2(biased - half, y.type)


def _exp(x: Value, offset: int = 0) -> Value:
    """e^x * 2^offset for x within `exp_range`."""
    r, low, n = _reduce(x)
    return _scale(_expm1_near_0(r, low) + 1.0, n, offset)


def _exp_of_minus(a: Value) -> Value:
    """e^-a for a >= 0."""
    return _exp((-a).at_least(_FORMATS[a.type].exp_range[0]))


@_function
def exp(x: Value) -> Value:
    """e^x."""
    low, high = _FORMATS[x.type].exp_range
    return _exp(x.at_least(low).at_most(high))


@_function
def exp2(x: Value) -> Value:
    """2^x."""
    f = _FORMATS[x.type]
    r, n = _reduce2(x.at_least(-f.bias - f.mantissa - 2.0).at_most(f.bias + 2.0))
    return _scale(_exp2_near_0(r), n)


@_function
def expm1(x: Value) -> Value:
    """e^x - 1."""
    f = _FORMATS[x.type]
    r, low, n = _reduce(x.at_least(-f.mantissa - 1.0).at_most(f.exp_range[1]))
    half = _power_of_2(n + (f.bias - 1), x.type)  # 2^n / 2, since 2^n overflows before the result does
    y = (half * _expm1_near_0(r, low) + (half - 0.5)) * 2.0
    return (abs(x) < 2.0**-60).where(x, y)  # keeps -0 and denormals


@_function
def sigmoid(x: Value) -> Value:
    """1 / (1 + e^-x)."""
    t = _exp_of_minus(abs(x))
    return (x >= 0.0).where(x.like(1.0), t) / (t + 1.0)


@_function
def tanh(x: Value) -> Value:
    """Hyperbolic tangent."""
    f = _FORMATS[x.type]
    a = abs(x)
    z = a * a
    near = a * z * _polynomial("tanh", z) + a
    r, n = _reduce2((a * (2.0 * f.log2_e[0])).at_most(f.tanh_one))
    half = _power_of_2(n + (f.bias - 1), x.type)
    far = 1.0 - 1.0 / (_exp2_near_0(r) * half + 0.5)  # 1 - 2 / (e^2a + 1)
    return (a < 0.625).where(near, far).copysign(x)


def _half_exp(a: Value) -> tuple[Value, Value]:
    """e^a / 2 and e^-a / 2 for a >= 0."""
    half = _exp(a.at_most(_FORMATS[a.type].exp_range[1] + 1.0), -1)
    return half, 0.25 / half


@_function
def sinh(x: Value) -> Value:
    """Hyperbolic sine."""
    a = abs(x)
    z = a * a
    near = a * z * _polynomial("sinh", z) + a
    up, down = _half_exp(a)
    return (a < 1.0).where(near, up - down).copysign(x)


@_function
def cosh(x: Value) -> Value:
    """Hyperbolic cosine."""
    up, down = _half_exp(abs(x))
    return up + down


# -- logarithms --------------------------------------------------------------------------------------------------


def _split(x: Value) -> tuple[Value, Value]:
    """x = 2^n * m with sqrt(1/2) <= m < sqrt(2), for normal x > 0; gives n + bias, an integer, and m."""
    f = _FORMATS[x.type]
    shifted = x.bits() + ((f.bias << f.mantissa) - f.sqrt_half)
    m = (shifted & ((1 << f.mantissa) - 1)) + f.sqrt_half
    return shifted.op("lshr", shifted, f.mantissa), m.convert("bitcast", x.type)


def _as_float(biased: Value, type: str) -> Value:
    """n from n + bias. (Few machines have a SIMD conversion from 64-bit integers.)"""
    f = _FORMATS[type]
    return (biased + f.magic_bits).convert("bitcast", type) - (f.magic + f.bias)


def _log_parts(x: Value) -> tuple[Value, Value]:
    """x = 2^n * (1 + t) for x > 0; gives n as a float, and t."""
    f = _FORMATS[x.type]
    shift = f.mantissa + 1
    denormal = x < f.smallest_normal
    biased, m = _split(denormal.where(x * 2.0**shift, x))
    return _as_float(biased, x.type) - denormal.where(x.like(shift), 0.0), m - 1.0


def _log1p_rest(t: Value) -> Value:
    """log(1 + t) - t for sqrt(1/2) <= 1 + t <= sqrt(2)."""
    if t.type == "float":
        return t * t * (t * _polynomial("log", t) - 0.5)
    s = t / (t + 2.0)  # log(1 + t) = 2 artanh(s), which needs half the terms
    z = s * s
    h = t * t * 0.5
    return s * (z * _polynomial("log, odd", z) + h) - h


def _log_special(x: Value, y: Value) -> Value:
    """The logarithm `y` of x, put right where x is no positive finite number."""
    special = x.eq(0.0).where(x.like(-math.inf), (x > 0.0).where(x, math.nan))
    return ((x > 0.0) & (x < math.inf)).where(y, special)


@_function
def log(x: Value) -> Value:
    """Natural logarithm."""
    high, low = _FORMATS[x.type].ln2
    n, t = _log_parts(x)
    return _log_special(x, n * high + (n * low + _log1p_rest(t) + t))


@_function
def log2(x: Value) -> Value:
    """Logarithm to base 2."""
    high, low = _FORMATS[x.type].log2_e
    n, t = _log_parts(x)
    return _log_special(x, t * high + (t * low + _log1p_rest(t) * high) + n)


@_function
def log10(x: Value) -> Value:
    """Logarithm to base 10."""
    f = _FORMATS[x.type]
    n, t = _log_parts(x)
    rest = n * f.log10_2[1] + (t * f.log10_e[1] + _log1p_rest(t) * f.log10_e[0])
    return _log_special(x, n * f.log10_2[0] + (t * f.log10_e[0] + rest))


@_function
def log1p(x: Value) -> Value:
    """log(1 + x)."""
    f = _FORMATS[x.type]
    u = x + 1.0
    biased, _ = _split(u)
    # t = x 2^-n + (2^-n - 1) is rounded once, where 1 + x has lost bits of x. 4 * 2^-n is normal for every n.
    scale = _power_of_2(2 * f.bias + 2 - biased, x.type)
    t = x * 0.25 * scale + (scale * 0.25 - 1.0)
    n = _as_float(biased, x.type)
    y = n * f.ln2[0] + (n * f.ln2[1] + _log1p_rest(t) + t)
    special = (u > 0.0).where(x, u.eq(0.0).where(x.like(-math.inf), math.nan))
    return ((u > 0.0) & (u < math.inf) & (abs(x) > 2.0**-60)).where(y, special)  # keeps -0 and denormals


@_function
def logaddexp(x: Value, y: Value) -> Value:
    """log(e^x + e^y)."""
    u = _exp_of_minus(abs(x - y))
    upper = u > math.sqrt(2.0) - 1.0
    t = upper.where(u * 0.5 - 0.5, u)
    log1p_u = _log1p_rest(t) + t + upper.where(x.like(math.log(2.0)), 0.0)
    return x.eq(y).where(x + math.log(2.0), (x > y).where(x, y) + log1p_u)


@_function
@_in_double
def arcsinh(x: Value) -> Value:
    """Inverse hyperbolic sine."""
    a = abs(x)
    z = a * a
    huge = a > 2.0**60
    y = call("log1p", huge.where(a, z / ((z + 1.0).intrinsic("sqrt") + 1.0) + a))
    return (y + huge.where(x.like(math.log(2.0)), 0.0)).copysign(x)


@_function
@_in_double
def arccosh(x: Value) -> Value:
    """Inverse hyperbolic cosine."""
    t = x - 1.0
    huge = x > 2.0**60
    y = call("log1p", huge.where(t, (t * t + (t + t)).intrinsic("sqrt") + t))
    return (x < 1.0).where(x.like(math.nan), y + huge.where(x.like(math.log(2.0)), 0.0))


@_function
@_in_double
def arctanh(x: Value) -> Value:
    """Inverse hyperbolic tangent."""
    a = abs(x)
    return (call("log1p", (a + a) / (1.0 - a)) * 0.5).copysign(x)


# -- powers ------------------------------------------------------------------------------------------------------


@_function
@_in_double
def cbrt(x: Value) -> Value:
    """Cube root."""
    a = abs(x)
    tiny = a < 2.0**-900
    a = tiny.where(a * 2.0**300, a)
    y = call("exp2", call("log2", a) * (1.0 / 3.0))
    square = y * y
    y = y - (square * y - a) / (square * 3.0)
    y = tiny.where(y * 2.0**-100, y).copysign(x)
    return ((a > 0.0) & (a < math.inf)).where(y, x)


@_function
def power(x: Value, y: Value) -> Value:
    """x^y, with C's rules for zeros, infinities, nan and negative x."""
    if x.type == "double":
        return x.e.call("pow", x, y)
    result = call("exp2", call("log2", _double(abs(x))) * _double(y)).convert("fptrunc", "float")
    half = y * 0.5
    whole = y.intrinsic("floor").eq(y)
    odd = whole & half.intrinsic("floor").ne(half)
    result = odd.where(result.copysign(x), result)
    result = ((x < 0.0) & (x > -math.inf) & ~whole).where(x.like(math.nan), result)
    # 1 to any power and anything to the power 0, nan included, and -1 to an infinite power
    return (x.eq(1.0) | y.eq(0.0) | (x.eq(-1.0) & abs(y).eq(math.inf))).where(x.like(1.0), result)


@_function
@_in_double
def hypot(x: Value, y: Value) -> Value:
    """sqrt(x^2 + y^2), without overflow or underflow on the way."""
    a, b = abs(x), abs(y)
    large = (a > 2.0**500) | (b > 2.0**500)
    small = (a < 2.0**-500) & (b < 2.0**-500)
    scale = large.where(x.like(2.0**-600), small.where(x.like(2.0**600), 1.0))
    back = large.where(x.like(2.0**600), small.where(x.like(2.0**-600), 1.0))
    a, b = a * scale, b * scale
    length = (a * a + b * b).intrinsic("sqrt") * back
    return (a.eq(math.inf) | b.eq(math.inf)).where(x.like(math.inf), length)  # also beside nan


# -- the error function ------------------------------------------------------------------------------------------


@_function
def erf(x: Value) -> Value:
    """The error function."""
    f = _FORMATS[x.type]
    a = abs(x)
    near = a * _polynomial("erf", a * a) + a
    r, n = _reduce2(_polynomial("log2 erfc", a.at_most(f.erf_one) - 1.0))
    far = 1.0 - _exp2_near_0(r) * _power_of_2(n + f.bias, x.type)
    return (a < 1.0).where(near, far).copysign(x)


@_function
@_in_double
def erfc(x: Value) -> Value:
    """1 - erf(x)."""
    near = 1.0 - (x * _polynomial("erf", x * x) + x)
    a = abs(x).at_most(27.3)  # 0 from here on
    head = (a.bits() & -(1 << 27)).convert("bitcast", x.type)  # its square is exact
    r, low, n = _reduce(-(head * head))
    low = low + (head - a) * (head + a)
    inverse = 1.0 / (a + ERFCX_CENTRE)
    erfcx = _polynomial("erfcx", (a - ERFCX_CENTRE) * inverse) * inverse
    y = _scale((_expm1_near_0(r, low) + 1.0) * erfcx, n)
    return (a < 0.5).where(near, (x < 0.0).where(2.0 - y, y))


# -- circular functions ------------------------------------------------------------------------------------------


def _quadrant(x: Value) -> tuple[Value, Value]:
    """x = (n + y) pi / 2 with |y| <= 0.501, for any float32 held in a double; gives y pi / 2, and n modulo 2^32."""
    a = abs(x)
    high, middle, low = (x.like(c) for c in TWO_OVER_PI[0])
    for k, constants in enumerate(TWO_OVER_PI[1:], 1):
        beyond = a >= 2.0 ** (24 * k)
        high, middle, low = (beyond.where(x.like(c), h) for c, h in zip(constants, (high, middle, low), strict=True))
    first, second = x * high, x * middle  # both exact
    whole1, n1 = _nearest(first)
    whole2, n2 = _nearest(second)
    first, second = first - whole1, second - whole2
    whole3, n3 = _nearest(first + second)
    y = first - whole3 + second + x * low
    return y * (math.pi / 2.0), (n1 + n2 + n3).convert("trunc", "i32")


def _sine(r: Value) -> Value:
    z = r * r
    return r * z * _polynomial("sin", z) + r


def _cosine(r: Value) -> Value:
    z = r * r
    return z * z * _polynomial("cos", z) + (z * -0.5 + 1.0)


def _sine32(x: Value, quarters: int) -> Value:
    """The sine of x + quarters * pi / 2, for float32."""
    r, n = _quadrant(_double(x))
    r = r.convert("fptrunc", "float")
    n = n + quarters
    y = (n & 1).ne(0).where(_cosine(r), _sine(r))
    return (y.bits() ^ ((n & 2) << 30)).convert("bitcast", "float")


@_function
def sin(x: Value) -> Value:
    """Sine."""
    return x.e.call("sin", x) if x.type == "double" else x.eq(0.0).where(x, _sine32(x, 0))


@_function
def cos(x: Value) -> Value:
    """Cosine."""
    return x.e.call("cos", x) if x.type == "double" else _sine32(x, 1)


@_function
def tan(x: Value) -> Value:
    """Tangent."""
    if x.type == "double":
        return x.e.call("tan", x)
    r, n = _quadrant(_double(x))
    odd = (n & 1).ne(0)
    s, c = _sine(r), _cosine(r)
    return x.eq(0.0).where(x, (odd.where(-c, s) / odd.where(s, c)).convert("fptrunc", "float"))


def _arctan_from(quarters: Value, t: Value) -> Value:
    """quarters * pi / 4 + arctan(t) for |t| <= sqrt(2) - 1."""
    high, low = _FORMATS[t.type].quarter_pi
    z = t * t
    return quarters * high + (t * z * _polynomial("arctan", z) + quarters * low + t)


@_function
def arctan(x: Value) -> Value:
    """Inverse tangent."""
    a = abs(x)
    middle, large = a > math.sqrt(2.0) - 1.0, a > math.sqrt(2.0) + 1.0
    t = large.where(x.like(-1.0), middle.where(a - 1.0, a)) / large.where(a, middle.where(a + 1.0, 1.0))
    quarters = large.where(x.like(2.0), middle.where(x.like(1.0), 0.0))
    return _arctan_from(quarters, t).copysign(x)


@_function
@_in_double
def arctan2(y: Value, x: Value) -> Value:
    """The angle of the point (x, y)."""
    a, b = abs(x), abs(y)
    steep = b > a
    low, high = steep.where(a, b), steep.where(b, a)
    scale = (high > 2.0**1000).where(x.like(0.25), 1.0)
    both = low.eq(math.inf)
    low, high = both.where(x.like(1.0), low * scale), both.where(x.like(1.0), high.eq(0.0).where(x.like(1.0), high * scale))
    middle = low > high * (math.sqrt(2.0) - 1.0)
    t = middle.where(low - high, low) / middle.where(low + high, high)
    quarters = middle.where(x.like(1.0), 0.0)
    # Reflect at the diagonal, then at the vertical axis.
    t, quarters = steep.where(-t, t), steep.where(2.0 - quarters, quarters)
    left = (x.bits() < 0)
    t, quarters = left.where(-t, t), left.where(4.0 - quarters, quarters)
    angle = _arctan_from(quarters, t).copysign(y)
    return a.compare("uno", b).where(x + y, angle)


def _arcsine(a: Value) -> tuple[Value, Value]:
    """p and whether a > 1/2. There arcsin(a) = pi / 2 - 2 p, else it is p."""
    large = a > 0.5
    z = large.where(0.5 - a * 0.5, a * a)
    s = large.where(z.intrinsic("sqrt"), a)
    return s * z * _polynomial("arcsin", z) + s, large


@_function
def arcsin(x: Value) -> Value:
    """Inverse sine."""
    high, low = _FORMATS[x.type].quarter_pi
    p, large = _arcsine(abs(x))
    return large.where(2.0 * high - (2.0 * p - 2.0 * low), p).copysign(x)


@_function
def arccos(x: Value) -> Value:
    """Inverse cosine."""
    high, low = _FORMATS[x.type].quarter_pi
    p, large = _arcsine(abs(x))
    left = x < 0.0
    quarters = large.where(left.where(x.like(4.0), 0.0), 2.0)
    term = large.where(left.where(p * -2.0, p * 2.0), -p.copysign(x))
    return quarters * high + (quarters * low + term)


#: How many arguments these have; the others have one.
ARITY = {"logaddexp": 2, "power": 2, "hypot": 2, "arctan2": 2, "pow": 2}
_TYPE = {suffix: type for type, suffix in SUFFIX.items()}


def definition(symbol: str) -> tuple[str, set[str]]:
    """The text of a function `tn_NAME_TYPE`, or the declaration of one of C's for doubles, and what that needs."""
    if not symbol.startswith("tn_"):
        parameters = ", ".join(["double"] * ARITY.get(symbol, 1))
        return f"declare double @{symbol}({parameters}) {_PURE}\n", set()
    name, suffix = symbol.removeprefix("tn_").rsplit("_", 1)
    e, type = Emitter(), _TYPE[suffix]
    arguments = [Value(e, f"%x{i}", type) for i in range(ARITY.get(name, 1))]
    result = FUNCTIONS[name](*arguments)
    parameters = ", ".join(f"{type} {a.name}" for a in arguments)
    body = "\n".join([*e.lines, f"  ret {type} {result.name}"])
    return f"define internal {type} @{symbol}({parameters}) alwaysinline {_PURE} {{\n{body}\n}}\n", e.needs


_PURE = "nounwind willreturn memory(none)"
