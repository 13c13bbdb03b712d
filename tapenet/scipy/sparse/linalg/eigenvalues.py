"""A few eigenvalues and singular values of sparse arrays. ARPACK finds them; derivatives are solutions of sparse systems."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Literal, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.scipy.followed import scipys
from tapenet.scipy.sparse.arrays import SparseArray, is_sparse, ours
from tapenet.scipy.sparse.linalg.factorization import solution
from tapenet.scipy.sparse.structure import Structure
from tapenet.typing import Array

_Method = Callable[..., tuple[Array, ...]]


class _Pairs:
    """How eigenpairs of a matrix H are found, and where the values of the bordered matrix [[Hᵀ - w, v], [-vᵀ, 0]] are.

    Attributes:
        rows, columns: of the values of H.
        size: of H.
        find: gives eigenvalues, and eigenvectors as columns, of the values of H.
    """

    def __init__(self, rows: Array, columns: Array, size: int, find: Callable[[Array], tuple[Array, Array]]) -> None:
        self.rows, self.columns, self.size, self.find = rows, columns, size, find

    @cached_property
    def bordered(self) -> tuple[Structure, Array]:
        """The structure of the bordered matrix, and the place in it of each value of H, each -w, each of v and of -v."""
        n = self.size
        count, last = np.arange(n), np.full(n, n)
        rows = np.concatenate([self.columns, count, count, last])
        columns = np.concatenate([self.rows, count, last, count])
        all_values = Structure("coo", (n + 1, n + 1), rows, columns)
        structure = Structure.of(all_values.filled(np.ones(rows.size)).tocsr().asformat("csc"))
        return structure, all_values.places_in(structure)


def _rule(g: tuple[Array, Array], data: Array, out: tuple[Array, Array], pairs: _Pairs) -> Array:
    """Pair by pair: with u that solves [[Hᵀ - w, v], [-vᵀ, 0]] u = (g of v, g of w) the gradient by a value at (i, j) is
    -u[i] v[j]."""
    total: Array = 0 * data
    structure, places = pairs.bordered
    for k in range(out[0].shape[0]):
        w, v = out[0][k], out[1][:, k]
        values = np.concatenate([data, -w * np.ones(pairs.size), v, -v])
        right = np.concatenate([g[1][:, k], g[0][k : k + 1]])
        u = solution(ops.scatter_add(values, places, (structure.size,)), right, structure=structure)
        total = total - u[pairs.rows] * v[pairs.columns]
    return total


@op(name="eigenpairs", outputs=2, opaque="ARPACK iterates", data=_rule, label="eigenpairs")
def eigenpairs(data: Array, *, pairs: _Pairs) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of a symmetric matrix with `data` at the places that `pairs` knows."""
    return pairs.find(data)


def _real(A: object, name: str) -> SparseArray:
    if not is_sparse(A):
        raise TypeError(f"{name} takes a sparse array, not {type(A).__name__}; for a dense matrix there is tn.linalg")
    matrix = ours(A).sum_duplicates()
    if matrix.dtype.kind == "c":
        raise TypeError(f"{name}: derivatives of a complex matrix are not there; write tn.linalg of A.toarray()")
    return matrix


def eigsh(
    A: object,
    k: int = 6,
    *,
    sigma: float | None = None,
    which: str = "LM",
    v0: object = None,
    ncv: int | None = None,
    maxiter: int | None = None,
    tol: float = 0,
    return_eigenvectors: bool = True,
    rng: np.random.Generator | int | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """A few eigenvalues of a real symmetric matrix, as `scipy.sparse.linalg.eigsh`, in ascending order, and their vectors.

    Each of these eigenvalues is to be simple: vectors of a repeated one are not determined, and have no derivative. The largest
    component of a vector is positive, so that it does not change with how it is found.

    Args:
        A: a sparse array; both triangles are stored.
        k: how many.
        sigma, which, v0, ncv, maxiter, tol: as SciPy's.
        return_eigenvectors: False for the values alone.
        rng: draws the vector to begin with, where there is no `v0`.

    >>> import numpy as np, tapenet as tn
    >>> middle = tn.tensor([2.0, 2.0, 3.0], requires_grad=True)
    >>> A = tn.scipy.sparse.diags_array([-1.0, middle, -1.0], offsets=[-1, 0, 1], shape=(3, 3))
    >>> w, v = tn.scipy.sparse.linalg.eigsh(A, k=1)
    >>> w.detach().round(4), v.detach()[:, 0].round(4)
    (Tensor([3.8019]), Tensor([ 0.328, -0.591,  0.737]))
    """
    matrix = _real(A, "eigsh")
    structure = matrix.structure
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"eigsh: the matrix is not square but of shape {matrix.shape}")
    n = matrix.shape[0]
    options = {"sigma": sigma, "which": which, "v0": v0, "ncv": ncv, "maxiter": maxiter, "tol": tol}

    def find(data: Array) -> tuple[Array, Array]:
        start = np.random.default_rng(0 if rng is None else rng).uniform(-1, 1, n)
        given = options | ({"v0": start.astype(data.dtype)} if v0 is None else {})
        w, v = cast("_Method", scipys("sparse.linalg.eigsh"))(structure.filled(data).asformat("csc"), k, **given)
        order = np.argsort(w)
        return w[order], _signed(v[:, order])

    pairs = _Pairs(structure.rows, structure.columns, n, find)
    w, v = cast("tuple[Tensor, Tensor]", eigenpairs(matrix.data, pairs=pairs))
    return (w, v) if return_eigenvectors else w


def _signed(v: Array) -> Array:
    """Columns whose largest components are positive."""
    largest = v[np.argmax(np.abs(v), axis=0), np.arange(v.shape[1])]
    return np.asarray(v * np.where(largest < 0, -1.0, 1.0).astype(v.dtype))


def svds(
    A: object,
    k: int = 6,
    ncv: int | None = None,
    tol: float = 0,
    which: Literal["LM", "SM"] = "LM",
    v0: object = None,
    maxiter: int | None = None,
    return_singular_vectors: bool = True,
    rng: np.random.Generator | int | None = None,
) -> Tensor | tuple[Tensor, Tensor, Tensor]:
    """A few singular values of a real matrix, as `scipy.sparse.linalg.svds` with ARPACK: u, s in ascending order, and vᵀ.

    Each of these values is to be simple and not 0. The largest component of each pair of vectors is positive.

    Args:
        A: a sparse array.
        k: how many.
        ncv, tol, which, v0, maxiter: as SciPy's.
        return_singular_vectors: False for the values alone.
        rng: draws the vector to begin with.

    >>> import numpy as np, tapenet as tn
    >>> A = tn.scipy.sparse.csr_array([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    >>> u, s, vt = tn.scipy.sparse.linalg.svds(A, k=1)
    >>> np.round(s, 9)
    Tensor([3.])
    """
    matrix = _real(A, "svds")
    structure, (m, n) = matrix.structure, matrix.shape
    options = {"ncv": ncv, "tol": tol, "which": which, "v0": v0, "maxiter": maxiter}

    def find(data: Array) -> tuple[Array, Array]:
        start = np.random.default_rng(0 if rng is None else rng).uniform(-1, 1, min(m, n))
        given = options | ({"v0": start.astype(data.dtype)} if v0 is None else {})
        u, s, vt = cast("_Method", scipys("sparse.linalg.svds"))(structure.filled(data[: structure.size]), k, **given)
        order = np.argsort(s)
        both = np.concatenate([u[:, order], vt.T[:, order]]) / np.sqrt(2).astype(u.dtype)
        return s[order], _signed(both)

    # Singular values are eigenvalues of [[0, A], [Aᵀ, 0]], and (u, v)/√2 are eigenvectors.
    rows = np.concatenate([structure.rows, structure.columns + m])
    columns = np.concatenate([structure.columns + m, structure.rows])
    pairs = _Pairs(rows, columns, m + n, find)
    s, both = cast("tuple[Tensor, Tensor]", eigenpairs(ops.concatenate([matrix.data, matrix.data]), pairs=pairs))
    root = np.sqrt(2).astype(s.dtype)
    return (both[:m] * root, s, (both[m:] * root).T) if return_singular_vectors else s
