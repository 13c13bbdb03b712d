"""Finds where something goes wrong in a graph: where nan and infinity begin, and which parameters get no gradient."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from tapenet.autodiff.observe import anomaly
from tapenet.drawing.model import Drawing, Edge, Vertex
from tapenet.drawing.passes.gradients import UNUSED, Finding
from tapenet.drawing.passes.measures import records
from tapenet.drawing.sources.known import Known
from tapenet.profiling.profile import Profile

#: Ops that pass a gradient on only where their result is not 0.
_GATES = frozenset({"relu", "relu6", "hardtanh", "clip", "maximum", "minimum"})
#: Ops whose gradient by an argument is a multiple of the others.
_CONVOLUTIONS = frozenset(f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3))
_PRODUCTS = frozenset({"multiply", "matmul", "linear", "safe_mul"}) | _CONVOLUTIONS
#: Inf or nan that the user wrote in a call, as masks do: it is meant.
_WRITTEN = re.compile(r"\b(inf|nan)\b")


def born(drawing: Drawing, known: Known) -> dict[int, Finding]:
    """Where nan or infinity begins: boxes that hold it although none of their inputs does. Nan computed from infinity,
    such as inf - inf, counts too."""
    sources = drawing.by("head")
    found = {}
    for position, value in known.values.items():
        vertex = drawing.vertices[position]
        if vertex.kind == "output":
            continue
        meant = _WRITTEN.findall("".join(vertex.details[:1])) if vertex.kind == "op" else ()
        came = [known.values[e.tail] for e in sources.get(position, ()) if e.tail in known.values]
        what = anomaly.born(came, [value])
        if what is None or what.lstrip("-").split()[0] in meant:
            continue
        if not (vertex.kind in ("input", "constant") and what.startswith("-inf")):  # else it is a mask
            where = "comes in here" if vertex.kind in ("input", "parameter", "constant") else "born here"
            found[position] = Finding("trouble", f"{where}: {what}")
    return found


def born_in_gradients(drawing: Drawing, known: Known) -> dict[int, Finding]:
    """The same for gradients: ops whose rules make nan or infinity of finite values and a finite gradient."""
    values, gradients = known
    users, sources = drawing.by("tail"), drawing.by("head")
    found = {}
    for position, gradient in gradients.items():
        heads = {e.head for e in users.get(position, ()) if e.differentiable}
        near = {*heads, *(e.tail for head in heads for e in sources[head])}
        came = [gradients[head] for head in heads if head in gradients] + [values[at] for at in near if at in values]
        what = anomaly.born(came, [gradient]) if heads else None
        if what is not None:
            titles = " or ".join(repr(_line(drawing.vertices[head])) for head in sorted(heads))
            at = heads.pop() if len(heads) == 1 else position
            found[at] = Finding("trouble", f"born in the gradient of {titles}: {what}")
    return found


def dead(
    drawing: Drawing, norms: Mapping[int, float], zeros: Callable[[int], bool] = lambda p: False
) -> dict[int, Finding]:
    """Parameters without a gradient, or whose gradient is 0 throughout, with the reason so far as the graph tells it.

    Args:
        drawing: the whole graph.
        norms: the norms of the gradients that were computed, by position.
        zeros: whether all that a box gives is 0, by position, where that is known.
    """
    found = {}
    users = drawing.by("tail")
    cuts, stops = _Cuts(drawing, users), _Stops(drawing, users, norms, zeros)
    for position, vertex in enumerate(drawing.vertices):
        if vertex.kind != "parameter" or vertex.sign:
            continue
        if position not in norms:
            found[position] = Finding("dead", f"no gradient: {cuts.reason(position)}")
        elif norms[position] == 0:
            found[position] = Finding("dead", f"the gradient is 0: {stops.reason(position)}")
    return found


class _Cuts:
    """Where the way back to a box is cut, so that it gets no gradient."""

    def __init__(self, drawing: Drawing, users: Mapping[int, list[Edge]]) -> None:
        self.drawing = drawing
        self.users = users
        self.sources = drawing.by("head")
        #: By box: what cuts it off, at most three.
        self.found: dict[int, tuple[str, ...]] = {}
        for position in reversed(range(len(drawing.vertices))):  # those that use a box come after it
            cuts: dict[str, None] = {}
            for edge in users.get(position, ()):
                flows = edge.differentiable or drawing.vertices[edge.head].kind != "op"
                cuts |= dict.fromkeys(self.found.get(edge.head, ()) if flows else (self.cut(edge),))
            self.found[position] = tuple(cuts)[:3]

    def reason(self, position: int) -> str:
        if not self.users.get(position):
            return UNUSED
        if not self.drawing.vertices[position].number:
            return "it asks for none (requires_grad=False), or its array was used in its place"
        return "; ".join(self.found[position]) or "none was computed"

    def cut(self, edge: Edge) -> str:
        head = self.drawing.vertices[edge.head]
        title = repr(_line(head))
        explained = self.drawing.ops.get(head.op)
        if explained is not None and edge.argument.partition("[")[0] not in explained.gradients:
            return f"{title} has no derivative"
        if any(other.differentiable for other in self.sources[edge.head]):
            return f"what {title} takes of it is detached, or was computed under no_grad"
        return f"{title} was computed under no_grad, or of a detached tensor"


class _Stops:
    """The first op on the way from a box to the result that still has a gradient, and passes none on."""

    def __init__(
        self,
        drawing: Drawing,
        users: Mapping[int, list[Edge]],
        norms: Mapping[int, float],
        zeros: Callable[[int], bool],
    ) -> None:
        self.drawing = drawing
        self.zeros = zeros
        self.sources = drawing.by("head")
        self.found: dict[int, str] = {}
        for position in reversed(range(len(drawing.vertices))):
            for edge in users.get(position, ()):
                stop = self.stop(edge) if norms.get(edge.head) else self.found.get(edge.head)
                if stop is not None:
                    self.found[position] = stop
                    break

    def reason(self, position: int) -> str:
        return self.found.get(position, "it is 0 all the way from the result")

    def stop(self, edge: Edge) -> str:
        head = self.drawing.vertices[edge.head]
        title = repr(_line(head))
        if head.op in _GATES and self.zeros(edge.head):
            return f"{title} lets none through, as all it gives is 0"
        others = [e.tail for e in self.sources[edge.head] if e.argument not in (edge.argument, "bias")]
        if head.op in _PRODUCTS and edge.argument != "bias" and any(map(self.zeros, others)):
            return f"{title} multiplies it by 0"
        if head.op == "where":
            return f"{title} takes nothing of it"
        return f"{title} has one, and passes none on"


def from_arrays(drawing: Drawing, known: Known, differentiated: bool = False) -> dict[int, Finding]:
    """All findings from the arrays themselves. Parameters without a gradient are found if gradients were computed."""
    found = born_in_gradients(drawing, known) | born(drawing, known)
    if differentiated:
        norms = {p: float(np.abs(g).max(initial=0)) for p, g in known.gradients.items()}
        found = dead(drawing, norms, lambda p: p in known.values and not known.values[p].any()) | found
    return found


def from_profile(drawing: Drawing, profile: Profile) -> dict[int, Finding]:
    """All findings from the last step of a `tn.profile(values=True)`."""
    found: dict[int, Finding] = {}
    norms: dict[int, float] = {}
    silent: set[int] = set()
    for position, vertex in enumerate(drawing.vertices):
        leaf = next(iter(profile.leaf_history(vertex.number)[-1:]), None) if vertex.kind == "parameter" else None
        if leaf is not None:
            norms[position] = leaf.absmax or float(not leaf.finite)
    for position, history in records(drawing, profile).items():
        record, vertex = history[-1], drawing.vertices[position]
        if record is None:
            continue
        if record.born is not None:
            found[position] = Finding("trouble", f"born here: {record.born}")
        elif record.gradient_born is not None:
            found[position] = Finding("trouble", f"born in the gradient of {_line(vertex)!r}: {record.gradient_born}")
        if record.gradient is not None:
            norms[position] = record.gradient.absmax or float(not record.gradient.finite)
        if record.activation is not None and record.activation.zeros == 1:
            silent.add(position)
    return (dead(drawing, norms, silent.__contains__) if norms else {}) | found


def _line(vertex: Vertex) -> str:
    """The first line of a title, which names the op."""
    return vertex.title.partition("\n")[0]
