"""A drawing as text in DOT, the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tapenet.drawing.forms.render import layout_attributes
from tapenet.drawing.model import Drawing, Edge, Flow, Kind, Sign
from tapenet.drawing.style import LIGHT, Palette, ink_on
from tapenet.drawing.text import caption_label, joined_label, quote, roomy_label, tooltip

DIRECTIONS = ("TB", "LR", "BT", "RL")

_GRAPH = {
    "fontname": "Helvetica",
    "fontsize": "11",
    "pad": "0.15",
    "nodesep": "0.25",
    "ranksep": "0.3",
}
_NODE = {
    "fontname": "Helvetica",
    "fontsize": "11",
    "shape": "box",
    "style": "rounded,filled",
    "height": "0.3",
    "width": "0.4",
    "margin": "0.12,0.05",
}
_EDGE = {
    "fontname": "Helvetica",
    "fontsize": "9",
    "arrowsize": "0.6",
}
_KINDS: Mapping[Kind, Mapping[str, str]] = {
    "constant": {"style": "rounded,filled,dashed"},
    "output": {"penwidth": "1.6"},
    "module": {"penwidth": "1.6"},
}
# A sign of one character, as people write it: in a circle.
_CIRCLE = {"shape": "circle", "margin": "0.02", "width": "0.32", "style": "filled"}
_SIGNS: Mapping[Sign, Mapping[str, str]] = {
    "trouble": {"penwidth": "3"},
    "dead": {"style": "rounded,filled,dotted", "penwidth": "1.6"},
    "added": {"penwidth": "2.6"},
    "removed": {"style": "rounded,filled,dashed", "penwidth": "2"},
    "changed": {"penwidth": "2.6"},
}
_FLOWS: Mapping[Flow, Mapping[str, str]] = {
    "value": {},
    "gradient": {"style": "dashed", "constraint": "false", "arrowsize": "0.5"},
    "update": {"penwidth": "1.4"},
    "carry": {"style": "dashed", "constraint": "false"},
}
#: What the colour of a flow is called in a palette; that of values is the usual one.
_COLOURS: Mapping[Flow, str] = {"gradient": "gradient", "update": "update", "carry": "muted"}
_SKIP = {"penwidth": "2", "weight": "0"}

# All of it said anew, since clusters take after the one around them.
_CLUSTER = {
    "style": "rounded,filled",
    "penwidth": "1",
    "peripheries": "1",
    "fontsize": "11",
    "labeljust": "l",
}

# A gate is a bit of the line itself, as long as the gap that Graphviz leaves between the two pieces.
_GATE = {"label": "", "style": "filled", "fixedsize": "true", "penwidth": "0"}
_GATE_LENGTH = "0.04"

# The weight of the main input of each op, so that the picture has a straight spine, with parameters and skip
# connections beside it. Graphviz itself pulls each cluster together with a weight of 128.
_STRAIGHT = "1000"

_TOOLTIP = 400


class Around(NamedTuple):
    """Text around a picture.

    Attributes:
        title: above it.
        caption: below it.
        legend: entries of a legend below it: a colour's fill and border, what it means, and how the border is drawn if
            it is no plain line.
    """

    title: str = ""
    caption: str = ""
    legend: tuple[tuple[str, ...], ...] = ()


def to_dot(
    drawing: Drawing,
    direction: str = "TB",
    dpi: int | None = None,
    around: Around | None = None,
    palette: Palette = LIGHT,
) -> str:
    """DOT text of a drawing: the same for the same drawing, byte for byte.

    Args:
        drawing: what to write.
        direction: where arrows point: "TB" (down), "LR" (right), "BT" or "RL".
        dpi: pixels to the inch, for a renderer of pixels.
        around: title, caption and legend.
        palette: its colours.

    >>> print(to_dot(Drawing([], [], [])).splitlines()[0])
    digraph tapenet {
    """
    return "".join(f"{line}\n" for line in _Writer(drawing, direction, around or Around(), palette).lines(dpi))


class _Writer:
    """Writes one drawing. Vertices are called n0, edges e0, clusters cluster_0, and gates g0 after their edge."""

    def __init__(self, drawing: Drawing, direction: str, around: Around, palette: Palette) -> None:
        self.drawing = drawing
        self.direction = direction
        self.around = around
        self.palette = palette
        #: The side of a cluster that is above in the picture: Graphviz turns it around with the direction.
        self.above = "b" if direction == "BT" else "t"
        self.gates = _gates(drawing)
        updated = {edge.head for edge in drawing.edges if edge.flow == "update"}
        #: The vertices above whose parameters stands what updates these: a row more to go around.
        self.lower = {edge.head for edge in drawing.edges if edge.tail in updated}
        self.wide = _wide(drawing)
        #: Of each vertex: the last of the ops it follows on, and which of its results are used.
        self.main: dict[int, int] = {}
        self.results: dict[int, set[int | None]] = {}
        for edge in drawing.edges:
            if drawing.vertices[edge.tail].value is None and edge.flow == "value":
                if not edge.skip:
                    self.main[edge.head] = max(edge.tail, self.main.get(edge.head, 0))
                self.results.setdefault(edge.tail, set()).add(edge.result)

    def lines(self, dpi: int | None) -> Iterator[str]:
        colours = self.palette
        graph = {"rankdir": self.direction, **_GRAPH, "fontcolor": colours.muted, "bgcolor": colours.paper}
        graph |= layout_attributes(len(self.drawing.vertices))
        if dpi is not None:
            graph["dpi"] = str(dpi)
        below = caption_label(self.around.caption, self.around.legend)
        yield "digraph tapenet {"
        yield f"  graph {_attributes({**graph, 'labelloc': 'b'}, label=below) if below else _attributes(graph)}"
        yield f"  node {_attributes({**_NODE, 'fontcolor': colours.ink})}"
        yield f"  edge {_attributes({**_EDGE, 'fontcolor': colours.muted, 'color': colours.line})}"
        if self.around.title:
            title = {
                "labelloc": self.above,
                "labeljust": "c",
                "fontsize": "15",
                "fontcolor": colours.ink,
                "peripheries": "0",
            }
            title["bgcolor"] = "transparent"  # else one of its own, over the paper
            yield "  subgraph cluster_title {"
            yield f"  graph {_attributes(title, label=quote(self.around.title))}"
        yield from self.boxes()
        if self.around.title:
            yield "  }"
        for i in range(len(self.drawing.edges)):
            yield from self.edge(i)
        yield "}"

    def boxes(self) -> Iterator[str]:
        """The vertices, within their clusters."""
        gates: dict[int | None, list[int]] = {}
        for i, cluster in self.gates.items():
            gates.setdefault(cluster, []).append(i)
        for at, inside in self.drawing.nested():
            indent = "" if at is None else "  " * (self.drawing.clusters[at].depth + 1)
            if inside is None:
                yield f"{indent}}}"
                continue
            if at is not None:
                yield f"{indent}subgraph cluster_{at} {{"
                yield f"{indent}  graph {self.cluster(at)}"
            yield from (f"{indent}  n{i} {self.vertex(i)}" for i in inside)
            yield from (f"{indent}  g{i} {self.gate(i)}" for i in gates.get(at, ()))

    def edge(self, i: int) -> Iterator[str]:
        """An edge, in two pieces where it goes through a gate."""
        edge = self.drawing.edges[i]
        tail, head = self.drawing.vertices[edge.tail], self.drawing.vertices[edge.head]
        plain = self.stroke(i)
        texts = {"tooltip": self.way(i)}
        start, end = f"n{edge.tail}", f"n{edge.head}"
        if i in self.gates:
            down = {"minlen": "2"} if edge.head in self.lower else {}
            yield f"  g{i} -> {end} {_attributes({**plain, **down, 'tailclip': 'false'}, **texts)}"
            plain |= {"arrowhead": "none", "headclip": "false"}
            end = f"g{i}"
        if tail.value is None and head.value is None and edge.flow == "value":  # else it stands in one of the boxes
            several = len(self.results[edge.tail]) > 1
            texts["label"] = quote(
                f" {_what(edge) if several or edge.arrays > 1 else edge.value} "
            )  # clear of the line
        elif edge.flow == "carry":
            texts["label"] = quote(" next ")
        yield f"  {start} -> {end} {_attributes({'id': f'e{i}', **plain}, **texts)}"

    def stroke(self, i: int) -> dict[str, str]:
        """How the line of an edge is drawn."""
        edge = self.drawing.edges[i]
        straight = i in self.gates or edge.tail == self.main.get(edge.head)
        plain = {"weight": _STRAIGHT} if straight and edge.flow == "value" else {}
        plain.update(_FLOWS[edge.flow])
        if edge.flow in _COLOURS:
            plain["color"] = getattr(self.palette, _COLOURS[edge.flow])
        if edge.skip:
            plain.update(_SKIP, color=self.palette.skip)
        if edge.sign:
            plain.update(color=self.palette.signs[edge.sign], penwidth="2")
        return plain

    def gate(self, i: int) -> str:
        stroke = self.stroke(i)
        thick = f"{float(stroke.get('penwidth', '1')) / 72:.3f}"
        size = (thick, _GATE_LENGTH) if self.direction in ("TB", "BT") else (_GATE_LENGTH, thick)
        plain = {**_GATE, "fillcolor": stroke.get("color", self.palette.line), "width": size[0], "height": size[1]}
        return _attributes(plain, tooltip=self.way(i))

    def way(self, i: int) -> str:
        """The tooltip of an edge: what goes from where to where."""
        edge = self.drawing.edges[i]
        tail, head = (self.drawing.vertices[v].title.replace("\n", ", ") for v in (edge.tail, edge.head))
        way = f"{tail} → {head}"
        return _tooltip((_what(edge), f"{way}: {edge.argument}" if edge.argument else way))

    def cluster(self, position: int) -> str:
        cluster, palette = self.drawing.clusters[position], self.palette
        plain = {
            "id": f"cluster_{position}",
            **_CLUSTER,
            "labelloc": self.above,
            "color": palette.border,
            "fontcolor": palette.muted,
            "fillcolor": palette.clusters[cluster.depth % len(palette.clusters)],
        }
        if cluster.around == "repeat":
            plain["style"] = "rounded,filled,dashed"
        if cluster.fill:
            plain["fillcolor"] = cluster.fill
        if cluster.sign:
            plain |= {"color": palette.signs[cluster.sign], "penwidth": "2"}
        details = (cluster.place, _count(cluster.parameters)) if cluster.parameters else (cluster.place,)
        # Where nothing stands beside the ops, room for the arrow that comes in from above.
        label = roomy_label(cluster.title) if position not in self.wide else quote(cluster.title)
        return _attributes(plain, label=label, tooltip=_tooltip(details))

    def vertex(self, position: int) -> str:
        vertex, palette = self.drawing.vertices[position], self.palette
        lines = vertex.title.split("\n")
        details = list(vertex.details)
        if vertex.value is not None:
            lines.append(str(vertex.value))
            # The length of a vector is its number of parameters.
            if vertex.parameters and len(vertex.value.shape) > 1:
                lines[-1] += f" · {vertex.parameters:,}"
        elif vertex.parameters:
            lines.append(_count(vertex.parameters))
        if vertex.parameters:
            details.append(_count(vertex.parameters))
        if vertex.sign == "changed":
            lines += [detail for detail in vertex.details[:1] if detail.startswith("was ")]
        fill, border = palette.kinds[vertex.kind]
        plain = {"id": f"n{position}", "fillcolor": fill, "color": border, **_KINDS.get(vertex.kind, {})}
        if vertex.kind == "op" and len(vertex.title) == 1:
            plain |= _CIRCLE
        if vertex.fill:
            plain |= {"fillcolor": vertex.fill, "fontcolor": ink_on(vertex.fill)}
        if vertex.sign:
            plain |= {"color": palette.signs[vertex.sign], **_SIGNS[vertex.sign]}
        return _attributes(plain, label=joined_label(lines), tooltip=_tooltip(details))


def _gates(drawing: Drawing) -> dict[int, int]:
    """The edges that go through a gate, and the cluster it is in.

    What comes into a cluster on its way to an op with parameters there is led through a gate beside these.
    Without it the parameters would be level with the op before, and the cluster would stand beside that op;
    with it, clusters stand one below another.
    """
    vertices = drawing.vertices
    fed = set()
    for edge in drawing.edges:
        tail, head = vertices[edge.tail], vertices[edge.head]
        if tail.value is not None and tail.cluster == head.cluster:
            fed.add(edge.head)
    gates = {}
    for i, edge in enumerate(drawing.edges):
        if edge.flow != "value":
            continue
        at, cluster = vertices[edge.tail].cluster, vertices[edge.head].cluster
        if cluster is not None and edge.head in fed:
            while at is not None and at != cluster:
                at = drawing.clusters[at].parent
            if at is None:
                gates[i] = cluster
    return gates


def _wide(drawing: Drawing) -> set[int]:
    """The clusters that hold parameters or inputs beside their ops."""
    return drawing.enclosing(vertex.cluster for vertex in drawing.vertices if vertex.value is not None)


def _what(edge: Edge) -> str:
    if edge.arrays > 1:
        return f"{edge.arrays:,} arrays"
    return str(edge.value) if edge.result is None else f"[{edge.result}] {edge.value}"


def _count(parameters: int) -> str:
    return f"{parameters:,} parameter{'s' if parameters != 1 else ''}"


def _tooltip(details: Iterable[str]) -> str:
    return tooltip(" | ".join(details), _TOOLTIP)


def _attributes(plain: Mapping[str, str], **texts: str) -> str:
    """An attribute list: plain values of our own, and texts that are DOT strings already."""
    parts = [f'{key}="{value}"' for key, value in plain.items()]
    parts += [f"{key}={value}" for key, value in texts.items()]
    return f"[{' '.join(parts)}]"
