"""The numbers of a graph, where they are at hand: on a tape, and in what was run to be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff import backward as driver
from tapenet.autodiff.tape import Leaf, Node, Traced
from tapenet.autodiff.tensor import Tensor

Array = np.ndarray[Any, Any]


class Known(NamedTuple):
    """Arrays by position of a vertex.

    Attributes:
        values: what a vertex holds or gives.
        gradients: the gradient by that.
    """

    values: dict[int, Array]
    gradients: dict[int, Array]


def values_on(nodes: Iterable[Node], results: Iterable[Tensor] = ()) -> dict[Any, Array]:
    """The arrays that a tape's nodes were given or gave: by the node that made them, else by their `id`."""
    found: dict[Any, Array] = {}
    for traced in _traced(nodes):
        node = traced.node if traced.node is not None else traced.tensor.node
        found[id(traced.data) if node is None else node] = traced.data
        found.setdefault(id(traced.data), traced.data)
    for tensor in results:
        if tensor.node is not None:
            found[tensor.node] = tensor.numpy()
    return found


def gradients_on(nodes: Iterable[Node], results: Iterable[Tensor]) -> dict[Any, Array]:
    """The gradient of the sum of the results by everything on a tape, by node. No `.grad` is changed by it."""
    nodes = list(nodes)
    found: dict[Any, Array] = {}
    watched = [node for node in nodes if type(node.shape) is tuple and node.op.outputs == 1]
    leaves = {t.tensor._node for t in _traced(nodes) if type(t.tensor._node) is Leaf}
    before = {leaf: leaf.grad for leaf in leaves}
    hooks_existed = driver.hooks_exist
    try:
        for leaf in leaves:
            leaf.grad = None
        for node in watched:
            driver.add_hook(node, id(found), partial(_add, found, node))
        for result in results:
            if result.requires_grad:
                result.backward(np.ones(result.shape, result.dtype), retain_graph=True)
        found |= {leaf: leaf.grad.numpy() for leaf in leaves if leaf.grad is not None}
    finally:
        for node in watched:
            driver.hooks.pop(node, None)
        driver.hooks_exist = hooks_existed
        for leaf, grad in before.items():
            leaf.grad = grad
    return found


def placed(places: Mapping[Any, int], values: Mapping[Any, Array], gradients: Mapping[Any, Array]) -> Known:
    """Arrays by position in a drawing, from arrays by node or `id` and where these are."""
    return Known(
        {place: values[key] for key, place in places.items() if key in values},
        {place: gradients[key] for key, place in places.items() if key in gradients},
    )


def _add(found: dict[Any, Array], node: Node, g: Tensor) -> None:
    found[node] = found[node] + g.numpy() if node in found else g.numpy().copy()


def _traced(nodes: Iterable[Node]) -> Iterator[Traced]:
    for node in nodes:
        for value in (node.call or {}).values():
            if type(value) is Traced:
                yield value
            elif type(value) in (list, tuple):
                yield from (v for v in value if type(v) is Traced)
