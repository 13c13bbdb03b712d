"""Exponentials, hyperbolic functions, logarithms, powers and the error function, for float32 and float64."""

from __future__ import annotations

import math

from tapenet.llvm.coefficients import ERFCX_CENTRE
from tapenet.llvm.emitter import Value, element
from tapenet.llvm.formulas import FORMATS, call, double, function, in_double, nearest, polynomial

# -- exponentials ------------------------------------------------------------------------------------------------


def _reduce(x: Value) -> tuple[Value, Value, Value]:
    """x = n ln 2 + r + low with |r| <= ln(2) / 2, where low is tiny."""
    f = FORMATS[x.type]
    whole, n = nearest(x * f.log2_e[0])
    return whole * -f.ln2[0] + x, whole * -f.ln2[1], n


def _reduce2(x: Value) -> tuple[Value, Value]:
    """x = n + r with |r| <= 1/2; gives r and n."""
    whole, n = nearest(x)
    return x - whole, n


def _expm1_near_0(r: Value, low: Value) -> Value:
    """e^(r + low) - 1 for |r| <= ln(2) / 2 and a tiny low."""
    both = r + low
    return both * both * polynomial("exp", both) + low + r


def _exp2_near_0(r: Value) -> Value:
    """2^r for |r| <= 1/2."""
    return r * polynomial("exp2", r) + 1.0


def _power_of_2(biased: Value, type: str) -> Value:
    """2^n, a normal number, from n + bias."""
    return (biased << FORMATS[type].mantissa).convert("bitcast", type)


def _scale(y: Value, n: Value, offset: int = 0) -> Value:
    """y * 2^(n + offset), in two steps: the power alone may overflow or be denormal where the product is not."""
    biased = n + (2 * FORMATS[y.type].bias + offset)
    half = biased.op("lshr", biased, 1)
    return y * _power_of_2(half, y.type) * _power_of_2(biased - half, y.type)


def _exp(x: Value, offset: int = 0) -> Value:
    """e^x * 2^offset for x within `exp_range`."""
    r, low, n = _reduce(x)
    return _scale(_expm1_near_0(r, low) + 1.0, n, offset)


def _exp_of_minus(a: Value) -> Value:
    """e^-a for a >= 0."""
    return _exp((-a).at_least(FORMATS[a.type].exp_range[0]))


@function
def exp(x: Value) -> Value:
    """e^x. Where it is 0 no product underflows: some processors take a hundred times as long for one that does, and softmax
    of masked scores has many. (8 heads of 16 x 16 of them take 2.8 µs so, which took 9.6 on an Intel Xeon, model 167.)"""
    low, high = FORMATS[x.type].exp_range
    r, tiny, n = _reduce(x.at_least(low).at_most(high))
    return _scale((x < low).where(x.like(0.0), _expm1_near_0(r, tiny) + 1.0), n)


@function
def exp2(x: Value) -> Value:
    """2^x."""
    f = FORMATS[x.type]
    r, n = _reduce2(x.at_least(-f.bias - f.mantissa - 2.0).at_most(f.bias + 2.0))
    return _scale(_exp2_near_0(r), n)


@function
def expm1(x: Value) -> Value:
    """e^x - 1."""
    f = FORMATS[x.type]
    r, low, n = _reduce(x.at_least(-f.mantissa - 1.0).at_most(f.exp_range[1]))
    half = _power_of_2(n + (f.bias - 1), x.type)  # 2^n / 2, since 2^n overflows before the result does
    y = (half * _expm1_near_0(r, low) + (half - 0.5)) * 2.0
    return (abs(x) < 2.0**-60).where(x, y)  # keeps -0 and denormals


@function
def sigmoid(x: Value) -> Value:
    """1 / (1 + e^-x)."""
    f = FORMATS[x.type]
    r, low, n = _reduce((-x).at_least(-f.mantissa - 1.0).at_most(-f.exp_range[0]))
    large = n > 64  # both parts of the quotient are then 2^-64 times as large, since e^-x may overflow
    unit = large.where(x.like(2.0**-64), 1.0)
    power = _power_of_2(n + f.bias - large.where(n.like(64), 0), x.type)
    return unit / (power * _expm1_near_0(r, low) + (power + unit))


@function
def tanh(x: Value) -> Value:
    """Hyperbolic tangent."""
    f = FORMATS[x.type]
    a = abs(x)
    z = a * a
    near = a * z * polynomial("tanh", z) + a
    r, n = _reduce2((a * (2.0 * f.log2_e[0])).at_most(f.tanh_one))
    half = _power_of_2(n + (f.bias - 1), x.type)
    far = 1.0 - 1.0 / (_exp2_near_0(r) * half + 0.5)  # 1 - 2 / (e^2a + 1)
    return (a < 0.625).where(near, far).copysign(x)


def _half_exp(a: Value) -> tuple[Value, Value]:
    """e^a / 2 and e^-a / 2 for a >= 0."""
    half = _exp(a.at_most(FORMATS[a.type].exp_range[1] + 1.0), -1)
    return half, 0.25 / half


@function
def sinh(x: Value) -> Value:
    """Hyperbolic sine."""
    a = abs(x)
    z = a * a
    near = a * z * polynomial("sinh", z) + a
    up, down = _half_exp(a)
    return (a < 1.0).where(near, up - down).copysign(x)


@function
def cosh(x: Value) -> Value:
    """Hyperbolic cosine."""
    up, down = _half_exp(abs(x))
    return up + down


# -- logarithms --------------------------------------------------------------------------------------------------


def _split(x: Value) -> tuple[Value, Value]:
    """x = 2^n * m with sqrt(1/2) <= m < sqrt(2), for normal x > 0; gives n + bias, an integer, and m."""
    f = FORMATS[x.type]
    shifted = x.bits() + ((f.bias << f.mantissa) - f.sqrt_half)
    m = (shifted & ((1 << f.mantissa) - 1)) + f.sqrt_half
    return shifted.op("lshr", shifted, f.mantissa), m.convert("bitcast", x.type)


def _as_float(biased: Value, type: str) -> Value:
    """n from n + bias. (Few machines have a SIMD conversion from 64-bit integers.)"""
    f = FORMATS[type]
    return (biased + f.magic_bits).convert("bitcast", type) - (f.magic + f.bias)


def _log_parts(x: Value) -> tuple[Value, Value]:
    """x = 2^n * (1 + t) for x > 0; gives n as a float, and t."""
    f = FORMATS[x.type]
    shift = f.mantissa + 1
    denormal = x < f.smallest_normal
    biased, m = _split(denormal.where(x * 2.0**shift, x))
    return _as_float(biased, x.type) - denormal.where(x.like(shift), 0.0), m - 1.0


def _log1p_rest(t: Value) -> Value:
    """log(1 + t) - t for sqrt(1/2) <= 1 + t <= sqrt(2)."""
    if element(t.type) == "float":
        return t * t * (t * polynomial("log", t) - 0.5)
    s = t / (t + 2.0)  # log(1 + t) = 2 artanh(s), which needs half the terms
    z = s * s
    h = t * t * 0.5
    return s * (z * polynomial("log, odd", z) + h) - h


def _log_special(x: Value, y: Value) -> Value:
    """The logarithm `y` of x, put right where x is no positive finite number."""
    special = x.eq(0.0).where(x.like(-math.inf), (x > 0.0).where(x, math.nan))
    return ((x > 0.0) & (x < math.inf)).where(y, special)


@function
def log(x: Value) -> Value:
    """Natural logarithm."""
    high, low = FORMATS[x.type].ln2
    n, t = _log_parts(x)
    return _log_special(x, n * high + (n * low + _log1p_rest(t) + t))


@function
def log2(x: Value) -> Value:
    """Logarithm to base 2."""
    high, low = FORMATS[x.type].log2_e
    n, t = _log_parts(x)
    return _log_special(x, t * high + (t * low + _log1p_rest(t) * high) + n)


@function
def log10(x: Value) -> Value:
    """Logarithm to base 10."""
    f = FORMATS[x.type]
    n, t = _log_parts(x)
    rest = n * f.log10_2[1] + (t * f.log10_e[1] + _log1p_rest(t) * f.log10_e[0])
    return _log_special(x, n * f.log10_2[0] + (t * f.log10_e[0] + rest))


@function
def log1p(x: Value) -> Value:
    """log(1 + x)."""
    f = FORMATS[x.type]
    u = x + 1.0
    biased, _ = _split(u)
    # t = x 2^-n + (2^-n - 1) is rounded once, where 1 + x has lost bits of x. 4 * 2^-n is normal for every n.
    scale = _power_of_2(2 * f.bias + 2 - biased, x.type)
    t = x * 0.25 * scale + (scale * 0.25 - 1.0)
    n = _as_float(biased, x.type)
    y = n * f.ln2[0] + (n * f.ln2[1] + _log1p_rest(t) + t)
    special = (u > 0.0).where(x, u.eq(0.0).where(x.like(-math.inf), math.nan))
    return ((u > 0.0) & (u < math.inf) & (abs(x) > 2.0**-60)).where(y, special)  # keeps -0 and denormals


@function
def logaddexp(x: Value, y: Value) -> Value:
    """log(e^x + e^y)."""
    u = _exp_of_minus(abs(x - y))
    upper = u > math.sqrt(2.0) - 1.0
    t = upper.where(u * 0.5 - 0.5, u)
    log1p_u = _log1p_rest(t) + t + upper.where(x.like(math.log(2.0)), 0.0)
    return x.eq(y).where(x + math.log(2.0), (x > y).where(x, y) + log1p_u)


@function
@in_double
def arcsinh(x: Value) -> Value:
    """Inverse hyperbolic sine."""
    a = abs(x)
    z = a * a
    huge = a > 2.0**60
    y = call("log1p", huge.where(a, z / ((z + 1.0).intrinsic("sqrt") + 1.0) + a))
    return (y + huge.where(x.like(math.log(2.0)), 0.0)).copysign(x)


@function
@in_double
def arccosh(x: Value) -> Value:
    """Inverse hyperbolic cosine."""
    t = x - 1.0
    huge = x > 2.0**60
    y = call("log1p", huge.where(t, (t * t + (t + t)).intrinsic("sqrt") + t))
    return (x < 1.0).where(x.like(math.nan), y + huge.where(x.like(math.log(2.0)), 0.0))


@function
@in_double
def arctanh(x: Value) -> Value:
    """Inverse hyperbolic tangent."""
    a = abs(x)
    return (call("log1p", (a + a) / (1.0 - a)) * 0.5).copysign(x)


# -- powers ------------------------------------------------------------------------------------------------------


@function
@in_double
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


@function
def power(x: Value, y: Value) -> Value:
    """x^y, with C's rules for zeros, infinities, nan and negative x."""
    if element(x.type) == "double":
        return x.e.call("pow", x, y)
    result = call("exp2", call("log2", double(abs(x))) * double(y)).convert("fptrunc", x.type)
    half = y * 0.5
    whole = y.intrinsic("floor").eq(y)
    odd = whole & half.intrinsic("floor").ne(half)
    result = odd.where(result.copysign(x), result)
    result = ((x < 0.0) & (x > -math.inf) & ~whole).where(x.like(math.nan), result)
    # 1 to any power and anything to the power 0, nan included, and -1 to an infinite power
    return (x.eq(1.0) | y.eq(0.0) | (x.eq(-1.0) & abs(y).eq(math.inf))).where(x.like(1.0), result)


@function
@in_double
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


@function
def erf(x: Value) -> Value:
    """The error function."""
    f = FORMATS[x.type]
    a = abs(x)
    near = a * polynomial("erf", a * a) + a
    r, n = _reduce2(polynomial("log2 erfc", a.at_most(f.erf_one) - 1.0))
    far = 1.0 - _exp2_near_0(r) * _power_of_2(n + f.bias, x.type)
    return (a < 1.0).where(near, far).copysign(x)


@function
@in_double
def erfc(x: Value) -> Value:
    """1 - erf(x)."""
    near = 1.0 - (x * polynomial("erf", x * x) + x)
    a = abs(x).at_most(27.3)  # 0 from here on
    head = (a.bits() & -(1 << 27)).convert("bitcast", x.type)  # its square is exact
    r, low, n = _reduce(-(head * head))
    low = low + (head - a) * (head + a)
    inverse = 1.0 / (a + ERFCX_CENTRE)
    erfcx = polynomial("erfcx", (a - ERFCX_CENTRE) * inverse) * inverse
    y = _scale((_expm1_near_0(r, low) + 1.0) * erfcx, n)
    return (a < 0.5).where(near, (x < 0.0).where(2.0 - y, y))


# -- the normal distribution -------------------------------------------------------------------------------------

#: From here on it is closer to 1 than half a float32 below it.
NORMAL_ONE = 5.5


@function
def normal_cdf(x: Value) -> Value:
    """(1 + erf(x / sqrt(2))) / 2, as exact as a number close to 1.

    That needs one polynomial in float32, where erf, exact near 0 too, computes two and an exponential: GELU takes 0.6 of the
    time so."""
    if element(x.type) == "double":
        return call("erf", x * math.sqrt(0.5)) * 0.5 + 0.5
    a = abs(x)
    square = a * polynomial("normal tail", a) + 1.0
    square = square * square
    beyond = square * 0.5 * square
    beyond = (a > NORMAL_ONE).where(x.like(0.0), beyond)
    return (x < 0.0).where(beyond, 1.0 - beyond)
