"""Sparse arrays made of others, of diagonals and of blocks. SciPy says where the values are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.program.low import dtype_of
from tapenet.scipy.followed import scipys
from tapenet.scipy.sparse.arrays import SparseArray, is_sparse, ours
from tapenet.scipy.sparse.structure import Format, Scipys, Structure

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


def _scipys(name: str) -> Callable[..., Scipys]:
    return cast("Callable[..., Scipys]", scipys(f"sparse.{name}"))


def _joined(parts: Sequence[SparseArray], join: Callable[[list[Scipys]], Scipys], format: Format | None) -> SparseArray:
    """What a function that puts the values of several arrays into one makes of them: it is told where they go by their
    numbers."""
    numbered: list[Scipys] = []
    count = 0
    for part in parts:
        numbered.append(part.structure.filled(np.arange(count + 1, count + part.nnz + 1, dtype=np.float64)))
        count += part.nnz
    made = join(numbered)
    kept = made if made.format in ("csr", "csc", "coo") else made.tocsr()
    data = ops.concatenate([part.data for part in parts]) if count else ops.zeros((0,))
    found = SparseArray.of(data[kept.data.astype(np.intp) - 1], Structure.of(kept))
    return found if format is None else found.asformat(format)


def _single(a: object) -> SparseArray:
    found = ours(a) if is_sparse(a) else SparseArray.from_dense(asarray(a))
    return found if found.structure.distinct else found.sum_duplicates()


def hstack(blocks: Sequence[object], format: Format | None = None, dtype: DTypeLike | None = None) -> SparseArray:
    """Sparse arrays beside each other, as `scipy.sparse.hstack`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.hstack([tn.scipy.sparse.eye_array(2), tn.scipy.sparse.csr_array([[3.0], [0.0]])]).toarray()
    Tensor([[1., 0., 3.],
            [0., 1., 0.]])
    """
    return block_array([blocks], format=format, dtype=dtype)


def vstack(blocks: Sequence[object], format: Format | None = None, dtype: DTypeLike | None = None) -> SparseArray:
    """Sparse arrays above each other, as `scipy.sparse.vstack`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.vstack([tn.scipy.sparse.eye_array(2), tn.scipy.sparse.csr_array([[3.0, 0.0]])]).toarray()
    Tensor([[1., 0.],
            [0., 1.],
            [3., 0.]])
    """
    return block_array([[block] for block in blocks], format=format, dtype=dtype)


def block_array(
    blocks: Sequence[Sequence[object]], *, format: Format | None = None, dtype: DTypeLike | None = None
) -> SparseArray:
    """A sparse array of rows of blocks, as `scipy.sparse.block_array`; None is a block of zeros.

    Raises:
        ValueError: SciPy's, where blocks do not fit.

    >>> import tapenet as tn
    >>> eye = tn.scipy.sparse.eye_array(1)
    >>> tn.scipy.sparse.block_array([[eye, None], [None, 2 * eye]]).toarray()
    Tensor([[1., 0.],
            [0., 2.]])
    """
    parts = [_single(block) for row in blocks for block in row if block is not None]

    def join(numbered: list[Scipys]) -> Scipys:
        rest = iter(numbered)
        return _scipys("block_array")([[None if block is None else next(rest) for block in row] for row in blocks])

    made = _joined(parts, join, format)
    return made if dtype is None else made.astype(dtype)


def block_diag(mats: Sequence[object], format: Format | None = None, dtype: DTypeLike | None = None) -> SparseArray:
    """A sparse array with blocks along its diagonal, as `scipy.sparse.block_diag`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.block_diag([[[1.0, 2.0]], [[3.0]]]).toarray()
    Tensor([[1., 2., 0.],
            [0., 0., 3.]])
    """
    made = _joined([_single(mat) for mat in mats], _scipys("block_diag"), format)
    return made if dtype is None else made.astype(dtype)


def tril(A: object, k: int = 0, format: Format | None = None) -> SparseArray:
    """The values on and below a diagonal, as `scipy.sparse.tril`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.tril([[1.0, 2.0], [3.0, 4.0]]).toarray()
    Tensor([[1., 0.],
            [3., 4.]])
    """
    return _joined([_single(A)], lambda parts: _scipys("tril")(parts[0], k), format)


def triu(A: object, k: int = 0, format: Format | None = None) -> SparseArray:
    """The values on and above a diagonal, as `scipy.sparse.triu`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.triu([[1.0, 2.0], [3.0, 4.0]]).toarray()
    Tensor([[1., 2.],
            [0., 4.]])
    """
    return _joined([_single(A)], lambda parts: _scipys("triu")(parts[0], k), format)


def eye_array(
    m: int, n: int | None = None, *, k: int = 0, dtype: DTypeLike = float, format: Format | None = None
) -> SparseArray:
    """Ones on a diagonal, as `scipy.sparse.eye_array`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.eye_array(2, 3, k=1).toarray()
    Tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    return ours(_scipys("eye_array")(m, n, k=k, dtype=dtype, format=format or "csr"))


def diags_array(
    diagonals: object,
    /,
    *,
    offsets: int | Sequence[int] = 0,
    shape: tuple[int, int] | None = None,
    format: Format | None = None,
    dtype: DTypeLike | None = None,
) -> SparseArray:
    """A sparse array of its diagonals, as `scipy.sparse.diags_array`: a sequence of them, at the `offsets`, or one diagonal at
    one offset. A diagonal of one number is that number everywhere.

    Raises:
        ValueError: SciPy's, where a diagonal has another length than its place.

    >>> import tapenet as tn
    >>> middle = tn.tensor([2.0, 2.0, 2.0], requires_grad=True)
    >>> laplacian = tn.scipy.sparse.diags_array([-1.0, middle, -1.0], offsets=[-1, 0, 1], shape=(3, 3))
    >>> laplacian.toarray().detach()
    Tensor([[ 2., -1.,  0.],
            [-1.,  2., -1.],
            [ 0., -1.,  2.]])
    """
    one = isinstance(offsets, (int, np.integer))
    given = [diagonals] if one else list(cast("Sequence[object]", diagonals))
    rows = [ops.atleast_1d(asarray(d)) for d in given]
    counts = np.cumsum([0, *(r.size for r in rows)])
    numbered = [np.arange(a + 1.0, b + 1.0) for a, b in itertools.pairwise(counts)]
    made = _scipys("diags_array")(numbered, offsets=[offsets] if one else offsets, shape=shape).asformat("coo")
    data = ops.concatenate(rows)
    if dtype is not None:
        data = data.astype(dtype_of(dtype))
    return SparseArray.of(data[made.data.astype(np.intp) - 1], Structure.of(made)).asformat(format or "csr")


def kron(A: object, B: object, format: Format | None = None) -> SparseArray:
    """The Kronecker product, as `scipy.sparse.kron`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.kron([[1.0, 2.0]], [[0.0, 3.0]]).toarray()
    Tensor([[0., 3., 0., 6.]])
    """
    a, b = _single(A), _single(B)
    (m, n), (p, q) = a.shape, b.shape
    rows = (a.row.astype(np.int64)[:, None] * p + b.row).ravel()
    columns = (a.col.astype(np.int64)[:, None] * q + b.col).ravel()
    data = cast("Tensor", ops.outer(a.data, b.data)).reshape(-1)
    return SparseArray.of(data, Structure("coo", (m * p, n * q), rows, columns)).asformat(format or "csr")


def kronsum(A: object, B: object, format: Format | None = None) -> SparseArray:
    """The Kronecker sum of square matrices, kron(I, A) + kron(B, I), as `scipy.sparse.kronsum`.

    Raises:
        ValueError: a matrix is not square.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.kronsum([[1.0, 2.0], [0.0, 3.0]], [[5.0]]).toarray()
    Tensor([[6., 2.],
            [0., 8.]])
    """
    a, b = _single(A), _single(B)
    for name, x in (("A", a), ("B", b)):
        if x.shape[0] != x.shape[1]:
            raise ValueError(f"kronsum: {name} is not square but of shape {x.shape}")
    left, right = kron(eye_array(b.shape[0]), a), kron(b, eye_array(a.shape[0]))
    return cast("SparseArray", left + right).asformat(format or "csr")


def find(
    A: object,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int32]], np.ndarray[tuple[int], np.dtype[np.int32]], Tensor]:
    """Rows, columns and values of what is not 0, as `scipy.sparse.find`.

    >>> import tapenet as tn
    >>> rows, columns, values = tn.scipy.sparse.find([[0.0, 2.0], [3.0, 0.0]])
    >>> rows, columns, values
    (array([0, 1], dtype=int32), array([1, 0], dtype=int32), Tensor([2., 3.]))
    """
    a = _single(A)
    at = np.flatnonzero(a.data.detach().numpy())
    return a.row[at].astype(np.int32), a.col[at].astype(np.int32), a.data[at]


def issparse(x: object) -> bool:
    """Whether something is a sparse array, of tensors or of SciPy's.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.issparse(tn.scipy.sparse.eye_array(2)), tn.scipy.sparse.issparse([[1.0]])
    (True, False)
    """
    return is_sparse(x)


def random_array(
    shape: tuple[int, int],
    *,
    density: float = 0.01,
    format: Format = "coo",
    dtype: DTypeLike | None = None,
    rng: np.random.Generator | int | None = None,
    data_sampler: Callable[..., ArrayLike] | None = None,
    **random_state: object,
) -> SparseArray:
    """A sparse array with random values at random places, as `scipy.sparse.random_array`. `random_state=`, for generators as
    NumPy had them before, may stand in place of `rng=`.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.random_array((10, 10), density=0.1, rng=0).nnz
    10
    """
    given = {**random_state} if rng is None else {"rng": rng, **random_state}  # SciPy tells what has no such name
    made = _scipys("random_array")(
        shape, density=density, format=format, dtype=dtype, data_sampler=data_sampler, **given
    )
    return ours(made)
