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


def cluster_lines(cluster: Cluster, width: float) -> tuple[Line, ...]:
    """The title of a cluster in lines no wider than this, or than the longest of its parts: arrows pass beside it.

    >>> repeated = Cluster("blocks", "Block", count=12, each=7_087_872, parameters=85_054_464)
    >>> [line.text for line in cluster_lines(repeated, 100)]
    ['blocks · Block ×12', '7,087,872 each']
    """
    parts = [clean(part, LETTERS) for part in cluster.heading.split(" · ") if part]
    if cluster.called and cluster.type:  # name and class stay together
        parts[:2] = [" · ".join(parts[:2])]
    lines: list[Line] = []
    most = max([width, *(room(part, HEADING, i == 0) for i, part in enumerate(parts))])
    for part in parts:
        whole = f"{lines[-1].text} · {part}" if lines else part
        style = (HEADING, True) if len(lines) < 2 else (SMALL, False)
        if lines and room(whole, *style) <= most:
            lines[-1] = Line(whole, *style)
        else:
            lines.append(Line(part, *((SMALL, False) if lines else (HEADING, True))))
    return tuple(lines)


def head_height(lines: tuple[Line, ...]) -> float:
    """How high the title of a cluster is, with room above and below it."""
    return 4 + HEADING + 9 + _LEADING[SMALL] * (len(lines) - 1) if lines else 0.0
