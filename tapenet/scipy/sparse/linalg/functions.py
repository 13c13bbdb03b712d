"""Functions of sparse matrices, and their norms."""

from __future__ import annotations

import math
from typing import Literal, cast

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.linalg import norms
from tapenet.scipy.sparse.arrays import SparseArray, is_sparse, ours
from tapenet.scipy.sparse.construction import eye_array

#: Terms of Taylor's series -> the 1-norm up to which it has double precision. Al-Mohy and Higham, SIAM J. Sci. Comput. 33
#: (2011), table 3.1.
_NORMS = {5: 1.3e-1, 10: 1.0, 15: 2.2, 20: 3.6, 25: 4.9, 30: 6.3, 35: 7.7, 40: 9.1, 45: 1.1e1, 50: 1.2e1, 55: 1.3e1}


def expm_multiply(A: object, B: object, t: object = 1.0, *, bound: float | None = None) -> Tensor:
    """exp(t A) B, as `scipy.sparse.linalg.expm_multiply`, by Taylor's series for parts of t; exp(A) is not formed.

    Args:
        A: a square sparse or dense matrix.
        B: a vector or matrix.
        t: a number, or a tensor of one; derivatives are by it too.
        bound: a number that the 1-norm of t A does not exceed, by which the number of products is chosen. It is needed in a
            compiled function, which does as many products at each call; elsewhere it is computed.

    Reference: Al-Mohy and Higham, SIAM J. Sci. Comput. 33 (2011).

    >>> import numpy as np, tapenet as tn
    >>> A = tn.scipy.sparse.csr_array([[0.0, 1.0], [-1.0, 0.0]])
    >>> tn.scipy.sparse.linalg.expm_multiply(A, np.array([1.0, 0.0]), np.pi / 4).round(6)
    Tensor([ 0.707107, -0.707107])
    """
    matrix = ours(A) if is_sparse(A) else asarray(A)
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"expm_multiply: the matrix is not square but of shape {matrix.shape}")
    size = _size(matrix, asarray(t)) if bound is None else bound
    if not math.isfinite(size):
        raise ValueError("expm_multiply: A or t is not finite")
    terms, most = min(_NORMS.items(), key=lambda pair: pair[0] * max(1, math.ceil(size / pair[1])))
    steps = max(1, math.ceil(size / most))
    found, time = asarray(B), asarray(t)
    for _ in range(steps):
        term = found
        for j in range(1, terms + 1):
            term = cast("Tensor", matrix @ term) * (time / (steps * j))
            found = found + term
    return found


def _size(matrix: SparseArray | Tensor, t: Tensor) -> float:
    if capturing() is not None:
        raise ValueError(
            "expm_multiply: in a compiled function give bound=, a number that the 1-norm of t A does not exceed"
        )
    sums = cast("Tensor", abs(matrix.detach()).sum(0))  # type: ignore[attr-defined]
    return float(sums.max().item() * abs(t.detach().item()))


def norm(x: object, ord: Literal["fro", 1, -1] | float | None = None, axis: int | None = None) -> Tensor:
    """A norm of a sparse matrix, or of its rows (columns), as `scipy.sparse.linalg.norm`.

    Args:
        x: a sparse array.
        ord: without `axis` "fro" (the default), 1, -1, inf or -inf; with it a number or None, as of `np.linalg.norm`.
        axis: the axis along which vectors are.

    Raises:
        ValueError: another `ord`.

    >>> import tapenet as tn
    >>> A = tn.scipy.sparse.csr_array([[3.0, 0.0], [4.0, 1.0]])
    >>> tn.scipy.sparse.linalg.norm(A, 1), tn.scipy.sparse.linalg.norm(A, axis=0)
    (Tensor(7.), Tensor([5., 1.]))
    """
    matrix = ours(x).sum_duplicates()
    if axis is not None:
        return cast("Tensor", norms.norm(matrix.toarray(), ord, axis))
    if ord in (None, "fro"):
        return cast("Tensor", norms.norm(matrix.data))
    along = {1: 0, -1: 0, math.inf: 1, -math.inf: 1}
    if ord not in along:
        raise ValueError(f"norm of a sparse matrix: ord is 'fro', 1, -1, inf or -inf, not {ord!r}")
    sums = abs(matrix).sum(along[ord])
    return sums.max() if ord in (1, math.inf) else sums.min()


def matrix_power(A: object, power: int) -> SparseArray:
    """A matrix times itself so often, as `scipy.sparse.linalg.matrix_power`.

    Raises:
        ValueError: `power` is negative, or A not square.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.linalg.matrix_power(tn.scipy.sparse.csr_array([[1.0, 1.0], [0.0, 1.0]]), 5).toarray()
    Tensor([[1., 5.],
            [0., 1.]])
    """
    base = ours(A)
    if base.shape[0] != base.shape[1] or power < 0:
        raise ValueError(
            f"matrix_power: shape {base.shape}, power {power}; it takes a square matrix and a power of 0 or more"
        )
    found = eye_array(base.shape[0], dtype=base.dtype, format=base.format)
    while power:
        if power & 1:
            found = cast("SparseArray", found @ base)
        base, power = cast("SparseArray", base @ base) if power > 1 else base, power >> 1
    return found
