"""Reads and writes of an array at one place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.called_ops import Hole
from tapenet.program.passes import written
from tests.program.passes.programs import Build, assert_kept, assert_same, in_place, names, with_gradient

ALL = slice(None)


@pytest.mark.parametrize("shape", [(4,), ()])
def test_what_is_read_where_it_was_written_is_that(shape: tuple[int, ...]) -> None:
    b = Build()
    x, value, i = b.input(4, 4), b.input(*shape), b.input(dtype=np.int64)
    new = b.emit("put", x, value, i, template=(Hole(0),))
    program = b.program(b.emit("take", new, i, axis=0), b.emit("index", new, i, template=(Hole(0), ALL)))
    changed = assert_same(written.run, program)
    assert {"take", "index"}.isdisjoint(names(changed))


def test_what_is_written_over_is_not_written() -> None:
    b = Build()
    x, one, other, i = b.input(4, 4), b.input(4), b.input(4), b.input(dtype=np.int64)
    first = b.emit("put", x, one, i, template=(Hole(0),))
    program = b.program(b.emit("put", first, other, i, template=(Hole(0), ALL)))
    changed = assert_same(written.run, program)
    assert changed.body[-1].args[0] is x
    assert_kept(written.run, b.program(program.outputs[0], b.emit("reduce_add", first, axes=(0, 1))))


@pytest.mark.parametrize(
    ("read", "write"),
    [
        ({"template": (Hole(0), slice(1, 3))}, {"template": (Hole(0),)}),
        ({"template": (ALL, Hole(0))}, {"template": (Hole(0), ALL)}),
    ],
)
def test_other_places_are_read(read: Any, write: Any) -> None:
    b = Build()
    x, value, i = b.input(4, 4), b.input(4), b.input(dtype=np.int64)
    assert_kept(written.run, b.program(b.emit("index", b.emit("put", x, value, i, **write), i, **read)))


def test_places_of_several_numbers_are_read() -> None:
    """One may be there twice: the last one stays."""
    b = Build()
    x, value, i = b.input(4), b.input(2), b.input(2, dtype=np.int64)
    new = b.emit("put", x, value, i, template=(Hole(0),))
    assert_kept(written.run, b.program(b.emit("take", new, i, axis=0)))


def test_random_programs() -> None:
    for seed in range(10):
        program = with_gradient(in_place(np.random.default_rng(seed)))
        turn = program.body[0].params["body"]
        assert_same(written.run, turn, seed)
