"""Letters that the fonts in this package lack, such as Chinese ones, as outlines from a font of the machine.

Fonts are TrueType or OpenType, alone or in collections; of those of pictures in colours alone nothing can be taken.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from mmap import ACCESS_READ, mmap
from typing import NamedTuple
from unicodedata import category

from tapenet.drawing.forms import font
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
#: How deep glyphs are made of others, and how long the description of one may be, in steps, whatever a file says.
_DEEPEST, _LONGEST = 8, 100_000


class Outline(NamedTuple):
    """A letter.

    Attributes:
        advance: how far it is to the next letter, in units of the font's size.
        pieces: its outline in this unit, upwards from the base line.
    """

    advance: float
    pieces: list[Piece]


@cache
def outline(character: str) -> Outline | None:
    """A letter from the first font of the machine that has it; None where none has.

    It takes some 15 ms to ask for one, the first time.
    """
    if character.isspace() or category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f":
        return Outline(0.0, [])  # nothing to see: a space, or what says how letters are joined or coloured
    for path, index in _files(character):
        try:
            face = _face(path, index)
            glyph = face.glyphs.get(ord(character)) if face.drawn else None
            pieces = face.outline(glyph) if glyph else []
            if glyph and pieces:  # it has none where all it has are colours
                return Outline(face.advance(glyph), pieces)
        except (OSError, ValueError, KeyError, IndexError, struct.error):  # no font, or none that can be read
            continue
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


@cache
def _face(path: str, index: int) -> Face:
    with open(path, "rb") as file:
        return Face(mmap(file.fileno(), 0, access=ACCESS_READ), index)


class Face:
    """A font of a file."""

    def __init__(self, data: mmap | bytes, index: int = 0) -> None:
        self.data = data
        start = struct.unpack_from(">I", data, 12 + 4 * index)[0] if data[:4] == b"ttcf" else 0
        self.tables = font.tables(data, start)
        self.unit: int = self.u16(self.tables[b"head"] + 18)
        self.glyphs = font.characters(data, self.tables[b"cmap"])
        #: Whether it has outlines at all.
        self.drawn = b"glyf" in self.tables or b"CFF " in self.tables
        self.compact = Compact(data, self.tables[b"CFF "]) if b"CFF " in self.tables else None

    def u16(self, at: int) -> int:
        return int(struct.unpack_from(">H", self.data, at)[0])

    def i16(self, at: int) -> int:
        return int(struct.unpack_from(">h", self.data, at)[0])

    def advance(self, glyph: int) -> float:
        given = self.u16(self.tables[b"hhea"] + 34)
        return self.u16(self.tables[b"hmtx"] + 4 * min(glyph, given - 1)) / self.unit

    def outline(self, glyph: int) -> list[Piece]:
        made = [*self._glyph(glyph)] if self.compact is None else self.compact.outline(glyph)
        return [(name, tuple(n / self.unit for n in numbers)) for name, numbers in made]

    def _glyph(self, glyph: int, depth: int = 0) -> Iterator[Piece]:
        """The outline of a glyph of TrueType."""
        data, long = self.data, self.i16(self.tables[b"head"] + 50)
        where = struct.unpack_from(">2I" if long else ">2H", data, self.tables[b"loca"] + glyph * (4 if long else 2))
        at, end = (self.tables[b"glyf"] + n * (1 if long else 2) for n in where)
        if at == end or depth > _DEEPEST:
            return
        count = self.i16(at)
        if count < 0:
            yield from self._parts(at + 10, depth)
            return
        ends = struct.unpack_from(f">{count}H", data, at + 10)
        at += 10 + 2 * count
        at += 2 + self.u16(at)
        flags: list[int] = []
        while len(flags) <= ends[-1]:
            flags.append(data[at])
            if data[at] & 8:
                at += 1
                flags += [flags[-1]] * data[at]
            at += 1
        axes = []
        for short, same in ((2, 16), (4, 32)):
            value, values = 0, []
            for flag in flags:
                if flag & short:
                    value += data[at] if flag & same else -data[at]
                    at += 1
                elif not flag & same:
                    value += self.i16(at)
                    at += 2
                values.append(value)
            axes.append(values)
        points = [(float(x), float(y), bool(flag & 1)) for x, y, flag in zip(*axes, flags, strict=True)]
        for first, last in zip((0, *(end + 1 for end in ends)), ends, strict=False):
            yield from _quadratic(points[first : last + 1])

    def _parts(self, at: int, depth: int) -> Iterator[Piece]:
        """Of a glyph that is made of others."""
        more = True
        while more:
            flags, glyph = self.u16(at), self.u16(at + 2)
            x, y = struct.unpack_from(">2h" if flags & 1 else ">2b", self.data, at + 4)
            at += 8 if flags & 1 else 6
            count = 1 if flags & 8 else 2 if flags & 64 else 4 if flags & 128 else 0
            numbers = [n / 16384 for n in struct.unpack_from(f">{count}h", self.data, at)]
            at += 2 * count
            a, b, c, d = numbers if count == 4 else (numbers[0], 0, 0, numbers[-1]) if count else (1, 0, 0, 1)
            if not flags & 2:  # by points that are to meet, as no font of today
                x = y = 0
            for name, given in self._glyph(glyph, depth + 1):
                pairs = zip(given[::2], given[1::2], strict=True)
                yield name, tuple(n for u, v in pairs for n in (a * u + c * v + x, b * u + d * v + y))
            more = bool(flags & 32)


def _quadratic(points: list[tuple[float, float, bool]]) -> Iterator[Piece]:
    """A closed line through points on it and beside it, in cubic curves."""
    if len(points) < 2:
        return
    dense: list[tuple[float, float, bool]] = []
    for (x, y, on), (u, v, after) in zip(points, [*points[1:], points[0]], strict=True):
        dense.append((x, y, on))
        if not on and not after:
            dense.append(((x + u) / 2, (y + v) / 2, True))
    start = next(i for i, point in enumerate(dense) if point[2]) if any(p[2] for p in dense) else 0
    dense = [*dense[start:], *dense[: start + 1]]
    px, py = dense[0][:2]
    yield "M", (px, py)
    beside: tuple[float, float] | None = None
    for x, y, on in dense[1:]:
        if not on:
            beside = x, y
            continue
        if beside is None:
            yield "L", (x, y)
        else:
            u, v = beside
            yield "C", (px + (u - px) * 2 / 3, py + (v - py) * 2 / 3, x + (u - x) * 2 / 3, y + (v - y) * 2 / 3, x, y)
        px, py, beside = x, y, None
    yield "Z", ()


class Compact:
    """The outlines of a font in the compact font format (CFF): programs of a small language, Type 2 charstrings."""

    def __init__(self, data: mmap | bytes, start: int) -> None:
        self.data, self.start = data, start
        _, at = self._index(start + data[start + 2])
        tops, at = self._index(at)
        _, at = self._index(at)
        self.shared, _ = self._index(at)
        top = self._dict(*tops[0])
        self.programs, _ = self._index(start + int(top[17][0]))
        self.select = start + int(top[1237][0]) if 1237 in top else None
        fonts = [self._dict(*part) for part in self._index(start + int(top[1236][0]))[0]] if 1236 in top else [top]
        self.own = [self._subroutines(each) for each in fonts]

    def _index(self, at: int) -> tuple[list[tuple[int, int]], int]:
        """Where each part of a list begins and ends, and where that ends."""
        count = int.from_bytes(self.data[at : at + 2], "big")
        if not count:
            return [], at + 2
        size = self.data[at + 2]
        table = self.data[at + 3 : at + 3 + size * (count + 1)]
        base = at + 2 + size * (count + 1)
        places = [base + int.from_bytes(table[i : i + size], "big") for i in range(0, len(table), size)]
        return [*pairwise(places)], places[-1]

    def _dict(self, at: int, end: int) -> dict[int, list[float]]:
        """Operands by operator; those of two bytes by 1200 and more."""
        found: dict[int, list[float]] = {}
        stack: list[float] = []
        while at < end:
            byte = self.data[at]
            at += 1
            if byte <= 21:
                if byte == 12:
                    byte, at = 1200 + self.data[at], at + 1
                found[byte], stack = stack, []
            elif byte == 30:  # a decimal number, of which none is needed
                while self.data[at] & 15 != 15 and self.data[at] >> 4 != 15:
                    at += 1
                at += 1
                stack.append(0)
            elif byte == 29:
                stack.append(struct.unpack_from(">i", self.data, at)[0])
                at += 4
            else:
                value, at = self._number(byte, at)
                stack.append(value)
        return found

    def _number(self, byte: int, at: int) -> tuple[float, int]:
        if byte == 28:
            return struct.unpack_from(">h", self.data, at)[0], at + 2
        if byte <= 246:
            return byte - 139, at
        if byte <= 250:
            return (byte - 247) * 256 + self.data[at] + 108, at + 1
        if byte <= 254:
            return -(byte - 251) * 256 - self.data[at] - 108, at + 1
        return struct.unpack_from(">i", self.data, at)[0] / 65536, at + 4

    def _subroutines(self, top: dict[int, list[float]]) -> list[tuple[int, int]]:
        size, offset = map(int, top.get(18, (0, 0)))
        private = self._dict(self.start + offset, self.start + offset + size)
        return self._index(self.start + offset + int(private[19][0]))[0] if 19 in private else []

    def _font_of(self, glyph: int) -> int:
        """Which of the fonts in it a glyph is of."""
        if self.select is None:
            return 0
        if self.data[self.select] == 0:
            return int(self.data[self.select + 1 + glyph])
        count = struct.unpack_from(">H", self.data, self.select + 1)[0]
        ranges = struct.iter_unpack(">HB", self.data[self.select + 3 : self.select + 3 + 3 * count])
        return int(max((first, which) for first, which in ranges if first <= glyph)[1])

    def outline(self, glyph: int) -> list[Piece]:
        pen = _Pen(self, self.own[self._font_of(glyph)])
        pen.run(*self.programs[glyph])
        return pen.closed()


class _Pen:
    """Runs the program of a glyph."""

    def __init__(self, font: Compact, own: list[tuple[int, int]]) -> None:
        self.font, self.own = font, own
        self.pieces: list[Piece] = []
        self.stack: list[float] = []
        self.x = self.y = 0.0
        self.hints = self.steps = 0
        self.ended = False

    def closed(self) -> list[Piece]:
        if self.pieces and self.pieces[-1][0] != "Z":
            self.pieces.append(("Z", ()))
        return self.pieces

    def move(self, dx: float, dy: float) -> None:
        self.closed()
        self.x, self.y = self.x + dx, self.y + dy
        self.pieces.append(("M", (self.x, self.y)))

    def line(self, dx: float, dy: float) -> None:
        self.x, self.y = self.x + dx, self.y + dy
        self.pieces.append(("L", (self.x, self.y)))

    def curve(self, *d: float) -> None:
        points = []
        for dx, dy in zip(d[::2], d[1::2], strict=True):
            self.x, self.y = self.x + dx, self.y + dy
            points += [self.x, self.y]
        self.pieces.append(("C", tuple(points)))

    def run(self, at: int, end: int, depth: int = 0) -> None:
        data, stack = self.font.data, self.stack
        while at < end and not self.ended:
            self.steps += 1
            if self.steps > _LONGEST or depth > 2 * _DEEPEST:
                raise ValueError("the program of a glyph does not end")
            byte = data[at]
            at += 1
            if byte >= 32 or byte == 28:
                value, at = self.font._number(byte, at)
                stack.append(value)
            elif byte in (10, 29):
                parts = self.own if byte == 10 else self.font.shared
                bias = 107 if len(parts) < 1240 else 1131 if len(parts) < 33900 else 32768
                self.run(*parts[int(stack.pop()) + bias], depth + 1)
            elif byte == 11:
                return
            elif byte in (19, 20):  # which of the hints hold
                self.hints += len(stack) // 2
                stack.clear()
                at += (self.hints + 7) // 8
            else:
                if byte == 12:
                    byte, at = 1200 + data[at], at + 1
                self.draw(byte, stack)
                stack.clear()

    def draw(self, operator: int, s: list[float]) -> None:
        if operator in (1, 3, 18, 23):
            self.hints += len(s) // 2
        elif operator == 14:
            self.ended = True
        elif operator == 21:
            self.move(*s[-2:])
        elif operator == 22:
            self.move(s[-1], 0)
        elif operator == 4:
            self.move(0, s[-1])
        elif operator in (5, 25):  # lines, with a curve at the end
            lines = len(s) - 6 if operator == 25 else len(s)
            for i in range(0, lines - 1, 2):
                self.line(s[i], s[i + 1])
            if operator == 25:
                self.curve(*s[-6:])
        elif operator in (6, 7):
            for i, d in enumerate(s):
                self.line(*((d, 0) if (operator == 6) == (i % 2 == 0) else (0, d)))
        elif operator in (8, 24):  # curves, with a line at the end
            for i in range(0, len(s) - 5, 6):
                self.curve(*s[i : i + 6])
            if operator == 24:
                self.line(*s[-2:])
        elif operator in (26, 27):
            aside = s.pop(0) if len(s) % 4 else 0.0
            for i in range(0, len(s) - 3, 4):
                a, b, c, d = s[i : i + 4]
                self.curve(*((aside, a, b, c, 0, d) if operator == 26 else (a, aside, b, c, d, 0)))
                aside = 0.0
        elif operator in (30, 31):
            across = operator == 31
            for i in range(0, len(s) - 3, 4):
                a, b, c, d = s[i : i + 4]
                last = s[-1] if len(s) - i == 5 else 0.0
                self.curve(*((a, 0, b, c, last, d) if across else (0, a, b, c, d, last)))
                across = not across
        elif operator == 1234:
            self.curve(s[0], 0, s[1], s[2], s[3], 0)
            self.curve(s[4], 0, s[5], -s[2], s[6], 0)
        elif operator == 1235:
            self.curve(*s[:6])
            self.curve(*s[6:12])
        elif operator == 1236:
            self.curve(s[0], s[1], s[2], s[3], s[4], 0)
            self.curve(s[5], 0, s[6], s[7], s[8], -(s[1] + s[3] + s[7]))
        elif operator == 1237:
            dx, dy = sum(s[0:10:2]), sum(s[1:10:2])
            self.curve(*s[:6])
            self.curve(*s[6:10], *((s[10], -dy) if abs(dx) > abs(dy) else (-dx, s[10])))
        else:
            raise ValueError(f"a glyph uses the operator {operator}")
