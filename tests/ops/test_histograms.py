"""Histograms against NumPy's on arrays, and their derivatives by weights and edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads

R = np.random.default_rng(0)
X, Y, W = R.normal(size=60), R.normal(size=60), R.uniform(0.5, 2, 60)
EDGES = np.array([-2.0, -0.5, 0.1, 0.4, 3.0])


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(values, requires_grad=True)


def agree(got: Any, expected: Any) -> None:
    """Tensors with exactly NumPy's values and dtypes."""
    for g, e in zip(got, expected, strict=True):
        if isinstance(e, (list, tuple)):
            agree(g, e)
            continue
        assert type(g) is tn.Tensor
        assert g.dtype == e.dtype
        np.testing.assert_array_equal(g.data, e)


ONE: list[dict[str, Any]] = [
    {}, {"bins": 7}, {"bins": 4, "range": (-1, 1)}, {"bins": EDGES}, {"bins": list(EDGES)}, {"bins": 3, "density": True},
    {"bins": "auto"}, {"bins": "fd", "range": (-1.0, 1.5)}, {"bins": EDGES, "density": True}, {"bins": 1, "range": (2, 2)},
]  # fmt: skip


@pytest.mark.parametrize("options", ONE, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_numpys(options: dict[str, Any], weighted: bool) -> None:
    if weighted and isinstance(options.get("bins"), str):
        with pytest.raises(TypeError, match="is for values without weights: give a number of bins"):
            np.histogram(leaf(X), weights=W, **options)
        return
    weights = W if weighted else None
    with np.errstate(invalid="ignore"):
        expected = np.histogram(X, weights=weights, **options)
        agree(np.histogram(leaf(X), weights=None if weights is None else leaf(weights), **options), expected)
    edges = {k: v for k, v in options.items() if k != "density"}
    agree([np.histogram_bin_edges(leaf(X), **edges)], [expected[1]])
    if weights is not None:  # of which alone a gradient is asked
        got = np.histogram(X, weights=leaf(weights), **options)
        np.testing.assert_array_equal(got[0].data, expected[0])
        assert got[0].requires_grad


SEVERAL: list[dict[str, Any]] = [
    {}, {"bins": 3}, {"bins": (2, 5)}, {"bins": EDGES}, {"bins": [EDGES, 3]}, {"bins": [4], "range": None},
    {"bins": 3, "range": [(-1, 1), None]}, {"bins": (3, 2), "density": True}, {"bins": [EDGES, EDGES[1:]], "density": True},
]  # fmt: skip


@pytest.mark.parametrize("options", SEVERAL, ids=str)
@pytest.mark.parametrize("weights", [None, W], ids=["counts", "weighted"])
def test_values_of_several_axes_are_numpys(options: dict[str, Any], weights: Any) -> None:
    given = None if weights is None else leaf(weights)
    bins = options.get("bins")
    if isinstance(bins, list) and len(bins) == 1:
        for x, y in ((X, Y), (leaf(X), leaf(Y))):
            with pytest.raises(ValueError, match=r"dimension|2 coordinates"):
                np.histogram2d(x, y, **options)
        return
    agree(np.histogram2d(leaf(X), leaf(Y), weights=given, **options), np.histogram2d(X, Y, weights=weights, **options))
    if not isinstance(bins, np.ndarray):
        points = np.stack([X, Y], 1)
        expected = np.histogramdd(points, weights=weights, **options)
        agree(np.histogramdd(leaf(points), weights=given, **options), expected)
        agree(np.histogramdd([leaf(X), leaf(Y)], weights=given, **options), expected)


def test_ends_and_what_falls_outside() -> None:
    a = np.array([0.0, 1.0, 2.0, 2.0, np.nan, -1.0, 5.0, 0.5])
    w = leaf(2.0 ** np.arange(8))
    for options in ({"bins": [0.0, 1.0, 2.0]}, {"bins": 2, "range": (0, 2)}):
        sums, _ = np.histogram(a, weights=w, **options)
        assert sums.tolist() == [1 + 128, 2 + 4 + 8]
        (tn.grad(lambda w, o=options: (np.histogram(a, weights=w, **o)[0] * [10.0, 3.0]).sum()))(w)
        got = tn.grad(lambda w, o=options: (np.histogram(a, weights=w, **o)[0] * [10.0, 3.0]).sum())(w)
        assert got.tolist() == [10, 3, 3, 3, 0, 0, 0, 10]
    empty = np.histogram(leaf(np.zeros(0)), 2)
    agree(empty, np.histogram(np.zeros(0), 2))
    same = np.histogram(leaf([3.0, 3.0]), 2)
    agree(same, np.histogram([3.0, 3.0], 2))


def test_gradients_by_weights_and_by_edges() -> None:
    x = np.array([0.3, -1.0, 2.0, 0.9, 1.4, 0.35])
    w = np.array([1.0, 2.0, 0.5, 3.0, 1.5, 1.0])
    check_grads(lambda w: np.histogram(x, 3, weights=w), [w], order=2)
    check_grads(lambda x, w: np.histogram(x, 3, None, True, w), [x, w], order=2)
    check_grads(lambda w: np.histogramdd([x, x * x], 2, weights=w, density=True)[0], [w], order=2)
    check_grads(lambda e, w: np.histogram(x, e, weights=w, density=True), [np.array([-1.2, 0.1, 1.0, 2.3]), w], order=2)
    check_grads(lambda x, w: np.histogram2d(x, x * x, (2, 3), density=True, weights=w), [x, w], order=2)
    with pytest.raises(RuntimeError, match="whose result has none is 'edges_of_bins'"):
        np.histogram(leaf(x), 3, (0, 1), weights=w)[0].sum().backward()


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_compiled(backend: Any) -> None:
    """Bins, and where values fall, are found anew at each call."""
    if backend == "native":
        pytest.importorskip("llvmlite")

    def f(x: Any, low: Any, w: Any) -> Any:
        one = np.histogram(x, 4, weights=w)[0] * [1.0, 2.0, 3.0, 4.0]
        two = np.histogram(x, 2, (low, low + 1.5), weights=w)[0] * [5.0, 7.0]
        return one.sum() + two.sum() + (np.histogram2d(x, 2 * x, (2, 3), weights=w)[0] ** 2).sum()

    step = tn.compile(lambda x, low, w: tn.value_and_grad(f, argnums=2)(x, low, w), backend=backend)
    for x in (X[:9], Y[:9], np.full(9, 2.0)):
        value, g = step(x, -0.5, W[:9])
        expected, wanted = tn.value_and_grad(f, argnums=2)(x, -0.5, W[:9])
        np.testing.assert_allclose(value.data, expected.data, rtol=1e-14)
        np.testing.assert_allclose(g.data, wanted.data, rtol=1e-14)


def test_edges_that_fall_are_refused_in_a_program() -> None:
    points = X[:20].reshape(10, 2)
    for f in (lambda e: np.histogramdd(points, [e, e])[0], lambda e: np.histogram(points, e)[0]):
        step = tn.compile(f, backend="numpy")
        for _ in range(2):
            np.testing.assert_array_equal(step(np.array([-1.0, 0.0, 2.0])), f(np.array([-1.0, 0.0, 2.0])))
        with pytest.raises(ValueError, match="must rise"):
            step(np.array([-1.0, 2.0, 0.0]))


def test_many_values_between_given_edges_are_numpys() -> None:
    """It sorts them, which takes less time than to look up each."""
    edges = np.array([-1.0, 0.0, 2.0])
    step = tn.compile(lambda x: np.histogram(x, edges)[0], backend="numpy")
    for size, called in ((4096, []), (4097, ["bin_sums"])):
        x = np.resize(X, size)
        for _ in range(2):
            np.testing.assert_array_equal(step(x), np.histogram(x, edges)[0])
        assert [c.op.name for c in step.variants[-1].called] == called


def test_lanes() -> None:
    lanes = tn.vmap(lambda x, w: np.histogram(x, 3, (-1, 1), weights=w)[0])(X.reshape(3, 20), W.reshape(3, 20))
    for got, x, w in zip(lanes, X.reshape(3, 20), W.reshape(3, 20), strict=True):
        np.testing.assert_allclose(got.data, np.histogram(x, 3, (-1, 1), weights=w)[0])


def test_mistakes() -> None:
    x = leaf([1.0, 2.0])
    for bins, kind, words in (
        (0, ValueError, "there are no 0 bins from 1.0 to 2.0"),
        (2.5, TypeError, "bins=2.5 is neither a whole number nor edges"),
        ([2.0, 1.0], ValueError, "monotonically"),
    ):
        with pytest.raises(kind, match=words):
            np.histogram(x, bins)
    with pytest.raises(ValueError, match=r"no 10 bins from 2 to 1: .*range= with finite numbers that rise"):
        np.histogram(x, range=(2, 1))
    with pytest.raises(ValueError, match="no 10 bins from nan to nan"):
        np.histogram(leaf([np.nan, 1.0]))
    with pytest.raises(ValueError, match="3 bins for points with 2 coordinates: give one for each"):
        np.histogramdd(leaf(np.ones((4, 2))), (1, 2, 3))
    with pytest.raises(ValueError, match=r"x and y have shapes \(2,\) and \(3,\)"):
        np.histogram2d(x, np.ones(3))


def test_a_density_is_fitted_by_its_weights() -> None:
    """Reweighting: weights by which the histogram of a sample becomes another's."""
    wanted = np.histogram(X + 0.5, EDGES, density=True)[0]
    logs = leaf(np.zeros(60))

    def loss() -> Any:
        return ((np.histogram(X, EDGES, density=True, weights=np.exp(logs))[0] - wanted) ** 2).sum()

    start = loss().item()
    for _ in range(200):
        logs.grad = None
        loss().backward()
        with tn.no_grad():
            logs -= 20 * logs.grad
    assert loss().item() < 1e-5 * start
