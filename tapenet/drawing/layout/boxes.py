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
#: How wide a line of text is at most where there is room enough.
WHOLE = 1e9
#: Room beside the text of a box, on both sides together, and above and below it.
_BESIDE, _ABOVE = 18.0, 9.0
_LEADING = {TITLE: 15.0, SMALL: 13.0}
_NARROWEST, _ROUND = 28.0, 24.0


def vertex_lines(vertex: Vertex, most: float = WHOLE) -> tuple[Line, ...]:
    """The text of a box, in lines of about this width at most.

    >>> from tapenet.drawing.model import Value
    >>> [line.text for line in vertex_lines(Vertex("parameter", "weight", Value((3, 2), "f32"), 6))]
    ['weight', '3×2 f32 · 6']
    """
    names = vertex.title.count("\n") + 1
    lines: list[Line] = []
    for i, text in enumerate(vertex.lines):
        size = TITLE if i < names else SMALL
        bold = i == 0 and vertex.kind == "module"
        lines += [Line(part, size, bold) for part in wrapped(clean(text, LETTERS), size, bold, most)]
    return tuple(lines)


def wrapped(text: str, size: float, bold: bool, most: float) -> list[str]:
    """A text in lines of this width, broken where a reader pauses, and else between words.

    >>> wrapped("max pool 3×3, stride 1, padding 1", 12, False, 130)
    ['max pool 3×3,', 'stride 1, padding 1']
    >>> wrapped("AdamW, betas 0.9, 0.999", 10, False, 90), wrapped("w 784×100 · 78,400", 10, False, 80)
    (['AdamW,', 'betas 0.9, 0.999'], ['w 784×100', '78,400'])
    """
    if room(text, size, bold) <= most:
        return [text]
    parts: list[str] = []
    before = ""
    for word in text.split(" "):
        listed = before[0:1].isdigit() and word[0:1].isdigit()  # as in "0.9, 0.999"
        if not parts or before == "·" or (before.endswith(",") and not listed):
            parts.append(word)
        else:
            parts[-1] += f" {word}"
        before = word
    lines = [""]
    for part in parts:
        for word in [part] if room(part, size, bold) <= most else part.split(" "):
            whole = f"{lines[-1]} {word}" if lines[-1] else word
            if not lines[-1] or room(whole, size, bold) <= most:
                lines[-1] = whole
            elif word != "·":
                lines[-1] = lines[-1].removesuffix(" ·")
                lines.append(word)
    return lines


def box_size(vertex: Vertex, lines: tuple[Line, ...]) -> tuple[float, float]:
    """Width and height of a box: an op that is written with one sign stands in a circle."""
    if vertex.round:
        return _ROUND, _ROUND
    width, height = _NARROWEST, _ABOVE
    for line in lines:
        width = max(width, room(line.text, line.size, line.bold) + _BESIDE)
        height += _LEADING[line.size]
    return float(-(-width // 1)), height


def cluster_lines(cluster: Cluster, width: float, most: float = WHOLE) -> tuple[Line, ...]:
    """The title of a cluster in lines no wider than this, or than the longest of its parts: arrows pass beside it. Name and
    class are one part if they are no wider than `most`.

    >>> repeated = Cluster("blocks", "Block", count=12, each=7_087_872, parameters=85_054_464)
    >>> [line.text for line in cluster_lines(repeated, 100)]
    ['blocks · Block ×12', '7,087,872 each']
    """
    parts = [clean(part, LETTERS) for part in cluster.heading.split(" · ") if part]
    named = " · ".join(parts[:2])
    if cluster.called and cluster.type and room(named, HEADING, True) <= most:
        parts[:2] = [named]
    lines: list[Line] = []
    widest = max([width, *(room(part, HEADING, i == 0) for i, part in enumerate(parts))])
    for part in parts:
        whole = f"{lines[-1].text} · {part}" if lines else part
        style = (HEADING, True) if len(lines) < 2 else (SMALL, False)
        if lines and room(whole, *style) <= widest:
            lines[-1] = Line(whole, *style)
        else:
            lines.append(Line(part, *((SMALL, False) if lines else (HEADING, True))))
    return tuple(lines)


def head_height(lines: tuple[Line, ...]) -> float:
    """How high the title of a cluster is, with room above and below it."""
    return 4 + HEADING + 9 + _LEADING[SMALL] * (len(lines) - 1) if lines else 0.0
