"""A picture's page as a widget of Jupyter and marimo, which keeps what is open with the notebook."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from tapenet.drawing.picture import Picture

#: How high a cell is at least and at most, and what of that the page needs beside the picture, in pixels.
_LEAST, _MOST, _AROUND = 360, 640, 150


def widget(picture: Picture) -> Any:
    """The widget of a picture. Raises ModuleNotFoundError without anywidget."""
    height = min(max(_LEAST, round(picture.placed.height * 4 / 3) + _AROUND), _MOST)
    return _kind()(page=picture.page(live="notebook"), height=height)


@functools.cache
def _kind() -> type:
    """The class of widgets, made when it is first used: its base is anywidget's.

    Its traits are `page`, the HTML; `opened`, the positions of the modules that are open; `numbers`, what was measured last
    of a training that is watched; `height`, that of the cell in pixels.
    """
    import anywidget
    import traitlets

    class Widget(anywidget.AnyWidget):  # type: ignore[misc]
        _esm = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
        page = traitlets.Unicode().tag(sync=True)
        opened = traitlets.List(traitlets.Int(), allow_none=True, default_value=None).tag(sync=True)
        numbers = traitlets.Dict().tag(sync=True)
        height = traitlets.Int(_MOST).tag(sync=True)

    return Widget
