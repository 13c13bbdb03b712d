"""Running sums, products and extremes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.ops.reductions.cumulative import recurrence
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close

R = np.random.default_rng(0)

# -- values ------------------------------------------------------------------------------------------------------

FUNCTIONS = [np.cumsum, np.cumprod, np.nancumsum, np.nancumprod]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("shape", "axis"), [((2, 3), None), ((2, 3), 0), ((2, 3), -1), ((0, 3), 1), ((3, 0), 0), ((), None)]
)
@pytest.mark.parametrize("dtype", [None, np.float32, np.complex128])
def test_values_are_those_of_numpy(function: Any, shape: Any, axis: Any, dtype: Any) -> None:
    a = R.normal(size=shape)
    close(function(tn.tensor(a), axis=axis, dtype=dtype).data, function(a, axis=axis, dtype=dtype))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("a", [np.array([1, 2, 3], np.int8), np.array([True, True, False]), np.array([1 + 2j, 3j])])
def test_values_of_other_dtypes(function: Any, a: Any) -> None:
    close(function(tn.tensor(a)).data, function(a))


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
@pytest.mark.parametrize("include_initial", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cumulative_as_in_the_array_api(name: str, include_initial: bool, axis: int) -> None:
    a = R.normal(size=(2, 3))
    options: Any = {"axis": axis, "include_initial": include_initial, "dtype": np.float32}
    close(getattr(np, name)(tn.tensor(a), **options).data, getattr(np, name)(a, **options))
    close(getattr(np, name)(tn.tensor([1, 2])).data, getattr(np, name)(np.array([1, 2])))
    with pytest.raises(ValueError, match=rf"{name}: x has shape \(2, 3\): give axis="):
        getattr(np, name)(tn.tensor(a))


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": -1, "include_initial": True}], ids=str)
def test_cumulative_of_one_number(name: str, options: Any) -> None:
    f = getattr(np, name)
    np.testing.assert_array_equal(f(tn.tensor(2.5), **options).data, f(np.array(2.5), **options))
    check_grads(f, [np.array(2.5)], order=2, kwargs=options)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (tn.cumulative_max, np.maximum.accumulate),
        (tn.cumulative_min, np.minimum.accumulate),
        (tn.logcumsumexp, np.logaddexp.accumulate),
    ],
)
@pytest.mark.parametrize("axis", [0, 1, -2])
def test_accumulated(ours: Any, theirs: Any, axis: int) -> None:
    a = R.normal(size=(3, 4))
    a[1, 1] = np.nan
    a[2, 3] = -np.inf
    with np.errstate(invalid="ignore"):
        close(ours(tn.tensor(a), axis).data, theirs(a, axis))
        close(ours(tn.tensor(a), axis, np.float32).data, theirs(a, axis, np.float32))
    with pytest.raises(ValueError, match="axis must be one of the 2 axes"):
        ours(tn.tensor(a), 2)


# -- gradients ---------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, -2.0, 1.0]), max_size=6))
def test_cumprod_is_right_with_any_zeros(values: list[float]) -> None:
    """The product of the others, by hand, for every pair of an input and a later output."""
    a = np.array(values)
    x = tn.tensor(a, requires_grad=True)
    g = np.arange(1.0, len(a) + 1)
    tn.cumprod(x).backward(g)
    others = [sum(g[j] * np.prod(np.delete(a[: j + 1], i)) for j in range(i, len(a))) for i in range(len(a))]
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), np.array(others).reshape(a.shape), rtol=1e-13)


@pytest.mark.parametrize("a", [[0.0, 2.0, 0.0, 3.0], [0.0, 0.0, 0.0], [1.0, 0.0, 2.0, 0.5, -1.0]])
def test_cumprod_to_third_order_at_zeros(a: list[float]) -> None:
    check_grads(tn.cumprod, [np.array(a)], order=3)


def test_cumprod_where_products_overflow() -> None:
    """Only the first output counts, which is finite: nothing of the others may reach its gradient."""
    x = tn.tensor([1e200, 1e200, 1e200, 1e200, 1e200], requires_grad=True)
    with np.errstate(over="ignore"):
        tn.cumprod(x)[0].backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_cumprod_where_sums_overflow() -> None:
    """The gradient times the outputs is too large a number, what it is divided by in the end brings it back."""
    assert gradient(tn.cumprod, [1e200, 1e80], [0.0, 1e40]) == pytest.approx([1e120, 1e240])
    assert gradient(tn.cumprod, [1e200, 1e80, 2.0], [1e100, 1e40, 1.0])[2] == pytest.approx(1e280)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 33])
def test_the_recurrence(n: int) -> None:
    g, a = R.normal(size=(2, 2, n))
    expected = np.zeros((2, n + 1))
    for i in range(n - 1, -1, -1):
        expected[:, i] = g[:, i] + a[:, i] * expected[:, i + 1]
    np.testing.assert_allclose(recurrence(g, a), expected[:, :n], rtol=1e-12, atol=1e-12)


def test_long_arrays_take_linear_time() -> None:
    """A quadratic rule would take 10¹¹ operations here."""
    x = tn.tensor(1 + R.normal(size=300_000) / 300_000, requires_grad=True)
    (tn.cumprod(x) + tn.logcumsumexp(x)).sum().backward()
    assert x.grad is not None
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_against_torch(axis: int) -> None:
    torch = pytest.importorskip("torch")
    a = R.normal(size=(3, 4))
    a[1, 2] = 0
    agrees_with_torch(lambda x: tn.cumsum(x, axis), lambda x: torch.cumsum(x, axis), a)
    agrees_with_torch(lambda x: tn.cumprod(x, axis), lambda x: torch.cumprod(x, axis), a)
    agrees_with_torch(lambda x: tn.cumulative_max(x, axis), lambda x: torch.cummax(x, axis).values, a)
    agrees_with_torch(lambda x: tn.cumulative_min(x, axis), lambda x: torch.cummin(x, axis).values, a)
    agrees_with_torch(lambda x: tn.logcumsumexp(x, axis), lambda x: torch.logcumsumexp(x, axis), 30 * a)


@pytest.mark.parametrize("function", [tn.cumsum, tn.cumprod])
def test_complex(function: Any) -> None:
    check_grads(function, [R.normal(size=4) + 1j * R.normal(size=4)], order=2)


def gradient(f: Any, values: Any, g: Any) -> list[float]:
    x = tn.tensor(values, requires_grad=True)
    f(x).backward(np.asarray(g))
    assert x.grad is not None
    found: list[float] = x.grad.tolist()
    return found


def test_the_first_of_equal_elements_gets_the_gradient() -> None:
    assert gradient(tn.cumulative_max, [2.0, 1.0, 2.0, 3.0, 3.0], [1.0, 2, 4, 8, 16]) == [7.0, 0, 0, 24, 0]
    assert gradient(tn.cumulative_min, [2.0, 2.0, 1.0, 1.0], [1.0, 2, 4, 8]) == [3.0, 0, 12, 0]
    assert gradient(tn.cumulative_max, [1.0, np.nan, 5.0, np.nan], [1.0, 2, 4, 8]) == [1.0, 14, 0, 0]


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_running_extremes_of_several_rows(axis: int) -> None:
    """The rule for plain numbers and the one for tensors say the same; nothing runs on from one row to the next."""
    a = R.integers(0, 4, (3, 5)).astype(float)
    a[1, 2] = np.nan
    g = R.normal(size=a.shape)
    for f in (tn.cumulative_max, tn.cumulative_min):
        x, y = tn.tensor(a, requires_grad=True), tn.tensor(a, requires_grad=True)
        f(x, axis).backward(g)
        f(y, axis).backward(g, create_graph=True)
        assert x.grad is not None
        assert y.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), y.grad.data, rtol=1e-14, atol=1e-15)


def test_nan_counts_for_nothing() -> None:
    assert gradient(tn.nancumsum, [1.0, np.nan, 2.0], [1.0, 2, 4]) == [7.0, 0, 4]
    assert gradient(tn.nancumprod, [3.0, np.nan, 2.0], [1.0, 2, 4]) == [11.0, 0, 12]


def test_logarithms_at_infinities_and_far_from_0() -> None:
    assert gradient(tn.logcumsumexp, [-np.inf, -np.inf, 0.0], [1.0, 2, 4]) == [0.0, 0, 4]
    np.testing.assert_allclose(gradient(tn.logcumsumexp, [-1000.0, 1000.0, 1000.0], [0.0, 1, 4]), [0, 3, 2], rtol=1e-12)
    assert np.isnan(gradient(tn.logcumsumexp, [np.inf, 1.0], [1.0, 1])[0])
    check_grads(tn.logcumsumexp, [np.array([-700.0, 3.0, 700.0, 699.0])], order=2)


def test_no_gradient_where_nothing_depends_on_it() -> None:
    """Also of second order: what comes before an infinite part counts, that part does not."""
    x = tn.tensor([1.0, 0.0, np.inf], requires_grad=True)
    with np.errstate(invalid="ignore"):
        value = tn.cumprod(x)[1]
        (first,) = tn.grad(lambda t: tn.cumprod(t)[1] ** 2, argnums=(0,))(x)
    value.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 0.0]
    assert first.tolist() == [0.0, 0.0, 0.0]


def test_no_gradient_beside_an_infinite_logarithm() -> None:
    x = tn.tensor([[np.inf, 1.0], [2.0, 3.0]], requires_grad=True)
    np.where([[False], [True]], tn.logcumsumexp(x, 1), 0.0).sum().backward()
    assert x.grad is not None
    assert x.grad.data[0].tolist() == [0.0, 0.0]
    assert (x.grad.data[1] > 0).all()


def test_the_dtype_of_the_result_leaves_that_of_the_gradient() -> None:
    for function in FUNCTIONS:
        x = tn.tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
        out = function(x, dtype=np.float64)
        out.sum().backward()
        assert x.grad is not None
        assert (out.dtype, x.grad.dtype) == (np.float64, np.float32)


def test_a_wrong_axis_is_named() -> None:
    for function in (tn.cumsum, tn.cumprod):
        with pytest.raises(ValueError, match="axis must be one of the 2 axes of a, or None"):
            function(tn.tensor([[1.0]]), 2)
