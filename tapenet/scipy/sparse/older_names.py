"""SciPy's older names for what makes sparse matrices. They give sparse arrays here, whose `*` is by element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.scipy.sparse.arrays import SparseArray
from tapenet.scipy.sparse.construction import block_array, diags_array, eye_array
from tapenet.scipy.sparse.structure import Format

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


def diags(
    diagonals: object, offsets: int | Sequence[int] = 0, shape: tuple[int, int] | None = None,
    format: Format | None = None, dtype: DTypeLike | None = None,
) -> SparseArray:  # fmt: skip
    """`diags_array` by its older name, `scipy.sparse.diags`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.diags([tn.tensor([1.0, 2.0]), [3.0]], [0, 1]).toarray()
    Tensor([[1., 3.],
            [0., 2.]])
    """
    if (
        isinstance(offsets, int)
        and isinstance(diagonals, (list, tuple))
        and len(diagonals) == 1
        and np.ndim(diagonals[0])
    ):
        (diagonals,) = diagonals
    return diags_array(diagonals, offsets=offsets, shape=shape, format=format, dtype=dtype)


def spdiags(
    data: object, diags: ArrayLike, m: int | tuple[int, int] | None = None, n: int | None = None,
    format: Format | None = None,
) -> SparseArray:  # fmt: skip
    """A sparse array of diagonals that are the rows of an array, as `scipy.sparse.spdiags`: what is in the column j of `data`
    goes to the column j.

    Args:
        data: the diagonals, of shape (diagonals, columns).
        diags: which diagonals.
        m, n: the shape, or `m` alone as a pair; by default square.
        format: "csr", "csc" or "coo".

    Raises:
        ValueError: another number of diagonals than rows.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.spdiags(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), [0, 1], 2, 2).toarray()
    Tensor([[1., 4.],
            [0., 2.]])
    """
    values, offsets = asarray(data), np.atleast_1d(np.asarray(diags))
    values = values if values.ndim > 1 else values[None]
    if values.shape[0] != offsets.size:
        raise ValueError(f"spdiags: data has {values.shape[0]} rows for {offsets.size} diagonals")
    width = values.shape[1]
    rows, columns = m if isinstance(m, tuple) else (width if m is None else m, width if n is None and m is None else n)
    if columns is None:
        raise ValueError("spdiags: give n beside m")
    parts = []
    for row, k in enumerate(offsets.tolist()):
        first, size = max(k, 0), max(min(rows + min(k, 0), columns - max(k, 0)), 0)
        given = values[row, first : first + size]
        parts.append(ops.concatenate([given, np.zeros(size - given.size)]))
    return diags_array(parts, offsets=offsets.tolist(), shape=(rows, columns), format=format)


def eye(
    m: int, n: int | None = None, k: int = 0, dtype: DTypeLike = float, format: Format | None = None
) -> SparseArray:
    """`eye_array` by its older name, `scipy.sparse.eye`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.eye(2, 3, 1).toarray()
    Tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    return eye_array(m, n, k=k, dtype=dtype, format=format)


def identity(n: int, dtype: DTypeLike = float, format: Format | None = None) -> SparseArray:
    """Ones on the diagonal of a square sparse array, as `scipy.sparse.identity`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.identity(2).toarray()
    Tensor([[1., 0.],
            [0., 1.]])
    """
    return eye_array(n, dtype=dtype, format=format)


def bmat(
    blocks: Sequence[Sequence[object]], format: Format | None = None, dtype: DTypeLike | None = None
) -> SparseArray:
    """`block_array` by its older name, `scipy.sparse.bmat`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.bmat([[tn.scipy.sparse.eye(1), None], [None, [[tn.tensor(2.0)]]]]).toarray()
    Tensor([[1., 0.],
            [0., 2.]])
    """
    return block_array(blocks, format=format, dtype=dtype)
