"""Views."""

from __future__ import annotations

from typing import Any

import pytest

from tapenet.program.passes import views
from tests.program.passes.programs import Build, assert_kept, assert_property, assert_same, constant, names


def chain(shape: tuple[int, ...], *steps: tuple[str, Any]) -> Any:
    """A program of views one after another."""
    parameter = {"reshape": "shape", "broadcast": "shape", "transpose": "axes", "slice": "slices"}
    b = Build()
    value: Any = b.input(*shape)
    for name, given in steps:
        value = b.emit(name, value, **{parameter[name]: given})
    return b.program(value)


def last(program: Any) -> tuple[Any, ...]:
    """The primitives on the way to the output, from the input on, with their parameters."""
    value, found = program.outputs[0], []
    while value not in program.inputs:
        found.append((value.instruction.name, *value.instruction.params.values()))
        value = value.instruction.args[0]
    return tuple(reversed(found))


@pytest.mark.parametrize(
    ("shape", "steps", "expected"),
    [
        # Nothing at all.
        ((2, 3), [("reshape", (2, 3))], []),
        ((2, 3), [("reshape", (6,)), ("reshape", (2, 3))], []),
        ((2, 3), [("transpose", (0, 1))], []),
        ((2, 3), [("transpose", (1, 0)), ("transpose", (1, 0))], []),
        ((2, 3), [("broadcast", (2, 3))], []),
        ((2, 3), [("slice", ((0, 2, 1), (0, 3, 1)))], []),
        ((1, 3), [("slice", ((0, -1, -1), (0, 3, 1)))], []),
        ((4,), [("slice", ((3, -1, -1),)), ("slice", ((3, -1, -1),))], []),
        ((), [("reshape", (1, 1)), ("reshape", ())], []),
        # One of several.
        ((2, 6), [("reshape", (12,)), ("reshape", (3, 4))], [("reshape", (3, 4))]),
        ((2, 3, 4), [("transpose", (1, 2, 0)), ("transpose", (1, 2, 0))], [("transpose", (2, 0, 1))]),
        ((3, 1), [("broadcast", (3, 4)), ("broadcast", (2, 3, 4))], [("broadcast", (2, 3, 4))]),
        ((9,), [("slice", ((1, 8, 1),)), ("slice", ((2, 6, 2),))], [("slice", ((3, 6, 2),))]),
        ((9,), [("slice", ((8, -1, -2),)), ("slice", ((1, 4, 2),))], [("slice", ((6, 1, -4),))]),
        ((9,), [("slice", ((8, -1, -2),)), ("slice", ((4, -1, -1),))], [("slice", ((0, 9, 2),))]),
        ((9,), [("slice", ((2, 7, 3),)), ("slice", ((1, 2, 1),))], [("slice", ((5, 6, 1),))]),
        ((9,), [("slice", ((2, 7, 1),)), ("slice", ((0, 0, 1),))], [("slice", ((0, 0, 1),))]),
        # Axes of length 1.
        ((1, 3), [("transpose", (1, 0))], [("reshape", (3, 1))]),
        ((2, 1, 3), [("transpose", (0, 2, 1))], [("reshape", (2, 3, 1))]),
        ((2, 3), [("broadcast", (1, 2, 3))], [("reshape", (1, 2, 3))]),
        ((3,), [("reshape", (1, 3)), ("broadcast", (4, 3))], [("broadcast", (4, 3))]),
        ((1, 1), [("reshape", ()), ("broadcast", (4, 3))], [("broadcast", (4, 3))]),
        # Broadcasts come last.
        ((), [("broadcast", (2, 3)), ("reshape", (6,))], [("broadcast", (6,))]),
        ((1, 1, 1), [("broadcast", (2, 3, 1)), ("reshape", (6,))], [("reshape", ()), ("broadcast", (6,))]),
        ((3,), [("broadcast", (2, 3)), ("reshape", (2, 1, 3))], [("broadcast", (2, 1, 3))]),
        ((2, 1), [("broadcast", (2, 3)), ("reshape", (2, 1, 3))], [("reshape", (2, 1, 1)), ("broadcast", (2, 1, 3))]),
        ((3,), [("broadcast", (2, 3)), ("transpose", (1, 0))], [("reshape", (3, 1)), ("broadcast", (3, 2))]),
        ((2, 3), [("broadcast", (4, 2, 3)), ("transpose", (0, 2, 1))],
         [("reshape", (1, 2, 3)), ("transpose", (0, 2, 1)), ("broadcast", (4, 3, 2))]),
        ((3,), [("broadcast", (4, 3)), ("slice", ((1, 3, 1), (0, 2, 1)))], [("slice", ((0, 2, 1),)), ("broadcast", (2, 2))]),
        ((4, 1), [("broadcast", (4, 3)), ("slice", ((0, 4, 1), (2, 0, -1)))], [("broadcast", (4, 2))]),
    ],
)  # fmt: skip
def test_chains(shape: Any, steps: Any, expected: Any) -> None:
    assert last(assert_same(views.run, chain(shape, *steps))) == tuple(expected)


@pytest.mark.parametrize(
    ("shape", "steps"),
    [
        ((2, 3), [("reshape", (6,))]),
        ((2, 3), [("transpose", (1, 0))]),
        ((2, 3), [("transpose", (1, 0)), ("reshape", (6,))]),
        ((2, 3), [("reshape", (3, 2)), ("transpose", (1, 0))]),
        ((3, 1), [("broadcast", (3, 2))]),
        ((3, 1), [("broadcast", (3, 2)), ("reshape", (6,))]),
        ((3,), [("reshape", (3, 1)), ("broadcast", (3, 2))]),
        ((4,), [("slice", ((3, -1, -1),))]),
        ((4,), [("slice", ((0, 2, 1),)), ("reshape", (2, 1))]),
        ((1,), [("broadcast", (4,)), ("slice", ((0, 0, 1),))]),
    ],
)
def test_what_has_no_shorter_form_stays(shape: Any, steps: Any) -> None:
    assert_kept(views.run, chain(shape, *steps))


def test_a_view_with_other_uses_is_looked_through() -> None:
    b = Build()
    flat = b.emit("reshape", b.input(2, 3), shape=(6,))
    changed = assert_same(views.run, b.program(flat, b.emit("reshape", flat, shape=(3, 2))))
    assert changed.body[1].args == changed.inputs


@pytest.mark.parametrize("shape", [(3,), (2, 1), ()])
def test_an_operand_needs_no_broadcast_that_numpy_makes(shape: tuple[int, ...]) -> None:
    b = Build()
    x, y = b.input(2, 3), b.input(*shape)
    changed = assert_same(views.run, b.program(b.emit("add", x, b.broadcast(y, (2, 3)))))
    assert changed.body[-1].args == (x, y)


def test_what_is_computed_of_a_repeated_value_is_repeated_after() -> None:
    b = Build()
    x = b.broadcast(b.input(3), (2, 3))
    changed = assert_same(views.run, b.program(b.emit("negative", x)))
    assert changed.outputs[0].instruction.args[0].shape == (3,)
    b = Build()
    x, y = b.broadcast(b.input(3), (4, 2, 3)), b.broadcast(b.input(2, 1), (4, 2, 3))
    changed = assert_same(views.run, b.program(b.emit("add", x, y)))
    assert last(changed)[-1] == ("broadcast", (4, 2, 3))
    assert changed.outputs[0].instruction.args[0].shape == (2, 3)


def test_broadcasts_that_together_give_the_shape_go() -> None:
    b = Build()
    x, y = b.input(3), b.input(2, 1)
    changed = assert_same(
        views.run, b.program(b.emit("where", b.cast(x, bool), b.broadcast(x, (2, 3)), b.broadcast(y, (2, 3))))
    )
    assert changed.body[-1].args[1:] == (x, y)


def test_other_instructions_keep_their_broadcasts() -> None:
    b = Build()
    matrix = b.broadcast(b.input(3), (3, 3))
    assert_kept(views.run, b.program(b.emit("dot", b.input(3, 3), matrix)))


def test_concatenate_of_one() -> None:
    b = Build()
    x = b.input(2, 3)
    assert assert_same(views.run, b.program(b.emit("concatenate", x, axis=1))).outputs == (x,)
    b = Build()
    assert_kept(views.run, b.program(b.emit("concatenate", b.input(2), b.input(3), axis=0)))


def test_update_of_everything() -> None:
    b = Build()
    x, y = b.input(2, 3), b.input(2, 3)
    changed = assert_same(views.run, b.program(b.emit("update", x, y, slices=((0, 2, 1), (0, 3, 1)))))
    assert changed.outputs == (y,)


@pytest.mark.parametrize("rows", [(1, -1, -1), (0, 1, 1)])
def test_update_of_a_part_or_in_another_order(rows: tuple[int, int, int]) -> None:
    b = Build()
    x, y = b.input(2, 3), b.input(len(range(*rows)), 3)
    assert_kept(views.run, b.program(b.emit("update", x, y, slices=(rows, (0, 3, 1)))))


def test_arrays_without_elements() -> None:
    b = Build()
    x = b.emit("slice", b.input(2, 3), slices=((0, 0, 1), (0, 3, 1)))
    made = b.emit("add", b.emit("reshape", x, shape=(3, 0, 1)), b.emit("broadcast", constant(1), shape=(3, 0, 1)))
    assert names(assert_same(views.run, b.program(made)))[-1] == "add"


def test_random_programs() -> None:
    assert_property(views.run, floats=True, acts=0.9)
    assert_property(views.run, floats=False, acts=0.9)
