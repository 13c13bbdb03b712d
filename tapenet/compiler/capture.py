"""The first call of a kind: it runs for real, is recorded, and becomes a program.

What it changed is put back if it fails, or if it did something that a replay could not do again: kept a recorded tensor
outside of its results, changed a global, drew random numbers past the recorder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import operator
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from types import CellType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.node import Leaf, Node, Traced, next_number
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.observe.values import Reached
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler import agreement, innermost
from tapenet.compiler.equal import equal
from tapenet.compiler.frozen import Freezing, freeze, refuse
from tapenet.compiler.lowering import Called, lower
from tapenet.compiler.places import Place
from tapenet.compiler.reach import Reach
from tapenet.compiler.signature import Call, Key, Parameters, arrays_in, is_array, rebuild
from tapenet.compiler.variant import MISS, Dependency, Plan, Result, Target, Variant
from tapenet.compiler.watch import Drawn, Watch, drawn
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.op import Op
from tapenet.program.arguments import elements
from tapenet.program.backend import Runner
from tapenet.program.ir import Input, Program, check, substitute
from tapenet.program.layout import dense_order
from tapenet.program.passes import Simplified, Step
from tapenet.program.rehearsal import captured
from tapenet.program.trees import Structure, container, flatten
from tapenet.typing import Array

#: The beginning of the names of attributes under which objects keep their compiled methods. They are no identifiers, so
#: that they clash with none.
SLOT = "<compiled "
#: How often, and after how many seconds each time, is looked again for what another thread keeps.
_MOMENTS, _MOMENT = 25, 0.01
_argument_op = Op(lambda: None, name="argument", rules={}, module=__name__)


class Argument(Node):
    """An array among the arguments, as a node of the tape."""

    __slots__ = ("call", "title")

    op = _argument_op

    def __init__(self, array: Array, title: str) -> None:
        self.number = next_number()
        self.scope = local.state.scope
        self.shape = array.shape
        self.dtype = array.dtype
        self.released = None
        self.call = {}
        self.title = title


#: What is in a container: its parts, and how they are called.
Contents = tuple[list[object], object]


class Connected(Exception):
    """A result depends on an argument that wants a gradient, and no backward pass inside has used that: the call must
    stay part of the graph around it."""


class _Recorded(NamedTuple):
    """What the recording of a call gives. No recorded tensor is in it."""

    result: object
    program: Program
    plan: Plan
    called: list[Called]
    #: Whether it may be for other sizes than a call's values say.
    sized: bool
    drawn: Drawn
    #: Every node that there was.
    nodes: list[weakref.ref[Node]]


#: The threads that have switched the search for cycles off, and are to switch it on again.
_off: set[int] = set()


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Inside, Python looks for no cycles among objects: nearly all of the many that a call is recorded in, and a program made
    of, stay, and are looked through again and again. That took a tenth of the first calls of long programs."""
    on, thread = gc.isenabled(), threading.get_ident()
    try:
        if on:
            _off.add(thread)
            gc.disable()
        yield
    finally:
        try:
            if on:
                gc.enable()
        finally:  # an error may have ended the first
            if on:
                gc.enable()
                _off.discard(thread)


def _forked() -> None:
    """In a child of a fork no other thread is there to switch the search on again; and one that a function forks while it is
    captured may never come back from there."""
    if _off:
        _off.clear()
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def first_call(
    fn: Callable[..., object],
    parameters: Parameters,
    key: Key,
    call: Call,
    keep_grads: bool,
    take_back: bool,
    build: Callable[[Simplified], Runner],
    tell_unseen: Callable[[str], None],
    linked: bool = False,
    sketches: bool = False,
    frozen: Freezing | None = None,
    doubted: Sequence[Variant] = (),
) -> tuple[object, Variant | str]:
    """Run a function on the arguments of a call, and make a program of what it does.

    If that is the program of one of the `doubted` variants, that variant is returned: the arrays that have changed since are
    read by its ops alone, and it holds for whatever is in them (`Variant.free`).

    What is outside is taken as constants where it is said how, `frozen`.

    With `take_back` what the call did is put back where its program can be run next; with `linked` in any case, and where
    it was but a sketch of a run (`Capture.sketches`).

    Returns:
        its result, and the program, ready to run; no program, but the reason in words, where something that the function
        reaches was changed meanwhile and another thread may have done that. With `take_back` `MISS` and the program, where
        there is one that can be run next: all is as it was before.

    Raises:
        CaptureError: the function did what a replay could not do again.
        Connected: see there.
        Whatever else the function raises. In each case all is as it was before.
    """
    title = parameters.title
    reach = Reach(fn, (part[2] for part in parameters.entries(call.key).values() if part[0] == "static"))
    watch = Watch(title, reach)
    switches = local.state.now()
    tape = Capture(compiles=True)
    tape.sketches = sketches
    tape.values.reached = reached = Reached(reach.found)
    tape.runs_next = take_back or linked

    def undo() -> None:
        local.state.again(switches)
        tape.rollback(shared=not watch.alone())
        watch.rollback()

    dependencies = tape.dependencies
    for module in reach.modules:  # also those that are not called, but whose parameters may be used
        tape.depend(module, partial(_state, module))
    with _uncollected():
        try:
            recorded = _Recording(parameters, call, tape).run(
                fn, keep_grads, linked, innermost.OPS if frozen and (frozen.native or frozen.examples) else ()
            )
            written = [*call.arrays, *(write.target.tensor._data for write in recorded.program.writes)]
            changed = reached.changed(recorded.drawn.effects)
            changed = [a for a in changed if not any(np.may_share_memory(a, w) for w in written)]
            sketched = tape.sketches
            put_back = take_back or linked or sketched
            tape = _way_back(tape)
            _check_leaks(title, recorded.nodes, reach)
            watch.leave_out(written, recorded.drawn.given)
            doubt = watch.check(recorded.drawn, changed)
            watch.read([r.tensor._data for r in recorded.program.references])
            if doubt is not None:
                if linked or sketched:
                    undo()
                return MISS if sketched else recorded.result, f"{doubt}. It may have been another thread"
            now = recorded.program, recorded.plan
            variant = next((v for v in doubted if equal((v.captured, v.plan), now, reached.holds)), None)
            if variant is not None:
                variant.free()
            else:
                variant = _variant(title, key, recorded, dependencies, watch, build, frozen)
                holds = variant.holds()
                for words, array in watch.unseen[:1]:  # this raises where warnings are errors
                    tell_unseen(f"the array that is {words} ({array.dtype} {array.shape})")
                if put_back and not holds and not linked:  # the program cannot be run next
                    if sketched:
                        undo()
                    return MISS if sketched else recorded.result, _changes(title, dependencies)
            if put_back:
                undo()
        except BaseException:
            try:
                undo()
            finally:
                undo()  # an interrupt may have ended the first
            raise
    return MISS if put_back else recorded.result, variant


def _variant(
    title: str, key: Key, recorded: _Recorded, dependencies: list[Dependency], watch: Watch,
    build: Callable[[Simplified], Runner], frozen: Freezing | None,
) -> Variant:  # fmt: skip
    """The program of what was recorded, ready to run."""
    simplified = Simplified(recorded.program)
    if frozen is not None:
        watch.leave_out([r.tensor._data for r in recorded.program.references])
        refuse(title, recorded.program, recorded.plan)
        steps: list[Step] = []
        program = freeze(check(recorded.program), steps, frozen)
        simplified = Simplified(recorded.program, (program, steps))
        still = {i.params["op"] for i in program.body if i.name == "call"}
        recorded.called[:] = [c for c in recorded.called if c.op in still]
    return Variant(
        title, key, recorded.program, simplified, recorded.called, build(simplified), recorded.plan, dependencies,
        watch.places, watch.values, recorded.drawn.generators if recorded.sized else None,
    )  # fmt: skip


def _changes(title: str, dependencies: list[Dependency]) -> str:
    """Why a program is for no further call, though there is one."""
    changed = [type(owner).__name__ for owner, fingerprint, value in dependencies if fingerprint() != value]
    what = f"an attribute of {changed[0]}, or what is in it" if changed else "what its names stand for, or a gradient"
    return f"{title} changes {what}, each time it runs, and a program is for what is there when it begins"


def _state(module: Any) -> object:
    """What a program depends on of a module; compiled methods that it keeps are not part of it."""
    return tuple(entry for entry in module._fingerprint() if not entry[0].startswith(SLOT))


def _way_back(tape: Capture) -> Capture:
    """A capture that knows only how to undo what the step changed, and holds no recorded tensor."""
    made = Capture()
    made._undo = tape._undo
    return made


class _Recording:
    """The work of recording one call."""

    def __init__(self, parameters: Parameters, call: Call, tape: Capture) -> None:
        self.title = parameters.title
        self.call = call
        self.tape = tape
        self.begin = next_number()
        #: What the arrays among the arguments are called.
        self.names = [path for path, part in parameters.entries(call.key).items() if part[0] == "array"]
        self.arguments = [Argument(array, name) for array, name in zip(call.arrays, self.names, strict=True)]
        #: The arguments as the function sees them.
        self.given = [_inner(*parts) for parts in zip(call.given, call.arrays, self.arguments, strict=True)]

    def run(self, fn: Callable[..., object], keep_grads: bool, linked: bool, whole: Collection[Op]) -> _Recorded:
        """Call the function and lower what it does. Where it is `linked` the graph around goes on from its results. `whole`
        are ops that stay calls, though they could be read."""
        call, tape = self.call, self.tape
        outs: list[Tensor] = []
        with tape, captured():
            tape.nodes += self.arguments
            tensors = iter(self.given)
            args = rebuild(call.args, lambda _: next(tensors))
            kwargs = rebuild(call.kwargs, lambda _: next(tensors))
            containers = [(c, _contents(c)) for c in _containers((args, kwargs))]
            results, structure = taken_apart(fn(*args, **kwargs), outs)
            tape.values.settle()
            self._check_containers(containers)
            del args, kwargs, containers
            if not linked and depends(outs, call):
                raise Connected
            if tape.failure is not None:
                raise CaptureError(
                    f"{tape.failure}. ({self.title} caught this error while it was captured, and went on; a program of what "
                    "it did then would not be the function. Let the error through, or leave out what raises it.)"
                )
            self._check_arguments()
            plan = self._plan(results, structure, outs, keep_grads)
            agreement.check(tape.nodes)
            lowered = lower(tape, self.arguments, outs, [dense_order(array) for array in call.arrays], whole)
            program = lowered.program
            for reference in program.references:  # only the tensor itself learns of a new array, its handles do not
                reference.tensor = tape.origin(reference.tensor)
            program = self._entries_as_inputs(program, plan.entries)
            program = self._writes_as_outputs(program, plan.written)
        arrays = [np.array(tensor._data, order="K") for tensor in outs]
        for leaf in tape.grads:
            if leaf.number > self.begin:
                leaf.grad = None  # made inside
        for target, output in plan.grads:
            self._leaf(target).grad = None if output is None else Tensor._of(arrays[output])
        found = drawn(tape.nodes)
        nodes = [weakref.ref(node) for node in tape.nodes]
        for node in tape.nodes:
            if node.call is not None:  # a node that is kept must not keep the tensors that went into it
                node.note(call=None)
        tape.nodes.clear()
        return _Recorded(assembled(plan, arrays), program, plan, lowered.called, lowered.sized, found, nodes)

    def _leaf(self, target: Target) -> Leaf:
        return self.call.leaves[target] if isinstance(target, int) else target

    def _name(self, leaf: Leaf) -> str:
        """The argument that is a leaf."""
        return next(name for name, t in zip(self.names, self.given, strict=True) if t._node is leaf)

    def _check_arguments(self) -> None:
        """Raise if an argument was written in a way that the caller would see from the uncompiled function only; or if
        the function also reaches, in another way, an argument that wants a gradient or is written.

        Raises:
            CaptureError: names the argument, and the fix.
        """
        for tensor, array, name in zip(self.given, self.call.arrays, self.names, strict=True):
            if tensor._data is not array:
                raise CaptureError(
                    f"{self.title} changes its argument {name} (by an item assignment, or by += or the like), which the caller "
                    f"would see uncompiled, and not from a program: change a copy, {name} = {name}.copy()"
                )
        if self.call.leaves:
            for traced in self._outside():
                if traced.tensor._node in self.call.leaves:
                    raise CaptureError(
                        f"{self.title} is given {self._name(traced.tensor._node)} as an argument, and reaches the same "
                        "tensor in another way (through a module or a global) too: leave it out of the arguments"
                    )

    def _check_containers(self, containers: list[tuple[object, Contents]]) -> None:
        """Raise if a list, a dict or a dataclass among the arguments was changed: the function was given a copy of the
        caller's.

        Raises:
            CaptureError: says how, and the fix.
        """
        for changed, (before, names) in containers:
            after, names_after = _contents(changed)
            if names != names_after or len(before) != len(after) or not all(map(operator.is_, before, after)):
                raise CaptureError(
                    f"{self.title} changes a {type(changed).__name__} that it is given as an argument ({len(before)} "
                    f"entries before, {len(after)} after), which the caller would see uncompiled, and not from a "
                    "program: return what is new"
                )

    def _outside(self) -> Iterator[Traced]:
        """The tensors from outside that entered ops, arguments aside."""
        for node in self.tape.nodes:
            for value in (node.call or {}).values():
                leaves = elements(value, Traced)
                yield from (leaf for leaf in leaves if isinstance(leaf, Traced) and leaf.node is None)

    def _plan(self, results: list[object], structure: Structure, outs: list[Tensor], keep_grads: bool) -> Plan:
        """What becomes of gradients. Those that are kept are added to the outputs."""
        plan = Plan(results, structure, [], [], [], [])
        positions: dict[Leaf, int] = {leaf: i for i, leaf in enumerate(self.call.leaves)}
        for leaf, use in self.tape.grads.items():
            if leaf.number > self.begin:
                continue  # made inside
            target: Target = positions.get(leaf, leaf)
            if use.entry_read:
                (plan.absent if use.before is None else plan.entries).append(target)
            if use.is_entry:  # read at most
                # Else another thread has set it.
                if leaf.grad is not None and self.tape.origin(leaf.grad) is use.before:
                    leaf.grad = use.before
                continue
            # A call that adds to the gradient of the call before needs that, even if an optimizer has used it.
            kept = keep_grads or use.user_read or use.entry_read or not use.consumed
            if leaf.grad is not None and kept:
                plan.grads.append((target, len(outs)))
                outs.append(leaf.grad)
            else:
                plan.grads.append((target, None))
        return plan

    def _entries_as_inputs(self, program: Program, entries: list[Target]) -> Program:
        """The program with gradients at entry as further inputs, in place of references to them."""
        if not entries:
            return program
        inputs: dict[object, Input] = {}
        for target in entries:
            before = self.tape.grads[self._leaf(target)].before
            assert before is not None
            inputs[before] = Input(before.shape, before.dtype, dense_order(before._data))
        changed = substitute(program, {r: inputs[r.tensor] for r in program.references if r.tensor in inputs})
        return Program(
            (*changed.inputs, *inputs.values()), changed.hosts, changed.body, changed.outputs, changed.writes
        )

    def _writes_as_outputs(self, program: Program, written: list[tuple[int, int]]) -> Program:
        """The program with its writes to tensor arguments as outputs, since each call has other arguments.

        Raises:
            CaptureError: an ndarray is written, or memory that the function reaches in another way too.
        """
        outputs = list(program.outputs)
        writes = []
        for write in program.writes:
            data = write.target.tensor._data
            shared = [i for i, array in enumerate(self.call.arrays) if np.may_share_memory(array, data)]
            if not shared:
                writes.append(write)
                continue
            i = shared[0]
            others = any(np.may_share_memory(traced.data, data) for traced in self._outside())
            if len(shared) > 1 or write.target.tensor is not self.given[i] or others:
                raise CaptureError(
                    f"{self.title} changes its argument {self.names[i]} in place, and reaches the same memory in another "
                    "way (through a module or another argument) too: leave it out of the arguments"
                )
            if type(self.call.given[i]) is not Tensor:
                raise CaptureError(
                    f"{self.title} changes its argument {self.names[i]} in place, an array of the caller's: return the new "
                    "value, or give a tensor"
                )
            written.append((i, len(outputs)))
            outputs.append(write.value)
        return Program(program.inputs, program.hosts, program.body, outputs, writes) if written else program


def _containers(value: object) -> Iterator[object]:
    """The lists, dicts and dataclasses in arguments, which the function may change."""
    if isinstance(value, (list, dict)) or dataclasses.is_dataclass(value):
        yield value
    if container(type(value)) is not None:
        for part in _contents(value)[0]:
            yield from _containers(part)


def _contents(value: object) -> Contents:
    found = container(type(value))
    assert found is not None
    parts = found.apart(value)
    return list(parts.values), parts.names


def _inner(given: object, array: Array, argument: Argument) -> Tensor:
    """An argument as the function sees it."""
    tensor = Tensor._of(array, None, argument)
    if type(given) is Tensor:
        tensor._kind = given._kind
        if type(given._node) is Leaf:
            tensor._node = given._node
    return tensor


def taken_apart(result: object, outs: list[Tensor]) -> tuple[list[object], Structure]:
    """The leaves of a result, with a `Result` in place of each array, which is added to `outs`; and its structure."""
    leaves, structure = flatten(result, stands=False)
    for i, leaf in enumerate(leaves):
        # A NumPy scalar is a constant, which nobody can write to.
        if is_array(leaf) and not isinstance(leaf, np.generic):
            check_unmasked(leaf)
            outs.append(leaf if type(leaf) is Tensor else Tensor._of(np.asarray(leaf)))
            leaves[i] = Result(len(outs) - 1, type(leaf) is not Tensor)
    return leaves, structure


def assembled(plan: Plan, arrays: list[Array]) -> object:
    """The results in their structure."""

    def result(leaf: object) -> object:
        if type(leaf) is not Result:
            return leaf
        return arrays[leaf.output] if leaf.plain else Tensor._of(arrays[leaf.output])

    return plan.structure.build([result(leaf) for leaf in plan.results])


def depends(result: object, call: Call) -> bool:
    """Whether a gradient can still flow from a result to an argument."""
    if not (call.leaves and call.grad):
        return False
    stack: list[Node] = [t._node for t in arrays_in(result) if type(t) is Tensor and t._node is not None]
    seen = set(stack)
    for node in stack:  # grows while it is walked over
        if node in call.leaves:
            return True
        if node.released is None:
            new = [parent for parent in node.parents if parent not in seen]
            seen.update(new)
            stack += new
    return False


# -- what is kept where it should not ------------------------------------------------------------------------------


def _check_leaks(title: str, nodes: list[weakref.ref[Node]], reach: Reach) -> None:
    """Raise if a recorded tensor is kept somewhere: the next call would not put a new one there.

    Raises:
        CaptureError: names the op, the user's line, the place and the fix.
    """
    if all(ref() is None for ref in nodes):
        return
    gc.collect()  # what is only waiting for that, a function that refers to itself
    # A thread that samples frames, as profilers and Dask's workers have one, keeps what is in a frame for a moment.
    for _ in range(_MOMENTS if threading.active_count() > 1 else 0):
        if all(ref() is None for ref in nodes):
            return
        time.sleep(_MOMENT)
    alive = [node for ref in nodes if (node := ref()) is not None]
    kept = [t for t in gc.get_referrers(*alive) if type(t) is Tensor and t._trace is not None] if alive else []
    if not kept:
        return
    tensor = min(kept, key=_order)
    del kept
    node = tensor._trace
    assert node is not None
    if isinstance(node, Argument):
        what = f"its argument {node.title}"
    else:
        what = f"the result of op {node.name!r} ({node.spec})"
        what += f" in {node.path}" if node.path else ""
        what += f", made at {node.line}," if node.line else ""
    raise CaptureError(
        f"{title} keeps {what} in {_holder(tensor, reach)}; a replay would not put a new one there. Return it "
        "(in a tuple, list or dict), and keep it outside of the compiled function"
    )


def _order(tensor: Tensor) -> int:
    return 0 if tensor._trace is None else tensor._trace.number


def _holder(tensor: Tensor, reach: Reach) -> str:
    """Where a tensor is kept, in words."""
    # Loops in place of comprehensions, whose cells would be found too.
    for holder in gc.get_referrers(tensor):
        for place in reach.places:
            if not isinstance(place, Place) and holder is place.holder:
                return place.words
        if type(holder) is dict:
            for key, value in holder.items():
                if value is tensor:
                    return f"{_owner(holder)}, as {key!r}"
        if type(holder) in (list, set):
            return f"a {type(holder).__name__}"
        if type(holder) is CellType:
            return "a closure variable"
        attributes = getattr(holder, "__dict__", None)  # from Python 3.13 on an object may hold its attributes itself
        if type(attributes) is dict:
            for key, value in attributes.items():
                if value is tensor:
                    return f"{_named(holder)}, as {key!r}"
    return "some object"


def _owner(attributes: dict[str, object]) -> str:
    """Whose attributes a dict holds, in words."""
    for owner in gc.get_referrers(attributes):
        if getattr(owner, "__dict__", None) is attributes:
            return _named(owner)
    return "a dict"


def _named(owner: object) -> str:
    """An object in words."""
    return f"the module {owner.__name__}" if isinstance(owner, ModuleType) else f"a {type(owner).__name__}"
