"""Which index is out of bounds, as compiled functions say it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn

pytest.importorskip("llvmlite")

X = np.arange(12.0).reshape(4, 3)
AT = np.array([0, 2])
TWO = "index {} is out of bounds for axis {} with size {}"


def put(x: Any, i: Any) -> Any:
    made = tn.asarray(x) * 1
    made[i] = 0.0
    return made


#: A function of an array and indices, the indices, and what it says of them.
CASES: dict[str, tuple[Callable[..., Any], Any, str]] = {
    "take": (lambda x, i: tn.take(x, i, axis=1), [0, 3], "take: " + TWO.format(3, 1, 3)),
    "getitem": (lambda x, i: tn.asarray(x)[i], [1, -5], TWO.format(-5, 0, 4)),
    "two axes": (lambda x, i: tn.asarray(x)[i, i], [0, 3], TWO.format(3, 1, 3)),
    "setitem": (put, [4, 0], TWO.format(4, 0, 4)),
    "computed": (lambda x, i: tn.take(tn.exp(x), i + 1, axis=0), [0, 3], "take: " + TWO.format(4, 0, 4)),
    "take_along_axis": (lambda x, i: np.take_along_axis(tn.asarray(x), i[:, None], 0), [0, 9], TWO.format(9, 0, 4)),
    "embedding": (lambda x, i: tn.embedding(i, tn.asarray(x)), [0, -1], "a negative index, which does not count"),
    "class": (lambda x, i: tn.cross_entropy(tn.asarray(x)[:2], i), [0, 7], TWO.format(7, 1, 3)),
    "gradient alone": (lambda x, i: tn.grad(lambda x: tn.sum(x[i]))(x), [0, 7], TWO.format(7, 0, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_op_the_index_the_size_and_the_line_are_said(name: str) -> None:
    f, wrong, words = CASES[name]

    def step(x: Any, i: Any) -> Any:
        return f(x, i)

    compiled = tn.compile(step, backend="native")
    expected = step(X, AT)
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(compiled(X, AT)), np.asarray(expected))
    for _ in range(2):
        with pytest.raises(IndexError) as caught:
            compiled(X, np.array(wrong))
        assert words in str(caught.value)
        (note,) = caught.value.__notes__
        assert note.startswith(f"raised in a compiled program, at {__file__}:")
        assert "int64 (2" in note


def test_it_is_said_of_a_step_that_draws_and_trains() -> None:
    """Whose host counts the steps: it is not asked again."""
    net = nn.Sequential(nn.Embedding(5, 4), nn.Dropout(0.5), nn.Linear(4, 3))
    opt = tn.optim.Adam(net.parameters(), lr=lambda step: 0.1 / (1 + step))

    @tn.compile(backend="native")
    def step(tokens: Any, y: Any) -> Any:
        opt.zero_grad()
        loss = tn.cross_entropy(net(tokens), y)
        loss.backward()
        opt.step()
        return loss

    good = np.array([0, 4]), np.array([0, 2])
    for _ in range(2):
        step(*good)
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 5"):
        step(np.array([5, 0]), good[1])
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 1 with size 3"):
        step(good[0], np.array([0, 3]))
    assert opt.state_dict()["step"] == 4  # each call counts when it begins; what finds the index counts nothing


def test_of_indices_in_a_buffer_that_was_written_nothing_wrong_is_said() -> None:
    """Once more computed, the index of the first op would be out of bounds too, and both another."""
    at = nn.Buffer(np.array([0, 1]))
    wide = np.arange(40.0).reshape(20, 2)

    @tn.compile(backend="native")
    def step(x: Any, by: Any) -> Any:
        before = tn.sum(tn.take(wide, at, axis=0))
        at[...] = at + by
        return before + tn.sum(tn.take(x, at, axis=0))

    for _ in range(2):
        step(X, np.array([1, 0]))
    with pytest.raises(IndexError, match=r"^an index is out of bounds"):
        step(X, np.array([20, 0]))


def test_in_a_loop_lines_and_shapes_are_said() -> None:
    x = tn.tensor(X)

    @tn.compile(backend="native")
    def last(first: Any) -> Any:
        return tn.fori(0, 3, lambda k, at: at + tn.asarray(x[at, 0] > -1).astype(np.int64), first)

    last(np.array(0))
    last(np.array(0))
    with pytest.raises(IndexError, match=rf"out of bounds .*at {__file__}:\d+, of float64 .*int64"):
        last(np.array(3))
