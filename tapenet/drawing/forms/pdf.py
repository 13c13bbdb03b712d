"""A PDF of what Graphviz draws as SVG: vectors and text, with the fonts in it. Needs no other package.

Graphviz uses little of SVG: groups with one transform, polygons, polylines, ellipses, paths of lines and curves,
and lines of text. What is not among that is refused, so that nothing is drawn wrong or left out in silence.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from tapenet.drawing.forms import font

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

#: Readers of PDF take no page that is larger, in units of 1/72 inch; beyond it the unit itself grows.
_LARGEST = 14_400
#: How far a control point is from the end of a quarter of a circle of radius 1.
_ROUND = 0.5523
#: The colours that Graphviz and SVG name without a number, so far as drawings use them.
_COLOURS = {"black": "#000000", "white": "#ffffff", "gray": "#c0c0c0", "lightgrey": "#d3d3d3", "red": "#ff0000"}
_COLOURS |= {"green": "#008000", "blue": "#0000ff"}
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_SIZE = re.compile(r"([\d.]+)(pt|px|)")


def to_pdf(svg: bytes) -> bytes:
    """The PDF of an SVG that Graphviz wrote, one page of the same size; the same bytes for the same picture.

    Tooltips and links are left out. A character that none of the fonts has is a box, and copied right all the same.

    Raises:
        ValueError: it holds something that Graphviz is not known to write.

    >>> to_pdf(b'<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt" viewBox="0 0 9 9"/>')[:8]
    b'%PDF-1.7'
    """
    from xml.etree import ElementTree

    root = ElementTree.fromstring(svg)
    left, top, across, down = _numbers(root.get("viewBox", ""), 4)
    width, height = (_size(root, name) for name in ("width", "height"))
    unit = max(1, -(-max(width, height) // _LARGEST))
    x, y = width / unit / across, height / unit / down
    page = _Page()
    page.draw(root, (x, 0, 0, -y, -left * x, height / unit + top * y))
    return _file(page, width / unit, height / unit, unit)


def _size(root: Element, name: str) -> float:
    found = _SIZE.fullmatch(root.get(name, ""))
    if found is None:
        raise ValueError(f"no {name} in points: {root.get(name)!r}")
    return float(found[1]) * (0.75 if found[2] == "px" else 1)


# -- what is on the page -------------------------------------------------------------------------------------------


class _Page:
    """Writes the operators that draw a page, and notes which glyphs and opacities they use."""

    def __init__(self) -> None:
        self.operators: list[str] = []
        self.used: dict[str, dict[int, str]] = {name: {} for name in font.NAMES}
        self.opacities: dict[tuple[float, float], str] = {}
        #: What is set, by operator: not said again.
        self.state: dict[str, str] = {}

    def draw(self, root: Element, matrix: tuple[float, ...]) -> None:
        """Everything in `root`, with its coordinates moved by `matrix`."""
        self.operators += ["q", f"{_words(*matrix)} cm", "4 M"]
        pending: list[Element | None] = [*reversed(root)]  # None: the end of a group with a transform
        while pending:
            element = pending.pop()
            if element is None:
                self.operators.append("Q")
                self.state.clear()
                continue
            tag = element.tag.rpartition("}")[2]
            if tag in ("g", "a"):
                moves = [*_moves(element.get("transform", ""))]
                if moves:
                    self.operators += ["q", *moves]
                    pending.append(None)
                pending += reversed(element)
            elif tag == "text":
                self.text(element)
            elif tag != "title":
                self.shape(tag, element)
        self.operators.append("Q")

    def shape(self, tag: str, element: Element) -> None:
        fill, stroke = (
            _colour(element.get(name, default)) for name, default in (("fill", "black"), ("stroke", "none"))
        )
        opacities = [float(element.get(f"{name}-opacity", "1")) for name in ("fill", "stroke")]
        self.opacity(opacities[0], opacities[1])
        if fill:
            self.set("rg", fill)
        thickness = float(element.get("stroke-width", "1"))
        if thickness == 0:  # a PDF would have the thinnest line there is
            stroke = ""
        if stroke:
            self.set("RG", stroke)
            self.set("w", _words(thickness))
            dashes = element.get("stroke-dasharray", "none")
            self.set("d", f"[{'' if dashes == 'none' else _words(*_numbers(dashes))}] 0")
        if fill or stroke:
            self.operators += _outline(tag, element)
            self.operators.append({(True, True): "B", (True, False): "f", (False, True): "S"}[bool(fill), bool(stroke)])

    def text(self, element: Element) -> None:
        if len(element):
            raise ValueError(f"a text in pieces: {''.join(element.itertext())!r}")
        runs = [*_runs(element.text or "")]
        size = float(element.get("font-size", "14"))
        x, y = (float(element.get(name, "0")) for name in "xy")
        length = sum(face.widths[glyph] for face, glyphs, _ in runs for glyph in glyphs) * size / 1000
        x -= length * {"start": 0, "middle": 0.5, "end": 1}[element.get("text-anchor", "start")]
        colour = _colour(element.get("fill", "black"))
        if not colour or not runs:
            return
        self.opacity(float(element.get("fill-opacity", "1")), 1)
        self.set("rg", colour)
        lean = 0.2 if element.get("font-style") == "italic" else 0
        bold = element.get("font-weight") in ("bold", "700")
        if bold:  # a line around each letter
            self.operators.append(f"q {colour} RG {_words(size / 30)} w [] 0 d 2 Tr")
        self.operators.append(f"BT {_words(1, 0, lean, -1, x, y)} Tm")
        for face, glyphs, characters in runs:
            if all(glyphs):
                self.used[face.name].update(zip(glyphs, characters, strict=True))
            shown = f"/{face.name} {_words(size)} Tf <{''.join(f'{glyph:04X}' for glyph in glyphs)}> Tj"
            self.operators.append(
                shown if all(glyphs) else f"/Span <</ActualText <FEFF{_hex(characters)}>>> BDC {shown} EMC"
            )
        self.operators.append("ET Q" if bold else "ET")

    def opacity(self, fill: float, stroke: float) -> None:
        if (fill, stroke) != (1, 1) or "gs" in self.state:
            name = self.opacities.setdefault((fill, stroke), f"O{len(self.opacities)}")
            self.set("gs", f"/{name}")

    def set(self, operator: str, value: str) -> None:
        if self.state.get(operator) != value:
            self.state[operator] = value
            self.operators.append(f"{value} {operator}")


def _runs(text: str) -> Iterator[tuple[font.Font, list[int], str]]:
    """A text in pieces that have one font each, and either all of their glyphs or none."""
    faces = [font.load(name) for name in font.NAMES]

    def face(character: str) -> int | None:
        return next((i for i, f in enumerate(faces) if ord(character) in f.glyphs), None)

    for found, characters in groupby(text, face):
        piece = "".join(characters)
        chosen = faces[found or 0]
        yield chosen, [chosen.glyphs.get(ord(c), 0) for c in piece] if found is not None else [0] * len(piece), piece


def _outline(tag: str, element: Element) -> Iterator[str]:
    """The operators of a path."""
    if tag in ("polygon", "polyline"):
        yield from _path("L", _numbers(element.get("points", "")), True)
        if tag == "polygon":
            yield "h"
    elif tag == "path":
        for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", element.get("d", "")):
            yield from _path(command, _numbers(numbers), command == "M")
    elif tag == "ellipse":
        x, y, a, b = (float(element.get(name, "0")) for name in ("cx", "cy", "rx", "ry"))
        u, v = a * _ROUND, b * _ROUND
        yield f"{_words(x + a, y)} m"
        yield f"{_words(x + a, y + v, x + u, y + b, x, y + b)} c"
        yield f"{_words(x - u, y + b, x - a, y + v, x - a, y)} c"
        yield f"{_words(x - a, y - v, x - u, y - b, x, y - b)} c"
        yield f"{_words(x + u, y - b, x + a, y - v, x + a, y)} c"
        yield "h"
    else:
        raise ValueError(f"an element <{tag}>")


def _path(command: str, numbers: list[float], begins: bool) -> Iterator[str]:
    """A piece of a path. A piece that moves begins at its first point; lines lead to the others."""
    if command in "Zz":
        yield "h"
        return
    if command not in ("M", "L", "C"):
        raise ValueError(f"a path with the command {command}")
    step = 6 if command == "C" else 2
    if len(numbers) % step or not numbers:
        raise ValueError(f"a path with {len(numbers)} numbers after {command}")
    for i in range(0, len(numbers), step):
        operator = "m" if begins and i == 0 else "c" if command == "C" else "l"
        yield f"{_words(*numbers[i : i + step])} {operator}"


def _moves(transform: str) -> Iterator[str]:
    """The operators of a transform."""
    for name, text in re.findall(r"(\w+)\(([^)]*)\)", transform):
        numbers = _numbers(text)
        if name == "translate" and len(numbers) == 2:
            yield f"1 0 0 1 {_words(*numbers)} cm"
        elif name == "scale" and 1 <= len(numbers) <= 2:
            yield f"{_words(numbers[0], 0, 0, numbers[-1], 0, 0)} cm"
        elif name == "rotate" and numbers[1:] in ([], [*numbers[1:3]]) and numbers[0] % 90 == 0:
            cosine, sine = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[int(numbers[0]) % 360]
            x, y = numbers[1:] or (0, 0)
            yield f"{_words(cosine, sine, -sine, cosine, x - cosine * x + sine * y, y - sine * x - cosine * y)} cm"
        else:
            raise ValueError(f"the transform {name}({text})")


def _colour(name: str) -> str:
    """Red, green and blue from 0 to 1; "" for none."""
    if name in ("none", "transparent"):
        return ""
    code = _COLOURS.get(name, name)
    if not re.fullmatch("#[0-9a-fA-F]{6}", code):
        raise ValueError(f"the colour {name!r}; write it as #rrggbb")
    return _words(*(int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)))


def _numbers(text: str, count: int | None = None) -> list[float]:
    numbers = [float(number) for number in _NUMBER.findall(text)]
    if count is not None and len(numbers) != count:
        raise ValueError(f"{count} numbers expected: {text!r}")
    return numbers


def _words(*numbers: float) -> str:
    return " ".join(f"{round(number, 4) + 0:.10g}" for number in numbers)  # adding 0 takes the sign from a zero


def _hex(text: str) -> str:
    return text.encode("utf-16-be", "replace").hex().upper()


# -- the file ------------------------------------------------------------------------------------------------------


def _file(page: _Page, width: float, height: float, unit: float) -> bytes:
    """The objects of a PDF of one page, by number from 1, and the table of where each is."""
    objects: list[bytes] = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", b""]

    def add(value: str | bytes) -> str:
        objects.append(value.encode() if isinstance(value, str) else value)
        return f"{len(objects)} 0 R"

    content = add(_stream("\n".join(page.operators).encode()))
    faces = [
        f"/{name} {_font(font.load(name), used, add)}" for name, used in page.used.items() if used or name == "text"
    ]
    shades = [f"/{name}<</ca {_words(a)}/CA {_words(b)}>>" for (a, b), name in page.opacities.items()]
    objects[2] = (
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {_words(width, height)}]/UserUnit {_words(unit)}/Contents {content}"
        f"/Resources<</Font<<{''.join(faces)}>>/ExtGState<<{''.join(shades)}>>>>>>"
    ).encode()
    info = add("<</Producer(tapenet)>>")
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, value in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, value)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    mark = hashlib.sha256(out).hexdigest()[:32]
    out += f"trailer\n<</Size {len(objects) + 1}/Root 1 0 R/Info {info}/ID[<{mark}><{mark}>]>>\n".encode()
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def _font(face: font.Font, used: dict[int, str], add: Callable[[str | bytes], str]) -> str:
    """Add the objects of a font of which these glyphs are used; its reference."""
    name = f"Tapenet{face.name.title()}"
    program = add(_stream(face.data, f"/Length1 {len(face.data)}"))
    height = f"/Ascent {face.box[3]}/Descent {face.box[1]}/CapHeight 700/ItalicAngle 0/StemV 80"
    described = add(
        f"<</Type/FontDescriptor/FontName/{name}/Flags 4/FontBBox[{_words(*face.box)}]{height}/FontFile2 {program}>>"
    )
    widths = "".join(f"{glyph}[{face.widths[glyph]}]" for glyph in (0, *sorted(used)))
    system = "/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/CIDToGIDMap/Identity"
    glyphs = add(
        f"<</Type/Font/Subtype/CIDFontType2/BaseFont/{name}{system}/FontDescriptor {described}/DW 1000/W[{widths}]>>"
    )
    characters = add(_stream(_characters(used)))
    return str(
        add(
            f"<</Type/Font/Subtype/Type0/BaseFont/{name}/Encoding/Identity-H/DescendantFonts[{glyphs}]"
            f"/ToUnicode {characters}>>"
        )
    )


def _characters(used: dict[int, str]) -> bytes:
    """Which character each glyph shows, so that text can be copied and searched."""
    lines = [
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Tapenet def /CMapType 2 def",
        "1 begincodespacerange <0000> <FFFF> endcodespacerange",
    ]
    pairs = [f"<{glyph:04X}> <{_hex(character)}>" for glyph, character in sorted(used.items())]
    for i in range(0, len(pairs), 100):  # as many as one list may have
        lines += [f"{len(pairs[i : i + 100])} beginbfchar", *pairs[i : i + 100], "endbfchar"]
    lines.append("endcmap CMapName currentdict /CMap defineresource pop end end")
    return "\n".join(lines).encode()


def _stream(data: bytes, entries: str = "") -> bytes:
    packed = zlib.compress(data, 9)
    return f"<</Length {len(packed)}/Filter/FlateDecode{entries}>>\nstream\n".encode() + packed + b"\nendstream"
