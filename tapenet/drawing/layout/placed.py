"""A drawing with the place of everything in it: what the layout gives and a writer draws.

Lengths are points, from the top left corner of the picture, to the right and down.
"""

from __future__ import annotations

from typing import NamedTuple

from tapenet.drawing.model import Drawing

#: Where arrows point: down, right, up or left.
DIRECTIONS = ("TB", "LR", "BT", "RL")
#: What is left free around the whole.
MARGIN = 10.0


class Line(NamedTuple):
    """A line of text in a box: what it says and how large its letters are."""

    text: str
    size: float
    bold: bool


class Box(NamedTuple):
    """A box: its top left corner, its size, and the lines of text in it.

    The lines of a vertex stand centred below each other. The line of a cluster is its title, at the top left; there
    may be none.
    """

    x: float
    y: float
    width: float
    height: float
    lines: tuple[Line, ...]


class Label(NamedTuple):
    """Text beside an arrow: the left end of its base line, how wide it is and how large its letters are."""

    text: str
    x: float
    y: float
    width: float
    size: float


class Way(NamedTuple):
    """The way of an arrow from its tail to its head: a line through these points, whose corners a writer rounds.

    No points: it is not drawn. The last point is the tip.
    """

    points: tuple[tuple[float, float], ...]
    label: Label | None


class Placed(NamedTuple):
    """A drawing laid out.

    Attributes:
        drawing: what was laid out.
        width, height: the size of the picture.
        boxes: by position of the vertex.
        clusters: by position of the cluster; what is open is around what is in it.
        ways: by position of the edge.
    """

    drawing: Drawing
    width: float
    height: float
    boxes: list[Box]
    clusters: list[Box]
    ways: list[Way]
