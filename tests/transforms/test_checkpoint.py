"""A checkpoint computes what its function does, and holds only what it must until it runs again."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tapenet.program.ir import Builder, Input, Program
from tapenet.program.native.module import Module
from tapenet.program.numpy_backend import build
from tapenet.program.passes import simplify
from tapenet.program.trees import placed
from tests.program.passes.programs import names

R = np.random.default_rng(0)
X = R.normal(size=(5, 3))
POLICIES: dict[str, Any] = {
    "nothing": None,
    "products": "products",
    "names": ["tanh", "sum"],
    "everything": lambda op: True,
}


def network() -> nn.Module:
    """A network that draws random numbers and writes buffers."""
    return nn.Sequential(
        nn.Linear(3, 4, dtype="float64", rng=1),
        nn.BatchNorm1d(4, dtype="float64"),
        nn.Tanh(),
        nn.Dropout(0.4),
        nn.Linear(4, 2, dtype="float64", rng=2),
    )


def trained(f: Callable[[nn.Module], Callable[..., Any]], compiled: bool) -> list[Any]:
    """Three steps of training: losses, parameters, buffers, and the next random number."""
    net = network()
    run = f(net)
    opt = optim.SGD(net.parameters(), lr=0.1)
    tn.random.seed(5)

    def step(x: Any) -> Any:
        loss = (run(x) ** 2).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    step = tn.compile(step) if compiled else step
    losses = [step(X).item() for _ in range(3)]
    state = [t.numpy() for t in (*net.parameters(), *net.buffers())]
    return [np.array(losses), *state, np.asarray(tn.random.normal(size=2))]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
def test_training_is_the_same(policy: str, compiled: bool) -> None:
    """With dropout, whose second run draws the same, and statistics, which are written once."""
    plain = trained(lambda net: net, compiled)
    found = trained(lambda net: tn.checkpoint(net, POLICIES[policy]), compiled)
    for a, b in zip(plain, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14)
        assert compiled or (a == b).all()


def holds(x: Any) -> Any:
    return tn.tanh(x @ (np.arange(9.0).reshape(3, 3) / 9)) * np.sin(x)


@pytest.mark.parametrize("compiled", [False, True])
def test_derivatives_of_two_orders(compiled: bool) -> None:
    def second(f: Any) -> Any:
        def h(x: Any) -> Any:
            return tn.grad(lambda x: (tn.grad(lambda x: (f(x) ** 2).sum())(x) ** 2).sum())(x)

        return (tn.compile(h) if compiled else h)(X)

    np.testing.assert_allclose(second(tn.checkpoint(holds)).numpy(), second(holds).numpy(), rtol=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_checkpoint_in_a_checkpoint(compiled: bool) -> None:
    inner = tn.checkpoint(lambda x: tn.exp(tn.sin(x)))
    outer = tn.checkpoint(lambda x: inner(inner(x) * 0.5) + x)

    def plain(x: Any) -> Any:
        return np.exp(np.sin(np.exp(np.sin(x)) * 0.5)) + x

    def of(f: Any) -> Any:
        g = tn.grad(lambda x: f(x).sum())
        return (tn.compile(g) if compiled else g)(X).numpy()

    np.testing.assert_allclose(of(outer), of(plain), rtol=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_it_closes_over_gets_gradients(compiled: bool) -> None:
    """A parameter, and a value computed before; structures go in and out, and what is no float stays as it is."""
    w = tn.tensor(R.normal(size=3), requires_grad=True)

    def step(x: Any, use: bool) -> Any:
        v = tn.exp(w)

        def f(inputs: dict[str, Any], scale: float, *, power: int) -> Any:
            return {"y": (inputs["x"] * v * w) ** power * scale, "n": inputs["n"] + 1, "v": v}

        out = (tn.checkpoint(f) if use else f)({"x": x, "n": np.arange(2)}, 0.5, power=2)
        loss = (out["y"].sum() + out["v"].sum()) * out["n"].sum()
        w.grad = None
        loss.backward()
        return loss, w.grad

    run = tn.compile(step) if compiled else step
    for a, b in zip(run(X, True), run(X, False), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_given_back_as_it_came(compiled: bool) -> None:
    f = tn.checkpoint(lambda x, y: (x, x * y, y))

    def loss(x: Any, y: Any) -> Any:
        a, b, c = f(x, y)
        return (a * b * c).sum()

    g = tn.grad(loss, (0, 1))
    by_x, by_y = (tn.compile(g) if compiled else g)(X, X + 1)
    np.testing.assert_allclose(by_x.numpy(), 2 * X * (X + 1) ** 2, rtol=1e-12)
    np.testing.assert_allclose(by_y.numpy(), 2 * X**2 * (X + 1), rtol=1e-12)


def test_it_takes_part_in_a_loop() -> None:
    f = tn.checkpoint(lambda c, x: tn.tanh(c * x + c))

    def run(g: Any) -> Any:
        def loss(c: Any) -> Any:
            return tn.scan(lambda c, x: (g(c, x), None), c, X)[0].sum()

        return tn.compile(tn.grad(loss))(X[0]).numpy(), tn.grad(loss)(X[0]).numpy()

    expected = tn.grad(lambda c: tn.scan(lambda c, x: (tn.tanh(c * x + c), None), c, X)[0].sum())(X[0]).numpy()
    for found in run(f):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_second_run_is_as_precise_as_the_first() -> None:
    layer = nn.Linear(3, 3, rng=0)
    x = tn.tensor(X.astype(np.float32), requires_grad=True)
    seen = []

    def f(x: Any) -> Any:
        out = layer(x)
        seen.append(out.dtype)
        return tn.exp(out)

    with tn.autocast("float16"):
        loss = tn.checkpoint(f)(x).sum()
    loss.backward()
    assert seen == [np.float16] * 2


def test_random_numbers_of_a_generator_of_ones_own() -> None:
    rng = np.random.default_rng(3)
    x = tn.tensor(X, requires_grad=True)
    y = tn.checkpoint(lambda x: tn.dropout(x, 0.5, rng=rng))(x)
    after = rng.bit_generator.state
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.where(y.numpy() == 0, 0, 2.0))
    assert rng.bit_generator.state == after


def test_buffers_are_found_as_they_were() -> None:
    buffer = nn.Buffer(np.zeros(3))

    def f(x: Any) -> Any:
        buffer.data = buffer + 1
        return x * buffer

    x = tn.tensor(X, requires_grad=True)
    y = tn.checkpoint(f)(x)
    assert buffer.tolist() == [1, 1, 1]
    buffer.data = np.full(3, 7.0)
    y.sum().backward()
    assert buffer.tolist() == [7, 7, 7]
    assert (x.grad.numpy() == 1).all()


def test_without_gradients_it_is_the_function() -> None:
    x = tn.tensor(X, requires_grad=True)
    f = tn.checkpoint(holds)
    with tn.no_grad():
        assert not f(x).requires_grad
    assert not f(tn.tensor(X)).requires_grad
    with tn.Tape() as tape:
        f(x)
    assert "attached" not in [n.name for n in tape]
    assert f.__name__ == "holds"
    assert f(x).node.source_node.op.label(f(x).node.source_node.options["rule"]) == "checkpoint of holds"


def test_a_decorator() -> None:
    @tn.checkpoint(policy="products")
    def f(x: Any) -> Any:
        """Its own words."""
        return np.sin(x @ x.T)

    assert f.__doc__ == "Its own words."
    expected = tn.grad(lambda x: np.sin(x @ x.T).sum())(X).numpy()
    np.testing.assert_allclose(tn.grad(lambda x: f(x).sum())(X).numpy(), expected, rtol=1e-12)


def test_a_module_with_other_parameters() -> None:
    """Which it has while the forward pass runs, and not in the backward pass."""
    net = nn.Sequential(nn.Linear(3, 3, dtype="float64", rng=0), nn.Tanh())

    class Whole(nn.Module):
        def __init__(self, run: Any) -> None:
            self.net = net
            self.run = run

        def forward(self, x: Any) -> Any:
            return self.run(x)

    def gradients(whole: Any) -> Any:
        given = {name: p.numpy() + 1 for name, p in whole.named_parameters()}

        def loss(p: Any) -> Any:
            with placed(whole, list(p.values())):
                return (whole(X) ** 2).sum()

        return tn.grad(loss)(given)

    found, expected = gradients(Whole(tn.checkpoint(net))), gradients(Whole(net))
    assert found.keys() == expected.keys()
    for name, g in expected.items():
        np.testing.assert_allclose(found[name].numpy(), g.numpy(), rtol=1e-12)
        assert (g.numpy() != 0).any()


def test_what_is_kept_is_not_computed_again() -> None:
    ran: list[str] = []

    def noted(name: str) -> Any:
        def forward(x: Any) -> Any:
            ran.append(name)
            return 2.0 * x

        return tn.op(forward, name=name, x=lambda g: 2.0 * g)

    first, second = noted("first"), noted("second")
    x = tn.tensor(X, requires_grad=True)
    tn.checkpoint(lambda x: second(first(x)), ["first"])(x).sum().backward()
    assert ran == ["first", "second", "second"]
    assert (x.grad.numpy() == 4).all()


def test_mistakes_are_told() -> None:
    with pytest.raises(TypeError, match="f is a function or a module, not int"):
        tn.checkpoint(3)  # type: ignore[call-overload]
    for policy in ("dots", 3, [1]):
        with pytest.raises(TypeError, match='give "products", names of ops'):
            tn.checkpoint(holds, policy)  # type: ignore[call-overload]
    shapes = iter([(5, 3), (15,)])
    y = tn.checkpoint(lambda x: (x * 2).reshape(next(shapes)))(tn.tensor(X, requires_grad=True))
    with pytest.raises(
        RuntimeError, match=r"gave \['float64 \(15,\)'\], and \['float64 \(5, 3\)'\] in the forward pass"
    ):
        y.sum().backward()
    x, w = tn.tensor(X, requires_grad=True), tn.tensor(X, requires_grad=True)
    v = w * 2
    y = tn.checkpoint(lambda x: x * v)(x)
    v = w * 3
    with pytest.raises(RuntimeError, match="it read other tensors"):
        y.sum().backward()
    w = tn.tensor(X, requires_grad=True)
    y = tn.checkpoint(lambda x: x * w)(x)
    w.data = w.data * 2
    with pytest.raises(RuntimeError, match="needs its inputs for backward, but that was changed in place"):
        y.sum().backward()


def test_a_second_backward_pass() -> None:
    x = tn.tensor(X, requires_grad=True)
    y = tn.checkpoint(holds)(x).sum()
    y.backward(retain_graph=True)
    first = x.grad.numpy().copy()
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * first)
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()


# -- memory ------------------------------------------------------------------------------------------------------


def blocks(count: int, use: bool) -> Callable[[Any], Any]:
    """A chain of blocks, each of which holds twenty times what comes out of it."""
    rng = np.random.default_rng(1)
    weights = [tn.tensor(rng.normal(size=(8, 160)) / 3, requires_grad=True) for _ in range(count)]

    def block(x: Any, w: Any) -> Any:
        return tn.sin(tn.tanh(tn.exp(-((x @ w) ** 2)))) @ w.T

    run = tn.checkpoint(block) if use else block

    def loss(x: Any) -> Any:
        for w in weights:
            x = run(x, w)
        for w in weights:
            w.grad = None
        total = (x * x).sum()
        total.backward()
        return total

    return loss


def test_an_eager_step_holds_a_fraction() -> None:
    x = R.normal(size=(400, 8))
    peaks = []
    for use in (False, True):
        step = blocks(12, use)
        step(x)
        tracemalloc.start()
        step(x)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 0.3 * peaks[0]


def test_a_compiled_step_holds_a_fraction(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    x = R.normal(size=(400, 8))
    arenas = []
    before = Module.__init__

    def made(self: Module, *args: Any, **kwargs: Any) -> None:
        before(self, *args, **kwargs)
        arenas.append(self.memory.arena_bytes)

    monkeypatch.setattr(Module, "__init__", made)
    values = []
    for use in (False, True):
        step = tn.compile(blocks(12, use))
        values.append([step(x).item() for _ in range(2)])
    assert len(arenas) == 2
    assert arenas[1] < 0.3 * arenas[0]
    np.testing.assert_allclose(values[1], values[0], rtol=1e-12)


# -- the primitive -----------------------------------------------------------------------------------------------


def waiting() -> Program:
    """exp(x) twice: at once, and once its sum is there."""
    b = Builder()
    x = Input((3,), np.dtype(float))
    first = b.emit("exp", x)
    total = b.emit("reduce_add", first, axes=(0,))
    again = b.emit("exp", b.emit("barrier", x, total))
    return Program([x], [], b.body, [total, b.emit("multiply", again, first)], [])


def test_no_pass_looks_through_a_barrier() -> None:
    assert names(simplify(waiting())) == ["exp", "reduce_add", "barrier", "exp", "multiply"]


def test_a_barrier_costs_no_copy_and_keeps_the_order() -> None:
    pytest.importorskip("llvmlite")
    module = Module(waiting())
    members = [[m.name for m in getattr(e, "members", [e])] for e in module.entries]
    assert members == [["exp", "reduce_add"], ["exp", "multiply"]]
    np.testing.assert_allclose(build(waiting())(X[0])[1], np.exp(X[0]) ** 2)


@pytest.mark.parametrize("x", [np.ones(2), tn.tensor([1.0, 2.0])], ids=["array", "tensor"])
def test_arrays_belong_to_the_function_that_it_gives(x: Any) -> None:
    with pytest.raises(TypeError, match=r"in second place is the policy; .*: tn.checkpoint\(f\)\(x\)"):
        tn.checkpoint(np.tanh, x)
