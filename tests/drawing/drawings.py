"""Drawings made up for tests of the passes, and what must hold of whatever a pass gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from graphlib import TopologicalSorter
from typing import Any

from hypothesis import strategies as st

from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex

A = Value((2, 3), "f32")


class Pen:
    """Writes a drawing op by op, as `build` does."""

    def __init__(self) -> None:
        self.vertices: list[Vertex] = []
        self.edges: list[Edge] = []
        self.clusters: list[Cluster] = []
        self.at: int | None = None

    def leaf(self, kind: Any = "input", title: str = "x", size: int = 0, cluster: int | None = None) -> int:
        self.vertices.append(Vertex(kind, title, A, size, cluster=cluster, number=len(self.vertices) + 1))
        return len(self.vertices) - 1

    def op(self, name: str, *tails: int | tuple[int, int | None], details: str = "") -> int:
        head = len(self.vertices)
        call = details or f"{name}({len(tails)})"
        self.vertices.append(Vertex("op", name, details=(call,), cluster=self.at, op=name, number=head + 1))
        for i, given in enumerate(tails):
            tail, result = given if isinstance(given, tuple) else (given, None)
            self.edges.append(Edge(tail, head, A, result, f"arrays[{i}]", differentiable=True))
        return head

    def output(self, tail: int, title: str = "output") -> int:
        self.vertices.append(Vertex("output", title, A))
        self.edges.append(Edge(tail, len(self.vertices) - 1, A))
        return len(self.vertices) - 1

    def enter(self, kind: str, name: str = "", parameters: int = 0) -> int:
        depth = 0 if self.at is None else self.clusters[self.at].depth + 1
        path = ".".join(p for p in ("" if self.at is None else self.clusters[self.at].path, name) if p)
        self.clusters.append(Cluster(name, kind, path, self.at, depth, parameters))
        self.at = len(self.clusters) - 1
        return self.at

    def leave(self) -> None:
        assert self.at is not None
        self.at = self.clusters[self.at].parent

    @property
    def drawing(self) -> Drawing:
        return Drawing(self.vertices, self.edges, self.clusters, {})


@st.composite
def drawings(draw: st.DrawFn) -> Drawing:
    """Ops in order of creation with clusters around consecutive ones, few kinds of each, so that some repeat."""
    pen = Pen()
    values = [pen.leaf(), pen.leaf("parameter", "w", 6)]
    for _ in range(draw(st.integers(1, 40))):
        step = draw(st.integers(0, 9))
        if step == 0:
            pen.enter(draw(st.sampled_from("AB")), draw(st.sampled_from("pq")), 6)
            if draw(st.booleans()):
                values.append(pen.leaf("parameter", "w", 6, pen.at))
        elif step == 1 and pen.at is not None:
            pen.leave()
        else:
            recent = st.integers(max(0, len(values) - 4), len(values) - 1)
            tails = draw(st.lists(recent, min_size=1, max_size=3))
            name = draw(st.sampled_from(["tanh", "add", "matmul", "reshape", "getitem"]))
            values.append(pen.op(name, *(values[i] for i in tails)))
    used = {edge.tail for edge in pen.edges}
    for i, vertex in enumerate(list(pen.vertices)):
        if vertex.kind == "op" and i not in used:
            pen.output(i)
    return pen.drawing


Block = Sequence[tuple[str, Sequence[int]]]


def periodic(block: Block, count: int, changed: dict[int, Block] | None = None, *, modules: bool = False) -> Pen:
    """One block after another. The sources of an op: -1 what the block before gave, -2 a parameter of its own, -3 one
    of all, -4 what went into the first block, 0 and more: an op of the block itself. The last op is what it gives."""
    pen = Pen()
    first = pen.leaf()
    shared = pen.leaf("parameter", "shared", 6)
    last = first
    for turn in range(count):
        if modules:
            pen.enter("Block", str(turn), 6)
        own: int | None = None
        made: list[int] = []
        for name, sources in (changed or {}).get(turn, block):
            tails = []
            for source in sources:
                if source == -2 and own is None:
                    own = pen.leaf("parameter", "w", 6, pen.at)
                tails.append({-1: last, -2: own, -3: shared, -4: first}[source] if source < 0 else made[source])
            made.append(pen.op(name, *(t for t in tails if t is not None)))
        last = made[-1]
        if modules:
            pen.leave()
    pen.output(last)
    return pen


@st.composite
def blocks(draw: st.DrawFn) -> list[tuple[str, list[int]]]:
    """A block in which everything is used, and that uses what the block before gave."""
    size = draw(st.integers(1, 5))
    block: list[tuple[str, list[int]]] = []
    for i in range(size):
        extra = draw(st.lists(st.sampled_from([-1, -2, -3, -4, *range(i)]), max_size=2))
        block.append((draw(st.sampled_from(["tanh", "add", "matmul"])), [i - 1 if i else -1, *extra]))
    return block


def sound(source: Drawing, drawing: Drawing, *, circles: bool = False) -> None:
    """Check that nothing of the source is lost or drawn twice, and that the parts fit together."""
    stands_for = Counter(m for i, v in enumerate(drawing.vertices) if v.kind != "update" for m in (v.members or (i,)))
    wanted = [i for i, v in enumerate(source.vertices) if v.kind != "update"]
    assert stands_for == Counter(wanted)
    assert all(not v.members for v in drawing.vertices if v.kind == "update")
    depths: list[int] = []
    for i, cluster in enumerate(drawing.clusters):
        assert cluster.parent is None or 0 <= cluster.parent < i
        depths.append(0 if cluster.parent is None else depths[cluster.parent] + 1)
        assert cluster.depth == depths[-1]
    assert all(v.cluster is None or 0 <= v.cluster < len(drawing.clusters) for v in drawing.vertices)
    for edge in drawing.edges:
        assert 0 <= edge.tail < len(drawing.vertices)
        assert 0 <= edge.head < len(drawing.vertices)
        if edge.flow == "value" and not circles:
            assert edge.tail < edge.head
    without_circle(drawing)


def without_circle(drawing: Drawing) -> None:
    graph: dict[int, set[int]] = {}
    for edge in drawing.edges:
        if edge.flow == "value":
            graph.setdefault(edge.head, set()).add(edge.tail)
    TopologicalSorter(graph).prepare()  # raises where there is a circle


def true_of(source: Drawing, drawing: Drawing, *, rows: bool = False) -> None:
    """Check that each edge of a drawing with one level of repeats is one that can be read off it.

    The turns of what stands for several are its members in order. What each gets by one argument must be the same for
    all, its own, of the same turn, or, along a carry, of the turn before; what each gives must be used of all alike or
    of the last alone. Of `rows` of modules the carry is not drawn.
    """
    at = {m: i for i, v in enumerate(drawing.vertices) for m in (v.members or (i,))}
    turns = {m: t for v in drawing.vertices if v.members for t, m in enumerate(v.members)}
    size = [max(len(v.members), 1) for v in drawing.vertices]
    drawn = {(e.tail, e.head, e.flow) for e in drawing.edges}
    if rows:
        drawn |= {(i, j, "carry") for i in range(len(size)) for j in range(len(size))}
    given: dict[int, list[Edge]] = {}
    uses: dict[int, list[int]] = {}
    for edge in source.edges:
        given.setdefault(edge.head, []).append(edge)
        uses.setdefault(edge.tail, []).append(edge.head)
    backed: set[tuple[int, int]] = set()
    for i, vertex in enumerate(drawing.vertices):
        rows = [given.get(m, []) for m in vertex.members or (i,)]
        assert len({len(row) for row in rows}) == 1
        for column in zip(*rows, strict=True):
            tails = [edge.tail for edge in column]
            backed |= {(at[t], i) for t in tails}
            assert len({(e.value, e.argument, e.result) for e in column}) == 1
            assert _readable(source, tails, at, turns, size, i, drawn), (vertex, tails)
    assert {(edge.tail, edge.head) for edge in drawing.edges} <= backed
    for i, vertex in enumerate(drawing.vertices):
        if vertex.kind == "op" and len(vertex.members) > 1:
            _given_alike(source, vertex, uses, at, turns, i)


def _readable(
    source: Drawing, tails: list[int], at: dict[int, int], turns: dict[int, int], size: list[int], head: int, drawn: Any
) -> bool:
    kinds = {(at[t], head, "value") in drawn for t in tails[:1]}
    if len(set(tails)) == 1:
        return kinds == {True}
    if all(source.vertices[t].kind != "op" for t in tails):  # its own
        return len({at[t] for t in tails}) == 1 and len(set(tails)) == len(tails) and kinds == {True}
    last = at[tails[-1]]
    placed = [turns.get(t, 0) for t in tails]
    if all(at[t] == last for t in tails) and placed == list(range(placed[0], placed[0] + len(tails))):
        return (last, head, "value") in drawn  # turn by turn, beside another stretch
    carried = all(at[t] == last for t in tails[1:]) and placed[1:] == list(range(len(tails) - 1))
    return carried and at[tails[0]] != last and (last, head, "carry") in drawn and size[last] == len(tails)


def _given_alike(
    source: Drawing, vertex: Vertex, uses: dict[int, list[int]], at: dict[int, int], turns: dict[int, int], own: int
) -> None:
    count = len(vertex.members)
    outside: list[list[int]] = []
    for turn, member in enumerate(vertex.members):
        heads = uses.get(member, [])
        group = [h for h in heads if not (turns.get(h) in (turn, turn + 1) and _one_stretch(at[h], own, at, count))]
        outside.append(group)
    if not any(outside[:-1]):
        return
    assert all(outside), (vertex, outside)
    before = outside[0]
    for after in outside[1:]:
        for head in before:
            alike = [
                h for h in after if h == head or (h > head and source.vertices[h][:2] == source.vertices[head][:2])
            ]
            assert alike, (vertex, outside)
        before = after


def _one_stretch(head: int, own: int, at: dict[int, int], count: int) -> bool:
    return sum(1 for place in at.values() if place == head) == count
