"""A picture as a browser shows it: what stands where in it, whatever the fonts are."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any, NamedTuple

from tests.drawing.areas import Area, Point, cross, meets, overlap, within


class Text(NamedTuple):
    """A line of text: the id of the box that it is in, or "", its ink, its size and its colour."""

    of: str
    says: str
    area: Area
    size: float
    colour: str


class Frame(NamedTuple):
    """A box or a cluster: its place, and the colours in it and of its border."""

    area: Area
    fill: str
    stroke: str


class Line(NamedTuple):
    """The line of an arrow: points on it, and its colour."""

    points: list[Point]
    stroke: str


class Seen(NamedTuple):
    """What is seen. Boxes, clusters and lines are by their ids."""

    width: float
    whole: Area
    paper: str
    texts: list[Text]
    boxes: dict[str, Frame]
    clusters: dict[str, Frame]
    lines: dict[str, Line]


def see(driver: Any, svg: str, font: str, dark: bool = False) -> Seen:
    """A picture in a browser whose fonts are all one."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get("about:blank")
    found = driver.execute_script(_SEE, svg, font)
    return Seen(
        found["width"],
        tuple(found["whole"]),
        found["paper"],
        [Text(of, says, tuple(area), size, colour) for of, says, area, size, colour in found["texts"]],
        {i: Frame(tuple(area), fill, stroke) for i, area, fill, stroke in found["boxes"]},
        {i: Frame(tuple(area), fill, stroke) for i, area, fill, stroke in found["clusters"]},
        {i: Line([(x, y) for x, y in points], stroke) for i, points, stroke in found["lines"]},
    )


# The ink of a text reaches from its base line up and down as a canvas says; it is as wide as it is drawn.
_SEE = """
document.body.innerHTML = arguments[0];
const svg = document.querySelector("svg"), pen = document.createElement("canvas").getContext("2d");
svg.setAttribute("font-family", `'${arguments[1]}'`);
const area = (r) => { const b = r.getBBox(); return [b.x, b.y, b.x + b.width, b.y + b.height]; };
const style = (element, name) => getComputedStyle(element)[name];
const texts = [...svg.querySelectorAll("text")].map((text) => {
  const size = parseFloat(style(text, "fontSize")), y = Number(text.getAttribute("y")), [left, , right] = area(text);
  pen.font = `${style(text, "fontWeight")} ${size}px '${arguments[1]}'`;
  const ink = pen.measureText(text.textContent);
  const place = [left, y - ink.actualBoundingBoxAscent, right, y + ink.actualBoundingBoxDescent];
  return [text.closest(".node")?.id ?? "", text.textContent, place, size, style(text, "fill")];
});
const frames = (selector) => [...svg.querySelectorAll(selector)].map((rect) =>
  [rect.closest("g[id]").id, area(rect), style(rect, "fill"), style(rect, "stroke")]);
const lines = [...svg.querySelectorAll(".tapenet-edges path")].map((path) => {
  const long = path.getTotalLength(), points = [];
  for (let at = 0; ; at = Math.min(at + 1.5, long)) {
    const {x, y} = path.getPointAtLength(at), last = points.length - 1;
    const [p, q] = [points[last - 1], points[last]];
    // Points on a straight line say nothing but its ends.
    if (p && Math.abs((q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])) < 1e-3) points[last] = [x, y];
    else points.push([x, y]);
    if (at >= long) break;
  }
  return [path.closest("g[id]").id, points, style(path, "stroke")];
});
return {
  width: svg.viewBox.baseVal.width, texts, lines,
  whole: area(svg.querySelector("rect.paper")), paper: style(svg.querySelector("rect.paper"), "fill"),
  boxes: frames(".node > rect"), clusters: frames(".cluster > rect"),
};
"""


def flaws(seen: Seen) -> Iterator[str]:
    """Each thing that stands where it should not."""
    boxes = {i: frame.area for i, frame in seen.boxes.items()}
    clusters = {i: frame.area for i, frame in seen.clusters.items()}
    for (i, a), (j, b) in combinations(boxes.items(), 2):
        if overlap(a, b):
            yield f"the boxes {i} and {j} overlap"
    for c, around in clusters.items():
        others = {**boxes, **{other: area for other, area in clusters.items() if other != c}}
        for i, area in others.items():
            if overlap(area, around) and not within(area, around) and not within(around, area):
                yield f"{i} is on the border of {c}"
    for text in seen.texts:
        if not within(text.area, seen.whole):
            yield f"{text.says!r} leaves the picture"
        if text.of in boxes and not within(text.area, boxes[text.of]):
            yield f"{text.says!r} leaves its box"
        for c, around in clusters.items():
            if overlap(text.area, around) and not within(text.area, around):
                yield f"{text.says!r} is on the border of {c}"
        for i, area in boxes.items():
            if i != text.of and overlap(text.area, area):
                yield f"{text.says!r} is on the box {i}"
    for a, b in combinations(seen.texts, 2):
        if overlap(a.area, b.area):
            yield f"{a.says!r} and {b.says!r} overlap"
    for i, line in seen.lines.items():
        for start, end in pairwise(line.points):
            for text in seen.texts:
                if meets(text.area, start, end):
                    yield f"the arrow {i} goes through {text.says!r}"


def crossings(seen: Seen) -> int:
    """How often arrows cross, but for where they begin and end: on each other, or beside."""
    pieces = [(i, a, b) for i, line in seen.lines.items() for a, b in pairwise(line.points[1:-1])]
    return sum(i != j and cross(a, b, c, d) for (i, a, b), (j, c, d) in combinations(pieces, 2))


def faint(seen: Seen, least: float) -> Iterator[str]:
    """Texts, lines and borders that hardly differ from what is behind them."""
    for text in seen.texts:
        ground = seen.boxes[text.of].fill if text.of in seen.boxes else _ground(seen, text.area)
        yield from _told(repr(text.says), text.colour, ground, least)
    for i, line in seen.lines.items():
        for x, y in line.points:
            yield from _told(f"the arrow {i}", line.stroke, _ground(seen, (x, y, x, y)), least)
    for i, frame in seen.boxes.items():
        yield from _told(f"the border of {i}", frame.stroke, _ground(seen, frame.area), least)


def _told(what: str, colour: str, ground: str, least: float) -> Iterator[str]:
    found = contrast(colour, ground)
    if found < least:
        yield f"{what}: {found:.1f}"


def _ground(seen: Seen, area: Area) -> str:
    """The colour of the innermost cluster around an area; a parent comes before its children."""
    return [seen.paper, *(c.fill for c in seen.clusters.values() if within(area, c.area))][-1]


@functools.cache  # it is asked of every point of every line
def contrast(a: str, b: str) -> float:
    """The contrast of two colours, "rgb(r, g, b)", as WCAG has it: 1 to 21."""
    low, high = sorted(map(_luminance, (a, b)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(x) / 255 for x in re.findall(r"\d+", colour)[:3]]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
