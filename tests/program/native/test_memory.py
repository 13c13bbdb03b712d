"""Where values live: memory is used again, tensors are written where they are, and nothing that is still read is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.program.ir import Program, Reference, Result, Value, Write

pytest.importorskip("llvmlite")

from tapenet.kernels import LARGE, PAGE
from tapenet.llvm.addresses import LINE
from tapenet.program.native import Runner
from tapenet.program.native import blocks as native_blocks
from tapenet.program.native.blocks import Block, place
from tapenet.program.native.memory import Arena, Memory, _dense, members
from tapenet.program.native.module import Module
from tests.compiler.lowered import program_of
from tests.program.native.generate import Loops, Rows
from tests.program.native.running import assert_native, compiled, entries
from tests.program.passes.programs import Build, Random, constant

R = np.random.default_rng(0)


def parameter(*shape: int, order: Any = "C") -> Reference:
    return Reference(tn.asarray(np.asarray(R.integers(-3, 4, shape), np.float32, order=order)))


def array(*shape: int) -> Any:
    return R.integers(-3, 4, shape).astype(np.float32)


def written(program: Program, *inputs: Any) -> Runner:
    """The runner of a program whose tensors are written where they are: no kernel copies them at the end."""
    runner = assert_native(program, *inputs)
    memory = runner.module.memory
    for write in runner.module.program.writes:
        assert memory.buffer(write.value) == memory.buffer(write.target)
    return runner


def copied(program: Program, *inputs: Any) -> None:
    """Some tensor of a program is written by a copy."""
    memory = assert_native(program, *inputs).module.memory
    assert any(memory.buffer(w.value) != memory.buffer(w.target) for w in memory.program.writes)


# -- the arena ---------------------------------------------------------------------------------------------------


def lifetimes(memory: Memory) -> list[tuple[Value, int, int]]:
    """What lives in memory, with the first and the last entry that need it."""
    defined: dict[Value, int] = {}
    last: dict[Value, int] = {}
    for at, entry in enumerate(memory.entries):
        for member in members(entry):
            defined.update((r, at) for r in member.results)
            for arg in member.args:
                last[memory.layouts[arg].root] = at
    end = len(memory.entries)
    last.update((root, end) for root in (memory.layouts[v].root for v in memory.program.outputs))
    return [(v, at, last.get(v, at)) for v, at in defined.items() if v in memory.stored]


def assert_apart(memory: Memory) -> None:
    """What is needed at the same time shares no bytes, unless a result takes the place of an operand."""
    places = []
    for value, first, last in lifetimes(memory):
        buffer = memory.buffer(value)
        if isinstance(buffer, Arena):
            places.append((buffer.offset, buffer.offset + value.nbytes, first, last))
            assert buffer.offset % (PAGE if value.nbytes >= LARGE else LINE) == 0
            assert buffer.offset + value.nbytes <= memory.arena_bytes
    for i, (a, b, first, last) in enumerate(places):
        for c, d, first2, last2 in places[:i]:
            if a < d and c < b:
                assert last <= first2 or last2 <= first


@pytest.mark.parametrize("kind", ["rows", "loops", "mixed"])
def test_nothing_is_written_over_what_is_still_read(kind: str) -> None:
    """What random programs compute is held against the primitives elsewhere; this looks at the plan."""
    shared = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        make: dict[str, Callable[[], Program]] = {
            "rows": lambda rng=rng: Rows(rng).program(40),  # type: ignore[misc]
            "loops": lambda rng=rng: Loops(rng).program(25),  # type: ignore[misc]
            "mixed": lambda seed=seed: Random(seed, floats=False).program(60),  # type: ignore[misc]
        }
        memory = Module(make[kind]()).memory
        assert_apart(memory)
        shared += memory.arena_bytes < memory.unshared_bytes
    assert shared >= 10


def test_a_chain_of_layers_needs_two_buffers_however_long_it_is() -> None:
    size = 16 * 16 * 4
    for length in (4, 40):
        b = Build()
        x: Value = b.input(16, 16)
        w = b.input(16, 16)
        for _ in range(length):
            x = b.emit("tanh", b.emit("dot", x, w))
        memory = compiled(b.program(b.emit("dot", x, w))).module.memory
        assert memory.arena_bytes <= 2 * size
        assert memory.unshared_bytes >= (length - 1) * size


def test_what_is_needed_until_the_end_is_not_shared() -> None:
    """As in a backward pass, which reads all that the forward pass computed."""
    b = Build()
    x: Value = b.input(16, 16)
    w = b.input(16, 16)
    layers = []
    for _ in range(6):
        x = b.emit("dot", x, w)
        layers.append(x)
    for layer in reversed(layers[:-1]):
        x = b.emit("dot", b.emit("subtract", x, layer), w)
    runner = assert_native(b.program(x), array(16, 16), np.eye(16, dtype=np.float32)[::-1].copy(), rtol=1e-5)
    memory = runner.module.memory
    assert 5 * 16 * 16 * 4 <= memory.arena_bytes < memory.unshared_bytes


def test_an_elementwise_result_takes_the_place_of_its_operand() -> None:
    b = Build()
    x, w = b.input(16, 16), b.input(16, 16)
    y = b.emit("negative", b.emit("dot", x, w))
    memory = assert_native(b.program(b.emit("dot", y, w)), array(16, 16), array(16, 16)).module.memory
    assert memory.arena_bytes == 16 * 16 * 4
    assert memory.unshared_bytes == 2 * memory.arena_bytes


def test_a_result_that_reads_another_element_of_its_operand_gets_a_place_of_its_own() -> None:
    b = Build()
    x, w = b.input(16, 16), b.input(16, 16)
    product = b.emit("dot", x, w)
    y = b.emit("negative", b.emit("transpose", product, axes=(1, 0)))
    z = b.emit("slice", b.emit("negative", y), slices=((15, -1, -1), (0, 16, 1)))
    program = b.program(b.emit("dot", b.emit("add", y, z), w))
    assert_apart(assert_native(program, array(16, 16), array(16, 16)).module.memory)


def test_what_is_written_to_in_part_keeps_its_place() -> None:
    """Part after part, and not where the part or somebody else is still to read what was there."""
    b = Build()
    x = b.input(6, 8)
    base = b.emit("negative", x)
    for i in range(3):
        part = b.emit("slice", x, slices=((i, i + 2, 1), (0, 8, 2)))
        base = b.emit("update", base, part, slices=((2 * i, 2 * i + 2, 1), (1, 8, 2)))
    memory = assert_native(b.program(b.emit("absolute", base)), array(6, 8)).module.memory
    assert memory.arena_bytes == 6 * 8 * 4

    for kept in (True, False):
        b = Build()
        base = b.emit("negative", b.input(6, 8))
        part = b.emit("slice", base, slices=((0, 3, 1), (0, 8, 1)))
        new = b.emit("update", base, part, slices=((3, 6, 1), (0, 8, 1)))
        out = b.emit("add", new, base) if kept else b.emit("absolute", new)
        memory = assert_native(b.program(out), array(6, 8)).module.memory
        assert memory.arena_bytes == 2 * 6 * 8 * 4


def test_the_largest_are_placed_first_and_others_around_them() -> None:
    """By size and entries: what is needed between two large values is beside neither, whichever comes first."""
    large, small, other, late = Block(512, 0, 1), Block(64, 1, 5), Block(448, 2, 3), Block(512, 4, 5)
    assert place([large, small, other, late]) == 576
    assert [block.offset for block in (large, small, other, late)] == [0, 512, 0, 0]


def test_large_places_begin_with_a_page() -> None:
    """What is left before and behind them is used."""
    blocks = [Block(64, 0, 2), Block(LARGE + 64, 0, 1), Block(LARGE + 64, 1, 2)]
    assert place(blocks) == PAGE + 2 * LARGE + 64
    assert [block.offset for block in blocks] == [LARGE + 64, 0, LARGE + PAGE]
    b = Build()
    x, w = b.input(1, 16), b.input(16, 1)
    y, z = b.input(256, 256), b.input(256, 256)
    small = b.emit("dot", x, w)
    once = b.emit("dot", y, z)
    program = b.program(b.emit("dot", small, small), b.emit("dot", b.emit("dot", once, y), once))
    given = [array(*shape) for shape in ((1, 16), (16, 1), (256, 256), (256, 256))]
    memory = assert_native(program, *given).module.memory
    assert_apart(memory)
    assert memory.arena_bytes == 2 * LARGE  # the small product is done before the second


@pytest.mark.parametrize("searched", [1000, 50])
def test_places_do_not_overlap(searched: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_blocks, "SEARCHED", searched)
    rng = np.random.default_rng(0)
    blocks = []
    for _ in range(200):
        first = int(rng.integers(100))
        blocks.append(Block(64 * int(rng.integers(1, 8)), first, first + int(rng.integers(20))))
    total = place(blocks)
    for i, a in enumerate(blocks):
        assert 0 <= a.offset <= total - a.size
        for b in blocks[:i]:
            if a.first <= b.last and b.first <= a.last:
                assert a.offset + a.size <= b.offset or b.offset + b.size <= a.offset
    needed = max(sum(b.size for b in blocks if b.first <= at <= b.last) for at in range(120))
    assert needed <= total < (1.2 if searched > len(blocks) else 2) * needed


def test_small_places_are_used_again_by_other_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a program with many, as of a loop that is unrolled over sequences that grow."""
    monkeypatch.setattr(native_blocks, "SEARCHED", 50)
    blocks = [Block(64 * (i + 1), i, i + 1) for i in range(500)]
    assert place(blocks) < 20 * blocks[-1].size
    assert place([Block(64 * 101, i, i + 1) for i in range(500)]) == 4 * 64 * 101  # none is larger than it need be


def test_dense_strides() -> None:
    assert _dense((3, 4), (4, 1))
    assert _dense((3, 4), (1, 3))
    assert _dense((1, 4), (77, 1))
    assert _dense((), ())
    assert not _dense((3, 4), (8, 1))
    assert not _dense((3, 4), (4, -1))
    assert not _dense((3, 4), (0, 1))


# -- tensors are written where they are --------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_update_is_computed_where_the_parameter_is(order: str) -> None:
    b = Build()
    p, g = parameter(7, 5, order=order), b.input(7, 5)
    b.writes.append(Write(p, b.emit("subtract", p, b.emit("multiply", g, constant(0.5)))))
    runner = written(b.program(), array(7, 5))
    assert entries(runner) == ["kernel"]
    assert runner.module.memory.arena_bytes == 0


def test_an_optimizers_state_is_updated_where_it_is() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    adam = optim.Adam(net.parameters(), lr=0.01)

    def step(x: Any) -> Any:
        loss = F.mse_loss(net(x), x[:, :3])
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss

    x = R.normal(size=(10, 6)).astype(np.float32)
    memory = compiled(program_of(step, x)).module.memory
    assert len(memory.program.writes) == 12
    assert all(memory.buffer(w.value) == memory.buffer(w.target) for w in memory.program.writes)


def test_a_parameter_that_a_later_entry_reads_is_written_at_the_end() -> None:
    b = Build()
    p, w, x = parameter(4, 4), b.input(4, 4), b.input(4, 4)
    new = b.emit("add", p, x)
    b.writes.append(Write(p, new))
    copied(b.program(b.emit("dot", b.emit("dot", new, w), p)), array(4, 4), array(4, 4))


def test_a_parameter_that_all_have_read_before_is_written_in_place() -> None:
    b = Build()
    p, w = parameter(4, 4), b.input(4, 4)
    b.writes.append(Write(p, b.emit("add", p, b.emit("dot", b.emit("dot", p, w), w))))
    written(b.program(), array(4, 4))


@pytest.mark.parametrize("view", ["transpose", "flip", "row"])
def test_a_parameter_that_is_read_in_another_order_is_written_at_the_end(view: str) -> None:
    b = Build()
    p, x = parameter(4, 4), b.input(4, 4)
    if view == "transpose":
        other = b.emit("transpose", p, axes=(1, 0))
    elif view == "flip":
        other = b.emit("slice", p, slices=((3, -1, -1), (0, 4, 1)))
    else:
        other = b.emit("broadcast", b.emit("slice", p, slices=((1, 2, 1), (0, 4, 1))), shape=(4, 4))
    b.writes.append(Write(p, b.emit("add", other, x)))
    copied(b.program(), array(4, 4))


def test_a_parameter_that_a_row_is_normalised_by() -> None:
    """It is read in each phase, and may be written in the last."""
    b = Build()
    p = parameter(5, 6)
    total = b.reshape(b.emit("reduce_maximum", p, axes=(1,)), (5, 1))
    b.writes.append(Write(p, b.emit("subtract", p, total)))
    written(b.program())
    b = Build()
    p = parameter(5, 6)
    doubled = b.emit("add", p, p)  # ready in the first phase, while the second reads p
    total = b.reshape(b.emit("reduce_add", doubled, axes=(1,)), (5, 1))
    b.writes.append(Write(p, doubled))
    copied(b.program(b.emit("subtract", p, total)))


def test_tensors_that_change_places() -> None:
    b = Build()
    p, q = parameter(3, 4), parameter(3, 4)
    b.writes += [Write(p, q), Write(q, p)]
    assert_native(b.program())
    b = Build()
    p, q = parameter(3, 4), parameter(3, 4)
    b.writes += [Write(p, b.emit("add", q, p)), Write(q, b.emit("subtract", p, q))]
    assert_native(b.program())


def test_one_value_written_to_two_tensors_and_returned() -> None:
    b = Build()
    p, q, x = parameter(3, 4), parameter(3, 4, order="F"), b.input(3, 4)
    new = b.emit("add", b.emit("add", p, q), x)
    b.writes += [Write(p, new), Write(q, new)]
    assert_native(b.program(new, new, b.emit("negative", new)), array(3, 4))


def test_a_tensor_with_gaps_and_one_without_elements() -> None:
    wide = np.zeros((3, 8), np.float32)
    gaps = Reference(tn.asarray(wide[:, ::2]))
    none = Reference(tn.asarray(np.zeros((0, 4), np.float32)))
    b = Build()
    x = b.input(3, 4)
    b.writes += [Write(gaps, b.emit("add", gaps, x)), Write(none, b.emit("negative", none))]
    runner = compiled(b.program())
    wide[:] = 5
    x_ = array(3, 4)
    runner.call(x_)
    np.testing.assert_array_equal(wide[:, ::2], 5 + x_)
    np.testing.assert_array_equal(wide[:, 1::2], 5)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_product_is_added_into_the_weight(order: str) -> None:
    b = Build()
    n, m = 80, 64
    w, x, g = parameter(n, m, order=order), b.input(8, n), b.input(8, m)
    gradient = b.emit("dot", x, g, ta=True)
    b.writes.append(Write(w, b.emit("subtract", w, b.emit("multiply", gradient, constant(0.5)))))
    runner = written(b.program(), array(8, n), array(8, m))
    assert "dot_add" in entries(runner)
    assert runner.module.memory.arena_bytes < n * m * 4


def test_a_step_of_an_embedding_holds_no_gradient_of_the_table() -> None:
    """Compiled and eager give the same table; the arena has room for rows, and for the numbers of all rows."""
    rows, width, n = 2000, 64, 50
    start = R.normal(size=(rows, width)).astype(np.float32)
    index = R.integers(rows // 100, size=n)  # with repetitions
    tables = []
    for compile in (False, True):
        table = nn.Embedding(rows, width)
        table.weight.data = start.copy()
        opt = optim.SGD(table.parameters(), lr=0.5)

        def step(index: Any, table: Any = table, opt: Any = opt) -> Any:
            loss = (table(index) ** 2).sum()
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss

        made = tn.compile(step, backend="native") if compile else step
        for _ in range(3):
            made(index)
        tables.append(table.weight.numpy())
    np.testing.assert_allclose(tables[1], tables[0], rtol=1e-5, atol=1e-6)
    module = made.variants[0].runner.module  # type: ignore[attr-defined]
    assert [e.name for e in module.entries if not hasattr(e, "members")] == ["take", "add_rows"]
    memory = module.memory
    assert all(memory.buffer(w.value) == memory.buffer(w.target) for w in module.program.writes)
    assert memory.arena_bytes < 8 * rows + 3 * 4 * n * width


def test_several_products_are_added_into_the_weight() -> None:
    b = Build()
    n, m = 80, 64
    w = parameter(n, m)
    total: Value = w
    for _ in range(3):
        total = b.emit("add", total, b.emit("dot", b.input(8, n), b.input(8, m), ta=True))
    b.writes.append(Write(w, total))
    runner = written(b.program(), *(array(8, k) for k in (n, m) * 3))
    assert entries(runner) == ["dot_add"] * 3
    assert runner.module.memory.arena_bytes == 0


def test_what_a_loop_carries_stays_in_its_tensor() -> None:
    body = Build()
    p, x = body.input(5), body.input(5)
    b = Build()
    target = parameter(5)
    (after,) = b.several(
        "loop", target, b.input(3, 5), body=body.program(body.emit("add", p, x)), carries=1, slices=1, length=3
    )
    b.writes.append(Write(target, after))
    assert entries(written(b.program(), array(3, 5))) == ["loop"]


# -- results -----------------------------------------------------------------------------------------------------


def test_results_are_nobody_elses() -> None:
    """Not the arguments, not tensors, not one another, and not what the next call gives."""
    b = Build()
    x, p = b.input(3, 4), parameter(3, 4)
    y = b.emit("exp", x)
    turned = b.emit("transpose", y, axes=(1, 0))
    outputs = [x, y, y, turned, p, constant(np.ones((2, 2))), b.emit("broadcast", x, shape=(2, 3, 4))]
    runner = assert_native(b.program(*outputs), array(3, 4), rtol=1e-6)
    given = array(3, 4)
    first, second = list(runner.call(given)), list(runner.call(given))
    arrays = [*first, *second, given, p.tensor._data]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, other) for other in arrays[:i])
        assert a.flags.f_contiguous if a.shape == (4, 3) else a.flags.c_contiguous  # as it would lie in NumPy
        assert a.flags.writeable


def test_results_are_root_values_of_their_own() -> None:
    b = Build()
    y = b.emit("exp", b.input(3, 4))
    program = compiled(b.program(y, y, b.emit("transpose", y, axes=(1, 0)))).module.program
    assert len(set(program.outputs)) == 3
    assert all(isinstance(v, Result) and v.instruction.kind != "view" for v in program.outputs)
