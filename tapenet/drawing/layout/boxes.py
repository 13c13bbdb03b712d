"""The lines of text in a box, and how large that makes it."""

from __future__ import annotations

from tapenet.drawing.layout.placed import Line
from tapenet.drawing.metrics import room
from tapenet.drawing.model import Cluster, Vertex
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
    names = vertex.title.count("\n") + 1
    lines = [Line(clean(text, LETTERS), TITLE if i < names else SMALL, False) for i, text in enumerate(vertex.lines)]
    if vertex.kind == "module":
        lines[0] = lines[0]._replace(bold=True)
    return tuple(lines)


def box_size(vertex: Vertex, lines: tuple[Line, ...]) -> tuple[float, float]:
    """Width and height of a box: an op that is written with one sign stands in a circle."""
    if vertex.round:
        return _ROUND, _ROUND
    width, height = _NARROWEST, _ABOVE
    for line in lines:
        width = max(width, room(line.text, line.size, line.bold) + _BESIDE)
        height += _LEADING[line.size]
    return float(-(-width // 1)), height


def cluster_lines(cluster: Cluster) -> tuple[Line, ...]:
    """The title of a cluster, in more than one line where it is long: arrows pass beside it.

    >>> [line.text for line in cluster_lines(Cluster("blocks", "Block", count=12, each=7_087_872, parameters=85_054_464))]
    ['blocks · Block ×12 · 7,087,872 each']
    """
    lines: list[Line] = []
    for part in cluster.heading.split(" · "):
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
