"""How much room a text needs, whichever font shows it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from unicodedata import category

_TABLE = Path(__file__).parent / "forms" / "fonts" / "widths.txt"
#: Of a character that is not in the table, such as a Chinese one or a picture: as wide as high.
_SQUARE = 1000


def room(text: str, size: float, bold: bool = False) -> float:
    """The width of a text in points: in Liberation Sans, which is as wide as Helvetica and Arial, or in DejaVu Sans,
    whichever is wider.

    >>> room("conv1", 10), room("conv1", 10, bold=True), room("卷积", 10), room("⚙\ufe0f", 10)
    (30.25, 33.41, 20.0, 10.0)
    """
    known = _widths()[bold]
    total = 0
    for character in text:
        total += known.get(character, 0 if unseen(character) else _SQUARE)
    return total * size / 1000


def unseen(character: str) -> bool:
    """Whether it takes no room: an accent on the letter before it, or what says how letters are joined.

    >>> [unseen(character) for character in ("e", "\u0301", "\ufe0f", "\u200d")]
    [False, True, True, True]
    """
    return category(character) in ("Mn", "Me", "Cf")


def widths(characters: Iterable[str]) -> dict[str, tuple[int, int]]:
    """How wide these are, usual and bold, in thousandths of the size; without what is as wide as high."""
    usual, bold = _widths()
    nothing = {c: 0 for c in characters if unseen(c)}
    usual, bold = nothing | usual, nothing | bold
    return {c: (usual[c], bold[c]) for c in sorted(characters) if c in usual}


@cache
def _widths() -> tuple[dict[str, int], dict[str, int]]:
    """By character, in thousandths of the size: of usual letters, and of bold ones."""
    usual: dict[str, int] = {}
    bold: dict[str, int] = {}
    for line in _TABLE.read_text(encoding="ascii").splitlines():
        start, *widths = line.split()
        for i, width in enumerate(widths):
            character = chr(int(start, 16) + i)
            narrow, _, wide = width.partition("/")
            usual[character] = int(narrow)
            bold[character] = int(wide or narrow)
    return usual, bold
