"""Reductions that pass over nan, against NumPy and finite differences."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.test_reductions import axes_of

NAMES = ["nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmin"]
PLAIN = {name: name.removeprefix("nan") for name in NAMES}
A = np.array([[1.5, np.nan, -0.5, 2.0], [np.nan, np.nan, 3.0, 0.25], [0.75, -1.0, np.nan, 4.0]])


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def without_nan(f: Any, a: Any, weights: Any, **options: Any) -> Any:
    """The gradient by the elements that are no nan, by finite differences; 0 at the others."""
    valid = ~np.isnan(a)

    def value(inner: Any) -> Any:
        full = np.full(a.shape, np.nan)
        full[valid] = inner
        return (f(full, **options) * weights).sum()

    found = np.zeros(a.shape)
    for place, at in enumerate(np.argwhere(valid)):
        step = np.zeros(valid.sum())
        step[place] = 1e-6
        found[tuple(at)] = (value(a[valid] + step) - value(a[valid] - step)) / 2e-6
    return found


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=3), name=st.sampled_from(NAMES),
       keepdims=st.booleans(), seed=st.integers(0, 1000), masked=st.booleans())  # fmt: skip
def test_over_any_axes(data: Any, shape: Any, name: str, keepdims: bool, seed: int, masked: bool) -> None:
    r = np.random.default_rng(seed)
    a = r.uniform(0.5, 2.0, shape)
    a[r.random(shape) < 0.3] = np.nan
    options: dict[str, Any] = {"axis": data.draw(axes_of(len(shape))), "keepdims": keepdims}
    if masked:
        options["where"] = r.random(shape) < 0.7
        if name in ("nanmax", "nanmin"):
            options["initial"] = 1.1
    f = getattr(np, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = f(a, **options)
        x = leaf(a)
        out = f(x, **options)
        assert out.shape == expected.shape
        np.testing.assert_allclose(out.data, expected, rtol=1e-13)
        np.testing.assert_allclose(getattr(tn, name)(a, **options), expected, rtol=1e-13)
        weights = np.where(np.isnan(expected), 0, r.normal(size=expected.shape))
        out.backward(weights)
        if name == "nanstd":
            weights = np.where(expected == 0, 0, weights)  # the kink
            x.grad = None
            f(x, **options).backward(weights)
        with np.errstate(all="ignore"):
            differences = without_nan(lambda t, **o: np.nan_to_num(f(t, **o)), a, weights, **options)
    np.testing.assert_allclose(x.grad.data, differences, rtol=1e-5, atol=1e-6)
    assert (x.grad.data[np.isnan(a)] == 0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [None, 0, (0, -1)])
def test_without_a_nan_they_are_the_usual_reductions_in_value_and_gradient(name: str, axis: Any) -> None:
    a = np.random.default_rng(0).normal(size=(3, 4))
    x, y = leaf(a), leaf(a)
    out, usual = getattr(np, name)(x, axis=axis), getattr(np, PLAIN[name])(y, axis=axis)
    np.testing.assert_allclose(out.data, usual.data, rtol=1e-13)
    g = np.random.default_rng(1).normal(size=out.shape)
    out.backward(g)
    usual.backward(g)
    np.testing.assert_allclose(x.grad.data, y.grad.data, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_slice_of_nan_alone_has_gradient_zero(name: str, dtype: Any) -> None:
    """To second order too, and with NumPy's value and warning."""
    a = np.array([[np.nan, np.nan], [1.0, 3.0]], dtype)
    f = getattr(np, name)
    x = leaf(a)
    if name in ("nansum", "nanprod"):
        out = f(x, axis=1)
    else:
        with pytest.warns(RuntimeWarning) as theirs:
            expected = f(a, axis=1)
        with pytest.warns(RuntimeWarning) as ours:
            out = f(x, axis=1)
        assert [str(w.message) for w in ours] == [str(w.message) for w in theirs]
        np.testing.assert_array_equal(out.data, expected)
        assert np.isnan(out.data[0])
    out.sum().backward(create_graph=True)
    assert x.grad.dtype == dtype
    assert x.grad.data[0].tolist() == [0.0, 0.0]
    assert np.isfinite(x.grad.data).all()
    first, x.grad = x.grad, None
    if first.requires_grad:
        (first * first).sum().backward()
        assert x.grad is None or np.isfinite(x.grad.data).all()


def test_too_few_degrees_of_freedom() -> None:
    for f in (np.nanvar, np.nanstd):
        x = leaf([[1.0, np.nan], [1.0, 3.0]])
        with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
            out = f(x, axis=1, ddof=1)
        assert np.isnan(out.data[0])
        out.sum().backward()
        assert x.grad.data[0].tolist() == [0.0, 0.0]
        assert (x.grad.data[1] != 0).all()


def test_ties_share_evenly() -> None:
    a = np.array([3.0, np.nan, 3.0, 1.0, 1.0, 1.0])
    for f, expected in ((np.nanmax, [0.5, 0, 0.5, 0, 0, 0]), (np.nanmin, [0, 0, 0, 1 / 3, 1 / 3, 1 / 3])):
        x = leaf(a)
        f(x).backward()
        np.testing.assert_allclose(x.grad.data, expected)
    x = leaf(a)
    np.nanmax(x, initial=5.0).backward()
    assert x.grad.tolist() == [0.0] * 6
    x = leaf(a)
    np.nanmax(x, initial=0.0, where=np.array([True, True, False, True, True, True])).backward()
    assert x.grad.tolist() == [1.0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("f", [np.nanmax, np.nanmin, np.nansum, np.nanprod])
def test_a_first_value_has_a_gradient(f: Any) -> None:
    a = np.array([[1.0, np.nan, 3.0], [-2.0, np.nan, -1.0]])
    for first in (0.4, 5.0, -5.0):
        check_grads(lambda first: f(leaf(a), axis=1, initial=first), [np.array(first)], order=2)
        for axis, where in ((0, True), (1, np.array([True, True, False]))):
            out = f(leaf(a), axis=axis, initial=first, where=where)
            np.testing.assert_allclose(out.data, f(a, axis=axis, initial=first, where=where), rtol=1e-15)


@pytest.mark.parametrize("f", [np.nanmax, np.nanmin])
def test_a_first_value_of_nan_is_the_result_where_there_is_no_other(f: Any) -> None:
    a = np.array([[np.nan, np.nan], [1.0, 2.0], [np.nan, -np.inf]])
    for options in ({}, {"where": [True, False]}, {"where": a < 2, "keepdims": True}):
        for values in (a, a + 1j):
            with pytest.warns(RuntimeWarning, match="All-NaN"):
                expected = f(values, 1, initial=np.nan, **options)
            for nan in (np.nan, leaf(np.nan)):
                np.testing.assert_array_equal(f(leaf(values), 1, initial=nan, **options).data, expected)
    x = leaf(a)
    f(x, 1, initial=np.nan)[1].backward()
    assert x.grad.tolist() == [[0, 0], [0.0, 1.0] if f is np.nanmax else [1.0, 0.0], [0, 0]]


def test_no_first_value_may_be_said_to_be_none() -> None:
    for f in (np.nanmax, np.nanmin):
        assert f(leaf([1.0, np.nan]), initial=None).item() == 1.0
        with pytest.warns(RuntimeWarning, match="All-NaN"):
            assert np.isnan(f(leaf([np.nan]), initial=None).item())
        with pytest.raises(TypeError, match=r"nanm..\(\) got an unexpected keyword argument 'weights'"):
            getattr(tn, f.__name__)(leaf([1.0]), weights=1)


def test_a_given_mean_has_a_gradient() -> None:
    mean = np.array([[0.5], [1.0], [0.0]])
    for f in (tn.nanvar, tn.nanstd):
        np.testing.assert_allclose(
            f(leaf(A), axis=1, keepdims=True, mean=mean).data,
            getattr(np, f.__name__)(A, axis=1, keepdims=True, mean=mean),
        )
        check_grads(lambda m, f=f: f(A, axis=1, mean=m, ddof=1), [mean + 0.1], order=2)


def test_indices() -> None:
    for f in (np.nanargmax, np.nanargmin):
        for axis in (None, 0, 1, -1):
            for keepdims in (False, True):
                out = f(leaf(A), axis=axis, keepdims=keepdims)
                np.testing.assert_array_equal(out.data, f(A, axis=axis, keepdims=keepdims))
                assert not out.requires_grad
        with pytest.raises(ValueError, match=rf"{f.__name__}.*All-NaN slice encountered.*np.nan_to_num"):
            f(leaf([[np.nan, np.nan]]), axis=1)


def test_dtypes_follow_numpy() -> None:
    for dtype in (np.bool_, np.uint8, np.int32, np.int64, np.float16, np.float32):
        a = np.array([[1, 0], [1, 1]], dtype)
        for name in NAMES:
            got, expected = getattr(np, name)(tn.tensor(a), axis=0), getattr(np, name)(a, axis=0)
            assert got.dtype == expected.dtype, (name, dtype)
            np.testing.assert_array_equal(got.data, expected)
    x = leaf(A.astype(np.float32))
    for f in (np.nansum, np.nanmean, np.nanvar):
        x.grad = None
        out = f(x, dtype=np.float64)
        assert out.dtype == np.float64
        out.backward()
        assert x.grad.dtype == np.float32


def test_of_nothing() -> None:
    x = leaf(np.zeros((0, 3)))
    assert np.nansum(x, axis=0).tolist() == [0.0] * 3
    assert np.nanprod(x, axis=0).tolist() == [1.0] * 3
    with pytest.warns(RuntimeWarning, match="Mean of empty slice"):
        y = np.nanmean(x, axis=0)
    y.sum().backward()
    assert x.grad.shape == (0, 3)
    with pytest.raises(ValueError, match="zero-size"):
        np.nanmax(x, axis=0)


def test_complex() -> None:
    z = np.array([1 + 2j, np.nan, 3 - 1j, -0.5 + 0.25j])
    valid = ~np.isnan(z)
    for f, plain in ((np.nansum, np.sum), (np.nanmean, np.mean), (np.nanvar, np.var), (np.nanstd, np.std)):
        x, y = leaf(z), leaf(z[valid])
        out, usual = f(x), plain(y)
        np.testing.assert_allclose(out.data, usual.data)
        (np.abs(out) ** 2).backward()
        (np.abs(usual) ** 2).backward()
        np.testing.assert_allclose(x.grad.data[valid], y.grad.data, rtol=1e-12)
        assert x.grad.data[1] == 0
