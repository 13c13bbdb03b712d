"""Rolling, turning, diagonals, triangles, grids and windows: against NumPy, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib.stride_tricks import sliding_window_view

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.moves import leaf, moves
from tests.ops.oracle import agrees_with_torch, replays

R = np.random.default_rng(0)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
MATRICES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=3)


def values(*shape: int) -> Any:
    return R.normal(size=shape)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=SHAPES)
def test_rolling(data: Any, shape: Any) -> None:
    a = values(*shape)
    shifts = st.integers(-5, 5)
    one = data.draw(shifts)
    moves(lambda t: np.roll(t, one), a)
    moves(lambda t: np.roll(t, (one, 1)), a)
    if shape:
        axes = data.draw(st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=3))
        several: Any = tuple(data.draw(shifts) for _ in axes)
        moves(lambda t: np.roll(t, several, tuple(axes)), a)
        moves(lambda t: np.roll(t, np.array(several), axes), a)
        moves(lambda t: np.roll(t, one, tuple(axes)), a)
        moves(lambda t: np.roll(t, several, axes[0]), a)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=MATRICES)
def test_turning(data: Any, shape: Any) -> None:
    a = values(*shape)
    ndim = len(shape)
    k = data.draw(st.integers(-5, 5))
    first, second = data.draw(st.permutations(range(ndim)))[:2]
    moves(lambda t: np.rot90(t, k, (first, second - ndim)), a)
    moves(lambda t: np.rot90(t, k), a)
    moves(np.fliplr, a)
    moves(np.flipud, a)
    axis = data.draw(st.integers(-ndim, ndim - 1))
    start = data.draw(st.integers(-ndim, ndim))
    moves(lambda t: np.rollaxis(t, axis, start), a)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data(), shape=MATRICES)
def test_diagonals_and_triangles(data: Any, shape: Any) -> None:
    a = values(*shape)
    ndim = len(shape)
    k = data.draw(st.integers(-4, 4))
    first, second = data.draw(st.permutations(range(ndim)))[:2]
    moves(lambda t: np.diagonal(t, k, first, second - ndim), a)
    moves(lambda t: np.diagonal(t, axis1=second, axis2=first, offset=k), a)
    moves(lambda t: np.tril(t, k), a)
    moves(lambda t: np.triu(t, k=k), a)
    moves(lambda t: np.diagflat(t, k), a)
    if ndim == 2:
        moves(lambda t: np.diag(t, k), a)
    vector = values(data.draw(st.integers(0, 4)))
    moves(lambda t: np.diag(t, k), vector)
    moves(np.tril, vector)
    x = leaf(a)
    trace = np.trace(x, k, first, second)
    np.testing.assert_allclose(trace.data, np.trace(a, k, first, second), atol=1e-12)
    seed = R.normal(size=trace.shape)
    trace.backward(seed)
    expected = np.zeros(shape)
    rows = np.arange(max(min(shape[first] - max(-k, 0), shape[second] - max(k, 0)), 0))
    np.moveaxis(expected, (first, second), (0, 1))[rows + max(-k, 0), rows + max(k, 0)] = seed
    np.testing.assert_array_equal(x.grad.data, expected)


def test_triangles_keep_dtypes_and_leave_out_infinities() -> None:
    for dtype in (bool, np.int8, np.float32, np.complex64):
        a = np.ones((2, 2), dtype)
        for f in (np.tril, np.triu, np.diag, np.diagflat, np.trace, np.roll):
            got, expected = (f(x, 1) for x in (tn.tensor(a), a))
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got.data, expected)
    x = leaf(np.array([[1.0, np.inf], [2.0, 3.0]]))
    assert np.tril(x).tolist() == [[1.0, 0.0], [2.0, 3.0]]
    assert np.trace(tn.tensor([[1.0]]), dtype=np.float32).dtype == np.float32


def test_the_gradient_of_a_diagonal_is_sparse() -> None:
    g = tn.diagonal.rules["a"](np.ones(2), (2, 3), 0, 0, 1)
    assert isinstance(g, tn.Scatter)
    x = leaf(np.ones((2, 3)))
    (np.diagonal(x).sum() + 2 * np.diagonal(x, 1).sum()).backward()  # added in one buffer
    assert x.grad.tolist() == [[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]]
    assert np.shares_memory(np.diagonal(x).data, x.data)


@pytest.mark.parametrize("f", [np.atleast_1d, np.atleast_2d, np.atleast_3d])
def test_at_least_so_many_axes(f: Any) -> None:
    for shape in ((), (3,), (2, 0), (2, 3, 1), (1, 2, 1, 2)):
        moves(f, values(*shape))
    moves(lambda *ts: f(*ts), values(), values(2), values(2, 2))
    assert type(f(leaf(1.0), leaf(2.0))) is tuple
    assert type(f(leaf(1.0))) is tn.Tensor
    got, expected = f(leaf([1.0]), [1, 2]), f([1.0], [1, 2])
    assert [g.tolist() for g in got] == [e.tolist() for e in expected]


@pytest.mark.parametrize("sizes", [(2,), (2, 3), (3, 1, 2), (0, 2)])
@pytest.mark.parametrize("options", [{}, {"indexing": "ij"}, {"sparse": True}, {"copy": False}], ids=str)
def test_grids(sizes: Any, options: Any) -> None:
    moves(lambda *ts: np.meshgrid(*ts, **options), *[values(n) for n in sizes])
    moves(lambda *ts: np.ix_(*ts), *[values(n) for n in sizes if n])
    moves(lambda *ts: np.meshgrid(*ts, **options), values(), values(2))
    assert tn.meshgrid() == ()


def test_grids_of_indices() -> None:
    x = leaf(np.arange(12.0).reshape(3, 4))
    rows, columns = np.ix_(tn.tensor([True, False, True]), tn.tensor([1, 3]))
    assert x[rows, columns].tolist() == [[1.0, 3.0], [9.0, 11.0]]
    assert not rows.requires_grad
    empty, _ = np.ix_([], tn.tensor([1]))
    assert empty.dtype == np.intp


@pytest.mark.parametrize("shapes", [[(2, 1), (3,)], [(), (2,), (1, 1)], [(2,), (2,)], [(0, 1), (2,)], [(3,)]])
def test_broadcasting_several(shapes: Any) -> None:
    moves(lambda *ts: np.broadcast_arrays(*ts), *[values(*s) for s in shapes])
    x = leaf(values(2, 1))
    wide, other = np.broadcast_arrays(x, np.zeros(3))
    assert np.shares_memory(wide.data, x.data)
    assert (type(other), other.shape) == (np.ndarray, (2, 3))


# -- windows -----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5))
def test_windows(data: Any, shape: Any) -> None:
    a = values(*shape)
    lengths = tuple(data.draw(st.integers(1, n)) for n in shape)
    moves(lambda t: sliding_window_view(t, lengths), a)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    moves(lambda t: sliding_window_view(t, lengths[axis], axis), a)
    moves(lambda t: sliding_window_view(t, lengths[::-1], tuple(range(len(shape)))[::-1]), a)
    twice = (1, shape[axis] // 2 + 1)
    moves(lambda t: sliding_window_view(t, twice, axis=(axis, axis)), a)


def test_windows_of_length_zero_and_of_nothing() -> None:
    moves(lambda t: sliding_window_view(t, 0, 0), values(3))
    moves(lambda t: sliding_window_view(t, 2, 1), values(0, 3))


def test_folding_adds_as_often_as_the_shorter_side_is_long() -> None:
    for count, length in ((50, 3), (3, 50)):
        g = values(2, count, length)
        expected = np.zeros((2, count + length - 1))
        for i in range(count):
            expected[:, i : i + length] += g[:, i]
        np.testing.assert_allclose(tn.fold_windows(g, (1,)), expected)
        np.testing.assert_allclose(tn.fold_windows.lower(g, (1,)), expected)


def test_windows_are_views_and_their_sums_moving_averages() -> None:
    x = leaf(np.arange(6.0))
    windows = sliding_window_view(x, 3)
    assert np.shares_memory(windows.data, x.data)
    check_grads(lambda t: sliding_window_view(t**2, (2, 2)).mean((-1, -2)) ** 2, [values(3, 3)], order=2)
    check_grads(lambda t: np.max(sliding_window_view(t, 2), -1) ** 3, [np.array([1.0, 3.0, 2.0, 5.0])], order=2)
    for count in (1, 2, 5):
        replays(lambda t, n=count: (sliding_window_view(t, n) ** 2).sum(), np.arange(5.0), np.arange(5.0)[::-1])
    x = leaf(np.ones(4, np.float32))
    sliding_window_view(x, 2).sum().backward()
    assert (x.grad.dtype, x.grad.tolist()) == (np.float32, [1.0, 2.0, 2.0, 1.0])


def test_against_torch() -> None:
    torch = pytest.importorskip("torch")
    a = values(3, 4)
    agrees_with_torch(lambda t: np.roll(t, (1, -2), (0, 1)), lambda t: torch.roll(t, (1, -2), (0, 1)), a)
    agrees_with_torch(lambda t: np.rot90(t, 3), lambda t: torch.rot90(t, 3), a)
    agrees_with_torch(lambda t: np.diagonal(t, 1) ** 2, lambda t: torch.diagonal(t, 1) ** 2, a)
    agrees_with_torch(lambda t: np.diag(t, -1) ** 2, lambda t: torch.diag(t, -1) ** 2, a[0])
    agrees_with_torch(lambda t: np.tril(t, -1) ** 2, lambda t: torch.tril(t, -1) ** 2, a)
    agrees_with_torch(lambda t: np.trace(t) ** 2, lambda t: torch.trace(t) ** 2, a)
    agrees_with_torch(lambda t: sliding_window_view(t, 2, 1) ** 2, lambda t: t.unfold(1, 2, 1) ** 2, a)


def test_second_order_and_zero_cotangents() -> None:
    for f in (
        lambda t: np.roll(t, 1, 1) * t,
        lambda t: np.rot90(t) ** 2,
        lambda t: np.diagonal(t, 1) ** 3,
        lambda t: np.diag(np.diag(t)) * t,
        lambda t: np.trace(t @ t),
        lambda t: np.triu(t) ** 2 + np.tril(t, -1) ** 3,
        lambda t: np.meshgrid(t[0], t[1])[0] ** 2,
    ):
        check_grads(f, [values(2, 2)], order=2)
    x = leaf(np.array([[np.inf, 1.0], [2.0, 3.0]]))
    (np.diagonal(x)[1:] ** 2).sum().backward()
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, 6.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: np.roll(x, 1, 2), r"roll\(.*axis 2 is out of bounds.*within the 2 axes"),
        (lambda x: np.rot90(x, 1, (0, 0)), "two different axes"),
        (lambda x: np.rot90(x, 1, (0, 2)), "axis 2 is out of bounds"),
        (lambda x: np.rot90(x, 1, (0,)), "must be two axes"),
        (lambda x: np.fliplr(x[0]), "fliplr: an array of shape .3,. has no columns"),
        (lambda x: np.flipud(x[0, 0]), "flipud: an array without axes"),
        (lambda x: np.rollaxis(x, 2), "axis 2 is out of bounds"),
        (lambda x: np.rollaxis(x, 0, 3), "start=3 is no position"),
        (lambda x: np.diagonal(x[0]), r"diagonal\(.*a has shape \(3,\)"),
        (lambda x: np.diagonal(x, 0, 1, 1), r"diagonal\(.*two different ones"),
        (lambda x: np.trace(x[0]), r"diagonal\("),
        (lambda x: np.diag(x[None]), "diag: an array of shape .1, 2, 3. is neither"),
        (lambda x: np.tril(x[0, 0]), r"tril.*m has shape \(\): a matrix has two axes"),
        (lambda x: np.meshgrid(x[0], indexing="yx"), "'yx' is neither"),
        (lambda x: np.ix_(x), "ix_: argument 0 has shape .2, 3."),
        (lambda x: np.broadcast_arrays(x, x[:, :2]), "cannot be broadcast to a single shape"),
        (lambda x: sliding_window_view(x, (3, 1)), r"sliding_window_view\(.*x has shape \(2, 3\)"),
        (lambda x: sliding_window_view(x, 2), r"sliding_window_view\(.*one length per axis"),
        (lambda x: sliding_window_view(x, 2, 2), r"axis 2 is out of bounds"),
        (lambda x: np.lib.stride_tricks.as_strided(x, (2,), (8,)), "not turned into an ndarray in silence"),
    ],
)  # fmt: skip
def test_mistakes(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError, IndexError), match=message):
        call(leaf(np.ones((2, 3))))


def test_a_roll_by_computed_places_is_differentiated_when_captured() -> None:
    def moved(x: Any, by: Any) -> Any:
        return (np.roll(x, by, axis=(0, 1)) * np.arange(6.0).reshape(2, 3)).sum()

    run = tn.compile(tn.grad(moved), backend="numpy")
    for _ in range(2):
        np.testing.assert_array_equal(run(np.ones((2, 3)), np.array([1, 1])).numpy(), [[4, 5, 3], [1, 2, 0]])
