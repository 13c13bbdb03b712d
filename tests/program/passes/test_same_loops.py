"""Loops that carry the same become one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Builder, Constant, Program, Value, inline
from tapenet.program.passes import same_loops, simplify
from tapenet.program.pullback import pullback
from tests.program.differentiated import free
from tests.program.native.generate import Loops
from tests.program.passes.programs import Build, assert_kept, assert_same, names

FLOAT = np.dtype(np.float64)


def recurrent() -> Program:
    """The states of h = tanh(h w + x), and the last one."""
    body = Build()
    h, x, w = (body.input(dtype=FLOAT) for _ in range(3))
    new = body.emit("tanh", body.emit("add", body.emit("multiply", h, w), x))
    turn = body.program(new, body.emit("exp", new))
    b = Build()
    args = [b.input(dtype=FLOAT), b.input(5, dtype=FLOAT), b.input(dtype=FLOAT)]
    return b.program(*b.several("loop", *args, body=turn, carries=1, slices=1, length=5))


def test_the_forward_loop_of_a_value_and_its_gradient_is_one() -> None:
    program = recurrent()
    builder = Builder()
    outs = inline(builder, program, program.inputs)
    ones = [Constant(np.ones(v.shape)) for v in outs]
    gradients = inline(builder, pullback(program, [0, 1, 2]), [*program.inputs, *ones])
    both = Program(program.inputs, [], builder.body, [*outs, *gradients], [])
    changed = assert_same(simplify, both, rtol=1e-12)
    loops = [i for i in changed.body if i.name == "loop"]
    assert [bool(i.params.get("reverse")) for i in loops] == [False, True]
    assert names(loops[0].params["body"]).count("tanh") == 1
    assert len(loops[0].params["body"].outputs) == 3  # the state, its exponential, and what is carried in


def loop(b: Build, start: Value, xs: Value, name: str = "add", **params: Any) -> tuple[Value, ...]:
    """Sums, or the like, and their squares, of three slices."""
    body = Build()
    c, x = body.input(2), body.input(2)
    new = body.emit(name, c, x)
    turn = body.program(new, body.emit("square", new))
    return b.several("loop", start, xs, body=turn, carries=1, slices=1, length=3, **params)


def test_the_results_of_both_are_those_of_the_one() -> None:
    b = Build()
    start, xs = b.input(2), b.input(3, 2)
    program = b.program(*loop(b, start, xs), *loop(b, start, xs))
    changed = assert_same(same_loops.run, program)
    assert names(changed) == ["loop"]
    assert changed.outputs[:2] == changed.outputs[2:]  # equal columns are one


@pytest.mark.parametrize("case", ["what it begins with", "slices", "body", "direction"])
def test_other_loops_stay(case: str) -> None:
    b = Build()
    start, other, xs, ys = b.input(2), b.input(2), b.input(3, 2), b.input(3, 2)
    first = loop(b, start, xs)
    second = loop(
        b,
        other if case == "what it begins with" else start,
        ys if case == "slices" else xs,
        "multiply" if case == "body" else "add",
        reverse=case == "direction",
    )
    assert_kept(same_loops.run, b.program(*first, *second))


def test_a_loop_that_takes_what_the_first_one_gives_stays() -> None:
    b = Build()
    start, xs = b.input(2), b.input(3, 2)
    first = loop(b, start, xs)
    assert_kept(same_loops.run, b.program(*first, *loop(b, start, first[1])))


def test_loops_that_carry_nothing_are_one_if_they_are_of_the_same() -> None:
    b = Build()
    xs, ys = b.input(3, 2), b.input(3, 2)

    def mapped(name: str, *args: Value) -> tuple[Value, ...]:
        body = Build()
        turn = body.program(body.emit(name, *(body.input(2) for _ in args)))
        return b.several("loop", *args, body=turn, carries=0, slices=len(args), length=3)

    made = [mapped("add", xs, ys), mapped("multiply", xs, ys), mapped("square", xs)]
    changed = assert_same(same_loops.run, b.program(*(v for results in made for v in results)))
    assert [len(i.results) for i in changed.body] == [2, 1]


def test_random_programs_twice() -> None:
    changed = 0
    for seed in range(30):
        program = free(Loops(np.random.default_rng(seed)).program(12))
        builder = Builder()
        outs = [v for _ in range(2) for v in inline(builder, program, program.inputs)]
        twice = Program(program.inputs, [], builder.body, outs, [])
        changed += assert_same(same_loops.run, twice, seed) is not twice
    assert changed >= 10
