"""Loops are given once what is the same at each turn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.ir import Instruction, Program
from tapenet.program.passes import invariants, simplify
from tests.program.native.generate import Loops
from tests.program.passes.programs import Build, assert_kept, assert_same, constant, names


def loop_of(program: Program) -> Instruction:
    (instruction,) = (i for i in program.body if i.name == "loop")
    return instruction


def turns(kept: bool, repeated: Any, **params: Any) -> Program:
    """A loop of a total, of a factor that is carried as it is if `kept`, and of slices, with a stacked result."""
    body = Build()
    total, factor, x, y, shift = (body.input(2) for _ in range(5))
    total = body.emit("add", body.emit("multiply", total, factor), body.emit("subtract", x, shift))
    program = body.program(total, factor if kept else body.emit("negative", factor), body.emit("add", x, y))
    b = Build()
    args = [b.input(2), b.input(2), b.input(3, 2), repeated(b), b.emit("broadcast", constant(2), shape=(2,))]
    results = b.several("loop", *args, body=program, carries=2, slices=2, length=3, **params)
    return b.program(*results)


@pytest.mark.parametrize("reverse", [{}, {"reverse": True}])
@pytest.mark.parametrize(
    ("repeated", "others"),
    [
        (lambda b: b.emit("broadcast", b.input(2), shape=(3, 2)), 2),
        (lambda b: b.emit("broadcast", b.input(1, 2), shape=(3, 2)), 2),
        (lambda b: b.emit("broadcast", b.input(), shape=(3, 2)), 2),
        (lambda b: b.emit("broadcast", constant(4), shape=(3, 2)), 1),
    ],
)
def test_what_stays_the_same_is_given_once(repeated: Any, others: int, reverse: Any) -> None:
    changed = assert_same(invariants.run, turns(True, repeated, **reverse))
    instruction = loop_of(changed)
    assert (instruction.params["carries"], instruction.params["slices"]) == (1, 1)
    assert len(instruction.args) == 2 + others
    assert changed.outputs[1] is changed.inputs[1]
    assert_kept(invariants.run, changed)


def test_what_changes_stays() -> None:
    changed = assert_same(invariants.run, turns(False, lambda b: b.input(3, 2)))
    assert (loop_of(changed).params["carries"], loop_of(changed).params["slices"]) == (2, 2)
    assert len(loop_of(changed).args) == 4  # the number is in the body


def test_numbers_are_folded_in_the_body() -> None:
    """As the seed of a gradient, which comes in once for each turn."""
    body = Build()
    g, x = body.input(2), body.input(2)
    b = Build()
    seeds = b.emit("broadcast", constant(1), shape=(3, 2))
    program = body.program(body.emit("multiply", g, body.emit("cos", x)))
    (result,) = b.several("loop", seeds, b.input(3, 2), body=program, carries=0, slices=2, length=3)
    changed = assert_same(simplify, b.program(result))
    assert names(loop_of(changed).params["body"]) == ["cos"]


@pytest.mark.parametrize("length", [{}, {"length": 4}])
def test_a_while_is_given_once_what_stays_the_same_for_its_test_too(length: Any) -> None:
    """A count that is carried up to a limit that is carried as it is, by steps that are a number."""
    test, body = Build(), Build()
    n, limit, _ = (test.input() for _ in range(3))
    tested = test.program(test.emit("less", n, limit))
    n, limit, step = (body.input() for _ in range(3))
    b = Build()
    programs = {"test": tested, "body": body.program(body.emit("add", n, step), limit, *([n] if length else []))}
    results = b.several("while", constant(0), b.input(), constant(2), carries=2, **programs, **length)
    program = b.program(*results[:2])
    changed = invariants.run(program)
    (instruction,) = changed.body
    assert instruction.args == (results[0].instruction.args[0], program.inputs[0])
    assert (instruction.params["carries"], len(instruction.results)) == (1, 1 + len(length))
    assert changed.outputs[1] is program.inputs[0]
    for last in (0, 3, 6):
        for found, expected in zip(
            changed.evaluate([np.float32(last)]), program.evaluate([np.float32(last)]), strict=True
        ):
            np.testing.assert_array_equal(found, expected)
    assert_kept(invariants.run, changed)


def test_an_effect_keeps_its_loop() -> None:
    noise = tn.op(lambda x: x, name="noise", effect=True)
    body = Build()
    same, x = body.input(2), body.input(2)
    body.call(noise, x, effect=True)
    b = Build()
    args = [b.input(2), b.input(3, 2)]
    b.several("loop", *args, body=body.program(same), carries=1, slices=1, length=3, effect=True)
    assert_kept(invariants.run, b.program(args[0]))


def test_random_programs() -> None:
    changed = 0
    for seed in range(40):
        program = Loops(np.random.default_rng(seed)).program(12)
        changed += invariants.run(program) is not program
        assert_same(invariants.run, program, seed)
    assert changed > 4


def test_nothing_of_a_seed_is_left_in_a_compiled_gradient() -> None:
    def total(x: Any) -> Any:
        return tn.scan(lambda c, y: (c + y * y, np.sin(y)), np.float32(0), x)[1].sum()

    for f, body in ((total, ["cos"]), (lambda x: np.sin(x).sum(), None)):
        step = tn.compile(tn.grad(f))
        step(np.ones(5, np.float32))
        (variant,) = step.variants
        assert not variant.program.references
        program = variant.program if body is None else loop_of(variant.program).params["body"]
        assert names(program) == ["cos"]
