"""Loops and branches of lifted functions as loops and branches of programs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.program.ir import Program
from tests.lifting.ways import agrees, same

X = np.linspace(0.3, 1.72, 9) ** 1.1


def compiled(f: Callable[..., Any], *args: Any) -> Any:
    """What the program of a function gives; its caller's arguments stay as they are."""
    return tn.compile(f, lift=True, backend="numpy")(*(np.array(a) if isinstance(a, np.ndarray) else a for a in args))


def size(program: Program) -> int:
    """How many instructions there are, those of loops and branches included."""
    inner = (v for i in program.body for v in i.params.values() if isinstance(v, Program))
    return len(program.body) + sum(map(size, inner))


def instructions(f: Callable[..., Any], *args: Any) -> int:
    step = tn.compile(f, lift=True, backend="numpy")
    step(*args)
    return size(step.variants[0].program)


# -- loops ---------------------------------------------------------------------------------------------------------


def solve(a: Any, b: Any) -> Any:
    x = np.zeros_like(b)
    for i in range(len(b)):
        s = 0.0
        for j in range(i):
            s += a[i, j] * x[j]
        x[i] = (b[i] - s) / a[i, i]
    return x


def sweep(u: Any, turns: int) -> Any:
    u = u.copy()
    for _ in range(turns):
        for i in range(1, len(u) - 1):
            u[i] = 0.5 * (u[i - 1] + u[i + 1])
    return u


def test_code_does_not_grow_with_the_number_of_turns() -> None:
    def of_solve(n: int) -> int:
        return instructions(solve, np.eye(n) + 0.1, np.ones(n))

    assert of_solve(10) == of_solve(30)
    assert instructions(sweep, np.ones(12), 5) == instructions(sweep, np.ones(50), 400)


STEPS, WEIGHTS = np.array([0, 1, -1, 2]), np.array([0.4, 0.3, 0.2, 0.1])


def weighted(x: Any, turns: int) -> Any:
    total = np.zeros_like(x)
    for _ in range(turns):
        for i in range(4):
            total += WEIGHTS[i] * np.roll(x, STEPS[i])
    return total


def looked_up(x: Any, table: Any, turns: int) -> Any:
    total = 0 * x
    for i in range(turns):
        total = table[i] * total + x
    return total


def test_short_loops_that_look_up_constants_are_unrolled() -> None:
    def loops(f: Callable[..., Any], *args: Any) -> int:
        step = tn.compile(f, lift=True, backend="numpy")
        step(*args)
        return sum(isinstance(v, Program) for i in step.variants[0].program.body for v in i.params.values())

    constant = np.linspace(0.5, 1.5, 11)

    def of_constants(x: Any, turns: int) -> Any:
        return looked_up(x, constant, turns)

    agrees(weighted, X, 5)
    agrees(of_constants, X, 10)
    agrees(looked_up, X, constant, 10)
    assert loops(of_constants, X, 10) == 0
    assert loops(of_constants, X, 11) == 1  # too many
    assert loops(looked_up, X, constant, 10) == 1  # an argument, which each call gives anew
    before, constant[3] = compiled(of_constants, X, 10), 7.0
    assert not np.allclose(compiled(of_constants, X, 10), before)
    same(compiled(of_constants, X, 10), of_constants(X, 10))


def test_nested_loops_and_ranges_that_depend_on_the_turn() -> None:
    agrees(solve, np.tril(np.linspace(0.1, 0.9, 25).reshape(5, 5)) + np.eye(5), X[:5])
    agrees(sweep, X, 4)


def backwards(x: Any) -> Any:
    y = np.empty_like(x)
    y[-1] = x[-1]
    for i in range(len(x) - 2, -1, -1):
        y[i] = x[i] * y[i + 1]
    for i in range(0, len(x), 2):
        y[i] += i
    return y


def rows(x: Any) -> Any:
    a = x.reshape(3, 3).copy()
    total = np.zeros(3)
    for k, (row, weight) in enumerate(zip(a, x[:3], strict=False)):
        total += row * weight + k
    for k in np.arange(1, 6):
        total = total * 0.5 + k
    return total


def edges(x: Any) -> Any:
    y = np.zeros_like(x)
    for i in range(len(x)):
        if i == 0:
            y[i] = x[i + 1]
        elif i < len(x) - 1:
            y[i] = x[i - 1] * x[i + 1]
        else:
            y[i] = 2 * x[i - 1]
        if i % 2:
            y[i] += 1
    return y


@pytest.mark.parametrize("f", [backwards, rows, edges])
def test_what_a_loop_goes_over_and_turns_that_differ(f: Callable[..., Any]) -> None:
    agrees(f, X)


def leaves(x: Any) -> Any:
    total = 0.0
    for i in range(len(x)):
        if total > 2.5:
            break
        if x[i] < 0.5:
            continue
        total += x[i]
    else:
        total = -1.0
    for v in x:
        if v > 1.0:
            return total * v
    return total


def newton(x: Any) -> Any:
    y, turns = x.copy(), 0
    while np.max(np.abs(y * y - x)) > 1e-9:
        y = 0.5 * (y + x / y)
        turns += 1
    while True:
        y = y * 0.9
        if y.sum() < 5.0:
            break
    return y * turns


def counted(x: Any) -> Any:
    n, k = 1, 0
    while n < len(x):  # of known numbers alone: it is run, and n has a value
        n *= 2
        k += 1
    y = np.zeros(n)
    y[: len(x)] = x * k
    return y


@pytest.mark.parametrize("f", [leaves, newton, counted])
def test_loops_that_end_by_what_is_computed(f: Callable[..., Any]) -> None:
    agrees(f, X)


# -- what is carried -----------------------------------------------------------------------------------------------


def kinds(x: Any) -> Any:
    total, last, k = 0, None, 0
    for i in range(len(x)):
        if last is not None:
            total = total + last * x[i]
        last = x[i]
        k = i + 1
        found = x[i] * k
    return total + found, k, i


def swapped(u: Any, turns: int) -> Any:
    first, new = u, u.copy()
    for _ in range(turns):
        new[1:-1] = 0.5 * (u[2:] + u[:-2])
        u, new = new, u
    return u, new, first


@pytest.mark.parametrize("turns", [6, 7])
def test_arrays_that_are_exchanged_are_those_of_the_names_in_the_end(turns: int) -> None:
    same(compiled(swapped, X, turns), swapped(X.copy(), turns))
    given, expected = X.copy(), X.copy()
    tn.compile(swapped, lift=True, backend="numpy")(given, turns)
    swapped(expected, turns)
    np.testing.assert_allclose(given, expected, rtol=1e-14)  # which of them the caller's is


def swapped_within(u: Any) -> Any:
    u, new = u * 2, u * 0.5
    for _ in range(6):
        for j in range(5):
            u, new = new, u
            u[:3] += 0.1 * j
        u, new = new.copy(), u.copy()
    return u, new


def test_arrays_that_an_inner_loop_exchanges() -> None:
    agrees(swapped_within, X)


def first_turn(u: Any) -> Any:
    for _ in range(5):
        u[0] += 1  # of the caller's array in the first turn alone
        u = u * 0.5
    return u


def test_an_array_that_only_the_first_turn_writes() -> None:
    given, expected = X.copy(), X.copy()
    same(tn.compile(first_turn, lift=True, backend="numpy")(given), first_turn(expected))
    np.testing.assert_array_equal(given, expected)


class Ball:
    def __init__(self, place: Any) -> None:
        self.place = place.copy()
        self.speed = np.zeros_like(place)

    def move(self, dt: float) -> None:
        self.speed -= self.place * dt
        self.place = self.place + self.speed * dt


def containers(x: Any) -> Any:
    state = {"u": x.copy(), "turns": 0}
    ball, pair, seen, log = Ball(x), [x, 0.0], [], []
    for i in range(7):
        state["u"] = state["u"] * 0.9
        state["u"][0] = 1
        state["turns"] += 1
        ball.move(0.1)
        pair[1] = pair[1] + ball.place.sum()
        seen.append(ball.place[1] * i)
        log.append((i, "turn"))
    return state["u"] * state["turns"], ball.place, pair[1], np.array(seen), float(len(log) + log[5][0])


def test_what_is_changed_in_containers_and_objects_is_carried() -> None:
    agrees(kinds, X)
    agrees(containers, X)


def test_numbers_of_python_stay_so_beside_arrays() -> None:
    def f(x: Any) -> Any:
        scale, n = 1.0, 0
        for i in range(6):
            x = x * scale + i
            scale *= 0.5
            n += 2
        return x * n

    x = X.astype(np.float32)
    assert compiled(f, x).dtype == np.float32
    np.testing.assert_allclose(compiled(f, x).numpy(), f(x), rtol=1e-6)


def test_a_loop_that_leaves_nothing_and_one_of_no_turns() -> None:
    def f(x: Any, n: int) -> Any:
        for i in range(n):
            unused = x[i] * 2  # noqa: F841
        for i in range(0):
            x = x * i
        return x + 1

    agrees(f, X, 5)


def aliased(x: Any) -> Any:
    last = np.zeros_like(x)
    for i in range(4):
        last = x  # from the first turn on
        x[i] += 1
    last[0] = 7.0
    return x * 2


def test_variables_that_stand_for_one_array_after_a_loop() -> None:
    given, expected = X.copy(), X.copy()
    same(tn.compile(aliased, lift=True, backend="numpy")(given), aliased(expected))
    np.testing.assert_array_equal(given, expected)


def test_a_write_to_what_may_be_the_callers_array_is_an_error() -> None:
    def own(x: Any) -> Any:
        if x.sum() > 1:
            x = x * 2
        x[0] = 0.0
        return x

    def another(x: Any) -> Any:
        y, best = x * 2, x * 3
        if x.sum() > 1:
            best = y
        y[0] = 0.0
        return best

    def turns(x: Any) -> Any:
        while x.sum() > 1:
            x = x * 0.5
        x[0] = 0.0
        return x

    for f in (own, another, turns):
        with pytest.raises(
            CaptureError, match=r"writes by item assignment to an array that is the caller's or another"
        ):
            compiled(f, X)

    def copied(x: Any) -> Any:
        return own(x.copy())

    same(compiled(copied, X), copied(X))


# -- branches ------------------------------------------------------------------------------------------------------


def branches(x: Any) -> Any:
    y = x.copy()
    if x.sum() > 3:
        y[0] = 5.0
        scale = 2
    else:
        scale = 0.5
    for i in range(len(x)):
        if x[i] > 1.0 and i != 4:
            y[i] = scale * x[i] if x[i] < 1.5 else -x[i]
    return y


def test_branches_on_values() -> None:
    agrees(branches, X)
    agrees(branches, X / 4)


def test_an_argument_that_only_the_other_side_writes() -> None:
    def f(x: Any) -> None:
        if x[0] > 0:
            x[1] = x[0]

    step = tn.compile(f, lift=True, backend="numpy")
    given = np.array([-1.0, 5.0])
    step(given)
    assert given.tolist() == [-1.0, 5.0]
    given = np.array([2.0, 5.0])
    step(given)
    assert given.tolist() == [2.0, 2.0]


def test_sides_that_leave_different_things_are_an_error_with_the_line() -> None:
    def f(x: Any) -> Any:
        y = x
        if x.sum() > 0:
            y = x[:2]
        return y

    line = f.__code__.co_firstlineno + 2
    with pytest.raises(CaptureError, match=rf"line {line}: .*different things: 'y' changes: it is float64 \(\d,\)"):
        compiled(f, X)


# -- what is not recorded as a loop --------------------------------------------------------------------------------


def test_turns_that_need_their_number_are_recorded_one_after_the_other() -> None:
    def f(x: Any, weights: list[float]) -> Any:
        for i in range(len(weights)):
            x = x * weights[i]
        return x

    weights = np.linspace(0.9, 1.1, 60).tolist()
    with pytest.warns(
        RuntimeWarning, match=r"line \d+: the 60 turns of this loop are recorded one after the other, since"
    ):
        same(compiled(f, X, weights), f(X, weights))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(compiled(f, X, weights[:10]), f(X, weights[:10]))

    def g(x: Any) -> Any:
        for i in range(6000):
            x = x * [1.0, 2.0][i % 2]
        return x

    with pytest.raises(CaptureError, match="the 6000 turns of this loop would have to be recorded"):
        compiled(g, X)


def test_values_of_a_recorded_loop_are_not_those_of_a_run() -> None:
    def f(x: Any) -> Any:
        a = np.zeros((4, 4))
        for i in range(4):
            for j in range(i + 1, 4):
                a[i, j] = x[i] - x[j]
                a[j, i] = x[i] + x[j]
            a[i, i] = 3.0
        return np.linalg.solve(a, x[:4])  # singular after the first turn

    agrees(f, X)


def largest(program: Program) -> int:
    """How many elements the largest value has that is computed."""
    inner = (v for i in program.body for v in i.params.values() if isinstance(v, Program))
    return max([0, *(math.prod(r.shape) for i in program.body for r in i.results), *map(largest, inner)])


def test_loops_of_checkpoints_keep_what_few_turns_began_with() -> None:
    def f(x: Any) -> Any:
        log = []
        for i in range(400):
            x = np.sin(x) + 0.1 * x * i
            if i > 390:
                log.append(x[0])
        return x.sum() + sum(log)

    def gradient(checkpoint: bool) -> Any:
        lifted = tn.lift(f, checkpoint=checkpoint)
        return tn.compile(tn.grad(lambda x: lifted(x)), backend="numpy")

    few, all_turns = gradient(True), gradient(False)
    np.testing.assert_allclose(few(X / 9).numpy(), all_turns(X / 9).numpy(), rtol=1e-12)
    assert largest(all_turns.variants[0].program) > 390 * len(X)
    assert largest(few.variants[0].program) <= 20 * len(X)


def test_natively() -> None:
    pytest.importorskip("llvmlite")
    for f, args in ((edges, (X,)), (newton, (X,)), (swapped, (X, 7))):
        given = [np.array(a) if isinstance(a, np.ndarray) else a for a in args]
        same(tn.compile(f, lift=True, backend="native")(*given), f(*(np.array(a) for a in args[:1]), *args[1:]))


def settled(a: Any) -> Any:
    """A loop by values whose last line names what it computed, which nobody else reads."""
    x, change = np.ones(len(a)), 1.0
    while change > 1e-3:
        new = 0.5 * (x + a / x)
        change = np.abs(new - x).max()
        x = new
    return x


def test_a_name_that_only_a_turn_reads_shares_nothing() -> None:
    agrees(settled, np.array([2.0, 3.0]), gradients=False)  # how many turns there are depends on values


def seen_behind(b: Any) -> Any:
    """A view of what a loop writes, which is read again behind a branch alone."""
    b = b.copy()
    view, s = b[::-1], 0.5
    for i in range(3):
        b[i] -= 1.0
    if b[0] > 0:
        s = s * 2
    return view * s


def test_a_view_of_what_a_loop_wrote_is_no_branchs_work() -> None:
    agrees(seen_behind, X)
