"""Modules in a captured step: what it depends on, and attributes that a replay would not set."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.autodiff.observe import epoch
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.observe.tape import CaptureError
from tests.replay import Replay

X = np.ones((2, 3), np.float32)


class Block(nn.Module):
    def __init__(self) -> None:
        self.fc = nn.Linear(3, 3, rng=0)
        self.scale = nn.Buffer([2.0])
        self.options = {"power": 2, "name": "a"}
        self.sizes = (1, (2, 3.0))
        self.kind = np.dtype(np.float32)
        self.table = np.arange(3)
        self.tied = [nn.Linear(3, 3, rng=1)]

    def forward(self, x: Any) -> Any:
        return self.fc(x) * self.scale ** self.options["power"] + tn.linear(x, self.tied[0].weight)


class Net(nn.Module):
    def __init__(self) -> None:
        self.first = Block()
        self.second = nn.Sequential(Block(), nn.Dropout(0.5))

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x))


def holds(capture: Capture) -> bool:
    return all(fingerprint() == value for _, fingerprint, value in capture.dependencies)


def _set(name: str, value: Any) -> Callable[[Net], Any]:
    return lambda net: setattr(net.first, name, value)


CHANGES: dict[str, Callable[[Net], Any]] = {
    "eval": lambda net: net.eval(),
    "a new attribute": _set("extra", 1),
    "a deleted attribute": lambda net: delattr(net.first, "table"),
    "another number": lambda net: setattr(net.second[1], "p", 0.25),
    "another type": _set("sizes", (1, (2, 3))),
    "an equal array": _set("table", np.arange(3)),
    "another dtype": _set("kind", np.dtype(np.float64)),
    "another parameter": lambda net: setattr(net.first.fc, "weight", nn.Parameter(np.ones((3, 3)))),
    "another weight of a module that is not called": lambda net: setattr(net.first.tied[0], "weight", None),
    "another module": lambda net: setattr(net.first, "fc", nn.Linear(3, 3)),
    "an item of a dict": lambda net: net.first.options.update(power=3),
    "an item of a list": lambda net: net.first.tied.append(nn.Linear(3, 3)),
    "frozen": lambda net: net.first.requires_grad_(False),
    "cast": lambda net: net.astype(np.float64),
    "a module appended": lambda net: net.second.append(nn.Tanh()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_step_depends_on_the_attributes_of_its_modules(change: Callable[[Net], Any]) -> None:
    net = Net()
    with Capture() as capture:
        net(X)
    owners = [owner for owner, _, _ in capture.dependencies]
    assert owners == list(net.modules())
    assert holds(capture)
    change(net)
    assert not holds(capture)


SAME: dict[str, Callable[[Net], Any]] = {
    "train": lambda net: net.train(),
    "an equal number": _set("sizes", (1, (2, 3.0))),
    "an equal item": lambda net: net.first.options.update(power=int("2")),
    "values": lambda net: net.load_state_dict(Net().state_dict()),
    "the same module": lambda net: setattr(net, "first", net.first),
    "eager calls": lambda net: net(X).sum().backward(),
    "off and on again": lambda net: net.eval().train(),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_is_the_same_again_is_no_change(change: Callable[[Net], Any]) -> None:
    net = Net()
    with Capture() as capture:
        net(X)
        net(X)
    change(net)
    assert holds(capture)
    assert len(capture.dependencies) == len(list(net.modules()))


def test_an_attribute_of_a_module_cannot_be_set_while_capturing() -> None:
    class Cached(nn.Module):
        def forward(self, x: Any) -> Any:
            if not hasattr(self, "mask"):
                self.mask = np.ones(3, np.float32)  # at the first call alone
            return x * self.mask

    class Counting(nn.Module):
        def __init__(self) -> None:
            self.calls = 0

        def forward(self, x: Any) -> Any:
            self.calls = self.calls + 1
            return x

    class Deleting(Counting):
        def forward(self, x: Any) -> Any:
            del self.calls
            return x

    line = rf"{re.escape(__file__)}:\d+ "
    advice = r".*nn.Buffer and assign to its .data, or return it\. .*the first forward computes and keeps.*__init__"
    for module, words in [
        (Cached(), "sets the attribute 'mask' of Cached"),
        (Counting(), "sets the attribute 'calls' of Counting"),
        (Deleting(), "deletes the attribute 'calls' of Deleting"),
    ]:
        net = nn.Sequential(nn.Tanh(), nn.Sequential(module))
        before = epoch.current
        with Capture(), pytest.raises(CaptureError, match=line + words + r" \(1\.0\)" + advice):
            net(X)
        with Capture(), pytest.raises(CaptureError, match=line + words + " while" + advice):
            module(X)
        assert epoch.current == before
        assert vars(module) == ({} if isinstance(module, Cached) else {"calls": 0})
    cached = Cached()
    cached(X)
    with Capture():
        cached(X)


def test_the_mode_cannot_be_changed_while_capturing() -> None:
    net = nn.Sequential(nn.Dropout(0.5))
    with Capture(), pytest.raises(CaptureError, match="sets the attribute 'training'"):
        net.eval()
    net.eval()
    with Capture():
        net.eval()  # as it is already


def test_modules_made_in_the_step_are_its_own() -> None:
    class Lazy(nn.Module):
        def forward(self, x: Any) -> Any:
            self.size = len(x)
            return x

    class Pair(nn.Module):
        def __init__(self) -> None:
            self.lazy = None

    with Capture():
        loss = nn.MSELoss(reduction="sum")
        loss.reduction = "mean"
        layers = nn.Sequential(nn.Linear(3, 2), nn.Embedding(4, 2, padding_idx=1))
        first = layers[:1].eval()
        first.append(Pair())
        del first[1]
        pair = Pair()
        pair.lazy = copy.deepcopy(first)
        value = loss(first(X), np.zeros((2, 2), np.float32))
        assert value.shape == ()


def test_a_property_may_write_to_a_buffer() -> None:
    class Gauge(nn.Module):
        def __init__(self) -> None:
            self.level_ = nn.Buffer(0.0)

        @property
        def level(self) -> Any:
            return self.level_

        @level.setter
        def level(self, value: Any) -> None:
            self.level_.data = value

        def forward(self, x: Any) -> Any:
            self.level = self.level + x.sum()
            return self.level * 1

    gauge = Gauge()
    x = tn.tensor(X)
    with Capture() as capture:
        result = gauge(x)
    replay = Replay(capture, [x], result)
    assert [result.item(), float(replay(X)), float(replay(X * 2))] == [6.0, 12.0, 24.0]


def test_attributes_of_a_module_outside_are_set_as_ever() -> None:
    net = Net()
    with tn.Tape():
        net.extra = 1
        net(X)
    assert net.extra == 1
    with pytest.raises(AttributeError, match="nothing"):
        del net.nothing
    net.extra = 2
    del net.extra
    assert not hasattr(net, "extra")
