"""A chart that shows itself in a notebook and saves itself to a file."""

from __future__ import annotations

import os
from pathlib import Path

from tapenet.drawing.late import use
from tapenet.files.atomic_write import write_whole


class Chart:
    """A chart as SVG: in a notebook it shows itself, `.save("chart.svg")` writes it.

    Attributes:
        svg: the picture.
        title: what it is called.
        stem: how a file of it may be called.

    >>> Chart("<svg xmlns='http://www.w3.org/2000/svg'/>", "Nothing", "nothing")
    <Chart 'Nothing'; .save('nothing.svg') writes it>
    """

    #: What errors call it, and what it may be saved as.
    what = "a chart"
    suffixes: tuple[str, ...] = (".svg", ".png", ".pdf")

    def __init__(self, svg: str, title: str = "", stem: str = "chart") -> None:
        self.svg = svg
        self.title = title
        self.stem = stem

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a file, whole or not at all; returns the path.

        Args:
            path: the file; its suffix is .svg, .png or .pdf.

        Raises:
            ValueError: another suffix.
            OSError: the file cannot be written there.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in self.suffixes:
            raise ValueError(
                f"cannot save {self.what} as {str(path)!r}: the suffix must be {' or '.join(self.suffixes)}"
            )
        made: str | bytes = self.svg
        if suffix == ".pdf":
            made = use("forms.pdf").to_pdf(self.svg)
        elif suffix == ".png":
            made = use("forms.render").render(self.svg)
        write_whole(path, made.encode() if isinstance(made, str) else made, f"{type(self).__name__}.save")
        return path

    def __repr__(self) -> str:
        return f"<Chart {self.title!r}; .save('{self.stem}.svg') writes it>"

    def _repr_svg_(self) -> str:
        return self.svg
