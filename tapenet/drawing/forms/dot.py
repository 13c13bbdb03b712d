"""A drawing as text in DOT, the language of Graphviz, for programs that read it. Pictures have a layout of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tapenet.drawing.model import Drawing, Edge, counted_parameters
from tapenet.drawing.style import BORDERS, LIGHT, SIGNED, Palette, Stroke, ink_on
from tapenet.drawing.text import label, tooltip

_GRAPH = {"fontname": "Helvetica", "fontsize": "11", "pad": "0.15", "nodesep": "0.25", "ranksep": "0.3"}
_NODE = {
    "fontname": "Helvetica",
    "fontsize": "11",
    "shape": "box",
    "style": "rounded,filled",
    "height": "0.3",
    "width": "0.4",
    "margin": "0.12,0.05",
}
_EDGE = {"fontname": "Helvetica", "fontsize": "9", "arrowsize": "0.6"}
# A sign of one character, as people write it: in a circle.
_CIRCLE = {"shape": "circle", "margin": "0.02", "width": "0.32"}
_TOOLTIP = 400


def to_dot(drawing: Drawing, direction: str = "TB", title: str = "", palette: Palette = LIGHT) -> str:
    """DOT text of a drawing: the same for the same drawing, byte for byte.

    Args:
        drawing: what to write.
        direction: where arrows point: "TB" (down), "LR" (right), "BT" or "RL".
        title: above it.
        palette: its colours.

    >>> print(to_dot(Drawing([], [], [])).splitlines()[0])
    digraph tapenet {
    """
    return "".join(f"{line}\n" for line in _Writer(drawing, direction, title, palette).lines())


class _Writer:
    """Writes one drawing. Vertices are called n0, edges e0, clusters cluster_0."""

    def __init__(self, drawing: Drawing, direction: str, title: str, palette: Palette) -> None:
        self.drawing = drawing
        self.direction = direction
        self.title = title
        self.palette = palette
        #: The side of a cluster that is above in the picture: Graphviz turns it around with the direction.
        self.above = "b" if direction == "BT" else "t"
        self.labels = drawing.labels()

    def lines(self) -> Iterator[str]:
        colours = self.palette
        graph = {"rankdir": self.direction, **_GRAPH, "fontcolor": colours.muted, "bgcolor": colours.paper}
        yield "digraph tapenet {"
        if self.title:
            yield f"  graph {_attributes(graph | {'labelloc': 't'}, label=label(self.title))}"
        else:
            yield f"  graph {_attributes(graph)}"
        yield f"  node {_attributes({**_NODE, 'fontcolor': colours.ink})}"
        yield f"  edge {_attributes({**_EDGE, 'fontcolor': colours.muted, 'color': colours.line})}"
        yield from self.boxes()
        yield from (f"  n{edge.tail} -> n{edge.head} {self.edge(i, edge)}" for i, edge in enumerate(self.drawing.edges))
        yield "}"

    def boxes(self) -> Iterator[str]:
        """The vertices, within their clusters."""
        for at, inside in self.drawing.nested():
            indent = "" if at is None else "  " * (self.drawing.clusters[at].depth + 1)
            if inside is None:
                yield f"{indent}}}"
                continue
            if at is not None:
                yield f"{indent}subgraph cluster_{at} {{"
                yield f"{indent}  graph {self.cluster(at)}"
            yield from (f"{indent}  n{i} {self.vertex(i)}" for i in inside)

    def edge(self, i: int, edge: Edge) -> str:
        colour, stroke = self.palette.arrow(edge)
        plain = {"id": f"e{i}", "color": colour} | _drawn(stroke)
        if edge.flow in ("gradient", "carry", "exchange"):
            plain["constraint"] = "false"
        if edge.flow == "exchange":
            plain["dir"] = "both"
        if edge.flow == "order":
            plain["style"] = "invis"
        texts = {"tooltip": _tooltip(edge.told(self.drawing.vertices))}
        if self.labels[i]:
            texts["label"] = label(f" {self.labels[i]}")
        return _attributes(plain, **texts)

    def cluster(self, position: int) -> str:
        cluster, palette = self.drawing.clusters[position], self.palette
        plain = {  # all of it, since clusters take after the one around them
            "id": f"cluster_{position}",
            "style": "rounded,filled" + ",dashed" * (cluster.around in ("repeat", "kernel")),
            "penwidth": "2" if cluster.sign else "1",
            "fontsize": "11",
            "labeljust": "l",
            "labelloc": self.above,
            "color": palette.signs[cluster.sign] if cluster.sign else palette.border,
            "fontcolor": palette.muted,
            "fillcolor": cluster.fill or palette.cluster(cluster.depth),
        }
        details = [cluster.place, *_count(cluster.parameters)]
        return _attributes(plain, label=label(cluster.heading), tooltip=_tooltip(details))

    def vertex(self, position: int) -> str:
        vertex, palette = self.drawing.vertices[position], self.palette
        details = [*vertex.details, *_count(vertex.parameters)]
        fill, border = palette.kinds[vertex.kind]
        stroke = BORDERS.get(vertex.kind)
        plain = {"id": f"n{position}", "fillcolor": vertex.fill or fill, "color": border}
        if vertex.fill:
            plain["fontcolor"] = ink_on(vertex.fill)
        if vertex.round:
            plain |= _CIRCLE
        if vertex.sign:
            plain["color"], stroke = palette.signs[vertex.sign], SIGNED[vertex.sign]
        if stroke is not None:
            plain |= {key: "rounded,filled," * (key == "style") + value for key, value in _drawn(stroke).items()}
        return _attributes(plain, label=label(*vertex.lines), tooltip=_tooltip(details))


def _count(parameters: int) -> list[str]:
    return [counted_parameters(parameters)] if parameters else []


def _drawn(stroke: Stroke) -> dict[str, str]:
    """The attributes of a line; Graphviz knows two kinds of broken ones."""
    found = {"penwidth": f"{stroke.width:g}"}
    if stroke.dashes:
        found["style"] = "dotted" if float(stroke.dashes.split()[0]) <= 2 else "dashed"
    return found


def _tooltip(details: Iterable[str]) -> str:
    return tooltip(" | ".join(details), _TOOLTIP)


def _attributes(plain: Mapping[str, str], **texts: str) -> str:
    """An attribute list: plain values of our own, and texts that are DOT strings already."""
    parts = [f'{key}="{value}"' for key, value in plain.items()]
    parts += [f"{key}={value}" for key, value in texts.items()]
    return f"[{' '.join(parts)}]"
