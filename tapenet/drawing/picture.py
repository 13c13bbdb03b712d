"""What `tn.draw` gives: a picture that shows itself in a notebook and saves itself to a file."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from tapenet.drawing.dot import to_dot
from tapenet.drawing.model import Drawing
from tapenet.drawing.render import FORMATS, RenderError, render

#: Pixels to the inch of a PNG: enough for print at the size of the SVG.
_DPI = 192


class Picture:
    """A drawing, laid out when it is first looked at. Made by `tn.draw`.

    Attributes:
        drawing: what it shows, as plain data.
        direction: where its arrows point.
    """

    def __init__(self, drawing: Drawing, direction: str = "TB") -> None:
        self.drawing = drawing
        self.direction = direction

    @cached_property
    def dot(self) -> str:
        """The picture in the language of Graphviz; the same text for the same graph."""
        return to_dot(self.drawing, self.direction)

    @cached_property
    def svg(self) -> str:
        """The picture as SVG.

        Raises:
            RenderError: no renderer could draw it.
        """
        text = render(self.dot).decode()
        # Wider than a notebook's column it shrinks, where it would be cut off.
        return re.sub("<svg ", '<svg style="max-width: 100%; height: auto" ', text, count=1)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file, whole or not at all.

        Args:
            path: the file; its suffix says what to write: .svg, .png, .pdf or .dot.

        Returns:
            the path.

        Raises:
            ValueError: another suffix.
            OSError: the file cannot be written there.
            RenderError: no renderer could draw it; the DOT text is then written beside it.

        >>> import os, tempfile, tapenet as tn
        >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tn.draw((x * x).sum()).save(os.path.join(folder, "net.svg")).name
        'net.svg'
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix[1:] not in FORMATS:
            named = ", ".join(f".{name}" for name in FORMATS)
            raise ValueError(f"cannot save a picture as {str(path)!r}: the suffix must be one of {named}")
        if path.is_dir():
            raise IsADirectoryError(f"cannot save a picture as {path}: that is a folder; give a file in it")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"cannot save a picture as {path}: make the folder {path.parent} first")
        try:
            data = self._bytes(suffix[1:])
        except RenderError as error:
            beside = path.with_suffix(".dot")
            _write(beside, self.dot.encode())
            raise RenderError(f"{error}\nThe graph itself is in {beside}.", error.tries) from None
        _write(path, data)
        return path

    def _bytes(self, format: str) -> bytes:
        if format == "dot":
            return self.dot.encode()
        if format == "svg":
            return self.svg.encode()
        if format == "png":
            return render(to_dot(self.drawing, self.direction, _DPI), "png")
        return render(self.dot, format)

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for vertex in self.drawing.vertices:
            counts[vertex.kind] = counts.get(vertex.kind, 0) + 1
        listed = ", ".join(f"{n} {kind}{'s' if n != 1 else ''}" for kind, n in counts.items())
        return f"<Picture of {listed}; .save('net.svg') writes it>"

    def _repr_svg_(self) -> str | None:
        # A notebook must show something, whatever goes wrong.
        try:
            return self.svg
        except Exception:
            return None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": self.svg, "text/plain": repr(self)}
        except Exception as error:
            return {"text/plain": f"{self!r}\n{error}"}


def _write(path: Path, data: bytes) -> None:
    """Write the file whole or not at all: nobody beside us sees half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
    try:
        with open(part, "xb") as file:
            file.write(data)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
