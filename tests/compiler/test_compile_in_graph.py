"""Compiled functions in a graph: one node, whose values and gradients of any order are programs."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

R = np.random.default_rng(0)
X = R.normal(size=(4, 3)).astype(np.float32)


def orders(f: Any) -> list[Callable[..., Any]]:
    """A function's value and gradient, and gradients of these."""
    first = tn.value_and_grad(lambda x: f(x))
    second = tn.grad(lambda x: (first(x)[1] ** 2).sum())
    return [first, second, tn.grad(lambda x: (second(x) * x).sum())]


def numbers(result: Any) -> list[Any]:
    return [t.data for t in (result if isinstance(result, tuple) else (result,))]


def how(f: Any) -> str:
    """How its calls in graphs run."""
    return "\n".join(line for line in str(f.explain()).splitlines() if "part of a graph" in line)


@backends
@pytest.mark.parametrize("order", range(3))
def test_gradients_of_every_order_are_those_of_the_plain_function(compiled: Compile, order: int) -> None:
    def plain(x: Any) -> Any:
        return (np.tanh(x @ x.T) * np.exp(x).sum(axis=1)).sum()

    f = compiled(plain)
    x = X.astype(np.float64)
    for call in range(4):
        found, expected = (numbers(orders(g)[order](x + call)) for g in (f, plain))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)
    assert "one node, with a compiled gradient" in how(f)
    assert len(f.variants) == 1


@backends
def test_it_runs_as_one_node_and_python_no_more(compiled: Compile) -> None:
    calls = itertools.count()
    seen = []

    def function(x: Any) -> Any:
        next(calls)
        return np.sin(x) * 2

    f = compiled(function)
    w = tn.tensor(X, requires_grad=True)
    for call in range(4):
        y = f(w * 1)
        assert (y._node.source_node.name if call else y._node.name) == ("compiled" if call else "multiply")
        y.sum().backward()
        seen.append(next(calls))
    assert np.diff(seen).tolist() == [3, 1, 1], "the second call and its backward pass captured both functions"


@backends
def test_parameters_get_gradients_and_may_change(compiled: Compile) -> None:
    net = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    first = nn.Linear(3, 3)

    def loss(x: Any, y: Any) -> Any:
        out = net(x)
        return {"loss": F.mse_loss(out, y), "out": out.detach(), "name": "mse"}

    f = compiled(loss)
    y = np.zeros((4, 2), np.float32)
    for _ in range(4):
        found = []
        for g in (f, loss):
            for p in (*net.parameters(), *first.parameters()):
                p.grad = None
            result = g(first(X), y)
            assert (result["out"].requires_grad, result["name"]) == (False, "mse")
            result["loss"].backward()
            found.append([result["out"].data, *(p.grad.data for p in (*net.parameters(), *first.parameters()))])
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        with tn.no_grad():
            for p in net.parameters():
                p.data = p - 0.1 * p.grad
    assert "one node" in how(f)


@backends
def test_second_order_by_parameters_alone(compiled: Compile) -> None:
    """Where no argument of the gradient is part of a graph."""
    w = tn.tensor(np.array([0.5, -2.0]), requires_grad=True)
    f = compiled(lambda x: ((w * x) ** 3).sum())
    for call in range(4):
        x = tn.tensor(np.array([1.0, 2.0 + call]), requires_grad=True)
        w.grad = None
        f(x).backward(create_graph=True)
        g = w.grad
        np.testing.assert_allclose(g.data, 3 * w.data**2 * x.data**3, rtol=1e-12)
        w.grad = x.grad = None
        (g * g).sum().backward()
        np.testing.assert_allclose(w.grad.data, 36 * w.data**3 * x.data**6, rtol=1e-12)


@backends
def test_rules_and_detached_parts_hold(compiled: Compile) -> None:
    """Gradients are those that ops state, not those of their formulas."""
    odd = tn.op(lambda x: x * 2, name="odd", x=lambda g: g * 5)
    f = compiled(lambda x: (odd(x) + tn.stop_gradient(x) * x).sum())
    for _ in range(3):
        np.testing.assert_allclose(tn.grad(lambda x: f(x))(X).data, 5 + X, rtol=1e-6)
    assert "one node" in how(f)


@backends
def test_integers_kinds_of_arguments_and_results(compiled: Compile) -> None:
    def plain(batch: Any, scale: float, *, power: int = 1) -> Any:
        x, i = batch["x"], batch["i"]
        return [x[i] * scale, (i + 1, (x**power).sum())]

    f = compiled(plain)
    for call in range(4):
        for scale, power in ((2.0, 1), (3.0, 2)):
            x = tn.tensor(X + call, requires_grad=True)
            found = []
            for g in (f, plain):
                a, (i, b) = g({"x": x * 1, "i": np.array([0, 2])}, scale, power=power)
                assert i.tolist() == [1, 3]
                assert not getattr(i, "requires_grad", False)
                x.grad = None
                ((a * a).sum() + b).backward()
                found.append(x.grad.data)
            np.testing.assert_allclose(*found, rtol=1e-6)


@backends
def test_one_of_two_results_is_used(compiled: Compile) -> None:
    f = compiled(lambda x: (x**2, x**3))
    for _ in range(3):
        assert tn.grad(lambda x: f(x)[0].sum())(2.0).item() == 4
        assert tn.grad(lambda x: f(x)[1].sum())(2.0).item() == 12
        assert tn.grad(lambda x: sum(f(x)).sum())(2.0).item() == 16


# -- what runs uncompiled ----------------------------------------------------------------------------------------


@backends
def test_what_does_more_than_compute_its_results_runs_uncompiled_and_once(compiled: Compile) -> None:
    b = nn.Buffer(np.zeros(()))
    noise = nn.Dropout(0.5)

    def writes(x: Any) -> Any:
        b.data = b + 1
        return x * 2

    for function in (writes, lambda x: noise(x) * 2):
        found = []
        for g in (compiled(function), function):
            b.data = np.zeros(())
            tn.random.seed(0)
            w = tn.tensor(X, requires_grad=True)
            for _ in range(4):
                g(w * 1).sum().backward()
            found.append((w.grad.data, b.item(), tn.random.uniform().item()))
            if g is not function:
                assert "uncompiled, since it does more than to compute its results" in how(g)
        np.testing.assert_array_equal(found[0][0], found[1][0])
        assert found[0][1:] == found[1][1:]


@backends
def test_what_cannot_be_captured_runs_uncompiled(compiled: Compile) -> None:
    f = compiled(lambda x: x * 2 if x.sum() > 0 else x * 3)
    for _ in range(3):
        assert tn.grad(lambda x: f(x * 1).sum())(2.0).item() == 2
        assert tn.grad(lambda x: f(x * 1).sum())(-2.0).item() == 3
    assert "uncompiled, since" in how(f)
    assert "asks for a bool" in how(f)


@backends
def test_what_it_reads_may_be_part_of_a_graph_or_have_hooks(compiled: Compile) -> None:
    w = tn.tensor(np.array([2.0, 3.0]), requires_grad=True)
    u = w * w
    f = compiled(lambda x: (x * u).sum())
    x = tn.tensor(np.ones(2), requires_grad=True)
    for call in range(1, 4):
        f(x).backward(retain_graph=True)
        np.testing.assert_allclose(w.grad.data, 2 * w.data * call)
    w.grad = None
    w.register_hook(lambda g: g * 10)
    g = compiled(lambda x: (x * w).sum())
    for call in range(1, 4):
        g(x).backward()
        np.testing.assert_allclose(w.grad.data, 10.0 * call)


@backends
def test_modes_have_programs_of_their_own(compiled: Compile) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.9))
    f = compiled(lambda x: net(x).sum())
    for train in (False, True, False, True, False):
        net.train(train)
        for _ in range(2):
            tn.random.seed(1)
            found = tn.grad(lambda x: f(x))(X).data
            tn.random.seed(1)
            np.testing.assert_allclose(found, tn.grad(lambda x: net(x).sum())(X).data, rtol=1e-5, atol=1e-7)


@backends
def test_a_parameter_that_changes_before_the_backward_pass_is_an_error(compiled: Compile) -> None:
    w = tn.tensor(np.ones(3, np.float32), requires_grad=True)
    f = compiled(lambda x: (x * w).sum())
    for _ in range(3):
        loss = f(tn.tensor(X, requires_grad=True))
    with tn.no_grad():
        w.data = w * 2
    with pytest.raises(RuntimeError, match="compiled"):
        loss.backward()


@backends
def test_other_shapes_are_programs_of_their_own_until_there_are_enough(compiled: Compile) -> None:
    f = compiled(lambda x: (x**3).sum(), max_variants=2)
    for n in (1, 2, 3, 4):
        for _ in range(3):
            x = np.arange(n) + 1.0
            np.testing.assert_allclose(tn.grad(lambda x: f(x * 1))(x).data, 3 * x**2)
    assert len(f.variants) == 2
    assert "2 kinds of calls that are part of a graph: uncompiled, since there are 2 programs" in how(f)


def test_a_graph_is_let_go() -> None:
    f = tn.compile(lambda x: np.exp(x), backend="numpy")
    w = tn.tensor(X, requires_grad=True)
    for _ in range(3):
        y = f(w * 1)
        y.sum().backward()
    node = y._node
    gone = weakref.ref(node)
    del y, node
    gc.collect()
    assert gone() is None


@backends
def test_compiled_within_compiled_and_transformed(compiled: Compile) -> None:
    """Of a transformation of a compiled function one program is made."""
    f = compiled(lambda x: (x**3).sum())
    g = compiled(tn.grad(f))
    for call in range(3):
        np.testing.assert_allclose(g(X + call).data, 3 * (X + call) ** 2, rtol=1e-5)
    assert len(g.variants) == 1
    assert f.variants == ()
    assert not [i for i in g.variants[0].program.body if i.name == "call"]


# -- transformed -------------------------------------------------------------------------------------------------

SAMPLES = np.arange(12.0).reshape(4, 3) / 10
TRANSFORMED: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = {
    "grad": (lambda f: tn.grad(f), lambda x: (x**3).sum(), (SAMPLES,)),
    "value_and_grad": (lambda f: tn.value_and_grad(f, has_aux=True), lambda x: ((x**3).sum(), x), (SAMPLES,)),
    "gradient of a gradient": (
        lambda f: tn.grad(lambda x: tn.grad(f)(x).sum()), lambda x: (x**3).sum(), (SAMPLES,)
    ),
    "jvp": (lambda f: lambda x: tn.jvp(f, (x,), (x * 2,)), np.tanh, (SAMPLES,)),
    "elementwise_grad": (lambda f: tn.elementwise_grad(f), np.tanh, (SAMPLES,)),
    "vmap": (lambda f: tn.vmap(f, in_axes=(0, None)), lambda x, y: np.outer(x, y), (SAMPLES, SAMPLES[0])),
    "vmap of grad": (lambda f: tn.vmap(tn.grad(f)), lambda x: np.sin(x).prod(), (SAMPLES,)),
    "jacobian": (lambda f: tn.jacobian(f), lambda x: x @ x.T, (SAMPLES,)),
    "jacfwd of jacrev": (lambda f: tn.jacfwd(tn.jacrev(f)), lambda x: np.sin(x).sum(axis=0), (SAMPLES,)),
    "hessian": (lambda f: tn.hessian(f, argnums=(0, 1)), lambda x, y: (x * y).sum() ** 2, (SAMPLES[0], SAMPLES[1])),
    "hvp": (lambda f: tn.hvp(f, with_value=True), lambda x: (x**4).sum(), (SAMPLES, SAMPLES)),
}  # fmt: skip


def leaves(tree: Any) -> list[Any]:
    return [np.asarray(t.data) for t in tn.tree.leaves(tree)]


@backends
@pytest.mark.parametrize("name", TRANSFORMED)
def test_what_transformations_make_of_a_compiled_function_is_compiled(compiled: Compile, name: str) -> None:
    transform, function, given = TRANSFORMED[name]
    calls = itertools.count()

    def counted(*args: Any) -> Any:
        next(calls)
        return function(*args)

    made = transform(compiled(counted))
    ends = []
    for call in range(4):
        args = [a + call for a in given]
        for found, expected in zip(leaves(made(*args)), leaves(transform(function)(*args)), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
        ends.append(next(calls))
    assert np.diff(ends)[1:].tolist() == [1, 1], "Python runs in the first two calls"


@backends
def test_a_transformation_is_asked_for_at_each_call(compiled: Compile) -> None:
    f = compiled(lambda x: (x**3).sum())
    assert tn.grad(f) is tn.grad(f)
    assert tn.grad(f, 0) is not tn.grad(f)
    for call in range(3):
        np.testing.assert_allclose(tn.jacobian(f, argnums=[0])(SAMPLES + call)[0].data, 3 * (SAMPLES + call) ** 2)
        np.testing.assert_allclose(tn.grad(f)(SAMPLES + call).data, 3 * (SAMPLES + call) ** 2)
    assert len(tn.grad(f).variants) == 1


@backends
def test_a_transformed_function_keeps_what_it_reads_in_the_graph(compiled: Compile) -> None:
    """A penalty of the gradient by the input, as of a critic, trains the parameters."""
    w = tn.tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    g = tn.grad(compiled(lambda x: ((w * x) ** 2).sum()))
    for call in range(4):
        w.grad = None
        x = SAMPLES[1] + call
        ((g(x) ** 2).sum()).backward()
        np.testing.assert_allclose(w.grad.data, 16 * w.data**3 * x**2, rtol=1e-10)
        with tn.no_grad():
            assert not g(x).requires_grad


@backends
def test_a_transformed_function_with_effects_runs_uncompiled(compiled: Compile) -> None:
    b = nn.Buffer(np.zeros(()))

    def f(x: Any) -> Any:
        b.data = b + 1
        return (x**2).sum()

    g = tn.grad(compiled(f))
    for _ in range(4):
        np.testing.assert_allclose(g(SAMPLES).data, 2 * SAMPLES)
    assert b.item() == 4
    assert "uncompiled, since it does more" in how(g)


def test_a_backward_pass_that_the_function_asks_about_first_is_made_at_each_call():
    """Inside of the program that is part of the graph, an argument that wants a gradient still does."""

    def step(x):
        y = tn.tanh(x)
        if y.requires_grad:
            y.backward(np.ones(3), retain_graph=True)
        return y

    compiled = tn.compile(step)
    for i in range(3):
        x, same = (tn.tensor(np.full(3, i / 2), requires_grad=True) for _ in range(2))
        y, expected = compiled(x), step(same)
        assert np.array_equal(x.grad.data, same.grad.data)
        y.sum().backward()
        expected.sum().backward()
        assert np.array_equal(x.grad.data, same.grad.data)
    assert "does more than to compute its results" in str(compiled.explain())
