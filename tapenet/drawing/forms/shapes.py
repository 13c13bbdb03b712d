"""Reads the SVGs that tapenet writes, for formats that are made of them: shapes and lines of text, one after the other.

What is not among the few elements and attributes that these use is refused, so that nothing is drawn wrong or left out
in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from xml.etree import ElementTree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

#: A command and the points it leads to: "M" moves, "L" draws a line, "C" a curve with two control points; "Z" closes.
Piece: TypeAlias = "tuple[str, tuple[float, ...]]"

#: How far a control point is from the end of a quarter of a circle of radius 1.
ROUND = 0.5523
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_SIZE = re.compile(r"([\d.]+)(pt|px|)")
_COLOURS = {"black": "#000000", "white": "#ffffff"}
#: What groups hand on to what is in them, with what it is where nobody says so.
_INHERITED = {
    "fill": "black",
    "stroke": "none",
    "stroke-width": "1",
    "stroke-dasharray": "none",
    "font-size": "16",
    "font-weight": "normal",
    "text-anchor": "start",
}
#: What is drawn in no format but in a browser.
_SILENT = frozenset({"title", "desc", "style"})


class Shape(NamedTuple):
    """An outline with its colours, each "#rrggbb" or "" for none.

    Attributes:
        outline: the pieces of the line, all of one figure or several.
        fill, stroke: colours.
        width: of the line.
        dashes: lengths of dashes and gaps in turn; empty: a solid line.
    """

    outline: list[Piece]
    fill: str
    stroke: str
    width: float
    dashes: tuple[float, ...]


class Text(NamedTuple):
    """A line of text.

    Attributes:
        text: what it says.
        x, y: where its base line begins, has its middle or ends, as `anchor` says: "start", "middle" or "end".
        length: how wide it is to be; 0: as it is.
    """

    text: str
    x: float
    y: float
    anchor: str
    size: float
    bold: bool
    colour: str
    length: float


class Scene(NamedTuple):
    """What an SVG shows: the part of the plane that is seen, its size in points, and what is drawn, from below to above."""

    left: float
    top: float
    across: float
    down: float
    width: float
    height: float
    things: list[Shape | Text]


def read(svg: str) -> Scene:
    """What an SVG shows.

    Raises:
        ValueError: it holds something that tapenet does not write.

    >>> start = '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt" viewBox="0 0 9 9">'
    >>> read(start + '<g fill="#ff0000"><path d="M0 0H9"/></g></svg>').things[0].outline
    [('M', (0.0, 0.0)), ('L', (9.0, 0.0))]
    """
    root = ElementTree.fromstring(svg.encode("utf-8", "replace"))
    left, top, across, down = _numbers(root.get("viewBox", ""), 4)
    width, height = (_size(root, name) for name in ("width", "height"))
    return Scene(left, top, across, down, width, height, [*_things(root)])


def _size(root: Element, name: str) -> float:
    found = _SIZE.fullmatch(root.get(name, ""))
    if found is None:
        raise ValueError(f"no {name} in points: {root.get(name)!r}")
    return float(found[1]) * (0.75 if found[2] == "px" else 1)


def _things(root: Element) -> Iterator[Shape | Text]:
    pending = [(root, _INHERITED)]
    while pending:
        element, given = pending.pop()
        tag = element.tag.rpartition("}")[2]
        if tag in _SILENT:
            continue
        found = given | {name: element.attrib[name] for name in _INHERITED if name in element.attrib}
        if element.get("transform"):
            raise ValueError(f"the transform {element.get('transform')}")
        if tag in ("svg", "g"):
            pending += [(inside, found) for inside in reversed(element)]
        elif tag == "text":
            yield _text(element, found)
        else:
            yield _shape(tag, element, found)


def _shape(tag: str, element: Element, given: Mapping[str, str]) -> Shape:
    width = float(given["stroke-width"])
    dashes = () if given["stroke-dasharray"] == "none" else tuple(_numbers(given["stroke-dasharray"]))
    stroke = _colour(given["stroke"]) if width else ""
    return Shape([*_outline(tag, element)], _colour(given["fill"]), stroke, width, dashes)


def _text(element: Element, given: Mapping[str, str]) -> Text:
    if len(element):
        raise ValueError(f"a text in pieces: {''.join(element.itertext())!r}")
    x, y, length = (float(element.get(name, "0")) for name in ("x", "y", "textLength"))
    size, bold = float(given["font-size"]), given["font-weight"] == "bold"
    return Text(element.text or "", x, y, given["text-anchor"], size, bold, _colour(given["fill"]), length)


def _outline(tag: str, element: Element) -> Iterator[Piece]:
    def get(name: str) -> float:
        return float(element.get(name, "0"))

    if tag == "path":
        yield from _path(element.get("d", ""))
    elif tag in ("polygon", "polyline"):
        numbers = _numbers(element.get("points", ""))
        for i in range(0, len(numbers), 2):
            yield "L" if i else "M", (numbers[i], numbers[i + 1])
        if tag == "polygon":
            yield "Z", ()
    elif tag == "rect":
        yield from _rounded(get("x"), get("y"), get("width"), get("height"), get("rx"))
    elif tag == "circle":
        x, y, r = get("cx"), get("cy"), get("r")
        yield from _rounded(x - r, y - r, 2 * r, 2 * r, r)
    else:
        raise ValueError(f"an element <{tag}>")


def _rounded(x: float, y: float, width: float, height: float, radius: float) -> Iterator[Piece]:
    """A rectangle whose corners are quarters of ellipses."""
    right, bottom = x + width, y + height
    if not radius:
        yield from (("M", (x, y)), ("L", (right, y)), ("L", (right, bottom)), ("L", (x, bottom)), ("Z", ()))
        return
    a, b = min(radius, width / 2), min(radius, height / 2)
    u, v = a * (1 - ROUND), b * (1 - ROUND)
    yield "M", (x + a, y)
    yield "L", (right - a, y)
    yield "C", (right - u, y, right, y + v, right, y + b)
    yield "L", (right, bottom - b)
    yield "C", (right, bottom - v, right - u, bottom, right - a, bottom)
    yield "L", (x + a, bottom)
    yield "C", (x + u, bottom, x, bottom - v, x, bottom - b)
    yield "L", (x, y + b)
    yield "C", (x, y + v, x + u, y, x + a, y)
    yield "Z", ()


def _path(data: str) -> Iterator[Piece]:
    x = y = 0.0
    for command, text in re.findall(r"([A-Za-z])([^A-Za-z]*)", data):
        numbers = _numbers(text)
        step = {"M": 2, "L": 2, "H": 1, "V": 1, "Q": 4, "C": 6, "Z": 0}.get(command)
        if step is None:
            raise ValueError(f"a path with the command {command}")
        if len(numbers) % step if step else numbers:
            raise ValueError(f"a path with {len(numbers)} numbers after {command}")
        if not step:
            yield "Z", ()
            continue
        for i in range(0, len(numbers), step):
            given = tuple(numbers[i : i + step])
            if command == "H":
                given = (given[0], y)
            elif command == "V":
                given = (x, given[0])
            elif command == "Q":
                a, b, u, v = given
                given = (x + (a - x) * 2 / 3, y + (b - y) * 2 / 3, u + (a - u) * 2 / 3, v + (b - v) * 2 / 3, u, v)
            x, y = given[-2:]
            yield "M" if command == "M" and i == 0 else "C" if len(given) == 6 else "L", given


def _colour(name: str) -> str:
    """A colour as "#rrggbb"; "" for none."""
    if name in ("none", "transparent"):
        return ""
    code = _COLOURS.get(name, name)
    if not re.fullmatch("#[0-9a-fA-F]{6}", code):
        raise ValueError(f"the colour {name!r}; write it as #rrggbb")
    return code


def _numbers(text: str, count: int | None = None) -> list[float]:
    numbers = [float(number) for number in _NUMBER.findall(text)]
    if count is not None and len(numbers) != count:
        raise ValueError(f"{count} numbers expected: {text!r}")
    return numbers
