"""Arrays made from a value, and numbers spaced evenly: against NumPy, with their gradients."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.moves import leaf

R = np.random.default_rng(0)
SPACES: list[Any] = [np.linspace, np.logspace, np.geomspace]
ENDS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((), ()), ((2,), ()), ((), (2,)), ((2, 1), (3,)), ((0,), (1,))]


def positive(*shape: int) -> Any:
    return R.uniform(0.5, 2, shape)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    f=st.sampled_from(SPACES),
    ends=st.sampled_from(ENDS),
    num=st.integers(0, 5),
    endpoint=st.booleans(),
    data=st.data(),
    dtype=st.sampled_from([None, np.float32, np.int64]),
)
def test_numbers_evenly_spaced(f: Any, ends: Any, num: int, endpoint: bool, data: Any, dtype: Any) -> None:
    start, stop = (positive(*s) * 3 for s in ends)
    ndim = max(map(len, ends))
    axis = data.draw(st.integers(-ndim - 1, ndim))
    options = {"num": num, "endpoint": endpoint, "axis": axis, "dtype": dtype}
    got, expected = f(leaf(start), leaf(stop), **options), f(start, stop, **options)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(got.data, expected, rtol=1e-12 if dtype is None else 1e-6)
    if got.size and dtype is None:
        check_grads(lambda a, b: f(a, b, **options) ** 2, [start, stop], order=2, rtol=1e-4)


@pytest.mark.parametrize("num", [0, 1, 2, 5])
@pytest.mark.parametrize("endpoint", [True, False])
def test_the_step(num: int, endpoint: bool) -> None:
    start, stop = positive(2), positive(2) + 2
    x = leaf(start)
    made, step = np.linspace(x, stop, num, endpoint, True)
    expected, width = np.linspace(start, stop, num, endpoint, True)
    np.testing.assert_allclose(made.data, expected)
    if np.ndim(width):
        np.testing.assert_allclose(step.data, width)
        step.sum().backward()
        np.testing.assert_allclose(x.grad.data, -1 / (num - endpoint))
    else:
        assert np.isnan(width)
        assert np.isnan(step)


def test_ends_are_exact_and_integers_rounded_down() -> None:
    for _ in range(20):
        start, stop = R.normal(size=2)
        for num in (2, 7, 50):
            got = np.linspace(leaf(start), stop, num)
            assert (got[0].item(), got[-1].item()) == (start, stop)
            np.testing.assert_array_equal(got.data, np.linspace(start, stop, num))
            floor = np.linspace(tn.tensor(start * 9), stop * 9, num, dtype=int)
            np.testing.assert_array_equal(floor.data, np.linspace(start * 9, stop * 9, num, dtype=int))
    whole = np.linspace(tn.tensor(0), 10, 11, dtype=int)
    assert whole.tolist() == list(range(11))
    assert np.linspace(tn.tensor(1, dtype=np.int8), 2, 3).dtype == np.float64
    equal = np.linspace(leaf(2.0), leaf(2.0), 3)
    assert equal.tolist() == [2.0, 2.0, 2.0]
    check_grads(lambda a, b: np.linspace(a, b, 3) ** 2, [np.array(2.0), np.array(2.0)], order=2)


@pytest.mark.parametrize("f", SPACES)
def test_float32_stays(f: Any) -> None:
    x = leaf(np.float32(1.0))
    for made in (f(x, 2.0, 3), f(x, 2, 3), f(1.0, x + 1, 3), f(x, leaf(np.float32(3)), 3)):
        assert made.dtype == np.float32
        made.sum().backward()
    assert x.grad.dtype == np.float32
    assert f(x, 2.0, 3, dtype=np.float64).dtype == np.float64


def test_complex_ends() -> None:
    start, stop = np.array(1 + 1j), np.array(-2 + 0.5j)
    for f in SPACES:
        got = f(tn.tensor(start), tn.tensor(stop), 4)
        np.testing.assert_allclose(got.data, f(start, stop, 4), rtol=1e-12)
    check_grads(lambda a: np.geomspace(a + 1j, 2 - 1j * a, 3).real ** 2, [np.array(0.7)], order=2)
    with warnings.catch_warnings(action="ignore", category=np.exceptions.ComplexWarning):
        check_grads(lambda a: np.geomspace(a + 1j, 2 - 1j * a, 3, dtype=float) ** 2, [np.array(0.7)], order=2)
    check_grads(lambda a: np.linspace(a + 1j, 2 - 1j * a, 3).imag ** 2, [np.array(0.7)], order=2)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_bases_of_any_shape(axis: int) -> None:
    for shape in ((2,), (3, 1), (2, 2)):
        base = positive(*shape)
        start, stop = positive(2), positive(1)
        got = np.logspace(leaf(start), leaf(stop), 3, True, leaf(base), axis=axis)
        np.testing.assert_allclose(got.data, np.logspace(start, stop, 3, True, base, axis=axis), rtol=1e-12)
        check_grads(lambda a, b, c: np.logspace(a, b, 3, True, c, axis=axis), [start, stop, base], order=2, rtol=1e-4)
    check_grads(lambda c: np.logspace(0, 2, 3, base=c), [np.array(1.7)], order=2)


def test_against_jax() -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    start, stop = positive(2), positive(2) + 1
    for name in ("linspace", "logspace", "geomspace"):
        theirs = jax.grad(lambda a, b, n=name: (getattr(jax.numpy, n)(a, b, 4) ** 2).sum(), (0, 1))(start, stop)
        a, b = leaf(start), leaf(stop)
        (getattr(np, name)(a, b, 4) ** 2).sum().backward()
        np.testing.assert_allclose(a.grad.data, theirs[0], rtol=1e-9)
        np.testing.assert_allclose(b.grad.data, theirs[1], rtol=1e-9)


# -- filled ------------------------------------------------------------------------------------------------------


def test_filled_with_a_tensor() -> None:
    x = leaf(np.ones((2, 3), np.float32))
    for value in (2.0, [1.0, 2.0, 3.0], np.array([[1.0], [2.0]])):
        for options in ({}, {"dtype": np.float64}, {"dtype": int}, {"shape": (4, 2, 3)}):
            got, expected = np.full_like(x, leaf(value), **options), np.full_like(x.data, value, **options)
            assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
            np.testing.assert_array_equal(got.data, expected)
            np.testing.assert_array_equal(tn.full(got.shape, leaf(value), got.dtype).data, expected)
    v = leaf([1.0, 2.0, 3.0])
    (np.full_like(x, v).sum() + 10 * tn.full((2, 3), v).sum()).backward()
    assert v.grad.tolist() == [22.0, 22.0, 22.0]
    assert x.grad is None
    assert not np.full_like(x, 3).requires_grad
    check_grads(lambda v: tn.full((2, 2), v) ** 2 * np.full_like(np.ones((3, 1, 1)), 2.0), [np.array(1.5)], order=2)
    number = leaf(3.0)
    made = tn.full(2, number)
    assert made.data.flags.writeable  # no view that repeats one element
    assert tn.full((), 2).dtype == np.full((), 2).dtype
    assert tn.full((2,), 2.5, np.float32).dtype == np.float32


def test_like_another() -> None:
    x = leaf(np.ones((2, 3), np.float32))
    for f in (np.zeros_like, np.ones_like, np.empty_like):
        for options in ({}, {"dtype": int}, {"shape": 4}, {"shape": (0, 2), "dtype": bool}):
            got, expected = f(x, **options), f(x.data, **options)
            assert (got.dtype, got.shape, got.requires_grad) == (expected.dtype, expected.shape, False)
        assert f(x, np.float64).dtype == np.float64
    assert np.empty_like(x).tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.linspace(x, 1, -1), "linspace: num=-1"),
        (lambda x: np.logspace(x, 1, -2), "linspace: num=-2"),
        (lambda x: np.geomspace(x, 0.0), r"geometric\(.*cannot include zero.*use linspace"),
        (lambda x: np.geomspace(x, 1.0, -1), "must be non-negative"),
        (lambda x: np.linspace(x, 1, 2.5), "integer"),
        (lambda x: np.linspace(x, np.ones(3)), "broadcast"),
        (lambda x: np.linspace(x, 1, 3, axis=2), "axis 2 is out of bounds|axis1"),
        (lambda x: np.full_like(x, np.ones(3)), r"full_like\(.*fill_value has shape \(3,\), a \(2,\)"),
        (lambda x: tn.full((3, 4), x), "broadcast"),
    ],
)
def test_mistakes(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call(leaf(np.ones(2)))


def test_further_axes_and_steps() -> None:
    check_grads(lambda a: np.full_like(np.ones(2), 0, shape=()) + np.full_like(tn.tensor(0.0), a), [np.array([2.0])])
    step = np.linspace(tn.tensor(np.float32(1)), 2, np.int64(3), retstep=True)[1]
    assert (step.dtype, step.item()) == (np.float32, 0.5)
