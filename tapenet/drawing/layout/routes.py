"""The ways of arrows from end to end: pieces joined, and gradients beside the values that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import copysign

from tapenet.drawing.layout.group import Spot
from tapenet.drawing.layout.wires import OFF, Wire

#: How far from its box a gradient may begin, before it is put right.
_FAR = 12.0
#: How far ways that go around things are from these and from each other, and how many have a place of their own.
_APART, _BESIDE = 3.0, 3

Point = tuple[float, float]


def joined(points: Sequence[Point]) -> list[Point]:
    """A way without points that it passes straight.

    >>> joined([(0, 0), (0, 1), (0, 1), (0, 2), (3, 2)])
    [(0, 0), (0, 2), (3, 2)]
    """
    found: list[Point] = []
    for x, y in points:
        point = x, y
        if found:  # what was added up differently is the same all the same
            before = found[-1]
            point = (before[0] if abs(x - before[0]) < 0.01 else x, before[1] if abs(y - before[1]) < 0.01 else y)
            if point == before:
                continue
        if len(found) > 1 and _straight(found[-2], found[-1], point):
            found.pop()
        found.append(point)
    return found


def _straight(a: Point, b: Point, c: Point) -> bool:
    """Whether b is on the line from a to c."""
    ax, ay, cx, cy = b[0] - a[0], b[1] - a[1], c[0] - b[0], c[1] - b[1]
    return abs(ax * cy - ay * cx) < 1e-3 * (abs(ax) + abs(ay)) * (abs(cx) + abs(cy)) and ax * cx + ay * cy > 0


def choose_sides(wires: Iterable[Wire], usual: int) -> None:
    """Choose on which side of each way its gradient runs, so that those of one array do not cross it where it branches.

    Args:
        wires: with their ways.
        usual: the side of the others: 1 is the right of a way down, -1 its left.
    """
    turns: dict[int, set[int]] = {}
    for wire in wires:
        if wire.shadow and not wire.off:
            turns.setdefault(wire.array, set()).add(_turn(wire.whole))
    for wire in wires:
        if wire.shadow and not wire.off:
            turn = _turn(wire.whole)
            found = turns[wire.array]
            if len(found) == 1:
                turn = usual
            elif not turn:
                turn = -usual if usual in found and -usual not in found else usual
            wire.off = OFF * turn


def _turn(points: Sequence[Point]) -> int:
    """To which side a way that leaves downwards turns first: 1 to the right in the picture, -1 to the left, 0 to none."""
    if len(points) < 2 or points[0][0] != points[1][0]:
        return 0
    for a, b in pairwise(points):
        if a[0] != b[0]:
            return 1 if b[0] > a[0] else -1
    return 0


def beside(points: Sequence[Point], off: float) -> list[Point]:
    """A way along another one, to its left if `off` is positive (that of a way down is the right in the picture). Pieces
    that are no level lines are moved across alone, so that ends stay where they are along.

    >>> beside([(0, 0), (0, 9), (5, 9)], 2)
    [(2.0, 0.0), (2.0, 7.0), (5.0, 7.0)]
    """
    moved: list[Point] = []
    for k, (x, y) in enumerate(points):
        across = along = 0.0
        for a, b in zip(points[max(0, k - 1) : k + 1], points[k or 1 : k + 2], strict=False):
            if a[1] == b[1]:
                along = -off if b[0] > a[0] else off
            else:
                across = off if b[1] > a[1] else -off
        moved.append((float(x + across), float(y + along)))
    return moved


def cross(points: Sequence[Point], at: int, one: Spot, other: Spot, nth: int = 0) -> list[Point]:
    """A way that goes from the right of one thing to the left of another: straight over where they stand side by side, else
    between them.

    Args:
        points: the way out of the one, and the way into the other.
        at: where the second begins.
        one, other: where these stand.
        nth: which of the ways between these it is: they keep apart.

    >>> cross([], 0, Spot(0.0, 0.0, 10.0, 10.0), Spot(20.0, 0.0, 10.0, 30.0))
    [(10.0, 5.0), (12.0, 5.0), (12.0, 15.0), (20.0, 15.0)]
    """
    out, into = list(points[:at]), list(points[at:])
    if not out:
        out = [(one.x + one.across, one.middle)]
    if not into:
        into = [(other.x, other.middle)]
    right, left = one.x + one.across, other.x
    y, q = out[-1][1], into[0][1]
    if right <= left:
        middle = (right + left) / 2 - _APART + _APART * (nth % _BESIDE)
        return [*out, (middle, y), (middle, q), *into]
    above, below = (one, other) if one.y < other.y else (other, one)
    between = (above.y + above.along + below.y) / 2 - _APART + _APART * (nth % _BESIDE)
    around = _APART * (_BESIDE - nth % _BESIDE) - 1  # within the margin
    return [*out, (right + around, y), (right + around, between), (left - around, between), (left - around, q), *into]


def leave(points: list[Point], spot: Spot) -> None:
    """Let a way that begins in a cluster begin at the border of that.

    >>> way = [(3.0, 5.0), (3.0, 9.0), (3.0, 20.0)]
    >>> leave(way, Spot(0.0, 0.0, 10.0, 10.0))
    >>> way
    [(3.0, 10.0), (3.0, 20.0)]
    """
    right, end = spot.x + spot.across, spot.y + spot.along
    while len(points) > 2 and spot.x <= points[1][0] <= right and spot.y <= points[1][1] <= end:
        points.pop(0)
    x, y = points[1]
    points[0] = min(max(x, spot.x), right), min(max(y, spot.y), end)


def touch(points: list[Point], spot: Spot, is_round: bool) -> None:
    """Let a way begin at its box, where it runs beside an arrow at a corner of that, and at the circle in it.

    Args:
        points: the way, which is changed.
        spot: where the box is.
        is_round: whether it is a circle.

    >>> way = [(3.0, 5.0), (3.0, 9.0)]
    >>> touch(way, Spot(-5.0, -5.0, 10.0, 10.0), True)
    >>> way
    [(3.0, 4.0), (3.0, 9.0)]
    """
    radius, reach = spot.along / 2, spot.across / 2
    (x, y), (p, q) = ((a - spot.x - reach, b - spot.middle) for a, b in points[:2])
    if abs(x) > reach + _FAR or abs(y) > radius + _FAR:  # it begins elsewhere
        return
    if x == p:
        x = p = min(max(x, 2 - reach), reach - 2)
        y = copysign((radius**2 - x**2) ** 0.5 if is_round else radius, q)
    elif y == q:
        y = q = min(max(y, 2 - radius), radius - 2)
        x = copysign((reach**2 - y**2) ** 0.5 if is_round else reach, p)
    points[:2] = [(a + spot.x + reach, b + spot.middle) for a, b in ((x, y), (p, q))]
