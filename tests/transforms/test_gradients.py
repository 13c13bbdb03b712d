"""Gradients by trees and modules, what they return beside, and those of a recorded graph against PyTorch's."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn

X = np.array([1.0, 2.0])
Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass(frozen=True)
class Spring:
    stiffness: Any
    rest: Any
    name: str = dataclasses.field(default="spring", metadata={"static": True})

    def energy(self, x: Any) -> Any:
        return 0.5 * (self.stiffness * (x - self.rest) ** 2).sum()


class Net(nn.Module):
    def __init__(self) -> None:
        self.layers = [nn.Linear(2, 3), nn.Linear(3, 1)]

    def forward(self, x: Any) -> Any:
        first, second = self.layers
        return second(tn.tanh(first(x)))


BATCH = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)


def leaf(value: Any) -> tn.Tensor:
    return tn.tensor(value, requires_grad=True)


# -- structures --------------------------------------------------------------------------------------------------


def test_the_gradient_by_a_dataclass_is_one() -> None:
    value, g = tn.value_and_grad(lambda s: s.energy(X))(Spring(2.0, np.array([0.0, 1.0]), "mine"))
    assert value.item() == 2.0
    assert (type(g), g.name) == (Spring, "mine")
    assert g.stiffness.item() == 1.0
    assert g.rest.tolist() == [-2.0, -2.0]


def test_structures_of_every_kind_at_once() -> None:
    tree = Pair({"a": (X, None)}, [Spring(1.0, X)])

    def f(t: Pair) -> Any:
        assert t.left["a"][1] is None
        return (t.left["a"][0] ** 2).sum() + t.right[0].energy(0.0)

    g = tn.grad(f)(tree)
    assert tn.tree.structure(g) == tn.tree.structure(tree)
    assert [v.tolist() for v in tn.tree.leaves(g)] == [[2.0, 4.0], 2.5, [1.0, 2.0]]
    y, pull = tn.vjp(f, tree)
    assert y.item() == 5.0 + 2.5
    assert [v.tolist() for v in tn.tree.leaves(pull(2.0))] == [[4.0, 8.0], 5.0, [2.0, 4.0]]


def test_vjp_of_results_in_containers() -> None:
    y, pull = tn.vjp(lambda x: Spring(x * 2, Pair(x, x[0])), X)
    assert (type(y), y.stiffness.tolist()) == (Spring, [2.0, 4.0])
    assert pull(Spring(np.array([1.0, 10.0]), Pair(X, 5.0))).tolist() == [8.0, 22.0]


def test_hvp_of_a_dataclass() -> None:
    h = tn.hvp(lambda s: s.energy(X))(Spring(2.0, np.zeros(2)), Spring(1.0, np.array([1.0, 0.0])))
    assert type(h) is Spring
    assert h.stiffness.item() == -1.0  # d/drest of d/dstiffness, along the vector
    assert h.rest.tolist() == [2 - 1.0, -2.0]


# -- modules -----------------------------------------------------------------------------------------------------


def test_the_gradient_by_a_module_is_a_dict_by_parameter_name() -> None:
    net = Net()
    (net(BATCH) ** 2).sum().backward()
    expected = {name: p.grad.numpy().copy() for name, p in net.named_parameters()}
    net.zero_grad()
    for block in (tn.enable_grad, tn.no_grad):
        with block():
            value, g = tn.value_and_grad(lambda net: (net(BATCH) ** 2).sum())(net)
            assert list(g) == list(expected)
            for name, found in g.items():
                np.testing.assert_allclose(found.numpy(), expected[name], rtol=1e-5)
                assert found.requires_grad == (block is tn.enable_grad)
            assert value.requires_grad == (block is tn.enable_grad)
    assert all(p.grad is None for p in net.parameters())


def test_a_module_among_other_arguments() -> None:
    net = Net()
    g, by_x = tn.grad(lambda task, x: task["scale"] * task["net"](x).sum(), argnums=(0, 1))(
        {"net": net, "scale": 2.0}, BATCH
    )
    expected = tn.grad(lambda net: 2.0 * net(BATCH).sum())(net)
    assert tn.tree.structure(g) == tn.tree.structure({"net": net, "scale": 0})
    for name in expected:
        np.testing.assert_array_equal(g["net"][name].numpy(), expected[name].numpy())
    assert by_x.shape == BATCH.shape


def test_frozen_parameters_are_differentiated_too() -> None:
    net = Net().requires_grad_(False)
    g = tn.grad(lambda net: net(BATCH).sum())(net)
    assert all(v.numpy().any() and not v.requires_grad for v in g.values())


def test_a_gradient_by_a_module_may_be_part_of_a_loss() -> None:
    """As that by a tensor: what needs a gradient stays connected."""
    net = nn.Linear(2, 1, dtype="float64")
    x = np.array([[3.0, 4.0]])
    g = tn.grad(lambda net: (net(x) ** 2).sum() / 2)(net)
    (g["weight"] ** 2).sum().backward()  # |y x|^2
    y = net(x).item()
    np.testing.assert_allclose(net.weight.grad.numpy(), 2 * 25 * y * x)


def test_hvp_of_a_module_takes_a_dict_or_a_module() -> None:
    net, v = nn.Linear(2, 1, dtype="float64"), nn.Linear(2, 1, dtype="float64")
    x = np.array([[3.0, 4.0]])
    h = tn.hvp(lambda net: (net(x) ** 2).sum() / 2)(net, v)
    same = tn.hvp(lambda net: (net(x) ** 2).sum() / 2)(net, dict(v.named_parameters()))
    along = v(x).item()
    np.testing.assert_allclose(h["weight"].numpy(), along * x)
    np.testing.assert_allclose(h["bias"].numpy(), [along])
    assert all(np.array_equal(h[name].numpy(), same[name].numpy()) for name in h)


def test_a_module_seen_another_way_inside_has_the_tensors_of_the_call() -> None:
    """So that a function that keeps the module elsewhere too is differentiated rightly."""
    net = Net()
    g = tn.grad(lambda other: net(BATCH).sum())(net)
    expected = tn.grad(lambda net: net(BATCH).sum())(net)
    assert all(np.array_equal(g[name].numpy(), expected[name].numpy()) for name in g)


def test_threads_may_differentiate_by_one_module_at_once() -> None:
    net = Net()
    batches = [BATCH * (i + 1) for i in range(4)]

    def work(batch: Any) -> list[Any]:
        with tn.no_grad():
            found = [tn.grad(lambda net: (net(batch) ** 2).sum())(net) for _ in range(10)]
        return [[v.numpy() for v in g.values()] for g in found]

    expected = [work(batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, known in zip(pool.map(work, batches), expected, strict=True):
            assert all(np.array_equal(a, b) for g in found for a, b in zip(g, known, strict=True))


def test_modules_agree_with_torch_func() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
    ours = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    ours.load_state_dict({name: v.numpy() for name, v in theirs.state_dict().items()})
    x = torch.tensor(BATCH)
    expected = torch.func.grad(lambda p: (torch.func.functional_call(theirs, p, (x,)) ** 2).sum())(
        dict(theirs.named_parameters())
    )
    found = tn.grad(lambda net: (net(BATCH) ** 2).sum())(ours)
    assert list(found) == list(expected)
    for name, g in found.items():
        np.testing.assert_allclose(g.numpy(), expected[name].detach().numpy(), rtol=1e-5, atol=1e-6)


# -- arguments by name, and what is returned beside ------------------------------------------------------------------


def test_arguments_by_name() -> None:
    def f(x: Any, y: Any = 3.0, *, k: Any = 1.0) -> Any:
        return x * y**2 * k

    assert tn.grad(f)(x=2.0).item() == 9.0
    assert tn.grad(f, argnums=1)(2.0, y=3.0, k=2.0).item() == 24.0
    assert [g.item() for g in tn.grad(f, argnums=(1, 0))(y=3.0, x=2.0)] == [12.0, 9.0]
    assert tn.hvp(f, argnums=1)(2.0, 3.0, 1.0, k=2.0).item() == 8.0


def test_has_aux_everywhere() -> None:
    def f(x: Any) -> Any:
        y = x * x
        return y.sum(), Pair(y, "text")

    for out in (tn.grad(f, has_aux=True)(X)[1], tn.value_and_grad(f, has_aux=True)(X)[0][1]):
        assert (out.left.tolist(), out.right) == ([1.0, 4.0], "text")
    y, pull, aux = tn.vjp(f, X, has_aux=True)
    assert (y.item(), aux.left.tolist()) == (5.0, [1.0, 4.0])
    assert pull(10.0).tolist() == [20.0, 40.0]
    g, aux = tn.elementwise_grad(lambda x: (x**3, x), has_aux=True)(X)
    assert (g.tolist(), aux.tolist()) == ([3.0, 12.0], X.tolist())


def test_elementwise_grad() -> None:
    np.testing.assert_allclose(tn.elementwise_grad(tn.elementwise_grad(tn.tanh))(X), -2 * np.tanh(X) / np.cosh(X) ** 2)
    gx, gy = tn.elementwise_grad(lambda x, y: x * y, argnums=(0, 1))(X, X + 1)
    assert (gx.tolist(), gy.tolist()) == ([2.0, 3.0], [1.0, 2.0])
    assert tn.elementwise_grad(lambda x: x**2)(3.0).item() == 6.0
    compiled = tn.compile(tn.elementwise_grad(lambda x: x**3))
    assert compiled(X).tolist() == compiled(X).tolist() == [3.0, 12.0]


@pytest.mark.parametrize("compiled", [False, True])
def test_second_derivatives_through_complex_numbers(compiled: bool) -> None:
    """Forward mode knows none: reverse mode serves, since a Hessian is symmetric."""
    make: Any = tn.compile if compiled else lambda f: f
    weights, v = np.array([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 2.0])

    def f(x: Any) -> Any:
        return (weights * abs(np.fft.fft(x**2)) ** 2).sum()

    x = np.array([1.0, 2.0, -1.0])
    step = 1e-5
    columns = [(tn.grad(f)(x + step * e).numpy() - tn.grad(f)(x - step * e).numpy()) / (2 * step) for e in np.eye(3)]
    expected = np.stack(columns, axis=1)
    np.testing.assert_allclose(make(tn.hessian(f))(x).numpy(), expected, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(make(tn.hvp(f))(x, v).numpy(), expected @ v, rtol=1e-6, atol=1e-5)
    value, gradient, product = make(tn.hvp(f, with_value=True))(x, v)
    np.testing.assert_allclose(value.numpy(), f(x))
    np.testing.assert_allclose(gradient.numpy(), tn.grad(f)(x).numpy())
    np.testing.assert_allclose(product.numpy(), expected @ v, rtol=1e-6, atol=1e-5)
    jacobian = make(tn.jacobian(lambda x: abs(np.fft.fft(x))))(x)
    np.testing.assert_allclose(jacobian.numpy(), tn.jacrev(lambda x: abs(np.fft.fft(x)))(x).numpy())


# -- in which graph values are ------------------------------------------------------------------------------------------


def test_values_are_in_no_graph_of_their_own() -> None:
    y, pull = tn.vjp(lambda x: {"y": x * 2, "x": x}, X)
    assert not y["y"].requires_grad
    np.testing.assert_array_equal(np.asarray(y["y"]), 2 * X)
    assert pull({"y": X, "x": X}).tolist() == [3.0, 6.0]
    (value, aux), _ = tn.value_and_grad(lambda x: (x.sum(), [x * 2]), has_aux=True)(X)
    assert not value.requires_grad
    assert not aux[0].requires_grad
    np.testing.assert_array_equal(np.asarray(aux[0]), 2 * X)


def test_values_follow_a_tensor_from_outside_that_needs_a_gradient() -> None:
    w = leaf([3.0, 4.0])
    y, _ = tn.vjp(lambda x: (x * w, x * 2), X)
    assert [v.requires_grad for v in y] == [True, False]
    (y[0].sum() * 10).backward()
    assert w.grad.tolist() == [10.0, 20.0]
    with tn.no_grad():
        y, _ = tn.vjp(lambda x: x * w, X)
    assert not y.requires_grad
    (value, aux), g = tn.value_and_grad(lambda x: (x.sum(), x * w), has_aux=True)(X)
    assert (value.requires_grad, aux.requires_grad, g.tolist()) == (False, True, [1.0, 1.0])
    w.grad = None
    aux.sum().backward()
    assert w.grad.tolist() == X.tolist()


def test_values_follow_an_outer_transformation() -> None:
    def outer(x: Any) -> Any:
        y, pull = tn.vjp(lambda t: t**3, x)
        return (y * pull(np.ones(2))).sum()  # 3 x^5

    np.testing.assert_allclose(tn.grad(outer)(X).numpy(), 15 * X**4)
    value, _ = tn.vjp(lambda t: t**2, leaf(X))
    assert value.requires_grad
    np.testing.assert_allclose(tn.compile(tn.grad(outer))(X).numpy(), 15 * X**4)


def test_parameters_that_a_function_returns_stay_themselves() -> None:
    w = leaf([3.0, 4.0])
    (_, aux), _ = tn.value_and_grad(lambda x: (x.sum(), {"w": w, "x": x}), has_aux=True)(X)
    assert aux["w"] is w
    assert not aux["x"].requires_grad


# -- gradients of a recorded graph ------------------------------------------------------------------------------------


def test_inputs_in_structures() -> None:
    net, s = Net(), Spring(leaf(2.0), leaf([0.0, 1.0]))
    out = s.energy(X)
    g = tn.gradients(out, s, retain_graph=True)
    assert (type(g), g.stiffness.item(), g.rest.tolist()) == (Spring, 1.0, [-2.0, -2.0])
    both = tn.gradients({"net": (net(BATCH) ** 2).sum(), "spring": out}, (net, {"s": s}))
    assert both[1]["s"].rest.tolist() == [-2.0, -2.0]
    (net(BATCH) ** 2).sum().backward()
    for name, p in net.named_parameters():
        np.testing.assert_allclose(both[0][name].numpy(), p.grad.numpy(), rtol=1e-5)


def test_what_is_wrong_with_structures_is_named() -> None:
    x, z = leaf(X), leaf(X)
    y = {"a": x * 2, "b": [x.sum()]}
    with pytest.raises(RuntimeError, match=r"no gradient flows to inputs\['z'\]"):
        tn.gradients(y["b"], {"x": x, "z": tn.tensor(X)})
    with pytest.raises(RuntimeError, match=r"no output depends on inputs\['z'\], of shape \(2,\)"):
        tn.gradients(y["b"], {"x": x, "z": z}, retain_graph=True)
    with pytest.raises(TypeError, match=r"outputs\[1\] is float, not a tensor"):
        tn.gradients([y["a"], 3.0], x)
    with pytest.raises(ValueError, match=r"at grad_outputs\['b'\] outputs has list of length 1"):
        tn.gradients(y, x, {"a": X, "b": 1.0})
    assert tn.gradients(y, x, {"a": X, "b": [1.0]}).tolist() == [3.0, 5.0]


def _same_in_both(program: Any) -> None:
    """A program of `torch.autograd.grad` gives the same here, errors included."""
    torch = pytest.importorskip("torch")
    found = []
    for library, grad in ((torch, torch.autograd.grad), (tn, tn.autograd.grad)):

        def leaf(value: Any, library: Any = library) -> Any:
            return library.tensor(value, dtype=library.float64, requires_grad=True)

        try:
            result: Any = program(library, grad, leaf)
            found.append([None if g is None else g.detach().numpy().tolist() for g in result])
        except (RuntimeError, ValueError):  # ours say which is wrong
            found.append("an error")
    assert found[0] == found[1]


def _unused(library: Any, grad: Any, leaf: Any) -> Any:
    return grad((leaf([1.0]) ** 2).sum(), leaf([1.0]))


def _unused_allowed(library: Any, grad: Any, leaf: Any) -> Any:
    x = leaf([1.0, 2.0])
    return grad((x**2).sum(), [x, leaf([1.0])], allow_unused=True)


def _unused_as_zeros(library: Any, grad: Any, leaf: Any) -> Any:
    x = leaf([1.0, 2.0])
    return grad((x**2).sum(), [leaf([1.0, 1.0]), x], materialize_grads=True)


def _several_outputs(library: Any, grad: Any, leaf: Any) -> Any:
    x, w = leaf([1.0, 2.0]), leaf(3.0)
    return grad([(x * w).sum(), x * 2, w**2], [x, w], [None, library.tensor([1.0, 10.0], dtype=library.float64), None])


def _an_output_twice(library: Any, grad: Any, leaf: Any) -> Any:
    x = leaf(3.0)
    y = x**2
    return grad([y, y], [x, x])


def _an_output_is_an_input(library: Any, grad: Any, leaf: Any) -> Any:
    x = leaf(3.0)
    y = x**2
    return grad([y, y * x], [y, x])


def _no_scalar(library: Any, grad: Any, leaf: Any) -> Any:
    x = leaf([1.0, 2.0])
    y = x**2
    return grad(y, x)


def _released(library: Any, grad: Any, leaf: Any) -> Any:
    x = leaf(3.0)
    y = library.exp(x)
    grad(y, x)
    return grad(y, x)


def _kept(library: Any, grad: Any, leaf: Any) -> Any:
    x = leaf(3.0)
    y = library.exp(x) * x
    return [*grad(y, x, retain_graph=True), *grad(y, x)]


def _of_the_third_order(library: Any, grad: Any, leaf: Any) -> Any:
    x = leaf(0.5)
    y = library.sin(x) * x**2
    found = []
    for _ in range(3):
        (y,) = grad(y, x, create_graph=True)
        found.append(y)
    return found


@pytest.mark.parametrize(
    "program",
    [
        _unused, _unused_allowed, _unused_as_zeros, _several_outputs, _an_output_twice, _an_output_is_an_input,
        _no_scalar, _released, _kept, _of_the_third_order,
    ],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_gradients_are_those_of_torch(program: Any) -> None:
    _same_in_both(program)


def test_gradients_are_not_copied_but_belong_to_nobody_else() -> None:
    data, g = np.linspace(-1, 1, 1 << 17), np.ones(1 << 17)
    x = tn.tensor(data, requires_grad=True)
    y = tn.relu(x)
    tracemalloc.start()
    try:
        first, second = tn.gradients(y, [x, x], g, retain_graph=True)
        apart = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        kept = tracemalloc.get_traced_memory()[0]
        once = tn.gradients(y, x, g)
        peak = tracemalloc.get_traced_memory()[1] - kept
    finally:
        tracemalloc.stop()
    assert apart >= 2 * data.nbytes  # each that is asked for twice has to be an array of its own
    assert peak < 1.5 * data.nbytes
    assert not np.shares_memory(first.numpy(), second.numpy())
    assert not np.shares_memory(tn.gradients(x, x, g).numpy(), g)  # the gradient that was given itself
    np.testing.assert_array_equal(first.numpy(), np.where(data > 0, 1.0, 0.0))
    np.testing.assert_array_equal(second.numpy(), once.numpy())
