"""Which parts of two drawings are the same."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import NamedTuple, TypeAlias

from tapenet.drawing.model import Cluster, Drawing, Vertex
from tapenet.drawing.passes.align import align_by, gaps

#: What follows in a module: a vertex, by its position, or a cluster, by the complement (~) of its own.
Item: TypeAlias = int
#: Which item of the one is which of the other, by their positions among those of two clusters.
Pairs: TypeAlias = list[tuple[int, int]]
_ByName: TypeAlias = dict[tuple[str, str], list[int]]

#: Modules of other names and classes are taken for the same if so much of what is in them is.
_ALIKE = 1 / 3
#: With how many of the next ones something is compared that has no equal.
_NEAR = 8

_ARRAY = re.compile(r"(?:scalar|\d+(?:×\d+)*) [^\s,)\]]+")
_ARRAY_ARGUMENTS = re.compile(r"\w+ (?:·|\[·(?:, ·)*\])(?:, )?")


class Match(NamedTuple):
    """Which parts of two drawings are the same.

    Attributes:
        vertices: of those of the first that are in both: which one it is in the second.
        clusters: the same for clusters. None stands for what is in no cluster.
        inside: by cluster of the first that is in both: how its items pair with those of the second.
    """

    vertices: dict[int, int]
    clusters: dict[int | None, int | None]
    inside: dict[int | None, Pairs]


def match(a: Side, b: Side) -> Match:
    """Match two drawings, so that what matches comes in the same order in both.

    What it finds does not depend on which of the two is the first.
    """
    if a.order > b.order:
        found = _Matcher(b, a).run()
        return Match(
            {y: x for x, y in found.vertices.items()},
            {y: x for x, y in found.clusters.items()},
            {found.clusters[c]: [(y, x) for x, y in pairs] for c, pairs in found.inside.items()},
        )
    return _Matcher(a, b).run()


def numbered(name: str) -> str:
    """The name of a module with a star for each number that counts those of a list.

    >>> numbered("blocks.3"), numbered("conv1")
    ('blocks.*', 'conv1')
    """
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


@functools.lru_cache(maxsize=1 << 16)
def _settings(call: str) -> str:
    return _ARRAY_ARGUMENTS.sub("", _ARRAY.sub("·", call)).replace(", )", ")")


def settings(vertex: Vertex) -> str:
    """The call of an op without its arrays.

    >>> settings(Vertex("op", "max pool 2×2", details=("max_pool2d(x 8×4×26×26 f32, kernel_size=2, stride=2)",)))
    'max_pool2d(kernel_size=2, stride=2)'
    """
    return _settings(vertex.details[0]) if vertex.kind == "op" and vertex.details else ""


class Side:
    """One of two drawings, with the indexes that matching needs.

    Attributes:
        items: what follows in each cluster, and, by None, in none.
        leaves: the vertices that nothing leads to, parameters and inputs, by cluster. They may stand anywhere.
        outputs: the results, which come last.
        into: the edges to each vertex.
        out: the vertices that each is used by.
    """

    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing
        self.into: list[list[int]] = [[] for _ in drawing.vertices]
        self.out: list[list[int]] = [[] for _ in drawing.vertices]
        for position, edge in enumerate(drawing.edges):
            self.into[edge.head].append(position)
            self.out[edge.tail].append(edge.head)
        self.items: dict[int | None, list[Item]] = {None: [], **{c: [] for c in range(len(drawing.clusters))}}
        self.leaves: dict[int | None, list[int]] = {None: [], **{c: [] for c in range(len(drawing.clusters))}}
        self.outputs: list[int] = []
        entered: set[int] = set()
        for position, vertex in enumerate(drawing.vertices):
            if self.is_leaf(position):
                self.leaves[vertex.cluster].append(position)
            elif vertex.kind == "output" and not self.out[position]:
                self.outputs.append(position)
            else:
                self._enter(vertex.cluster, entered)
                self.items[vertex.cluster].append(position)
        for cluster in range(len(drawing.clusters)):  # of those that hold leaves alone
            self._enter(cluster, entered)

    def _enter(self, cluster: int | None, entered: set[int]) -> None:
        while cluster is not None and cluster not in entered:
            entered.add(cluster)
            parent = self.drawing.clusters[cluster].parent
            self.items[parent].append(~cluster)
            cluster = parent

    def is_leaf(self, position: int) -> bool:
        return self.drawing.vertices[position].kind in ("parameter", "input", "constant") and not self.into[position]

    @functools.cached_property
    def order(self) -> tuple[list[tuple[object, ...]], ...]:
        """A key that orders any two drawings that differ."""
        drawing = self.drawing
        return (
            [(v.kind, v.title, v.details, str(v.value), str(v.cluster)) for v in drawing.vertices],
            [(e.tail, e.head, e.argument, str(e.value), str(e.result)) for e in drawing.edges],
            [(c.name, c.type, str(c.parent)) for c in drawing.clusters],
        )

    def leaves_by_name(self, cluster: int | None) -> _ByName:
        named: _ByName = {}
        for leaf in self.leaves[cluster]:
            vertex = self.drawing.vertices[leaf]
            named.setdefault((vertex.kind, vertex.title), []).append(leaf)
        return named

    def tails(self, position: int) -> list[int]:
        """The computed values that a vertex uses, in order of its arguments."""
        tails = [self.drawing.edges[edge].tail for edge in self.into[position]]
        return [tail for tail in tails if not self.is_leaf(tail)]


class _Matcher:
    """Matches one drawing with another, clusters from outside in."""

    def __init__(self, a: Side, b: Side) -> None:
        self.sides = (a, b)
        self.vertices: dict[int, int] = {}
        self.taken: set[int] = set()
        self.clusters: dict[int | None, int | None] = {None: None}
        self.inside: dict[int | None, Pairs] = {}
        numbers: dict[Hashable, int] = {}
        exact = [_contents(side, _call, numbers, leaves=True) for side in self.sides]
        loose = [_contents(side, _op, numbers, leaves=False) for side in self.sides]

        def name_or_content(side: int, c: int) -> Hashable:
            # The members of a list have only numbers for names, which shift.
            cluster = self._cluster(side, c)
            name = numbered(cluster.name)
            return (name, cluster.type) if name == cluster.name else (name, exact[side][c])

        content = self._key(name_or_content, _call)
        place = self._key(lambda side, c: (self._cluster(side, c).name, exact[side][c]), _call)
        kinds = self._key(lambda side, c: (numbered(self._cluster(side, c).name), loose[side][c]), _op)
        kind_and_place = self._key(lambda side, c: (self._cluster(side, c).name, loose[side][c]), _op)
        #: From strict to lax, each with a choice: a member of a list is best left in its place, if others are too.
        self.keys: list[list[list[Callable[[Item, int], Hashable]]]] = [
            [[place, content], [content]],
            [[self._key(lambda side, c: exact[side][c], _written)]],
            [[kind_and_place, kinds], [kinds]],
            [[self._key(lambda side, c: self._cluster(side, c).name or None, None)]],
            [[self._key(lambda side, c: loose[side][c], None)]],
            [[self._key(lambda side, c: self._cluster(side, c).type, None)]],
        ]

    def _cluster(self, side: int, position: int) -> Cluster:
        return self.sides[side].drawing.clusters[position]

    def _key(
        self, of_cluster: Callable[[int, int], Hashable], of_vertex: Callable[[Side, int], Hashable] | None
    ) -> Callable[[Item, int], Hashable]:
        """A key of items, from one of clusters and one of vertices."""

        def key(item: Item, side: int) -> Hashable:
            if item >= 0:
                return None if of_vertex is None else of_vertex(self.sides[side], item)
            found = of_cluster(side, ~item)
            return None if found is None else (self._cluster(side, ~item).around, found)

        return key

    def run(self) -> Match:
        stack: list[tuple[int | None, int | None]] = [(None, None)]
        while stack:
            for x, y in self._align(*stack.pop()):
                if x >= 0:
                    self._pair(x, y)
                else:
                    self.clusters[~x] = ~y
                    stack.append((~x, ~y))
        self._leaves_by_name()
        self._outputs()
        self._replaced()
        self._leaves_by_use()
        self._leaves_in_order()
        return Match(self.vertices, self.clusters, self.inside)

    def _pair(self, x: int, y: int) -> None:
        self.vertices[x] = y
        self.taken.add(y)

    def _free(self, x: int, y: int) -> bool:
        return x not in self.vertices and y not in self.taken

    # -- what follows in modules

    def _align(self, a: int | None, b: int | None) -> list[tuple[Item, Item]]:
        """The items of two clusters that are the same."""
        left, right = self.sides[0].items[a], self.sides[1].items[b]
        modules = any(item < 0 for item in left)
        pairs: Pairs = []
        for choice in self.keys:
            pairs = max((align_by(left, right, keys, pairs) for keys in choice[0 if modules else -1 :]), key=len)
        pairs = self.inside[a] = _with_near(pairs, left, right, self._alike)
        return [(left[x], right[y]) for x, y in pairs]

    def _alike(self, x: Item, y: Item) -> bool:
        """Whether two clusters have much in common."""
        if x >= 0 or y >= 0:
            return False
        left, right = self._kinds(0, ~x), self._kinds(1, ~y)
        return 2 * (left & right).total() >= _ALIKE * (left.total() + right.total())

    def _kinds(self, side: int, cluster: int) -> Counter[Hashable]:
        items = self.sides[side].items[cluster]
        return Counter(_op(self.sides[side], i) if i >= 0 else self._cluster(side, ~i).type for i in items)

    def _replaced(self) -> None:
        """Match ops with others in their places, as when one activation takes the place of another."""
        for a, pairs in self.inside.items():
            left, right = self.sides[0].items[a], self.sides[1].items[self.clusters[a]]
            if len(left) == len(right) == 1 and not pairs and left[0] >= 0 and right[0] >= 0:
                self._pair(left[0], right[0])  # all there is in a module
                pairs.append((0, 0))
            self.inside[a] = _with_near(pairs, left, right, self._replace)

    def _replace(self, x: Item, y: Item) -> bool:
        """Match two vertices if they have equal inputs and equal uses. Returns whether they have."""
        if x < 0 or y < 0:
            return False
        a, b = self.sides
        users = {self.vertices.get(user) for user in a.out[x]}
        found = (
            a.drawing.vertices[x].kind == b.drawing.vertices[y].kind
            and [self.vertices.get(tail) for tail in a.tails(x)] == b.tails(y)
            and not users.isdisjoint(b.out[y])
        )
        if found:
            self._pair(x, y)
        return found

    # -- what stands at the ends

    def _leaves_by_name(self) -> None:
        for left, right in self._leaves():
            for name, x in left.items():
                y = right.get(name, [])
                if len(x) == len(y) == 1:
                    self._pair(x[0], y[0])

    def _leaves_by_use(self) -> None:
        """Match leaves without a name, or with another one, by the arguments that they are given to."""
        a, b = self.sides
        for x, y in list(self.vertices.items()):
            given = {b.drawing.edges[e].argument: b.drawing.edges[e].tail for e in b.into[y]}
            for edge in (a.drawing.edges[e] for e in a.into[x]):
                tail, other = edge.tail, given.get(edge.argument)
                if other is None or not (a.is_leaf(tail) and b.is_leaf(other) and self._free(tail, other)):
                    continue
                one, two = a.drawing.vertices[tail], b.drawing.vertices[other]
                if one.kind == two.kind and self.clusters.get(one.cluster, -1) == two.cluster:
                    self._pair(tail, other)

    def _leaves_in_order(self) -> None:
        for left, right in self._leaves():
            for name, x in left.items():
                free = [leaf for leaf in right.get(name, []) if leaf not in self.taken]
                for one, two in zip([leaf for leaf in x if leaf not in self.vertices], free, strict=False):
                    self._pair(one, two)

    def _leaves(self) -> Iterator[tuple[_ByName, _ByName]]:
        """The leaves of matching clusters, by name."""
        for a, b in self.clusters.items():
            yield self.sides[0].leaves_by_name(a), self.sides[1].leaves_by_name(b)

    def _outputs(self) -> None:
        """Match results by name, then those of the same op."""
        a, b = self.sides
        named = {b.drawing.vertices[y].title: y for y in reversed(b.outputs)}
        for x in a.outputs:
            y = named.get(a.drawing.vertices[x].title)
            if y is not None and self._free(x, y):
                self._pair(x, y)
        made = {tuple(b.tails(y)): y for y in reversed(b.outputs) if y not in self.taken}
        for x in a.outputs:
            y = made.get(tuple(self.vertices.get(tail, -1) for tail in a.tails(x)))
            if y is not None and self._free(x, y):
                self._pair(x, y)


def _with_near(pairs: Pairs, left: list[Item], right: list[Item], same: Callable[[Item, Item], bool]) -> Pairs:
    """The pairs, and between them pairs of items for which `same` is true. Each item is compared with a few of the next
    ones."""
    more = list(pairs)
    for i, j, m, n in gaps(pairs, len(left), len(right)):
        for x in range(i, m):
            y = next((y for y in range(j, min(j + _NEAR, n)) if same(left[x], right[y])), None)
            if y is not None:
                more.append((x, y))
                j = y + 1
    return sorted(more)


# -- what things are known by --------------------------------------------------------------------------------


def _op(side: Side, position: int) -> Hashable:
    vertex = side.drawing.vertices[position]
    return vertex.kind, vertex.op or vertex.title


def _written(side: Side, position: int) -> Hashable:
    vertex = side.drawing.vertices[position]
    return vertex.kind, vertex.op, vertex.title, settings(vertex)


def _call(side: Side, position: int) -> Hashable:
    """An op as it is written, and what it is given."""
    vertices = side.drawing.vertices
    around = vertices[position].cluster
    given = []
    for edge in (side.drawing.edges[e] for e in side.into[position]):
        tail = vertices[edge.tail]
        # What comes from outside its module is no part of the module.
        given.append(
            (edge.argument, edge.result, (tail.kind, tail.op or tail.title) if tail.cluster == around else None)
        )
    return _written(side, position), tuple(given)


def _contents(
    side: Side, of_vertex: Callable[[Side, int], Hashable], numbers: dict[Hashable, int], *, leaves: bool
) -> list[int]:
    """Of each cluster a number, equal for those that hold the same; `numbers` holds those given so far.

    Args:
        leaves: whether the shapes of parameters and inputs count.
    """
    drawing = side.drawing
    found = [0] * len(drawing.clusters)
    for position in reversed(range(len(drawing.clusters))):
        content: list[Hashable] = [leaves, drawing.clusters[position].type]
        content += [
            of_vertex(side, item) if item >= 0 else (numbered(drawing.clusters[~item].name), found[~item])
            for item in side.items[position]
        ]
        if leaves:
            held = [drawing.vertices[leaf] for leaf in side.leaves[position]]
            content.append(tuple(sorted((v.kind, v.title, str(v.value)) for v in held)))
        found[position] = numbers.setdefault(tuple(content), len(numbers))
    return found
