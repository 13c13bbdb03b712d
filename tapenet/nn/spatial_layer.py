"""The base of layers over one, two or three spatial axes, which share their code and their docstring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tapenet.nn.shared_docstring import SharedDocstring

#: What docstrings say for one, two and three axes.
_WORDS: dict[str, tuple[str, str, str]] = {
    "things": ("sequences", "images", "volumes"),
    "thing": ("a sequence", "an image", "a volume"),
    "lengths": ("l", "h, w", "d, h, w"),
    "results": ("l'", "h', w'", "d', h', w'"),
    "length": ("l", "h", "d"),
    "alike": ("", ", and w' alike", ", and h' and w' alike"),
    "kernel": ("kl", "kh, kw", "kd, kh, kw"),
    "window": ("kl", "kh * kw", "kd * kh * kw"),
    "ints": ("an int", "an int, or a pair for height and width", "an int, or three for depth, height and width"),
    "pairs": ("((before, after),)", "((top, bottom), (left, right))", "three pairs (before, after)"),
    "last": ("the last axis", "the last two axes", "the last three axes"),
    "sides": ("(left, right)", "(left, right, top, bottom)", "(left, right, top, bottom, front, back)"),
    "padded": (
        "left + l + right",
        "top + h + bottom, left + w + right",
        "front + d + back, top + h + bottom, left + w + right",
    ),
}


class SpatialLayer(SharedDocstring):
    """A layer over `axes` spatial axes.

    In the docstring that the layers for one, two and three axes share stand the words above and `{axes}`.
    `class Conv2d(_Conv, axes=2)` says for how many axes a class is.
    """

    #: How many spatial axes there are.
    axes: ClassVar[int]

    def __init_subclass__(
        cls, axes: int | None = None, words: Mapping[str, object] | None = None, **kwargs: object
    ) -> None:
        if axes is not None:
            cls.axes = axes
            words = {name: text[axes - 1] for name, text in _WORDS.items()} | {"axes": axes}
        super().__init_subclass__(words=words, **kwargs)
