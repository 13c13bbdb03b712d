"""From a captured tape to a program: ops read by their own forward, and those that are called as they stand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.compiler.lowering import turn_by_turn
from tapenet.program.ir import Program, Reference, check
from tests.compiler.lowered import lowered, program_of, reasons
from tests.program.backends import Compile, backends, compiled
from tests.program.evaluate import evaluate
from tests.program.passes.programs import names

__all__ = ["compiled"]  # a fixture

X = np.array([[1.0, -2.0, 3.0], [0.5, 0.0, -1.5]])


def primitives(function: Callable[..., Any], *arrays: Any) -> list[str]:
    """The primitives of a function's program before all passes, which computes what the function does."""
    program = check(lowered(function, *arrays).program)
    found = outputs(program, *arrays)
    expected = function(*map(tn.tensor, arrays))
    expected = expected if isinstance(expected, (list, tuple)) else [expected]
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_array_equal(f, np.asarray(e), strict=True)
    return names(program)


def outputs(program: Program, *arrays: Any) -> list[Any]:
    """What a program gives."""
    return evaluate(program, arrays).outputs


# -- ops that are read -------------------------------------------------------------------------------------------


def test_an_op_is_what_its_forward_does() -> None:
    gate = tn.op(lambda x, y: np.tanh(x) * y.sum(axis=0) + 1, name="gate", nondiff=True)
    assert primitives(gate, X, X) == ["tanh", "reduce_add", "multiply", "add"]
    assert reasons(gate, X, X) == {}


def test_options_choose_what_is_read() -> None:
    scaled = tn.op(lambda x, factor=1.0: np.exp(x) if factor == 1 else x * factor, name="scaled", nondiff=True)
    assert primitives(lambda x: scaled(x), X) == ["exp"]
    assert primitives(lambda x: scaled(x, factor=2.0), X) == ["multiply"]


def test_the_gradient_rule_is_read_too() -> None:
    cube = tn.op(lambda x: x * x * x, name="cube", x=lambda g, x: 3 * g * np.square(x))

    def gradient(x: Any) -> Any:
        x = x.requires_grad_()
        cube(x).sum().backward()
        return x.grad

    assert "square" in names(lowered(gradient, X).program)
    assert reasons(gradient, X) == {}


def test_an_op_inside_an_op_becomes_part_of_it() -> None:
    inner = tn.op(lambda x: np.exp(-x), name="inner", nondiff=True)
    outer = tn.op(lambda x: 1 / (1 + inner(x)), name="outer", nondiff=True)
    assert primitives(outer, X) == ["negative", "exp", "add", "divide"]


def test_several_outputs_and_residuals() -> None:
    def forward(x: Any) -> Any:
        e = np.exp(x)
        return e.sum(), e.max(), e

    double = tn.op(forward, name="double", outputs=2, residuals=["e"], reference=lambda x: forward(x)[:2], nondiff=True)
    assert primitives(lambda x: list(double(x)), X) == ["exp", "reduce_add", "reduce_maximum"]


def test_lower_is_read_in_place_of_the_forward() -> None:
    def forward(x: Any) -> Any:
        return np.abs(x) if (x < 0).any() else x  # cannot be read

    clean = tn.op(forward, name="clean", lower=lambda x: np.where(x < 0, -x, x), nondiff=True)
    assert primitives(clean, X) == ["less", "negative", "where"]


def test_lower_may_name_a_primitive() -> None:
    length = tn.op(lambda x, y: np.sqrt(x * x + y * y), name="length", lower="hypot", nondiff=True)
    assert names(lowered(length, X, X).program) == ["hypot"]


def test_a_lower_that_disagrees_with_the_forward_is_refused_at_the_first_compilation() -> None:
    twice = tn.op(lambda x: 2 * x, name="twice", lower=lambda x: 3 * x, x=lambda g: 2 * g)
    w = tn.tensor([1.0, 2.0], requires_grad=True)
    step = tn.compile(lambda x: twice(x * w))
    with pytest.raises(
        tn.CaptureError, match="op 'twice': its lower= gives another result than its forward: 3 against 2"
    ):
        step(np.ones(2))
    assert twice(np.ones(2)).tolist() == [2.0, 2.0]
    shorter = tn.op(lambda x: 2 * x, name="shorter", lower=lambda x: (2 * x)[:1], x=lambda g: 2 * g)
    with pytest.raises(tn.CaptureError, match="op 'shorter': its lower= gives another result"):
        tn.compile(lambda x: shorter(x))(np.ones(2))
    called = tn.op(lambda x: 2 * x, name="called", lower=lambda x: x.nonesuch, x=lambda g: 2 * g)
    assert tn.compile(lambda x: called(x))(np.ones(2)).tolist() == [2.0, 2.0]


def test_joining_arrays_of_which_all_are_empty() -> None:
    joined = tn.op(lambda x, y: np.concatenate([x, y], 1), name="joined", nondiff=True)
    assert lowered(joined, np.ones((0, 2)), np.ones((0, 3))).program.outputs[0].shape == (0, 5)
    assert names(lowered(joined, np.ones((0, 2)), np.ones((0, 3))).program) == ["concatenate"]


def test_work_in_place_on_arrays_of_its_own() -> None:
    def forward(x: Any) -> Any:
        out = np.zeros_like(x)
        out[:, 1] = x[:, 0]
        out += 1
        np.exp(out, out=out)
        return out

    op = tn.op(forward, name="in_place", nondiff=True)
    assert primitives(op, X)[-2:] == ["add", "exp"]
    assert reasons(op, X) == {}


# -- ops that are called -----------------------------------------------------------------------------------------


def convert(x: Any) -> Any:
    return np.array(x).sum() * np.ones_like(x)


def branch(x: Any) -> Any:
    y = np.exp(x)  # read, and taken back
    return y if y.sum() > 10 else -y


def overwrite(x: Any) -> Any:
    view = np.zeros_like(x)
    other, row = view[0], view[0]
    row += 1  # `other` would have to see it
    view = view + other
    return view * x


CALLED = [
    (convert, "asks for the elements"),
    (branch, "branches on a value"),
    (lambda x: np.unwrap(x @ x.T) @ x, "np.unwrap is no primitive"),
    (overwrite, "may be seen elsewhere"),
    (lambda x: np.exp(x, where=x > 0, out=np.zeros_like(x)), "where"),
    (lambda x: np.add.accumulate(x, axis=1), "add.accumulate"),
    (lambda x: x * float(x[0, 0]), "branches on a value"),
]


@pytest.mark.parametrize(("forward", "reason"), CALLED)
def test_what_cannot_be_read_is_called_with_the_reason(forward: Callable[..., Any], reason: str) -> None:
    op = tn.op(forward, name="custom", nondiff=True)
    assert reason in reasons(op, X)["custom"]
    program = check(lowered(op, X).program)
    assert names(program) == ["call"]
    for x in (X, 2 * X, X - 3):  # it decides anew at each call
        np.testing.assert_array_equal(outputs(program, x)[0], forward(x), strict=True)


def test_a_forward_that_gives_another_dtype_on_symbols_is_called() -> None:
    op = tn.op(lambda x: x.astype(np.float32 if isinstance(x, np.ndarray) else np.float64), name="odd", nondiff=True)
    assert "gives" in reasons(op, X)["odd"]
    assert outputs(lowered(op, X).program, X)[0].dtype == np.float32


def test_a_call_that_returns_another_shape_than_captured_is_an_error() -> None:
    op = tn.op(lambda x: np.array(x)[np.array(x) > 0], name="positive_ones", nondiff=True)
    program = lowered(op, X).program
    with pytest.raises(ValueError, match=r"'positive_ones' gave float64 \(6,\).*must not depend on the values"):
        outputs(program, np.ones_like(X))


def test_an_op_that_cannot_be_read_inside_one_makes_that_a_call() -> None:
    inner = tn.op(branch, name="inner", nondiff=True)
    outer = tn.op(lambda x: np.sin(inner(x)), name="outer", nondiff=True)
    assert reasons(outer, X) == {"outer": "branches on a value"}


def test_sequences_and_options_of_a_called_op_are_kept() -> None:
    op = tn.op(lambda arrays, scale=1: np.array(arrays[0]) * scale + np.array(arrays[1]), name="total", nondiff=True)
    program = lowered(lambda x, y: op([x, y], scale=3), X, X).program
    np.testing.assert_array_equal(outputs(program, X, 2 * X)[0], 5 * X)


# -- convolutions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "weight", "options"),
    [
        ((2, 1, 6, 5), (3, 1, 3, 2), {}),
        ((2, 3, 6, 5), (2, 3, 2, 2), {"padding": ((1, 0), (0, 1))}),
        ((2, 5, 5), (2, 2, 3, 3), {"padding": "same", "dilation": (1, 2)}),
        ((2, 4, 7, 6), (4, 2, 3, 2), {"padding": 1, "stride": (2, 3), "groups": 2}),
        ((3, 4, 7), (4, 1, 3), {"groups": 4, "padding": 1}),
        ((2, 4, 7), (6, 2, 3), {"groups": 2, "dilation": 2}),
        ((1, 1, 3, 4, 3), (2, 1, 2, 2, 2), {}),
    ],
)
def test_small_convolutions_are_read_tap_by_tap(x: Any, weight: Any, options: Any) -> None:
    if len(x) == 3 and len(weight) == 4:  # without a batch
        x = weight[1:2] + x[1:]
    r = np.random.default_rng(0)
    x, weight = r.normal(size=x), r.normal(size=weight)
    conv = {3: tn.conv1d, 4: tn.conv2d, 5: tn.conv3d}[weight.ndim]
    out = conv(x, weight, **options)
    g = r.normal(size=out.shape)

    def gradients(x: Any, weight: Any, bias: Any) -> Any:
        out, back = tn.vjp(lambda *args: conv(*args, **options), x, weight, bias)
        return out, *back(g)

    given = x, weight, r.normal(size=len(weight))
    found = lowered(gradients, *given)
    assert found.called == []
    for a, b in zip(outputs(found.program, *given), gradients(*map(tn.tensor, given)), strict=True):
        np.testing.assert_allclose(a, b.data, rtol=1e-10, atol=1e-12)


def test_large_convolutions_are_called() -> None:
    x, weight = np.ones((8, 1, 28, 28)), np.ones((16, 1, 3, 3))
    assert set(reasons(lambda x, w: tn.conv2d(x, w), x, weight)) == {"conv2d"}
    assert reasons(lambda x, w: tn.conv2d(x, w, stride=2), x[:1], weight[:2]) == {}
    y = np.ones((1, 2, 13, 13))
    assert reasons(lambda y, w: tn.conv2d_input_grad(y, w, (1, 1, 28, 28), 2), y, weight[:2]) == {}


# -- numbers and draws of the host -------------------------------------------------------------------------------


def test_draws_are_made_ahead_and_are_the_same_as_without_a_program() -> None:
    def f(x: Any) -> Any:
        return x + tn.random.uniform(size=X.shape) + tn.dropout(x, 0.5)

    program = lowered(f, X).program
    assert len(program.hosts) == 2
    assert "call" not in names(program)
    tn.random.seed(3)
    found = outputs(program, X)[0]
    tn.random.seed(3)
    np.testing.assert_array_equal(found, f(tn.tensor(X)).numpy())


def test_nothing_is_drawn_ahead_of_an_effect() -> None:
    """It might draw as well, or change what the host is asked for."""
    log: list[float] = []

    def forward(x: Any) -> Any:
        log.append(float(np.sum(x)))
        return x

    note = tn.op(forward, name="note", effect=True, nondiff=True)

    def f(x: Any) -> Any:
        before = tn.random.uniform(size=X.shape)
        return tn.dropout(note(x) + before, 0.5)

    found = lowered(f, X)
    assert len(found.program.hosts) == 1
    calls = [i for i in found.program.body if i.name == "call"]
    assert [i.params["op"].name for i in calls] == ["note", "random_draw"]  # dropout's own, in its turn
    assert all(i.effect for i in calls)
    assert {c.op.name: c.reason for c in found.called} == {"note": "it has an effect"}
    log.clear()
    outputs(found.program, X)
    assert len(log) == 1


def test_what_was_drawn_for_an_op_that_cannot_be_read_is_not_drawn() -> None:
    """The op is called then, and makes its own draw: the second of two would be that of the next call."""

    def forward(x: Any, rng: Any = None) -> Any:
        return x + np.random.default_rng(rng).uniform(size=x.shape)

    def read(x: Any, rng: Any, draw: Any) -> Any:
        draw(lambda rng: rng.uniform(size=x.shape), rng, x.shape, np.float64)
        raise NotImplementedError("on second thoughts")

    noisy = tn.op(forward, name="noisy", random=True, lower=read, nondiff=("x",))
    found = lowered(noisy, X)
    assert [c.reason for c in found.called] == ["on second thoughts"]
    assert not found.program.hosts


# -- what is outside ---------------------------------------------------------------------------------------------


def test_arrays_that_may_change_are_referred_to_and_others_are_constants() -> None:
    mine, fixed = np.ones(3), np.full(3, 2.0)
    fixed.flags.writeable = False
    held = tn.asarray(fixed)
    parameter = tn.tensor(np.full(3, 5.0))
    program = lowered(lambda x: x * mine + fixed + parameter * mine - held, X).program
    assert {r.tensor._data is mine or r.tensor is parameter for r in program.references} == {True}
    assert len(program.references) == 2
    assert [c.array.tolist() for c in program.constants] == [[2.0] * 3] * 2
    mine[:] = 10
    parameter.data[:] = 7
    np.testing.assert_array_equal(outputs(program, X)[0], X * 10 + 70)


def test_what_is_read_after_a_write_is_what_was_written() -> None:
    p = tn.tensor(np.ones(3))

    def f(x: Any) -> Any:
        before = p * 1
        tn.assign(p, x)
        tn.assign(p, p * 2)
        return before, p * 10

    program = check(lowered(f, X[0]).program)
    (write,) = program.writes
    assert write.target.tensor is p
    p.data[:] = 1
    found = evaluate(program, [X[1]])
    np.testing.assert_array_equal(found.outputs, [np.ones(3), 20 * X[1]])
    np.testing.assert_array_equal(found.writes[p], 2 * X[1])


def test_a_write_of_another_shape_and_dtype_is_brought_to_the_tensors() -> None:
    p = tn.tensor(np.ones((2, 3), np.float32))
    (write,) = check(lowered(lambda x: tn.assign(p, x), X[0]).program).writes
    assert write.value.spec == "float32[2,3]"


def test_a_written_tensor_may_not_share_its_memory_with_another() -> None:
    memory = np.zeros(6)
    p, q, apart = tn.asarray(memory[:4]), tn.asarray(memory[3:]), tn.asarray(memory[4:])

    def f(other: Any) -> Callable[[Any], Any]:
        def step(x: Any) -> Any:
            tn.assign(p, x.sum() + p)
            return other * 1

        return step

    assert len(lowered(f(apart), X).program.writes) == 1
    with pytest.raises(
        tn.CaptureError, match=r"shape \(4,\) is written, and shares its memory with one of shape \(3,\)"
    ):
        lowered(f(q), X)


def test_tensors_that_share_memory_may_both_be_read() -> None:
    memory = np.zeros(6)
    p, q = tn.asarray(memory[:4]), tn.asarray(memory[3:])
    assert len(lowered(lambda x: p.sum() + q.sum() + x, X).program.references) == 2


# -- loops and branches ------------------------------------------------------------------------------------------


def test_a_loop_is_one_instruction_whatever_its_length() -> None:
    def f(x: Any) -> Any:
        return tn.scan(lambda c, row: (c + row, c * row), np.zeros(3), x)

    for length in (2, 50):
        program = program_of(lambda x: list(f(x)), np.ones((length, 3)))
        (loop,) = program.body
        assert (loop.name, loop.params["length"], len(loop.params["body"].body)) == ("loop", length, 2)


def test_a_body_takes_what_it_closes_over() -> None:
    w = tn.tensor(np.full(3, 2.0))
    program = lowered(lambda x: tn.scan(lambda c, row: (c + row * w, None), np.zeros(3), x)[0], X).program
    (loop,) = (i for i in program.body if i.name == "loop")
    body = loop.params["body"]
    assert any(isinstance(a, Reference) and a.tensor is w for a in loop.args)
    assert not body.references
    assert not body.writes
    assert not body.hosts


def test_what_a_body_writes_is_carried_and_written_at_the_end() -> None:
    p = tn.tensor(np.zeros(3))

    def body(c: Any, row: Any) -> Any:
        tn.assign(p, p + row)
        return c + p.sum(), None

    program = check(lowered(lambda x: tn.scan(body, 0.0, x)[0], X).program)
    (loop,) = (i for i in program.body if i.name == "loop")
    assert loop.params["carries"] == 2
    (write,) = program.writes
    assert write.target.tensor is p
    p.data[:] = 0
    found = evaluate(program, [X])
    np.testing.assert_array_equal(found.writes[p], X.sum(axis=0))
    assert found.outputs[0] == X[0].sum() + X.sum()


@pytest.mark.parametrize("reverse", [False, True])
def test_what_a_body_asks_the_host_for_is_asked_turn_by_turn(reverse: bool) -> None:
    """Two numbers in each turn: the program asks in the same order as the eager loop."""

    def numbers() -> Callable[[], float]:
        stream = iter(range(100))
        return lambda: float(next(stream))

    source = numbers()

    def f(x: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            a, b = (tn.host(lambda: source(), np.float64) for _ in range(2))
            return c * 0.5 + a * row, b * row

        return list(tn.scan(body, np.zeros(3), x, reverse=reverse))

    program = check(lowered(f, X).program)
    assert [h.shape for h in program.hosts] == [(2,), (2,)]
    source = numbers()
    found = outputs(program, X)
    source = numbers()
    for a, e in zip(found, f(tn.tensor(X)), strict=True):
        np.testing.assert_array_equal(a, e.numpy())


def test_turn_by_turn() -> None:
    log: list[str] = []

    def ask(name: str) -> Callable[[], Any]:
        return lambda: np.asarray(len(log)) if not log.append(name) else None  # type: ignore[func-returns-value]

    for reverse in (False, True):
        log.clear()
        a, b = (evaluate() for evaluate in turn_by_turn([ask("a"), ask("b")], 3, reverse))
        assert log == ["a", "b"] * 3
        assert a.tolist() == [1, 3, 5][:: -1 if reverse else 1]
        assert b.tolist() == [2, 4, 6][:: -1 if reverse else 1]


def test_a_branch_is_one_instruction_with_two_bodies() -> None:
    def f(x: Any) -> Any:
        return tn.cond(x.sum() > 0, lambda x: x * 2, lambda x: -x, x)

    program = check(lowered(f, X).program)
    (branch,) = (i for i in program.body if i.name == "branch")
    assert [names(branch.params[side]) for side in ("true", "false")] == [["multiply"], ["negative"]]
    for x in (X, X - 5):
        np.testing.assert_array_equal(outputs(program, x)[0], f(tn.tensor(x)).numpy())


def test_a_branch_asks_the_host_itself() -> None:
    def f(x: Any) -> Any:
        return tn.cond(x.sum() > 0, lambda x: tn.dropout(x, 0.5), lambda x: x, x)

    program = check(lowered(f, X).program)
    (branch,) = (i for i in program.body if i.name == "branch")
    assert branch.effect
    assert not program.hosts
    drawn, *others = branch.params["true"].body
    assert drawn.params["op"].name == "random_draw"
    assert drawn.effect
    assert {"call"}.isdisjoint(i.name for i in others)
    assert names(branch.params["false"]) == []


def test_what_is_called_inside_a_body_is_named() -> None:
    op = tn.op(branch, name="custom", nondiff=True)
    found = lowered(lambda x: tn.scan(lambda c, row: (c, op(row)), 0.0, x)[1], X)
    assert {c.op.name: c.reason for c in found.called} == {"custom": "branches on a value"}


@backends
def test_loops_and_branches_with_effects_and_no_results(compiled: Compile) -> None:
    log: deque[float] = deque()  # not a list, which a captured function must not change

    def forward(x: Any) -> Any:
        log.append(float(np.sum(x)))
        return x

    note = tn.op(forward, name="note", effect=True, nondiff=True)

    def noted(x: Any) -> None:
        note(x)

    def f(x: Any) -> Any:
        tn.scan(lambda c, row: (c * 2, note(row)), 1.0, x)
        tn.scan(lambda c, row: (noted(row), None), None, x)
        tn.cond(x.sum() > 0, noted, lambda x: None, x)
        return x * 2

    g = compiled(f)
    for x in (X, X + 1, X - 5):
        log.clear()
        np.testing.assert_array_equal(g(x).numpy(), x * 2)
        rows = x.sum(axis=1).tolist()
        assert list(log) == rows * 2 + ([x.sum()] if x.sum() > 0 else [])


@backends
def test_an_op_with_an_effect_may_keep_what_it_is_given_and_write_into_a_tensor(compiled: Compile) -> None:
    kept: deque[Any] = deque()
    buffer = tn.tensor(np.zeros(3))

    def forward(x: Any, into: Any) -> Any:
        kept.append(x)
        into[...] = x[0]
        return x

    keep = tn.op(forward, name="keep", effect=True, nondiff=True)

    def f(x: Any) -> Any:
        doubled = np.exp(x) * 2
        keep(doubled, buffer)
        return np.square(doubled - 1) * 3  # over the memory of what is kept, if that were free

    g = compiled(f)
    inputs = [X, X + 1, X + 2]
    for x in inputs:
        g(x)
        np.testing.assert_allclose(buffer.numpy(), np.exp(x[0]) * 2)
    for found, x in zip(kept, inputs, strict=True):
        np.testing.assert_allclose(found, np.exp(x) * 2)


@pytest.mark.parametrize("loss", [tn.cross_entropy, tn.nll_loss])
def test_losses_of_classes_keep_the_same_for_their_rules_eager_and_lowered(loss: Any) -> None:
    """Of few positions that all count the eager forward takes another way."""

    def step(x: tn.Tensor, target: tn.Tensor) -> tn.Tensor:
        return tn.grad(lambda x: loss(x, target))(x)

    assert reasons(step, np.ones((4, 3)), np.array([0, 2, 1, 1])) == {}
