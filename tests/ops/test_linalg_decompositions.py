"""Singular values, eigenvalues, Cholesky and QR, against NumPy, PyTorch, JAX and finite differences; and where the matrix
does not determine what the loss depends on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.ops.linalg.eigen import nearest_order
from tapenet.program.trees import tree_leaves
from tapenet.testing import check_grads
from tests import NUMPY
from tests.ops.oracle import close

RNG = np.random.default_rng(5)
LinAlgError = np.linalg.LinAlgError


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def complex_normal(*shape: int) -> Any:
    return normal(*shape) + 1j * normal(*shape)


def adjoint(a: Any) -> Any:
    return np.conj(np.swapaxes(a, -1, -2))


def positive(a: Any) -> Any:
    """A positive definite matrix; of a tensor, one that depends on it."""
    return np.matmul(a, adjoint(a)) + np.eye(a.shape[-1])


def gradient(f: Callable[[Any], Any], a: Any) -> Any:
    x = tn.tensor(a, requires_grad=True)
    f(x).real.backward()  # from NumPy 2.5 on the eigenvalues of every matrix are complex numbers
    assert x.grad is not None
    assert x.grad.dtype == x.dtype
    return x.grad.data


def hermitian(triangle: Any) -> Any:
    """The gradient by a Hermitian matrix, from that by the triangle that is read."""
    return (triangle + adjoint(triangle)) / 2


# -- values ------------------------------------------------------------------------------------------------------

CALLS: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
    *(
        (np.linalg.svd, (normal(*shape),), {"full_matrices": full, "compute_uv": uv})
        for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 2), (2, 0), (0, 2, 2), (1, 1))
        for full in (False, True)
        for uv in (False, True)
    ),
    (np.linalg.svd, (normal(2, 3), False, False), {}),
    (np.linalg.svd, (normal(2, 3), True, True, False), {}),
    (np.linalg.svd, (positive(normal(3, 3)) - 2 * np.eye(3),), {"hermitian": True}),
    (np.linalg.svd, (normal(2, 3, 3), False, True, True), {}),
    (np.linalg.svd, (complex_normal(3, 3),), {"hermitian": True, "compute_uv": False}),
    # Before NumPy 2.4 the factors of zeros are zeros.
    (np.linalg.svd, (np.zeros((2, 2)) + np.eye(2) * (NUMPY < "2.4.0"),), {"hermitian": True}),
    (np.linalg.svd, (np.arange(6).reshape(2, 3),), {}),
    (np.linalg.svd, (complex_normal(2, 3),), {}),
    (np.linalg.svdvals, (normal(2, 3, 2),), {}),
    (np.linalg.svdvals, (complex_normal(3, 2),), {}),
    (np.linalg.cholesky, (positive(normal(2, 3, 3)),), {}),
    (np.linalg.cholesky, (np.array([[4.0, np.nan], [2.0, 2.0]]),), {}),
    (np.linalg.cholesky, (np.array([[4.0, 2.0], [np.nan, 2.0]]),), {"upper": True}),
    (np.linalg.cholesky, (positive(complex_normal(3, 3)),), {"upper": True}),
    (np.linalg.cholesky, (np.array([[4, 2], [2, 2]]),), {}),
    (np.linalg.cholesky, (np.zeros((2, 0, 0)),), {}),
    *(
        (np.linalg.qr, (kind(*shape), mode), {})
        for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2), (0, 2), (2, 0), (0, 2, 2))
        for mode in ("reduced", "complete", "r", "raw")
        for kind in (normal, complex_normal)
    ),
    (np.linalg.qr, (np.arange(6).reshape(3, 2),), {"mode": "r"}),
    *((np.linalg.eigh, (complex_normal(2, 3, 3),), {"UPLO": which}) for which in "LUlu"),
    *((np.linalg.eigvalsh, (normal(3, 3), which), {}) for which in "LUlu"),
    (np.linalg.eigh, (np.zeros((0, 0)),), {}),
    (np.linalg.eigvalsh, (np.zeros((2, 0, 0)),), {}),
    (np.linalg.eigh, (np.array([[2, 1], [1, 2]]),), {}),
    *(
        (f, (a,), {})
        for f in (np.linalg.eig, np.linalg.eigvals)
        for a in (
            np.array([[2.0, 1.0], [0.5, 3.0]]),
            np.array([[0.0, 1.0], [-1.0, 0.0]]),
            np.stack([np.eye(2), np.array([[0.0, 1.0], [-1.0, 0.0]])]),
            complex_normal(2, 3, 3),
            np.array([[2, 1], [1, 2]]),
            np.zeros((0, 0)),
            np.zeros((0, 2, 2)),
        )
    ),
]


@pytest.mark.parametrize("dtype", ["double", "single"])
@pytest.mark.parametrize(
    ("function", "args", "options"), CALLS, ids=[f"{i}-{f.__name__}" for i, (f, _, _) in enumerate(CALLS)]
)
def test_values_are_numpys(
    function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any], dtype: str
) -> None:
    a, *rest = args
    if dtype == "single":
        a = a.astype({"f": np.float32, "c": np.complex64}.get(a.dtype.kind, a.dtype))
    expected = function(a, *rest, **options)
    for f in (function, getattr(tn.linalg, function.__name__)):
        found = f(tn.tensor(a), *rest, **options)
        assert getattr(found, "_fields", None) == getattr(expected, "_fields", None)
        assert type(found).__name__ == ("Tensor" if isinstance(expected, np.ndarray) else type(expected).__name__)
        several = isinstance(expected, tuple)
        for x, y in zip(found, expected, strict=True) if several else [(found, expected)]:
            close(x.data, y)


def test_lists_are_matrices() -> None:
    rows = [[2.0, 1.0], [1.0, 2.0]]
    for name in ("svd", "svdvals", "eigh", "eigvalsh", "eig", "eigvals", "cholesky", "qr"):
        found, expected = getattr(tn.linalg, name)(rows), getattr(np.linalg, name)(rows)
        for x, y in zip(tree_leaves(found), tree_leaves(expected), strict=True):
            np.testing.assert_allclose(np.asarray(x), y)


def test_errors_of_calls() -> None:
    a = tn.tensor(normal(2, 2), requires_grad=True)
    with pytest.raises(ValueError, match="mode='full'; it is"):
        tn.linalg.qr(a, "full")
    with pytest.raises(ValueError, match="UPLO argument must be 'L' or 'U'"):
        tn.linalg.eigh(a, "X")
    with pytest.raises(LinAlgError, match="not positive definite"):
        np.linalg.cholesky(-positive(a))
    with pytest.raises(LinAlgError, match="square"):
        np.linalg.eigvals(a[:1])


# -- gradients against finite differences, to second order -----------------------------------------------------------


def of_svd(a: Any, **options: Any) -> Any:
    """Everything of a decomposition that does not depend on signs and phases."""
    u, s, vh = np.linalg.svd(a, **options)
    k = s.shape[-1]
    return np.abs(u) ** 2, s, np.abs(vh) ** 2, np.matmul(u[..., :k], vh[..., :k, :])


def of_eigh(a: Any, **options: Any) -> Any:
    w, v = np.linalg.eigh(a, **options)
    return w, np.abs(v) ** 2, np.matmul(v[..., :1], adjoint(v[..., :1]))


def of_eig(a: Any) -> Any:
    w, v = np.linalg.eig(a)
    return w, np.abs(v) ** 2


def full_or_not(full: bool) -> Callable[[Any], Any]:
    return lambda a: of_svd(a, full_matrices=full)


def of_one_triangle(f: Any, which: str) -> Callable[[Any], Any]:
    return lambda a: f(a, UPLO=which)


def upper_or_lower(upper: bool) -> Callable[[Any], Any]:
    return lambda a: np.linalg.cholesky(a, upper=upper)


GRADIENTS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    **{
        f"{kind.__name__} {f.__name__} {shape}": (f, kind(*shape))
        for kind in (normal, complex_normal)
        for f in (np.linalg.qr, np.linalg.svdvals)
        for shape in ((3, 3), (4, 2), (2, 4), (2, 3, 2))
    },
    **{
        f"{kind.__name__} svd {shape} {full}": (full_or_not(full), kind(*shape))
        for kind in (normal, complex_normal)
        for shape, full in (((3, 3), True), ((4, 2), False), ((2, 4), False), ((2, 3, 2), False), ((2, 3), True))
    },
    **{
        f"{kind.__name__} {f.__name__} {which}": (of_one_triangle(f, which), kind(2, 3, 3))
        for kind in (normal, complex_normal)
        for f in (of_eigh, np.linalg.eigvalsh)
        for which in "LU"
    },
    **{
        f"{kind.__name__} cholesky {upper}": (upper_or_lower(upper), positive(kind(2, 3, 3)))
        for kind in (normal, complex_normal)
        for upper in (False, True)
    },
    "real eig, complex values": (of_eig, np.array([[1.0, -2.0, 0.3], [3.0, 0.5, 0.1], [0.2, 0.4, 2.0]])),
    "complex eig": (of_eig, complex_normal(2, 3, 3)),
    "real eigvals, complex values": (np.linalg.eigvals, np.array([[1.0, -2.0], [3.0, 0.5]])),
    "complex eigvals": (np.linalg.eigvals, complex_normal(3, 3)),
    "svd of Hermitian": (lambda a: of_svd(a, hermitian=True), np.array([[1.0, 7.0], [0.5 + 1j, -3.0]])),
    "singular values of symmetric": (
        lambda a: np.linalg.svd(a, compute_uv=False, hermitian=True),
        np.array([[1.0, 7.0], [0.5, -3.0]]),
    ),
    # The span of the columns beyond the others is determined, and what depends on it alone has a gradient.
    "full svd, by its span": (
        lambda a: (lambda u: u[:, 2:] @ adjoint(u[:, 2:]))(np.linalg.svd(a).U),
        complex_normal(4, 2),
    ),
    "full Vh, by its span": (
        lambda a: (lambda vh: adjoint(vh[2:]) @ vh[2:])(np.linalg.svd(a).Vh),
        complex_normal(2, 4),
    ),
    "complete qr, by its span": (
        lambda a: (lambda q: (q[:, 2:] @ adjoint(q[:, 2:]), q[:, :2]))(np.linalg.qr(a, "complete").Q),
        complex_normal(4, 2),
    ),
    "complete qr of real": (lambda a: np.linalg.qr(a, "complete"), normal(3, 2)),
    "R alone": (lambda a: np.linalg.qr(a, "r"), complex_normal(2, 3)),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name: str) -> None:
    f, a = GRADIENTS[name]
    check_grads(f, [a], order=2)


@settings(max_examples=20)
@given(
    m=st.integers(0, 3),
    n=st.integers(0, 3),
    stack=st.sampled_from([(), (2,), (0,), (1, 2)]),
    f=st.sampled_from([np.linalg.qr, np.linalg.svdvals, lambda a: np.linalg.svd(a, full_matrices=False)]),
)
def test_every_shape(m: int, n: int, stack: tuple[int, ...], f: Any) -> None:
    a = np.random.default_rng(m + 4 * n).normal(size=(*stack, m, n))
    if stack:
        a = a + np.arange(stack[-1])[:, None, None] * 0.1
    check_grads(f, [a])


# -- PyTorch and JAX ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [normal, complex_normal])
@pytest.mark.parametrize("single", [False, True])
def test_gradients_are_pytorchs(kind: Any, single: bool) -> None:
    torch = pytest.importorskip("torch")
    a = kind(3, 3)
    if single:
        a = a.astype(np.complex64 if a.dtype.kind == "c" else np.float32)
    weights = [kind(3, 3).astype(a.dtype) for _ in range(3)]
    real = [w.real for w in weights]

    def svd(xp: Any, w: Any, wr: Any, x: Any) -> Any:
        u, s, vh = xp.linalg.svd(x)
        return (
            (xp.abs(u) * wr[0]).sum() + (s * wr[1][0]).sum() + (xp.abs(vh) * wr[2]).sum() + xp.real(u @ vh * w[0]).sum()
        )

    def qr(xp: Any, w: Any, wr: Any, x: Any) -> Any:
        q, r = xp.linalg.qr(x[:, :2])
        wide = xp.linalg.qr(x[:2])
        return xp.real(q * w[0][:, :2]).sum() + xp.real(r * w[1][:2, :2]).sum() + xp.real(wide[1] * w[2][:2]).sum()

    def eig(xp: Any, w: Any, wr: Any, x: Any) -> Any:
        found, v = xp.linalg.eig(x)
        return (xp.abs(found - 1.5) * wr[0][0]).sum() + (xp.abs(v) * wr[1]).sum()

    def of_triangle(xp: Any, w: Any, wr: Any, x: Any) -> Any:
        b = x @ x.mT.conj() + x.dtype.type(1) * np.eye(3, dtype=x.dtype) if xp is np else x @ x.mH + torch.eye(3)
        found, v = xp.linalg.eigh(b)
        lower = xp.linalg.cholesky(b)
        return (found * wr[0][0]).sum() + (xp.abs(v) * wr[1]).sum() + xp.real(lower * w[2]).sum()

    for f in (svd, qr, eig, of_triangle):
        x = torch.tensor(a, requires_grad=True)
        f(torch, [torch.tensor(w) for w in weights], [torch.tensor(w) for w in real], x).backward()
        found, expected = gradient(partial(f, np, weights, real), a), x.grad.numpy()
        tolerance = 2e-4 if single else 1e-11
        np.testing.assert_allclose(
            found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max(), err_msg=f.__name__
        )


@pytest.mark.parametrize("name", ["cholesky", "eigvalsh"])
def test_the_gradient_in_the_triangle_is_that_of_others_when_symmetric(name: str) -> None:
    torch = pytest.importorskip("torch")
    a = positive(normal(3, 3))
    w = normal(3, 3) if name == "cholesky" else normal(3)
    x = torch.tensor(a, requires_grad=True)
    (getattr(torch.linalg, name)(x) * torch.tensor(w)).sum().backward()
    found = gradient(lambda a: (getattr(np.linalg, name)(a) * w).sum(), a)
    assert not np.triu(found, 1).any()
    close(hermitian(found), x.grad.numpy())


@pytest.mark.parametrize("name", ["qr", "eigh"])
def test_gradients_are_jaxs(name: str) -> None:
    jax = pytest.importorskip("jax")
    b, w = normal(3, 3).astype(np.float32), normal(3, 3).astype(np.float32)

    def f(xp: Any, b: Any) -> Any:
        a = b @ b.T + xp.eye(3, dtype=np.float32)
        found = getattr(xp.linalg, name)(a)
        first = found[1] if name == "eigh" else found[0]
        # The square: signs of vectors are not the same everywhere.
        return (first * first * w).sum()

    found, expected = gradient(lambda b: f(np, b), b), np.asarray(jax.grad(lambda b: f(jax.numpy, b))(b))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("f", [np.linalg.cholesky, np.linalg.qr])
def test_triangles_of_large_matrices_are_inverted_by_blocks(f: Any) -> None:
    a, along, step = positive(normal(2, 45, 40) @ normal(40, 45)), normal(2, 45, 45), 1e-6
    weights = [normal(45, 45), normal(45, 45)]

    def loss(a: Any) -> Any:
        return sum(
            (part * w).sum() for part, w in zip(tree_leaves(f((a + np.swapaxes(a, -1, -2)) / 2)), weights, strict=False)
        )

    difference = (loss(a + step * along) - loss(a - step * along)) / (2 * step)
    assert abs((gradient(loss, a) * along).sum() - difference) < 1e-5 * abs(difference)


def test_close_values_in_float32_are_apart() -> None:
    """NumPy computes in float64: in float32 the values are as good for many rows as for few."""
    a = np.diag(np.linspace(1, 1.01, 300, dtype=np.float32))
    w, v = np.linalg.eigh(x := tn.tensor(a, requires_grad=True))
    (v * w @ v.T).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(np.diag(x.grad.data), 1, rtol=1e-5)


def test_eigenvalues_may_come_in_another_order_with_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """As LAPACK gives them for large matrices, on some machines."""
    rng = np.random.default_rng(0)
    a, g, direction, step = rng.normal(size=(30, 30)), rng.normal(size=30), rng.normal(size=(30, 30)), 1e-7
    w, eig = np.linalg.eigvals(a), np.linalg.eig

    def turned(a: Any) -> Any:
        values, vectors = eig(a)
        return values[::-1], vectors[:, ::-1]

    with monkeypatch.context() as patch:
        patch.setattr(np.linalg, "eig", turned)
        found = gradient(lambda a: (np.abs(np.linalg.eigvals(a)) * g).sum(), a)
    np.testing.assert_allclose(found, gradient(lambda a: (np.abs(np.linalg.eigvals(a)) * g).sum(), a), rtol=1e-9)

    def moved(by: float) -> Any:
        values = np.linalg.eigvals(a + by * direction)
        return (np.abs(values[nearest_order(w, values)]) * g).sum()

    difference = (moved(step) - moved(-step)) / (2 * step)
    assert abs((found * direction).sum() - difference) < 1e-5 * abs(difference)


# -- where the matrix does not determine the vectors -----------------------------------------------------------------


def summed(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda a: f(a).sum()


def squares(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The gradient of the sum of squares, summed: differentiated, it asks for the second derivative."""
    return lambda a: tn.grad(lambda a: (f(a) ** 2).sum().real)(a).sum()


def put_together(w: Any) -> Callable[[Any], Any]:
    """The matrix from its factors, weighted."""

    def function(a: Any) -> Any:
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return (u * s @ vh * w).sum()

    return function


TWICE = np.diag([1.0, 1.0, 5.0])
C = normal(3, 3)
ORTHOGONAL = np.linalg.qr(C)[0]


def test_equal_eigenvalues_alone() -> None:
    for a in (np.eye(3), TWICE, np.zeros((3, 3))):
        for f in (np.linalg.eigvalsh, np.linalg.eigvals, np.linalg.svdvals, lambda a: np.linalg.eigh(a)[0]):
            close(gradient(summed(f), a), np.eye(3))
        close(gradient(lambda a: np.linalg.svd(a).S.sum(), np.eye(3)), np.eye(3))
    close(gradient(lambda a: np.linalg.eig(a)[0].sum(), TWICE), np.eye(3))


def test_vectors_of_another_eigenvalue() -> None:
    """Only those of the equal ones are not determined."""

    def of_third(a: Any) -> Any:
        w, v = np.linalg.eigh(a)
        return w[2] * v[:, 2:] * v[:, 2] * C

    check_grads(of_third, [TWICE])


def test_what_is_the_same_for_every_choice_has_its_gradient() -> None:
    def projection(a: Any) -> Any:
        v = np.linalg.eigh(a)[1][:, :2]
        return v @ v.T * C

    rotated = ORTHOGONAL @ TWICE @ ORTHOGONAL.T
    for a in (TWICE, (rotated + rotated.T) / 2):  # the second has equal eigenvalues but for rounding
        check_grads(projection, [a])

    def polar(a: Any) -> Any:
        u, _, vh = np.linalg.svd(a)
        return u @ vh * C

    for a in (ORTHOGONAL, 2 * np.eye(3)):
        check_grads(polar, [a])
        symmetric = ORTHOGONAL.T @ C
        if a is ORTHOGONAL:
            close(gradient(lambda a: polar(a).sum(), a), C - ORTHOGONAL @ (symmetric + symmetric.T) / 2)


def function_of(a: Any, f: Callable[[Any], Any]) -> Any:
    w, v = np.linalg.eigh(a)
    return ((v * f(w)) @ v.T * C).sum()


LOST: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "eigh": (lambda a: (np.linalg.eigh(a)[1] * C).sum(), np.eye(3), "eigh: two of the values are equal"),
    "eigh but for rounding": (
        lambda a: (np.linalg.eigh(a)[1] * C).sum(),
        ORTHOGONAL @ TWICE @ ORTHOGONAL.T,
        "eigh: two of the values are equal",
    ),
    "square root": (
        lambda a: function_of(a, np.sqrt),
        np.eye(3),
        "eigh: .*keep apart what depends on values and on vectors",
    ),
    "logarithm": (lambda a: function_of(a, np.log), np.eye(3), "eigh: .*or change the matrix a little"),
    "eig": (lambda a: (np.linalg.eig(a)[1] * C).sum(), np.eye(3), "eig: two of the values are equal"),
    "svd": (lambda a: (np.linalg.svd(a).U * C).sum(), ORTHOGONAL, "svd: two of the values are equal"),
    "svd put together": (
        lambda a: (lambda s: (s.U * s.S @ s.Vh * C).sum())(np.linalg.svd(a)),
        ORTHOGONAL,
        "svd: two of the values are equal",
    ),
    "svd without rank": (
        lambda a: (np.linalg.svd(a, full_matrices=False).U * C[:, :1]).sum(),
        np.zeros((3, 1)),
        "svd: a singular value is 0",
    ),
    "svd put together without rank": (
        lambda a: (lambda s: (s.U * s.S @ s.Vh * C[:, :1]).sum())(np.linalg.svd(a, full_matrices=False)),
        np.zeros((3, 1)),
        "svd: a singular value is 0",
    ),
    "full U": (lambda a: np.linalg.svd(a).U.sum(), normal(4, 2), "svd: .*Use full_matrices=False"),
    "full Vh": (lambda a: np.linalg.svd(a).Vh.sum(), normal(2, 4), "svd: .*Use full_matrices=False"),
    "complete Q": (lambda a: np.linalg.qr(a, "complete").Q.sum(), normal(4, 2), 'qr: .*Use mode="reduced"'),
    "dependent columns": (
        lambda a: np.linalg.qr(a).R.sum(),
        np.outer(C[0], C[1]),
        "qr: the first .* linearly dependent",
    ),
    "defective": (lambda a: np.linalg.eigvals(a).sum(), np.array([[0.0, 1.0], [0.0, 0.0]]), "eig: .* defective"),
    "defective, vectors": (
        lambda a: np.linalg.eig(a)[0].sum(),
        np.array([[0.0, 1.0], [0.0, 0.0]]),
        "eig: .* defective",
    ),
    "phases of eigh": (
        lambda a: np.linalg.eigh(a)[1].real.sum(),
        positive(complex_normal(3, 3)),
        "eigh: the loss depends on the phases",
    ),
    "phases of svd": (
        lambda a: np.linalg.svd(a).U.real.sum(),
        complex_normal(2, 2),
        "svd: the loss depends on the phases",
    ),
    "phases of eig": (
        lambda a: np.linalg.eig(a)[1].real.sum(),
        complex_normal(2, 2),
        "eig: the loss depends on the phases",
    ),
    **{
        f"second derivative, {f.__name__} {a[0, 0]}": (
            squares(f),
            a,
            "(eigh|svd|eig): .*the second derivative is not known",
        )
        for f in (np.linalg.eigvalsh, np.linalg.svdvals, np.linalg.eigvals)
        for a in (np.eye(2), np.zeros((2, 2)))
    },
    "second derivative without rank": (
        squares(np.linalg.svdvals),
        np.zeros((2, 1)),
        "svd: .*the second derivative is not known",
    ),
    "second derivative of vectors": (
        lambda a: tn.grad(lambda a: (np.linalg.eigh(a)[1][:, 2] ** 2 * C[0]).sum())(a).sum(),
        TWICE,
        "eigh: two of the values are equal",
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_what_the_matrix_does_not_determine_is_an_error(name: str) -> None:
    f, a, words = LOST[name]
    with pytest.raises(LinAlgError, match=f"^{words}"):
        gradient(f, a)


def test_vectors_of_real_eigenvalues_beside_complex_ones() -> None:
    """Those of a real matrix are real, and have no phase to choose."""
    turning = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 2]]) + 0.1 * normal(3, 3)
    real = np.linalg.eigvals(turning).imag == 0
    assert real.sum() == 1

    def of_real(a: Any) -> Any:
        return np.linalg.eig(a)[1][:, real]

    check_grads(of_real, [turning])
    with pytest.raises(LinAlgError, match="eig: the loss depends on the phases"):
        gradient(lambda a: np.linalg.eig(a)[1].real.sum(), turning)


def test_it_is_an_error_in_a_compiled_step_too() -> None:
    step = tn.compile(lambda a: tn.grad(lambda a: (np.linalg.eigh(a)[1] * C).sum())(a))
    apart = positive(normal(3, 3))
    close(step(tn.tensor(apart)).data, gradient(lambda a: (np.linalg.eigh(a)[1] * C).sum(), apart))
    with pytest.raises(LinAlgError, match="eigh: two of the values are equal"):
        step(tn.tensor(np.eye(3)))


def test_a_small_singular_value_is_no_loss() -> None:
    """Put together from its factors, a matrix without full rank has the gradient of the matrix itself."""
    for a in (np.outer(C[0], C[1]) + np.outer(C[2], C[0]), np.outer(C[0], C[1])[:, :2]):
        w = C[:, : a.shape[1]]
        found = gradient(put_together(w), a)
        np.testing.assert_allclose(found, w, atol=1e-12)


def test_raw_factors_have_no_gradient() -> None:
    a = tn.tensor(normal(3, 2), requires_grad=True)
    h, _ = np.linalg.qr(a, "raw")
    with pytest.raises(NotImplementedError, match=r'mode="raw" has no gradient.*"complete"'):
        h.sum().backward()


def test_zero_gradients_stay_zero_to_second_order() -> None:
    a = positive(C)
    for f in (lambda a: np.linalg.eigh(a)[1], lambda a: np.linalg.svd(a).U, lambda a: np.linalg.qr(a).Q):
        first = tn.grad(lambda a, f=f: (f(a) * 0.0).sum())
        assert not first(tn.tensor(np.eye(3))).data.any()
        assert not tn.grad(lambda a, first=first: first(a).sum())(tn.tensor(a)).data.any()


def test_rounding_is_no_dependence_on_phases() -> None:
    """Along the matrix itself the derivative of this gradient turns no vector: what is left of phases is rounding alone."""
    a = np.linalg.qr(complex_normal(3, 3))[0]
    a = a * np.arange(1, 4) @ adjoint(a)
    for f in (np.linalg.eigvals, np.linalg.svdvals):
        slope = tn.grad(lambda a, f=f: (np.abs(f(a)) ** 2).sum())
        along = tn.grad(lambda x, slope=slope: np.real(np.conj(slope(x)) * a).sum())
        np.testing.assert_allclose(along(tn.tensor(a)).data, 2 * a, atol=1e-12)


def test_one_of_a_stack_may_be_degenerate_if_it_is_not_used() -> None:
    a = np.stack([positive(C), np.eye(3)])
    found = gradient(lambda a: (np.linalg.eigh(a)[1][0] * C).sum(), a)
    close(found[0], gradient(lambda a: (np.linalg.eigh(a)[1] * C).sum(), a[0]))
    assert not found[1].any()


@pytest.mark.parametrize(
    ("f", "bad"),
    [
        (lambda a: np.linalg.qr(a).R, np.ones((3, 3))),
        (lambda a: np.linalg.qr(a).Q, np.zeros((3, 3))),
        (lambda a: np.linalg.qr(a[..., :2], "complete").R, np.ones((3, 3))),
        (lambda a: np.abs(np.linalg.eigvals(a)), np.eye(3) + np.eye(3, k=1)),
        (lambda a: np.abs(np.linalg.eig(a)[1]), np.eye(3) + np.eye(3, k=1)),
    ],
)
def test_dependent_columns_and_defects_of_what_is_not_used(f: Any, bad: Any) -> None:
    a = np.stack([bad, positive(C)])
    found = gradient(lambda a: f(a)[1].sum(), a)
    assert not found[0].any()
    close(found[1], gradient(lambda a: f(a).sum(), a[1]))
    assert not gradient(lambda a: (f(a) * 0).sum(), bad).any()
    with pytest.raises(LinAlgError, match=r"dependent|defective|equal"):
        gradient(lambda a: f(a).sum(), a)
    with pytest.raises(LinAlgError, match=r"dependent|second derivative|equal"):
        gradient(lambda a: tn.grad(lambda a: f(a)[1].sum())(a).sum(), a)


def test_orders_of_many_small_matrices_are_found_at_once() -> None:
    values = complex_normal(500, 4)
    order = np.argsort(RNG.random((500, 4)), axis=-1)
    found = np.take_along_axis(values, order, axis=-1)
    np.testing.assert_array_equal(np.take_along_axis(found, nearest_order.forward(values, found), -1), values)


@pytest.mark.parametrize(
    "f",
    [
        tn.linalg.svd,
        partial(tn.linalg.svd, full_matrices=False),
        tn.linalg.pinv,
        lambda a: tn.linalg.lstsq(a, np.ones(3)),
    ],
)
def test_what_is_not_finite_is_refused(f: Any) -> None:
    """LAPACK does not end for this infinite row."""
    a = np.random.default_rng(0).normal(size=(3, 3))
    compiled = tn.compile(f, backend="numpy")
    compiled(a)
    for value in (np.nan, np.inf):
        a[0] = value
        for g in (f, compiled):
            with pytest.raises(LinAlgError, match="the matrix has infinite or nan elements"):
                g(a)
