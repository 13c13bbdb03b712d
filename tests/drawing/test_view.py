"""The passes one after the other, as pictures are made."""

from __future__ import annotations

import inspect
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet import nn
from tapenet.drawing.model import Drawing
from tapenet.drawing.passes.folding import fold
from tapenet.drawing.passes.view import BUDGET, MOST, PATIENCE, View
from tapenet.drawing.sources.build import build
from tests.drawing import models
from tests.drawing.drawings import Pen, drawings, sound
from tests.drawing.graphs import GRAPHS

MAKE = [
    *GRAPHS.values(),
    *(f for name, f in models.MODELS.items() if name not in ("chain", "irregular_chain", "compiled")),
]


def seen(view: View, source: Drawing, budget: int | None = None) -> Drawing:
    return view.of(view.unfolded(source), budget)


@pytest.mark.parametrize("make", MAKE, ids=lambda f: f.__name__)
def test_every_view_of_every_graph_is_sound(make: Any) -> None:
    source = build(make())
    for view in (
        View(),
        View(depth=0),
        View(depth=1),
        View(depth=9),
        View(budget=None),
        View(budget=1),
        View(repeats=False),
    ):
        for one in (view, view._replace(compact=False)):
            drawing = seen(one, source)
            sound(source, drawing)
            assert seen(one, source) == drawing


@settings(max_examples=100)
@given(drawings(), st.integers(1, 40), st.booleans(), st.booleans())
def test_any_graph_in_any_budget(source: Drawing, budget: int, compact: bool, repeats: bool) -> None:
    for view in (View(budget=budget, compact=compact, repeats=repeats), View(depth=budget % 4, compact=compact)):
        sound(source, seen(view, source))
        sound(source, seen(view, source, budget))


@pytest.mark.parametrize("make", [models.lenet, models.resnet50, models.gpt, models.rnn, models.unet])
def test_models_come_near_the_budget(make: Any) -> None:
    source = build(make())
    drawing = seen(View(), source)
    assert 6 <= len(drawing.vertices) <= BUDGET
    assert len(seen(View(budget=None), source).vertices) >= len(drawing.vertices)


@pytest.mark.parametrize(("count", "boxes"), [(100, 102), (300, 32)])
def test_a_model_of_many_layers_side_by_side_is_no_single_box(count: int, boxes: int) -> None:
    widths = [4 + i * i % 37 for i in range(count + 1)]  # no two layers in a row alike
    net = nn.Sequential(*(nn.Linear(a, b) for a, b in pairwise(widths)))
    source = build(net(np.zeros((2, widths[0]), np.float32)))
    drawing = seen(View(repeats=False), source)
    sound(source, drawing)
    assert len(drawing.vertices) == boxes
    titles = [v.title for v in drawing.vertices if v.kind == "module"]
    assert titles[:2] == (["0 · Linear", "1 · Linear"] if count == 100 else ["0–9 · Linear ×10", "10–19 · Linear ×10"])
    assert len(seen(View(budget=5, repeats=False), source).vertices) == 3


def test_the_same_graph_gives_the_same_picture() -> None:
    def plain(drawing: Drawing) -> Any:
        return [v._replace(number=0) for v in drawing.vertices], drawing.edges, drawing.clusters

    for make in (models.gpt, models.rnn, models.resnet50):
        assert plain(seen(View(), build(make()))) == plain(seen(View(), build(make())))


@pytest.mark.slow
@pytest.mark.parametrize("make", [models.chain, models.irregular_chain])
def test_a_long_chain_is_bounded(make: Any) -> None:
    source = build(make(10_000))
    for view in (View(), View(budget=None), View(depth=3), View(repeats=False)):
        drawing = seen(view, source)
        sound(source, drawing)
        most = MOST if view.budget is None or view.depth is not None else BUDGET * PATIENCE
        assert len(drawing.vertices) <= most, view


def test_a_late_layout_gets_less() -> None:
    source = build(models.resnet50())
    view = View(budget=None, repeats=False)
    counts = [len(seen(view, source, budget).vertices) for budget in (None, 200, 50, 10)]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] <= 10


def test_many_modules_side_by_side_are_drawn_in_runs() -> None:
    pen = Pen()
    x = pen.leaf()
    for i in range(3000):
        pen.enter("AB"[i % 7 > 3], f"m{i}")
        x = pen.op(["tanh", "add", "matmul"][i * i % 3], pen.op("add", x))
        pen.leave()
    pen.output(x)
    for view in (View(repeats=False), View(depth=0, repeats=False), View(depth=5)):
        drawing = seen(view, pen.drawing)
        sound(pen.drawing, drawing)
        assert len(drawing.vertices) <= MOST


@pytest.mark.parametrize(("count", "modules"), [(300, 0), (6000, 1)])
def test_a_page_of_many_ops_in_one_place_opens_in_runs(count: int, modules: int) -> None:
    pen = Pen()
    x = pen.leaf()
    for _ in range(modules):
        pen.enter("Net", "")
    for i in range(count):
        if i == 50:
            pen.enter("Linear", "fc")
        x = pen.op(("tanh", "add", "exp")[i * i % 7 % 3], x)
        if i == 51:
            pen.leave()
    for _ in range(modules):
        pen.leave()
    pen.output(x)
    view = View(repeats=False)
    explored = view.to_explore(view.unfolded(pen.drawing))
    first = fold(explored, view.closed(explored))
    sound(pen.drawing, first)
    assert 20 < len(first.vertices) <= BUDGET
    inside = Counter(vertex.cluster for vertex in explored.vertices)
    assert max(inside.values()) <= BUDGET * PATIENCE
    assert not [c for c in explored.clusters if c.around == "repeat" and c.parent == modules]  # the layer is whole


def test_the_budget_of_draw_is_that_of_the_view() -> None:
    """`tn.draw` stands where importing it must load nothing, so it says the number itself."""
    assert inspect.signature(tn.draw).parameters["budget"].default == View().budget
