"""Which parts of a graph a picture shows: the passes from the whole graph to the drawing that is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from tapenet.drawing.model import Drawing, Shapes
from tapenet.drawing.passes.cards import with_cards, with_shapes
from tapenet.drawing.passes.compact import bundle, compact, mark_skips
from tapenet.drawing.passes.folding import at_depth, fold, in_runs, layers_of, unbox, with_runs, within
from tapenet.drawing.passes.gradients import with_gradients, with_updates
from tapenet.drawing.passes.repeats import fold_repeats

#: So many boxes are read at a glance. Modules are folded to come near it.
BUDGET = 60
#: Above so many the layout takes long and nobody finds anything: modules are folded whatever was asked for, and graphs
#: without modules are drawn in runs of ops.
MOST = 1000
#: How many boxes a page may hold, most of them in folded modules.
PAGE = 5000
#: Runs of ops say little, so graphs without modules may be this much larger than the budget.
PATIENCE = 4
#: Who asks for fewer boxes than this gets a model as one box rather than in a few runs.
FEW = 10
_NOTHING: Mapping[int, str] = MappingProxyType({})


class View(NamedTuple):
    """Which parts of a graph to show.

    Attributes:
        depth: how many levels of modules to open; None: as many as fit the budget.
        budget: how many boxes to draw, about. None: as many as there are, up to `MOST`.
        compact: whether activations and shape ops join the box before them.
        repeats: whether what is repeated is drawn once, with a count.
        backward: whether the gradients' way back is drawn.
        updates: what is done to parameters, by the numbers of their nodes.
        changes: whether to open those modules alone in which something is added, removed or changed.
        parameters: whether parameters have boxes of their own. Else they are in those of the ops that use them, and a
            layer is one box.
        shapes: where the shapes of arrays are written.
    """

    depth: int | None = None
    budget: int | None = BUDGET
    compact: bool = True
    repeats: bool = True
    backward: bool = False
    updates: Mapping[int, str] = _NOTHING
    changes: bool = False
    parameters: bool = False
    shapes: Shapes = "edge"

    def unfolded(self, drawing: Drawing) -> Drawing:
        """All of a drawing that this view can show, with every module open."""
        shown = unbox(fold_repeats(drawing) if self.repeats else drawing)
        if self.updates:
            shown = with_updates(shown, self.updates, drawing)
        layers = set() if self.parameters else layers_of(shown)
        return with_cards(shown, layers, inside=not self.parameters, backward=self.backward)

    def _shaped(self, drawing: Drawing) -> Drawing:
        """The drawing with shapes where they belong."""
        return (with_shapes(drawing) if self.shapes == "box" else drawing)._replace(shapes=self.shapes)

    def of(self, drawing: Drawing, budget: int | None = None) -> Drawing:
        """The drawing that is shown.

        Args:
            drawing: as `unfolded` gives it.
            budget: a smaller budget than the view's own, after a layout took too long.
        """
        drawing = fold(drawing, self.closed(drawing, budget))
        most = MOST if budget is None else budget
        if budget is None and self.depth is None and self.budget is not None:
            most = min(MOST, self.budget * PATIENCE)
        if self.compact:
            drawing = compact(drawing)
        if len(drawing.vertices) > most:
            drawing = in_runs(drawing, most if self.budget is None else min(most, self.budget))
        drawing = self._shaped(mark_skips(bundle(drawing)))
        return with_gradients(drawing) if self.backward else drawing

    def to_explore(self, drawing: Drawing) -> Drawing:
        """The part of a drawing that a page can open: all of it, or of a very large one as much as a page can hold.
        What no module divides is in runs, which open in their turn."""
        inside = Counter(v.cluster for v in drawing.vertices)
        crowded = [cluster for cluster, boxes in inside.items() if boxes > BUDGET * PATIENCE]
        outer = len(drawing.clusters)
        drawing = with_runs(drawing, BUDGET, crowded)
        if len(drawing.vertices) > PAGE:
            drawing = in_runs(drawing, PAGE, range(outer, len(drawing.clusters)))
        if len(drawing.vertices) > PAGE:
            drawing = fold(drawing, within(drawing, PAGE))
        drawing = self._shaped(mark_skips(drawing))
        if self.backward:
            drawing = with_gradients(drawing)
        return in_runs(drawing, PAGE) if len(drawing.vertices) > PAGE else drawing

    def closed(self, drawing: Drawing, budget: int | None = None) -> set[int]:
        """The clusters to fold."""
        shut = {i for i, cluster in enumerate(drawing.clusters) if cluster.layer}
        if budget is not None:
            return within(drawing, budget, shut)
        if self.changes:
            whole = {i for i, c in enumerate(drawing.clusters) if c.sign in ("added", "removed")}
            return set(range(len(drawing.clusters))) - changed_clusters(drawing) | whole
        if self.depth is not None:
            closed = at_depth(drawing, self.depth) | shut
            return closed if len(fold(drawing, closed).vertices) <= MOST else within(drawing, BUDGET, shut)
        most = MOST if self.budget is None else self.budget
        if all(
            cluster.around in ("repeat", "rank") for cluster in drawing.clusters
        ):  # a loop alone is told by what is in it
            most = min(MOST, most * PATIENCE)
        closed = within(drawing, most, shut)
        outermost = [i for i, cluster in enumerate(drawing.clusters) if cluster.parent is None]
        if len(closed) == len(drawing.clusters) > 1 == len(outermost) and (self.budget or MOST) >= FEW:
            # Too many layers side by side: one box would say nothing, and runs of them say something.
            return closed - set(outermost)
        return closed


def changed_clusters(drawing: Drawing) -> set[int]:
    """The clusters of a comparison that changed, or hold something that changed, at any depth.

    An array of another shape alone does not count: the cause is elsewhere.
    """
    found: list[int | None] = [position for position, cluster in enumerate(drawing.clusters) if cluster.sign]
    found += [vertex.cluster for vertex in drawing.vertices if vertex.sign]
    for edge in drawing.edges:
        if edge.sign in ("added", "removed"):
            found += [drawing.vertices[edge.tail].cluster, drawing.vertices[edge.head].cluster]
    return drawing.enclosing(found)
