"""A picture's page as a widget of Jupyter and marimo, which keeps what is open with the notebook."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

from tapenet.drawing.picture import Picture

#: How high a cell is at least and at most, and what of that the page needs beside the picture, in pixels.
_LEAST, _MOST, _AROUND = 360, 640, 150


class Widget(anywidget.AnyWidget):  # type: ignore[misc]
    """A page in a cell.

    Attributes:
        page: its HTML.
        opened: the positions of the modules that are open.
        numbers: what was measured last, of a training that is watched.
        height: of the cell, in pixels.
    """

    _esm = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    page = traitlets.Unicode().tag(sync=True)
    opened = traitlets.List(traitlets.Int(), allow_none=True, default_value=None).tag(sync=True)
    numbers = traitlets.Dict().tag(sync=True)
    height = traitlets.Int(_MOST).tag(sync=True)

    @classmethod
    def of(cls, picture: Picture) -> Widget:
        """The widget of a picture."""
        height = min(max(_LEAST, round(picture.placed.height * 4 / 3) + _AROUND), _MOST)
        return cls(page=picture.page(live="notebook"), height=height)
