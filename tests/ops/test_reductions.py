"""Reductions against NumPy and PyTorch: axes, keepdims, dtypes, ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.testing import check_grads

try:
    import torch
except ImportError:  # an extra, for these comparisons alone
    torch = None
with_torch = pytest.mark.skipif(torch is None, reason="compares with torch")

NAMES = ["sum", "mean", "var", "std", "max", "min", "prod"]


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def axes_of(ndim: int) -> Any:
    single = st.integers(-ndim, ndim - 1)
    several = st.lists(st.integers(0, ndim - 1), unique=True, min_size=0, max_size=ndim).flatmap(
        lambda chosen: st.tuples(*[st.sampled_from((a, a - ndim)) for a in chosen])
    )
    return st.one_of(st.none(), single, several)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), name=st.sampled_from(NAMES),
       keepdims=st.booleans(), seed=st.integers(0, 1000))  # fmt: skip
def test_reductions_over_any_axes(data: Any, shape: Any, name: str, keepdims: bool, seed: int) -> None:
    axis = data.draw(axes_of(len(shape)))
    a = np.random.default_rng(seed).uniform(0.5, 2.0, shape)
    f = getattr(np, name)
    expected = f(a, axis=axis, keepdims=keepdims)
    x = leaf(a)
    for out in (
        f(x, axis=axis, keepdims=keepdims),
        getattr(tn, name)(x, axis, keepdims=keepdims),
        getattr(x, name)(axis=axis, keepdims=keepdims),
    ):
        assert out.shape == expected.shape
        np.testing.assert_allclose(out.data, expected, rtol=1e-14)
    reduced = tuple(range(a.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if name == "std" and np.prod([shape[i] for i in reduced]) == 1:
        return  # no deviation: a kink
    check_grads(lambda t: f(t, axis=axis, keepdims=keepdims), [a], order=2, rtol=2e-5, atol=1e-5)


@with_torch
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (2, 0), (1,)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "logsumexp", "var"])
def test_against_torch(name: str, axis: Any, keepdims: bool) -> None:
    a = np.random.default_rng(0).normal(size=(2, 3, 4))
    x, t = leaf(a), torch.tensor(a, requires_grad=True)
    dims = tuple(range(3)) if axis is None else axis
    ours = {"amax": np.max, "amin": np.min, "logsumexp": tn.logsumexp}.get(name, getattr(np, name, None))
    out = ours(x, axis=axis, keepdims=keepdims)
    options = {"correction": 0} if name == "var" else {}
    expected = getattr(torch, name)(t, dim=dims, keepdim=keepdims, **options)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-13)
    seed = np.random.default_rng(1).normal(size=out.shape)
    out.backward(seed)
    expected.backward(torch.tensor(seed))
    np.testing.assert_allclose(x.grad.data, t.grad.numpy(), rtol=1e-12, atol=1e-14)


TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [5.0, 4.0, -1.0]])


@with_torch
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
def test_ties_share_evenly_as_torchs_amax_does(axis: Any) -> None:
    for ours, theirs in ((np.max, torch.amax), (np.min, torch.amin)):
        x, t = leaf(TIES), torch.tensor(TIES, requires_grad=True)
        ours(x, axis=axis).sum().backward()
        theirs(t, dim=(0, 1) if axis is None else axis).sum().backward()
        np.testing.assert_allclose(x.grad.data, t.grad.numpy(), rtol=1e-15)
    x = leaf([7.0, 7.0, 7.0, 7.0])
    x.max().backward()
    assert x.grad.tolist() == [0.25] * 4


@pytest.mark.parametrize("ddof", [0, 1, 2])
def test_degrees_of_freedom(ddof: int) -> None:
    a = np.random.default_rng(0).normal(size=(4, 5))
    for f in (np.var, np.std):
        for axis in (None, 0, 1):
            np.testing.assert_allclose(f(leaf(a), axis=axis, ddof=ddof).data, f(a, axis=axis, ddof=ddof), rtol=1e-14)
            check_grads(f, [a], order=2, kwargs={"axis": axis, "ddof": ddof})


def test_too_few_degrees_of_freedom_is_nan_as_in_numpy() -> None:
    x = leaf([1.0])
    with pytest.warns(RuntimeWarning):
        y = x.var(ddof=1)
    y.backward()
    assert np.isnan(y.data)
    assert np.isnan(x.grad.data).all()


def test_dtypes_follow_numpy() -> None:
    for dtype in (np.bool_, np.uint8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64):
        a = np.array([[1, 0], [1, 1]], dtype)
        for name in NAMES:
            f = getattr(np, name)
            got, expected = f(tn.tensor(a)), f(a)
            assert got.dtype == expected.dtype, (name, dtype)
            np.testing.assert_array_equal(got.data, expected)
    x = leaf(np.ones(3, np.float32))
    assert x.sum().dtype == np.float32
    y = np.sum(x, dtype=np.float64)
    assert y.dtype == np.float64
    y.backward()
    assert x.grad.dtype == np.float32
    assert np.mean(x, dtype=np.float64).dtype == np.float64
    assert np.sum(tn.tensor([True, True])).item() == 2


def test_results_own_their_memory() -> None:
    """A reduction over no axis, or of an array that has none, is a copy and no alias."""
    for a in (np.array(2.0), np.array([[2.0, 3.0]])):
        for name in NAMES[:2] + NAMES[4:]:
            x = leaf(a)
            out = getattr(np, name)(x, axis=() if a.ndim else None)
            assert not np.shares_memory(out.data, x.data)


def test_counts_and_indices() -> None:
    a = np.array([[1.0, 5.0, 5.0], [7.0, 0.0, 7.0]])
    for f in (np.argmax, np.argmin):
        for axis in (None, 0, 1, -1):
            for keepdims in (False, True):
                out = f(leaf(a), axis=axis, keepdims=keepdims)
                np.testing.assert_array_equal(out.data, f(a, axis=axis, keepdims=keepdims))
                assert not out.requires_grad
    for f in (np.all, np.any):
        np.testing.assert_array_equal(f(tn.tensor(a) > 0, axis=1).data, f(a > 0, axis=1))
        np.testing.assert_array_equal(f(tn.tensor(a)).data, f(a))


@pytest.mark.parametrize("name", [*NAMES, "argmax", "all"])
def test_an_axis_that_is_not_there(name: str) -> None:
    for axis in (2, -3):
        with pytest.raises(
            (ValueError, IndexError),
            match=rf"{name}\(a: float64 \(2, 3\).*failed: axis {axis} is out of bounds.*dimension 2",
        ):
            getattr(np, name)(leaf(np.ones((2, 3))), axis=axis)
    if name in NAMES:
        with pytest.raises(ValueError, match="duplicate"):
            getattr(np, name)(leaf(np.ones((2, 3))), axis=(0, 0))


def test_of_nothing() -> None:
    x = leaf(np.zeros((0, 3)))
    assert x.sum().item() == 0.0
    assert x.prod().item() == 1.0
    assert x.sum(axis=0).tolist() == [0.0] * 3
    assert x.prod(axis=0).tolist() == [1.0] * 3
    (x.sum(axis=0).sum() + x.prod(axis=0).sum()).backward()
    assert x.grad.shape == (0, 3)
    with pytest.warns(RuntimeWarning):
        y = x.mean(axis=0)
    y.sum().backward()
    for f in (np.max, np.min, tn.logsumexp):
        with pytest.raises(ValueError, match="zero-size"):
            f(x, axis=0)


def test_nan_is_passed_on() -> None:
    a = np.array([1.0, np.nan, 3.0])
    for name in NAMES:
        assert np.isnan(getattr(np, name)(tn.tensor(a)).item())
    x = leaf(a)
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, 2 * a)


def test_large_products_cost_by_their_length() -> None:
    """The products of the others are found by halving: no division, and no n² of work."""
    a = np.random.default_rng(0).uniform(0.9, 1.1, 4097)
    x = leaf(a)
    y = x.prod()
    y.backward()
    np.testing.assert_allclose(x.grad.data, a.prod() / a, rtol=1e-10)
    b = a.reshape(17, 241)
    x = leaf(b)
    x.prod(axis=0).sum().backward()
    np.testing.assert_allclose(x.grad.data, b.prod(axis=0) / b, rtol=1e-12)


def test_reductions_of_views_and_broadcasts() -> None:
    a = np.random.default_rng(0).normal(size=(4, 6))

    def reduce(view: Any) -> Any:
        return np.sum(view, axis=0) ** 2, np.var(view, axis=1), np.max(view, axis=0)

    check_grads(lambda t: reduce(t[::2, 1::2]), [a], order=2)
    check_grads(lambda t: reduce(t.T), [a], order=2)
    check_grads(lambda t: reduce(t[::-1]), [a], order=2)
    check_grads(lambda t: reduce(np.broadcast_to(t[:, :1], (4, 6)) + t), [a], order=2)
    x = leaf(a)
    x.sum(axis=0).sum(axis=0).backward()
    np.testing.assert_array_equal(x.grad.data, np.ones((4, 6)))
    x.grad = None
    x.sum(axis=0).sum().backward(create_graph=True)
    np.testing.assert_array_equal(x.grad.data, np.ones((4, 6)))
    x.grad = None
    (x.mean(axis=1, keepdims=True).T.mean(axis=0) * np.arange(8.0)[::2]).sum().backward()
    np.testing.assert_allclose(x.grad.data, np.repeat(np.arange(8.0)[::2, None] / 6, 6, axis=1)[:, :6])
