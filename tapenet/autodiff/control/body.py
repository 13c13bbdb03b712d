"""The body of a captured loop or branch: a program of its own that refers to nothing outside."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from tapenet import ops
from tapenet.autodiff.control.replay import DRAWN, Replay, escaped, is_constant, output, record_again
from tapenet.autodiff.node import Leaf, Node, Output, Scope, Traced, intern_shape, next_number
from tapenet.autodiff.observe.capture import Capture, GradUse, capturing
from tapenet.autodiff.observe.mutation import share
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op
from tapenet.ops.stack_frames import user_line
from tapenet.program.arguments import elements, refilled
from tapenet.typing import Array

#: A function of flat lists of tensors.
Flat = Callable[[list[Tensor]], list[Tensor]]

_input_op = Op(lambda: None, name="input", rules={}, module=__name__)


class Input(Node):
    """A value that enters a body. Gradients end here.

    Attributes:
        differentiable: whether a derivative of the body is also one by this value.
        reached: whether a backward pass inside of the body came here.
    """

    __slots__ = ("differentiable", "reached")

    op = _input_op
    differentiable: bool
    reached: bool

    def __init__(self, data: Array, scope: Scope, differentiable: bool = False) -> None:
        self.number = next_number()
        self.scope = scope
        self.shape = intern_shape(data.shape)
        self.dtype = data.dtype
        self.released = None
        self.differentiable = differentiable
        self.reached = False

    def pull(self, g: Array, grads: object) -> None:
        """Nothing lies behind it."""
        self.reached = True


class Body(Capture):
    """One iteration of a loop, or one branch: captured on values, then closed.

    In a closed body the nodes' `call` holds plain values and `Traced` whose node is an input or another node of the
    body, never a tensor from outside. What nobody can write to is a plain value too: an array.

    Attributes:
        nodes: the ops in order.
        inputs: what enters: the values given to the function, then those it reads from outside, then the tensors
            from outside that it writes. These last are the targets of `assign`: what enters is the storage itself.
        closed, states: how many of the inputs are of the last two kinds.
        results: what it returns, as `Traced` or an array that is always the same; in the end those values (`saved`)
            that only a derivative needs.
        saved: what these are: inputs, or what random ops gave, as the node and which of its outputs; None for what only
            the other branch draws.
        flows: for each result, whether a gradient flows through it.
        effects: names of the ops that do something beside returning a value; such a body has no derivative. (What only has
            to keep its order is none.)
        random: whether it draws random numbers.
    """

    def __init__(self) -> None:
        super().__init__()
        #: What was made before this number is from outside.
        self.number = next_number()
        self.scope = Scope(None, local.state.scope, self)
        self.inputs: list[Input] = []
        self.closed = self.states = 0
        self.results: list[Any] = []
        self.saved: list[tuple[Node, int] | None] = []
        self.flows: list[bool] = []
        self.effects: tuple[str, ...] = ()
        self.random = False
        #: The results of the run that was captured, until they are asked for.
        self.captured: list[Array] | None = None
        #: Tensors from outside that were written.
        self.written: list[Tensor] = []
        #: The gradients of leaves that the run changed, as it left them.
        self.left: dict[Leaf, Tensor | None] = {}
        #: The gradients from before the run that it adds to, and how many nodes there were when it first did.
        self.added: dict[Leaf, tuple[Tensor, int]] = {}
        #: What the gradient of each result flows to.
        self.ends: list[Node | None] = []
        self._replay: Replay | None = None
        #: The captures outside, with what they knew of gradients before.
        self._outside: list[tuple[Capture, dict[Leaf, GradUse]]] = []

    def __repr__(self) -> str:
        return f"<body of {sum(type(n) is not Output for n in self.nodes)} ops>"

    # -- capturing -----------------------------------------------------------------------------------------------

    def trace(
        self,
        function: Flat,
        given: Sequence[Tensor],
        flags: Sequence[bool],
        grads: Mapping[Leaf, Tensor] | None = None,
        grad_flags: Sequence[bool] = (),
    ) -> None:
        """Run a function on stand-ins for `given` and record it. The results are the function's, then the gradients
        that it left at leaves.

        Args:
            function: what to run.
            given: the values to run it on.
            flags: which of them gradients may flow to.
            grads: gradients of leaves that are to be stood in for too.
            grad_flags: which of these gradients may flow to.
        """
        entering = grads or {}
        values = [*given, *entering.values()]
        all_flags = [*flags, *grad_flags]
        self.inputs = [Input(t._data, self.scope, flag) for t, flag in zip(values, all_flags, strict=True)]
        stand_ins = [
            Tensor._of(t._data, node if node.differentiable else None, node)
            for t, node in zip(values, self.inputs, strict=True)
        ]
        capture = capturing()
        while capture is not None:
            self._outside.append((capture, {leaf: copy(use) for leaf, use in capture.grads.items()}))
            capture = capture.outer
        try:
            with self:
                for leaf, stand_in in zip(entering, stand_ins[len(given) :], strict=True):
                    for each in (self, *(c for c, _ in self._outside)):
                        each._use(leaf)
                    leaf.grad = stand_in
                results = list(function(stand_ins[: len(given)]))
                self.values.settle()
                self._check_handles(results, entering)
                self.left = {
                    leaf: leaf.grad
                    for leaf, use in self.grads.items()
                    if leaf in entering or (not use.is_entry and leaf.number < self.number)
                }
                for leaf, grad in self.left.items():
                    if grad is not None or leaf in entering:
                        results.append(zeros(leaf) if grad is None else grad)
                self.results = [Traced(t, t._trace, t._data) for t in results]
                self.ends = [t._node for t in results]
        except BaseException:
            self.discard()
            raise
        self.captured = [t.data for t in self.results]
        inner = {name for node in self.nodes for body in bodies(node) for name in body.effects}
        self.effects = tuple(sorted(inner | {n.op.name for n in self.nodes if n.op.alters and not bodies(n)}))
        self.random = any(is_random(node) for node in self.nodes)

    def changes_grad(self, leaf: Leaf, made: Any, by: str = "backward()") -> bool:
        use = self._use(leaf)
        if made._node is None and use.before is not None and not use.replaced:
            self.added.setdefault(leaf, (use.before, len(self.nodes)))
        return super().changes_grad(leaf, made, by)

    def _check_handles(self, results: Sequence[Tensor], entering: Collection[Leaf]) -> None:
        """Raise if the run reads, by a handle from outside, a gradient that it adds to: the handle sees the sum. In a loop
        (`entering`) a read in front of the addition counts too, since the turn before has added. And raise if there may be such
        a handle, and the run replaces the gradient: only what it leaves is known outside.

        Raises:
            CaptureError: says what to write.
        """
        for leaf, (before, first) in self.added.items():
            if self.grads[leaf].replaced and any(leaf in g and g[leaf].user_read for _, g in self._outside):
                raise CaptureError(
                    f"{user_line()}: the body of a loop or branch adds to a gradient that was read before it, h = w.grad, and "
                    "replaces it, so that h would not see what was added: set w.grad = None before the loop or branch"
                )
            calls = [node.call or {} for node in self.nodes[0 if leaf in entering else first :]]
            read = [*elements(calls, Traced), *(Traced(t, t._trace, t._data) for t in results)]
            found = [t for t in read if isinstance(t, Traced) and t.node is before._trace]
            if any(t.node is not None or t.data is before._data for t in found):
                raise CaptureError(
                    f"{user_line()}: the body of a loop or branch adds to a gradient that was read before it, h = w.grad, and "
                    "reads h, which changes with it: read w.grad inside of the body, or a copy from before it, w.grad.copy()"
                )

    def touch(self, tensor: Tensor) -> None:
        super().touch(tensor)
        self.written.append(tensor)

    def discard(self) -> None:
        """Undo what the run changed outside, as if it had not been."""
        self.rollback(shared=True)
        for capture, grads in self._outside:
            capture.grads.clear()
            capture.grads.update(grads)
        self.captured = None

    def admit_grads(self) -> None:
        """Tell the captures outside what it does with gradients. Its run was undone, but the next call may take this
        branch."""
        for capture, _ in self._outside:
            for leaf, use in self.grads.items():
                if leaf.number < self.number:
                    capture.may_use_grad(leaf, use)

    def count_effects(self) -> int:
        """How many ops have effects."""
        return sum(node.op.effect for node in self.nodes)

    def keep(self) -> None:
        """Forget how to undo the run."""
        self._undo.clear()
        self._outside.clear()
        self.dependencies.clear()  # the capture outside has them

    # -- what it depends on --------------------------------------------------------------------------------------

    def own(self) -> set[Node]:
        """The nodes whose values it makes, and its inputs."""
        found: set[Node] = set(self.inputs)
        for node in self.nodes:
            if not isinstance(node, Output) or node.source_node in found:
                found.add(node)
        return found

    def storages(self) -> Iterator[Array]:
        """The arrays from outside that it writes."""
        own = self.own()
        for node in self.nodes:
            call = node.call or {}
            targets = [call["target"]] if node.op is ops.assign else call["states"] if bodies(node) else []
            yield from (t.data for t in targets if isinstance(t, Traced) and t.node not in own)

    def depends(self) -> list[int]:
        """What the gradient of each result flows to: bit 0 for something outside, bit i + 1 for input i."""
        bits: dict[Node, int] = {node: 2 << i for i, node in enumerate(self.inputs)}
        seen = {node for node in self.ends if node is not None}
        stack = list(seen)
        for node in stack:  # grows while it is walked over
            if node not in bits and node.number > self.number:
                new = [p for p in node.parents if p not in seen]
                seen.update(new)
                stack += new
        for node in sorted(seen, key=lambda n: n.number):
            if node.number < self.number:
                bits[node] = 1
            elif node not in bits:
                bits[node] = 0
                for parent in node.parents:
                    bits[node] |= bits[parent]
        return [0 if node is None else bits[node] for node in self.ends]

    def inputs_of(self, results: Iterable[int]) -> set[int]:
        """The positions of the inputs to which gradients of these results may flow: those that they are computed from."""
        seen: set[Node] = set()
        stack: list[object] = [self.results[k] for k in results]
        while stack:
            value = stack.pop()
            if isinstance(value, Traced) and value.node is not None and value.node not in seen:
                seen.add(value.node)
                source = value.node.source_node if isinstance(value.node, Output) else value.node
                flowing = [v for name, v in (source.call or {}).items() if name in source.op.differentiable]
                stack += elements(flowing, Traced)
        return {i for i, node in enumerate(self.inputs) if node in seen}

    def draws(self) -> Iterator[tuple[Node, int, Array]]:
        """What its random ops gave (`draws`)."""
        return draws(list(self.nodes), self.results)

    def append(self, result: Tensor) -> None:
        """Return one more value."""
        self.results.append(Traced(result, result._trace, result._data))
        self.ends.append(result._node)
        if self.captured is not None:
            self.captured.append(result._data)

    def arrange(self, order: Sequence[int]) -> None:
        """Put the results in another order."""
        self.results = [self.results[i] for i in order]
        self.ends = [self.ends[i] for i in order]
        if self.captured is not None:
            self.captured = [self.captured[i] for i in order]

    def save(self, source: Node | None, index: int, data: Array) -> None:
        """Return an output of this node too, for a derivative. With None return `data` as a placeholder, which nobody
        reads."""
        node = source
        if source is not None and (source.op.outputs != 1 or index > 0):
            node = Output(source, index, data)
            self.nodes.append(node)
        self.saved.append(None if source is None else (source, index))
        self.results.append(data if node is None else Traced(Tensor._of(data, None, node), node, data))
        if self.captured is not None:
            self.captured.append(data)

    # -- running again -------------------------------------------------------------------------------------------

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """Run it on arrays, one for each input. The first call returns what the capture computed."""
        if self.captured is not None:
            captured, self.captured = self.captured, None
            return captured
        if self._replay is None:
            self._replay = Replay(self.nodes, self.results, self.inputs)
        return self._replay(arrays)

    def on_tensors(self, tensors: Sequence[Tensor], saved: Sequence[Tensor]) -> list[Tensor]:
        """Record it again on tensors, one for each input, with the saved values. Gives its results without the saved
        ones."""
        given: dict[Node, Tensor] = dict(zip(self.inputs, tensors, strict=True))
        drawn: dict[Node, dict[int, Tensor]] = {node: {} for node in self.nodes if is_random(node)}
        for place, tensor in zip(self.saved, saved, strict=True):
            if place is not None:
                drawn.setdefault(place[0], {})[place[1]] = tensor
        results = self.results[: len(self.results) - len(self.saved)]
        return record_again(self.nodes, results, self.ends, given, drawn)


def bodies(node: Node) -> list[Body]:
    """The bodies of a node that is a loop or a branch."""
    return [v for v in (node.call or {}).values() if isinstance(v, Body)]


def is_random(node: Node) -> bool:
    """Whether a node draws random numbers."""
    return (node.op.random or any(body.random for body in bodies(node))) and DRAWN not in (node.call or {})


def draws(nodes: Sequence[Node], results: Sequence[object]) -> Iterator[tuple[Node, int, Array]]:
    """The values of random ops that are read, or that their rules need: op, output, value.

    Args:
        nodes: a capture's nodes in order.
        results: what else is read of them.
    """
    used: dict[tuple[Node, int], Array] = {}
    read = [[node.call or {} for node in nodes], results]
    for value in elements(read, Traced):
        if isinstance(value, Traced) and value.node is not None:
            used[output(value.node)] = value.data
    sources = {source for source, _ in used}
    for node in nodes:
        if node not in sources or not is_random(node):
            continue
        if not node.parents:
            yield from ((source, i, data) for (source, i), data in used.items() if source is node)
            continue
        op = node.op
        specs = [(node.shape, node.dtype)] if op.outputs == 1 else zip(node.shape, node.dtype, strict=True)
        outs = getattr(node, f"{op.special.out}_saved", {})
        for i, (shape, dtype) in enumerate(specs):
            data = used.get((node, i))
            if data is None:  # read by nothing, or by the rule
                data = outs[i] if outs else np.zeros(shape, dtype)
            yield node, i, data
        for i, name in enumerate(op.residuals, op.outputs or 0):
            yield node, i, np.asarray(getattr(node, name + "_saved"))


def zeros(like: Node | Array) -> Tensor:
    """Zeros of the same shape and dtype, which nobody can write to."""
    data = np.zeros(like.shape, like.dtype)
    data.flags.writeable = False
    return Tensor._of(data)


def check_apart(data: Array, storages: Iterable[Array]) -> None:
    """Raise if an argument of a body is a view of a tensor that the body writes: its values would have to change inside.

    Raises:
        CaptureError: names the shapes, and what to write instead.
    """
    for storage in storages:
        if data is not storage and share(data, storage, 1000):
            raise CaptureError(
                f"{user_line()}: the body of a loop or branch reads a view of shape {data.shape}, made before it, of a "
                f"tensor of shape {storage.shape} that it writes: make the view inside of the body, or a copy before it"
            )


def close(*bodies: Body) -> tuple[list[Tensor], list[Tensor]]:
    """Turn what bodies take from outside into inputs, the same ones for each of them.

    Returns:
        the tensors that they read, and those that they write.

    Raises:
        CaptureError: a value was made in another body, and came here by other means than its results.
    """
    closing = _Closing(bodies)
    for body in bodies:
        closing.close(body)
    read, write = list(closing.read.values()), list(closing.write.values())
    for body in bodies:
        body.inputs += [node for node, _ in (*read, *write)]
        body.closed, body.states = len(read), len(write)
    return [t for _, t in read], [t for _, t in write]


class _Closing:
    """The tensors from outside that bodies use which are closed together."""

    def __init__(self, bodies: Sequence[Body]) -> None:
        self.outside = capturing()
        self.storages = {id(array): array for body in bodies for array in body.storages()}
        self.handles = {id(t._data): t for body in bodies for t in body.written}
        #: Inputs with the tensors that they stand for. Of those that are read the key is the array, which two arguments of a
        #: compiled function may be at one call and not at another; the node on the tape; and that of the gradient: a tensor is
        #: two inputs if a gradient flows to it in one place and it is detached in another.
        self.read: dict[tuple[int, Node | None, Node | None], tuple[Input, Tensor]] = {}
        self.write: dict[int, tuple[Input, Tensor]] = {}

    def close(self, body: Body) -> None:
        own = body.own()
        strays = [n for n in body.nodes if n not in own]  # residuals of an op outside, which its rule asked for
        if strays:
            assert self.outside is not None
            self.outside.nodes += strays
            body.nodes = [n for n in body.nodes if n in own]
        for node in body.nodes:
            if node.call is not None:
                entered = {
                    name: self.enter(value, getattr(node, name + "_node", None), body, own, name in node.op.inputs)
                    for name, value in node.call.items()
                }
                node.note(call=entered)
        body.results = [self.enter(t, end, body, own, True) for t, end in zip(body.results, body.ends, strict=True)]

    def enter(self, value: object, parent: Any, body: Body, own: set[Node], is_input: bool) -> Any:
        """An argument with an input in place of each tensor from outside, and of each array that the user may write
        to; `parent` is what its gradient flows to."""
        if isinstance(value, Traced):
            if value.node in own:
                return value
            if parent is not None and parent.number > body.number:
                parent = None  # a leaf that the body made of it, as tn.grad does
            return self._input(value, parent, body)
        if isinstance(value, (list, tuple)) and value:
            parents = [None] * len(value) if parent is None else parent
            return refilled(value, [self.enter(v, p, body, own, is_input) for v, p in zip(value, parents, strict=True)])
        if isinstance(value, np.ndarray):
            if not is_input or value.size < 2:
                return value.copy()  # the function around may write to it
            if self.outside is not None:
                self.outside.values.see(value)
            return self._input(Traced(Tensor._of(value), None, value), None, body)
        return value

    def _input(self, value: Traced, parent: Node | None, body: Body) -> Traced | Array:
        data, place = value.data, id(value.data)
        if value.node is not None:
            self._check(value.node)
        elif parent is None and is_constant(data):
            return data
        if place in self.storages:
            if place not in self.write:
                tensor = self.handles[place] if place in self.handles else _outer(value, None)
                self.write[place] = Input(data, body.scope), tensor
            return Traced(value.tensor, self.write[place][0], data)
        key = place, value.node, parent
        if key not in self.read:
            if value.node is not None:
                check_apart(data, self.storages.values())
            self.read[key] = Input(data, body.scope, parent is not None), _outer(value, parent)
        return Traced(None, self.read[key][0], data)  # the body may stay in a program, and keeps no tensor from outside

    def _check(self, node: Node) -> None:
        """Raise if a node was made in a body that does not enclose this one."""
        tape, outside = node.scope.tape, self.outside
        home = tape() if isinstance(tape, weakref.ref) else tape
        while isinstance(home, Body) and outside is not home:
            if outside is None:
                raise escaped(node)
            outside = outside.outer


def _outer(value: Traced, parent: Node | None) -> Tensor:
    """The tensor that a body took from outside, as it was then. It is that very tensor if it has not changed since."""
    tensor: Tensor = value.tensor
    if tensor._data is value.data and tensor._trace is value.node and (parent is None or tensor._node is parent):
        return tensor
    return Tensor._of(value.data, parent, value.node)
