"""What the formulas of the native backend's functions are made of: constants by float type, exact reductions,
polynomials, and the register of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tapenet.llvm.coefficients import POLYNOMIALS
from tapenet.llvm.emitter import SUFFIX, Value, element, like_type, suffix

Body = Callable[..., Value]


class Format(NamedTuple):
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


class _Formats(dict[str, Format]):
    """By float type; vectors have what their lanes have."""

    def __missing__(self, type: str) -> Format:
        return self[element(type)]


FORMATS = _Formats({
    "float": Format(
        23, 127, 1.5 * 2.0**23, 0x4B400000, 0x3F3504F3, 2.0**-126, (-105.0, 89.0),
        (0.693145751953125, 1.4286068203094173e-06), (0.301025390625, 4.605038981195214e-06),
        (1.4426950216293335, 1.9259629911266175e-08), (0.4342944920063019, -1.0103050052231683e-08),
        (0.7853980064392090, 1.5695823926e-07), 30.0, 3.93,
    ),
    "double": Format(
        52, 1023, 1.5 * 2.0**52, 0x4338000000000000, 0x3FE6A09E667F3BCD, 2.0**-1022, (-746.0, 710.0),
        (0.6931471805598903, 5.497923018708371e-14), (0.30102999566383914, 1.42050232272661e-13),
        (1.4426950408889634, 2.0355273740931033e-17), (0.4342944819032518, 1.098319650216765e-17),
        (0.7853981633974483, 3.061616997868383e-17), 60.0, 5.93,
    ),
})  # fmt: skip

#: By name: the body, with one argument per operand, all of one type.
FUNCTIONS: dict[str, Body] = {}


def function(body: Body) -> Body:
    """Register a function by its name."""
    FUNCTIONS[body.__name__] = body
    return body


def in_double(body: Body) -> Body:
    """The same function, with float32 computed in double and rounded once."""

    def widened(*arguments: Value) -> Value:
        if element(arguments[0].type) == "double":
            return body(*arguments)
        return body(*map(double, arguments)).convert("fptrunc", arguments[0].type)

    widened.__name__ = body.__name__
    return widened


def double(x: Value) -> Value:
    """A float as a double."""
    return x.convert("fpext", like_type(x.type, "double"))


def call(name: str, *arguments: Value) -> Value:
    """Call one of the functions."""
    return arguments[0].e.call(f"tn_{name}_{suffix(arguments[0].type)}", *arguments)


def polynomial(name: str, x: Value) -> Value:
    """The polynomial of this name at x."""
    highest, *others = reversed(POLYNOMIALS[name, SUFFIX[element(x.type)]])
    value = x.like(highest)
    for c in others:
        value = value * x + c
    return value


def nearest(x: Value) -> tuple[Value, Value]:
    """The integer nearest to x, as a float and as an integer."""
    f = FORMATS[x.type]
    shifted = x + f.magic
    return shifted - f.magic, shifted.bits() - f.magic_bits
