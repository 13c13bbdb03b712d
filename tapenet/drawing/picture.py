"""The result of `tn.draw`: a picture that shows itself in a notebook and saves itself to a file."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tapenet import plugins
from tapenet.drawing.forms.legend import Around, explained
from tapenet.drawing.forms.svg import to_svg
from tapenet.drawing.late import use
from tapenet.drawing.layout import place
from tapenet.drawing.layout.boxes import LABEL
from tapenet.drawing.layout.placed import Placed
from tapenet.drawing.model import Drawing, Numbers
from tapenet.drawing.passes.folding import members
from tapenet.drawing.passes.view import View
from tapenet.drawing.style import DEFAULT, Theme
from tapenet.drawing.text import escaped_in
from tapenet.files.atomic_write import write_whole
from tapenet.ops.stack_frames import user_site

if TYPE_CHECKING:
    from tapenet.drawing.forms.animate import Animation
    from tapenet.drawing.passes.measures import Measure, Scale
    from tapenet.drawing.watch import Watch


class Picture:
    """A drawing, laid out when it is first looked at. Made by `tn.draw`.

    Attributes:
        source: the whole of what it is a picture of, as plain data, with every module open.
        view: what of that is shown.
        direction: where its arrows point.
        title: what stands above it.
        caption: what stands below it.
        legend: whether the colours are explained below it.
        measures: what was measured of the graph.
        color_by: the name of the measure that boxes are painted by, "" for none.
        theme: its colours.
        width: how wide it is shown, in points, None for as wide as it is.
        again: computes what it is a picture of once more, and measures it; None where that cannot be.
        saves: whether `save` writes: of several ranks with the same picture one does.
    """

    def __init__(
        self,
        source: Drawing,
        direction: str = "TB",
        *,
        view: View | None = None,
        title: str = "",
        caption: str = "",
        legend: bool = False,
        measures: Sequence[Measure] = (),
        color_by: str = "",
        numbers: Numbers | None = None,
        theme: Theme = DEFAULT,
        width: float | None = None,
        again: Callable[[], tuple[Drawing, Sequence[Measure]]] | None = None,
        saves: bool = True,
    ) -> None:
        self.source = source
        self.direction = direction
        self.view = view
        self.title = title
        self.caption = caption
        self.legend = legend
        self.measures = tuple(measures)
        self.color_by = color_by
        self.theme = theme
        self.width = width
        self.again = again
        self.saves = saves
        self._numbers = Numbers({}, {}) if numbers is None else numbers

    @cached_property
    def unfolded(self) -> Drawing:
        """The drawing with every module open."""
        return self.source if self.view is None else self.view.unfolded(self.source)

    @cached_property
    def drawing(self) -> Drawing:
        """The drawing that is shown, as plain data."""
        return self._painted[0]

    @cached_property
    def placed(self) -> Placed:
        """The drawing that is shown, laid out."""
        return place(self.drawing, self.direction, _widest(self.width))

    @cached_property
    def _painted(self) -> tuple[Drawing, Scale | None]:
        """The drawing that is shown, with the scale of its colours. Where it is too wide for `width`, less is unfolded."""
        first = self._shown(None)
        if self.width is None or self.view is None:
            return first
        most, narrowest, fits = _widest(self.width), 0.0, first
        whole = len(first[0].vertices)
        parts = _FOLDED if self.view.depth is None else ()
        for budget in [None, *(max(1, int(whole * part)) for part in parts)]:
            found = first if budget is None else self._shown(budget)
            wide = place(found[0], self.direction, most).width
            if not narrowest or wide < narrowest:
                narrowest, fits = wide, found
            if narrowest <= most:
                return fits
        size, least = LABEL * self.width / narrowest, math.ceil(narrowest * READABLE / LABEL)
        text = _TOO_WIDE.format(width=self.width, size=size, readable=READABLE, least=least)
        warnings.warn_explicit(text, UserWarning, *user_site())
        return fits

    def _shown(self, budget: int | None) -> tuple[Drawing, Scale | None]:
        """The drawing with about so many boxes, None for what the view says."""
        drawing = self.unfolded if self.view is None else self.view.of(self.unfolded, budget)
        if not self.color_by:
            return drawing, None
        painted: tuple[Drawing, Scale | None] = use("passes.measures").paint(
            drawing, self.measures, self.color_by, self.theme.light
        )
        return painted

    @cached_property
    def dot(self) -> str:
        """The picture in the language of Graphviz; the same text for the same graph."""
        text: str = use("forms.dot").to_dot(self.drawing, self.direction, self.title, self.theme.light)
        return text

    @cached_property
    def svg(self) -> str:
        """The picture as SVG, in light or dark mode as the reader's system is set."""
        return to_svg(self.placed, self.around, self.theme, width=self.width)

    @cached_property
    def around(self) -> Around:
        """What stands above and below it."""
        (drawing, scale), palette = self._painted, self.theme.light
        entries = [] if scale is None else scale.legend()
        if self.legend:
            entries += explained(drawing, palette)
        return Around(self.title, self.caption, entries)

    def save(self, path: str | os.PathLike[str], *, width: float | None = None) -> Path:
        """Write the picture to a file, whole or not at all.

        Args:
            path: the file; its suffix says what to write: .svg, .png, .pdf, .dot; .html, a page to look around in;
                .mmd or .mermaid, a flowchart for a README; .json, what is drawn as data.
            width: how wide the picture will be shown, in points, as for `tn.draw`; by default what was given there.

        Returns:
            the path.

        Raises:
            ValueError: another suffix.
            OSError: the file cannot be written there.
            RenderError: a PNG, and no renderer is there that could draw it.

        >>> import os, tempfile, tapenet as tn
        >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tn.draw((x * x).sum()).save(os.path.join(folder, "net.svg")).name
        'net.svg'
        """
        if width is not None:
            return self._with(width=checked_width(width)).save(path)
        path = Path(path)
        suffix = path.suffix.lower()[1:]
        write = _writer(suffix)
        if write is None:
            named = ", ".join(f".{name}" for name in (*formats, *plugins.found("tapenet.formats")))
            raise ValueError(f"cannot save a picture as {str(path)!r}: the suffix must be one of {named}")
        if os.path.isdir(path):  # Path's own raises where a name is too long
            raise IsADirectoryError(f"cannot save a picture as {path}: that is a folder; give a file in it")
        if not self.saves:
            return path
        if not path.parent.is_dir():
            raise FileNotFoundError(f"cannot save a picture as {path}: make the folder {path.parent} first")
        made = write(self)
        write_whole(path, made.encode() if isinstance(made, str) else made, "save")
        return path

    def animate(self, *, backward: bool | None = None, seconds: float | None = None, loop: bool = True) -> Animation:
        """The computation step by step, as an SVG that moves: forward op by op, then backward, with the formula, the
        shapes and the rule applied at each; and with the numbers, if they are known (a tape, or a function or module
        with its arguments) and few.

        Args:
            backward: show the backward pass; by default where the picture does.
            seconds: how long each step stands; by default as long as one needs to read it.
            loop: begin again at the end.

        Raises:
            ValueError: more than 200 steps, or nothing is computed in the picture.
        """
        if not self.source.ops:
            raise ValueError("animate: nothing is computed in this picture; draw a call, such as tn.draw(net, images)")
        if backward is None:
            backward = self.view is not None and self.view.backward
        if self.view is not None and not self.view.parameters:  # each with its numbers
            return self._with(view=self.view._replace(parameters=True)).animate(
                backward=backward, seconds=seconds, loop=loop
            )
        values, gradients = self._texts(self.drawing), self._texts(self.drawing, gradients=True)
        if seconds is None:
            seconds = 3.0 if values else 2.0
        made: Animation = use("forms.animate").animate(
            self.placed,
            backward=backward,
            values=values,
            gradients=gradients,
            seconds=seconds,
            loop=loop,
            theme=self.theme,
        )
        return made

    def watch(self) -> Watch:
        """Serve the page on this machine, for its user alone, and repaint it while training goes on.

        Whenever somebody looks, `update` runs what was drawn on the arguments that it was drawn with, leaves everything
        as it was, and shows the sizes of activations and gradients, the times and the bytes; with the numbers that it is
        given, as curves. For that a picture keeps the function and its arguments. `update` is to be called in the thread
        that trains. It takes a microsecond while nobody looks, else one twentieth of the time of the training or less.

        Returns:
            a `Watch`: `.url` opens in a browser; `.update(loss=loss)` belongs after each step; `.stop()`, or the end of
            its `with` block, or of the program, ends it.

        Raises:
            ValueError: it is not the picture of a module or function with its arguments.

        >>> import numpy as np, tapenet as tn
        >>> w = tn.tensor([1.0, 2.0], requires_grad=True)
        >>> def step(x):
        ...     loss = ((w * x) ** 2).sum()
        ...     loss.backward()
        ...     return loss
        >>> x = np.ones(2)
        >>> with tn.draw(step, x).watch() as watch:
        ...     for _ in range(3):
        ...         watch.update(loss=step(x))
        >>> watch.url.startswith("http://127.0.0.1:")
        True
        """
        made: Watch = use("watch").Watch(self)
        return made

    @cached_property
    def explored(self) -> Drawing:
        """What its page can open, as plain data."""
        return (self.view or View()).to_explore(self.unfolded)

    def page(self, **options: object) -> str:
        """The page, with options of `forms.page.to_html` in place of those that follow from the picture."""
        kept = self.explored
        closed = self.view.closed(kept) if self.view is not None else ()
        form = use("forms.page")
        given = {
            "title": self.title,
            "caption": self.caption,
            "direction": self.direction,
            "open": [i for i in range(len(kept.clusters)) if i not in closed],
            "series": [form.Series.of(measure, kept) for measure in self.measures],
            "color_by": self.color_by,
            "values": self._texts(kept),
            "gradients": self._texts(kept, gradients=True),
            "compact": self.view is not None and self.view.compact,
            "theme": self.theme,
        }
        text: str = form.to_html(kept, **given | options)
        return text

    @cached_property
    def widget(self) -> Any:
        """The page as a widget of a notebook, which in Jupyter and marimo a picture shows itself as. Its trait `opened`
        has the positions of the modules that are open.

        Raises:
            ImportError: anywidget is not installed: `pip install tapenet[notebook]`.
        """
        return use("forms.widget").widget(self)

    def _with(self, **changed: object) -> Picture:
        """The picture with other attributes."""
        made = copy(self)
        for name in ("unfolded", "explored", "_painted", "drawing", "placed", "around", "dot", "svg", "widget"):
            made.__dict__.pop(name, None)
        made.__dict__.update(changed)
        return made

    def _texts(self, drawing: Drawing, *, gradients: bool = False) -> dict[int, str]:
        """The results of boxes, or their gradients, as short texts by position, so far as they are known."""
        texts = self._numbers.gradients if gradients else self._numbers.values
        found = {}
        for i, vertex in enumerate(drawing.vertices):
            for last in members(i, vertex)[-1:]:  # a box gives what the last in it gives
                if last in texts:
                    found[i] = texts[last]
        return found

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

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        try:
            shown: dict[str, object] = {"image/svg+xml": self.svg, "text/plain": repr(self)}
            if getattr(shell, "kernel", None) is not None and _widgets():
                # The still picture is for where the notebook is read without running.
                return {**self.widget._repr_mimebundle_()[0], **shown}
            return shown
        except Exception as error:
            return {"text/plain": f"{self!r}\n{error}"}

    def _display_(self) -> object:  # marimo
        return self.widget if _widgets() else _Still(self.svg)


class _Still(NamedTuple):
    """A picture in a notebook of marimo that has no widgets."""

    svg: str

    def _mime_(self) -> tuple[str, str]:
        return "image/svg+xml", self.svg


def _widgets() -> bool:
    return find_spec("anywidget") is not None


#: The text of a picture is to have so many points at least, if it is to be read.
READABLE = 8.0
#: How wide a picture is shown, in points, where nobody says: 800 pixels.
_SCREEN = 600.0
#: What parts of the boxes are left, one after the other, where a picture is too wide.
_FOLDED = 0.75, 0.55, 0.4, 0.25, 0.15, 0.01
_TOO_WIDE = (
    "draw: {width:g} points are too few for this picture: its smallest text has {size:.1f} points there, and {readable:g} are "
    "readable. It needs width={least}; or draw less: shapes=None, depth=0"
)


def checked_width(width: float) -> float:
    """A width that was asked for, in points.

    Raises:
        ValueError: it is no positive number.
    """
    if isinstance(width, bool) or not isinstance(width, Real) or not 0 < width < math.inf:
        raise ValueError(
            f"draw: width={width!r}; give how wide the picture will be shown in points, such as 345, or None"
        )
    return float(width)


def _widest(width: float | None) -> float:
    """How wide a picture may be laid out so that its text is readable where it is shown this wide."""
    return (_SCREEN if width is None else width) * LABEL / READABLE


def _mermaid(picture: Picture) -> str:
    text: str = use("forms.mermaid").to_mermaid(picture.drawing, picture.direction, picture.theme.light)
    return text


def _json(picture: Picture) -> str:
    data = use("forms.data").to_data(picture.drawing)
    return json.dumps(escaped_in(data), ensure_ascii=False, indent=1) + "\n"


#: Formats of files by suffix, each a function that writes a picture. Enter one of your own:
#: `tn.drawing.formats["txt"] = lambda picture: picture.dot`. What it draws is `picture.drawing`, plain data.
formats: dict[str, Callable[[Picture], str | bytes]] = {
    "svg": lambda picture: picture.svg,
    "png": lambda picture: use("forms.render").render(picture.svg),
    "pdf": lambda picture: use("forms.pdf").to_pdf(picture.svg),
    "dot": lambda picture: picture.dot,
    "html": lambda picture: picture.page(),
    "json": _json,
    "mmd": _mermaid,
    "mermaid": _mermaid,
}


def _writer(suffix: str) -> Callable[[Picture], str | bytes] | None:
    """What writes files of a suffix: `formats`, else what an installed package brings."""
    return formats.get(suffix) or cast(
        "Callable[[Picture], str | bytes] | None", plugins.found("tapenet.formats").get(suffix)
    )
