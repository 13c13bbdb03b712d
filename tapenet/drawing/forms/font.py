"""The fonts that a PDF carries: which glyph a character has, and how wide it is. They are as wide as Helvetica."""

from __future__ import annotations

import struct
import unicodedata
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tapenet.drawing.metrics import unseen

FOLDER = Path(__file__).parent / "fonts"
#: A character has the glyph of the first of these that knows it.
NAMES = ("text", "symbols")


class Font(NamedTuple):
    """A TrueType font.

    Attributes:
        name: which of `NAMES` it is.
        data: the file.
        glyphs: by code of a character, the number of its glyph. 0 is the box for those without.
        widths: by glyph, in thousandths of the font's size.
        box: what encloses every glyph, in the same unit: left, bottom, right, top.
    """

    name: str
    data: bytes
    glyphs: dict[int, int]
    widths: list[int]
    box: tuple[int, ...]


@cache
def load(name: str) -> Font:
    """One of the fonts.

    >>> font = load("text")
    >>> font.widths[font.glyphs[ord("a")]]  # as Helvetica has it
    556
    """
    data = (FOLDER / f"{name}.ttf").read_bytes()
    count = struct.unpack_from(">H", data, 4)[0]
    tables = {tag: start for tag, _, start, _ in struct.iter_unpack(">4sIII", data[12 : 12 + 16 * count])}
    head, hhea, hmtx = tables[b"head"], tables[b"hhea"], tables[b"hmtx"]
    unit = struct.unpack_from(">H", data, head + 18)[0]
    box = tuple(round(1000 * n / unit) for n in struct.unpack_from(">4h", data, head + 36))
    given = struct.unpack_from(">H", data, hhea + 34)[0]
    total = struct.unpack_from(">H", data, tables[b"maxp"] + 4)[0]
    widths = [round(1000 * struct.unpack_from(">H", data, hmtx + 4 * glyph)[0] / unit) for glyph in range(given)]
    widths += [widths[-1]] * (total - given)
    return Font(name, data, _glyphs(data, tables[b"cmap"]), widths, box)


@cache
def _known() -> dict[str, int]:
    """The width of each character that one of the fonts has, in thousandths of the size."""
    found: dict[str, int] = {}
    for font in map(load, reversed(NAMES)):
        found |= {chr(code): font.widths[glyph] for code, glyph in font.glyphs.items()}
    return found


def knows(character: str) -> bool:
    """Whether one of the fonts has it."""
    return character in _known()


def width(text: str, size: float, bold: bool = False) -> float:
    """How wide a text is in Helvetica.

    Of characters that Helvetica lacks this is a guess: they are as wide as high, or as digits where they are narrow.

    >>> width("aa", 10), width("漢", 10)
    (11.12, 10.0)
    """
    known = _known()
    total = 0
    for character in text:
        found = known.get(character)
        if found is None:
            found = 0 if unseen(character) else 600
            if unicodedata.east_asian_width(character) in "WF":
                found = 1000
        total += found
    return total * size / 1000 * (_BOLD if bold else 1)


#: How much wider bold letters are.
_BOLD = 1.07


def _glyphs(data: bytes, table: int) -> dict[int, int]:
    """The characters of the first subtable, which is of format 4: segments of codes."""
    at = table + struct.unpack_from(">I", data, table + 8)[0]
    segments = struct.unpack_from(">H", data, at + 6)[0] // 2
    columns = struct.unpack_from(f">{segments}H2x{2 * segments}H", data, at + 14)
    offsets = at + 16 + 6 * segments
    glyphs = {}
    for i in range(segments):
        last, first, delta = columns[i], columns[segments + i], columns[2 * segments + i]
        offset = struct.unpack_from(">H", data, offsets + 2 * i)[0]
        for code in range(first, last + 1):
            glyph = code
            if offset:
                glyph = struct.unpack_from(">H", data, offsets + 2 * i + offset + 2 * (code - first))[0]
            glyph = (glyph + delta) & 0xFFFF if glyph or not offset else 0
            if glyph and code != 0xFFFF:
                glyphs[code] = glyph
    return glyphs
