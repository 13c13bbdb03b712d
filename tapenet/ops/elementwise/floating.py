"""Elementary functions beyond those of everyday models, element by element."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.elementwise import elementary as elementwise
from tapenet.ops.elementwise.comparisons import equal, floor_divide, isfinite, isnan
from tapenet.ops.elementwise.elementary import (
    binary_samples,
    remainder,
    safe_mul,
    ufunc,
    unary_samples,
)
from tapenet.ops.op import FLAT, flat, op
from tapenet.ops.registry import sample
from tapenet.program.derivatives import RULES, without_minus_inf
from tapenet.program.low import WIDE, is_float, is_low
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


# -- exponentials and powers -------------------------------------------------------------------------------------


def _share(g: Array, x: Array, out: Array) -> object:
    return g * np.exp2(x - without_minus_inf(out))


logaddexp2 = ufunc(
    np.logaddexp2, "log₂(2^x + 2^y) without overflow", "tn.tensor([0.0]), 0.0", "[1.]",
    rules={"x": lambda g, x, out: _share(g, x, out), "y": lambda g, y, out: _share(g, y, out)},
)  # fmt: skip
float_power = ufunc(
    np.float_power, "The power x ** y in double precision, where a whole number to a negative one is a fraction",
    "tn.tensor([2, 4]), -1", "[0.5 , 0.25]", 0.5, 2.0, label="^", rules=RULES["power"],
)  # fmt: skip

# -- choices -----------------------------------------------------------------------------------------------------


fmax = ufunc(
    np.fmax, "The larger of x and y, or the other where one is nan; the gradient of a tie is shared in halves",
    "tn.tensor([1.0, 5.0]), 3.0", "[3., 5.]", fuse=True,
)  # fmt: skip
fmin = ufunc(
    np.fmin, "The smaller of x and y, or the other where one is nan; the gradient of a tie is shared in halves",
    "tn.tensor([1.0, 5.0]), 3.0", "[1., 3.]", fuse=True,
)  # fmt: skip
heaviside = ufunc(
    np.heaviside, "The step from 0 to 1 at x = 0, where it is y; at the step the gradient by x is 0 too",
    "tn.tensor([-2.0, 0.0, 3.0]), 0.5", "[0. , 0.5, 1. ]", rules={"x": flat, "y": lambda g, x: np.where(x == 0, g, 0)},
)  # fmt: skip


@derived(
    numpy=np.nan_to_num,
    samples=lambda r: [
        sample(np.array([[1.5, np.nan], [-0.5, 2.0]])),
        sample(np.array([1.5, np.nan, -0.5]), nan=2.0, posinf=5.0, neginf=-3.0),
        sample(np.array([1.5, np.nan, -0.5]), True, 2, 5, -3),
        sample(np.array([np.nan, 1.0]), nan=np.array([2.0, 3.0])),
        sample(np.array([complex(np.nan, 1), complex(2, np.nan), 0.5 + 1j]), nan=7.0),
        sample(np.array(np.nan)),
        sample(np.zeros((0, 2))),
        sample(np.array([1, 2])),
        sample([0.5, np.inf]),
    ],
    replaces=True,
)
def nan_to_num(
    x: Array, copy: bool = True, nan: ArrayLike = 0.0, posinf: ArrayLike | None = None, neginf: ArrayLike | None = None
) -> Array:
    """An array with its nan and infinite elements replaced; of complex numbers each part by itself.

    The gradient by `x` is 0 where an element is replaced, and g elsewhere. That by the replacements is what is left.

    Args:
        x: an array, of any shape.
        copy: whether to make a new array; else `x` changes as by `x[...] = ...`, and is returned.
        nan: what replaces nan; a number or an array that broadcasts.
        posinf, neginf: what replaces the infinities; by default the largest and smallest number of the dtype.

    Returns:
        an array of the shape and dtype of `x`.

    Raises:
        TypeError: a replacement is no real number.
        ValueError: a replacement does not broadcast to the shape of `x`.

    >>> import numpy as np, tapenet as tn
    >>> tn.nan_to_num(tn.tensor([1.0, np.nan, np.inf]), posinf=9.0)
    Tensor([1., 0., 9.])
    """
    x = array_like(x)
    if not copy:
        x[...] = nan_to_num(x, True, nan, posinf, neginf)
        return x
    if x.dtype.kind == "c":
        real, imag = (nan_to_num(part, True, nan, posinf, neginf) for part in (np.real(x), np.imag(x)))
        return real + 1j * imag
    if not is_float(x.dtype):
        return np.copy(x)
    largest = _largest(x.dtype)
    kind = WIDE if is_low(x.dtype) else x.dtype  # anything may be cast to bfloat16

    def replacement(value: ArrayLike) -> Array:
        if type(value) in (int, float):
            return np.asarray(value, x.dtype)
        value = array_like(value)
        if not np.can_cast(value.dtype, kind, "same_kind"):
            raise TypeError(f"nan_to_num: {value.dtype} cannot replace elements of {x.dtype}: give real numbers")
        if np.broadcast_shapes(value.shape, x.shape) != x.shape:
            raise ValueError(
                f"nan_to_num: a replacement of shape {value.shape} does not broadcast to {x.shape}, that of x"
            )
        return np.astype(value, x.dtype)

    upper = replacement(largest if posinf is None else posinf)
    lower = replacement(-largest if neginf is None else neginf)
    # Constants need no gradient: where the replacements are constants, only the last choice is recorded.
    other = elementwise.where(isnan(x), replacement(nan), elementwise.where(equal(x, math.inf), upper, lower))
    return array_like(elementwise.where(isfinite(x), x, other))


@functools.cache
def _largest(dtype: DType) -> float:
    """The largest number of a dtype, also of bfloat16, which finfo does not know."""
    return float(np.nextafter(*np.array([math.inf, 0], dtype)))


# -- parts of a number -------------------------------------------------------------------------------------------

fmod = ufunc(
    np.fmod, "The remainder x − y · trunc(x/y), of the sign of x", "tn.tensor([5.0, -5.0]), 3", "[ 2., -2.]", 0.3, 1.7
)


@derived(numpy=np.divmod, samples=binary_samples(0.3, 1.7))
def divmod(x: Array, y: Array, **options: object) -> tuple[Array, Array]:
    """`floor_divide` and `remainder` at once, element by element. The gradient of the quotient is 0.

    Args:
        x, y: arrays whose shapes broadcast, or Python numbers.
        options: those of `np.divmod`.

    Returns:
        two arrays of the broadcast shape: the quotient rounded down, and the remainder.

    >>> import tapenet as tn
    >>> tn.divmod(tn.tensor([5.0, -5.0]), 3)
    (Tensor([ 1., -2.]), Tensor([2., 1.]))
    """
    plain: Callable[..., tuple[Array, Array]] = np.divmod
    return plain(x, y, **options) if options else (floor_divide(x, y), remainder(x, y))


modf = op(
    np.modf,
    name="modf",
    numpy=np.modf,
    outputs=2,
    tell_unused=True,
    x=lambda g: FLAT if g[0] is None else g[0],
    doc="""The fractional and the whole part, both of the sign of x, element by element. The gradient of the whole part is 0.

    Args:
        x: an array of floats, of any shape.

    Returns:
        two arrays of the shape of `x`: the fractional part and the whole part.

    >>> import tapenet as tn
    >>> tn.modf(tn.tensor([1.5, -2.25]))
    (Tensor([ 0.5 , -0.25]), Tensor([ 1., -2.]))
    """,
    samples=unary_samples(),
)
frexp = op(
    np.frexp,
    name="frexp",
    numpy=np.frexp,
    outputs=2,
    nondiff_outputs=(1,),
    x=lambda g, out: np.ldexp(g[0], -out[1]),
    doc="""The mantissa m and the exponent e of x = m · 2^e, element by element. The exponent has no gradient.

    Of 0 both are 0, and the derivative of the mantissa is 1.

    Args:
        x: an array of floats, of any shape.

    Returns:
        two arrays of the shape of `x`: mantissas, 1/2 <= abs(m) < 1, and integer exponents.

    >>> import tapenet as tn
    >>> tn.frexp(tn.tensor([6.0]))
    (Tensor([0.75]), Tensor([3], dtype=int32))
    """,
    samples=unary_samples(),
)
ldexp = op(
    np.ldexp,
    name="ldexp",
    numpy=np.ldexp,
    nondiff=("y",),
    x=lambda g, y: np.ldexp(g, y),
    doc="""x times 2 to the power of an integer y, element by element, without rounding.

    Args:
        x: an array of floats, or a Python number.
        y: an array of integers whose shape broadcasts, or a Python int.

    Returns:
        an array of the broadcast shape.

    >>> import tapenet as tn
    >>> tn.ldexp(tn.tensor([0.75, 1.0]), 3)
    Tensor([6., 8.])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([1, 0, -2])),
        sample(r.normal(size=3), np.array([[2], [-1]])),
        sample(r.normal(size=()), 4),
        sample(0.75, np.array([1, 2])),
    ],
    hint=lambda x, y: (
        f"y must hold integers, not {np.asarray(y).dtype}, and broadcast with x: for others write x * 2.0**y"
    ),
)

# -- signs and angles --------------------------------------------------------------------------------------------

copysign = ufunc(
    np.copysign, "|x| with the sign of y; at x = 0 the gradient is 0, and so is that by y", "tn.tensor([1.0, -2.0]), -1",
    "[-1., -2.]", rules={**RULES["copysign"], "y": flat},
)  # fmt: skip
fabs = ufunc(np.fabs, "The absolute value |x|, of real numbers", "tn.tensor([-1.5])", "[1.5]")
degrees = ufunc(
    np.degrees, "An angle in radians, in degrees; also called `rad2deg`", "tn.tensor([0.0, 3.141592653589793])",
    "[  0., 180.]", numpy=(np.degrees, np.rad2deg), rules={"x": lambda g: g * (180 / math.pi)},
)  # fmt: skip
radians = ufunc(
    np.radians, "An angle in degrees, in radians; also called `deg2rad`", "tn.tensor([0.0, 180.0])",
    "[0.        , 3.14159265]", numpy=(np.radians, np.deg2rad), rules={"x": lambda g: g * (math.pi / 180)},
)  # fmt: skip

# -- with derivatives of their own kind --------------------------------------------------------------------------


def _sinc_slope(y: Array, order: int) -> Array:
    limit = 1.0 + order
    size = np.abs(y)
    near = size < limit
    if y.dtype.kind == "c":
        inner, outer = np.where(near, y, 0), np.where(near, limit, y)
    else:  # in a third of the time
        inner, outer = np.clip(y, -limit, limit), np.copysign(np.maximum(size, limit), y)
    return np.where(near, _sinc_near(inner, order, limit), _sinc_far(outer, order))


def _sinc_derivative(x: Array, order: int) -> Array:
    # With y = πx: from y · s(y) = sin y, y · s⁽ⁿ⁾(y) = sin⁽ⁿ⁾(y) − n · s⁽ⁿ⁻¹⁾(y); and s(y) = Σ (−1)ᵏ y²ᵏ/(2k + 1)!.
    x = array_like(x)
    return math.pi**order * _sinc_slope(math.pi * (x if x.dtype.kind in "fc" else x.astype(float)), order)


def _sinc_near(y: Array, order: int, limit: float) -> Array:
    first = (order + 1) // 2
    # The n-th derivative of y²ᵏ is (2k)!/(2k − n)! · y²ᵏ⁻ⁿ.
    terms = [math.perm(2 * k, order) / math.factorial(2 * k + 1) for k in range(first, first + 13 + 2 * order)]
    least = np.finfo(y.dtype).eps / 8 * terms[0]
    while terms[-1] * limit ** (2 * len(terms) - 2) < least:
        terms.pop()
    squared = y * y
    out = np.zeros_like(squared)
    for k in range(len(terms) - 1, -1, -1):
        out *= squared
        out += -terms[k] if (first + k) % 2 else terms[k]
    if order % 2:
        out *= y
    return out


def _sinc_far(y: Array, order: int) -> Array:
    value = np.sin(y)
    value /= y
    for n in range(1, order + 1):
        value *= -n
        value += np.sin(y + n * (math.pi / 2))
        value /= y
    return value


def _sinc_derivative_x(g: Array, x: Array, order: int) -> object:
    return g * sinc_derivative(x, order + 1)


@op(
    label=lambda order: f"sinc{'′' * order}" if order < 4 else f"sinc⁽{order}⁾",
    x=_sinc_derivative_x,
    vmap="leading",
    samples=lambda r: [
        sample(np.array([[0.0, 1e-3, -0.4], [0.7, 1.5, -3.2]]), 1),
        sample(np.array([0.0, 0.3, -2.5]), 2),
        sample(np.array(0.2), 0),
    ],
)
def sinc_derivative(x: Array, order: int) -> Array:
    """The derivative of `sinc`, of the given order; exact to rounding also at 0 and near it.

    Args:
        x: an array, of any shape.
        order: how often sinc is differentiated, 0 or more.

    Returns:
        an array of the shape and dtype of `x`.

    >>> import tapenet as tn
    >>> tn.sinc_derivative(tn.tensor([0.5, 1.0]), 1)
    Tensor([-1.27323954, -1.        ])
    """
    return _sinc_derivative(x, order)


@op(
    numpy=np.sinc,
    lower=lambda x: _sinc_derivative(x, 0),
    x=lambda g, x: g * sinc_derivative(x, 1),
    vmap="leading",
    samples=lambda r: [*unary_samples()(r), sample(np.array([0.0, 1e-4, -1.0])), sample(np.zeros((0, 2)))],
)
def sinc(x: Array) -> Array:
    """sin(πx) / (πx), and 1 at x = 0, element by element.

    Args:
        x: an array, of any shape.

    Returns:
        an array of the shape and dtype of `x`.

    >>> import tapenet as tn
    >>> tn.sinc(tn.tensor([0.0, 0.5, 1.0])).round(2)
    Tensor([1.  , 0.64, 0.  ])
    """
    return np.sinc(x)


@functools.cache
def _bessel() -> ModuleType:
    import scipy.special

    return scipy.special


def _iv_z(g: Array, v: float, z: Array) -> Array:
    return safe_mul(g, array_like(0.5 * (iv(v - 1, z) + iv(v + 1, z))))


@op(
    label=lambda v: f"Iᵥ, v = {v}",
    z=_iv_z,
    vmap="leading",
    samples=lambda r: [sample(0, r.normal(size=(2, 3))), sample(1, r.normal(size=3)), sample(2, r.normal(size=()))],
)
def iv(v: float, z: Array) -> Array:
    """The modified Bessel function of the first kind and order v, element by element.

    Args:
        v: the order, a Python number.
        z: an array of floats, of any shape.

    Returns:
        an array of the shape and dtype of `z`.

    >>> import tapenet as tn
    >>> tn.iv(1, tn.tensor([0.0, 1.0]))
    Tensor([0.       , 0.5651591])
    """
    special = _bessel()
    if v in (-1, 0, 1) and z.dtype.kind == "f":  # a tenth of the time
        found: Array = special.i1(z) if v else special.i0(z)
    else:
        found = special.iv(v, z)
    return found


@op(
    numpy=np.i0,
    label="I₀",
    x=lambda g, x: safe_mul(g, iv(1, x)),
    vmap="leading",
    samples=unary_samples(),
)
def i0(x: Array) -> Array:
    """The modified Bessel function of the first kind, of order 0, element by element.

    Args:
        x: an array of floats, of any shape.

    Returns:
        an array of the shape and dtype of `x`.

    >>> import tapenet as tn
    >>> tn.i0(tn.tensor([0.0, 1.0]))
    Tensor([1.        , 1.26606588])
    """
    return np.i0(x)


# Second names, as NumPy has them.
rad2deg = degrees
deg2rad = radians
acos, acosh = elementwise.arccos, elementwise.arccosh
asin, asinh = elementwise.arcsin, elementwise.arcsinh
atan, atan2, atanh = elementwise.arctan, elementwise.arctan2, elementwise.arctanh
mod, true_divide = elementwise.remainder, elementwise.divide
