"""What reads an array runs before what writes to it, where that can be written in place."""

from __future__ import annotations

import numpy as np
import pytest

from tapenet.program.called_ops import Hole
from tapenet.program.ir import Program, Value

pytest.importorskip("llvmlite")

from tapenet.program.native import reading_order
from tests.program.passes.programs import Build, constant, names


def written_then_read(b: Build, array: Value) -> Program:
    """A write to an array, then a read of the array as it was, then another write."""
    i = b.input(dtype=np.int64)
    one, other = (b.emit("put", array, value, i, template=(Hole(0),)) for value in (b.input(), b.input()))
    return b.program(one, b.emit("negative", array), other)


def test_a_reader_goes_before_a_writer() -> None:
    b = Build()
    assert names(reading_order.run(written_then_read(b, b.input(4)))) == ["negative", "put", "put"]


def test_a_constant_is_never_written_in_place_and_has_no_say() -> None:
    """A gradient may have hundreds of arrays that begin with the same zeros: to compare each with each takes seconds."""
    b = Build()
    program = written_then_read(b, constant(np.zeros(4)))
    assert reading_order.overwriting(program) == {}
    assert reading_order.run(program) is program
