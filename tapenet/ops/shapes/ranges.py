"""Numbers at equal steps or ratios, and a window over them."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.arguments import check_device
from tapenet.ops.derived import array_like, derived, is_tensor, made
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.program.low import dtype_of
from tapenet.typing import Array, DType, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike

#: Types of numbers that leave the dtype to the arrays.
_PLAIN = (bool, int, float, complex)


def float_dtype(*values: ArrayLike) -> DType:
    """The inexact dtype of several values; Python's numbers are weak."""
    return np.result_type(0.0, *(v if type(v) in _PLAIN else array_like(v).dtype for v in values))


def as_made(found: Array) -> Array:
    """What was made of numbers or arrays as a tensor; what was made of tensors is one."""
    return found if is_tensor(type(found)) else made(found)


# -- steps of a given length -------------------------------------------------------------------------------------


#: What `arange` is of tensors.
@op(
    label="arange",
    nondiff=("stop",),
    opaque="how many elements it has depends on values",
    start=lambda g: np.sum(g),
    step=lambda g: np.sum(g * np.arange(g.shape[0]).astype(g.dtype)),
    gradients="step: Σ g · i",
    samples=lambda r: [
        sample(np.array(0.3), 2.1, np.array(0.4), None),
        sample(np.array(3.0), np.array(-1.1), np.array(-1.5), None),
        sample(np.array(2.0), 1, 1, None),
    ],
)
def stepped(start: Any, stop: Any, step: Any, dtype: DType | None) -> Array:
    """The numbers from `start` on at steps of `step` before `stop`, which `arange` returns.

    >>> import tapenet as tn
    >>> from tapenet.ops.shapes.ranges import stepped
    >>> stepped(tn.tensor(0.5), 2.0, 1.0, None)
    Tensor([0.5, 1.5])
    """
    if step == 0 and type(step) is not int:  # of which NumPy says so
        raise ValueError("a step of 0 comes to no end")
    if dtype is not None:
        return np.arange(start, stop, step, dtype=dtype)
    found = np.arange(start, stop, step)
    # NumPy's result is float64 whatever the ends are.
    return found if found.dtype != np.float64 else found.astype(float_dtype(start, stop, step), copy=False)


@derived(
    numpy=np.arange,
    makes=True,
    samples=lambda r: [
        sample(np.array(0.3), 2.1, np.array(0.4)),
        sample(np.array(0.3), np.array(-3.0), -1),
        sample(np.array(3)),
        sample(1, 7, step=2),
        sample(2.5),
        sample(np.array(0.3), 9.0, 1.6, np.int64),
    ],
)
def arange(
    start: Any = None,
    stop: Any = None,
    step: Any = 1,
    dtype: DTypeLike | None = None,
    *,
    device: object = None,
) -> Array:
    """The numbers start, start + step, start + 2 step ... before `stop`, as a tensor.

    How many there are is a step of the arguments, without a derivative: those of the elements are 1 by `start` and 0, 1, 2
    ... by `step`. A compiled step is for one number of them: `start + step * np.arange(n)` says it.

    Args:
        start: the first number; without `stop` the numbers go from 0 to before it.
        stop: the numbers come before it.
        step: from one to the next, not 0.
        dtype: by default that of the arguments (NumPy's is float64 or int64 at least).
        device: "cpu", if anything.

    Raises:
        ValueError: a step of 0; ZeroDivisionError, if that is a Python integer.
        TypeError: an argument that is no number.

    >>> import numpy as np, tapenet as tn
    >>> tn.arange(3)
    Tensor([0, 1, 2], dtype=int64)
    >>> s = tn.tensor(0.5, requires_grad=True)
    >>> np.arange(0, 1.5, s, like=s).sum().backward()
    >>> s.grad
    Tensor(3.)
    """
    check_device("arange", device)
    if stop is None:
        start, stop = None, start
    start = 0 if start is None else start
    shapes = [np.shape(v) for v in (start, stop, step)]
    if any(shapes):
        raise TypeError(f"arange: start, stop and step have shapes {shapes}: they are numbers, without axes")
    dtype = None if dtype is None else dtype_of(dtype)
    return as_made(stepped(start, stop, step, dtype))


# -- a given number of steps -------------------------------------------------------------------------------------


def _weights(g: Array, num: int, endpoint: bool, axis: int) -> Array:
    """How far each place is on the way from start to stop, from 0 to 1, along an axis of g."""
    axis = normalize_axis_index(axis, g.ndim)
    steps = max(num - 1 if endpoint else num, 1)
    return np.reshape(np.arange(num) / steps, (-1, *(1,) * (g.ndim - 1 - axis))).astype(g.dtype)


# Stated, as derived rules take no complex numbers.
#: What `linspace` is made of, which may return the step too.
@op(
    sequences=(),
    label="linspace",
    start=lambda g, start_shape, num, endpoint, axis: unbroadcast(
        np.sum(g * (1 - _weights(g, num, endpoint, axis)), axis), start_shape
    ),
    stop=lambda g, stop_shape, num, endpoint, axis: unbroadcast(
        np.sum(g * _weights(g, num, endpoint, axis), axis), stop_shape
    ),
    formula="start + t · (stop − start), t at equal steps from 0 to 1",
    gradients="start: Σ g · (1 − t); stop: Σ g · t",
    samples=lambda r: [
        sample(r.normal(size=()), r.normal(size=()), 4, True, None, 0),
        sample(r.normal(size=2), 2, 3, False, None, -1),
        sample(r.normal(size=2), r.normal(size=(2, 1)), 1, True, None, 1),
        sample(r.normal(size=2), 9.5, 4, True, np.int64, 0),
    ],
)
def spaced(start: Array, stop: Array, num: int, endpoint: bool, dtype: DType, axis: int) -> Array:
    """`num` numbers at equal steps from `start` to `stop`, which `linspace` returns.

    >>> import tapenet as tn
    >>> from tapenet.ops.shapes.ranges import spaced
    >>> spaced(tn.tensor(0.0), 1.0, 3, True, None, 0)
    Tensor([0. , 0.5, 1. ])
    """
    return np.linspace(start, stop, num, endpoint, dtype=dtype, axis=axis)


@derived(
    numpy=np.linspace,
    makes=True,
    replaces=False,
    samples=lambda r: [
        sample(r.normal(size=()), r.normal(size=()), 4),
        sample(r.normal(size=2), r.normal(size=2), 3, False),
        sample(r.normal(size=(2, 1)), r.normal(size=2), num=3, axis=-1),
        sample(r.normal(size=2), 2, 3, retstep=True, axis=1),
        sample(0, r.normal(size=()), 3, endpoint=False, retstep=True),
        sample(r.normal(size=2), 9.5, 4, dtype=np.int64),
        sample(r.normal(size=2), r.normal(size=2), 1),
        sample(r.normal(size=2), r.normal(size=()), 0),
        sample(r.normal(size=()), r.normal(size=())),
    ],
)
def linspace(
    start: ArrayLike,
    stop: ArrayLike,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Array | tuple[Array, object]:
    """`num` numbers at equal steps from `start` to `stop`, as a tensor.

    Args:
        start: the first number, or an array of them.
        stop: the last number, or where it would come if `endpoint` is false; broadcast against `start`.
        num: how many.
        endpoint: whether `stop` is the last.
        retstep: return the step too.
        dtype: of the result; to integers the numbers are rounded down.
        axis: where the result has its new axis.

    Returns:
        an array with an axis of length `num`; or that and the step, which is nan where there is none.

    Raises:
        ValueError: a negative number of numbers.

    >>> import tapenet as tn
    >>> tn.linspace(tn.tensor(0.0), 1.0, 3)
    Tensor([0. , 0.5, 1. ])
    """
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"linspace: num={num}; give 0 or more")
    found = as_made(spaced(start, stop, num, endpoint, dtype, axis))
    if not retstep:
        return found
    steps = num - 1 if endpoint else num
    if steps <= 0:
        return found, math.nan
    inner = float_dtype(start, stop)
    start, stop = (np.astype(array_like(v), inner, copy=False) for v in (start, stop))
    return found, as_made((stop - start) / steps)


def _with_axes(value: Any, ndim: int) -> Any:
    """An array with axes of length one in front; a number, which is weak, as it is."""
    if type(value) in _PLAIN:
        return value
    array = array_like(value)
    return np.reshape(array, (1,) * (ndim - array.ndim) + array.shape)


@derived(
    numpy=np.logspace,
    makes=True,
    replaces=False,
    samples=lambda r: [
        sample(r.normal(size=()), r.normal(size=()), 3),
        sample(r.normal(size=2), r.normal(size=(2, 1)), 2, False, base=2.0),
        sample(r.normal(size=2), 1, 3, True, r.uniform(1, 2, size=()), axis=-1),
        sample(r.normal(size=()), 1.0, 2, True, r.uniform(1, 2, size=2)),
        sample(0.5, r.normal(size=2), 2, False, r.uniform(1, 2, size=(2, 1)), axis=1),
        sample(r.normal(size=2), 3, 3, dtype=np.int64),
        sample(r.normal(size=2), r.normal(size=2), 0),
    ],
)
def logspace(
    start: ArrayLike,
    stop: ArrayLike,
    num: int = 50,
    endpoint: bool = True,
    base: ArrayLike = 10.0,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Array:
    """`num` numbers at equal ratios from `base` to the power of `start` to `base` to the power of `stop`, as a
    tensor.

    Args:
        start: the first exponent, or an array of them.
        stop: the last exponent, or where it would come if `endpoint` is false.
        num: how many.
        endpoint: whether the exponent `stop` is the last.
        base: a number, or an array that broadcasts against `start` and `stop`.
        dtype: of the result.
        axis: where the result has its new axis.

    Raises:
        ValueError: a negative number of numbers.

    >>> import tapenet as tn
    >>> tn.logspace(tn.tensor(0.0), 2.0, 3)
    Tensor([  1.,  10., 100.])
    """
    if np.ndim(base):
        ndim = max(np.ndim(v) for v in (start, stop, base))
        if type(start) in _PLAIN and type(stop) in _PLAIN:
            start = array_like(start)  # so that the exponents too get the axes of the bases
        start, stop, base = (_with_axes(v, ndim) for v in (start, stop, base))
        base = np.expand_dims(base, axis)
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    assert not isinstance(exponents, tuple)
    found = np.power(base, exponents)
    return found if dtype is None else np.astype(found, dtype, copy=False)


def _geometric_start(
    g: Array, out: Array, start: Array, start_shape: Shape, num: int, endpoint: bool, dtype: DType, axis: int
) -> Array:
    part = np.sum(safe_mul(g, out) * (1 - _weights(g, num, endpoint, axis)), axis)
    return unbroadcast(part / start, start_shape)


def _geometric_stop(
    g: Array, out: Array, stop: Array, stop_shape: Shape, num: int, endpoint: bool, dtype: DType, axis: int
) -> Array:
    part = np.sum(safe_mul(g, out) * _weights(g, num, endpoint, axis), axis)
    return unbroadcast(part / stop, stop_shape)


#: What `geomspace` is made of, in a dtype that holds the numbers as they are.
@op(
    sequences=(),
    label="geomspace",
    start=_geometric_start,
    stop=_geometric_stop,
    formula="start¹⁻ᵗ · stopᵗ, t at equal steps from 0 to 1",
    gradients="start: Σ g · out · (1 − t) / start; stop: Σ g · out · t / stop",
    samples=lambda r: [
        sample(r.uniform(1, 2, size=2), r.uniform(1, 2, size=(2, 1)), 2, False, None, 1),
        sample(r.uniform(1, 2, size=()), 3.0, 1, True, None, 0),
    ],
    hint=lambda start, stop, *_: "From one sign to the other, or to 0, there is no ratio; use linspace",
)
def geometric(start: Array, stop: Array, num: int, endpoint: bool, dtype: DType, axis: int) -> Array:
    """`num` numbers at equal ratios from `start` to `stop`, which `geomspace` returns.

    >>> import tapenet as tn
    >>> from tapenet.ops.shapes.ranges import geometric
    >>> geometric(tn.tensor(1.0), 4.0, 3, True, None, 0)
    Tensor([1., 2., 4.])
    """
    return np.geomspace(start, stop, num, endpoint, float_dtype(start, stop) if dtype is None else dtype, axis)


@derived(
    numpy=np.geomspace,
    makes=True,
    replaces=False,
    samples=lambda r: [
        sample(r.uniform(1, 2, size=()), r.uniform(1, 2, size=()), 3),
        sample(-r.uniform(1, 2, size=2), -r.uniform(1, 2, size=(2, 1)), 2, False),
        sample(r.uniform(1, 2, size=2), 3.0, num=3, axis=-1),
        sample(2, r.uniform(1, 2, size=2), 3, axis=1),
        sample(r.uniform(1, 2, size=2), r.uniform(1, 2, size=2), 1),
        sample(r.uniform(1, 2, size=2), 5.0, 2, dtype=np.int64),
        sample(r.uniform(1, 2, size=()), r.uniform(1, 2, size=()), 0),
    ],
)
def geomspace(
    start: ArrayLike,
    stop: ArrayLike,
    num: int = 50,
    endpoint: bool = True,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Array:
    """`num` numbers at equal ratios from `start` to `stop`, as a tensor.

    Args:
        start: the first number, or an array of them; not 0.
        stop: the last number, or where it would come if `endpoint` is false; of the sign of `start`, not 0, and
            broadcast against it.
        num: how many.
        endpoint: whether `stop` is the last.
        dtype: of the result; by default that of the ends (NumPy's is float64 at least).
        axis: where the result has its new axis.

    Raises:
        ValueError: a zero among the ends, or a negative number of numbers.

    >>> import tapenet as tn
    >>> tn.geomspace(tn.tensor(1.0), 4.0, 3)
    Tensor([1., 2., 4.])
    """
    if dtype is None:
        return as_made(geometric(start, stop, num, endpoint, None, axis))
    # Cast last: the rules need the numbers before the cast.
    found = as_made(geometric(start, stop, num, endpoint, np.result_type(float_dtype(start, stop), dtype), axis))
    return np.astype(found, dtype, copy=False)


# -- windows -----------------------------------------------------------------------------------------------------


@derived(
    samples=lambda r: [
        sample(5, np.abs(r.normal(size=()))),
        sample(4, r.normal(size=())),
        sample(1, r.normal(size=())),
        sample(0, r.normal(size=())),
        sample(3, np.array(0.0)),
    ]
)
def kaiser(M: int, beta: Array) -> Array:
    """The Kaiser window of `M` points, I₀(beta √(1 − t²)) / I₀(beta) for t evenly spaced from −1 to 1, in the dtype of
    `beta`. (`np.kaiser` looks at no argument of its own for a tensor, so that it knows plain values only.)

    Args:
        beta: a number, which may be a tensor: 0 gives a rectangle, the larger the narrower.

    >>> import tapenet as tn
    >>> tn.kaiser(3, tn.tensor(2.0)).round(4)
    Tensor([0.4387, 1.    , 0.4387])
    """
    beta = array_like(beta)
    half = (M - 1) / 2
    t = (np.arange(M) - half) / (half or 1)
    return array_like(np.i0(beta * np.sqrt(1 - t**2).astype(np.result_type(beta, np.float16))) / np.i0(beta))
