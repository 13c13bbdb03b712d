"""Arithmetic and elementary functions, element by element with NumPy broadcasting.

Each is one primitive, and takes its gradient rules from that (`program.derivatives`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.ops.op import Op, flat, op
from tapenet.ops.registry import Sample, Samples, numpy_functions, sample
from tapenet.program import derivatives
from tapenet.program.derivatives import FLAT, RULES
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.ops.op import TypedOp
    from tapenet.typing import ArrayLike, DTypeLike

safe_mul: TypedOp[[Array, Array | complex], Array] = op(
    derivatives.safe_mul,
    name="safe_mul",
    broadcasts=True,
    lower="safe_mul",
    label="×",
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


def ufunc(
    f: np.ufunc, summary: str, given: str, result: str, low: float = -2.0, high: float = 2.0, **options: Any
) -> Op:
    """The op of a ufunc. If no `rules` are given, they are those of the primitive of that name; without one there are none.

    Args:
        f: the ufunc.
        summary: what it computes.
        given: the arguments of an example.
        result: what it gives, as numbers.
        low, high: between which the numbers of the tests lie.
        **options: of the op.
    """
    binary, name = f.nin == 2, options.pop("name", f.__name__)
    arguments = "x, y: arrays whose shapes broadcast, or Python numbers." if binary else "x: an array, of any shape."
    slopes: dict[str, object]
    if name in FLAT:
        note, slopes = " The gradient is 0.", {"rules": dict.fromkeys("xy"[: f.nin], flat)}
    elif name in RULES or "rules" in options:
        note, slopes = "", {"rules": RULES.get(name)}
    else:
        note, slopes = " Returns a tensor without gradient.", {"nondiff": True}
    doc = f"""{summary}, element by element.{note}

    Args:
        {arguments}

    Returns:
        an array of the {"broadcast shape" if binary else "shape of `x`"}.

    >>> import tapenet as tn
    >>> tn.{name}({given})
    Tensor({result})
    """
    samples = binary_samples(low, high) if binary else unary_samples(low, high)
    defaults: dict[str, Any] = {
        "numpy": f,
        "samples": samples,
        "hint": broadcast_hint if binary else None,
        "forward": f,
    }
    made = Op(name=name, module=sys._getframe(1).f_globals["__name__"], doc=doc, **defaults | slopes | options)
    numpy_functions.update(dict.fromkeys(made.numpy, made))
    return made


# -- arithmetic --------------------------------------------------------------------------------------------------

add = ufunc(np.add, "The sum x + y", "tn.tensor([1.0, 2.0]), 1", "[2., 3.]", label="+")
subtract = ufunc(np.subtract, "The difference x - y", "tn.tensor([1.0, 2.0]), 1", "[0., 1.]", label="−")
multiply = ufunc(np.multiply, "The product x * y", "tn.tensor([1.0, 2.0]), 3", "[3., 6.]", label="×")
divide = ufunc(np.divide, "The quotient x / y", "tn.tensor([1.0, 2.0]), 2", "[0.5, 1. ]", 0.5, 2.0, label="÷")
remainder = ufunc(
    np.remainder, "The remainder x - y * floor(x / y), of the sign of y", "tn.tensor([5.0, -5.0]), 3", "[2., 1.]", 0.3, 1.7,
    label="%",
)  # fmt: skip
power = ufunc(
    np.power, "The power x ** y", "tn.tensor([1.0, 3.0]), 2", "[1., 9.]", 0.5, 2.0, label="^", forward=lambda x, y: x**y,
    broadcasts=True,
)  # fmt: skip
negative = ufunc(np.negative, "The negative -x", "tn.tensor([1.0])", "[-1.]")
positive = ufunc(np.positive, "The argument itself, +x", "tn.tensor([1.0])", "[1.]")
absolute = ufunc(np.absolute, "The absolute value |x|", "tn.tensor([-1.5])", "[1.5]")
square = ufunc(np.square, "The square x²", "tn.tensor([3.0])", "[9.]")
reciprocal = ufunc(np.reciprocal, "The reciprocal 1 / x", "tn.tensor([4.0])", "[0.25]", 0.5, 2.0)
sqrt = ufunc(np.sqrt, "The square root", "tn.tensor([9.0])", "[3.]", 0.3, 3.0)
cbrt = ufunc(np.cbrt, "The cube root", "tn.tensor([8.0])", "[2.]", 0.3, 3.0)

# -- exponentials and logarithms ---------------------------------------------------------------------------------

exp = ufunc(np.exp, "The exponential e^x", "tn.tensor([0.0])", "[1.]")
exp2 = ufunc(np.exp2, "The power 2^x", "tn.tensor([3.0])", "[8.]")
expm1 = ufunc(np.expm1, "e^x - 1, accurate near 0", "tn.tensor([0.0])", "[0.]")
log = ufunc(np.log, "The natural logarithm", "tn.tensor([1.0])", "[0.]", 0.3, 3.0)
log2 = ufunc(np.log2, "The logarithm to base 2", "tn.tensor([8.0])", "[3.]", 0.3, 3.0)
log10 = ufunc(np.log10, "The logarithm to base 10", "tn.tensor([100.0])", "[2.]", 0.3, 3.0)
log1p = ufunc(np.log1p, "ln(1 + x), accurate near 0", "tn.tensor([0.0])", "[0.]", -0.5, 2.0)
logaddexp = ufunc(np.logaddexp, "ln(e^x + e^y) without overflow", "tn.tensor([0.0]), 0.0", "[0.69314718]")

# -- trigonometric and hyperbolic --------------------------------------------------------------------------------

sin = ufunc(np.sin, "The sine, of radians", "tn.tensor([0.0])", "[0.]")
cos = ufunc(np.cos, "The cosine, of radians", "tn.tensor([0.0])", "[1.]")
tan = ufunc(np.tan, "The tangent, of radians", "tn.tensor([0.0])", "[0.]", -1.2, 1.2)
arcsin = ufunc(np.arcsin, "The inverse sine, in radians", "tn.tensor([0.0])", "[0.]", -0.9, 0.9)
arccos = ufunc(np.arccos, "The inverse cosine, in radians", "tn.tensor([1.0])", "[0.]", -0.9, 0.9)
arctan = ufunc(np.arctan, "The inverse tangent, in radians", "tn.tensor([0.0])", "[0.]")
arctan2 = ufunc(
    np.arctan2, "The angle of the point (y, x), in radians: arctan2(x, y) is the inverse tangent of x / y",
    "tn.tensor([0.0]), 1.0", "[0.]", 0.4, 2.0, fuse=True,
)  # fmt: skip
hypot = ufunc(np.hypot, "√(x² + y²), its gradient 0 at the origin", "tn.tensor([3.0]), 4.0", "[5.]", 0.4, 2.0)
sinh = ufunc(np.sinh, "The hyperbolic sine", "tn.tensor([0.0])", "[0.]")
cosh = ufunc(np.cosh, "The hyperbolic cosine", "tn.tensor([0.0])", "[1.]")
# Its rule is three passes in NumPy: of 100,000 numbers 88 µs, in one pass 22.
tanh = ufunc(np.tanh, "The hyperbolic tangent", "tn.tensor([0.0])", "[0.]", fuse="rules")
arcsinh = ufunc(np.arcsinh, "The inverse hyperbolic sine", "tn.tensor([0.0])", "[0.]")
arccosh = ufunc(np.arccosh, "The inverse hyperbolic cosine", "tn.tensor([1.0])", "[0.]", 1.3, 3.0)
arctanh = ufunc(np.arctanh, "The inverse hyperbolic tangent", "tn.tensor([0.0])", "[0.]", -0.9, 0.9)

# -- choices -----------------------------------------------------------------------------------------------------

maximum = ufunc(
    np.maximum, "The larger of x and y; the gradient of a tie is shared in halves", "tn.tensor([1.0, 5.0]), 3.0", "[3., 5.]",
    label="max", fuse=True,
)  # fmt: skip
minimum = ufunc(
    np.minimum, "The smaller of x and y; the gradient of a tie is shared in halves", "tn.tensor([1.0, 5.0]), 3.0", "[1., 3.]",
    label="min", fuse=True,
)  # fmt: skip


@op(
    numpy=np.where,
    broadcasts=True,
    nondiff=("condition",),
    grads=RULES["where"],
    fuse=True,
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
    fuse=True,
    # Stated: at the limits the derivative of np.clip, which is made of maximum and minimum, is a half.
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


# ndarray.clip calls this ufunc. It is not in numpy=, since it takes no None.
numpy_functions[np._core.umath.clip] = clip  # type: ignore[attr-defined]

# Second names, as NumPy has them.
abs = absolute
pow = power
