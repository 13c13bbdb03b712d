"""A rule read into a program does exactly what the rule says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import optim
from tapenet.optim.rule_compilation import program
from tests.optim.test_rules import CONFIGURATIONS, IDS


def run_both(
    rule: Any, states: list[str], scalars: dict[str, float], dtype: Any = np.float64
) -> tuple[list[Any], list[Any]]:
    """Results of the rule as it is, and of its program: parameter and states."""
    r = np.random.default_rng(0)
    p, g, *old = (np.abs(r.normal(size=50)).astype(dtype) for _ in range(2 + len(states)))
    new_p, new = rule(p, g, dict(zip(states, old, strict=True)), scalars)
    expected = [new_p, *(new[name] for name in states)]
    made = program(rule, tuple(states), tuple(scalars))
    got = [p.copy(), *(a.copy() for a in old)]
    g_before = g.copy()
    temporaries = [np.full(50, np.nan, dtype) for _ in range(made.temporaries)]
    made.update(g, *got, *temporaries, *(np.array(v, dtype) for v in scalars.values()))
    np.testing.assert_array_equal(g, g_before)
    return expected, got


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS, ids=IDS)
def test_bit_for_bit_the_rule(name: str, options: dict[str, Any], dtype: Any) -> None:
    opt = getattr(optim, name)([tn.tensor(np.zeros(2, dtype), requires_grad=True)], **options)
    group = opt.groups[0]
    expected, got = run_both(opt.rule, list(opt.states(group)), opt.scalars(group, 0.1, 3), dtype)
    for a, b in zip(expected, got, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_array_equal(a, b)


AWKWARD: list[Callable[..., Any]] = [
    lambda p, g, st, s: (st["a"], {"a": p, "b": st["b"]}),  # exchanged
    lambda p, g, st, s: (p, {"a": g, "b": st["a"]}),  # handed on
    lambda p, g, st, s: (g, {"a": p - g, "b": p + g}),
    lambda p, g, st, s: (st["b"] - p, {"a": st["b"] * p, "b": p * st["a"]}),  # old values needed to the end
    lambda p, g, st, s: ((x := p * g), {"a": x, "b": x}),  # one result in three places
    lambda p, g, st, s: (p, {"a": st["a"], "b": st["b"]}),  # nothing at all
    lambda p, g, st, s: (np.maximum(p, 0.5) ** 2 - 1, {"a": np.sign(-g), "b": abs(st["b"]) / (1 + p)}),
    lambda p, g, st, s: (
        ((p + g) * (p - g)) / ((st["a"] + g) * (st["b"] - g)),
        {"a": p * 2, "b": st["a"] + p},
    ),
    lambda p, g, st, s: (s["x"] * p, {"a": (p + 1) * (g + 1) + (p + 2) * (g + 2), "b": s["x"] - st["b"]}),
]


@pytest.mark.parametrize("rule", AWKWARD)
def test_storage_is_not_overwritten_too_early(rule: Any) -> None:
    expected, got = run_both(rule, ["a", "b"], {"x": 0.3})
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", range(40))
def test_random_rules(seed: int) -> None:
    """Rules made at random out of twenty operations, results taken from anywhere."""

    def rule(p: Any, g: Any, st: dict[str, Any], s: dict[str, Any]) -> Any:
        r = np.random.default_rng(seed)
        values = [p, g, *st.values()]
        for _ in range(20):
            f = [np.add, np.subtract, np.multiply, np.maximum][r.integers(4)]
            a, b = (values[i] for i in r.integers(len(values), size=2))
            values.append(f(a, b) if r.integers(3) else f(s["x"], np.tanh(a)))
        picked = [values[i] for i in r.integers(len(values), size=3)]
        return picked[0], {"a": picked[1], "b": picked[2]}

    expected, got = run_both(rule, ["a", "b"], {"x": 0.3})
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a, b)


def test_adam_needs_one_temporary() -> None:
    opt = optim.Adam([tn.tensor([0.0], requires_grad=True)])
    group = opt.groups[0]
    assert program(opt.rule, tuple(opt.states(group)), tuple(opt.scalars(group, 0.1, 1))).temporaries == 1


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda p, g, st, s: (p - np.sum(g), {}), r"uses np.sum: .*tn.optim.WholeOptimizer"),
        (lambda p, g, st, s: (p - g / np.linalg.norm(g), {}), r"uses np.linalg.norm: .*tn.optim.WholeOptimizer"),
        (lambda p, g, st, s: (p - g / g.mean(), {}), r"uses .mean of an array: .*tn.optim.WholeOptimizer"),
        (lambda p, g, st, s: (p - g / p.shape[0], {}), r"uses .shape of an array: .*tn.optim.WholeOptimizer"),
        (lambda p, g, st, s: (p - g / len(g), {}), r"uses len\(\) of an array: .*tn.optim.WholeOptimizer"),
        (lambda p, g, st, s: (p - g[0], {}), r"indexes an array: .*tn.optim.WholeOptimizer"),
        (lambda p, g, st, s: (np.where(g > 0, p, g), {}), r"uses np.where: .*elementwise ufuncs"),
        (lambda p, g, st, s: (p - np.add.reduce(g), {}), r"uses np.add.reduce: .*tn.optim.WholeOptimizer"),
        (lambda p, g, st, s: (p @ g, {}), r"uses np.matmul: .*tn.optim.WholeOptimizer"),
        (
            lambda p, g, st, s: (np.subtract(p, g, out=p), {}),
            r"writes in place with np.subtract \(p -= d is p = p - d\)",
        ),
        (lambda p, g, st, s: (p.__setitem__(0, g), {}), r"writes into an array"),
        (lambda p, g, st, s: (p - (1 - s["lr"]) * g, {}), r"np.subtract to the numbers of the update .* scalars\(\)"),
        (lambda p, g, st, s: (p - math.sqrt(s["lr"]) * g, {}), r"a Python number of a number .* scalars\(\)"),
        (lambda p, g, st, s: (p if s["lr"] else g, {}), r"branches on a number of the update: .* scalars\(\)"),
        (lambda p, g, st, s: (p if g > 0 else g, {}), r"branches on a value"),
        (
            lambda p, g, st, s: (p - np.random.normal() * g, {}),
            r"draws random numbers, which .*WholeOptimizer, whose rule",
        ),
        (lambda p, g, st, s: (p - float(tn.random.normal()) * g, {}), r"draws random numbers"),
        (lambda p, g, st, s: (0.0, {}), r"returned a number for the parameter"),
        (lambda p, g, st, s: p - g, r"returned one value alone: .* WholeOptimizer returns two .*: return new_p, \{\}"),
        (lambda p, g, st, s: None, r"returned None: .* returns two things"),
        (lambda p, g, st, s: (p, [g]), r"returned a tuple of 2 with a list in second place"),
        (lambda p, g, st, s: (p, {"momentum": g}), r"returned the states 'momentum', and was given none"),
        (
            lambda p, g, st, s: (p - s["decay"] * g, {}),
            r"asks for 'decay': of states\(\) it has none, of scalars\(\) 'lr'",
        ),
        (lambda p, g, st: (p - g, {}), r"takes \(p, g, st\): a rule takes .* `def rule\(p, g, state, s\)`"),
    ],
)
def test_a_rule_that_is_not_elementwise_says_so(rule: Any, message: str) -> None:
    np.random.normal()  # the next one may be kept from this draw
    with pytest.raises(TypeError, match=message):
        program(rule, (), ("lr",))


def test_clipped_values_are_two_calls() -> None:
    expected, got = run_both(lambda p, g, st, s: (p - s["lr"] * np.clip(g, -0.5, 0.5), {}), [], {"lr": 0.1})
    np.testing.assert_array_equal(expected[0], got[0])


# -- machine code ------------------------------------------------------------------------------------------------


def many(kind: str, options: dict[str, Any], dtype: Any, monkeypatch: pytest.MonkeyPatch, worth: int) -> list[Any]:
    """Parameters and states after three updates, in NumPy or in machine code."""
    monkeypatch.setattr("tapenet.optim.storage.WORTH", worth)
    r = np.random.default_rng(0)
    params = [tn.tensor(r.normal(size=n).astype(dtype), requires_grad=True) for n in ((40, 5), (7,), (50_000,), (3,))]
    opt = getattr(optim, kind)(params, **options)
    for _ in range(3):
        for p in params:
            p.grad = r.normal(size=p.shape).astype(dtype)
        params[2].grad = np.repeat(r.normal(size=50_000).astype(dtype), 2)[::2]  # not dense
        opt.step()
    states = [value for slot in opt.slots for value in slot.state.values()]
    return [np.asarray(t.data) for t in (*params, *states)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "options"), CONFIGURATIONS, ids=IDS)
def test_machine_code_does_the_same(
    name: str, options: dict[str, Any], dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llvmlite")
    expected = many(name, options, dtype, monkeypatch, 1 << 30)
    for threads in (1, 3):
        monkeypatch.setattr("tapenet.llvm.workers._number", threads)
        for a, b in zip(many(name, options, dtype, monkeypatch, 0), expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_machine_code_is_made_for_many_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = pytest.importorskip("tapenet.kernels.updates", exc_type=ImportError)
    pytest.importorskip("llvmlite")
    made: list[Any] = []
    code = updates.code
    monkeypatch.setattr(updates, "code", lambda *args: (made.append(args), code(*args))[1])
    for size, times in ((1 << 15, 0), (1 << 17, 1)):
        p = tn.tensor(np.ones(size, np.float32), requires_grad=True)
        p.grad = np.ones(size, np.float32)
        optim.SGD([p], lr=0.5).step()
        assert len(made) == times
        assert (p.data == 0.5).all()
