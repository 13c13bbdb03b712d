"""Where gradients go, and what an optimizer does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet import nn, optim
from tapenet.drawing.model import Drawing
from tapenet.drawing.options import updates
from tapenet.drawing.passes.folding import in_runs
from tapenet.drawing.passes.gradients import with_gradients, with_updates
from tapenet.drawing.passes.repeats import fold_repeats
from tapenet.drawing.passes.view import View
from tapenet.drawing.sources.build import build
from tests.drawing import models
from tests.drawing.drawings import Pen, drawings, sound
from tests.drawing.graphs import GRAPHS, array, leaf

MAKE = [*GRAPHS.values(), models.lenet, models.gpt, models.rnn]


def gradients(drawing: Drawing) -> list[tuple[str, str]]:
    titles = [v.title for v in drawing.vertices]
    return [(titles[e.tail], titles[e.head]) for e in drawing.edges if e.flow == "gradient"]


def check(drawing: Drawing) -> None:
    """Each gradient goes back along a differentiable edge, and ends at the update of a parameter that has one."""
    updated = {e.head: e.tail for e in drawing.edges if e.flow == "update"}
    on = {(e.tail, e.head) for e in drawing.edges if e.flow in ("value", "carry") and e.differentiable}
    back = {(e.tail, e.head) for e in drawing.edges if e.flow == "gradient"}
    wanted = set()
    for tail, head in on:
        end = updated.get(tail, tail) if drawing.vertices[tail].kind == "parameter" else tail
        if end != head:
            wanted.add((head, end))
    assert back == wanted


@pytest.mark.parametrize("make", MAKE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("budget", [5, 60, None])
def test_gradients_go_back_along_what_is_differentiable(make: Any, budget: int | None) -> None:
    source = build(make())
    numbers = {v.number: "SGD" for v in source.vertices if v.kind == "parameter"}
    for view in (View(budget=budget, backward=True), View(budget=budget, backward=True, updates=numbers)):
        drawing = view.of(view.unfolded(source))
        sound(source, drawing, circles=True)
        check(drawing)


def test_an_optimizer_says_what_is_not_its_default() -> None:
    x = leaf(3)
    assert {*updates(optim.AdamW([x], lr=0.1)).values()} == {"AdamW\nlr 0.1"}
    assert {*updates(optim.AdamW([x], lr=0.1, eps=1e-6)).values()} == {"AdamW\nlr 0.1\neps 1e-06"}


def test_no_gradient_goes_to_the_arguments_of_a_function_that_learns() -> None:
    backbone, head = nn.Linear(4, 4), nn.Linear(4, 2)
    backbone.requires_grad_(False)
    drawing = tn.draw(lambda x: head(np.tanh(backbone(x))).sum(), array(2, 4), backward=True).drawing
    assert gradients(drawing) == [("sum", "head · Linear"), ("output", "sum")]
    drawing = tn.draw(lambda x: np.exp(x).sum(), array(3), backward=True).drawing
    assert ("exp", "x") in gradients(drawing)
    drawing = tn.draw(lambda x: head(x).sum(), leaf(2, 4), backward=True).drawing  # asked for
    assert ("head · Linear", "x") in gradients(drawing)


def test_no_gradient_flows_where_an_op_without_a_derivative_ends_the_way() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            self.gate, self.out = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            return self.out(x) * (self.gate(x) > 0)

    picture = tn.draw(Gated(), array(4, 3), backward=True, repeats=False, parameters=True)
    assert sorted(gradients(picture.drawing)) == [
        ("linear 2", "bias"), ("linear 2", "weight"), ("output", "×"), ("×", "linear 2"),
    ]  # fmt: skip
    with tn.Tape() as tape:  # here the gradient may begin at any op
        Gated()(array(4, 3))
    assert (
        gradients(tn.draw(tape, backward=True, repeats=False, parameters=True).drawing).count(("linear 2", "weight"))
        == 2
    )


@settings(max_examples=100)
@given(drawings(), st.integers(1, 30))
def test_gradients_after_folding(source: Drawing, budget: int) -> None:
    numbers = {v.number: "SGD" for v in source.vertices if v.kind == "parameter"}
    view = View(budget=budget, backward=True, updates=numbers)
    drawing = view.of(view.unfolded(source))
    sound(source, drawing)
    check(drawing)


def test_no_gradient_to_inputs_and_constants() -> None:
    w = leaf(3, 3)
    drawing = with_gradients(build((array(2, 3) @ w).sum()))
    assert gradients(drawing) == [("@", "tensor"), ("sum", "@"), ("output", "sum")]


def test_one_update_for_each_module() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    source = build(net(array(2, 3)).sum())
    numbers = updates(optim.SGD(net.parameters(), lr=0.1))
    drawing = with_gradients(with_updates(source, numbers, source))
    sound(source, drawing)
    found = [v for v in drawing.vertices if v.kind == "update"]
    assert [(v.title, v.cluster) for v in found] == [("SGD\nlr 0.1", 1), ("SGD\nlr 0.1", 3)]
    assert len([e for e in drawing.edges if e.flow == "update"]) == 4
    assert [way for way in gradients(drawing) if "SGD" in way[1]] == [
        ("linear 4", "SGD\nlr 0.1"),
        ("linear 2", "SGD\nlr 0.1"),
    ]


def test_outside_of_modules_each_parameter_has_its_own_update() -> None:
    w, b = leaf(3, 3), leaf(3)
    source = build(array(2, 3) @ w + b)
    drawing = with_updates(source, updates(optim.SGD([w, b], lr=0.1)), source)
    assert len([v for v in drawing.vertices if v.kind == "update"]) == 2


def test_what_is_not_optimized_is_not_updated() -> None:
    w, b = leaf(3, 3), leaf(3)
    source = build(array(2, 3) @ w + b)
    drawing = with_gradients(with_updates(source, updates(optim.SGD([b], lr=0.1)), source))
    assert [v.title for v in drawing.vertices if v.kind == "update"] == ["SGD\nlr 0.1"]
    assert ("@", "tensor") in gradients(drawing)


def test_blocks_with_settings_of_their_own_say_so() -> None:
    net = nn.Sequential(*(nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(10)))
    groups = [{"params": list(block.parameters()), "lr": 0.1 * (i + 1)} for i, block in enumerate(net)]
    source = build(net(array(2, 3)))
    drawing = View(updates=updates(optim.SGD(groups, lr=0.1))).unfolded(source)
    assert [v.title for v in drawing.vertices if v.kind == "update"] == ["SGD\nvarious settings"]


def test_a_run_that_updates_its_parameters_gets_gradients_as_before() -> None:
    pen = Pen()
    x = pen.leaf()
    for _ in range(100):
        x = pen.op("matmul", x, pen.leaf("parameter", "w", 6))
    pen.output(x)
    source = pen.drawing
    numbers = {v.number: "SGD" for v in source.vertices if v.kind == "parameter"}
    drawing = with_gradients(in_runs(with_updates(source, numbers, source), 20))
    sound(source, drawing)
    check(drawing)
    boxes = [v for v in drawing.vertices if v.kind == "module"]
    assert (len(boxes), len(drawing.vertices)) == (10, 12)
    assert gradients(drawing)[:2] == [("matmul ×10", "x"), ("matmul ×10", "matmul ×10")]


def test_gradients_go_through_the_turns_of_a_loop() -> None:
    drawing = with_gradients(fold_repeats(build(models.rnn())))
    carries = [(e.tail, e.head) for e in drawing.edges if e.flow == "carry"]
    back = [(e.head, e.tail) for e in drawing.edges if e.flow == "gradient"]
    assert set(carries) <= set(back)


def test_one_gradient_where_an_array_is_used_twice() -> None:
    source = Pen()
    x = source.leaf("parameter", "w", 6)
    source.output(source.op("multiply", x, x))
    assert gradients(with_gradients(source.drawing)) == [("multiply", "w")]
