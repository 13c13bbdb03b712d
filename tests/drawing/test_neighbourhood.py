"""A part of a drawing: what is kept, and where it is cut."""

from __future__ import annotations

import pytest

from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tapenet.drawing.passes.neighbourhood import STUB, neighbourhood

A = Value((2, 3), "f32")


def chain(length: int) -> Drawing:
    return Drawing([Vertex("op", str(i)) for i in range(length)], [Edge(i, i + 1, A) for i in range(length - 1)], [])


def titles(drawing: Drawing) -> list[str]:
    return [vertex.title for vertex in drawing.vertices]


def ways(drawing: Drawing) -> list[str]:
    return [f"{drawing.vertices[e.tail].title} {drawing.vertices[e.head].title}" for e in drawing.edges]


def test_a_small_drawing_stays_whole() -> None:
    drawing = chain(5)
    assert neighbourhood(drawing, [2]) == drawing


@pytest.mark.parametrize(("limit", "kept"), [(1, "4"), (2, "34"), (3, "345"), (6, "123456")])
def test_the_nearest_are_kept_up_to_the_limit(limit: int, kept: str) -> None:
    part = neighbourhood(chain(9), [4], limit)
    assert titles(part) == [STUB, *kept, STUB]
    assert len(part.edges) == limit + 1
    assert titles(neighbourhood(chain(9), [0, 8], 2)) == ["0", STUB, "8", STUB]


def test_one_stub_stands_for_all_that_is_cut_on_a_side() -> None:
    vertices = [Vertex("op", name) for name in "abcdxyz"]
    edges = [Edge(i, 4, A, 1, "arg") for i in range(4)] + [Edge(4, 5, A, 0, "left"), Edge(4, 6, A, 1, "right")]
    part = neighbourhood(Drawing(vertices, edges, []), [4], limit=1)
    assert ways(part) == [f"{STUB} x", f"x {STUB}"]
    assert part.edges[0]._replace(tail=0, head=0) == Edge(0, 0, A, None, "arg")
    assert part.edges[1]._replace(tail=0, head=0) == Edge(0, 0, A, 0, "")
    assert [v.details for v in part.vertices if v.title == STUB] == [("4 boxes left out",), ("2 boxes left out",)]


def test_clusters_with_something_in_them_are_kept() -> None:
    clusters = [Cluster("", "Net"), Cluster("a", "A", parent=0, depth=1), Cluster("b", "B", parent=0, depth=1)]
    clusters.append(Cluster("c", "C", parent=2, depth=2))
    vertices = [Vertex("op", "f", cluster=1), Vertex("op", "g", cluster=3), Vertex("op", "h")]
    part = neighbourhood(Drawing(vertices, [Edge(0, 1, A), Edge(1, 2, A)], clusters), [1], limit=1)
    assert [(c.name, c.parent) for c in part.clusters] == [("", None), ("b", 0), ("c", 1)]
    assert [v.cluster for v in part.vertices] == [None, 2, None]


def test_long_chains() -> None:
    assert len(neighbourhood(chain(20_000), [10_000], 15_000).vertices) == 15_002
