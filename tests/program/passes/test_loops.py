"""Loops and branches keep only what is used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.ir import Instruction, Program, Value
from tapenet.program.passes import dead, loops
from tests.program.native.generate import Loops
from tests.program.passes.programs import Build, assert_kept, assert_same, names


def loop(b: Build, body: Program, *args: Value, carries: int, slices: int = 0, **params: Any) -> tuple[Value, ...]:
    """The results of a loop of three turns."""
    made = b.several("loop", *args, body=body, carries=carries, slices=slices, length=3, **params)
    return made


def only(program: Program) -> Instruction:
    (instruction,) = program.body
    return instruction


def two_sums() -> Program:
    """Two carries, each with a slice of its own; the second also stacked."""
    body = Build()
    a, b, x, y = (body.input(2) for _ in range(4))
    total = body.emit("add", b, body.emit("exp", y))
    return body.program(body.emit("add", a, x), total, body.emit("negative", total))


def of_two_sums(used: list[int], **params: Any) -> Program:
    b = Build()
    args = [*(b.input(2) for _ in range(2)), *(b.input(3, 2) for _ in range(2))]
    results = loop(b, two_sums(), *args, carries=2, slices=2, **params)
    return b.program(*(results[i] for i in used))


@pytest.mark.parametrize(
    ("used", "args", "carries", "body"),
    [
        ([0], [0, 2], 1, ["add"]),
        ([1], [1, 3], 1, ["exp", "add"]),
        ([2], [1, 3], 1, ["exp", "add", "negative"]),  # the carry is not used, but what is stacked needs it
        ([0, 1], [0, 1, 2, 3], 2, ["exp", "add", "add"]),
    ],
)
@pytest.mark.parametrize("reverse", [False, True])
def test_results_that_nobody_uses_go_with_what_they_need(
    used: list[int], args: list[int], carries: int, body: list[str], reverse: bool
) -> None:
    program = of_two_sums(used, **({"reverse": True} if reverse else {}))
    changed = assert_same(loops.run, program)
    assert only(changed).args == tuple(program.inputs[i] for i in args)
    params = only(changed).params
    assert (params["carries"], params["slices"], params["length"]) == (carries, len(args) - carries, 3)
    assert names(params["body"]) == body
    assert params.get("reverse", False) == reverse


def test_a_loop_all_of_which_is_used_stays() -> None:
    assert_kept(loops.run, of_two_sums([0, 1, 2]))


def test_a_carry_on_which_one_that_is_used_depends_in_a_later_turn_stays() -> None:
    """Each carry becomes the one before: the first counts after two turns."""
    body = Build()
    a, b, _ = (body.input(2) for _ in range(3))
    program = body.program(a, body.emit("negative", a), body.emit("exp", b))
    outer = Build()
    results = loop(outer, program, *(outer.input(2) for _ in range(3)), carries=3)
    changed = assert_same(loops.run, outer.program(results[2]))
    assert only(changed).params["carries"] == 3
    assert_kept(loops.run, changed)


def test_a_carry_that_is_of_use_to_itself_alone_goes() -> None:
    body = Build()
    count, total = body.input(), body.input(2)
    outer = Build()
    program = body.program(body.emit("square", count), body.emit("negative", total))
    results = loop(outer, program, outer.input(), outer.input(2), carries=2)
    assert names(only(assert_same(loops.run, outer.program(results[1]))).params["body"]) == ["negative"]


def test_what_the_body_does_not_read_is_not_given() -> None:
    body = Build()
    total, unread, x, closed, spare = (body.input(2) for _ in range(5))
    program = body.program(body.emit("add", body.emit("add", total, x), closed))
    assert (unread, spare) == (body.inputs[1], body.inputs[4])
    outer = Build()
    args = [outer.input(2), outer.input(3, 2), outer.input(3, 2), outer.input(2), outer.input(2)]
    (result,) = loop(outer, program, *args, carries=1, slices=2)
    changed = assert_same(loops.run, outer.program(result))
    assert only(changed).args == (args[0], args[2], args[3])
    assert only(changed).params["slices"] == 1


def test_a_loop_of_no_use_is_left_to_another_pass() -> None:
    b = Build()
    loop(b, two_sums(), *(b.input(2) for _ in range(2)), *(b.input(3, 2) for _ in range(2)), carries=2, slices=2)
    program = b.program(b.input(1))
    assert_kept(loops.run, program)
    assert names(dead.run(program)) == []


def test_effects_stay_with_what_they_need() -> None:
    noise = tn.op(lambda x: x, name="noise", effect=True)
    body = Build()
    a, b, x = (body.input(2) for _ in range(3))
    body.call(noise, body.emit("exp", a), effect=True)
    program = body.program(body.emit("add", a, x), body.emit("negative", b))
    outer = Build()
    args = [outer.input(2), outer.input(2), outer.input(3, 2)]
    results = loop(outer, program, *args, carries=2, slices=1, effect=True)
    for outputs in (results[1:], args[:1]):
        changed = loops.run(outer.program(*outputs))
        kept = only(changed)
        assert kept.params["carries"] == 1 + (outputs == results[1:])
        assert names(kept.params["body"])[:3] == ["exp", "call", "add"]


def test_an_effect_of_slices_alone_leaves_nothing_to_carry() -> None:
    noise = tn.op(lambda x: x, name="noise", effect=True)
    body = Build()
    total, x = body.input(2), body.input(2)
    body.call(noise, x, effect=True)
    outer = Build()
    args = [outer.input(2), outer.input(3, 2)]
    loop(outer, body.program(body.emit("negative", total)), *args, carries=1, slices=1, effect=True)
    kept = only(loops.run(outer.program(args[0])))
    assert (kept.args, kept.results, names(kept.params["body"])) == ((args[1],), (), ["call"])


# -- as long as a test is true -----------------------------------------------------------------------------------


def of_three_counts(used: list[int], **params: Any) -> Program:
    """The first carry is tested; the second and third are sums, of a value each that is closed over; with a length the
    third is stacked too."""
    test = Build()
    tested = [test.input(), *(test.input(2) for _ in range(5))][0]
    body = Build()
    n, a, b, x, y, _ = (body.input(*s) for s in ((), *[(2,)] * 5))
    outs = [body.elementwise("add", n, 1), body.emit("add", a, body.emit("exp", x)), body.emit("add", b, y)]
    stacked = [body.emit("negative", outs[2])] if params else []
    outer = Build()
    args = [outer.input(*s) for s in ((), *[(2,)] * 5)]
    programs = {"test": test.program(test.elementwise("less", tested, 3)), "body": body.program(*outs, *stacked)}
    results = outer.several("while", *args, **programs, carries=3, **params)
    return outer.program(*(results[i] for i in used))


@pytest.mark.parametrize(
    ("used", "args", "body"),
    [
        ([1], [0, 1, 3], ["add", "exp", "add"]),
        ([2], [0, 2, 4], ["add", "add"]),
        ([0], [0], ["add"]),
        ([0, 1, 2], [0, 1, 2, 3, 4], ["add", "exp", "add", "add"]),
    ],
)
@pytest.mark.parametrize("length", [None, 3])
def test_what_is_tested_stays(used: list[int], args: list[int], body: list[str], length: int | None) -> None:
    program = of_three_counts(used, **({} if length is None else {"length": length}))
    changed = assert_same(loops.run, program)
    assert only(changed).args == tuple(program.inputs[i] for i in args)
    params = only(changed).params
    assert (params["carries"], params.get("length")) == (sum(i < 3 for i in args), length)
    assert (names(params["test"]), names(params["body"])) == (["less"], body)
    assert len(params["test"].inputs) == len(args)
    assert_kept(loops.run, changed)


def test_what_is_stacked_of_each_turn_needs_what_is_carried() -> None:
    changed = assert_same(loops.run, of_three_counts([3], length=3))
    assert names(only(changed).params["body"]) == ["add", "add", "negative"]
    assert [r.shape for r in only(changed).results] == [(), (2,), (3, 2)]


def test_one_of_no_use_is_left_to_another_pass() -> None:
    program = of_three_counts([])
    assert_kept(loops.run, program)
    assert names(dead.run(program)) == []


# -- branches ----------------------------------------------------------------------------------------------------


def of_branches(used: list[int]) -> Program:
    """Three results: of the first operand on one side and the second on the other; of the third alone; of nothing."""
    sides = []
    for name in ("exp", "negative"):
        body = Build()
        a, b, c, _ = (body.input(2) for _ in range(4))
        fixed = body.emit("sin", c)
        sides.append(body.program(body.emit(name, a if name == "exp" else b), fixed, body.emit("cos", fixed)))
    outer = Build()
    args = [outer.input(dtype=bool), *(outer.input(2) for _ in range(4))]
    results = outer.several("branch", *args, true=sides[0], false=sides[1])
    return outer.program(*(results[i] for i in used))


@pytest.mark.parametrize(
    ("used", "args", "true", "false"),
    [
        ([0], [0, 1, 2], ["exp"], ["negative"]),
        ([1], [0, 3], ["sin"], ["sin"]),
        ([2], [0, 3], ["sin", "cos"], ["sin", "cos"]),
        ([0, 1, 2], [0, 1, 2, 3], ["sin", "exp", "cos"], ["sin", "negative", "cos"]),
    ],
)
def test_a_branch_keeps_what_either_side_needs(
    used: list[int], args: list[int], true: list[str], false: list[str]
) -> None:
    program = of_branches(used)
    changed = assert_same(loops.run, program)
    assert only(changed).args == tuple(program.inputs[i] for i in args)
    assert [names(only(changed).params[side]) for side in ("true", "false")] == [true, false]
    assert_kept(loops.run, changed)


def test_results_without_elements_are_constants() -> None:
    body = Build()
    a, x = body.input(2), body.input(2)
    made = body.program(body.emit("add", a, x), body.emit("slice", x, slices=((0, 0, 1),)))
    outer = Build()
    results = loop(outer, made, outer.input(2), outer.input(3, 2), carries=1, slices=1)
    changed = assert_same(loops.run, outer.program(*results))
    assert len(only(changed).results) == 1
    assert_kept(loops.run, changed)


# -- on any program ----------------------------------------------------------------------------------------------


def test_random_programs() -> None:
    changed = 0
    for seed in range(80):
        program = Loops(np.random.default_rng(seed)).program(12)
        few = dead.run(Program(program.inputs, program.hosts, program.body, program.outputs[-1:], program.writes[:1]))
        changed += assert_same(loops.run, few, seed) is not few
    assert changed >= 20
