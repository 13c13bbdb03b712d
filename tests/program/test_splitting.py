"""A program in two parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Constant, check
from tapenet.program.passes import simplify
from tapenet.program.splitting import split
from tests.program.differentiated import floats, free, like, pushed
from tests.program.native.generate import Loops, Rows
from tests.program.passes.programs import Build, names

FLOAT = np.dtype(np.float64)


def test_what_is_known_is_computed_first() -> None:
    b = Build()
    t, x, y = (b.input(3, dtype=FLOAT) for _ in range(3))
    sine = b.emit("sin", x)
    first, second = split(b.program(b.emit("multiply", b.emit("cos", sine), t), sine, y), [1, 2])
    check(first)
    check(second)
    assert names(first) == ["sin", "cos"]
    assert first.inputs == (x, y)
    assert names(second) == ["multiply"]
    assert len(first.outputs) == 3  # the cosine, the sine and y, which is given back
    assert second.inputs[3:] == (t,)
    arrays = [np.arange(3.0), np.ones(3), np.zeros(3)]
    for a, e in zip(
        second.evaluate([*first.evaluate(arrays[1:]), arrays[0]]), b.program(*()).evaluate(arrays), strict=False
    ):
        np.testing.assert_array_equal(a, e)


def test_what_is_repeated_is_handed_over_once() -> None:
    b = Build()
    x, t = b.input(dtype=FLOAT), b.input(100, dtype=FLOAT)
    wide = b.broadcast(b.emit("exp", x), (100,))
    zeros = b.broadcast(Constant(np.zeros(())), (100,))
    program = b.program(b.emit("multiply", wide, t), b.emit("add", zeros, t))
    first, second = split(program, [0])
    assert [v.shape for v in check(first).outputs] == [()]
    assert names(first) == ["exp"]
    t_ = np.arange(100.0)
    found = check(second).evaluate([*first.evaluate([np.array(1.0)]), t_])
    np.testing.assert_array_equal(found[0], np.exp(1.0) * t_)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", [Rows, Loops])
def test_of_pushforwards_of_random_programs(seed: int, kind: Any) -> None:
    rng = np.random.default_rng(seed)
    program = free(kind(rng).program(12))
    push = pushed(program)
    count = len(program.inputs)
    values = [rng.normal(size=v.shape).astype(v.dtype) for v in program.inputs]
    v = like([program.inputs[i] for i in floats(program)], rng)
    first, second = split(push, range(count))
    check(first)
    check(second)
    for a, b in zip(second.evaluate([*first.evaluate(values), *v]), push.evaluate([*values, *v]), strict=True):
        np.testing.assert_array_equal(a, b)
    assert simplify(first).inputs == push.inputs[:count]
