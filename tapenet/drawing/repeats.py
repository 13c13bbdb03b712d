"""A pass that draws what is repeated once: equal blocks one after the other, and the steps of an unrolled loop.

In each cluster, from the innermost outwards, the sequence of ops and clusters is searched for stretches in which
some consecutive items come again and again, wired alike: each repetition takes what the one before it gives (or its
own parameters, or the same array as all the others). The first repetition stays, with a count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tapenet.drawing.folding import members
from tapenet.drawing.model import Cluster, Drawing, Edge, Vertex

#: The longest sequence of items that is looked for.
_PERIOD = 64
#: What is worth folding: so many vertices less. A few equal lines are read as quickly as a count.
_SAVED = 8
#: Loops without a module around each turn are folded from so many turns on.
_TURNS = 4


class _Item(NamedTuple):
    """An op, or a cluster with all in it, in the sequence of its parent.

    Attributes:
        ops: the ops in it that are still drawn, in order.
        shape: a number that is the same for items of equal structure.
        sources: what it uses from outside, in order of first use.
        cluster: its position, if it is one.
    """

    ops: tuple[int, ...]
    shape: int
    sources: tuple[int, ...]
    cluster: int | None


class _Group(NamedTuple):
    """A stretch: `count` times `period` items, from `start` on."""

    start: int
    period: int
    count: int  # type: ignore[assignment]  # better known than the method of tuples

    @property
    def end(self) -> int:
        return self.start + self.period * self.count

    def covers(self, other: _Group) -> bool:
        return self.start <= other.start and other.end <= self.end


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
        self.incoming: list[list[Edge]] = [[] for _ in drawing.vertices]
        self.users: list[list[int]] = [[] for _ in drawing.vertices]
        for edge in drawing.edges:
            if edge.flow == "value":
                self.incoming[edge.head].append(edge)
                self.users[edge.tail].append(edge.head)
        self.content: dict[int | None, list[int]] = {}  # by cluster: the ops directly in it
        for i, vertex in enumerate(drawing.vertices):
            if vertex.kind == "op":
                self.content.setdefault(vertex.cluster, []).append(i)
        self.spare: dict[int | None, list[int]] = {}  # by cluster: what is in it and used by nothing
        for i, vertex in enumerate(drawing.vertices):
            if not self.users[i] and not self.incoming[i] and vertex.cluster is not None:
                self.spare.setdefault(vertex.cluster, []).append(i)
        self.children: dict[int | None, list[int]] = {}
        for i, cluster in enumerate(drawing.clusters):
            self.children.setdefault(cluster.parent, []).append(i)
        #: Which vertex of the first repetition each one became, and the turns that ops are in, by group.
        self.kept = list(range(len(drawing.vertices)))
        self.turns: dict[int, list[tuple[int, int]]] = {}
        self.groups = 0
        self.rows: set[int] = set()  # the groups of modules one after the other, each with its own parameters
        self.inside: list[tuple[int, ...]] = [()] * len(drawing.clusters)  # by cluster: the ops still drawn in it
        self.counts = [1] * len(drawing.clusters)
        self.gone: set[int] = set()
        self.names: dict[int, list[int]] = {}  # by cluster that stays: those that it stands for
        self.around: list[tuple[list[int], list[int], int]] = []  # ops and clusters to put in a new cluster, and count
        self.shapes: dict[Any, int] = {}

    def folded(self) -> Drawing:
        # Children come after their parents.
        for parent in [*range(len(self.drawing.clusters) - 1, -1, -1), None]:
            items = self._items(parent)
            drawn = list(items)
            for group in self._groups(items):
                self._merge(items, group)
                for place in range(group.start + group.period, group.end):
                    drawn[place] = None  # type: ignore[call-overload]
            if parent is not None:
                self.inside[parent] = tuple(sorted(op for item in drawn if item is not None for op in item.ops))
        return self._result() if self.groups else self.drawing

    # -- items -------------------------------------------------------------------------------------------------------

    def _items(self, parent: int | None) -> list[_Item]:
        firsts: list[tuple[int, tuple[int, ...], int | None]]
        firsts = [(op, (op,), None) for op in self.content.get(parent, ())]
        firsts += [(self.inside[c][0], self.inside[c], c) for c in self.children.get(parent, ()) if self.inside[c]]
        return [self._item(ops, cluster) for _, ops, cluster in sorted(firsts, key=lambda entry: entry[0])]

    def _item(self, ops: tuple[int, ...], cluster: int | None) -> _Item:
        inside = {op: place for place, op in enumerate(ops)}
        sources: dict[int, int] = {}
        parts: list[Any] = []
        for op in ops:
            vertex = self.vertices[op]
            # The first detail is the whole call. Which element a loop takes differs from turn to turn.
            call = vertex.op if vertex.op == "getitem" else (vertex.details[0] if vertex.details else vertex.title)
            parts.append((call, vertex.sign and (vertex.sign, *vertex.details[:2])))
            for edge in self.incoming[op]:
                tail = self.kept[edge.tail]
                where = inside.get(tail)
                if where is None:
                    where = -1 - sources.setdefault(tail, len(sources))
                parts.append((where, edge.value, edge.result, edge.argument, edge.sign))
        if cluster is not None:
            kind = self.drawing.clusters[cluster]
            nested = tuple(self.counts[c] for c in self.children.get(cluster, ()) if c not in self.gone)
            spare = tuple((self.vertices[i].title, self.vertices[i].value) for i in self._spare(cluster))
            parts.append((kind.type, kind.parameters, kind.sign, nested, spare))
        shape = self.shapes.setdefault(tuple(parts), len(self.shapes))
        return _Item(ops, shape, tuple(sources), cluster)

    def _spare(self, cluster: int) -> Iterator[int]:
        """What nothing uses, in a cluster and those in it that stay."""
        pending = [cluster]
        for at in pending:  # grows while it is walked over
            yield from self.spare.get(at, ())
            pending += [c for c in self.children.get(at, ()) if c not in self.gone]

    # -- stretches ---------------------------------------------------------------------------------------------------

    def _groups(self, items: list[_Item]) -> list[_Group]:
        """The stretches worth folding, none over another."""
        if len(items) < 2:
            return []
        owner = {op: (place, i) for place, item in enumerate(items) for i, op in enumerate(item.ops)}
        found: list[_Group] = []
        for stretch in _stretches(np.array([item.shape for item in items])):
            # What repeats after two items repeats after four as well.
            if not any(stretch.period % g.period == 0 and g.covers(stretch) for g in found):
                found += [group for group in self._wired(items, owner, stretch) if self._worth(items, group)]
        found.sort(key=lambda g: (-g.period * (g.count - 1), g.period, g.start))
        taken = np.zeros(len(items), bool)
        chosen = []
        for group in found:
            where = slice(group.start, group.end)
            if not taken[where].any():
                taken[where] = True
                chosen.append(group)
        return sorted(chosen)

    def _worth(self, items: list[_Item], group: _Group) -> bool:
        block = items[group.start : group.start + group.period]
        saved = (group.count - 1) * sum(len(item.ops) for item in block)
        least = 2 if any(item.cluster is not None and len(item.ops) > 1 for item in block) else _TURNS
        return saved >= _SAVED and group.count >= least

    def _wired(self, items: list[_Item], owner: dict[int, tuple[int, int]], stretch: _Group) -> Iterator[_Group]:
        """The parts of a stretch in which each repetition is wired as the one before."""
        first = stretch.start
        period = stretch.period
        for turn in range(1, stretch.count):
            here = stretch.start + turn * period
            if not self._alike(items, owner, here, period, begins=here - period == first):
                yield _Group(first, period, (here - first) // period)
                first = here
        yield _Group(first, period, (stretch.end - first) // period)

    def _alike(
        self, items: list[_Item], owner: dict[int, tuple[int, int]], here: int, period: int, begins: bool
    ) -> bool:
        for place in range(here, here + period):
            for old, new in zip(items[place - period].sources, items[place].sources, strict=True):
                if old == new:
                    continue
                now, before = owner.get(new), owner.get(old)
                if now is None:
                    if before is not None or not self._same_kind(old, new, owner, here, period):
                        return False
                    continue
                if before is not None and (before[0] + period, before[1]) == now:
                    continue
                # The first repetition takes from outside what the others take from the one before.
                from_last = here - period <= now[0] < here
                if not (begins and from_last and (before is None or before[0] < here - period)):
                    return False
        return True

    def _same_kind(self, old: int, new: int, owner: dict[int, tuple[int, int]], here: int, period: int) -> bool:
        """Whether each of two repetitions has an array of its own in the same place."""
        a, b = self.vertices[old], self.vertices[new]
        if (a.kind, a.value) != (b.kind, b.value) or b.kind == "op":
            return False
        return all(
            user in owner and here <= owner[user][0] < here + period
            for user in map(self.kept.__getitem__, self.users[new])
        )

    # -- merging -----------------------------------------------------------------------------------------------------

    def _merge(self, items: list[_Item], group: _Group) -> None:
        self.groups += 1
        block = items[group.start : group.start + group.period]
        for turn in range(group.count):
            for j, stays in enumerate(block):
                item = items[group.start + turn * group.period + j]
                for mine, other in zip(stays.ops, item.ops, strict=True):
                    self.turns.setdefault(other, []).append((self.groups, turn))
                    if turn:
                        self.kept[other] = mine
                if not turn:
                    continue
                for mine, other in zip(stays.sources, item.sources, strict=True):
                    if mine != other and self.vertices[other].kind != "op" and self.vertices[mine].kind != "op":
                        self.kept[other] = mine
                        self.turns.setdefault(other, []).append((self.groups, turn))
                if item.cluster is not None and stays.cluster is not None:
                    self._drop(stays.cluster, item.cluster)
        if group.period == 1 and block[0].cluster is not None:
            self.counts[block[0].cluster] = group.count
            if not self._same_module([block[0].cluster, *self.names[block[0].cluster]]):
                self.rows.add(self.groups)
        else:
            ops = [op for item in block for op in item.ops if item.cluster is None]
            clusters = [item.cluster for item in block if item.cluster is not None]
            self.around.append((ops, clusters, group.count))

    def _drop(self, stays: int, goes: int) -> None:
        """Note that one cluster, with what is in it, became another."""
        self.gone.add(goes)
        self.names.setdefault(stays, []).append(goes)
        for first, later in zip(self.spare.get(stays, ()), self.spare.get(goes, ()), strict=False):
            self.kept[later] = first
        mine = [c for c in self.children.get(stays, ()) if c not in self.gone]
        other = [c for c in self.children.get(goes, ()) if c not in self.gone]
        for a, b in zip(mine, other, strict=False):
            self._drop(a, b)

    # -- the result --------------------------------------------------------------------------------------------------

    def _final(self, position: int) -> int:
        at = position
        while self.kept[at] != at:
            at = self.kept[at]
        return at

    def _result(self) -> Drawing:
        final = [self._final(i) for i in range(len(self.vertices))]
        merged: dict[int, list[int]] = {}
        for old, stays in enumerate(final):
            merged.setdefault(stays, []).append(old)
        cluster_of, clusters = self._clusters()
        new: dict[int, int] = {}
        vertices: list[Vertex] = []
        for stays, olds in sorted(merged.items()):
            new[stays] = len(vertices)
            vertices.append(self._vertex(stays, olds, cluster_of))
        edges: dict[tuple[Any, ...], Edge] = {}
        for edge in self.drawing.edges:
            tail, head = new[final[edge.tail]], new[final[edge.head]]
            made = edge._replace(tail=tail, head=head)
            group = self._goes_on(edge)
            if group in self.rows:
                continue
            if group is not None:
                made = made._replace(flow="carry")
            key = (tail, head, made.result, made.flow, edge.argument.partition("[")[0])
            edges.setdefault(key, made)
        return Drawing(vertices, list(edges.values()), clusters, self.drawing.ops)

    def _goes_on(self, edge: Edge) -> int | None:
        """The stretch of which an edge leads from one repetition into a later one."""
        if edge.tail not in self.turns or edge.head not in self.turns:
            return None
        tails = dict(self.turns[edge.tail])
        return next((group for group, turn in self.turns[edge.head] if tails.get(group, turn) < turn), None)

    def _vertex(self, stays: int, olds: list[int], cluster_of: dict[int | None, int | None]) -> Vertex:
        vertex = self.vertices[stays]
        cluster: int | None = self.moved.get(stays, cluster_of[vertex.cluster])
        if len(olds) == 1:
            return vertex._replace(cluster=cluster, members=members(stays, vertex))
        others = [self.vertices[i] for i in olds]
        titles = list(dict.fromkeys(v.title for v in others))
        return vertex._replace(
            title=vertex.title if len(titles) == 1 else f"{titles[0]} … {titles[-1]}",
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
        parents: list[int | None] = []
        for entry, (ops, inner, _) in enumerate(self.around):
            for c in inner:
                wrapped[c] = entry
            at = self.vertices[ops[0]].cluster if ops else old[inner[0]].parent
            parents.append(at)
        order: list[tuple[str, int]] = []
        below: dict[tuple[str, int] | None, list[tuple[str, int]]] = {}
        for entry, at in enumerate(parents):
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
            order.append(at_)
            kind, position = at_
            if kind == "new":
                clusters.append(Cluster("", "", "", parent, depth, around="repeat", count=self.around[position][2]))
            else:
                clusters.append(self._counted(position)._replace(parent=parent, depth=depth))
            pending += [(at_, c) for c in reversed(below.get(at_, []))]
        for entry, (ops, _, _) in enumerate(self.around):
            place = places.get(("new", entry))
            if place is not None:
                self.moved |= dict.fromkeys(ops, place)
        cluster_of: dict[int | None, int | None] = {None: None}
        for position in range(len(old)):
            cluster_of[position] = places.get(("old", position))
        return cluster_of, clusters

    def _counted(self, position: int) -> Cluster:
        cluster = self.drawing.clusters[position]
        others = [self.drawing.clusters[c] for c in self.names.get(position, ())]
        if not others:
            return cluster
        last = others[-1]
        same = self._same_module([position, *self.names[position]])
        return cluster._replace(
            name=_range(cluster.name, last.name),
            path=_range(cluster.path, last.path),
            count=self.counts[position],
            parameters=cluster.parameters * (1 if same else self.counts[position]),
        )

    def _same_module(self, calls: list[int]) -> bool:
        """Whether these are calls of one module, with the same parameters each time."""
        return len({(self.drawing.clusters[c].path, self.drawing.clusters[c].name) for c in calls}) == 1


def _stretches(shapes: np.ndarray[Any, Any]) -> Iterator[_Group]:
    """Where numbers repeat with some period, shortest period first."""
    for period in range(1, min(_PERIOD, len(shapes) // 2) + 1):
        equal = np.concatenate(([False], shapes[period:] == shapes[:-period], [False]))
        (edges,) = np.nonzero(equal[1:] != equal[:-1])
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            count = (end - start) // period + 1
            if count >= 2:
                yield _Group(start, period, count)


def _range(first: str, last: str) -> str:
    """Two names as one: `blocks.0` and `blocks.11` as `blocks.0–11`."""
    if first == last:
        return first
    a, b = first.split("."), last.split(".")
    if len(a) != len(b):
        return f"{first} … {last}"
    return ".".join(x if x == y else f"{x}–{y}" for x, y in zip(a, b, strict=True))
