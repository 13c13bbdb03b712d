"""What would be an error stays one where nobody uses the result."""

from __future__ import annotations

import numpy as np
import pytest

from tapenet.program import checks
from tapenet.program.batching import batch
from tapenet.program.called_ops import Hole
from tapenet.program.ir import Program
from tapenet.program.passes import dead
from tests.program.passes.programs import Build, constant, names

ASKS = ["less", "greater_equal", "logical_or", "reduce_logical_or", "provided"]


def left(program: Program) -> list[str]:
    """What is left of a program once what leads nowhere is dropped."""
    return names(dead.run(checks.kept(program)))


@pytest.mark.parametrize("primitive", ["take", "index", "put", "scatter_add"])
def test_of_an_index_its_range_is_asked(primitive: str) -> None:
    b = Build()
    x, i = b.input(3, 4), b.input(2, dtype=np.int64)
    template = (slice(None), Hole(0))
    if primitive == "take":
        b.emit("take", b.emit("exp", x), i, axis=1)
    elif primitive == "put":
        b.emit("put", x, b.input(3, 2), i, template=template)
    elif primitive == "index":
        b.emit("index", x, i, template=template)
    else:
        b.emit("scatter_add", b.input(3, 2), i, template=template, shape=(3, 4))
    program = dead.run(checks.kept(b.program(x)))
    assert names(program) == ASKS
    others = [np.zeros(v.shape, v.dtype) for v in program.inputs]
    others[1] = np.array([3, -4])
    program.evaluate(others)
    for beyond in (4, -5):
        others[1] = np.array([0, beyond])
        with pytest.raises(IndexError, match="out of bounds"):
            program.evaluate(others)


def test_what_others_ask_or_is_known_is_not_asked() -> None:
    b = Build()
    x, i, turn = b.input(4), b.input(2, dtype=np.int64), b.input(dtype=np.int64)
    b.emit("take", x, i, axis=0)
    b.emit("take", x, b.emit("argsort", x, axis=0, kind="stable"), axis=0)
    b.emit("take", x, constant([1, 2], np.int64), axis=0)
    b.emit("take", x, b.emit("add", turn, turn), axis=0)
    added = b.emit("scatter_add", b.input(2), i, template=(Hole(0),), shape=(4,))
    assert names(dead.run(checks.kept(b.program(added), {turn}))) == ["scatter_add"]


def test_a_place_may_be_none_along_a_shorter_axis_or_once_something_is_added() -> None:
    b = Build()
    x, y = b.input(4), b.input(3)
    place = b.emit("argmax", x, axis=0)
    b.emit("take", y, place, axis=0)
    b.emit("take", x, b.emit("add", place, constant(1, np.int64)), axis=0)
    program = dead.run(checks.kept(b.program(x)))
    assert names(program).count("provided") == 2
    program.evaluate([np.array([0, 3, 1, 2], np.float32), np.zeros(3, np.float32)])
    with pytest.raises(IndexError, match="out of bounds"):
        program.evaluate([np.array([0, 1, 2, 3], np.float32), np.zeros(3, np.float32)])


def test_what_lanes_do_not_do_is_not_asked() -> None:
    """Where lanes take both ways of a branch, each of them computes what it does not use."""
    taking, other = Build(), Build()
    x, i = taking.input(4), taking.input(dtype=np.int64)
    taking.emit("take", x, i, axis=0)
    true = taking.program(taking.emit("exp", x))
    y, _ = other.input(4), other.input(dtype=np.int64)
    false = other.program(other.emit("negative", y))
    b = Build()
    given = b.input(dtype=bool), b.input(4), b.input(dtype=np.int64)
    program = b.program(b.emit("branch", *given, true=true, false=false))
    laned, _ = batch(program, [True, False, True], 2)
    assert names(checks.kept(laned)) == ["exp", "negative", "reshape", "where"]


def test_a_value_that_is_refused_is_refused_without_what_it_stands_before() -> None:
    b = Build()
    x = b.input(3)
    wrong = b.emit("reduce_logical_or", b.emit("less", x, constant(np.zeros(3))), axes=(0,))
    b.emit("provided", b.emit("exp", x), wrong, error=ValueError, text="below 0")
    program = dead.run(checks.kept(b.program(x)))
    assert names(program) == ["less", "reduce_logical_or", "provided"]
    with pytest.raises(ValueError, match="below 0"):
        program.evaluate([np.array([1, -1, 0], np.float32)])
