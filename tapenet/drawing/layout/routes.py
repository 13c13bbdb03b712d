"""The ways of arrows from end to end: pieces joined, and gradients beside the values that they belong to."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]


def joined(points: Sequence[Point]) -> list[Point]:
    """A way without points that it passes straight.

    >>> joined([(0, 0), (0, 1), (0, 1), (0, 2), (3, 2)])
    [(0, 0), (0, 2), (3, 2)]
    """
    found: list[Point] = []
    for point in points:
        if found and abs(point[0] - found[-1][0]) + abs(point[1] - found[-1][1]) < 0.01:
            continue
        if len(found) > 1 and _straight(found[-2], found[-1], point):
            found.pop()
        found.append(point)
    return found


def _straight(a: Point, b: Point, c: Point) -> bool:
    """Whether b is on the line from a to c."""
    ax, ay, cx, cy = b[0] - a[0], b[1] - a[1], c[0] - b[0], c[1] - b[1]
    return abs(ax * cy - ay * cx) < 1e-3 * (abs(ax) + abs(ay)) * (abs(cx) + abs(cy)) and ax * cx + ay * cy > 0


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
