"""What is wrong in a graph is marked where it begins, with a reason that is true."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.drawing.style import LIGHT
from tests.drawing.graphs import array, leaf


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with np.errstate(all="ignore"):
        yield


def signs(picture: Any) -> dict[str, tuple[str, str]]:
    """Sign and reason, by title."""
    return {v.title: (v.sign, v.details[0]) for v in picture.source.vertices if v.sign}


# -- nan and infinity --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "x", "box", "reason"),
    [
        (
            lambda x: np.exp(np.log(x) * 2) + x,
            [1.0, -1.0],
            "log",
            "born here: nan in 1 of 2 elements, the first at [1]",
        ),
        (lambda x: 1 / x * 3, [0.0, 2.0], "1 ÷", "born here: inf in 1 of 2 elements, the first at [0]"),
        (lambda x: np.exp(x) + 1, [1.0, 1e9], "exp", "born here: inf in 1 of 2 elements, the first at [1]"),
        (lambda x: np.exp(x) * 2, [np.nan, 1.0], "x", "comes in here: nan in 1 of 2 elements, the first at [0]"),
        (lambda x: np.log(x).sum(), -1.0, "log", "born here: nan"),
    ],
)
def test_the_birth_is_marked_and_nothing_after_it(function: Any, x: Any, box: str, reason: str) -> None:
    assert signs(tn.draw(function, np.array(x))) == {box: ("trouble", reason)}


def test_nan_of_infinity_is_born_too() -> None:
    found = signs(tn.draw(lambda x: (np.exp(x) - x * np.inf) * 1.0, np.array([1e9])))
    assert found == {"exp": ("trouble", "born here: inf in 1 of 1 elements, the first at [0]")} | {
        "−": ("trouble", "born here: nan in 1 of 1 elements, the first at [0]")
    }


def test_two_births_are_marked_and_finite_graphs_are_not() -> None:
    found = signs(tn.draw(lambda x: np.log(x) + np.sqrt(x), np.array([-1.0])))
    assert set(found) == {"log", "sqrt"}
    assert signs(tn.draw(lambda x: np.log(x) + np.sqrt(x), np.array([1.0]), backward=True)) == {}


def test_an_infinity_that_was_written_is_meant() -> None:
    mask = np.array([True, False])
    assert signs(tn.draw(lambda x: tn.softmax(tn.where(mask, x, -np.inf)), np.ones(2))) == {}
    # Nan was not written, nor is infinity what 0 times it should be.
    reason = "born here: nan in 1 of 2 elements, the first at [1]"
    assert signs(tn.draw(lambda x: x * np.inf, np.array([1.0, 0.0]))) == {"× inf": ("trouble", reason)}
    assert signs(tn.draw(lambda x: np.where(x > 0, x, np.nan), np.array([1.0, 0.0]))) == {}
    # If everything is masked, what comes of it may be no number any more.
    none = np.array([False, False])

    def shifted(x: Any) -> Any:
        scores = tn.where(none, x, -np.inf)
        return np.exp(scores - scores.max())

    assert set(signs(tn.draw(shifted, np.ones(2)))) == {"−"}


@pytest.mark.parametrize(
    "masked",
    [
        lambda x, mask: x + np.where(mask, 0, -np.inf),
        lambda x, mask: np.where(mask, x, np.full((2, 2), -np.inf)),
        lambda x, mask: np.where(mask, x, np.float32(-np.inf)),
        lambda x, mask: tn.setitem(x, -np.inf, ~mask),
        lambda x, mask: x + tn.triu(tn.full((2, 2), -np.inf), 1),
    ],
)
def test_a_written_mask_is_healthy(masked: Any) -> None:
    mask = np.tri(2, dtype=bool)
    assert signs(tn.draw(lambda x: tn.softmax(masked(x, mask)), np.ones((2, 2)))) == {}
    # What a parameter holds, or what is computed, is no mask.
    found = signs(tn.draw(lambda x: x + np.log(mask.astype(float) * x), np.ones((2, 2))))
    assert set(found) == {"log"}
    assert set(signs(tn.draw(lambda x: x + np.array([np.inf, 0.0]), np.ones(2)))) == {"input"}


def test_integers_hold_no_nan() -> None:
    assert signs(tn.draw(lambda i: i * 2, np.arange(3))) == {}


def test_births_in_gradients() -> None:
    reason = "born in the gradient of 'sqrt': inf in 1 of 2 elements, the first at [0]"
    x = np.array([0.0, 1.0])
    assert signs(tn.draw(lambda x: np.exp(np.sqrt(x * 1.5)).sum(), x, backward=True)) == {"sqrt": ("trouble", reason)}
    assert signs(tn.draw(lambda x: np.exp(np.sqrt(x * 1.5)).sum(), x)) == {}  # no gradient, no trouble
    both = signs(tn.draw(lambda x: (np.sqrt(x) + x**0.5).sum(), x, backward=True))
    assert [words.split(":")[0] for _, words in both.values()] == ["born in the gradient of 'sqrt' or '^ 0.5'"]


def test_a_tape_shows_births_too() -> None:
    with tn.Tape() as tape:
        y = np.log(tn.tensor([-1.0])) + 1
    assert set(signs(tn.draw(tape))) == {"log"}
    assert y.size == 1


def test_a_profile_shows_births_and_dead_parameters() -> None:
    w, v = leaf(2), leaf(2)
    with tn.profile(values=True) as prof:
        loss = (np.log(w - 1) * 2).sum() + (v * 0).sum()
        loss.backward()
    found = signs(tn.draw(loss, profile=prof))
    assert found["log"][1].startswith("born here: nan in 2 of 2")
    assert found["v"][1].startswith("the gradient is 0")
    with tn.profile(values=True) as prof:
        loss = np.sqrt(w * 0).sum()
        loss.backward()
    assert signs(tn.draw(loss, profile=prof))["sqrt"][1].startswith("born in the gradient of 'sqrt': inf")


# -- parameters without gradient ---------------------------------------------------------------------------------------


class Two(nn.Module):
    """`live` is learned; what becomes of `idle` is the matter."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        self.live = nn.Parameter([1.0, 2.0, 3.0])
        self.idle = nn.Parameter([1.0, 2.0, 3.0])
        self.function = function

    def forward(self, x: Any) -> Any:
        return (self.live * x).sum() + self.function(self.idle, x)


def without_gradient(idle: Any, x: Any) -> Any:
    with tn.no_grad():
        return (idle * x).sum()


X = np.array([1.0, -1.0, 2.0])


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda idle, x: 0.0, "no gradient: nothing here uses it with a gradient"),
        (
            lambda idle, x: (idle * 2).detach().sum(),
            "no gradient: 'sum' was computed under no_grad, or of a detached tensor",
        ),
        (without_gradient, "no gradient: "),
        (lambda idle, x: np.argmax(idle * x), "no gradient: 'argmax' has no derivative"),
        (lambda idle, x: np.floor(idle * x).sum(), "the gradient is 0: 'floor' has one, and passes none on"),
        (
            lambda idle, x: (np.floor(idle) + np.rint(idle)).sum(),
            "the gradient is 0: 'floor' has one, and passes none on",
        ),
        (
            lambda idle, x: np.maximum(-np.abs(idle) - 5, 0).sum(),
            "the gradient is 0: 'max(·, 0)' lets none through, as all it gives is 0",
        ),
        (
            lambda idle, x: tn.relu(-np.abs(idle)).sum(),
            "the gradient is 0: 'relu' lets none through, as all it gives is 0",
        ),
        (lambda idle, x: (idle * np.zeros(3)).sum(), "the gradient is 0: '×' multiplies it by 0"),
        (lambda idle, x: np.zeros((2, 3)) @ idle @ np.ones(2), "the gradient is 0: '@' multiplies it by 0"),
        (lambda idle, x: (idle * 0).sum(), "the gradient is 0: '× 0' has one, and passes none on"),
        (lambda idle, x: tn.where(x < 9, x, idle).sum(), "the gradient is 0: 'where' takes nothing of it"),
        (lambda idle, x: np.sin(np.exp(idle) * 0).sum(), "the gradient is 0: '× 0' has one, and passes none on"),
    ],
)
def test_the_reason_for_a_parameter_without_gradient(function: Any, reason: str) -> None:
    found = signs(tn.draw(Two(function), X, backward=True))
    assert set(found) == {"idle"}
    assert found["idle"][0] == "dead"
    assert found["idle"][1].startswith(reason) if reason.endswith(": ") else found["idle"][1] == reason


def test_a_detached_argument_beside_one_that_is_learned() -> None:
    net = Two(lambda idle, x: ((idle * 2).detach() * x).sum())
    found = signs(tn.draw(lambda x: net(x), tn.tensor(X, requires_grad=True), backward=True))
    reason = "no gradient: what '×' takes of it is detached, or was computed under no_grad"
    assert found == {"idle": ("dead", reason)}


def test_a_frozen_parameter_and_an_array_in_place_of_one() -> None:
    reason = "no gradient: it asks for none (requires_grad=False), or its array was used in its place"
    frozen = Two(lambda idle, x: (idle * x).sum())
    frozen.idle.requires_grad_(False)
    assert signs(tn.draw(frozen, X, backward=True)) == {"idle": ("dead", reason)}
    assert signs(tn.draw(Two(lambda idle, x: (idle.data * x).sum()), X, backward=True)) == {"idle": ("dead", reason)}
    frozen.requires_grad_(False)
    assert set(signs(tn.draw(frozen, X, backward=True))) == {"live", "idle"}


def test_the_gradient_may_be_0_from_the_result_on() -> None:
    class Zero(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter([1.0])

        def forward(self, x: Any) -> Any:
            return self.w * x * 0.0

    found = signs(tn.draw(Zero(), np.ones(1), backward=True))
    assert found == {"w": ("dead", "the gradient is 0: '× 0' has one, and passes none on")}


def test_living_parameters_are_not_marked_nor_anything_without_backward() -> None:
    assert signs(tn.draw(Two(lambda idle, x: (idle * x).sum()), X, backward=True)) == {}
    assert signs(tn.draw(Two(lambda idle, x: np.argmax(idle)), X)) == {}


def test_painting_by_gradients_marks_them_too() -> None:
    picture = tn.draw(Two(lambda idle, x: 0.0), X, color_by="grad_norm")
    assert set(signs(picture)) == {"idle"}


class Spare(nn.Module):
    def __init__(self) -> None:
        self.used = nn.Linear(3, 3)
        self.spare = nn.Linear(3, 5)

    def forward(self, x: Any) -> Any:
        return np.tanh(self.used(x))


def test_parameters_that_nothing_uses_appear_only_if_gradients_do() -> None:
    net = Spare()
    forward = tn.draw(net, array(2, 3)).source.vertices
    assert {v.details[0] for v in forward if v.kind == "parameter"} == {"used.weight", "used.bias"}
    for picture in (
        tn.draw(net, array(2, 3), backward=True),
        tn.draw(lambda x: net(x), array(2, 3), backward=True),
        tn.draw(net(array(2, 3)).sum(), backward=True),
    ):
        spare = [v for v in picture.source.vertices if v.title.startswith("spare")]
        assert [v.title for v in spare] == ["spare.weight", "spare.bias"]
        assert {v.details[0] for v in spare} == {"no gradient: nothing here uses it with a gradient"}
        assert [v.parameters for v in spare] == [15, 5]
        assert all(v.cluster == 0 for v in spare)
        assert "spare.weight" in picture.svg
    with tn.Tape() as tape:
        net(array(2, 3))
    assert len([v for v in tn.draw(tape, backward=True).source.vertices if v.sign == "dead"]) == 2


def test_unused_parameters_of_repeated_modules_are_drawn_once() -> None:
    net = nn.Sequential(*(Spare() for _ in range(6)))
    picture = tn.draw(net, array(2, 3), backward=True)
    spare = [v for v in picture.drawing.vertices if v.sign == "dead"]
    assert [(v.title, v.count) for v in spare] == [("spare.weight", 6), ("spare.bias", 6)]
    assert all(v.cluster is not None for v in spare)
    folded = tn.draw(net, array(2, 3), backward=True, depth=0)
    (box,) = [v for v in folded.drawing.vertices if v.kind == "module"]
    assert box.sign == "dead"
    assert "spare.weight: no gradient: nothing here uses it with a gradient" in box.details
    assert not [v for v in folded.drawing.vertices if v.kind == "parameter"]


# -- how it looks ------------------------------------------------------------------------------------------------------


def test_signs_show_in_the_picture_its_words_and_its_legend() -> None:
    picture = tn.draw(Two(lambda idle, x: np.log(idle * -1.0).sum() * 0), X, backward=True, legend=True)
    svg = picture.svg
    assert LIGHT.signs["trouble"] in svg
    assert "born here: nan in 3 of 3 elements" in svg
    assert re.search(r"<desc[^>]*>[^<]*log of [^<;]*born here: nan", svg)
    assert ">not finite<" in svg
    dead = tn.draw(Two(lambda idle, x: 0.0), X, backward=True, legend=True).svg
    assert re.search(r"<desc[^>]*>[^<]*idle \(3 f32\) \(no gradient: nothing here uses it", dead)
    assert ">no gradient<" in dead


def test_a_thousand_dead_parameters_take_no_time() -> None:
    import time

    class Many(nn.Module):
        def __init__(self, count: int) -> None:
            self.all = [nn.Parameter([1.0]) for _ in range(count)]

        def forward(self, x: Any) -> Any:
            for p in self.all:
                x = np.tanh(x + p)
            return x * 0.0

    def seconds(count: int) -> float:
        net = Many(count)
        start = time.process_time()
        found = signs(tn.draw(net, np.ones(1), backward=True))
        assert len(found) == count
        return time.process_time() - start

    seconds(20)
    assert seconds(800) < 30 * seconds(100)  # not with the square of their number
