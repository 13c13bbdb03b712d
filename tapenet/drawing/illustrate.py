"""Pictures for errors, in debug mode: where in the graph something went wrong."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tapenet.autodiff.node import Leaf, Node
from tapenet.autodiff.observe.anomaly import Anomaly
from tapenet.autodiff.observe.tape import Nodes
from tapenet.drawing.model import Drawing
from tapenet.drawing.passes.neighbourhood import neighbourhood
from tapenet.drawing.picture import Picture
from tapenet.drawing.sources.build import build, made
from tapenet.drawing.sources.names import variables
from tapenet.drawing.text import clean
from tapenet.locks import lock

#: How many a process draws: after these, somebody is not looking.
MOST = 20
#: How many ops the whole is made of that the picture is a part of. More would take time and show nothing.
_NEAR = 200

_lock = lock()
_numbers = itertools.count(1)


def illustrate(anomaly: Anomaly) -> str | None:
    """Draw the ops around an anomaly. Returns the path of the file, or None after `MOST` files.

    It is SVG. No file is ever overwritten.
    """
    with _lock:
        number = next(_numbers)
    if number > MOST:
        return None
    picture = Picture(scene(anomaly), title=clean(f"{anomaly.node.name}: {anomaly.reason}", 100))
    return str(_write(number, anomaly.node.name, picture.svg))


def scene(anomaly: Anomaly) -> Drawing:
    """The drawing for an anomaly: its op, marked, and the nearest other ops."""
    ops = _around(*_sources_and_users(anomaly))
    drawing = build(_Some(ops), variables())
    results = {made(root)[0].number for root in anomaly.roots}
    number = made(anomaly.node)[0].number
    shown = [vertex.number for vertex in drawing.vertices]
    at = shown.index(number)
    vertex = drawing.vertices[at]
    drawing.vertices[at] = vertex._replace(
        title=f"{vertex.title}\n{clean(anomaly.reason, 70)}", details=(anomaly.reason, *vertex.details), sign="trouble"
    )
    # Ops whose results go on outside, or nowhere, look as if these were asked for.
    edges = [e for e in drawing.edges if drawing.vertices[e.head].kind != "output" or shown[e.tail] in results]
    return neighbourhood(drawing._replace(edges=edges), [at])


class _Some(Nodes):
    """Some nodes, as a tape."""

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    def _nodes(self) -> list[Node]:
        return self.nodes


def _sources(node: Node) -> Iterator[Node]:
    """The ops and leaves that made the arguments of an op."""
    for value in node.inputs.values():
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(part, Node):
                yield made(part)[0]


def _sources_and_users(anomaly: Anomaly) -> tuple[Node, dict[Node, list[Node]]]:
    """The op concerned, and the ops that use each op, so far as they lead to the roots."""
    users: dict[Node, list[Node]] = {}
    stack = [made(root)[0] for root in anomaly.roots]
    seen = set(stack)
    while stack:
        node = stack.pop()
        for source in _sources(node):
            users.setdefault(source, []).append(node)
            if source not in seen:
                seen.add(source)
                stack.append(source)
    return made(anomaly.node)[0], users


def _around(node: Node, users: dict[Node, list[Node]]) -> list[Node]:
    """The nearest ops, in order of creation."""
    kept = [node]
    seen = {node}
    for at in kept:  # grows while it is walked over
        if len(kept) >= _NEAR:
            break
        for other in (*_sources(at), *users.get(at, ())):
            if other not in seen and type(other) is not Leaf:
                seen.add(other)
                kept.append(other)
    return sorted(kept, key=lambda n: n.number)


def _write(first: int, name: str, svg: str) -> Path:
    """Write a file that was not there before."""
    word = re.sub(r"[^A-Za-z0-9_]+", "-", name)[:40].strip("-") or "op"
    folder = _folder()
    for number in itertools.count(first):
        path = folder / f"tapenet-debug-{number}-{word}.svg"
        try:
            with open(path, "x", encoding="utf-8", newline="\n") as file:
                file.write(svg)
            return path
        except FileExistsError:
            continue
    raise AssertionError


def _folder() -> Path:
    named = os.environ.get("TAPENET_DEBUG_DIR")
    if named:
        os.makedirs(named, exist_ok=True)
        return Path(named)
    return Path() if os.access(os.curdir, os.W_OK) else Path(tempfile.gettempdir())
