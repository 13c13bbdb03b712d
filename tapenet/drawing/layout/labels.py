"""Where texts stand on arrows: clear of boxes, of arrows and of each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tapenet.drawing.layout.boxes import LABEL, head_height
from tapenet.drawing.layout.placed import Box, Label
from tapenet.drawing.layout.routes import Point
from tapenet.drawing.layout.wires import OFF
from tapenet.drawing.metrics import room
from tapenet.drawing.model import Drawing

#: From an arrow to its text, and what a text takes up above and below its base line.
_CLEAR, _ABOVE, _BELOW = 5.0, 8.0, 2.5
#: What is near is found by squares of this size.
_SQUARE = 64.0

Rectangle = tuple[float, float, float, float]


class Labels:
    """The texts of a picture."""

    def __init__(
        self,
        boxes: list[Box],
        clusters: list[Box],
        ways: list[list[Point]],
        upright: bool,
        width: float,
        height: float,
    ) -> None:
        """
        Args:
            boxes, clusters: what stands in the picture.
            ways: the arrows.
            upright: whether they go up or down.
            width, height: the size of the picture.
        """
        self.ways = ways
        self.upright = upright
        self.size = width, height
        self.areas: dict[tuple[int, int], list[Rectangle]] = {}
        self.lines: dict[tuple[int, int], list[tuple[Point, Point]]] = {}
        for box in boxes:
            self._fill((box.x, box.y, box.x + box.width, box.y + box.height))
        for box in clusters:
            for x in (box.x, box.x + box.width):
                self._draw((x, box.y), (x, box.y + box.height))
            for y in (box.y, box.y + box.height):
                self._draw((box.x, y), (box.x + box.width, y))
            wide = max((room(line.text, line.size, line.bold) for line in box.lines), default=0.0)
            self._fill((box.x, box.y, box.x + 8 + wide, box.y + head_height(box.lines)))
        for points in ways:
            for a, b in pairwise(points):
                self._draw(a, b)

    def write(self, texts: list[str], arrays: list[int | None], drawing: Drawing) -> list[Label | None]:
        """The labels of arrows: once for each array that leaves a box, where there is room for it.

        Args:
            texts: what they say, "" for nothing.
            arrays: what they carry.
            drawing: whose arrows they are.
        """
        found: list[Label | None] = [None] * len(texts)
        several: dict[tuple[str, int | None, bool], list[int]] = {}
        for i, text in enumerate(texts):
            if text and self.ways[i]:
                carry = drawing.edges[i].flow == "carry"
                several.setdefault((text, i if carry else arrays[i], carry), []).append(i)
        for (text, _, _), edges in several.items():
            edges.sort(key=lambda i: (drawing.edges[i].skip, len(self.ways[i])))  # rather on a straight one
            width = room(text, LABEL)
            for i in edges:
                place = self._place(self.ways[i], width)
                if place is not None:
                    x, y = place
                    self._fill((x, y - _ABOVE, x + width, y + _BELOW))
                    found[i] = Label(text, round(x, 2), round(y, 2), round(width, 2), LABEL)
                    break
        return found

    def _place(self, points: list[Point], width: float) -> Point | None:
        """The left end of the base line of a text at an arrow, near where that begins."""
        for a, b in pairwise(points):
            for x, y in self._spots(a, b, width):
                if self._free((x - 2, y - _ABOVE, x + width + 2, y + _BELOW)):
                    return x, y
        return None

    def _spots(self, a: Point, b: Point, width: float) -> Iterator[Point]:
        """Places beside a piece of an arrow, the best first."""
        (x, y), (dx, dy) = a, (b[0] - a[0], b[1] - a[1])
        length = max(abs(dx), abs(dy))
        if abs(dy) > abs(dx):
            for reach in range(14, max(15, int(length) + 1), 12):
                middle = x + min(1.0, reach / length) * dx
                base = y + reach if dy > 0 else y - reach + _ABOVE + _BELOW - 2
                for left in (-_CLEAR - width, _CLEAR, -_CLEAR - OFF - width, _CLEAR + OFF):
                    yield middle + left, base
        elif length:
            for reach in range(6, max(7, int(length - width) + 1), 12):
                left = x + reach if dx > 0 else x - reach - width
                middle = y + min(1.0, (reach + width / 2) / length) * dy
                for base in (-_CLEAR, -_CLEAR - OFF, _CLEAR + _ABOVE - 1, _CLEAR + _ABOVE + OFF):
                    yield left, middle + base

    def _free(self, area: Rectangle) -> bool:
        left, top, right, bottom = area
        if left < 0 or top < 0 or right > self.size[0] or bottom > self.size[1]:
            return False
        for square in _squares(area):
            for a, b, c, d in self.areas.get(square, ()):
                if left < c and a < right and top < d and b < bottom:
                    return False
            for start, end in self.lines.get(square, ()):
                if meets(area, start, end):
                    return False
        return True

    def _fill(self, area: Rectangle) -> None:
        for square in _squares(area):
            self.areas.setdefault(square, []).append(area)

    def _draw(self, a: Point, b: Point) -> None:
        area = min(a[0], b[0]), min(a[1], b[1]), max(a[0], b[0]), max(a[1], b[1])
        for square in _squares(area):
            self.lines.setdefault(square, []).append((a, b))


def _squares(area: Rectangle) -> list[tuple[int, int]]:
    left, top, right, bottom = (int(n // _SQUARE) for n in area)
    return [(x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)]


def meets(area: Rectangle, a: Point, b: Point) -> bool:
    """Whether a line touches an area.

    >>> meets((0, 0, 2, 2), (1, -1), (1, 3)), meets((0, 0, 2, 2), (3, 0), (3, 2))
    (True, False)
    """
    left, top, right, bottom = area
    (x, y), (p, q) = a, b
    start, end = 0.0, 1.0
    for at, delta, low, high in ((x, p - x, left, right), (y, q - y, top, bottom)):
        if delta == 0:
            if at < low or at > high:
                return False
            continue
        t, u = (low - at) / delta, (high - at) / delta
        start, end = max(start, min(t, u)), min(end, max(t, u))
    return start <= end
