"""A pass that keeps a part of a drawing, with a stub wherever the rest is cut off."""

from __future__ import annotations

from collections.abc import Iterable

from tapenet.drawing.model import Drawing, Vertex, counted
from tapenet.drawing.passes.folding import without

#: What is left out is drawn as a box with this in it.
STUB = "…"


def neighbourhood(drawing: Drawing, positions: Iterable[int], limit: int = 12) -> Drawing:
    """The vertices at some positions and the nearest ones that lead to them or use them, up to `limit` in all.

    Where edges are cut, one stub at each box stands for what they lead to, or come from.

    >>> from tapenet.drawing.model import Edge, Value
    >>> chain = Drawing([Vertex("op", f"f{i}") for i in range(9)], [Edge(i, i + 1, Value((), "f32")) for i in range(8)], [])
    >>> [vertex.title for vertex in neighbourhood(chain, [4], limit=3).vertices]
    ['…', 'f3', 'f4', 'f5', '…']
    """
    kept = _nearest(drawing, positions, limit)
    before: dict[int, set[int]] = {}  # of a vertex: those left out that it uses, and
    after: dict[int, set[int]] = {}  # those that use it
    for edge in drawing.edges:
        if edge.head in kept and edge.tail not in kept:
            before.setdefault(edge.head, set()).add(edge.tail)
        if edge.tail in kept and edge.head not in kept:
            after.setdefault(edge.tail, set()).add(edge.head)
    used = drawing.enclosing(drawing.vertices[position].cluster for position in kept)
    drawing = without(drawing, set(range(len(drawing.clusters))) - used)
    clusters = [cluster._replace(totals="") for cluster in drawing.clusters]  # of the whole
    vertices: list[Vertex] = []
    place: dict[int, int] = {}
    stubs: dict[tuple[int, bool], int] = {}
    for position in sorted(kept):
        if position in before:
            stubs[position, True] = len(vertices)
            vertices.append(_stub(len(before[position])))
        place[position] = len(vertices)
        vertices.append(drawing.vertices[position])
    for position in sorted(after):
        stubs[position, False] = len(vertices)
        vertices.append(_stub(len(after[position])))
    edges = []
    for edge in drawing.edges:
        if edge.head in kept and edge.tail in kept:
            edges.append(edge._replace(tail=place[edge.tail], head=place[edge.head]))
        elif edge.head in kept and (stub := stubs.pop((edge.head, True), None)) is not None:
            edges.append(edge._replace(tail=stub, head=place[edge.head], result=None))
        elif edge.tail in kept and (stub := stubs.pop((edge.tail, False), None)) is not None:
            edges.append(edge._replace(tail=place[edge.tail], head=stub, argument=""))
    return Drawing(vertices, edges, clusters, drawing.ops)


def _nearest(drawing: Drawing, positions: Iterable[int], limit: int) -> set[int]:
    """The vertices to keep: nearest first, and of equally near ones the earlier."""
    beside: list[list[int]] = [[] for _ in drawing.vertices]
    for edge in drawing.edges:
        beside[edge.head].append(edge.tail)
        beside[edge.tail].append(edge.head)
    ring = sorted(set(positions))
    kept = set(ring)
    while ring and len(kept) < limit:
        ring = sorted({v for position in ring for v in beside[position]} - kept)[: limit - len(kept)]
        kept.update(ring)
    return kept


def _stub(count: int) -> Vertex:
    return Vertex("constant", STUB, details=(f"{counted(count, 'box', 'boxes')} left out",))
