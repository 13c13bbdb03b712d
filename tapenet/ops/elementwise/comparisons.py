"""Comparisons, signs, rounding and logic, element by element: functions without a derivative, or with 0 for one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tapenet.ops.derived import derived
from tapenet.ops.elementwise.elementary import ufunc, unary_samples
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array


def _truths(r: np.random.Generator) -> list[Sample]:
    return [sample(r.normal(size=(2, 3)) > 0, r.normal(size=3) > 0)]


def _truth(r: np.random.Generator) -> list[Sample]:
    return [sample(r.normal(size=(2, 3)) > 0)]


equal = ufunc(np.equal, "Whether x == y", "tn.tensor([1, 2]), 1", "[ True, False]", label="=")
not_equal = ufunc(np.not_equal, "Whether x != y", "tn.tensor([1, 2]), 1", "[False,  True]", label="≠")
less = ufunc(np.less, "Whether x < y", "tn.tensor([1, 2]), 2", "[ True, False]", label="<")
less_equal = ufunc(np.less_equal, "Whether x <= y", "tn.tensor([1, 3]), 2", "[ True, False]", label="≤")
greater = ufunc(np.greater, "Whether x > y", "tn.tensor([1, 2]), 1", "[False,  True]", label=">")
greater_equal = ufunc(np.greater_equal, "Whether x >= y", "tn.tensor([0, 1]), 1", "[False,  True]", label="≥")
isfinite = ufunc(np.isfinite, "Whether x is neither infinite nor nan", "tn.tensor([1.0])", "[ True]")
isinf = ufunc(np.isinf, "Whether x is infinite", "tn.tensor([1.0])", "[False]")
isnan = ufunc(np.isnan, "Whether x is nan", "tn.tensor([1.0])", "[False]")
signbit = ufunc(np.signbit, "Whether the sign of x is negative", "tn.tensor([-1.0])", "[ True]")
_sign = ufunc(np.sign, "The sign of x: -1, 0 or 1", "tn.tensor([-3.0])", "[-1.]")


@derived(
    numpy=np.sign,
    samples=lambda r: [
        *unary_samples()(r),
        sample(np.array([-2, 0, 3])),
        sample(r.normal(size=(2, 2)) + 1j * r.normal(size=(2, 2))),
    ],
)
def sign(x: Array, **options: object) -> object:
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
        plain: Callable[..., object] = np.sign
        return plain(x, **options)
    if not np.iscomplexobj(x):
        return _sign(x)
    size = np.absolute(x)
    turns = np.logical_and(size > 0, size < math.inf)
    return np.where(turns, np.where(turns, x, 0) / np.where(turns, size, 1), _sign(x))


floor = ufunc(np.floor, "The largest integer not above x", "tn.tensor([1.7])", "[1.]")
ceil = ufunc(np.ceil, "The smallest integer not below x", "tn.tensor([1.2])", "[2.]")
rint = ufunc(np.rint, "The nearest integer, ties to even", "tn.tensor([1.7])", "[2.]")
trunc = ufunc(np.trunc, "The integer part of x", "tn.tensor([-1.7])", "[-1.]")
floor_divide = ufunc(np.floor_divide, "The quotient rounded down", "tn.tensor([7.0]), 2", "[3.]", label="//")
logical_and = ufunc(np.logical_and, "x and y", "tn.tensor([True]), False", "[False]", label="and", samples=_truths)
logical_or = ufunc(np.logical_or, "x or y", "tn.tensor([True]), False", "[ True]", label="or", samples=_truths)
logical_xor = ufunc(np.logical_xor, "Either x or y", "tn.tensor([True]), True", "[False]", label="xor", samples=_truths)
logical_not = ufunc(np.logical_not, "Not x", "tn.tensor([True])", "[False]", label="not", samples=_truth)
bitwise_and = ufunc(
    np.bitwise_and, "Bitwise x & y", "tn.tensor([6]), 3", "[2], dtype=int64", label="&", samples=_truths
)
bitwise_or = ufunc(np.bitwise_or, "Bitwise x | y", "tn.tensor([6]), 3", "[7], dtype=int64", label="|", samples=_truths)
bitwise_xor = ufunc(
    np.bitwise_xor, "Bitwise x ^ y", "tn.tensor([6]), 3", "[5], dtype=int64", label="xor", samples=_truths
)
invert = ufunc(np.invert, "Bitwise not", "tn.tensor([True])", "[False]", label="~", samples=_truth)
