"""Determinants, also of singular matrices."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.linalg.matrices import by_matrix, identity_where, regular, square_hint, transposed
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.program.symbols import CannotLower
from tapenet.typing import Array

#: Elements up to which programs always compute singular values.
_SMALL = 64


def _good_inverse(a: Array) -> Array | None:
    """The inverses of all matrices if they are good to ten digits, else None. NumPy computes in float64 for any dtype."""
    with np.errstate(all="ignore"):
        try:
            inverse = np.linalg.inv(a)
        except np.linalg.LinAlgError:
            return None
        condition = np.linalg.matrix_norm(a, ord=1) * np.linalg.matrix_norm(inverse, ord=1)
    return inverse if np.all(condition < 1e6) else None


def _finite(a: Array) -> Array:
    """The matrices, but the identity for those with elements that are infinite or nan."""
    return identity_where(~_are_finite(a), a)


def _are_finite(a: Array) -> Array:
    return array_like(np.all(np.isfinite(a), axis=(-2, -1), keepdims=True))


def _shift(a: Array) -> Array:
    """The same, whether it is needed or not."""
    n = a.shape[-1]
    u, s, vh = np.linalg.svd(_finite(a))
    largest = s[..., :1]
    small = s <= 1e-3 * largest
    # Two directions are enough, and the formula of `_adjugate` is exact for no more. With three that are null the
    # adjugate and its derivative are 0, and all are shifted to say so.
    null = np.sum(s <= n * np.finfo(s.dtype).eps * largest, axis=-1, keepdims=True)
    small = small & ((null > 2) | (np.arange(n) >= n - 2))
    by = np.where(small, np.where(largest == 0, 1, largest), 0)
    return array_like(np.matmul(u * by[..., None, :], vh))


def _small_shift(a: Array) -> Array:
    if a.size > _SMALL:
        raise CannotLower("many singular values, where an inverse may do")
    return _shift(a)


@op(
    label="null shift",
    nondiff=True,
    lower=_small_shift,
    vmap="leading",
    samples=lambda r: [sample(r.normal(size=(2, 2))), sample(np.ones((2, 2, 2))), sample(np.zeros((1, 1)))],
)
def null_shift(a: Array) -> Array:
    """What makes a singular matrix regular when added to it: the largest singular value in place of each that is small.

    It serves the gradient of `det`, and is 0 where that can do without: for stacks of well-conditioned matrices. Of more
    than two small singular values the two smallest count, but all if three or more are null. A tensor without gradient.

    Args:
        a: (..., n, n).

    >>> import tapenet as tn
    >>> from tapenet.ops.linalg.determinants import null_shift
    >>> null_shift(tn.tensor([[2.0, 0.0], [0.0, 0.0]]))
    Tensor([[0., 0.],
            [0., 2.]])
    """
    return np.zeros_like(a) if _good_inverse(a) is not None else _shift(a)


def _adjugate(a: Array) -> Array:
    """The adjugate: the inverse times the determinant, but for singular matrices too.

    With the constant X = null_shift(a), of rank 0, 1 or 2, M = a + X is regular, and with Y = M⁻¹ X
    det a = det M · det(1 - Y) = det M · (1 - tr Y + (tr² Y - tr Y²)/2). This is exact in a neighbourhood of `a`, so its
    gradient is exact, and so are that gradient's derivatives.
    """
    shift = null_shift(a)
    shifted = _finite(a) + shift
    inverse = np.linalg.inv(shifted)
    y = np.matmul(inverse, shift)
    unit = np.eye(a.shape[-1], dtype=bool)
    trace = np.sum(np.where(unit, y, 0), axis=(-2, -1), keepdims=True)
    of_square = np.sum(y * transposed(y), axis=(-2, -1), keepdims=True)
    factor = np.where(unit, 1 - trace + 0.5 * (trace * trace - of_square), 0) + (1 - trace) * y + np.matmul(y, y)
    found = by_matrix(np.linalg.det(shifted)) * np.matmul(factor, inverse)
    found = np.where(np.abs(trace) > 2.5, 0, found)  # the trace counts the shifted directions
    return np.where(_are_finite(a), found, math.nan)


def _det_a(g: Array, out: Array, a: Array) -> Array:
    inverse = _good_inverse(a) if type(a) is np.ndarray else None
    return by_matrix(g) * transposed(_adjugate(a)) if inverse is None else by_matrix(g * out) * transposed(inverse)


@op(
    numpy=np.linalg.det,
    a=_det_a,
    gradients="a: g · adj(a)ᵀ, adj(a) = out · a⁻¹",
    vmap="leading",
    samples=lambda r: [
        sample(r.normal(size=(3, 3))),
        sample(r.normal(size=(2, 2, 2))),
        sample(np.array([[1.0, 2.0], [2.0, 4.0]])),
        sample(np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0])),
        sample(np.stack([np.zeros((2, 2)), regular(r, 2, 2)])),
        sample(np.empty((0, 0))),
    ],
    hint=square_hint,
)
def det(a: Array) -> Array:
    """The determinant of a square matrix, or of each in a stack.

    The gradient is right for singular matrices too: 0 if the rank is below n - 1. So is the second derivative; a third
    is where fewer than three singular values are 0. The logarithm of a determinant is better taken by `slogdet`, which
    neither overflows nor underflows.

    Args:
        a: (..., n, n).

    Returns:
        (...).

    Raises:
        LinAlgError: a matrix is not square.

    >>> import tapenet as tn
    >>> a = tn.tensor([[0.0, 0.0], [0.0, 3.0]], requires_grad=True)
    >>> tn.linalg.det(a).backward()
    >>> a.grad.numpy().round(9)[0, 0]
    np.float64(3.0)
    """
    return array_like(np.linalg.det(a))


#: The NamedTuple that `np.linalg.slogdet` returns.
SlogdetResult: Callable[..., object] = type(np.linalg.slogdet(np.eye(1)))


def _slogdet_a(g: Array, out: Array, a: Array) -> Array:
    sign, by_log = out[0], g[1]
    if a.dtype.kind == "c":
        by_log = by_log + 1j * np.imag(g[0] * sign)
    if type(sign) is np.ndarray and np.any((sign == 0) & (by_log != 0)):
        raise np.linalg.LinAlgError(
            "slogdet: a matrix is singular, and the logarithm of its determinant, -inf, has no gradient. Leave such "
            "matrices out by np.where(sign == 0, ..., logabsdet), add a small multiple of the identity, or use det"
        )
    # A singular matrix that the loss does not depend on: its gradient is 0. Another ends in the error of `inv`.
    unused = by_matrix((sign == 0) & (by_log == 0))
    inverse = np.linalg.inv(identity_where(unused, a))
    return np.where(unused, 0, by_matrix(by_log) * transposed(inverse))


@op(
    numpy=np.linalg.slogdet,
    outputs=2,
    result=SlogdetResult,
    a=_slogdet_a,
    gradients="a: (g₁ + i · Im(g₀ · sign)) · a⁻ᵀ",
    vmap="leading",
    samples=lambda r: [sample(r.normal(size=(3, 3))), sample(r.normal(size=(2, 2, 2))), sample(np.empty((0, 0)))],
    hint=square_hint,
)
def slogdet(a: Array) -> tuple[Array, ...]:
    """Sign and logarithm of the determinant of a square matrix, or of each in a stack.

    The sign of a real determinant is -1, 0 or 1, and its gradient 0. That of a complex one is a number on the unit
    circle, which turns with `a`. A singular matrix has sign 0 and logarithm -inf.

    Args:
        a: (..., n, n).

    Returns:
        a named tuple with `sign` (...) and `logabsdet` (...).

    Raises:
        LinAlgError: a matrix is not square; or, at the gradient, a singular matrix that the loss depends on.

    >>> import tapenet as tn
    >>> tn.linalg.slogdet(tn.tensor([[1.0, 0.0], [0.0, -1.0]]))
    SlogdetResult(sign=Tensor(-1.), logabsdet=Tensor(0.))
    """
    return np.linalg.slogdet(a)
