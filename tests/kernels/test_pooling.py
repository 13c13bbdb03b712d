"""Max pooling in machine code beside the same in NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tapenet.ops.layers.pooling import kernel_dispatch, maximum
from tapenet.ops.layers.pooling.windows import windows_of
from tests.kernels.beside import agree, batch_last, both

pytest.importorskip("llvmlite")
from tapenet.kernels import pooling

R = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("order", [np.ascontiguousarray, batch_last, np.asfortranarray])
@pytest.mark.parametrize(
    ("pool", "shape", "options"),
    [
        (tn.max_pool2d, (5, 3, 8, 6), (2,)),
        (tn.max_pool2d, (5, 3, 9, 7), (2,)),
        (tn.max_pool2d, (17, 2, 9, 8), (3, 2, 1)),
        (tn.max_pool2d, (1, 2, 9, 8), ((3, 2), (1, 2), (1, 0), (2, 1))),
        (tn.max_pool1d, (20, 2, 15), (3, 1)),
        (tn.max_pool3d, (16, 2, 5, 6, 4), (2,)),
        (tn.max_pool3d, (16, 2, 5, 6, 4), (3, 1, 1)),
    ],
)
def test_same_as_numpy(pool: Any, shape: Any, options: Any, order: Any, dtype: str) -> None:
    data = order(R.integers(0, 12, shape).astype(dtype))  # with many ties: of equals the first
    results = []
    for on in (True, False):
        with kernels.switched(on):
            x = tn.tensor(data, requires_grad=True)
            out = pool(x, *options)
            g = np.arange(out.size, dtype=dtype).reshape(out.shape) + 1
            out.backward(g)
            results.append((out.data, x.grad.data))
    for mine, numpys in zip(*results, strict=True):
        assert mine.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(mine, numpys)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("order", [np.ascontiguousarray, batch_last])
@pytest.mark.parametrize(
    ("pool", "shape", "options"),
    [
        (tn.avg_pool2d, (5, 3, 8, 6), (2,)),
        (tn.avg_pool2d, (5, 3, 9, 21), (3, 1, 1)),
        (tn.avg_pool2d, (16, 3, 9, 8), (3, 1, 1, False, False)),
        (tn.avg_pool2d, (2, 3, 10, 8), (3, 2, 1, True)),
        (tn.avg_pool2d, (2, 3, 9, 8), ((3, 2), (1, 2), (1, 0), False, True, 5)),
        (tn.avg_pool1d, (20, 2, 15), (4, 1, 2)),
        (tn.avg_pool3d, (3, 2, 5, 6, 4), (3, 1, 1)),
    ],
)
def test_averages_are_those_of_numpy(
    pool: Any, shape: Any, options: Any, order: Any, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, calls = pooling.average, []
    monkeypatch.setattr(pooling, "average", lambda *args: calls.append(args) or made(*args))  # type: ignore[func-returns-value]
    x = order(R.normal(size=shape))
    agree(*both(lambda x: pool(x, *options), x, dtype=dtype), dtype, 1e-6 if dtype == "f" else 1e-14)
    assert calls


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(
    ("maps", "size", "options"), [((8, 6), (7, 9), (3, 2, 1, 1, False)), ((2, 8), (5, 4), (2, 1, 0, 2, False))]
)
def test_several_small_maps_at_once(
    maps: tuple[int, ...], size: tuple[int, ...], options: Any, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    calls = []
    made = pooling._of_several
    monkeypatch.setattr(pooling, "_of_several", lambda *args: calls.append(args) or made(*args))  # type: ignore[func-returns-value]
    x = R.integers(0, 12, (*maps, *size)).astype(dtype)
    x[..., 1, 1] = np.nan
    windows, found = windows_of(x.shape, 2, *options), []
    for on in (True, False):
        with kernels.switched(on):
            best, where = maximum._max_pool(x, windows)
            y = np.arange(best.size).astype(dtype).reshape(best.shape)
            found.append((best, where, maximum._max_pool_grad(y, where, windows)))
    assert len(calls) == 2
    for mine, numpys in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, numpys)


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("size", [(5, 4, 4), (4, 5, 4), (4, 4, 5), (5, 7, 9), (1, 6, 3)])
def test_what_windows_leave_over_is_zero(size: tuple[int, ...], batch: int) -> None:
    length = (min(2, size[0]), 2, 2)
    out = tuple(n // k for n, k in zip(size, length, strict=True))
    shape = pooling.Shape(3, size, out, batch, length, length, (1, 1, 1), (0, 0, 0), True)
    assert shape.fills
    where = R.integers(0, math.prod(length), (3, *out, batch), np.uint8)
    y, found = R.normal(size=where.shape), np.full((3, *size, batch), np.nan)
    pooling.spread(found, y, where, shape)
    assert np.count_nonzero(found) == y.size
    np.testing.assert_array_equal(np.sort(found[found != 0]), np.sort(y, None))


@pytest.mark.parametrize("pool", [tn.max_pool1d, tn.max_pool2d, tn.max_pool3d])
def test_of_several_nan_the_first_is_found(pool: Any) -> None:
    data = R.normal(size=(3, 4, 8, 9, 7)[: 2 + int(pool.__name__[-2])])
    data[R.random(data.shape) < 0.2] = np.nan
    found = pool(data, 3, 2, 1, return_indices=True)
    with kernels.switched(False):
        expected = pool(data, 3, 2, 1, return_indices=True)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    values = data.reshape(*data.shape[:2], -1)
    chosen = np.take_along_axis(values, found[1].reshape(*data.shape[:2], -1), -1)
    np.testing.assert_array_equal(chosen.reshape(found[0].shape), found[0])


def test_nan_and_infinities() -> None:
    data = np.zeros((16, 1, 4, 4), "f")
    data[0, 0, 0, 1], data[1, 0, 2, 2], data[2] = np.nan, np.inf, -np.inf
    x = tn.tensor(data, requires_grad=True)
    out = tn.max_pool2d(x, 2)
    assert np.isnan(out.data[0, 0, 0, 0])
    assert np.isnan(out.data).sum() == 1
    assert out.data[1, 0, 1, 1] == np.inf
    assert (out.data[2] == -np.inf).all()
    out.backward(np.full(out.shape, np.inf, "f"))
    assert not np.isnan(x.grad.data).any()
    assert np.isinf(x.grad.data).sum() == out.size


def test_kernels_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(kernel_dispatch, "_kernel", lambda *args: calls.append(1))
    tn.max_pool2d(np.ones((4, 4), "f"), 2)
    assert calls


def test_gradient_by_one_place_for_each_channel() -> None:
    """It lies in either order, what was chosen in one."""
    x = R.normal(size=(20_000, 1, 1)).astype("f")
    windows = windows_of(x.shape, 1, 2, 1, 1, 1, False)
    _, where = maximum._max_pool(x, windows)
    y = R.normal(size=(20_000, 1, 2)).astype("f")
    for order in (np.ascontiguousarray, batch_last):
        found = kernel_dispatch.max_pool_grad(y, order(where), windows)
        assert found is not None
        np.testing.assert_array_equal(found[..., 0], y.sum(-1))  # the first window ends in it, the second begins
