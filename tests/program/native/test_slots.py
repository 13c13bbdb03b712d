"""What is only computed to be joined is computed into the result: nothing is copied."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.fusion import Kernel
from tapenet.program.ir import Program, Value
from tests.compiler.lowered import program_of
from tests.program.passes.programs import Build, constant

pytest.importorskip("llvmlite")

from tapenet.program.native.module import Module
from tests.program.native.running import assert_native


def assert_right(program: Program, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    given = [rng.normal(size=v.shape).astype(v.dtype) for v in program.inputs]
    assert_native(program, *given, rtol=1e-5)


def copied(program: Program) -> int:
    """How many parts are copied when arrays are joined."""
    module = Module(program)
    joined = [e for e in module.entries if not isinstance(e, Kernel) and e.name == "concatenate"]
    return sum(module.layouts[a].root is not e.results[0] for e in joined for a in e.args)


def kernels(program: Program) -> int:
    return sum(isinstance(e, Kernel) for e in Module(program).entries)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_stack_of_what_kernels_compute_is_one_kernel(axis: int) -> None:
    x, y = np.ones(40), np.full(40, 2.0)
    program = program_of(lambda x, y: np.stack([np.sin(x), x * y, x + y], axis=axis), x, y)
    assert (copied(program), kernels(program)) == (0, 1)
    assert_right(program)


@pytest.mark.parametrize("axis", [0, 1])
def test_parts_of_unlike_shapes_have_slots_too(axis: int) -> None:
    b = Build()
    x, y, z = (b.input(*((n, 5) if axis == 0 else (5, n))) for n in (2, 3, 4))
    program = b.program(b.emit("concatenate", b.emit("exp", x), y, b.emit("negative", z), axis=axis))
    assert copied(program) == 1
    assert_right(program)


def test_what_others_need_has_memory_of_its_own() -> None:
    b = Build()
    x, m = b.input(4, 4), b.input(4, 4)
    y, z = b.emit("exp", x), b.emit("sin", x)
    joined = b.emit("concatenate", y, z, b.emit("negative", z), axis=1)
    program = b.program(joined, b.emit("dot", y, m), z)
    assert copied(program) == 2
    assert_right(program)


def test_sums_and_what_is_computed_for_rows_are_copied() -> None:
    b = Build()
    x = b.input(6, 5)
    total = b.emit("reduce_add", x, axes=(1,))
    most = b.emit("reduce_maximum", x, axes=(1,))
    parts = [b.emit("reshape", v, shape=(6, 1)) for v in (total, most, b.emit("exp", total))]
    assert_right(b.program(b.emit("concatenate", *parts, axis=1)))


def test_an_array_that_is_joined_and_goes_on_is_not_overwritten() -> None:
    """The slots are there from when the first is filled, beside what is computed until the last is."""
    b = Build()
    x, m = b.input(5, 5), b.input(5, 5)
    first = b.emit("exp", x)
    other: Value = x
    for _ in range(3):
        other = b.emit("dot", b.emit("tanh", other), m)
    last = b.emit("sin", other)
    joined = b.emit("concatenate", first, last, axis=1)
    program = b.program(b.emit("dot", joined, b.emit("transpose", joined, axes=(1, 0))))
    assert copied(program) == 0
    assert_right(program)


def test_what_is_repeated_is_copied() -> None:
    b = Build()
    x = b.input(3, 3)
    y = b.emit("exp", x)
    turned = b.emit("transpose", y, axes=(1, 0))
    one = b.emit("broadcast", b.emit("exp", b.input()), shape=(3, 3))
    program = b.program(b.emit("concatenate", turned, one, axis=0), b.emit("concatenate", x, x, axis=1))
    assert copied(program) == 3
    assert_right(program)


@pytest.mark.parametrize("made", ["exp", "dot"])
def test_a_transpose_that_is_given_back_is_computed_as_it_is(made: str) -> None:
    b = Build()
    x = b.input(4, 3)
    value = b.emit("dot", x, b.input(3, 5)) if made == "dot" else b.emit(made, x)
    program = b.program(b.emit("transpose", value, axes=(1, 0)))
    module = Module(program)
    assert [module.layouts[a].root for a in module.entries[-1].members[-1].args] == [*module.program.outputs]
    assert_right(program)


def test_products_have_slots() -> None:
    b = Build()
    x, y = b.input(4, 3), b.input(3, 5)
    product = b.emit("dot", x, y)
    turned = b.emit("transpose", b.emit("dot", b.input(5, 3), y), axes=(1, 0))
    program = b.program(b.emit("concatenate", product, x, axis=1), b.emit("concatenate", turned, b.input(2, 5), axis=0))
    assert copied(program) == 2
    assert_right(program)


def test_products_whose_slot_is_no_matrix_for_blas_are_copied_there() -> None:
    """Of what is stacked along a last axis neighbours are not dense along any."""
    b = Build()
    x, y = b.input(4, 3), b.input(3, 5)
    parts = [b.emit("reshape", b.emit("dot", a, y), shape=(4, 5, 1)) for a in (x, b.emit("exp", x))]
    program = b.program(b.emit("concatenate", *parts, axis=2))
    assert copied(program) == 2
    assert_right(program)


def test_short_runs_are_copied_side_by_side() -> None:
    b = Build()
    x, y, z = b.input(30, 1), b.input(30, 1), b.input(30, 2)
    assert_right(b.program(b.emit("concatenate", x, z, y, x, axis=1)))


@pytest.mark.parametrize("seed", range(20))
def test_random_joins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    b = Build()
    values: list[Any] = [b.input(4, 3), b.input(4, 3), b.input(4, 2)]
    for _ in range(12):
        x = values[rng.integers(len(values))]
        kind = rng.integers(4)
        if kind == 0:
            made = b.emit(str(rng.choice(["sin", "negative", "square"])), x)
        elif kind == 1:
            same = [v for v in values if v.shape == x.shape]
            made = b.emit("maximum", x, same[rng.integers(len(same))])
        elif kind == 2:
            width = min(x.shape[1], 3)
            made = b.emit("dot", x, b.emit("broadcast", constant(0.5), shape=(x.shape[1], width)))
        else:
            chosen = [values[k] for k in rng.integers(len(values), size=3)]
            made = b.emit("concatenate", *chosen, axis=1)
        if made.size < 400:
            values.append(made)
    assert_right(b.program(*values[-2:]), seed)


def test_what_is_flattened_is_computed_among_others() -> None:
    """As gradients are that are sent together."""
    b = Build()
    x, y, m = b.input(3, 4), b.input(5), b.input(4, 6)
    flat = b.emit("reshape", b.emit("exp", x), shape=(12,))
    product = b.emit("reshape", b.emit("dot", x, m), shape=(18,))
    program = b.program(b.emit("concatenate", flat, product, y, axis=0))
    assert copied(program) == 1
    assert_right(program)
