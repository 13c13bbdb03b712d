"""Areas and lines: whether they overlap, meet or cross."""

from __future__ import annotations

#: Left, top, right and bottom.
Area = tuple[float, float, float, float]
Point = tuple[float, float]


def overlap(a: Area, b: Area) -> bool:
    return a[0] < b[2] - 0.1 and b[0] < a[2] - 0.1 and a[1] < b[3] - 0.1 and b[1] < a[3] - 0.1


def within(a: Area, b: Area) -> bool:
    return b[0] <= a[0] + 0.1 and b[1] <= a[1] + 0.1 and a[2] <= b[2] + 0.1 and a[3] <= b[3] + 0.1


def meets(area: Area, a: Point, b: Point) -> bool:
    """Whether a line goes through an area. It may end at its border, or run along it."""
    start, end = 0.0, 1.0
    for k in (0, 1):
        low, high, at, by = area[k] + 0.2, area[k + 2] - 0.2, a[k], b[k] - a[k]
        if by == 0:
            if not low < at < high:
                return False
            continue
        t, u = (low - at) / by, (high - at) / by
        start, end = max(start, min(t, u)), min(end, max(t, u))
    return start < end


def cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < -1e-6 and side(c, d, a) * side(c, d, b) < -1e-6
