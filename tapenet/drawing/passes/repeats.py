"""A pass that draws what is repeated once: equal blocks one after the other, and the steps of an unrolled loop.

In each cluster, from the innermost outwards, the sequence of ops and clusters is searched for stretches in which
some consecutive items come again and again, wired alike. The first repetition stays, with a count. What repetitions
may take, so that the picture says nothing false: what is in the same place in themselves or in the one before; the
same as all the others; a parameter or array of its own; and the matching result of another stretch. What is taken
from them must be the result of the last, or of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tapenet.drawing.passes.folding import members
from tapenet.drawing.passes.stretches import Group, Item, Joined, Wiring, stretches, with_neighbours

#: What is worth folding: so many vertices less. A few equal lines are read as quickly as a count.
_SAVED = 8
#: Loops without a module around each turn are folded from so many turns on.
_TURNS = 4


class _Around(NamedTuple):
    """A new cluster around items that are repeated together."""

    parent: int | None
    vertices: list[int]
    clusters: list[int]
    count: int  # type: ignore[assignment]  # better known than the method of tuples
    parameters: int
    group: int


def fold_repeats(drawing: Drawing) -> Drawing:
    """The drawing with repeated stretches drawn once.

    A cluster that is repeated gets a count; several items that are repeated together get a cluster around them. Edges
    from one repetition to the next stay as edges of flow "carry".
    """
    return _Repeats(drawing).folded()


class _Repeats:
    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing
        self.vertices = drawing.vertices
        self.joined = Joined(drawing)
        self.incoming: list[list[Edge]] = [[] for _ in drawing.vertices]
        self.made: dict[int, Value] = {}  # what comes out of each vertex (the last of its results)
        for edge in drawing.edges:
            if edge.flow == "value":
                self.incoming[edge.head].append(edge)
                self.made[edge.tail] = edge.value
        self.content: dict[int | None, list[int]] = {}  # by cluster: the ops directly in it
        for i, vertex in enumerate(drawing.vertices):
            if vertex.kind == "op":
                self.content.setdefault(vertex.cluster, []).append(i)
        self.children: dict[int | None, list[int]] = {}
        for i, cluster in enumerate(drawing.clusters):
            self.children.setdefault(cluster.parent, []).append(i)
        used = {end for edge in drawing.edges for end in (edge.tail, edge.head)}
        self.spare: dict[int, list[int]] = {}  # by cluster: what is directly in it and used by nothing
        for i, vertex in enumerate(drawing.vertices):
            if vertex.cluster is not None and i not in used:
                self.spare.setdefault(vertex.cluster, []).append(i)
        self.groups = 0
        self.group_of: dict[int, int] = {}  # of repeated clusters
        self.rows: set[int] = set()  # the groups of modules one after the other, each with its own parameters
        self.inside: list[tuple[int, ...]] = [()] * len(drawing.clusters)  # by cluster: the ops still drawn in it
        self.structure = [0] * len(drawing.clusters)  # by cluster: a number for what is in it
        self.counts = [1] * len(drawing.clusters)
        self.gone: set[int] = set()
        self.names: dict[int, list[int]] = {}  # by cluster that stays: those that it stands for
        self.learned: dict[int, int] = {}  # by cluster that is repeated: how many numbers all of them learn
        self.around: list[_Around] = []
        self.shapes: dict[object, int] = {}

    def folded(self) -> Drawing:
        for parent in self._inner_first():
            items = self._items(parent)
            drawn: list[Item | None] = [*items]
            ranks = any(i.cluster is not None and self.drawing.clusters[i.cluster].around == "rank" for i in items)
            groups = [] if ranks else self._groups(items)
            for group in groups:
                self._merge(items, group)
                for place in range(group.start + group.period, group.end):
                    drawn[place] = None
            if parent is not None:
                ops = tuple(sorted(op for item in drawn if item is not None for op in item.ops))
                self.inside[parent] = ops
                self.structure[parent] = self._structure(parent, ops, groups)
        return self._result() if self.groups else self.drawing

    def _inner_first(self) -> Iterator[int | None]:
        """All clusters, those in another before it and earlier ones before later ones; None, for the whole, at last."""
        open_: list[int] = []
        for position, cluster in enumerate(self.drawing.clusters):
            while open_ and open_[-1] != cluster.parent:
                yield open_.pop()
            open_.append(position)
        yield from reversed(open_)
        yield None

    # -- items -------------------------------------------------------------------------------------------------------

    def _items(self, parent: int | None) -> list[Item]:
        entries: list[tuple[tuple[int, ...], int | None]] = [((op,), None) for op in self.content.get(parent, ())]
        entries += [(self.inside[c], c) for c in self.children.get(parent, ()) if self.inside[c]]
        entries.sort(key=lambda entry: entry[0][0])
        looks = [self._look(ops, cluster) for ops, cluster in entries]
        often = Counter(looks)
        return [
            self._item(ops, cluster) if often[look] > 1 else Item(ops, -1 - place, (), cluster)
            for place, ((ops, cluster), look) in enumerate(zip(entries, looks, strict=True))
        ]

    def _look(self, ops: tuple[int, ...], cluster: int | None) -> object:
        """A cheap key that equal items share."""
        return self.joined.calls[ops[0]] if cluster is None else (len(ops), self.structure[cluster])

    def _item(self, ops: tuple[int, ...], cluster: int | None) -> Item:
        inside = {op: place for place, op in enumerate(ops)}
        sources: list[int] = []
        parts: list[object] = [None if cluster is None else self.structure[cluster]]
        for op in ops:
            vertex = self.vertices[op]
            parts.append(self.joined.calls[op])
            for edge in self.incoming[op]:
                where: object = inside.get(self.joined.now(edge.tail))
                if where is None:
                    sources.append(edge.tail)
                elif edge.tail in self.joined.turns:
                    where = where, self.joined.turns_of(edge.tail)
                parts.append((where, edge.value, edge.result, edge.argument, edge.sign))
            if vertex.op == "getitem":
                parts.append(self.made.get(op))
        shape = self.shapes.setdefault(tuple(parts), len(self.shapes))
        return Item(ops, shape, tuple(sources), cluster)

    def _structure(self, cluster: int, ops: tuple[int, ...], groups: list[Group]) -> int:
        """A number that is equal for clusters of one class with equal contents in equal places."""
        made_of = self.drawing.clusters[cluster]
        children = [c for c in self.children.get(cluster, ()) if c not in self.gone and self.inside[c]]
        nested = tuple((ops.index(self.inside[c][0]), self.structure[c]) for c in children)
        stretches = tuple((g.start, g.period, g.count, g.wiring) for g in groups)
        spare = tuple((self.vertices[i].title, self.vertices[i].value) for i in self.spare.get(cluster, ()))
        parts = made_of.type, made_of.parameters, made_of.around, made_of.sign, nested, stretches, spare
        return self.shapes.setdefault(parts, len(self.shapes))

    # -- stretches ---------------------------------------------------------------------------------------------------

    def _groups(self, items: list[Item]) -> list[Group]:
        """The stretches worth folding, without overlaps."""
        if len(items) < 2:
            return []
        owner = {op: (place, i) for place, item in enumerate(items) for i, op in enumerate(item.ops)}
        found: list[Group] = []
        for stretch in stretches(np.array([item.shape for item in items])):
            # What repeats after two items repeats after four as well.
            known = any(stretch.period % g.period == 0 and g.covers(stretch) for g in found)
            if not known and self._worth(items, stretch):
                wired = Wiring(self.joined, items, owner, stretch).groups()
                found += [group for group in wired if self._worth(items, group)]
        found.sort(key=lambda g: (-g.period * (g.count - 1), g.period, g.start))
        taken = np.zeros(len(items), bool)
        chosen = []
        for group in found:
            where = slice(group.start, group.end)
            if not taken[where].any():
                taken[where] = True
                chosen.append(group)
        return sorted(with_neighbours(chosen), key=lambda g: g.start)

    def _worth(self, items: list[Item], group: Group) -> bool:
        block = items[group.start : group.start + group.period]
        saved = (group.count - 1) * sum(len(item.ops) for item in block)
        least = 2 if any(item.cluster is not None and len(item.ops) > 1 for item in block) else _TURNS
        return saved >= _SAVED and group.count >= least

    # -- merging -----------------------------------------------------------------------------------------------------

    def _merge(self, items: list[Item], group: Group) -> None:
        self.groups += 1
        block = items[group.start : group.start + group.period]
        own: list[int] = []
        shared: set[int] = set()
        for turn in range(group.count):
            for j, stays in enumerate(block):
                item = items[group.start + turn * group.period + j]
                for mine, other in zip(stays.ops, item.ops, strict=True):
                    self.joined.become(mine, other, self.groups, turn)
                if not turn:
                    continue
                for mine, other in zip(stays.sources, item.sources, strict=True):
                    if mine == other:
                        shared.add(mine)
                    elif self.vertices[other].kind != "op" and self.joined.now(other) == other:
                        if turn == 1:
                            own.append(mine)
                            self.joined.become(mine, mine, self.groups, 0)
                        self.joined.become(mine, other, self.groups, turn)
                if item.cluster is not None and stays.cluster is not None:
                    self._drop(stays.cluster, item.cluster)
        ops = [op for item in block for op in item.ops if item.cluster is None]
        clusters = [item.cluster for item in block if item.cluster is not None]
        learned = {c: self._learned(c, shared) for c in clusters}
        if not ops and len(clusters) == 1:
            (cluster,) = clusters
            self.counts[cluster] = group.count
            self.group_of[cluster] = self.groups
            self.learned |= learned
            if self._modules(cluster) > 1:
                self.rows.add(self.groups)
            return
        parent = self.vertices[ops[0]].cluster if ops else self.drawing.clusters[clusters[0]].parent
        # Its own parameters and arrays belong to a repetition; where they are a module's, they are in its cluster.
        inner = [leaf for leaf in own if self.vertices[leaf].cluster == parent]
        parameters = sum(learned.values()) + group.count * sum(self.vertices[leaf].parameters for leaf in inner)
        self.around.append(_Around(parent, ops + inner, clusters, group.count, parameters, self.groups))

    def _learned(self, cluster: int, shared: set[int]) -> int:
        """How many numbers the modules learn that a cluster stands for, each module and each parameter counted once."""
        each = self.drawing.clusters[cluster].parameters
        leaves = [self.vertices[leaf] for leaf in shared]
        once = sum(leaf.parameters for leaf in leaves if cluster in self.drawing.enclosing([leaf.cluster]))
        if once == each:
            return each
        nameless = not self._called(cluster)
        modules = len(self.names.get(cluster, ())) + 1 if nameless else self._modules(cluster)
        return modules * each - (modules - 1) * once

    def _modules(self, cluster: int) -> int:
        """How many modules these are calls of, by their names: some may be called again and again."""
        return len({self._called(c) for c in (cluster, *self.names.get(cluster, ()))})

    def _called(self, cluster: int) -> str:
        found = self.drawing.clusters[cluster]
        return found.path or found.called

    def _drop(self, stays: int, goes: int) -> None:
        """Note that one cluster, with what is in it, became another."""
        pending = [(stays, goes)]
        while pending:
            stays, goes = pending.pop()
            self.gone.add(goes)
            self.names.setdefault(stays, []).append(goes)
            for first, later in zip(self.spare.get(stays, ()), self.spare.get(goes, ()), strict=False):
                self.joined.become(first, later, self.groups, 1)
            mine = [c for c in self.children.get(stays, ()) if c not in self.gone]
            other = [c for c in self.children.get(goes, ()) if c not in self.gone]
            pending += zip(mine, other, strict=False)

    # -- the result --------------------------------------------------------------------------------------------------

    def _result(self) -> Drawing:
        final = [self.joined.now(i) for i in range(len(self.vertices))]
        merged: dict[int, list[int]] = {}
        for old, stays in enumerate(final):
            merged.setdefault(stays, []).append(old)
        self.linked = {self._goes_on(edge) for edge in self.drawing.edges}
        cluster_of, clusters = self._clusters()
        new: dict[int, int] = {}
        vertices: list[Vertex] = []
        for stays, olds in sorted(merged.items()):
            new[stays] = len(vertices)
            vertices.append(self._vertex(stays, olds, cluster_of))
        return Drawing(vertices, self._edges([new[stays] for stays in final]), clusters, self.drawing.ops)

    def _edges(self, new: list[int]) -> list[Edge]:
        edges: list[Edge] = []
        found: dict[tuple[object, ...], tuple[int, Edge]] = {}
        for edge in self.drawing.edges:
            flow = edge.flow
            group = self._goes_on(edge)
            if group in self.rows:
                continue
            if group is not None:
                flow = "carry"
            made = edge._replace(tail=new[edge.tail], head=new[edge.head], flow=flow)
            key = made.tail, made.head, made.result, flow, edge.argument.partition("[")[0]
            place, first = found.setdefault(key, (len(edges), edge))
            if (edge.tail, edge.head) == (first.tail, first.head):
                edges.append(made)
            elif edge.differentiable:
                edges[place] = edges[place]._replace(differentiable=True, broken=False)
        return edges

    def _goes_on(self, edge: Edge) -> int | None:
        """The group in which an edge leads from one repetition to a later one."""
        if edge.tail not in self.joined.turns or edge.head not in self.joined.turns:
            return None
        tails = self.joined.trail(edge.tail)
        return next(
            (group for group, turn in self.joined.trail(edge.head).items() if tails.get(group, turn) < turn), None
        )

    def _vertex(self, stays: int, olds: list[int], cluster_of: dict[int | None, int | None]) -> Vertex:
        vertex = self.vertices[stays]
        cluster: int | None = self.moved.get(stays, cluster_of[vertex.cluster])
        if len(olds) == 1:
            return vertex._replace(cluster=cluster, members=members(stays, vertex))
        others = [self.vertices[i] for i in olds]
        titles = list(dict.fromkeys(v.title for v in others))
        return vertex._replace(
            title=vertex.title if len(titles) == 1 else _from_to(titles[0], titles[-1]),
            cluster=cluster,
            count=len(olds),
            details=(*vertex.details, f"one of {len(olds):,}"),
            members=tuple(m for i, v in zip(olds, others, strict=True) for m in members(i, v)),
        )

    def _clusters(self) -> tuple[dict[int | None, int | None], list[Cluster]]:
        """The clusters that stay, with counts and names of what they stand for, and those around repeated items."""
        old = self.drawing.clusters
        #: The clusters in a new order: an old one's position, or the entry of a new one in `around`.
        wrapped: dict[int, int] = {}
        self.moved: dict[int, int] = {}
        for entry, around in enumerate(self.around):
            wrapped |= dict.fromkeys(around.clusters, entry)
        below: dict[tuple[str, int] | None, list[tuple[str, int]]] = {}
        for entry, around in enumerate(self.around):
            at = around.parent
            if at is None or at not in self.gone:
                below.setdefault(None if at is None else ("old", at), []).append(("new", entry))
        for position, cluster in enumerate(old):
            if position in self.gone:
                continue
            above: tuple[str, int] | None = None if cluster.parent is None else ("old", cluster.parent)
            if position in wrapped:
                above = ("new", wrapped[position])
            below.setdefault(above, []).append(("old", position))
        places: dict[tuple[str, int] | None, int | None] = {None: None}
        clusters: list[Cluster] = []
        pending: list[tuple[tuple[str, int] | None, tuple[str, int]]] = [
            (None, c) for c in reversed(below.get(None, []))
        ]
        while pending:
            above, at_ = pending.pop()
            parent = places[above]
            depth = 0 if parent is None else clusters[parent].depth + 1
            places[at_] = len(clusters)
            kind, position = at_
            if kind == "new":
                around = self.around[position]
                made = Cluster("", "", "", parent, depth, around.parameters, "repeat", around.count)
                clusters.append(made._replace(parallel=around.group not in self.linked))
            else:
                clusters.append(self._counted(position)._replace(parent=parent, depth=depth))
            pending += [(at_, c) for c in reversed(below.get(at_, []))]
        for entry, around in enumerate(self.around):
            place = places.get(("new", entry))
            if place is not None:
                self.moved |= dict.fromkeys(around.vertices, place)
        cluster_of: dict[int | None, int | None] = {None: None}
        for position in range(len(old)):
            cluster_of[position] = places.get(("old", position))
        return cluster_of, clusters

    def _counted(self, position: int) -> Cluster:
        cluster = self.drawing.clusters[position]
        at = position
        while at in self.names:
            at = self.names[at][-1]
        last = self.drawing.clusters[at]
        return cluster._replace(
            name=_range(cluster.name, last.name),
            path=_range(cluster.path, last.path),
            variable=_range(cluster.variable, last.variable),
            count=self.counts[position],
            each=cluster.parameters if self.counts[position] > 1 else 0,
            parameters=self.learned.get(position, cluster.parameters),
            parallel=position in self.group_of and self.group_of[position] not in self.linked,
        )


def _from_to(first: str, last: str) -> str:
    """The labels of two ops as one: `× 0.5` and `× 0.9` as `× 0.5 … 0.9`."""
    pairs = list(zip(first.split(" "), last.split(" "), strict=False))
    apart = sum(a != b for a, b in pairs)
    if "(" in first or apart != 1 or first.count(" ") != last.count(" "):
        return f"{first} … {last}"
    return " ".join(a if a == b else f"{a} … {b}" for a, b in pairs)


def _range(first: str, last: str) -> str:
    """Two names as one: `blocks.0` and `blocks.11` as `blocks.0–11`."""
    if first == last:
        return first
    a, b = first.split("."), last.split(".")
    if len(a) != len(b):
        return f"{first} … {last}"
    return ".".join(x if x == y else f"{x}–{y}" for x, y in zip(a, b, strict=True))
