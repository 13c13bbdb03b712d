"""Values that are computed again where a gradient reads them."""

from __future__ import annotations

import numpy as np
import pytest

from tapenet.program.fusion import Kernel
from tapenet.program.ir import Builder, Input, Program, Value
from tapenet.program.native.module import Module
from tapenet.program.native.recomputed import STAGES, run

FLOAT = np.dtype(np.float32)


def names(program: Program) -> list[str]:
    return [i.name for i in program.body]


def written(builder: Builder, inputs: list[Input], *outputs: Value) -> Program:
    return Program(inputs, [], builder.body, outputs, [])


def gaussian(held: bool, name: str = "multiply") -> Program:
    """exp of a product that a matrix product lies between; with the operand read at the end too, or not."""
    builder = Builder()
    x, w = Input((256, 256), FLOAT), Input((256, 256), FLOAT)
    start = builder.emit("dot", x, w)
    value = builder.emit(name, start, start)
    end = builder.emit("add", builder.emit("dot", builder.emit("exp", value), w), value)
    return written(builder, [x, w], builder.emit("add", end, start) if held else end)


def test_a_cheap_value_of_what_is_held_is_computed_again() -> None:
    program = gaussian(held=True)
    again = run(program)
    assert names(again).count("multiply") == 2
    r = np.random.default_rng(0)
    arrays = [r.uniform(-0.1, 0.1, (256, 256)).astype(np.float32) for _ in range(2)]
    np.testing.assert_array_equal(again.evaluate(arrays)[0], program.evaluate(arrays)[0])


@pytest.mark.parametrize("program", [gaussian(held=False), gaussian(held=True, name="arctan2")], ids=["gone", "dear"])
def test_what_would_have_to_be_held_for_it_or_is_dear_is_kept(program: Program) -> None:
    assert run(program) is program


@pytest.mark.parametrize(("size", "times"), [(256, 1), (512, 2)])
def test_a_light_function_is_computed_again_where_the_caches_have_lost_it(size: int, times: int) -> None:
    builder = Builder()
    x, w = Input((size, size), FLOAT), Input((size, size), FLOAT)
    value = builder.emit("normal_cdf", builder.emit("dot", x, w))
    program = written(builder, [x, w], builder.emit("add", builder.emit("dot", builder.emit("exp", value), w), value))
    held = written(builder, [x, w], builder.emit("add", *program.outputs, value.instruction.args[0]))
    assert run(program) is program
    again = run(held)
    assert names(again).count("normal_cdf") == times
    arrays = [np.random.default_rng(0).uniform(-0.1, 0.1, (size, size)).astype(np.float32) for _ in range(2)]
    np.testing.assert_array_equal(again.evaluate(arrays)[0], held.evaluate(arrays)[0])


def test_a_value_that_a_product_reads_later_is_kept() -> None:
    builder = Builder()
    x, w = Input((256, 256), FLOAT), Input((256, 256), FLOAT)
    value = builder.emit("multiply", x, x)
    program = written(builder, [x, w], builder.emit("dot", value, builder.emit("dot", value, w)))
    assert run(program) is program


def test_what_products_read_much_later_is_computed_right_before_the_first_of_them() -> None:
    pytest.importorskip("llvmlite")
    builder = Builder()
    x, w = Input((512, 512), FLOAT), Input((512, 512), FLOAT)
    start = builder.emit("dot", x, w)
    value = builder.emit("multiply", start, start)
    turned = builder.emit("transpose", value, axes=(1, 0))
    far: Value = builder.emit("dot", value, w)
    for _ in range(STAGES):
        far = builder.emit("dot", far, w)
    ends = [builder.emit("dot", turned, far), builder.emit("dot", far, value), builder.emit("add", far, start)]
    program = written(builder, [x, w], *ends)
    again = run(program)
    assert names(again).count("multiply") == 2
    order = ["multiply" if isinstance(e, Kernel) else e.name for e in Module(program).entries[: STAGES + 6]]
    assert order == ["dot", "multiply", *["dot"] * (STAGES + 1), "multiply", "dot", "dot"]
    r = np.random.default_rng(0)
    arrays = [r.uniform(-0.1, 0.1, (512, 512)).astype(np.float32) for _ in range(2)]
    for mine, expected in zip(again.evaluate(arrays), program.evaluate(arrays), strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_a_value_of_a_value_that_is_computed_again_brings_that_with_it() -> None:
    builder = Builder()
    x, w = Input((256, 256), FLOAT), Input((256, 256), FLOAT)
    twice = builder.emit("add", x, x)
    value = builder.emit("multiply", twice, x)
    end = builder.emit("multiply", builder.emit("dot", builder.emit("exp", value), w), value)
    again = run(written(builder, [x, w], end))
    assert names(again) == ["add", "multiply", "exp", "dot", "add", "multiply", "multiply"]
    r = np.random.default_rng(0)
    arrays = [r.uniform(-0.1, 0.1, (256, 256)).astype(np.float32) for _ in range(2)]
    np.testing.assert_array_equal(again.evaluate(arrays)[0], written(builder, [x, w], end).evaluate(arrays)[0])
