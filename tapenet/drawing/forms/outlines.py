"""Letters that the fonts in this package lack, such as Chinese ones, as outlines from a font of the machine.

fontTools reads it, an extra.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from mmap import ACCESS_READ, mmap
from typing import Any, NamedTuple
from unicodedata import category

from tapenet.drawing.forms.shapes import Piece

#: Where there is no fontconfig, as on macOS and Windows: what these systems bring.
_KNOWN = (
    "/System/Library/Fonts/PingFang.ttc",
    "/System/Library/Fonts/Hiragino Sans GB.ttc",
    "/System/Library/Fonts/ヒラギノ角ゴシック W3.ttc",
    "/System/Library/Fonts/AppleSDGothicNeo.ttc",
    "/System/Library/Fonts/Apple Symbols.ttf",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "$WINDIR/Fonts/msyh.ttc",
    "$WINDIR/Fonts/YuGothR.ttc",
    "$WINDIR/Fonts/malgun.ttf",
    "$WINDIR/Fonts/msgothic.ttc",
    "$WINDIR/Fonts/simsun.ttc",
    "$WINDIR/Fonts/seguisym.ttf",
    "$WINDIR/Fonts/seguiemj.ttf",
)
#: How many fonts are looked into for one letter.
_MOST = 40


class Outline(NamedTuple):
    """A letter.

    Attributes:
        advance: how far it is to the next letter, in units of the font's size.
        pieces: its outline in this unit, upwards from the base line.
    """

    advance: float
    pieces: list[Piece]


def can_read() -> bool:
    """Whether fontTools is installed, without which there are no outlines."""
    return find_spec("fontTools") is not None


@cache
def outline(character: str) -> Outline | None:
    """A letter from the first font of the machine that has it; None where none has.

    It takes some 15 ms to ask for one, the first time.
    """
    if character.isspace() or category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return Outline(0.0, [])  # nothing to see: a space, or what says how letters are joined or coloured
    for path, index in _files(character) if can_read() else ():
        try:
            found = _outline(path, index, character)
        except Exception:  # no font, or none that can be read
            continue
        if found is not None and found.pieces:  # it has none where all it has are colours
            return found
    return None


def _files(character: str) -> Iterator[tuple[str, int]]:
    """Fonts that may have it, the best first, with their places in their files."""
    program = shutil.which("fc-match")
    if program is None:
        for name in _KNOWN:
            path = os.path.expandvars(name)
            if os.path.exists(path):
                yield path, 0
        return
    import subprocess

    wanted = f"sans-serif:charset={ord(character):x}"
    command = [program, "--sort", "--format", "%{file}\t%{index}\n", wanted]
    try:
        found = subprocess.run(command, capture_output=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return
    for line in found.decode("utf-8", "replace").splitlines()[:_MOST]:
        path, _, index = line.partition("\t")
        yield path, int(index) & 0xFFFF if index.isdecimal() else 0  # above that, which instance of a variable font


def _outline(path: str, index: int, character: str) -> Outline | None:
    """A letter of one font; None where it has none."""
    font = _font(path, index)
    name = (font.getBestCmap() or {}).get(ord(character))
    if name is None:
        return None
    glyphs, unit = font.getGlyphSet(), font["head"].unitsPerEm
    pen = _pen()(glyphs)
    glyphs[name].draw(pen)
    pieces = [(kind, tuple(n / unit for point in points for n in point)) for kind, points in pen.pieces]
    return Outline(glyphs[name].width / unit, pieces)


@cache
def _font(path: str, index: int) -> Any:
    from fontTools.ttLib import TTFont

    with open(path, "rb") as file:  # and no more open later
        return TTFont(mmap(file.fileno(), 0, access=ACCESS_READ), fontNumber=index, lazy=True)


@cache
def _pen() -> type[Any]:
    """The class of what notes an outline in lines and cubic curves, whatever the font has."""
    from fontTools.pens.basePen import BasePen

    class Pen(BasePen):  # type: ignore[misc]
        def __init__(self, glyphs: object) -> None:
            super().__init__(glyphs)
            self.pieces: list[tuple[str, tuple[tuple[float, float], ...]]] = []

        def _moveTo(self, *points: tuple[float, float]) -> None:
            self.pieces.append(("M", points))

        def _lineTo(self, *points: tuple[float, float]) -> None:
            self.pieces.append(("L", points))

        def _curveToOne(self, *points: tuple[float, float]) -> None:
            self.pieces.append(("C", points))

        def _closePath(self) -> None:
            self.pieces.append(("Z", ()))

    return Pen
