"""Lanes: what goes around the layers of a cluster runs straight beside them, the longer the further out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from tapenet.drawing.layout.coordinates import ROW, Spread
from tapenet.drawing.layout.group import Spot
from tapenet.drawing.layout.layers import IN, Net
from tapenet.drawing.layout.tree import BORDER
from tapenet.drawing.layout.wires import LEFT, MEET, MEET_SHADED, RIGHT, Wire

#: From the boxes to the first lane, and from lane to lane without and with gradients beside them.
_CLEAR, _APART, _SHADED = 14.0, 10.0, 16.0
_EVERYWHERE = 1e9


class Piece(NamedTuple):
    """A piece of a way beside the layers of one cluster.

    Attributes:
        array: what it carries.
        start, end: from where to where.
        side: on which side it goes.
        fork: whether it begins where its array comes in, and else at the side of the cluster if it comes from the border.
    """

    array: int
    start: int
    end: int
    side: int
    fork: bool


class Lane:
    """The pieces that bring one array from one place.

    Attributes:
        shadow: whether a gradient runs beside it.
        text: the room for the text at its outer side.
        out: how far out it runs.
        from_here, to_there: the ways from its ends to where nothing stands between them and the lane.
        begin, end: along, where it begins and ends.
    """

    def __init__(self, piece: Piece, wire: Wire) -> None:
        self.array, self.start, _, self.side, self.fork = piece
        self.pieces: list[Piece] = []
        self.back = wire.back
        self.shadow = False
        self.text = 0.0
        self.out = 0.0
        self.from_here: list[tuple[float, float]] = []
        self.to_there: dict[int, list[tuple[float, float]]] = {}
        self.begin = self.end = 0.0

    @property
    def x(self) -> float:
        """Across, where it runs."""
        return self.side * self.out

    @property
    def outermost(self) -> float:
        """How far out it reaches with what is beside it."""
        return self.out + self.text + 8 * self.shadow

    def pass_by(self, others: list[Lane]) -> None:
        """Move out until it is around those that lie within it, and on none of the others."""
        pending = True
        while pending:
            pending = False
            for other in others:
                apart = _SHADED if self.shadow or other.shadow else _APART
                within = self.begin <= other.begin and other.end <= self.end
                if self.out < other.out + other.text + apart and (within or self.out + self.text + apart > other.out):
                    self.out = other.out + other.text + apart
                    pending = True

    @property
    def turns(self) -> bool:
        """Whether it runs along the layers, and not just to the side of the cluster."""
        return len(self.pieces) > 1 or BORDER not in (self.start, self.pieces[0].end) or self.fork

    @property
    def has_door(self) -> bool:
        """Whether it goes through the side of the cluster."""
        return (self.start == BORDER and not self.fork) or any(piece.end == BORDER for piece in self.pieces)


class End(NamedTuple):
    """One end of a lane at a box: which way the lane goes from there, and how far."""

    lane: int
    starts: bool
    down: bool
    span: float


class Lanes:
    """The lanes of one cluster.

    Args:
        net: its layers, in order.
        slots: the item of each thing in it.
        pieces: the pieces, each with a wire that goes there.
        ports: the items where arrays come in.
        hosts: of what stands beside a box, that box.
        text: the room that the text on a lane needs.
    """

    def __init__(
        self,
        net: Net,
        slots: dict[int, int],
        pieces: dict[Piece, Wire],
        ports: dict[int, int],
        hosts: dict[int, int],
        text: float,
    ) -> None:
        self.net = net
        self.slots = slots
        self.ports = ports
        self.hosts = hosts
        self._columns = set(hosts.values())
        found: dict[tuple[object, ...], Lane] = {}
        self.of: dict[Piece, Lane] = {}
        for piece, wire in pieces.items():
            key = piece.array, piece.start, piece.side, piece.fork
            lane = found.get(key)
            if lane is None:
                lane = found[key] = Lane(piece, wire)
            lane.pieces.append(piece)
            self.of[piece] = lane
            lane.shadow = lane.shadow or wire.shadow
            if wire.edge.flow == "carry" and BORDER not in (piece.start, piece.end):
                lane.text = text
        self.lanes = list(found.values())
        self.rows: dict[tuple[int, int, bool], tuple[int, int]] = {}
        depth = len(net.layers)
        #: By layer, how many rows are in the gap after it; those before the first come last.
        self.counts = [0] * (depth + 1)
        boxes = [[i for i in layer if net.role[i] < IN] for layer in net.layers]
        self._first = {layer[0] for layer in boxes if layer}
        self._last = {layer[-1] for layer in boxes if layer}
        #: The items that lanes meet, with the side of them.
        self.taken: set[tuple[int, int]] = set()
        self._stubs: dict[tuple[int, int, bool], float] = {}
        self._moved: set[Lane] = set()
        #: By side, how far out lanes reach.
        self.outermost: dict[int, float] = {}
        for n, lane in enumerate(self.lanes):
            ends = [(lane.start, True), *((piece.end, False) for piece in lane.pieces)]
            self._change_side(lane, [place for place, _ in ends if place != BORDER])
            if lane.fork:
                self._row(n, BORDER, True, net.layer[ports[lane.array]])
            for place, starts in ends:
                if place == BORDER:
                    continue
                if self._free(place, lane.side):
                    self.taken.add((slots[place], lane.side))
                    continue
                self._row(n, place, starts, self._gap(place, starts != lane.back))
                if place in hosts or net.fixed[slots[place]]:
                    self._stubs[n, place, starts] = self._stub(slots[place], lane)

    def _change_side(self, lane: Lane, ends: list[int]) -> None:
        """Let a lane run on the right if it can go straight there, and not on the left."""
        inside = lane.side == LEFT and not lane.has_door and not any(self.net.fixed[self.slots[i]] for i in ends)
        if inside and not all(self._free(i, LEFT) for i in ends) and all(self._free(i, RIGHT) for i in ends):
            lane.side = RIGHT
            self._moved.add(lane)

    def is_moved(self, piece: Piece) -> bool:
        """Whether it goes on the other side than it was to go."""
        return self.of[piece] in self._moved

    def _stub(self, slot: int, lane: Lane) -> float:
        """From the middle of an item, how far beside it a lane turns that cannot go straight on: there is made room for it."""
        sizes = self.net.left if lane.side == LEFT else self.net.right
        sizes[slot] += _SHADED if lane.shadow else _APART
        return sizes[slot] - 2

    def _free(self, i: int, side: int) -> bool:
        """Whether nothing stands between a box and the lanes."""
        slot = self.slots[i]
        return slot in self._first if side == LEFT else slot in self._last and i not in self._columns

    def _gap(self, i: int, after: bool) -> int:
        """The gap after the layer of a box or before it; before the first layer it is -1."""
        return self.net.layer[self.slots[i]] - (0 if after else 1)

    def _row(self, lane: int, place: int, starts: bool, gap: int) -> None:
        self.rows[lane, place, starts] = gap, self.counts[gap]
        self.counts[gap] += 1

    # -- once all stands ------------------------------------------------------------------------------------------

    def run(self, spread: Spread, spots: dict[int, Spot], doors: dict[tuple[int, int, int], float]) -> None:
        """Find where lanes run.

        Args:
            spread: where everything is.
            spots: where boxes and clusters stand.
            doors: where an array goes through the side of a cluster, from its upper side, by cluster, array and side.
        """
        self.spread = spread
        self.spots = spots
        meets = self._meets(doors)
        for n, lane in enumerate(self.lanes):
            if lane.start == BORDER:
                if lane.fork:
                    lane.from_here = [(spread.middle[self.ports[lane.array]], self._row_at(n, BORDER, True))]
            else:
                lane.from_here = self._leave(n, lane, lane.start, True, meets)
            for piece in lane.pieces:
                if piece.end != BORDER:
                    lane.to_there[piece.end] = self._leave(n, lane, piece.end, False, meets)
        self._choose()

    def _row_at(self, lane: int, place: int, starts: bool) -> float:
        gap, row = self.rows[lane, place, starts]
        if gap < 0:
            return -ROW * (row + 1)
        return self.spread.rows[gap] - ROW * row

    def _meets(self, doors: dict[tuple[int, int, int], float]) -> dict[tuple[int, int, bool], float]:
        """Along, where lanes meet the side of a box, by lane, box and whether it starts there: those from above over those
        from below, so that none crosses another."""
        ends: dict[tuple[int, int], list[End]] = {}
        found: dict[tuple[int, int, bool], float] = {}
        for n, lane in enumerate(self.lanes):
            others = [piece.end for piece in lane.pieces]
            for place, starts in ((lane.start, True), *((other, False) for other in others)):
                if place == BORDER:
                    continue
                if self.net.fixed[self.slots[place]]:
                    found[n, place, starts] = self.spots[place].y + doors[place, lane.array, lane.side]
                    continue
                span = max(self._span(place, other) for other in (others if starts else [lane.start]))
                ends.setdefault((place, lane.side), []).append(End(n, starts, starts != lane.back, span))
        for (place, _), several in ends.items():
            spot = self.spots[place]
            several.sort(key=lambda end: (end.down, -end.span if end.down else end.span))
            shaded = len(several) > 1 and any(self.lanes[end.lane].shadow for end in several)
            # Beside each is its gradient: below those from above, above the others.
            at = [k * MEET_SHADED + end.down * shaded * MEET_SHADED / 2 for k, end in enumerate(several)]
            room = len(several) * MEET_SHADED - MEET_SHADED / 2 if shaded else (len(several) - 1) * MEET_SHADED
            scale = min(1.0 if shaded else MEET / MEET_SHADED, (spot.along - 3) / max(room, 1))
            for y, end in zip(at, several, strict=True):
                found[end.lane, place, end.starts] = spot.middle + (y - room / 2) * scale
        return found

    def _span(self, place: int, other: int) -> float:
        if other == BORDER:
            return _EVERYWHERE
        return abs(self.spots[place].middle - self.spots[other].middle)

    def _leave(
        self, n: int, lane: Lane, place: int, starts: bool, meets: dict[tuple[int, int, bool], float]
    ) -> list[tuple[float, float]]:
        """The way from a box to where nothing stands between it and the lanes."""
        spot = self.spots[place]
        left = lane.side == LEFT
        x = spot.x if left else spot.x + spot.across
        if (n, place, starts) not in self.rows:
            return [(x, meets[n, place, starts])]
        row = self._row_at(n, place, starts)
        if (n, place, starts) in self._stubs:
            out = self.spread.middle[self.slots[place]] + lane.side * self._stubs[n, place, starts]
            return [(x, meets[n, place, starts]), (out, meets[n, place, starts]), (out, row)]
        x -= lane.side * min(spot.across / 2 - 2, 7.0 + 6 * self.rows[n, place, starts][1])
        return [(x, spot.y + spot.along if row > spot.y else spot.y), (x, row)]

    def _choose(self) -> None:
        """Choose where lanes run, from the shortest to the longest, each as near as it can be."""
        spread, net = self.spread, self.net
        reach: dict[int, list[float]] = {}
        for side, sizes in ((LEFT, net.left), (RIGHT, net.right)):
            reach[side] = [
                max((side * spread.middle[i] + sizes[i] for i in layer), default=-_EVERYWHERE) for layer in net.layers
            ]
        waiting = []
        for lane in self.lanes:
            points = [points[-1] for points in (lane.from_here, *lane.to_there.values()) if points]
            lane.begin, lane.end = min(y for _, y in points), max(y for _, y in points)
            if lane.turns:
                waiting.append(lane)
                first = bisect_left(spread.ends, lane.begin - 1)
                last = bisect_right(spread.top, lane.end + 1)
                lane.out = max(reach[lane.side][first:last] + [lane.side * x for x, _ in points]) + _CLEAR
        waiting.sort(key=lambda lane: (lane.end - lane.begin, lane.begin, lane.array))
        chosen: dict[int, list[Lane]] = {LEFT: [], RIGHT: []}
        for lane in waiting:
            lane.pass_by([k for k in chosen[lane.side] if k.begin < lane.end + 3 and lane.begin < k.end + 3])
            chosen[lane.side].append(lane)
        self.outermost = {
            side: max([k.outermost for k in lanes], default=-_EVERYWHERE) for side, lanes in chosen.items()
        }

    def way(self, piece: Piece, border: dict[int, float]) -> list[tuple[float, float]]:
        """The way of a piece.

        Args:
            piece: which.
            border: across, where the sides of the cluster are.
        """
        lane = self.of[piece]
        here = list(lane.from_here)
        if piece.end == BORDER:
            return [*here, (border[lane.side], here[-1][1])]
        there = lane.to_there[piece.end][::-1]
        if not here:
            y = self.door(lane)
            here = [(border[lane.side], y)]
            if not lane.turns:
                return [*here, *there]
        return [*here, (lane.x, here[-1][1]), (lane.x, there[0][1]), *there]

    def door(self, lane: Lane) -> float:
        """Along, where a lane goes through the side of this cluster."""
        if lane.from_here:
            return lane.from_here[-1][1]
        return next(iter(lane.to_there.values()))[-1][1]
