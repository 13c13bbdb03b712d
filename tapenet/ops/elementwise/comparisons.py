"""Comparisons, signs, rounding and logic, element by element: functions without a derivative, or with 0 for one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tapenet.ops.derived import derived
from tapenet.ops.elementwise.elementary import binary_samples, broadcast_hint, unary_samples
from tapenet.ops.op import Op, flat, op
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.typing import Array


def derivatives(names: Iterable[str], steps: bool) -> dict[str, object]:
    """What an op says of derivatives by its inputs: that they are 0, if it has steps, or that there are none."""
    if not steps:
        return {"nondiff": True}
    return {"grads": dict.fromkeys(names, flat)}


def _plain(
    f: np.ufunc, summary: str, example: str, label: str | None = None, samples: Samples | None = None,
    steps: bool = False,
) -> Op:  # fmt: skip
    """An op without a derivative; or with steps, where its derivative is 0 wherever it has one."""
    result = "The gradient is 0" if steps else "Returns a tensor without gradient"
    doc = f"""{summary}, element by element. {result}.

    >>> import tapenet as tn
    >>> tn.{example}
    """
    if samples is None:
        samples = binary_samples() if f.nin == 2 else unary_samples()
    made: Op = op(f, name=f.__name__, numpy=f, label=label, doc=doc, samples=samples,
                  hint=broadcast_hint if f.nin == 2 else None, **derivatives("xy"[: f.nin], steps))  # fmt: skip
    made.__module__ = __name__
    return made


def _truths(r: np.random.Generator) -> list[Sample]:
    return [sample(r.normal(size=(2, 3)) > 0, r.normal(size=3) > 0)]


def _truth(r: np.random.Generator) -> list[Sample]:
    return [sample(r.normal(size=(2, 3)) > 0)]


equal = _plain(np.equal, "Whether x == y", "equal(tn.tensor([1, 2]), 1)\n    Tensor([ True, False])", "=")
not_equal = _plain(np.not_equal, "Whether x != y", "not_equal(tn.tensor([1, 2]), 1)\n    Tensor([False,  True])", "≠")
less = _plain(np.less, "Whether x < y", "less(tn.tensor([1, 2]), 2)\n    Tensor([ True, False])", "<")
less_equal = _plain(
    np.less_equal, "Whether x <= y", "less_equal(tn.tensor([1, 3]), 2)\n    Tensor([ True, False])", "≤"
)
greater = _plain(np.greater, "Whether x > y", "greater(tn.tensor([1, 2]), 1)\n    Tensor([False,  True])", ">")
greater_equal = _plain(
    np.greater_equal, "Whether x >= y", "greater_equal(tn.tensor([0, 1]), 1)\n    Tensor([False,  True])", "≥"
)
isfinite = _plain(np.isfinite, "Whether x is neither infinite nor nan",
                  "isfinite(tn.tensor([1.0]))\n    Tensor([ True])")  # fmt: skip
isinf = _plain(np.isinf, "Whether x is infinite", "isinf(tn.tensor([1.0]))\n    Tensor([False])")
isnan = _plain(np.isnan, "Whether x is nan", "isnan(tn.tensor([1.0]))\n    Tensor([False])")
signbit = _plain(np.signbit, "Whether the sign of x is negative",
                 "signbit(tn.tensor([-1.0]))\n    Tensor([ True])")  # fmt: skip
_sign = _plain(
    np.sign,
    "The sign of x: -1, 0 or 1",
    "sign(tn.tensor([-3.0]))\n    Tensor([-1.])",
    steps=True,
)


@derived(
    numpy=np.sign,
    samples=lambda r: [
        *unary_samples()(r),
        sample(np.array([-2, 0, 3])),
        sample(r.normal(size=(2, 2)) + 1j * r.normal(size=(2, 2))),
    ],
)
def sign(x: Array, **options: Any) -> object:
    """The sign of x, element by element: -1, 0 or 1; of a complex number x / |x|, and 0 at 0.

    The gradient of real numbers is 0. That of complex numbers is not, as it turns with x: 0 at 0 and infinities. The
    options are those of `np.sign`.

    >>> import tapenet as tn
    >>> tn.sign(tn.tensor([-3.0]))
    Tensor([-1.])
    >>> tn.sign(tn.tensor([3 + 4j]))
    Tensor([0.6+0.8j], dtype=complex128)
    """
    if options:
        return np.sign(x, **options)
    if not np.iscomplexobj(x):
        return _sign(x)
    size = np.absolute(x)
    turns = np.logical_and(size > 0, size < math.inf)
    return np.where(turns, np.where(turns, x, 0) / np.where(turns, size, 1), _sign(x))


floor = _plain(np.floor, "The largest integer not above x", "floor(tn.tensor([1.7]))\n    Tensor([1.])",
               steps=True)  # fmt: skip
ceil = _plain(np.ceil, "The smallest integer not below x", "ceil(tn.tensor([1.2]))\n    Tensor([2.])",
              steps=True)  # fmt: skip
rint = _plain(np.rint, "The nearest integer, ties to even",
              "rint(tn.tensor([1.7]))\n    Tensor([2.])", steps=True)  # fmt: skip
trunc = _plain(np.trunc, "The integer part of x", "trunc(tn.tensor([-1.7]))\n    Tensor([-1.])",
               steps=True)  # fmt: skip
floor_divide = _plain(
    np.floor_divide, "The quotient rounded down", "floor_divide(tn.tensor([7.0]), 2)\n    Tensor([3.])", "//",
    steps=True,
)  # fmt: skip
logical_and = _plain(
    np.logical_and, "x and y", "logical_and(tn.tensor([True]), False)\n    Tensor([False])", "and", _truths
)
logical_or = _plain(np.logical_or, "x or y", "logical_or(tn.tensor([True]), False)\n    Tensor([ True])", "or", _truths)
logical_xor = _plain(np.logical_xor, "Either x or y",
                     "logical_xor(tn.tensor([True]), True)\n    Tensor([False])", "xor", _truths)  # fmt: skip
logical_not = _plain(np.logical_not, "Not x", "logical_not(tn.tensor([True]))\n    Tensor([False])", "not", _truth)
bitwise_and = _plain(np.bitwise_and, "Bitwise x & y",
                     "bitwise_and(tn.tensor([6]), 3)\n    Tensor([2], dtype=int64)", "&", _truths)  # fmt: skip
bitwise_or = _plain(np.bitwise_or, "Bitwise x | y",
                    "bitwise_or(tn.tensor([6]), 3)\n    Tensor([7], dtype=int64)", "|", _truths)  # fmt: skip
bitwise_xor = _plain(np.bitwise_xor, "Bitwise x ^ y",
                     "bitwise_xor(tn.tensor([6]), 3)\n    Tensor([5], dtype=int64)", "xor", _truths)  # fmt: skip
invert = _plain(np.invert, "Bitwise not", "invert(tn.tensor([True]))\n    Tensor([False])", "~", _truth)
