"""Sparse systems solved by an LU factorisation, SciPy's SuperLU. Solutions with the transposed matrix, which derivatives need,
use the same factors.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.scipy.sparse.arrays import SparseArray, is_sparse, ours
from tapenet.scipy.sparse.structure import Structure
from tapenet.typing import Array


class _Factors(Protocol):
    def solve(self, rhs: Array, trans: str = "N") -> Array: ...


class _Kept(NamedTuple):
    data: Array
    options: tuple[tuple[str, object], ...]
    factors: _Factors


#: Structure -> its last factorisation, as long as the structure is there.
_last: weakref.WeakKeyDictionary[Structure, _Kept] = weakref.WeakKeyDictionary()


def _factors(data: Array, structure: Structure, options: tuple[tuple[str, object], ...]) -> _Factors:
    """The factors of a matrix in format "csc". The backward pass, and a second system, find those that the last one left: they
    are of the same numbers, which is looked at."""
    kept = _last.get(structure)
    if kept is None or kept.options != options or not np.array_equal(kept.data, data, equal_nan=True):
        from scipy.sparse import linalg

        factor = cast("Callable[..., _Factors]", linalg.splu)
        kept = _Kept(data.copy(), options, factor(structure.filled(data), **dict(options)))
        _last[structure] = kept
    return kept.factors


@op(
    name="sparse_solve",
    opaque="SciPy factors the matrix",
    data=lambda g, data, out, structure, transposed, options: _by_matrix(g, data, out, structure, transposed, options),
    b=lambda g, data, structure, transposed, options: _solved(data, g, structure, not transposed, options),
    vmap=lambda batched, data, b, structure, transposed, options: _lanes(
        batched, data, b, structure, transposed, options
    ),
    formula="A⁻¹ b",
    label="sparse solve",
)
def solution(
    data: Array,
    b: Array,
    *,
    structure: Structure,
    transposed: bool = False,
    options: tuple[tuple[str, object], ...] = (),
) -> Array:
    """The solution of A x = b, or of Aᵀ x = b, for a matrix A with `data` at the places of `structure`, in format "csc"."""
    dtype = np.result_type(data, b, np.float32)
    factors = _factors(data.astype(dtype, copy=False), structure, options)
    return factors.solve(b.astype(dtype, copy=False), "T" if transposed else "N")


def _solved(
    data: Array, b: Array, structure: Structure, transposed: bool, options: tuple[tuple[str, object], ...]
) -> Array:
    found: Array = solution(data, b, structure=structure, transposed=transposed, options=options)
    return found


def _by_matrix(
    g: Array, data: Array, out: Array, structure: Structure, transposed: bool, options: tuple[tuple[str, object], ...]
) -> Array:
    """-(A⁻ᵀ g) xᵀ, at the places of A."""
    w = _solved(data, g, structure, not transposed, options)
    left, right = (out, w) if transposed else (w, out)
    products: Array = left[structure.rows] * right[structure.columns]
    return -(products if products.ndim == 1 else products.sum(axis=1))


def _lanes(
    batched: set[str],
    data: Array,
    b: Array,
    structure: Structure,
    transposed: bool,
    options: tuple[tuple[str, object], ...],
) -> object:
    """Lanes of b are further columns."""
    if batched != {"b"}:
        return NotImplemented
    columns = np.moveaxis(b, 0, -1)
    found = _solved(data, columns.reshape(columns.shape[0], -1), structure, transposed, options)
    made: Array = np.moveaxis(found.reshape(columns.shape), -1, 0)
    return made


class Factorization:
    """A matrix to solve systems with, as SciPy's `SuperLU`. Made by `splu`.

    Attributes:
        shape, nnz: of the matrix.
    """

    def __init__(self, matrix: SparseArray, options: tuple[tuple[str, object], ...], name: str = "solve") -> None:
        """`name` is what errors of `solve` name."""
        self._matrix, self._options, self._name = matrix, options, name
        self.shape, self.nnz = matrix.shape, matrix.nnz

    def solve(self, rhs: object, trans: Literal["N", "T", "H"] = "N") -> Tensor:
        """The solution of A x = rhs ("N"), Aᵀ x = rhs ("T") or Aᴴ x = rhs ("H").

        Args:
            rhs: a vector, or a matrix whose columns are solved for.
        """
        if trans not in ("N", "T", "H"):
            raise ValueError(f"{self._name}: trans is 'N', 'T' or 'H', not {trans!r}")
        b = asarray(rhs)
        if b.ndim not in (1, 2) or b.shape[0] != self.shape[0]:
            raise ValueError(f"{self._name}: the right side has shape {b.shape}, the matrix {self.shape}")
        conjugate = trans == "H"
        given = b.conj() if conjugate else b
        structure = self._matrix.structure
        found = solution(self._matrix.data, given, structure=structure, transposed=trans != "N", options=self._options)
        return cast("Tensor", found.conj() if conjugate else found)


def _square(a: object, name: str) -> SparseArray:
    """A matrix to solve with, in format "csc"."""
    if not is_sparse(a):
        raise TypeError(f"{name} takes a sparse array, not {type(a).__name__}: tn.scipy.sparse.csc_array(a) makes one")
    matrix = ours(a).tocsc()
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name}: the matrix is not square but of shape {matrix.shape}")
    return matrix if matrix.structure.canonical else matrix.sum_duplicates().tocsc().sorted_indices()


def splu(
    A: object,
    permc_spec: str | None = None,
    diag_pivot_thresh: float | None = None,
    relax: int | None = None,
    panel_size: int | None = None,
    options: dict[str, object] | None = None,
) -> Factorization:
    """The LU factorisation of a square matrix, as `scipy.sparse.linalg.splu`: for many right sides, all differentiable, one
    factorisation. It is made when the first one is solved for.

    Raises:
        TypeError: `A` is not sparse.
        ValueError: it is not square.
        RuntimeError: it is singular; SciPy's, when a system is solved.

    >>> import numpy as np, tapenet as tn
    >>> A = tn.scipy.sparse.csc_array(np.array([[2.0, 1.0], [0.0, 4.0]]))
    >>> lu = tn.scipy.sparse.linalg.splu(A)
    >>> lu.solve(np.array([4.0, 8.0])), lu.solve(np.array([4.0, 8.0]), "T")
    (Tensor([1., 2.]), Tensor([2. , 1.5]))
    """
    given = {
        "permc_spec": permc_spec,
        "diag_pivot_thresh": diag_pivot_thresh,
        "relax": relax,
        "panel_size": panel_size,
        "options": options,
    }
    return Factorization(_square(A, "splu"), tuple((n, v) for n, v in given.items() if v is not None))


def factorized(A: object) -> Callable[[object], Tensor]:
    """A function that solves systems with a matrix, as `scipy.sparse.linalg.factorized`.

    >>> import numpy as np, tapenet as tn
    >>> solve = tn.scipy.sparse.linalg.factorized(tn.scipy.sparse.csc_array([[2.0, 0.0], [0.0, 4.0]]))
    >>> solve(np.array([2.0, 2.0]))
    Tensor([1. , 0.5])
    """
    return splu(A).solve


def spsolve(A: object, b: object, permc_spec: str | None = None, use_umfpack: bool = True) -> Tensor | SparseArray:
    """The solution x of A x = b, as `scipy.sparse.linalg.spsolve`.

    Derivatives: with w = A⁻ᵀ g that by b is w, and that by a stored value of A at (i, j) is -w[i] x[j].

    Args:
        A: a square sparse array.
        b: a vector, or a dense or sparse matrix whose columns are solved for.
        permc_spec: how SuperLU orders the columns.
        use_umfpack: of no effect: SuperLU is used.

    Returns:
        x as b is: dense, or sparse with all of its values stored.

    >>> import numpy as np, tapenet as tn
    >>> values = tn.tensor([2.0, 1.0, 4.0], requires_grad=True)
    >>> A = tn.scipy.sparse.csr_array((values, ([0, 0, 1], [0, 1, 1])))
    >>> x = tn.scipy.sparse.linalg.spsolve(A, np.array([4.0, 8.0]))
    >>> x.detach()
    Tensor([1., 2.])
    >>> x.sum().backward()
    >>> values.grad
    Tensor([-0.5 , -1.  , -0.25])
    """
    solve = Factorization(_square(A, "spsolve"), (("permc_spec", permc_spec or "COLAMD"),), "spsolve").solve
    if is_sparse(b):
        return _all_stored(solve(ours(b).toarray())).asformat(ours(b).format)
    given = asarray(b)
    column = given.ndim == 2 and given.shape[1] == 1
    return solve(given.reshape(-1)) if column else solve(given)


def spsolve_triangular(
    A: object,
    b: object,
    lower: bool = True,
    overwrite_A: bool = False,
    overwrite_b: bool = False,
    unit_diagonal: bool = False,
) -> Tensor:
    """The solution x of A x = b for a triangular matrix, as `scipy.sparse.linalg.spsolve_triangular`.

    Args:
        A: a square sparse array; what lies on the other side of its diagonal must not be stored.
        b: a vector or matrix.
        lower: whether A is lower triangular.
        overwrite_A, overwrite_b: of no effect: nothing is overwritten.
        unit_diagonal: take the diagonal as ones.

    Raises:
        LinAlgError: A is not triangular, or a value of its diagonal is 0 or not stored.

    >>> import numpy as np, tapenet as tn
    >>> A = tn.scipy.sparse.csr_array([[2.0, 0.0], [1.0, 4.0]])
    >>> tn.scipy.sparse.linalg.spsolve_triangular(A, np.array([2.0, 5.0]))
    Tensor([1., 1.])
    """
    matrix = _square(A, "spsolve_triangular")
    rows, columns = matrix.coords
    if ((columns > rows) if lower else (columns < rows)).any():
        raise np.linalg.LinAlgError(f"spsolve_triangular: the matrix is not {'lower' if lower else 'upper'} triangular")
    if unit_diagonal:
        off = rows != columns
        count = np.arange(matrix.shape[0])
        both = np.concatenate([rows[off], count]), np.concatenate([columns[off], count])
        data = ops.concatenate([matrix.data[np.flatnonzero(off)], np.ones(count.size, matrix.dtype)])
        matrix = SparseArray.of(data, Structure("coo", matrix.shape, *both)).tocsc()
    elif np.count_nonzero(rows == columns) < matrix.shape[0]:
        raise np.linalg.LinAlgError("spsolve_triangular: the matrix is singular: a value of its diagonal is not stored")
    natural = (("diag_pivot_thresh", 0.0), ("permc_spec", "NATURAL"))  # factors are the matrix itself
    return Factorization(matrix, natural, "spsolve_triangular").solve(b)


def inv(A: object) -> SparseArray:
    """The inverse, as `scipy.sparse.linalg.inv`: a sparse array with all of its values stored, as most are not 0.

    >>> import tapenet as tn
    >>> tn.scipy.sparse.linalg.inv(tn.scipy.sparse.csc_array([[2.0, 0.0], [0.0, 4.0]])).toarray()
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    matrix = _square(A, "inv")
    return _all_stored(Factorization(matrix, ()).solve(np.eye(matrix.shape[0]))).asformat(ours(A).format)


def _all_stored(dense: Tensor) -> SparseArray:
    rows, columns = np.indices(dense.shape, np.int32).reshape(2, -1)
    return SparseArray.of(dense.reshape(-1), Structure("coo", (dense.shape[0], dense.shape[1]), rows, columns))
