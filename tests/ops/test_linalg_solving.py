"""Inverses, linear systems, least squares and powers of matrices, against NumPy, PyTorch, JAX and finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.ops.linalg.least_squares import stein
from tapenet.testing import check_grads
from tests import NUMPY
from tests.ops.oracle import agrees_with_torch, close, peak_of_backward
from tests.ops.test_native_functions import calls_python
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture
RNG = np.random.default_rng(3)


def regular(*shape: int) -> Any:
    return RNG.uniform(-0.5, 0.5, shape) + 2 * np.eye(shape[-1])


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def complex_normal(*shape: int) -> Any:
    return normal(*shape) + 1j * normal(*shape)


def low_rank(m: int, n: int, rank: int) -> Any:
    return normal(m, rank) @ normal(rank, n)


CALLS: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
    (np.linalg.inv, (regular(3, 3),), {}),
    (np.linalg.inv, (np.array([[2, 1], [1, 3]]),), {}),
    (np.linalg.inv, (regular(2, 0, 0),), {}),
    (np.linalg.inv, (regular(0, 2, 2),), {}),
    (np.linalg.inv, (complex_normal(2, 2),), {}),
    (np.linalg.solve, (regular(2, 2, 2), normal(2)), {}),
    (np.linalg.solve, (regular(2, 2), np.array([1, 2])), {}),
    (np.linalg.solve, (complex_normal(2, 2), normal(2, 0)), {}),
    (np.linalg.solve, (regular(3, 1, 2, 2), normal(2, 2, 1)), {}),
    (np.linalg.tensorsolve, (regular(6, 6).reshape(2, 3, 6), normal(2, 3)), {}),
    (np.linalg.tensorsolve, (regular(4, 4).reshape(2, 2, 4).transpose(2, 0, 1), normal(2, 2)), {"axes": (0,)}),
    (np.linalg.tensorinv, (regular(6, 6).reshape(6, 3, 2),), {"ind": 1}),
    (np.linalg.matrix_power, (regular(2, 2, 2), 7), {}),
    (np.linalg.matrix_power, (np.array([[2, 1], [1, 1]]), 10), {}),
    (np.linalg.matrix_power, (np.array([[2, 1], [1, 1]]), 0), {}),
    (np.linalg.matrix_power, (regular(2, 2), -2), {}),
    (np.linalg.matrix_power, (np.array([[np.nan, np.inf], [1.0, 1.0]]), 0), {}),
    (np.linalg.pinv, (low_rank(4, 3, 2),), {}),
    (np.linalg.pinv, (np.diag([1.0, 0.1, 0.01]),), {"rcond": 0.05}),
    (np.linalg.pinv, (np.stack([np.diag([1.0, 0.1])] * 2),), {"rcond": np.array([0.5, 0.05])}),
    (np.linalg.pinv, (complex_normal(3, 3),), {"hermitian": True}),
    (np.linalg.pinv, (np.diag([1.0, 1e-15]),), {"rtol": None}),
    (np.linalg.pinv, (np.zeros((2, 0, 3)),), {}),
    (np.linalg.lstsq, (normal(4, 2), normal(4)), {}),
    (np.linalg.lstsq, (normal(4, 2), normal(4, 3)), {"rcond": 1e-5}),
    (np.linalg.lstsq, (normal(2, 4), normal(2, 1)), {"rcond": -1}),
    (np.linalg.lstsq, (low_rank(4, 3, 2), normal(4)), {}),
    (np.linalg.lstsq, (normal(3, 2), normal(3, 0)), {}),
    (np.linalg.lstsq, (normal(0, 2), normal(0, 1)), {}),
    (np.linalg.lstsq, (normal(3, 0), normal(3)), {}),
    (np.linalg.lstsq, (complex_normal(3, 2), normal(3)), {}),
    (np.linalg.matrix_rank, (low_rank(4, 3, 2),), {}),
    (np.linalg.matrix_rank, (np.stack([np.eye(2), np.ones((2, 2))]),), {"tol": np.array([2.0, 0.1])}),
    (np.linalg.matrix_rank, (np.diag([1.0, -0.1]),), {"hermitian": True, "rtol": 0.5}),
    (np.linalg.matrix_rank, (np.array([0.0, 2.0]),), {}),
    *([(np.linalg.matrix_rank, (np.zeros((0, 3)),), {})] if NUMPY >= "2.4.0" else []),  # older ones refuse it
]


@pytest.mark.parametrize(
    ("function", "args", "options"), CALLS, ids=[f"{i}-{f.__name__}" for i, (f, _, _) in enumerate(CALLS)]
)
def test_values_are_numpys(function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> None:
    expected = function(*args, **options)
    tensors = [tn.tensor(a) if isinstance(a, np.ndarray) else a for a in args]
    for f in (function, getattr(tn.linalg, function.__name__)):
        found = f(*tensors, **options)
        assert type(found) is (tuple if isinstance(expected, tuple) else tn.Tensor)
        for a, b in zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]:
            close(a.data, np.asarray(b))


@settings(max_examples=15)
@given(
    stack=st.sampled_from([((), ()), ((2,), ()), ((), (2,)), ((2, 1), (3,)), ((1,), (2,)), ((0,), (1,))]),
    n=st.integers(0, 3),
    columns=st.sampled_from([None, 0, 1, 2]),
    kind=st.sampled_from([regular, complex_normal]),
)
def test_systems_of_every_shape(stack: Any, n: int, columns: int | None, kind: Any) -> None:
    a = regular(*stack[0], n, n) + (0 if kind is regular else 0.3j * normal(*stack[0], n, n))
    b = kind(n, n)[0] if n else normal(0)
    if columns is not None:
        b = normal(*stack[1], n, columns)
    close(np.linalg.solve(tn.tensor(a), tn.tensor(b)).data, np.linalg.solve(a, b))
    check_grads(np.linalg.solve, [a, b], order=2)


def test_a_stack_of_vectors_is_a_matrix() -> None:
    """As in NumPy 2: only an array of one axis is a vector."""
    a, b = regular(3, 2, 2), normal(2, 2)
    assert np.linalg.solve(tn.tensor(a), tn.tensor(b)).shape == (3, 2, 2)
    with pytest.raises(ValueError, match=r"with a column each: np.linalg.solve\(a, b\[..., None\]\)"):
        np.linalg.solve(tn.tensor(a), normal(3, 2))


# -- gradients ---------------------------------------------------------------------------------------------------

COMPLEX: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "inv": (np.linalg.inv, [complex_normal(2, 3, 3)]),
    "solve": (np.linalg.solve, [complex_normal(3, 3), complex_normal(3)]),
    "solve real by complex": (np.linalg.solve, [regular(3, 3), complex_normal(3, 2)]),
    "solve complex by real": (np.linalg.solve, [complex_normal(3, 3), normal(3)]),
    "matrix_power": (lambda a: np.linalg.matrix_power(a, -3), [complex_normal(2, 2)]),
    "pinv tall": (np.linalg.pinv, [complex_normal(3, 2)]),
    "pinv wide": (np.linalg.pinv, [complex_normal(2, 2, 3)]),
    "pinv hermitian": (lambda a: np.linalg.pinv(a, hermitian=True), [complex_normal(3, 3)]),
    "lstsq tall": (np.linalg.lstsq, [complex_normal(3, 2), complex_normal(3)]),
    "lstsq wide": (np.linalg.lstsq, [complex_normal(2, 3), complex_normal(2, 2)]),
    "tensorinv": (lambda a: np.linalg.tensorinv(a, 1), [complex_normal(2, 2)]),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_gradients(name: str) -> None:
    function, args = COMPLEX[name]
    check_grads(function, args, order=2)


def test_complex_gradients_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    a, b, w = complex_normal(4, 2), complex_normal(4), complex_normal(2, 4)
    for ours, theirs in (
        (lambda a, b: np.linalg.pinv(a) * w, lambda a, b: torch.linalg.pinv(a) * torch.tensor(w)),
        (
            lambda a, b: np.linalg.lstsq(a, b)[0] * w[:, 0],
            lambda a, b: torch.linalg.lstsq(a, b[:, None])[0][:, 0] * torch.tensor(w[:, 0]),
        ),
        (
            lambda a, b: np.linalg.inv(a[:2]) @ (w @ b),
            lambda a, b: torch.linalg.inv(a[:2]) @ (torch.tensor(w) @ b),
        ),
    ):
        x, y = (tn.tensor(v, requires_grad=True) for v in (a, b))
        tx, ty = (torch.tensor(v, requires_grad=True) for v in (a, b))
        np.real(ours(x, y).sum()).backward()
        theirs(tx, ty).sum().real.backward()
        for mine, other in ((x, tx), (y, ty)):
            if other.grad is not None:
                np.testing.assert_allclose(mine.grad.numpy(), other.grad.resolve_conj().numpy(), atol=1e-12)


def test_gradients_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    wide, tall, square = normal(2, 3, 4), normal(4, 3), regular(2, 3, 3)
    agrees_with_torch(np.linalg.inv, torch.linalg.inv, square)
    agrees_with_torch(np.linalg.solve, torch.linalg.solve, square, normal(2, 3, 2))
    agrees_with_torch(lambda a: np.linalg.matrix_power(a, -5), lambda a: torch.linalg.matrix_power(a, -5), square)
    for a in (wide, tall, low_rank(4, 3, 2)):
        agrees_with_torch(np.linalg.pinv, torch.linalg.pinv, a, dtypes=(np.float64,))
    for a, b in ((tall, normal(4, 2)), (wide[0], normal(3, 2))):
        agrees_with_torch(
            lambda a, b: np.linalg.lstsq(a, b)[0], lambda a, b: torch.linalg.lstsq(a, b)[0], a, b, dtypes=(np.float64,)
        )


def test_gradients_are_jaxs() -> None:
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    a, b, w = normal(4, 3), normal(4), normal(3, 4)
    with jax.enable_x64(True):
        for ours, theirs in (
            (lambda a, b: np.linalg.pinv(a) * w, lambda a, b: jnp.linalg.pinv(a) * w),
            (lambda a, b: np.linalg.lstsq(a, b)[0] * w[:, 0], lambda a, b: jnp.linalg.lstsq(a, b)[0] * w[:, 0]),
            (lambda a, b: np.linalg.lstsq(a, b)[1], lambda a, b: jnp.linalg.lstsq(a, b)[1]),
            (
                lambda a, b: np.linalg.tensorsolve(np.reshape(a[:3, :3], (3, 1, 3)), b[:3, None]),
                lambda a, b: jnp.linalg.tensorsolve(jnp.reshape(a[:3, :3], (3, 1, 3)), b[:3, None]),
            ),
        ):
            x, y = (tn.tensor(v, requires_grad=True) for v in (a, b))
            (ours(x, y).sum() + 0 * y.sum()).backward()
            expected = jax.grad(lambda *v, f=theirs: f(*v).sum(), (0, 1))(a, b)
            np.testing.assert_allclose(x.grad.numpy(), expected[0], atol=1e-11)
            np.testing.assert_allclose(y.grad.numpy(), expected[1], atol=1e-11)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3)])
def test_pseudoinverses_of_a_fixed_low_rank(shape: tuple[int, int]) -> None:
    """The derivative is that along matrices of the same rank: here products of two factors."""
    left, right = normal(shape[0], 2), normal(2, shape[1])
    check_grads(lambda u, v: np.linalg.pinv(u @ v, 1e-8), [left, right], order=2)
    b = normal(shape[0])
    check_grads(lambda u, v, b: np.linalg.lstsq(u @ v, b, 1e-8)[0], [left, right, b], order=2)


def with_values(m: int, n: int, values: list[float], kind: Any = normal) -> Any:
    """A matrix with these singular values."""
    left, right = (np.linalg.qr(kind(k, k))[0] for k in (m, n))
    return (left[:, : len(values)] * values) @ right[: len(values)]


CUT_OFF = [[3, 2, 0.8], [3, 0.9, 0.5], [3, 2, 1.7], [3, 0.5, 0], [3, 2, 0], [3, 1e-3, 0]]


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3)])
@pytest.mark.parametrize("values", CUT_OFF)
def test_singular_values_that_are_cut_off(values: Any, shape: tuple[int, int]) -> None:
    """They turn with those that are kept: the derivative exists, to second order. Real and complex numbers take turns: each
    shape and all values have both."""
    kind = (normal, complex_normal)[(CUT_OFF.index(values) + shape[0] + 2 * shape[1]) % 2]
    a, b = with_values(*shape, values, kind), normal(shape[0], 2)
    check_grads(lambda a: np.linalg.pinv(a, 0.6), [a], order=2)
    check_grads(lambda a, b: np.linalg.lstsq(a, b, 0.6)[0], [a, b], order=2)
    check_grads(lambda a, b: np.linalg.lstsq(a, b, 0.6)[0], [a, b[:, 0]], order=2)


def test_singular_values_that_are_cut_off_in_stacks_and_of_hermitian_matrices() -> None:
    a = np.stack([with_values(3, 3, values) for values in ([3, 2, 0.8], [3, 2.5, 2], [3, 0.5, 0])])
    check_grads(lambda a: np.linalg.pinv(a, np.array([0.6, 0.5, 0.1])), [a], order=2)
    q = np.linalg.qr(normal(3, 3))[0]
    check_grads(lambda a: np.linalg.pinv(a, 0.6, hermitian=True), [(q * [3, -2, 0.8]) @ q.T], order=2)
    empty = tn.tensor(np.zeros((2, 0, 3)), requires_grad=True)
    np.linalg.pinv(empty, hermitian=True).sum().backward()
    assert empty.grad.shape == (2, 0, 3)


@backends
def test_steins_equation_in_programs(compiled: Compile) -> None:
    w, e, r = 0.4 * normal(3, 3), 0.3 * normal(2, 2), normal(3, 2)
    step = compiled(stein)
    for _ in range(2):
        close(step(r, w, e), stein(r, w, e))
        assert np.isnan(step(np.full((3, 2), np.nan), w, e)).all()
    with pytest.raises(np.linalg.LinAlgError, match="does not converge"):
        step(r, np.eye(3), np.eye(2))
    assert not calls_python(step)


def test_steins_equation() -> None:
    w, e, r = 0.4 * normal(3, 3), 0.3 * normal(2, 2), normal(3, 2)
    x = stein(r, w, e)
    close(x, r + w @ x @ e)
    assert stein(np.ones((1, 1)), np.array([[200]], np.uint8), np.array([[1e-3]])).item() == pytest.approx(1.25)
    with pytest.raises(np.linalg.LinAlgError, match="does not converge"):
        stein(r, np.eye(3), np.eye(2))
    assert np.isnan(stein(np.full((3, 2), np.nan), w, e)).all()


@backends
def test_steins_equation_of_each_matrix_by_itself(compiled: Compile) -> None:
    """Whatever the magnitudes of the others in a stack, and those of w and e, of which powers would overflow."""
    one, nines = np.ones((1, 1)), np.array([[[0.0]], [[0.9]]])
    for f in (stein, compiled(stein)):
        for first in (1e20, np.nan):
            close(f(np.array([[[first]], [[1.0]]]), nines, one).ravel(), [first, 10])
        close(f(one, 0.9e-20 * one, 1e20 * one), 10 * one)
        with pytest.raises(np.linalg.LinAlgError, match="does not converge"):
            f(np.array([[[np.nan]], [[1.0]]]), nines + 0.5, one)


def test_gradients_of_pseudoinverses_of_any_magnitude() -> None:
    a, g = with_values(3, 3, [1.0, 0.99, 0.95]), normal(3, 3)

    def gradient(a: Any) -> Any:
        return tn.grad(lambda a: (np.linalg.pinv(a, 0.97) * g).sum())(a).numpy()

    alone = gradient(a)
    for scale in (1e-9, 1e9):
        np.testing.assert_allclose(gradient(a * scale) * scale**2, alone, rtol=1e-7)
        np.testing.assert_allclose(gradient(np.stack([a, a * scale]))[0], alone, rtol=1e-7)


def test_the_pseudoinverse_of_full_rank_takes_few_products() -> None:
    a, g = normal(60, 60), normal(60, 60)
    products = 0

    class Counted(np.ndarray):
        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
            nonlocal products
            products += ufunc is np.matmul
            return getattr(ufunc, method)(*(np.asarray(i) for i in inputs), **options)

    inverse = np.linalg.inv(a)
    found = tn.linalg.pinv.rules["a"](g.view(Counted), inverse, a, False)
    assert products == 1  # and one of its result
    np.testing.assert_allclose(found, -inverse.T @ g @ inverse.T)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (3, 3), (0, 2), (2, 0)])
def test_least_squares_of_full_rank_need_no_singular_values_again(shape: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, g = tn.tensor(complex_normal(*shape), requires_grad=True), normal(shape[0], 2), normal(shape[1], 2)
    x = np.linalg.lstsq(a, b)[0]
    expected = tn.linalg.pinv.rules["a"](g @ b.T, np.linalg.pinv(a.data), a.data, False)
    monkeypatch.delattr(np.linalg, "pinv")
    x.backward(g)
    np.testing.assert_allclose(a.grad.numpy(), np.conj(expected), atol=1e-10)


@pytest.mark.parametrize("shape", [(4, 2), (2, 4)])
def test_least_squares_with_a_plain_matrix_compile(shape: Any) -> None:
    a, weights = normal(*shape), normal(shape[1])

    def step(b: tn.Tensor) -> Any:
        return tn.grad(lambda b: (weights * np.linalg.lstsq(a, b)[0]).sum())(b)

    compiled = tn.compile(step)
    for _ in range(2):
        b = tn.tensor(normal(shape[0]))
        np.testing.assert_allclose(compiled(b).numpy(), step(b).numpy(), rtol=1e-12)


@pytest.mark.parametrize("rcond", [0, 1.0, 2.0])
def test_least_squares_with_a_cutoff_that_lapack_takes_for_the_precision(rcond: float) -> None:
    check_grads(lambda a, b: np.linalg.lstsq(a, b, rcond), [normal(4, 2), normal(4)], order=2)


@pytest.mark.parametrize("shape", [(4000, 2), (2, 4000)])
def test_the_pseudoinverse_of_a_long_matrix_takes_no_square_of_its_length(shape: Any) -> None:
    assert peak_of_backward(np.linalg.pinv, normal(*shape)) < 30


def test_a_hermitian_matrix_is_its_lower_triangle() -> None:
    a = regular(3, 3)
    x = tn.tensor(a, requires_grad=True)
    np.linalg.pinv(x, hermitian=True)[0, 1].backward()
    assert not np.triu(x.grad.numpy(), 1).any()
    whole = np.tril(a) + np.tril(a, -1).T
    y = tn.tensor(whole, requires_grad=True)
    np.linalg.pinv(y)[0, 1].backward()
    full = y.grad.numpy()
    np.testing.assert_allclose(x.grad.numpy(), np.tril(full) + np.triu(full, 1).T, atol=1e-13)


def test_each_result_of_least_squares_has_its_gradient() -> None:
    a, b = normal(4, 2), normal(4, 3)
    for i in (0, 1, 3):
        check_grads(lambda a, b, i=i: np.linalg.lstsq(a, b)[i] + 0 * b.sum(), [a, b], order=2)
    rank = np.linalg.lstsq(tn.tensor(a, requires_grad=True), b)[2]
    assert not rank.requires_grad
    assert rank.item() == 2
    wide = np.linalg.lstsq(tn.tensor(normal(2, 3), requires_grad=True), normal(2))
    assert wide[1].shape == (0,)


def test_float32_and_complex64_are_kept() -> None:
    for dtype in (np.float32, np.complex64):
        a = tn.tensor(regular(3, 3).astype(dtype), requires_grad=True)
        b = tn.tensor(normal(3).astype(dtype), requires_grad=True)
        for out in (
            np.linalg.inv(a), np.linalg.solve(a, b), np.linalg.pinv(a), np.linalg.pinv(a, hermitian=True),
            np.linalg.matrix_power(a, -3), np.linalg.matrix_power(a, 0), *np.linalg.lstsq(a, b)[:1],
        ):  # fmt: skip
            assert out.dtype == dtype
            if out.requires_grad:
                np.abs(out).sum().backward()
                assert a.grad.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float64, np.complex64, np.int8])
def test_the_zeroth_power_has_the_gradient_zero(dtype: Any) -> None:
    a = np.full((2, 3, 3), 1e30 if dtype is np.float64 else 2).astype(dtype)
    a[0, 0, 0] = np.nan if dtype is np.float64 else 1
    x = tn.tensor(a, requires_grad=dtype is not np.int8)
    out = np.linalg.matrix_power(x, 0)
    np.testing.assert_array_equal(out.numpy(), np.linalg.matrix_power(a, 0), strict=True)
    if x.requires_grad:
        out.real.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), np.zeros_like(a), strict=True)


def test_second_derivatives_where_the_gradient_is_zero() -> None:
    """(f - f₀)² at f₀: its Hessian is twice the product of the gradient with itself."""
    a = regular(2, 2)
    for f in (lambda t: np.linalg.inv(t)[0, 1], lambda t: np.linalg.pinv(t)[0, 1]):
        at = f(tn.tensor(a)).item()
        slope = tn.grad(f)(tn.tensor(a)).numpy()
        v = normal(2, 2)
        found = tn.hvp(lambda t, f=f, at=at: (f(t) - at) ** 2)(tn.tensor(a), tn.tensor(v))
        np.testing.assert_allclose(found.numpy(), 2 * slope * (slope * v).sum(), atol=1e-12)


# -- errors ------------------------------------------------------------------------------------------------------


def test_errors_say_what_to_do() -> None:
    singular = tn.tensor(np.ones((2, 2)))
    for call in (lambda: np.linalg.inv(singular), lambda: np.linalg.solve(singular, np.ones(2))):
        with pytest.raises(np.linalg.LinAlgError, match="Singular") as caught:
            call()
        assert "float64 (2, 2)" in str(caught.value)
        assert "np.linalg.pinv or np.linalg.lstsq" in str(caught.value)
    with pytest.raises(np.linalg.LinAlgError) as caught:
        np.linalg.solve(tn.tensor(normal(3, 2)), normal(3))
    assert "for others use np.linalg.lstsq" in str(caught.value)
    with pytest.raises(ValueError, match=r"b must be a vector \(2,\) or matrices \(..., 2, k\), not \(3,\)"):
        np.linalg.solve(tn.tensor(regular(2, 2)), normal(3))
    with pytest.raises(np.linalg.LinAlgError) as caught:
        np.linalg.lstsq(tn.tensor(normal(2, 3, 2)), normal(2, 3, 1))
    assert "For stacks write np.linalg.pinv(a) @ b" in str(caught.value)
    with pytest.raises(np.linalg.LinAlgError, match="must be those of b"):
        np.linalg.tensorsolve(tn.tensor(normal(2, 3)), normal(2))
    with pytest.raises(ValueError, match="rcond and rtol are two names of one number"):
        np.linalg.pinv(tn.tensor(normal(2, 2)), 0.1, rtol=0.1)
    with pytest.raises(np.exceptions.AxisError, match="axis 5 is out of bounds"):
        np.linalg.tensorsolve(tn.tensor(regular(2, 2)), normal(2), axes=(5,))
    with pytest.raises(ValueError, match="ind is the number of axes that come first"):
        np.linalg.tensorinv(tn.tensor(normal(2, 2)), 0)
    with pytest.raises(np.linalg.LinAlgError, match=r"square matrices \(..., k, k\), not \(2, 3\)"):
        np.linalg.matrix_power(tn.tensor(normal(2, 3)), 2)
    with pytest.raises(TypeError, match="integer"):
        np.linalg.matrix_power(tn.tensor(normal(2, 2)), 0.5)  # type: ignore[arg-type]
