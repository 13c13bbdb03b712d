"""Loops and branches as native code."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program import numpy_backend
from tapenet.program.called_ops import Hole
from tapenet.program.ir import Constant, Program, Reference, Value, Write
from tapenet.program.layout import Layouts
from tapenet.program.native import entry
from tapenet.program.passes import simplify
from tapenet.program.primitives import Spec

pytest.importorskip("llvmlite")

from tapenet.program.native.products import operands
from tests.program.native.generate import Loops
from tests.program.native.running import assert_native, called, compiled, entered, entries  # noqa: F401  (a fixture)
from tests.program.passes.programs import Build, constant, in_place, ordinary, with_gradient

R = np.random.default_rng(0)


def array(*shape: int, dtype: Any = np.float32) -> Any:
    return R.integers(-3, 4, shape).astype(dtype)


def loop(
    b: Build, make: Callable[..., Any], carried: list[Value], slices: list[Value], length: int,
    closed: list[Value] | None = None, **params: Any,
) -> Any:  # fmt: skip
    """Emit a loop whose body is made by a function of a builder and values: it returns new carries and other results."""
    body = Build()
    given = [*carried, *slices, *(closed or [])]
    shapes = [v.shape[1:] if v in slices else v.shape for v in given]
    inputs = [body.input(*s, dtype=v.dtype) for s, v in zip(shapes, given, strict=True)]
    program = body.program(*make(body, *inputs))
    counts = {"carries": len(carried), "slices": len(slices), "length": length}
    made = b.several("loop", *given, body=program, **counts, **params)
    return made


def cumulative(length: int, **params: Any) -> Program:
    """Running sums, scaled by what is closed over."""
    b = Build()
    start, xs, scale = b.input(3), b.input(length, 3), b.input(3)

    def body(b: Build, c: Value, x: Value, w: Value) -> list[Any]:
        total = b.emit("add", c, b.emit("multiply", x, w))
        return [total, b.emit("negative", total), x]

    return b.program(*loop(b, body, [start], [xs], length, [scale], **params))


# -- loops -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 2, 50])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop(length: int, reverse: bool) -> None:
    program = cumulative(length, **({"reverse": True} if reverse else {}))
    runner = assert_native(program, array(3), array(length, 3), array(3))
    assert entries(runner) == ["loop"]
    assert called(runner) == []


def test_code_and_scratch_do_not_grow_with_the_length() -> None:
    short, long = (compiled(cumulative(n)).module for n in (2, 20_000))
    assert short.text.count("\n") == long.text.count("\n")
    assert short.memory.arena_bytes == long.memory.arena_bytes


def test_a_captured_scan_is_compiled_as_a_loop() -> None:
    def f(x: Any) -> Any:
        total, steps = tn.scan(lambda c, row: (c + row, c * row), np.zeros(3), x)
        return total + steps.sum(axis=0)

    counts = set()
    for length in (2, 300):
        compiled = tn.compile(f, backend="native")
        x = array(length, 3, dtype=np.float64)
        for shifted in (x, x + 1):
            np.testing.assert_array_equal(compiled(shifted).numpy(), f(tn.tensor(shifted)).numpy())
        counts.add(compiled.variants[0].runner.module.text.count("\n"))  # type: ignore[attr-defined]
    assert len(counts) == 1


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_over_nothing(reverse: bool) -> None:
    def f(x: Any, c: Any) -> Any:
        return list(tn.scan(lambda c, row: (c + row, c * 2), c, x, reverse=reverse))

    compiled = tn.compile(f, backend="native")
    x, c = np.zeros((0, 3)), array(3, dtype=np.float64)
    for _ in range(2):
        total, steps = compiled(x, c)
        np.testing.assert_array_equal(total.numpy(), c)
        assert (steps.shape, steps.dtype) == ((0, 3), np.float64)
        assert not np.shares_memory(total.numpy(), c)
    b = Build()
    start, xs = b.input(3), b.input(0, 3)
    outs = loop(b, lambda b, c, x: [b.emit("add", c, x), x], [start], [xs], 0)
    assert_native(b.program(*outs), array(3), array(0, 3))
    b = Build()
    (out,) = loop(b, lambda b, c: [b.emit("exp", c)], [b.input(3)], [], 0)
    assert_native(b.program(out), array(3))


# -- what is carried ---------------------------------------------------------------------------------------------

CARRIED: dict[str, Callable[..., list[Any]]] = {
    "exchanged": lambda b, p, q, x: [q, p],
    "rotated": lambda b, p, q, x: [q, b.emit("add", p, q)],
    "one for both": lambda b, p, q, x: [b.emit("add", p, x), b.emit("add", p, x)],
    "the same for both": lambda b, p, q, x: [b.emit("add", p, x)] * 2,
    "kept": lambda b, p, q, x: [p, b.emit("add", q, p)],
    "the slice": lambda b, p, q, x: [x, b.emit("add", p, q)],
    "a constant": lambda b, p, q, x: [constant(np.ones((4, 4))), b.emit("add", p, q)],
    "turned": lambda b, p, q, x: [b.emit("transpose", p, axes=(1, 0)), b.emit("add", p, q)],
    "flipped": lambda b, p, q, x: [b.emit("slice", q, slices=((3, -1, -1), (0, 4, 1))), p],
    "a product": lambda b, p, q, x: [b.emit("dot", p, x), b.emit("maximum", q, x)],
    "read after": lambda b, p, q, x: [x, b.emit("subtract", q, b.emit("transpose", p, axes=(1, 0)))],
}


@pytest.mark.parametrize("kind", CARRIED)
@pytest.mark.parametrize("order", ["C", "F"])
def test_carries_that_depend_on_each_other(kind: str, order: Any) -> None:
    """They live in the results from the first turn on, and a turn must not overwrite what it still has to read."""
    start = Reference(tn.asarray(np.asarray(array(4, 4), order=order)))
    b = Build()
    q, xs = b.input(4, 4), b.input(3, 4, 4)

    def body(b: Build, p: Value, q: Value, x: Value) -> list[Any]:
        after = CARRIED[kind](b, p, q, x)
        return [*after, p, after[0]]

    outs = loop(b, body, [start, q], [xs], 3)
    program = b.program(*outs)
    small = np.sign(array(3, 4, 4))
    assert called(assert_native(program, array(4, 4), small)) == []
    b.writes.append(Write(start, outs[0]))
    assert_native(b.program(*outs[1:]), array(4, 4), small)


def test_the_first_carry_is_not_written_to() -> None:
    b = Build()
    x = b.input(3)
    y = b.emit("exp", x)
    outs = loop(b, lambda b, c, d: [b.emit("negative", c), b.emit("add", d, c)], [y, y], [], 3)
    assert_native(b.program(*outs, y, b.emit("sqrt", y)), array(3), rtol=1e-6)


@pytest.mark.parametrize("kind", ["part", "backwards", "turned"])
def test_the_first_carry_may_lie_anywhere(kind: str) -> None:
    wide = array(6, 8)
    views = {"part": wide[::2, ::2], "backwards": wide[2::-1, :4], "turned": wide.T[:3, :4]}
    p = Reference(tn.asarray(views[kind]))
    b = Build()
    start = b.emit("broadcast", b.input(1, 4), shape=(3, 4))
    outs = loop(b, lambda b, c, d: [b.emit("add", c, d), b.emit("negative", d)], [p, start], [], 3)
    assert_native(b.program(*outs), array(1, 4))


def test_numbers_truths_and_counts_are_carried() -> None:
    b = Build()
    carried = [b.input(dtype=np.int64), b.input(dtype=bool), b.input(2, dtype=np.float64)]

    def body(b: Build, n: Value, flag: Value, x: Value) -> list[Any]:
        return [
            b.elementwise("add", n, 1), b.emit("logical_not", flag), b.emit("where", flag, b.emit("negative", x), x),
            n, flag,
        ]  # fmt: skip

    outs = loop(b, body, list(carried), [], 5)
    assert_native(b.program(*outs), np.array(3), np.array(True), array(2, dtype=np.float64))


@pytest.mark.parametrize("order", ["C", "F"])
def test_slices_of_any_memory(order: Any) -> None:
    wide = np.asarray(array(6, 4, 10), order=order)
    xs = Reference(tn.asarray(wide[::-2, :, 1::3]))
    b = Build()
    outs = loop(b, lambda b, c, x: [b.emit("add", c, x), x], [b.input(4, 3)], [xs], 3)
    assert_native(b.program(*outs), array(4, 3))


def test_constants_in_a_body_and_scratch_of_its_own() -> None:
    b = Build()
    w = constant(array(4, 4))

    def body(b: Build, c: Value, x: Value) -> list[Any]:
        y = b.emit("dot", b.emit("dot", b.emit("maximum", c, x), w), w)
        small = b.emit("minimum", b.emit("maximum", y, constant(-4)), constant(4))
        return [small, b.emit("reduce_add", y, axes=(0, 1))]

    outs = loop(b, body, [b.input(4, 4)], [b.input(5, 4, 4)], 5)
    runner = assert_native(b.program(*outs), array(4, 4), array(5, 4, 4))
    assert called(runner) == []
    assert runner.module.memory.arena_bytes >= 4 * 4 * 4


def test_matrices_that_products_read_across_are_copied_to_dense_rows_once() -> None:
    """Each matrix is read in one way by a product, and in the other by the next one, or is a part of what is outside."""
    b = Build()
    turns, rows, n = 30, 4, 24
    matrices = [b.input(n, n), b.input(2, n, n), Reference(tn.tensor(np.asfortranarray(array(n, n))))]

    def body(b: Build, c: Value, w: Value, batch: Value, other: Value) -> list[Any]:
        c = b.emit("minimum", b.emit("absolute", b.emit("dot", c, w, tb=True)), b.broadcast(constant(2.0), c.shape))
        part = b.reshape(b.emit("slice", batch, slices=((1, 2, 1), (0, n, 1), (0, n, 1))), (n, n))
        both = b.emit("add", b.emit("dot", c, w), b.emit("dot", c, b.transpose(part, (1, 0))))
        again = b.emit("dot", b.broadcast(c, (2, *c.shape)), batch, tb=True)
        return [c, both, again, b.emit("dot", c, other)]

    program = b.program(*loop(b, body, [b.input(rows, n)], [], turns, matrices))
    runner = assert_native(program, *(array(*v.shape) for v in program.inputs))
    (turn,) = (i for i in runner.module.instructions() if i.name == "loop")
    inputs, args = turn.params["body"].inputs, turn.args
    inside = Layouts({v: runner.module.layouts[a].strides for v, a in zip(inputs, args, strict=True)})
    read = [operands(i, inside)[1] for i in turn.params["body"].body if i.name == "dot"]
    assert len(read) == 5
    assert all(strides[-1] == 1 for _, _, strides in read)


def test_nested_loops() -> None:
    def inner(b: Build, c: Value, x: Value, w: Value) -> list[Any]:
        return [b.emit("add", c, b.emit("multiply", x, w)), c]

    def outer(b: Build, c: Value, rows: Value, w: Value) -> list[Any]:
        total, steps = loop(b, inner, [c], [rows], 4, [w], reverse=True)
        return [total, steps, b.emit("reduce_maximum", steps, axes=(0,))]

    b = Build()
    outs = loop(b, outer, [b.input(3)], [b.input(2, 4, 3)], 2, [b.input(3)])
    assert called(assert_native(b.program(*outs), array(3), array(2, 4, 3), array(3))) == []


def test_what_a_body_calls_is_called_back() -> None:
    double = tn.op(lambda x: x + np.array(x), name="double", nondiff=True)
    b = Build()
    outs = loop(b, lambda b, c, x: [b.call(double, b.emit("add", c, x)), x], [b.input(3)], [b.input(4, 3)], 4)
    y = b.emit("negative", outs[0])
    runner = assert_native(b.program(y, outs[1]), array(3), array(4, 3))
    assert called(runner) == ([] if entry.usable() else ["loop"])


def test_what_is_called_back_reads_and_gives_several_arrays_that_lie_anyhow() -> None:
    def forward(x: Any, y: Any) -> Any:
        return y.T @ x, x, x[::-1, 1]  # two are views of what it was given

    three = tn.op(forward, name="three", nondiff=True, outputs=3)

    def body(b: Build, c: Value, rows: Value, w: Value) -> list[Any]:
        turned = b.emit("transpose", b.emit("slice", w, slices=((4, 0, -2), (0, 3, 1))), axes=(1, 0))
        template = {a.name: Hole(i) for i, a in enumerate(three.arguments)}
        specs = [Spec(shape, w.dtype) for shape in ((2, 3), (3, 3), (3,))]
        found = b.several("call", b.emit("add", c, rows), turned, op=three, template=template, specs=specs)
        wide = b.emit("broadcast", found[2], shape=(3, 3))
        return [b.emit("multiply", found[1], wide), *found]

    b = Build()
    outs = loop(b, body, [b.input(3, 3)], [b.input(4, 3, 3)], 4, [b.input(5, 3)])
    assert_native(b.program(*outs), array(3, 3), array(4, 3, 3), array(5, 3))


def test_an_error_of_what_is_called_back_is_raised_and_the_next_call_is_fine() -> None:
    def picky(x: Any) -> Any:
        if x > 4:
            raise ArithmeticError("too large")
        return x + 1

    grown = tn.op(picky, name="grown", nondiff=True)
    b = Build()
    start = b.input(dtype=np.float64)
    (out,) = repeat(b, lambda b, c: b.elementwise("less", c, 8.0), lambda b, c: [b.call(grown, c)], [start])
    runner = compiled(b.program(b.emit("negative", out)))
    for _ in range(2):
        with pytest.raises(ArithmeticError, match="too large"):
            runner(np.array(0.5))
        assert runner(np.array(9.0))[0] == -9.0


@pytest.mark.parametrize(("native", "by_numpy"), [(1, True), (2000, False)])
def test_a_body_that_calls_most_of_what_it_computes_is_run_by_numpy(
    native: int, by_numpy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[Program] = []
    build = numpy_backend.build
    monkeypatch.setattr(numpy_backend, "build", lambda program: built.append(program) or build(program))

    def steps(z: Any, c: Any, x: Any) -> Any:
        for i in range(8):
            z[i] = np.sqrt(z[i - 1]) + c  # numbers of 16 bits are not native
            x = 2 * x + i
        return z, x

    compiled = tn.compile(steps, lift=True, backend="native")
    start, c, x = np.full((8, 3), 0.1, np.float16), np.array([0.25, 1, 0.5], np.float16), R.normal(size=native)
    expected = steps(start.copy(), c, x)
    for _ in range(2):
        for found, known in zip(compiled(start.copy(), c, x), expected, strict=True):
            np.testing.assert_array_equal(found, known)
    assert bool(built) is by_numpy


# -- as long as a test is true -----------------------------------------------------------------------------------


def repeat(
    b: Build, test: Callable[..., Value], make: Callable[..., Any], carried: list[Value], closed: list[Value] | None = None,
    **params: Any,
) -> Any:  # fmt: skip
    """Emit a `while`, whose test and body are made by functions of a builder and values."""
    given = [*carried, *(closed or [])]
    programs = []
    for function in (test, make):
        inner = Build()
        made = function(inner, *(inner.input(*v.shape, dtype=v.dtype) for v in given))
        programs.append(inner.program(*(made if isinstance(made, list) else [made])))
    return b.several("while", *given, test=programs[0], body=programs[1], carries=len(carried), **params)


def doubling(**params: Any) -> tuple[Build, Any]:
    """Double what is carried until its sum reaches a number, counting the turns."""
    b = Build()
    x, limit, count = b.input(3), b.input(), b.input(dtype=np.int64)

    def test(b: Build, x: Value, n: Value, limit: Value) -> Value:
        return b.emit("less", b.emit("reduce_add", x, axes=(0,)), limit)

    def body(b: Build, x: Value, n: Value, limit: Value) -> list[Any]:
        before = [x, n] if params else []
        return [b.emit("add", x, x), b.elementwise("add", n, 1), *before]

    return b, repeat(b, test, body, [x, count], [limit], **params)


@pytest.mark.parametrize("limit", [0, 7, 1e30])
def test_a_while(limit: float) -> None:
    b, outs = doubling()
    given = np.array([1, 2, 3], np.float32), np.array(limit, np.float32), np.array(0)
    runner = assert_native(b.program(*outs), *given)
    assert (entries(runner), called(runner)) == (["while"], [])
    count = {0: 0, 7: 1, 1e30: 98}[limit]
    assert runner.call(*given)[1] == count


def test_what_it_stacks_has_a_row_for_each_turn() -> None:
    b, outs = doubling(length=5)
    found = compiled(b.program(*outs)).call(np.array([1, 2, 3], np.float32), np.array(50, np.float32), np.array(0))
    x, n, before, counts = found
    np.testing.assert_array_equal(x, [16, 32, 48])
    assert n == 4
    np.testing.assert_array_equal(before[:4], np.outer([1, 2, 4, 8], [1, 2, 3]))
    np.testing.assert_array_equal(counts[:4], range(4))


@pytest.mark.usefixtures("entered")
def test_one_that_goes_on_too_long_is_an_error_and_writes_nothing() -> None:
    b, outs = doubling(length=5)
    p = Reference(tn.asarray(array(3)))
    b.writes.append(Write(p, b.emit("add", outs[0], p)))
    run = compiled(b.program(outs[1])).call
    before = p.tensor._data.copy()
    given = np.array([1, 2, 3], np.float32)
    assert run(given, np.array(100, np.float32), np.array(0))[0] == 5
    p.tensor._data[:] = before
    for limit in (193, 1e30):
        with pytest.raises(RuntimeError, match="cond still holds after max_turns=5 turns"):
            run(given, np.array(limit, np.float32), np.array(0))
        np.testing.assert_array_equal(p.tensor._data, before)
    assert run(given, np.array(192, np.float32), np.array(0))[0] == 5


def test_one_in_a_loop_and_a_loop_in_one() -> None:
    def below(b: Build, c: Value, *_: Value) -> Value:
        return b.elementwise("less", b.emit("reduce_maximum", c, axes=(0,)), 100.0)

    def inner(b: Build, c: Value, x: Value) -> list[Any]:
        total, steps = loop(b, lambda b, c, x: [b.emit("add", c, x), c], [c], [x], 4)
        return [b.emit("maximum", total, b.emit("reduce_add", steps, axes=(0,)))]

    def outer(b: Build, c: Value, rows: Value) -> list[Any]:
        (made,) = repeat(b, below, inner, [c], [rows])
        return [b.emit("subtract", made, constant(90)), made]

    b = Build()
    outs = loop(b, outer, [b.input(3)], [b.input(3, 4, 3)], 3)
    assert called(assert_native(b.program(*outs), array(3) + 4, np.abs(array(3, 4, 3)) + 1)) == []


def test_what_its_body_calls_is_called_back() -> None:
    double = tn.op(lambda x: x + np.array(x), name="double", nondiff=True)
    b = Build()
    outs = repeat(
        b,
        lambda b, c, n: b.elementwise("less", n, 3),
        lambda b, c, n: [b.call(double, c), b.elementwise("add", n, 1)],
        [b.input(3), constant(0)],
    )
    assert called(assert_native(b.program(b.emit("negative", outs[0])), array(3))) == (
        [] if entry.usable() else ["while"]
    )


# -- branches ----------------------------------------------------------------------------------------------------


def branch(b: Build, condition: Value, true: Callable[..., Any], false: Callable[..., Any], *given: Value) -> Any:
    sides = []
    for make in (true, false):
        body = Build()
        inputs = [body.input(*v.shape, dtype=v.dtype) for v in given]
        sides.append(body.program(*make(body, *inputs)))
    made = b.several("branch", condition, *given, true=sides[0], false=sides[1])
    return made


@pytest.mark.parametrize("chosen", [True, False])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_branch(chosen: bool, order: Any) -> None:
    p = Reference(tn.asarray(np.asarray(array(3, 4), order=order)))
    b = Build()
    condition, x = b.input(dtype=bool), b.input(3, 4)
    outs = branch(
        b, condition,
        lambda b, p, x: [b.emit("add", p, x), p, constant(np.zeros((3, 4)))],
        lambda b, p, x: [b.emit("dot", b.emit("dot", p, x, tb=True), x), x, b.emit("negative", x)],
        p, x,
    )  # fmt: skip
    b.writes.append(Write(p, outs[0]))
    runner = assert_native(b.program(*outs), np.array(chosen), array(3, 4))
    assert called(runner) == []


@pytest.mark.parametrize("chosen", [True, False])
def test_the_side_that_is_not_chosen_is_not_run(chosen: bool) -> None:
    """It may be an index out of bounds there."""
    b = Build()
    condition, x, i = b.input(dtype=bool), b.input(3), b.input(2, dtype=np.int64)
    take: Callable[..., Any] = lambda b, x, i: [b.emit("take", x, i, axis=0)]
    keep: Callable[..., Any] = lambda b, x, i: [b.emit("slice", x, slices=((0, 2, 1),))]
    sides = (take, keep) if chosen else (keep, take)
    runner = compiled(b.program(*branch(b, condition, *sides, x, i)))
    given, wrong = array(3), np.array([0, 7])
    np.testing.assert_array_equal(runner.call(np.array(not chosen), given, wrong)[0], given[:2])
    with pytest.raises(IndexError, match="out of bounds"):
        runner.call(np.array(chosen), given, wrong)
    np.testing.assert_array_equal(runner.call(np.array(chosen), given, np.array([2, 0]))[0], given[[2, 0]])


def test_branches_in_loops_and_loops_in_branches() -> None:
    def halve(b: Build, c: Value, x: Value) -> list[Any]:
        return [b.emit("subtract", c, x)]

    def repeat(b: Build, c: Value, x: Value) -> list[Any]:
        return list(loop(b, lambda b, c, x: [b.emit("add", c, x)], [c], [], 3, [x]))

    def body(b: Build, c: Value, x: Value) -> list[Any]:
        total = b.emit("reduce_add", c, axes=(0,))
        (after,) = branch(b, b.elementwise("less", total, 0.0), repeat, halve, c, x)
        return [after, total]

    b = Build()
    outs = loop(b, body, [b.input(3)], [b.input(6, 3)], 6)
    assert called(assert_native(b.program(*outs), array(3), array(6, 3))) == []


# -- what fails --------------------------------------------------------------------------------------------------


class _Interrupt(Exception):
    pass


@pytest.mark.parametrize("nested", ["", "loop", "while"])
def test_a_signal_ends_a_long_loop_and_nothing_is_written(nested: str) -> None:
    """Of a loop that would take seconds; where bodies are short, the loop outside asks for signals."""

    def turn(b: Build, c: Value) -> list[Any]:
        return [b.emit("add", c, constant(1.0))]

    def outer(b: Build, c: Value) -> list[Any]:
        return list(loop(b, turn, [c], [], 50))

    weights = tn.tensor(np.zeros(3, np.float32))
    reference = Reference(weights)
    b = Build()
    if nested == "while":
        (after,) = repeat(b, lambda b, c: b.emit("isfinite", b.emit("reduce_add", c, axes=(0,))), turn, [reference])
    else:
        (after,) = loop(b, outer if nested else turn, [reference], [], 10**8 if nested else 10**9)
    run = compiled(Program([], [], b.body, [], [Write(reference, after)]))

    def handler(*_: Any) -> None:
        raise _Interrupt

    before = signal.signal(signal.SIGVTALRM, handler)
    try:
        with pytest.raises(_Interrupt):  # noqa: PT012, a signal before it would go astray
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.05)  # of the processor's time, whatever else is running
            run()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    np.testing.assert_array_equal(weights.data, 0)


def test_only_long_loops_ask_for_signals() -> None:
    def short(b: Build, c: Value) -> list[Any]:
        return [b.emit("add", c, constant(1.0))]

    asks = []
    for length in (1000, 10**7):
        b = Build()
        x = b.input(3)
        asks.append("PyErr_CheckSignals()" in compiled(b.program(*loop(b, short, [x], [], length))).module.text)
    assert asks == [False, True]


def test_an_index_out_of_bounds_ends_a_loop() -> None:
    """Nothing is written: neither by the turns before nor by what comes behind."""
    p, q = (Reference(tn.asarray(array(3))) for _ in range(2))
    b = Build()
    x, i = b.input(3), b.input(4, dtype=np.int64)

    def body(b: Build, p: Value, q: Value, i: Value, x: Value) -> list[Any]:
        found = b.emit("take", x, i, axis=0)
        return [b.emit("add", p, found), b.emit("negative", q), found]

    outs = loop(b, body, [p, q], [i], 4, [x])
    b.writes += [Write(p, outs[0]), Write(q, b.emit("add", outs[1], x))]
    program = b.program(outs[2])
    runner = assert_native(program, array(3), np.array([0, 2, 1, -1]))
    assert called(runner) == []
    before, unchanged = (r.tensor._data.copy() for r in (p, q))
    given = array(3)
    for wrong in ([3, 0, 0, 0], [0, -4, 0, 0], [0, 0, 3, 3], [0, 0, 0, 3]):
        with pytest.raises(IndexError, match="out of bounds"):
            runner.call(given, np.array(wrong))
        np.testing.assert_array_equal(p.tensor._data, before)
        np.testing.assert_array_equal(q.tensor._data, unchanged)
    assert_native(program, array(3), np.array([0, 2, 1, -1]))


def test_loops_that_write_in_place() -> None:
    """What is read and written at an index, with gradients: no turn copies what it carries."""
    for seed in range(8):
        program = simplify(with_gradient(in_place(np.random.default_rng(seed), counts=seed % 2 == 1)))
        given = [ordinary(np.random.default_rng(seed), v.shape, v.dtype) for v in program.inputs]
        assert called(assert_native(program, *given, rtol=1e-9)) == []


def test_what_is_carried_is_written_where_it_is() -> None:
    """Also where the program says first that it is written, and then reads what was there."""
    body = Build()
    x, i = body.input(1000, dtype=np.float64), body.input(dtype=np.int64)
    new = body.emit("put", x, constant(0.0, np.float64), i, template=(Hole(0),))
    read = body.emit("index", x, i, template=(Hole(0),))
    b = Build()
    start, numbers = b.input(1000, dtype=np.float64), Constant(np.arange(1000))
    turn = body.program(new, body.emit("square", read))
    runner = assert_native(
        b.program(*b.several("loop", start, numbers, body=turn, carries=1, slices=1, length=1000)), R.normal(size=1000)
    )
    ((module,),) = runner.module.bodies.values()
    assert module.memory.arena_bytes == 0  # no copy of the array


def test_what_a_branch_changes_is_written_where_it_is() -> None:
    """One side writes an element, the other another one and gives a second array back as it is."""
    b = Build()
    shapes: list[tuple[tuple[int, ...], Any]] = [((500,), np.float64), ((500,), np.float64), ((), np.int64)]
    sides = {}
    for name in ("true", "false"):
        side = Build()
        x, y, i = (side.input(*s, dtype=d) for s, d in shapes)
        read = side.emit("index", y, i, template=(Hole(0),))
        new = side.emit("put", x, read, i, template=(Hole(0),))
        other = side.emit("put", y, read, side.elementwise("add", i, 1), template=(Hole(0),))
        sides[name] = side.program(new, other if name == "true" else y)
    turn = Build()
    x, y, i = (turn.input(*s, dtype=d) for s, d in shapes)
    even = turn.elementwise("equal", turn.elementwise("remainder", i, 2), 0)
    body = turn.program(*turn.several("branch", even, x, y, i, **sides))
    start = [b.input(500, dtype=np.float64), b.input(500, dtype=np.float64), Constant(np.arange(400))]
    program = b.program(*b.several("loop", *start, body=body, carries=2, slices=1, length=400))
    runner = assert_native(program, R.normal(size=500), R.normal(size=500))
    ((module,),) = runner.module.bodies.values()
    assert module.memory.arena_bytes == 0  # no copies


# -- on any program ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_random_programs(dtype: Any) -> None:
    for seed in range(15):
        rng = np.random.default_rng(seed)
        program = Loops(rng, dtype).program(12)
        inputs = [rng.integers(-3, 4, v.shape).astype(v.dtype) for v in program.inputs]
        assert_native(program, *inputs)
        assert_native(simplify(program), *inputs)


@pytest.mark.slow
def test_many_random_programs() -> None:
    for seed in range(100, 150):
        rng = np.random.default_rng(seed)
        program = Loops(rng, np.float64).program(25)
        inputs = [rng.integers(-3, 4, v.shape).astype(v.dtype) for v in program.inputs]
        assert_native(program, *inputs)
        assert_native(simplify(program), *inputs)
