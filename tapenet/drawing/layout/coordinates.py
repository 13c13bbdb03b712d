"""Coordinates in one cluster: where boxes stand across their layers, layers along, and the way of each arrow."""

from __future__ import annotations

from itertools import pairwise

from tapenet.drawing.layout.boxes import WHOLE
from tapenet.drawing.layout.layers import BEND, CHAIN, IN, LEAF, OUT, SPINE, Link, Net
from tapenet.drawing.layout.wires import MEET, MEET_SHADED

#: Between boxes, beside bends, between layers, and beside the border of a cluster.
GAP, BEND_GAP, LAYER_GAP = 22.0, 12.0, 24.0
#: Arrows leave a box and arrive at one straight: so far, and so far where a text stands beside them.
LEAVE, LABEL_ROOM, ARRIVE = 4.0, 17.0, 11.0
#: What goes to a lane from between two layers has a row of its own, so high.
ROW = 9.0
_ROUNDS = 8
#: Up to so many arrows between two layers are put into the order that crosses least.
_MANY = 24


class Spread:
    """Where everything is in a cluster, from the corner of what is in it.

    Attributes:
        middle: by item or bend, across.
        start: by item, along.
        top, size, ends: by layer, where it begins along, how long it is, and where it ends.
        length: along, of all.
        rows: by layer, where the last row in the gap after it is, for arrows that go to a lane.
    """

    def __init__(self, net: Net, rows: list[int], shadows: bool, taken: set[tuple[int, int]]) -> None:
        """
        Args:
            net: the layers, in order.
            rows: by layer, how many rows its gap is to have for lanes.
            shadows: whether gradients run beside arrows.
            taken: the items with something else on their left (-1) or right side (1).
        """
        self.net = net
        self.row = 16.0 if shadows else 10.0
        self.middle = _across(net)
        self._attach(MEET_SHADED if shadows else MEET)
        self._sideways(taken)
        self._turn()
        self._along(rows)

    def _along(self, rows: list[int]) -> None:
        """Layers one after another, with as much room between them as their arrows need."""
        net = self.net
        layers = net.layers
        depth = len(layers)
        self.size = [max((net.along[i] for i in layer if i < net.items), default=0.0) for layer in layers]
        bare = [not self.size[r] and all(net.role[i] >= IN for i in layers[r]) for r in range(depth)]
        leave = [0.0 if bare[r] else LEAVE for r in range(depth)]
        for link in net.links:
            if link.label:
                r = net.layer[link.start]
                leave[r] = max(leave[r], link.label)
        self.top: list[float] = []
        self.turn: list[float] = []
        self.rows: list[float] = []
        at = 0.0
        for r in range(depth):
            self.top.append(at)
            at += self.size[r]
            arrive = 0.0 if r + 1 < depth and bare[r + 1] else ARRIVE
            self.turn.append(at + leave[r] + self.row - 5)
            gap = leave[r] + self.row * self.turns[r] + arrive
            if not (bare[r] or (r + 1 < depth and bare[r + 1])):
                gap = max(gap, LAYER_GAP)
            gap += ROW * rows[r] if r < len(rows) else 0.0
            self.rows.append(at + gap - arrive - 1)
            if r + 1 < depth:
                at += gap
        self.length = at
        self.ends = [top + size for top, size in zip(self.top, self.size, strict=True)]
        self.start = []
        for i in range(net.items):
            r = net.layer[i]
            spare = self.size[r] - net.along[i]
            self.start.append(self.top[r] + (spare if net.role[i] == LEAF and spare > 40 else spare / 2))

    def _sideways(self, taken: set[tuple[int, int]]) -> None:
        """What comes from the side, with nothing between, meets a box at its side."""
        net, x = self.net, self.middle
        place = {i: (layer, k) for layer in net.layers for k, i in enumerate(layer)}
        nearest: dict[tuple[int, int], Link] = {}
        for link in net.links:
            i = link.end
            if net.fixed[i] or link.weight == SPINE or net.role[i] == OUT:
                continue
            if not link.bends and net.layer[i] != net.layer[link.start] + 1:
                continue
            at = self._before(link)
            side = 1 if at > x[i] else -1
            if abs(at - x[i]) < net.half[i] + 14 or (i, side) in taken:
                continue
            layer, k = place[i]
            if 0 <= k + side < len(layer):
                other = layer[k + side]
                edge = x[other] - side * (net.left[other] if side > 0 else net.right[other])
                if (edge - at) * side < 9:
                    continue
            known = nearest.get((i, side))
            if known is None or abs(self._before(known) - x[i]) > abs(at - x[i]):
                nearest[i, side] = link
        for (_, side), link in nearest.items():
            link.sideways = side
            link.end_at = 0.0
        ends: dict[int, list[Link]] = {}
        for link in net.links:
            if not link.sideways and not net.fixed[link.end]:
                ends.setdefault(link.end, []).append(link)
        for links in ends.values():
            if len(links) == 1:
                links[0].end_at = 0.0

    def _turn(self) -> None:
        """Where arrows turn between two layers: each in a row of its own so far as they are beside each other, in the order in
        which they cross least."""
        net, x = self.net, self.middle
        bundles: list[dict[tuple[int, int], list[float]]] = [{} for _ in net.layers]
        for link in net.links:
            r = net.layer[link.start]
            at, upper, array = x[link.start] + link.start_at, link.start, link.array
            for bend in link.bends:
                bundles[r].setdefault((upper, array), [at]).append(x[bend])
                at, upper, r = x[bend], bend, r + 1
            if link.sideways:
                continue
            r = net.layer[link.end] - 1
            bundles[r].setdefault((upper, array), [at]).append(x[link.end] + link.end_at)
        self.turns = []
        self.turn_of: dict[tuple[int, int, int], int] = {}
        for r, found in enumerate(bundles):
            names = [name for name, ends in found.items() if max(ends) - min(ends) > 0.01]
            ranked = _rows([found[name] for name in names])
            self.turn_of.update({(r, *name): row for name, row in zip(names, ranked, strict=True)})
            self.turns.append(max(ranked, default=-1) + 1)

    def _attach(self, apart: float) -> None:
        """Choose where arrows leave and meet boxes: the main one in the middle, the others beside it, in the order in which
        they come."""
        net = self.net
        out: dict[int, dict[int, list[Link]]] = {}
        into: dict[int, list[Link]] = {}
        for link in net.links:
            if not net.fixed[link.start]:
                out.setdefault(link.start, {}).setdefault(link.array, []).append(link)
            if not net.fixed[link.end]:
                into.setdefault(link.end, []).append(link)
        for i, arrays in out.items():
            if len(arrays) > 1:
                groups = list(arrays.values())
                sent = [sum(self._after(k) for k in links) / len(links) for links in groups]
                heavy = [max(k.weight for k in links) for links in groups]
                for links, at in zip(groups, self._places(i, sent, heavy, apart), strict=True):
                    for link in links:
                        link.start_at = at
        for i, links in into.items():
            if len(links) > 1:
                came = [self._before(k) for k in links]
                for link, at in zip(links, self._places(i, came, [k.weight for k in links], apart), strict=True):
                    link.end_at = at

    def _after(self, link: Link) -> float:
        return self.middle[link.bends[0]] if link.bends else self.middle[link.end] + link.end_at

    def _before(self, link: Link) -> float:
        return self.middle[link.bends[-1]] if link.bends else self.middle[link.start] + link.start_at

    def _places(self, i: int, wishes: list[float], weights: list[float], apart: float) -> list[float]:
        """Where several arrows meet a box, from its middle."""
        ranked = sorted(range(len(wishes)), key=lambda k: (wishes[k], k))
        heaviest = max(weights)
        middle = ranked.index(weights.index(heaviest)) if heaviest > 1 else (len(ranked) - 1) / 2
        most = max(middle, len(ranked) - 1 - middle)
        room = max(0.0, self.net.half[i] - 5)
        step = min(apart, room / most) if most else 0.0
        places = [0.0] * len(wishes)
        for n, k in enumerate(ranked):
            places[k] = (n - middle) * step
        return places

    def way(self, link: Link, out: float, back: float) -> list[tuple[float, float]]:
        """The way of an arrow through the layers.

        Args:
            link: the arrow.
            out, back: along, where its first box ends and its last one begins.
        """
        net, x = self.net, self.middle
        r, upper = net.layer[link.start], link.start
        points = [(x[link.start] + link.start_at, out)]
        for bend in link.bends:
            self._cross(points, (r, upper, link.array), x[bend])
            r, upper = r + 1, bend
            _go(points, x[bend], self.ends[r])
        if link.sideways:
            middle = self.start[link.end] + net.along[link.end] / 2
            side = x[link.end] + link.sideways * net.half[link.end]
            return [*points, (points[-1][0], middle), (side, middle)]
        r = net.layer[link.end] - 1
        self._cross(points, (r, upper, link.array), x[link.end] + link.end_at)
        return [*points, (x[link.end] + link.end_at, back)]

    def _cross(self, points: list[tuple[float, float]], name: tuple[int, int, int], across: float) -> None:
        """Go on to the next layer, perhaps at another place across."""
        before = points[-1][0]
        if abs(before - across) > 0.01:
            y = self.turn[name[0]] + self.row * self.turn_of[name]
            _go(points, before, y)
            points.append((across, y))
        _go(points, across, self.top[name[0] + 1])


def _go(points: list[tuple[float, float]], across: float, along: float) -> None:
    """Go on to a point; what leads straight on has no point between."""
    if len(points) > 1 and points[-2][0] == points[-1][0] == across:
        points.pop()
    points.append((across, along))


def _rows(bundles: list[list[float]]) -> list[int]:
    """In which row each of some arrows turns between two layers.

    Args:
        bundles: of each where it comes from, and where its branches go.

    >>> _rows([[0, 20], [10, 30]]), _rows([[0, 9], [20, 30]])
    ([1, 0], [0, 0])
    """
    spans = [(min(ends) - 4, max(ends) + 4) for ends in bundles]
    waiting = sorted(
        range(len(bundles)), key=lambda k: bundles[k][0] if bundles[k][0] > spans[k][0] + 4 else -bundles[k][0]
    )

    def cost(a: int, b: int) -> int:
        """How often a crosses b if it turns before that does."""
        (low, high), (least, most) = spans[a], spans[b]
        return (low < bundles[b][0] < high) + sum(least < end < most for end in bundles[a][1:])

    order = []
    if len(waiting) <= _MANY:
        while waiting:
            first = min(waiting, key=lambda a: sum(cost(a, b) - cost(b, a) for b in waiting if b != a))
            waiting.remove(first)
            order.append(first)
    else:
        order = waiting
    rows = [0] * len(bundles)
    for n, k in enumerate(order):
        for other in order[:n]:
            if spans[other][0] < spans[k][1] and spans[k][0] < spans[other][1]:
                rows[k] = max(rows[k], rows[other] + 1)
    return rows


def _across(net: Net) -> list[float]:
    """The middles of items and bends: each layer in turn is put as near as it can be to where its neighbours want it."""
    x = [0.0] * len(net.role)
    apart = []
    for layer in net.layers:
        gaps = [0.0]
        for before, i in pairwise(layer):
            bends = net.role[before] == BEND or net.role[i] == BEND
            gaps.append(net.right[before] + net.left[i] + (BEND_GAP if bends else GAP))
        apart.append(gaps)
        at = 0.0
        for i, gap in zip(layer, gaps, strict=True):
            at += gap
            x[i] = at
        for i in layer:
            x[i] -= at / 2
    depth = len(net.layers)
    for n in range(_ROUNDS):
        downward = n % 2 == 0
        for r in range(depth) if downward else reversed(range(depth)):
            _place(net.layers[r], apart[r], x, net.up if downward else net.down)
    _pin(net, apart, x)
    room = _Room(net, apart, x)
    _align(net, x, room)
    _straighten(net, x, room)
    if net.most < WHOLE:
        _press(net, apart, x)
    return x


def _place(
    layer: list[int], apart: list[float], x: list[float], near: list[list[tuple[int, float, float, float]]]
) -> None:
    """The places nearest to what is wished, by weight, with the boxes in order and apart: where boxes would come too near
    they are joined, and go where the joined ones wish on average."""
    sums: list[float] = []
    weights: list[float] = []
    sizes: list[int] = []
    offset = 0.0
    for i, gap in zip(layer, apart, strict=True):
        offset += gap
        total = weight = 0.0
        for other, heavy, at, other_at in near[i]:
            total += heavy * (x[other] + other_at - at)
            weight += heavy
        if not weight:
            total, weight = 1e-3 * x[i], 1e-3
        total -= weight * offset
        size = 1
        while sums and sums[-1] / weights[-1] >= total / weight:
            total += sums.pop()
            weight += weights.pop()
            size += sizes.pop()
        sums.append(total)
        weights.append(weight)
        sizes.append(size)
    n = 0
    offset = 0.0
    for total, weight, size in zip(sums, weights, sizes, strict=True):
        for _ in range(size):
            offset += apart[n]
            x[layer[n]] = total / weight + offset
            n += 1


def _pin(net: Net, apart: list[list[float]], x: list[float]) -> None:
    """Put the main chain exactly in line; what stands in its way moves aside."""
    place: dict[int, float] = {}
    for layer in net.layers:
        for i in layer:
            for other, weight, here, there in net.up[i]:
                if weight == SPINE:
                    place[i] = place.setdefault(other, x[other]) + there - here
    for layer, gaps in zip(net.layers, apart, strict=True):
        fixed = next((k for k, i in enumerate(layer) if i in place), None)
        if fixed is None:
            continue
        x[layer[fixed]] = place[layer[fixed]]
        for k in range(fixed + 1, len(layer)):
            x[layer[k]] = max(x[layer[k]], x[layer[k - 1]] + gaps[k])
        for k in range(fixed - 1, -1, -1):
            x[layer[k]] = min(x[layer[k]], x[layer[k + 1]] - gaps[k + 1])


def _press(net: Net, apart: list[list[float]], x: list[float]) -> None:
    """Let nothing stand further out than layers that are to be narrow need: what is straight drifts apart in them."""
    spine = _spine(net)
    low = min([x[i] - net.left[i] for i in spine], default=0.0)
    high = max([x[i] + net.right[i] for i in spine], default=0.0)
    for layer, gaps in zip(net.layers, apart, strict=True):
        for k, i in enumerate(layer):
            if i in spine:
                low = min(low, x[i] - sum(gaps[1 : k + 1]) - net.left[layer[0]])
                high = max(high, x[i] + sum(gaps[k + 1 :]) + net.right[layer[-1]])
    before = max([low - x[i] + net.left[i] for i in range(len(x))], default=0.0)
    after = max([x[i] + net.right[i] - high for i in range(len(x))], default=0.0)
    before, after = max(0.0, before), max(0.0, after)
    spare = max(0.0, net.most - (high - low))
    if before + after <= spare:
        return
    low -= spare * before / (before + after)
    high += spare * after / (before + after)
    for layer, gaps in zip(net.layers, apart, strict=True):
        at = low
        for k, i in enumerate(layer):
            at = max(x[i], at + (gaps[k] if k else net.left[i]))
            x[i] = at
        at = high
        for k in range(len(layer) - 1, -1, -1):
            i = layer[k]
            at = min(x[i], at - (gaps[k + 1] if k + 1 < len(layer) else net.right[i]))
            x[i] = at


def _spine(net: Net) -> set[int]:
    """What is on the main chain."""
    return {
        i for lower, up in enumerate(net.up) for upper, weight, _, _ in up if weight == SPINE for i in (lower, upper)
    }


class _Room:
    """How far an item or bend can move between its neighbours, or not at all on the main chain."""

    def __init__(self, net: Net, apart: list[list[float]], x: list[float]) -> None:
        self.net = net
        self.apart = apart
        self.x = x
        self.place = {i: k for layer in net.layers for k, i in enumerate(layer)}
        self.spine = _spine(net)

    def of(self, i: int) -> tuple[float, float]:
        if i in self.spine:
            return self.x[i], self.x[i]
        r, k = self.net.layer[i], self.place[i]
        layer, apart = self.net.layers[r], self.apart[r]
        low = self.x[layer[k - 1]] + apart[k] if k else float("-inf")
        high = self.x[layer[k + 1]] - apart[k + 1] if k + 1 < len(layer) else float("inf")
        return low, high


def _align(net: Net, x: list[float], room: _Room) -> None:
    """Put what is on a chain exactly below what it follows on, or else above what follows, where there is room."""
    for layers, near in ((net.layers, net.up), (net.layers[::-1], net.down), (net.layers, net.up)):
        for layer in layers:
            for i in layer:
                for other, weight, at, other_at in near[i]:
                    low, high = room.of(i)
                    wish = x[other] + other_at - at
                    if weight >= CHAIN and low <= wish <= high:
                        x[i] = wish


def _straighten(net: Net, x: list[float], room: _Room) -> None:
    """Let each long arrow go straight on from where it begins, for as many layers as the boxes beside it leave room."""
    for bends in net.cables:
        if bends[0] in room.spine:
            continue
        (above, _, _, at), *_ = net.up[bends[0]]
        wish = x[above] + at
        start = 0
        while start < len(bends):
            low, high = room.of(bends[start])
            end = start + 1
            while end < len(bends):
                least, most = room.of(bends[end])
                if max(low, least) > min(high, most):
                    break
                low, high = max(low, least), min(high, most)
                end += 1
            wish = max(low, min(high, wish))
            for k in range(start, end):
                x[bends[k]] = wish
            start = end
