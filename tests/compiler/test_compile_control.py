"""Compiled loops and branches: optimizer steps and random numbers in a branch, and numbers of 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.program.trees import tree_leaves
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

MAKERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda params: optim.SGD(params, lr=0.5, momentum=0.5),
    "adam": lambda params: optim.Adam(params, lr=optim.step_decay(0.5, 2, 0.5)),
    "adafactor": lambda params: optim.Adafactor(params, lr=0.5),
}


def arrays(tree: Any) -> list[Any]:
    found = [np.array(t.data if isinstance(t, tn.Tensor) else t) for t in tree_leaves(tree)]
    return [a for a in found if a.dtype.kind in "biuf"]


def found_in(tree: Any) -> list[Any]:
    return [np.array(t.data) for t in tree_leaves(tree)]


def same(one: list[Any], other: list[Any], rtol: float = 1e-12) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


@backends
@pytest.mark.parametrize("looped", [False, True], ids=["step", "epoch"])
@pytest.mark.parametrize("rule", MAKERS)
def test_a_step_is_skipped_where_a_gradient_is_not_finite(compiled: Compile, rule: str, looped: bool) -> None:
    def run(compile_step: Any) -> list[Any]:
        tn.random.seed(0)
        net = nn.Linear(3, 2).astype(np.float64)
        opt = MAKERS[rule](net.parameters())

        def one(x: Any) -> Any:
            loss = (net(x) ** 2).sum()
            opt.zero_grad()
            loss.backward()
            fine = np.isfinite(net.weight.grad).all() & np.isfinite(net.bias.grad).all()

            def update() -> Any:
                opt.step()
                return loss

            return tn.cond(fine, update, lambda: loss * 0)

        def epoch(xs: Any) -> Any:
            return tn.scan(lambda n, x: (n + 1, one(x)), 0, xs)

        step = compile_step(epoch if looped else lambda xs: one(xs[0]))
        found = []
        for bad in (None, np.nan, None, np.inf, np.nan, None):
            xs = np.arange(12.0).reshape(2, 2, 3) / 10
            xs[0, 1, 2] = 0.5 if bad is None else bad
            found += arrays([step(xs), net.state_dict(), opt.state_dict()])
        return found

    with np.errstate(all="ignore"):
        same(run(compiled), run(lambda f: f))


DRAWS: dict[str, Callable[[], Any]] = {
    "one": lambda: tn.random.normal(size=3),
    "two of a kind": lambda: tn.random.uniform(size=(2, 1)) * tn.random.uniform(1.0, 2.0),
    "two kinds": lambda: tn.random.normal(size=2) + tn.random.exponential(),
    "two dtypes": lambda: tn.random.normal(size=3, dtype=np.float32) + tn.random.normal(size=3),
    "float32": lambda: tn.random.normal(size=3, dtype=np.float32) * tn.random.normal(size=1, dtype=np.float32),
    "float16": lambda: tn.random.normal(size=3, dtype=np.float16),
    "whole numbers": lambda: tn.random.integers(5) + tn.random.uniform(),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", DRAWS)
@backends
def test_random_numbers_of_turns_are_drawn_in_order(compiled: Compile, name: str, reverse: bool) -> None:
    """Those of all turns at once, where they are of one kind."""

    def f(xs: Any) -> Any:
        return tn.scan(lambda c, x: (c + x, DRAWS[name]() * x), np.float64(0), xs, reverse=reverse)

    step, xs = compiled(f), np.arange(1.0, 5.0)
    for seed in range(3):
        tn.random.seed(seed)
        right, state = f(xs), tn.random.get_state()
        tn.random.seed(seed)
        same(arrays(step(xs)), arrays(right), rtol=1e-6)
        assert state["state"] == tn.random.get_state()["state"]


@pytest.mark.parametrize("name", DRAWS)
@backends
def test_random_numbers_of_a_while_are_drawn_in_their_turn(compiled: Compile, name: str) -> None:
    """Those of one kind by NumPy's functions, without Python; beside dropout, and numbers of a branch."""

    def turn(c: Any) -> Any:
        n, x, kept = c
        x = x + np.sum(DRAWS[name]())
        x = tn.cond(x > 0, lambda: x * tn.random.uniform(), lambda: x)
        return n + 1, x, kept + F.dropout(np.ones((2, 3)), 0.5).T * tn.random.normal(size=(3, 2))

    def f(x: Any) -> Any:
        return tn.while_loop(lambda c: c[0] < 4, turn, (np.int64(0), x, np.zeros((3, 2))), max_turns=5)

    step, x = compiled(f), np.float64(0.5)
    for seed in range(3):
        tn.random.seed(seed)  # another generator each time
        right, state = f(x), tn.random.get_state()
        tn.random.seed(seed)
        same(arrays(step(x)), arrays(right), rtol=1e-6)
        assert state["state"] == tn.random.get_state()["state"]


@backends
def test_turns_of_a_while_that_seed_the_generator_begin_anew(compiled: Compile) -> None:
    def turn(c: Any) -> Any:
        n, x = c
        tn.random.seed(3)
        return n + 1, 2 * x + 10 * tn.random.uniform() + tn.random.uniform(size=2)

    def f(x: Any) -> Any:
        return tn.while_loop(lambda c: c[0] < 4, turn, (np.int64(0), x))

    step, x = compiled(f), np.zeros(2)
    for seed in range(3):
        tn.random.seed(seed)
        right, state = f(x), tn.random.get_state()
        tn.random.seed(seed)
        same(arrays(step(x)), arrays(right))
        assert state["state"] == tn.random.get_state()["state"]


@backends
def test_random_numbers_of_a_branch_are_drawn_in_their_turn(compiled: Compile) -> None:
    def step(xs: Any) -> Any:
        first = tn.random.normal(size=(2,))

        def turn(carry: Any, x: Any) -> Any:
            before = F.dropout(x, 0.5)
            drawn = tn.cond(x[0] > 0, lambda: tn.random.normal(size=(2,)), lambda: np.zeros(2))
            return carry + drawn, (before, drawn, tn.random.uniform(size=()))

        return first, tn.scan(turn, np.zeros(2), xs), tn.random.normal(size=())

    run = compiled(step)
    xs = np.array([[1.0, 2.0], [-1.0, 2.0], [1.0, -3.0]])
    for given in (xs, -xs, xs[::-1].copy()):
        tn.random.seed(5)
        expected = arrays(step(tn.asarray(given)))
        tn.random.seed(5)
        same(arrays(run(given)), expected)


@backends
@pytest.mark.parametrize("kind", ["leaf", "graph"])
@pytest.mark.parametrize("order", [(1, -1, 1), (-1, 1, -1)], ids=["trains first", "trains later"])
def test_a_backward_in_a_branch_goes_through_its_operands(compiled: Compile, kind: str, order: Any) -> None:
    """To the leaves behind them, also where the branch that does so is not the one that was taken at the capture."""

    def run(compile_step: Any) -> list[Any]:
        w = tn.tensor([2.0, 3.0], requires_grad=True)
        opt = optim.SGD([w], lr=0.25)

        def train(u: Any) -> Any:
            opt.zero_grad()
            (u * u).sum().backward()
            opt.step()
            return w.sum()

        def step(x: Any) -> Any:
            return tn.cond(x > 0, train, lambda u: u.sum() * 0, w if kind == "leaf" else w * 2)

        made = compile_step(step)
        return [(made(np.float64(x)).item(), w.tolist()) for x in order]

    plain = run(lambda f: lambda x: f(tn.asarray(x)))
    assert run(compiled) == plain
    assert plain[0] != plain[1]


@backends
@pytest.mark.parametrize("kind", ["loop", "branch"])
def test_no_gradient_flows_to_what_is_not_used(compiled: Compile, kind: str) -> None:
    """It is None, as uncompiled, and no array of zeros, for which an optimizer would count a step and decay a weight."""

    def run(compile_step: Any) -> list[Any]:
        used, unused = (tn.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
        opt = optim.AdamW([used, unused], lr=0.1, weight_decay=0.5)

        def step(x: Any) -> Any:
            if kind == "loop":
                found, _ = tn.scan(lambda c, v: (c + (used * v).sum(), (unused * v, c)), 0.0, x)
            else:
                found, _ = tn.cond(x.sum() > 0, lambda: (used * 2, unused * 3), lambda: (used * 3, unused * 1))
            opt.zero_grad()
            found.sum().backward()
            opt.step()
            return found

        made = compile_step(step)
        return [
            arrays([made(tn.asarray(x)), used, unused, opt.state_dict()]) for x in (np.ones(3), -np.ones(3), np.ones(3))
        ]

    plain = run(lambda f: f)
    for found, expected in zip(run(compiled), plain, strict=True):
        same(found, expected)
    assert plain[-1][2].tolist() == [1.0, 2.0]


@backends
def test_a_parameter_that_a_branch_returns_is_a_value(compiled: Compile) -> None:
    """It is no other name for the parameter: which branch ran at the capture would say what is written later."""

    def run(compile_step: Any) -> list[Any]:
        w = tn.tensor([1.0, 2.0], requires_grad=True)

        def step(x: Any) -> Any:
            kept = tn.cond(x > 0, lambda: w, lambda: w * 0)

            def body(carry: Any, _: Any) -> Any:
                with tn.no_grad():
                    w.data = kept.detach() * 3
                return carry + w.sum(), kept * 1

            return tn.scan(body, 0.0, np.ones(2)), kept

        made = compile_step(step)
        return [arrays([made(tn.asarray(x)), w]) for x in (1.0, -1.0, 1.0)]

    for found, expected in zip(run(compiled), run(lambda f: f), strict=True):
        same(found, expected)


def test_a_backward_in_a_loop_that_would_leave_it_is_refused() -> None:
    w = tn.tensor([2.0, 3.0], requires_grad=True)
    opt = optim.SGD([w], lr=0.25)

    def body(carry: Any, x: Any) -> Any:
        loss = (carry * x).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return carry.detach(), loss.detach()

    for init in (lambda: w, lambda: w * 2):
        with pytest.raises(tn.CaptureError, match=r"goes through its carry, .*carry\.detach\(\)"):
            tn.compile(lambda xs, init=init: tn.scan(body, init(), xs))(np.ones((2, 2)))
        assert w.tolist() == [2.0, 3.0]


@backends
def test_a_loop_over_a_parameter_that_it_updates_reads_it_as_it_was(compiled: Compile) -> None:
    def run(compile_step: Any) -> list[Any]:
        w = tn.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)

        def body(carry: Any, x: Any) -> Any:
            with tn.no_grad():
                w.data = w * 2
            return carry + x.sum(), x * 1

        made = compile_step(lambda: tn.scan(body, 0.0, w))
        return [arrays([made(), w]) for _ in range(3)]

    for found, expected in zip(run(compiled), run(lambda f: f), strict=True):
        same(found, expected)


@backends
@pytest.mark.parametrize("dtype", ["float16", "complex64", "complex128"])
def test_numbers_that_native_code_does_not_know_are_handed_on(compiled: Compile, dtype: str) -> None:
    """A loop, or a branch, that computes nothing with them."""

    def step(x: Any) -> Any:
        carry, ys = tn.scan(lambda c, v: (v, c), x[0], x)
        return carry, ys, tn.cond(x[0, 0].real > 0, lambda: x[0], lambda: x[1])

    run = compiled(step)
    for sign in (1, -1):
        x = (np.arange(1, 7).reshape(3, 2) * sign).astype(dtype)
        for got, expected in zip(found_in(run(x)), found_in(step(tn.asarray(x))), strict=True):
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected)


@backends
def test_complex_numbers_flow_through_loops_and_branches(compiled: Compile) -> None:
    """In both orders of derivatives."""

    def step(x: Any, w: Any) -> Any:
        carry, ys = tn.scan(lambda c, v: (c * v, c + w), x[0], x)
        chosen = tn.cond(x[0, 0].real > 0, lambda u: u * w, lambda u: u * u, carry)
        x.grad = w.grad = None
        ((chosen * chosen).real.sum() + (ys * ys).imag.sum()).backward(create_graph=True)
        first = [x.grad, w.grad]
        x.grad = w.grad = None
        sum((g * g).real.sum() for g in first).backward()
        return [carry, ys, chosen, *first, x.grad, w.grad]

    run = compiled(step)
    for sign in (1, -1, 1):
        results = []
        for f in (run, step):
            x = tn.tensor((np.arange(6).reshape(3, 2) - 2 + 1j) * sign / 2, requires_grad=True)
            w = tn.tensor([1 + 1j, 2 - 1j], requires_grad=True)
            results.append(found_in(f(x, w)))
        for got, expected in zip(*results, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


LOW: dict[str, Callable[[Any, Any], Any]] = {
    "scan": lambda x, w: tn.scan(lambda c, v: (c + v * w, c * v), x[0], x),
    "fori": lambda x, w: tn.fori(0, 3, lambda _, c: c * w, x),
    "cond": lambda x, w: tn.cond(x.sum() > 0, lambda u: u * w, lambda u: u * u + w, x),
    "mixed": lambda x, w: tn.scan(lambda c, v: (c + v * w, (v, c)), x[0].astype(np.float32), x),
    "nested": lambda x, w: tn.scan(lambda c, v: (tn.fori(0, 2, lambda _, d: d * w, c), c + v), x[0], x),
}


@backends
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", LOW)
def test_loops_and_branches_of_float16(compiled: Compile, name: str, order: int) -> None:
    def step(x: Any, w: Any) -> Any:
        x.grad = w.grad = None
        outs = tree_leaves(LOW[name](x, w))
        sum((out.astype(np.float32) * 0.5).sum() for out in outs).backward(create_graph=order == 2)
        first = [x.grad, w.grad]
        if order == 2:
            x.grad = w.grad = None
            sum((g.astype(np.float32) ** 2).sum() for g in first).backward()
        return outs, first, [x.grad, w.grad]

    run = compiled(step)
    for sign in (1, -1, 1):
        given = np.array([[0.0, 1.0], [0.5, 2.0], [1.0, -1.0]]) * sign
        results = []
        for f in (run, step):
            x = tn.tensor(given, dtype=np.float16, requires_grad=True)
            w = tn.tensor([0.5, 2.0], dtype=np.float16, requires_grad=True)
            results.append(arrays([v for v in tree_leaves(f(x, w)) if v is not None]))
        same(*results, rtol=0)  # all of it fits into 11 bits


@backends
def test_what_a_body_changes_by_other_means_than_its_results_is_an_error(compiled: Compile) -> None:
    def loop(x: Any) -> Any:
        total = x * 0.0

        def body(c: Any, row: Any) -> Any:
            nonlocal total
            total += row
            return c + row, c

        return tn.scan(body, tn.zeros(()), x)[0], total

    def branch(x: Any) -> Any:
        y = x * 2.0

        def set_first() -> Any:
            y[0] = 1.0
            return x

        return tn.cond(x.sum() > 0, set_first, lambda: x) + y

    def last(x: Any) -> Any:
        seen: list[Any] = []

        def body(c: Any, row: Any) -> Any:
            seen.append(c * 2)
            return c + row, c

        tn.scan(body, tn.zeros(()), x)
        return {"last": seen[-1]}

    for function in (loop, branch, last):
        with pytest.raises(
            tn.CaptureError, match="made inside the body of a captured loop or branch, is used outside of it"
        ):
            compiled(function)(tn.tensor([1.0, 2.0]))


def test_two_arguments_that_are_one_array_at_the_first_call_are_two() -> None:
    """To the bodies of loops and branches, and to what transformations record. So are one of them and an array from outside."""
    one, other = np.array([0.5, 1.5]), np.array([2.0, 3.0])
    for function in (
        lambda x, y: tn.fori(0, 2, lambda _, c: c + x * y * y + one, x),
        lambda x, y: tn.cond(x.sum() > 0, lambda c: c * x * y * y + one, lambda c: c, x),
        lambda x, y: tn.vmap(lambda k: x * k + y * y + one)(np.arange(3.0)),
        lambda x, y: tn.grad(lambda k: tn.checkpoint(lambda k: x * k + y * y * k * k * one)(k).sum())(x + 1),
    ):
        step = tn.compile(function, backend="numpy")
        for given in ((one, one), (one, one), (one, other), (other, one), (other, other)):
            expected = function(*map(tn.tensor, given))
            np.testing.assert_allclose(step(*given).data, expected.data, rtol=1e-12)


SQUARE = -np.eye(3)
#: Whether to compute something, what, what else, and what that would refuse.
GUARDED: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any], Any]] = {
    "a loss": (lambda p: p[0] <= 1, lambda p: F.binary_cross_entropy(p, np.zeros(2)), np.sum, np.array([1.5, 0.5])),
    "in a loop": (
        lambda p: p[0] <= 1,
        lambda p: tn.fori(0, 2, lambda i, c: c + F.binary_cross_entropy(p, np.zeros(2)), 0.0),
        np.sum,
        np.array([1.5, 0.5]),
    ),
    "weights": (lambda w: w[0] > 0, lambda w: np.average(w, weights=w), np.sum, np.zeros(2)),
    "a factor": (lambda a: a[0, 0] > 0, np.linalg.cholesky, lambda a: a * 2, SQUARE),
    "an index": (lambda i: i[0] < 3, lambda i: tn.tensor(np.arange(3.0))[i], lambda i: i * 0.5, np.array([3, 1])),
    "classes": (
        lambda i: i[0] < 3,
        lambda i: F.nll_loss(np.ones((2, 3)), i),
        lambda i: i.sum() * 0.5,
        np.array([3, 1]),
    ),
}


@pytest.mark.parametrize("name", GUARDED)
@backends
def test_a_branch_that_is_not_taken_refuses_nothing(compiled: Compile, name: str) -> None:
    pred, guarded, other, wrong = GUARDED[name]
    step = compiled(lambda x: tn.cond(pred(x), lambda: guarded(x), lambda: other(x)))
    for x in (wrong, wrong, np.abs(wrong) * 0 + (np.eye(3) if wrong.ndim > 1 else np.ones(2, wrong.dtype)), wrong):
        np.testing.assert_allclose(step(x), (guarded if pred(x) else other)(tn.tensor(x)))


def test_gradients_inside_of_a_body_follow_classes_from_outside() -> None:
    x = tn.tensor(np.random.default_rng(0).normal(size=(6, 5)), requires_grad=True)
    classes = np.arange(6) % 5

    def f() -> Any:
        def body(c: Any, i: Any) -> Any:
            (g,) = tn.gradients([F.cross_entropy(x * c, classes)], [x])
            return c + (g * g).sum(), i

        return tn.scan(body, np.float64(1), np.arange(3.0))[0]

    run = tn.compile(f, backend="numpy")
    for _ in range(3):
        np.testing.assert_allclose(run(), f().numpy())
        classes[:] = (classes + 1) % 5


#: Loops and branches that draw random numbers.
DRAWING: dict[str, Callable[[Any, Any], Any]] = {
    "cond": lambda x, w: tn.cond(x.sum() > 0, lambda: F.dropout(x @ w, 0.5), lambda: x @ w),
    "scan": lambda x, w: tn.scan(lambda c, r: (c @ w + r, F.dropout(c, 0.5)), np.zeros(3), x)[1],
    "draws": lambda x, w: tn.scan(lambda c, r: (c @ w + r, c * tn.random.normal(size=3)), np.zeros(3), x)[1],
}


@pytest.mark.parametrize("name", DRAWING)
@backends
def test_gradients_of_checkpoints_around_what_draws(compiled: Compile, name: str) -> None:
    f = tn.grad(lambda x, w: (tn.checkpoint(DRAWING[name])(x, w) ** 2).sum(), (0, 1))
    found = []
    for run in (f, compiled(f)):
        tn.random.seed(0)
        found.append([run(np.full((4, 3), 0.5 + i), np.eye(3) + i) for i in range(3)])
    for eager, program in zip(*found, strict=True):
        for a, b in zip(eager, program, strict=True):
            np.testing.assert_allclose(b, a)
