"""`tn.while_loop`: what it gives, its derivatives, its effects and its errors, eager and compiled."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tapenet.autodiff.observe.tape import CaptureError
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

R = np.random.default_rng(0)
W = R.normal(size=(3, 3)) * 0.5
#: Start values that are within the bound of `settle` after 0, some and many turns.
STARTS = [np.zeros(3), np.array([0.5, -1.0, 2.0]), np.array([40.0, 3.0, -90.0])]
#: Ways to run a function: as it is, or compiled.
WAYS = ["eager", "numpy", "native"]


@pytest.fixture(params=WAYS)
def made(request: pytest.FixtureRequest) -> Callable[..., Any]:
    if request.param == "native":
        pytest.importorskip("llvmlite")
    return (lambda f: f) if request.param == "eager" else lambda f: tn.compile(f, backend=request.param)


def settle(w: Any, x: Any, lib: Any = np, loop: Any = None) -> Any:
    """Shrink a vector until it is small; a turn more or less by the numbers."""

    def body(c: Any) -> Any:
        n, x, total = c
        return n + 1, lib.tanh(w @ x) + x * 0.5, total + lib.sin(x).sum()

    last = (loop or turns_of)(lambda c: (c[1] * c[1]).sum() > 0.1, body, (0, x, 0.0))
    return (last[1] * last[1]).sum() + last[2], last[0]


def turns_of(cond: Any, body: Any, init: Any) -> Any:
    return tn.while_loop(cond, body, init, max_turns=60)


def again(most: int) -> Callable[..., Any]:
    """A loop that keeps what its segments begin with."""
    return lambda cond, body, init: tn.while_loop(cond, body, init, max_turns=most, recompute=True)


# -- values and derivatives --------------------------------------------------------------------------------------


def test_values_and_gradients_are_those_of_eager(made: Any) -> None:
    """One program for any number of turns; 0 too, whichever was captured."""
    for first in (0, 2):
        f = made(lambda w, x: tn.value_and_grad(lambda w, x: settle(w, x), (0, 1), has_aux=True)(w, x))
        counts = set()
        for x in (STARTS[first], *STARTS):
            (value, n), (gw, gx) = f(tn.tensor(W), tn.tensor(x))
            (expected, count), (ew, ex) = tn.value_and_grad(lambda w, x: settle(w, x), (0, 1), has_aux=True)(
                tn.tensor(W), tn.tensor(x)
            )
            assert int(n.data) == int(count.data)
            counts.add(int(n.data))
            np.testing.assert_allclose(value.data, expected.data, rtol=1e-12)
            np.testing.assert_allclose(gw.data, ew.data, rtol=1e-10, atol=1e-14)
            np.testing.assert_allclose(gx.data, ex.data, rtol=1e-10, atol=1e-14)
        assert len(counts) == 3
        assert len(getattr(f, "variants", [0])) == 1


@backends
def test_against_jax(compiled: Compile) -> None:
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        lax_loop = jax.lax.while_loop

        def plain(w: Any, x: Any) -> Any:
            return settle(w, x, jax.numpy, lax_loop)

        f = compiled(lambda w, x: settle(w, x, loop=tn.while_loop))
        g = compiled(tn.grad(lambda w, x: settle(w, x)[0], (0, 1)))
        for x in STARTS:
            expected, count = jax.jit(plain)(W, x)
            value, n = f(W, x)
            assert int(n.data) == int(count)
            np.testing.assert_allclose(value.data, expected, rtol=1e-12)
            # JAX has no gradient of its while_loop: of as many turns of a scan.
            fixed = jax.grad(
                lambda w, x, n=int(count): settle(
                    w, x, jax.numpy, lambda _, body, init: jax.lax.fori_loop(0, n, lambda _, c: body(c), init)
                )[0],
                (0, 1),
            )
            for ours, theirs in zip(g(W, x), fixed(W, x), strict=True):
                np.testing.assert_allclose(ours.data, theirs, rtol=1e-10, atol=1e-14)


COMPOSED: dict[str, Callable[[Any, Callable[[Any], Any]], Callable[[Any], Any]]] = {
    "jvp": lambda lib, f: lambda x: lib.jvp(f, (x,), (x + 1,))[1],
    "vmap": lambda lib, f: lambda x: lib.vmap(f)(lib.numpy.stack([x, x * 0, x * 20])),
    "jacfwd of jacfwd": lambda lib, f: lib.jacfwd(lib.jacfwd(f)),
    "vmap of jvp": lambda lib, f: lambda x: lib.vmap(lambda v: lib.jvp(f, (x,), (v,))[1])(lib.numpy.stack([x, x * 3])),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_forward_mode_and_lanes_against_jax(made: Any, name: str) -> None:
    jax = pytest.importorskip("jax")
    ours = SimpleNamespace(jvp=tn.jvp, vmap=tn.vmap, jacfwd=tn.jacfwd, numpy=np)
    f = made(COMPOSED[name](ours, lambda x: settle(W, x, loop=tn.while_loop)[0]))
    with jax.enable_x64(True):
        g = COMPOSED[name](jax, lambda x: settle(W, x, jax.numpy, jax.lax.while_loop)[0])
        for x in STARTS[1:]:
            np.testing.assert_allclose(f(tn.tensor(x)).data, g(x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("recompute", [False, True])
def test_reverse_mode_composes(made: Any, recompute: bool) -> None:
    def loss(w: Any, x: Any) -> Any:
        return settle(w, x, loop=again(30) if recompute else turns_of)[0]

    def plain(w: Any, x: Any) -> Any:
        return tn.grad(lambda w, x: settle(w, x)[0], (0, 1))(w, x)

    xs = np.stack(STARTS)
    expected = [plain(tn.tensor(W), tn.tensor(x)) for x in STARTS]
    lanes = made(tn.vmap(tn.grad(loss, 1), in_axes=(None, 0)))(W, xs)
    np.testing.assert_allclose(lanes.data, [g.data for _, g in expected], rtol=1e-10, atol=1e-13)
    total = made(tn.grad(lambda w: tn.vmap(lambda x: loss(w, x))(xs).sum()))(W)
    np.testing.assert_allclose(total.data, sum(g.data for g, _ in expected), rtol=1e-10)
    second = made(tn.hessian(lambda x: loss(W, x)))(STARTS[1])
    np.testing.assert_allclose(second.data, tn.jacfwd(tn.jacfwd(lambda x: loss(W, x)))(STARTS[1]).data, rtol=1e-8)


@backends
def test_second_and_third_order(compiled: Compile) -> None:
    """Of Newton's method for the square root, whose turns give more than its value."""

    def root(a: Any) -> Any:
        return tn.while_loop(lambda x: abs(x * x - a) > 1e-13 * a, lambda x: (x + a / x) / 2, a * 1.0 + 1, max_turns=40)

    second = compiled(tn.grad(tn.grad(root)))
    third = compiled(tn.grad(tn.grad(tn.grad(root))))
    for a in (2.0, 9.0, 1e4):
        np.testing.assert_allclose(second(np.float64(a)).data, -(a**-1.5) / 4, rtol=1e-6)
        np.testing.assert_allclose(third(np.float64(a)).data, 3 * a**-2.5 / 8, rtol=1e-4)


@pytest.mark.parametrize("most", [17, 20, 400])
@pytest.mark.parametrize("start", range(3))
def test_turns_that_run_again_have_the_same_gradients(made: Any, most: int, start: int) -> None:
    """Of no turn, of segments that are full (17 turns, 5 each) or not, and of one that is not full."""

    def loss(loop: Any) -> Any:
        return lambda w, x: settle(w, x, loop=loop)[0]

    x = STARTS[start]
    found = made(tn.grad(loss(again(most)), (0, 1)))(tn.tensor(W), tn.tensor(x))
    for a, b in zip(found, tn.grad(loss(turns_of), (0, 1))(tn.tensor(W), tn.tensor(x)), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-10, atol=1e-14)


@backends
def test_second_order_of_turns_that_run_again(compiled: Compile) -> None:
    def twice(loop: Any) -> Any:
        return tn.grad(lambda w: (tn.grad(lambda w: settle(w, STARTS[1], loop=loop)[0])(w) ** 2).sum())

    np.testing.assert_allclose(compiled(twice(again(20)))(W).data, twice(turns_of)(tn.tensor(W)).data, rtol=1e-9)


def test_turns_that_run_again_need_little_memory() -> None:
    pytest.importorskip("llvmlite")
    bytes_ = []
    for loop in (again(2500), lambda cond, body, init: tn.while_loop(cond, body, init, max_turns=2500)):
        f = tn.compile(
            tn.grad(
                lambda x, loop=loop: loop(lambda c: c[0] < 40, lambda c: (c[0] + 1, np.sin(c[1])), (0, x))[1].sum()
            ),
            backend="native",
        )
        f(np.ones(1000))
        bytes_.append(f.variants[0].runner.module.memory.arena_bytes)  # type: ignore[attr-defined]
    assert bytes_[1] > 2500 * 8000
    assert bytes_[0] < 110 * 8000


@backends
def test_many_carries_are_kept_for_long_and_few_turns_are_quick(compiled: Compile) -> None:
    """What is kept is a place for each of `max_turns`; what runs, the turns that there are."""

    def f(x: Any, n: Any) -> Any:
        last = tn.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, np.sin(c[1]) * 1.5), (0, x), max_turns=10**5)
        return last[1].sum()

    g = compiled(tn.grad(f))
    x = R.normal(size=50)
    for n in (3, 1, 7):
        np.testing.assert_allclose(g(x, np.array(n)).data, tn.grad(f)(tn.tensor(x), n).data, rtol=1e-12)


def test_a_compiled_loop_is_native_and_its_derivatives_are() -> None:
    pytest.importorskip("llvmlite")
    for f in (lambda w, x: settle(w, x, loop=tn.while_loop), tn.grad(lambda w, x: settle(w, x)[0], (0, 1))):
        g = tn.compile(f, backend="native")
        g(W, STARTS[1])
        report = str(g.explain())
        assert "calls of Python: 0" in report
        assert report.count("native calls each time: 1") == 1


@backends
def test_large_tables_that_are_closed_over_are_read_where_they_are(compiled: Compile) -> None:
    """The second derivative by a table that each turn reads a row of adds rows to one gradient."""
    table = R.normal(size=(40, 200))

    def f(t: Any) -> Any:
        _, c = tn.while_loop(lambda c: c[0] < 5, lambda c: (c[0] + 1, c[1] * np.sin(t[c[0]])), (0, t[9]), max_turns=8)
        return c.sum()

    g = compiled(tn.grad(lambda t: (tn.grad(f)(t) ** 2).sum()))
    np.testing.assert_allclose(g(table).data, tn.grad(lambda t: (tn.grad(f)(t) ** 2).sum())(table).data, rtol=1e-10)


# -- effects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [3.0, 0.0])
def test_training_until_the_loss_is_small(made: Any, start: float) -> None:
    """Parameters, the optimizer's state and step count, and a buffer, are as after eager turns; no turn changes nothing."""

    def run(make: Any, start: float) -> Any:
        w, seen = tn.tensor(np.full(3, 3.0), requires_grad=True), nn.Buffer(np.zeros(()))
        opt = optim.Adam([w], lr=0.3)

        def step(x: Any) -> Any:
            def body(c: Any) -> Any:
                loss = ((w * x - 1) ** 2).sum()
                opt.zero_grad()
                loss.backward()
                opt.step()
                seen.data = seen + 1
                return loss.detach(), c[1] + 1

            return tn.while_loop(lambda c: (c[0] > 0.5) & (seen < 40), body, (tn.asarray(x).sum(), 0))

        f = make(step)
        found = []
        for scale in (start, 1.0, 0.0, 2.0):
            loss, n = f(np.array([0.4, 1.0, 0.7]) * scale)
            found += [loss.data.copy(), n.data.copy(), w.data.copy(), seen.data.copy()]
            found += [np.array(v) for v in opt.state_dict()["state"][0].values()]
        return found

    for a, b in zip(run(made, start), run(lambda f: f, start), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_random_numbers_are_drawn_turn_by_turn(made: Any) -> None:
    def throw(limit: Any) -> Any:
        """Dice until they add up to a limit."""

        def body(c: Any) -> Any:
            return c[0] + 1, c[1] + tn.random.integers(1, 7, size=())

        return tn.while_loop(lambda c: c[1] < limit, body, (0, 0))

    f = made(throw)
    tn.random.seed(3)
    found = [tuple(int(t.data) for t in f(np.array(limit))) for limit in (10, 0, 50, 20)]
    found.append(int(tn.random.integers(0, 10**9, size=())))
    tn.random.seed(3)
    expected = [tuple(int(t.data) for t in throw(np.array(limit))) for limit in (10, 0, 50, 20)]
    assert found == [*expected, int(tn.random.integers(0, 10**9, size=()))]
    assert expected[1] == (0, 0)


@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_through_random_numbers(made: Any, recompute: bool) -> None:
    def f(x: Any) -> Any:
        last = tn.while_loop(
            lambda c: abs(c).sum() > 1,
            lambda c: tn.dropout(c, 0.5) * 0.4 * tn.random.uniform(),
            x,
            max_turns=9,
            recompute=recompute,
        )
        return (last * last).sum()

    g = made(tn.grad(f))
    x = R.normal(size=20)
    for seed in range(3):
        tn.random.seed(seed)
        found = g(x).data
        tn.random.seed(seed)
        np.testing.assert_allclose(found, tn.grad(f)(x).data, rtol=1e-12)


# -- errors ------------------------------------------------------------------------------------------------------


def test_more_turns_than_max_turns_are_an_error_and_change_nothing(made: Any) -> None:
    b = nn.Buffer(np.zeros(()))

    def step(n: Any) -> Any:
        last = tn.while_loop(lambda c: c < n, lambda c: c + 1, 0, max_turns=5)
        b.data = b + last
        return last

    f = made(step)
    assert [int(f(np.array(n)).data) for n in (3, 5)] == [3, 5]
    for n in (6, 100):
        with pytest.raises(
            RuntimeError, match=r"tn\.while_loop: cond still holds after max_turns=5 turns: give a larger"
        ):
            f(np.array(n))
        assert b.data == 8
    assert int(f(np.array(0)).data) == 0
    with pytest.raises(RuntimeError, match="max_turns=0 turns"):
        made(lambda: tn.while_loop(lambda c: c < 1, lambda c: c + 1, 0, max_turns=0))()


@pytest.mark.parametrize("change", [lambda x: x * 1.0, lambda x: x + 0.5])
@pytest.mark.parametrize("used", [True, False])
def test_too_many_turns_are_an_error_though_they_change_nothing(made: Any, change: Any, used: bool) -> None:
    def f(x: Any) -> Any:
        last = tn.while_loop(lambda x: x > 0, change, x, max_turns=5)
        return last if used else x * 2

    f = made(f)
    assert float(f(np.float64(-1.0))) == (-1.0 if used else -2.0)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="max_turns=5 turns"):
            f(np.float64(3.0))


def test_the_first_call_may_go_on_too_long(made: Any) -> None:
    f = made(lambda n: tn.while_loop(lambda c: c < n, lambda c: c + 1, 0, max_turns=5))
    with pytest.raises(RuntimeError, match="max_turns=5 turns"):
        f(np.array(6))
    assert int(f(np.array(4)).data) == 4


def test_arguments_that_do_not_fit(made: Any) -> None:
    def loop(*args: Any, **options: Any) -> Any:
        return made(lambda: tn.while_loop(*args, **options))

    with pytest.raises(ValueError, match=r"max_turns=-1 is below 0"):
        loop(lambda c: c > 0, lambda c: c, 0, max_turns=-1)()
    with pytest.raises(ValueError, match=r"recompute=True needs max_turns"):
        loop(lambda c: c > 0, lambda c: c, 0, recompute=True)()
    with pytest.raises(ValueError, match=r"cond returned bool \(2,\).*reduce it with \.any\(\)"):
        loop(lambda c: c > 0, lambda c: c, np.zeros(2))()
    with pytest.raises(TypeError, match=r"cond returned int64 \(\).* is a bool: compare"):
        loop(lambda c: c, lambda c: c, 0)()
    with pytest.raises(TypeError, match=r"what cond returned is str, not an array"):
        loop(lambda c: "yes", lambda c: c, 0)()
    with pytest.raises(
        ValueError, match=r"tn\.while_loop: a carry keeps.*at carry\['a'\] init has int64 \(\), body has float"
    ):
        loop(lambda c: c["a"] < 1, lambda c: {"a": c["a"] + 0.5}, {"a": 0})()


@backends
def test_reverse_mode_without_max_turns_says_what_to_write(compiled: Compile) -> None:
    f = compiled(tn.grad(lambda x: tn.while_loop(lambda c: c < 9, lambda c: c * 2, x)))
    with pytest.raises(CaptureError, match=r"give tn\.while_loop\(\.\.\., max_turns=n\)"):
        f(np.float64(1))
    assert tn.grad(lambda x: tn.while_loop(lambda c: c < 9, lambda c: c * 2, x))(1.0).item() == 16


@backends
def test_what_cond_may_not_do(compiled: Compile) -> None:
    b = nn.Buffer(np.zeros(()))
    w = tn.tensor(np.ones(2), requires_grad=True)

    def writing(c: Any) -> Any:
        b.data = b + 1
        return c < 3

    def body(c: Any) -> Any:
        (w * w).sum().backward()
        return c + 1

    def reading(c: Any) -> Any:
        assert w.grad is not None
        return w.grad.sum() < 9

    w.grad = tn.tensor(np.zeros(2))
    for cond, turn, told in (
        (writing, lambda c: c + 1, r"has effects \(assign\).*Do it in body"),
        (lambda c: c + tn.random.uniform() < 3, lambda c: c + 1, r"has effects \(random numbers\)"),
        (reading, body, r"reads \.grad of a leaf of shape \(2,\), which body changes"),
    ):
        f = compiled(lambda cond=cond, turn=turn: tn.while_loop(cond, turn, 0.0))
        with pytest.raises(CaptureError, match=rf"test_compile_while\.py:\d+: cond of tn\.while_loop {told}"):
            f()
        assert b.data == 0
    w.grad = None
    with pytest.raises(CaptureError, match=r"leaves a gradient at a leaf of shape \(2,\) that had none before"):
        compiled(lambda: tn.while_loop(lambda c: c < 3, body, 0.0))()
    assert w.grad is None


@backends
def test_no_derivative_through_effects(compiled: Compile) -> None:
    b = nn.Buffer(np.zeros(()))

    def f(x: Any) -> Any:
        def body(c: Any) -> Any:
            b.data = b + 1
            return c * x

        return tn.while_loop(lambda c: c < 9, body, 1.0, max_turns=9)

    with pytest.raises(CaptureError, match=r"has effects \(assign\)"):
        compiled(tn.grad(f))(np.float64(2))
    assert b.data == 0
