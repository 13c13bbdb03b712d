"""What a function did while a step is captured, to be recorded once more on other tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tapenet import ops
from tapenet.autodiff.backward import value_of
from tapenet.autodiff.control.body import bodies, draws
from tapenet.autodiff.control.replay import DRAWN, drawn_op, output
from tapenet.autodiff.node import Node, Output, Traced
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op
from tapenet.program.arguments import elements, refilled
from tapenet.typing import Array


class _Outside:
    """The place of a value from outside; `flows`: whether a gradient flows to it."""

    __slots__ = ("flows", "number")

    def __init__(self, number: int, flows: bool) -> None:
        self.number = number
        self.flows = flows


class _Inside:
    """A value that an op gave: the op's place, which of its outputs."""

    __slots__ = ("flows", "place", "which")

    def __init__(self, place: int, which: int, flows: bool) -> None:
        self.place = place
        self.which = which
        self.flows = flows


class _Sequence(NamedTuple):
    """A list or tuple with values inside."""

    like: Sequence[object]
    parts: list[object]


class _Step(NamedTuple):
    """An op with its arguments.

    Attributes:
        op: what is called; None where what it gave is all that is needed.
        args: its arguments by name.
        kept: what it gave and is kept, by output: places among the others.
        drawn: whether that is what it drew, all of it.
    """

    op: Op | None
    args: dict[str, object]
    kept: dict[int, int]
    drawn: bool


class Recording:
    """What a function did, as a function of all that it was computed from.

    Attributes:
        inputs: the values from outside that a gradient flows to.
        others: those to which none does, and what is kept.
        drawn: the places among the others of what random ops gave.
    """

    def __init__(
        self, keeps: Callable[[Op], bool] | None, capture: Capture, first: int, made: Sequence[Tensor]
    ) -> None:
        """Read what was recorded.

        Args:
            keeps: of an op, whether its results are kept.
            capture: where the ops were recorded, those from node number `first` on.
            made: what the function returned.
        """
        self.inputs: list[Tensor] = []
        self.others: list[Tensor] = []
        nodes = capture.nodes[first:]
        results = [Traced(t, t._trace, t._data) for t in made]
        sources = [node for node in nodes if not isinstance(node, Output)]
        work = _Reading(self, {node: i for i, node in enumerate(sources)}, capture)
        work.note([node.call or {} for node in sources])
        work.note(results)
        drawn: dict[Node, dict[int, int]] = {}
        for node, which, data in draws(nodes, results):
            drawn.setdefault(node, {})[which] = work.keep(node, which, data)
        self._steps = [work.step(node, drawn.get(node), keeps is not None and keeps(node.op)) for node in sources]
        self.drawn = {number for step in self._steps if step.drawn for number in step.kept.values()}
        self._results = [work.reference(r, t._node) for r, t in zip(results, made, strict=True)]

    def release(self) -> None:
        """Hold no tensor any more."""
        self.inputs, self.others = [], []

    def again(self, inputs: Sequence[Tensor], others: Sequence[Tensor]) -> list[Tensor]:
        """Call the ops on other tensors: what the function returns then."""
        values: list[dict[int, Tensor]] = []

        def look_up(part: object) -> Any:
            if type(part) is _Outside:
                return (inputs if part.flows else others)[part.number]
            if type(part) is _Inside:
                t = _output(self._steps[part.place].op, values[part.place], part.which)
                return t if part.flows else t.detach()
            if type(part) is _Sequence:
                return refilled(part.like, [look_up(p) for p in part.parts])
            return part

        for op, args, kept, drawn in self._steps:
            given = {which: others[number] for which, number in kept.items()}
            if op is None:
                values.append(given)
                continue
            called = {name: look_up(part) for name, part in args.items()}
            if drawn:
                called[DRAWN] = [given[i] for i in range(len(given))]
                op, given = drawn_op(op), {}
            out = op.apply(op, called)
            outs = dict(enumerate(out if isinstance(out, tuple) else (out,)))
            for which, t in given.items():  # what is kept is the value, of the new node
                outs[which] = Tensor._of(t._data, outs[which]._node, t._trace)
            values.append(outs)
        return [look_up(r) for r in self._results]


class _Reading:
    """The work of reading what was recorded."""

    def __init__(self, recording: Recording, places: dict[Node, int], capture: Capture) -> None:
        self.recording = recording
        self.places = places
        self.capture = capture
        self.outside: dict[object, _Outside] = {}
        #: Each value that is read, by op and output.
        self.read: dict[tuple[Node, int], Traced] = {}

    def note(self, value: object) -> None:
        """Note the values that are read."""
        for leaf in elements(value, Traced):
            if isinstance(leaf, Traced) and leaf.node is not None:
                self.read[output(leaf.node)] = leaf

    def keep(self, node: Node, which: int, data: Array) -> int:
        """Keep what an op gave. Its place among the others."""
        found = self.read.get((node, which))
        if found is not None:
            trace = found.node
        elif node.op.outputs == 1 and not which:
            trace = node
        else:  # what only a rule reads
            trace = Output(node, which, data)
            self.capture.records(trace)
        self.recording.others.append(Tensor._of(data, None, trace))
        return len(self.recording.others) - 1

    def step(self, node: Node, drawn: dict[int, int] | None, kept: bool) -> _Step:
        """An op that is recorded once more, or what it gave where that is all that is needed."""
        call = node.call or {}
        effects = node.op.alters and (not bodies(node) or any(body.effects for body in bodies(node)))
        if drawn is not None and node.parents:
            return _Step(node.op, self._arguments(node, call), drawn, True)
        if drawn is not None:
            return _Step(None, {}, drawn, False)
        given: dict[int, int] = {}
        if effects or kept:
            read = [(which, t.data) for (source, which), t in self.read.items() if source is node]
            count = node.op.outputs or len(node.shape)
            given = {which: self.keep(node, which, data) for which, data in read if which < count}
        return _Step(None if effects else node.op, {} if effects else self._arguments(node, call), given, False)

    def _arguments(self, node: Node, call: dict[str, object]) -> dict[str, object]:
        return {
            name: self.reference(value, getattr(node, name + "_node", None) if name in node.op.differentiable else None)
            for name, value in call.items()
        }

    def reference(self, value: object, parent: Any) -> object:
        """An argument, with the places of values; `parent` is what its gradient flows to."""
        if isinstance(value, Traced):
            if value.node is not None:
                source, which = output(value.node)
                if source in self.places:
                    return _Inside(self.places[source], which, parent is not None)
            return self._enter(value, parent)
        if isinstance(value, (list, tuple)) and value:
            parents = [None] * len(value) if parent is None else parent
            parts = [self.reference(v, p) for v, p in zip(value, parents, strict=True)]
            if any(type(p) in (_Inside, _Outside, _Sequence) for p in parts):
                return _Sequence(refilled(value, parts), parts)  # which holds no tensor
        return value

    def _enter(self, value: Traced, parent: Node | None) -> _Outside:
        key = id(value.data), value.node, parent  # two arguments may have one array at one call alone
        if key not in self.outside:
            tensor = value.tensor
            same = tensor._data is value.data and tensor._trace is value.node and tensor._node is parent
            entered = tensor if same else Tensor._of(value.data, parent, value.node)
            into = self.recording.others if parent is None else self.recording.inputs
            self.outside[key] = _Outside(len(into), parent is not None)
            into.append(entered)
        return self.outside[key]


def _output(op: Op | None, outs: dict[int, Tensor], which: int) -> Tensor:
    """An output of an op that was recorded again, or a residual."""
    if which not in outs:
        assert op is not None
        made: Any = outs[0]._node or outs[0]._trace
        name = op.residuals[which - (op.outputs or 0)]
        found = value_of(made.source_node if isinstance(made, Output) else made, name, Tensor)
        outs[which] = found if isinstance(found, Tensor) else Tensor._of(found)
    return outs[which]


def end(t: Tensor) -> Tensor:
    """A tensor at which gradients end, connected with what it was where a further derivative is wanted."""
    made: Tensor = ops.alias(t) if local.state.grad and t._node is not None else t.detach()._require()
    return made
