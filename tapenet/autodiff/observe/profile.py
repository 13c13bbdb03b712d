"""What a profile is told while a step runs: when each op, each gradient rule and each optimizer began and ended.

All of it goes into one flat list, since every object more and every call more would show in the time of a small step.
`tapenet.profiling` makes sense of the list when somebody asks. Nodes are not kept: they would hold what they saved.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.node import Constant, Node, Parents, Traced, constant, described
from tapenet.autodiff.observe.layer import CallStep, Layer, PullStep
from tapenet.autodiff.record import Call
from tapenet.autodiff.state import local
from tapenet.ops.op import Op
from tapenet.typing import Array

#: How many items every entry of an op has before its facts.
HEAD = 7
#: First items of entries of nothing that ran.
END, PICK = "end", "pick"


class Timing(list[Any], Layer):
    """What happened in the blocks of a profile, in order. An entry is several items, told by the first:

    - an Op: it ran. Number of its node (None where nothing was recorded), scope, shape and dtype of the output, when its
      forward began and ended (None if that was before the block), and the op's `facts`;
    - the number of a node: its rules ran. When they began and ended;
    - a name: the same of anything else that takes time;
    - PICK: one result of an op with several. Its number, the op's, and which it is;
    - END: a block ended. When it began and ended.

    What ran inside of something has its entry before it.
    """

    __slots__ = ("_block", "_older", "bound", "first")
    rank = 4

    def __init__(self) -> None:
        #: Nodes with lower numbers were made before the block.
        self.first = 0
        #: Whether an entry holds a scope that keeps a tape and all its values alive.
        self.bound = False
        #: The numbers of older nodes that have an entry in the block that `first` was when they got it.
        self._older: set[int] = set()
        self._block = 0

    def call(self, step: CallStep) -> CallStep:
        def timed(call: Call) -> object:
            forward, start, stop = call.forward, 0.0, 0.0

            def clocked(values: Mapping[str, object]) -> list[Array]:
                nonlocal start, stop
                start = perf_counter()
                results = forward(values)
                stop = perf_counter()
                return results

            call.forward = clocked
            result = step(call)
            if call.arrays:
                self._ran(call, start, stop)
            return result

        return timed

    def _ran(self, call: Call, start: float, stop: float) -> None:
        """Enter an op that ran."""
        state, op, node = local.state, call.op, call.node
        self.bound |= state.tape is not None
        outs = call.arrays[: call.count]
        one = op.outputs == 1
        shape = outs[0].shape if one else tuple(a.shape for a in outs)
        dtype = outs[0].dtype if one else tuple(a.dtype for a in outs)
        residuals = dict(zip(op.residuals, call.arrays[call.count :], strict=True))
        found = [_fact(f, call.raw, {} if node is None else call.parents, residuals) for f in facts(op)]
        self.extend((op, None if node is None else node.number, state.scope, shape, dtype, start, stop, *found))
        for pick in call.picks:
            self.extend((PICK, pick.number, pick.source_node.number, pick.index))

    def pull(self, step: PullStep) -> PullStep:
        def timed(node: Node, g: Array, grads: object) -> None:
            if node.number < self.first:
                self.enter_older(node)
            start = perf_counter()
            step(node, g, grads)
            self.extend((node.number, start, perf_counter()))

        return timed

    def enter_older(self, node: Node) -> None:
        """Enter a node that was made before the block and takes part in a backward pass inside: it has a row too."""
        op = node.op
        if self._block != self.first:
            self._block = self.first
            self._older.clear()
        if node.number in self._older or not op.differentiable:  # an `Output` does nothing of its own
            return
        self._older.add(node.number)
        parents = {n: getattr(node, n + "_node", None) for n in op.differentiable}
        inputs = {n: _as_constant(v) for n, v in node.inputs.items()} | node.options
        residuals = {n: getattr(node, n + "_saved", None) for n in op.residuals}
        found = [_fact(f, inputs, parents, residuals) for f in facts(op)]
        self.bound |= node.call is not None
        self.extend((op, node.number, node.scope, node.shape, node.dtype, None, None, *found))


# -- the usual call ----------------------------------------------------------------------------------------------


def entry(op: Op, node: bool) -> str:
    """The entry of a call that was recorded or not, as the code that makes it in the op's generated call."""
    shapes = {name for kind, name in facts(op) if kind == "shape"}
    head = (
        "_node.number, _node.scope, _node.shape, _node.dtype" if node else "None, _state.scope, _out.shape, _out.dtype"
    )
    found = [f"self, {head}, _start, _stop"]
    for kind, name in facts(op):
        if kind == "option":
            text = "{0}"
        elif not node:
            text = "_constant(_data_{0})" if kind == "source" and name in shapes else "None"
        elif kind == "bytes":
            text = "_getattr(_made_{0}, 'nbytes', 0)"
        elif kind == "shape":
            text = "None if _node_{0} is None else _node_{0}.shape"
        elif name not in op.differentiable:
            text = "_node.{0}_const"
        elif len(op.differentiable) == 1:
            text = "_node_{0}.number"
        else:
            text = "_node_{0}.number if _node_{0} is not None else 0.0 if _type_{0} is _int else _node.{0}_const"
        found.append(text.format(name))
    return f"({', '.join(found)})"


def _as_constant(value: object) -> object:
    """What a node says of an input, without nodes and arrays."""
    if isinstance(value, list):
        return tuple(map(_as_constant, value))
    if isinstance(value, Node):
        return described(value.shape, value.dtype)
    return constant(value.data) if isinstance(value, Traced) else value


# -- facts -------------------------------------------------------------------------------------------------------


class Fact(NamedTuple):
    """Something that is kept of each call of an op to tell saved bytes and multiply-adds by. Kinds:

    - "source": the number of the node that an input came from; for an input that needs no gradient, what
      `tape.constant` says of it, or 0.0 for an int, which would pass for a number;
    - "shape": the shape of an input that came from a node;
    - "option": the value of an option;
    - "bytes": the size of a residual.
    """

    kind: str
    name: str


_facts: weakref.WeakKeyDictionary[Op, tuple[Fact, ...]] = weakref.WeakKeyDictionary()


def facts(op: Op) -> tuple[Fact, ...]:
    """What is kept of each call of an op: no more than tells what its node saves and how much it multiplies."""
    found = _facts.get(op)
    if found is None:
        found = _facts[op] = tuple(_made_facts(op))
    return found


def _made_facts(op: Op) -> list[Fact]:
    kept = {n for name in op.differentiable for n in kept_for(op, name)}
    found = []
    for n in op.inputs:
        shaped = f"{n}_shape" in op.count_needs
        # The node of an op with one differentiable input is there because that needs a gradient.
        decides = len(op.differentiable) > 1 and n in op.differentiable and bool(kept_for(op, n))
        if n in kept or shaped or decides:
            found.append(Fact("source", n))
        if n in op.differentiable and shaped:
            found.append(Fact("shape", n))
    found += [Fact("option", n) for n in op.options if n in op.count_needs]
    return found + [Fact("bytes", n) for n in op.residuals if n in kept]


def kept_for(op: Op, name: str) -> set[str]:
    """The arrays that a node keeps where its input `name` needs a gradient: of the output, the inputs and residuals."""
    needs = set(op.needs["" if op.joint is not None else name])
    if op.reference is not None:
        needs.update(op.inputs)
    return needs & {op.special.out, *op.inputs, *op.residuals}


def _fact(fact: Fact, inputs: Mapping[str, Any], parents: Mapping[str, Any], residuals: Mapping[str, object]) -> object:
    kind, name = fact
    parent = parents.get(name)
    if kind == "source":
        if type(parent) is Parents:
            return tuple(_source(p, v) for p, v in zip(parent, inputs[name], strict=True))
        return _source(parent, inputs[name])
    if kind == "shape":
        return None if parent is None else _shape(inputs[name])
    if kind == "option":
        return inputs[name]
    return size_of(residuals[name])


def _source(parent: Node | None, value: object) -> object:
    if parent is not None:
        return parent.number
    return 0.0 if type(value) is int else constant(value)


def size_of(residual: object) -> int:
    """The bytes of a residual, 0 for one that is no array."""
    return getattr(residual, "nbytes", 0)


def _shape(value: Any) -> object:
    if isinstance(value, Constant):
        return value.shape
    return tuple(map(_shape, value)) if isinstance(value, (list, tuple)) else np.shape(value)
