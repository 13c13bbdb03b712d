"""Pooling: PyTorch's values and gradients for every geometry, ties, replay, errors."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.autodiff.state import local
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close, replays

torch = pytest.importorskip("torch")
F = torch.nn.functional
R = np.random.default_rng(0)

GEOMETRIES = [
    ((2, 3, 6, 8), (2,)),
    ((2, 3, 7, 9), (2,)),
    ((2, 3, 6, 8), ((3, 2),)),
    ((2, 3, 6, 8), ((1, 2),)),
    ((2, 3, 6, 8), ((2, 1),)),
    ((2, 3, 6, 8), (1,)),
    ((2, 3, 6, 8), (1, 2)),
    ((2, 3, 6, 8), (2, 3)),
    ((2, 3, 6, 8), (3, 2, 1)),
    ((2, 3, 6, 8), (3, 1, (1, 0))),
    ((2, 3, 6, 8), ((2, 3), (1, 2), (1, 1))),
    ((2, 3, 6, 8), (2, 2, 1)),
    ((2, 3, 6, 8), ((6, 8),)),
    ((3, 6, 8), (3, 2, 1)),
    ((1, 1, 20, 20), (17, 1)),
]


@pytest.mark.parametrize(("shape", "args"), GEOMETRIES)
def test_max_pool2d_is_that_of_torch(shape: Any, args: Any) -> None:
    x = R.normal(size=shape)
    agrees_with_torch(lambda x: tn.max_pool2d(x, *args), lambda x: F.max_pool2d(x, *args), x)


@pytest.mark.parametrize(("shape", "args"), GEOMETRIES)
def test_avg_pool2d_is_that_of_torch(shape: Any, args: Any) -> None:
    x = R.normal(size=shape)
    agrees_with_torch(lambda x: tn.avg_pool2d(x, *args), lambda x: F.avg_pool2d(x, *args), x)
    options = {"count_include_pad": False}
    agrees_with_torch(lambda x: tn.avg_pool2d(x, *args, **options), lambda x: F.avg_pool2d(x, *args, **options), x)


class Geometry(NamedTuple):
    """Windows over some axes, as both libraries take them."""

    shape: tuple[int, ...]
    axes: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...] | None
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool

    def plain(self) -> np.ndarray[Any, Any]:
        """Few distinct values: ties must fall as PyTorch's do."""
        return np.random.default_rng(1).integers(-2, 3, self.shape).astype(np.float64)


@st.composite
def geometries(draw: Any, dilated: bool) -> Geometry:
    axes = draw(st.integers(1, 3))
    most = (6, 4, 3)[axes - 1]

    def each(least: int, largest: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, largest)) for _ in range(axes))

    # Each window has an element of x, else PyTorch writes a gradient outside of its plane.
    kernel, dilation = each(1, most), each(1, 2 if dilated else 1)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = [
        draw(st.integers(max(d, (k - 1) * d + 1 - 2 * p) if dilated else k, (k - 1) * d + most))  # avg_pool3d is strict
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    stride = draw(st.none() | st.just(each(1, 4)))
    shape = (draw(st.integers(1, 2)), 2, *size)
    return Geometry(shape, axes, kernel, stride, padding, dilation, draw(st.booleans()))


@settings(max_examples=60, deadline=None)
@given(geometries(dilated=True))
def test_any_max_pooling_agrees_with_torch(g: Geometry) -> None:
    ours, theirs = (getattr(m, f"max_pool{g.axes}d") for m in (tn, F))
    arguments, x = g[2:], g.plain()
    agrees_with_torch(lambda x: ours(x, *arguments), lambda x: theirs(x, *arguments), x, dtypes=[np.float64])
    _, indices = ours(x, *arguments, return_indices=True)
    np.testing.assert_array_equal(indices, theirs(torch.tensor(x), *arguments, return_indices=True)[1].numpy())


@settings(max_examples=60, deadline=None)
@given(geometries(dilated=False), st.booleans(), st.sampled_from([None, 3, -2]))
def test_any_average_pooling_agrees_with_torch(g: Geometry, include: bool, divisor: int | None) -> None:
    ours, theirs = (getattr(m, f"avg_pool{g.axes}d") for m in (tn, F))
    arguments = (g.kernel, g.stride, g.padding, g.ceil_mode, include, *([divisor] if g.axes > 1 else []))
    agrees_with_torch(lambda x: ours(x, *arguments), lambda x: theirs(x, *arguments), g.plain(), dtypes=[np.float64])


LARGE = [((2, 3, 11, 12), (9, 1)), ((2, 3, 11, 12), (9, 2, 4)), ((2, 2, 16, 9), (8,)), ((2, 2, 9, 9), (9,))]


@pytest.mark.parametrize(("shape", "args"), LARGE)
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 3, 0), (3, 1, 0, 2)])
def test_large_windows(shape: Any, args: Any, order: Any) -> None:
    """They are written by index; to second order they are read so."""
    raw = R.permutation(math.prod(shape)).reshape(shape) * 0.1
    x = np.ascontiguousarray(raw.transpose(order)).transpose(np.argsort(order))
    agrees_with_torch(lambda x: tn.max_pool2d(x, *args), lambda x: F.max_pool2d(x, *args), x)
    g = R.normal(size=tn.max_pool2d(x, *args).shape)
    weights = R.normal(size=shape)

    def twice(x: Any, pool: Any) -> Any:
        return pool(x, *args) ** 2

    mine = tn.tensor(x, requires_grad=True)
    twice(mine, tn.max_pool2d).backward(tn.tensor(g), create_graph=True)
    first, mine.grad = mine.grad, None
    first.backward(weights)
    theirs = torch.tensor(x.copy("C"), requires_grad=True)
    (expected,) = torch.autograd.grad(twice(theirs, F.max_pool2d), theirs, torch.tensor(g), create_graph=True)
    (second,) = torch.autograd.grad(expected, theirs, torch.tensor(weights))
    close(first.data, expected.detach().numpy())
    close(mine.grad.data, second.numpy())


def test_the_first_of_equal_elements_takes_the_gradient() -> None:
    x = tn.tensor(np.zeros((1, 1, 4, 4)), requires_grad=True)
    tn.max_pool2d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad.data[0, 0, ::2, ::2], 1)
    assert x.grad.data.sum() == 4


def test_rows_come_before_columns_among_equal_elements() -> None:
    x = tn.tensor([[[0.0, 1.0], [1.0, 1.0]]], requires_grad=True)
    tn.max_pool2d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[[0, 1], [0, 0]]])


@pytest.mark.parametrize(("kernel", "kind"), [(2, np.uint8), (16, np.uint8), (17, np.uint16), (257, np.uint32)])
def test_places_are_kept_in_the_smallest_integers(kernel: int, kind: Any) -> None:
    x = tn.tensor(R.normal(size=(1, 1, kernel, kernel)), requires_grad=True)
    y = tn.max_pool2d(x, kernel)
    where = y.node.where_saved  # type: ignore[union-attr]
    assert where.dtype == kind
    assert where.item() == x.data.argmax()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, x.data == x.data.max())


def test_nothing_but_the_result_is_kept_where_no_gradient_is_needed() -> None:
    with tn.no_grad():
        y = tn.max_pool2d(tn.tensor(R.normal(size=(1, 4, 4)), requires_grad=True), 2)
    assert y.node is None
    assert local.state.grad


def test_the_maximum_keeps_nan_and_infinity() -> None:
    x = np.array([[[np.nan, 1.0, -np.inf, -np.inf], [0.0, 2.0, -np.inf, -np.inf]]])
    np.testing.assert_array_equal(tn.max_pool2d(x, 2), [[[np.nan, -np.inf]]])


def test_an_infinite_gradient_does_not_spoil_its_window() -> None:
    x = tn.tensor([[[0.0, -1.0], [-1.0, -1.0]]], requires_grad=True)
    np.sqrt(tn.max_pool2d(x, 2)).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[[np.inf, 0], [0, 0]]])


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 3, 0), (3, 0, 2, 1)])
@pytest.mark.parametrize("size", [(5, 7), (40, 31)])
def test_the_mean_of_all_in_any_memory_order(order: Any, size: Any) -> None:
    x = np.random.default_rng(0).normal(1.0, 1.0, (9, 13, *size))
    x[1, 2, 3, 4], x[3, 4, 0, 0] = np.inf, np.nan
    laid = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
    for dtype, error in ((np.float64, 1e-13), (np.float32, 2e-6)):
        found = tn.avg_pool2d(laid.astype(dtype), size)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, x.mean((2, 3), keepdims=True), rtol=error)


def test_integers_are_pooled() -> None:
    x = R.integers(-9, 9, (2, 5, 5))
    np.testing.assert_array_equal(tn.max_pool2d(x, 3, 1, 1), tn.max_pool2d(x.astype(float), 3, 1, 1))
    np.testing.assert_array_equal(tn.avg_pool2d(x, 3, 1, 1), tn.avg_pool2d(x.astype(float), 3, 1, 1))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 2, 3, 0), (0, 2, 3, 1)])
@pytest.mark.parametrize("pool", [tn.max_pool2d, tn.avg_pool2d])
@pytest.mark.parametrize("args", [(2,), (3, 2, 1)])
def test_memory_order_is_kept(order: Any, pool: Any, args: Any) -> None:
    raw = R.normal(size=(2, 3, 4, 6))
    back = np.argsort(order)
    x = tn.tensor(np.ascontiguousarray(raw.transpose(order)).transpose(back), requires_grad=True)
    y = pool(x, *args)
    close(y.data, pool(raw, *args))
    assert y.data.transpose(order).flags.c_contiguous
    y.backward(y.data)
    plain = tn.tensor(raw, requires_grad=True)
    pool(plain, *args).backward(y.data.copy("C"))
    close(x.grad.data, plain.grad.data)


@pytest.mark.parametrize("args", [(2,), (3, 2, 1), ((2, 1), 1, (1, 0))])
def test_the_rule_follows_the_data_of_a_replay(args: Any) -> None:
    first = R.normal(size=(2, 4, 5))
    replays(lambda x: (tn.max_pool2d(x, *args) ** 2).sum(), first, -first)
    replays(lambda x: (tn.avg_pool2d(x, *args) ** 2).sum(), first, -first)


@pytest.mark.parametrize("args", [(2,), (3, 2, 1)])
def test_higher_orders(args: Any) -> None:
    x = R.permutation(32).reshape(1, 2, 4, 4) * 0.1
    check_grads(lambda x: tn.max_pool2d(x, *args) ** 3, [x], order=3)
    check_grads(lambda x: tn.avg_pool2d(x, *args) ** 3, [x], order=3)


def test_an_empty_batch() -> None:
    agrees_with_torch(lambda x: tn.max_pool2d(x, 2), lambda x: F.max_pool2d(x, 2), np.zeros((0, 3, 4, 4)))
    agrees_with_torch(lambda x: tn.avg_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2), np.zeros((0, 3, 4, 4)))


# -- indices -----------------------------------------------------------------------------------------------------


def test_indices_of_windows_that_are_all_infinite_lie_in_x() -> None:
    x = np.full((1, 3, 3), -np.inf)
    for args in ((2, 2, 1), (3, 1, 1), ((2, 3), 1, (1, 0), (2, 1))):
        _, indices = tn.max_pool2d(x, *args, return_indices=True)
        np.testing.assert_array_equal(indices, F.max_pool2d(torch.tensor(x), *args, return_indices=True)[1].numpy())


def test_indices_of_tensors_have_no_gradient_and_the_values_do() -> None:
    x = tn.tensor(R.normal(size=(1, 4, 4)), requires_grad=True)
    values, indices = tn.max_pool2d(x, 2, return_indices=True)
    assert values.requires_grad
    assert not indices.requires_grad
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(x.data.reshape(-1)[indices.data.reshape(-1)], values.data.reshape(-1))
    np.testing.assert_array_equal(tn.max_pool2d(x, 2, return_indices=False).data, values.data)


# -- adaptive ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_adaptive_pooling_agrees_with_torch(data: Any) -> None:
    axes = data.draw(st.integers(1, 3))
    size, outs = (tuple(data.draw(st.integers(1, 7)) for _ in range(axes)) for _ in range(2))
    x = np.random.default_rng(1).integers(-2, 3, (2, 2, *size)).astype(np.float64)
    for kind in ("avg", "max"):
        ours, theirs = (getattr(m, f"adaptive_{kind}_pool{axes}d") for m in (tn, F))
        agrees_with_torch(lambda x, f=ours: f(x, outs), lambda x, f=theirs: f(x, outs), x, dtypes=[np.float64])
    _, indices = ours(x, outs, return_indices=True)
    np.testing.assert_array_equal(indices, theirs(torch.tensor(x), outs, return_indices=True)[1].numpy())


@pytest.mark.parametrize("pool", [tn.adaptive_avg_pool2d, tn.adaptive_max_pool2d])
@pytest.mark.parametrize("size", [1, (2, 3), (3, 4), (None, 5)])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 3, 0)])
def test_adaptive_pooling_of_any_memory_order(pool: Any, size: Any, order: Any) -> None:
    raw = R.normal(size=(2, 3, 4, 6))
    x = np.ascontiguousarray(raw.transpose(order)).transpose(np.argsort(order))
    theirs = getattr(F, pool.name)
    agrees_with_torch(lambda x: pool(x, size), lambda x: theirs(x, size), x)
    check_grads(lambda x: pool(x, size) ** 2, [R.permutation(36).reshape(1, 2, 3, 6) * 0.1], order=2)


def test_adaptive_pooling_without_a_batch_or_channels() -> None:
    x = R.normal(size=(3, 7, 5))
    agrees_with_torch(lambda x: tn.adaptive_max_pool2d(x, 3), lambda x: F.adaptive_max_pool2d(x, 3), x)
    np.testing.assert_allclose(tn.adaptive_avg_pool2d(x[0], 3), tn.adaptive_avg_pool2d(x, 3)[0])
    assert tn.adaptive_max_pool1d(np.zeros((0, 3, 7)), 3).shape == (0, 3, 3)


# -- fractional, unpooling, norms --------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_fractional_pooling_agrees_with_torch(data: Any) -> None:
    axes = data.draw(st.integers(2, 3))
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in range(axes))
    outs = tuple(data.draw(st.integers(1, 4)) for _ in range(axes))
    size = [data.draw(st.integers(k + m, k + m + 4)) for k, m in zip(kernel, outs, strict=True)]
    r = np.random.default_rng(1)
    x, drawn = r.integers(-2, 3, (2, 2, *size)).astype(np.float64), r.uniform(size=(2, 2, axes))
    ours, theirs = (getattr(m, f"fractional_max_pool{axes}d") for m in (tn, F))
    agrees_with_torch(
        lambda x: ours(x, kernel, outs, _random_samples=drawn),
        lambda x: theirs(x, kernel, outs, _random_samples=torch.tensor(drawn)),
        x, dtypes=[np.float64],
    )  # fmt: skip


def test_fractional_pooling_draws_anew() -> None:
    x = R.normal(size=(2, 9, 9))
    rng = np.random.default_rng(0)
    first, second = (tn.fractional_max_pool2d(x, 2, output_ratio=0.6, rng=rng) for _ in range(2))
    assert first.shape == (2, 5, 5)
    assert (first != second).any()
    np.testing.assert_array_equal(tn.fractional_max_pool2d(x, 2, 5, rng=0), first)
    tn.random.seed(0)
    np.testing.assert_array_equal(tn.fractional_max_pool2d(x, 2, 5), first)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_unpooling_puts_back_what_pooling_found(axes: int) -> None:
    x = tn.tensor(R.normal(size=(2, 3, 7, 5, 6)[: axes + 2]), requires_grad=True)
    values, indices = getattr(tn, f"max_pool{axes}d")(x, 2, return_indices=True)
    back = getattr(tn, f"max_unpool{axes}d")(values, indices, 2, output_size=x.shape)
    assert back.shape == x.shape
    np.testing.assert_array_equal(back.data, np.where(back.data != 0, x.data, 0))
    assert np.count_nonzero(back.data) == values.size
    back.backward(np.ones(back.shape))
    np.testing.assert_array_equal(x.grad.data, back.data != 0)


def test_of_a_place_given_twice_the_last_value_stands_and_has_the_gradient() -> None:
    """Overlapping windows find the same element; its gradient counts once, as finite differences say."""
    x = tn.tensor([[1.0, 5.0, 2.0]], requires_grad=True)
    values, indices = tn.max_pool1d(x, 2, 1, return_indices=True)
    np.testing.assert_array_equal(indices, [[1, 1]])
    back = tn.max_unpool1d(values, indices, 2, 1)
    np.testing.assert_array_equal(back.data, [[0, 5, 0]])
    back.sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[0, 1, 0]])


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("args", [(1, 2), (2, 2, 1), (3.0, 2, None, True), (2.5, 3, 2)])
def test_pooling_by_a_norm_agrees_with_torch(axes: int, args: Any) -> None:
    x = R.uniform(0.1, 2, (2, 3, 5, 4, 7)[: axes + 2])
    ours, theirs = (getattr(m, f"lp_pool{axes}d") for m in (tn, F))
    agrees_with_torch(lambda x: ours(x, *args), lambda x: theirs(x, *args), x)


def test_the_norms_of_zeros_and_of_infinite_order() -> None:
    x = tn.tensor([[0.0, 0.0, 3.0, -4.0]], requires_grad=True)
    tn.lp_pool1d(x, 2, 2).sum().backward()
    np.testing.assert_allclose(x.grad.data, [[0, 0, 0.6, -0.8]])
    np.testing.assert_array_equal(tn.lp_pool1d(x.data, np.inf, 2), [[0, 4]])
    with pytest.raises(ValueError, match="lp_pool1d: norm_type=0: give a positive number"):
        tn.lp_pool1d(x, 0, 2)


# -- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [tn.max_pool2d, tn.avg_pool2d])
@pytest.mark.parametrize(
    ("shape", "args", "text"),
    [
        ((1, 1, 3, 3), (4,), "window of 4 x 4 does not fit into 3 x 3: give a smaller kernel_size, or drop a pooling"),
        ((1, 1, 1, 3), (4, 1, 1), "window of 4 x 4 does not fit into 1 x 3, 3 x 5 with padding"),
        ((1, 1, 8, 8), (2, 2, 2), "padding=2 is more than half of kernel_size=2: windows would miss x"),
        ((8,), (2,), r"x has shape \(8,\); its last two axes are height and width, so it needs at least 2"),
        ((1, 8, 8), (0,), "kernel_size=0: give an integer of 1 or more, or 2 of them"),
        ((1, 8, 8), (2, (1, 2, 3)), r"stride=\(1, 2, 3\): give an integer"),
    ],
)
def test_errors_say_what_to_do(pool: Any, shape: Any, args: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        pool(tn.tensor(np.zeros(shape)), *args)


X = np.zeros((1, 2, 6, 6))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tn.max_pool1d(np.zeros(()), 2), r"x has shape \(\); its last axis is its length, so it needs at least 1"),
        (lambda: tn.max_pool3d(X[0, 0], 2), "its last three axes are depth, height and width, so it needs at least 3"),
        (lambda: tn.max_pool2d(X, 2, dilation=6), "window of 7 x 7 does not fit into 6 x 6"),
        (lambda: tn.avg_pool2d(X, 2, divisor_override=0), "divisor_override=0: give an integer that is not 0"),
        (lambda: tn.adaptive_avg_pool2d(X, (2, 3, 4)), r"adaptive_avg_pool2d: output_size=\(2, 3, 4\): give an integer"),
        (lambda: tn.adaptive_max_pool2d(X, 0), "adaptive_max_pool2d: output_size=0: give an integer of 1 or more, or 2"),
        (lambda: tn.adaptive_max_pool3d(X[0, 0], 1), "adaptive_max_pool3d: x has shape .*at least 3 axes"),
        (lambda: tn.adaptive_avg_pool1d(X[..., :0], 1), "there is nothing to pool along an axis of length 0"),
        (lambda: tn.fractional_max_pool2d(X, 2), "give either output_size or output_ratio"),
        (lambda: tn.fractional_max_pool2d(X, 2, 6), "6 x 6 windows of 2 x 2 do not fit into 6 x 6"),
        (lambda: tn.fractional_max_pool2d(X, 2, output_ratio=2.0), "output_ratio=2.0: give a number between 0 and 1"),
        (lambda: tn.fractional_max_pool2d(X[0, 0], 2, 3), "x has shape .*or without the batch"),
        (
            lambda: tn.fractional_max_pool2d(X, 2, 3, _random_samples=np.zeros(3)),
            r"_random_samples has shape \(3,\); for x of shape .* it must be \(batch, channels, 2\)",
        ),
        (lambda: tn.max_unpool2d(X, X, 2), "indices are the integers of max_pool2d"),
        (lambda: tn.max_unpool2d(X, np.zeros((2, 6, 6), int), 2), "both have at least 2 axes and the same shape"),
        (
            lambda: tn.max_unpool2d(X, np.zeros(X.shape, int), 2, output_size=(12, 15)),
            r"output_size=\(12, 15\) does not fit: a pooling to 6 x 6 began with about 12 x 12",
        ),
    ],
)  # fmt: skip
def test_more_errors(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()


def test_an_index_beyond_its_plane_is_an_error_for_tensors_too() -> None:
    """It would be written into the next plane."""
    x, indices = np.zeros((2, 1, 2)), np.array([[[0, 4]], [[0, 1]]])
    for made in (lambda a: a, tn.tensor):
        with pytest.raises(IndexError, match="indices run from 0 to 4, but a plane of the result has 4 elements"):
            tn.max_unpool1d(made(x), made(indices), 2)
