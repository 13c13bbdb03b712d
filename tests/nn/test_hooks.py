"""Hooks of modules: when they are called, with what, and what becomes of what they return."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn

R = np.random.default_rng(0)
X = R.normal(size=(4, 3)).astype(np.float32)


def make() -> Any:
    tn.random.seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


class Two(nn.Module):
    """Several arguments and results."""

    def __init__(self) -> None:
        self.weight = nn.Parameter(np.full(3, 2.0), dtype=np.float32)

    def forward(self, x: Any, y: Any = None, scale: float = 1.0) -> Any:
        x = x * self.weight * scale
        return (x if y is None else x + y), (x**2).sum(), "note"


def tensor(array: Any, requires_grad: bool = True) -> tn.Tensor:
    return tn.tensor(array, requires_grad=requires_grad)


# -- forward -----------------------------------------------------------------------------------------------------


def test_hooks_see_arguments_and_output_in_order() -> None:
    net, seen = make(), []
    net[1].register_forward_pre_hook(lambda m, args: seen.append(("pre", m, args)))
    net[1].register_forward_hook(lambda m, args, out: seen.append(("first", m, args, out)))
    net[1].register_forward_hook(lambda m, args, out: seen.append(("second", m, args, out)))
    net[1].register_forward_hook(lambda m, args, out: seen.append(("before", m, args, out)), prepend=True)
    out = net(X)
    assert [entry[0] for entry in seen] == ["pre", "before", "first", "second"]
    assert all(entry[1] is net[1] for entry in seen)
    (given,) = seen[0][2]
    np.testing.assert_array_equal(given.data, net[0](X).data)
    assert all(entry[2][0] is given for entry in seen)
    np.testing.assert_array_equal(net[2](seen[1][3]).data, out.data)


def test_hooks_replace_arguments_and_output() -> None:
    net = make()
    plain = net(X)
    net[1].register_forward_pre_hook(lambda m, args: args[0] * 0)
    assert (net(X).data == net[2].bias.data).all()
    net[1].register_forward_hook(lambda m, args, out: out + 1)
    np.testing.assert_allclose(net(X).data[0], net[2].bias.data + net[2].weight.data.sum(axis=1), rtol=1e-6)
    net[1]._hooks._by_kind["forward"].clear()
    net[1]._hooks._by_kind["forward_pre"].clear()
    net[1].register_forward_pre_hook(lambda m, args: (args[0],))
    np.testing.assert_array_equal(net(X).data, plain.data)


def test_hooks_with_keyword_arguments() -> None:
    net, seen = Two(), []

    def before(module: Any, args: Any, kwargs: Any) -> Any:
        seen.append((len(args), dict(kwargs)))
        return args, kwargs | {"scale": 10.0}

    net.register_forward_pre_hook(before, with_kwargs=True)
    net.register_forward_hook(lambda m, args, kwargs, out: seen.append(dict(kwargs)), with_kwargs=True)
    out, _, note = net(X, scale=2.0)
    assert seen == [(1, {"scale": 2.0}), {"scale": 10.0}]
    np.testing.assert_allclose(out.data, X * 20, rtol=1e-6)
    assert note == "note"
    net.register_forward_pre_hook(lambda m, args, kwargs: args, with_kwargs=True)
    with pytest.raises(
        TypeError, match=r"pre-hook of Two with with_kwargs=True returns None or a pair \(args, kwargs\)"
    ):
        net(X)


def test_a_handle_takes_its_hook_away_once_and_at_the_end_of_a_block() -> None:
    net, seen = make(), []
    with net.register_forward_hook(lambda m, a, o: seen.append("block")):
        handle = net.register_forward_hook(lambda m, a, o: seen.append("handle"))
        net(X)
    net(X)
    handle.remove()
    handle.remove()
    net(X)
    assert seen == ["block", "handle", "handle"]
    assert not net._hooks


def test_a_hook_may_remove_itself_and_others_still_run() -> None:
    net, seen = make(), []
    handles: list[Any] = []
    handles.append(net.register_forward_hook(lambda m, a, o: handles[0].remove()))
    net.register_forward_hook(lambda m, a, o: seen.append(1))
    net(X)
    net(X)
    assert seen == [1, 1]


def test_hooks_always_called_run_after_an_error_too() -> None:
    net, seen = make(), []
    net.register_forward_hook(lambda m, a, o: seen.append("usual"))
    net.register_forward_hook(lambda m, a, o: seen.append(("always", o)), always_call=True)
    with pytest.raises(ValueError, match="takes 3 features"):
        net(np.ones((2, 7), np.float32))
    assert seen == [("always", None)]
    net(X)
    assert [s if isinstance(s, str) else s[0] for s in seen[1:]] == ["usual", "always"]


def test_what_hooks_compute_and_the_forward_record_under_the_module_s_path() -> None:
    net = make()
    net[1].register_forward_hook(lambda m, a, o: o * 2)
    assert net(X).node.path == "2"
    with tn.Tape() as tape:
        net(X)
    assert [(n.name, n.path) for n in tape] == [("linear", "0"), ("tanh", "1"), ("multiply", "1"), ("linear", "2")]


def test_a_call_without_hooks_takes_the_usual_path_before_and_after() -> None:
    """Scopes are remembered but while there are hooks, for which each call looks when its scope is not known."""
    net = make()
    net(X)
    known = dict(net[1]._scopes)
    assert known
    handle = net[1].register_forward_hook(lambda m, a, o: None)
    net(X)
    assert not net[1]._scopes
    handle.remove()
    net(X)
    net(X)
    assert len(net[1]._scopes) == 2  # one for each of two calls in a row


def test_copies_have_no_hooks() -> None:
    net, seen = make(), []
    net.register_forward_hook(lambda m, a, o: seen.append(1))
    copy.deepcopy(net)(X)
    assert not seen


def test_a_hook_is_a_function() -> None:
    with pytest.raises(TypeError, match="a hook is a function, not int"):
        make().register_forward_hook(3)


# -- backward ----------------------------------------------------------------------------------------------------


def test_backward_hooks_see_what_pytorchs_see() -> None:
    torch = pytest.importorskip("torch")
    net = make()
    peer = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    peer.load_state_dict({n: torch.tensor(np.ascontiguousarray(a)) for n, a in net.state_dict().items()})
    seen: dict[str, list[Any]] = {"ours": [], "theirs": []}
    for whose, model in (("ours", net), ("theirs", peer)):
        for name, module in list(model.named_modules()):

            def hook(m: Any, gi: Any, go: Any, name: str = name, log: Any = seen[whose]) -> None:
                log.append((name, [None if g is None else np.array(g.tolist()) for g in (*gi, *go)]))

            module.register_full_backward_hook(hook)
    x = tensor(X)
    (net(x) ** 2).sum().backward()
    tx = torch.tensor(X, requires_grad=True)
    (peer(tx) ** 2).sum().backward()
    assert [name for name, _ in seen["ours"]] == [name for name, _ in seen["theirs"]] == ["2", "1", "0", ""]
    for (_, ours), (_, theirs) in zip(seen["ours"], seen["theirs"], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(x.grad.data, tx.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_the_gradients_are_those_through_the_module_alone() -> None:
    """The input goes elsewhere too."""
    layer, seen = nn.Linear(3, 3, rng=0), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    x = tensor(X)
    (x * 5 + layer(x)).sum().backward()
    ((grad_input,), (grad_output,)) = seen[0]
    np.testing.assert_array_equal(grad_output.data, np.ones((4, 3)))
    np.testing.assert_allclose(grad_input.data, np.ones((4, 3)) @ layer.weight.data, rtol=1e-6)
    np.testing.assert_allclose(x.grad.data, grad_input.data + 5, rtol=1e-6)


def test_hooks_replace_gradients() -> None:
    layer = nn.Linear(3, 2, rng=0)
    order: list[str] = []
    layer.register_full_backward_pre_hook(lambda m, go: order.append("pre") or (go[0] * 2,))
    layer.register_full_backward_pre_hook(lambda m, go: go[0] + 1)
    layer.register_full_backward_hook(lambda m, gi, go: order.append("post") or (gi[0] * 10,))
    x = tensor(X)
    layer(x).sum().backward()
    assert order == ["pre", "post"]
    np.testing.assert_allclose(layer.bias.grad.data, [12, 12], rtol=1e-6)
    np.testing.assert_allclose(x.grad.data, 30 * np.ones((4, 2)) @ layer.weight.data, rtol=1e-5)
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (lambda gi: (gi[0], gi[0]), "returned 2 gradients in place of 1"),
        (lambda gi: gi[0].sum(), r"returned a gradient of shape \(\) in place of one of shape \(4, 3\)"),
    ],
)
def test_replacements_that_do_not_fit(result: Any, words: str) -> None:
    layer = nn.Linear(3, 2, rng=0)
    layer.register_full_backward_hook(lambda m, gi, go: result(gi))
    with pytest.raises(tn.GradientError, match=f"backward hook .* of Linear {words}"):
        layer(tensor(X)).sum().backward()


def test_several_arguments_and_results() -> None:
    net, seen = Two(), []
    net.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    x, y = tensor(X), tn.tensor(X)
    out, total, _ = net(x, y, 3.0)
    (out * 2).sum().backward(retain_graph=True)
    ((gx, gy, gscale), (gout, gtotal, gnote)) = seen[0]
    assert gy is gscale is gtotal is gnote is None
    np.testing.assert_array_equal(gout.data, np.full((4, 3), 2.0))
    np.testing.assert_allclose(gx.data, np.full((4, 3), 12.0), rtol=1e-6)
    assert isinstance(out, tn.Tensor)
    total.backward()
    assert [g is None for g in seen[1][1]] == [True, False, True]


def test_results_that_hooks_cannot_see_are_told() -> None:
    class Named(nn.Module):
        def forward(self, x: Any) -> Any:
            return {"y": x * 2.0}

    net = Named()
    net.register_full_backward_hook(lambda module, before, after: None)
    x = tn.tensor([1.0], requires_grad=True)
    with pytest.warns(UserWarning, match="the backward hooks of Named are not called: it returned a dict"):
        net(x)["y"].sum().backward()
    assert x.grad.item() == 2.0


def test_without_a_gradient_by_the_inputs_the_hook_is_called_at_the_outputs() -> None:
    layer, seen = nn.Linear(3, 2, rng=0), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].data.copy(), m.weight.grad)))
    layer(X).sum().backward()
    ((gi, go, grad),) = seen
    assert gi == (None,)
    np.testing.assert_array_equal(go, np.ones((4, 2)))
    assert grad is None  # it has not come to the parameters yet


def test_no_edge_where_no_gradient_is_recorded() -> None:
    layer, seen = nn.Linear(3, 2, rng=0), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(1))
    with tn.no_grad():
        assert layer(tensor(X)).node is None
    assert not seen


def test_second_order_through_hooks() -> None:
    layer = nn.Linear(3, 1, rng=0)
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] ** 2,))
    x = tensor(X)
    (layer(x) ** 2).sum().backward(create_graph=True)
    w = layer.weight.data
    first = (2 * layer(X).data * w) ** 2
    np.testing.assert_allclose(x.grad.data, first, rtol=1e-5)
    grad, x.grad = x.grad, None
    grad.sum().backward()
    # d/dx Σ (2 (w x + b) w)² = 8 (w x + b) w · Σ w²; it comes through the same edge, where the hook squares it again.
    second = 8 * layer(X).data * w * (w**2).sum()
    np.testing.assert_allclose(x.grad.data, second**2, rtol=1e-4)


def test_two_backward_passes_call_the_hooks_twice() -> None:
    layer, seen = nn.Linear(3, 2, rng=0), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(go[0].data[0, 0]))
    y = layer(tensor(X)).sum()
    y.backward(retain_graph=True)
    (y * 1).backward(gradient=np.float32(3))
    assert seen == [1, 3]


def test_gradients_of_functions_go_through_hooks() -> None:
    layer, seen = nn.Linear(3, 1, rng=0), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(1) or (gi[0] * 2,))
    g = tn.grad(lambda x: layer(x).sum())(tn.tensor(X))
    np.testing.assert_allclose(g.data, np.broadcast_to(2 * layer.weight.data, X.shape), rtol=1e-6)
    assert seen == [1]


# -- compiled ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["numpy", "native"])
def compiled(request: pytest.FixtureRequest) -> Any:
    if request.param == "native":
        pytest.importorskip("llvmlite")
    return functools.partial(tn.compile, backend=request.param)


def test_a_compiled_step_has_what_hooks_compute_and_is_captured_anew_when_they_change(compiled: Any) -> None:
    net = make()
    f = compiled(lambda x: net(x))
    plain = f(X).data
    calls: list[int] = []
    handle = net[1].register_forward_hook(lambda m, a, o: calls.append(1) or o * 0)
    for _ in range(4):
        np.testing.assert_allclose(f(X).data, np.broadcast_to(net[2].bias.data, (4, 2)), rtol=1e-5, atol=1e-6)
    assert len(calls) <= 2
    handle.remove()
    np.testing.assert_allclose(f(X).data, plain, rtol=1e-5, atol=1e-6)


def test_backward_hooks_in_a_compiled_step(compiled: Any) -> None:
    layer = nn.Linear(3, 2, rng=0)
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 3,))
    w = nn.Parameter(np.ones(3, np.float32))

    def step(x: Any) -> Any:
        w.grad = None
        loss = (layer(x * w) ** 2).sum()
        loss.backward()
        return loss

    step(X)
    expected = w.grad.data.copy()
    f = compiled(step, keep_grads=True)
    for _ in range(3):
        f(X)
        np.testing.assert_allclose(w.grad.data, expected, rtol=1e-5)


def test_edges_are_nodes_of_their_own() -> None:
    net = make()
    net[1].register_full_backward_hook(lambda m, gi, go: None)
    with tn.Tape() as tape:
        out = net(tensor(X))
    assert [n.name for n in tape if n.name != "output"] == ["linear", "edge", "tanh", "edge", "linear"]
    assert "hooks" in str(tn.draw(out).dot)


# -- parameters, and what else modules have ------------------------------------------------------------------------


def test_hooks_of_parameters() -> None:
    layer = nn.Linear(3, 2, rng=0)
    with layer.weight.register_hook(lambda g: g * 0):
        layer(X).sum().backward()
    assert (layer.weight.grad.data == 0).all()
    layer.zero_grad()
    layer(X).sum().backward()
    assert (layer.weight.grad.data != 0).any()


def test_a_shared_parameter_is_one() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            self.table = nn.Embedding(7, 3, rng=0)
            self.out = nn.Linear(3, 7, bias=False, rng=0)
            self.out.weight = self.table.weight

        def forward(self, i: Any) -> Any:
            return self.out(self.table(i))

    net = Tied()
    assert [name for name, _ in net.named_parameters()] == ["table.weight"]
    assert list(net.state_dict()) == ["table.weight", "out.weight"]
    assert net.num_parameters() == 21
    assert [n for n, _ in net.named_parameters(remove_duplicate=False)] == ["table.weight", "out.weight"]
    opt = tn.optim.SGD(net.parameters(), lr=1.0)
    before = net.table.weight.data.copy()
    net(np.array([1, 2])).sum().backward()
    grad = net.table.weight.grad.data.copy()
    opt.step()
    np.testing.assert_allclose(net.out.weight.data, before - grad, rtol=1e-6)
    total = net.table(np.array([1, 2])).data
    assert total.shape == (2, 3)
    other = Tied()
    other.load_state_dict(net.state_dict())
    assert other.out.weight is other.table.weight
    np.testing.assert_array_equal(other.out.weight.data, net.out.weight.data)
    twin = copy.deepcopy(net)
    assert twin.out.weight is twin.table.weight
    assert twin.out.weight is not net.out.weight


def test_freezing_a_part() -> None:
    net = make()
    assert net[0].requires_grad_(False) is net[0]
    net(X).sum().backward()
    assert [p.grad is None for p in net.parameters()] == [True, True, False, False]
    assert "frozen" in repr(net)
    net.requires_grad_()
    assert all(p.requires_grad for p in net.parameters())


def test_parts_by_name() -> None:
    net = nn.Sequential({"body": make(), "norm": nn.BatchNorm1d(2)})
    assert net.get_submodule("body.2") is net.body[2]
    assert net.get_submodule("") is net
    assert net.get_parameter("body.2.bias") is net.body[2].bias
    assert net.get_buffer("norm.running_mean") is net.norm.running_mean
    with pytest.raises(AttributeError, match=r"no parameter 'body.2.bais'; it has body.0.weight, body.0.bias"):
        net.get_parameter("body.2.bais")
    with pytest.raises(AttributeError, match=r"no module 'head'; it has body, body.0, body.1"):
        net.get_submodule("head")
    assert [n for n, _ in net.named_parameters("model", recurse=False)] == []
    assert [n for n, _ in net.norm.named_parameters("model", recurse=False)] == ["model.weight", "model.bias"]
    assert [n for n, _ in net.body.named_modules("top")] == ["top", "top.0", "top.1", "top.2"]


def test_registering_is_setting_an_attribute() -> None:
    net = nn.Module()
    weight = nn.Parameter([1.0])
    net.register_parameter("weight", weight)
    net.register_parameter("bias", None)
    net.register_buffer("count", np.zeros(2, np.float32))
    net.add_module("layer", nn.Tanh())
    net.register_module("other", None)
    assert net.weight is weight
    assert net.bias is net.other is None
    assert [n for n, _ in net.named_buffers()] == ["count"]
    assert [n for n, _ in net.named_children()] == ["layer"]
    for call in (
        lambda: net.register_buffer("a.b", 1.0), lambda: net.add_module("", None), lambda: net.register_buffer("weight", 1),
    ):  # fmt: skip
        with pytest.raises(KeyError):
            call()
    with pytest.raises(TypeError, match=r"takes nn\.Parameter"):
        net.register_parameter("w", tn.tensor([1.0]))
    with pytest.raises(TypeError, match="takes a module, not function"):
        net.add_module("f", lambda x: x)


def test_casts_by_pytorchs_names() -> None:
    net = make()
    weight = net[0].weight
    for cast, name in ((net.double, "float64"), (net.half, "float16"), (net.float, "float32")):
        assert cast() is net
        assert {p.dtype.name for p in net.parameters()} == {name}
    assert net.to(tn.tensor(1.0)).to("float32")[0].weight is weight
    assert net.to("cpu").to("cpu", "float64").to(device="cpu", dtype=np.float32).cpu()[0].weight is weight
    assert weight.dtype == np.float32
    for move in (lambda: net.to("cuda:0"), lambda: net.to(device="mps"), net.cuda):
        with pytest.raises(ValueError, match="there is one device here, 'cpu'"):
            move()
    with pytest.raises(TypeError, match="to takes a dtype, a tensor or a device, not kind"):
        net.to(kind="float32")
    net(X).sum().backward()
    net.zero_grad(set_to_none=False)
    assert all((p.grad.data == 0).all() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
