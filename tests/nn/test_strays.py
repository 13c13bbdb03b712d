"""Tensors that a module computes with and does not own are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn


class Holds(nn.Module):
    """Multiplies by the first tensor in what it is given."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def forward(self, x: Any) -> Any:
        held = self.held
        while not isinstance(held, tn.Tensor):
            held = next(iter(held.values())) if isinstance(held, dict) else held[0]
        return x * held


def stray() -> tn.Tensor:
    return tn.tensor([2.0], requires_grad=True)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (stray, "Holds.held"),
        (lambda: [stray()], "Holds.held.0"),
        (lambda: {"a": (stray(),)}, "Holds.held.a.0"),
    ],
)
def test_a_tensor_that_needs_a_gradient_and_is_no_parameter_warns_at_the_first_call(make: Any, name: str) -> None:
    net = Holds(make())
    with pytest.warns(
        RuntimeWarning, match=rf"{name} is a tensor that needs a gradient, and no parameter: .* nn.Parameter"
    ):
        net(np.ones(2))
    net(np.ones(2))  # said once


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Parameter([2.0]),
        lambda: [{"a": nn.Parameter([2.0])}],
        lambda: nn.Buffer([2.0]),
        lambda: tn.tensor([2.0]),
        lambda: stray() * 2,  # computed outside, as by another network
    ],
)
def test_others_do_not(make: Any) -> None:
    assert Holds(make())(np.ones(2)).shape == (2,)  # warnings are errors here


def test_a_list_in_itself_is_looked_at_once() -> None:
    held: list[Any] = [tn.tensor([2.0])]
    held.append(held)
    assert Holds(held)(np.ones(1)).tolist() == [2.0]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (nn.Parameter([1.0]), "parameter"),
        (nn.Buffer([1.0]), "buffer"),
        (nn.Linear(2, 1), r"module \(Linear\)"),
    ],
)
def test_what_is_learned_is_refused_in_the_body_of_a_class(value: Any, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"Shared.w is a {kind} in the body of the class.* __init__, self.w = "):
        type("Shared", (nn.Module,), {"w": value})


def test_a_layer_without_parameters_may_stand_in_the_body_of_a_class() -> None:
    kind = type("Shared", (nn.Module,), {"act": nn.ReLU(), "forward": lambda self, x: self.act(x)})
    assert kind()(np.array([-1.0, 1.0])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("name", ["parameters", "train", "state_dict", "float"])
def test_a_method_is_not_hidden_by_a_parameter(name: str) -> None:
    net = nn.Module()
    for value in (nn.Parameter([1.0]), nn.Linear(2, 1)):
        with pytest.raises(TypeError, match=rf"Module.{name} is a method of every module: give the \w+ another name"):
            setattr(net, name, value)
