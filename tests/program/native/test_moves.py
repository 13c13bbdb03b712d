"""What moves elements about, as native code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.called_ops import Hole
from tapenet.program.ir import Reference, Value, Write

pytest.importorskip("llvmlite")

from tapenet.program.native import pieces
from tests.ops.test_native_functions import calls_python
from tests.program.native.running import assert_native, called, compiled, entries
from tests.program.passes.programs import Build, constant, numbers

R = np.random.default_rng(0)
ALL = slice(None)


def array(*shape: int, dtype: Any = np.float32) -> Any:
    return R.integers(-9, 10, shape).astype(dtype)


def native(b: Build, *outputs: Value, inputs: list[Any]) -> None:
    """The program runs without Python, and gives what the primitives mean."""
    assert called(assert_native(b.program(*outputs), *inputs)) == []


# -- joining and writing into a part -----------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.bool_])
def test_concatenate(axis: int, dtype: Any) -> None:
    b = Build()
    shapes = [tuple(n if i == axis else 3 for i in range(3)) for n in (2, 1, 4)]
    x, y, z = (b.input(*s, dtype=dtype) for s in shapes)
    made = b.emit("concatenate", x, y, z, x, axis=axis)
    native(b, made, b.emit("concatenate", z, axis=axis), inputs=[numbers(R, s, dtype) for s in shapes])


def test_concatenate_views() -> None:
    b = Build()
    x = b.input(4, 4)
    y = b.emit("exp", x)
    parts = [
        b.emit("transpose", y, axes=(1, 0)), b.emit("slice", x, slices=((3, -1, -1), (0, 4, 1))),
        b.emit("broadcast", b.emit("slice", y, slices=((1, 2, 1), (0, 4, 1))), shape=(4, 4)),
    ]  # fmt: skip
    assert_native(b.program(b.emit("concatenate", *parts, axis=1)), array(4, 4), rtol=1e-6)


SLICES = [((0, 3, 1), (1, 4, 1)), ((2, -1, -1), (0, 5, 2)), ((1, 2, 1), (4, 0, -3)), ((0, 3, 2), (0, 5, 1))]


@pytest.mark.parametrize("slices", SLICES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_update(slices: Any, order: Any) -> None:
    b = Build()
    base = Reference(tn.asarray(np.asarray(array(3, 5), order=order)))
    shape = tuple(len(range(*s)) for s in slices)
    value = b.input(*shape)
    made = b.emit("update", base, value, slices=slices)
    native(b, made, b.emit("add", made, base), inputs=[array(*shape)])


def test_update_of_something_by_a_part_of_it() -> None:
    b = Build()
    x = b.input(4, 3)
    y = b.emit("negative", x)
    upper = b.emit("slice", y, slices=((0, 2, 1), (0, 3, 1)))
    native(b, b.emit("update", y, upper, slices=((1, 3, 1), (0, 3, 1))), inputs=[array(4, 3)])


# -- gathering and scattering ------------------------------------------------------------------------------------

INDEX_TYPES = [np.int64, np.int32, np.int8, np.uint8]


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 3)])
def test_take(axis: int, shape: tuple[int, ...]) -> None:
    b = Build()
    x, i = b.input(3, 4, 5), b.input(*shape, dtype=np.int64)
    native(b, b.emit("take", x, i, axis=axis), inputs=[array(3, 4, 5), R.integers(-3, 3, shape)])


@pytest.mark.parametrize("dtype", INDEX_TYPES)
def test_kinds_of_indices(dtype: Any) -> None:
    b = Build()
    x, i = b.input(200, 2), b.input(5, dtype=dtype)
    last = 100 if dtype is np.int8 else 199
    index = np.array([0, 1, last, last - 1, 3 if dtype is np.uint8 else -1]).astype(dtype)
    native(b, b.emit("take", x, i, axis=0), inputs=[array(200, 2), index])


TEMPLATES = [
    (Hole(0),), (ALL, Hole(0)), (Hole(0), Hole(1)), (ALL, Hole(0), Hole(1)), (Hole(0), Hole(1), Hole(2)),
    (Hole(0), ALL, ALL),
]  # fmt: skip


@pytest.mark.parametrize("template", TEMPLATES, ids=str)
@pytest.mark.parametrize("shapes", [[(4,)] * 3, [(2, 1), (3,), ()], [(), (), ()]])
def test_index_put_and_scatter_add(template: Any, shapes: Any) -> None:
    """Repeated positions add up, or get the last of their values, which may have axes of length 1 in front."""
    domain = (3, 4, 5)
    count = sum(isinstance(t, Hole) for t in template)
    b = Build()
    x = b.input(*domain)
    index = [b.input(*s, dtype=np.int64) for s in shapes[:count]]
    found = b.emit("index", x, *index, template=template)
    put = b.emit("put", x, b.emit("negative", found), *index, template=template)
    in_front = (1, 1) if found.ndim else ()  # NumPy assigns no array to a single number
    deeper = b.emit(
        "put", x, b.reshape(b.emit("negative", found), (*in_front, *found.shape)), *index, template=template
    )
    added = b.emit("scatter_add", b.emit("add", found, found), *index, template=template, shape=domain)
    given = [R.integers(-3, 3, s) for s in shapes[:count]]
    native(b, found, put, deeper, added, inputs=[array(*domain), *given])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.int32])
def test_scattering_into_and_out_of_any_memory(order: Any, dtype: Any) -> None:
    b = Build()
    base = Reference(tn.asarray(np.asarray(array(6, 4, dtype=dtype), order=order)))
    values = b.input(4, 3, dtype=dtype)
    turned = b.emit("transpose", values, axes=(1, 0))
    rows = b.emit("slice", b.input(6, dtype=np.int64), slices=((4, -2, -2),))
    assert rows.shape == (3,)
    outs = [
        b.emit("put", base, turned, rows, template=(Hole(0),)),
        b.emit("scatter_add", turned, rows, template=(Hole(0),), shape=(6, 4)),
        b.emit("take", base, rows, axis=0),
    ]
    b.writes.append(Write(base, b.emit("add", base, outs[1])))
    native(b, *outs, inputs=[array(4, 3, dtype=dtype), np.array([5, 4, 3, 2, 1, 0])])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint8])
def test_rows_are_added_to_a_table(order: Any, dtype: Any, kind: Any) -> None:
    """Rows that are named often, once and never; the table is written where it is, or stays as it was."""
    rows = np.array([3, 3, 0, 5, 3, 0]).astype(kind)
    for shape in [(6, 4), (6, 2, 3), (6,)]:
        table = Reference(tn.asarray(np.asarray(array(*shape, dtype=dtype), order=order)))
        for write in (True, False):
            b = Build()
            values, index = b.input(6, *shape[1:], dtype=dtype), b.input(6, dtype=kind)
            made = b.emit("add_rows", table, values, index)
            if write:
                b.writes.append(Write(table, made))
            native(b, *([] if write else [made, table]), inputs=[array(6, *shape[1:], dtype=dtype), rows])


def test_rows_of_views_are_added() -> None:
    b = Build()
    table, values = b.input(7, 3), b.emit("transpose", b.input(3, 4), axes=(1, 0))
    index = b.emit("slice", b.input(8, dtype=np.int64), slices=((6, -2, -2),))
    given = np.array([1, 0, -1, 0, 6, 0, 1, 0])
    native(b, b.emit("add_rows", table, values, index), inputs=[array(7, 3), array(3, 4), given])


def test_many_small_rows_are_not_lost_beside_a_large_one() -> None:
    """Added one by one, none of them would change it."""
    n = 4096
    b = Build()
    table = Reference(tn.asarray(np.ones((3, 5), np.float32)))
    values, index = b.input(n, 5), b.input(n, dtype=np.int64)
    b.writes.append(Write(table, b.emit("add_rows", table, values, index)))
    compiled(b.program()).call(np.full((n, 5), 1e-8, np.float32), np.ones(n, np.int64))
    np.testing.assert_allclose(table.tensor._data[1], 1 + n * 1e-8, rtol=1e-7)
    np.testing.assert_array_equal(table.tensor._data[::2], 1)


TEMPLATES = [
    (Hole(0),),
    (ALL, Hole(0), Hole(1)),
    (Hole(0), ALL, Hole(1)),
    (Hole(1), Hole(0)),
    (slice(1, 3), Hole(0)),
    (slice(None, None, -2), Hole(0), slice(1, -1)),
    (2, Hole(0)),
    (Hole(0), ALL, -1),
    (1, ALL, Hole(0)),
]


@pytest.mark.parametrize("shapes", [((), ()), ((2,), (2,)), ((3, 1), (2,))])
@pytest.mark.parametrize("template", TEMPLATES)
def test_indices_are_native(template: Any, shapes: tuple[tuple[int, ...], ...]) -> None:
    """Read, written, and added at: also one number for all, and into a copy that is read afterwards."""
    b = Build()
    x = b.input(4, 4, 5)
    index = [
        b.input(*s, dtype=np.int64) for s, _ in zip(shapes, [t for t in template if isinstance(t, Hole)], strict=False)
    ]
    found = b.emit("index", x, *index, template=template)
    number = b.emit("slice", b.reshape(x, (80,)), slices=((7, 8, 1),))
    outs = [
        found,
        b.emit("put", x, b.emit("negative", found), *index, template=template),
        b.emit("put", b.emit("negative", x), number, *index, template=template),
        b.emit("add_at", b.emit("negative", x), found, *index, template=template),
        b.emit("scatter_add", found, *index, template=template, shape=(4, 4, 5)),
    ]
    native(b, *outs, inputs=[array(4, 4, 5), *(R.integers(-4, 4, i.shape) for i in index)])


def test_other_indices_are_run_by_python() -> None:
    b = Build()
    x, i = b.input(3, 4, 5), b.input(2, dtype=np.int64)
    template = (Ellipsis, Hole(0), None)
    y = b.emit("negative", x)
    found = b.emit("index", y, i, template=template)
    program = b.program(b.emit("negative", found), b.emit("put", y, found, i, template=template))
    runner = assert_native(program, array(3, 4, 5), R.integers(0, 3, 2))
    assert called(runner) == ["index", "put"]


def test_arrays_without_elements() -> None:
    b = Build()
    x, none, i = b.input(3, 2), b.input(0, 2), b.input(0, dtype=np.int64)
    outs = [
        b.emit("take", x, i, axis=0), b.emit("concatenate", none, x, none, axis=0),
        b.emit("scatter_add", none, i, template=(Hole(0),), shape=(3, 2)),
        b.emit("put", x, none, i, template=(Hole(0),)), b.emit("update", x, none, slices=((1, 1, 1), (0, 2, 1))),
    ]  # fmt: skip
    assert_native(b.program(*outs), array(3, 2), np.zeros((0, 2), np.float32), np.zeros(0, np.int64))


# -- searching ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.uint16, np.int64])
def test_the_first_of_the_largest(name: str, dtype: Any) -> None:
    b = Build()
    x = b.input(4, 5, 3, dtype=dtype)
    data = R.integers(0, 3, (4, 5, 3)).astype(dtype)
    native(b, *(b.emit(name, x, axis=axis) for axis in range(3)), inputs=[data])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("step", [1, 2, -1])
def test_the_first_of_the_largest_of_many(step: int, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In long rows, of which NumPy's function may be known, and in rows across."""
    if not known:
        monkeypatch.setattr("tapenet.program.native.ordering.extreme_function", lambda name, dtype: None)
    x = R.integers(0, 9, (3, 70, 40)).astype(np.float32)[:, ::step, ::step]
    x[1, 7] = x[1, 9] = x[:, 3:6, 2] = np.nan
    places = lambda x: [f(x, axis) for f in (np.argmax, np.argmin) for axis in (0, 1, 2, None)]
    f = tn.compile(places)
    for _ in range(3):
        for found, wanted in zip(f(x), places(x), strict=True):
            np.testing.assert_array_equal(found.numpy(), wanted)
    assert not calls_python(f)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_nan_counts_as_the_largest_and_the_smallest(name: str) -> None:
    b = Build()
    x = b.input(4, 4)
    data = np.array(
        [[1, np.nan, 5, np.nan], [np.nan, 1, 2, 3], [np.inf, -np.inf, np.inf, 0], [0.0, -0.0, 0.0, -0.0]], np.float32
    )
    native(b, b.emit(name, x, axis=1), b.emit(name, x, axis=0), inputs=[data])


# -- out of bounds -----------------------------------------------------------------------------------------------

MOVES: dict[str, Callable[[Build, Value, Value], Any]] = {
    "take": lambda b, x, i: b.emit("take", x, i, axis=0),
    "index": lambda b, x, i: b.emit("index", x, i, template=(Hole(0),)),
    "put": lambda b, x, i: b.emit("put", x, b.emit("slice", x, slices=((0, 2, 1), (0, 3, 1))), i, template=(Hole(0),)),
    "scatter_add": lambda b, x, i: b.emit(
        "scatter_add", b.emit("slice", x, slices=((0, 2, 1), (0, 3, 1))), i, template=(Hole(0),), shape=(4, 3)
    ),
    "add_rows": lambda b, x, i: b.emit("add_rows", x, b.emit("slice", x, slices=((0, 2, 1), (0, 3, 1))), i),
}


@pytest.mark.parametrize("name", MOVES)
def test_an_index_out_of_bounds_raises_and_nothing_is_written(name: str) -> None:
    """Whether the update reads what the index led to, is computed in the kernel before, or is the move itself."""
    p, q, s = (Reference(tn.asarray(array(4, 3))) for _ in range(3))
    b = Build()
    x, i = b.input(4, 3), b.input(2, dtype=np.int64)
    y = b.emit("add", x, p)
    moved = MOVES[name](b, y, i)
    total = b.emit("reduce_add", moved, axes=(0,))
    b.writes += [Write(p, b.emit("multiply", y, x)), Write(q, b.emit("subtract", q, total))]
    if moved.shape == s.shape:
        b.writes.append(Write(s, moved))
    runner = assert_native(b.program(total), array(4, 3), np.array([3, -4]))
    assert called(runner) == []
    before = [r.tensor._data.copy() for r in (p, q, s)]
    given = array(4, 3)
    for wrong in ([0, 4], [-5, 0], [2**40, 0], [0, -(2**62)]):
        for _ in range(2):
            with pytest.raises(IndexError, match="out of bounds"):
                runner.call(given, np.array(wrong))
            for r, data in zip((p, q, s), before, strict=True):
                np.testing.assert_array_equal(r.tensor._data, data)
    assert_native(b.program(total), given, np.array([0, -1]))  # as ever


def test_no_row_is_added_before_all_indices_are_known_to_be_inside() -> None:
    b = Build()
    table = Reference(tn.asarray(array(4, 3)))
    values, index = b.input(2, 3), b.input(2, dtype=np.int64)
    b.writes.append(Write(table, b.emit("add_rows", table, values, index)))
    runner = compiled(b.program())
    memory = runner.module.memory
    assert all(memory.buffer(w.value) == memory.buffer(w.target) for w in memory.program.writes)
    before = table.tensor._data.copy()
    for wrong in ([0, 4], [-5, 0]):
        with pytest.raises(IndexError, match="out of bounds"):
            runner.call(array(2, 3), np.array(wrong))
        np.testing.assert_array_equal(table.tensor._data, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64])
def test_small_and_unsigned_indices_out_of_bounds(dtype: Any) -> None:
    b = Build()
    x, i = b.input(4, 3), b.input(2, dtype=dtype)
    runner = compiled(b.program(b.emit("take", x, i, axis=0)))
    assert entries(runner) == ["take"]
    for wrong in [4, 200 if dtype is np.uint8 else 100]:
        with pytest.raises(IndexError, match="out of bounds"):
            runner.call(array(4, 3), np.array([0, wrong]).astype(dtype))


def test_nothing_runs_after_an_index_out_of_bounds() -> None:
    log: list[int] = []
    note = tn.op(lambda x: log.append(1) or x, name="note", nondiff=True, effect=True)
    b = Build()
    x, i = b.input(4), b.input(2, dtype=np.int64)
    found = b.emit("take", x, i, axis=0)
    runner = compiled(b.program(b.call(note, found, effect=True)))
    with pytest.raises(IndexError, match="out of bounds"):
        runner.call(array(4), np.array([0, 4]))
    assert log == []
    runner.call(array(4), np.array([0, 3]))
    assert log == [1]


@pytest.mark.parametrize("shape", [(40, 50), (41, 7), (3, 500), (1, 900)])
def test_large_moves_are_cut_into_pieces(shape: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PART", 1)
    b = Build()
    x, y = b.input(*shape), b.input(*shape)
    n, m = shape
    whole = b.emit("broadcast", constant(2.0), shape=(2 * n, 2 * m))
    made = b.emit("update", b.emit("exp", whole), x, slices=((0, 2 * n, 2), (1, 2 * m, 2)))
    made = b.emit("update", made, y, slices=((2 * n - 1, -1, -2), (0, 2 * m, 2)))
    program = b.program(made, b.emit("exp", b.transpose(made, (1, 0))))
    r = np.random.default_rng(0)
    runner = assert_native(program, *(r.normal(size=shape).astype("f4") for _ in range(2)), rtol=1e-5)
    assert "call void @tn_share" in runner.module.text


@pytest.mark.parametrize("dtype", ["f4", "i8"])
def test_zeros_that_are_added_to_are_written_in_pieces(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PART", 1)
    b = Build()
    values, i = b.input(3, 7, dtype=dtype), b.input(3, dtype=np.int64)
    program = b.program(b.emit("scatter_add", values, i, template=(Hole(0),), shape=(1001, 7)))
    runner = assert_native(program, array(3, 7, dtype=dtype), np.array([0, 999, -1]))
    assert "call void @tn_share" in runner.module.text


@pytest.mark.parametrize("shape", [(100,), (1, 131), (70, 3)])
def test_many_rows_are_read_and_added_in_parts(shape: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index out of bounds in any part is found, whatever the others find."""
    monkeypatch.setattr(pieces, "PART", 1)
    b = Build()
    n = int(np.prod(shape))
    table, i, values, j = b.input(40, 5), b.input(*shape, dtype=np.int64), b.input(n, 5), b.input(n, dtype=np.int64)
    made = [b.emit("take", table, i, axis=0), b.emit("add_rows", table, values, j)]
    given = [array(40, 5), R.integers(-40, 40, shape), array(n, 5), R.integers(-40, 40, n)]
    runner = assert_native(b.program(*made), *given)
    assert all("@tn_share" in runner.module.written[e][1].text for e in runner.module.entries)
    for wrong in (1, 3):
        for place in (0, n // 2, n - 1):
            broken = [a.copy() for a in given]
            broken[wrong].reshape(-1)[place] = 40
            for _ in range(5):
                with pytest.raises(IndexError, match="out of bounds"):
                    runner.call(*broken)
    assert_native(b.program(*made), *given)
