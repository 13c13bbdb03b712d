"""A drawing laid out: every cluster on its own, from the inside out, as a box in the one around it."""

from __future__ import annotations

from collections.abc import Sequence

from tapenet.drawing.layout.boxes import LABEL, WHOLE, box_size, vertex_lines
from tapenet.drawing.layout.group import Spot
from tapenet.drawing.layout.labels import Labels
from tapenet.drawing.layout.lanes import Piece
from tapenet.drawing.layout.level import Fit, Level, pieces
from tapenet.drawing.layout.placed import Box, Line, Placed, Way
from tapenet.drawing.layout.routes import Point, beside, choose_sides, cross, joined, leave, touch
from tapenet.drawing.layout.tree import BORDER, Tree, Wrap
from tapenet.drawing.layout.wires import WITHIN, Wiring
from tapenet.drawing.layout.wrapping import badness, wrap
from tapenet.drawing.metrics import room
from tapenet.drawing.model import Drawing

#: How wide lines of text in boxes are at most, one after the other, where a drawing is too wide.
_TEXTS = 150.0, 110.0, 90.0
#: How wide layers are then at most, by how wide the drawing is to be: arrows that pass take room too.
_ROWS = 1.0, 0.85, 0.7, 0.6, 0.5, 0.4

#: What is higher than this, and so many times higher than wide, is a strip. It is wrapped at most so often; text in
#: more lines is to bring it so much nearer to its shape.
_HIGH, _STRIP, _WRAPS, _NARROWER = 800.0, 3.0, 4, 0.1

#: Worth it are columns that make a page, no so many times higher than wide; or that take no more than so many times the room.
_PAGE, _FULL = 2.0, 1.15

#: Larger drawings are nobody's page, and take long: they are not wrapped.
_FEW = 250


def place(drawing: Drawing, direction: str = "TB", most: float = WHOLE) -> Placed:
    """Lay out a drawing: the same places for the same drawing.

    Args:
        drawing: what to lay out. Every cluster is open.
        direction: where arrows point: "TB" (down), "LR" (right), "BT" or "RL".
        most: how wide it is to be at most. What is wider gets text in more lines, and no dtypes where nearly all are the
            same, then wide layers in several rows. It is as narrow as that makes it.

    >>> from tapenet.drawing.model import Vertex
    >>> placed = place(Drawing([Vertex("op", "tanh")], [], []))
    >>> placed.boxes[0].x, placed.boxes[0].y
    (10.0, 10.0)
    """
    best = _Layout(drawing, direction, Fit())
    upright, few = best.upright, len(drawing.vertices) <= _FEW
    for fit in [*(Fit(text) for text in _TEXTS), *(Fit(_TEXTS[-1], part * most) for part in _ROWS)]:
        if best.size()[0] <= most or (fit.across < WHOLE and not (upright and few)):
            break
        found = _Layout(drawing, direction, fit)
        if found.size()[0] < best.size()[0]:
            best = found
    if most < WHOLE and few and best.is_strip(most):
        strip = best
        fits = [strip.fit, *(Fit(text) for text in _TEXTS if text < strip.fit.text), Fit(_TEXTS[-1], 0.42 * most)]
        for n, fit in enumerate(fits):
            found = _wrapped(_Layout(drawing, direction, fit), most)
            if found.badness(most) + _NARROWER * n < best.badness(most) and found.is_better(strip):
                best = found
    return best.placed()


def _wrapped(layout: _Layout, most: float) -> _Layout:
    """A layout with long clusters wrapped, as long as that brings it nearer to its shape."""
    for _ in range(_WRAPS):
        more = wrap(layout.tree, layout.levels, layout.breadth, layout.length, layout.upright, most)
        if more is None:
            break
        found = _Layout(layout.drawing, layout.direction, layout.fit, [*layout.wraps, more])
        if found.badness(most) >= layout.badness(most):
            break
        layout = found
    return layout


class _Layout:
    """One layout. Everything is across and along until `shown` says where that is in the picture."""

    def __init__(self, drawing: Drawing, direction: str, fit: Fit, wraps: Sequence[Wrap] = ()) -> None:
        self.drawing = drawing
        self.direction = direction
        self.fit = fit
        self.wraps = wraps
        self.upright = direction in ("TB", "BT")
        self.tree = tree = Tree(drawing, wraps)
        self.wiring = wiring = Wiring(drawing, tree)
        self.lines = [vertex_lines(vertex, fit.text) for vertex in drawing.vertices]
        self.texts = drawing.labels()
        if fit.text < WHOLE:
            self._leave_out_dtype()
        sizes = {}
        least = wiring.room()
        for i, vertex in enumerate(drawing.vertices):
            width, height = box_size(vertex, self.lines[i])
            across, along = (width, height) if self.upright else (height, width)
            if i in least and not vertex.round:
                across, along = max(across, least[i][0]), max(along, least[i][1])
            sizes[i] = across, along
        widths: dict[int, float] = {}
        for text, wire in zip(self.texts, wiring.of, strict=True):
            if text and wire is not None and wire.edge.flow == "value":
                widths[wire.array] = max(widths.get(wire.array, 0.0), room(text, LABEL))
        jobs = pieces(tree, wiring)
        self.levels: dict[int, Level] = {}
        for cluster in sorted(tree.inside, key=lambda i: -tree.depth[i]):
            self.levels[cluster] = Level(jobs[cluster], tree, wiring, self.levels, sizes, widths, direction, fit)
        self.spots: dict[int, Spot] = {}
        root = self.levels[tree.root]
        self.corners = {tree.root: (0.0, 0.0)}
        self.breadth, self.length = root.across, root.along
        self._stand()
        self._join()
        choose_sides(wiring.wires, 1 if self.upright else -1)

    def _leave_out_dtype(self) -> None:
        """Leave the dtype that most arrays have out of the texts on arrows."""
        counts: dict[str, int] = {}
        for edge in self.drawing.edges:
            counts[edge.value.dtype] = counts.get(edge.value.dtype, 0) + 1
        usual = max(counts, key=lambda dtype: counts[dtype], default="")
        for i, edge in enumerate(self.drawing.edges):
            if edge.value.dtype == usual and edge.arrays == 1 and edge.value.shape:
                self.texts[i] = self.texts[i].replace(f" {usual}", "")

    def _stand(self) -> None:
        """Where everything is in the whole."""
        for cluster in sorted(self.tree.inside, key=lambda i: self.tree.depth[i]):
            x, y = self.corners[cluster]
            for i, spot in self.levels[cluster].spots.items():
                self.spots[i] = spot._replace(x=spot.x + x, y=spot.y + y)
                if i >= self.tree.count:
                    self.corners[i] = self.spots[i].x, self.spots[i].y

    def _join(self) -> None:
        """The ways of all wires, from piece to piece."""
        crossings: dict[tuple[int, int], int] = {}
        for wire in self.wiring.wires:
            points: list[Point] = []
            begin = 0
            crossing = 0
            if wire.is_local:
                points = self._moved(wire.steps[0].cluster, self.levels[wire.steps[0].cluster].local[wire])
            for k, (cluster, start, end) in enumerate(wire.steps):
                if wire.is_local:
                    break
                level = self.levels[cluster]
                if wire.crosses and k == wire.top:
                    crossing = len(points)
                    continue
                if wire.sides[k] == WITHIN:
                    piece = level.ways[wire.array, start, end]
                else:
                    name = Piece(wire.array, start, end, wire.sides[k], wire.fork(k))
                    piece = level.detours[name]
                    if name in level.moved:
                        wire.off = -wire.off
                    if wire.fork(k):  # it begins on the line that brings the same array elsewhere
                        begin = len(points)
                points += self._moved(cluster, piece)
            if wire.crosses:
                step = wire.steps[wire.top]
                ends = step.start, step.end
                crossings[ends] = crossings.get(ends, 0) + 1
                points = cross(points, crossing, self.spots[step.start], self.spots[step.end], crossings[ends] - 1)
            wire.whole = joined(points)
            wire.points = joined(points[begin:]) if begin else wire.whole

    def _moved(self, cluster: int, points: list[Point]) -> list[Point]:
        x, y = self.corners[cluster]
        return [(a + x, b + y) for a, b in points]

    # -- its size -------------------------------------------------------------------------------------------------

    def size(self) -> tuple[float, float]:
        """How wide and how high the picture is."""
        return (self.breadth, self.length) if self.upright else (self.length, self.breadth)

    def is_strip(self, most: float) -> bool:
        """Whether it is so long that it had better be wrapped."""
        width, height = self.size()
        return height > max(_HIGH, _STRIP * width) if self.upright else width > most

    def is_better(self, strip: _Layout) -> bool:
        """Whether it is worth being wrapped: a page, and no strip in whose columns there is little."""
        (width, height), (narrow, high) = self.size(), strip.size()
        return not self.upright or height < _PAGE * width or width * height < _FULL * narrow * high

    def badness(self, most: float) -> float:
        """How far it is from the shape that it is to have."""
        return badness(self.breadth, self.length, self.upright, most)

    # -- the picture ----------------------------------------------------------------------------------------------

    def placed(self) -> Placed:
        width, height = self.size()
        boxes = [self._box(i, lines) for i, lines in enumerate(self.lines)]
        clusters = [self._box(i, self.levels[i].title) for i in range(self.tree.count, self.tree.root)]
        ways = [self._way(i) for i in range(len(self.drawing.edges))]
        arrays = [None if wire is None else wire.array for wire in self.wiring.of]
        labels = Labels(boxes, clusters, ways, self.upright, width, height)
        written = labels.write(self.texts, arrays, self.drawing)
        return Placed(
            self.drawing,
            width,
            height,
            boxes,
            clusters,
            [Way(tuple(points), label) for points, label in zip(ways, written, strict=True)],
        )

    def _way(self, i: int) -> list[Point]:
        wire = self.wiring.of[i]
        edge = self.drawing.edges[i]
        if wire is not None:
            points = list(wire.points)
        else:
            along = self.wiring.shadowed(edge) if edge.flow == "gradient" else None
            if along is None:
                return []
            points = beside(along.whole, along.off)[::-1]
        tail, head = edge.tail, edge.head
        if wire is not None and wire.array in self.wiring.vague:
            for step in wire.steps:
                wrapped = step.cluster in self.tree.columns
                if not wrapped and BORDER not in (step.start, step.end):  # where both ends are in one cluster
                    tail, head = step.start, step.end
        for end in (head, tail):
            points.reverse()
            if end < self.tree.count:
                touch(points, self.spots[end], self.drawing.vertices[end].round)
            else:
                leave(points, self.spots[end])
        return [self._shown(point) for point in points]

    def _shown(self, point: Point) -> Point:
        """Where a point is in the picture."""
        across, along = point
        if self.direction in ("BT", "RL"):
            along = self.length - along
        x, y = (across, along) if self.upright else (along, self.breadth - across)
        return round(x, 2), round(y, 2)

    def _box(self, i: int, lines: tuple[Line, ...]) -> Box:
        spot = self.spots[i]
        a = self._shown((spot.x, spot.y))
        b = self._shown((spot.x + spot.across, spot.y + spot.along))
        x, y = min(a[0], b[0]), min(a[1], b[1])
        return Box(x, y, round(abs(b[0] - a[0]), 2), round(abs(b[1] - a[1]), 2), lines)
