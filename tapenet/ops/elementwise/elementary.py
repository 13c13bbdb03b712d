"""Arithmetic and elementary functions, element by element with NumPy broadcasting.

Each is one primitive, and takes its gradient rules from that (`program.derivatives`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.op import Op, op
from tapenet.ops.registry import Sample, Samples, numpy_functions, sample
from tapenet.program import derivatives
from tapenet.program.derivatives import RULES
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike

safe_mul: Op = op(
    derivatives.safe_mul,
    name="safe_mul",
    broadcasts=True,
    lower="safe_mul",
    label="·",
    formula="a · d, but 0 where a = 0 or d = 0",
    grads={"a": lambda g, d: safe_mul(g, d), "d": lambda g, a: safe_mul(g, a)},
    doc="""The product a * d, but 0 wherever a factor is 0, also where the other is infinite or nan.

    Differentiated as a plain product. Gradient rules use it for derivatives that can be infinite.

    >>> import numpy as np, tapenet as tn
    >>> with np.errstate(invalid="ignore"):  # as rules run
    ...     tn.safe_mul(np.array([0.0, 2.0]), np.array([np.inf, 3.0]))
    array([0., 6.])
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3)), r.normal(size=(2, 3))), sample(r.normal(size=3), r.normal(size=(2, 3)))],
)  # fmt: skip

# What the rules of `program.derivatives` call, on tensors.
numpy_functions[derivatives.safe_mul] = safe_mul

# -- helpers for definitions -------------------------------------------------------------------------------------


def unary_samples(low: float = -2.0, high: float = 2.0) -> Samples:
    """Calls of a function of one array, with values between `low` and `high`: a matrix, a vector, a 0-d array."""
    return lambda r: [sample(r.uniform(low, high, size)) for size in ((2, 3), (4,), ())]


def binary_samples(low: float = -2.0, high: float = 2.0) -> Samples:
    """Calls of a function of two arrays that broadcast in every way, and with Python scalars."""

    def make(r: np.random.Generator) -> list[Sample]:
        shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
            ((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 1)), ((), (2,)), ((2, 1, 3), (4, 1)),
        ]  # fmt: skip
        calls = [sample(r.uniform(low, high, a), r.uniform(low, high, b)) for a, b in shapes]
        scalar = (low + 2 * high) / 3
        return [*calls, sample(r.uniform(low, high, 3), scalar), sample(scalar, r.uniform(low, high, 3))]

    return make


def _unary(f: np.ufunc, summary: str, example: str, low: float = -2.0, high: float = 2.0) -> Op:
    name = f.__name__
    doc = f"""{summary}, element by element.

    Args:
        x: an array of floats, of any shape.

    Returns:
        an array of the shape and dtype of `x`.

    >>> import tapenet as tn
    >>> tn.{example}
    """
    made: Op = op(
        f, name=name, numpy=f, grads=RULES[name], doc=doc,
        samples=unary_samples(low, high),
    )  # fmt: skip
    made.__module__ = __name__
    return made


def broadcast_hint(*values: ArrayLike) -> str:
    """How to repair the call of an op whose first two arguments do not broadcast; nothing if they do."""
    a, b = (np.shape(v) for v in values[:2])
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        pass
    else:
        return ""
    return (
        f"Shapes {a} and {b} are matched from their last axes, where lengths must be equal or 1: reshape one of them, "
        "or add an axis with x[:, None]"
    )


def _binary(
    f: Callable[..., object], summary: str, example: str, name: str, label: str,
    low: float = -2.0, high: float = 2.0, numpy: Callable[..., object] | None = None,
) -> Op:  # fmt: skip
    doc = f"""{summary}, element by element.

    Args:
        x, y: arrays whose shapes broadcast, or Python numbers.

    Returns:
        an array of the broadcast shape.

    Raises:
        ValueError: the shapes do not broadcast.

    >>> import tapenet as tn
    >>> tn.{example}
    """
    made: Op = op(
        f, name=name, numpy=f if numpy is None else numpy, label=label, doc=doc,
        broadcasts=True, samples=binary_samples(low, high), hint=broadcast_hint, grads=RULES[name],
    )  # fmt: skip
    made.__module__ = __name__
    return made


# -- arithmetic --------------------------------------------------------------------------------------------------

add = _binary(np.add, "The sum x + y", "add(tn.tensor([1.0, 2.0]), 1)\n    Tensor([2., 3.])", "add", "+")  # fmt: skip
subtract = _binary(np.subtract, "The difference x - y", "subtract(tn.tensor([1.0, 2.0]), 1)\n    Tensor([0., 1.])",
                   "subtract", "−")  # fmt: skip
multiply = _binary(np.multiply, "The product x * y", "multiply(tn.tensor([1.0, 2.0]), 3)\n    Tensor([3., 6.])",
                   "multiply", "×")  # fmt: skip
divide = _binary(np.divide, "The quotient x / y", "divide(tn.tensor([1.0, 2.0]), 2)\n    Tensor([0.5, 1. ])",
                 "divide", "÷", 0.5, 2.0)  # fmt: skip
remainder = _binary(np.remainder, "The remainder x - y * floor(x / y), of the sign of y",
                    "remainder(tn.tensor([5.0, -5.0]), 3)\n    Tensor([2., 1.])", "remainder", "%",
                    0.3, 1.7)  # fmt: skip


power = _binary(lambda x, y: x**y, "The power x ** y", "power(tn.tensor([1.0, 3.0]), 2)\n    Tensor([1., 9.])",
                "power", "^", 0.5, 2.0,
                numpy=np.power)  # fmt: skip
negative = _unary(np.negative, "The negative -x", "negative(tn.tensor([1.0]))\n    Tensor([-1.])")
positive = _unary(np.positive, "The argument itself, +x", "positive(tn.tensor([1.0]))\n    Tensor([1.])")
absolute = _unary(np.absolute, "The absolute value |x|",
                  "absolute(tn.tensor([-1.5]))\n    Tensor([1.5])")  # fmt: skip
square = _unary(np.square, "The square x²", "square(tn.tensor([3.0]))\n    Tensor([9.])")
reciprocal = _unary(np.reciprocal, "The reciprocal 1 / x",
                    "reciprocal(tn.tensor([4.0]))\n    Tensor([0.25])", 0.5, 2.0)  # fmt: skip
sqrt = _unary(np.sqrt, "The square root",
              "sqrt(tn.tensor([9.0]))\n    Tensor([3.])", 0.3, 3.0)  # fmt: skip
cbrt = _unary(np.cbrt, "The cube root",
              "cbrt(tn.tensor([8.0]))\n    Tensor([2.])", 0.3, 3.0)  # fmt: skip

# -- exponentials and logarithms ---------------------------------------------------------------------------------

exp = _unary(np.exp, "The exponential e^x", "exp(tn.tensor([0.0]))\n    Tensor([1.])")  # fmt: skip
exp2 = _unary(np.exp2, "The power 2^x", "exp2(tn.tensor([3.0]))\n    Tensor([8.])")  # fmt: skip
expm1 = _unary(np.expm1, "e^x - 1, accurate near 0",
               "expm1(tn.tensor([0.0]))\n    Tensor([0.])")  # fmt: skip
log = _unary(np.log, "The natural logarithm",
             "log(tn.tensor([1.0]))\n    Tensor([0.])", 0.3, 3.0)  # fmt: skip
log2 = _unary(np.log2, "The logarithm to base 2",
              "log2(tn.tensor([8.0]))\n    Tensor([3.])", 0.3, 3.0)  # fmt: skip
log10 = _unary(np.log10, "The logarithm to base 10",
               "log10(tn.tensor([100.0]))\n    Tensor([2.])", 0.3, 3.0)  # fmt: skip
log1p = _unary(np.log1p, "ln(1 + x), accurate near 0",
               "log1p(tn.tensor([0.0]))\n    Tensor([0.])", -0.5, 2.0)  # fmt: skip


logaddexp = _binary(np.logaddexp, "ln(e^x + e^y) without overflow",
                    "logaddexp(tn.tensor([0.0]), 0.0)\n    Tensor([0.69314718])", "logaddexp", "logaddexp")  # fmt: skip

# -- trigonometric and hyperbolic --------------------------------------------------------------------------------
# Near the ends of a domain 1 − x² loses digits that (1 − x)(1 + x) keeps. Of complex numbers the roots in the derivatives
# of inverse functions have two branches; the function itself tells which one it is on.

sin = _unary(np.sin, "The sine, of radians",
             "sin(tn.tensor([0.0]))\n    Tensor([0.])")  # fmt: skip
cos = _unary(np.cos, "The cosine, of radians",
             "cos(tn.tensor([0.0]))\n    Tensor([1.])")  # fmt: skip
tan = _unary(np.tan, "The tangent, of radians",
             "tan(tn.tensor([0.0]))\n    Tensor([0.])", -1.2, 1.2)  # fmt: skip
arcsin = _unary(np.arcsin, "The inverse sine, in radians",
                "arcsin(tn.tensor([0.0]))\n    Tensor([0.])",
                -0.9, 0.9)  # fmt: skip
arccos = _unary(np.arccos, "The inverse cosine, in radians",
                "arccos(tn.tensor([1.0]))\n    Tensor([0.])",
                -0.9, 0.9)  # fmt: skip
arctan = _unary(np.arctan, "The inverse tangent, in radians",
                "arctan(tn.tensor([0.0]))\n    Tensor([0.])")  # fmt: skip


arctan2 = _binary(np.arctan2, "The angle of the point (y, x), in radians: arctan2(x, y) is the inverse tangent of x / y",
                  "arctan2(tn.tensor([0.0]), 1.0)\n    Tensor([0.])", "arctan2", "arctan2",
                  0.4, 2.0)  # fmt: skip
hypot = _binary(np.hypot, "√(x² + y²), its gradient 0 at the origin",
                "hypot(tn.tensor([3.0]), 4.0)\n    Tensor([5.])", "hypot", "hypot",
                0.4, 2.0)  # fmt: skip
sinh = _unary(np.sinh, "The hyperbolic sine",
              "sinh(tn.tensor([0.0]))\n    Tensor([0.])")  # fmt: skip
cosh = _unary(np.cosh, "The hyperbolic cosine",
              "cosh(tn.tensor([0.0]))\n    Tensor([1.])")  # fmt: skip
tanh = _unary(np.tanh, "The hyperbolic tangent",
              "tanh(tn.tensor([0.0]))\n    Tensor([0.])")  # fmt: skip
arcsinh = _unary(np.arcsinh, "The inverse hyperbolic sine",
                 "arcsinh(tn.tensor([0.0]))\n    Tensor([0.])")  # fmt: skip


arccosh = _unary(np.arccosh, "The inverse hyperbolic cosine",
                 "arccosh(tn.tensor([1.0]))\n    Tensor([0.])", 1.3, 3.0)  # fmt: skip
arctanh = _unary(np.arctanh, "The inverse hyperbolic tangent",
                 "arctanh(tn.tensor([0.0]))\n    Tensor([0.])", -0.9, 0.9)  # fmt: skip

# -- choices -----------------------------------------------------------------------------------------------------


maximum = _binary(np.maximum, "The larger of x and y; the gradient of a tie is shared in halves",
                  "maximum(tn.tensor([1.0, 5.0]), 3.0)\n    Tensor([3., 5.])", "maximum", "max")  # fmt: skip
minimum = _binary(np.minimum, "The smaller of x and y; the gradient of a tie is shared in halves",
                  "minimum(tn.tensor([1.0, 5.0]), 3.0)\n    Tensor([1., 3.])", "minimum", "min")  # fmt: skip


@op(
    numpy=np.where,
    broadcasts=True,
    nondiff=("condition",),
    grads=RULES["where"],
    samples=lambda r: [
        sample(r.normal(size=(2, 3)) > 0, r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=(2, 1)) > 0, r.normal(size=3), 0.5),
    ],
    hint=lambda condition, x, y: f"The shapes {np.shape(condition)}, {np.shape(x)} and {np.shape(y)} must broadcast",
)
def where(condition: Array, x: Array, y: Array) -> Array:
    """Elements of `x` where `condition` is true, of `y` elsewhere; the three broadcast.

    The gradient of the branch not taken is exactly 0, also where that branch is infinite or nan.

    >>> import tapenet as tn
    >>> tn.where(tn.tensor([True, False]), tn.tensor([1.0, 2.0]), 0.0)
    Tensor([1., 0.])
    """
    return np.where(condition, x, y)


def _clip_more(
    a: Array,
    a_min: ArrayLike | None = None,
    a_max: ArrayLike | None = None,
    *,
    min: ArrayLike | None = None,
    max: ArrayLike | None = None,
    dtype: DTypeLike | None = None,
) -> Array:
    if min is not None or max is not None:
        if a_min is not None or a_max is not None:
            raise ValueError("clip: give a_min and a_max, or min and max, not both")
        a_min, a_max = min, max
    clipped: Array = clip(a, a_min, a_max)
    if dtype is None or clipped.dtype == dtype:
        return clipped
    if not np.can_cast(clipped.dtype, dtype, "same_kind"):
        raise TypeError(f"clip: a result of {clipped.dtype} cannot be cast to dtype={dtype}: cast it with .astype")
    return clipped.astype(dtype)


def _clip_a(g: Array, a: Array, a_min: Array, a_max: Array) -> object:
    # A product, which takes a seventh of the time of a choice.
    if a_min is None:
        return g if a_max is None else safe_mul(g, a <= a_max)
    return safe_mul(g, a >= a_min if a_max is None else np.logical_and(a >= a_min, a <= a_max))


def _clip_min(g: Array, a: Array, a_min: Array, a_max: Array) -> Array:
    below = np.where(a < a_min, g, 0)
    return below if a_max is None else np.where(a_min <= a_max, below, 0)


@op(
    more=_clip_more,
    numpy=np.clip,
    broadcasts=True,
    a=_clip_a,
    a_min=_clip_min,
    a_max=lambda g, a, a_min, a_max: np.where((a if a_min is None else np.maximum(a, a_min)) > a_max, g, 0),
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), -0.5, 0.7),
        sample(r.normal(size=(2, 3)), None, 0.1),
        sample(r.normal(size=(2, 3)), -0.1, None),
        sample(np.linspace(-2, 2, 6).reshape(2, 3), r.uniform(-1, -0.5, 3), r.uniform(0.5, 1, (2, 1))),
        sample(r.normal(size=3), min=-0.5, max=0.7),
        sample(r.normal(size=3), -0.5, 0.7, dtype=None),
    ],
)
def clip(a: Array, a_min: ArrayLike | None = None, a_max: ArrayLike | None = None) -> Array:
    """The values of `a` limited to [a_min, a_max]; either limit may be None or an array. They are also called
    min and max. `dtype` is that of the result.

    The derivative by `a` is 1 inside and at the limits, 0 outside, where the limit gets it.

    >>> import tapenet as tn
    >>> tn.clip(tn.tensor([-2.0, 0.5, 2.0]), -1, 1)
    Tensor([-1. ,  0.5,  1. ])
    """
    return np.clip(a, a_min, a_max)


# What ndarray.clip calls. It is no name of the op, as it takes no None.
numpy_functions[np._core.umath.clip] = clip  # type: ignore[attr-defined]

# Second names, as NumPy has them.
abs = absolute
pow = power
