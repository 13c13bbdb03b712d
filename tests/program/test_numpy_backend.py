"""The NumPy backend: right on every program, and never in memory that is somebody else's."""

from __future__ import annotations

import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.ir import Host, Program, Reference, Value, Write
from tapenet.program.numpy_backend import Runner, build
from tapenet.program.passes import simplify
from tests.program.evaluate import evaluate
from tests.program.passes.programs import Build, Random, constant, numbers


def reference(array: Any) -> Reference:
    """A tensor from outside around this very array."""
    return Reference(tn.asarray(np.asarray(array, np.float32)))


def storage(reference: Reference) -> Any:
    return reference.tensor._data


# -- all programs ------------------------------------------------------------------------------------------------


def strided(array: Any) -> Any:
    """The same values with gaps between them."""
    if not array.ndim:
        return array
    room = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    room[..., ::2] = array
    return room[..., ::2]


ORDERS: list[Callable[[Any], Any]] = [np.array, lambda a: np.array(a, order="F"), strided]


def assert_same(found: Any, expected: Any) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-30)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed: int) -> None:
    """As the primitives mean it, whatever the memory order of arguments and tensors."""
    rng = np.random.default_rng(seed)
    drawn = Random(seed, floats=seed % 2 == 0).program(25)
    for r in drawn.references:
        r.tensor._data = ORDERS[seed % 3](r.tensor._data)
    for program in (drawn, simplify(drawn)):
        runner = build(program)
        before = [(w.target.tensor, w.target.tensor._data.copy()) for w in program.writes]
        for order in ORDERS:
            inputs = [order(numbers(rng, v.shape, v.dtype)) for v in program.inputs]
            expected = evaluate(program, inputs)
            found = runner(*inputs)
            for f, e in zip(found, expected.outputs, strict=True):
                assert_same(f, e)
            for tensor, value in expected.writes.items():
                assert_same(tensor._data, value)
            for tensor, data in before:
                np.copyto(tensor._data, data)


# -- results -----------------------------------------------------------------------------------------------------


def test_results_are_nobody_elses() -> None:
    b = Build()
    x, p, c = b.input(2, 3), reference(np.ones((2, 3))), constant(np.ones((2, 3)))
    y = b.emit("add", x, p)
    flat = b.reshape(y, (6,))
    outputs = [
        x,
        b.transpose(x, (1, 0)),
        p,
        b.reshape(p, (6,)),
        c,
        y,
        y,
        flat,
        b.transpose(y, (1, 0)),
        b.emit("exp", y),
    ]
    runner = build(b.program(*outputs))
    given = np.zeros((2, 3), np.float32)
    first = runner(given)
    kept = [f.copy() for f in first]
    second = runner(given + 1)
    arrays = [given, storage(p), c.array, *first, *second]
    for i, f in enumerate([*first, *second], 3):
        assert type(f) is np.ndarray
        assert not any(np.may_share_memory(f, other) for k, other in enumerate(arrays) if k != i)
    for f, k in zip(first, kept, strict=True):
        np.testing.assert_array_equal(f, k)


def test_numbers_are_arrays_without_axes() -> None:
    b = Build()
    total = b.emit("reduce_add", b.input(3), axes=(0,))
    (found,) = build(b.program(total))(np.ones(3, np.float32))
    assert type(found) is np.ndarray
    assert found.shape == ()
    assert found == 3


def test_no_results() -> None:
    assert build(Build().program())() == ()


def test_nothing_warns() -> None:
    b = Build()
    x = b.input(2)
    outputs = [b.emit("divide", x, x), b.emit("log", x), b.emit("exp", b.emit("exp", b.emit("exp", x)))]
    found = build(b.program(*outputs))(np.array([0, 100], np.float32))
    np.testing.assert_array_equal(found[0], [np.nan, 1])
    np.testing.assert_array_equal(found[1], [-np.inf, np.log(np.float32(100))])
    assert np.geterr()["divide"] == "warn"


# -- writes ------------------------------------------------------------------------------------------------------


def step(b: Build, p: Reference, rate: Value) -> Value:
    """A step of gradient descent, and its gradient."""
    g = b.emit("exp", p)
    new = b.emit("subtract", p, b.emit("multiply", g, rate))
    b.writes.append(Write(p, new))
    return new


@pytest.mark.parametrize("order", range(3))
def test_an_update_is_written_where_the_tensor_is(order: int) -> None:
    p = reference(ORDERS[order](np.ones((2, 3), np.float32)))
    array = storage(p)
    b = Build()
    step(b, p, constant(0.5))
    build(b.program())()
    np.testing.assert_allclose(array, np.full((2, 3), 1 - 0.5 * np.e), rtol=1e-6)
    assert storage(p) is array


def test_an_update_behind_a_view() -> None:
    p = reference(np.arange(3.0))
    b = Build()
    x = b.input(1, 3)
    b.writes.append(Write(p, b.reshape(b.emit("add", x, p), (3,))))
    build(b.program())(np.ones((1, 3), np.float32))
    np.testing.assert_array_equal(storage(p), [1, 2, 3])


def test_an_old_value_that_is_still_read_stays_to_the_end() -> None:
    p = reference([1.0, 2.0])
    b = Build()
    new = step(b, p, constant(0.5))
    late = b.emit("multiply", p, new)
    found = build(b.program(late, p, new))()
    expected = np.array([1.0, 2.0], np.float32)
    after = expected - np.exp(expected) / 2
    for f, e in zip(found, (expected * after, expected, after), strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-6)
    np.testing.assert_allclose(storage(p), after, rtol=1e-6)


def test_tensors_that_change_places() -> None:
    p, q, r = reference([1.0, 2.0]), reference([3.0, 4.0]), reference([5.0, 6.0])
    b = Build()
    b.writes += [Write(p, q), Write(q, p), Write(r, b.transpose(p, (0,)))]
    build(b.program())()
    assert [storage(t).tolist() for t in (p, q, r)] == [[3, 4], [1, 2], [1, 2]]


def test_a_matrix_written_transposed_to_itself() -> None:
    p = reference(np.arange(4.0).reshape(2, 2))
    b = Build()
    b.writes.append(Write(p, b.transpose(p, (1, 0))))
    build(b.program())()
    np.testing.assert_array_equal(storage(p), [[0, 2], [1, 3]])


def test_one_value_written_to_two_tensors() -> None:
    p, q = reference([1.0, 2.0]), reference([3.0, 4.0])
    b = Build()
    new = b.emit("add", p, q)
    b.writes += [Write(p, new), Write(q, new)]
    build(b.program())()
    assert storage(p).tolist() == storage(q).tolist() == [4, 6]


def test_tensors_that_overlap_are_written_at_the_end() -> None:
    room = np.arange(5, dtype=np.float32)
    p, q = reference(room[:4]), reference(room[1:])
    assert np.shares_memory(storage(p), storage(q))
    b = Build()
    first = b.emit("add", p, constant(10.0))
    b.writes.append(Write(p, first))
    found = build(b.program(b.emit("multiply", q, b.emit("add", first, constant(0.0)))))()
    np.testing.assert_array_equal(found[0], [1 * 10, 2 * 11, 3 * 12, 4 * 13])
    np.testing.assert_array_equal(room, [10, 11, 12, 13, 4])


def test_an_argument_in_the_memory_of_a_tensor_is_read_before_that_is_written() -> None:
    room = np.arange(7, dtype=np.float32)
    p = reference(room[:6])
    b = Build()
    x = b.input(6)
    new = b.emit("multiply", p, constant(2.0))
    b.writes.append(Write(p, new))
    (found,) = build(b.program(b.emit("add", b.emit("square", x), new)))(room[1:])
    np.testing.assert_array_equal(found, np.arange(1, 7) ** 2 + 2 * np.arange(6))


def test_a_number_is_written_too() -> None:
    p = reference(2.0)
    b = Build()
    b.writes.append(Write(p, b.emit("square", p)))
    runner = build(b.program())
    runner()
    runner()
    assert storage(p) == 16


# -- tensors that are given other arrays -------------------------------------------------------------------------


def test_tensors_may_be_given_other_arrays() -> None:
    p = reference(np.ones((2, 3)))
    b = Build()
    x = b.input(3, 2)
    y = b.emit("add", x, b.transpose(p, (1, 0)))
    b.writes.append(Write(p, b.emit("negative", p)))
    runner = build(b.program(y, b.reshape(p, (6,))))
    zeros = np.zeros((3, 2), np.float32)
    old = storage(p)
    for order in ORDERS:
        p.tensor._data = order(np.arange(6, dtype=np.float32).reshape(2, 3))
        found, flat = runner(zeros)
        np.testing.assert_array_equal(found, np.arange(6).reshape(2, 3).T)
        np.testing.assert_array_equal(flat, np.arange(6))
        np.testing.assert_array_equal(storage(p), -np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(old, np.ones((2, 3)))
    p.tensor._data = np.ones((2, 3), np.float32)
    assert runner.refresh()
    np.testing.assert_array_equal(runner.call(zeros)[0], np.ones((3, 2)))
    p.tensor._data = np.ones((2, 3))
    assert not runner.refresh()
    with pytest.raises(ValueError, match="another shape or dtype"):
        runner(zeros)


def test_tensors_that_come_to_overlap() -> None:
    p, q = reference(np.arange(4.0)), reference(np.zeros(4))
    b = Build()
    new = b.emit("add", p, constant(10.0))
    b.writes.append(Write(p, new))
    runner = build(b.program(b.emit("multiply", q, constant(1.0))))
    room = np.arange(5, dtype=np.float32)
    p.tensor._data, q.tensor._data = room[:4], room[1:]
    np.testing.assert_array_equal(runner()[0], [1, 2, 3, 4])


# -- what is called ----------------------------------------------------------------------------------------------


def test_what_a_called_op_returns_may_be_its_argument() -> None:
    """Then that is kept as long as the result is needed."""
    same = tn.op(lambda a: a[::-1], name="same", nondiff=True)
    b = Build()
    x = b.emit("exp", b.input(3))
    y = b.call(same, x)
    other = b.emit("negative", b.emit("exp", b.emit("negative", b.input(3))))
    found = build(b.program(other, b.emit("add", y, other), y))(np.arange(3, dtype=np.float32), np.ones(3, np.float32))
    np.testing.assert_allclose(found[2], np.exp([2.0, 1.0, 0.0]), rtol=1e-6)
    np.testing.assert_allclose(found[1], np.exp([2.0, 1.0, 0.0]) - np.exp(-1), rtol=1e-6)
    assert found[2].flags.writeable
    assert found[2].base is None


def test_an_op_with_an_effect_may_keep_what_it_is_given() -> None:
    kept: list[Any] = []
    keep = tn.op(lambda a: kept.append(a) or a, name="keep", nondiff=True, effect=True)
    b = Build()
    x = b.emit("exp", b.input(3))
    b.call(keep, x, effect=True)
    y = b.emit("negative", b.emit("square", x))
    runner = build(b.program(y))
    for value in (0.0, 1.0):
        runner(np.full(3, value, np.float32))
    np.testing.assert_allclose(kept, [[1, 1, 1], [np.e, np.e, np.e]], rtol=1e-6)


# -- the host ----------------------------------------------------------------------------------------------------


def test_the_host_is_asked_in_order_at_each_call() -> None:
    asked: list[str] = []
    large = np.zeros(1000, np.float32)

    def ask(name: str, value: Any) -> Callable[[], Any]:
        return lambda: (asked.append(name), value)[1]

    b = Build()
    b.hosts += [
        Host((), np.dtype(np.float32), ask("number", 2.0)),
        Host((), np.dtype(np.int64), ask("nobody's", 1)),
        Host((2,), np.dtype(np.float32), ask("small", (1.0, 2.0))),
        Host((1000,), np.dtype(np.float32), ask("large", large)),
    ]
    number, _, small, draws = b.hosts
    runner = build(b.program(b.emit("multiply", number, small), b.emit("add", draws, number)))
    for count in (1, 2):
        large[:] = count
        found = runner()
        assert found[0].tolist() == [2, 4]
        np.testing.assert_array_equal(found[1], np.full(1000, count + 2))
        assert asked == ["number", "nobody's", "small", "large"] * count


def test_a_host_array_of_another_shape_is_an_error() -> None:
    b = Build()
    b.hosts.append(Host((1000,), np.dtype(np.float32), lambda: np.zeros(999, np.float32)))
    with pytest.raises(ValueError, match="999"):
        build(b.program(b.emit("exp", b.hosts[0])))()


# -- calls that overlap, fail, repeat ----------------------------------------------------------------------------


def doubling(n: int = 20_000) -> Runner:
    """2x in many steps, through scratch memory."""
    b = Build()
    x = y = b.input(n)
    for _ in range(10):
        y = b.emit("multiply", b.emit("add", y, x), constant(0.5))
    return build(b.program(b.emit("add", y, x)))


def test_threads_do_not_meet() -> None:
    runner = doubling()
    wrong: list[Any] = []

    def work(value: float) -> None:
        x = np.full(20_000, value, np.float32)
        for _ in range(50):
            (found,) = runner(x)
            if not (found == 2 * value).all():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(float(v),)) for v in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_call_from_within_a_call() -> None:
    runners: list[Runner] = []
    inner: list[Any] = []

    def again(a: Any) -> Any:
        if a[0] > 0:
            inner.append(runners[0](a - 1)[0])
        return a

    b = Build()
    x = b.emit("multiply", b.input(2), constant(1.0))
    y = b.call(tn.op(again, name="again", nondiff=True, effect=True), x, effect=True)
    runners.append(build(b.program(b.emit("add", x, y))))
    (found,) = runners[0](np.array([2.0, 2.0], np.float32))
    assert found.tolist() == [4, 4]
    assert [i.tolist() for i in inner] == [[0, 0], [2, 2]]


def test_an_error_leaves_the_runner_as_it_was() -> None:
    b = Build()
    x, i = b.input(3), b.input(2, dtype=np.int64)
    y = b.emit("negative", b.emit("take", b.emit("exp", x), i, axis=0))
    runner = build(b.program(y))
    zeros = np.zeros(3, np.float32)
    with pytest.raises(IndexError, match="out of bounds") as caught:
        runner(zeros, np.array([0, 3]))
    text = "".join(traceback.format_exception(caught.value))
    assert ".take(x1, 0)" in text  # the traceback shows the statement
    assert runner(zeros, np.array([0, 2]))[0].tolist() == [-1, -1]


# -- loops and branches ------------------------------------------------------------------------------------------


def body(make: Callable[[Build], list[Value]]) -> Program:
    b = Build()
    return b.program(*make(b))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 4])
def test_a_loop(length: int, reverse: bool) -> None:
    def turn(b: Build) -> list[Value]:
        carry, x, scale = b.input(2), b.input(2), b.input()
        new = b.emit("add", b.emit("multiply", carry, scale), x)
        return [new, b.emit("square", new), carry]

    b = Build()
    carry, xs, scale = b.input(2), b.input(length, 2), b.input()
    params = {"body": body(turn), "carries": 1, "slices": 1, "length": length}
    outs = b.several("loop", carry, xs, scale, **params, **({"reverse": True} if reverse else {}))
    runner = build(b.program(*outs))
    r = np.random.default_rng(0)
    inputs = [r.normal(size=s).astype(np.float32) for s in ((2,), (length, 2), ())]
    expected = evaluate(runner.program, inputs)
    for _ in range(2):
        for f, e in zip(runner(*inputs), expected.outputs, strict=True):
            assert_same(f, e)
            assert not any(np.may_share_memory(f, x) for x in inputs)


def test_a_branch() -> None:
    def exp(b: Build) -> list[Value]:
        return [b.emit("exp", b.input(2))]

    def same(b: Build) -> list[Value]:
        return [b.input(2)]

    b = Build()
    condition, x = b.input(dtype=bool), b.input(2)
    (y,) = b.several("branch", condition, x, true=body(exp), false=body(same))
    runner = build(b.program(y))
    given = np.zeros(2, np.float32)
    assert runner(np.array(True), given)[0].tolist() == [1, 1]
    (found,) = runner(np.array(False), given)
    assert found.tolist() == [0, 0]
    assert not np.may_share_memory(found, given)


# -- what it is made of ------------------------------------------------------------------------------------------


def test_the_code_has_no_text_of_the_users() -> None:
    op = tn.op(lambda a: a, name="__import__('os')", nondiff=True)
    b = Build()
    runner = build(b.program(b.call(op, b.input(2))))
    assert "import" not in runner.source


def chain(count: int) -> Program:
    b = Build()
    x = y = b.input(8)
    for i in range(count // 2):
        y = b.emit("multiply" if i % 3 else "subtract", b.emit("add", y, x), y)
    return b.program(y)


def test_building_grows_linearly() -> None:
    """In calls of Python functions, which do not depend on the machine."""

    def calls(count: int) -> int:
        program = chain(count)
        made = 0

        def profile(frame: Any, event: str, arg: Any) -> None:
            nonlocal made
            made += event == "call"

        sys.setprofile(profile)
        try:
            build(program)
        finally:
            sys.setprofile(None)
        return made

    assert calls(10_000) < 10.5 * calls(1000)


def test_views_of_views_do_not_recurse() -> None:
    b = Build()
    x = b.input(2, 3)
    y: Value = x
    for _ in range(2000):
        y = b.emit("transpose", y, axes=(1, 0))
    (found,) = build(b.program(y))(np.arange(6, dtype=np.float32).reshape(2, 3))
    np.testing.assert_array_equal(found, np.arange(6).reshape(2, 3))


def test_what_numpy_allocates_is_freed_where_nobody_needs_it() -> None:
    alive: list[int] = []
    look = tn.op(
        lambda a: (alive.append(sum(ref() is not None for ref in made)), np.array(a))[1], name="look", nondiff=True
    )
    made: list[weakref.ref[Any]] = []

    def new(a: Any) -> Any:
        array = a + 1
        made.append(weakref.ref(array))
        return array

    b = Build()
    y: Value = b.input(3)
    for _ in range(4):
        y = b.reshape(b.reshape(b.call(tn.op(new, name="new", nondiff=True), y), (3, 1)), (3,))
    (found,) = build(b.program(b.call(look, y)))(np.zeros(3, np.float32))
    assert found.tolist() == [4, 4, 4]
    assert alive == [1]
