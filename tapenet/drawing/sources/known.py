"""The numbers of a graph, where they are known: on a tape, and in a call that was run to be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from tapenet.autodiff import backward as driver
from tapenet.autodiff.node import Node, Traced, add_hook, remove_hook
from tapenet.autodiff.tensor import Tensor
from tapenet.drawing.sources.names import Key, key_of
from tapenet.typing import Array

#: Of our hooks, among those that a function itself may have set.
_KEY = -1


class Known(NamedTuple):
    """Arrays by position of a vertex.

    Attributes:
        values: what a vertex holds or gives.
        gradients: the gradient by that.
    """

    values: dict[int, Array]
    gradients: dict[int, Array]


def values_on(nodes: Iterable[Node], results: Iterable[Tensor] = ()) -> dict[Key, Array]:
    """The arguments and results of a tape's nodes: by the node that made them, else by which they are."""
    found: dict[Key, Array] = {}
    for value in _given(nodes):
        if type(value) is Traced:
            node = value.node if value.node is not None else value.tensor.node
            found[key_of(value.data) if node is None else node] = value.data
            found.setdefault(key_of(value.data), value.data)
        elif type(value) is np.ndarray:
            found[key_of(value)] = value
    for tensor in results:
        if tensor.node is not None:
            found[tensor.node] = tensor.numpy()
    return found


def gradients_on(nodes: Iterable[Node], results: Iterable[Tensor]) -> dict[Key, Array]:
    """The gradient of the sum of the results by everything on a tape, by node. No `.grad` is changed by it."""
    found: dict[Key, Array] = {}
    watched = [node for node in nodes if type(node.shape) is tuple and node.op.outputs == 1]
    seeds = [(r._node, np.ones(r.shape, r.dtype)) for r in results if r._node is not None]
    try:
        for node in watched:
            add_hook(node, _KEY, partial(_note, found, node))
        found |= driver.run(seeds, tensor=Tensor, release=False)
    finally:
        for node in watched:
            remove_hook(node, _KEY)
    return found


def placed(places: Mapping[Key, int], values: Mapping[Key, Array], gradients: Mapping[Key, Array]) -> Known:
    """Arrays by position in a drawing, from arrays by key and where these are."""
    return Known(
        {place: values[key] for key, place in places.items() if key in values},
        {place: gradients[key] for key, place in places.items() if key in gradients},
    )


def _note(found: dict[Key, Array], node: Node, g: Tensor) -> None:
    found[node] = g.numpy()


def _given(nodes: Iterable[Node]) -> Iterator[object]:
    """All that the ops were given, the elements of sequences one by one."""
    for node in nodes:
        for value in (node.call or {}).values():
            if type(value) in (list, tuple):
                yield from value
            else:
                yield value
