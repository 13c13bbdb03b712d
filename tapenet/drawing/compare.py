"""Two graphs in one picture, with their differences marked."""

from __future__ import annotations

from tapenet.autodiff.node import Leaf, Node
from tapenet.drawing.late import use
from tapenet.drawing.layout.placed import DIRECTIONS
from tapenet.drawing.model import Drawing
from tapenet.drawing.options import Options, alone
from tapenet.drawing.passes.diff import Difference, diff
from tapenet.drawing.passes.view import View
from tapenet.drawing.picture import Picture
from tapenet.drawing.sources.build import build
from tapenet.drawing.sources.names import Key, Name, is_module, variables


class Comparison(Picture):
    """The picture of a difference. Made by `tn.draw.diff`.

    Attributes:
        difference: all differences, as plain data.
    """

    def __init__(self, difference: Difference, direction: str, title: str, legend: bool) -> None:
        view = View(changes=True, parameters=True)
        caption = str(difference).partition("\n")[0]
        super().__init__(difference.drawing, direction, view=view, title=title, caption=caption, legend=legend)
        self.difference = difference

    @property
    def added(self) -> list[str]:
        """Only in the second graph, in words."""
        return self.difference.added

    @property
    def removed(self) -> list[str]:
        """Only in the first graph, in words."""
        return self.difference.removed

    @property
    def changed(self) -> list[str]:
        """In both graphs, but with another shape, dtype, option, name or class, in words."""
        return self.difference.changed

    @property
    def same(self) -> bool:
        """Whether the graphs are equal."""
        return self.difference.same

    def __str__(self) -> str:
        return str(self.difference)


def compare(before: object, after: object, direction: str, title: str, legend: bool) -> Comparison:
    """Compare two graphs; `tn.draw.diff` says how."""
    if direction not in DIRECTIONS:
        raise ValueError(f"draw.diff: direction={direction!r}; the directions are {', '.join(DIRECTIONS)}")
    return Comparison(diff(_graph(before), _graph(after)), direction, title, legend)


def _graph(x: object) -> Drawing:
    if isinstance(x, Picture):
        return x.source
    if is_module(x):  # without the variables, which have different names for no reason that is of the graphs
        drawing: Drawing = use("sources.attributes").of_module(x)
        return drawing
    if alone(x):
        return Options().picture(x, ()).source
    if callable(x):
        raise TypeError(
            f"draw.diff: a {type(x).__name__} has no graph before it is called: give pictures, "
            "tn.draw.diff(tn.draw(before, x), tn.draw(after, x))"
        )
    # The variables that hold the two results have different names for no reason that is of the graphs.
    names: dict[Key, Name] = {
        key: name for key, name in variables().items() if not isinstance(key, Node) or type(key) is Leaf
    }
    return build(x, names)
