"""The derivative of every elementwise primitive, in plain NumPy, stated once.

A rule names what it needs, as the rules of ops do: `g` (the gradient by the result), the arguments `x`, `y` (of `where`
`condition`, `x`, `y`), and `out`. It works on arrays, symbols and tensors alike. The ops that are one primitive take their
rules from here; the derivatives of formulas (`pullback`) are made of them.

Rules that divide multiply by `safe_mul(g, d)`, which is 0 wherever `g` is: the gradient that comes back through the branch
`where` did not take stays 0 instead of 0 * inf = nan.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.typing import Array, DType

Rule = Callable[..., Array]


def safe_mul(a: Array, d: Array | complex) -> Array:
    """The product a * d, but 0 wherever a factor is 0, also where the other is infinite or nan."""
    if type(a) is not np.ndarray or type(d) is not np.ndarray:
        for factor in (a, d):
            if type(factor) is not np.ndarray and hasattr(factor, "__array_function__"):  # a tensor or a symbol answers
                made: Array = factor.__array_function__(safe_mul, (type(factor),), (a, d), {})
                return made
    product = a * d
    total = np.vdot(product, product)  # of few elements twice as fast as their sum
    if total - total == 0:  # finite, hence no nan inside: the usual case, in one pass
        return product
    return np.where((a == 0) | (d == 0), np.zeros((), product.dtype), product)


def _reciprocal(y: Array | complex) -> Array | complex:
    """1 / y that keeps a Python number one, so that it stays weak in dtype promotion."""
    if isinstance(y, (int, float, complex)):
        return 1 / y if y else math.inf
    return 1 / y


def _twice(g: Array, x: Array) -> Any:
    """g · 2x. Where g is one number throughout, as under a sum or a mean, that takes one pass."""
    if type(g) is np.ndarray and g.size > 1 and not any(g.strides):
        return x * (2 * g[(0,) * g.ndim])
    return g * (2 * x)


def _power_x(g: Array, x: Array, y: Array | float) -> Array:
    if isinstance(y, (int, float)):
        if y == 0:
            return np.zeros_like(g)
        if y == 1:
            return g
        return _twice(g, x) if y == 2 else safe_mul(g, y * x ** (y - 1))
    # Factor by factor: where y is 0 the derivative is 0, also at x = 0 where the last one is infinite.
    return safe_mul(safe_mul(g, y), x ** (y - 1))


def _power_y(g: Array, out: Array, x: Array | complex) -> Array:
    is_complex = out.dtype.kind == "c"
    if isinstance(x, (int, float, complex)):
        if is_complex:
            return safe_mul(safe_mul(g, out), np.log(complex(x or 1)).item())
        return safe_mul(safe_mul(g, out), math.log(x.real) if x.real > 0 else 0.0 if x == 0 else math.nan)
    # In the dtype of the result: NumPy's logarithm of small integers has half precision.
    return safe_mul(safe_mul(g, out), np.log(np.where(x == 0, np.ones((), out.dtype), x)))


def without_minus_inf(out: Array) -> Array:
    """A logarithm of a sum, with the lowest number in place of -inf: terms can be subtracted from it, and where all are
    -inf their shares are exp(-inf) = 0, not exp(nan)."""
    return np.maximum(out, _lowest(out.dtype))


@functools.cache
def _lowest(dtype: DType) -> float:
    return float(np.finfo(dtype).min)


def _share(g: Array, x: Array, out: Array) -> Any:
    return g * np.exp(x - without_minus_inf(out))


def _turn(g: Array, a: Array, b: Array) -> Array:
    """g · a/(a² + b²), also where the squares overflow or vanish."""
    r = np.hypot(a, b)
    return safe_mul(g, a / r / r)


# Near the ends of a domain 1 − x² loses digits that (1 − x)(1 + x) keeps. Of complex numbers the roots in the derivatives
# of inverse functions have two branches; the function itself tells which one it is on.


def _arcsin(g: Array, x: Array) -> Array:
    return safe_mul(g, 1 / (np.cos(np.arcsin(x)) if x.dtype.kind == "c" else np.sqrt((1 - x) * (1 + x))))


def _arccos(g: Array, x: Array) -> Array:
    return -safe_mul(g, 1 / (np.sin(np.arccos(x)) if x.dtype.kind == "c" else np.sqrt((1 - x) * (1 + x))))


def _arccosh(g: Array, x: Array) -> Array:
    if x.dtype.kind == "c":
        return safe_mul(g, 1 / np.sinh(np.arccosh(x)))
    return safe_mul(safe_mul(g, 1 / np.sqrt(x - 1)), 1 / np.sqrt(x + 1))  # the product of the two may be infinite


def _larger(g: Array, x: Array, y: Array) -> Array:
    """The gradient of a maximum: the whole of it for the larger argument, half of it at a tie."""
    return np.where(x > y, g, np.where(x == y, 0.5 * g, 0))


def _chosen(g: Array, x: Array, other: Array, beyond: Array) -> Array:
    """The gradient of an argument that is taken where it lies beyond the other, or where that is nan."""
    return np.where(x == other, 0.5 * g, np.where(beyond | (np.isnan(other) & ~np.isnan(x)), g, 0))


def _absolute(g: Array, x: Array) -> Array:
    return g * (np.conj(np.sign(x)) if x.dtype.kind == "c" else np.sign(x))


def _hypot(g: Array, x: Array, out: Array) -> Array:
    return safe_mul(g, x / np.where(out == 0, math.inf, out))


#: By primitive and argument.
RULES: dict[str, dict[str, Rule]] = {
    "add": {"x": lambda g: g, "y": lambda g: g},
    "subtract": {"x": lambda g: g, "y": lambda g: -g},
    "multiply": {"x": lambda g, y: g * y, "y": lambda g, x: g * x},
    "safe_mul": {"x": lambda g, y: safe_mul(g, y), "y": lambda g, x: safe_mul(g, x)},
    "divide": {"x": lambda g, y: safe_mul(g, _reciprocal(y)), "y": lambda g, out, y: -safe_mul(g, out / y)},
    "remainder": {"x": lambda g: g, "y": lambda g, x, y: -safe_mul(g, np.floor_divide(x, y))},
    "fmod": {"x": lambda g: g, "y": lambda g, out, x, y: -safe_mul(g, np.rint((x - out) / y))},
    "power": {"x": _power_x, "y": _power_y},
    "negative": {"x": lambda g: -g},
    "positive": {"x": lambda g: g},
    "conjugate": {"x": lambda g: np.conj(g)},
    "imag": {"x": lambda g, x: g * (-1j if x.dtype.kind == "c" else 0)},
    "absolute": {"x": _absolute},
    "fabs": {"x": _absolute},
    "square": {"x": _twice},
    "reciprocal": {"x": lambda g, out: -safe_mul(safe_mul(g, out), out)},
    "sqrt": {"x": lambda g, out: safe_mul(g, 0.5 / out)},
    "cbrt": {"x": lambda g, out: safe_mul(safe_mul(g, 1 / out), 1 / (3 * out))},
    "exp": {"x": lambda g, out: safe_mul(g, out)},
    "exp2": {"x": lambda g, out: safe_mul(g, out * math.log(2))},
    "expm1": {"x": lambda g, x: safe_mul(g, np.exp(x))},  # where e^x is small out + 1 has lost it
    "log": {"x": lambda g, x: safe_mul(g, 1 / x)},
    "log2": {"x": lambda g, x: safe_mul(g, (1 / math.log(2)) / x)},
    "log10": {"x": lambda g, x: safe_mul(g, (1 / math.log(10)) / x)},
    "log1p": {"x": lambda g, x: safe_mul(g, 1 / (1 + x))},
    "logaddexp": {"x": lambda g, x, out: _share(g, x, out), "y": lambda g, y, out: _share(g, y, out)},
    "sin": {"x": lambda g, x: g * np.cos(x)},
    "cos": {"x": lambda g, x: -g * np.sin(x)},
    "tan": {"x": lambda g, out: g * (1 + out * out)},
    "arcsin": {"x": _arcsin},
    "arccos": {"x": _arccos},
    "arctan": {"x": lambda g, x: g / (1 + x * x)},
    "arctan2": {"x": lambda g, x, y: _turn(g, y, x), "y": lambda g, x, y: -_turn(g, x, y)},
    "hypot": {"x": _hypot, "y": lambda g, y, out: _hypot(g, y, out)},
    "sinh": {"x": lambda g, x: safe_mul(g, np.cosh(x))},
    "cosh": {"x": lambda g, x: safe_mul(g, np.sinh(x))},
    "tanh": {"x": lambda g, out: g * (1 - out * out)},
    "arcsinh": {"x": lambda g, out: g / np.cosh(out)},
    "arccosh": {"x": _arccosh},
    "arctanh": {"x": lambda g, x: safe_mul(g, 1 / ((1 - x) * (1 + x)))},
    "erf": {"x": lambda g, x: g * (2 / math.sqrt(math.pi) * np.exp(-x * x))},
    "erfc": {"x": lambda g, x: g * (-2 / math.sqrt(math.pi) * np.exp(-x * x))},
    "normal_cdf": {"x": lambda g, x: g * (1 / math.sqrt(2 * math.pi) * np.exp(x * x * -0.5))},
    "maximum": {"x": lambda g, x, y: _larger(g, x, y), "y": lambda g, x, y: _larger(g, y, x)},
    "minimum": {"x": lambda g, x, y: _larger(g, y, x), "y": lambda g, x, y: _larger(g, x, y)},
    "fmax": {"x": lambda g, x, y: _chosen(g, x, y, x > y), "y": lambda g, x, y: _chosen(g, y, x, y > x)},
    "fmin": {"x": lambda g, x, y: _chosen(g, x, y, x < y), "y": lambda g, x, y: _chosen(g, y, x, y < x)},
    "copysign": {"x": lambda g, x, out: g * (np.sign(x) * np.sign(out))},  # by y it is 0
    "where": {"x": lambda g, condition: np.where(condition, g, 0), "y": lambda g, condition: np.where(condition, 0, g)},
}
#: Elementwise primitives that are constant wherever they have a derivative.
FLAT = frozenset({"ceil", "floor", "floor_divide", "rint", "sign", "trunc"})


#: What the arguments of elementwise primitives are called that are not x and y.
ARGUMENTS: dict[str, tuple[str, ...]] = {"where": ("condition", "x", "y")}


def arguments(name: str) -> tuple[str, ...]:
    """What the arguments of an elementwise primitive are called in its rules."""
    return ARGUMENTS.get(name, ("x", "y"))


def ufunc_arguments(count: int) -> tuple[str, ...]:
    """What the arguments of a ufunc are called in rules."""
    return tuple("xyzw"[:count]) if count <= 4 else tuple(f"x{i}" for i in range(count))
