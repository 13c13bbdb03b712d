"""Reductions against NumPy and PyTorch: axes, keepdims, dtypes, ties."""

from __future__ import annotations

import warnings
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import peak

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
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=3), name=st.sampled_from(NAMES),
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
    for f in (np.max, np.min):
        with pytest.raises(ValueError, match="zero-size"):
            f(x, axis=0)


def test_the_logarithm_of_no_exponentials() -> None:
    for axis, expected in ((0, [-np.inf] * 3), (1, []), (None, -np.inf)):
        x = leaf(np.zeros((0, 3)))
        out = tn.logsumexp(x, axis=axis)
        np.testing.assert_array_equal(out.data, expected)
        out.sum().backward()
        assert x.grad.shape == (0, 3)


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


# -- the rare options ----------------------------------------------------------------------------------------------


def masks_of(shape: tuple[int, ...], r: np.random.Generator) -> Any:
    """A mask of the shape, or of one that broadcasts to it."""
    kept = [n if r.random() < 0.7 else 1 for n in shape]
    return r.random(kept[r.integers(0, len(kept) + 1) :]) < 0.7


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=3), name=st.sampled_from(NAMES),
       keepdims=st.booleans(), seed=st.integers(0, 1000), started=st.booleans())  # fmt: skip
def test_masks_and_first_values(data: Any, shape: Any, name: str, keepdims: bool, seed: int, started: bool) -> None:
    r = np.random.default_rng(seed)
    a = r.uniform(0.5, 2.0, shape)
    options: dict[str, Any] = {"axis": data.draw(axes_of(len(shape))), "keepdims": keepdims}
    options["where"] = masks_of(shape, r)
    if name in ("max", "min") or (started and name in ("sum", "prod")):
        options["initial"] = 1.2345
    f = getattr(np, name)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = f(a, **options)
        x = leaf(a)
        out = f(x, **options)
        assert out.shape == expected.shape
        np.testing.assert_allclose(out.data, expected, rtol=1e-13)
        np.testing.assert_allclose(getattr(tn, name)(a, **options), expected, rtol=1e-13)
        live = np.isfinite(expected) & ((expected != 0) | (name != "std"))

        def value(t: Any) -> Any:
            return np.where(live, f(t, **options), 0)

        value(x).sum().backward()
        assert (x.grad.data[~np.broadcast_to(options["where"], shape)] == 0).all()
        check_grads(value, [a], order=2, rtol=2e-5, atol=1e-5)


def test_what_is_masked_may_be_nan() -> None:
    a = np.array([[1.0, np.nan, 2.0], [3.0, 4.0, np.inf]])
    for name in NAMES:
        options = {"initial": 2.5} if name in ("max", "min") else {}
        f = getattr(np, name)
        x = leaf(a)
        out = f(x, where=np.isfinite(a), axis=1, **options)
        np.testing.assert_allclose(out.data, f(a, where=np.isfinite(a), axis=1, **options))
        out.sum().backward(create_graph=True)
        assert np.isfinite(x.grad.data).all()
        assert (x.grad.data[~np.isfinite(a)] == 0).all()
        first, x.grad = x.grad, None
        if first.requires_grad:
            (first * first).sum().backward()
            assert np.isfinite(x.grad.data).all()


def test_a_first_value_may_need_a_gradient() -> None:
    a = np.random.default_rng(0).uniform(1, 2, (2, 3))
    for f in (tn.sum, tn.prod, tn.max, tn.min, tn.logsumexp):
        check_grads(lambda t, i, f=f: f(t, axis=0, initial=i), [a, np.array(1.5)], order=2)
    x, start = leaf([1.0, 2.0]), leaf(2.0)
    tn.max(x, initial=start).backward()
    assert (x.grad.tolist(), start.grad.item()) == ([0.0, 0.5], 0.5)


def test_a_given_mean() -> None:
    a = np.random.default_rng(0).normal(size=(2, 4))
    for f in (tn.var, tn.std):
        mean = np.mean(a, axis=1, keepdims=True)
        plain = getattr(np, f.name)
        np.testing.assert_allclose(f(leaf(a), axis=1, mean=mean).data, plain(a, axis=1, mean=mean), rtol=1e-14)
        check_grads(lambda t, m, f=f: f(t, axis=1, mean=m, correction=1), [a, mean + 0.1], order=2)
        x, y = leaf(a), leaf(a)
        f(x, axis=1, mean=np.mean(x, axis=1, keepdims=True)).sum().backward()
        f(y, axis=1).sum().backward()
        np.testing.assert_allclose(x.grad.data, y.grad.data, rtol=1e-12)


def test_deviation_zero_under_a_mask_has_gradient_zero() -> None:
    x = leaf([[2.0, 2.0, 5.0], [1.0, 3.0, 5.0]])
    np.std(x, axis=1, where=np.array([True, True, False])).sum().backward()
    np.testing.assert_allclose(x.grad.data, [[0, 0, 0], [-0.5, 0.5, 0]])


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "max", "min"])
def test_dtypes_with_masks_follow_numpy(name: str) -> None:
    for dtype in (np.bool_, np.uint8, np.int16, np.int64, np.float16, np.float32):
        a = np.array([[1, 0], [1, 1]], dtype)
        for options in (
            {"where": np.array([[True, True], [False, True]])},
            {"where": True} if name in ("mean", "var", "std") else {"initial": dtype(1)},
        ):
            if name in ("max", "min"):
                options["initial"] = dtype(1)
            f = getattr(np, name)
            got, expected = f(tn.tensor(a), **options), f(a, **options)
            assert got.dtype == expected.dtype, (name, dtype, options)
            np.testing.assert_allclose(got.data, expected, rtol=1e-3 if dtype == np.float16 else 1e-6)


def test_of_nothing_but_a_first_value() -> None:
    for name in ("max", "min", "sum", "prod"):
        f = getattr(np, name)
        for shape, axis in (((0, 3), 0), ((0, 3), 1), ((2, 0), None)):
            for keepdims in (False, True):
                x = leaf(np.zeros(shape))
                out = f(x, axis=axis, initial=2.5, keepdims=keepdims)
                expected = f(x.data, axis=axis, initial=2.5, keepdims=keepdims)
                assert type(out) is tn.Tensor
                assert out.shape == expected.shape
                np.testing.assert_array_equal(out.data, expected)
                out.sum().backward()
                assert x.grad.shape == shape
    with pytest.raises(ValueError, match=r"zero-size.*initial="):
        np.max(leaf(np.zeros((0, 3))), axis=0)


def test_nothing_chosen() -> None:
    x = leaf([1.0, 2.0])
    nothing = np.array([False, False])
    with np.errstate(all="ignore"):
        for f, words in (
            (np.mean, "Mean of empty slice"),
            (np.var, "Degrees of freedom"),
            (np.std, "Degrees of freedom"),
        ):
            for where in (nothing, tn.tensor(nothing)):
                with pytest.warns(RuntimeWarning, match=words):
                    assert np.isnan(f(leaf(x.data), where=where).data)
        with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
            np.var(leaf(x.data), where=[True, False], ddof=1)
        with pytest.warns(RuntimeWarning, match="Mean of empty slice"):
            y = np.mean(x, where=nothing)
    assert np.isnan(y.data)
    y.backward()
    assert x.grad.tolist() == [0.0, 0.0]
    assert np.max(x, where=nothing, initial=0.5).item() == 0.5
    assert tn.logsumexp(x, where=nothing).item() == -np.inf


def test_masks_of_truths() -> None:
    a = np.array([[True, False, True], [False, False, True]])
    mask = np.array([[True, False, True], [True, True, False]])
    for f in (np.all, np.any):
        for axis in (None, 0, 1, (0, 1)):
            np.testing.assert_array_equal(f(tn.tensor(a), axis=axis, where=mask).data, f(a, axis=axis, where=mask))
            np.testing.assert_array_equal(
                f(tn.tensor(a), axis=axis, where=tn.tensor(mask)).data, f(a, axis=axis, where=mask)
            )
    assert np.count_nonzero(tn.tensor(a)).item() == 3
    np.testing.assert_array_equal(
        np.count_nonzero(tn.tensor(a), axis=1, keepdims=True).data, np.count_nonzero(a, axis=1, keepdims=True)
    )


def test_mistakes_with_rare_options() -> None:
    x = leaf(np.ones((2, 3)))
    with pytest.raises(TypeError, match="sum: where= is a mask of booleans, not int64: compare"):
        np.sum(x, where=np.array([1, 0, 1]))
    with pytest.raises(ValueError, match=r"where= of shape \(2, 2, 3\) does not broadcast to \(2, 3\)"):
        np.sum(x, where=np.ones((2, 2, 3), bool))
    with pytest.raises(ValueError, match="max: where= needs initial="):
        np.max(x, where=np.array([True, False, True]))
    with pytest.raises(ValueError, match=r"initial= is a number, not an array of shape \(2,\)"):
        np.sum(x, initial=np.ones(2))
    with pytest.raises(ValueError, match="two names for one number"):
        np.var(x, ddof=1, correction=1)
    with pytest.raises(TypeError, match=r"sum\(\) got an unexpected keyword argument 'weights'"):
        tn.sum(x, weights=1)


def test_first_values_that_the_dtype_cannot_hold() -> None:
    whole = tn.tensor(np.array([1, 2], np.uint8))
    for f in (np.max, np.min, np.sum, np.prod):
        with pytest.raises(OverflowError):
            f(whole, initial=-1)
        with pytest.raises(ValueError, match="NaN"):
            f(whole, initial=float("nan"))
        with pytest.raises(TypeError):
            f(leaf([1.0]), initial=1j)


def test_masks_of_numbers() -> None:
    for mask in ([1, 0, 2], [True, False, True], 1, np.float64(0.0)):
        np.testing.assert_array_equal(
            np.sum(leaf(np.ones((2, 3))), 1, where=mask).data, np.sum(np.ones((2, 3)), 1, where=mask)
        )


def test_a_dtype_that_cuts_or_adds_imaginary_parts() -> None:
    """The gradient by an imaginary part that is cut is 0; of a variance in complex numbers only the real part is there."""
    z = np.array([1 + 2j, -0.5 + 1j, 2 - 1j])
    weights = np.array([1.0, -2.0, 0.5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        for f in (lambda a: np.prod(a, dtype=float), lambda a: np.cumprod(a, dtype=float) * weights):
            check_grads(f, [z], order=2)
        for f in (np.var, np.std):
            check_grads(lambda a, f=f: f(a, dtype=complex, ddof=1), [z], order=2)
    where = np.array([True, False, True])
    for options in ({}, {"where": where}):
        out = np.var(tn.tensor([1, 2, 5]), dtype=int, **options)
        assert (out.dtype, out.item()) == (np.int64, np.var([1, 2, 5], dtype=int, **options))


@pytest.mark.parametrize("f", [np.prod, lambda a: np.var(a, ddof=3), lambda a: np.std(a, ddof=4)])
def test_no_gradient_where_nothing_depends_on_it(f: Any) -> None:
    x = leaf([-1e160, 1e160, 0.5])
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.where(False, f(x), 0.0).sum().backward(create_graph=True)
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("f", [np.var, np.std, np.nanvar, np.nanstd, tn.logsumexp])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_slice_that_the_loss_does_not_use_may_be_infinite(f: Any, create_graph: bool) -> None:
    x, alone = leaf([[np.inf, 1.0, 0.0], [1.0, 2.0, 4.0]]), leaf([1.0, 2.0, 4.0])
    with np.errstate(invalid="ignore"):
        np.where([False, True], f(x, axis=1), 0.0).sum().backward(create_graph=create_graph)
    f(alone).backward()
    assert x.grad.data[0].tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(x.grad.data[1], alone.grad.data, rtol=1e-15)


@pytest.mark.parametrize(
    ("values", "g", "expected"),
    [
        ([1e200, 1e200, 1e-300], 1.0, [1e-100, 1e-100, np.inf]),
        ([1e-200, 1e-200, 1e300], 1.0, [1e100, 1e100, 0.0]),
        ([1e200, 1e80, 2.0], 1e60, [2e140, 2e260, np.inf]),
        ([1e200, 1e80, 1e-300], 0.0, [0.0, 0.0, 0.0]),
        ([2.0, 3.0, np.inf], 1.0, [np.inf, np.inf, 6.0]),
    ],
)
def test_products_beyond_the_range(values: Any, g: float, expected: Any) -> None:
    """Of the product, of its product with the gradient, and of that of the other elements."""
    x = leaf(values)
    with np.errstate(all="ignore"):
        np.prod(x).backward(g)
    np.testing.assert_allclose(x.grad.data, expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("f", "forward", "backward"),
    [
        (np.var, 1.2, 2.1), (np.std, 1.2, 2.1), (np.prod, 0.1, 1.1), (np.nanvar, 1.7, 2.4), (np.nanstd, 1.7, 2.4),
        (tn.logsumexp, 2.1, 2.1), (np.cumprod, 1.1, 2.1), (tn.cumulative_max, 1.1, 1.7), (np.median, 2.5, 2.5),
    ],
    ids=lambda f: getattr(f, "__name__", None),
)  # fmt: skip
def test_what_large_arrays_take_of_memory(f: Any, forward: float, backward: float) -> None:
    """In multiples of the array."""
    x = leaf(np.random.default_rng(0).uniform(0.9, 1.1, (400, 625)).astype(np.float32))
    out = [f(x, axis=1)]
    assert peak(lambda: out.append(f(x, axis=1))) < forward * x.nbytes
    g = np.ones_like(out[0].data)
    assert peak(lambda: out[1].backward(g)) < backward * x.nbytes


def test_without_axes() -> None:
    for name in NAMES:
        x = leaf(2.0)
        out = getattr(np, name)(x)
        assert out.shape == ()
        out.backward()
        assert x.grad.shape == ()
    for name in ("sum", "prod", "max", "min"):  # which NumPy reduces over axes they do not have
        x = leaf(2.0)
        getattr(np, name)(x, axis=-1).backward()
        assert x.grad.item() == 1.0
    with pytest.raises(ValueError, match="axis 0 is out of bounds"):
        np.mean(leaf(2.0), axis=0)
    for name in NAMES:
        x = leaf([[2.0, 3.0]])
        out = getattr(np, name)(x, axis=())
        np.testing.assert_array_equal(out.data, getattr(np, name)(x.data, axis=()))
        out.sum().backward()
        assert x.grad.shape == (1, 2)


@with_torch
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "std", "logsumexp"])
def test_complex_against_torch(name: str, axis: Any) -> None:
    r = np.random.default_rng(0)
    z = r.normal(size=(3, 2)) + 1j * r.normal(size=(3, 2))
    x, t = leaf(z), torch.tensor(z, requires_grad=True)
    out = getattr(tn, name)(x, axis)
    options: dict[str, Any] = {"correction": 0} if name in ("var", "std") else {}
    if name == "logsumexp":
        theirs = t.exp().sum().log() if axis is None else t.exp().sum(axis).log()
    elif axis is None:
        theirs = getattr(torch, name)(t, **options)
    else:
        theirs = getattr(torch, name)(t, axis, **options)
    assert out.dtype == (np.float64 if options else np.complex128)
    np.testing.assert_allclose(out.data, theirs.detach().numpy(), rtol=1e-12)
    (np.abs(out - 0.3) ** 2).sum().backward()
    ((theirs - 0.3).abs() ** 2).sum().backward()
    np.testing.assert_allclose(x.grad.data, t.grad.numpy(), rtol=1e-11)


def test_complex_under_masks() -> None:
    r = np.random.default_rng(0)
    z = r.normal(size=(2, 3)) + 1j * r.normal(size=(2, 3))
    mask = np.array([[True, False, True], [True, True, True]])
    for name in ("sum", "prod", "mean", "var", "std"):
        f = getattr(np, name)
        x = leaf(z)
        out = f(x, axis=1, where=mask)
        np.testing.assert_allclose(out.data, f(z, axis=1, where=mask), rtol=1e-13)
        (np.abs(out) ** 2).sum().backward()
        y = leaf(z)
        parts = [f(y[0, np.array([0, 2])]), f(y[1])]
        sum(np.abs(p) ** 2 for p in parts).backward()
        np.testing.assert_allclose(x.grad.data, y.grad.data, rtol=1e-12, err_msg=name)


def test_range() -> None:
    a = np.random.default_rng(0).normal(size=(2, 3, 2))
    for axis in (None, 0, -1, (0, 2)):
        for keepdims in (False, True):
            out = np.ptp(leaf(a), axis=axis, keepdims=keepdims)
            np.testing.assert_array_equal(out.data, np.ptp(a, axis=axis, keepdims=keepdims))
    x = leaf([1.0, 4.0, 4.0, 2.0])
    np.ptp(x).backward()
    assert x.grad.tolist() == [-1.0, 0.5, 0.5, 0.0]
    with pytest.raises(ValueError, match=r"ptp\(a: float64 \(0,\).*no elements there is no range"):
        np.ptp(leaf(np.zeros(0)))
    with pytest.raises(ValueError, match=r"ptp.*axis must lie within the 1 axes"):
        np.ptp(x, axis=1)
    assert tn.amax is tn.max
    assert tn.amin is tn.min


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((40_000,), None),
        ((2, 150, 200), None),
        ((70, 700), -1),
        ((7, 7000), -1),
        ((3, 20_011), -1),
        ((700, 4), 1),
        ((30, 20, 64), (1, -1)),
    ],
)
def test_sums_along_rows_by_a_kernel(shape: Any, axis: Any, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    from tapenet.kernels import sums

    by_kernel = Mock(wraps=sums.along_rows)
    monkeypatch.setattr(sums, "along_rows", by_kernel)
    a = np.random.default_rng(0).normal(1, 1, shape).astype(dtype)
    exact = np.sum(a, axis, np.longdouble, keepdims=True)
    bound = 2 * np.finfo(dtype).eps * np.sum(np.abs(a), axis, np.longdouble, keepdims=True)
    found = []
    try:
        for threads in (1, 2):
            tn.set_num_threads(threads)
            found.append(tn.sum(tn.tensor(a), axis, keepdims=True).data)
    finally:
        tn.set_num_threads(None)
    assert by_kernel.call_count == 2
    assert (found[0].shape, found[0].dtype) == (exact.shape, dtype)
    assert np.array_equal(*found)
    assert np.all(np.abs(found[0] - exact) <= bound)
    np.testing.assert_allclose(np.squeeze(tn.mean(tn.tensor(a), axis).data), np.mean(a, axis), rtol=1e-5)
    np.testing.assert_array_equal(np.signbit(tn.sum(tn.tensor(a * 0 * -1 - 0.0), axis).data), False)
    assert tn.sum(tn.tensor(a), axis).shape == np.sum(a, axis).shape


def test_sums_that_stay_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    from tapenet.kernels import sums

    by_kernel = Mock(wraps=sums.along_rows)
    monkeypatch.setattr(sums, "along_rows", by_kernel)
    a = tn.tensor(np.random.default_rng(0).normal(size=(300, 200)).astype(np.float32))
    for x, axis, dtype in ((a, 0, None), (a.T, 1, None), (a, 1, np.float64), (a > 0, 1, None)):
        found, expected = tn.sum(x, axis, dtype).data, np.sum(x.data, axis, dtype)
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)
    for wrong in (2, (1, 1), (-1, 0, 1), (-1, -2, 1), 1.0):
        with pytest.raises((ValueError, TypeError)):
            tn.sum(a, wrong)
    by_kernel.assert_not_called()


@pytest.mark.parametrize("shape", [(300, 200), (3, 70000)], ids=["rows", "runs of rows"])
def test_large_sums_are_what_numpy_gives(shape: tuple[int, int]) -> None:
    """A number of all axes; and warnings, each once."""
    a = np.ones(shape, np.float32)
    assert type(tn.sum.forward(a)) is type(np.sum(a))
    assert type(tn.sum.forward(a, -1)) is np.ndarray
    a *= np.float32(3e38)
    for axis in (None, 1):
        with pytest.warns(RuntimeWarning, match="overflow") as warned:
            found = tn.sum(tn.tensor(a), axis)
        assert len(warned) == 1
        assert np.all(found.data == np.inf)
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        tn.sum(tn.tensor(a))
    a[:] = np.inf
    a[0, 0] = -np.inf
    with pytest.warns(RuntimeWarning, match="invalid"):
        assert np.isnan(tn.sum(tn.tensor(a)).data)
