"""Letters that the fonts in this package lack, drawn as outlines among the other shapes of a picture."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import groupby

from tapenet.drawing.forms import font
from tapenet.drawing.forms.outlines import Outline, can_read, outline
from tapenet.drawing.forms.shapes import Scene, Shape, Text

#: How many letters a warning lists.
_LISTED = 20


def spelled(scene: Scene, form: str) -> Scene:
    """The scene with outlines in place of the letters that need another font. Where they are outlines there are texts
    without a colour too, for formats whose text can be copied.

    Warns of letters that no font of this machine has; they stay as they are.
    """
    missing: dict[str, None] = {}
    things: list[Shape | Text] = []
    for thing in scene.things:
        if isinstance(thing, Text) and thing.colour and not all(map(font.knows, thing.text)):
            things += _pieces(thing, missing)
        else:
            things.append(thing)
    if missing:
        listed = " ".join([*missing][:_LISTED]) + (" …" if len(missing) > _LISTED else "")
        what = (
            f"no font of this machine has outlines for {listed}: they are boxes in the {form}. Install one that has, such as "
            "Noto Sans CJK or Noto Emoji (Debian and Ubuntu: apt install fonts-noto-cjk fonts-symbola)"
            if can_read()
            else f"{listed}: boxes in the {form}, since fontTools is not installed, which reads fonts of the machine: "
            "pip install 'tapenet[fonts]'"
        )
        warnings.warn(f"{what}; or save an .svg or .html, which take their reader's fonts", stacklevel=5)
    return scene._replace(things=things)


def _pieces(text: Text, missing: dict[str, None]) -> Iterator[Shape | Text]:
    """A text in pieces, each where it stands."""

    def found(character: str) -> Outline | None:
        return None if font.knows(character) else outline(character)

    natural = font.width(text.text, text.size, text.bold)
    stretch = text.length / natural if text.length and natural else 1.0
    x = text.x - natural * stretch * {"start": 0, "middle": 0.5, "end": 1}[text.anchor]
    for drawn, group in groupby(text.text, lambda character: found(character) is not None):
        run = "".join(group)
        long = stretch * font.width(run, text.size, text.bold)
        piece = text._replace(text=run, x=x, anchor="start", length=long)
        yield piece._replace(colour="") if drawn else piece
        for character in run:
            wide = stretch * font.width(character, text.size, text.bold)
            made = found(character)
            if made is not None:
                yield _letter(made, text, x, wide)
            elif not font.knows(character):
                missing[character] = None
            x += wide


def _letter(made: Outline, text: Text, left: float, wide: float) -> Shape:
    """A letter in the middle of its room, narrower where that is too little."""
    across = text.size
    if wide and made.advance:  # else it is a mark on the letter before it
        across = min(across, wide / made.advance)
        left += (wide - made.advance * across) / 2

    def placed(numbers: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(text.y - n * text.size if i % 2 else left + n * across for i, n in enumerate(numbers))

    outline = [(name, placed(numbers)) for name, numbers in made.pieces]
    return Shape(outline, text.colour, text.colour if text.bold else "", text.size / 30, ())
