"""What stands around a picture: its title above; its caption and a legend of colours and lines below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tapenet.drawing.forms import described
from tapenet.drawing.forms.described import CUT, KINDS, SIGNS, SKIPPED
from tapenet.drawing.layout.placed import MARGIN
from tapenet.drawing.metrics import room
from tapenet.drawing.model import Drawing
from tapenet.drawing.style import BORDERS, BROKEN, FLOWS, PLAIN, SIGNED, SKIP, Entry, Palette
from tapenet.drawing.text import clean

#: Sizes of letters, and how far lines are from each other.
TITLE, SMALL, LEADING = 14.0, 10.0, 1.35
#: How long samples are, and each colour of a strip; how far words are from their sample, and the next one from these.
_SAMPLE, _COLOUR, _AFTER, _BETWEEN = 18.0, 8.0, 5.0, 16.0


class Around(NamedTuple):
    """Text around a picture."""

    title: str = ""
    caption: str = ""
    legend: Sequence[Entry] = ()


class Piece(NamedTuple):
    """A line of text around a picture: its left end and base line, and the sample before it with its left end and length,
    if there is one."""

    x: float
    y: float
    text: str
    sample: tuple[Entry, float, float] | None = None


def explained(drawing: Drawing, palette: Palette) -> Iterator[Entry]:
    """The signs, kinds of boxes and kinds of arrows that occur in a drawing."""
    signs = {thing.sign for things in (drawing.vertices, drawing.clusters, drawing.edges) for thing in things}
    for sign, words in SIGNS.items():
        if sign in signs:
            yield Entry(words, palette.signs[sign], SIGNED[sign], (palette.paper,))
    kinds = {vertex.kind for vertex in drawing.vertices}
    for kind, words in KINDS.items():
        if kind in kinds:
            fill, border = palette.kinds[kind]
            yield Entry(words, border, BORDERS.get(kind, PLAIN), (fill,))
    if any(edge.skip for edge in drawing.edges):
        yield Entry(SKIPPED, palette.skip, SKIP)
    if any(edge.broken for edge in drawing.edges):
        yield Entry(CUT, palette.line, FLOWS["value"]._replace(dashes=BROKEN))
    flows = {edge.flow for edge in drawing.edges}
    colours = {"gradient": palette.gradient, "update": palette.update, "carry": palette.skip, "exchange": palette.skip}
    for flow, words in described.FLOWS.items():
        if flow in flows:
            yield Entry(words, colours[flow], FLOWS[flow])


def wrapped(text: str, size: float, most: float, bold: bool = False) -> list[str]:
    """A text in lines that are not wider than that, broken between words, and within a word only where it is too long.

    >>> wrapped("one two three", 10, 45)
    ['one two', 'three']
    """
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if room(longer, size, bold) <= most:
            line = longer
            continue
        if line:
            lines.append(line)
        line = ""
        for letter in word:
            if line and room(line + letter, size, bold) > most:
                lines.append(line)
                line = ""
            line += letter
    return [*lines, line] if line else lines


def above(title: str, most: float) -> tuple[list[str], float]:
    """The lines of a title and how high they are together."""
    lines = wrapped(clean(title, 200), TITLE, most, bold=True)
    return lines, len(lines) * TITLE * LEADING + (MARGIN if lines else 0)


def below(around: Around, most: float) -> tuple[list[Piece], float]:
    """The legend and the caption from their top left corner, in lines of that width, and how high they are together."""
    pieces: list[Piece] = []
    across, down = 0.0, 0.0
    step = SMALL * LEADING + 3
    for entry in around.legend:
        words = clean(entry.words)
        sample = max(_SAMPLE, _COLOUR * len(entry.fills))
        long = sample + _AFTER + room(words, SMALL)
        if across and across + long > most:
            across, down = 0.0, down + step
        pieces.append(Piece(across + sample + _AFTER, down + SMALL, words, (entry, across, sample)))
        across += long + _BETWEEN
    if pieces:
        down += step
    for line in wrapped(clean(around.caption, 1000), SMALL, most):
        pieces.append(Piece(0.0, down + SMALL, line))
        down += SMALL * LEADING
    return pieces, down + (MARGIN if pieces else 0)
