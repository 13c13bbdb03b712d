"""Products by BLAS that the worker threads share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import tapenet as tn
from tapenet.kernels import products
from tapenet.llvm import blas

if blas.find() is None:
    pytest.skip("no BLAS by name", allow_module_level=True)

R = np.random.default_rng(0)
#: How an operand lies in memory.
ORDERS = {
    "C": lambda a: a,
    "F": np.asfortranarray,
    "apart": lambda a: np.repeat(a, 2, axis=0)[::2],
    "part of a wider one": lambda a: np.concatenate([a, a], axis=1)[:, : a.shape[1]],
}


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapenet.llvm.workers._number", 3)
    monkeypatch.setattr("tapenet.llvm.sharing.PART", 100_000)
    monkeypatch.setattr("tapenet.llvm.sharing.BYTE", 0)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("shape", [(300, 130, 210), (130, 300, 64), (70, 900, 333)])
def test_products_in_blocks(shape: tuple[int, int, int], dtype: str) -> None:
    n, m, k = shape
    a, b = R.normal(size=(n, k)).astype(dtype), R.normal(size=(k, m)).astype(dtype)
    expected = a.astype("d") @ b
    for left in ORDERS.values():
        for right in ORDERS.values():
            found = products.product(left(a), right(b))
            assert found is not None
            assert found.dtype == a.dtype
            np.testing.assert_allclose(found, expected, atol=1e-3 if dtype == "f" else 1e-10)


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_vectors(dtype: str) -> None:
    a, v, w = (R.normal(size=s).astype(dtype) for s in ((1000, 700), 700, 1000))
    for order in ORDERS.values():
        for matrix, vector in ((order(a), v), (order(a).T, w)):
            found = products.product(matrix, vector)
            assert found is not None
            np.testing.assert_allclose(found, matrix.astype("d") @ vector, atol=1e-3 if dtype == "f" else 1e-10)


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_stacks(dtype: str) -> None:
    def stack(*shape: int) -> Any:
        return R.normal(size=shape).astype(dtype)

    heads = stack(4, 60, 6, 64).swapaxes(1, 2)
    for a, b in (
        (stack(20, 60, 70), stack(20, 70, 50)),
        (heads, stack(4, 6, 50, 64).swapaxes(-1, -2)),
        (stack(4, 1, 60, 70), stack(5, 70, 50)),
        (stack(20, 60, 70), stack(70, 50)),
        (stack(60, 70), stack(20, 70, 50)),
    ):
        found = products.stack(a, b)
        assert found is not None
        np.testing.assert_allclose(found, np.matmul(a, b, dtype="d"), atol=1e-3 if dtype == "f" else 1e-10)
    assert products.stack(stack(4, 3, 2), stack(4, 2, 3)) is None
    assert products.stack(stack(0, 60, 70), stack(0, 70, 60)) is None


def test_what_is_left_to_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    a = R.normal(size=(300, 300))
    assert products.product(a[:, ::2], a[:150]) is None
    assert products.product(a[::-1], a) is None
    assert products.product(a[:40, :40], a[:40, :40]) is None
    assert products.product(a, a) is not None
    monkeypatch.setattr("tapenet.llvm.workers._number", 1)
    assert products.product(a, a) is None


def test_the_same_for_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = R.normal(size=(701, 300)), R.normal(size=(300, 303))
    with tn.deterministic():
        found = []
        for threads in (1, 2, 5):
            monkeypatch.setattr("tapenet.llvm.workers._number", threads)
            found.append(products.product(a, b))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_ops_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []
    product = products.product
    monkeypatch.setattr(products, "product", lambda a, b: (calls.append((a.shape, b.shape)), product(a, b))[1])
    x, y = (tn.tensor(R.normal(size=s), requires_grad=True) for s in ((300, 200), (200, 250)))
    (x @ y).sum().backward()
    assert calls == [((300, 200), (200, 250)), ((300, 250), (250, 200)), ((200, 300), (300, 250))]
    np.testing.assert_allclose(x.grad.data, np.ones((300, 250)) @ y.data.T)
    z = tn.tensor(R.normal(size=(9, 200, 50)), requires_grad=True)
    np.testing.assert_allclose((x @ z).data, np.matmul(x.data, z.data))
    with pytest.raises(ValueError, match="broadcast"):
        tn.matmul(np.ones((3, 300, 200)), np.ones((2, 200, 300)))
    calls.clear()
    (x @ y[:, 0]).sum().backward()
    assert calls == []


def test_what_takes_as_long_on_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of the time would go by while one core gets what the other has written."""
    monkeypatch.undo()
    monkeypatch.setattr("tapenet.llvm.workers._number", 2)
    assert products.product(np.ones((64, 784), "f"), np.ones((784, 100), "f")) is None
    assert products.product(np.ones((128, 784), "f"), np.ones((784, 512), "f")) is not None
