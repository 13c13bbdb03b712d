"""Complex numbers: gradients of every elementwise op, against finite differences and PyTorch, and the convention."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads

#: In every quadrant, and inside and outside of the unit circle.
Z = np.array([0.3 + 0.4j, -1.5 + 0.7j, 2.1 - 0.6j, -0.8 - 1.9j, 0.2 + 2.2j])
W = np.array([1.2 - 0.4j, 0.5 + 0.7j, -1.1 + 0.6j, 0.9 - 0.9j, -0.7 - 0.2j])
UNARY = [
    "negative", "positive", "absolute", "square", "reciprocal", "sqrt", "exp", "exp2", "expm1", "log", "log2", "log10",
    "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh",
    "sign", "conj", "real", "imag", "angle", "real_if_close", "sinc",
]  # fmt: skip
BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "float_power",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "safe_mul",
]


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def gradient(f: Callable[[Any], Any], z: Any) -> Any:
    x = leaf(z)
    f(x).sum().backward()
    assert x.grad is not None
    return x.grad.numpy()


# -- finite differences and PyTorch ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str) -> None:
    check_grads(getattr(tn, name), [Z], order=2)
    check_grads(getattr(tn, name), [np.array(-0.4 + 0.3j)], order=2)
    assert getattr(tn, name)(np.zeros((0, 2), complex)).shape == (0, 2)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize(
    ("x", "y"),
    [
        (Z, W), (Z, W[:1]), (Z, W.real), (abs(Z), W), (Z, 2), (Z, 0.5), (Z, 1), (Z, 1 + 2j), (2.0, W), (-2.0, W),
        (-Z.real**2, W), (1j, W), (0, W), (0.3 - 1j, W.real),
    ],
    ids=range(14),
)  # fmt: skip
def test_binary(name: str, x: Any, y: Any) -> None:
    if "power" in name and isinstance(x, int):  # 0 to powers that are finite
        y = np.abs(y) + 0.5j
    check_grads(getattr(tn, name), [x, y], order=2)


def test_other_elementwise_ops() -> None:
    check_grads(lambda a, b: tn.where(Z.real > 0, a, b), [Z, W], order=2)
    check_grads(lambda a: tn.where(Z.real > 0, a, 1.0), [Z], order=2)
    check_grads(lambda a: tn.clip(a, -1, 1), [Z], order=2)
    check_grads(lambda a: tn.angle(a, deg=True), [Z], order=2)
    check_grads(lambda a, b: np.abs(a * np.conj(b)) ** 2 + np.abs(a.real + 0.37 * b.imag), [Z, W], order=2)


@pytest.mark.parametrize("name", [n for n in UNARY if n != "real_if_close"])
@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
def test_against_torch(name: str, dtype: Any) -> None:
    torch = pytest.importorskip("torch")
    theirs = {"sign": "sgn", "conj": "conj_physical"}.get(name, name)
    x, z = leaf(Z.astype(dtype)), torch.tensor(Z.astype(dtype), requires_grad=True)
    f = getattr(torch, theirs, None) or getattr(torch.Tensor, theirs)
    expected = f(z)
    g = np.array([1 - 2j, 0.5, -1j, 2 + 0.3j, 0.1]).astype(dtype)
    seed = g if expected.is_complex() else g.real
    expected.backward(torch.tensor(seed))
    found = getattr(np, name)(x)
    found.backward(seed)
    assert str(found.dtype) == str(expected.dtype).removeprefix("torch.")
    tolerance = 1e-12 if dtype is np.complex128 else 1e-5
    np.testing.assert_allclose(found.numpy(), expected.detach().resolve_conj().numpy(), rtol=tolerance, atol=tolerance)
    assert x.grad is not None
    assert x.grad.dtype == dtype
    np.testing.assert_allclose(x.grad.numpy(), z.grad.resolve_conj().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("f", [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow])
@pytest.mark.parametrize("real", ["neither", "left", "right"])
def test_operators_against_torch(f: Any, real: str) -> None:
    torch = pytest.importorskip("torch")
    arrays = [abs(Z) if real == "left" else Z, W.real if real == "right" else W]
    ours = [leaf(a) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    seed = np.array([1 - 2j, 0.5, -1j, 2 + 0.3j, 0.1])
    f(*ours).backward(seed)
    f(*theirs).backward(torch.tensor(seed))
    for a, b in zip(ours, theirs, strict=True):
        assert a.grad is not None
        assert a.grad.dtype == a.dtype  # that of a real input is real
        np.testing.assert_allclose(a.grad.numpy(), b.grad.resolve_conj().numpy(), rtol=1e-12)


# -- the convention ----------------------------------------------------------------------------------------------


def test_the_gradient_is_the_direction_of_steepest_ascent() -> None:
    np.testing.assert_allclose(gradient(lambda z: np.abs(z) ** 2, Z), 2 * Z)
    np.testing.assert_array_equal(gradient(lambda z: z.real + 3 * z.imag, Z), np.full(5, 1 + 3j))
    z = np.zeros(5, complex)
    for _ in range(60):
        z = z - 0.25 * gradient(lambda x: np.abs(x - Z) ** 2, z)
    np.testing.assert_allclose(z, Z, atol=1e-12)


def test_against_jax() -> None:
    """Whose gradient is the conjugate of this one."""
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    def loss(xp: Any, z: Any) -> Any:
        return (xp.abs(xp.sin(z) * xp.conj(z)) + xp.real(z**2) * xp.imag(xp.exp(z)) + xp.angle(z)).sum()

    with jax.enable_x64(True):
        expected = np.asarray(jax.grad(lambda z: loss(jnp, z))(Z))
    np.testing.assert_allclose(gradient(lambda z: loss(np, z), Z), expected.conj(), rtol=1e-12)


def test_a_complex_result_has_no_gradient_of_its_own() -> None:
    with pytest.raises(TypeError, match=r"Take the tensor's \.real"):
        (leaf(Z) * 2).sum().backward()


# -- special points ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [np.abs, np.angle, lambda z: np.sign(z).real, lambda z: np.sign(z).imag])
def test_zero_at_zero_to_second_order(f: Any) -> None:
    z = leaf(np.zeros(2, complex))
    f(z).sum().backward(create_graph=True)
    first = z.grad
    assert first is not None
    np.testing.assert_array_equal(first.numpy(), 0)
    z.grad = None
    (first.real + 2 * first.imag).sum().backward()
    assert z.grad is not None
    np.testing.assert_array_equal(z.grad.numpy(), 0)


def test_the_sign_of_a_complex_number() -> None:
    np.testing.assert_allclose(tn.sign(tn.tensor([3 + 4j, 0j, -2j])).numpy(), [0.6 + 0.8j, 0, -1j], rtol=1e-15)
    assert tn.sign(leaf(Z)).requires_grad
    assert tn.grad(tn.sign)(0.5) == 0.0
    assert tn.sign(leaf(Z.astype(np.complex64))).dtype == np.complex64


@pytest.mark.parametrize("name", ["arcsin", "arccos", "arccosh", "arcsinh", "arctanh", "sqrt", "log"])
@pytest.mark.parametrize("z", [2 + 0j, complex(2, -0.0), -2 + 0j, complex(-2, -0.0), 2j, complex(-0.0, 2), -2j])
def test_on_branch_cuts_the_slope_is_that_of_the_same_side(name: str, z: complex) -> None:
    """Moving along the cut the function is continuous, whichever side it takes the cut to be on."""
    f = getattr(np, name)
    along = 1 if z.imag == 0 else 1j
    moved = [f(complex(z.real + s, z.imag) if along == 1 else complex(z.real, z.imag + s)) for s in (1e-5, -1e-5)]
    expected = (moved[0] - moved[1]) / 2e-5 / along
    found = gradient(lambda x: f(x).real, z).conjugate()  # of a function with a complex derivative that is it
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_ties_are_shared_and_order_is_that_of_numpy() -> None:
    a, b = np.array([1 + 2j, 1 + 1j, 1 + 1j]), np.array([1 + 1j, 1 + 2j, 1 + 1j])
    x, y = leaf(a), leaf(b)
    out = np.maximum(x, y)
    np.testing.assert_array_equal(out.numpy(), np.maximum(a, b))
    out.real.sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), [1, 0, 0.5])
    np.testing.assert_array_equal(y.grad.numpy(), [0, 1, 0.5])


def test_powers_of_zero_and_of_negative_numbers() -> None:
    np.testing.assert_array_equal(gradient(lambda z: (z**2).real, np.array([0j, 1 + 1j])), [0, 2 - 2j])
    base = leaf(np.array([-2.0, 3.0]))  # the power of a real number to a complex one is complex
    exponent = leaf(np.array([1 + 1j, 0.5j]))
    (base**exponent).imag.sum().backward()
    assert base.grad is not None
    assert base.grad.dtype == np.float64
    assert np.isfinite(exponent.grad.numpy()).all()
    assert (leaf(Z.astype(np.complex64)) ** 2.5).dtype == np.complex64
    assert gradient(lambda y: (2j**y).real, W.astype(np.complex64)).dtype == np.complex64


# -- parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["conj", "conjugate", "real", "imag", "angle", "real_if_close"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128, np.int32])
@pytest.mark.parametrize("shape", [(), (5,), (0, 3)])
def test_values_and_dtypes_are_those_of_numpy(name: str, dtype: Any, shape: Any) -> None:
    with np.errstate(all="ignore"):
        x = np.resize(Z if np.dtype(dtype).kind == "c" else Z.real, shape).astype(dtype)
    found, expected = getattr(np, name)(tn.tensor(x)), np.asarray(getattr(np, name)(x))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_parts_of_real_numbers() -> None:
    x = Z.real
    np.testing.assert_array_equal(gradient(np.real, x), 1)
    np.testing.assert_array_equal(gradient(np.conj, x), 1)
    np.testing.assert_array_equal(gradient(np.imag, x), 0)
    np.testing.assert_array_equal(gradient(np.angle, x), 0)
    np.testing.assert_array_equal(np.angle(leaf(x)).numpy(), np.where(x < 0, math.pi, 0))


def test_real_if_close() -> None:
    near = Z.real + 1e-15j
    z = leaf(near)
    out = np.real_if_close(z)
    assert out.dtype == np.float64
    out.sum().backward()
    assert z.grad is not None
    np.testing.assert_array_equal(z.grad.numpy(), 1)
    assert np.real_if_close(leaf(near), tol=1e-16).dtype == np.complex128
    assert np.real_if_close(leaf(Z)).dtype == np.complex128
    assert np.real_if_close(leaf(Z.astype(np.complex64))).dtype == np.complex64


def test_list_and_number_arguments() -> None:
    assert tn.real(1 + 2j) == 1
    assert tn.conj(1 + 2j) == 1 - 2j
    np.testing.assert_array_equal(tn.imag([1 + 2j, 3]), [2, 0])
