"""A drawing as JSON, for other programs and for the HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex

#: Rises when a reader of the old form would misread the new one.
SCHEMA = "tapenet.drawing/1"


def to_data(drawing: Drawing) -> dict[str, object]:
    """A drawing as numbers, strings, lists and dicts, as `json.dump` takes them.

    What is empty, None, 0 or false is left out, and so is a `count` of 1; a reader takes the default. The fields:

    - `schema`: "tapenet.drawing/1".
    - `shapes`: where shapes are written: "box", or null for nowhere; left out for at the edges.
    - `vertices`: a list; a vertex is known by its position in it. Each has `kind` ("op", "parameter", "input", "constant",
      "output", "module", "update"), `title` (a line break separates what was folded into one box), `value`
      ([shape, dtype]), `parameters`, `details` (lines of text), `cluster` (a position), `op`, `number` (which of the
      recorded it was, from 1), `line` ("file:line"), `count`, `members` (positions in the drawing that this one was
      folded from), `fill` ("#rrggbb"), `sign` ("trouble", "dead", "added", "removed", "changed"),
      `card` (further lines: settings and sizes of a layer, parameters in the box) and `training` (what training does to
      these: a line).
    - `edges`: a list; each has `tail` and `head` (positions of vertices), `value` ([shape, dtype]), `result` (which of
      several results of its tail), `argument`, `flow` ("gradient", "update", "carry", "exchange" or "order"; left out for a
      value), `differentiable`, `arrays` (how many are drawn as one), `skip`, `sign`, `broken` (a gradient would flow
      back, had the user not cut it off) and `stretched` (the shape that broadcasting gives it).
    - `clusters`: a list, a parent before its children; each has `name`, `type`, `path`, `parent` (a position), `depth`,
      `parameters`, `around` ("repeat", "kernel", "transform" or "rank"; left out for a module), `count`, `parallel` (no
      repetition uses what another gives), `card` (lines that a folded module shows), `training` (another one: what training
      does to what it learns), `totals` (what all of an outermost module takes, in words), `layer` (it is always drawn as one
      box), `sign`, `fill`, `variable` (what the code that draws calls an outermost module) and `each` (how many numbers each
      repetition learns).
    - `ops`: by name of an op, its `formula` and `gradients` (by input).

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> data = to_data(tn.draw((x * x).sum()).drawing)
    >>> data["vertices"][0]["kind"], data["vertices"][0]["value"]
    ('parameter', [[2], 'f64'])
    """
    # The numbers of nodes go on through a process; counted anew, the same graph gives the same data.
    numbers = sorted({v.number for v in drawing.vertices} - {0})
    count = {0: 0} | {number: i for i, number in enumerate(numbers, 1)}
    return {
        "schema": SCHEMA,
        **({} if drawing.shapes == "edge" else {"shapes": drawing.shapes}),
        "vertices": [_vertex(v._replace(number=count[v.number])) for v in drawing.vertices],
        "edges": [_edge(e) for e in drawing.edges],
        "clusters": [_cluster(c) for c in drawing.clusters],
        "ops": {name: {"formula": e.formula, "gradients": e.gradients} for name, e in drawing.ops.items()},
    }


def _vertex(vertex: Vertex) -> dict[str, object]:
    return _without_defaults(vertex._asdict() | {"value": _value(vertex.value)}, {"count": 1}, ("kind", "title"))


def _edge(edge: Edge) -> dict[str, object]:
    found = edge._asdict() | {"value": _value(edge.value)}
    kept = ("tail", "head") if edge.result is None else ("tail", "head", "result")
    return _without_defaults(found, {"flow": "value", "arrays": 1}, kept)


def _cluster(cluster: Cluster) -> dict[str, object]:
    kept = ("name", "type") if cluster.parent is None else ("name", "type", "parent")
    return _without_defaults(cluster._asdict(), {"count": 1, "around": "module"}, kept)


def _value(value: Value | None) -> object:
    return None if value is None else [list(value.shape), value.dtype]


def _without_defaults(
    fields: Mapping[str, object], defaults: Mapping[str, object], kept: Sequence[str]
) -> dict[str, object]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in fields.items()
        if name in kept or (value != defaults[name] if name in defaults else not _empty(name, value))
    }


def _empty(name: str, value: object) -> bool:
    if name == "cluster":
        return value is None  # the first one is 0
    return value is None or value is False or value in ("", 0, (), [])
