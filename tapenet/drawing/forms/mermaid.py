"""A drawing as a Mermaid flowchart, which READMEs and wikis show as a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from tapenet.drawing.model import Cluster, Drawing, Edge, Flow, Kind, Vertex
from tapenet.drawing.style import LIGHT, Palette, ink_on
from tapenet.drawing.text import clean

_SHAPES: Mapping[Kind, tuple[str, str]] = {
    "op": ("(", ")"),
    "parameter": ("[", "]"),
    "input": ("[/", "/]"),
    "constant": ("(", ")"),
    "output": ("([", "])"),
    "module": ("[[", "]]"),
    "update": ("{{", "}}"),
}
#: A sign of one character, as people write it.
_CIRCLE = ("((", "))")
_ARROWS: Mapping[Flow, str] = {
    "value": "-->",
    "gradient": "-.->",
    "update": "==>",
    "carry": "-.->",
    "exchange": "<==>",
    "order": "~~~",
}
_COLOURS: Mapping[Flow, str] = {"gradient": "gradient", "update": "update", "carry": "muted", "exchange": "skip"}
#: What may mean something to Mermaid, as markup, Markdown or its own language, in one version or another.
_UNSAFE = re.compile(r"[^A-Za-z0-9 ,()_\u00a0-\U0010ffff]")
#: With this ligature begin what Mermaid itself puts for entities while it parses.
_MARK = "\ufb02"


def to_mermaid(drawing: Drawing, direction: str = "TB", palette: Palette = LIGHT) -> str:
    """A drawing as text in the language of Mermaid: the same for the same drawing, byte for byte.

    In a README it stands in a code block that is marked `mermaid`. GitHub shows at most 500 edges and 50,000
    characters: of a larger graph, draw less depth.

    Args:
        drawing: what to write.
        direction: where arrows point: "TB" (down), "LR" (right), "BT" or "RL".
        palette: its colours; Mermaid knows no dark ones.

    >>> from tapenet.drawing.model import Value
    >>> print(to_mermaid(Drawing([Vertex("input", "x", Value((2,), "f32"))], [], [])).splitlines()[1])
      n0[/"x<br>2 f32"/]:::input
    """
    return "".join(f"{line}\n" for line in _lines(drawing, direction, palette))


def _lines(drawing: Drawing, direction: str, palette: Palette) -> Iterator[str]:
    yield f"flowchart {direction}"
    yield from _boxes(drawing)
    yield from (f"  {_edge(edge, label)}" for edge, label in zip(drawing.edges, drawing.labels(), strict=True))
    yield from (f"  {line}" for line in _styles(drawing, palette))


def _boxes(drawing: Drawing) -> Iterator[str]:
    """The vertices, within their clusters."""
    for at, inside in drawing.nested():
        indent = "  " if at is None else "  " * (drawing.clusters[at].depth + 1)
        if inside is None:
            yield f"{indent}end"
            continue
        if at is not None:
            yield f"{indent}subgraph c{at}[{_text([drawing.clusters[at].heading])}]"
            indent += "  "
        yield from (f"{indent}{_vertex(i, drawing.vertices[i])}" for i in inside)


def _vertex(position: int, vertex: Vertex) -> str:
    start, end = _CIRCLE if vertex.round else _SHAPES[vertex.kind]
    return f"n{position}{start}{_text(vertex.lines)}{end}:::{vertex.kind}"


def _edge(edge: Edge, label: str) -> str:
    arrow = "-.->" if edge.skip else _ARROWS[edge.flow]
    if label:
        arrow += f"|{_text([label])}|"
    return f"n{edge.tail} {arrow} n{edge.head}"


def _styles(drawing: Drawing, palette: Palette) -> Iterator[str]:
    """The colours: of each kind that occurs, of clusters, and of what has some of its own."""
    for kind in dict.fromkeys(vertex.kind for vertex in drawing.vertices):
        fill, border = palette.kinds[kind]
        dashes = ",stroke-dasharray:5 2" if kind == "constant" else ""
        yield f"classDef {kind} fill:{fill},stroke:{border},color:{palette.ink}{dashes}"
    for i, vertex in enumerate(drawing.vertices):
        own = [f"fill:{vertex.fill}", f"color:{ink_on(vertex.fill)}"] if vertex.fill else []
        if own or vertex.sign:
            yield f"style n{i} {','.join([*own, *_sign(vertex, palette)])}"
    for i, cluster in enumerate(drawing.clusters):
        fill = cluster.fill or palette.clusters[cluster.depth % len(palette.clusters)]
        own = [f"fill:{fill}", f"color:{ink_on(fill) if cluster.fill else palette.muted}"]
        own += _sign(cluster, palette) if cluster.sign else [f"stroke:{palette.border}"]
        if cluster.around == "repeat":
            own.append("stroke-dasharray:5 2")
        yield f"style c{i} {','.join(own)}"
    coloured: dict[str, list[int]] = {}
    for i, edge in enumerate(drawing.edges):
        if edge.sign:
            colour = palette.signs[edge.sign]
        elif edge.skip or edge.flow in _COLOURS:
            colour = getattr(palette, "skip" if edge.skip else _COLOURS[edge.flow])
        else:
            colour = ""
        if colour:
            coloured.setdefault(colour, []).append(i)
    for colour, edges in coloured.items():
        yield f"linkStyle {','.join(map(str, edges))} stroke:{colour}"
    broken = [i for i, edge in enumerate(drawing.edges) if edge.broken]
    if broken:
        yield f"linkStyle {','.join(map(str, broken))} stroke-dasharray:7 5"


def _sign(thing: Vertex | Cluster, palette: Palette) -> list[str]:
    dashes = {"dead": ["stroke-dasharray:2 2"], "removed": ["stroke-dasharray:5 2"]}
    return (
        [f"stroke:{palette.signs[thing.sign]}", "stroke-width:3px", *dashes.get(thing.sign, [])] if thing.sign else []
    )


def _text(lines: Iterable[str]) -> str:
    """A label that shows each text on a line of its own, whatever it holds."""
    shown = (_UNSAFE.sub(lambda found: f"#{ord(found[0])};", clean(line).replace(_MARK, "fl")) for line in lines)
    return f'"{"<br>".join(shown) or " "}"'
