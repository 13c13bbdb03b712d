"""The line of an arrow through given points, with its corners rounded, and its head."""

from __future__ import annotations

from math import dist

Point = tuple[float, float]

#: How far from a corner it begins to turn, at most.
_TURN = 10.0
_LENGTH, _HALF = 6.0, 2.6
#: What is no further apart is one point.
_NEAR = 0.3


def arrow(points: tuple[Point, ...], width: float = 1.1) -> tuple[str, str]:
    """The line as data of an SVG path, and the corners of the head; "" for both where it leads nowhere.

    Args:
        points: from the tail to the tip.
        width: of the line; thicker lines have larger heads.

    >>> arrow(((0, 0), (0, 30)), 1)
    ('M0 0V24', '0,30 -2.6,24 2.6,24')
    >>> arrow(((0, 0), (0, 30), (40, 30)), 1)[0]
    'M0 0V20Q0 30 10 30H34'
    """
    ends = [points[0]]
    for point in points[1:]:
        if dist(point, ends[-1]) > _NEAR:
            ends.append(point)
    if len(ends) < 2:
        return "", ""
    tip, before = ends[-1], ends[-2]
    length, half = (size * (0.75 + 0.25 * width) for size in (_LENGTH, _HALF))
    length = min(length, 0.7 * dist(before, tip))
    x, y = _towards(before, tip)
    base = (tip[0] - x * length, tip[1] - y * length)
    ends[-1] = base
    corners = (tip, (base[0] - half * y, base[1] + half * x), (base[0] + half * y, base[1] - half * x))
    return _line(ends), " ".join(f"{short(a)},{short(b)}" for a, b in corners)


def short(x: float) -> str:
    """A length with one digit after the point.

    >>> short(12.0), short(-0.01), short(0.26)
    ('12', '0', '0.3')
    """
    return f"{round(x, 1) + 0:.1f}".removesuffix(".0")


def _line(points: list[Point]) -> str:
    at = points[0]
    parts = [f"M{_words(at)}"]
    for i, corner in enumerate(points[1:-1], 1):
        (x, y), (u, v) = _towards(corner, points[i - 1]), _towards(corner, points[i + 1])
        # As far as halfway to the next corner, or to the end.
        room = dist(corner, points[i - 1]) / (2 if i > 1 else 1)
        turn = min(_TURN, room, dist(corner, points[i + 1]) / (2 if i + 2 < len(points) else 1))
        enter, leave = (corner[0] + turn * x, corner[1] + turn * y), (corner[0] + turn * u, corner[1] + turn * v)
        parts.append(f"{_straight(at, enter)}Q{_words(corner)} {_words(leave)}")
        at = leave
    return "".join([*parts, _straight(at, points[-1])])


def _straight(start: Point, end: Point) -> str:
    (x, y), (u, v) = map(short, start), map(short, end)
    if x == u:
        return "" if y == v else f"V{v}"
    return f"H{u}" if y == v else f"L{u} {v}"


def _towards(start: Point, end: Point) -> Point:
    far = dist(start, end)
    return (end[0] - start[0]) / far, (end[1] - start[1]) / far


def _words(point: Point) -> str:
    return f"{short(point[0])} {short(point[1])}"
