"""Passes that draw less: activations and shape ops join the box before them, skip connections are marked, many parallel
arrows become one."""

from __future__ import annotations

from collections import Counter

from tapenet.drawing.model import SEND, Drawing, Edge, Vertex
from tapenet.drawing.passes.folding import members, worst

#: Functions of one array, element by element, that people write after a layer rather than as a step of their own.
ACTIVATIONS = frozenset({
    "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh", "hardtanh",
    "relu6", "mish", "softsign", "logsigmoid", "dropout",
})  # fmt: skip
#: Ops that only look at the same numbers in another way: the shape on the next edge says it.
SHAPING = frozenset({"squeeze", "expand_dims", "astype", "broadcast_to", "copy", "alias", "moveaxis"})
#: The same, where a word helps.
MOVING = frozenset({"reshape", "transpose", "swapaxes"})
#: Ops in which two ways come together.
_MERGING = frozenset({"add", "concatenate", "stack"})
#: More ways than this that come together are a collection, of the states of a loop say, not a way around. Dense blocks
#: concatenate more.
_WAYS, _DENSE = 3, 8
#: How many arrows from one box to another are drawn one by one.
_SIDE_BY_SIDE = 3
#: How far back another way is looked for.
FAR = 400
#: What is learned or given, and what a result is called.
_ENDS = frozenset({"parameter", "input", "constant", "output", "update"})


def compact(drawing: Drawing) -> Drawing:
    """The drawing with activations and shape ops in the box of what they are applied to.

    Only where nothing else uses what they are applied to, and both are in the same cluster. The box has a line for
    an activation, a transposition or a reshape; the others show in the shape on the next edge, and in the tooltip.
    """
    return compacted(drawing)[0]


def compacted(drawing: Drawing) -> tuple[Drawing, list[int]]:
    """The same, and where each vertex is now."""
    into, lines = _hosts(drawing)
    if not into:
        return drawing, list(range(len(drawing.vertices)))
    guests: dict[int, list[int]] = {}
    for guest, host in into.items():
        guests.setdefault(host, []).append(guest)
    new: list[int] = []
    vertices: list[Vertex] = []
    for position, vertex in enumerate(drawing.vertices):
        if position in into:
            new.append(new[into[position]])
            continue
        new.append(len(vertices))
        joined = [drawing.vertices[g] for g in guests.get(position, ())]
        if joined:
            extra = [line for g in guests[position] for line in lines[g]]
            if vertex.card:
                vertex = vertex._replace(card=(*vertex.card, *extra))
            else:
                vertex = vertex._replace(title="\n".join([vertex.title, *extra]))
            vertex = vertex._replace(
                details=(*vertex.details, *(f"then {v.details[0] if v.details else v.title}" for v in joined)),
                sign=worst([vertex.sign, *(v.sign for v in joined)]),
            )
        inside = [position, *guests.get(position, ())]
        vertices.append(vertex._replace(members=tuple(m for i in inside for m in members(i, drawing.vertices[i]))))
    edges = []
    for edge in drawing.edges:
        tail, head = new[edge.tail], new[edge.head]
        if tail != head or edge.flow != "value":
            edges.append(edge._replace(tail=tail, head=head))
    return drawing._replace(vertices=vertices, edges=edges), new


def _hosts(drawing: Drawing) -> tuple[dict[int, int], dict[int, list[str]]]:
    """The vertices that join another one, by position, and the lines of text that each adds to it."""
    users, made_by = drawing.by("tail"), drawing.by("head")
    # What goes on to the next repetition must stay a result of its own.
    carries, begins = drawing.by("tail", "carry"), drawing.by("head", "carry")
    into: dict[int, int] = {}
    lines: dict[int, list[str]] = {}
    for position, vertex in enumerate(drawing.vertices):
        minor = vertex.op in ACTIVATIONS or vertex.op in SHAPING or vertex.op in MOVING
        sources = {edge.tail for edge in made_by.get(position, ())}
        if not minor or vertex.kind != "op" or len(sources) != 1:
            continue
        (source,) = sources
        host = drawing.vertices[source]
        alone = {edge.head for edge in users[source]} == {position} and source not in carries and position not in begins
        elsewhere = host.cluster != vertex.cluster or host.sign != vertex.sign
        repeated = host.kind == "module" and host.count > 1  # what follows it is not repeated with it
        parts = any(edge.result is not None for edge in made_by[position])
        if not alone or host.kind in _ENDS or elsewhere or repeated or parts:
            continue
        into[position] = into.get(source, source)
        lines[position] = [] if vertex.op in SHAPING else [vertex.title]
    return into, lines


def mark_skips(drawing: Drawing) -> Drawing:
    """The drawing with residual and skip connections marked: edges into a sum or concatenation whose other argument is
    computed from the same value."""
    made_by = {head: [edge.tail for edge in edges] for head, edges in drawing.by("head").items()}
    edges = list(drawing.edges)
    for i, edge in enumerate(edges):
        head, tail = drawing.vertices[edge.head], drawing.vertices[edge.tail]
        few = len(made_by.get(edge.head, ())) <= (_DENSE if head.op == "concatenate" else _WAYS)
        if (
            head.op not in _MERGING
            or not few
            or edge.flow != "value"
            or tail.kind in _ENDS - {"input"}
            or tail.op == SEND
        ):
            continue
        others = [t for t in made_by[edge.head] if t > edge.tail]
        if _leads(edge.tail, others, made_by):
            edges[i] = edge._replace(skip=True)
    return drawing._replace(edges=edges)


def _leads(source: int, ends: list[int], made_by: dict[int, list[int]]) -> bool:
    """Whether one of these is computed from the source. Vertices come after what they use."""
    seen = set(ends)
    pending = list(ends)
    while pending and len(seen) < FAR:
        for tail in made_by.get(pending.pop(), ()):
            if tail == source:
                return True
            if tail > source and tail not in seen:
                seen.add(tail)
                pending.append(tail)
    return False


def bundle(drawing: Drawing) -> Drawing:
    """The drawing with one arrow in place of more than a few from one box to another."""
    ways = Counter((edge.tail, edge.head, edge.flow) for edge in drawing.edges)
    if max(ways.values(), default=0) <= _SIDE_BY_SIDE:
        return drawing
    edges: list[Edge] = []
    first: dict[tuple[int, int, str], int] = {}
    for edge in drawing.edges:
        way = edge.tail, edge.head, edge.flow
        if ways[way] <= _SIDE_BY_SIDE:
            edges.append(edge)
        elif way not in first:
            first[way] = len(edges)
            edges.append(edge._replace(result=None, argument="", arrays=ways[way], stretched=None))
        elif edge.differentiable:
            edges[first[way]] = edges[first[way]]._replace(differentiable=True, broken=False)
    return drawing._replace(edges=edges)
