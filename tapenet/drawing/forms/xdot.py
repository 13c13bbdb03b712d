"""The picture of an SVG in the words of Graphviz, which then paints it and lays out nothing.

It is the background of a graph: drawing operations as text (https://graphviz.org/docs/outputs/canon/#xdot).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tapenet.drawing.forms.shapes import Piece, Scene, Shape, Text
from tapenet.drawing.text import dot_string

_ANCHORS = {"start": -1, "middle": 0, "end": 1}
#: Graphviz knows two kinds of broken lines. Dashes that are no longer than this are dots to it.
_DOT = 2
_NONE = "#ffffff00"


def to_xdot(scene: Scene, dpi: int) -> str:
    """DOT text that shows a picture, at so many pixels to the inch.

    >>> to_xdot(Scene(0, 0, 9, 9, 9, 9, []), 96).split("[")[0]
    'digraph { graph '
    """
    background = dot_string(" ".join([*_Operations(scene).all(), ""]))
    # One invisible node as large as the picture, as the background does not count for its size.
    width, height = scene.across, scene.down
    node = f'pos="{width / 2:.10g},{height / 2:.10g}" width={width / 72:.10g} height={height / 72:.10g}'
    graph = f'layout=nop2 bb="0,0,{width:.10g},{height:.10g}" dpi={dpi * scene.width / width:.10g} pad=0 margin=0'
    return f'digraph {{ graph [{graph} _background={background}] n [shape=none fixedsize=true label="" {node}] }}\n'


class _Operations:
    """Writes the operations of one picture. Colours, fonts and lines are said where they change."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.state: dict[str, str] = {}

    def all(self) -> Iterator[str]:
        for thing in self.scene.things:
            yield from self.text(thing) if isinstance(thing, Text) else self.shape(thing)

    def set(self, what: str, value: str) -> Iterator[str]:
        if self.state.get(what) != value:
            self.state[what] = value
            yield value

    def text(self, text: Text) -> Iterator[str]:
        if not (text.text and text.colour):
            return
        yield from self.set("c", f"c {_counted(text.colour)}")
        yield from self.set("F", f"F {text.size:g} {_counted('Helvetica-Bold' if text.bold else 'Helvetica')}")
        said = text.text.replace('\\"', '\\ "')  # a string of DOT cannot have these behind each other
        yield f"T {self.places((text.x, text.y))} {_ANCHORS[text.anchor]} {text.length:g} {_counted(said)}"

    def shape(self, shape: Shape) -> Iterator[str]:
        if not (shape.fill or shape.stroke):
            return
        figures = [*_figures(shape.outline)]
        if len(figures) > 1 and shape.fill:  # filled as one, or there were no holes
            yield from self.shape(shape._replace(outline=_joined(figures), stroke=""))
            yield from self.shape(shape._replace(fill=""))
            return
        line = "solid" if not shape.dashes else "dotted" if shape.dashes[0] <= _DOT else "dashed"
        yield from self.set("line", f"S {_counted(line)}")
        yield from self.set("width", f"S {_counted(f'setlinewidth({shape.width:g})')}")
        yield from self.set("c", f"c {_counted(shape.stroke or _NONE)}")
        if shape.fill:
            yield from self.set("C", f"C {_counted(shape.fill)}")
        for figure in figures:
            curved, closed = any(name == "C" for name, _ in figure), figure[-1][0] == "Z"
            points = _curve(figure) if curved else [n for _, numbers in figure for n in numbers]
            names = ("B", "b") if curved else ("p" if closed else "L", "P")
            yield f"{names[bool(shape.fill)]} {len(points) // 2} {self.places(points)}"

    def places(self, numbers: Sequence[float]) -> str:
        """Points from the lower left corner."""
        left, bottom = self.scene.left, self.scene.top + self.scene.down
        return " ".join(f"{bottom - n if i % 2 else n - left:.6g}" for i, n in enumerate(numbers))


def _figures(outline: list[Piece]) -> Iterator[list[Piece]]:
    """The figures of an outline: each begins where the pen moves."""
    figure: list[Piece] = []
    for piece in outline:
        if piece[0] == "M" and figure:
            yield figure
            figure = []
        figure.append(piece)
    if figure:
        yield figure


def _joined(figures: list[list[Piece]]) -> list[Piece]:
    """Figures as one, with a way there and back between each and the first that takes no room."""
    first, *others = figures
    start = first[0][1]
    joined = [*first[:-1], ("L", start)]
    for figure in others:
        joined += [("L", figure[0][1]), *figure[1:-1], ("L", figure[0][1]), ("L", start)]
    return joined


def _curve(figure: list[Piece]) -> list[float]:
    """A figure as points of curves, three to each piece: a line is a curve too."""
    points: list[float] = []
    for name, numbers in figure:
        if name in "MC":
            points += numbers
        else:
            end = numbers or tuple(points[:2])
            points += [*points[-2:], *end, *end]
    return points


def _counted(text: str) -> str:
    """A text after the number of its bytes, as Graphviz reads it."""
    return f"{len(text.encode('utf-8', 'replace'))} -{text}"
