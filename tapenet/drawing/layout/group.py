"""A box with what stands beside it: parameters, numbers and other inputs of an op, and what is done to them.

They stand in a column on its right, each with an arrow to it. All is measured from the middle of the box across, and from
where the group begins along.
"""

from __future__ import annotations

from typing import NamedTuple

from tapenet.drawing.layout.wires import OFF, Wire

#: Between the boxes of a column, and between arrows side by side.
_GAP, _APART, _SHADED = 8.0, 8.0, 14.0
#: From the box to the first turn, from the last turn to the column, and from a straight arrow's one end to the other.
_OUT, _IN, _STRAIGHT = 12.0, 10.0, 24.0


class Spot(NamedTuple):
    """Where a box stands: its left side and its upper side, and its size."""

    x: float
    y: float
    across: float
    along: float

    @property
    def middle(self) -> float:
        return self.y + self.along / 2


class Group:
    """A box and the column beside it.

    Attributes:
        left, right: how far it reaches from the middle of the box.
        along: how long it is.
        spots: where its boxes stand, by vertex.
        ways: the way of each arrow within it.
    """

    def __init__(
        self,
        host: int,
        beside: list[int],
        wires: list[Wire],
        sizes: dict[int, tuple[float, float]],
        stiff: bool,
        text: float,
    ) -> None:
        """
        Args:
            host: the box.
            beside: what stands beside it.
            wires: the arrows between all these.
            sizes: across and along, by vertex.
            stiff: whether the box is to keep its size.
            text: how much longer arrows are to be for the texts on them.
        """
        across, along = sizes[host]
        self.ways: dict[Wire, list[tuple[float, float]]] = {}
        place = {i: k for k, i in enumerate(beside)}
        arrows = [(place[w.edge.head if w.edge.tail == host else w.edge.tail], w) for w in wires if host in _ends(w)]
        arrows.sort(key=lambda found: found[0])
        shaded = any(w.shadow for _, w in arrows)
        apart = _SHADED if shaded else _APART
        spare = 8.0 + shaded * _SHADED
        if stiff:
            apart = min(apart, max(4.0, along - spare) / max(1, len(arrows) - 1))
        else:
            along = max(along, apart * (len(arrows) - 1) + spare)
        column = sum(sizes[i][1] for i in beside) + _GAP * (len(beside) - 1)
        self.along = max(along, column)
        middle = self.along / 2
        self.spots = {host: Spot(-across / 2, middle - along / 2, across, along)}
        tops: dict[int, float] = {}
        at = middle - column / 2
        for i in beside:
            tops[i] = at
            at += sizes[i][1] + _GAP
        meets = [middle + (k - (len(arrows) - 1) / 2) * apart for k in range(len(arrows))]
        above: list[int] = []
        below: list[int] = []
        margin = 12.0 if shaded else 5.0
        for k, (n, _) in enumerate(arrows):
            top, end = tops[beside[n]], tops[beside[n]] + sizes[beside[n]][1]
            if end - margin < meets[k]:
                above.append(k)
            elif top + margin > meets[k]:
                below.insert(0, k)
        edge = across / 2
        turns = max(len(above), len(below))
        start = edge + text + (_OUT + (turns - 1) * apart + _IN if turns else _STRAIGHT)
        for i in beside:
            self.spots[i] = Spot(start, tops[i], *sizes[i])
        for k, (n, wire) in enumerate(arrows):
            spot = self.spots[beside[n]]
            points = [(start, meets[k])]
            wire.off = OFF
            for turned, off in ((above, -OFF), (below, OFF)):
                if k in turned:
                    turn = edge + _OUT + turned.index(k) * apart
                    points = [(start, spot.middle), (turn, spot.middle), (turn, meets[k])]
                    wire.off = off
            points.append((edge, meets[k]))
            if wire.edge.tail == host:
                points.reverse()
                wire.off = -wire.off
            self.ways[wire] = points
        self.left = across / 2
        self.right = max(spot.x + spot.across for spot in self.spots.values())
        self._changes(host, wires)

    def _changes(self, host: int, wires: list[Wire]) -> None:
        """The arrows from what is done to parameters to these: on the other side of the column."""
        turns: dict[int, float] = {}
        end = self.right
        for wire in wires:
            if host in _ends(wire):
                continue
            tail, head = self.spots[wire.edge.tail], self.spots[wire.edge.head]
            if wire.edge.tail not in turns:
                self.right += _OUT
                turns[wire.edge.tail] = self.right
            turn = turns[wire.edge.tail]
            self.ways[wire] = [
                (tail.x + tail.across, tail.middle),
                (turn, tail.middle),
                (turn, head.middle),
                (head.x + head.across, head.middle),
            ]
        if self.right > end:
            self.right += 2


def _ends(wire: Wire) -> tuple[int, int]:
    return wire.edge.tail, wire.edge.head
