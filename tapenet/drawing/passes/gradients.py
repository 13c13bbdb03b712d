"""Passes that add what follows the forward pass: gradients, an optimizer's step, and findings about both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tapenet.drawing.model import Drawing, Edge, Sign, Vertex
from tapenet.drawing.passes.folding import members

#: Said of parameters that come into no op with a gradient.
UNUSED = "nothing here uses it with a gradient"


def from_results(drawing: Drawing) -> Drawing:
    """The drawing in which only those edges are differentiable along which a gradient of the results flows back. Other
    edges lead only into ops without a derivative."""
    sources: dict[int, list[Edge]] = {}
    for edge in drawing.edges:
        if edge.differentiable:
            sources.setdefault(edge.head, []).append(edge)
    pending = [i for i, vertex in enumerate(drawing.vertices) if vertex.kind == "output"]
    reached = set(pending)
    while pending:
        for edge in sources.get(pending.pop(), ()):
            if edge.tail not in reached:
                reached.add(edge.tail)
                pending.append(edge.tail)
    edges = [e if e.head in reached else e._replace(differentiable=False) for e in drawing.edges]
    return drawing._replace(edges=edges)


def with_updates(drawing: Drawing, updates: Mapping[int, str], source: Drawing) -> Drawing:
    """The drawing with a vertex for what an optimizer does to the parameters of each module.

    Args:
        drawing: any drawing in which parameters are vertices.
        updates: what is done, by the number of the parameter's node.
        source: the drawing that this one was made from: a parameter may stand for several of it.
    """
    vertices: list[Vertex] = []
    edges: list[Edge] = []
    new: list[int] = []
    made: dict[tuple[int | None, str], int] = {}
    for position, vertex in enumerate(drawing.vertices):
        stands_for = members(position, vertex)
        done = {updates.get(source.vertices[m].number): None for m in stands_for if vertex.kind == "parameter"}
        title = _together([title for title in done if title is not None])
        if title is None:
            new.append(len(vertices))
            vertices.append(vertex._replace(members=stands_for))
            continue
        key = vertex.cluster, title
        # Outside of modules each parameter has its own: one for all would tie the picture together.
        if key not in made or vertex.cluster is None:
            made[key] = len(vertices)
            details = ("the optimizer's step: it reads the gradients and writes the parameters",)
            vertices.append(Vertex("update", title, details=details, cluster=vertex.cluster))
        new.append(len(vertices))
        assert vertex.value is not None
        edges.append(Edge(made[key], len(vertices), vertex.value, flow="update"))
        vertices.append(vertex._replace(members=stands_for))
    edges += [edge._replace(tail=new[edge.tail], head=new[edge.head]) for edge in drawing.edges]
    return drawing._replace(vertices=vertices, edges=edges)


def _together(titles: list[str]) -> str | None:
    """One title for what is done to parameters that are drawn as one."""
    if len(titles) < 2:
        return titles[0] if titles else None
    return titles[0].split("\n")[0] + "\nvarious settings"


def with_gradients(drawing: Drawing) -> Drawing:
    """The drawing with gradients: beside each edge along which one flows back, an edge that carries it.

    A gradient ends at the parameter, or at what updates that.
    """
    updated = {
        edge.head: edge.tail
        for edge in drawing.edges
        if edge.flow == "update" and drawing.vertices[edge.head].kind == "parameter"
    }
    edges = list(drawing.edges)
    seen: set[tuple[int, int]] = set()
    for edge in drawing.edges:
        if edge.flow not in ("value", "carry") or not edge.differentiable:
            continue
        tail, head = edge.head, updated.get(edge.tail, edge.tail)
        if (tail, head) not in seen and tail != head:
            seen.add((tail, head))
            edges.append(Edge(tail, head, edge.value, None, edge.argument, "gradient"))
    return drawing._replace(edges=edges)


# -- what is wrong ----------------------------------------------------------------------------------------------


class Finding(NamedTuple):
    """Something wrong with a box, with the reason."""

    sign: Sign
    reason: str


def marked(drawing: Drawing, findings: Mapping[int, Finding]) -> Drawing:
    """The drawing with findings: signs, by position, with their reasons in the tooltips."""
    if not findings:
        return drawing
    vertices = [
        v._replace(sign=findings[i].sign, details=(findings[i].reason, *v.details)) if i in findings else v
        for i, v in enumerate(drawing.vertices)
    ]
    return drawing._replace(vertices=vertices)


def unused(drawing: Drawing) -> dict[int, Finding]:
    """The parameters that nothing uses."""
    used = {edge.tail for edge in drawing.edges if edge.flow == "value"}
    found = {i for i, v in enumerate(drawing.vertices) if v.kind == "parameter" and i not in used}
    return dict.fromkeys(found, Finding("dead", f"no gradient: {UNUSED}"))
