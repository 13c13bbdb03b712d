"""Python's statements in lifted functions: exits, branches on values, functions and methods that are called, lists."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tests.lifting.ways import agrees

X = np.array([2.5, 1.0, 4.0, -0.75, 5.0])


@dataclasses.dataclass
class Spring:
    """Has methods that make arrays."""

    stiffness: float
    rest: float = 0.5

    def force(self, x: Any) -> Any:
        out = np.zeros(len(x))
        for i in range(len(x)):
            out[i] = self._one(x[i])
        return out

    def _one(self, x: Any) -> Any:
        return self.stiffness * x if x > self.rest else -(x**2)


def methods(x: Any) -> Any:
    return Spring(2.0).force(x).sum()


def newton(f: Callable[[Any], Any], x: Any, eps: float = 1e-6) -> Any:
    """Is given a function."""
    for _ in range(3):
        x = x - f(x) / ((f(x + eps) - f(x - eps)) / (2 * eps))
    return x


def given_functions(x: Any) -> Any:
    def f(y: Any) -> Any:
        both = np.zeros(2)
        both[0] = y * y
        both[1] = -x[0]
        return both.sum()

    return newton(f, x[4])


def sums(x: Any) -> Any:
    return sum(x[i] * x[i + 1] for i in range(len(x) - 1)) + max(x[i] for i in range(len(x)))


def folds(x: Any) -> Any:
    n = len(x)
    pairs = sum(sum(x[i] * x[j] for j in range(i)) for i in range(n)) + sum(
        a * b for a, b in zip(x, x[::-1], strict=True)
    )
    some = sum([v**3 for v in x if v > 0 if v < 4.5]) + min(v * v for v in x)
    return pairs * (2 if any(v > 4.5 for v in x) else 3) + some * (1 if all(x[i] > 0 for i in range(n)) else 5)


def lists(x: Any) -> Any:
    history = []
    for i in range(5):
        history.append(math.sin(x[i]) * 2)  # noqa: PERF401
    table = {"last": history[-1], "n": len(history)}
    table["last"] = table["last"] * table["n"]
    return np.array(history).sum() + table["last"] + np.array([v if v > 2 else 0.0 for v in x]).sum()


def returns(x: Any) -> Any:
    for i in range(len(x)):
        if x[i] > 3:
            return i * x[i]
    return -1.0 * x[0]


def exits(x: Any) -> Any:
    n = 0.0
    for v in x:
        if 0 < v <= 2:
            continue
        if v < 0:
            break
        n += v
    else:
        n = 100.0
    while True:
        n = n * 0.5
        if n < 1:
            break
    return n * x.sum()


def nested(x: Any) -> Any:
    def side(y: Any) -> Any:
        if y > 0:
            return y * 2
        return -y

    total = 0.0
    for i in range(len(x)):
        total += side(x[i])
    return total


def sorting(x: Any) -> Any:
    x = x.copy()
    for i in range(1, len(x)):
        key = x[i]
        j = i - 1
        while j >= 0 and x[j] > key:
            x[j + 1] = x[j]
            j -= 1
        x[j + 1] = key
    for i in range(len(x)):
        for j in range(len(x) - 1 - i):
            if x[j] < x[j + 1]:
                x[j], x[j + 1] = x[j + 1], x[j]
    return x[1] * x[2] + x[0]


def recursive(x: Any, n: int = 3) -> Any:
    if n == 0:
        return x.sum()
    return recursive(np.sin(x), n - 1)


def tried(x: Any) -> Any:
    try:
        y = x["a"]
    except (TypeError, IndexError):
        y = x
    for i in range(5):
        try:
            y = y + i
        finally:
            y = y * 0.5
    with np.errstate(all="ignore"):
        return y.sum()


def bisection(x: Any) -> Any:
    low, high = 0.0, 10.0
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        if middle**3 - 20.0 < 0:
            low = middle
        else:
            high = middle
    return low * x.sum()


@pytest.mark.parametrize(
    "f",
    [methods, given_functions, sums, folds, lists, returns, exits, nested, sorting, recursive, tried, bisection],
    ids=lambda f: f.__name__,
)
def test_statements(f: Callable[[Any], Any]) -> None:
    agrees(f, X)


@pytest.mark.parametrize("f", [folds, returns, exits, nested, sorting], ids=lambda f: f.__name__)
def test_programs_decide_at_each_run(f: Callable[[Any], Any]) -> None:
    """One program, whatever the values are."""
    program = tn.compile(f, lift=True, backend="numpy")
    for x in (X, X[::-1].copy(), np.abs(X), np.ones(5), -X):
        np.testing.assert_allclose(program(x).item(), f(x), rtol=1e-14)
    assert len(program.variants) == 1


def test_sums_over_many_turns_are_loops() -> None:
    def f(x: Any) -> Any:
        return sum(x[i] * math.sin(x[i - 1]) for i in range(len(x)))

    program = tn.compile(f, lift=True, backend="numpy")
    x = np.linspace(0, 1, 1000)
    np.testing.assert_allclose(program(x).item(), f(x), rtol=1e-12)
    assert len(program.variants[0].program.body) < 30


def test_functions_given_and_methods_of_objects_given_are_lifted() -> None:
    """Recorded and traced, also where they come from outside of the function."""
    spring = Spring(3.0)

    def f(x: Any, of: Callable[[Any], Any]) -> Any:
        return of(x).sum() + spring.force(x).sum()

    expected = np.where(X > 0.5, 6.0, -4.0 * X)
    assert np.allclose(tn.grad(tn.lift(f))(X, Spring(3.0).force).numpy(), expected)
    assert np.allclose(
        tn.grad(tn.compile(lambda x: f(x, Spring(3.0).force), lift=True, backend="numpy"))(X).numpy(), expected
    )


def test_assignments_in_expressions() -> None:
    """What a condition binds is bound behind the loop too; where only a run knows whether it is, an error says so."""

    def f(x: Any) -> Any:
        total, i = 0.0, 0
        while (v := x[i]) > -0.5:
            total += v
            i += 1
        else:
            total *= 2
        return total * v

    agrees(f, X)

    def g(x: Any) -> Any:
        return y if x[0] > 0 and (y := x[1]) > 0 else x[2]

    with pytest.raises(tn.CaptureError, match=r"test_statements.py:\d+: whether y is assigned"):
        tn.compile(g, lift=True, backend="numpy")(X)


class Compiled:
    """As what Numba makes of a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.py_func = function
        self.calls = 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        assert not any(isinstance(a, tn.Tensor) for a in args)
        return self.py_func(*args)


@Compiled
def smoothed(x: Any) -> Any:
    out = np.zeros_like(x)
    for i in range(1, len(x) - 1):
        out[i] = x[i - 1] + x[i + 1]
    return out


@Compiled
def twice(x: Any) -> Any:
    return smoothed(smoothed(x)).sum()


def test_what_numba_compiled_is_lifted() -> None:
    """Its Python is; on arrays it runs itself."""
    lifted: Any = tn.lift(twice)
    assert lifted(X).item() == twice.py_func(X)
    calls = twice.calls, smoothed.calls
    gradient = [float(np.sum(smoothed.py_func(smoothed.py_func(row)))) for row in np.eye(5)]
    assert tn.grad(lifted)(X).numpy().tolist() == gradient
    assert tn.grad(tn.compile(lifted, lift=True, backend="numpy"))(X).numpy().tolist() == gradient
    assert (twice.calls, smoothed.calls) == calls


def test_sides_that_cannot_be_one_program_name_the_line() -> None:
    def f(x: Any) -> Any:
        if x[0] > 0:
            return "text"
        return x

    def g(x: Any) -> Any:
        chosen = np.sin if x[0] > 0 else np.cos
        return chosen(x)

    for function in (f, g):
        line = function.__code__.co_firstlineno + 1
        with pytest.raises(tn.CaptureError, match=f"line {line}"):
            tn.compile(function, lift=True, backend="numpy")(X)
    assert tn.elementwise_grad(tn.lift(g))(X).numpy().tolist() == np.cos(X).tolist()


def test_floats_that_are_returned_are_tensors() -> None:
    """Whether gradients flow or not."""

    def f(x: Any) -> Any:
        if x[0] < 0:
            return 0.0, 1
        return math.sin(x[0]), len(x)

    for function in (tn.lift(f), tn.compile(f, lift=True, backend="numpy")):
        value, n = function(X)
        assert isinstance(value, tn.Tensor)
        assert (value.item(), n) == (math.sin(2.5), 5)
