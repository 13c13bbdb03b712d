"""A toy replayer: runs a captured tape again on other data. What the compiler will do properly."""

from __future__ import annotations

from typing import Any

from tapenet import Tensor
from tapenet.autodiff.tape import Capture, Node, Output, Traced


class Replay:
    """Runs the ops of a capture in order. `inputs` are the tensors whose values each run replaces; all other tensors
    from outside (parameters, optimizer state) are read and written where they are."""

    def __init__(self, tape: Capture, inputs: list[Tensor], result: Tensor) -> None:
        self.nodes = list(tape.nodes)
        self.inputs = inputs
        self.result = result.node

    def __call__(self, *data: Any) -> Any:
        given = dict(zip(map(id, self.inputs), data, strict=True))
        returned: dict[Node, tuple[Any, ...]] = {}

        def resolve(value: Any) -> Any:
            if isinstance(value, Traced):
                if value.node is not None:
                    return returned[value.node][0]
                return given.get(id(value.tensor), value.tensor._data)
            if isinstance(value, (list, tuple)):
                return type(value)(resolve(v) for v in value)
            return value

        for node in self.nodes:
            if isinstance(node, Output):
                returned[node] = (returned[node.source_node][node.index],)
                continue
            op = node.op
            args = {name: resolve(value) for name, value in node.call.items()}
            positional = [args[a.name] for a in op.arguments if not a.keyword_only]
            keyword = {a.name: args[a.name] for a in op.arguments if a.keyword_only}
            out = op.forward(*positional, **keyword)
            returned[node] = out if isinstance(out, tuple) else (out,)
        return returned[self.result][0]
