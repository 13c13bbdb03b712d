"""Roots, logarithms, powers and inverse functions that go on with complex numbers where real ones end, as `np.emath`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import op
from tapenet.ops.products.matmul import operand
from tapenet.ops.registry import Samples, sample
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def _cast_beyond(x: Array, kind: DTypeLike, low: float, high: float = math.inf) -> Array:
    dtype = np.result_type(x.dtype, kind)
    # Comparing complex numbers says nothing, and they are cast to themselves.
    return x.astype(dtype) if dtype != x.dtype and np.any((x < low) | (x > high)) else x


cast_beyond = op(
    _cast_beyond,
    name="cast_beyond",
    label="cast",
    x=lambda g: g,
    doc="""An array cast to another kind of numbers if one of its elements lies outside a range, else as it is.

    The dtype of the result depends on values. A captured step keeps that of the capture, and its replay raises
    ValueError where the values ask for the other.

    Args:
        x: an array, of any shape.
        kind: the smallest dtype of that kind: the result has that which holds both, `np.result_type(x, kind)`.
        low, high: the range.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.emath import cast_beyond
    >>> cast_beyond(tn.tensor([1.0, -2.0]), np.complex64, 0.0)
    Tensor([ 1.+0.j, -2.+0.j], dtype=complex128)
    """,
    samples=lambda r: [
        sample(np.array([0.5, -0.5]), np.complex64, 0.0),
        sample(np.array([0.5, -0.5]), np.complex64, -1.0, 1.0),
        sample(np.array(1.5), np.complex64, -1.0, 1.0),
        sample(np.array([[-1 + 1j]]), np.complex64, 0.0),
        sample(np.array([2, -1]), np.float64, 0.0),
    ],
)


def _of_one(
    numpy: Callable[..., object], real: Callable[[Array], Array], summary: str, example: str, limit: float | None = None
) -> Callable[..., Array]:
    """A function of one array, in complex numbers where an element is negative, or beyond a limit on either side."""
    low, high, where = (
        (0.0, math.inf, "negative") if limit is None else (-limit, limit, f"beyond -{limit:g} or {limit:g}")
    )

    def function(x: Array) -> Array:
        return real(cast_beyond(array_like(x), np.complex64, low, high))

    function.__name__ = function.__qualname__ = numpy.__name__
    function.__doc__ = f"""{summary}, element by element; in complex numbers if one is {where}.

    A captured step keeps the dtype of the capture, and its replay raises ValueError where the values ask for the other.

    Args:
        x: an array, of any shape.

    Returns:
        an array of the shape of `x`.

    >>> import tapenet as tn
    >>> tn.emath.{example}
    """
    samples: Samples = lambda r: [
        sample(r.uniform(0.2, 0.9, (2, 3))),
        sample(np.array([[0.5], [-1.7]])),
        sample(r.normal(size=3) + 1j * r.normal(size=3)),
        sample(np.array(-1.7)),
        sample(np.zeros((0, 2))),
    ]
    return derived(numpy=numpy, samples=samples)(function)


sqrt = _of_one(np.emath.sqrt, np.sqrt, "The square root",
               "sqrt(tn.tensor([-1.0, 4.0]))\n    Tensor([0.+1.j, 2.+0.j], dtype=complex128)")  # fmt: skip
log = _of_one(np.emath.log, np.log, "The natural logarithm",
              "log(tn.tensor([-1.0]))\n    Tensor([0.+3.14159265j], dtype=complex128)")  # fmt: skip
log2 = _of_one(np.emath.log2, np.log2, "The logarithm to base 2",
               "log2(tn.tensor([8.0]))\n    Tensor([3.])")  # fmt: skip
log10 = _of_one(np.emath.log10, np.log10, "The logarithm to base 10",
                "log10(tn.tensor([-10.0]))\n    Tensor([1.+1.36437635j], dtype=complex128)")  # fmt: skip
arcsin = _of_one(np.emath.arcsin, np.arcsin, "The inverse sine",
                 "arcsin(tn.tensor([2.0]))\n    Tensor([1.57079633+1.3169579j], dtype=complex128)", 1.0)  # fmt: skip
arccos = _of_one(np.emath.arccos, np.arccos, "The inverse cosine",
                 "arccos(tn.tensor([2.0]))\n    Tensor([0.-1.3169579j], dtype=complex128)", 1.0)  # fmt: skip
arctanh = _of_one(np.emath.arctanh, np.arctanh, "The inverse hyperbolic tangent",
                  "arctanh(tn.tensor([0.5]))\n    Tensor([0.54930614])", 1.0)  # fmt: skip


def _pair(x: Any, y: Any) -> tuple[Array, Array]:
    """Two arguments as arrays. A Python number beside an array of floats stays one, so that it does not widen the dtype."""
    x, y = operand(x), operand(y)
    if any(hasattr(v, "dtype") and v.dtype.kind in "fc" for v in (x, y)):
        return x, y
    return array_like(x), array_like(y)


def _beyond_zero(x: Any) -> Any:
    if hasattr(x, "dtype"):
        return cast_beyond(x, np.complex64, 0.0)
    return x if type(x) is complex or x >= 0 else complex(x)


def _log(x: Any) -> Any:
    found = np.log(_beyond_zero(x))
    # NumPy's logarithm of a Python number is a float64, which would widen a float32 beside it; a Python float does not.
    return found if hasattr(x, "dtype") else found.item()


@derived(
    numpy=np.emath.logn,
    samples=lambda r: [
        sample(np.array(3.0), r.uniform(0.5, 2, (2, 3))),
        sample(np.array([2.0, 3.0]), np.array([[-0.5], [1.5]])),
        sample(np.array([-2.0]), np.array([1.5, 0.5])),
        sample(2, r.uniform(0.5, 2, 3)),
        sample(-2.5, r.uniform(0.5, 2, 3)),
    ],
)
def logn(n: ArrayLike, x: ArrayLike) -> Any:
    """The logarithm of `x` to base `n`, ln x / ln n; complex where either has a negative element.

    Args:
        n: the base, an array or a number, which does not widen a float32 `x` as it does in NumPy.
        x: an array that broadcasts with `n`.

    >>> import tapenet as tn
    >>> tn.emath.logn(2, tn.tensor([4.0, 8.0]))
    Tensor([2., 3.])
    """
    x, n = _pair(x, n)
    return _log(x) / _log(n)


@derived(
    numpy=np.emath.power,
    samples=lambda r: [
        sample(r.uniform(0.5, 2, (2, 3)), r.normal(size=3)),
        sample(np.array([-1.5, 0.5]), np.array([[0.5], [-2.0]])),
        sample(np.array([-1.5, 0.5]), 2),
        sample(r.uniform(0.5, 2, 3), -1),
        sample(-2.0, r.normal(size=3)),
    ],
)
def power(x: ArrayLike, p: ArrayLike) -> Any:
    """`x` to the power `p`; complex where an `x` is negative, and of floats where an integer `p` is.

    Args:
        x, p: arrays that broadcast. A number beside an array of floats does not widen it, as it does in NumPy.

    >>> import tapenet as tn
    >>> tn.emath.power(tn.tensor([2, 4]), -2)
    Tensor([0.25  , 0.0625])
    """
    x, p = _pair(x, p)
    if hasattr(p, "dtype") and p.dtype.kind in "iu":
        p = cast_beyond(p, np.float64, 0.0)
    return np.power(_beyond_zero(x), p)
