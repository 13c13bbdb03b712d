"""A PDF of an SVG that tapenet wrote: vectors and text, with the fonts in it. Needs no other package."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from itertools import groupby

from tapenet.drawing.forms import font, shapes
from tapenet.drawing.forms.spelled import spelled

#: Readers of PDF take no page that is larger, in units of 1/72 inch; beyond it the unit itself grows.
_LARGEST = 14_400
_OPERATORS = {"M": "m", "L": "l", "C": "c", "Z": "h"}


def to_pdf(svg: str) -> bytes:
    """The PDF of an SVG, one page of the same size; the same bytes for the same picture.

    Tooltips are left out. A character that none of the fonts of the package has is drawn as the machine's have it, or as a
    box, with a warning; it is copied right all the same.

    Raises:
        ValueError: it holds something that tapenet does not write.

    >>> to_pdf('<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt" viewBox="0 0 9 9"/>')[:8]
    b'%PDF-1.7'
    """
    scene = spelled(shapes.read(svg), "PDF")
    unit = max(1, -(-max(scene.width, scene.height) // _LARGEST))
    width, height = scene.width / unit, scene.height / unit
    x, y = width / scene.across, height / scene.down
    page = _Page()
    page.operators += ["q", f"{_words(x, 0, 0, -y, -scene.left * x, height + scene.top * y)} cm", "4 M"]
    for thing in scene.things:
        if isinstance(thing, shapes.Text):
            page.text(thing)
        else:
            page.shape(thing)
    page.operators.append("Q")
    return _file(page, width, height, unit)


# -- what is on the page -------------------------------------------------------------------------------------------


class _Page:
    """Writes the operators that draw a page, and notes which glyphs they use."""

    def __init__(self) -> None:
        self.operators: list[str] = []
        self.used: dict[str, dict[int, str]] = {name: {} for name in font.NAMES}
        #: What is set, by operator: not said again.
        self.state: dict[str, str] = {}

    def shape(self, shape: shapes.Shape) -> None:
        if shape.fill:
            self.set("rg", _colour(shape.fill))
        if shape.stroke:
            self.set("RG", _colour(shape.stroke))
            self.set("w", _words(shape.width))
            self.set("d", f"[{_words(*shape.dashes)}] 0")
        if shape.fill or shape.stroke:
            self.operators += [f"{_words(*numbers)} {_OPERATORS[name]}".strip() for name, numbers in shape.outline]
            self.operators.append("B" if shape.fill and shape.stroke else "f" if shape.fill else "S")

    def text(self, text: shapes.Text) -> None:
        runs = [*_runs(text.text)]
        if not runs:
            return
        natural = sum(face.widths[glyph] for face, glyphs, _ in runs for glyph in glyphs) * text.size / 1000
        length = text.length or natural
        x = text.x - length * {"start": 0, "middle": 0.5, "end": 1}[text.anchor]
        colour = _colour(text.colour) if text.colour else ""
        if not colour:  # there to be copied alone
            self.operators.append("q 3 Tr")
        else:
            self.set("rg", colour)
        if colour and text.bold:  # a line around each letter
            self.operators.append(f"q {colour} RG {_words(text.size / 30)} w [] 0 d 2 Tr")
        self.operators.append(f"BT {_words(length / natural if natural else 1, 0, 0, -1, x, text.y)} Tm")
        for face, glyphs, characters in runs:
            if all(glyphs):
                self.used[face.name].update(zip(glyphs, characters, strict=True))
            shown = f"/{face.name} {_words(text.size)} Tf <{''.join(f'{glyph:04X}' for glyph in glyphs)}> Tj"
            self.operators.append(
                shown if all(glyphs) else f"/Span <</ActualText <FEFF{_hex(characters)}>>> BDC {shown} EMC"
            )
        self.operators.append("ET Q" if text.bold or not colour else "ET")

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


def _colour(code: str) -> str:
    """Red, green and blue from 0 to 1."""
    return _words(*(int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)))


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
    objects[2] = (
        f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {_words(width, height)}]/UserUnit {_words(unit)}/Contents {content}"
        f"/Resources<</Font<<{''.join(faces)}>>>>>>"
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
