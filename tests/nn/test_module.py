"""The module: what it holds, its state, its switches, its calls, its words."""

from __future__ import annotations

import copy
import gc
import sys
import threading
import warnings
import weakref
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest
import safetensors.numpy as safetensors

import tapenet as tn
from tapenet import nn
from tapenet.autodiff.node import Scope
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.state import local
from tapenet.nn import Buffer, Module, Parameter
from tests.replay import Replay

R = np.random.default_rng(0)


class Pair(NamedTuple):
    first: Any
    second: Any


class Affine(Module):
    def __init__(self, n: int, m: int) -> None:
        self.weight = Parameter(R.normal(size=(m, n)), dtype=np.float32)
        self.bias = Parameter(np.zeros(m, np.float32))

    def forward(self, x: Any) -> Any:
        return tn.linear(x, self.weight, self.bias)


class Net(Module):
    """Holds modules and tensors in every way."""

    def __init__(self) -> None:
        self.first = Affine(2, 3)
        self.name = "net"
        self.layers = [Affine(3, 3), {"inner": (Affine(3, 1), None)}]
        self.scale = Parameter([1.0])
        self.count = Buffer(0)
        self.pair = Pair(Affine(1, 1), self.first)
        self.again = self.layers[0]
        self.loose = tn.tensor([1.0])
        self.tied = self.first.weight
        self.me = self

    def forward(self, x: Any) -> Any:
        x = self.layers[0](self.first(x))
        return self.layers[1]["inner"][0](x) * self.scale


NAMES = [
    "scale", "tied", "first.bias", "layers.0.weight", "layers.0.bias", "layers.1.inner.0.weight",
    "layers.1.inner.0.bias", "pair.0.weight", "pair.0.bias",
]  # fmt: skip


# -- the walk ----------------------------------------------------------------------------------------------------


def test_parameters_are_found_each_once_under_its_first_name_a_modules_own_first() -> None:
    net = Net()
    assert [n for n, _ in net.named_parameters()] == NAMES
    assert [id(p) for p in net.parameters()] == [id(p) for _, p in net.named_parameters()]
    assert dict(net.named_parameters())["layers.1.inner.0.weight"] is net.layers[1]["inner"][0].weight
    assert net.num_parameters() == 9 + 12 + 4 + 1 + 2


def test_buffers_modules_and_children() -> None:
    net = Net()
    assert [n for n, _ in net.named_buffers()] == ["count"]
    assert next(net.buffers()) is net.count
    assert [n for n, _ in net.named_modules()] == ["", "first", "layers.0", "layers.1.inner.0", "pair.0"]
    assert next(net.modules()) is net
    assert [n for n, _ in net.named_children()] == ["first", "layers.0", "layers.1.inner.0", "pair.0"]
    outer = nn.Sequential(net)
    assert list(outer.children()) == [net]


def test_what_is_set_later_is_found_and_what_is_deleted_is_not() -> None:
    net = Net()
    net.first = Affine(2, 2)
    net.layers.append(Affine(1, 1))
    del net.scale
    names = [n for n, _ in net.named_parameters()]
    assert "layers.2.weight" in names
    assert "pair.1.bias" in names  # the old module is still held there
    assert "scale" not in names


def test_a_module_without_init_and_one_with_super_init_both_work() -> None:
    class Bare(Module):
        def forward(self, x: Any) -> Any:
            return x + 1

    class Polite(Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Bare()

        def forward(self, x: Any) -> Any:
            return self.inner(x)

    assert Polite()(1) == 2
    assert Polite().training is True
    assert vars(Bare()) == {}


def test_a_deep_chain_of_modules_is_walked_without_recursion() -> None:
    head = link = Affine(1, 1)
    for _ in range(3 * sys.getrecursionlimit()):
        link.next = Affine.__new__(Affine)
        link = link.next
    link.end = Parameter([1.0])
    *_, (name, _) = head.named_parameters()
    assert name.count("next") == 3 * sys.getrecursionlimit()


def test_modules_in_a_set_are_refused() -> None:
    net = Module()
    net.layers = {Affine(1, 1)}
    with pytest.raises(TypeError, match=r"Module.layers is a set .* make it a list"):
        list(net.parameters())


def test_parameter_and_buffer_dtypes() -> None:
    assert Parameter([1, 2]).dtype == np.float32
    assert Parameter(1.0).dtype == np.float32
    assert Parameter(np.zeros(2)).dtype == np.float64
    assert Parameter(np.zeros(2), dtype="float32").dtype == np.float32
    assert Parameter(tn.tensor([1.0])).requires_grad
    assert not Parameter([1.0], requires_grad=False).requires_grad
    assert Parameter(np.asfortranarray(R.normal(size=(2, 3)))).data.flags.f_contiguous
    assert Buffer([0.5]).dtype == np.float32
    assert Buffer(3).dtype.kind == "i"
    assert not Buffer([0.5]).requires_grad
    with pytest.raises(TypeError, match="no gradient: make it float"):
        Parameter(np.arange(3))
    with pytest.raises(TypeError, match=r"not complex128: .* as two parameters"):
        Parameter(np.array([1j]))


def test_parameters_copy_what_they_are_given() -> None:
    values = np.zeros(2)
    p = Parameter(values)
    values[0] = 1
    assert p.data[0] == 0


# -- state -------------------------------------------------------------------------------------------------------


def test_state_dict_round_trip() -> None:
    net, other = Net(), Net()
    net.count.data = np.array(7)
    state = net.state_dict()
    assert [name for name in state if name in (*NAMES, "count")] == [*NAMES[:2], "count", *NAMES[2:]]
    shared = {"first.weight": "tied", "pair.1.weight": "tied", "pair.1.bias": "first.bias",
              "again.weight": "layers.0.weight", "again.bias": "layers.0.bias"}  # fmt: skip
    assert state.keys() == {*NAMES, "count", *shared}
    assert all(state[name] is state[first] for name, first in shared.items())
    assert all(type(v) is np.ndarray for v in state.values())
    report = other.load_state_dict(state)
    assert report == ([], [])
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    assert other.tied is other.first.weight


def test_state_dict_is_a_snapshot_in_c_order() -> None:
    layer = Affine(2, 3)
    layer.weight = Parameter(np.asfortranarray(R.normal(size=(3, 2))))
    state = layer.state_dict()
    before = state["weight"].copy()
    layer.weight.data = np.zeros((3, 2))
    np.testing.assert_array_equal(state["weight"], before)
    assert layer.weight.data.flags.f_contiguous
    assert state["weight"].flags.c_contiguous


def test_a_state_goes_through_npz(tmp_path: Any) -> None:
    net, other = Net(), Net()
    np.savez(tmp_path / "net.npz", **net.state_dict())
    with np.load(tmp_path / "net.npz") as stored:
        other.load_state_dict(stored)
    np.testing.assert_array_equal(other.first.weight.data, net.first.weight.data)


def test_loading_keeps_storage_and_casts() -> None:
    layer = Affine(2, 3)
    storage = layer.weight.data
    state = {"weight": R.normal(size=(3, 2)), "bias": tn.tensor([1, 2, 3])}
    layer.load_state_dict(state)
    assert layer.weight.data is storage
    assert layer.weight.dtype == layer.bias.dtype == np.float32
    np.testing.assert_allclose(storage, state["weight"], rtol=1e-6)
    np.testing.assert_array_equal(layer.bias.data, [1, 2, 3])


def test_a_state_that_does_not_fit_is_reported_whole_and_nothing_is_loaded() -> None:
    net = Net()
    before = net.state_dict()
    state = net.state_dict()
    state["head.weight"] = np.zeros((4, 2))
    del state["scale"], state["first.bias"], state["pair.1.bias"]
    state["layers.0.weight"] = state["again.weight"] = np.zeros((2, 3), np.float32)
    state["count"] = np.array(0.5)
    state["first.weight"] = state["first.weight"] + 1
    with pytest.raises(ValueError) as error:  # noqa: PT011  the whole text follows
        net.load_state_dict(state)
    assert str(error.value).splitlines() == [
        "the state does not fit this Net; nothing was loaded",
        "  shared      tied, first.weight: one tensor here, and of different values in the state",
        "  missing     scale: float32 (1,)",
        "  missing     first.bias: float32 (3,)",
        "  unexpected  head.weight: float64 (4, 2)",
        "  dtype       count: int64 here, float64 in the state",
        "  shape       layers.0.weight: (3, 3) here, (2, 3) in the state",
        "  with strict=False missing and unexpected entries are left alone",
    ]
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_loading_not_strictly_returns_what_was_left_alone() -> None:
    layer = Affine(2, 3)
    bias = layer.bias.data.copy()
    report = layer.load_state_dict({"weight": np.ones((3, 2)), "old": np.zeros(1)}, strict=False)
    assert report.missing_keys == ["bias"]
    assert report.unexpected_keys == ["old"]
    np.testing.assert_array_equal(layer.weight.data, np.ones((3, 2)))
    np.testing.assert_array_equal(layer.bias.data, bias)
    with pytest.raises(
        ValueError, match=r"nothing was loaded\n  shape       weight: \(3, 2\) here, \(1,\) in the state$"
    ):
        layer.load_state_dict({"weight": np.zeros(1)}, strict=False)


class Tied(nn.Module):
    """A table that is the last layer's weight too, and a module under two names."""

    def __init__(self) -> None:
        self.table = nn.Embedding(5, 3, rng=0)
        self.inner = nn.Linear(3, 3, rng=0)
        self.again = self.inner
        self.out = nn.Linear(3, 5, bias=False, rng=0)
        self.out.weight = self.table.weight


def test_what_is_shared_has_its_other_names() -> None:
    net = Tied()
    net.itself = [net]  # there is no end to the names of this
    names = [name for name, _ in net.named_parameters(remove_duplicate=False)]
    assert names == ["table.weight", "inner.weight", "inner.bias", "again.weight", "again.bias", "out.weight"]
    assert net.get_parameter("again.bias") is net.inner.bias
    assert [name for name, _ in net.named_modules(remove_duplicate=False)] == [
        "", "table", "inner", "again", "out", "itself.0",
    ]  # fmt: skip


def test_a_state_may_have_what_is_shared_under_each_name_as_pytorchs_has() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.ModuleDict({"table": torch.nn.Embedding(5, 3), "inner": torch.nn.Linear(3, 3)})
    theirs["again"], theirs["out"] = theirs["inner"], torch.nn.Linear(3, 5, bias=False)
    theirs["out"].weight = theirs["table"].weight
    state = theirs.state_dict()
    net = Tied()
    net.load_state_dict(state)
    assert net.out.weight is net.table.weight
    np.testing.assert_array_equal(net.table.weight.data, state["table.weight"])
    np.testing.assert_array_equal(net.inner.bias.data, state["again.bias"])
    values = {name: np.full(p.shape, 7.0) for name, p in net.named_parameters()}
    values["out.weight"] = values.pop("table.weight")  # under the other name alone
    net.load_state_dict(values)
    assert (net.table.weight.data == 7).all()
    values["table.weight"] = np.zeros((5, 3))
    with pytest.raises(ValueError, match=r"shared +out\.weight, table\.weight: one tensor here, and of different"):
        net.load_state_dict(values)
    assert (net.table.weight.data == 7).all()


def _ordered(m: Any, values: Any) -> Any:
    """A model whose own tensors are set between its modules, by the same lines here and in PyTorch."""

    class Inner(m.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norm = m.BatchNorm1d(2)
            self.register_buffer("steps", values(1))
            self.gain = m.Parameter(values(2))
            self.late = None
            self.heads = m.ModuleDict({"b": m.Linear(2, 1), "a": m.Linear(2, 1)})

    class Outer(m.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.attention = m.MultiheadAttention(4, 2, add_bias_kv=True, kdim=3)
            self.layers = m.ModuleList([Inner(), m.LSTM(2, 3, 2, bidirectional=True, proj_size=1), Inner()])
            self.register_buffer("mask", values(3))
            self.transformer = m.Transformer(4, 2, 1, 1, 8, batch_first=True)
            self.scale = m.Parameter(values(1))
            self.tied = self.layers[0]
            self.weight = self.layers[0].heads["a"].weight
            self.register_buffer("offset", values(2))
            self.out = m.Linear(2, 1)
            self.out.weight = self.weight
            self.out.bias = m.Parameter(values(1))

    return Outer()


def test_names_come_in_pytorchs_order_and_states_load_strictly_both_ways() -> None:
    torch = pytest.importorskip("torch")
    mine = _ordered(nn, lambda n: np.zeros(n, np.float32))
    theirs = _ordered(torch.nn, lambda n: torch.zeros(n))
    for kind in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [n for n, _ in getattr(mine, kind)()] == [n for n, _ in getattr(theirs, kind)()], kind
    assert [p.shape for p in mine.parameters()] == [tuple(p.shape) for p in theirs.parameters()]
    state = mine.state_dict()
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name], err_msg=name)
    other = _ordered(nn, lambda n: np.ones(n, np.float32))
    other.load_state_dict(theirs.state_dict())
    assert other.out.weight is other.weight
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, state[name], err_msg=name)


def test_a_state_goes_through_safetensors_whose_writer_takes_memory_as_it_lies(tmp_path: Any) -> None:
    net, other = Tied(), Tied()
    net.table.weight.data += 1
    net.inner.bias.data = [np.nan, 1, 2]  # under two names, and equal to itself
    safetensors.save_file(net.state_dict(), tmp_path / "net.safetensors")
    other.load_state_dict(safetensors.load_file(tmp_path / "net.safetensors"))
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value, net.state_dict()[name], err_msg=name)


def _states() -> dict[str, Any]:
    """What has a state with arrays in it, of parameters in Fortran order that were updated."""
    from tapenet import optim

    net = nn.Linear(3, 4)
    half = nn.Linear(3, 4).half()
    made = {
        "Adam": optim.Adam(net.parameters()),
        "Muon": optim.Muon([net.weight]),
        "MasterWeights": optim.MasterWeights(optim.SGD, half, lr=0.1, momentum=0.9),
    }
    (net(np.ones((2, 3))).sum() + half(np.ones((2, 3))).sum()).backward()
    for opt in made.values():
        opt.step()
    average = optim.Averaged(net)
    average.update()
    return {
        **made, "Averaged": average, "Linear": net, "LSTM": nn.LSTM(3, 4), "attention": nn.MultiheadAttention(4, 2),
        "quantized": nn.quantize(net), "spectral": nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4)),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["Adam", "Muon", "MasterWeights", "Averaged", "Linear", "LSTM", "attention", "quantized", "spectral"]
)
def test_states_hold_arrays_of_their_own_in_c_order(name: str) -> None:
    def arrays(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [array for part in value.values() for array in arrays(part)]
        if isinstance(value, (list, tuple)):
            return [array for part in value for array in arrays(part)]
        return [value] if isinstance(value, np.ndarray) else []

    found = arrays(_states()[name].state_dict())
    assert any(array.ndim == 2 for array in found)
    assert all(array.flags.c_contiguous and array.flags.owndata for array in found)


def test_a_warning_that_is_an_error_leaves_the_state_unloaded() -> None:
    layer = Affine(2, 3)
    before = layer.state_dict()
    state = {"weight": np.full((3, 2), 7.0), "bias": np.full(3, 1e300)}  # the second overflows in float32
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="overflow"):
            layer.load_state_dict(state)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


# -- what takes the place of a parameter -----------------------------------------------------------------------


def test_what_is_no_parameter_does_not_take_the_place_of_one() -> None:
    layer = nn.Linear(2, 3)
    weight = layer.weight
    for value in (np.ones((3, 2)), tn.tensor(np.ones((3, 2))), weight * 2.0, weight.detach(), 1.0, [[1.0, 2.0]]):
        with pytest.raises(
            TypeError, match=r"^Linear\.weight is a parameter and cannot be .* layer\.weight\.data = value; "
        ):
            layer.weight = value
    assert layer.weight is weight
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    layer.weight = Parameter(np.zeros((3, 2)))
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    del layer.weight
    assert not list(layer.parameters())
    layer.weight = np.ones((3, 2))  # a constant from the beginning
    assert layer.weight.sum() == 6


def test_what_is_no_buffer_does_not_take_the_place_of_one() -> None:
    layer = nn.BatchNorm1d(2)
    with pytest.raises(
        TypeError,
        match=r"running_mean is a buffer and cannot be replaced by Tensor of shape \(2,\): .* nn\.Buffer\(value\)",
    ):
        layer.running_mean = layer.running_mean * 0.9
    assert "running_mean" in layer.state_dict()
    layer.running_mean.data = [1.0, 2.0]
    layer.running_mean = Buffer([3.0, 4.0])
    np.testing.assert_array_equal(layer.state_dict()["running_mean"], [3, 4])
    layer.running_mean = None
    assert "running_mean" not in layer.state_dict()


def test_what_a_layer_computes_does_not_take_its_place() -> None:
    net = Module()
    net.fc = nn.Linear(2, 3)
    with pytest.raises(
        TypeError, match=r"Module\.fc is a Linear and cannot be replaced by Tensor of shape \(1, 3\): .* fc_output"
    ):
        net.fc = net.fc([[1.0, 2.0]])
    assert isinstance(net.fc, nn.Linear)
    net.fc = nn.Identity()
    net.fc = abs  # a function in the place of a layer is called alike
    net.fc = None


def test_loading_something_else_says_what_to_give() -> None:
    with pytest.raises(TypeError, match=r"not Affine; give other.state_dict\(\)"):
        Affine(1, 1).load_state_dict(Affine(1, 1))  # type: ignore[arg-type]


def test_two_tensors_of_one_name_are_an_error() -> None:
    net = Module()
    net.parts = {1: Parameter([1.0]), "1": Parameter([2.0])}
    with pytest.raises(ValueError, match=r"two tensors of this Module are called 'parts.1'"):
        net.state_dict()


def test_a_load_that_a_pending_backward_needs_undone_is_detected() -> None:
    layer = Affine(2, 3)
    x = tn.tensor(R.normal(size=(1, 2)).astype(np.float32), requires_grad=True)
    loss = layer(x).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


# -- switches ----------------------------------------------------------------------------------------------------


def test_train_and_eval_reach_all_modules() -> None:
    net = Net()
    assert net.eval() is net
    assert [m.training for m in net.modules()] == [False] * 5
    assert net.first.training is False
    net.train()
    assert all(m.training for m in net.modules())


def test_freezing_and_forgetting_gradients() -> None:
    net = Net()
    x = np.ones((1, 2), np.float32)
    net(x).sum().backward()
    assert net.first.weight.grad is not None
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.first.requires_grad_(False)
    net(x).sum().backward()
    assert net.first.weight.grad is None
    assert net.layers[0].weight.grad is not None
    assert len(list(net.parameters())) == len(NAMES)


def test_astype_casts_parameters_buffers_and_gradients_in_place() -> None:
    net = Net()
    net.mean = Buffer([0.5])
    net.layers[0].weight = Parameter(np.asfortranarray(R.normal(size=(3, 3)).astype(np.float32)))
    net(np.ones((1, 2), np.float32)).sum().backward()
    weights, gradient = list(net.parameters()), net.first.weight.grad.data
    assert net.astype("float64") is net
    assert [id(p) for p in net.parameters()] == [id(p) for p in weights]
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float64)}
    assert net.mean.dtype == np.float64
    assert net.count.dtype.kind == "i"
    assert net.layers[0].weight.data.flags.f_contiguous
    assert net.first.weight.grad.dtype == np.float64
    np.testing.assert_array_equal(net.first.weight.grad.data, gradient)
    net.zero_grad()
    out = net(np.ones((1, 2)))
    assert out.dtype == np.float64
    out.sum().backward()
    assert net.first.weight.grad.dtype == np.float64
    with pytest.raises(TypeError, match="give a float dtype"):
        net.astype(int)


def test_apply_visits_each_module_once_and_those_below_first() -> None:
    net = Net()
    visited: list[Module] = []
    assert net.apply(visited.append) is net
    assert [id(m) for m in visited] == [
        id(m) for m in (net.first, net.layers[0], net.layers[1]["inner"][0], net.pair.first, net)
    ]


# -- copies ------------------------------------------------------------------------------------------------------


def test_deepcopy_gives_fresh_parameters_and_keeps_what_is_shared() -> None:
    net = Net()
    net(np.ones((1, 2), np.float32)).sum().backward()
    twin = copy.deepcopy(net)
    assert [n for n, _ in twin.named_parameters()] == NAMES
    assert twin.tied is twin.first.weight
    assert twin.me is twin
    assert twin.again is twin.layers[0]
    assert all(p.requires_grad for p in twin.parameters())
    assert not {id(p) for p in net.parameters()} & {id(p) for p in twin.parameters()}
    twin.first.weight.data = np.zeros((3, 2))
    assert net.first.weight.data.any()
    assert twin(np.ones((1, 2), np.float32)).node.scope.modules == [twin]


def test_a_shallow_copy_shares_parameters_but_not_attributes() -> None:
    layer = Affine(1, 1)
    layer(np.ones((1, 1), np.float32))
    twin = copy.copy(layer)
    assert twin.weight is layer.weight
    twin.bias = None
    assert layer.bias is not None
    assert twin(np.ones((1, 1), np.float32)).node.scope.modules == [twin]


# -- calls and scopes --------------------------------------------------------------------------------------------


def test_nodes_know_the_path_of_their_module() -> None:
    net = Net()
    out = net(np.ones((1, 2), np.float32))
    assert out.node.path == ""
    assert out.node.scope.modules == [net]
    inner = out.node.inputs["x"]
    assert inner.path == "layers.1.inner.0"
    assert inner.inputs["x"].inputs["x"].path == "first"
    assert nn.Sequential(net)(np.ones((1, 2), np.float32)).node.path == "0"


def test_errors_name_the_path() -> None:
    net = Net()
    with pytest.raises(ValueError, match=r"failed in first: "):
        net(np.ones((1, 5), np.float32))
    with pytest.raises(ValueError, match=r"failed in Affine: "):
        net.first(np.ones((1, 5), np.float32))


def test_the_scope_is_restored_after_a_call_and_after_an_error() -> None:
    net = Net()
    before = local.state.scope
    net(np.ones((1, 2), np.float32))
    assert local.state.scope is before
    with pytest.raises(ValueError, match="linear"):
        net(np.ones((1, 5), np.float32))
    assert local.state.scope is before


def test_scopes_are_kept_for_a_place_and_made_anew_on_a_tape() -> None:
    net = Net()
    x = np.ones((1, 2), np.float32)
    a, b, c = net(x).node, net(x).node, net(x).node
    assert a.scope is c.scope is not b.scope  # two calls in a row can be told apart
    with tn.Tape() as tape:
        net(x)
    assert tape.nodes[0].path == "first"
    watch = weakref.ref(tape)
    del tape
    gc.collect()
    assert watch() is None  # the module does not keep the tape and its values


def test_a_module_is_not_kept_by_what_it_recorded_nor_by_the_scopes() -> None:
    net = Net()
    del net.me, net.pair  # the cycle
    out = net(np.ones((1, 2), np.float32))
    watch = weakref.ref(net)
    inner = weakref.ref(net.first)
    gc.disable()
    try:
        del net
        assert watch() is None
        assert inner() is None
    finally:
        gc.enable()
    assert out.node.path == ""
    assert out.node.scope.title == "Net"


def test_scopes_of_places_long_gone_do_not_pile_up() -> None:
    layer = Affine(1, 1)
    x = np.ones((1, 1), np.float32)

    class Place(Module):
        def forward(self, x: Any) -> Any:
            return layer(x)

    for _ in range(1000):
        Place()(x)
    assert len(layer._scopes) <= 64


def test_threads_have_scopes_of_their_own() -> None:
    net = Net()
    x = np.ones((1, 2), np.float32)
    inside, go = threading.Event(), threading.Event()
    found: dict[str, Any] = {}

    class Waits(Module):
        def forward(self, x: Any) -> Any:
            inside.set()
            assert go.wait(10)
            return net(x)

    def work() -> None:
        outer = Waits()
        found["outer"] = outer
        found["node"] = outer(x).node
        found["after"] = local.state.scope.modules

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(10)
    here = net(x).node  # while the other thread is inside its module
    go.set()
    thread.join()
    assert here.scope.modules == [net]
    assert found["node"].scope.modules == [found["outer"], net]
    assert found["after"] == []


def test_many_threads_call_one_module() -> None:
    net = Net()
    x = np.ones((1, 2), np.float32)
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(200):
            node = net(x).node.inputs["x"]
            if node.path != "layers.1.inner.0" or node.scope.root is not local.state.scope.root:
                wrong.append(node)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_call_costs_one_python_frame_beside_forward() -> None:
    class Pass(Module):
        def forward(self, x: Any) -> Any:
            return x

    layer = Pass()
    for _ in range(2):  # the first calls make the scopes
        layer(1)
    frames: list[str] = []

    def trace(frame: Any, event: str, arg: Any) -> None:
        if event == "call":
            frames.append(frame.f_code.co_name)

    sys.setprofile(trace)
    try:
        layer(1)
    finally:
        sys.setprofile(None)
    assert frames == ["_call_forward", "forward"]


def test_steady_calls_make_no_objects() -> None:
    class Pass(Module):
        def forward(self, x: Any) -> Any:
            return x

    layer = nn.Sequential(Pass(), Pass())
    for _ in range(2):  # the first calls make the scopes
        layer(1)
    gc.collect()
    before = sum(type(o) is Scope for o in gc.get_objects())
    for _ in range(100):
        layer(1)
    assert sum(type(o) is Scope for o in gc.get_objects()) == before


def test_a_module_without_forward_says_so() -> None:
    class Empty(Module):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty has no forward: define `def forward\(self, x\)`"):
        Empty()(1)


def test_a_forward_without_a_return_is_named_once() -> None:
    class Forgetful(Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(2, 1)

        def forward(self, x: Any) -> Any:
            self.layer(x)

    net = nn.Sequential(Forgetful(), nn.Linear(1, 1))
    with pytest.warns(RuntimeWarning, match=r"Forgetful\.forward returned None: does it lack a `return`\?") as caught:  # noqa: SIM117
        with pytest.raises(TypeError, match=r"Linear \(1\) got None"):
            net([[1.0, 2.0]])
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, Forgetful.forward.__code__.co_firstlineno)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Forgetful()([[1.0, 2.0]]) is None

    class Other(Forgetful):
        def forward(self, x: Any) -> Any:
            self.layer(x)

    other = Other()
    other.register_forward_hook(lambda module, args, output: None)
    with pytest.warns(RuntimeWarning, match=r"Other\.forward returned None"):
        other([[1.0, 2.0]])


LAYERS_OF_SETTINGS: dict[str, Any] = {
    "ReLU": lambda x: nn.ReLU(x), "Tanh": lambda x: nn.Tanh(x), "Linear": lambda x: nn.Linear(x),
    "Dropout": lambda x: nn.Dropout(x), "Softmax": lambda x: nn.Softmax(x), "LeakyReLU": lambda x: nn.LeakyReLU(x),
    "Flatten": lambda x: nn.Flatten(x), "LayerNorm": lambda x: nn.LayerNorm(x), "GELU": lambda x: nn.GELU(x),
    "Conv2d": lambda x: nn.Conv2d(3, 4, kernel_size=x), "MaxPool2d": lambda x: nn.MaxPool2d(x),
    "MSELoss": lambda x: nn.MSELoss(x, x), "CrossEntropyLoss": lambda x: nn.CrossEntropyLoss(x, x),
    "LSTM": lambda x: nn.LSTM(x), "MultiheadAttention": lambda x: nn.MultiheadAttention(x, x, x),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS_OF_SETTINGS)
def test_an_array_where_a_setting_belongs_is_an_error_that_says_to_make_the_layer_first(name: str) -> None:
    for x in (np.ones((4, 2)), tn.tensor([1.0, 2.0]), np.ones((2, 2), int)):
        with pytest.raises(
            TypeError,
            match=rf"^{name}: .* is an array .*, where no array belongs.* layer = {name}\(.*\), then layer\(x\)$",
        ):
            LAYERS_OF_SETTINGS[name](x)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.NLLLoss])
def test_classes_given_to_a_loss_when_it_is_made(loss: Any) -> None:
    with pytest.raises(
        TypeError, match=r"ignore_index is an array \(ndarray of shape \(2,\)\), where no array belongs"
    ):
        loss(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1]))


def test_arrays_that_layers_take_are_taken() -> None:
    assert nn.CrossEntropyLoss(np.ones(3)).weight.shape == (3,)
    assert nn.BCEWithLogitsLoss(pos_weight=tn.tensor([1.0, 2.0])).pos_weight.shape == (2,)
    assert nn.Identity(np.ones(3), unused=np.ones(3))(1) == 1

    class Whiten(Module):
        def __init__(self, mean: Any) -> None:
            self.mean = Buffer(mean)

    assert Whiten(np.ones(3)).mean.shape == (3,)
    with pytest.raises(TypeError, match=r"Net2\(\) takes no arguments: it has no __init__ of its own"):
        type("Net2", (Module,), {})(1)


def test_what_does_not_fit_into_memory_is_named() -> None:
    million = 10**6
    for make, title in (
        (lambda: nn.Linear(million**2, million), "Linear"),
        (lambda: nn.LSTM(million**2, million), "LSTM"),
        (lambda: nn.Sequential(nn.Embedding(million**2, million)), "Embedding"),
        (lambda: nn.LayerNorm((million**2, million**2)), "LayerNorm"),
    ):
        with pytest.raises(MemoryError, match=rf"^{title} does not fit into memory: .*"):
            make()
    with pytest.raises(
        MemoryError, match=r"^Linear does not .* PiB for an array with shape \(1000000000, 1000000\) and"
    ):
        nn.Linear(million, 1000 * million)
    net = nn.Sequential(nn.Identity(), nn.Linear(1, 10 * million, bias=False))
    x = np.ones((10 * million, 1), np.float32)
    with pytest.raises(
        MemoryError, match=r"^linear\(x: float32 \(10000000, 1\), .* failed in 1: .* TiB .*\(10000000, 10000000\)"
    ):
        net(x)


def test_a_module_under_capture_is_replayed_on_other_data() -> None:
    net = Net()
    x = tn.tensor(R.normal(size=(3, 2)).astype(np.float32))
    with Capture() as tape:
        out = net(x)
    other = R.normal(size=(3, 2)).astype(np.float32)
    np.testing.assert_array_equal(Replay(tape, [x], out)(other), net(other).data)


# -- the repr ----------------------------------------------------------------------------------------------------


def test_repr_of_a_nested_model() -> None:
    net = Net()
    net.first.requires_grad_(False)
    net.head = nn.Sequential(OrderedDict(a=Affine(1, 1000), b=net.first))
    net.head.a.astype("float64")
    assert repr(net).splitlines() == [
        "Net(                                   scale (1,), tied (3, 2) frozen                               7",
        "  first: Affine()                      weight (3, 2) frozen the same as tied, bias (3,) frozen      3",
        "  layers.0: Affine()                   weight (3, 3), bias (3,)                                    12",
        "  layers.1.inner.0: Affine()           weight (1, 3), bias (1,)                                     4",
        "  pair.0: Affine()                     weight (1, 1), bias (1,)                                     2",
        "  pair.1: Affine, the same as first",
        "  again: Affine, the same as layers.0",
        "  me: Net, the same as the whole",
        "  head: Sequential(",
        "    a: Affine()                        weight (1000, 1) float64, bias (1000,) float64           2,000",
        "    b: Affine, the same as first",
        "  )",
        ")",
        "2,028 parameters (9 frozen), buffers: 1",
    ]


def test_repr_of_a_single_layer_is_one_line() -> None:
    assert repr(Affine(2, 3)) == "Affine()  weight (3, 2), bias (3,)  9 parameters"
    assert repr(nn.Tanh()) == "Tanh()"
