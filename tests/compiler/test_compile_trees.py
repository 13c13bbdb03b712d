"""Containers among the arguments and results of compiled functions: dataclasses, registered classes, dicts of other types."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.compiler.variant import MISS
from tapenet.program import trees

X = np.array([1.0, 2.0])


@dataclasses.dataclass
class State:
    place: Any
    speed: Any
    name: str = dataclasses.field(default="", metadata={"static": True})

    def __post_init__(self) -> None:
        assert self.place.shape == (2,)  # a result is never made of anything else


@dataclasses.dataclass(frozen=True)
class Settings:
    rate: float
    steps: int = 1


class Line:
    def __init__(self, slope: Any, unit: Any) -> None:
        self.slope, self.unit = slope, unit


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    before = dict(trees._registered)
    tn.tree.register(Line, lambda v: ((v.slope,), v.unit), lambda unit, parts: Line(*parts, unit))
    yield
    trees._registered.clear()
    trees._registered.update(before)
    trees._containers_by_type.cache_clear()


def test_dataclasses_in_and_out() -> None:
    @tn.compile
    def step(s: State, settings: Settings) -> State:
        return State(s.place + s.speed * settings.rate, s.speed, s.name)

    for i in range(3):
        out = step(State(X + i, X, "a"), Settings(0.5))
        assert type(out) is State
        assert out.name == "a"
        np.testing.assert_array_equal(out.place, X + i + 0.5 * X)
    assert len(step.variants) == 1
    fast: Any = step.variants[0].fast
    assert fast(None, State(X, X, "a"), Settings(0.5)) is not MISS  # without taking the call apart
    assert step(State(X, X, "b"), Settings(0.5)).name == "b"  # what is static is part of the structure
    np.testing.assert_array_equal(step(State(X, X, "a"), Settings(2.0)).place, 3 * X)
    assert len(step.variants) == 3


def test_the_quick_way_tells_static_parts_apart() -> None:
    f = tn.compile(lambda line: line.slope * (1.0 if line.unit is True else 2.0))
    for unit, factor in ((True, 1.0), (1, 2.0), (True, 1.0), (1, 2.0), (1.0, 2.0)):
        np.testing.assert_array_equal(f(Line(X, unit)), X * factor)
    assert len(f.variants) == 3


def test_registered_classes_in_and_out() -> None:
    f = tn.compile(lambda line: {"line": Line(line.slope * 2, "m"), "same": line.unit})
    for i in range(3):
        out = f(Line(X + i, "km"))
        assert type(out["line"]) is Line
        assert (out["line"].unit, out["same"]) == ("m", "km")
        np.testing.assert_array_equal(out["line"].slope, 2 * (X + i))
    assert len(f.variants) == 1
    assert "Line with the parts [0], and 'km'" in str(f.explain())


def test_dicts_of_other_types() -> None:
    f = tn.compile(lambda d: OrderedDict(b=d["x"] * 2, a=d["y"]))
    for _ in range(3):
        out = f(defaultdict(list, x=X, y=X + 1))
        assert type(out) is OrderedDict
        assert list(out) == ["b", "a"]
        np.testing.assert_array_equal(out["b"], 2 * X)
    assert len(f.variants) == 1
    f(OrderedDict(x=X, y=X))
    f({"x": X, "y": X})
    assert len(f.variants) == 3


def test_other_structures_make_other_programs() -> None:
    f = tn.compile(lambda line: sum(tn.tree.leaves(line.slope)))
    assert f(Line((X, X), "m")).tolist() == (2 * X).tolist()
    assert f(Line([X, X, X], "m")).tolist() == (3 * X).tolist()
    assert f(Line({"a": X}, "m")).tolist() == X.tolist()
    assert len(f.variants) == 3


def test_gradients_in_structures() -> None:
    def loss(s: State) -> Any:
        return (s.place * s.speed).sum()

    g = tn.compile(tn.grad(loss))(State(X, X + 1, "a"))
    assert type(g) is State
    assert g.place.tolist() == [2.0, 3.0]
    assert g.speed.tolist() == [1.0, 2.0]


def test_leaves_in_a_dataclass_get_gradients() -> None:
    w = tn.tensor(X, requires_grad=True)

    @tn.compile
    def step(s: State) -> Any:
        loss = (s.place * s.speed).sum()
        loss.backward()
        return loss

    for _ in range(3):
        w.grad = None
        step(State(w, X + 1))
        assert w.grad.tolist() == [2.0, 3.0]
    assert len(step.variants) == 1


def test_a_module_in_a_dataclass_stays_itself() -> None:
    net = nn.Linear(2, 1)

    @dataclasses.dataclass
    class Task:
        net: nn.Module
        x: Any

    f = tn.compile(lambda task: task.net(task.x))
    x = np.ones((1, 2), np.float32)
    for weight in (np.ones((1, 2), np.float32), np.zeros((1, 2), np.float32)):
        net.weight.data = weight
        np.testing.assert_allclose(f(Task(net, x)).item(), weight.sum() + net.bias.item(), rtol=1e-6)
    assert len(f.variants) == 1


def test_changing_a_dataclass_that_is_an_argument_is_refused() -> None:
    @tn.compile
    def f(s: State) -> Any:
        s.place = s.place * 2
        return s.place

    with pytest.raises(CaptureError, match=r"f changes a State that it is given as an argument .* return what is new"):
        f(State(X, X))


def test_parts_that_cannot_be_compared_are_named() -> None:
    f = tn.compile(lambda line: line.slope)
    with pytest.raises(TypeError, match=r"line is a Line, of which \[1\] is no part, and not hashable"):
        f(Line(X, [1]))

    g = tn.compile(lambda s: s.place)
    with pytest.raises(TypeError, match=r"g|<lambda>: s\.speed is a set, neither an array nor hashable"):
        g(State(X, {1}))


def test_a_loop_carries_dataclasses() -> None:
    def run(s: State) -> tuple[State, Any]:
        def body(s: State, _: Any) -> tuple[State, Line]:
            s = State(s.place + s.speed, s.speed * 0.5, s.name)
            return s, Line(s.place, "m")

        return tn.scan(body, s, length=3)

    for f in (run, tn.compile(run)):
        last, lines = f(State(X, X, "a"))
        assert (type(last), last.name, type(lines)) == (State, "a", Line)
        np.testing.assert_array_equal(last.place, X * 2.75)
        assert lines.slope.shape == (3, 2)
    with pytest.raises(ValueError, match=r"at carry init has a State with .*'a'.*f one with .*'b'"):
        tn.scan(lambda s, _: (State(s.place, s.speed, "b"), None), State(X, X, "a"), length=2)
    with pytest.raises(ValueError, match=r"at carry\.speed init has a value, f has tuple of length 1"):
        tn.scan(lambda s, _: (State(s.place, (s.speed,), "a"), None), State(X, X, "a"), length=2)
