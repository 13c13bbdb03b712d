"""Modules called with other tensors than their own."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn


class Net(nn.Module):
    """Parameters in lists and dicts, tied ones, a buffer."""

    def __init__(self) -> None:
        self.layers = [nn.Linear(2, 3), nn.Linear(3, 2)]
        self.tied = {"again": self.layers[1].weight}
        self.scale = nn.Parameter([1.0, 2.0])
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x: Any) -> Any:
        first, second = self.layers
        hidden = second(tn.tanh(first(x))) * self.scale
        return self.norm(hidden @ self.tied["again"] @ self.tied["again"].T)


X = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)


def tensors(net: nn.Module) -> dict[str, Any]:
    return {**dict(net.named_parameters()), **dict(net.named_buffers())}


def other(net: nn.Module, seed: int) -> dict[str, tn.Tensor]:
    """Other values for its parameters."""
    r = np.random.default_rng(seed)
    return {name: tn.tensor(r.normal(size=p.shape).astype(np.float32)) for name, p in net.named_parameters()}


def with_values(values: dict[str, tn.Tensor]) -> Net:
    """A module that has the values as its own."""
    net = Net()
    net.load_state_dict(
        {
            **net.state_dict(),
            **{n: v.numpy() for n, v in values.items()},
            "tied.again": values["layers.1.weight"].numpy(),
        }
    )
    return net


def test_it_computes_what_a_module_with_these_values_does() -> None:
    net = Net()
    before = tensors(net)
    values = other(net, 1)
    net.eval()
    expected = with_values(values).eval()(X)
    np.testing.assert_array_equal(tn.functional_call(net, values, X).numpy(), expected.numpy())
    assert {name: id(t) for name, t in tensors(net).items()} == {name: id(t) for name, t in before.items()}


def test_gradients_flow_to_what_is_given_and_to_nothing_else() -> None:
    net = Net()
    values = other(net, 2)
    model = with_values(values)
    model(X).sum(axis=0)[0].backward()
    found = tn.grad(lambda p: tn.functional_call(net, p, X).sum(axis=0)[0])(values)
    for name, p in model.named_parameters():
        np.testing.assert_allclose(found[name].numpy(), p.grad.numpy(), rtol=1e-4, atol=1e-6)
    assert all(p.grad is None for p in net.parameters())
    leaves = {name: v.requires_grad_() for name, v in values.items()}
    tn.functional_call(net, leaves, X).sum(axis=0)[0].backward()
    assert all(np.allclose(leaves[name].grad.numpy(), found[name].numpy(), rtol=1e-4, atol=1e-6) for name in found)


def test_the_forms_in_which_parameters_are_given() -> None:
    net = Net().eval()
    model = with_values(values := other(net, 3)).eval()
    expected = model(X).numpy()
    nested = {
        "layers": [
            {"weight": values["layers.0.weight"], "bias": values["layers.0.bias"]},
            {"weight": values["layers.1.weight"], "bias": values["layers.1.bias"].numpy()},
        ],
        "scale": values["scale"],
        "norm": {"weight": values["norm.weight"], "bias": values["norm.bias"]},
    }
    for form in (nested, model, (values, dict(model.named_buffers()))):
        np.testing.assert_array_equal(tn.functional_call(net, form, X).numpy(), expected)


def test_buffers_are_written_where_they_come_from() -> None:
    net = Net()
    own = net.norm.running_mean.numpy().copy()
    buffers = {
        "norm.running_mean": tn.tensor(np.zeros(2, np.float32)),
        "norm.running_var": tn.tensor(np.ones(2, np.float32)),
    }
    tn.functional_call(net, (dict(net.named_parameters()), buffers), X)
    assert net.norm.running_mean.numpy().tolist() == own.tolist()
    assert buffers["norm.running_mean"].numpy().any()
    tn.functional_call(net, dict(net.named_parameters()), X)
    np.testing.assert_array_equal(net.norm.running_mean.numpy(), buffers["norm.running_mean"].numpy())


def test_buffers_are_written_as_by_pytorch() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.BatchNorm1d(2)
    mean = torch.zeros(2)
    torch.func.functional_call(theirs, {"running_mean": mean}, (torch.tensor(X),))
    ours = nn.BatchNorm1d(2)
    given = tn.tensor(np.zeros(2, np.float32))
    tn.functional_call(ours, {**dict(ours.named_parameters()), "running_mean": given}, X)
    np.testing.assert_allclose(given.numpy(), mean.numpy(), rtol=1e-5, atol=1e-8)
    assert theirs.running_mean.tolist() == ours.running_mean.tolist() == [0.0, 0.0]
    np.testing.assert_allclose(ours.running_var.numpy(), theirs.running_var.numpy(), rtol=1e-6)


def test_the_module_is_as_before_after_an_error() -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter([1.0])

        def forward(self) -> Any:
            assert self.w.item() == 5.0
            raise KeyError("inside")

    net = Fails()
    w = net.w
    with pytest.raises(KeyError, match="inside"):
        tn.functional_call(net, {"w": np.array([5.0])})
    assert net.w is w
    with pytest.raises(KeyError, match="inside"):
        tn.grad(lambda net: tn.functional_call(net, {"w": np.array([5.0])}))(net)
    assert net.w is w


WRONG: list[tuple[Any, str]] = [
    (lambda p: {}, r"'scale', 'layers.0.weight'.* is missing; to use the module's own give \{\*\*dict"),
    (lambda p: {**p, "layers.2.weight": p["scale"]}, r"there is no 'layers.2.weight'; the names are 'scale', "),
    (lambda p: {**p, "scale": np.ones(3)}, r"'scale' has shape \(2,\) in the module, and \(3,\) was given"),
    (lambda p: (p, {"scale": p["scale"]}), r"'scale' is given twice"),
    (lambda p: {**p, "tied.again": np.ones((2, 3))}, r"'layers.1.weight' and 'tied.again' are one tensor"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_wrong_names_and_shapes_are_named(change: Any, message: str) -> None:
    net = Net()
    with pytest.raises(ValueError, match=r"tn\.functional_call\(Net\): .*" + message):
        tn.functional_call(net, change(dict(net.named_parameters())), X)


def test_what_is_no_module_or_no_parameters() -> None:
    with pytest.raises(TypeError, match="takes a module, not function"):
        tn.functional_call(lambda x: x, {}, X)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="params is float: give a dict by parameter name"):
        tn.functional_call(nn.Linear(1, 1), 3.0, X)
    with pytest.raises(ValueError, match="'weight' has no shape yet"):
        tn.functional_call(nn.LazyLinear(2), {"weight": np.ones((2, 2)), "bias": np.ones(2)}, X)


def test_one_name_of_a_tied_parameter_is_enough() -> None:
    net = Net().eval()
    values = other(net, 4)
    both = {**values, "tied.again": values["layers.1.weight"]}
    np.testing.assert_array_equal(tn.functional_call(net, values, X).numpy(), tn.functional_call(net, both, X).numpy())


def test_hooks_run_and_attributes_stay() -> None:
    net = nn.Linear(2, 1)
    seen = []
    net.register_forward_hook(lambda module, args, output: seen.append(module))
    tn.functional_call(net, other(net, 5), X)
    assert seen == [net]


def test_calls_in_threads_take_turns() -> None:
    net = Net().eval()
    values = [other(net, seed) for seed in range(8)]
    expected = [tn.functional_call(net, v, X).numpy() for v in values]
    found: list[Any] = [None] * 8
    inside = threading.Barrier(8)

    def work(i: int) -> None:
        inside.wait()
        for _ in range(20):
            found[i] = tn.functional_call(net, values[i], X).numpy()
            assert np.array_equal(found[i], expected[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_compiled_it_is_a_program_and_follows_the_module() -> None:
    net = Net().eval()

    @tn.compile
    def loss_and_gradient(params: Any, x: Any) -> Any:
        return tn.value_and_grad(lambda p: (tn.functional_call(net, p, x) ** 2).mean())(params)

    for seed in (6, 7):
        values = other(net, seed)
        loss, gradient = loss_and_gradient(values, X)
        expected, slope = tn.value_and_grad(lambda p: (tn.functional_call(net, p, X) ** 2).mean())(values)
        np.testing.assert_allclose(loss.numpy(), expected.numpy(), rtol=1e-5)
        for name in slope:
            np.testing.assert_allclose(gradient[name].numpy(), slope[name].numpy(), rtol=1e-4, atol=1e-6)
    assert len(loss_and_gradient.variants) == 1
    net.train()  # another program
    loss_and_gradient(values, X)
    assert len(loss_and_gradient.variants) == 2


def test_compiled_gradients_of_a_module_that_is_an_argument() -> None:
    net = nn.Linear(2, 1)
    slope = tn.compile(lambda x: tn.grad(lambda net: (net(x) ** 2).mean())(net))
    found = slope(X)
    expected = tn.grad(lambda net: (net(X) ** 2).mean())(net)
    for name in expected:
        np.testing.assert_allclose(found[name].numpy(), expected[name].detach().numpy(), rtol=1e-5)
    net.weight.data = np.ones((1, 2), np.float32)
    assert not np.allclose(slope(X)["weight"].numpy(), found["weight"].numpy())
    assert len(slope.variants) == 1
