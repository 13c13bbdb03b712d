"""Attention in machine code beside the same in NumPy."""

from __future__ import annotations

import ctypes
import functools
import platform
import sys
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tests.kernels.beside import agree, both

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)


def attended(arrays: list[Any], dtype: str = "f", **options: Any) -> tuple[list[Any], list[Any]]:
    """The result and the gradients, of kernels and of NumPy."""
    return both(functools.partial(tn.scaled_dot_product_attention, **options), *arrays, dtype=dtype)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("lead", "queries", "keys", "width", "values"),
    [
        ((2, 3), 32, 32, 16, 16),
        ((2,), 33, 33, 16, 16),
        ((), 70, 41, 24, 7),
        ((2,), 41, 70, 5, 24),
        ((2, 3), 16, 9, 16, 7),
        ((2,), 1, 40, 16, 16),
        ((3,), 40, 1, 16, 16),
    ],
)
def test_same_as_numpy(lead: Any, queries: int, keys: int, width: int, values: int, causal: bool, dtype: str) -> None:
    shapes = (queries, width), (keys, width), (keys, values)
    arrays = [R.normal(size=(*lead, *s)).astype(dtype) for s in shapes]
    agree(*attended(arrays, dtype, is_causal=causal), dtype, 3e-6 if dtype == "f" else 3e-14)


MASKS: dict[str, Any] = {
    "pairs": R.random((41, 70)) > 0.4,
    "keys": R.random((2, 1, 1, 70)) > 0.4,
    "queries, some with no key": R.random((41, 1)) > 0.4,
    "numbers": R.normal(size=(3, 41, 70)),
    "infinite ones": np.where(R.random((2, 3, 41, 70)) > 0.4, R.normal(size=(41, 70)), -np.inf),
}


@pytest.mark.parametrize(
    ("dtype", "causal", "dropout"), [("f", False, 0.4), ("f", True, 0.0), ("d", False, 0.0), ("d", True, 0.4)]
)
@pytest.mark.parametrize("name", MASKS)
def test_masks_and_dropout(name: str, dropout: float, causal: bool, dtype: str) -> None:
    mask, moved = MASKS[name], [MASKS[name]] if MASKS[name].dtype.kind == "f" else []
    arrays = [R.normal(size=(2, 3, *s)) for s in ((41, 5), (70, 5), (70, 24))]

    def f(q: Any, k: Any, v: Any, m: Any = mask) -> Any:
        return tn.scaled_dot_product_attention(q, k, v, m, dropout, causal, rng=0)

    for given in (arrays, arrays + moved) if moved else (arrays,):  # without and with the gradient by the mask
        numbers = mask.astype(dtype) if moved else mask
        run = f if len(given) == 4 else functools.partial(f, m=numbers)
        agree(*both(run, *given, dtype=dtype), dtype, 4e-6 if dtype == "f" else 3e-14)


@pytest.mark.parametrize("causal", [False, True])
def test_rows_that_see_keys_of_minus_1e9_alone(causal: bool) -> None:
    """Their weights are 1/n in float32, in both directions."""
    arrays: Any = [R.normal(size=(40, 8)).astype("f") for _ in range(3)]
    mask = np.zeros((40, 40), "f")
    mask[::3] = -1e9
    found = []
    for on in (True, False):
        with kernels.switched(on):
            t: Any = [tn.tensor(a, requires_grad=True) for a in arrays]
            out = tn.scaled_dot_product_attention(t[0], t[1], t[2], mask, is_causal=causal)
            out.backward(arrays[0])
            found.append([out.data, *(x.grad.data for x in t)])
    agree(found[0], found[1], "f", 3e-6)


def test_heads_side_by_side_in_memory_and_shared_ones() -> None:
    joined = R.normal(size=(2, 40, 3, 4, 16)).astype("f")
    arrays = [np.moveaxis(joined[:, :, i], 2, 1) for i in range(3)]
    agree(*attended(arrays, is_causal=True), "f", 3e-6)
    shared = [arrays[0], arrays[1][:, :2], arrays[2][:, :2]]
    agree(*attended(shared, enable_gqa=True), "f", 3e-6)


def test_large_scores_do_not_overflow() -> None:
    arrays = [R.normal(size=(40, 16)) * 60 for _ in range(3)]
    agree(*attended(arrays, "d"), "d", 1e-11)
    found, _ = attended(arrays)
    assert all(np.isfinite(a).all() for a in found)


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or platform.machine() != "x86_64", reason="flags of glibc on x86"
)
def test_what_is_masked_does_not_underflow() -> None:
    """Which would take a hundred times as long as an exponential on some processors."""
    from tapenet.kernels import attention

    library, underflow = ctypes.CDLL("libm.so.6"), 16
    arrays = [R.normal(size=(2, 40, 16)).astype("f") for _ in range(3)]
    for _ in range(2):  # the first time it may be compiled
        library.feclearexcept(underflow)
        attention.forward(*arrays, None, None, 0.0, True, 0.25)
    assert not library.fetestexcept(underflow)


def test_second_derivatives() -> None:
    q, k, v, along = (R.normal(size=(34, 8)) for _ in range(4))
    product = tn.hvp(lambda q: (tn.scaled_dot_product_attention(q, k, v) ** 2).sum())
    with kernels.switched(False):
        expected = product(q, along)
    np.testing.assert_allclose(product(q, along).data, expected.data, rtol=1e-9, atol=1e-12)


def test_a_kernel_serves_all_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    from tapenet.kernels import attention

    arrays = [R.normal(size=(50, 16)).astype("f") for _ in range(3)]
    attended(arrays)
    made = attention._forward.cache_info().misses, attention._backward.cache_info().misses
    for n in (17, 64, 90):
        attended([np.resize(a, (n, 16)) for a in arrays])
    assert (attention._forward.cache_info().misses, attention._backward.cache_info().misses) == made


@pytest.mark.parametrize("backend", ["", "native"])
def test_a_scale_may_be_an_array_that_changes(backend: str) -> None:
    x = R.normal(size=(2, 64, 64)).astype("f")

    def attended(x: Any, scale: Any) -> Any:
        return tn.scaled_dot_product_attention(x, x, x, scale=scale)

    f = tn.compile(attended, backend=backend) if backend else attended
    for scale in (0.5, 0.25, 0.125):
        expected = attended(x, scale)
        np.testing.assert_array_equal(f(x, np.array(scale)), expected)
