"""An optimizer's rule as a graph: what becomes of a parameter and of what is kept of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import numpy as np

from tapenet.autodiff.creation import tensor
from tapenet.autodiff.observe.tape import Tape
from tapenet.autodiff.tensor import Tensor
from tapenet.drawing.model import UNKNOWN, Drawing, Edge, Vertex
from tapenet.drawing.sources.build import build
from tapenet.drawing.sources.names import Key, Name, note

#: The shape of the parameter: some rules are for matrices alone.
_SHAPE = (4, 3)


class Optimizer(Protocol):
    """What is asked of an optimizer, which this folder does not import."""

    rule: Callable[..., tuple[Tensor, dict[str, Tensor]]]
    defaults: Mapping[str, object]

    def shapes(self, options: dict[str, Any], shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]: ...
    def scalars(self, options: dict[str, Any], lr: float, step: int) -> dict[str, float]: ...


def of_rule(x: Optimizer | type[Optimizer]) -> Drawing:
    """The drawing of one update, from the rule that the class states. Numbers are written by their names.

    Raises:
        TypeError: it has no rule, or a class cannot be made without arguments.

    >>> from tapenet import optim
    >>> [vertex.title for vertex in of_rule(optim.SGD).vertices]
    ['g', 'lr ×', 'p', '−', '← p']
    """
    optimizer = _made(x) if isinstance(x, type) else x
    options: dict[str, Any] = {**optimizer.defaults, **vars(optimizer).get("groups", [{}])[0]}
    lr = options["lr"]
    scalars = optimizer.scalars(options, lr(0) if callable(lr) else lr, 1)
    names: dict[Key, Name] = {}

    def given(name: str, shape: tuple[int, ...]) -> Tensor:
        made = tensor(np.ones(shape), requires_grad=True)
        note(names, name, made, input=name != "p")
        return made

    p, g = given("p", _SHAPE), given("g", _SHAPE)
    state = {name: given(name, shape) for name, shape in optimizer.shapes(options, _SHAPE).items()}
    numbers: dict[str, Any] = {name: given(name, ()) for name in scalars}
    name = type(optimizer).__name__
    constants: dict[str, Any] = getattr(optimizer, "constants", lambda options: {})(options)
    try:
        with Tape(), np.errstate(all="ignore"):
            new, kept = optimizer.rule(p, g, dict(state), numbers | constants)
    except KeyError as error:
        raise TypeError(f"draw: {name}.rule asks for {error}, which neither states nor scalars have") from error
    except NotImplementedError:
        raise TypeError(
            f"draw: {name} states no rule for one parameter; drawn are optimizers with a rule, as SGD"
        ) from None
    results = {"p": new} | {title: value for title, value in kept.items() if value is not state[title]}
    return _with_names(build(results, names), set(scalars))


def caption_of(x: Optimizer | type[Optimizer]) -> str:
    """What its class says of the rule, before anything else."""
    kind = x if isinstance(x, type) else type(x)
    return " ".join((inspect.getdoc(kind) or kind.__name__).partition("\n\n")[0].replace("`", "").split())


def _made(kind: type[Optimizer]) -> Optimizer:
    try:
        needed = {"lr": 1e-3} if inspect.signature(kind).parameters["lr"].default is inspect.Parameter.empty else {}
        return cast("Callable[..., Optimizer]", kind)(**needed)
    except (TypeError, ValueError, KeyError):
        name = kind.__name__
        raise TypeError(
            f"draw: {name} needs arguments; give an object: tn.draw({name}(net.parameters(), ...))"
        ) from None


def _with_names(drawing: Drawing, numbers: set[str]) -> Drawing:
    """The drawing without shapes, with numbers in the labels of ops, and results as what is written."""
    vertices = [_named(vertex, numbers) for vertex in drawing.vertices]
    ways: dict[int, list[Edge]] = {}
    for i, edges in drawing.by("head").items():
        ways[i] = edges
        named = [edge for edge in edges if vertices[edge.tail].kind == "constant"]
        if vertices[i].round and len(edges) == 2 and len(named) == 1:
            name = vertices[named[0].tail].title
            name = f"({name})" if " " in name else name
            sign = vertices[i].title
            vertices[i] = vertices[i]._replace(title=f"{name} {sign}" if named[0] is edges[0] else f"{sign} {name}")
            ways[i] = [edge for edge in edges if edge is not named[0]]
    used = {edge.tail for edges in ways.values() for edge in edges}
    kept = [i for i in range(len(vertices)) if i in used or i in ways]
    new = {old: position for position, old in enumerate(kept)}
    made = [
        Edge(new[e.tail], new[i], UNKNOWN, None, e.argument, "update" if vertices[i].kind == "update" else "value")
        for i, edges in ways.items()
        for e in edges
    ]
    return drawing._replace(vertices=[vertices[i] for i in kept], edges=made)


def _named(vertex: Vertex, numbers: set[str]) -> Vertex:
    if vertex.kind == "op":
        return vertex._replace(details=vertex.details[1:])
    vertex = Vertex(vertex.kind, vertex.title)
    if vertex.kind == "output":
        return vertex._replace(kind="update", title=f"← {vertex.title}")
    return vertex._replace(kind="constant") if vertex.title in numbers else vertex
