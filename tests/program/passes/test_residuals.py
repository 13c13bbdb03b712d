"""Loops keep of their turns what later loops need, not all of what was carried."""

from __future__ import annotations

import numpy as np

from tapenet.program.called_ops import Hole
from tapenet.program.ir import Constant, Instruction, Program, inline
from tapenet.program.passes import residuals, simplify
from tests.program.differentiated import free
from tests.program.native.generate import Loops
from tests.program.passes.programs import Build, assert_kept, assert_same, in_place, with_gradient

INTEGER, FLOAT = np.dtype(np.int64), np.dtype(np.float64)
AT = {"template": (Hole(0),)}


def recurrence() -> Program:
    """x[i] = tanh(x[i]) x[i + 1], written in place."""
    body = Build()
    x, i = body.input(7, dtype=FLOAT), body.input(dtype=INTEGER)
    one, other = (body.emit("index", x, at, **AT) for at in (i, body.elementwise("add", i, 1)))
    new = body.emit("multiply", body.emit("tanh", one), other)
    turn = body.program(body.emit("put", x, new, i, **AT))
    b = Build()
    args = [b.input(7, dtype=FLOAT), Constant(np.arange(6))]
    return b.program(*b.several("loop", *args, body=turn, carries=1, slices=1, length=6))


def stacked(program: Program) -> list[tuple[int, ...]]:
    """The shapes of what the loops of a program keep of each turn."""
    loops: list[Instruction] = [i for i in program.body if i.name == "loop"]
    return [r.shape for i in loops for r in i.results[i.params["carries"] :]]


def test_of_an_array_written_in_place_the_elements_that_were_read_are_kept() -> None:
    program = with_gradient(recurrence())
    assert (6, 7) in stacked(program)
    changed = assert_same(simplify, program, rtol=1e-12)
    assert stacked(changed) == [(6,), (6,)]


def test_in_a_nest_of_loops_too() -> None:
    """The outer loop keeps what the turns of the inner one read, so that these need not run again."""
    inner = recurrence()
    body = Build()
    x, _ = body.input(7, dtype=FLOAT), body.input(dtype=INTEGER)
    turn = body.program(*inline(body, inner, [x]))
    b = Build()
    args = [b.input(7, dtype=FLOAT), Constant(np.arange(3))]
    program = with_gradient(b.program(*b.several("loop", *args, body=turn, carries=1, slices=1, length=3)))
    changed = assert_same(simplify, program, rtol=1e-12)
    assert stacked(changed) == [(3, 6), (3, 6)]


def test_what_is_read_whole_is_kept_whole() -> None:
    body = Build()
    x, y = body.input(4, dtype=FLOAT), body.input(4, dtype=FLOAT)
    turn = body.program(body.emit("multiply", x, y), x)
    back = Build()
    g, kept = back.input(4, dtype=FLOAT), back.input(4, dtype=FLOAT)
    b = Build()
    xs = b.input(3, 4, dtype=FLOAT)
    _, column = b.several("loop", b.input(4, dtype=FLOAT), xs, body=turn, carries=1, slices=1, length=3)
    again = back.program(back.emit("multiply", g, kept))
    outs = b.several("loop", b.input(4, dtype=FLOAT), column, body=again, carries=1, slices=1, length=3, reverse=True)
    assert_kept(residuals.run, b.program(*outs))


def test_random_programs() -> None:
    """Loops that write in place, and loops of all kinds, with their gradients."""
    changed = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        both = with_gradient(in_place(rng, counts=seed % 2 == 1))
        less = assert_same(residuals.run, both, seed)
        changed += less is not both
        assert_same(simplify, both, seed, rtol=1e-9)
        assert_same(residuals.run, with_gradient(free(Loops(rng, FLOAT).program(12))), seed)
    assert changed >= 3
