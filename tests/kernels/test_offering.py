"""Results of called ops are computed where a compiled program keeps them, batch innermost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import kernels
from tapenet.ops.op import op
from tapenet.program.native import launches

pytest.importorskip("llvmlite")
from tapenet.kernels import moves

R = np.random.default_rng(0)


def test_an_offered_array_is_given_once_where_it_fits() -> None:
    place = np.empty((3, 4), "f")
    with kernels.offering([np.empty((3, 4), "d"), place]):
        assert kernels.empty((4, 3), np.dtype("f")) is not place
        assert kernels.empty((3, 4), np.dtype("f")) is place
        assert kernels.empty((3, 4), np.dtype("f")) is not place
    assert kernels.empty((3, 4), np.dtype("f")) is not place


def test_an_offered_array_in_another_order() -> None:
    place = np.empty((4, 5, 3), "f").transpose(2, 0, 1)  # batch, and two axes: batch innermost
    with kernels.offering([place]):
        found = kernels.empty((4, 5, 3), np.dtype("f"), (1, 2, 0))
    assert np.shares_memory(found, place)
    assert found.shape == (4, 5, 3)


def test_a_result_that_lies_where_another_is_to_go() -> None:
    def forward(x: Any) -> Any:
        pooled = tn.max_pool2d(x, 2)  # takes the first place
        return pooled * 2, pooled

    def lower(*args: Any) -> Any:
        raise NotImplementedError("called")

    two = op(forward, name="two", outputs=2, lower=lower, x=lambda g: g)
    step = tn.compile(lambda x: [a + 1 for a in two(x)], backend="native")
    x = R.normal(size=(2, 3, 8, 8)).astype("f")
    for _ in range(2):
        double, once = (a.data - 1 for a in step(x))
        np.testing.assert_allclose(once, tn.max_pool2d(x, 2), atol=1e-6)
        np.testing.assert_allclose(double, 2 * once, atol=1e-6)


def test_attention_reads_and_writes_heads_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one product for queries, keys and values: nothing is copied into another order."""

    def loss(joint: Any) -> Any:
        query, key, value = (joint[:, :, i].swapaxes(1, 2) for i in range(3))
        return (
            F.scaled_dot_product_attention(query, key, value, is_causal=True).swapaxes(1, 2).reshape(2, 40, 64) ** 2
        ).sum()

    monkeypatch.setattr(launches, "record", lambda *args: None)  # Python calls it
    step = tn.compile(tn.value_and_grad(loss), backend="native")
    joint = R.normal(size=(2, 40, 3, 4, 16)).astype("f")
    expected = [step(joint) for _ in range(2)][1]  # the first one is not compiled
    assert "row_major" not in str(step.explain(full=True)).split("captured")[0]
    taken = []
    empty = kernels.empty

    def watched(*args: Any) -> Any:
        found = empty(*args)
        taken.append(found.base is not None)
        return found

    monkeypatch.setattr(kernels, "empty", watched)
    found = step(joint)
    assert taken == [True] * 5  # the result, what is kept of its sums, and the gradients by query, key and value
    for a, b in zip(found, expected, strict=True):  # the first call was eager, whose sum has another order
        np.testing.assert_allclose(a.data, b.data, rtol=1e-6)
    with kernels.switched(False):
        plain = tn.value_and_grad(loss)(joint)
    for a, b in zip(found, plain, strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-4, atol=1e-5)


def net(x: Any, first: Any, second: Any) -> Any:
    return F.max_pool2d(tn.relu(tn.conv2d(tn.relu(tn.conv2d(x, first)), second)), 2)


def test_a_compiled_stack_of_layers_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = R.normal(size=(16, 2, 10, 10)).astype("f")
    weights = [R.normal(size=s).astype("f") for s in ((4, 2, 3, 3), (5, 4, 3, 3))]
    monkeypatch.setattr(launches, "record", lambda *args: None)  # both are to be called from Python
    step = tn.compile(net, backend="native")
    given, taken = [], []
    empty = kernels.empty

    def watched(*args: Any) -> Any:
        found = empty(*args)
        taken.append(found.base is not None or not found.flags.owndata)
        return found

    def bordered(x: Any, befores: Any, padded: Any) -> Any:
        given.append(x.flags.c_contiguous)
        return plain(x, befores, padded)

    plain = moves.bordered
    expected = step(x, *weights)
    monkeypatch.setattr(kernels, "empty", watched)
    monkeypatch.setattr(moves, "bordered", bordered)
    found = step(x, *weights)
    assert taken == [True, True]  # both convolutions were computed in the program's memory
    assert given == [False, True]  # and only the program's argument had to be brought into order
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-5)
    np.testing.assert_allclose(found.data, net(x, *weights), rtol=1e-5, atol=1e-5)
