"""Sparse arrays of tensors: SciPy's values and formats, gradients by the stored values, compiled, batched."""

from __future__ import annotations

import copy
import importlib.util
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
R = np.random.default_rng(0)
DENSE, X, Z = R.normal(size=(5, 4)), R.normal(size=4), R.normal(size=5)


def scipys(kind: str, shape: tuple[int, int], seed: int) -> Any:
    return scipy.sparse.random_array(shape, density=0.4, format=kind, rng=seed)


def with_values(like: Any, data: Any) -> SparseArray:
    """An array of the structure of SciPy's, and values."""
    mine: SparseArray = getattr(S, f"{like.format}_array")(like)
    return SparseArray.of(data, mine.structure)


def dense(found: Any) -> Any:
    return found.toarray() if hasattr(found, "toarray") else found


#: What is done, and with what: A and B are sparse and of one shape, C has another.
CALLS: dict[str, tuple[Callable[..., Any], str]] = {
    "A @ x": (lambda A, x: A @ x, "Ax"),
    "z @ A": (lambda z, A: z @ A, "zA"),
    "A @ C": (lambda A, C: A @ C, "AC"),
    "A @ dense": (lambda A, D: A @ D.T, "AD"),
    "dense @ C": (lambda D, C: D @ C, "DC"),
    "A.dot(x)": (lambda A, x: A.dot(x), "Ax"),
    "A + B": (lambda A, B: A + B, "AB"),
    "A - B": (lambda A, B: A - B, "AB"),
    "A + dense": (lambda A, D: A + D, "AD"),
    "dense - A": (lambda D, A: D - A, "DA"),
    "multiply": (lambda A, B: A.multiply(B), "AB"),
    "multiply by dense": (lambda A, D: A.multiply(D), "AD"),
    "multiply by a vector": (lambda A, x: A.multiply(x), "Ax"),
    "3 * A": (lambda A: 3 * A, "A"),
    "A / 2": (lambda A: A / 2, "A"),
    "-A": (lambda A: -A, "A"),
    "abs": (lambda A: abs(A), "A"),
    "power": (lambda A: A.power(3), "A"),
    "np.sin": (lambda A: np.sin(A), "A"),
    "np.tanh": (lambda A: np.tanh(A), "A"),
    "T": (lambda A: A.T, "A"),
    "reshape": (lambda A: A.reshape(4, 5), "A"),
    "tocsr": (lambda A: A.tocsr(), "A"),
    "tocsc": (lambda A: A.tocsc(), "A"),
    "tocoo": (lambda A: A.tocoo(), "A"),
    "sum": (lambda A: A.sum(), "A"),
    "sum over rows": (lambda A: A.sum(axis=0), "A"),
    "sum over columns": (lambda A: A.sum(axis=-1), "A"),
    "mean": (lambda A: A.mean(0), "A"),
    "max": (lambda A: A.max(axis=1), "A"),
    "diagonal": (lambda A: A.diagonal(), "A"),
    "a diagonal below": (lambda A: A.diagonal(-2), "A"),
    "trace": (lambda A: A.trace(), "A"),
    "an element": (lambda A: A.tocsr()[1, 2], "A"),
    "a row": (lambda A: A.tocsr()[1], "A"),
    "a column": (lambda A: A.tocsr()[:, 1], "A"),
    "a block": (lambda A: A.tocsr()[1:3, ::2], "A"),
    "some rows": (lambda A: A.tocsr()[[0, 3]], "A"),
    "by a mask": (lambda A: A.tocsr()[np.array([True, False, True, False, False])], "A"),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", ["csr", *(pytest.param(k, marks=pytest.mark.slow) for k in ("csc", "coo"))])
def test_values_and_gradients(kind: str, name: str) -> None:
    call, given = CALLS[name]
    sparse = {"A": scipys(kind, (5, 4), 0), "B": scipys(kind, (5, 4), 1), "C": scipys(kind, (4, 3), 2)}
    theirs = [sparse.get(n, {"x": X, "z": Z, "D": DENSE}.get(n)) for n in given]
    arrays = [a.data if n in sparse else a for n, a in zip(given, theirs, strict=True)]

    def function(*values: Any) -> Any:
        made = [with_values(a, v) if n in sparse else v for n, a, v in zip(given, theirs, values, strict=True)]
        return dense(call(*made))

    expected = dense(call(*copy.deepcopy(theirs)))  # SciPy sorts some in place
    np.testing.assert_allclose(function(*map(tn.tensor, arrays)).numpy(), expected, rtol=1e-13, atol=1e-15)
    check_grads(function, arrays, order=2 if kind == "csr" else 1)


def test_scipys_own_arrays_beside_tensors() -> None:
    A = scipys("csr", (5, 4), 0)
    for x in (tn.tensor(X, requires_grad=True), tn.tensor(X)):
        for found in (A @ x, x @ A.T, A.dot(x), np.matmul(A, x), tn.matmul(A, x), scipy.sparse.csr_matrix(A) * x):
            assert isinstance(found, tn.Tensor)
            np.testing.assert_allclose(found.numpy(), A @ X, rtol=1e-13)
    t = tn.tensor(X, requires_grad=True)
    (A @ t).sum().backward()
    np.testing.assert_allclose(t.grad.numpy(), A.sum(axis=0))
    scaled = t * A
    assert isinstance(scaled, S.csr_array)
    np.testing.assert_allclose(scaled.toarray().numpy(), A.toarray() * X)
    with pytest.raises(TypeError, match=r"tn\.scipy\.sparse\.linalg\.spsolve is the same on tensors"):
        scipy.sparse.linalg.spsolve(A[:4].tocsc(), t)


def test_values_in_one_place_are_added() -> None:
    places = ([0, 0, 1], [1, 1, 2])
    A = S.coo_array(([1.0, 2.0, 3.0], places), shape=(2, 3))
    theirs = scipy.sparse.coo_array(([1.0, 2.0, 3.0], places), shape=(2, 3))
    for f in (lambda a: a.power(2), abs, np.sqrt, lambda a: a.multiply(a), lambda a: a.tocsr(), lambda a: a @ a.T):
        np.testing.assert_allclose(dense(f(A)).numpy(), dense(f(theirs)))
    assert S.csr_array(([1.0, 2.0, 3.0], places)).nnz == 2
    np.testing.assert_allclose(S.csr_array(A).data.numpy(), [3, 3])


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_constructors(kind: str) -> None:
    own, theirs = getattr(S, f"{kind}_array"), getattr(scipy.sparse, f"{kind}_array")
    A = theirs(DENSE * (DENSE > 0))
    for arg in (DENSE * (DENSE > 0), tn.tensor(DENSE * (DENSE > 0)), A, A.tocsr(), own(A)):
        np.testing.assert_array_equal(own(arg).toarray().numpy(), A.toarray())
    assert own((3, 4)).shape == (3, 4)
    assert own((3, 4)).nnz == 0
    assert own(A, dtype=np.float32).dtype == np.float32
    if kind != "coo":
        again = own((tn.tensor(A.data), A.indices, A.indptr), shape=A.shape)
        np.testing.assert_array_equal(again.numpy().toarray(), A.toarray())
    with pytest.raises(ValueError, match="two axes, not of shape"):
        own(X)


def test_a_sparse_array_is_a_tree() -> None:
    A = S.csr_array(DENSE * (DENSE > 0))

    def loss(a: Any, x: Any) -> Any:
        return ((a.T @ (a @ x)) ** 2).sum()

    gradient = tn.grad(loss)(A, X)
    assert isinstance(gradient, S.csr_array)
    assert gradient.structure == A.structure
    for backend in ("native", "numpy") if importlib.util.find_spec("llvmlite") else ("numpy",):
        found = tn.compile(tn.grad(loss), backend=backend)(A, X)
        np.testing.assert_allclose(found.data.numpy(), gradient.data.numpy(), rtol=1e-12)
    many = tn.vmap(lambda x: A @ x)(np.stack([X, 2 * X, 3 * X]))
    np.testing.assert_allclose(many.numpy(), np.stack([A.numpy() @ X * k for k in (1, 2, 3)]))
    tangent = tn.jvp(lambda x: A @ x, (X,), (X,))[1]
    np.testing.assert_allclose(tangent.numpy(), A.numpy() @ X)


def test_sparse_times_sparse_compiled() -> None:
    A, C = S.csr_array(scipys("csr", (5, 4), 0)), S.csr_array(scipys("csr", (4, 3), 2))
    expected = tn.grad(lambda a: ((a @ C).toarray() ** 2).sum())(A)
    found = tn.compile(tn.grad(lambda a: ((a @ C).toarray() ** 2).sum()), backend="numpy")(A)
    np.testing.assert_allclose(found.data.numpy(), expected.data.numpy(), rtol=1e-12)


MADE: dict[str, Callable[[Any, Any], Any]] = {
    "hstack": lambda s, a: s.hstack([a, 2 * a]),
    "vstack": lambda s, a: s.vstack([a, 2 * a]),
    "block_array": lambda s, a: s.block_array([[a, None], [None, 2 * a]]),
    "block_diag": lambda s, a: s.block_diag([a, a]),
    "kron": lambda s, a: s.kron(a, a),
    "kronsum": lambda s, a: s.kronsum(a[:, :4][:4], a[:, :4][:4]),
    "tril": lambda s, a: s.tril(a, 1),
    "triu": lambda s, a: s.triu(a, -1),
    "diags_array": lambda s, a: s.diags_array([a.data[:4], a.data[:3], -1.0], offsets=[0, 1, -1], shape=(4, 4)),
    "diags": lambda s, a: s.diags([a.data[:4], a.data[:3]], [0, -1], format="csc"),
    "diags, one": lambda s, a: s.diags(a.data[:4]),
    "spdiags": lambda s, a: s.spdiags(a.data.reshape(2, 4), [2, -1], 5, 3),
    "spdiags, wide": lambda s, a: s.spdiags(a.data[:6].reshape(2, 3), [1, -3], 4, 6),
    "bmat": lambda s, a: s.bmat([[a, s.eye(5, 2, -1)], [None, s.identity(2)]]),
}


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_of_others(name: str) -> None:
    A = scipys("csr", (5, 4), 0)
    make = MADE[name]
    theirs = make(scipy.sparse, A)
    found = make(S, S.csr_array(A))
    np.testing.assert_allclose(found.toarray().numpy(), theirs.toarray())
    check_grads(lambda d: make(S, with_values(A, d)).toarray(), [A.data], order=1)


def test_indices_in_any_order_stay_as_they_are() -> None:
    indices = np.array([2, 0, 1, 0], dtype=np.int32)
    data, indptr = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 2, 3, 4], dtype=np.int32)
    A = S.csr_array((data, indices, indptr), shape=(3, 3))
    x = S.linalg.spsolve(A.T, np.ones(3))
    np.testing.assert_allclose((A.T @ x).numpy(), np.ones(3))
    np.testing.assert_array_equal(indices, [2, 0, 1, 0])
    np.testing.assert_array_equal(A.sorted_indices().indices, [0, 2, 1, 0])
    np.testing.assert_array_equal(A.sorted_indices().toarray().numpy(), A.toarray().numpy())


def test_errors_say_what_to_write() -> None:
    A = S.csr_array(scipys("csr", (5, 4), 0))
    with pytest.raises(TypeError, match=r"exp of a sparse array would fill it: write exp\(A.toarray\(\)"):
        np.exp(A)
    with pytest.raises(TypeError, match=r"A.toarray\(\), or A.numpy\(\)"):
        np.asarray(A)
    with pytest.raises(ValueError, match=r"@ of shapes \(5, 4\) and \(5,\)"):
        A @ Z
    with pytest.raises(ValueError, match="would fill it"):
        A + 1.0
    with pytest.raises(ValueError, match="n = 0"):
        A.power(0)
    with pytest.raises(ValueError, match="csr, csc, coo"):
        A.asformat("bsr")
    with pytest.raises(ValueError, match=r"sparse arrays of shapes \(5, 4\) and \(4, 5\)"):
        A + A.T
    with pytest.raises(TypeError, match="are compared as dense ones"):
        A == A.copy()  # noqa: B015, SIM300
    with pytest.raises(AttributeError, match="use row and col"):
        A.tocoo().indices  # noqa: B018


def test_random_arrays_by_either_generator() -> None:
    for given in ({"rng": 3}, {"random_state": 3}, {"random_state": np.random.RandomState(3)}):
        theirs = dict(given)
        if isinstance(given.get("random_state"), np.random.RandomState):
            theirs["random_state"] = np.random.RandomState(3)
        expected = scipy.sparse.random_array((5, 6), density=0.3, **theirs)
        np.testing.assert_array_equal(
            tn.scipy.sparse.random_array((5, 6), density=0.3, **given).toarray().numpy(), expected.toarray()
        )
    with pytest.raises(TypeError, match="seed"):
        tn.scipy.sparse.random_array((5, 6), seed=3)
