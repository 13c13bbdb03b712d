"""The lines of text in a box, and how large that makes it."""

from __future__ import annotations

from tapenet.drawing.layout.placed import Line
from tapenet.drawing.metrics import room
from tapenet.drawing.model import Cluster, Drawing, Edge, Vertex
from tapenet.drawing.text import clean

#: Sizes of type, in points: names of boxes, what is said besides, on arrows, and above clusters.
TITLE, SMALL, LABEL, HEADING = 12.0, 10.0, 9.5, 11.0
#: How many letters a line has at most.
LETTERS = 64
#: Room beside the text of a box, on both sides together, and above and below it.
_BESIDE, _ABOVE = 18.0, 9.0
_LEADING = {TITLE: 15.0, SMALL: 13.0}
#: How wide a line of a cluster's title is at most, if it can be divided.
_WIDE = 220.0
_NARROWEST, _ROUND = 28.0, 24.0


def vertex_lines(vertex: Vertex) -> tuple[Line, ...]:
    """The text of a box.

    >>> from tapenet.drawing.model import Value
    >>> [line.text for line in vertex_lines(Vertex("parameter", "weight", Value((3, 2), "f32"), 6))]
    ['weight', '3×2 f32 · 6']
    """
    lines = [Line(clean(text, LETTERS), TITLE, False) for text in vertex.title.split("\n")]
    small = []
    if vertex.value is not None:
        # The length of a vector is its number of parameters.
        count = f" · {vertex.parameters:,}" if vertex.parameters and len(vertex.value.shape) > 1 else ""
        small.append(f"{vertex.value}{count}")
    elif vertex.parameters:
        small.append(f"{vertex.parameters:,} parameter{'s' if vertex.parameters != 1 else ''}")
    if vertex.sign == "changed":
        small += [detail for detail in vertex.details[:1] if detail.startswith("was ")]
    if vertex.kind == "module":
        lines[0] = lines[0]._replace(bold=True)
    return (*lines, *(Line(clean(text, LETTERS), SMALL, False) for text in small))


def box_size(vertex: Vertex, lines: tuple[Line, ...]) -> tuple[float, float]:
    """Width and height of a box: an op that is written with one sign stands in a circle."""
    if is_round(vertex):
        return _ROUND, _ROUND
    width, height = _NARROWEST, _ABOVE
    for line in lines:
        width = max(width, room(line.text, line.size, line.bold) + _BESIDE)
        height += _LEADING[line.size]
    return float(-(-width // 1)), height


def is_round(vertex: Vertex) -> bool:
    """Whether a box is a circle.

    >>> is_round(Vertex("op", "+")), is_round(Vertex("op", "tanh"))
    (True, False)
    """
    return vertex.kind == "op" and len(vertex.title) == 1


def cluster_lines(cluster: Cluster) -> tuple[Line, ...]:
    """The title of a cluster, in more than one line where it is long: arrows pass beside it.

    >>> [line.text for line in cluster_lines(Cluster("blocks", "Block", count=12, each=7_087_872, parameters=85_054_464))]
    ['blocks: Block ×12 · 7,087,872 each']
    """
    lines: list[Line] = []
    for part in cluster.title.split(" · "):
        whole = f"{lines[-1].text} · {part}" if lines else part
        size, bold = (HEADING, True) if len(lines) < 2 else (SMALL, False)
        if lines and room(whole, size, bold) < _WIDE:
            lines[-1] = Line(whole, *lines[-1][1:])
        elif part:
            lines.append(Line(clean(part, LETTERS), *((SMALL, False) if lines else (HEADING, True))))
    return tuple(lines)


def head_height(lines: tuple[Line, ...]) -> float:
    """How high the title of a cluster is, with room above and below it."""
    return 4 + HEADING + 9 + _LEADING[SMALL] * (len(lines) - 1) if lines else 0.0


def edge_texts(drawing: Drawing) -> list[str]:
    """What stands on the arrows, by position of the edge; "" for nothing."""
    results: dict[int, set[int | None]] = {}
    for edge in drawing.edges:
        if edge.flow == "value":
            results.setdefault(edge.tail, set()).add(edge.result)
    return [_edge_text(drawing, edge, len(results.get(edge.tail, ())) > 1) for edge in drawing.edges]


def _edge_text(drawing: Drawing, edge: Edge, several: bool) -> str:
    if edge.flow == "carry":
        return "next"
    if edge.flow != "value":
        return ""
    tail, head = drawing.vertices[edge.tail], drawing.vertices[edge.head]
    words = [] if edge.stretched is None else [f"→ {'×'.join(map(str, edge.stretched))}"]
    if tail.value is None and head.value is None:  # else it stands in one of the boxes
        if edge.arrays > 1:
            return f"{edge.arrays:,} arrays"
        words.insert(0, f"[{edge.result}] {edge.value}" if several and edge.result is not None else str(edge.value))
    return " ".join(words)
