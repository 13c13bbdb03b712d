"""The cards of an animation: text on each step of a computation, laid out in points."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from tapenet.drawing.forms.lecture import Step, heading
from tapenet.drawing.model import counted
from tapenet.drawing.text import clean

# The card, in points. Letters of Helvetica are at most about this wide on average, and those of a fixed width exactly.
_NARROW, _WIDE = 250.0, 520.0
PAD, _GAP, _LEADING = 12.0, 18.0, 1.35
_LETTER, _FIXED = 0.56, 0.602
#: By class of a line: size of its letters, how wide one is, and how many lines it may wrap to.
LINES = {"at": (10, _LETTER, 1), "title": (15, 0.62, 2), "formula": (13, _LETTER, 3), "text": (11, _LETTER, 3)}
NUMBERS = 10
_ROWS, _COLUMNS = 8, 44


class Text(NamedTuple):
    """A line on a card: where it is, what it is and what it says."""

    x: float
    y: float
    kind: str
    text: str


class Card(NamedTuple):
    """The card of a step: its lines, its size, and the share of the steps that are done."""

    phase: str
    texts: list[Text]
    width: float
    height: float
    share: float


def whole(lecture: list[Step]) -> Card:
    """The card for the whole graph, before the first step and after the last."""
    counts = {phase: sum(step.phase == phase for step in lecture) for phase in ("forward", "backward")}
    words = [f"{counted(count, 'step')} {phase}" for phase, count in counts.items() if count]
    return _lay_out("", [("title", "The whole graph"), ("text", ", then ".join(words))], (), 0)


def card(i: int, lecture: list[Step]) -> Card:
    """The card of one step of a lecture."""
    step = lecture[i]
    lines = [("at", heading(i + 1, len(lecture), step)), ("title", step.title), ("formula", step.formula)]
    if step.phase == "backward":
        lines[-1] = ("text", step.formula)
        lines += [("formula", rule) for rule in step.rules]
    lines.append(("text", f"shapes of gradients: {step.shapes}" if step.phase == "backward" else step.shapes))
    return _lay_out(step.phase, lines, step.values, (i + 1) / len(lecture))


def _lay_out(phase: str, lines: list[tuple[str, str]], numbers: tuple[tuple[str, str], ...], share: float) -> Card:
    """Set lines below each other, and below them the numbers, side by side so far as they have room."""
    room = _WIDE - 2 * PAD
    texts: list[Text] = []
    width, down = _NARROW, PAD
    for kind, words in lines:
        size, letter, most = LINES[kind]
        for line in _wrap(words, int(room / (size * letter)), most):
            down += size * _LEADING
            texts.append(Text(PAD, down - 0.3 * size, kind, line))
            width = max(width, _columns(line) * size * letter + 2 * PAD)
    across, bottom = PAD, down
    for name, text in numbers:
        shown = [_cut(clean(row, 500), _COLUMNS) for row in text.splitlines()]
        if len(shown) > _ROWS:
            shown[_ROWS - 1 :] = ["…"]
        name = _cut(clean(name, 500), _COLUMNS)
        wide = max([_columns(name) * NUMBERS * _LETTER, *(_columns(row) * NUMBERS * _FIXED for row in shown)])
        if across > PAD and across + wide > _WIDE - PAD:
            across, down = PAD, bottom
        y = down + 2 * NUMBERS
        texts.append(Text(across, y, "name", name))
        for row in shown:
            y += NUMBERS * _LEADING
            texts.append(Text(across, y, "number", row))
        across += wide + _GAP
        width = max(width, across - _GAP + PAD)
        bottom = max(bottom, y + 0.3 * NUMBERS)
    return Card(phase, texts, width, bottom + PAD, share)


def _columns(text: str) -> int:
    """How many letters wide a text is: Chinese, Japanese and Korean ones, and pictures, are two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _cut(text: str, columns: int) -> str:
    if _columns(text) <= columns:
        return text
    while _columns(text) >= columns:
        text = text[:-1]
    return text + "…"


def _wrap(text: str, columns: int, rows: int) -> list[str]:
    """The text in lines that are not too wide; the last ends in an ellipsis where there is more."""
    text = clean(text, 4 * columns * rows)
    found: list[str] = []
    while text:
        if len(found) == rows - 1 or _columns(text) <= columns:
            found.append(_cut(text, columns))
            break
        end = len(_cut(text, columns)) - 1
        space = text.rfind(" ", 1, end + 1)
        end = space if space > end // 2 else end
        found.append(text[:end])
        text = text[end:].lstrip()
    return found
