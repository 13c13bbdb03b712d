"""Attention in machine code beside the same in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tapenet.ops.layers.attention import machine

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels for work of any size."""
    monkeypatch.setattr(machine, "WORTH", 0)


def both(arrays: list[Any], g: Any, **options: Any) -> list[Any]:
    """The result and the gradients, with kernels in the dtype at hand, and in NumPy in float64."""
    results = []
    for on, dtype in ((True, arrays[0].dtype), (False, np.dtype("d"))):
        with kernels.switched(on):
            t = [tn.tensor(a.astype(dtype), requires_grad=True) for a in arrays]
            out = tn.scaled_dot_product_attention(*t, **options)
            out.backward(g.astype(dtype))
            results.append([out.data, *(x.grad.data for x in t)])
    return results


def agree(found: list[Any], expected: list[Any], error: float) -> None:
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert abs(a - b).max() <= error * max(1.0, abs(b).max())


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("lead", "queries", "keys", "width", "values"),
    [
        ((2, 3), 32, 32, 16, 16),
        ((2,), 33, 33, 16, 16),
        ((), 70, 41, 24, 7),
        ((2,), 41, 70, 5, 24),
        ((2,), 1, 40, 16, 16),
        ((3,), 40, 1, 16, 16),
    ],
)
def test_same_as_numpy(lead: Any, queries: int, keys: int, width: int, values: int, causal: bool, dtype: str) -> None:
    shapes = (queries, width), (keys, width), (keys, values)
    arrays = [R.normal(size=(*lead, *s)).astype(dtype) for s in shapes]
    found, expected = both(arrays, R.normal(size=(*lead, queries, values)), is_causal=causal)
    assert found[0].dtype == np.dtype(dtype)
    agree(found, expected, 3e-6 if dtype == "f" else 1e-13)


def test_heads_side_by_side_in_memory_and_shared_ones() -> None:
    joined = R.normal(size=(2, 40, 3, 4, 16)).astype("f")
    arrays = [np.moveaxis(joined[:, :, i], 2, 1) for i in range(3)]
    g = R.normal(size=(2, 4, 40, 16))
    agree(*both(arrays, g, is_causal=True), 3e-6)
    shared = [arrays[0], arrays[1][:, :2], arrays[2][:, :2]]
    agree(*both(shared, g, enable_gqa=True), 3e-6)


def test_large_scores_do_not_overflow() -> None:
    arrays = [R.normal(size=(40, 16)) * 60 for _ in range(3)]
    agree(*both(arrays, np.ones((40, 16))), 1e-11)
    found, _ = both([a.astype("f") for a in arrays], np.ones((40, 16)))
    assert all(np.isfinite(a).all() for a in found)


def test_second_derivatives() -> None:
    q, k, v, along = (R.normal(size=(34, 8)) for _ in range(4))
    product = tn.hvp(lambda q: (tn.scaled_dot_product_attention(q, k, v) ** 2).sum())
    with kernels.switched(False):
        expected = product(q, along)
    np.testing.assert_allclose(product(q, along).data, expected.data, rtol=1e-9, atol=1e-12)


def test_a_kernel_serves_all_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    from tapenet.kernels import attention

    arrays = [R.normal(size=(50, 16)).astype("f") for _ in range(3)]
    both(arrays, np.ones((50, 16)))
    made = attention._forward.cache_info().misses, attention._backward.cache_info().misses
    for n in (7, 64, 90):
        longer = [np.resize(a, (n, 16)) for a in arrays]
        both(longer, np.ones((n, 16)))
    assert (attention._forward.cache_info().misses, attention._backward.cache_info().misses) == made
