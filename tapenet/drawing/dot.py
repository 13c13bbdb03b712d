"""A drawing as text in DOT, the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tapenet.drawing.model import Cluster, Drawing, Edge, Kind, Vertex
from tapenet.drawing.render import layout_attributes
from tapenet.drawing.text import joined_label, quote, tooltip

DIRECTIONS = ("TB", "LR", "BT", "RL")

# Blue, orange and purple of the palette of Okabe and Ito, as tints with a darker border: colour-blind readers
# tell them apart, and in grey print borders and titles do. Every renderer knows the widths of Helvetica.
_INK = "#1f2933"
_MUTED = "#52606d"
_STYLES: Mapping[Kind, Mapping[str, str]] = {
    "op": {"fillcolor": "#ffffff", "color": "#7b8794"},
    "parameter": {"fillcolor": "#dbeaf7", "color": "#0072b2"},
    "input": {"fillcolor": "#fdecc8", "color": "#b86e00"},
    "constant": {"fillcolor": "#ffffff", "color": "#7b8794", "style": "rounded,filled,dashed"},
    "output": {"fillcolor": "#f6e1ee", "color": "#a8447e", "penwidth": "1.6"},
    "module": {"fillcolor": "#e4e7eb", "color": "#52606d", "penwidth": "1.6"},
}

_GRAPH = {
    "fontname": "Helvetica",
    "fontsize": "11",
    "fontcolor": _MUTED,
    "bgcolor": "#ffffff",
    "pad": "0.15",
    "nodesep": "0.25",
    "ranksep": "0.3",
}
_NODE = {
    "fontname": "Helvetica",
    "fontsize": "11",
    "fontcolor": _INK,
    "shape": "box",
    "style": "rounded,filled",
    "height": "0.3",
    "width": "0.4",
    "margin": "0.12,0.05",
}
_EDGE = {
    "fontname": "Helvetica",
    "fontsize": "9",
    "fontcolor": _MUTED,
    "color": "#7b8794",
    "arrowsize": "0.6",
}

_CLUSTER = {"style": "rounded,filled", "color": "#c3cad3", "labeljust": "l"}
_CLUSTER_FILLS = ("#f5f7fa", "#e9edf2")  # in turn, by depth

# A gate is a bit of the line itself, as long as the gap that Graphviz leaves between the two pieces.
_GATE = {"label": "", "style": "filled", "fixedsize": "true", "penwidth": "0", "fillcolor": "#7b8794"}
_GATE_SIZE = ("0.014", "0.04")

# The weight of the main input of each op, so that the picture has a straight spine, with parameters and skip
# connections beside it. Graphviz itself pulls each cluster together with a weight of 128.
_STRAIGHT = "1000"

_TOOLTIP = 400


def to_dot(drawing: Drawing, direction: str = "TB", dpi: int | None = None) -> str:
    """DOT text of a drawing: the same for the same drawing, byte for byte.

    Args:
        drawing: what to write.
        direction: where arrows point: "TB" (down), "LR" (right), "BT" or "RL".
        dpi: pixels to the inch, for a renderer of pixels.

    >>> print(to_dot(Drawing([], [], [])).splitlines()[0])
    digraph tapenet {
    """
    return "".join(f"{line}\n" for line in _Writer(drawing, direction).lines(dpi))


class _Writer:
    """Writes one drawing. Vertices are called n0, clusters cluster_0, and gates g0 after their edge."""

    def __init__(self, drawing: Drawing, direction: str) -> None:
        self.drawing = drawing
        self.direction = direction
        self.gates = _gates(drawing)
        #: Of each vertex: the last of the ops it follows on, and which of its results are used.
        self.main: dict[int, int] = {}
        self.results: dict[int, set[int | None]] = {}
        for edge in drawing.edges:
            if drawing.vertices[edge.tail].value is None:
                self.main[edge.head] = max(edge.tail, self.main.get(edge.head, 0))
                self.results.setdefault(edge.tail, set()).add(edge.result)

    def lines(self, dpi: int | None) -> Iterator[str]:
        graph = {"rankdir": self.direction, **_GRAPH, **layout_attributes(len(self.drawing.vertices))}
        if dpi is not None:
            graph["dpi"] = str(dpi)
        yield "digraph tapenet {"
        yield f"  graph {_attributes(graph)}"
        yield f"  node {_attributes(_NODE)}"
        yield f"  edge {_attributes(_EDGE)}"
        yield from self.boxes()
        for i in range(len(self.drawing.edges)):
            yield from self.edge(i)
        yield "}"

    def boxes(self) -> Iterator[str]:
        """The vertices, within their clusters."""
        inside: dict[int | None, list[str]] = {}  # by cluster: the vertices and gates
        clusters: dict[int | None, list[int]] = {}
        for i, vertex in enumerate(self.drawing.vertices):
            inside.setdefault(vertex.cluster, []).append(f"n{i} {_vertex(vertex)}")
        for i, cluster in self.gates.items():
            inside[cluster].append(f"g{i} {self.gate(i)}")
        for i, around in enumerate(self.drawing.clusters):
            clusters.setdefault(around.parent, []).append(i)
        pending: list[tuple[int | None, bool]] = [(None, False)]  # last first: a cluster, or the end of one
        while pending:
            at, ends = pending.pop()
            indent = "" if at is None else "  " * (self.drawing.clusters[at].depth + 1)
            if ends:
                yield f"{indent}}}"
                continue
            if at is not None:
                yield f"{indent}subgraph cluster_{at} {{"
                yield f"{indent}  graph {_cluster(self.drawing.clusters[at])}"
                pending.append((at, True))
            yield from (f"{indent}  {line}" for line in inside.get(at, ()))
            pending += [(i, False) for i in reversed(clusters.get(at, ()))]

    def edge(self, i: int) -> Iterator[str]:
        """An edge, in two pieces where it goes through a gate."""
        edge = self.drawing.edges[i]
        tail, head = self.drawing.vertices[edge.tail], self.drawing.vertices[edge.head]
        straight = i in self.gates or edge.tail == self.main.get(edge.head)
        plain = {"weight": _STRAIGHT} if straight else {}
        texts = {"tooltip": self.way(i)}
        start, end = f"n{edge.tail}", f"n{edge.head}"
        if i in self.gates:
            yield f"  g{i} -> {end} {_attributes({**plain, 'tailclip': 'false'}, **texts)}"
            plain |= {"arrowhead": "none", "headclip": "false"}
            end = f"g{i}"
        if tail.value is None and head.value is None:  # else it stands in the box at one of the ends
            several = len(self.results[edge.tail]) > 1
            texts["label"] = quote(f" {_what(edge) if several else edge.value} ")  # clear of the line
        yield f"  {start} -> {end} {_attributes(plain, **texts)}"

    def gate(self, i: int) -> str:
        size = _GATE_SIZE if self.direction in ("TB", "BT") else _GATE_SIZE[::-1]
        return _attributes({**_GATE, "width": size[0], "height": size[1]}, tooltip=self.way(i))

    def way(self, i: int) -> str:
        """The tooltip of an edge: what goes from where to where."""
        edge = self.drawing.edges[i]
        way = f"{self.drawing.vertices[edge.tail].title} → {self.drawing.vertices[edge.head].title}"
        return _tooltip((_what(edge), f"{way}: {edge.argument}" if edge.argument else way))


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
        at, cluster = vertices[edge.tail].cluster, vertices[edge.head].cluster
        if cluster is not None and edge.head in fed:
            while at is not None and at != cluster:
                at = drawing.clusters[at].parent
            if at is None:
                gates[i] = cluster
    return gates


def _cluster(cluster: Cluster) -> str:
    fill = _CLUSTER_FILLS[cluster.depth % len(_CLUSTER_FILLS)]
    details = (cluster.place, _count(cluster.parameters)) if cluster.parameters else (cluster.place,)
    return _attributes({**_CLUSTER, "fillcolor": fill}, label=quote(cluster.title), tooltip=_tooltip(details))


def _vertex(vertex: Vertex) -> str:
    lines = [vertex.title]
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
    return _attributes(_STYLES[vertex.kind], label=joined_label(lines), tooltip=_tooltip(details))


def _what(edge: Edge) -> str:
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
