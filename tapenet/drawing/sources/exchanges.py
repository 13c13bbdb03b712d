"""Where a recorded graph exchanges arrays with other ranks."""

from __future__ import annotations

from collections.abc import Mapping

from tapenet.autodiff.node import Node
from tapenet.drawing.model import RECV, SEND
from tapenet.drawing.passes.ranks import Exchange
from tapenet.drawing.sources.names import Key

_MODULE = "tapenet.parallel"
#: The options that name the other rank.
_PEERS = {SEND: "to", RECV: "source"}


def exchanges(places: Mapping[Key, int]) -> list[Exchange]:
    """The exchanges of a graph in their order.

    Args:
        places: where the nodes of the graph are in its drawing, as `build` fills it.
    """
    found = {}
    for node, position in places.items():
        if isinstance(node, Node) and getattr(node.op, "module", "").startswith(_MODULE):
            peer = node.options[_PEERS[node.op.name]] if node.op.name in _PEERS else None
            found[node.number] = Exchange(position, node.op.name, None if peer is None else int(str(peer)))
    return [found[number] for number in sorted(found)]
