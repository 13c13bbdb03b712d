"""The drawing as plain data, and the passes that turn one drawing into another."""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import Any

import pytest

from tapenet.drawing.build import build
from tapenet.drawing.folding import at_depth, fold, unbox
from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tests.drawing.graphs import GRAPHS

A = Value((2, 3), "f32")
B = Value((4,), "f64")


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


def test_values_and_clusters_in_words() -> None:
    assert [str(v) for v in (A, B, Value((), "bool"), Value((0, 1), "i8"))] == [
        "2×3 f32",
        "4 f64",
        "scalar bool",
        "0×1 i8",
    ]
    outer, inner = nested().clusters
    assert (outer.title, outer.place) == ("Net", "Net")
    deeper = Cluster("0", "Linear", "layers.0", 1, 2)
    assert (inner.title, inner.place, deeper.title, deeper.place) == (
        "inner: Inner",
        "inner: Inner",
        "0: Linear",
        "layers.0: Linear",
    )


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
        ("module", "inner: Inner", 0),
        ("op", "sum", None),
        ("output", "output", None),
    ]
    assert ways(folded) == [
        ("x", "@", A, None, "x"),
        ("W", "@", B, None, "y"),
        ("x", "inner: Inner", A, None, ""),
        ("@", "inner: Inner", A, None, ""),
        ("inner: Inner", "sum", A, None, "x"),
        ("inner: Inner", "sum", B, None, "y"),
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


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("depth", [None, 0, 1, 2])
def test_drawings_are_sound_and_without_circles(name: str, depth: int | None) -> None:
    drawing = build(GRAPHS[name]())
    drawing = unbox(drawing if depth is None else fold(drawing, at_depth(drawing, depth)))
    count = len(drawing.vertices)
    graph: dict[int, set[int]] = {i: set() for i in range(count)}
    for edge in drawing.edges:
        graph[edge.head].add(edge.tail)
    order = list(TopologicalSorter(graph).static_order())  # raises where there is a circle
    assert sorted(order) == list(range(count))
    for i, cluster in enumerate(drawing.clusters):
        parent = -1 if cluster.parent is None else cluster.parent
        assert parent < i
        assert cluster.depth == (0 if cluster.parent is None else drawing.clusters[parent].depth + 1)
        assert depth is None or cluster.depth < depth
    for vertex in drawing.vertices:
        assert vertex.cluster is None or vertex.cluster < len(drawing.clusters)
        assert (vertex.value is None) == (vertex.kind in ("op", "module"))
