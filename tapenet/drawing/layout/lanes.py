"""Lanes: what goes around the layers of a cluster runs straight beside them, the longer the further out."""

from __future__ import annotations

from typing import NamedTuple

from tapenet.drawing.layout.coordinates import ROW, Spread
from tapenet.drawing.layout.group import Spot
from tapenet.drawing.layout.layers import IN, Net
from tapenet.drawing.layout.tree import BORDER
from tapenet.drawing.layout.wires import LEFT, MEET, MEET_SHADED, Wire

#: From the boxes to the first lane, and from lane to lane without and with gradients beside them.
_CLEAR, _APART, _SHADED = 14.0, 10.0, 16.0
#: How far from the side of a box a lane turns that cannot go on straight.
_STUB = 8.0


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
    """The pieces that bring one array from one place."""

    def __init__(self, piece: Piece, wire: Wire) -> None:
        self.array, self.start, _, self.side, self.fork = piece
        self.pieces: list[Piece] = []
        self.back = wire.back
        self.shadow = False
        self.text = 0.0
        self.x = 0.0
        self.from_here: list[tuple[float, float]] = []
        self.to_there: dict[int, list[tuple[float, float]]] = {}
        self.reach = (0.0, 0.0)

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
        for piece, wire in pieces.items():
            key = piece.array, piece.start, piece.side, piece.fork
            lane = found.get(key)
            if lane is None:
                lane = found[key] = Lane(piece, wire)
            lane.pieces.append(piece)
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
        for n, lane in enumerate(self.lanes):
            if lane.start == BORDER:
                if lane.fork:
                    self._row(n, BORDER, True, net.layer[ports[lane.array]])
            elif not self._free(lane.start, lane.side):
                self._row(n, lane.start, True, self._gap(lane.start, not lane.back))
            for piece in lane.pieces:
                if piece.end != BORDER and not self._free(piece.end, lane.side):
                    self._row(n, piece.end, False, self._gap(piece.end, lane.back))

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
            return 1e9
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
        if place in self.hosts or self.net.fixed[self.slots[place]]:
            out = x + lane.side * _STUB
            return [(x, meets[n, place, starts]), (out, meets[n, place, starts]), (out, row)]
        x -= lane.side * min(spot.across / 2 - 2, 7.0 + 6 * self.rows[n, place, starts][1])
        return [(x, spot.y + spot.along if row > spot.y else spot.y), (x, row)]

    def _choose(self) -> None:
        """Lanes from the shortest to the longest, each as near as it can be."""
        spread, net = self.spread, self.net
        low = [min((spread.middle[i] - net.left[i] for i in layer), default=0.0) for layer in net.layers]
        high = [max((spread.middle[i] + net.right[i] for i in layer), default=0.0) for layer in net.layers]
        waiting = []
        for lane in self.lanes:
            ys = [lane.from_here[-1][1]] if lane.from_here else []
            ys += [points[-1][1] for points in lane.to_there.values()]
            lane.reach = min(ys), max(ys)
            if len(lane.pieces) > 1 or BORDER not in (lane.start, lane.pieces[0].end) or lane.fork:
                waiting.append(lane)
        waiting.sort(key=lambda lane: (lane.reach[1] - lane.reach[0], lane.reach[0], lane.array))
        chosen: list[Lane] = []
        for lane in waiting:
            begin, end = lane.reach
            left = lane.side == LEFT
            passed = [
                low[r] if left else high[r]
                for r in range(len(net.layers))
                if spread.top[r] - 1 <= end and spread.top[r] + spread.size[r] + 1 >= begin
            ]
            passed += [points[-1][0] for points in (lane.from_here, *lane.to_there.values()) if points]
            x = (min if left else max)(passed) + lane.side * _CLEAR
            for other in chosen:
                if other.side == lane.side and other.reach[0] < end + 3 and begin < other.reach[1] + 3:
                    apart = (_SHADED if lane.shadow or other.shadow else _APART) + other.text
                    x = (min if left else max)(x, other.x + lane.side * apart)
            lane.x = x
            chosen.append(lane)
        ends = [lane.x + lane.side * (lane.text + 8 * lane.shadow) for lane in chosen]
        self.low, self.high = min(ends, default=0.0), max(ends, default=0.0)
        self.chosen = chosen

    def way(self, piece: Piece, border: dict[int, float]) -> list[tuple[float, float]]:
        """The way of a piece.

        Args:
            piece: which.
            border: across, where the sides of the cluster are.
        """
        lane = next(k for k in self.lanes if piece in k.pieces)
        here = list(lane.from_here)
        if piece.end == BORDER:
            return [*here, (border[lane.side], here[-1][1])]
        there = lane.to_there[piece.end][::-1]
        if not here:
            y = self.door(lane)
            here = [(border[lane.side], y)]
            if lane not in self.chosen:
                return [*here, *there]
        return [*here, (lane.x, here[-1][1]), (lane.x, there[0][1]), *there]

    def door(self, lane: Lane) -> float:
        """Along, where a lane goes through the side of this cluster."""
        if lane.from_here:
            return lane.from_here[-1][1]
        return next(iter(lane.to_there.values()))[-1][1]
