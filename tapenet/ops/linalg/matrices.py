"""What functions on matrices share. All of it is for stacks of matrices too, whose axes come first."""

from __future__ import annotations

import numpy as np

from tapenet.ops.reductions.masking import conjugate
from tapenet.program.symbols import Symbol, provided
from tapenet.typing import Array

_NOT_FINITE = "SVD did not converge: the matrix has infinite or nan elements"


def transposed(x: Array) -> Array:
    """The transposes of matrices."""
    return np.swapaxes(x, -1, -2)


def adjoint(x: Array) -> Array:
    """The conjugate transposes of matrices."""
    return transposed(conjugate(x))


def on_diagonal(values: Array) -> Array:
    """Diagonal matrices of the values."""
    identity: Array = np.eye(values.shape[-1], dtype=values.dtype)
    return values[..., None, :] * identity


def by_matrix(values: Array) -> Array:
    """Numbers, one for each matrix, in a shape that broadcasts against the matrices."""
    return np.reshape(values, (*values.shape, 1, 1))


def identity_where(condition: Array, a: Array) -> Array:
    """The matrices `a`, but the identity in place of those for which a condition, (..., 1, 1), holds."""
    return np.where(condition, np.eye(*a.shape[-2:], dtype=a.dtype), a)


def finite(a: Array) -> Array:
    """The matrices, which are to have singular vectors or a least squares solution. LAPACK's gesdd and gelsd, by which NumPy
    finds these, may never return where a row is infinite.

    Raises:
        LinAlgError: some element is infinite or nan.
    """
    if not a.size:
        return a
    wrong = np.logical_not(np.all(np.isfinite(a)))
    if isinstance(a, Symbol):
        return provided(a, wrong, np.linalg.LinAlgError, _NOT_FINITE)
    if wrong:
        raise np.linalg.LinAlgError(_NOT_FINITE)
    return a


def in_triangle(g: Array, lower: bool) -> Array:
    """The gradient by a matrix of which one triangle is read and mirrored, from `g`, that by the Hermitian matrix."""
    n = g.shape[-1]
    strict = np.tri(n, n, -1, g.dtype) if lower else np.tri(n, n, -1, g.dtype).T
    doubled: Array = 2 * strict + np.eye(n, dtype=g.dtype)
    return g * doubled


def square_hint(a: Array) -> str:
    """The end of an error about square matrices."""
    return f"a must be a square matrix or a stack of them (..., n, n), not {np.shape(a)}"


def regular(r: np.random.Generator, *shape: int) -> Array:
    """Random square matrices far from singular, for samples."""
    return r.uniform(-0.5, 0.5, shape) + 2 * np.eye(shape[-1])
