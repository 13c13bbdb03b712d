"""The layers of one cluster: each box in a layer below all that it uses, and a bend in each layer that an arrow passes.

The steps of a layout are those of Sugiyama, Tagawa and Toda: layers, the order within them, then coordinates. "Along" is
the way arrows go, "across" the other one. Nothing recurses.
"""

from __future__ import annotations

from collections.abc import Sequence

from tapenet.drawing.layout.boxes import WHOLE

#: What stands in a layer: a box; one that starts something; where an array comes into the cluster, and out of it; a bend.
ITEM, LEAF, IN, OUT, BEND = range(5)
#: How much a segment wants to be straight: that of the main chain, of another chain, of a long arrow, of another one.
SPINE, CHAIN, CABLE, PLAIN = 1e6, 1e3, 100.0, 1.0
#: Between boxes of one layer.
_BETWEEN = 22.0
#: Longer arrows go straight, over whatever lies between: all bends together are no more than this.
_MOST_BENDS = 20_000


class Link:
    """An arrow from one item of a cluster to another, in its layers.

    Attributes:
        start, end: the items.
        array: a number for what it carries.
        start_at, end_at: where it leaves and arrives, from the middle of the item.
        exact: whether these are given: an array crosses the border of a cluster where it does inside of it.
        label: how wide its text is, 0 for none.
        main: whether it goes on with the main chain of the clusters at its ends.
        weight: how much it wants to be straight.
        bends: the bends on its way.
        sideways: on which side it meets its last item: 0 from above, -1 on the left, 1 on the right.
    """

    def __init__(self, start: int, end: int, array: int, label: float) -> None:
        self.start = start
        self.end = end
        self.array = array
        self.label = label
        self.start_at = 0.0
        self.end_at = 0.0
        self.main = True
        self.weight = PLAIN
        self.bends: list[int] = []
        self.sideways = 0


class Net:
    """The items of a cluster and the bends of its arrows, in layers.

    Attributes:
        role, age: by item; those of bends come after those of items.
        left, right: by item, what it takes up on both sides of its middle.
        half: by item, half of its box.
        along: by item, how long it is.
        fixed: by item, whether arrows meet it at points that are given.
        aside: by item, where it rather stands in its layer, from 0 on the left to 2 on the right.
        links: its arrows.
        layer: by item or bend, the layer it is in.
        layers: the items and bends of each layer, in order.
        up, down: by item or bend, the segments from the layer before and to the next: the other end, the weight, and how far
            from the middle of this one and of the other one.
        cables: the bends of each long arrow.
        most: how wide a layer is to be at most.
    """

    def __init__(self) -> None:
        self.role: list[int] = []
        self.age: list[int] = []
        self.left: list[float] = []
        self.right: list[float] = []
        self.half: list[float] = []
        self.along: list[float] = []
        self.fixed: list[bool] = []
        self.aside: list[int] = []
        self.links: list[Link] = []
        self.layer: list[int] = []
        self.layers: list[list[int]] = []
        self.up: list[list[tuple[int, float, float, float]]] = []
        self.down: list[list[tuple[int, float, float, float]]] = []
        self.cables: list[list[int]] = []
        self.items = 0
        self.most = WHOLE

    def add(
        self, role: int, age: int, sides: tuple[float, float], along: float, fixed: bool = False, aside: int = 1
    ) -> int:
        """A new item; its number. Its box is as far on both sides as on the left."""
        left, right = sides
        self.half.append(left)
        self.role.append(role)
        self.age.append(age)
        self.left.append(left)
        self.right.append(right)
        self.along.append(along)
        self.fixed.append(fixed)
        self.aside.append(aside)
        return len(self.role) - 1

    def build(self, bend: tuple[float, float], most: float) -> None:
        """Find the layers, the main chain and the bends.

        Args:
            bend: what a bend takes up on both sides.
            most: how wide a layer is at most, unless what is in it is wider.
        """
        self.items = len(self.role)
        self.most = most
        pairs = [(link.start, link.end) for link in self.links]
        place = orient(self.items, pairs, self.age)
        order = sorted(range(self.items), key=place.__getitem__)
        self.layer = self._ranks(order)
        if self._widest() > most:
            self.layer = self._in_rows(order, place, most, bend[0] + bend[1] + 12)
        self._chains(order)
        self._bend(bend)
        depth = max(self.layer, default=-1) + 1
        self.layers = [[] for _ in range(depth)]
        for i, r in enumerate(self.layer):
            self.layers[r].append(i)

    def _ranks(self, order: list[int]) -> list[int]:
        """The layer of each item: after all that it uses, but what starts something stands right before its use."""
        rank = [0] * self.items
        out: list[list[int]] = [[] for _ in range(self.items)]
        into = [0] * self.items
        free = [role != IN for role in self.role]  # depends on nothing that comes from outside
        for link in self.links:
            out[link.start].append(link.end)
            into[link.end] += 1
        for i in order:
            for end in out[i]:
                rank[end] = max(rank[end], rank[i] + 1)
                free[end] = free[end] and free[i]
        last = max((rank[i] for i in range(self.items) if self.role[i] != OUT), default=-1) + 1
        for i in range(self.items):
            if self.role[i] == OUT:
                rank[i] = last
        for i in reversed(order):
            if self.role[i] != IN and out[i] and (free[i] or len(out[i]) > into[i]):
                rank[i] = max(rank[i], min(rank[end] for end in out[i]) - 1)
        used = {r: k for k, r in enumerate(sorted(set(rank)))}
        return [used[r] for r in rank]

    def _widest(self) -> float:
        """How wide the widest layer is at least."""
        widths = [0.0] * (max(self.layer, default=0) + 1)
        for i in range(self.items):
            if self.role[i] < IN:
                widths[self.layer[i]] += self.left[i] + self.right[i] + _BETWEEN
        return max(widths) - _BETWEEN

    def _in_rows(self, order: list[int], place: list[int], most: float, passing: float) -> list[int]:
        """The layer of each item so that none is wider than `most`: each layer in turn takes those whose inputs are above,
        as long as they fit beside what passes there: those first that leave the fewest arrows to pass the next ones, and
        from which it is longest to the end."""
        out: list[list[int]] = [[] for _ in range(self.items)]
        into: list[list[int]] = [[] for _ in range(self.items)]
        waits = [0] * self.items
        for link in self.links:
            if place[link.start] < place[link.end]:
                out[link.start].append(link.end)
                into[link.end].append(link.start)
                waits[link.end] += 1
        rest = [0] * self.items
        for i in reversed(order):
            for end in out[i]:
                rest[i] = max(rest[i], rest[end] + 1)
        uses = [len(ends) for ends in out]
        starts = [not into[i] and len(out[i]) > 0 and self.role[i] != IN for i in range(self.items)]
        rank = [-1] * self.items
        ready = [i for i in order if not waits[i]]
        row = 0
        while ready:
            taken: list[int] = []
            open_ends = 0
            for i in range(self.items):
                open_ends += rank[i] >= 0 and uses[i] > 0
            width = -_BETWEEN + passing * open_ends
            gain = {i: sum(uses[k] == 1 for k in into[i]) - (uses[i] > 0) for i in ready}
            ready.sort(key=lambda i: (self.role[i] != IN, self.role[i] == LEAF, -gain[i], -rest[i], place[i]))
            for i in ready:
                if self.role[i] == OUT or (row == 0 and taken and self.role[i] != IN and self.role[taken[0]] == IN):
                    continue
                if starts[i] and all(any(rank[k] < 0 and not starts[k] for k in into[end]) for end in out[i]):
                    continue  # what starts something comes right before that is used
                more = 0.0 if self.role[i] == IN else self.left[i] + self.right[i] + _BETWEEN
                if not taken or width + more <= most:
                    width += more
                    taken.append(i)
            if not taken:  # what goes out of the cluster comes last
                taken = [i for i in ready if self.role[i] != OUT] or list(ready)
            for i in taken:
                rank[i] = row
                ready.remove(i)
            for link in self.links:
                if rank[link.end] == row:
                    uses[link.start] -= 1
            for i in taken:
                for end in out[i]:
                    waits[end] -= 1
                    if not waits[end]:
                        ready.append(end)
            row += 1
        return rank

    def _chains(self, order: list[int]) -> None:
        """Give weights to chains of arrows. Each item goes below the input that took longest to make; of an item that
        several go below, the one on the longest chain."""
        length = [0.0] * self.items
        into: list[list[Link]] = [[] for _ in range(self.items)]
        for link in self.links:
            into[link.end].append(link)
        main: list[Link | None] = [None] * self.items
        leaf = [role == LEAF for role in self.role]
        for i in order:
            if into[i]:
                best = max(into[i], key=lambda k: (not leaf[k.start], k.main, length[k.start], -self.age[k.start]))
                main[i] = best
                length[i] = length[best.start] + self.along[i] + 24
            elif not leaf[i]:
                length[i] = self.along[i] + (1000 if self.role[i] == IN else 0)
        below: dict[int, list[Link]] = {}
        for found in main:
            if found is not None:
                below.setdefault(found.start, []).append(found)
        rest = [0.0] * self.items
        for i in reversed(order):
            rest[i] = self.along[i] + max((rest[k.end] for k in below.get(i, ())), default=0.0) + 24
        chosen: dict[int, Link] = {}
        for i, links in below.items():
            most = max(rest[k.end] for k in links)
            equal = [k for k in links if rest[k.end] >= most - 1]
            chosen[i] = equal[(len(equal) - 1) // 2]
            chosen[i].weight = CHAIN
        below_some = {link.end for link in chosen.values()}
        tops = [i for i in range(self.items) if i not in below_some]
        whole = {i: length[i] + rest[i] - self.along[i] for i in tops}
        if not tops:
            return
        at = max(tops, key=lambda i: (not leaf[i], whole[i], -self.age[i]))
        while at in chosen:
            chosen[at].weight = SPINE
            at = chosen[at].end

    def _bend(self, bend: tuple[float, float]) -> None:
        """Add the bends. Arrows that bring the same array from the same box share theirs, as a cable that wires leave one
        by one."""
        cables: dict[tuple[int, int], list[Link]] = {}
        for link in self.links:
            cables.setdefault((link.start, link.array), []).append(link)
        spans = sorted(max(self.layer[k.end] for k in links) - self.layer[i] - 1 for (i, _), links in cables.items())
        limit, together = 0, 0
        for span in spans:
            together += span
            if together <= _MOST_BENDS:
                limit = span
        self.up = [[] for _ in range(self.items)]
        self.down = [[] for _ in range(self.items)]
        for (start, _), links in cables.items():
            top = self.layer[start]
            reach = [self.layer[k.end] - top - 1 for k in links]
            length = max((span for span in reach if span <= limit), default=0)
            heavy = max((k.weight for k, span in zip(links, reach, strict=True) if span), default=PLAIN)
            bends: list[int] = []
            for k in range(length):
                i = self.add(BEND, self.age[start], bend, 0.0, aside=1 if heavy > CABLE else 0)
                self.layer.append(top + 1 + k)
                self.up.append([])
                self.down.append([])
                if k:
                    self._join(bends[-1], i, max(heavy, CABLE), 0.0, 0.0)
                else:
                    self._join(start, i, heavy, links[0].start_at, 0.0)
                bends.append(i)
            if length:
                self.cables.append(bends)
            for link, span in zip(links, reach, strict=True):
                if span > limit:
                    continue
                link.bends = bends[:span]
                if span:
                    self._join(bends[span - 1], link.end, link.weight, 0.0, link.end_at)
                else:
                    self._join(start, link.end, link.weight, link.start_at, link.end_at)

    def _join(self, upper: int, lower: int, weight: float, upper_at: float, lower_at: float) -> None:
        self.down[upper].append((lower, weight, upper_at, lower_at))
        self.up[lower].append((upper, weight, lower_at, upper_at))


def orient(count: int, pairs: Sequence[tuple[int, int]], age: Sequence[int] | None = None) -> list[int]:
    """By item, its place in an order in which every pair goes onward, but for those that close a circle.

    Args:
        count: how many items there are.
        pairs: what comes before what.
        age: what comes first otherwise.

    >>> orient(3, [(2, 1), (1, 0)])
    [2, 1, 0]
    >>> orient(2, [(0, 1), (1, 0)])
    [0, 1]
    """
    out: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for start, end in pairs:
        out[start].append(end)
        waiting[end] += 1
    oldest = sorted(range(count), key=age.__getitem__) if age is not None else list(range(count))
    place = [-1] * count
    order: list[int] = []
    for i in oldest:
        if not waiting[i]:
            place[i] = len(order)
            order.append(i)
    at = next_oldest = 0
    while at < count:
        if at == len(order):  # a circle: cut it before its oldest box
            while place[oldest[next_oldest]] >= 0:
                next_oldest += 1
            place[oldest[next_oldest]] = at
            order.append(oldest[next_oldest])
        for end in out[order[at]]:
            waiting[end] -= 1
            if waiting[end] == 0 and place[end] < 0:
                place[end] = len(order)
                order.append(end)
        at += 1
    return place
