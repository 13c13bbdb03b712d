"""The program: built, checked, rewritten and printed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.ir import (
    Builder,
    Constant,
    Input,
    Instruction,
    Program,
    ProgramError,
    Reference,
    Value,
    Write,
    check,
    repeat,
    rewrite,
    substitute,
)
from tapenet.program.primitives import Spec
from tapenet.program.text import names, text
from tests.program.passes.programs import FLOAT32, FLOAT64, Build, constant


def reference(*shape: int, dtype: Any = np.float32) -> Reference:
    return Reference(tn.asarray(np.zeros(shape, dtype)))


def test_what_is_repeated_has_the_line_that_is_given() -> None:
    """ "" where none is known: not that of what is repeated."""
    b = Build()
    x, y = b.input(2), b.input(2)
    b.line = "model.py:1"
    b.emit("negative", x)
    for line, expected in ((None, "model.py:1"), ("model.py:2", "model.py:2"), ("", "")):
        made = Builder()
        repeat(made, b.body, {x: y}, line)
        assert [(i.line, i.args) for i in made.body] == [(expected, (y,))]


# -- what is well formed -----------------------------------------------------------------------------------------


def test_a_well_formed_program_is_given_back() -> None:
    b = Build()
    x, p = b.input(2, 3), reference(2, 3)
    b.writes.append(Write(p, b.emit("add", x, p)))
    program = b.program(b.emit("multiply", x, constant(2)))
    assert check(program) is program


def test_a_value_that_is_used_before_it_is_there() -> None:
    b = Build()
    x = b.input(2)
    y = b.emit("negative", x)
    b.emit("exp", y)
    with pytest.raises(ProgramError, match=r"exp uses the result float32\[2\] before it is there"):
        check(Program([x], [], b.body[::-1], [y], []))
    with pytest.raises(ProgramError, match="negative uses the input"):
        check(Program([], [], b.body, [], []))


def test_an_output_or_a_write_of_a_value_that_is_nowhere() -> None:
    stray, p = Input((2,), FLOAT32), reference(2)
    with pytest.raises(ProgramError, match="an output uses"):
        check(Program([], [], [], [stray], []))
    with pytest.raises(ProgramError, match="a write uses"):
        check(Program([], [], [], [], [Write(p, stray)]))


def test_what_is_written_has_the_shape_and_dtype_of_its_place() -> None:
    x, p = Input((2,), FLOAT32), reference(2, dtype=np.float64)
    with pytest.raises(ProgramError, match=r"a write of float32\[2\] to float64\[2\]"):
        check(Program([x], [], [], [], [Write(p, x)]))


def test_a_reference_is_written_once() -> None:
    x, p = Input((2,), FLOAT32), reference(2)
    with pytest.raises(ProgramError, match="written twice"):
        check(Program([x], [], [], [], [Write(p, x), Write(p, x)]))


@pytest.mark.parametrize("spec", [Spec((3,), FLOAT32), Spec((2,), FLOAT64)])
def test_a_result_of_another_shape_or_dtype_than_its_primitive_gives(spec: Spec) -> None:
    x = Input((2,), FLOAT32)
    wrong = Instruction("exp", [x], {}, [spec])
    with pytest.raises(ProgramError, match="exp gives"):
        check(Program([x], [], [wrong], [], []))


def test_arguments_that_do_not_fit_their_primitive() -> None:
    b = Build()
    x, y = b.input(2, 3), b.input(2, 3)
    for name, args, params in (
        ("dot", (x, y), {}),
        ("add", (x, constant(1, np.float64)), {}),
        ("add", (x, b.input(4)), {}),
        ("reduce_add", (x,), {"axes": (1, 0)}),
        ("reduce_add", (x,), {"axes": (2,)}),
        ("reshape", (x,), {"shape": (4,)}),
        ("transpose", (x,), {"axes": (0, 0)}),
        ("broadcast", (x,), {"shape": (2, 4)}),
        ("slice", (x,), {"slices": ((0, 2, 1),)}),
        ("slice", (x,), {"slices": ((0, 2, 1), (1, 4, 1))}),
        ("slice", (x,), {"slices": ((2, 0, -1), (0, 3, 1))}),
        ("slice", (x,), {"slices": ((0, 2, 1), (-1, 2, 1))}),
        ("concatenate", (x, b.input(3, 3)), {"axis": 1}),
        ("concatenate", (x, b.input(2, 3, dtype=np.float64)), {"axis": 0}),
        ("update", (x, y), {"slices": ((0, 1, 1), (0, 3, 1))}),
        ("update", (x, y), {"slices": ((1, 3, 1), (0, 3, 1))}),
        ("dot_add", (x, x, x), {}),
        ("add_rows", (x, y, b.input(1, dtype=np.int64)), {}),
        ("add_rows", (x, y, b.input(2, 1, dtype=np.int64)), {}),
    ):
        with pytest.raises(ProgramError, match=rf"^{name}\("):
            b.emit(name, *args, **params)
    assert b.body == []


# -- building ----------------------------------------------------------------------------------------------------


def test_python_numbers_take_the_dtype_of_the_arrays_beside_them() -> None:
    b = Build()
    x, i = b.input(2), b.input(2, dtype=np.int32)
    assert b.elementwise("multiply", x, 2.5).dtype == FLOAT32
    assert b.elementwise("add", i, 1).dtype == np.int32
    assert b.elementwise("add", i, 0.5).dtype == FLOAT64
    assert b.elementwise("divide", i, 2).dtype == FLOAT64
    assert b.elementwise("less", x, 0).dtype == bool
    assert b.elementwise("add", x, Constant(np.float64(1))).dtype == FLOAT64


def test_casts_are_there_where_numpy_casts() -> None:
    b = Build()
    x, y = b.input(2), b.input(2, dtype=np.float64)
    b.elementwise("add", x, y)
    assert [(i.name, i.results[0].dtype) for i in b.body] == [("cast", FLOAT64), ("add", FLOAT64)]


def test_a_constant_is_cast_at_once() -> None:
    b = Builder()
    made = b.cast(constant([1, 2]), np.int64)
    assert isinstance(made, Constant)
    assert (made.dtype, b.body) == (np.int64, [])


def test_what_changes_nothing_is_not_there() -> None:
    b = Build()
    x = b.input(2, 3)
    assert b.cast(x, FLOAT32) is b.reshape(x, (2, 3)) is b.broadcast(x, (2, 3)) is b.transpose(x, (0, 1)) is x
    assert b.body == []


# -- what a program tells of itself ------------------------------------------------------------------------------


def test_values_roots_and_uses() -> None:
    b = Build()
    x, p, c = b.input(2), reference(2), constant([1, 2])
    y = b.emit("add", x, p)
    z = b.emit("multiply", y, y)
    b.writes.append(Write(p, z))
    program = b.program(z, c)
    assert list(program.values()) == [x, p, y, z, c]
    assert list(program.roots()) == [z, c, p, z]
    assert program.uses() == {x: 1, p: 2, y: 2, z: 2, c: 1}
    assert (program.references, program.constants) == ([p], [c])


def test_sizes() -> None:
    value = Value((2, 3, 4), FLOAT64)
    assert (value.size, value.ndim, value.nbytes, value.spec) == (24, 3, 192, "float64[2,3,4]")
    assert (Value((), FLOAT32).size, Value((0, 3), FLOAT32).size) == (1, 0)


def test_a_program_is_printed_readably() -> None:
    b = Build()
    x, p = b.input(2, 3), reference(3, dtype=np.float32)
    h = b.host(lambda: np.float32(0.1))
    c = constant([[1, 2, 3]])
    y = b.emit("multiply", x, h)
    z = b.emit("reduce_add", b.emit("add", b.emit("add", y, c), constant(0.5)), axes=(0,))
    b.writes.append(Write(p, z))
    assert text(b.program(y, z)).splitlines() == [
        "program(x0: float32[2,3])",
        "  from outside: p0: float32[3]",
        "  from the host: h0: float32[]",
        "  constant: c0: float32[1,3]",
        "  %0 = multiply x0 h0 : float32[2,3]",
        "  %1 = add %0 c0 : float32[2,3]",
        "  %2 = add %1 0.5 : float32[2,3]",
        "  %3 = reduce_add %2 {axes=(0,)} : float32[3]",
        "  write p0 <- %3",
        "  return %0, %3",
    ]


def test_long_parameters_are_cut_short_and_bodies_counted() -> None:
    body = Build()
    inner = body.program(body.emit("negative", body.input(2)))
    b = Build()
    x = b.input(*[1] * 40)
    b.several("loop", b.input(2), body=inner, carries=1, slices=0, length=3)
    printed = text(b.program(b.emit("transpose", x, axes=tuple(range(40))[::-1])))
    assert "{body=<program of 1>, carries=1, slices=0, length=3}" in printed
    assert "{axes=(39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, ...}" in printed


def test_every_value_has_a_name() -> None:
    b = Build()
    x = b.input(2)
    first, second = b.emit("add", x, reference(2)), b.emit("add", x, reference(2))
    found = names(b.program(first, second))
    assert sorted(found.values()) == ["%0", "%1", "p0", "p1", "x0"]


# -- rewriting ---------------------------------------------------------------------------------------------------


def chain() -> tuple[Input, Program]:
    """exp(-x) + x, returned and written."""
    b = Build()
    x, p = b.input(2), reference(2)
    y = b.emit("add", b.emit("exp", b.emit("negative", x)), x)
    b.writes.append(Write(p, y))
    return x, b.program(y)


def test_a_rewrite_that_changes_nothing_gives_the_program_itself() -> None:
    _, program = chain()
    assert rewrite(program, lambda instruction, args, builder: None) is program


def test_what_a_rewrite_makes_has_the_uses_of_what_it_stands_for() -> None:
    b = Build()
    x = b.input(2)
    y = b.emit("negative", b.emit("positive", x))
    program = b.program(y, y)
    uses = program.uses()
    made = check(rewrite(program, lambda i, args, builder: args[0], ("positive",), uses))
    (new,) = made.body
    assert new.args == (x,)
    assert uses[x] == 1
    assert uses[new.results[0]] == 2
    assert new.results[0] not in program.uses()


def test_a_rewrite_of_some_primitives_alone() -> None:
    b = Build()
    x = b.input(2)
    program = b.program(b.emit("add", b.emit("exp", b.emit("negative", x)), x))
    asked: list[str] = []

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        asked.append(instruction.name)
        return args[0] if instruction.name == "negative" else None

    made = check(rewrite(program, change, ("negative", "add")))
    assert asked == ["negative", "add"]
    assert [i.name for i in made.body] == ["exp", "add"]
    assert rewrite(program, change, ("sin",)) is program


def test_what_stands_for_a_result_is_used_in_its_place() -> None:
    x, program = chain()
    before = list(program.body)

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Any:
        return builder.emit("tanh", *args) if instruction.name == "exp" else None

    made = check(rewrite(program, change))
    assert [i.name for i in made.body] == ["negative", "tanh", "add"]
    assert made.body[0] is program.body[0]  # what comes before a change is kept as it is
    assert made.body[2].args == (made.body[1].results[0], x)
    assert made.outputs == made.body[2].results
    assert made.writes == (Write(program.writes[0].target, made.outputs[0]),)
    assert list(program.body) == before


def test_an_instruction_can_be_left_out_and_stand_for_its_argument() -> None:
    x, program = chain()
    made = check(rewrite(program, lambda i, args, b: args[0] if i.name in ("negative", "exp") else None))
    assert [(i.name, i.args) for i in made.body] == [("add", (x, x))]


def test_several_results() -> None:
    body = Build()
    c = body.input(2)
    inner = body.program(body.emit("negative", c), body.emit("exp", c))
    b = Build()
    x = b.input(2)
    last, ys = b.several("loop", x, body=inner, carries=1, slices=0, length=3)
    program = b.program(ys, last)

    def twice(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Any:
        if instruction.name != "loop":
            return None
        return builder.several("loop", *args, **(instruction.params | {"length": 3, "reverse": True}))

    made = check(rewrite(program, twice))
    assert made.outputs == made.body[0].results[::-1]


def test_an_effect_without_results_is_rewritten_too() -> None:
    """It has no result by which a change could be told."""
    body = Build()
    c = body.input(2)
    op = tn.op(lambda x: x, name="noted", effect=True)
    body.call(op, c, effect=True)
    inner = body.program()
    b = Build()
    x, y = b.input(3, 2), b.input(3, 2)
    b.several("loop", x, body=inner, carries=0, slices=1, length=3, effect=True)
    program = b.program()
    assert program.body[0].results == ()
    made = substitute(program, {x: y})
    assert made.body[0].args == (y,)


def test_substituting_values() -> None:
    x, program = chain()
    other = Input((2,), FLOAT32)
    made = substitute(Program([x, other], [], program.body, [*program.outputs, x], program.writes), {x: other})
    check(made)
    assert [i.args[-1] is other for i in made.body] == [True, False, True]
    assert made.outputs[1] is other
    assert made.writes[0].value is made.outputs[0]
