"""The differences between two graphs: of two models, or of two versions of one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from tapenet.drawing.model import Cluster, Drawing, Edge, Sign, Value, Vertex, counted, counted_parameters
from tapenet.drawing.passes.align import align
from tapenet.drawing.passes.match import Match, Side, match, numbered, settings
from tapenet.drawing.text import clean

_Found: TypeAlias = Literal["added", "removed", "changed"]
#: Something of two drawings: where it is in the first and in the second, None where it is not.
_Two: TypeAlias = tuple[int | None, int | None]

_MARKS: dict[_Found, str] = {"added": "+", "removed": "-", "changed": "~"}
#: How many modules a summary tells of.
_SHOWN = 60
_NEXT_ARGUMENT = re.compile(r", (?=\w+[= ])")


class Change(NamedTuple):
    """One difference: what it is, in which module, in words.

    >>> print(Change("changed", "conv2: Conv2d", "weight 8×4×3×3 → 16×4×3×3"))
    conv2: Conv2d: weight 8×4×3×3 → 16×4×3×3
    """

    sign: _Found
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


class Difference(NamedTuple):
    """The result of `diff`.

    Attributes:
        drawing: both graphs in one; `sign` says what is in one of them alone, or other than it was. The details of a
            changed vertex begin with what it was.
        changes: each difference in words, in the order of the drawing.
        arrays: what has another shape or dtype because of them.
    """

    drawing: Drawing
    changes: list[Change]
    arrays: list[Change]

    @property
    def added(self) -> list[str]:
        """Only in the second graph. A new module stands for everything in it."""
        return self._of("added")

    @property
    def removed(self) -> list[str]:
        """Only in the first graph. A removed module stands for everything that was in it."""
        return self._of("removed")

    @property
    def changed(self) -> list[str]:
        """In both graphs, but with another shape, dtype, option, name or class."""
        return self._of("changed")

    def _of(self, sign: _Found) -> list[str]:
        return [str(change) for change in self.changes if change.sign == sign]

    @property
    def same(self) -> bool:
        """Whether the graphs are equal."""
        return not self.changes and not self.arrays

    def __str__(self) -> str:
        """A summary by modules. Differences that are the same in several modules of a list are written once."""
        if self.same:
            return "no difference"
        counts = [f"{len(found)} {sign}" for sign in _MARKS if (found := self._of(sign))]
        if self.arrays:
            counts.append(f"{counted(len(self.arrays), 'array')} of another shape or dtype")
        groups = _alike(_by_place(self.changes or self.arrays))
        lines = [", ".join(counts)]
        for places, texts in groups[:_SHOWN]:
            if places[0]:
                count = f" … {places[-1]} (×{len(places)})" if len(places) > 1 else ""
                lines.append(f"{places[0]}{count}")
            lines += [f"{'  ' if places[0] else ''}{text}" for text in texts]
        if len(groups) > _SHOWN:
            lines.append(f"… and {len(groups) - _SHOWN} more modules")
        return "\n".join(lines)


def diff(before: Drawing, after: Drawing) -> Difference:
    """Compare two graphs.

    Modules are known by their names, the members of a list by what they hold, ops by what they do and where; so a
    layer that comes between others is one layer more. What only comes at another place is removed and added.

    Args:
        before: the graph as it was, as `build` gives it.
        after: the graph as it is.

    >>> import tapenet as tn
    >>> from tapenet.drawing.sources.build import build
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> print(diff(build(tn.exp(x).sum()), build((tn.exp(x) * 3).sum())))
    1 added
    + × 3
    """
    a, b = Side(before), Side(after)
    return _Merge(a, b, match(a, b)).difference()


# -- two drawings in one -------------------------------------------------------------------------------------


class _Merge:
    """Two drawings merged into one, with their differences in words."""

    def __init__(self, a: Side, b: Side, found: Match) -> None:
        self.sides = (a, b)
        self.match = found
        self.turned = a.order > b.order
        self.back = {y: x for x, y in found.vertices.items()}
        self.both = (set(found.clusters), set(found.clusters.values()))  # the clusters that are in both
        self.ops = (_count_ops(a), _count_ops(b))
        self.order: list[_Two] = []  # of the vertices
        self.was: list[str | None] = []  # of the vertices: what they were, if that is something else
        self.at: tuple[dict[int, int], dict[int, int]] = ({}, {})  # of the vertices of the two: where they are now
        self.moved: tuple[dict[int | None, int | None], dict[int | None, int | None]] = ({None: None}, {None: None})
        self.clusters: list[Cluster] = []
        self.changes: list[Change] = []
        self.arrays: dict[tuple[int, int | None], Change] = {}  # by what made them, and which of its results they are

    def difference(self) -> Difference:
        for x, y in self._walk():
            if _is_cluster(x, y):
                self._cluster(None if x is None else ~x, None if y is None else ~y)
            else:
                self._after_leaves(x, y)
        for side in (1, 0):  # what nothing uses, and the results
            for position in range(len(self.sides[side].drawing.vertices)):
                self._add(side, position)
        vertices = [self._vertex(two, was) for two, was in zip(self.order, self.was, strict=True)]
        edges = [edge for x, y in self.order for edge in self._edges(x, y)]
        ops = {**self.sides[0].drawing.ops, **self.sides[1].drawing.ops}
        return Difference(Drawing(vertices, edges, self.clusters, ops), self.changes, list(self.arrays.values()))

    # -- the order: that of both drawings, what is gone before what is new in its place

    def _walk(self) -> Iterator[_Two]:
        """The items of both drawings, each cluster followed by its content."""
        a, b = self.sides
        stack = self._inside(None, None)[::-1]
        while stack:
            x, y = stack.pop()
            yield x, y
            if not _is_cluster(x, y):
                continue
            inside: list[_Two] = []
            if x is not None and y is not None:
                inside = self._inside(~x, ~y)
            elif x is not None:
                inside = [(item, None) for item in a.items[~x]]
            elif y is not None:
                inside = [(None, item) for item in b.items[~y]]
            stack += reversed(inside)

    def _inside(self, a: int | None, b: int | None) -> list[_Two]:
        left, right = self.sides[0].items[a], self.sides[1].items[b]
        found: list[_Two] = []
        i = j = 0
        for m, n in self.match.inside[a]:
            found += [(item, None) for item in left[i:m]]
            found += [(None, item) for item in right[j:n]]
            found.append((left[m], right[n]))
            i, j = m + 1, n + 1
        return [*found, *((item, None) for item in left[i:]), *((None, item) for item in right[j:])]

    def _after_leaves(self, x: int | None, y: int | None) -> None:
        """Add a vertex after the parameters and inputs that it uses, if they are not there yet."""
        for side, position in ((1, y), (0, x)):
            if position is not None:
                one = self.sides[side]
                for tail in (one.drawing.edges[e].tail for e in one.into[position]):
                    if one.is_leaf(tail):
                        self._add(side, tail)
        self._add(*((1, y) if y is not None else (0, x or 0)))

    def _add(self, side: int, position: int) -> None:
        """Add a vertex of one of the drawings, and of the other if it is there too."""
        if position in self.at[side]:
            return
        x = position if side == 0 else self.back.get(position)
        y = position if side == 1 else self.match.vertices.get(position)
        for at, one in zip(self.at, (x, y), strict=True):
            if one is not None:
                at[one] = len(self.order)
        self.order.append((x, y))
        self.was.append(self._compare(x, y))

    # -- what is different

    def _compare(self, x: int | None, y: int | None) -> str | None:
        """What a vertex was, if it changed; the change is noted."""
        if x is None or y is None:
            side, position, sign = _only(x, y)
            vertex = self.sides[side].drawing.vertices[position]
            if vertex.cluster in self.both[side]:  # else its module is told of
                self._note(sign, side, vertex.cluster, " ".join(filter(None, (vertex.title, str(vertex.value or "")))))
            return None
        old, new = self.sides[0].drawing.vertices[x], self.sides[1].drawing.vertices[y]
        found = _changed(old, new)
        if found is None:
            return None
        was, text = found
        if new.kind == "output" and old.title == new.title:
            self.arrays[y, None] = Change("changed", self._place(1, new.cluster), clean(text))
        else:
            self._note("changed", 1, new.cluster, text)
        return was

    def _cluster(self, a: int | None, b: int | None) -> None:
        """Add a cluster, and note how it differs."""
        side = 0 if b is None else 1
        position = (a or 0) if b is None else b
        cluster = self.sides[side].drawing.clusters[position]
        sign: Sign = ""
        if a is None or b is None:
            side, position, sign = _only(a, b)
            if cluster.parent in self.both[side]:
                text = counted(self.ops[side][position], "op")
                if cluster.parameters:
                    text += f", {counted_parameters(cluster.parameters)}"
                self._note(sign, side, position, text)
        else:
            old = self.sides[0].drawing.clusters[a]
            other = (numbered(old.name), old.type) != (numbered(cluster.name), cluster.type)
            more = old.parameters != cluster.parameters
            sign = "changed" if other or more else ""
            if other:
                was = old.type if old.name == cluster.name else _called(old)
                self._note("changed", 1, b, f"was {was}")
            if more and cluster.parent is None:
                self._note("changed", 1, b, f"{old.parameters:,} → {cluster.parameters:,} parameters")
        parent = self.moved[side][cluster.parent]
        depth = 0 if parent is None else self.clusters[parent].depth + 1
        for moved, one in zip(self.moved, (a, b), strict=True):
            if one is not None:
                moved[one] = len(self.clusters)
        self.clusters.append(cluster._replace(parent=parent, depth=depth, sign=sign))

    def _note(self, sign: _Found, side: int, cluster: int | None, text: str) -> None:
        self.changes.append(Change(sign, self._place(side, cluster), clean(text)))

    def _place(self, side: int, cluster: int | None) -> str:
        return "" if cluster is None else clean(self.sides[side].drawing.clusters[cluster].place)

    # -- the new drawing

    def _vertex(self, two: _Two, was: str | None) -> Vertex:
        x, y = two
        if x is None or y is None:
            side, position, sign = _only(x, y)
            vertex = self.sides[side].drawing.vertices[position]
            return vertex._replace(cluster=self.moved[side][vertex.cluster], sign=sign)
        vertex = self.sides[1].drawing.vertices[y]
        vertex = vertex._replace(cluster=self.moved[1][vertex.cluster])
        return vertex if was is None else vertex._replace(sign="changed", details=(f"was {was}", *vertex.details))

    def _edges(self, x: int | None, y: int | None) -> Iterator[Edge]:
        """The edges to a vertex."""
        a, b = self.sides
        left = [] if x is None else [a.drawing.edges[e] for e in a.into[x]]
        right = [] if y is None else [b.drawing.edges[e] for e in b.into[y]]
        replaced = x is not None and y is not None and a.drawing.vertices[x].op != b.drawing.vertices[y].op
        keys = [
            # The arguments of another op have other names; the numbers of those in a list shift.
            [(at[e.tail], e.result, e.flow, "" if replaced else _argument(e)) for e in edges]
            for at, edges in zip(self.at, (left, right), strict=True)
        ]
        if self.turned:
            pairs = [(i, j) for j, i in align(keys[1], keys[0])]
        else:
            pairs = align(keys[0], keys[1])
        gone = [left[i] for i in sorted(set(range(len(left))) - {i for i, _ in pairs})]
        new = [right[j] for j in sorted(set(range(len(right))) - {j for _, j in pairs})]
        partner = {j: left[i] for i, j in pairs}
        if x is not None and y is not None:
            self._note_edges(gone, new)
        yield from (self._edge(0, edge, "removed") for edge in gone)
        for j, edge in enumerate(right):
            if j not in partner:
                yield self._edge(1, edge, "added")
                continue
            same = partner[j].value == edge.value
            told = b.is_leaf(edge.tail) and self.was[self.at[1][edge.tail]] is not None
            if not same and not told:
                self._note_array(partner[j].value, edge)
            yield self._edge(1, edge, "" if same else "changed")

    def _edge(self, side: int, edge: Edge, sign: Sign) -> Edge:
        return edge._replace(tail=self.at[side][edge.tail], head=self.at[side][edge.head], sign=sign)

    def _note_array(self, was: Value, edge: Edge) -> None:
        tail = self.sides[1].drawing.vertices[edge.tail]
        change = Change("changed", self._place(1, tail.cluster), clean(f"{tail.title} {_arrow(was, edge.value)}"))
        self.arrays.setdefault((edge.tail, edge.result), change)

    def _note_edges(self, gone: list[Edge], new: list[Edge]) -> None:
        """Note the changed arguments of a vertex, unless an added or removed vertex explains them."""
        kept = (self.match.vertices, self.back)
        ends: tuple[tuple[int, _Found, list[Edge], list[Edge]], ...] = (
            (0, "removed", gone, new),
            (1, "added", new, gone),
        )
        for side, sign, edges, others in ends:
            explained = {_argument(edge) for edge in others if edge.tail not in kept[1 - side]}
            drawing = self.sides[side].drawing
            for edge in edges:
                if edge.tail in kept[side] and _argument(edge) not in explained:
                    tail, head = drawing.vertices[edge.tail], drawing.vertices[edge.head]
                    result = "" if edge.result is None else f", result {edge.result},"
                    argument = f" as {edge.argument}" if edge.argument else ""
                    self._note(sign, side, head.cluster, f"{tail.title}{result} into {head.title}{argument}")


def _is_cluster(x: int | None, y: int | None) -> bool:
    return min(item for item in (x, y) if item is not None) < 0


def _only(x: int | None, y: int | None) -> tuple[int, int, _Found]:
    """For something in one drawing alone: which drawing, its position there, and the sign for it."""
    if y is not None:
        return 1, y, "added"
    return 0, x or 0, "removed"


def _count_ops(side: Side) -> list[int]:
    """How many ops are in each cluster, at any depth."""
    counts = [0] * len(side.drawing.clusters)
    for position in reversed(range(len(counts))):
        counts[position] = sum(1 if item >= 0 else counts[~item] for item in side.items[position])
    return counts


# -- words ---------------------------------------------------------------------------------------------------


def _changed(old: Vertex, new: Vertex) -> tuple[str, str] | None:
    """What a vertex was, and the change in words; None if it is the same."""
    if old.value is not None and new.value is not None and old.value != new.value:
        if old.title == new.title:
            return str(old.value), f"{new.title} {_arrow(old.value, new.value)}"
        was = f"{old.title} {old.value}"
        return was, f"{was} → {new.title} {new.value}"
    if old.title != new.title:
        return old.title, f"{old.title} → {new.title}"
    if old.op != new.op:
        return old.op, f"{old.op} → {new.op}"
    if settings(old) == settings(new):
        return None
    one, two = (_NEXT_ARGUMENT.split(settings(v).partition("(")[2][:-1]) for v in (old, new))
    before = ", ".join(word for word in one if word not in two) or "default"
    after = ", ".join(word for word in two if word not in one) or "default"
    return before, f"{new.title}: {before} → {after}"


def _called(cluster: Cluster) -> str:
    """Name and class of a module, as in `Cluster.place`."""
    return " · ".join(part for part in (cluster.name, cluster.type) if part)


def _arrow(old: Value, new: Value) -> str:
    """A change of shape or dtype, without what is the same."""
    if old.shape == new.shape:
        return f"{old.dtype} → {new.dtype}"
    if old.dtype == new.dtype:
        return f"{_shape(old)} → {_shape(new)}"
    return f"{old} → {new}"


def _shape(value: Value) -> str:
    return str(value).removesuffix(f" {value.dtype}")


def _argument(edge: Edge) -> str:
    """The argument of an edge, without its number in a list."""
    return edge.argument.partition("[")[0]


def _by_place(changes: list[Change]) -> dict[str, list[str]]:
    """The lines of a summary, by module."""
    found: dict[str, Counter[str]] = {}
    for change in changes:
        found.setdefault(change.place, Counter())[f"{_MARKS[change.sign]} {change.text}"] += 1
    return {
        place: [text if count == 1 else f"{text} (×{count})" for text, count in texts.items()]
        for place, texts in found.items()
    }


def _alike(groups: dict[str, list[str]]) -> list[tuple[list[str], list[str]]]:
    """The lines of a summary with the modules that they are about. Modules of a list with equal lines share one
    entry."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for place, texts in groups.items():
        path, _, kind = place.partition(": ")
        found.setdefault((f"{numbered(path)}: {kind}", tuple(texts)), []).append(place)
    return [(places, list(texts)) for (_, texts), places in found.items()]
