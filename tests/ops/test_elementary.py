"""NumPy's less common elementwise functions: values, gradients at special points, dtypes and shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch

R = np.random.default_rng(0)
ALL = R.normal(size=(3, 4))
OTHER = R.normal(size=(3, 4))
POSITIVE = R.uniform(0.3, 2.0, (3, 4))


def leaf(values: Any, dtype: Any = np.float64) -> tn.Tensor:
    return tn.tensor(np.asarray(values, dtype), requires_grad=True)


def gradients(f: Callable[..., Any], *values: Any) -> list[Any]:
    """The gradients of the sum of what `f` returns."""
    tensors = [leaf(v) for v in values]
    f(*tensors).sum().backward()
    return [None if t.grad is None else t.grad.numpy() for t in tensors]


# -- PyTorch -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "arrays"),
    [
        ("logaddexp2", "logaddexp2", (ALL, OTHER)),
        ("fmax", "fmax", (ALL, OTHER)),
        ("fmin", "fmin", (ALL, OTHER)),
        ("fmod", "fmod", (5 * ALL, POSITIVE)),
        ("copysign", "copysign", (ALL, OTHER)),
        ("sinc", "sinc", (ALL,)),
        ("sinc", "sinc", (np.array([0.0, 1.0, -2.0]),)),
        ("i0", "i0", (3 * ALL,)),
        ("degrees", "rad2deg", (ALL,)),
        ("rad2deg", "rad2deg", (ALL,)),
        ("radians", "deg2rad", (ALL,)),
        ("deg2rad", "deg2rad", (ALL,)),
        ("fabs", "abs", (ALL,)),
        ("nan_to_num", "nan_to_num", (np.array([1.0, math.nan, math.inf, -math.inf]),)),
    ],
)
def test_against_torch(ours: str, theirs: str, arrays: Any) -> None:
    torch = pytest.importorskip("torch")
    agrees_with_torch(getattr(np, ours), getattr(torch, theirs), *arrays)
    agrees_with_torch(getattr(tn, ours), getattr(torch, theirs), *(a[..., 0] for a in arrays))


# -- values, dtypes and shapes -----------------------------------------------------------------------------------

UNARY = ["fabs", "degrees", "rad2deg", "radians", "deg2rad", "sinc", "i0", "nan_to_num", "modf", "frexp"]
BINARY = ["logaddexp2", "fmax", "fmin", "fmod", "float_power", "copysign", "heaviside", "divmod", "ldexp"]


@pytest.mark.parametrize("name", UNARY + BINARY)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 3)])
def test_values_and_dtypes_are_those_of_numpy(name: str, dtype: Any, shape: tuple[int, ...]) -> None:
    f = getattr(np, name)
    arrays = [np.asarray(R.uniform(1, 4, shape), dtype)]
    if name in BINARY:
        arrays.append(np.asarray(R.uniform(1, 4, (3,) if shape else ()), np.int32 if name == "ldexp" else dtype))
    expected, found = f(*arrays), f(*map(tn.tensor, arrays))
    if dtype is np.float16 and name in ("sinc", "i0"):  # of which NumPy rounds every part
        expected = f(arrays[0].astype(np.float32)).astype(dtype)
    parts = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
    for a, b in parts:
        assert type(a) is tn.Tensor
        assert (a.shape, a.dtype) == (np.shape(b), b.dtype)
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-12)


@pytest.mark.parametrize("name", UNARY + BINARY)
def test_gradients_are_float32_where_the_inputs_are(name: str) -> None:
    arrays = [R.uniform(1, 2, 3).astype(np.float32)]
    if name in BINARY:
        arrays.append(np.array(2) if name == "ldexp" else np.float32(1.5) * np.ones((2, 1), np.float32))
    tensors = [tn.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    out = getattr(np, name)(*tensors)
    out = next(o for o in out if o.requires_grad) if isinstance(out, tuple) else out
    out.sum().backward()
    for t in tensors:
        if t.requires_grad:
            assert t.grad is not None
            assert (t.grad.dtype, t.grad.shape) == (np.float32, t.shape)


@pytest.mark.parametrize("name", ["fabs", "degrees", "sinc", "i0", "nan_to_num", "logaddexp2", "copysign", "ldexp"])
def test_integers_are_constants(name: str) -> None:
    values = [tn.tensor([1, 2]), 2] if name in BINARY else [tn.tensor([1, 2])]
    assert not getattr(np, name)(*values).requires_grad


def test_python_numbers_keep_float32() -> None:
    x = leaf([0.5, 1.5], np.float32)
    for f in (np.logaddexp2, np.fmax, np.fmin, np.fmod, np.copysign, np.heaviside):
        assert f(x, 0.7).dtype == f(0.7, x).dtype == np.float32
    assert [part.dtype for part in np.divmod(x, 0.7)] == [np.float32] * 2


# -- choices -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "y", "by_x", "by_y"),
    [
        (np.fmax, 1.0, 2.0, 0, 1),
        (np.fmax, 2.0, 2.0, 0.5, 0.5),
        (np.fmax, math.nan, 2.0, 0, 1),
        (np.fmax, 1.0, math.nan, 1, 0),
        (np.fmax, math.nan, math.nan, 0, 0),
        (np.fmax, -math.inf, math.nan, 1, 0),
        (np.fmin, 1.0, 2.0, 1, 0),
        (np.fmin, 2.0, 2.0, 0.5, 0.5),
        (np.fmin, math.nan, 2.0, 0, 1),
        (np.fmin, 1.0, math.nan, 1, 0),
        (np.fmin, math.nan, math.nan, 0, 0),
        (np.fmin, math.inf, math.nan, 1, 0),
        (np.heaviside, 0.0, 0.3, 0, 1),
        (np.heaviside, -0.0, 0.3, 0, 1),
        (np.heaviside, 2.0, 0.3, 0, 0),
        (np.heaviside, math.nan, 0.3, 0, 0),
        (np.copysign, 2.0, -1.0, -1, 0),
        (np.copysign, -2.0, -1.0, 1, 0),
        (np.copysign, 2.0, -0.0, -1, 0),
        (np.copysign, 0.0, -1.0, 0, 0),
        (np.copysign, math.inf, -math.inf, -1, 0),
        (np.logaddexp2, -math.inf, -math.inf, 0, 0),
        (np.logaddexp2, -math.inf, 3.0, 0, 1),
        (np.logaddexp2, 1000.0, 1000.0, 0.5, 0.5),
        (np.fmod, 5.0, 3.0, 1, -1),
        (np.fmod, -5.0, 3.0, 1, 1),
        (np.fmod, 5.0, math.inf, 1, 0),
    ],
)
def test_at_special_points(f: Any, x: float, y: float, by_x: float, by_y: float) -> None:
    assert gradients(f, x, y) == [by_x, by_y]
    assert gradients(lambda a: f(a, y), x) == [by_x]
    assert gradients(lambda b: f(x, b), y) == [by_y]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.fmod(1.0, x),
        lambda x: np.i0(x + 1000),
        lambda x: np.fabs(x),
        lambda x: np.divmod(x, x)[1],
        lambda x: np.float_power(x, -1),
    ],
)
def test_the_branch_not_taken_has_no_gradient(f: Any) -> None:
    """Also where its derivative is infinite, and at second order."""
    x = leaf(0.0)
    with np.errstate(all="ignore"):
        y = np.where(x > 1, f(x), x * x)
        y.backward(create_graph=True)
        first = x.grad
        assert first is not None
        assert first.item() == 0
        x.grad = None
        first.backward()
    assert x.grad is not None
    assert x.grad.item() == 2


def test_whole_powers_of_negative_numbers_and_of_integers() -> None:
    x = leaf([-2.0, 3.0], np.float32)
    y = np.float_power(x, 2)
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad.numpy(), [-4, 6])
    np.testing.assert_allclose(np.float_power(tn.tensor([2, 4]), -2).numpy(), [1 / 4, 1 / 16])
    check_grads(np.float_power, [POSITIVE, OTHER[0]], order=2)
    check_grads(lambda y: np.float_power(2, y), [OTHER[0]], order=2)


# -- nan_to_num --------------------------------------------------------------------------------------------------

SPECIAL = st.sampled_from([1.5, -0.0, math.nan, math.inf, -math.inf])
REPLACEMENT = st.sampled_from([None, 0, 2.5, np.float64(-1.0), True])


@settings(max_examples=60, deadline=None)
@given(st.lists(SPECIAL, max_size=4), REPLACEMENT, REPLACEMENT, REPLACEMENT, st.sampled_from("efdFDi"))
def test_replaced_values_are_those_of_numpy(values: Any, nan: Any, high: Any, low: Any, dtype: str) -> None:
    with np.errstate(all="ignore"):
        x = np.array(values, np.float64).astype(dtype)
        if dtype in "FD":
            x = x + 1j * x[::-1]
    options = {"nan": 0.0 if nan is None else nan, "posinf": high, "neginf": low}
    found, expected = np.nan_to_num(tn.tensor(x), **options), np.nan_to_num(x, **options)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.numpy(), expected)


def test_what_is_replaced_has_no_gradient_and_its_replacement_has() -> None:
    fill = leaf([1.0, 2.0, 3.0, 4.0])
    x = leaf([math.nan, 5.0, math.inf, -math.inf])
    y = np.nan_to_num(x * x, nan=fill, posinf=fill * 10)
    np.testing.assert_array_equal(y.numpy(), [1, 25, 30, 40])
    y.sum().backward()
    assert x.grad is not None
    assert fill.grad is not None
    np.testing.assert_array_equal(x.grad.numpy()[1:2], 10)
    np.testing.assert_array_equal(fill.grad.numpy(), [1, 0, 10, 10])
    z = leaf([math.nan, 5.0, -math.inf])
    np.nan_to_num(z).sum().backward()
    assert z.grad is not None
    np.testing.assert_array_equal(z.grad.numpy(), [0, 1, 0])


def test_complex_parts_are_replaced_one_by_one() -> None:
    z = tn.tensor([complex(math.nan, 2), complex(3, math.inf)], requires_grad=True)
    out = np.nan_to_num(z, posinf=7)
    np.testing.assert_array_equal(out.numpy(), [2j, 3 + 7j])
    (out.real + 2 * out.imag).sum().backward()
    assert z.grad is not None
    np.testing.assert_array_equal(z.grad.numpy(), [2j, 1])


def test_replacing_in_place() -> None:
    x = leaf([1.0, math.nan, 3.0])
    y = x * 2
    assert np.nan_to_num(y, copy=False, nan=5.0) is y
    assert y.tolist() == [2.0, 5.0, 6.0]
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 0.0, 2.0]
    with pytest.raises(RuntimeError, match="item assignment to a leaf"):
        np.nan_to_num(x, copy=False)


def test_replacements_fit() -> None:
    for wrong in (None, 1j):
        with pytest.raises(TypeError, match="cannot replace elements of float64: give real numbers"):
            np.nan_to_num(leaf([1.0]), nan=wrong)
    with pytest.raises(ValueError, match="replacement of shape"):
        np.nan_to_num(leaf([math.nan]), nan=np.ones((2, 1)))


# -- parts of a number -------------------------------------------------------------------------------------------


def test_functions_of_two_results() -> None:
    x = leaf([2.75, -6.0, 0.0])
    fraction, whole = np.modf(x)
    mantissa, exponent = np.frexp(x)
    quotient, rest = np.divmod(x, 2.0)
    assert all(t.requires_grad for t in (fraction, whole, mantissa, quotient, rest))
    assert not exponent.requires_grad
    np.testing.assert_array_equal((fraction + whole).numpy(), x.numpy())
    np.testing.assert_array_equal(np.ldexp(mantissa, exponent).numpy(), x.numpy())
    np.testing.assert_array_equal((quotient * 2 + rest).numpy(), x.numpy())
    for out, expected in ((fraction, [1, 1, 1]), (mantissa, [1 / 4, 1 / 8, 1]), (rest, [1, 1, 1])):
        x.grad = None
        out.sum().backward(retain_graph=True)
        np.testing.assert_array_equal(x.grad.numpy(), expected)
    x.grad = None
    np.ldexp(mantissa, exponent).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 1)


def test_remainders_by_the_divisor() -> None:
    x, y = np.array([5.3, -5.3, 7.1]), np.array([3.0, 2.0, -1.3])
    check_grads(lambda a, b: np.divmod(a, b)[1], [x, y], order=2)
    check_grads(np.fmod, [x, y], order=2)


# -- sinc and the Bessel function --------------------------------------------------------------------------------

NODES, WEIGHTS = np.polynomial.legendre.leggauss(60)
#: On [0, 1].
T, DT = (NODES + 1) / 2, WEIGHTS / 2
POINTS = np.array([0.0, 1e-8, -1e-4, 0.02, 0.3, 0.63, 0.64, -0.95, 1.0, 1.27, 2.5, -4.0])


def nested(f: Callable[..., Any], order: int) -> Callable[..., Any]:
    for _ in range(order):
        f = tn.grad(lambda x, f=f: f(x).sum())
    return f


@pytest.mark.parametrize("order", range(5))
def test_derivatives_of_sinc_to_high_order(order: int) -> None:
    """sinc x is the mean of cos(πxt) over t in [0, 1], which is differentiated under the integral."""
    expected = (math.pi * T) ** order * np.cos(math.pi * POINTS[:, None] * T + order * math.pi / 2) @ DT
    np.testing.assert_allclose(nested(np.sinc, order)(tn.tensor(POINTS)).numpy(), expected, rtol=1e-12, atol=1e-14)


def test_the_slope_of_sinc_is_accurate_near_zero() -> None:
    x = 10.0 ** -np.arange(3, 12)
    (slope,) = gradients(np.sinc, x)
    y = math.pi * x
    np.testing.assert_allclose(slope, math.pi * (-y / 3 + y**3 / 30), rtol=1e-9)


def test_complex_sinc() -> None:
    check_grads(np.sinc, [np.array([0.3 + 0.4j, -1.2 + 0.5j, 0j])], order=2)


@pytest.mark.parametrize("order", range(4))
def test_derivatives_of_i0_to_high_order(order: int) -> None:
    """I₀(x) is the mean of exp(x cos πt) over t in [0, 1]."""
    cosine = np.cos(math.pi * T)
    expected = np.exp(POINTS[:, None] * cosine) * cosine**order @ DT
    found = nested(np.i0, order)(tn.tensor(POINTS)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)


def test_bessel_functions_of_other_orders() -> None:
    z = np.array([0.3, 1.2, 2.5])
    check_grads(lambda z: tn.iv(0.5, z), [z], order=2)
    check_grads(lambda z: tn.iv(3, z), [np.array([0.0, -1.0])], order=2)


# -- errors ------------------------------------------------------------------------------------------------------


def test_errors_say_how_to_fix() -> None:
    with pytest.raises(ValueError, match=r"fmax.*\(2,\) and \(3,\) are matched from their last axes"):
        np.fmax(leaf([1.0, 2.0]), leaf([1.0, 2.0, 3.0]))
    with pytest.raises(TypeError, match=r"y must hold integers, not float64.*write x \* 2\.0\*\*y"):
        np.ldexp(leaf([1.0]), 0.5)
    with pytest.raises(TypeError, match="i0"):
        np.i0(tn.tensor([1j]))


def test_other_names() -> None:
    for name in ("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "mod", "true_divide"):
        assert getattr(np, name).__name__ == getattr(tn, name).name
    assert tn.rad2deg is tn.degrees
    assert tn.deg2rad is tn.radians
