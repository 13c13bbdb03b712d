"""Pooling: PyTorch's values and gradients for every geometry, ties, replay, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.autodiff.tape import local
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


@st.composite
def _geometries(draw: Any) -> Any:
    kernel, stride = ((draw(st.integers(1, 4)), draw(st.integers(1, 4))) for _ in range(2))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = [draw(st.integers(max(1, k - 2 * p), k + 5)) for k, p in zip(kernel, padding, strict=True)]
    return (draw(st.integers(1, 2)), 2, *size), kernel, stride, padding


@settings(max_examples=60, deadline=None)
@given(_geometries(), st.booleans())
def test_any_geometry_agrees_with_torch(geometry: Any, include: bool) -> None:
    shape, *args = geometry
    # Few distinct values: ties must fall as PyTorch's do.
    x = np.random.default_rng(1).integers(-2, 3, shape).astype(np.float64)
    agrees_with_torch(lambda x: tn.max_pool2d(x, *args), lambda x: F.max_pool2d(x, *args), x, dtypes=[np.float64])
    agrees_with_torch(
        lambda x: tn.avg_pool2d(x, *args, False, include),
        lambda x: F.avg_pool2d(x, *args, False, include),
        x, dtypes=[np.float64],
    )  # fmt: skip


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


@pytest.mark.parametrize("pool", [tn.max_pool2d, tn.avg_pool2d])
@pytest.mark.parametrize(
    ("shape", "args", "text"),
    [
        ((1, 1, 3, 3), (4,), "window of 4 x 4 does not fit into 3 x 3: give a smaller kernel_size, or drop a pooling"),
        ((1, 1, 1, 3), (4, 1, 1), "window of 4 x 4 does not fit into 1 x 3, 3 x 5 with padding"),
        ((1, 1, 8, 8), (2, 2, 2), "padding=2 is more than half of kernel_size=2: windows would miss x"),
        ((8,), (2,), r"x has shape \(8,\); its last two axes are height and width"),
        ((1, 8, 8), (0,), "kernel_size=0: give an integer of 1 or more, or 2 of them"),
        ((1, 8, 8), (2, (1, 2, 3)), r"stride=\(1, 2, 3\): give an integer"),
    ],
)
def test_errors_say_what_to_do(pool: Any, shape: Any, args: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        pool(tn.tensor(np.zeros(shape)), *args)
