"""Tapes: a view of the nodes that are alive, and a scope that records everything."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Self

from tapenet.autodiff.node import Constant, Leaf, Node, Scope, Traced
from tapenet.autodiff.observe.layer import CallStep, Layer
from tapenet.autodiff.record import Call, trace
from tapenet.autodiff.state import enter, leave, local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.stack_frames import user_line


class Nodes:
    """What the two kinds of tape share: a length, iteration in order of creation, and a table as repr."""

    def _nodes(self) -> list[Node]:
        """The nodes in order of creation. Each kind of tape has its own way."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._nodes())

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return table(self._nodes(), type(self).__name__)


class ThreadTape(Nodes):
    """A thread's own tape. It watches the nodes that are alive and owns none of them.

    Watching costs nothing while recording: the nodes are found among the collector's objects when asked for.
    """

    def __init__(self, scope: Scope) -> None:
        #: The thread's outermost scope.
        self._root = scope.root

    def _nodes(self) -> list[Node]:
        # isinstance would ask the object itself
        found = [o for o in gc.get_objects() if issubclass(type(o), Node) and type(o) is not Leaf and self._has(o)]
        return sorted(found, key=lambda n: n.number)

    def _has(self, node: Node) -> bool:
        scope = getattr(node, "scope", None)  # unset while another thread is still making the node
        return scope is not None and scope.tape is None and scope.root is self._root


class Tape(Nodes, Layer):
    """A scope that records every operation on tensors, needed for a gradient or not, and keeps the nodes.

    Entered as a context manager; may be entered again and then goes on. Nodes recorded inside an inner tape
    belong to the inner one. Values are kept alive as long as the tape is.

    >>> import tapenet as tn
    >>> with tn.Tape() as tape:
    ...     y = tn.exp(tn.tensor([1.0, 2.0])).sum()
    >>> [node.name for node in tape]
    ['exp', 'sum']
    """

    rank = 1

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        #: Tensors from outside that were written, with what an outer tape knew of them, by id.
        self._touched: dict[int, tuple[Tensor, Node | None]] = {}

    def _nodes(self) -> list[Node]:
        return self.nodes

    def call(self, step: CallStep) -> CallStep:
        """Keep the node of each call, with all arguments, also where no gradient flows."""

        def traced(call: Call) -> object:
            op = call.op
            call.full = True
            # Of ops without any input only a program is made: numbers of the host, draws. Elsewhere they are plain arrays.
            call.keeps = (op.effect or op.random) and (bool(op.inputs) or self.captures)
            kept = trace if op.effect else self.traced  # an effect may be on what it is given
            arguments = {name: kept(value) for name, value in call.bound.items()}
            result = step(call)
            node = call.node
            if node is not None:
                node.note(call=arguments)
                self.nodes += [node, *call.picks]
                nodes = call.picks or [node][: len(call.outputs)]  # a loop may give nothing
                for tensor, made in zip(call.outputs, nodes, strict=True):
                    tensor._trace = made
            return result

        return traced

    def traced(self, value: object) -> object:
        """An argument as a node keeps it."""
        return trace(value)

    def records(self, node: Node) -> None:
        self.nodes.append(node)

    def touch(self, tensor: Tensor) -> None:
        """Remember a tensor whose value this tape is about to write; `exit` makes it ordinary again."""
        self._touched.setdefault(id(tensor), (tensor, tensor._trace))

    def __enter__(self) -> Self:
        state = local.state
        if state.tape is not None and state.tape.captures and not self.captures:
            raise CaptureError(
                f"{user_line()} enters a tn.Tape() while a step is being captured, which would lose what is recorded "
                "inside: leave the inner tape out, or use it around the call of the captured function"
            )
        switches: dict[str, object] = {"layers": state.layered(Tape, self)}
        if self.captures and state.profile is not None:
            # A profile has a captured step as one row: what is recorded for it is no work of the step's.
            switches = {"layers": tuple(each for each in state.layered(Tape, self) if each.rank <= 2), "profile": None}
        enter(self, tape=self, scope=Scope(None, state.scope, self), **switches)
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            leave(self)
        except BaseException:  # an interrupt
            leave(self)
            raise
        nested = local.state.tape is not None and local.state.tape.captures
        for tensor, node in self._touched.values():
            tensor._trace = node if nested else None
        self._touched.clear()


class CaptureError(RuntimeError):
    """A recorded value was asked for its number, or something happened that a replay could not repeat.

    The capture that is running fails in the end, also if the captured function catches the error.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        if local.state.tape is not None:
            local.state.tape.fails(str(self))


def tape() -> Nodes:
    """This thread's tape: the innermost `tn.Tape()` scope, else the thread's own, which watches live nodes.

    It has a length, iterates over its nodes in order of creation, and its repr is a table.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> y = (x * 3).sum()
    >>> [node.name for node in tn.tape()][-2:]
    ['multiply', 'sum']
    """
    state = local.state
    if state.tape is not None:
        found: Tape = state.tape
        return found
    if state.view is None:
        state.view = ThreadTape(state.scope)
    view: ThreadTape = state.view
    return view


# -- words for people --------------------------------------------------------------------------------------------


def table(nodes: list[Node], title: str, limit: int = 60) -> str:
    """A readable table of nodes: number, op, output, module path, and where the inputs come from."""
    rows = [("#", "op", "output", "module", "inputs")]
    shown = nodes if len(nodes) <= limit else [*nodes[: limit // 2], *nodes[-limit // 2 :]]
    for i, node in enumerate(shown):
        if len(nodes) > limit and i == limit // 2:
            rows.append(("...", f"({len(nodes) - limit} more)", "", "", ""))
        inputs = ", ".join(f"{n}={_short(v)}" for n, v in node.inputs.items())
        rows.append((str(node.number), node.name, node.spec, node.path, inputs))
    widths = [max(len(r[i]) for r in rows) for i in range(4)]
    lines = ["  ".join([*(c.ljust(w) for c, w in zip(r, widths, strict=False)), r[4]]).rstrip() for r in rows]
    return "\n".join([f"{title} of {len(nodes)} nodes", *(lines if nodes else [])])


def _short(value: object) -> str:
    if isinstance(value, Leaf):
        return f"leaf {value.spec}"
    if isinstance(value, Node):
        return f"#{value.number}"
    if isinstance(value, Traced):
        return f"tensor {value.tensor.dtype} {value.tensor.shape}"
    if isinstance(value, Constant):
        return f"{value.dtype} {value.shape}"
    if isinstance(value, list) or (isinstance(value, tuple) and any(isinstance(v, Constant) for v in value)):
        return "[" + ", ".join(_short(v) for v in value) + "]"
    text = repr(value)
    return text if len(text) <= 20 else text[:17] + "..."
