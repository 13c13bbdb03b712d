"""Rounding, number theory, bits and comparisons, element by element: without a derivative, or with 0 for one."""

from __future__ import annotations

import numpy as np

from tapenet.ops.elementwise.comparisons import invert
from tapenet.ops.elementwise.elementary import broadcast_hint, ufunc, unary_samples
from tapenet.ops.op import flat, op
from tapenet.ops.registry import Sample, sample
from tapenet.program.low import is_float
from tapenet.typing import Array

# -- rounding ----------------------------------------------------------------------------------------------------


@op(
    numpy=(np.round, np.around),
    a=flat,
    vmap="leading",
    samples=lambda r: [
        sample(r.normal(size=(2, 3))), sample(10 * r.normal(size=3), 2), sample(100 * r.normal(size=()), decimals=-1),
        sample(np.array([15, 25]), -1), sample(r.normal(size=2) + 1j, 1), sample(np.zeros((0, 2))),
    ],
)  # fmt: skip
def round(a: Array, decimals: int = 0) -> Array:
    """The nearest number with so many decimals, halves to the even one, element by element; also called `around`. The
    gradient is 0.

    Args:
        a: an array, of any shape.
        decimals: how many places after the point; negative: before it.

    >>> import tapenet as tn
    >>> tn.round(tn.tensor([1.25, -2.5]), 1)
    Tensor([ 1.2, -2.5])
    """
    return np.round(a, decimals)


fix = ufunc(
    np.trunc, "The nearest integer towards 0, `trunc` by another name, with gradient 0", "tn.tensor([1.7, -1.7])", "[ 1., -1.]",
    name="fix", numpy=np.fix, rules={"x": flat}, samples=lambda r: [*unary_samples()(r), sample(np.zeros((0, 2)))],
)  # fmt: skip


def _next(x: Array, y: Array) -> Array:
    """np.nextafter, in bfloat16 too beside a Python number, which would make it float32."""
    if isinstance(x, np.ndarray) and is_float(x.dtype) and isinstance(y, (int, float)):
        y = np.asarray(y, x.dtype)
    elif isinstance(y, np.ndarray) and is_float(y.dtype) and isinstance(x, (int, float)):
        x = np.asarray(x, y.dtype)
    return np.nextafter(x, y)


nextafter = ufunc(
    np.nextafter, "The next number of the dtype after x in the direction of y", "tn.tensor([1.0], dtype=np.float16), 2.0",
    "[1.001], dtype=float16", forward=_next, vmap="leading", precision="same",
)  # fmt: skip
spacing = ufunc(
    np.spacing, "The distance from x to the next number of the dtype, away from 0", "tn.tensor([1.0])", "[2.22044605e-16]",
    precision="same",
)  # fmt: skip

# -- integers and bits -------------------------------------------------------------------------------------------


def _whole(r: np.random.Generator) -> list[Sample]:
    calls = [sample(r.integers(0, 8, a), r.integers(0, 5, b)) for a, b in (((2, 3), (3,)), ((3,), (2, 1)), ((), ()))]
    return [*calls, sample(r.integers(0, 8, 3), 2), sample(12, r.integers(0, 5, 3))]


gcd = ufunc(
    np.gcd, "The greatest common divisor of x and y", "tn.tensor([12, 7]), 8", "[4, 1], dtype=int64", samples=_whole
)
lcm = ufunc(
    np.lcm, "The lowest common multiple of x and y", "tn.tensor([12, 7]), 8", "[24, 56], dtype=int64", samples=_whole
)
left_shift = ufunc(
    np.left_shift, "The bits of x moved y places up; also called `bitwise_left_shift`", "tn.tensor([1, 3]), 2",
    "[ 4, 12], dtype=int64", label="<<", samples=_whole,
)  # fmt: skip
right_shift = ufunc(
    np.right_shift, "The bits of x moved y places down; also called `bitwise_right_shift`", "tn.tensor([4, 13]), 2",
    "[1, 3], dtype=int64", label=">>", samples=_whole,
)  # fmt: skip
bitwise_count = ufunc(
    np.bitwise_count, "How many bits of |x| are set, x being integers", "tn.tensor([3, 8])", "[2, 1], dtype=uint8",
    label="bit count", samples=lambda r: [sample(r.integers(-8, 8, (2, 3))), sample(np.asarray(r.integers(0, 8)))],
)  # fmt: skip

# -- what a number is --------------------------------------------------------------------------------------------


def _infinite(r: np.random.Generator) -> list[Sample]:
    return [sample(np.array([np.inf, -np.inf, np.nan, 1.0])), *unary_samples()(r)]


def _imaginary(r: np.random.Generator) -> list[Sample]:
    return [sample(np.array([1 + 1j, 2])), *unary_samples()(r)]


@op(numpy=np.isposinf, nondiff=True, vmap="leading", samples=_infinite)
def isposinf(x: Array) -> Array:
    """Whether x is infinite and positive, element by element. Returns a tensor without gradient.

    >>> import numpy as np, tapenet as tn
    >>> tn.isposinf(tn.tensor([np.inf, -np.inf]))
    Tensor([ True, False])
    """
    return np.isposinf(x)


@op(numpy=np.isneginf, nondiff=True, vmap="leading", samples=_infinite)
def isneginf(x: Array) -> Array:
    """Whether x is infinite and negative, element by element. Returns a tensor without gradient.

    >>> import numpy as np, tapenet as tn
    >>> tn.isneginf(tn.tensor([np.inf, -np.inf]))
    Tensor([False,  True])
    """
    return np.isneginf(x)


@op(numpy=np.iscomplex, nondiff=True, vmap="leading", samples=_imaginary)
def iscomplex(x: Array) -> Array:
    """Whether x has an imaginary part that is not 0, element by element. Returns a tensor without gradient.

    >>> import tapenet as tn
    >>> tn.iscomplex(tn.tensor([1 + 1j, 2]))
    Tensor([ True, False])
    """
    return np.iscomplex(x)


@op(numpy=np.isreal, nondiff=True, vmap="leading", samples=_imaginary)
def isreal(x: Array) -> Array:
    """Whether the imaginary part of x is 0, element by element. Returns a tensor without gradient.

    >>> import tapenet as tn
    >>> tn.isreal(tn.tensor([1 + 1j, 2]))
    Tensor([False,  True])
    """
    return np.isreal(x)


# -- comparisons of arrays ---------------------------------------------------------------------------------------


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


@op(
    numpy=np.isclose,
    nondiff=("a", "b", "rtol", "atol"),
    label="≈",
    vmap="leading",
    samples=_close,
    hint=broadcast_hint,
)
def isclose(
    a: Array, b: Array, rtol: Array | float = 1e-5, atol: Array | float = 1e-8, equal_nan: bool = False
) -> Array:
    """Whether a and b are equal but for a tolerance, |a - b| <= atol + rtol · |b|, element by element. Returns a tensor
    without gradient.

    Args:
        a, b: arrays whose shapes broadcast, or Python numbers.
        rtol, atol: what may be between them, relative to |b| and absolute; numbers, or arrays that broadcast.
        equal_nan: take nan for equal to nan.

    >>> import tapenet as tn
    >>> tn.isclose(tn.tensor([1.0, 2.0]), 1.0)
    Tensor([ True, False])
    """
    return np.isclose(a, b, rtol, atol, equal_nan)


# NumPy gives a Python bool. Here a tensor without axes stands for it, so that a captured step can depend on it.


@op(numpy=np.allclose, nondiff=("a", "b", "rtol", "atol"), label="all ≈", samples=_close, hint=broadcast_hint)
def allclose(
    a: Array, b: Array, rtol: Array | float = 1e-5, atol: Array | float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all of a and b are equal but for a tolerance, |a - b| <= atol + rtol · |b|: a tensor without axes and without
    gradient, which `bool(...)` and `if` turn into a Python bool.

    Args:
        a, b: arrays whose shapes broadcast, or Python numbers.
        rtol, atol: what may be between them, relative to |b| and absolute; numbers, or arrays that broadcast.
        equal_nan: take nan for equal to nan.

    >>> import tapenet as tn
    >>> tn.allclose(tn.tensor([1.0, 2.0]), 1.0)
    Tensor(False)
    """
    return np.allclose(a, b, rtol, atol, equal_nan)


@op(
    numpy=np.array_equal,
    nondiff=True,
    label="all =",
    samples=lambda r: [*_equal(r), sample(np.array([1.0, np.nan]), np.array([1.0, np.nan]), equal_nan=True)],
)
def array_equal(a1: Array, a2: Array, equal_nan: bool = False) -> bool:
    """Whether a1 and a2 have the same shape and elements: a tensor without axes and without gradient, which `bool(...)` and
    `if` turn into a Python bool.

    Args:
        a1, a2: arrays.
        equal_nan: take nan for equal to nan.

    >>> import tapenet as tn
    >>> tn.array_equal(tn.tensor([1.0, 2.0]), [1, 2])
    Tensor(True)
    """
    return np.array_equal(a1, a2, equal_nan)


@op(numpy=np.array_equiv, nondiff=True, label="all =", samples=_equal)
def array_equiv(a1: Array, a2: Array) -> bool:
    """Whether a1 and a2 broadcast, and have the same elements then: a tensor without axes and without gradient, which
    `bool(...)` and `if` turn into a Python bool.

    >>> import tapenet as tn
    >>> tn.array_equiv(tn.tensor([[1.0, 2.0], [1.0, 2.0]]), [1, 2])
    Tensor(True)
    """
    return np.array_equiv(a1, a2)


# Second names, as NumPy has them.
around = round
bitwise_left_shift = left_shift
bitwise_right_shift = right_shift
bitwise_invert = bitwise_not = invert

# -- constants ---------------------------------------------------------------------------------------------------


@op(
    label="stop gradient",
    nondiff=True,
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
