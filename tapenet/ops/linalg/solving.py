"""Inverses and powers of square matrices, and linear systems."""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.batched_calls import aligned
from tapenet.ops.derived import array_like, derived
from tapenet.ops.linalg.matrices import regular, square_hint, transposed
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _hint(a: Array) -> str:
    shape = np.shape(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return square_hint(a)
    return "For a singular matrix use np.linalg.pinv or np.linalg.lstsq, or add a small multiple of the identity"


@op(
    numpy=np.linalg.inv,
    label="⁻¹",
    a=lambda g, out: -np.matmul(transposed(out), np.matmul(g, transposed(out))),
    vmap="leading",
    samples=lambda r: [sample(regular(r, 3, 3)), sample(regular(r, 2, 2, 2)), sample(np.empty((0, 0)))],
    hint=_hint,
)
def inv(a: Array) -> Array:
    """The inverse of a square matrix, or of each in a stack.

    To solve a system use `solve`, which is faster and more accurate than a product with the inverse.

    Args:
        a: (..., n, n).

    Returns:
        (..., n, n).

    Raises:
        LinAlgError: a matrix is not square, or singular.

    >>> import tapenet as tn
    >>> tn.linalg.inv(tn.tensor([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    return np.linalg.inv(a)


def _solve_rule(g: Array, wanted: Collection[str], out: Array, a: Array, b_shape: tuple[int, ...]) -> dict[str, Array]:
    vector = len(b_shape) == 1
    if vector:
        g, out = np.expand_dims(g, -1), np.expand_dims(out, -1)
    back = np.linalg.solve(transposed(a), g)
    found = {"b": unbroadcast(back[..., 0] if vector else back, b_shape)}
    if "a" in wanted:
        found["a"] = unbroadcast(-np.matmul(back, transposed(out)), a.shape)
    return found


def _solve_hint(a: Array, b: Array) -> str:
    left, right = np.shape(a), np.shape(b)
    if len(left) < 2 or left[-1] != left[-2]:
        return f"{square_hint(a)}; for others use np.linalg.lstsq"
    if len(right) and right[-1 if len(right) == 1 else -2] == left[-1]:
        return _hint(a)
    text = f"b must be a vector ({left[-1]},) or matrices (..., {left[-1]}, k), not {right}"
    if len(right) > 1 and right[-1] == left[-1]:
        text += "; a stack of vectors is one of matrices with a column each: np.linalg.solve(a, b[..., None])[..., 0]"
    return text


def _solve_lanes(batched: frozenset[str], a: Array, b: Array) -> Array:
    """A vector on the right is a column: beside a stack of matrices NumPy takes vectors with lanes for one matrix."""
    ndims = [np.ndim(x) - (n in batched) for n, x in (("a", a), ("b", b))]
    vector = ndims[1] == 1
    if vector:
        b = b[..., None]
        ndims[1] = 2
    a, b = (aligned(x, max(ndims)) if n in batched else x for n, x in (("a", a), ("b", b)))
    found = solve(a, b)
    return found[..., 0] if vector else found


@op(
    numpy=np.linalg.solve,
    joint=_solve_rule,
    gradients="a: −(a⁻ᵀ @ g) @ outᵀ; b: a⁻ᵀ @ g",
    vmap=_solve_lanes,
    samples=lambda r: [
        sample(regular(r, 3, 3), r.normal(size=3)),
        sample(regular(r, 2, 2), r.normal(size=(2, 3))),
        sample(regular(r, 2, 2, 2), r.normal(size=2)),
        sample(regular(r, 2, 2, 2), r.normal(size=(2, 2, 1))),
        sample(regular(r, 2, 1, 2, 2), r.normal(size=(3, 2, 1))),
        sample(regular(r, 2, 2), r.normal(size=(2, 2, 2))),
        sample(np.empty((0, 0)), np.empty((0, 2))),
    ],
    hint=_solve_hint,
)
def solve(a: Array, b: Array) -> Array:
    """The solution x of a @ x = b, for a square matrix or each in a stack.

    Args:
        a: (..., n, n).
        b: a vector (n,), or matrices (..., n, k). As in NumPy 2, only an array of one axis is a vector.

    Returns:
        (..., n) for a vector, else (..., n, k); the stacks of `a` and `b` broadcast.

    Raises:
        LinAlgError: a matrix is not square, or singular.
        ValueError: the lengths do not fit.

    >>> import tapenet as tn
    >>> tn.linalg.solve(tn.tensor([[2.0, 0.0], [0.0, 4.0]]), tn.tensor([1.0, 2.0]))
    Tensor([0.5, 0.5])
    """
    return np.linalg.solve(a, b)


@derived(
    numpy=np.linalg.tensorsolve,
    samples=lambda r: [
        sample(regular(r, 4, 4).reshape(2, 2, 4), r.normal(size=(2, 2))),
        sample(regular(r, 3, 3), r.normal(size=3)),
        sample(np.moveaxis(regular(r, 4, 4).reshape(2, 2, 2, 2), 2, 0), r.normal(size=(2, 2)), axes=(0, 3)),
        sample(np.moveaxis(regular(r, 4, 4).reshape(2, 2, 4), 2, 0), r.normal(size=(2, 2)), axes=(0,)),
    ],
)
def tensorsolve(a: ArrayLike, b: ArrayLike, axes: Sequence[int] | None = None) -> Array:
    """The solution x of the tensor equation a x = b, where all axes of x are summed over.

    Args:
        a: an array whose first axes are those of `b` and whose last are those of x, as many elements in both.
        b: the right-hand side.
        axes: axes of `a` to move to its end first.

    Returns:
        x, of the shape of the last axes of `a`.

    Raises:
        LinAlgError: the axes do not make a square matrix, or it is singular.

    >>> import tapenet as tn
    >>> tn.linalg.tensorsolve(2 * np.eye(4).reshape(2, 2, 4), tn.tensor([[2.0, 4.0], [6.0, 8.0]]))
    Tensor([1., 2., 3., 4.])
    """
    a, b = array_like(a), array_like(b)
    if axes is not None:
        last = [normalize_axis_index(k, a.ndim) for k in axes]
        a = np.transpose(a, [k for k in range(a.ndim) if k not in last] + last)
    shape = a.shape[b.ndim - a.ndim :]
    n = math.prod(shape)
    if math.prod(a.shape) != n * n or math.prod(b.shape) != n:
        raise np.linalg.LinAlgError(
            f"tensorsolve: a of shape {a.shape} and b of shape {b.shape}: the first axes of a must be those of b, and the "
            f"last ones, {shape}, must hold as many elements"
        )
    return np.reshape(solve(np.reshape(a, (n, n)), b if b.ndim == 1 else np.reshape(b, -1)), shape)


@derived(
    numpy=np.linalg.tensorinv,
    samples=lambda r: [
        sample(regular(r, 4, 4).reshape(2, 2, 4), ind=2),
        sample(regular(r, 3, 3).reshape(3, 3, 1), ind=1),
        sample(regular(r, 2, 2).reshape(2, 1, 2)),
    ],
)
def tensorinv(a: ArrayLike, ind: int = 2) -> Array:
    """The inverse of an array as a map from its last axes to its first `ind` ones.

    Args:
        a: an array with as many elements in its first `ind` axes as in the others.
        ind: how many axes are the first.

    Returns:
        the inverse: the last axes first.

    Raises:
        ValueError: `ind` is not positive.
        LinAlgError: the axes do not make a square matrix, or it is singular.

    >>> import tapenet as tn
    >>> tn.linalg.tensorinv(tn.tensor([[[4.0]], [[2.0]]])[:1], ind=1).shape
    (1, 1, 1)
    """
    a = array_like(a)
    if ind <= 0:
        raise ValueError(f"tensorinv: ind is the number of axes that come first, 1 or more, not {ind}")
    first, last = a.shape[:ind], a.shape[ind:]
    return np.reshape(inv(np.reshape(a, (math.prod(last), -1))), last + first)


@derived(
    numpy=np.linalg.matrix_power,
    samples=lambda r: (
        [sample(regular(r, 2, 2), n) for n in (0, 1, 2, 3, -1, -3)]
        + [sample(r.normal(size=(2, 2, 2)), 5), sample(np.empty((0, 0)), 2)]
    ),
)
def matrix_power(a: ArrayLike, n: int) -> Array:
    """The n-th power of a square matrix, or of each in a stack, by repeated squaring.

    Args:
        a: (..., k, k).
        n: an integer. A negative one gives powers of the inverse, 0 the identity, whose gradient is 0.

    Returns:
        (..., k, k).

    Raises:
        LinAlgError: a matrix is not square; or singular, if n is negative.
        TypeError: `n` is no integer.

    >>> import tapenet as tn
    >>> tn.linalg.matrix_power(tn.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    Tensor([[1., 3.],
            [0., 1.]])
    """
    a = array_like(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"matrix_power: a must hold square matrices (..., k, k), not {a.shape}")
    n = operator.index(n)
    if n == 0:
        return np.where(False, a, np.eye(a.shape[-1], dtype=a.dtype))  # a gradient of 0, not none
    square = a if n > 0 else np.linalg.inv(a)
    n = abs(n)
    while n % 2 == 0:
        square, n = np.matmul(square, square), n // 2
    power = square
    while n := n // 2:
        square = np.matmul(square, square)
        power = np.matmul(power, square) if n % 2 else power
    return power
