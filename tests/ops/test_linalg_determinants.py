"""Determinants, also of singular matrices, against NumPy, PyTorch, JAX, cofactors and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close

RNG = np.random.default_rng(4)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def low_rank(n: int, rank: int, dtype: Any = np.float64) -> Any:
    left, right = normal(n, rank).astype(dtype), normal(rank, n).astype(dtype)
    if dtype is np.complex128:
        left, right = left + 1j * normal(n, rank), right + 1j * normal(rank, n)
    return left @ right


def cofactors(a: Any) -> Any:
    """The derivative of the determinant, element by element from the minors."""
    n = len(a)
    found = np.empty_like(a)
    for i, j in np.ndindex(n, n):
        found[i, j] = (-1) ** (i + j) * np.linalg.det(np.delete(np.delete(a, i, 0), j, 1))
    return found


@pytest.mark.parametrize(
    "a",
    [
        normal(3, 3), normal(2, 2, 2), np.array([[1, 2], [3, 4]]), np.empty((0, 0)), np.empty((0, 2, 2)),
        np.empty((2, 0, 0)), low_rank(3, 1), normal(2, 2) + 1j * normal(2, 2), np.array([[2.0]]), np.zeros((2, 2)),
    ],
)  # fmt: skip
def test_values_are_numpys(a: Any) -> None:
    close(np.linalg.det(tn.tensor(a)).data, np.asarray(np.linalg.det(a)))
    found, expected = np.linalg.slogdet(tn.tensor(a)), np.linalg.slogdet(a)
    assert type(found) is type(expected)
    close(found.sign.data, np.asarray(expected.sign))
    close(found.logabsdet.data, np.asarray(expected.logabsdet))


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_gradients_at_every_rank(n: int, dtype: Any) -> None:
    for rank in range(n + 1):
        a = low_rank(n, rank, dtype)
        x = tn.tensor(a, requires_grad=True)
        np.real(np.linalg.det(x)).backward()
        np.testing.assert_allclose(x.grad.numpy(), np.conj(cofactors(a)), atol=1e-11)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_second_derivatives_at_every_rank(n: int) -> None:
    """The second derivative of a determinant by two elements is the minor without their rows and columns."""
    for rank in range(n + 1):
        a = low_rank(n, rank)
        for i, j in np.ndindex(n, n):
            found = tn.grad(lambda t, i=i, j=j: tn.grad(np.linalg.det)(t)[i, j])(tn.tensor(a)).numpy()
            expected = np.zeros((n, n))
            rest = cofactors(np.delete(np.delete(a, i, 0), j, 1)) if n > 1 else np.zeros((0, 0))
            expected[np.ix_(np.arange(n) != i, np.arange(n) != j)] = (-1) ** (i + j) * rest
            np.testing.assert_allclose(found, expected, atol=1e-10)


def test_third_derivatives_of_singular_matrices() -> None:
    for rank in (1, 2, 3):
        check_grads(np.linalg.det, [low_rank(3, rank)], order=3, rtol=1e-4, atol=1e-4)


def test_singular_and_regular_matrices_in_one_stack() -> None:
    a = np.stack([low_rank(3, 2), normal(3, 3), np.zeros((3, 3)), low_rank(3, 1)])
    x = tn.tensor(a, requires_grad=True)
    np.linalg.det(x).backward(np.array([1.0, 2.0, 3.0, 4.0]))
    for i in range(4):
        np.testing.assert_allclose(x.grad.numpy()[i], (i + 1) * cofactors(a[i]), atol=1e-12)


def test_badly_conditioned_matrices_keep_their_digits() -> None:
    """The determinant times the inverse would have lost them."""
    q = np.linalg.qr(normal(4, 4))[0]
    for small in (1e-3, 1e-8, 1e-13, 1e-200):
        a = q @ np.diag([1.0, 2.0, small, 3.0]) @ q.T
        x = tn.tensor(a, requires_grad=True)
        np.linalg.det(x).backward()
        np.testing.assert_allclose(x.grad.numpy(), cofactors(a), atol=1e-12)


def test_nan_is_passed_on() -> None:
    a = np.stack([np.full((2, 2), np.nan), np.diag([np.inf, 1.0]), np.diag([2.0, 3.0])])
    x = tn.tensor(a, requires_grad=True)
    with np.errstate(invalid="ignore"):
        np.linalg.det(x).sum().backward()
    assert not np.isfinite(x.grad.numpy()[:2]).any()
    np.testing.assert_allclose(x.grad.numpy()[2], np.diag([3.0, 2.0]))


def test_gradients_are_those_of_others() -> None:
    torch, jax = pytest.importorskip("torch"), pytest.importorskip("jax")
    a = normal(2, 3, 3)
    agrees_with_torch(np.linalg.det, torch.linalg.det, a)
    agrees_with_torch(lambda t: np.linalg.slogdet(t).logabsdet, lambda t: torch.linalg.slogdet(t)[1], a)
    singular = low_rank(3, 2)
    x = tn.tensor(singular, requires_grad=True)
    np.linalg.det(x).backward()
    with jax.enable_x64(True):
        np.testing.assert_allclose(x.grad.numpy(), jax.grad(jax.numpy.linalg.det)(singular), atol=1e-12)
    z = normal(3, 3) + 1j * normal(3, 3)
    mine, other = tn.tensor(z, requires_grad=True), torch.tensor(z, requires_grad=True)
    sign, logarithm = np.linalg.slogdet(mine)
    (np.real(sign * (2 - 1j)) + logarithm).backward()
    sign, logarithm = torch.linalg.slogdet(other)
    ((sign * (2 - 1j)).real + logarithm).backward()
    np.testing.assert_allclose(mine.grad.numpy(), other.grad.resolve_conj().numpy(), atol=1e-12)


def test_complex_signs_and_logarithms() -> None:
    z = normal(2, 2, 2) + 1j * normal(2, 2, 2)
    check_grads(np.linalg.slogdet, [z], order=2)
    check_grads(lambda t: np.linalg.slogdet(t).sign, [z], order=2)
    check_grads(np.linalg.det, [z], order=2)


def test_the_sign_of_a_real_determinant_is_a_step() -> None:
    x = tn.tensor(normal(3, 3), requires_grad=True)
    np.linalg.slogdet(x).sign.backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros((3, 3)))


def test_the_logarithm_of_a_singular_matrix() -> None:
    """It has no gradient, and says so; a singular matrix that the loss does not depend on is no matter."""
    a = np.stack([np.ones((2, 2)), np.diag([2.0, 4.0])])
    x = tn.tensor(a, requires_grad=True)
    sign, logarithm = np.linalg.slogdet(x)
    assert logarithm.numpy()[0] == -np.inf
    with pytest.raises(np.linalg.LinAlgError, match="add a small multiple of the identity, or use det"):
        logarithm.sum().backward(retain_graph=True)
    with pytest.raises(np.linalg.LinAlgError):
        logarithm.sum().backward(create_graph=True, retain_graph=True)
    np.where(sign == 0, 0.0, logarithm).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [np.zeros((2, 2)), np.diag([0.5, 0.25])])
    check_grads(lambda t: np.where(np.array([True, False]), 0.0, np.linalg.slogdet(np.stack([a[0], t]))[1]), [a[1]], 2)


def test_second_derivatives_where_the_gradient_is_zero() -> None:
    a, v = np.diag([2.0, 4.0]), normal(2, 2)
    for f in (np.linalg.det, lambda t: np.linalg.slogdet(t).logabsdet):
        at = f(tn.tensor(a)).item()
        slope = tn.grad(f)(tn.tensor(a)).numpy()
        found = tn.hvp(lambda t, f=f, at=at: (f(t) - at) ** 2)(tn.tensor(a), tn.tensor(v))
        np.testing.assert_allclose(found.numpy(), 2 * slope * (slope * v).sum(), atol=1e-12)


def test_a_matrix_that_is_not_square() -> None:
    for f in (np.linalg.det, np.linalg.slogdet):
        with pytest.raises(np.linalg.LinAlgError) as caught:
            f(tn.tensor(normal(2, 3)))
        assert "a must be a square matrix or a stack of them (..., n, n), not (2, 3)" in str(caught.value)


def test_float32_and_complex64_are_kept() -> None:
    for dtype in (np.float32, np.complex64):
        for a in (low_rank(3, 2), normal(3, 3)):
            x = tn.tensor(a.astype(dtype), requires_grad=True)
            out = np.linalg.det(x)
            assert out.dtype == dtype
            np.abs(out).backward()
            assert x.grad.dtype == dtype
            assert np.linalg.slogdet(x).logabsdet.dtype == np.float32
