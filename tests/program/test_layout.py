"""Where values lie in memory."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.registry import registry
from tapenet.program.ir import Program, Reference, Value, check
from tapenet.program.layout import (
    Layouts,
    alike,
    c_strides,
    materialise,
    memory_order,
    ordered_strides,
    reshape_strides,
    view,
)
from tests.compiler.lowered import lowered
from tests.kernels.beside import batch_last
from tests.program.evaluate import assert_equal, evaluate
from tests.program.native.generate import Draw
from tests.program.passes.programs import Build, constant, names

Array = np.ndarray[Any, Any]


def reference(array: Array) -> Reference:
    return Reference(tn.asarray(array))


def steps(array: Array) -> tuple[int, ...]:
    """Strides in elements."""
    return tuple(s // array.itemsize for s in array.strides)


def shown(layouts: Layouts, value: Value, array: Array) -> Array:
    """What a value shows, if the memory of its root begins where an array does."""
    place = layouts[value]
    start = array.ravel(order="A") if array.flags.forc else array
    flat = np.lib.stride_tricks.as_strided(start, (1,), (array.itemsize,))
    at = np.lib.stride_tricks.as_strided(flat, (place.offset + 1,), (array.itemsize,))[place.offset :]
    return np.lib.stride_tricks.as_strided(at, value.shape, [s * array.itemsize for s in place.strides])


# -- strides -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3), (4, 3, 2)])
def test_row_major_strides_are_numpys(shape: tuple[int, ...]) -> None:
    assert alike(shape, c_strides(shape), steps(np.zeros(shape)))


def test_orders_of_memory_lead_back() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        shape = tuple(int(n) for n in rng.choice([1, 2, 3, 4], rng.integers(0, 5)))
        order = tuple(int(i) for i in rng.permutation(len(shape)))
        strides = ordered_strides(shape, order)
        array = np.zeros([shape[i] for i in order]).transpose(np.argsort(order)) if order else np.zeros(())
        assert alike(shape, strides, steps(array))
        again = ordered_strides(shape, memory_order(shape, strides))
        assert alike(shape, again, strides)


def test_axes_of_length_one_stay_where_they_are_in_the_order() -> None:
    assert memory_order((3, 1, 4), (1, 77, 3)) == (2, 1, 0)
    assert memory_order((1, 5), (0, 1)) == (0, 1)


def test_a_reshape_is_a_view_exactly_where_it_is_one_in_numpy() -> None:
    """And then shows the same elements. (NumPy says so by whether it copies.)"""
    rng = np.random.default_rng(1)
    views = copies = 0
    for _ in range(2000):
        shape = tuple(int(n) for n in rng.choice([1, 2, 3, 4, 6], rng.integers(1, 5)))
        array = np.arange(math.prod(shape) * 2 ** len(shape)).reshape([2 * n for n in shape])
        cut = tuple(slice(None, None, 2) if rng.random() < 0.3 else slice(0, n) for n in shape)
        array = array[cut].transpose(rng.permutation(len(shape)))
        if rng.random() < 0.2:
            array = np.broadcast_to(array[:1], array.shape)
        if rng.random() < 0.2:
            array = array[::-1]
        rest, after = array.size, []
        while rest > 1 and rng.random() < 0.8:
            after.append(int(rng.choice([n for n in range(1, rest + 1) if rest % n == 0])))
            rest //= after[-1]
        after.append(rest)
        expected = array.reshape(after)
        found = reshape_strides(array.shape, steps(array), tuple(after))
        if found is None:
            copies += 1
            assert not np.shares_memory(expected, array)
        else:
            views += 1
            shown = np.lib.stride_tricks.as_strided(array, after, [s * array.itemsize for s in found])
            np.testing.assert_array_equal(shown, expected)
    assert min(views, copies) > 300


def test_a_reshape_without_elements_is_always_a_view() -> None:
    assert reshape_strides((0, 3), (3, 1), (2, 0)) == (0, 0)
    assert reshape_strides((0, 3), (1, 0), (0,)) == (0,)


# -- views -------------------------------------------------------------------------------------------------------


def test_chains_of_views_show_what_they_show_in_numpy() -> None:
    for seed in range(150):
        draw = Draw(np.random.default_rng(seed), np.int64)
        shape = (2, 3, 4)
        array = np.array(draw.numbers(shape), order="F" if seed % 2 else "C")
        array[...] = np.arange(24).reshape(shape)
        layouts = Layouts()
        value: Value = reference(array)
        expected = array
        for _ in range(6):
            made = draw.view(value)
            if made is value:
                continue
            (last,) = draw.build.body[-1:]
            if last.name == "reshape" and view(layouts[value], last) is None:
                continue
            value = made
            expected = evaluate(Program([], [], draw.build.body, [value], [])).outputs[0]
            assert layouts[value].root.shape == shape
            np.testing.assert_array_equal(shown(layouts, value, array), expected)


def test_a_view_of_a_view_is_a_view_of_the_root() -> None:
    b = Build()
    x = b.input(4, 6)
    y = b.emit("slice", x, slices=((1, 4, 2), (5, -1, -1)))
    z = b.emit("transpose", y, axes=(1, 0))
    place = Layouts()[b.emit("broadcast", b.emit("reshape", z, shape=(6, 1, 2)), shape=(6, 3, 2))]
    assert (place.root, place.offset, place.strides) == (x, 11, (-1, 0, 12))


def test_a_reshape_that_is_no_view_has_no_place() -> None:
    b = Build()
    y = b.emit("reshape", b.emit("transpose", b.input(2, 3), axes=(1, 0)), shape=(6,))
    with pytest.raises(ValueError, match=r"reshape to float32\[6\] is no view"):
        Layouts()[y]


def test_long_chains_of_views() -> None:
    b = Build()
    x = value = b.input(2, 3)
    for _ in range(4 * sys.getrecursionlimit()):
        value = b.emit("transpose", value, axes=(1, 0))
    assert Layouts()[value].root is x


# -- what has memory of its own ----------------------------------------------------------------------------------


def test_elementwise_results_lie_as_their_operands_do() -> None:
    b = Build()
    w = reference(np.asfortranarray(np.zeros((3, 4), np.float32)))
    layouts = Layouts()
    assert layouts[w].strides == (1, 3)
    y = b.emit("add", b.input(3, 4), b.emit("exp", w))
    assert layouts[y].strides == (1, 3)
    assert layouts[b.emit("add", w, b.input(4))].strides == (1, 3)
    assert layouts[b.emit("add", b.input(3, 4), b.input(4))].strides == (4, 1)
    assert layouts[b.emit("copy", y, row_major=True)].strides == (4, 1)


def test_what_is_added_to_vectors_of_a_product_lies_as_they_do() -> None:
    b = Build()
    x, a, w, bias = b.input(2, 3, 4), b.input(6, 5), b.input(5, 4), b.input(4)
    images = b.emit("transpose", b.input(4, 2, 3), axes=(1, 2, 0))
    vectors = b.emit("add", b.reshape(b.emit("dot", a, w), (2, 3, 4)), bias)
    sums = [b.emit("add", x, y) for x, y in ((images, vectors), (vectors, images), (images, x), (images, bias))]
    layouts = Layouts()
    usual, unusual = c_strides((2, 3, 4)), (3, 1, 6)
    assert [layouts[s].strides for s in sums] == [usual, usual, unusual, unusual]


def test_elementwise_results_of_what_is_strided_or_repeated_are_dense() -> None:
    b = Build()
    layouts = Layouts()
    strided = reference(np.zeros((6, 8), np.float32)[::2, ::-2].T)
    assert layouts[strided].strides == (-2, 16)
    assert layouts[b.emit("exp", strided)].strides == (1, 4)
    repeated = b.emit("broadcast", b.input(3, 1), shape=(3, 4))
    assert layouts[b.emit("exp", repeated)].strides == (4, 1)


def test_what_is_added_or_carried_in_place_lies_as_it_did() -> None:
    body = Build()
    inner = body.program(body.emit("negative", body.input(3, 4)))
    b = Build()
    w = reference(np.asfortranarray(np.zeros((3, 4), np.float32)))
    layouts = Layouts()
    assert layouts[b.emit("dot_add", w, b.input(3, 2), b.input(2, 4))].strides == (1, 3)
    assert layouts[b.emit("dot", b.input(3, 2), b.input(2, 4))].strides == (4, 1)
    assert layouts[b.several("loop", w, body=inner, carries=1, slices=0, length=2)[0]].strides == (1, 3)
    repeated = b.emit("broadcast", b.input(4), shape=(3, 4))
    assert layouts[b.several("loop", repeated, body=inner, carries=1, slices=0, length=2)[0]].strides == (4, 1)


def images(b: Build, *shape: int) -> Reference:
    """Images whose samples are innermost in memory."""
    return reference(np.moveaxis(np.zeros((*shape[1:], shape[0]), np.float32), -1, 0))


def test_what_is_moved_lies_as_its_operands_do() -> None:
    b = Build()
    layouts = Layouts()
    x, part = images(b, 4, 3, 6), images(b, 4, 3, 2)
    zeros = b.emit("broadcast", constant(np.float32(0)), shape=(4, 3, 6))
    update = b.emit("update", zeros, part, slices=((0, 4, 1), (0, 3, 1), (1, 4, 2)))
    joined = b.emit("concatenate", x, part, axis=2)
    taken = b.emit("take", x, b.input(5, dtype=np.int64), axis=2)
    assert [layouts[v].strides for v in (update, joined, taken)] == [(1, 24, 4), (1, 32, 4), (1, 20, 4)]
    assert layouts[b.emit("concatenate", b.input(4, 3), b.input(4, 3), axis=0)].strides == (3, 1)


def test_sums_lie_as_what_they_are_sums_of() -> None:
    b = Build()
    layouts = Layouts()
    x = images(b, 4, 3, 6)
    sums = b.emit("reduce_add", x, axes=(2,))
    assert layouts[sums].strides == (1, 4)
    again = b.emit("sqrt", b.emit("reshape", sums, shape=(4, 3, 1)))  # an axis of length one has no order
    assert layouts[again].strides[:2] == (1, 4)
    assert layouts[b.emit("reduce_add", b.input(4, 3, 6), axes=(1,))].strides == (6, 1)


def _called(op: Any, *args: Any) -> Any:
    found = lowered(lambda *given: op(*given), *args).program
    return [i for i in found.body if i.name == "call"][-1]


@pytest.mark.parametrize("memory", [None, (1, 2, 0), (1, 0), "alike"])
def test_the_result_of_an_op_that_is_called_lies_as_the_op_says(memory: Any) -> None:
    op = tn.op(lambda x: np.partition(x, 1, axis=0), name="partitioned", nondiff=True, memory=memory)
    (result,) = _called(op, np.zeros((4, 3, 6), np.float32)).results
    usual, turned = (18, 6, 1), (1, 24, 4)
    assert Layouts()[result].strides == (turned if memory == (1, 2, 0) else usual)
    (result,) = _called(lambda x: op(np.transpose(x, (2, 0, 1))), np.zeros((3, 6, 4), np.float32)).results
    assert Layouts()[result].strides == (turned if memory in ("alike", (1, 2, 0)) else usual)


SAYING = {name: op for name, op in registry.items() if getattr(op, "memory", None) is not None}


@pytest.mark.parametrize("lie", [np.ascontiguousarray, batch_last])
@pytest.mark.parametrize("op", SAYING.values(), ids=SAYING)
def test_what_ops_say_of_their_results_is_true(op: Any, lie: Any) -> None:
    """Where it is not, a program is right, but copies."""
    for call in op.samples(np.random.default_rng(0)):
        args = tuple(lie(a) if isinstance(a, np.ndarray) and a.ndim > 2 else a for a in call.args)
        results = op.forward(*args, **call.kwargs)
        for result in results if isinstance(results, tuple) else (results,):
            order = op.memory
            if order == "alike":
                order = next((memory_order(a.shape, steps(a)) for a in args if np.ndim(a) == result.ndim), None)
            if order is not None and len(order) == result.ndim and result.size:
                own = ordered_strides(result.shape, order)
                assert memory_order(result.shape, steps(result)) == memory_order(result.shape, own), call


# -- copies ------------------------------------------------------------------------------------------------------


def test_a_copy_is_made_before_a_reshape_that_is_no_view_and_nowhere_else() -> None:
    b = Build()
    x = b.input(2, 3)
    turned = b.emit("transpose", x, axes=(1, 0))
    outs = [b.emit("reshape", turned, shape=(6,)), b.emit("reshape", x, shape=(3, 2))]
    program = b.program(*outs)
    layouts = Layouts()
    made = check(materialise(program, layouts))
    assert names(made) == ["transpose", "copy", "reshape", "reshape"]
    assert layouts[made.outputs[0]].root is made.body[1].results[0]
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert_equal(evaluate(made, [array]), evaluate(program, [array]))


def test_a_copy_of_what_is_not_row_major_is_row_major() -> None:
    b = Build()
    w = reference(np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)))
    layouts = Layouts()
    made = materialise(b.program(b.emit("reshape", w, shape=(6,))), layouts)
    assert names(made) == ["copy", "reshape"]
    assert layouts[made.outputs[0]].strides == (1,)


def test_a_program_that_needs_no_copy_is_left_alone() -> None:
    b = Build()
    program = b.program(b.emit("reshape", b.emit("exp", b.input(2, 3)), shape=(6,)))
    assert materialise(program, Layouts()) is program
