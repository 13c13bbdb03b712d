"""Lines of the Python of a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """A line of the Python of a call, the user's line that it is from, and the op that it calls, if it calls one."""

    text: str
    origin: str = ""
    op: str = ""


def indented(lines: Sequence[Line]) -> list[Line]:
    """Lines inside of a block."""
    return [line._replace(text="    " + line.text) for line in lines]
