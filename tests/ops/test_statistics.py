"""Averages, covariances and counts against NumPy, finite differences, PyTorch and JAX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


R = np.random.default_rng(0)
A = R.normal(size=(2, 3, 4))
WEIGHTS = [
    (None, None), (None, (2, 3, 4)), (0, (2,)), (-1, (4,)), (1, (2, 3, 4)), ((0, 1), (2, 3)), ((2, 0), (4, 2)), ((1,), (3,)),
]  # fmt: skip


@pytest.mark.parametrize(("axis", "shape"), WEIGHTS)
@pytest.mark.parametrize("keepdims", [False, True])
def test_average(axis: Any, shape: Any, keepdims: bool) -> None:
    weights = None if shape is None else np.random.default_rng(1).uniform(0.5, 2, shape)
    options = {"axis": axis, "keepdims": keepdims}
    expected = np.average(A, weights=weights, returned=True, **options)
    given = None if weights is None else leaf(weights)
    out = np.average(leaf(A), weights=given, returned=True, **options)
    for got, wanted in zip(out, expected, strict=True):
        assert type(got) is tn.Tensor
        assert got.shape == np.shape(wanted)
        np.testing.assert_allclose(got.data, wanted, rtol=1e-14)
    np.testing.assert_allclose(np.average(leaf(A), weights=given, **options).data, expected[0], rtol=1e-14)
    args = [A] if weights is None else [A, weights]
    check_grads(lambda a, w=None: np.average(a, weights=w, returned=True, **options), args, order=2)


def test_average_dtypes_and_mistakes() -> None:
    for dtype, other in (
        (np.int32, np.int64),
        (np.float32, np.float32),
        (np.int64, np.float32),
        (np.bool_, np.float64),
    ):
        a, w = np.array([1, 0, 1], dtype), np.array([1, 2, 1], other)
        got, expected = np.average(tn.tensor(a), weights=tn.tensor(w)), np.average(a, weights=w)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got.data, expected)
    x = leaf(A)
    with pytest.raises(TypeError, match=r"weights of shape \(4,\) for an array of shape \(2, 3, 4\): give the axis="):
        np.average(x, weights=np.ones(4))
    with pytest.raises(
        ValueError, match=r"weights have shape \(4,\), but a, of shape \(2, 3, 4\), has \(3,\) along axis=\(1,\)"
    ):
        np.average(x, axis=1, weights=np.ones(4))
    with pytest.raises(ZeroDivisionError, match="sum to 0"):
        np.average(x, axis=-1, weights=[1, -1, 1, -1])
    with pytest.raises(ZeroDivisionError, match="sum to 0"):
        np.average(A[:, :, 0], 1, leaf([1.0, 1.0, -2.0]))


def test_average_takes_numpys_axes_and_returns_tensors() -> None:
    for axis in ([0], [2, 0], (-1,), None):
        for weights in (None, np.ones(A.shape)):
            got = np.average(leaf(A), axis, weights, True)
            expected = np.average(A, axis, weights, True)
            assert all(isinstance(g, tn.Tensor) for g in got)
            for g, e in zip(got, expected, strict=True):
                assert (g.shape, g.dtype) == (e.shape, e.dtype)
                np.testing.assert_allclose(g.data, e, rtol=1e-12)
    with pytest.raises(np.exceptions.AxisError):
        np.average(leaf(A), 3, A)


COVARIANCES: list[dict[str, Any]] = [
    {}, {"rowvar": False}, {"bias": True}, {"ddof": 0}, {"ddof": 2}, {"bias": True, "ddof": 1},
    {"fweights": np.array([1, 2, 1, 3])}, {"aweights": np.array([0.5, 1, 2, 1.5])},
    {"fweights": [1, 2, 1, 3], "aweights": [0.5, 1, 2, 1.5]},
    {"fweights": [1, 2, 1, 3], "aweights": [0.5, 1, 2, 1.5], "ddof": 0},
]  # fmt: skip


@pytest.mark.parametrize("options", COVARIANCES, ids=str)
@pytest.mark.parametrize("second", [None, "vector", "matrix"])
def test_cov(options: dict[str, Any], second: Any) -> None:
    r = np.random.default_rng(0)
    for shape in ((3, 4), (4,), (1, 4)):
        m = r.normal(size=shape)
        y = None if second is None else r.normal(size=4) if second == "vector" else r.normal(size=(2, 4))
        if not options.get("rowvar", True):
            m, y = m.T, y.T if second == "matrix" else y
            if second == "vector":
                continue  # NumPy's y with one axis is a row
            if m.ndim == 1 and y is not None:
                continue
        out, expected = np.cov(leaf(m), y, **options), np.cov(m, y, **options)
        assert out.shape == expected.shape
        np.testing.assert_allclose(out.data, expected, rtol=1e-12, atol=1e-14)
        args = [m] if y is None else [m, y]
        check_grads(lambda m, y=None: np.cov(m, y, **options), args, order=2)


def test_cov_by_weights() -> None:
    m = np.random.default_rng(0).normal(size=(2, 4))
    w = np.array([0.5, 1, 2, 1.5])
    for ddof in (0, 1):
        check_grads(lambda w, ddof=ddof: tn.cov(m, aweights=w, ddof=ddof), [w], order=2)
        check_grads(lambda m, w, ddof=ddof: tn.cov(m, aweights=w, ddof=ddof, fweights=[1, 2, 1, 1]), [m, w], order=2)


def test_float32_stays_in_covariances() -> None:
    """NumPy computes in float64."""
    m = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    for options in ({}, {"aweights": np.ones(4)}, {"fweights": [1, 2, 1, 1]}, {"ddof": np.int64(0)}):
        x = leaf(m)
        out = np.cov(x, **options)
        assert out.dtype == np.float32
        out.sum().backward()
        assert x.grad.dtype == np.float32
        np.testing.assert_allclose(out.data, np.cov(m, **options), rtol=1e-5)
    assert np.corrcoef(leaf(m)).dtype == np.float32
    assert np.cov(leaf(m), dtype=np.float64).dtype == np.float64
    assert np.cov(tn.tensor([[1, 2], [3, 5]])).dtype == np.float64


def test_float32_far_from_0() -> None:
    """The mean of large numbers is rounded; covariances are still those of the numbers there are."""
    m = (1e8 + 100 * np.random.default_rng(0).normal(size=(2, 1000))).astype(np.float32)
    for f in (np.cov, np.corrcoef, lambda x: np.cov(x, aweights=np.arange(1, 1001))):
        x, exact = leaf(m), leaf(m.astype(np.float64))
        out, expected = f(x), f(exact)
        np.testing.assert_allclose(out.data, expected.data, rtol=1e-6, atol=1e-6)
        out[0, 1].backward()
        expected[0, 1].backward()
        largest = np.abs(exact.grad.data).max()
        np.testing.assert_allclose(x.grad.data / largest, exact.grad.data / largest, atol=1e-6)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_variable_that_the_loss_does_not_use_may_be_infinite(create_graph: bool, bad: float) -> None:
    for f in (np.cov, np.corrcoef):
        x, alone = leaf([[1.0, 2.0, 4.0], [1.0, bad, 0.0], [3.0, 0.0, 1.0]]), leaf([[1.0, 2.0, 4.0], [3.0, 0.0, 1.0]])
        with np.errstate(invalid="ignore"):
            f(x)[0, 2].backward(create_graph=create_graph)
        f(alone)[0, 1].backward()
        np.testing.assert_allclose(x.grad.data, np.insert(alone.grad.data, 1, 0, axis=0), rtol=1e-14, atol=1e-16)


def test_cov_mistakes() -> None:
    x = leaf(np.ones((2, 3)))
    for error, words, arguments in (
        (ValueError, r"m has shape \(1, 2, 3\)", {"m": leaf(np.ones((1, 2, 3)))}),
        (ValueError, "no whole number", {"ddof": 0.5}),
        (ValueError, "3 observations in m and 4 in y", {"y": np.ones((2, 4))}),
        (RuntimeError, r"fweights of shape \(2,\) for 3 observations", {"fweights": [1, 2]}),
        (TypeError, "for others use aweights", {"fweights": [1.5, 1, 1]}),
        (ValueError, "aweights cannot be negative", {"aweights": [-1, 1, 1]}),
        (TypeError, "for others use aweights", {"fweights": tn.tensor([1.5, 1, 1])}),
        (ValueError, "fweights cannot be negative", {"fweights": tn.tensor([-1, 1, 1])}),
        (ValueError, "aweights cannot be negative", {"aweights": leaf([-1.0, 1, 1])}),
        (ZeroDivisionError, "weights sum to 0", {"aweights": leaf([0.0, 0, 0])}),
    ):
        with pytest.raises(error, match=words):
            tn.cov(**{"m": x, **arguments})
    with np.errstate(invalid="ignore"), pytest.warns(RuntimeWarning, match="Degrees of freedom <= 0"):
        out = np.cov(leaf([[1.0], [2.0]]))
    np.testing.assert_array_equal(out.data, np.full((2, 2), np.nan))
    assert np.cov(leaf(np.ones((0, 3)))).shape == (0, 0)


def test_cov_of_too_little() -> None:
    nothing = np.zeros((0, 3))
    assert np.cov(leaf(nothing)).shape == np.cov(nothing).shape == (0, 0)
    assert np.cov(leaf(nothing), np.ones((2, 3))).shape == np.cov(nothing, np.ones((2, 3))).shape == (0, 0)
    with pytest.raises(TypeError, match="dtype=<class 'int'> cannot hold a covariance"):
        np.cov(leaf([1.0, 2.0]), dtype=int)
    for name in ("fweights", "aweights"):
        with pytest.raises(ZeroDivisionError, match="weights sum to 0"):
            np.cov(leaf([1.0, 2.0]), **{name: [0, 0]})
    # Of one observation it is nan, also with weights that are tensors, and a branch not taken has no gradient.
    for options in ({}, {"fweights": tn.tensor([1]), "ddof": 3}):
        for f in (np.cov, np.corrcoef):
            if f is np.cov or not options:
                x = leaf([2.0])
                with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
                    out = f(x, **options)
                assert np.isnan(out.item())
                np.where(False, out, 0.0).sum().backward()
                assert x.grad.tolist() == [0.0]


def test_corrcoef() -> None:
    r = np.random.default_rng(0)
    for args, options in (
        ([r.normal(size=(3, 5))], {}), ([r.normal(size=(5, 2))], {"rowvar": False}), ([r.normal(size=4)], {}),
        ([r.normal(size=(2, 5)), r.normal(size=5)], {}), ([r.normal(size=5), r.normal(size=5)], {}),
    ):  # fmt: skip
        out = np.corrcoef(*map(leaf, args), **options)
        expected = np.corrcoef(*args, **options)
        assert out.shape == np.shape(expected)
        np.testing.assert_allclose(out.data, expected, rtol=1e-12)
        check_grads(lambda *a, options=options: np.corrcoef(*a, **options), args, order=2)
    assert np.corrcoef(leaf(np.ones((0, 3)))).shape == (0, 0)
    with pytest.warns(RuntimeWarning):
        out = np.corrcoef(leaf([[1.0, 1.0, 1.0], [1.0, 2.0, 4.0]]))
    assert np.isnan(out.data[0, 1])
    assert out.data[1, 1] == 1


def test_correlations_do_not_depend_on_how_large_the_variables_are() -> None:
    for dtype, powers in (
        (np.float32, [-120, -60, 0, 120]),
        (np.float64, [-400, 0, 200, 400]),
        (np.complex64, [-120, 0]),
    ):
        m = np.random.default_rng(0).normal(size=(len(powers), 5)).astype(dtype)
        m = m * (1 + 2j) if m.dtype.kind == "c" else m
        scales = np.ldexp(m.real.dtype.type(1), powers)[:, np.newaxis]
        x = leaf(m * scales)
        out = np.corrcoef(x)
        np.testing.assert_array_equal(out.data, np.corrcoef(leaf(m)).data)
        np.real(out[0, 1]).backward()
        assert np.isfinite(x.grad.data).all()
        assert x.grad.data[0].all()


def test_against_torch() -> None:
    torch = pytest.importorskip("torch")
    m = np.random.default_rng(0).normal(size=(3, 5))
    w = np.array([0.5, 1, 2, 1.5, 1])
    agrees_with_torch(np.cov, torch.cov, m)
    agrees_with_torch(np.corrcoef, torch.corrcoef, m)
    agrees_with_torch(
        lambda m, w: np.cov(m, ddof=0, aweights=w), lambda m, w: torch.cov(m, correction=0, aweights=w), m, w
    )
    x = np.array([0, 2, 2, 1])
    agrees_with_torch(
        lambda w: tn.bincount(x, w, minlength=5),
        lambda w: torch.zeros(5, dtype=w.dtype).index_add(0, torch.tensor(x), w),
        w[:4],
    )


def test_complex_against_torch() -> None:
    torch = pytest.importorskip("torch")
    r = np.random.default_rng(0)
    z = r.normal(size=(2, 4)) + 1j * r.normal(size=(2, 4))
    for ours, theirs, plain in ((tn.cov, torch.cov, np.cov), (tn.corrcoef, torch.corrcoef, np.corrcoef)):
        x, t = leaf(z), torch.tensor(z, requires_grad=True)
        out, other = ours(x), theirs(t)
        np.testing.assert_allclose(out.data, plain(z), rtol=1e-12, atol=1e-15)
        (np.abs(out - 0.3) ** 2).sum().backward()
        ((other - 0.3).abs() ** 2).sum().backward()
        np.testing.assert_allclose(x.grad.data, t.grad.numpy(), rtol=1e-11, atol=1e-14)


def test_against_jax() -> None:
    jax = pytest.importorskip("jax")
    m, w = A[0], np.array([0.5, 1, 2, 1.5])
    with jax.enable_x64(True):
        by_cov = jax.grad(lambda m, w: (jax.numpy.cov(m, aweights=w) ** 2).sum(), (0, 1))(m, w)
        by_average = jax.grad(lambda m, w: (jax.numpy.average(m, 1, w) ** 2).sum(), (0, 1))(m, w)
    for theirs, f in (
        (by_cov, lambda m, w: np.cov(m, aweights=w)), (by_average, lambda m, w: np.average(m, 1, w)),
    ):  # fmt: skip
        x, weights = leaf(m), leaf(w)
        (f(x, weights) ** 2).sum().backward()
        np.testing.assert_allclose(x.grad.data, theirs[0], rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(weights.grad.data, theirs[1], rtol=1e-10, atol=1e-13)


def test_bincount() -> None:
    x, w = np.array([3, 0, 3, 1]), np.array([1.0, 2.0, 4.0, 8.0])
    assert np.bincount(tn.tensor(x)).tolist() == np.bincount(x).tolist()
    for minlength in (0, 7):
        t = leaf(w)
        out = np.bincount(tn.tensor(x), t, minlength)
        np.testing.assert_array_equal(out.data, np.bincount(x, w, minlength))
        (out * np.arange(len(out))).sum().backward()
        np.testing.assert_array_equal(t.grad.data, x)
    t = leaf(w.astype(np.float32))
    assert np.bincount(x, t).dtype == np.float32
    assert np.bincount(x, tn.tensor([1, 2, 3, 4])).dtype == np.float64
    truths, t = np.array([True, False, True]), leaf([1.0, 2.0, 4.0])
    out = np.bincount(tn.tensor(truths), t)
    np.testing.assert_array_equal(out.data, np.bincount(truths, t.data))
    (out * [10.0, 1.0]).sum().backward()
    assert t.grad.tolist() == [1.0, 10.0, 1.0]
    t = leaf([1.0])
    np.bincount(np.array([], int), t, 2).sum().backward()  # NumPy takes these weights
    assert t.grad.tolist() == [0.0]
    with pytest.raises(ValueError, match="x holds whole numbers from 0"):
        np.bincount(tn.tensor([-1, 2]))
