"""Branches and loops: eager they are Python's, captured they are ops, and both ways they compute the same."""

from __future__ import annotations

import contextlib
import copy
import doctest
from collections import namedtuple
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tapenet.autodiff.control import flow
from tapenet.autodiff.control.body import Body
from tapenet.autodiff.control.flow import cond, fori, scan, while_loop
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.program.trees import flatten, tree_leaves, tree_map
from tapenet.testing import check_grads
from tests.optim.test_capture import MAKERS, assert_same, parameters
from tests.replay import Replay

R = np.random.default_rng(0)
W = R.normal(size=(2, 2)) * 0.7
V = R.normal(size=2)
XS = R.normal(size=(3, 2))

State = namedtuple("State", "h c")


# -- programs, for the functions under test and for the same written out in Python ---------------------------------------


def _take(tree: Any, i: int) -> Any:
    return tree_map(lambda leaf: leaf[i], tree)


def _unrolled_scan(f: Any, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False) -> Any:
    carry, ys = init, []
    count = len(tree_leaves(xs)[0]) if length is None else length
    for i in reversed(range(count)) if reverse else range(count):
        carry, y = f(carry, None if xs is None else _take(xs, i))
        ys.append(y)
    columns = list(zip(*map(tree_leaves, ys[::-1] if reverse else ys), strict=True))
    return carry, flatten(ys[0])[1].build([np.stack(c) for c in columns])


def _unrolled_fori(lower: int, upper: int, body: Any, init: Any) -> Any:
    for i in range(lower, upper):
        init = body(i, init)
    return init


def _python_cond(pred: Any, true_fn: Any, false_fn: Any, *operands: Any) -> Any:
    return (true_fn if bool(pred) else false_fn)(*operands)


def _python_while(cond: Any, body: Any, init: Any, max_turns: int) -> Any:
    while bool(cond(init)):
        init = body(init)
    return init


HERE: Any = SimpleNamespace(scan=scan, fori=fori, cond=cond, while_loop=while_loop)
PYTHON: Any = SimpleNamespace(scan=_unrolled_scan, fori=_unrolled_fori, cond=_python_cond, while_loop=_python_while)


def rnn(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = np.tanh(w @ h + x)
        return h, (h * 2).sum()

    h, ys = lib.scan(step, h, xs)
    return (h * h).sum() + (ys**2 * np.arange(1, 4)).sum()


def reverse(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    h, ys = lib.scan(lambda h, x: (np.tanh(w @ h + x), h * x), h, xs, reverse=True)
    return h.sum() + (ys**2 * np.arange(1, 4)[:, None]).sum()


def without_xs(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    h, ys = lib.scan(lambda h, _: (np.sin(w @ h), h[0]), h, length=4)
    return (h * xs[1]).sum() + (ys * ys).sum()


def dictionaries(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    def step(carry: Any, x: Any) -> Any:
        a, n = carry["a"], carry["n"]
        return {"n": n + 1, "a": np.sin(w @ a) + x["x"] * n, "total": carry["total"] + a.sum()}, {"s": a.sum(), "n": n}

    start = {"a": h, "total": tn.tensor(0.0), "n": tn.tensor(1)}
    carry, ys = lib.scan(step, start, {"x": xs})
    return carry["total"] * carry["a"].sum() + (ys["s"] * ys["n"]).sum()


def named_tuples(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    def step(s: Any, x: Any) -> Any:
        c = s.c * np.sin(x) + s.h
        return State(np.tanh(w @ c), c), (None, s.c)

    last, (_, cs) = lib.scan(step, State(h, h * 2), xs)
    return (last.h * last.c).sum() + (cs**3).sum()


def nested(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    def outer(c: Any, x: Any) -> Any:
        c, ys = lib.scan(lambda a, b: (np.sin(w @ a + b), a * b * x), c, xs)
        return c * x, ys.sum()

    c, ys = lib.scan(outer, h, xs)
    return c.sum() + (ys * ys).sum()


def branch_in_loop(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    def step(c: Any, x: Any) -> Any:
        c = lib.cond((x + c).sum() > 0, lambda c: np.sin(w @ c), lambda c: c * x, c)
        return c, c * c

    c, ys = lib.scan(step, h, xs)
    return c.sum() + (ys * ys).sum()


def loop_in_branch(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    return lib.cond(
        xs.sum() > 0,
        lambda: lib.scan(lambda c, x: (w @ c * x, None), h, xs)[0].sum(),
        lambda: lib.fori(0, 2, lambda i, c: np.cos(c * (i + 1)) + w[0], h).sum(),
    )


def counted(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    return lib.fori(1, 4, lambda i, c: np.sin(w @ c) * i + xs[i - 1], h).sum()


def closed_over(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    """Values of the outer step in the body, one both with and without its gradient; results the body did not make."""
    u, constant = np.tanh(w), np.array([1.0, -2.0])

    def step(c: Any, x: Any) -> Any:
        return u @ c * u.detach()[0] + constant, (u, c.detach() * x, 1.5)

    c, (us, a, b) = lib.scan(step, h, xs)
    return c.sum() + (us * us).sum() + a.sum() * b.sum()


def gradient_inside(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    """Gradient descent in the loop, to be differentiated through."""

    def step(c: Any, x: Any) -> Any:
        value, g = tn.value_and_grad(lambda c: (np.sin(w @ c + x) ** 2).sum())(c)
        return c - 0.3 * g, value

    c, values = lib.scan(step, h, xs)
    return (c * c).sum() + values.sum()


def idle_carry(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    """A carry that does not depend on anything differentiable until late, and one that never does."""
    start = (tn.tensor(np.zeros(2)), tn.tensor(np.ones(2)))
    (a, b), ys = lib.scan(lambda c, x: ((c[0] * h + w @ x, c[1] * 2), c[0] * c[1]), start, xs)
    return (a * b).sum() + (ys**2).sum()


def repeated(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    """As long as a number that is computed says so: once more with one set of arguments than with the other."""

    def body(c: Any) -> Any:
        return {"h": np.tanh(w @ c["h"]) * 2 + xs[0], "sum": c["sum"] + np.abs(c["h"]).sum() / 3, "n": c["n"] + 1}

    start = {"h": h, "sum": tn.tensor(0.0), "n": tn.tensor(0)}
    last = lib.while_loop(lambda c: c["sum"] < 1.5, body, start, max_turns=9)
    return (last["h"] ** 2).sum() * last["sum"] + last["n"]


def no_turn(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    last = lib.while_loop(lambda c: c.sum() < -9, lambda c: np.sin(w @ c) + xs[0], h, max_turns=2)
    return (last * last).sum()


def no_turn_of_a_constant(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    """A gradient flows to the first carry alone, not through a turn."""
    last = lib.while_loop(lambda c: c.sum() < -9, lambda c: np.ones(2), np.sin(w @ h) + xs[0], max_turns=2)
    return (last * last).sum()


def repeated_in_loop(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    """Turns that differ from iteration to iteration, of which there are none in some."""

    def step(c: Any, x: Any) -> Any:
        n, c = lib.while_loop(
            lambda s: s[0] < x[0] * 2, lambda s: (s[0] + 1, np.sin(w @ s[1]) * x), (0.0, c), max_turns=6
        )
        return c, c.sum() * n

    c, ys = lib.scan(step, h, xs)
    return c.sum() + (ys * ys).sum()


def loop_in_repeated(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    def body(s: Any) -> Any:
        c, ys = lib.scan(lambda c, x: (np.tanh(w @ c + x), c * c), s[1], xs)
        c = lib.cond(c.sum() > 0, lambda c: c * 2, lambda c: c - ys.sum(axis=0), c)
        return s[0] + 1, c

    n, c = lib.while_loop(lambda s: s[0] < 2 + xs[1, 0], body, (0, h), max_turns=4)
    return (c * c).sum() + n


def truncated(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    """Loops that cut their carry off from turn to turn."""

    def step(c: Any, x: Any) -> Any:
        return np.sin(w @ c + x).detach(), c * x

    c, ys = lib.scan(step, h, xs)
    _, d, total = lib.while_loop(
        lambda s: s[0] < 3, lambda s: (s[0] + 1, (s[1] * 2).detach(), s[2] + s[1] * h), (0, h, h * 0), max_turns=4
    )
    return (ys * ys).sum() + (c * d * w).sum() + (total * h).sum()


def detached_in_branch(lib: Any, w: Any, h: Any, xs: Any) -> Any:
    """A loop in a branch through which no gradient flows."""
    c = lib.cond(xs.sum() > 0, lambda: lib.scan(lambda c, x: (c.detach(), x), h, xs)[0], lambda: h * 2)
    return (w @ c * h).sum()


PROGRAMS = [rnn, reverse, without_xs, dictionaries, named_tuples, nested, branch_in_loop, loop_in_branch, counted,
            closed_over, gradient_inside, idle_carry, repeated, no_turn, no_turn_of_a_constant,
            repeated_in_loop, loop_in_repeated, truncated, detached_in_branch]  # fmt: skip
IDS = [p.__name__ for p in PROGRAMS]


def _flat(*tensors: Any) -> Any:
    return np.concatenate([t.reshape(-1) for t in tensors])


def _value(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *a: f(*a).reshape(-1)


def _gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *a: _flat(*tn.grad(f, tuple(range(len(a))))(*a))


def _gradient_of_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    return _gradient(lambda *a: (_gradient(f)(*a) ** 2).sum())


ORDERS = [_value, _gradient, _gradient_of_gradient]


def _assert_captured(f: Callable[..., Any], arrays: list[Any], others: list[Any]) -> Capture:
    """`f` gives under a capture, and replayed on other data, what it gives eager."""
    tensors = [tn.tensor(a) for a in arrays]
    with Capture() as tape:
        out = f(*tensors)
    np.testing.assert_allclose(out.data, f(*map(tn.tensor, arrays)).data, rtol=1e-11, atol=1e-12)
    expected = f(*map(tn.tensor, others)).data
    np.testing.assert_allclose(Replay(tape, tensors, out)(*others), expected, rtol=1e-10, atol=1e-12)
    return tape


@pytest.mark.parametrize(
    "program", [p for p in PROGRAMS if p not in (closed_over, truncated, detached_in_branch)]
)  # finite differences see through detach
def test_derivatives_are_right(program: Any) -> None:
    check_grads(lambda *a: program(HERE, *a), [W, V, XS], order=2)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("program", PROGRAMS, ids=IDS)
def test_eager_is_the_same_as_python(program: Any, order: Any) -> None:
    got, expected = (order(lambda *a, lib=lib: program(lib, *a))(*map(tn.tensor, (W, V, XS))) for lib in (HERE, PYTHON))
    np.testing.assert_allclose(got.data, expected.data, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("program", PROGRAMS, ids=IDS)
def test_captured_is_the_same_as_eager(program: Any, order: Any) -> None:
    f = order(lambda *a: program(HERE, *a))
    others = [-W, V + 0.5, -XS]  # other branches are taken
    tape = _assert_captured(f, [W, V, XS], others)
    assert {n.name for n in tape} & {"scan", "cond", "while"}


@pytest.mark.parametrize("captured", [False, True])
def test_bodies_and_branches_that_change_what_they_are_given_change_nothing_else(captured: bool) -> None:
    def f(c: Any, xs: Any) -> Any:
        def body(c: Any, x: Any) -> Any:
            c += x
            x *= 2
            return c, (c, x)

        def change(a: Any) -> Any:
            a += 1
            return a

        last, (sums, doubled) = scan(body, c, xs)
        counted = fori(0, 3, lambda i, c: change(c), c)
        chosen = cond(c.sum() > 0, change, lambda a: a, c)
        return np.concatenate([c, xs[0], last, sums[0], sums[1], doubled[0], counted, chosen])

    c, xs = tn.tensor([1.0, 2.0]), tn.tensor([[1.0, 2.0], [10.0, 20.0]])
    with Capture() if captured else contextlib.nullcontext():
        found = f(c * 1, xs * 1)
    assert found.data.tolist() == [1, 2, 1, 2, 12, 24, 2, 4, 12, 24, 2, 4, 4, 5, 2, 3]


def test_third_order_is_captured() -> None:
    def f(*a: Any) -> Any:
        return rnn(HERE, *a)

    _assert_captured(_gradient(lambda *a: (_gradient_of_gradient(f)(*a) ** 2).sum()), [W, V, XS], [W.T, -V, XS[::-1]])


def test_a_captured_loop_is_one_op_of_any_length() -> None:
    sizes = set()
    for n in (2, 50):
        xs = tn.tensor(R.normal(size=(n, 2)))
        with Capture() as tape:
            _gradient(lambda w, h, xs=xs: (scan(lambda h, x: (np.tanh(w @ h + x), h), h, xs)[1] ** 2).sum())(
                tn.tensor(W), tn.tensor(V)
            )
        sizes.add(len(tape))
    assert len(sizes) == 1


def test_float32_stays_float32() -> None:
    w, h, xs = (tn.tensor(a.astype(np.float32), requires_grad=True) for a in (W, V, XS))
    for context in (tn.enable_grad(), Capture()):
        with context:
            c, ys = scan(lambda h, x: (np.tanh(w @ h + x), h), h, xs)
            (c.sum() + ys.sum()).backward()
            assert {t.dtype for t in (c, ys, w.grad, h.grad, xs.grad)} == {np.dtype(np.float32)}


def test_gradients_of_what_was_captured_can_be_taken_later() -> None:
    w = tn.tensor(W, requires_grad=True)
    with Capture():
        loss = rnn(HERE, w, V, XS) + branch_in_loop(HERE, w, V, XS)

    def eager(w: Any) -> Any:
        return rnn(HERE, w, V, XS) + branch_in_loop(HERE, w, V, XS)

    loss.backward(create_graph=True)
    g = w.grad
    np.testing.assert_allclose(g.data, tn.grad(eager)(W).data, rtol=1e-12)
    w.grad = None
    (g * g).sum().backward()
    expected = tn.grad(lambda w: (tn.grad(eager)(w) ** 2).sum())(W)
    np.testing.assert_allclose(w.grad.data, expected.data, rtol=1e-12)
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


# -- random numbers ----------------------------------------------------------------------------------------------


def noisy(w: Any, h: Any, xs: Any) -> Any:
    def step(c: Any, x: Any) -> Any:
        c = tn.dropout(np.sin(w @ c + x), 0.4) + tn.random.normal(size=2) * c
        return c, (c * tn.random.uniform(size=2)).sum()

    c, ys = scan(step, h, xs)
    return c.sum() + (ys**2).sum()


def noisy_nested(w: Any, h: Any, xs: Any) -> Any:
    def inner(c: Any, x: Any) -> Any:
        c = tn.dropout(np.sin(w @ c + x), 0.4) + tn.random.normal(size=2) * c
        return c, (c * tn.random.uniform(size=2)).sum()

    def outer(c: Any, x: Any) -> Any:
        c = cond(
            c.sum() > 0,
            lambda: scan(inner, c, xs)[0] + scan(inner, c, xs)[1].sum(),
            lambda: tn.dropout(w @ c, 0.5) * tn.random.normal(size=2),
        )
        return tn.dropout(c, 0.3) * x, c.mean()

    c, ys = scan(outer, h, xs)
    return c.sum() + (ys**2).sum()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("program", [noisy, noisy_nested])
def test_random_numbers_are_drawn_as_eager_draws_them_and_once(program: Any, order: Any) -> None:
    def f(*a: Any) -> Any:
        tn.random.seed(5)
        return program(*a)

    _assert_captured(order(f), [W, V, XS], [-W, V + 0.5, -XS])
    after_eager, after_capture = [], []
    for after, context in ((after_eager, tn.enable_grad()), (after_capture, Capture())):
        with context:
            order(f)(*map(tn.tensor, (W, V, XS)))
        after.append(float(tn.random.uniform()))
    assert after_eager == after_capture


# -- training inside of a loop -----------------------------------------------------------------------------------

DATA = [(R.normal(size=(4, 6, 3)), R.normal(size=(4, 6, 2))) for _ in range(4)]


def _epoch(ps: Any, opt: Any, x: Any, y: Any, calls: str = "zbs") -> Any:
    """Training steps; `calls` says when to zero the gradients, go backward and step."""

    def loss(x: Any, y: Any) -> Any:
        w1, b1, w2, b2 = ps
        return ((np.tanh(x @ w1.T + b1) @ w2.T + b2 - y) ** 2).mean()

    def step(total: Any, batch: Any) -> Any:
        found = tn.tensor(0.0)
        for call in calls:
            if call == "z":
                opt.zero_grad()
            elif call == "b":
                found = loss(*batch)
                found.backward()
            else:
                opt.step()
        return total + found.detach(), found.detach()

    return scan(step, 0.0, (x, y))[1]


@pytest.mark.parametrize("calls", ["zbs", "bsz", "zbbs", "zbszbs"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_epochs_of_training_are_captured(make: Any, calls: str) -> None:
    eager, captured = parameters(), parameters()
    opt_eager, opt_captured = make(eager), make(captured)
    if calls != "bsz":  # for that one begin without gradients and without a step taken
        _epoch(eager, opt_eager, *DATA[0], calls)
        _epoch(captured, opt_captured, *DATA[0], calls)
    x, y = (tn.tensor(a) for a in DATA[1])
    with Capture() as tape:
        losses = _epoch(captured, opt_captured, x, y, calls)
    replay = Replay(tape, [x, y], losses)
    expected = _epoch(eager, opt_eager, *DATA[1], calls)
    np.testing.assert_allclose(losses.data, expected.data, rtol=1e-12)
    _assert_same_gradients(captured, eager)
    for d in DATA[2:]:
        np.testing.assert_allclose(replay(*d), _epoch(eager, opt_eager, *d, calls).data, rtol=1e-12)
    assert_same([opt_captured], [opt_eager], captured, eager)


def _assert_same_gradients(ps: Any, qs: Any) -> None:
    for p, q in zip(ps, qs, strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            np.testing.assert_allclose(p.grad.data, q.grad.data, rtol=1e-12)


@pytest.mark.parametrize("before", [False, True])
def test_gradients_are_added_up_in_a_loop(before: bool) -> None:
    eager, captured = parameters(), parameters()
    make = MAKERS["sgd"]
    opt_eager, opt_captured = make(eager), make(captured)
    for ps, opt in ((eager, opt_eager), (captured, opt_captured)):
        if before:
            _epoch(ps, opt, *DATA[0], "b")
        with Capture() if ps is captured else tn.enable_grad():
            _epoch(ps, opt, *DATA[1], "b")
            _epoch(ps, opt, *DATA[2], "bs")  # not zeroed: each step adds
    _assert_same_gradients(captured, eager)
    assert_same([opt_captured], [opt_eager], captured, eager)


def test_a_body_that_steps_before_its_first_backward_is_refused() -> None:
    ps = parameters()
    before = [p.data.copy() for p in ps]
    opt = optim.Adam(ps)
    with Capture(), pytest.raises(CaptureError, match=r"test_control.py:\d+: .*finds None in the first.*zero_grad"):
        _epoch(ps, opt, *DATA[0], "szb")
    for p, b in zip(ps, before, strict=True):
        np.testing.assert_array_equal(p.data, b)
        assert p.grad is None
    assert opt.state_dict()["step"] == 0


def test_a_whole_model_with_statistics_dropout_and_a_schedule() -> None:
    # No bias before the normalisation: its gradient is rounding alone, which Adam makes steps of full size from.
    net = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
    nets = [net, copy.deepcopy(net)]
    data = [R.normal(size=(4, 6, 3)).astype(np.float32) for _ in range(3)]

    def epoch(net: Any, opt: Any, xs: Any) -> Any:
        def step(_: Any, x: Any) -> Any:
            loss = (net(x) ** 2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            return None, loss.detach()

        return scan(step, None, xs)[1]

    results = []
    for net, captured in zip(nets, (False, True), strict=True):
        opt = optim.Adam(net.parameters(), lr=optim.cosine(0.1, 12))
        tn.random.seed(0)
        if not captured:
            results.append([epoch(net, opt, xs).data for xs in data])
            continue
        x = tn.tensor(data[0])
        with Capture() as tape:
            losses = epoch(net, opt, x)
        replay = Replay(tape, [x], losses)
        results.append([losses.data, *(replay(xs) for xs in data[1:])])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5)
    for a, b in zip(*(net.state_dict().values() for net in nets), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_branch_may_train_or_not(make: Any) -> None:
    """What the branch not taken did is undone, optimizer's counts too, and is done when it is taken."""

    def epoch(ps: Any, opt: Any, xs: Any) -> Any:
        stepped = {id(p) for group in opt.param_groups for p in group["params"]}

        def train(x: Any) -> Any:
            w1, b1, w2, b2 = (p if id(p) in stepped else p.detach() for p in ps)  # a gradient left is another test's
            loss = ((np.tanh(x @ w1.T + b1) @ w2.T + b2) ** 2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            return loss.detach()

        return scan(lambda _, x: (None, cond(x.sum() > 0, train, lambda x: x.sum(), x)), None, xs)[1]

    data = [DATA[0][0], -DATA[0][0], DATA[1][0]]
    assert {bool(x.sum() > 0) for x in data[0]} == {True, False}
    eager, captured = parameters(), parameters()
    opt_eager, opt_captured = make(eager), make(captured)
    x = tn.tensor(data[0])
    with Capture() as tape:
        losses = epoch(captured, opt_captured, x)
    replay = Replay(tape, [x], losses)
    expected = [epoch(eager, opt_eager, d).data for d in data]
    np.testing.assert_allclose([losses.data, *map(replay, data[1:])], expected, rtol=1e-12)
    assert_same([opt_captured], [opt_eager], captured, eager)


def test_a_loop_in_a_loop_trains() -> None:
    data = [np.stack([d[k] for d in DATA]) for k in (0, 1)]
    eager, captured = parameters(), parameters()
    opts = [optim.SGD(ps, lr=0.1, momentum=0.9) for ps in (eager, captured)]
    results = []
    for ps, opt, context in zip((eager, captured), opts, (tn.enable_grad(), Capture()), strict=True):
        with context:
            total, losses = scan(lambda c, d, ps=ps, opt=opt: (c, _epoch(ps, opt, *d).mean()), None, tuple(data))
            shifted = ps[0] * 1.0  # read after the loop: the value written
        results.append((losses.data, shifted.data))
        assert total is None
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    assert_same([opts[1]], [opts[0]], captured, eager)


def test_what_was_written_before_and_after_a_loop_is_seen() -> None:
    def run(b: tn.Tensor, x: Any) -> Any:
        b.data = b + x.sum()

        def step(c: Any, x: Any) -> Any:
            before = b * 1.0
            b.data = b * x.sum()
            return c + b, (before, b)

        c, ys = scan(step, 0.0, x)
        b.data = b + 1
        return _flat(c, *ys, b * 2)

    eager, captured = nn.Buffer(np.ones(())), nn.Buffer(np.ones(()))
    x = tn.tensor(XS)
    with Capture() as tape:
        out = run(captured, x)
    np.testing.assert_allclose(out.data, run(eager, x).data, rtol=1e-12)
    assert captured.node is None  # ordinary again
    np.testing.assert_allclose(Replay(tape, [x], out)(XS + 1), run(eager, tn.tensor(XS + 1)).data, rtol=1e-12)
    assert captured.data == eager.data


def test_a_parameter_in_the_carry_or_among_the_outputs_is_a_value() -> None:
    def run(w: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            with tn.no_grad():
                w.data = w + x
            return c, (w, w[0] * 1.0, w[:1])

        c, ys = scan(step, w, np.ones((3, 2)))
        return _flat(c, *ys).detach()

    eager, captured = (tn.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    expected = run(eager).data
    np.testing.assert_array_equal(expected, [1, 2, 2, 3, 3, 4, 4, 5, 2, 3, 4, 2, 3, 4])
    with Capture():
        out = run(captured)
    np.testing.assert_array_equal(out.data, expected)


@pytest.mark.parametrize("captured", [False, True])
def test_a_gradient_in_the_carry_or_among_the_outputs_is_a_value(captured: bool) -> None:
    """A later backward pass adds to it in place."""

    def run(w: Any) -> Any:
        def add(x: Any) -> Any:
            (w * x).sum().backward()
            return w.grad

        add(1)
        (before, last), rows = scan(
            lambda c, x: ((c[1] * 1, add(x)), w.grad), (np.zeros(2), np.zeros(2)), np.arange(3.0)
        )
        fori = tn.fori(0, 2, lambda i, c: add(10), np.zeros(2))
        turns = tn.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, add(100), c[1] * 1), (0, before, before), 2)
        taken = tn.cond(tn.tensor(True), lambda: add(1000), lambda: add(0))
        add(10000)
        return _flat(before, last, rows, fori, *turns[1:], taken, w.grad)

    w = tn.tensor([1.0, 1.0], requires_grad=True)
    with Capture() if captured else tn.enable_grad():
        out = run(w)
    np.testing.assert_array_equal(out.data[::2], [2, 4, 1, 2, 4, 24, 224, 124, 1224, 11224])


@pytest.mark.parametrize("loop", [True, False])
def test_a_gradient_that_was_read_is_not_both_added_to_and_replaced(loop: bool) -> None:
    """Who holds it would have to see what was added."""
    w = tn.tensor([1.0, 1.0], requires_grad=True)

    def body(*_: Any) -> Any:
        (w * 2).sum().backward()
        w.grad = None
        (w * 3).sum().backward()
        return 0.0

    def run() -> Any:
        return tn.fori(0, 2, body, 0.0) if loop else tn.cond(tn.tensor(True), body, body)

    with Capture():
        w.sum().backward()
        run()  # nobody holds it
    np.testing.assert_array_equal(w.grad.data, [3, 3])
    w.grad = None
    with Capture():
        w.sum().backward()
        w.grad.detach()
        with pytest.raises(tn.CaptureError, match=r"adds to a gradient that was read before .*set w.grad = None"):
            run()


@pytest.mark.parametrize("part", [lambda g: g[:2], lambda g: g.T, lambda g: g.reshape(3, 1)])
def test_a_view_of_a_gradient_that_a_body_returns_is_a_value(part: Any) -> None:
    w = tn.tensor([1.0, 1.0, 1.0], requires_grad=True)
    w.sum().backward()
    taken = tn.cond(True, lambda: part(w.grad), lambda: part(w.grad * 0))
    fori = tn.fori(0, 1, lambda i, c: part(w.grad), taken * 0)
    turns = tn.while_loop(lambda c: c[0] < 1, lambda c: (c[0] + 1, part(w.grad)), (0, taken * 0), 1)
    (w * 10).sum().backward()
    np.testing.assert_array_equal([*taken.ravel(), *fori.ravel(), *turns[1].ravel()], 1)


def test_what_is_carried_on_as_it_is_is_not_copied_at_each_turn() -> None:
    found: list[int] = []

    def step(c: Any) -> Any:
        found.append(c[1].data.ctypes.data)
        return c[0] + 1, c[1]

    start = 0, np.ones(3)
    scan(lambda c, x: (step(c), None), start, np.arange(4.0))
    tn.fori(0, 4, lambda i, c: step(c), start)
    tn.while_loop(lambda c: c[0] < 4, step, start)
    scans, foris, turns = (set(found[i + 1 : i + 4]) for i in (0, 4, 8))
    assert len(scans) == len(foris) == len(turns) == 1


def test_a_leaf_made_in_the_body_is_its_own() -> None:
    def run(xs: Any) -> Any:
        def step(c: Any, x: Any) -> Any:
            q = tn.tensor(np.zeros(2), requires_grad=True)
            ((q - x) ** 2).sum().backward()
            return c + q.grad.sum(), q.grad

        return scan(step, 0.0, xs)[1]

    tape = _assert_captured(run, [XS], [XS * 3])
    assert [n.name for n in tape].count("scan") == 1


# -- no iteration ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capture", [False, True])
def test_no_iteration_gives_init_and_empty_outputs_and_has_no_effect(capture: bool) -> None:
    ps = parameters()
    opt = optim.Adam(ps)
    before = [p.data.copy() for p in ps]
    tn.random.seed(1)
    first = float(tn.random.uniform())
    tn.random.seed(1)

    def step(carry: Any, x: Any) -> Any:
        _epoch(ps, opt, x[None], np.zeros((1, 6, 2)))
        return carry, {"x": x, "noise": tn.random.normal(size=3), "n": x.argmax(axis=0)}

    with Capture() if capture else tn.enable_grad():
        carry, ys = scan(step, {"a": 1.5}, np.zeros((0, 6, 3), np.float32))
        numbers = fori(3, 3, lambda i, c: c + i, 0)
    assert carry["a"].item() == 1.5
    assert {k: (t.shape, t.dtype.name) for k, t in ys.items()} == {
        "x": ((0, 6, 3), "float32"),
        "noise": ((0, 3), "float64"),
        "n": ((0, 3), "int64"),
    }
    assert numbers.item() == 0
    for p, b in zip(ps, before, strict=True):
        np.testing.assert_array_equal(p.data, b)
        assert p.grad is None
    assert opt.state_dict()["step"] == 0
    assert opt.state_dict()["state"][0]["step"] == 0
    assert float(tn.random.uniform()) == first


def test_no_iteration_of_a_body_that_cannot_be_captured_says_why_it_ran() -> None:
    with pytest.raises(CaptureError) as caught:
        scan(lambda c, x: (c, float(x)), 0.0, np.zeros(0))
    assert "no iterations" in caught.value.__notes__[0]


# -- what is on the tape -----------------------------------------------------------------------------------------


def test_the_body_is_closed_and_its_inputs_are_in_order() -> None:
    w, b = tn.tensor(W, requires_grad=True), nn.Buffer(np.zeros(2))
    xs = tn.tensor(XS)
    with Capture() as tape:
        u = w * 2

        def step(c: Any, x: Any) -> Any:
            b.data = b + x
            return u @ c + b, c.sum()

        c, ys = scan(step, V, xs)
    node = next(n for n in tape if n.name == "scan")
    body = node.call["body"]
    assert isinstance(body, Body)
    assert node.call["carries"], node.call["slices"] == (1, 1)
    assert [v.tensor for v in node.call["inputs"][1:]] == [xs, u]
    assert [v.tensor for v in node.call["states"]] == [b]
    assert [i.shape for i in body.inputs] == [(2,), (2,), (2, 2), (2,)]
    assert (body.closed, body.states) == (1, 1)
    assert body.effects == ("assign",)
    known = {*body.inputs, *body.nodes}
    for inner in body.nodes:
        for value in (inner.call or {}).values():
            assert getattr(value, "node", body.inputs[0]) in known
    outputs = [n for n in tape if n.name == "output" and n.source_node is node]
    assert [o.shape for o in outputs] == [c.shape, ys.shape, b.shape]


def test_only_the_carries_are_kept_for_the_gradient() -> None:
    w = tn.tensor(W, requires_grad=True)
    with Capture() as tape:
        scan(lambda h, x: (np.tanh(w @ h + x), None), V, XS)
        with tn.no_grad():
            scan(lambda h, x: (np.tanh(w @ h + x), None), V, XS)
    kept, none = (n.call["body"] for n in tape if n.name == "scan")
    assert kept.saved == [(kept.inputs[0], 0)]
    assert none.saved == []


def test_in_an_ordinary_tape_a_loop_is_its_iterations() -> None:
    with tn.Tape() as tape:
        scan(lambda c, x: (c + x, None), np.zeros(2), XS)
    assert [n.name for n in tape].count("add") == 3


# -- errors ------------------------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("capture", [False, True])


def _context(capture: bool) -> Any:
    return Capture() if capture else tn.enable_grad()


@BOTH
@pytest.mark.parametrize(
    ("init", "f", "message"),
    [
        ({"a": np.zeros(3)}, lambda c, x: {"a": c["a"].astype("float32")},
         r"at carry\['a'\] init has float64 \(3,\), f has float32 \(3,\)\. Make init"),
        ({"a": [np.zeros(3)]}, lambda c, x: {"a": [c["a"][0][:2]]},
         r"at carry\['a'\]\[0\] init has float64 \(3,\), f has float64 \(2,\)"),
        ((1, 2), lambda c, x: (*c, 3), r"at carry init has tuple of length 2, f has tuple of length 3"),
        (State(1, 2), lambda c, x: State(c.h, None), r"at carry\.c init has a value, f has None"),
        (None, lambda c, x: 1, r"at carry init has None, f has a value"),
        ({"a": 1}, lambda c, x: {"b": 1}, r"at carry init has a dict of 'a', f has a dict of 'b'"),
    ],
)  # fmt: skip
def test_a_carry_that_changes_is_named(init: Any, f: Any, message: str, capture: bool) -> None:
    with _context(capture):
        with pytest.raises(ValueError, match=r"tn\.scan: a carry keeps its structure.*" + message):
            scan(lambda c, x: (f(c, x), None), init, length=2)
        with pytest.raises(ValueError, match=r"tn\.fori: a carry keeps.*" + message.replace("f has", "body has")):
            fori(0, 2, lambda i, c: f(c, i), init)


@BOTH
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((lambda c, x: c, 1, None, 2), TypeError, r"must return a pair \(carry, y\), and returned Tensor"),
        ((lambda c, x: (c, "a"), 1, None, 2), TypeError, "y is str, not an array"),
        ((lambda c, x: (c, None), "a", None, 2), TypeError, "carry is str, not an array"),
        ((lambda c, x: (c, None), 1), ValueError, "give length="),
        ((lambda c, x: (c, None), 1, None, -1), ValueError, "length=-1 is below 0"),
        ((lambda c, x: (c, None), 1, (np.zeros(3), {"k": np.zeros(2)})), ValueError,
         r"xs\[0\] has length 3, xs\[1\]\['k'\] has length 2: these must agree"),
        ((lambda c, x: (c, None), 1, np.zeros(3), 2), ValueError, "xs has length 3, length=2: these must agree"),
        ((lambda c, x: (c, None), 1, 1.0), ValueError, "xs has no axis to loop over"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit(arguments: Any, error: Any, message: str, capture: bool) -> None:
    with _context(capture), pytest.raises(error, match=r"tn\.scan: .*" + message):
        scan(*arguments)


def test_outputs_of_changing_structure() -> None:
    outputs = iter([(1.0,), [1.0]])
    with pytest.raises(ValueError, match="at y the first has tuple of length 1, a later one has list"):
        scan(lambda c, x: (c, next(outputs)), 0, length=2)


@BOTH
def test_a_condition_has_one_element(capture: bool) -> None:
    with _context(capture), pytest.raises(ValueError, match=r"pred has shape \(2,\).*np.where"):
        cond(tn.tensor([True, False]), lambda: 1, lambda: 2)


@pytest.mark.parametrize("pred", [True, 1, 0.5, np.True_, np.array([[3]]), tn.tensor([True])])
def test_conditions(pred: Any) -> None:
    assert cond(pred, lambda x: {"x": x + 1}, lambda x: {"x": x}, 1)["x"].item() == 2
    negated = not np.asarray(pred).item() if not isinstance(pred, tn.Tensor) else pred == False  # noqa: E712
    assert cond(negated, lambda x: {"x": x + 1}, lambda x: {"x": x}, 1)["x"].item() == 1


def test_a_plain_condition_is_decided_at_the_capture() -> None:
    with Capture() as tape:
        cond(True, lambda x: x + 1, lambda x: 1 / 0, np.ones(2))
    assert [n.name for n in tape] == ["add"]


@pytest.mark.parametrize(
    ("true", "false", "message"),
    [
        (
            lambda: {"a": 1},
            lambda: {"b": 1},
            r"at result (true|false)_fn has a dict of '[ab]', (true|false)_fn has a dict",
        ),
        (lambda: {"a": 1}, lambda: {"a": 1.0}, r"at result\['a'\] false_fn has float64 \(\), true_fn has int64"),
        (
            lambda: np.zeros(2),
            lambda: np.zeros(3),
            r"at result false_fn has float64 \(3,\), true_fn has float64 \(2,\)",
        ),
    ],
)
def test_branches_that_differ(true: Any, false: Any, message: str) -> None:
    with Capture(), pytest.raises(ValueError, match=r"tn\.cond: both functions must return the same.*" + message):
        cond(tn.tensor(True), true, false)


def test_a_gradient_left_by_one_branch_alone() -> None:
    w = tn.tensor([1.0], requires_grad=True)
    with Capture(), pytest.raises(CaptureError, match=r"leaves a gradient at a leaf of shape .*return the loss"):
        cond(tn.tensor(True), lambda: (w * 2).sum().backward(), lambda: None)
    assert w.grad is None


@pytest.mark.parametrize("taken", [True, False])
def test_gradients_left_by_both_branches(taken: bool) -> None:
    w = tn.tensor([1.0], requires_grad=True)
    pred = tn.tensor(taken)
    with Capture() as tape:
        cond(pred, lambda: (w * 2).sum().backward(), lambda: (w * w * w).sum().backward())
        out = w.grad * 1
    assert out.data == (2.0 if taken else 3.0)
    assert Replay(tape, [pred], out)(np.array(not taken)) == (3.0 if taken else 2.0)


def test_bounds_of_a_captured_loop_are_fixed() -> None:
    n = tn.tensor(3)
    assert fori(0, n, lambda i, c: c + i, 0).item() == 3
    with Capture(), pytest.raises(CaptureError, match=r"test_control.py:\d+: a bound of tn.fori is a tensor.*np.where"):
        fori(0, n, lambda i, c: c + i, 0)


def test_a_body_that_asks_for_a_number() -> None:
    with Capture(), pytest.raises(CaptureError, match=r"test_control.py:\d+ asks for a bool"):
        scan(lambda c, x: (c + 1 if x > 0 else c, None), 0.0, np.ones(3))


def test_no_derivative_through_effects() -> None:
    w, b = tn.tensor(V, requires_grad=True), nn.Buffer(np.zeros(()))

    def step(c: Any, x: Any) -> Any:
        b.data = b + x.sum()
        return c + (w * x).sum(), None

    with Capture():
        c, _ = scan(step, 0.0, XS)
        with pytest.raises(CaptureError, match=r"has effects \(assign\).*Call backward\(\) inside"):
            c.backward()
        d = cond(tn.tensor(True), lambda: step(0.0, XS[0])[0], lambda: w.sum())
        with pytest.raises(CaptureError, match=r"has effects \(assign\)"):
            d.backward()


def test_a_value_that_escapes_from_a_body() -> None:
    escaped: list[Any] = []

    def step(c: Any, x: Any) -> Any:
        escaped.append(x * 2)
        return c + x.sum(), None

    with Capture():
        scan(step, 0.0, XS)
        with pytest.raises(CaptureError, match=r"op 'multiply'.*made inside the body.*return it from the function"):
            scan(lambda c, x: (c + escaped[0].sum(), None), 0.0, XS)


@BOTH
def test_an_error_in_the_body_keeps_its_place_and_changes_nothing(capture: bool) -> None:
    b = nn.Buffer(np.zeros(()))

    def faulty(c: Any, x: Any) -> Any:
        if capture:
            b.data = b + 1
        return c @ np.zeros((7, 7)), None

    with _context(capture), pytest.raises(ValueError, match="matmul") as caught:
        scan(faulty, np.zeros(3), XS)
    assert "faulty" in [entry.name for entry in caught.traceback]
    assert b.data == 0


def test_an_error_in_a_later_iteration_names_the_op_and_changes_nothing() -> None:
    table, b = tn.tensor(V), nn.Buffer(np.zeros(()))

    def step(c: Any, i: Any) -> Any:
        b.data = b + 1
        return c + table[i], None

    with Capture(), pytest.raises(IndexError, match=r"getitem\(.*float64 \(2,\).*out of bounds"):
        scan(step, 0.0, np.array([1, 0, 2]))
    assert b.data == 0


# -- the documentation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cond", "scan", "fori", "while_loop"])
def test_examples(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for function in ("cond", "scan", "fori", "while_loop"):
        monkeypatch.setattr(tn, function, getattr(flow, function), raising=False)
    _run(getattr(flow, name).__doc__, name, {})


def _run(text: str, name: str, globs: dict[str, Any]) -> None:
    example = doctest.DocTestParser().get_doctest(text, dict(globs), name, None, 0)
    output: list[str] = []
    runner = doctest.DocTestRunner()
    runner.run(example, out=output.append)
    assert runner.tries
    assert not runner.failures, "".join(output)
