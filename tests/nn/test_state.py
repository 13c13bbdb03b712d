"""States beyond parameters and buffers: what is left out, extra state, and hooks on the way."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn


class Masked(nn.Module):
    """A buffer of either kind, and a state that is no tensor."""

    def __init__(self, size: int = 3) -> None:
        self.weight = nn.Parameter(np.ones(size))
        self.register_buffer("mask", np.tri(size), persistent=False)
        self.register_buffer("mean", np.zeros(size))
        self.cache = nn.Buffer(np.zeros(2), persistent=False)
        self.inner = nn.Linear(2, 1)
        self.seen = 0

    def get_extra_state(self) -> Any:
        return {"seen": self.seen}

    def set_extra_state(self, state: Any) -> None:
        self.seen = state["seen"]


class Outer(nn.Module):
    def __init__(self) -> None:
        self.a = Masked()
        self.b = Masked()


# -- what is left out --------------------------------------------------------------------------------------------


def test_buffers_that_do_not_persist_are_in_no_state() -> None:
    net = Masked()
    assert [name for name, _ in net.named_buffers()] == ["mask", "mean", "cache"]
    assert list(net.state_dict()) == ["weight", "mean", "_extra_state", "inner.weight", "inner.bias"]
    state = net.state_dict()
    net.mask.data = np.zeros((3, 3))
    net.load_state_dict(state)
    assert not net.mask.data.any()  # a state says nothing of it
    with pytest.raises(ValueError, match="unexpected  mask"):
        net.load_state_dict({**state, "mask": np.tri(3)})
    assert copy.deepcopy(net).state_dict().keys() == state.keys()
    assert net.astype("float32").mask.dtype == np.float32
    net.mask = nn.Buffer(np.zeros(2))
    assert "mask" in net.state_dict()


def test_a_given_buffer_keeps_or_gets_the_mark() -> None:
    net = Masked()
    buffer = nn.Buffer([1.0])
    net.register_buffer("kept", buffer)
    net.register_buffer("dropped", buffer, persistent=False)
    assert net.kept is buffer
    assert {"kept"} == {"kept", "dropped"} & net.state_dict().keys()


def test_marks_are_types_to_isinstance() -> None:
    weight, buffer, plain = nn.Parameter([1.0]), nn.Buffer([1.0]), tn.tensor([1.0])
    assert [isinstance(t, nn.Parameter) for t in (weight, buffer, plain, weight + 1, np.ones(1))] == [True] + [
        False
    ] * 4
    assert [isinstance(t, nn.Buffer) for t in (weight, buffer, plain, None)] == [False, True, False, False]
    assert isinstance(copy.deepcopy(weight), nn.Parameter)
    assert type(weight) is tn.Tensor
    assert nn.Parameter().shape == (0,)
    with pytest.raises(TypeError, match="have no subclasses"):
        type("Own", (nn.Parameter,), {})


# -- extra state -------------------------------------------------------------------------------------------------


def test_extra_state_goes_along() -> None:
    net, other = Outer(), Outer()
    net.b.seen = 5
    state = net.state_dict()
    assert state["b._extra_state"] == {"seen": 5}
    other.load_state_dict(state)
    assert (other.a.seen, other.b.seen) == (0, 5)
    del state["b._extra_state"]
    with pytest.raises(ValueError, match=r"missing     b._extra_state"):
        other.load_state_dict(state)
    assert other.load_state_dict(state, strict=False).missing_keys == ["b._extra_state"]
    with pytest.raises(ValueError, match="unexpected  _extra_state"):
        nn.Linear(2, 1).load_state_dict({**nn.Linear(2, 1).state_dict(), "_extra_state": np.zeros(1)})
    with pytest.raises(NotImplementedError, match="Linear has no extra state"):
        nn.Linear(2, 1).get_extra_state()


# -- arguments ---------------------------------------------------------------------------------------------------


def test_a_state_may_be_put_into_a_dict_under_a_prefix() -> None:
    net = nn.Linear(2, 1)
    found: dict[str, Any] = {"other": 1}
    assert net.state_dict(destination=found, prefix="layer.", keep_vars=True) is found
    assert list(found) == ["other", "layer.weight", "layer.bias"]
    assert found["layer.weight"] is net.weight
    with pytest.raises(ValueError, match=r"Linear.load_state_dict: assign=True would put other tensors"):
        net.load_state_dict(net.state_dict(), assign=True)


# -- hooks -------------------------------------------------------------------------------------------------------


def test_hooks_see_every_module_on_the_way() -> None:
    net = Outer()
    calls: list[Any] = []
    for name, module in net.named_modules():
        module.register_state_dict_pre_hook(lambda m, prefix, keep, name=name: calls.append(("pre", name, prefix)))
        module.register_state_dict_post_hook(lambda m, s, prefix, meta, name=name: calls.append(("post", name, prefix)))
    state = net.state_dict(prefix="net.")
    order = ["", "a", "a.inner", "b", "b.inner"]
    assert [call for call in calls if call[0] == "pre"] == [("pre", n, f"net.{n}." if n else "net.") for n in order]
    met = [f"{kind} {n}" for kind, n, _ in calls]
    assert met == ["pre ", "pre a", "pre a.inner", "post a.inner", "post a", "pre b", "pre b.inner", "post b.inner", "post b",
                   "post "]  # fmt: skip
    calls.clear()
    for name, module in net.named_modules():
        module.register_load_state_dict_pre_hook(
            lambda m, s, prefix, *more, name=name: calls.append(("pre", name, prefix))
        )
        module.register_load_state_dict_post_hook(lambda m, report, name=name: calls.append(("post", name, report)))
    net.load_state_dict({name.removeprefix("net."): value for name, value in state.items()})
    assert calls[:5] == [("pre", n, n + "." if n else "") for n in order]
    assert [n for _, n, _ in calls[5:]] == ["a.inner", "a", "b.inner", "b", ""]


def test_a_hook_may_rename_what_is_loaded() -> None:
    net = Outer()

    def renamed(module: Any, state: dict[str, Any], prefix: str, *more: Any) -> None:
        state[prefix + "weight"] = state.pop(prefix + "gamma")

    state = {n.replace("a.weight", "a.gamma"): v for n, v in net.state_dict().items()}
    before = dict(state)
    with net.a.register_load_state_dict_pre_hook(renamed):
        copied = copy.deepcopy(net)
        net.load_state_dict(state)
        copied.load_state_dict(state)  # a copy has the hooks of its state
    assert state.keys() == before.keys()
    with pytest.raises(ValueError, match=r"missing     a.weight"):
        net.load_state_dict(state)


def test_a_hook_of_the_module_is_the_copys_in_a_copy() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            self.weight = nn.Parameter([1.0])
            self.name = "original"
            self.register_state_dict_post_hook(self.mark)

        @staticmethod
        def mark(module: Any, state: dict[str, Any], prefix: str, metadata: Any) -> None:
            state[prefix + "name"] = module.name

    net = Own()
    copied = copy.deepcopy(net)
    copied.name = "copy"
    assert (net.state_dict()["name"], copied.state_dict()["name"]) == ("original", "copy")


def test_hooks_may_report_and_forgive() -> None:
    net = Outer()
    state = net.state_dict()

    def complains(module: Any, state: Any, prefix: str, metadata: Any, strict: bool, missing: Any, unexpected: Any,
                  errors: Any) -> None:  # fmt: skip
        missing.append(prefix + "more")
        if not strict:
            errors.append("no such luck")

    handle = net.b.register_load_state_dict_pre_hook(complains)
    with pytest.raises(ValueError, match=r"missing     b.more"):
        net.load_state_dict(state)
    with pytest.raises(ValueError, match="no such luck"):
        net.load_state_dict(state, strict=False)
    net.register_load_state_dict_post_hook(lambda module, report: report.missing_keys.clear())
    net.load_state_dict(state)
    handle.remove()
    del state["b.weight"]
    net.b.weight.data = np.full(3, 7.0)
    net.load_state_dict(state)
    assert (net.b.weight.data == 7).all()
    # What a hook does not forgive is put back.
    state["a.weight"] = np.zeros(3)
    state["odd"] = np.zeros(1)
    with pytest.raises(ValueError, match="unexpected  odd"):
        net.load_state_dict(state)
    assert (net.a.weight.data == 1).all()


def test_hooks_return_none_and_are_functions() -> None:
    net = nn.Linear(2, 1)
    with net.register_load_state_dict_post_hook(lambda *args: 1), pytest.raises(RuntimeError, match="return None"):
        net.load_state_dict(net.state_dict())
    with net.register_state_dict_post_hook(lambda *args: 1), pytest.raises(RuntimeError, match="return None"):
        net.state_dict()
    net.load_state_dict(net.state_dict())
    with pytest.raises(TypeError, match="a hook is a function, not int"):
        net.register_state_dict_pre_hook(1)  # type: ignore[arg-type]


# -- containers --------------------------------------------------------------------------------------------------


def test_parameter_lists() -> None:
    shared = nn.Parameter([5.0])
    many = nn.ParameterList([np.zeros(2), shared, tn.tensor([1.0]), "text"])
    assert [name for name, _ in many.named_parameters()] == ["0", "1", "2"]
    assert many[1] is shared
    assert many[-1] == "text"
    assert many.pop() == "text"
    many[0] = np.ones(4)
    many += [nn.Parameter([6.0])]
    many.append(np.zeros(1))
    del many[2]
    assert [p.size for p in many] == [4, 1, 1, 1]
    assert list(many.state_dict()) == ["0", "1", "2", "3"]
    assert [p.item() for p in many[1:3]] == [5.0, 6.0]
    assert all(isinstance(p, nn.Parameter) for p in many)
    for wrong in (lambda: many[4], lambda: many.pop(-5)):
        with pytest.raises(IndexError, match="of a ParameterList of 4"):
            wrong()
    with pytest.raises(TypeError, match="put it in a list"):
        many.extend(tn.tensor([1.0]))
    with pytest.raises(NotImplementedError, match="is not called"):
        many(1)


def test_parameter_dicts() -> None:
    named = nn.ParameterDict({"a": np.zeros(2)})
    named["b"] = tn.tensor([1.0])
    named.update([("c", nn.Parameter([2.0]))])
    assert list(named.keys()) == list(named) == ["a", "b", "c"]
    assert [name for name, _ in named.items()] == [name for name, _ in named.named_parameters()]
    assert all(isinstance(p, nn.Parameter) for p in named.values())
    both = named | {"d": np.zeros(1)}
    assert (len(named), len(both), both["a"] is named["a"]) == (3, 4, True)
    named |= {"e": np.zeros(1)}
    assert named.popitem()[0] == "e"
    assert named.setdefault("a") is named["a"]
    assert named.get("z") is None
    assert "z" not in named
    assert named.pop("b").item() == 1.0
    del named["c"]
    assert list(reversed(named.copy())) == ["a"]
    assert list(named.fromkeys(["x"], np.zeros(1))) == ["x"]
    for name in ("a.b", "", "_x", "keys"):
        with pytest.raises(KeyError):
            named[name] = np.zeros(1)
    named.clear()
    assert not len(named)
    with pytest.raises(KeyError, match="empty"):
        named.popitem()
    with pytest.raises(NotImplementedError, match="is not called"):
        named()
