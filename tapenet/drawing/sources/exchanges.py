"""Where a recorded graph, or a compiled program, exchanges arrays with other ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tapenet.autodiff.node import Node
from tapenet.drawing.model import RECV, SEND
from tapenet.drawing.passes.ranks import Exchange
from tapenet.drawing.sources.names import Key
from tapenet.drawing.sources.program_labels import op_of, option
from tapenet.ops.op import Op
from tapenet.program.ir import Instruction

_MODULE = "tapenet.parallel"
#: The options that name the other rank.
_PEERS = {SEND: "to", RECV: "source"}


def exchanges(places: Mapping[Key, int]) -> list[Exchange]:
    """The exchanges of a graph in their order.

    Args:
        places: where the nodes of the graph are in its drawing, as `build` fills it.
    """
    found = {
        node.number: _exchange(position, node.op, node.options)
        for node, position in places.items()
        if isinstance(node, Node) and isinstance(node.op, Op) and _is_one(node.op)
    }
    return [found[number] for number in sorted(found)]


def in_program(places: Mapping[Instruction, int]) -> Iterator[Exchange]:
    """The exchanges of a program, in the order in which it is drawn.

    Args:
        places: where its instructions are in its drawing, as `of_compiled` fills it.
    """
    for instruction, position in places.items():
        op = op_of(instruction)
        if op is not None and _is_one(op):
            peer = _PEERS.get(op.name)
            yield _exchange(position, op, {} if peer is None else {peer: option(instruction, peer)})


def _is_one(op: Op) -> bool:
    return op.module.startswith(_MODULE) and op.effect


def _exchange(position: int, op: Op, options: Mapping[str, object]) -> Exchange:
    peer = _PEERS.get(op.name)
    return Exchange(position, op.name, None if peer is None else int(str(options[peer])))
