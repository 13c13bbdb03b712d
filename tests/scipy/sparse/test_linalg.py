"""Sparse systems, eigenvalues and functions of matrices: SciPy's values, gradients of two orders, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

import tapenet as tn
from tapenet.scipy.sparse.arrays import SparseArray
from tapenet.testing import check_grads

S = tn.scipy.sparse
L = S.linalg
R = np.random.default_rng(0)
A = (scipy.sparse.random_array((6, 6), density=0.3, rng=0) + scipy.sparse.diags_array(np.arange(3.0, 9))).tocsr()
SYMMETRIC, LOWER = (A + A.T).tocsr(), scipy.sparse.tril(A, format="csr")
TALL = scipy.sparse.random_array((8, 4), density=0.6, format="csr", rng=3)
B, C, B8 = R.normal(size=6), R.normal(size=(6, 2)), R.normal(size=8)


def made(like: Any, data: Any) -> SparseArray:
    return SparseArray.of(data, S.csr_array(like).structure)


#: The matrix, further arrays, the function, and SciPy's.
CALLS: dict[str, tuple[Any, list[Any], Callable[..., Any], Callable[..., Any] | None]] = {
    "spsolve": (A, [B], lambda a, b: L.spsolve(a, b), scipy.sparse.linalg.spsolve),
    "spsolve of columns": (A, [C], lambda a, b: L.spsolve(a, b), scipy.sparse.linalg.spsolve),
    "splu, transposed": (A, [B], lambda a, b: L.splu(a).solve(b, "T"), lambda a, b: scipy.sparse.linalg.spsolve(a.T, b)),
    "factorized": (A, [B], lambda a, b: L.factorized(a)(b), scipy.sparse.linalg.spsolve),
    "inv": (A, [], lambda a: L.inv(a).toarray(), lambda a: scipy.sparse.linalg.inv(a.tocsc()).toarray()),
    "lower": (LOWER, [B], L.spsolve_triangular, scipy.sparse.linalg.spsolve_triangular),
    "upper": (
        LOWER, [B], lambda a, b: L.spsolve_triangular(a.T, b, lower=False),
        lambda a, b: np.linalg.solve(a.toarray().T, b),
    ),
    "unit": (
        LOWER, [B], lambda a, b: L.spsolve_triangular(a, b, unit_diagonal=True),
        lambda a, b: scipy.sparse.linalg.spsolve_triangular(a, b, unit_diagonal=True),
    ),
    "cg": (SYMMETRIC, [B], lambda a, b: L.cg(a, b, rtol=1e-13)[0], scipy.sparse.linalg.spsolve),
    "minres": (SYMMETRIC, [B], lambda a, b: L.minres(a, b, rtol=1e-13)[0], scipy.sparse.linalg.spsolve),
    "bicgstab": (A, [B], lambda a, b: L.bicgstab(a, b, rtol=1e-13)[0], scipy.sparse.linalg.spsolve),
    "cgs": (A, [B], lambda a, b: L.cgs(a, b, rtol=1e-13)[0], scipy.sparse.linalg.spsolve),
    "gmres": (A, [B], lambda a, b: L.gmres(a, b, rtol=1e-13)[0], scipy.sparse.linalg.spsolve),
    "lgmres": (A, [B], lambda a, b: L.lgmres(a, b, rtol=1e-13)[0], scipy.sparse.linalg.spsolve),
    "gcrotmk": (A, [B], lambda a, b: L.gcrotmk(a, b, rtol=1e-13)[0], scipy.sparse.linalg.spsolve),
    "tfqmr": (A, [B], lambda a, b: L.tfqmr(a, b, rtol=1e-13)[0], scipy.sparse.linalg.spsolve),
    "lsqr": (TALL, [B8], lambda a, b: L.lsqr(a, b, atol=1e-13, btol=1e-13)[0], lambda a, b: np.linalg.lstsq(a.toarray(), b)[0]),
    "lsmr, damped": (
        TALL, [B8], lambda a, b: L.lsmr(a, b, damp=0.3, atol=1e-13, btol=1e-13)[0],
        lambda a, b: np.linalg.solve((a.T @ a).toarray() + 0.09 * np.eye(4), a.T @ b),
    ),
    "eigsh": (
        A, [], lambda a: L.eigsh(a + a.T, k=2, return_eigenvectors=False),
        lambda a: np.linalg.eigvalsh((a + a.T).toarray())[-2:],
    ),
    "eigenvectors": (A, [], lambda a: L.eigsh(a + a.T, k=2, sigma=0.1)[1], None),
    "svds": (TALL, [], lambda a: L.svds(a, k=2)[1], lambda a: np.linalg.svd(a.toarray())[1][1::-1]),
    "singular vectors": (TALL, [], lambda a: (lambda u, s, vt: (u * s) @ vt)(*L.svds(a, k=2)), None),
    "expm_multiply": (A, [B, 0.3], L.expm_multiply, lambda a, b, t: scipy.sparse.linalg.expm_multiply(t * a, b)),
    "norm": (A, [], L.norm, scipy.sparse.linalg.norm),
    "norm 1": (A, [], lambda a: L.norm(a, 1), lambda a: scipy.sparse.linalg.norm(a, 1)),
    "norm of rows": (A, [], lambda a: L.norm(a, axis=1), lambda a: scipy.sparse.linalg.norm(a, axis=1)),
    "matrix_power": (A, [], lambda a: L.matrix_power(a, 3).toarray(), lambda a: (a @ a @ a).toarray()),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_values_and_gradients(name: str) -> None:
    matrix, others, call, theirs = CALLS[name]
    if theirs is not None:
        found = call(made(matrix, tn.tensor(matrix.data)), *map(tn.tensor, others))
        np.testing.assert_allclose(found.numpy(), theirs(matrix, *others), rtol=1e-9, atol=1e-11)
    check_grads(lambda d, *rest: call(made(matrix, d), *rest), [matrix.data, *map(np.asarray, others)], order=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_second_derivatives(name: str) -> None:
    matrix, others, call, _ = CALLS[name]
    check_grads(lambda d, *rest: call(made(matrix, d), *rest), [matrix.data, *map(np.asarray, others)], order=2)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("name", CALLS)
def test_compiled(name: str, backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    matrix, others, call, _ = CALLS[name]
    more = {"bound": 20.0} if name == "expm_multiply" else {}

    def loss(data: Any, *rest: Any) -> Any:
        out = call(made(matrix, data), *rest, **more)
        return (out * np.arange(1.0, out.size + 1).reshape(out.shape)).sum()

    gradient = tn.value_and_grad(loss, argnums=tuple(range(len(others) + 1)))
    compiled = tn.compile(gradient, backend=backend)
    compiled(2 * matrix.data, *others)
    (value, expected), (found, found_gradients) = gradient(matrix.data, *others), compiled(matrix.data, *others)
    np.testing.assert_allclose(found.numpy(), value.numpy(), rtol=1e-8)
    for mine, reference in zip(found_gradients, expected, strict=True):
        np.testing.assert_allclose(mine.numpy(), reference.numpy(), rtol=1e-6, atol=1e-9)


def test_complex_systems() -> None:
    data = A.data + 1j * R.normal(size=A.nnz)
    b = B + 1j
    theirs = scipy.sparse.linalg.splu(S.csr_array(A).structure.filled(data).tocsc())
    for trans in ("N", "T", "H"):
        check_grads(lambda d, b, trans=trans: L.splu(made(A, d)).solve(b, trans), [data, b], order=1)
        found = L.splu(made(A, tn.tensor(data))).solve(b, trans)
        np.testing.assert_allclose(found.numpy(), theirs.solve(b, trans), rtol=1e-12)


def test_one_factorisation_serves_the_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    made_factors: list[object] = []
    real = scipy.sparse.linalg.splu
    monkeypatch.setattr(scipy.sparse.linalg, "splu", lambda *a, **k: made_factors.append(1) or real(*a, **k))
    data = tn.tensor(A.data, requires_grad=True)
    lu = L.splu(made(A, data))
    (lu.solve(B) + lu.solve(2 * B)).sum().backward()
    assert len(made_factors) == 1
    with tn.no_grad():
        data -= 0.1 * data.grad  # other numbers
        found = L.spsolve(made(A, data), B)
    np.testing.assert_allclose(made(A, data.detach()).numpy() @ found.numpy(), B)


def test_a_matrix_known_by_its_products() -> None:
    scale = tn.tensor(2.0, requires_grad=True)
    x, info = L.cg(lambda v: scale * v + 0.1 * v.sum(), B, rtol=1e-13)
    assert info == 0
    x.sum().backward()
    check_grads(lambda s: L.cg(lambda v: s * v + 0.1 * v.sum(), B, rtol=1e-13)[0].sum(), [np.array(2.0)], order=2)
    x, info = L.gmres(
        A.toarray(), B, rtol=1e-13, M=scipy.sparse.linalg.aslinearoperator(scipy.sparse.diags_array(1 / A.diagonal()))
    )
    np.testing.assert_allclose(A @ x.numpy(), B)


def test_what_does_not_converge_is_said() -> None:
    _, info = L.cg(made(SYMMETRIC, tn.tensor(SYMMETRIC.data)), B, rtol=1e-14, maxiter=1)
    assert info > 0
    step = tn.compile(lambda d: L.cg(made(SYMMETRIC, d), B, rtol=1e-14, maxiter=1)[0], backend="numpy")
    with pytest.raises(RuntimeError, match="cg did not solve"):
        step(SYMMETRIC.data)


def test_errors() -> None:
    matrix = made(A, tn.tensor(A.data))
    with pytest.raises(TypeError, match=r"splu takes a sparse array, not ndarray"):
        L.splu(np.eye(2))
    with pytest.raises(ValueError, match=r"not square but of shape \(8, 4\)"):
        L.spsolve(made(TALL, tn.tensor(TALL.data)), B8)
    with pytest.raises(ValueError, match=r"solve: the right side has shape \(8,\), the matrix \(6, 6\)"):
        L.splu(matrix).solve(B8)
    with pytest.raises(ValueError, match="spsolve: the right side has shape"):
        L.spsolve(matrix, B8)
    with pytest.raises(np.linalg.LinAlgError, match="not lower triangular"):
        L.spsolve_triangular(matrix.T, B)
    with pytest.raises(RuntimeError, match="singular"):
        L.spsolve(S.csr_array(([1.0, 1.0], ([0, 1], [0, 0])), shape=(2, 2)), np.ones(2))
    with pytest.raises(ValueError, match=r"b has shape \(6, 2\)"):
        L.cg(matrix, C)
    with pytest.raises(ValueError, match="give bound="):
        tn.compile(lambda d: L.expm_multiply(made(A, d), B))(A.data)


@pytest.mark.parametrize("name", ["bicgstab", "cgs", "gmres", "lgmres", "gcrotmk", "tfqmr"])
def test_preconditioners_change_no_solution(name: str) -> None:
    """SciPy's tfqmr gives another solution with a preconditioner. One of SciPy's arrays serves in compiled functions too."""
    start = A.tocsc()
    near = scipy.sparse.diags_array(1 / A.diagonal())

    def solved(data: Any) -> Any:
        matrix = S.csc_array((data, start.indices, start.indptr), shape=A.shape)
        return getattr(L, name)(matrix, np.arange(6.0), rtol=1e-13, M=near)[0]

    expected = scipy.sparse.linalg.spsolve(start, np.arange(6.0))
    np.testing.assert_allclose(solved(tn.tensor(start.data)).numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(tn.compile(solved, backend="numpy")(tn.tensor(start.data)).numpy(), expected, rtol=1e-9)
    check_grads(solved, [start.data], order=1)


@pytest.mark.parametrize("name", ["bicgstab", "gmres", "lgmres"])
def test_complex_matrices_with_real_right_sides(name: str) -> None:
    matrix = A * (1 + 0.5j)
    found, info = getattr(L, name)(S.csr_array(matrix), B, rtol=1e-12)
    assert info == 0
    np.testing.assert_allclose(found.numpy(), scipy.sparse.linalg.spsolve(matrix.tocsc(), B.astype(complex)), rtol=1e-9)
