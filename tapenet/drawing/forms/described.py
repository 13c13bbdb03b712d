"""A drawing in words, for who cannot see it."""

from __future__ import annotations

from tapenet.drawing.model import Drawing, Flow, Kind, Sign, Vertex, counted
from tapenet.drawing.text import clean

#: How many boxes the description tells one by one.
_TOLD = 60

#: What kinds of boxes are called.
KINDS: dict[Kind, str] = {
    "op": "op",
    "module": "module",
    "parameter": "parameter",
    "input": "input",
    "constant": "number",
    "output": "output",
    "update": "optimizer's step",
}
#: What kinds of arrows are called; those of values need no words.
FLOWS: dict[Flow, str] = {
    "gradient": "gradient",
    "update": "new value",
    "carry": "to the next repetition",
    "exchange": "exchange of ranks",
}
SKIPPED, CUT = "skip connection", "no gradient goes back"
#: What signs are called.
SIGNS: dict[Sign, str] = {
    "trouble": "not finite",
    "dead": "no gradient",
    "added": "added",
    "removed": "removed",
    "changed": "changed",
}


def description(drawing: Drawing) -> str:
    """A drawing in words, box by box in order, as a screen reader would tell it."""
    vertices = drawing.vertices
    comes_from = drawing.by("head")
    told = []
    for position, vertex in enumerate(vertices):
        if vertex.kind in ("op", "module", "output") or vertex.sign:
            sources = ", ".join(words(vertices[t]) for t in dict.fromkeys(e.tail for e in comes_from.get(position, ())))
            told.append((f"{words(vertex)} of {sources}" if sources else words(vertex)) + _sign(vertex))
    counts = f"{counted(len(vertices), 'box', 'boxes')} and {counted(len(drawing.edges), 'arrow')}. "
    more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return counts + "; ".join(told[:_TOLD]) + more + "."


def words(vertex: Vertex) -> str:
    """A box in one line."""
    title = clean(vertex.title.replace("\n", ", "))
    return title if vertex.value is None else f"{title} ({vertex.value})"


def _sign(vertex: Vertex) -> str:
    """The sign of a box in words, with its reason."""
    if not vertex.sign:
        return ""
    word = SIGNS[vertex.sign]
    reason = next(iter(vertex.details), "") if vertex.sign in ("trouble", "dead") and vertex.kind != "module" else ""
    return f" ({clean(reason or word)})"
