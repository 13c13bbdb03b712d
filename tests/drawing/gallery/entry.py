"""What is in the gallery, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tapenet.drawing.picture import Picture


class Entry(NamedTuple):
    """A picture of the gallery: the name of its file, what it is of, its theme, and what draws it."""

    name: str
    about: str
    theme: str
    draw: Callable[[], Picture]


GALLERY: dict[str, Entry] = {}

Draw = Callable[[], Picture]


def entry(about: str) -> Callable[[Draw], Draw]:
    """Enter what a function draws, by its name and under the theme of its module."""

    def entered(draw: Draw) -> Draw:
        name = draw.__name__.replace("_", "-")
        GALLERY[name] = Entry(name, about, draw.__module__.rpartition(".")[2], draw)
        return draw

    return entered
