"""Lines of the Python of a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tapenet.program.ir import Instruction


class Line(NamedTuple):
    """A line of the Python of a call, and the instruction that it runs, if it runs one."""

    text: str
    instruction: Instruction | None = None


def indented(lines: Sequence[Line]) -> list[Line]:
    """Lines inside of a block."""
    return [line._replace(text="    " + line.text) for line in lines]
