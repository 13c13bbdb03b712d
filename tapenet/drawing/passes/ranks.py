"""The drawings of several ranks as one: a cluster around what each computes, and arrows for what they exchange."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tapenet.drawing.model import RECV, UNKNOWN, Cluster, Drawing, Edge, Numbers

if TYPE_CHECKING:
    from tapenet.drawing.passes.measures import Measure

_NOTHING = Numbers({}, {})


class Exchange(NamedTuple):
    """Where a rank exchanges something with others.

    Attributes:
        position: of the op's vertex.
        name: of the op.
        peer: the other rank, of a send or recv.
    """

    position: int
    name: str
    peer: int | None = None


class Part(NamedTuple):
    """What a rank has to draw.

    Attributes:
        drawing: of what it computes.
        exchanges: in the order in which it makes them.
        measures: what was measured, by position of a vertex, as are the `numbers` that are known.
        updates: what is done to parameters, by the numbers of their nodes.
    """

    drawing: Drawing
    exchanges: Sequence[Exchange] = ()
    measures: Sequence[Measure] = ()
    numbers: Numbers = _NOTHING
    updates: Mapping[int, str] = {}


#: A vertex of a part: the rank, and its position there.
_At = tuple[int, int]


def together(parts: Sequence[Part]) -> tuple[Part, list[str]]:
    """The parts of all ranks as one.

    What is sent has an arrow to where it is received, and all ranks' ops of a collective are joined. For that each pair of
    ranks must have as many sends as receives in their parts, and all ranks the same collectives.

    Args:
        parts: of rank 0, rank 1, ...

    Returns:
        the whole, and in words which exchanges have no arrows.

    >>> from tapenet.drawing.model import Vertex
    >>> part = Part(Drawing([Vertex("op", "allreduce")], [], []), [Exchange(0, "allreduce")])
    >>> whole, lone = together([part, part])
    >>> [cluster.title for cluster in whole.drawing.clusters], whole.drawing.edges[0].flow, lone
    (['rank 0', 'rank 1'], 'exchange', [])
    """
    sent, lone = _pairs(parts)
    met, apart = _collectives(parts)
    places = _order(parts, sent)
    size = len(parts)

    def number(rank: int, own: int) -> int:
        """Of a node among those of all ranks."""
        return own and own * size + rank

    clusters: list[Cluster] = []
    first: list[int] = []
    for rank, part in enumerate(parts):
        first.append(len(clusters) + 1)
        learned = sum(v.parameters for v in part.drawing.vertices if v.kind == "parameter")
        clusters.append(Cluster(f"rank {rank}", "", parameters=learned, around="rank"))
        for cluster in part.drawing.clusters:
            parent = (-1 if cluster.parent is None else cluster.parent) + first[rank]
            clusters.append(cluster._replace(parent=parent, depth=cluster.depth + 1))
    vertices = []
    for rank, position in places:
        vertex = parts[rank].drawing.vertices[position]
        around = (-1 if vertex.cluster is None else vertex.cluster) + first[rank]
        vertices.append(vertex._replace(cluster=around, number=number(rank, vertex.number)))
    edges: list[Edge] = []
    given: dict[_At, Edge] = {}  # what an exchange takes
    received = _received(parts)
    exchanging = {(rank, e.position) for rank, part in enumerate(parts) for e in part.exchanges}
    for rank, part in enumerate(parts):
        for edge in part.drawing.edges:
            if (rank, edge.head) in exchanging:
                given[rank, edge.head] = edge
            if (rank, edge.head) not in received:
                edges.append(edge._replace(tail=places[rank, edge.tail], head=places[rank, edge.head]))
    for tail, head in sent:
        ends = [given[end] for end in (tail, head) if end in given]  # a number whose value is known has no arrow
        flows = len(ends) == 2 and all(end.differentiable for end in ends)
        edges.append(Edge(places[tail], places[head], ends[0].value if ends else UNKNOWN, differentiable=flows))
    for one, other in met:
        value = given[one].value if one in given else UNKNOWN
        edges.append(Edge(places[one], places[other], value, flow="exchange"))
    measures: dict[str, Measure] = {}
    for rank, part in enumerate(parts):
        for measure in part.measures:
            had = measures.get(measure.name, measure._replace(values={}, learned=frozenset()))
            values = {places[rank, i]: found for i, found in measure.values.items() if (rank, i) in places}
            learns = {places[rank, i] for i in measure.learned if (rank, i) in places}
            measures[measure.name] = had._replace(values=had.values | values, learned=had.learned | learns)
    numbers = [
        {places[rank, i]: text for rank, part in enumerate(parts) for i, text in part.numbers[k].items() if (rank, i) in places}
        for k in range(2)
    ]  # fmt: skip
    updates = {number(rank, n): text for rank, part in enumerate(parts) for n, text in part.updates.items()}
    ops = {name: op for part in parts for name, op in part.drawing.ops.items()}
    whole = Drawing(vertices, edges, clusters, ops, parts[0].drawing.shapes)
    return Part(whole, (), tuple(measures.values()), Numbers(*numbers), updates), lone + apart


def _received(parts: Sequence[Part]) -> set[_At]:
    return {(rank, e.position) for rank, part in enumerate(parts) for e in part.exchanges if e.name == RECV}


def _pairs(parts: Sequence[Part]) -> tuple[list[tuple[_At, _At]], list[str]]:
    """Each send with its receive: arrays arrive in the order in which they were sent. And which have none."""
    ways: dict[tuple[int, int], tuple[list[_At], list[_At]]] = {}
    for rank, part in enumerate(parts):
        for exchange in part.exchanges:
            if exchange.peer is not None:
                receives = exchange.name == RECV
                way = (exchange.peer, rank) if receives else (rank, exchange.peer)
                ways.setdefault(way, ([], []))[receives].append((rank, exchange.position))
    pairs: list[tuple[_At, _At]] = []
    lone = []
    for (source, to), (sends, receives_) in sorted(ways.items()):
        if len(sends) == len(receives_):
            pairs += zip(sends, receives_, strict=True)
        else:
            lone.append(f"rank {source} sends {len(sends)} arrays to rank {to}, which receives {len(receives_)}")
    return pairs, lone


def _collectives(parts: Sequence[Part]) -> tuple[list[tuple[_At, _At]], list[str]]:
    """The ops of each collective in the order of ranks, each with the next; and what differs."""
    every = [[(rank, e) for e in part.exchanges if e.peer is None] for rank, part in enumerate(parts)]
    named = [[e.name for _, e in own] for own in every]
    if any(names != named[0] for names in named):
        words = "; ".join(f"rank {rank}: {', '.join(names) or 'none'}" for rank, names in enumerate(named))
        return [], [f"the collectives are not the same ({words})"]
    rows = [[(rank, e.position) for rank, e in row] for row in zip(*every, strict=True)]
    return [pair for row in rows for pair in pairwise(row)], []


def _order(parts: Sequence[Part], sent: Sequence[tuple[_At, _At]]) -> dict[_At, int]:
    """The place of each vertex: after all that it uses, and as far as that leaves it rank by rank. What stands for an array
    to be received, whose values mean nothing, has none."""
    received = _received(parts)
    waits: dict[_At, int] = {}
    users: dict[_At, list[_At]] = {}
    for rank, part in enumerate(parts):
        vertices = part.drawing.vertices
        used = {edge.tail for edge in part.drawing.edges if (rank, edge.head) not in received}
        asked = {edge.tail for edge in part.drawing.edges} - used
        asked = {i for i in asked if vertices[i].kind in ("parameter", "input", "constant")}
        waits |= {(rank, i): 0 for i in range(len(vertices)) if i not in asked}
    ways = [((r, e.tail), (r, e.head)) for r, part in enumerate(parts) for e in part.drawing.edges]
    for tail, head in [way for way in ways if way[1] not in received] + list(sent):
        waits[head] += 1
        users.setdefault(tail, []).append(head)
    ready = [at for at, count in waits.items() if not count]
    heapq.heapify(ready)
    places: dict[_At, int] = {}
    while ready:
        at = heapq.heappop(ready)
        places[at] = len(places)
        for user in users.get(at, ()):
            waits[user] -= 1
            if not waits[user]:
                heapq.heappush(ready, user)
    for at in waits:  # what waits for itself, if anything does
        places.setdefault(at, len(places))
    return places
