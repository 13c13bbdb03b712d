"""What is wrong with a drawing that was laid out, counted from what is to be drawn alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from tapenet.drawing.layout.boxes import LABEL, head_height
from tapenet.drawing.layout.placed import Box, Label, Placed
from tapenet.drawing.metrics import room
from tapenet.drawing.model import Edge
from tests.drawing.areas import Area, Point, cross, meets, overlap, within


def flaws(placed: Placed) -> Iterator[str]:
    """Each thing that stands where it should not."""
    boxes, clusters = [*map(_area, placed.boxes)], [*map(_area, placed.clusters)]
    titles = [_title(box) for box in placed.clusters if box.lines]
    labels = {i: _text(way.label) for i, way in enumerate(placed.ways) if way.label is not None}
    yield from _boxes(placed, boxes, clusters)
    for box, title in zip([box for box in placed.clusters if box.lines], titles, strict=True):
        if not within(title, _area(box)):
            yield f"the title {box.lines[0].text!r} leaves its cluster"
    for box, vertex in zip(placed.boxes, placed.drawing.vertices, strict=True):
        if max(room(line.text, line.size, line.bold) for line in box.lines) > box.width:
            yield f"the text of {vertex.title!r} leaves its box"
    whole = (0.0, 0.0, placed.width, placed.height)
    if not all(within(area, whole) for area in (*boxes, *clusters, *labels.values())):
        yield "something stands outside of the picture"
    yield from _ways(placed, boxes, titles, labels)
    for (i, a), (j, b) in combinations(labels.items(), 2):
        if overlap(a, b):
            yield f"the labels of edges {i} and {j} overlap"
    for i, label in labels.items():
        if any(overlap(label, area) for area in (*boxes, *titles)):
            yield f"the label of edge {i} stands on a box or a title"
        for left, top, right, bottom in clusters:
            corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
            if any(meets(label, a, b) for a, b in pairwise(corners)):
                yield f"the label of edge {i} stands on the border of a cluster"


def crossings(placed: Placed) -> int:
    """How often arrows cross. Those that end at another one, or go the same way, do not."""
    pieces = [(i, a, b) for i, way in enumerate(placed.ways) for a, b in pairwise(way.points)]
    return sum(i != j and cross(a, b, c, d) for (i, a, b), (j, c, d) in combinations(pieces, 2))


def unlabelled(placed: Placed) -> list[int]:
    """The edges whose array has a label nowhere."""
    edges = placed.drawing.edges
    written = {(edges[i].tail, edges[i].result) for i, way in enumerate(placed.ways) if way.label is not None}
    texts = placed.drawing.labels()
    return [i for i, text in enumerate(texts) if text and (edges[i].tail, edges[i].result) not in written]


def spine(placed: Placed) -> list[int]:
    """The main chain: from the last result back, along the longest way that takes no shortcut."""
    comes = {head: [e for e in edges if not e.skip] for head, edges in placed.drawing.by("head").items()}
    found = [len(placed.boxes) - 1]
    while found[-1] in comes:
        x, y = middle(placed, found[-1])
        tails = [(e.tail, placed.drawing.vertices[e.tail]) for e in comes[found[-1]]]
        made = [t for t, vertex in tails if vertex.kind in ("op", "module") and "shortcut" not in str(vertex)]
        given = [t for t, vertex in tails if vertex.kind == "input"]
        if not (made or given):
            break
        near = {t: -abs(middle(placed, t)[0] - x) - abs(middle(placed, t)[1] - y) for t in made or given}
        found.append(max(near, key=lambda t: (_longest(comes, t), near[t])))
    return found


def middle(placed: Placed, i: int) -> Point:
    """The middle of a box."""
    box = placed.boxes[i]
    return box.x + box.width / 2, box.y + box.height / 2


def _longest(comes: dict[int, list[Edge]], vertex: int) -> int:
    """How many edges there are on the longest way to a vertex."""
    return max((1 + _longest(comes, edge.tail) for edge in comes.get(vertex, ())), default=0)


def _boxes(placed: Placed, boxes: list[Area], clusters: list[Area]) -> Iterator[str]:
    vertices, nested = placed.drawing.vertices, placed.drawing.clusters
    for i, j in combinations(range(len(boxes)), 2):
        if overlap(boxes[i], boxes[j]):
            yield f"the boxes {vertices[i].title!r} and {vertices[j].title!r} overlap"
    for i, vertex in enumerate(vertices):
        around = placed.drawing.enclosing([vertex.cluster])
        for c, area in enumerate(clusters):
            if overlap(boxes[i], area) if c not in around else not within(boxes[i], area):
                yield f"the box {vertex.title!r} is on the wrong side of the border of {nested[c].title!r}"
    for c, cluster in enumerate(nested):
        around = placed.drawing.enclosing([cluster.parent])
        for other in range(c):
            apart = other not in around
            if overlap(clusters[c], clusters[other]) if apart else not within(clusters[c], clusters[other]):
                yield f"the clusters {cluster.title!r} and {nested[other].title!r} overlap"


def _ways(placed: Placed, boxes: list[Area], titles: list[Area], labels: dict[int, Area]) -> Iterator[str]:
    vertices = placed.drawing.vertices
    for i, (edge, way) in enumerate(zip(placed.drawing.edges, placed.ways, strict=True)):
        if not all(0 <= x <= placed.width and 0 <= y <= placed.height for x, y in way.points):
            yield f"edge {i} leaves the picture"
        for a, b in pairwise(way.points):
            for j, area in enumerate(boxes):
                own = j in (edge.tail, edge.head) and vertices[j].round
                if not own and meets(area, a, b):
                    yield f"edge {i} goes through the box {vertices[j].title!r}"
            if any(meets(area, a, b) for area in titles):
                yield f"edge {i} goes through the title of a cluster"
            for j, area in labels.items():
                if meets(area, a, b):
                    yield f"edge {i} goes through the label of edge {j}"
        if way.points:
            if not _at(way.points[-1], boxes[edge.head]):
                yield f"edge {i} does not arrive"
            if not _at(way.points[0], boxes[edge.tail]) and not edge.skip:  # a skip may begin on another arrow
                yield f"edge {i} does not begin at its box"


def _area(box: Box) -> Area:
    return box.x, box.y, box.x + box.width, box.y + box.height


def _title(box: Box) -> Area:
    wide = max(room(line.text, line.size, line.bold) for line in box.lines)
    return box.x + 6, box.y + 4, box.x + 8 + wide, box.y + head_height(box.lines) - 5


def _text(label: Label) -> Area:
    return label.x, label.y - 0.72 * LABEL, label.x + label.width, label.y + 0.2 * LABEL


def _at(point: Point, area: Area) -> bool:
    """Whether a point is on the border of a box, or of the circle in it."""
    return within((*point, *point), (area[0] - 0.1, area[1] - 0.1, area[2] + 0.1, area[3] + 0.1))
