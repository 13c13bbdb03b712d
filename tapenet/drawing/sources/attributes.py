"""A module as it is made, before it is given anything: its parts in the order of its attributes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

from tapenet.autodiff.tensor import Tensor
from tapenet.drawing.late import is_a
from tapenet.drawing.model import UNKNOWN, Cluster, Drawing, Edge, Vertex
from tapenet.drawing.sources.labels import value_of
from tapenet.drawing.sources.names import Key, Module, Name, card_of
from tapenet.drawing.sources.totals import totals

_NOTHING: Mapping[Key, Name] = {}
#: Where a word of a class's name ends: in `BatchNorm2d`, not in `ReLU`.
_WORDS = re.compile("(?<=[a-z])(?=[A-Z][a-z])")


def of_module(module: Module, names: Mapping[Key, Name] = _NOTHING) -> Drawing:
    """The drawing of a module without arguments.

    A module with none below it is an op with its parameters. Arrows lead from one module of a `Sequential` to the next.
    What other modules do with theirs only their code says: these stand in order, without arrows.

    Args:
        module: any.
        names: what the user calls things.

    >>> from tapenet import nn
    >>> [vertex.title for vertex in of_module(nn.Sequential(nn.Linear(2, 3), nn.ReLU())).vertices]
    ['weight', 'bias', 'Linear', 'ReLU']
    """
    modules = dict(module.named_modules(remove_duplicate=False))
    vertices: list[Vertex] = []
    edges: list[Edge] = []
    clusters: list[Cluster] = []
    positions = {path: i for i, path in enumerate(modules)}
    below: dict[str, list[str]] = {path: [] for path in modules}
    first: dict[str, int] = {}  # by path of a module: the first op in it, and the last
    last: dict[str, int] = {}
    for path in list(modules)[1:]:
        below[_around(path, modules)].append(path)
    drawn: dict[int, int] = {}  # by id of a parameter
    held: dict[str, list[int]] = {path: [] for path in modules}
    given: dict[str, list[tuple[str, Tensor]]] = {}
    for path, parameter in module.named_parameters(remove_duplicate=False):
        given.setdefault(_around(path, modules), []).append((path, parameter))
    for path, part in modules.items():
        name, outer = path, None
        if path:
            around = _around(path, modules)
            outer = positions[around]
            name = path.removeprefix(f"{around}.")
        kind = type(part).__name__
        own = {id(p): p for p in part.parameters()}.values()
        variable = names[id(part)].text if not path and id(part) in names else ""
        clusters.append(
            Cluster(
                name,
                kind,
                path,
                outer,
                0 if outer is None else clusters[outer].depth + 1,
                sum(p.size for p in own),
                card=card_of(part),
                variable=variable,
                totals="" if path or not own else totals(sum(p.size for p in own), 0, sum(p.nbytes for p in own)),
            )
        )
        for place, parameter in given.get(path, ()):
            if id(parameter) not in drawn:
                drawn[id(parameter)] = len(vertices)
                spec, number = value_of(parameter), 0 if parameter.node is None else parameter.node.number
                title = place.removeprefix(f"{path}.")
                told = (place, str(spec))
                vertices.append(Vertex("parameter", title, spec, parameter.size, told, positions[path], number=number))
            held[path].append(drawn[id(parameter)])
        if below[path]:
            continue
        title = kind if not name or name.isdecimal() or own else f"{name} · {kind}"
        op = _WORDS.sub("_", kind).lower()
        for position in held[path]:
            value = vertices[position].value
            assert value is not None
            edges.append(Edge(position, len(vertices), value, broken=not vertices[position].number))
        at: str | None = path
        while at is not None:
            first.setdefault(at, len(vertices))
            last[at] = len(vertices)
            at = _around(at, modules) if at else None
        details = (f"{kind}({part.extra_repr()})", f"in {clusters[-1].place}" if path else "")
        vertices.append(Vertex("op", title, details=tuple(filter(None, details)), cluster=positions[path], op=op))
    for path, parts in below.items():
        chain = is_a(modules[path], "nn.containers", "Sequential")
        for a, b in itertools.pairwise(parts):
            edges.append(Edge(last[a], first[b], UNKNOWN, flow="value" if chain else "order"))
        if parts:
            edges += [Edge(position, first[path], UNKNOWN, flow="order") for position in held[path]]
    return Drawing(vertices, edges, clusters, {})


def _around(path: str, modules: Mapping[str, Module]) -> str:
    """The path of the module that holds what has a path; lists and dicts may be between them."""
    while path:
        path = path.rpartition(".")[0]
        if path in modules:
            break
    return path
