"""Medians and quantiles against NumPy, finite differences, PyTorch and JAX."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.ops.reductions.quantiles import CONTINUOUS, DISCRETE
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, peak, replays
from tests.ops.test_reductions import axes_of

METHODS = (*CONTINUOUS, *DISCRETE)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def apart(r: np.random.Generator, *shape: int) -> Any:
    """Numbers that a finite difference does not bring in another order."""
    return r.permutation(math.prod(shape)).reshape(shape) + r.uniform(-0.3, 0.3, shape)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), method=st.sampled_from(METHODS),
       keepdims=st.booleans(), seed=st.integers(0, 1000), nan=st.booleans(), percent=st.booleans())  # fmt: skip
def test_over_any_axes(data: Any, shape: Any, method: str, keepdims: bool, seed: int, nan: bool, percent: bool) -> None:
    r = np.random.default_rng(seed)
    axis = data.draw(axes_of(len(shape)).filter(lambda axes: axes != ()))
    q = data.draw(st.sampled_from([0.0, 1.0, 0.37, 0.5, 0.81, np.array([0.13, 0.94]), np.array([[0.2], [0.59]])]))
    a = apart(r, *shape)
    if nan:
        a[r.random(shape) < 0.3] = np.nan
    f = getattr(np, ("nan" if nan else "") + ("percentile" if percent else "quantile"))
    q = q * 100 if percent else q
    options = {"axis": axis, "keepdims": keepdims, "method": method}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = f(a, q, **options)
        x = leaf(a)
        out = f(x, q, **options)
        np.testing.assert_array_equal(out.data, expected)
        weights = np.where(np.isnan(expected), 0, r.normal(size=expected.shape))
        np.sum(np.where(np.isnan(expected), 0, out) * weights).backward()
        step = 1e-4  # linear between changes of order: exact but for rounding
        differences = np.zeros(shape)
        for at in np.argwhere(~np.isnan(a)):
            up, down = a.copy(), a.copy()
            up[tuple(at)] += step
            down[tuple(at)] -= step
            change = np.nan_to_num(f(up, q, **options)) - np.nan_to_num(f(down, q, **options))
            differences[tuple(at)] = (change * weights).sum() / (2 * step)
    np.testing.assert_allclose(x.grad.data, differences, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 5, 8, 11])
def test_the_gradient_goes_where_the_value_comes_from(method: str, dtype: Any, n: int) -> None:
    """At levels of q that fall on elements too, where rounding decides between them: the value is the gradient's own
    combination of the elements."""
    a = np.random.default_rng(n).permutation(n).astype(dtype) + dtype(1)
    for q in (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.0):
        for given_q in (q, np.array(q, dtype)):
            x = leaf(a)
            out = np.quantile(x, given_q, method=method)
            out.backward()
            assert x.grad.dtype == dtype
            np.testing.assert_allclose((x.grad.data * a).sum(), out.data, rtol=2e-6)
            np.testing.assert_allclose(x.grad.data.sum(), 1, rtol=1e-6)


@pytest.mark.parametrize("method", CONTINUOUS)
@pytest.mark.parametrize("nan", [False, True])
def test_by_q(method: str, nan: bool) -> None:
    r = np.random.default_rng(0)
    a = apart(r, 2, 7)
    if nan:
        a[0, 3] = a[1, 0] = np.nan
    f = np.nanquantile if nan else np.quantile
    q = np.array([[0.23, 0.41], [0.57, 0.77]])
    check_grads(lambda q: f(a, q, axis=1, method=method), [q], order=2)
    if not nan:
        check_grads(lambda a, q: f(a, q, axis=1, method=method), [a, q], order=2)
    level = leaf(23.0)
    (tn.nanpercentile if nan else tn.percentile)(a, level, axis=1, method=method).sum().backward()
    other = leaf(0.23)
    f(a, other, axis=1, method=method).sum().backward()
    np.testing.assert_allclose(level.grad.item() * 100, other.grad.item())


@pytest.mark.parametrize("method", DISCRETE)
def test_by_q_it_is_zero_without_interpolation(method: str) -> None:
    q = leaf([0.3, 0.6])
    np.quantile(leaf([3.0, 1.0, 2.0, 5.0]), q, method=method).sum().backward()
    assert q.grad.tolist() == [0.0, 0.0]


def test_by_q_beyond_the_ends_it_is_zero() -> None:
    q = leaf([0.01, 0.99])
    np.quantile(tn.tensor([3.0, 1.0, 2.0, 5.0]), q, method="weibull").sum().backward()
    assert q.grad.tolist() == [0.0, 0.0]


def test_ties_go_where_a_stable_sort_puts_them() -> None:
    a = [2.0, 1.0, 2.0, 2.0, 3.0]
    x = leaf(a)
    np.median(x).backward()
    assert x.grad.tolist() == [0, 0, 1, 0, 0]
    x = leaf(a)
    np.quantile(x, 0.375).backward()  # halfway between the first and the second 2
    assert x.grad.tolist() == [0.5, 0, 0.5, 0, 0]
    x = leaf(a)
    np.quantile(x, 0.5, method="inverted_cdf", weights=np.ones(5)).backward()
    assert x.grad.sum().item() == 1.0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", [0, -1, (0, 2)])
def test_many_results_of_short_slices(method: str, axis: Any) -> None:
    """The gradient is the sum of those of single results, also of equal elements and beside nan."""
    r = np.random.default_rng(0)
    a = r.integers(0, 3, (3, 2, 4)).astype(float)
    a[1, 1, 2] = np.nan
    q = r.uniform(size=(4, 3))
    x, y = leaf(a), leaf(a)
    out = np.quantile(x, q, axis, method=method)
    g = r.normal(size=out.shape)
    g[0, 0] = np.inf
    out.backward(g)
    for i in np.ndindex(q.shape):
        np.quantile(y, q[i], axis, method=method).backward(g[i])
    np.testing.assert_allclose(x.grad.data, y.grad.data, rtol=1e-13, atol=1e-15)
    assert np.isfinite(x.grad.data).any()


def test_many_results_take_memory_by_their_number() -> None:
    x = leaf(np.random.default_rng(0).normal(size=(60_000, 4)).astype(np.float32))
    out = np.quantile(x, np.linspace(0.05, 0.95, 19, dtype=np.float32), -1)
    g = np.ones_like(out.data)
    assert peak(lambda: out.backward(g)) < 3 * out.data.nbytes


@pytest.mark.parametrize("equal", [0, 1, 500])
@pytest.mark.parametrize("nan", [False, True])
def test_long_slices(equal: int, nan: bool) -> None:
    """Where it takes less to find an element than to sort, it is still the one that a stable sort puts there."""
    r = np.random.default_rng(equal)
    a = apart(r, 3, 700)
    middle = np.sort(a, -1)[:, 349, None]
    for row, value in zip(a, middle, strict=True):
        row[r.permutation(700)[:equal]] = value
    if nan:
        a[0, 5] = np.nan
    for f in (np.median, np.nanmedian, lambda t, axis: np.quantile(t, 0.49, axis, method="higher")):
        x, y = leaf(a), leaf(a)
        f(x, axis=-1).backward([1.0, 2.0, 3.0])
        f(y, axis=-1).backward([1.0, 2.0, 3.0], create_graph=True)  # which sorts
        np.testing.assert_array_equal(x.grad.data, y.grad.data)


def test_weights() -> None:
    r = np.random.default_rng(0)
    a = apart(r, 3, 4)
    for weights, axis in ((r.uniform(0, 1, (3, 4)), None), (r.uniform(0, 1, (3, 4)), 1), (np.arange(3.0), 0)):
        for q in (0.0, 0.4, np.array([0.3, 1.0])):
            options = {"axis": axis, "weights": weights, "method": "inverted_cdf"}
            np.testing.assert_array_equal(np.quantile(leaf(a), q, **options).data, np.quantile(a, q, **options))
            check_grads(lambda t, q=q, options=options: np.quantile(t, q, **options), [a], order=2)
    with pytest.raises(ValueError, match="Only method 'inverted_cdf' supports weights"):
        np.quantile(leaf(a), 0.5, weights=np.ones((3, 4)))


@pytest.mark.parametrize("name", ["median", "nanmedian"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (1, -1)])
def test_medians(name: str, axis: Any) -> None:
    a = apart(np.random.default_rng(0), 2, 3, 4)
    if name == "nanmedian":
        a[0, 1, 2] = a[1, :, 0] = np.nan
    f = getattr(np, name)
    for keepdims in (False, True):
        x = leaf(a)
        out = f(x, axis=axis, keepdims=keepdims)
        np.testing.assert_array_equal(out.data, f(a, axis=axis, keepdims=keepdims))
        g = np.random.default_rng(1).normal(size=out.shape)
        out.backward(g)
        y = leaf(a)
        (np.nanquantile if name == "nanmedian" else np.quantile)(y, 0.5, axis=axis, keepdims=keepdims).backward(g)
        np.testing.assert_allclose(x.grad.data, y.grad.data, rtol=1e-12, atol=1e-14)


def test_a_nan_in_the_slice() -> None:
    for f in (np.median, lambda t, axis: np.quantile(t, [0.2, 0.6], axis=axis)):
        x = leaf([[1.0, np.nan, 3.0], [4.0, 2.0, 0.0]])
        out = f(x, axis=1)
        assert np.isnan(out.data[..., 0]).all()
        out.sum().backward()
        assert x.grad.data[0].tolist() == [0, 0, 0]
        assert x.grad.data[1].any()


def test_nan_alone_is_nan_with_numpys_warning_and_gradient_zero() -> None:
    a = np.array([[np.nan, np.nan], [4.0, 2.0]])
    for f in (np.nanmedian, lambda t, axis: np.nanquantile(t, [0.25, 0.5], axis=axis)):
        with pytest.warns(RuntimeWarning, match="All-NaN slice encountered"):
            out = f(x := leaf(a), axis=1)
        assert np.isnan(out.data[..., 0]).all()
        out.sum().backward(create_graph=True)
        assert x.grad.data[0].tolist() == [0, 0]
        assert np.isfinite(x.grad.data).all()


def test_of_nothing() -> None:
    x = leaf(np.zeros((0, 3)))
    for f in (np.median, np.nanmedian):
        with pytest.warns(RuntimeWarning):
            out = f(x, axis=0)
        assert np.isnan(out.data).all()
        out.sum().backward()
        assert x.grad.shape == (0, 3)
    out = np.quantile(x, [0.2, 0.4], axis=1)
    assert out.shape == (2, 0)
    out.sum().backward()


@pytest.mark.parametrize("f", [np.quantile, np.nanpercentile])
def test_of_no_parts(f: Any) -> None:
    x, q = leaf([1.0, 2.0]), leaf(np.zeros(0))
    out = f(x, q)
    assert out.shape == (0,)
    out.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]
    assert q.grad.shape == (0,)


def test_dtypes_follow_numpy() -> None:
    for dtype in (np.int32, np.uint8, np.float16, np.float32):
        a = np.array([3, 1, 2, 7], dtype)
        for f in (np.median, lambda t: np.quantile(t, 0.3), lambda t: np.percentile(t, [10, 60]),
                  lambda t: np.quantile(t, 0.3, method="lower"), np.nanmedian):  # fmt: skip
            got, expected = f(tn.tensor(a)), f(a)
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got.data, expected)


def test_overwrite_input_overwrites_nothing() -> None:
    a = np.array([3.0, 1.0, 2.0])
    x = leaf(a)
    np.median(x, overwrite_input=True).backward()
    np.quantile(x, 0.3, overwrite_input=True).backward()
    assert x.tolist() == a.tolist()
    given = a.copy()
    tn.median(given, overwrite_input=True)
    assert given.tolist() == a.tolist()


def test_mistakes() -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(ValueError, match=r"quantile\(a: float64 \(2,\).*range \[0, 1\]"):
        np.quantile(x, 1.5)
    with pytest.raises(ValueError, match=r"percentile.*range \[0, 100\]"):
        np.percentile(x, tn.tensor(101.0))
    with pytest.raises(ValueError, match="not a valid method"):
        np.quantile(x, 0.5, method="cubic")
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        np.median(x, axis=2)


def test_gradients_are_sparse() -> None:
    """A small number of results out of a large array adds in place to what is there."""
    x = leaf(apart(np.random.default_rng(0), 1000))
    (np.median(x) + np.quantile(x, [0.1, 0.9]).sum() + 0 * x.sum()).backward()
    assert np.count_nonzero(x.grad.data) <= 6
    assert x.grad.sum().item() == pytest.approx(3)


def test_captured_steps_find_the_elements_anew() -> None:
    r = np.random.default_rng(0)
    for f in (np.median, lambda t: np.quantile(t, [0.2, 0.7], axis=0).sum(), lambda t: np.nanpercentile(t, 33)):
        replays(f, apart(r, 3, 4), apart(r, 3, 4))


def test_against_torch() -> None:
    torch = pytest.importorskip("torch")
    a = apart(np.random.default_rng(0), 4, 5)
    for method in ("linear", "lower", "higher", "midpoint", "nearest"):
        for axis in (0, 1):
            agrees_with_torch(
                lambda t, axis=axis, method=method: np.quantile(t, 0.37, axis=axis, method=method),
                lambda t, axis=axis, method=method: torch.quantile(t, 0.37, dim=axis, interpolation=method),
                a,
            )
    a[0, 1] = a[2, 2] = np.nan
    agrees_with_torch(
        lambda t: np.nanquantile(t, 0.6, axis=1), lambda t: torch.nanquantile(t, 0.6, dim=1), a, dtypes=(np.float64,)
    )
    q = np.array([0.21, 0.62])
    agrees_with_torch(
        lambda t, q: np.quantile(t, q, axis=1),
        lambda t, q: torch.quantile(t, q, dim=1),
        apart(np.random.default_rng(0), 4, 5),
        q,
        dtypes=(np.float64,),
    )


def test_against_jax() -> None:
    jax = pytest.importorskip("jax")
    a = apart(np.random.default_rng(0), 4, 5)
    q = np.array([0.21, 0.62])
    w = np.random.default_rng(1).normal(size=(2, 4))
    with jax.enable_x64(True):
        by_a, by_q = jax.grad(lambda t, q: (jax.numpy.quantile(t, q, axis=1) * w).sum(), (0, 1))(a, q)
    x, level = leaf(a), leaf(q)
    (np.quantile(x, level, axis=1) * w).sum().backward()
    np.testing.assert_allclose(x.grad.data, by_a, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(level.grad.data, by_q, rtol=1e-10)
