"""Loops and branches inside of formulas: `lower=` of an op may use `tn.while_loop`, `tn.scan`, `tn.fori` and `tn.cond`."""

from __future__ import annotations

import numpy as np
import pytest

import tapenet as tn
from tapenet.typing import Array
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture


def halve(x, tolerance=1e-3):
    """How often x is halved until it is small, and what is left."""
    count = np.zeros((), np.int64)
    while np.abs(x).max() > tolerance:
        x, count = x / 2, count + 1
    return x * count


def halve_loop(x, tolerance=1e-3):
    def turn(state):
        return state[0] / 2, state[1] + 1

    left, count = tn.while_loop(
        lambda s: np.abs(s[0]).max() > tolerance, turn, (x, np.zeros((), np.int64)), max_turns=99
    )
    return left * count


def running(x, decay):
    y = np.zeros_like(x[0])
    rows = []
    for row in x:
        y = decay * y + row
        rows.append(y)
    return np.stack(rows) + y


def running_scan(x, decay, reverse=False):
    def step(y, row):
        y = decay * y + row
        return y, y

    last, rows = tn.scan(step, np.zeros_like(x[0]), x, reverse=reverse)
    return rows + last


def power(x):
    y = np.ones_like(x)
    for i in range(1, 6):
        y = y * x + i
    return y


def signed(x):
    return x * 2 if x.sum() > 0 else -x


def nested(x):
    """A sum over rows of what a loop in a loop gives."""
    total = np.zeros(())
    for row in x:
        part = row
        for i in range(3):
            part = np.tanh(part) + i if part.sum() > 0 else part * total
        total = total + part.sum()
    return total


def nested_loops(x):
    def step(total, row):
        def inner(i, part):
            return tn.cond(part.sum() > 0, lambda: np.tanh(part) + i, lambda: part * total)

        return total + tn.fori(0, 3, inner, row).sum(), None

    return tn.scan(step, np.zeros((), x.dtype), x)[0]


CASES = {
    "while": (halve, halve_loop, [np.array([3.0, -8.0])]),
    "scan": (running, running_scan, [np.arange(12.0).reshape(4, 3), np.array(0.5)]),
    "fori": (power, lambda x: tn.fori(1, 6, lambda i, y: y * x + i, np.ones_like(x)), [np.array([0.5, -2.0])]),
    "cond": (signed, lambda x: tn.cond(x.sum() > 0, lambda x: x * 2, lambda x: -x, x), [np.array([1.0, -3.0])]),
    "nested": (nested, nested_loops, [np.array([[1.0, 2.0], [-3.0, 1.0], [0.5, 0.25]])]),
}


@backends
@pytest.mark.parametrize("case", CASES)
def test_a_loop_in_a_formula_is_read(case: str, compiled: Compile) -> None:
    forward, lower, args = CASES[case]
    op = tn.op(forward, name=case, nondiff=True, lower=lower)
    step = compiled(lambda *args: op(*args) + 1.0)
    for sign in (1, -1):
        given = [sign * a for a in args]
        expected = np.asarray(forward(*given)) + 1.0
        found = step(*given)
        assert found.dtype == expected.dtype
        assert np.allclose(found.data, expected, rtol=1e-14)
    told = str(step.explain())
    assert "calls of Python: 0" in told or "statements of NumPy" in told
    assert f"op {case!r}" not in told  # it is not called


@backends
def test_what_the_loop_closes_over_is_part_of_the_formula(compiled: Compile) -> None:
    """Values of the formula from before the loop, used in both of its functions."""

    def lower(x, y):
        z = x * y
        return tn.while_loop(lambda s: (s < z).any(), lambda s: s + z / 2, y - 5)

    def forward(x, y):
        z, s = x * y, y - 5
        while (s < z).any():
            s = s + z / 2
        return s

    op = tn.op(forward, name="closing", nondiff=True, lower=lower)
    x, y = np.array([1.0, 2.0]), np.array([3.0, 1.5])
    assert np.array_equal(compiled(op)(x, y).data, forward(x, y))


@backends
def test_a_rule_and_lanes_go_with_it(compiled: Compile) -> None:
    op = tn.op(
        power, name="power", lower=CASES["fori"][1], x=lambda g, x: g * (5 * x**4 + 4 * x**3 + 6 * x**2 + 6 * x + 4)
    )
    x = np.array([0.5, -2.0])
    found = compiled(lambda x: tn.vmap(op)(x))(np.stack([x, 2 * x]))
    assert np.allclose(found.data, [power(x), power(2 * x)], rtol=1e-14)
    tn.testing.check_grads(lambda x: op(x).sum(), [x], order=2)


def test_reversed_scans_and_several_leaves() -> None:
    def forward(x, decay):
        return running(x[::-1], decay)[::-1]

    def lower(x, decay):
        def step(carry, row):
            y = decay * carry["y"] + row["x"]
            return {"y": y}, (y,)

        last, (rows,) = tn.scan(step, {"y": np.zeros_like(x[0])}, {"x": x}, reverse=True)
        return rows + last["y"]

    op = tn.op(forward, name="reversed", nondiff=True, lower=lower)
    x = np.arange(6.0).reshape(3, 2)
    step = tn.compile(op)
    assert np.allclose(step(x, 0.5).data, forward(x, 0.5), rtol=1e-14)
    assert "op 'reversed'" not in str(step.explain())


def test_a_loop_that_cannot_be_read_is_called() -> None:
    """What is carried changes its dtype, or the loop has no turn: the op is called as it stands, and explain() says why."""

    def widening(x):
        return tn.while_loop(lambda s: s.sum() < 9, lambda s: s + 0.5, x)

    op = tn.op(lambda x: x + (9 - x.sum()), name="widening", nondiff=True, lower=widening)
    step = tn.compile(op)
    assert step(np.array([1, 2])).data.tolist() == [7, 8]
    assert "a carry keeps its structure, shapes and dtypes" in str(step.explain())


def test_what_a_loop_changes_in_place() -> None:
    """Arrays of its own as it likes; of what is made outside of it the op is called as it stands, and explain() says why."""

    def forward(x: Array) -> Array:
        return 3 * (x + 1) + x

    def own(x: Array) -> Array:
        def body(i: object, total: Array) -> Array:
            y = x * 1.0
            y += 1.0
            return total + y

        return tn.fori(0, 3, body, np.zeros_like(x)) + x

    def outer(x: Array) -> Array:
        total = x * 1.0

        def body(i: object, count: Array) -> Array:
            nonlocal total
            total += x + 1.0
            return count + 1

        tn.fori(0, 3, body, np.zeros_like(x))
        return total

    x = np.array([1.0, -2.0])
    for lower, read in ((own, True), (outer, False)):
        step = tn.compile(tn.op(forward, name="changing", nondiff=True, lower=lower))
        assert np.allclose(step(x).data, forward(x), rtol=1e-14)
        assert ("changes in place what is made outside" in str(step.explain())) is not read
