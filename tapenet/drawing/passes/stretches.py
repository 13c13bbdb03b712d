"""Finds where a sequence of items repeats, and whether each repetition is wired as the one before it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np

from tapenet.drawing.model import Drawing, Vertex
from tapenet.typing import Array

#: The longest sequence of items that is looked for.
_PERIOD = 64
#: Where an op is: the place of its item, its place in that, and the turns of the stretches in it that it is of.
Locus: TypeAlias = tuple[int, int, tuple[int, ...]]
#: Of one repetition: what is used outside of it, and by which vertices.
Given: TypeAlias = dict[Locus, list[int]]
#: The places of two items that must be one repetition apart in another stretch.
Step: TypeAlias = tuple[int, int]
#: How a repetition gets one of its sources, next to how the one before it does.
Relation: TypeAlias = tuple[object, ...]


#: A single number among the arguments of a call: "0.5" in "multiply(x 0.5, y 3 f32)".
_NUMBER = re.compile(r"(\w) -?(?:\d[\de.+-]*|inf|nan)(?=[,)])")


def call(vertex: Vertex) -> tuple[object, ...]:
    """The op, its options and the shapes of its arguments. The index of a `getitem` and single numbers are left out, as
    they differ between the turns of a loop.

    >>> call(Vertex("op", "1.5 −", details=("subtract(x 1.5, y 2×3 f32)",), op="subtract"))
    ('subtract', '', 'subtract(x, y 2×3 f32)')
    """
    # The whole call is the first detail, after the reason for a sign.
    words = () if vertex.op == "getitem" else vertex.details[: 1 + bool(vertex.sign)] or (vertex.title,)
    return vertex.op, vertex.sign, *(_NUMBER.sub(r"\1", word) for word in words)


class Item(NamedTuple):
    """An op, or a cluster with all in it, in the sequence of its parent.

    Attributes:
        ops: the ops in it that are still drawn, in order.
        shape: a number that is the same for items of equal structure.
        sources: what it uses from outside, use by use.
        cluster: its position, if it is one.
    """

    ops: tuple[int, ...]
    shape: int
    sources: tuple[int, ...]
    cluster: int | None


class Group(NamedTuple):
    """A stretch: `count` times `period` items, from `start` on.

    Attributes:
        wiring: how a repetition gets each of its sources.
        beside: what must be one repetition apart in another stretch.
    """

    start: int
    period: int
    count: int  # type: ignore[assignment]  # better known than the method of tuples
    wiring: tuple[Relation, ...] = ()
    beside: tuple[Step, ...] = ()

    @property
    def end(self) -> int:
        return self.start + self.period * self.count

    def covers(self, other: Group) -> bool:
        return self.start <= other.start and other.end <= self.end

    def steps(self, a: int, b: int) -> bool:
        """Whether one repetition lies between two places."""
        return self.start <= a and b < self.end and b - a == self.period


class Joined:
    """Records which vertices were merged into which.

    Attributes:
        kept: of each vertex: the one of the first repetition that it became, at the innermost level.
        turns: of each vertex that is repeated: groups, from inside out, and the turns of them that it is of.
        uses: of each vertex, with those that became it: where its results go, as tail and head.
    """

    def __init__(self, drawing: Drawing) -> None:
        self.vertices = drawing.vertices
        #: What each vertex calls, if it is an op.
        self.calls = [call(vertex) for vertex in drawing.vertices]
        self.kept = list(range(len(drawing.vertices)))
        self.turns: dict[int, list[tuple[int, int]]] = {}
        self.uses: list[list[tuple[int, int]]] = [[] for _ in drawing.vertices]
        for edge in drawing.edges:
            if edge.flow == "value":
                self.uses[edge.tail].append((edge.tail, edge.head))

    def become(self, mine: int, other: int, group: int, turn: int) -> None:
        """Note that a vertex of some turn of a group was merged into the one of the first turn."""
        self.turns.setdefault(other, []).append((group, turn))
        if turn:
            self.kept[other] = mine
            self.uses[mine] += self.uses[other]

    def now(self, at: int) -> int:
        """The vertex that stands for this one."""
        while self.kept[at] != at:
            at = self.kept[at]
        return at

    def trail(self, at: int) -> dict[int, int]:
        """The turns that a vertex is of, by group, from inside out."""
        found: dict[int, int] = {}
        last = 0
        while True:
            for group, turn in self.turns.get(at, ()):
                if group > last:
                    found[group] = turn
                    last = group
            if self.kept[at] == at:
                return found
            at = self.kept[at]

    def turns_of(self, at: int) -> tuple[int, ...]:
        return tuple(self.trail(at).values()) if at in self.turns else ()


class Wiring:
    """Splits a stretch into parts in which each repetition is wired as the one before."""

    def __init__(self, joined: Joined, items: list[Item], owner: dict[int, tuple[int, int]], stretch: Group) -> None:
        self.joined = joined
        self.vertices = joined.vertices
        self.items = items
        self.owner = owner
        self.stretch = stretch
        self.period = stretch.period

    def groups(self) -> Iterator[Group]:
        first, period = self.stretch.start, self.period
        given = self._given(first)
        wiring: tuple[Relation, ...] | None = None  # None: the second repetition has yet to be found
        beside: list[Step] = []
        uses: Given | None = None
        for here in range(first + period, self.stretch.end, period):
            found = self._relations(first, here)
            after = self._given(here)
            inner = self._without_next(given, here)
            used = self._taken(inner, after, exact=False)
            if uses is not None and used is not None:
                # Of all repetitions but the last, the same is used.
                same = self._taken(uses, inner, exact=True)
                used = None if same is None else same + used
            if found is not None and used is not None and (wiring is None or found[0] == wiring):
                wiring, steps = found
                beside += steps + used
                uses = inner
            else:
                yield Group(first, period, (here - first) // period, wiring or (), tuple(beside))
                first, wiring, beside, uses = here, None, [], None
            given = after
        yield Group(first, period, (self.stretch.end - first) // period, wiring or (), tuple(beside))

    # -- what a repetition takes -------------------------------------------------------------------------------------

    def _relations(self, first: int, here: int) -> tuple[tuple[Relation, ...], list[Step]] | None:
        """How the repetition that begins here gets its sources; None if not as the one before it does."""
        relations: list[Relation] = []
        beside: list[Step] = []
        pairs: dict[int, int] = {}
        for place in range(here, here + self.period):
            for old, new in zip(self.items[place - self.period].sources, self.items[place].sources, strict=True):
                a, b = self._locus(old), self._locus(new)
                relation = self._relation(first, here, old, new, a, b)
                if relation is None or (relation[0] == "own" and pairs.setdefault(new, old) != old):
                    return None
                relations.append(relation)
                if a is not None and b is not None and relation[0] == "beside" and a != b and a[0] != b[0]:
                    beside.append((a[0], b[0]))
        # One array in each repetition for one in the other.
        return (tuple(relations), beside) if len(set(pairs.values())) == len(pairs) else None

    def _relation(self, first: int, here: int, old: int, new: int, a: Locus | None, b: Locus | None) -> Relation | None:
        last = here - self.period
        if b is not None and b[0] >= last:  # made here or in the repetition before
            same_place = a is not None and (a[0] + self.period, *a[1:]) == b
            # The first repetition takes from outside what the others take from the one before.
            from_outside = last == first and b[0] < here and (a is None or a[0] < first)
            return ("made", here - b[0], *b[1:]) if same_place or from_outside else None
        if old == new:
            return ("same",) if b is None or b[0] < first else None
        if self.vertices[new].kind != "op":
            return ("own",) if self._own(old, last) and self._own(new, here) and self._like(old, new) else None
        return self._beside(first, old, new, a, b)

    def _beside(self, first: int, old: int, new: int, a: Locus | None, b: Locus | None) -> Relation | None:
        """Whether what two repetitions take is one repetition apart in another stretch, by how many items."""
        if a is not None and b is not None and a[0] < b[0] < first and a[1:] == b[1:]:
            return "beside", b[0] - a[0]
        if self.joined.now(old) == self.joined.now(new):
            before, after = self.joined.trail(old), self.joined.trail(new)
            if before.keys() == after.keys() and [after[g] - before[g] for g in before] == [1]:
                return ("beside",)
        return None

    def _locus(self, at: int) -> Locus | None:
        """Where a vertex is; None for what is not in an item."""
        found = self.owner.get(self.joined.now(at))
        return None if found is None else (*found, self.joined.turns_of(at))

    def _own(self, leaf: int, here: int) -> bool:
        """Whether only the repetition that begins here uses an array."""
        places = [self._locus(head) for _, head in self.joined.uses[leaf]]
        return all(place is not None and here <= place[0] < here + self.period for place in places)

    def _like(self, old: int, new: int) -> bool:
        a, b = self.vertices[old], self.vertices[new]
        return (a.kind, a.value, a.sign) == (b.kind, b.value, b.sign)

    # -- what is taken from it ---------------------------------------------------------------------------------------

    def _given(self, here: int) -> Given:
        """What of the repetition that begins here is used outside of it."""
        given: Given = {}
        for j in range(self.period):
            for i, op in enumerate(self.items[here + j].ops):
                for tail, head in self.joined.uses[op]:
                    found = self.owner.get(self.joined.now(head))
                    if found is None or not here <= found[0] < here + self.period:
                        given.setdefault((j, i, self.joined.turns_of(tail)), []).append(head)
        return given

    def _without_next(self, given: Given, here: int) -> Given:
        """What is used outside of a repetition and the one after it, which begins here."""
        inner: Given = {}
        for key, heads in given.items():
            for head in heads:
                found = self.owner.get(self.joined.now(head))
                if found is None or not here <= found[0] < here + self.period:
                    inner.setdefault(key, []).append(head)
        return inner

    def _taken(self, before: Given, after: Given, *, exact: bool) -> list[Step] | None:
        """The steps between those that use a repetition and those that use the next one; None if they do not match.

        Args:
            before: what of the one is used, and by which vertices.
            after: the same of the next.
            exact: whether nothing more may be used of the next one.
        """
        steps: list[Step] = []
        if exact and before.keys() != after.keys():
            return None
        for key, heads in before.items():
            others = after.get(key, [])
            if exact and len(heads) != len(others):
                return None
            for head in heads:
                if head not in others:
                    other = min((other for other in others if self._matches(head, other)), default=None)
                    if other is None:
                        return None
                    a, b = self._locus(head), self._locus(other)
                    if a is not None and b is not None:
                        steps.append((a[0], b[0]))
        return steps

    def _matches(self, head: int, other: int) -> bool:
        """Whether what uses the one repetition is, by its looks, what uses the next one."""
        a, b = self.vertices[head], self.vertices[other]
        outputs = a.kind == b.kind == "output"
        if (
            head >= other
            or (a.kind, a.value) != (b.kind, b.value)
            or not (outputs or self.joined.calls[head] == self.joined.calls[other])
        ):
            return False
        places = self._locus(head), self._locus(other)
        if places[0] is None or places[1] is None:
            return places == (None, None)
        return places[0][0] < places[1][0] and places[0][1:] == places[1][1:]


def with_neighbours(groups: list[Group]) -> list[Group]:
    """The groups without those that take results of another stretch which is not among them."""
    while True:
        kept = [g for g in groups if all(any(other.steps(a, b) for other in groups) for a, b in g.beside)]
        if len(kept) == len(groups):
            return kept
        groups = kept


def stretches(shapes: Array) -> Iterator[Group]:
    """Where numbers repeat with some period, shortest period first."""
    for period in range(1, min(_PERIOD, len(shapes) // 2) + 1):
        equal = np.concatenate(([False], shapes[period:] == shapes[:-period], [False]))
        (edges,) = np.nonzero(equal[1:] != equal[:-1])
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            count = (end - start) // period + 1
            if count >= 2:
                yield Group(start, period, count)
