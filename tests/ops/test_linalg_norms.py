"""Norms and condition numbers, against NumPy, PyTorch, JAX and finite differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close

RNG = np.random.default_rng(5)
VECTOR = [None, 2, 1, 0, 3, 2.5, 0.5, -1, -2, -0.5, math.inf, -math.inf]
MATRIX = [None, "fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf]


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def complex_normal(*shape: int) -> Any:
    return normal(*shape) + 1j * normal(*shape)


def gradient(f: Any, x: Any) -> Any:
    t = tn.tensor(x, requires_grad=True)
    f(t).sum().backward()
    return t.grad.numpy()


# -- values ------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    kind=st.sampled_from([normal, complex_normal, lambda *s: np.arange(float(math.prod(s))).reshape(s).astype(int)]),
    case=st.one_of(
        st.tuples(st.sampled_from(VECTOR), st.sampled_from([0, 1, -1, (2,)])),
        st.tuples(st.sampled_from(MATRIX), st.sampled_from([(0, 1), (1, 0), (-1, 0), (2, -2)])),
        st.tuples(st.just(None), st.just(None)),
    ),
    keepdims=st.booleans(),
)
def test_norms_are_numpys(kind: Any, case: Any, keepdims: bool) -> None:
    x = kind(2, 3, 4) + 1
    with np.errstate(divide="ignore"):
        close(np.linalg.norm(tn.tensor(x), *case, keepdims).data, np.asarray(np.linalg.norm(x, *case, keepdims)))


@pytest.mark.parametrize("ord", MATRIX)
@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (0, 2), (2, 0), (1, 1)])
def test_matrices_by_order_alone(ord: Any, shape: Any) -> None:
    x = normal(*shape)
    try:
        expected = np.asarray(np.linalg.norm(x, ord))
    except ValueError:  # the smallest of nothing
        with pytest.raises(ValueError, match="zero-size"):
            np.linalg.norm(tn.tensor(x), ord)
        return
    close(np.linalg.norm(tn.tensor(x), ord).data, expected)
    close(np.linalg.matrix_norm(tn.tensor(x), ord=ord or "fro").data, expected)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (1, 0, -1), ()])
@pytest.mark.parametrize("ord", [2, 1, 3, math.inf])
@pytest.mark.parametrize("keepdims", [False, True])
def test_vector_norms_are_numpys(axis: Any, ord: Any, keepdims: bool) -> None:
    x = normal(2, 3, 2)
    expected = np.asarray(np.linalg.vector_norm(x, axis=axis, ord=ord, keepdims=keepdims))
    close(np.linalg.vector_norm(tn.tensor(x), axis=axis, ord=ord, keepdims=keepdims).data, expected)
    if axis != ():
        check_grads(lambda t: np.linalg.vector_norm(t, axis=axis, ord=ord, keepdims=keepdims), [x], order=2)


@pytest.mark.parametrize("p", [None, 2, -2, "fro", "nuc", 1, -1, math.inf, -math.inf])
def test_conditions_are_numpys(p: Any) -> None:
    singular, zero, large = np.diag([1.0, 0.0]), np.zeros((2, 2)), normal(2, 2)
    cases = [large, complex_normal(3, 3), np.array([[2, 1], [1, 3]]), np.stack([large, large])]
    if p != "nuc":  # NumPy asks for the singular values of nan
        cases += [singular, np.stack([singular, large, zero])]
    for x in cases:
        with np.errstate(all="ignore"):
            expected = np.asarray(np.linalg.cond(x, p))
        close(np.linalg.cond(tn.tensor(x), p).data, expected)


# -- gradients ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ord", VECTOR[1:])
def test_complex_vectors(ord: Any) -> None:
    z = complex_normal(2, 3) + np.array([1, 2, 3])
    check_grads(lambda t: np.linalg.norm(t, ord, axis=1), [z], order=2)


@pytest.mark.parametrize("ord", MATRIX[1:])
def test_complex_matrices(ord: Any) -> None:
    check_grads(lambda t: np.linalg.norm(t, ord), [complex_normal(2, 3)], order=2)
    check_grads(lambda t: np.linalg.cond(t, ord), [complex_normal(2, 2) + 3 * np.eye(2)], order=2)


def test_gradients_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    x, square = normal(2, 3), np.stack([np.diag([3.0, 1.0]), np.diag([2.0, 5.0])]) + 0.3 * normal(2, 2, 2)
    for p in VECTOR[1:]:
        agrees_with_torch(
            lambda t, p=p: np.linalg.vector_norm(t, axis=1, ord=p), lambda t, p=p: torch.linalg.vector_norm(t, p, 1), x
        )
    for p in MATRIX[1:]:
        agrees_with_torch(
            lambda t, p=p: np.linalg.matrix_norm(t, ord=p), lambda t, p=p: torch.linalg.matrix_norm(t, p), square
        )
        agrees_with_torch(
            lambda t, p=p: np.linalg.cond(t, p),
            lambda t, p=p: torch.linalg.matrix_norm(t, p) * torch.linalg.matrix_norm(torch.linalg.inv(t), p),
            square,
        )
    z = complex_normal(3)
    for p in VECTOR[1:]:
        mine, other = tn.tensor(z, requires_grad=True), torch.tensor(z, requires_grad=True)
        (np.linalg.vector_norm(mine, ord=p) + 0 * np.abs(mine).sum()).backward()
        (torch.linalg.vector_norm(other, p) + 0 * other.abs().sum()).backward()
        np.testing.assert_allclose(mine.grad.numpy(), other.grad.resolve_conj().numpy(), atol=1e-12)


def test_gradients_are_jaxs() -> None:
    jax = pytest.importorskip("jax")
    x, w = normal(3, 3), normal(3)
    with jax.enable_x64(True):
        for p in (1, 2, 3, 2.5, math.inf, -math.inf):
            expected = jax.grad(lambda t, p=p: (jax.numpy.linalg.norm(t, p, axis=0) * w).sum())(x)
            found = gradient(lambda t, p=p: np.linalg.norm(t, p, axis=0) * w, x)
            np.testing.assert_allclose(found, expected, atol=1e-12)
        for p in ("fro", "nuc", 2, -2, 1, math.inf):
            expected = jax.grad(lambda t, p=p: jax.numpy.linalg.norm(t, p))(x)
            np.testing.assert_allclose(gradient(lambda t, p=p: np.linalg.norm(t, p), x), expected, atol=1e-12)


# -- special points ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ord", VECTOR)
def test_at_zero_vectors_the_gradient_is_zero(ord: Any) -> None:
    for x in (np.zeros(3), np.zeros((2, 2), complex)):
        with np.errstate(divide="ignore"):
            found = gradient(lambda t: np.linalg.norm(t, ord, axis=0), x)
        np.testing.assert_array_equal(found, np.zeros_like(x))


@pytest.mark.parametrize("ord", MATRIX)
def test_at_zero_matrices_the_gradient_is_zero(ord: Any) -> None:
    np.testing.assert_array_equal(gradient(lambda t: np.linalg.norm(t, ord), np.zeros((2, 3))), np.zeros((2, 3)))


@pytest.mark.parametrize("ord", VECTOR)
def test_single_zeros_give_finite_gradients(ord: Any) -> None:
    with np.errstate(divide="ignore"):
        found = gradient(lambda t: np.linalg.norm(t, ord), np.array([0.0, 3.0, -4.0]))
    assert np.isfinite(found).all()
    assert found[0] == 0


def test_second_derivatives_at_zero_are_finite() -> None:
    for ord in (1, 2, 1.5, 3, math.inf):
        for x in (np.zeros(2), np.array([0.0, 2.0])):
            slope = tn.grad(lambda t, ord=ord: np.linalg.norm(t, ord))
            found = tn.grad(lambda t, slope=slope: slope(t).sum())(tn.tensor(x)).numpy()
            assert np.isfinite(found).all()


def test_ties_share_the_gradient() -> None:
    x = np.array([2.0, -2.0, 1.0, 2.0])
    third = 1 / 3
    np.testing.assert_allclose(gradient(lambda t: np.linalg.norm(t, math.inf), x), [third, -third, 0, third])
    np.testing.assert_allclose(gradient(lambda t: np.linalg.norm(t, -math.inf), x[:2]), [0.5, -0.5])
    np.testing.assert_allclose(gradient(lambda t: np.linalg.norm(t, 2), 3 * np.eye(2)), np.eye(2) / 2, atol=1e-12)
    found = gradient(lambda t: np.linalg.norm(t, 1), np.array([[1.0, -2.0], [2.0, 1.0]]))
    np.testing.assert_allclose(found, [[0.5, -0.5], [0.5, 0.5]])


def test_a_count_has_no_gradient() -> None:
    np.testing.assert_array_equal(gradient(lambda t: np.linalg.norm(t, 0), np.array([1.0, 0.0])), [0, 0])


@pytest.mark.parametrize("p", [None, -2, "fro", 1])
def test_an_infinite_condition_has_gradient_zero(p: Any) -> None:
    zero = np.zeros((2, 2))
    x = np.stack([zero if p == -2 else np.diag([1.0, 0.0]), np.diag([1.0, 2.0])])
    found = gradient(lambda t: np.linalg.cond(t, p), x)
    np.testing.assert_array_equal(found[0], zero)
    np.testing.assert_allclose(found[1], gradient(lambda t: np.linalg.cond(t, p), x[1]), atol=1e-13)


@pytest.mark.parametrize("p", [None, "fro", 1, np.inf])
def test_what_is_singular_but_for_rounding_has_gradient_zero(p: Any) -> None:
    """Its condition number is chance, and a gradient of 10⁴⁷ would be too."""
    for x in (np.ones((3, 3)), np.arange(9.0).reshape(3, 3), np.array([[1.0, 1.0], [1.0, np.nextafter(1, 2)]])):
        found = gradient(lambda t: np.linalg.cond(t, p), x)
        # By chance a BLAS may find the smallest singular value a little larger than a rounding.
        assert np.linalg.cond(x, p) > 1e15
        assert np.abs(found).max() < 1e33
        if np.array_equal(x[0], x[1]) or np.linalg.cond(x, p) > 1 / np.finfo(float).eps:
            np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize("p", [p for p in MATRIX if p != "nuc"])  # of which NumPy asks for the singular values of nan
def test_conditions_of_matrices_with_elements_that_are_not_finite(p: Any) -> None:
    nan, infinite = np.array([[np.nan, 1.0], [0.0, 1.0]]), np.array([[1.0, np.inf], [0.0, 1.0]])
    for x in (np.stack([nan, infinite, np.eye(2)]), infinite, 1e200 * normal(2, 2)):
        with np.errstate(all="ignore"):
            try:
                expected = np.asarray(np.linalg.cond(x, p))
            except np.linalg.LinAlgError:
                continue
        close(np.linalg.cond(tn.tensor(x), p).data, expected)


@pytest.mark.parametrize("p", [None, 2, -2])
def test_conditions_beside_matrices_that_are_not_finite(p: Any) -> None:
    """As in NumPy from 2.5 on; before, one of them made all of the stack an error."""
    good = normal(2, 2)
    x = tn.tensor(np.stack([good, [[np.nan, 1.0], [0.0, 1.0]], [[1.0, np.inf], [0.0, 1.0]]]), requires_grad=True)
    found = np.linalg.cond(x, p)
    close(found.data, [np.linalg.cond(good, p), np.nan, np.inf])
    found[0].backward()
    alone = tn.tensor(good, requires_grad=True)
    np.linalg.cond(alone, p).backward()
    close(x.grad.data, [alone.grad.data, np.zeros((2, 2)), np.zeros((2, 2))])


def test_complex_zeros_have_second_derivative_zero() -> None:
    for ord in VECTOR:
        slope = tn.grad(lambda t, ord=ord: np.linalg.norm(t, ord))
        with np.errstate(divide="ignore"):
            found = tn.grad(lambda t, slope=slope: np.real(slope(t)).sum())(tn.tensor(np.zeros(2, complex)))
        np.testing.assert_array_equal(found.numpy(), np.zeros(2))


def test_second_derivatives_where_the_gradient_is_zero() -> None:
    x, v = np.array([1.0, -2.0]), normal(2)
    for p in (2, 1, 3, math.inf):

        def f(t: Any, p: Any = p) -> Any:
            return np.linalg.norm(t, p)

        at, slope = f(tn.tensor(x)).item(), gradient(f, x)
        found = tn.hvp(lambda t, f=f, at=at: (f(t) - at) ** 2)(tn.tensor(x), tn.tensor(v))
        np.testing.assert_allclose(found.numpy(), 2 * slope * (slope * v).sum(), atol=1e-12)


def test_norms_do_not_overflow_in_their_gradients() -> None:
    found = gradient(lambda t: np.linalg.norm(t, 3), np.array([1e-90, 1e-90]))
    np.testing.assert_allclose(found, [0.5 ** (2 / 3)] * 2)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_is_kept(dtype: Any) -> None:
    x = tn.tensor(complex_normal(2, 2).astype(dtype) if dtype is np.complex64 else normal(2, 2).astype(dtype))
    x.requires_grad_()
    outs = [np.linalg.norm(x, p, axis=0) for p in VECTOR] + [np.linalg.norm(x, p) for p in MATRIX]
    for out in [*outs, *(np.linalg.cond(x, p) for p in (None, -2, "fro", 1))]:
        assert out.dtype == np.float32
        out.sum().backward()
        assert x.grad.dtype == dtype


def test_lists_and_whole_arrays() -> None:
    assert np.linalg.norm([tn.tensor(3.0), tn.tensor(4.0)]).item() == 5.0
    assert tn.linalg.norm([3.0, 4.0]) == 5.0
    x = normal(2, 2, 2)
    close(np.linalg.norm(tn.tensor(x)).data, np.asarray(np.linalg.norm(x)))


# -- errors ------------------------------------------------------------------------------------------------------


def test_errors_say_what_to_do() -> None:
    x = tn.tensor(normal(2, 2, 2))
    with pytest.raises(ValueError, match="not for 3 axes: name one or two by axis="):
        np.linalg.norm(x, 2)
    with pytest.raises(ValueError, match=r"np\.linalg\.vector_norm"):
        np.linalg.norm(x, 3, axis=(0, 1))
    with pytest.raises(ValueError, match="names one axis twice"):
        np.linalg.norm(x, axis=(0, -3))
    with pytest.raises(ValueError, match="Invalid norm order 'fro' for vectors"):
        np.linalg.norm(x, "fro", axis=0)
    with pytest.raises(np.exceptions.AxisError, match="axis 3 is out of bounds"):
        np.linalg.norm(x, axis=3)
    with pytest.raises(ValueError, match="axis 0 is out of bounds"):
        np.linalg.vector_norm(tn.tensor(1.0), axis=0)
    with pytest.raises(np.linalg.LinAlgError, match=r"empty matrix has no condition number: x has the shape \(0, 2\)"):
        np.linalg.cond(tn.tensor(np.empty((0, 2))))
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        np.linalg.cond(tn.tensor(np.ones((3, 2))), 1)
