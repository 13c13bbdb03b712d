"""Gradients of tables by rows: the same numbers as dense ones, made dense only when somebody looks."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tapenet.autodiff.node import hooked_nodes
from tapenet.ops.indexing.sparse_rows import gathered

R = np.random.default_rng(0)
TABLE = R.normal(size=(5000, 32)).astype("f")
INDICES = np.array([[1, 5, 4999], [5, 5, 0]])


def dense(indices: Any = INDICES) -> Any:
    """The gradient of `loss`."""
    found = np.zeros_like(TABLE)
    np.add.at(found, indices, 2 * TABLE[indices])
    return found


def loss(table: Any, indices: Any = INDICES) -> Any:
    return (tn.embedding(indices, table) ** 2).sum()


def table() -> Any:
    return tn.tensor(TABLE, requires_grad=True)


def kept(t: Any) -> bool:
    """Whether the gradient is still by rows."""
    return t.node.grad is not None and t.node.grad._rows is not None


def test_a_lookup_is_kept_by_rows_until_somebody_looks() -> None:
    t = table()
    loss(t).backward()
    assert kept(t)
    assert len(t.node.grad._rows.rows) == 4
    np.testing.assert_array_equal(t.grad.data, dense())
    assert not kept(t)
    assert t.grad.shape == TABLE.shape
    assert t.grad.dtype == np.float32


def test_passes_add_up() -> None:
    t = table()
    loss(t).backward()
    loss(t, np.array([7, 1])).backward()
    assert kept(t)
    np.testing.assert_allclose(t.grad.data, dense() + dense(np.array([7, 1])), rtol=1e-6)
    loss(t).backward()  # onto an array
    np.testing.assert_allclose(t.grad.data, 2 * dense() + dense(np.array([7, 1])), rtol=1e-6)


def test_several_lookups_in_one_pass() -> None:
    t = table()
    (loss(t) + loss(t, np.array([4998, 1]))).backward()
    assert kept(t)
    np.testing.assert_allclose(t.grad.data, dense() + dense(np.array([4998, 1])), rtol=1e-6)


@pytest.mark.parametrize("first", [True, False])
def test_a_lookup_and_a_use_of_the_whole(first: bool) -> None:
    t = table()
    whole = (t * t).sum()
    (loss(t) + whole if first else whole + loss(t)).backward()
    assert not kept(t)
    np.testing.assert_allclose(t.grad.data, dense() + 2 * TABLE, rtol=1e-6)


def test_indexing_counts_as_a_lookup_also_from_the_end() -> None:
    t = table()
    (t[np.array([-1, 3, 4999])] * 2.0).sum().backward()
    assert kept(t)
    expected = np.zeros_like(TABLE)
    expected[-1], expected[3] = 4, 2
    np.testing.assert_array_equal(t.grad.data, expected)


@pytest.mark.parametrize(
    "use",
    [
        lambda t: loss(t, np.arange(2000)),  # much of the table
        lambda t: t[INDICES, 3].sum(),  # no whole rows
        lambda t: t[10:20].sum(),
        lambda t: t[np.arange(5000) < 3].sum(),
    ],
)
def test_what_is_not_worth_it_is_dense(use: Any) -> None:
    t = table()
    use(t).backward()
    assert not kept(t)
    assert t.grad.shape == TABLE.shape


def test_what_a_lookup_was_given_may_change_afterwards() -> None:
    t, indices, g = table(), INDICES.copy(), np.ones((2, 3, 32), "f")
    tn.embedding(indices, t).backward(g)
    indices[:], g[:] = 17, 5.0
    assert not t.grad.data[17].any()
    assert t.grad.data[5, 0] == 3


def test_hooks_and_other_readers_get_arrays() -> None:
    t = table()
    seen = []
    t.register_hook(lambda g: seen.append(g.shape))
    loss(t).backward()
    assert seen == [TABLE.shape]
    np.testing.assert_array_equal(t.grad.data, dense())
    (found,) = [tn.grad(loss)(table())]
    np.testing.assert_array_equal(found.data, dense())
    with tn.debug(nan="raise"):
        t = table()
        loss(t).backward()
    np.testing.assert_array_equal(t.grad.data, dense())


def test_hooks_elsewhere_and_those_taken_away_change_nothing() -> None:
    t, other = table(), tn.tensor([1.0], requires_grad=True)
    with other.register_hook(lambda g: g * 3), t.register_hook(lambda g: g):
        pass
    assert other.node not in hooked_nodes  # or every later pass would look for hooks
    handle = other.register_hook(lambda g: g * 3)
    (loss(t) + (other * other).sum()).backward()
    handle.remove()
    assert kept(t)
    np.testing.assert_array_equal(other.grad.data, [6.0])
    np.testing.assert_array_equal(t.grad.data, dense())


def test_a_lookup_of_nothing() -> None:
    t = table()
    tn.embedding(np.zeros((2, 0), int), t).sum().backward()
    assert kept(t)
    assert not t.grad.data.any()


def test_second_order() -> None:
    t = table()
    loss(t).backward(create_graph=True)
    t.grad.sum().backward()
    assert np.isfinite(t.grad.data).all()


def test_copies_have_the_gradient() -> None:
    t = table()
    loss(t).backward()
    np.testing.assert_array_equal(copy.deepcopy(t).grad.data, dense())


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize(("n", "length", "width"), [(10, 4, 3), (3000, 50, 5), (0, 5, 2), (900, 400, 17)])
def test_gathered(n: int, length: int, width: int, on: bool) -> None:
    indices, values = R.integers(-length, length, n), R.normal(size=(n, width))
    with kernels.switched(on):
        rows, sums = gathered(indices, values, length)
    assert len(set(rows.tolist())) == len(rows)
    found = np.zeros((length, width))
    found[rows] = sums
    expected = np.zeros((length, width))
    np.add.at(expected, indices, values)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
