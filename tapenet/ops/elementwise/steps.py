"""Rounding, number theory, bits and comparisons, element by element: without a derivative, or with 0 for one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet.ops.elementwise.comparisons import derivatives, invert
from tapenet.ops.elementwise.elementary import binary_samples, broadcast_hint, unary_samples
from tapenet.ops.op import Op, op
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.program.low import is_float
from tapenet.typing import Array


def _step(
    f: Callable[..., object], summary: str, arguments: str, example: str, samples: Samples,
    label: str | None = None,
    numpy: object = None, forward: Callable[..., object] | None = None, note: str = "", nondiff: bool | tuple[str, ...] = True,
    hint: Callable[..., str] | None = None, precision: str | None = None,
    steps: str = "",
) -> Op:  # fmt: skip
    """An op without a derivative; or with one of 0, wherever it has one, by the input that `steps` names."""
    doc = f"""{summary}. {"The gradient is 0" if steps else "Returns a tensor without gradient"}.{note}

    Args:
        {arguments}

    >>> import numpy as np, tapenet as tn
    >>> tn.{example}
    """
    made: Op = op(
        forward or f, name=f.__name__, numpy=numpy or f, label=label, doc=doc,
        samples=samples, hint=hint, precision=precision, **(derivatives([steps], True) if steps else {"nondiff": nondiff}),
    )  # fmt: skip
    made.__module__ = __name__
    return made


_X = "x: an array, of any shape."
_XY = "x, y: arrays whose shapes broadcast, or Python numbers."
_WHOLE = "x, y: arrays of integers whose shapes broadcast, or Python integers."

# -- rounding ----------------------------------------------------------------------------------------------------

round = _step(
    np.round,
    "The nearest number with so many decimals, halves to the even one, element by element; also called `around`",
    "a: an array, of any shape.\n        decimals: how many places after the point; negative: before it.",
    "round(tn.tensor([1.25, -2.5]), 1)\n    Tensor([ 1.2, -2.5])",
    lambda r: [
        sample(r.normal(size=(2, 3))), sample(10 * r.normal(size=3), 2), sample(100 * r.normal(size=()), decimals=-1),
        sample(np.array([15, 25]), -1), sample(r.normal(size=2) + 1j, 1), sample(np.zeros((0, 2))),
    ],
    numpy=(np.round, np.around), forward=lambda a, decimals=0: np.round(a, decimals), steps="a",
)  # fmt: skip
fix = _step(
    np.fix, "The nearest integer towards 0, element by element: `trunc` by another name", _X,
    "fix(tn.tensor([1.7, -1.7]))\n    Tensor([ 1., -1.])",
    lambda r: [*unary_samples()(r), sample(np.zeros((0, 2)))], forward=np.trunc, steps="x",
)  # fmt: skip


def _next(x: Array, y: Array) -> Array:
    """np.nextafter, in bfloat16 too beside a Python number, which would make it float32."""
    if isinstance(x, np.ndarray) and is_float(x.dtype) and isinstance(y, (int, float)):
        y = np.asarray(y, x.dtype)
    elif isinstance(y, np.ndarray) and is_float(y.dtype) and isinstance(x, (int, float)):
        x = np.asarray(x, y.dtype)
    return np.nextafter(x, y)


nextafter = _step(
    np.nextafter, "The next number of the dtype after x in the direction of y, element by element", _XY,
    "nextafter(tn.tensor([1.0]), 2.0) > 1.0\n    Tensor([ True])", binary_samples(),
    forward=_next, hint=broadcast_hint, precision="same",
)  # fmt: skip
spacing = _step(
    np.spacing, "The distance from x to the next number of the dtype, away from 0, element by element", _X,
    "spacing(tn.tensor([1.0]))\n    Tensor([2.22044605e-16])", unary_samples(),
    precision="same",
)  # fmt: skip

# -- integers and bits -------------------------------------------------------------------------------------------


def _whole(r: np.random.Generator) -> list[Sample]:
    calls = [sample(r.integers(0, 8, a), r.integers(0, 5, b)) for a, b in (((2, 3), (3,)), ((3,), (2, 1)), ((), ()))]
    return [*calls, sample(r.integers(0, 8, 3), 2), sample(12, r.integers(0, 5, 3))]


gcd = _step(np.gcd, "The greatest common divisor of x and y, element by element", _WHOLE,
            "gcd(tn.tensor([12, 7]), 8)\n    Tensor([4, 1], dtype=int64)", _whole, hint=broadcast_hint)  # fmt: skip
lcm = _step(np.lcm, "The lowest common multiple of x and y, element by element", _WHOLE,
            "lcm(tn.tensor([12, 7]), 8)\n    Tensor([24, 56], dtype=int64)", _whole, hint=broadcast_hint)  # fmt: skip
left_shift = _step(
    np.left_shift, "The bits of x moved y places up, element by element; also called `bitwise_left_shift`", _WHOLE,
    "left_shift(tn.tensor([1, 3]), 2)\n    Tensor([ 4, 12], dtype=int64)", _whole, "<<", hint=broadcast_hint,
)  # fmt: skip
right_shift = _step(
    np.right_shift, "The bits of x moved y places down, element by element; also called `bitwise_right_shift`", _WHOLE,
    "right_shift(tn.tensor([4, 13]), 2)\n    Tensor([1, 3], dtype=int64)", _whole, ">>", hint=broadcast_hint,
)  # fmt: skip
bitwise_count = _step(
    np.bitwise_count, "How many bits of |x| are set, element by element", "x: an array of integers, of any shape.",
    "bitwise_count(tn.tensor([3, 8]))\n    Tensor([2, 1], dtype=uint8)",
    lambda r: [sample(r.integers(-8, 8, (2, 3))), sample(np.asarray(r.integers(0, 8)))], "bit count",
)  # fmt: skip

# -- what a number is --------------------------------------------------------------------------------------------

isposinf = _step(np.isposinf, "Whether x is infinite and positive, element by element", _X,
                 "isposinf(tn.tensor([np.inf, -np.inf]))\n    Tensor([ True, False])",
                 lambda r: [sample(np.array([np.inf, -np.inf, np.nan, 1.0])), *unary_samples()(r)],
                 forward=lambda x: np.isposinf(x))  # fmt: skip
isneginf = _step(np.isneginf, "Whether x is infinite and negative, element by element", _X,
                 "isneginf(tn.tensor([np.inf, -np.inf]))\n    Tensor([False,  True])",
                 lambda r: [sample(np.array([np.inf, -np.inf, np.nan, 1.0])), *unary_samples()(r)],
                 forward=lambda x: np.isneginf(x))  # fmt: skip
iscomplex = _step(np.iscomplex, "Whether x has an imaginary part that is not 0, element by element", _X,
                  "iscomplex(tn.tensor([1 + 1j, 2]))\n    Tensor([ True, False])",
                  lambda r: [sample(np.array([1 + 1j, 2])), *unary_samples()(r)],
                  forward=lambda x: np.iscomplex(x))  # fmt: skip
isreal = _step(np.isreal, "Whether the imaginary part of x is 0, element by element", _X,
               "isreal(tn.tensor([1 + 1j, 2]))\n    Tensor([False,  True])",
               lambda r: [sample(np.array([1 + 1j, 2])), *unary_samples()(r)],
               forward=lambda x: np.isreal(x))  # fmt: skip

# -- comparisons of arrays ---------------------------------------------------------------------------------------

_CLOSE = """a, b: arrays whose shapes broadcast, or Python numbers.
        rtol, atol: what may be between them, relative to |b| and absolute; numbers, or arrays that broadcast.
        equal_nan: take nan for equal to nan."""


def _close(r: np.random.Generator) -> list[Sample]:
    a, nan = np.array([[1.0, 2.0, -np.inf], [0.0, -1.0, np.inf]]), np.array([1.0, np.nan])
    return [
        sample(a, a + 1e-9),
        sample(a, np.array([1.0, 2.1, -np.inf])),
        sample(np.array([1.0, 2.0]), np.array([1.05, 2.5]), 0.1, 0.0),
        sample(np.array([1.0, 2.0]), np.array([1.05, 2.5]), rtol=0, atol=np.array([0.1, 0.1])),
        sample(nan, nan),
        sample(nan, nan, equal_nan=True),
        sample(np.array(1.0), 1),
        sample(np.zeros((0, 2)), 0.0),
        sample(np.array([1 + 1j, 2]), np.array([1 + 1j, 2.5])),
        sample(np.array([1, 2]), np.array([1, 3])),
    ]


def _equal(r: np.random.Generator) -> list[Sample]:
    a, nan = r.normal(size=(2, 3)), np.array([1.0, np.nan])
    return [sample(a, a.copy()), sample(a, a[0]), sample(a, a + 1), sample(np.array([1, 2, 3]), a), sample(nan, nan)]


#: What tells of the results below.
_TRUTH = (
    "\n\n    NumPy gives a Python bool. Here a tensor without axes stands for it, which `bool(...)` and `if` turn into one: so"
    " a\n    captured step can depend on it."
)
isclose = _step(
    np.isclose, "Whether a and b are equal but for a tolerance, |a - b| <= atol + rtol · |b|, element by element",
    _CLOSE, "isclose(tn.tensor([1.0, 2.0]), 1.0)\n    Tensor([ True, False])", _close, "≈",
    forward=lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: np.isclose(a, b, rtol, atol, equal_nan),
    nondiff=("a", "b", "rtol", "atol"), hint=broadcast_hint,
)  # fmt: skip
allclose = _step(
    np.allclose, "Whether all of a and b are equal but for a tolerance, |a - b| <= atol + rtol · |b|",
    _CLOSE, "allclose(tn.tensor([1.0, 2.0]), 1.0)\n    Tensor(False)", _close, "all ≈",
    forward=lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: np.allclose(a, b, rtol, atol, equal_nan),
    note=_TRUTH, nondiff=("a", "b", "rtol", "atol"), hint=broadcast_hint,
)  # fmt: skip
array_equal = _step(
    np.array_equal, "Whether a1 and a2 have the same shape and elements",
    "a1, a2: arrays.\n        equal_nan: take nan for equal to nan.",
    "array_equal(tn.tensor([1.0, 2.0]), [1, 2])\n    Tensor(True)",
    lambda r: [*_equal(r), sample(np.array([1.0, np.nan]), np.array([1.0, np.nan]), equal_nan=True)], "all =",
    forward=lambda a1, a2, equal_nan=False: np.array_equal(a1, a2, equal_nan), note=_TRUTH,
)  # fmt: skip
array_equiv = _step(
    np.array_equiv, "Whether a1 and a2 broadcast, and have the same elements then", "a1, a2: arrays.",
    "array_equiv(tn.tensor([[1.0, 2.0], [1.0, 2.0]]), [1, 2])\n    Tensor(True)", _equal,
    "all =", forward=lambda a1, a2: np.array_equiv(a1, a2), note=_TRUTH,
)  # fmt: skip

# Second names, as NumPy has them.
around = round
bitwise_left_shift = left_shift
bitwise_right_shift = right_shift
bitwise_invert = bitwise_not = invert

# -- constants ---------------------------------------------------------------------------------------------------


@op(
    label="stop gradient",
    nondiff=True,
    formula="x, as a constant",
    samples=unary_samples(),
)
def stop_gradient(x: Array) -> Array:
    """A copy of x that counts as a constant: no gradient flows through it. For arrays and tensors alike, where
    `t.detach()` is for tensors alone.

    Args:
        x: an array, of any shape.

    >>> import tapenet as tn
    >>> x = tn.tensor([3.0], requires_grad=True)
    >>> (x * tn.stop_gradient(x)).sum().backward()
    >>> x.grad
    Tensor([3.])
    """
    return np.copy(x)
