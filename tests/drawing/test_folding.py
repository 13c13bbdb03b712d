"""Modules folded into boxes, boxes around single ops taken away, a budget of boxes, runs of ops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tapenet.drawing.passes.folding import at_depth, fold, in_runs, unbox, within
from tapenet.drawing.passes.repeats import fold_repeats
from tapenet.drawing.sources.build import build
from tests.drawing import models
from tests.drawing.drawings import A, Pen, drawings, sound
from tests.drawing.graphs import GRAPHS, leaf

B = Value((4,), "f64")
MAKE = [*GRAPHS.values(), models.lenet, models.resnet50, models.gpt, models.unet]


def nested() -> Drawing:
    """x -> [ W, @ -> [ +, two results ] ] -> sum -> output, both results used by the sum."""
    return Drawing(
        [
            Vertex("input", "x", A),
            Vertex("parameter", "W", B, 4, cluster=0),
            Vertex("op", "@", cluster=0),
            Vertex("op", "+", cluster=1),
            Vertex("op", "two", cluster=1),
            Vertex("op", "sum"),
            Vertex("output", "output", A),
        ],
        [
            Edge(0, 2, A, argument="x"),
            Edge(1, 2, B, argument="y"),
            Edge(0, 3, A, argument="x"),
            Edge(2, 3, A, argument="y"),
            Edge(3, 4, A, argument="x"),
            Edge(4, 5, A, 0, "x"),
            Edge(4, 5, B, 1, "y"),
            Edge(5, 6, A),
        ],
        [Cluster("", "Net", parameters=4), Cluster("inner", "Inner", "inner", 0, 1)],
    )


def ways(drawing: Drawing) -> list[tuple[Any, ...]]:
    names = [v.title for v in drawing.vertices]
    return [(names[e.tail], names[e.head], e.value, e.result, e.argument) for e in drawing.edges]


@pytest.mark.parametrize("depth", [2, 7])
def test_nothing_to_fold(depth: int) -> None:
    assert fold(nested(), at_depth(nested(), depth)) == nested()


def test_folding_the_inner_module() -> None:
    folded = fold(nested(), at_depth(nested(), 1))
    assert folded.clusters == [Cluster("", "Net", parameters=4)]
    assert [(v.kind, v.title, v.cluster) for v in folded.vertices] == [
        ("input", "x", None),
        ("parameter", "W", 0),
        ("op", "@", 0),
        ("module", "inner · Inner", 0),
        ("op", "sum", None),
        ("output", "output", None),
    ]
    assert ways(folded) == [
        ("x", "@", A, None, "x"),
        ("W", "@", B, None, "y"),
        ("x", "inner · Inner", A, None, ""),
        ("@", "inner · Inner", A, None, ""),
        ("inner · Inner", "sum", A, None, "x"),
        ("inner · Inner", "sum", B, None, "y"),
        ("sum", "output", A, None, ""),
    ]


def test_folding_everything() -> None:
    folded = fold(nested(), at_depth(nested(), 0))
    assert folded.clusters == []
    assert [(v.kind, v.title, v.parameters) for v in folded.vertices] == [
        ("input", "x", 0),
        ("module", "Net", 4),
        ("op", "sum", 0),
        ("output", "output", 0),
    ]
    assert ways(folded) == [  # x goes in twice and is drawn once
        ("x", "Net", A, None, ""),
        ("Net", "sum", A, None, "x"),
        ("Net", "sum", B, None, "y"),
        ("sum", "output", A, None, ""),
    ]


def test_a_square_outside_modules_keeps_both_edges() -> None:
    vertices = [Vertex("input", "x", A), Vertex("op", "×")]
    square = Drawing(vertices, [Edge(0, 1, A, None, name) for name in "xy"], [])
    assert fold(square, at_depth(square, 0)) == square


def test_unbox_takes_only_the_boxes_of_single_ops() -> None:
    clusters = [
        Cluster("", "Net", parameters=4),
        Cluster("act", "Tanh", "act", 0, 1),
        Cluster("fc", "Linear", "fc", 0, 1, 4),
        Cluster("again", "Linear", "again", 0, 1, 4),
        Cluster("wrap", "Wrap", "wrap", 0, 1),
        Cluster("inner", "Tanh", "wrap.inner", 4, 2),
    ]
    vertices = [
        Vertex("op", "tanh", cluster=1),
        Vertex("parameter", "weight", A, 4, cluster=2),
        Vertex("op", "linear", cluster=2),
        Vertex("op", "linear", cluster=3),  # its weight is in the box of the first call
        Vertex("op", "tanh", cluster=5),
    ]
    unboxed = unbox(Drawing(vertices, [Edge(1, 2, A)], clusters))
    assert [(c.path, c.parent) for c in unboxed.clusters] == [("", None), ("fc", 0), ("again", 0), ("wrap", 0)]
    assert [v.cluster for v in unboxed.vertices] == [0, 1, 1, 2, 3]
    assert unboxed.edges == [Edge(1, 2, A)]


@pytest.mark.parametrize("make", MAKE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("depth", [None, 0, 1, 2])
@pytest.mark.parametrize("repeats", [False, True])
def test_drawings_are_sound_and_without_circles(make: Any, depth: int | None, repeats: bool) -> None:
    source = build(make())
    drawing = unbox(fold_repeats(source) if repeats else source)
    drawing = drawing if depth is None else fold(drawing, at_depth(drawing, depth))
    sound(source, drawing)
    for cluster in drawing.clusters:
        assert depth is None or cluster.depth < depth or cluster.around == "repeat"
    for vertex in drawing.vertices:
        assert (vertex.value is None) == (vertex.kind in ("op", "module"))
    assert fold(drawing, at_depth(drawing, 7)) == drawing


@settings(max_examples=100)
@given(drawings(), st.data())
def test_whatever_is_folded(source: Drawing, data: Any) -> None:
    drawing = source
    for _ in range(2):  # folding what is folded already as well
        closed = data.draw(st.sets(st.sampled_from(range(len(drawing.clusters))))) if drawing.clusters else set()
        inner = {i for i, c in enumerate(drawing.clusters) if _is_in(drawing, i, closed)}
        assert fold(drawing, closed) == fold(drawing, inner)
        drawing = fold(drawing, closed)
        sound(source, drawing)
        sound(source, unbox(drawing))
        assert unbox(unbox(drawing)) == unbox(drawing)


def _is_in(drawing: Drawing, position: int | None, closed: set[int]) -> bool:
    while position is not None:
        if position in closed:
            return True
        position = drawing.clusters[position].parent
    return False


def test_a_weight_used_before_its_module_ran_stays_outside_of_the_box() -> None:
    pen = Pen()
    x = pen.leaf()
    weight = pen.leaf("parameter", "w", 6, cluster=0)
    before = pen.op("matmul", x, weight)
    pen.enter("Linear", "fc", 6)
    pen.output(pen.op("tanh", pen.op("matmul", before, weight)))
    folded = fold(pen.drawing, {0})
    sound(pen.drawing, folded)
    assert [(v.kind, v.title) for v in folded.vertices] == [
        ("input", "x"),
        ("parameter", "w"),
        ("op", "matmul"),
        ("module", "fc · Linear"),
        ("output", "output"),
    ]


def test_clusters_nested_three_thousand_deep() -> None:
    pen = Pen()
    x = pen.leaf()
    for i in range(3000):
        pen.enter("Deep", str(i))
        x = pen.op("tanh", x)
    pen.output(x)
    drawing = pen.drawing
    assert len(fold(drawing, at_depth(drawing, 10)).vertices) == 13
    assert len(unbox(drawing).clusters) == 2999
    assert len(fold(drawing, within(drawing, 50)).vertices) <= 50


# -- a budget ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MAKE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("budget", [1, 10, 30, 60, 200, 10_000])
def test_a_budget_is_kept_where_modules_allow(make: Any, budget: int) -> None:
    drawing = unbox(build(make()))
    least = len(fold(drawing, at_depth(drawing, 0)).vertices)
    closed = within(drawing, budget)
    count = len(fold(drawing, closed).vertices)
    assert count <= max(budget, least)
    assert closed == within(drawing, budget)
    if budget == 10_000:
        assert not closed


def test_more_budget_opens_more() -> None:
    drawing = unbox(build(models.resnet50()))
    counts = [len(fold(drawing, within(drawing, budget)).vertices) for budget in (1, 10, 60, 200, 500, 10_000)]
    assert counts == sorted(counts)
    assert counts[-1] == len(drawing.vertices)


@settings(max_examples=80)
@given(drawings(), st.integers(1, 40))
def test_modules_alike_are_opened_together(drawing: Drawing, budget: int) -> None:
    closed = within(drawing, budget)
    sound(drawing, fold(drawing, closed))
    reached = [i for i, c in enumerate(drawing.clusters) if c.parent is None or c.parent not in closed]
    content = [0] * len(drawing.clusters)
    ops = [0] * len(drawing.clusters)
    for vertex in drawing.vertices:
        if vertex.cluster is not None:
            ops[vertex.cluster] += vertex.kind == "op"
    for cluster in drawing.clusters:
        if cluster.parent is not None:
            content[cluster.parent] += 1
    layers = [i for i in reached if ops[i] == 1 and not content[i]]
    assert len({i in closed for i in layers}) <= 1
    others: dict[tuple[int, str], set[bool]] = {}
    for i in reached:
        if i not in layers:
            others.setdefault((drawing.clusters[i].depth, drawing.clusters[i].type), set()).add(i in closed)
    assert all(len(found) == 1 for found in others.values())
    if any(i not in closed for i in layers):
        assert not closed


# -- runs ----------------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(drawings(), st.integers(1, 30))
def test_runs_of_ops_are_sound(source: Drawing, budget: int) -> None:
    drawing = in_runs(source, budget)
    sound(source, drawing)
    assert drawing == in_runs(source, budget)


def test_runs_say_what_they_hold() -> None:
    y: Any = leaf(3)
    for i in range(400):
        y = y * (1 + i) if i % 2 else np.tanh(y)
    source = build(y)
    boxes = [v.title for v in in_runs(source, 10).vertices if v.kind == "module"]
    assert set(boxes) == {"tanh ×40, × ×40"}
    words = [np.sin, np.cos, np.exp, np.square, np.tanh, lambda y: y[1:]]
    y = leaf(900)
    for i in range(600):
        y = words[i % 6](y)
    (first, *_) = [v.title for v in in_runs(build(y), 10).vertices if v.kind == "module"]
    assert first == "sin ×20, cos ×20, exp ×20, square ×20, …"


def test_a_flat_graph_in_runs() -> None:
    pen = Pen()
    x = pen.leaf()
    for _ in range(2000):
        x = pen.op("matmul", x, pen.leaf("parameter", "w", 6))
    pen.output(x)
    drawing = in_runs(pen.drawing, 60)
    sound(pen.drawing, drawing)
    boxes = [v for v in drawing.vertices if v.kind == "module"]
    assert (len(boxes), len(drawing.vertices)) == (30, 32)  # what goes in and what comes out stay
    assert {v.title for v in boxes} == {"matmul ×67", "matmul ×57"}
    assert sum(v.parameters for v in boxes) == 2000 * 6


def test_what_several_runs_use_is_drawn_once_beside_them() -> None:
    pen = Pen()
    x = pen.leaf()
    shared = pen.leaf("parameter", "shared", 6)
    for _ in range(200):
        x = pen.op("matmul", x, shared)
    pen.output(x)
    drawing = in_runs(pen.drawing, 20)
    sound(pen.drawing, drawing)
    assert [v.title for v in drawing.vertices if v.kind == "parameter"] == ["shared"]
    assert len([e for e in drawing.edges if drawing.vertices[e.tail].title == "shared"]) == 10


def test_few_ops_are_in_no_runs() -> None:
    drawing = build(GRAPHS["xor"]())
    assert in_runs(drawing, 60) is drawing
