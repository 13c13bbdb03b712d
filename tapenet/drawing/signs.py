"""What is wrong in a graph, marked where it begins: nan and infinity, and parameters that no gradient reaches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tapenet.drawing.known import Array, Known
from tapenet.drawing.model import Drawing, Edge, Sign

#: Ops that pass a gradient on only where their result is not 0.
_GATES = frozenset({"relu", "relu6", "hardtanh", "clip", "maximum", "minimum"})


#: A call in which the user wrote inf or nan, as masks do: it is meant.
_WRITTEN = re.compile(r"\b(inf|nan)\b")


class Finding(NamedTuple):
    """What is wrong with a box, and why."""

    sign: Sign
    reason: str


def marked(drawing: Drawing, findings: Mapping[int, Finding]) -> Drawing:
    """The drawing with these signs, by position, and their reasons in the tooltips."""
    if not findings:
        return drawing
    vertices = [
        v._replace(sign=findings[i].sign, details=(findings[i].reason, *v.details)) if i in findings else v
        for i, v in enumerate(drawing.vertices)
    ]
    return drawing._replace(vertices=vertices)


def not_finite(drawing: Drawing, words: Mapping[int, str]) -> dict[int, Finding]:
    """Where nan or infinity was born: boxes that hold it though nothing they were computed from does.

    Args:
        drawing: the whole graph.
        words: what each box holds that is no number ("2 nan"), by position; "" where all is finite.
    """
    sources: dict[int, list[int]] = {}
    for edge in drawing.edges:
        if edge.flow == "value":
            sources.setdefault(edge.head, []).append(edge.tail)
    found = {}
    for position, what in words.items():
        kind = drawing.vertices[position].kind
        meant = _WRITTEN.search(drawing.vertices[position].details[0]) if drawing.vertices[position].details else None
        if what and not meant and kind != "output" and not any(words.get(tail) for tail in sources.get(position, ())):
            verb = "come in here" if kind in ("input", "parameter", "constant") else "were born here"
            found[position] = Finding("trouble", f"{what} {verb}")
    return found


def count_of(array: Array) -> str:
    """What an array holds that is no number, in words: "2 nan, 1 inf"; "" if all is finite."""
    if array.dtype.kind not in "fc":
        return ""
    nans, infinities = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    return ", ".join(f"{n:,} {name}" for n, name in ((nans, "nan"), (infinities, "inf")) if n)


def dead(
    drawing: Drawing, norms: Mapping[int, float], zeros: Callable[[int], bool] = lambda p: False
) -> dict[int, Finding]:
    """Parameters without a gradient, or whose gradient is 0 throughout, with the reason so far as the graph tells it.

    Args:
        drawing: the whole graph.
        norms: the norms of the gradients that were computed, by position.
        zeros: whether all that a box gives is 0, by position, where that is known.
    """
    users: dict[int, list[Edge]] = {}
    for edge in drawing.edges:
        if edge.flow == "value":
            users.setdefault(edge.tail, []).append(edge)
    found = {}
    for position, vertex in enumerate(drawing.vertices):
        if vertex.kind != "parameter" or vertex.sign:
            continue
        if position not in norms:
            found[position] = Finding("dead", f"no gradient: {_cut(drawing, users, position)}")
        elif norms[position] == 0:
            found[position] = Finding("dead", f"the gradient is 0: {_stopped(drawing, users, position, norms, zeros)}")
    return found


def _cut(drawing: Drawing, users: Mapping[int, list[Edge]], position: int) -> str:
    """Where the way of the gradient to a parameter ends."""
    seen = {position}
    pending = [position]
    cuts: dict[str, None] = {}
    for at in pending:  # grows while it is walked over
        for edge in users.get(at, ()):
            head = drawing.vertices[edge.head]
            if not edge.differentiable and head.kind == "op":
                cuts[f"{head.title.splitlines()[0]!r}"] = None
            elif edge.head not in seen:
                seen.add(edge.head)
                pending.append(edge.head)
    if not users.get(position):
        return "nothing here uses it"
    if cuts:
        return (
            f"none flows back through {', '.join(list(cuts)[:3])} (no derivative, a detached tensor, "
            "requires_grad=False or no_grad)"
        )
    return "none was computed"


def _stopped(
    drawing: Drawing,
    users: Mapping[int, list[Edge]],
    position: int,
    norms: Mapping[int, float],
    zeros: Callable[[int], bool],
) -> str:
    """The first op on the way to the result that still has a gradient, and so takes it."""
    seen = {position}
    pending = [position]
    for at in pending:  # grows while it is walked over
        for edge in users.get(at, ()):
            head = drawing.vertices[edge.head]
            if norms.get(edge.head):
                title = head.title.splitlines()[0]
                if head.op in _GATES and zeros(edge.head):
                    return f"{title!r} lets none through, as all it gives is 0"
                if edge.argument and zeros(_other(drawing, edge)):
                    return f"{title!r} multiplies it by 0"
                return f"{title!r} has one, and passes none on"
            if edge.head not in seen:
                seen.add(edge.head)
                pending.append(edge.head)
    return "it is 0 all the way from the result"


def _other(drawing: Drawing, edge: Edge) -> int:
    """What an op takes besides an argument; -1 if nothing."""
    return next((e.tail for e in drawing.edges if e.head == edge.head and e.tail != edge.tail), -1)


def from_arrays(drawing: Drawing, known: Known) -> dict[int, Finding]:
    """All that is wrong, from the arrays themselves."""
    found = not_finite(drawing, {p: count_of(v) for p, v in known.values.items()})
    if known.gradients:
        norms = {p: float(np.abs(g).max(initial=0)) for p, g in known.gradients.items()}
        found = dead(drawing, norms, lambda p: p in known.values and not known.values[p].any()) | found
    return found


def from_profile(drawing: Drawing, profile: Any) -> dict[int, Finding]:
    """All that is wrong, from the last step of a `tn.profile(values=True)`."""
    step = profile.steps[-1]
    by_number = {v.number: i for i, v in enumerate(drawing.vertices) if v.number and v.kind == "op"}
    found: dict[int, Finding] = {}
    norms: dict[int, float] = {}
    silent: set[int] = set()
    for record in step.records:
        position = by_number.get(record.number)
        if position is None:
            continue
        if record.born:
            found[position] = Finding("trouble", record.born)
        if record.gradient is not None:
            norms[position] = record.gradient.absmax
        if record.activation is not None and record.activation.absmax == 0:
            silent.add(position)
    for position, vertex in enumerate(drawing.vertices):
        if vertex.kind == "parameter" and vertex.number in step.leaves:
            norms[position] = step.leaves[vertex.number].absmax
    return (dead(drawing, norms, silent.__contains__) if norms else {}) | found
