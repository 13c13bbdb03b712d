"""A drawing that was laid out, as SVG: readable everywhere, by screen readers, in the dark, and in a notebook's column.

Colours are attributes, which groups hand on to what is in them; rules give each its counterpart in the dark. There are
few kinds of elements and attributes, so that `shapes` can read it for formats that are made of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from tapenet.drawing.forms import legend
from tapenet.drawing.forms.arrows import arrow, short
from tapenet.drawing.forms.described import description, words
from tapenet.drawing.forms.elements import FONT, attributes, style, text_of, written
from tapenet.drawing.forms.font import width
from tapenet.drawing.forms.legend import Around
from tapenet.drawing.layout.placed import MARGIN, Box, Placed
from tapenet.drawing.metrics import room
from tapenet.drawing.model import Edge, counted_parameters
from tapenet.drawing.style import BORDERS, DEFAULT, FLOWS, PLAIN, SIGNED, Entry, Stroke, Theme, ink_on
from tapenet.drawing.text import clean

#: What stands around a narrow picture may be this wide.
_ROOM = 360.0
_TOOLTIP = 400


def to_svg(
    placed: Placed,
    around: Around | None = None,
    theme: Theme = DEFAULT,
    name: str = "Graph of a computation",
    width: float | None = None,
) -> str:
    """The SVG of a drawing: the same for the same drawing, byte for byte.

    Boxes are groups with the ids n0, n1, ..., by position of the vertex, arrows e0, e1, ..., what stands beside these
    e0-label, and clusters cluster_0, ...

    Args:
        placed: the drawing with its layout.
        around: title, caption and legend.
        theme: its colours.
        name: what it is called for who cannot see it, where it has no title.
        width: how wide it is at most, in points: what is wider shrinks.
    """
    return _Writer(placed, around or Around(), theme).whole(name, width)


class _Writer:
    """Writes one picture."""

    def __init__(self, placed: Placed, around: Around, theme: Theme) -> None:
        self.placed = placed
        self.around = around
        self.theme = theme
        self.palette = theme.light

    def whole(self, name: str, widest: float | None) -> str:
        placed, palette = self.placed, self.palette
        most = max(placed.width - 2 * MARGIN, _ROOM if widest is None else min(_ROOM, widest))
        title, high = legend.above(self.around.title, most)
        pieces, low = legend.below(self.around, most)
        # As wide as the widest of what stands around it, and that in its middle.
        ends = [piece.x + room(piece.text, legend.SMALL) for piece in pieces]
        ends += [room(line, legend.TITLE, bold=True) for line in title]
        left = min(0.0, (placed.width - max(ends, default=0) - 2 * MARGIN) / 2)
        view = (left, -high, placed.width - 2 * left, placed.height + high + low)
        x, y, across, down = map(short, view)
        scale = 1.0 if widest is None else min(1.0, widest / view[2])
        body = [
            f'<rect class="paper" x="{x}" y="{y}" width="{across}" height="{down}" fill="{palette.paper}"/>',
            *self.title(title, high),
            *self.explanation(pieces, left + MARGIN),
            *self.clusters(),
            *self.ways(),
            *self.labels(),
            *self.names(),
            *self.boxes(),
        ]
        inside = "\n".join(body)
        said = clean(self.around.title or name)
        # Of its own contents, since a page may hold several pictures: a reader is to be told of the one it is at.
        own = f"tapenet-{hashlib.sha256(f'{said} {inside}'.encode('utf-8', 'replace')).hexdigest()[:12]}"
        return (
            f'<svg class="tapenet" role="img" aria-labelledby="{own} {own}-description" width="{short(scale * view[2])}pt" '
            f'height="{short(scale * view[3])}pt" viewBox="{x} {y} {across} {down}" xmlns="http://www.w3.org/2000/svg" '
            f'xml:space="preserve" font-family="{FONT}">\n<title id="{own}">{text_of(said)}</title>\n'
            f'<desc id="{own}-description">{text_of(description(placed.drawing))}</desc>\n'
            f"{style(self.theme)}\n{inside}\n</svg>\n"
        )

    # -- around it -------------------------------------------------------------------------------------------------

    def title(self, lines: list[str], high: float) -> Iterator[str]:
        if not lines:
            return
        yield f"<g{attributes(font_size=legend.TITLE, font_weight='bold', text_anchor='middle', fill=self.palette.ink)}>"
        for i, line in enumerate(lines):
            yield written(
                line,
                self.placed.width / 2,
                MARGIN - high + (i + 0.75) * legend.TITLE * legend.LEADING,
                legend.TITLE,
                True,
            )
        yield "</g>"

    def explanation(self, pieces: list[legend.Piece], left: float) -> Iterator[str]:
        if not pieces:
            return
        top = self.placed.height
        yield f'<g class="tapenet-legend"{attributes(font_size=legend.SMALL, fill=self.palette.muted)}>'
        for piece in pieces:
            if piece.sample is not None:
                entry, start, long = piece.sample
                yield _sample(entry, left + start, top + piece.y - 0.35 * legend.SMALL, long)
            yield written(piece.text, left + piece.x, top + piece.y, legend.SMALL)
        yield "</g>"

    # -- clusters --------------------------------------------------------------------------------------------------

    def clusters(self) -> Iterator[str]:
        if not self.placed.clusters:
            return
        palette = self.palette
        yield f'<g class="tapenet-clusters"{attributes(stroke=palette.border, stroke_width="0.8")}>'
        for i, (cluster, box) in enumerate(zip(self.placed.drawing.clusters, self.placed.clusters, strict=True)):
            dashes = "5 3" if cluster.around in ("repeat", "kernel") else ""
            signed = {}
            if cluster.sign:
                signed = {"stroke": palette.signs[cluster.sign], "stroke_width": "2"}
                dashes = SIGNED[cluster.sign].dashes or dashes
            frame = attributes(
                x=box.x, y=box.y, width=box.width, height=box.height, rx=8, fill=self.ground(i), **signed,
                stroke_dasharray=dashes,
            )  # fmt: skip
            told = [cluster.title, cluster.path if cluster.path != cluster.name else ""]
            told.append(counted_parameters(cluster.parameters) if cluster.parameters else "")
            yield f'<g id="cluster_{i}" class="cluster">{_tooltip(told)}<rect{frame}/></g>'
        yield "</g>"

    def ground(self, cluster: int) -> str:
        """What is below the things in a cluster."""
        found = self.placed.drawing.clusters[cluster]
        return found.fill or self.palette.cluster(found.depth)

    def names(self) -> Iterator[str]:
        """The names of the clusters, over the arrows that could not but cross them."""
        named = [(i, box) for i, box in enumerate(self.placed.clusters) if box.lines]
        if not named:
            return
        size = named[0][1].lines[0].size
        yield f'<g class="tapenet-names"{attributes(font_size=size, fill=self.palette.muted)}>'
        for i, box in named:
            x, y = box.x + 9, box.y + 5 + 0.9 * box.lines[0].size
            for line in box.lines:
                given = {
                    "font_size": line.size if line.size != size else "",
                    "font_weight": "bold" if line.bold else "",
                }
                yield self.behind(x, y, width(line.text, line.size, line.bold), line.size, self.ground(i))
                yield written(line.text, x, y, line.size, line.bold, **given)
                y += 1.3 * line.size
        yield "</g>"

    def behind(self, x: float, y: float, long: float, size: float, fill: str) -> str:
        """The ground that text keeps clear of lines."""
        paper = ' class="paper"' if fill == self.palette.paper else ""
        given = attributes(x=x - 2, y=y - 0.8 * size, width=long + 4, height=1.05 * size, fill=fill)
        return f"<rect{paper}{given}/>"

    # -- arrows ----------------------------------------------------------------------------------------------------

    def ways(self) -> Iterator[str]:
        palette, drawing = self.palette, self.placed.drawing
        usual = FLOWS["value"].width
        yield f'<g class="tapenet-edges"{attributes(fill="none", stroke=palette.line, stroke_width=str(usual))}>'
        for i, (edge, way) in enumerate(zip(drawing.edges, self.placed.ways, strict=True)):
            if not way.points or edge.flow == "order":
                continue
            colour, stroke = palette.arrow(edge)
            line, tip = arrow(way.points, stroke.width)
            other = attributes(
                stroke=colour if colour != palette.line else "",
                stroke_width=str(stroke.width) if stroke.width != usual else "",
            )
            dashes = attributes(stroke_dasharray=stroke.dashes)
            head = f"<polygon{attributes(fill=colour, stroke='none', points=tip)}/>" if tip else ""
            if tip and edge.flow == "exchange":  # it goes both ways
                head += f"<polygon{attributes(fill=colour, stroke='none', points=arrow(way.points[::-1], stroke.width)[1])}/>"
            told = _tooltip(map(clean, edge.told(self.placed.drawing.vertices)))
            yield f'<g id="e{i}" class="edge"{other}>{told}<path{dashes} d="{line}"/>{head}</g>'
        yield "</g>"

    def labels(self) -> Iterator[str]:
        labels = [(i, way.label) for i, way in enumerate(self.placed.ways) if way.label is not None and way.label.text]
        if not labels:
            return
        size = labels[0][1].size
        yield f'<g class="tapenet-labels"{attributes(font_size=size, fill=self.palette.muted)}>'
        for i, label in labels:
            long = min(label.width, width(label.text, label.size))
            below = self.below(self.placed.drawing.edges[i], label.x, label.y)
            behind = self.behind(label.x, label.y, long, label.size, below)
            said = written(label.text, label.x, label.y, label.size, font_size=label.size if label.size != size else "")
            yield f'<g id="e{i}-label" class="edge">{behind}{said}</g>'
        yield "</g>"

    def below(self, edge: Edge, x: float, y: float) -> str:
        """The colour that is below a place beside an arrow: that of the innermost cluster around both."""
        drawing = self.placed.drawing
        around = drawing.enclosing(drawing.vertices[end].cluster for end in (edge.tail, edge.head))
        for i in sorted(around, reverse=True):  # a parent comes before its children
            box = self.placed.clusters[i]
            if box.x <= x <= box.x + box.width and box.y <= y <= box.y + box.height:
                return self.ground(i)
        return self.palette.paper

    # -- boxes -----------------------------------------------------------------------------------------------------

    def boxes(self) -> Iterator[str]:
        usual = next((line.size for box in self.placed.boxes for line in box.lines), 0)
        yield f'<g class="tapenet-nodes"{attributes(text_anchor="middle", font_size=usual or "", fill=self.palette.ink)}>'
        for i, box in enumerate(self.placed.boxes):
            vertex = self.placed.drawing.vertices[i]
            told = _tooltip((words(vertex), *self.details(i)))
            shown = "".join(self.lines(i, box, usual))
            yield f'<g id="n{i}" class="node">{told}{self.frame(i, box)}{shown}</g>'
        yield "</g>"

    def details(self, i: int) -> Iterable[str]:
        vertex = self.placed.drawing.vertices[i]
        yield from vertex.details
        if vertex.parameters:
            yield counted_parameters(vertex.parameters)

    def frame(self, i: int, box: Box) -> str:
        vertex, palette = self.placed.drawing.vertices[i], self.palette
        fill, border = palette.kinds[vertex.kind]
        stroke = BORDERS.get(vertex.kind, PLAIN)
        if vertex.sign:
            border, stroke = palette.signs[vertex.sign], SIGNED[vertex.sign]
        # A sign of one character, as people write it: in a circle.
        round_ = min(box.width, box.height) / 2 if vertex.round else 5
        place = attributes(x=box.x, y=box.y, width=box.width, height=box.height, rx=round_)
        return f"<rect{place}{attributes(fill=vertex.fill or fill, stroke=border, **_drawn(stroke))}/>"

    def lines(self, i: int, box: Box, usual: float) -> Iterator[str]:
        """The lines of text in the middle of a box."""
        vertex, palette = self.placed.drawing.vertices[i], self.palette
        largest = max((line.size for line in box.lines), default=0)
        y = box.y + (box.height - sum(1.25 * line.size for line in box.lines)) / 2
        for line in box.lines:
            colour = ink_on(vertex.fill) if vertex.fill else palette.muted if line.size < largest else ""
            weight = "bold" if line.bold else ""
            middle = y + 0.625 * line.size
            y += 1.25 * line.size
            yield written(line.text, box.x + box.width / 2, middle + 0.36 * line.size, line.size, line.bold,
                           font_size=line.size if line.size != usual else "", font_weight=weight, fill=colour)  # fmt: skip


def _drawn(stroke: Stroke) -> dict[str, str]:
    """The attributes of a border; a plain one needs none."""
    return {"stroke_width": str(stroke.width) if stroke.width != 1 else "", "stroke_dasharray": stroke.dashes}


def _sample(entry: Entry, left: float, middle: float, long: float) -> str:
    """The sample of a legend: a line, a box, or a strip of colours."""
    if not entry.fills:
        line = f"M{short(left)} {short(middle)}H{short(left + long)}"
        return f"<path{attributes(fill='none', stroke=entry.colour, **_drawn(entry.stroke), d=line)}/>"
    each = long / len(entry.fills)
    strip = [
        f"<rect{attributes(x=left + each * i, y=middle - 5, width=each, height=10, fill=fill)}/>"
        for i, fill in enumerate(entry.fills)
    ]
    place = attributes(x=left, y=middle - 5, width=long, height=10)
    if len(strip) == 1:
        strip, place = [], f"{place}{attributes(rx=3)}"
    fill = "none" if strip else entry.fills[0]
    return f"{''.join(strip)}<rect{place}{attributes(fill=fill, stroke=entry.colour, **_drawn(entry.stroke))}/>"


def _tooltip(lines: Iterable[str]) -> str:
    """What browsers show to whoever points at a group, and screen readers tell."""
    told = "\n".join(clean(line, _TOOLTIP) for line in lines if line)
    return f"<title>{text_of(told[:_TOOLTIP])}</title>"
