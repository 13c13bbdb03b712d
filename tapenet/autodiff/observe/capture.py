"""The tape that records a whole step as a program, and what such a step did."""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, Protocol, Self, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.aliasing import is_among
from tapenet.autodiff.backward import COMPUTING
from tapenet.autodiff.gradients import Gradients
from tapenet.autodiff.node import BaseTensor, Leaf, Node, Traced
from tapenet.autodiff.observe import mutation
from tapenet.autodiff.observe.captured import captured, needed
from tapenet.autodiff.observe.layer import CallStep
from tapenet.autodiff.observe.mutation import owner
from tapenet.autodiff.observe.tape import CaptureError, Tape
from tapenet.autodiff.observe.values import Values
from tapenet.autodiff.record import Call
from tapenet.autodiff.state import local, switched
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op
from tapenet.ops.random import Saved
from tapenet.ops.registry import is_own
from tapenet.ops.stack_frames import user_line
from tapenet.program.arguments import elements, mapped
from tapenet.program.ir import Program
from tapenet.program.rehearsal import begun, rehearse
from tapenet.typing import Array, Shape


class Writing(Protocol):
    """Notes what is written in place."""

    def note(self, root: object) -> None:
        """It is about to be written."""


class Capture(Tape):
    """A tape that records a whole step as a program: forward, backward and update are all ops on it.

    Writes to tensors from outside (`p.data = ...`, an optimizer's update, a running mean) are recorded as
    `assign`, and numbers that the host computes anew at each call (a learning rate) as `host`. Asking a tensor
    for its number raises `CaptureError`, since a replay could not follow the answer.

    What the step changes outside can be put back (`rollback`): a step that failed on its way has changed nothing.

    Attributes:
        grads: what the step did with the `.grad` of each leaf that it came across.
        dependencies: what the program holds for beside its arguments: owners, functions that tell their state, and
            what these told. `epoch` says when to ask again.
        outer: the capture inside which this one was entered, if any; it learns all that this one does.
        failure: what happened that a replay could not repeat, the first of it.
        constants: the nodes whose values are the same at each replay, since they depend on constants alone.
        runs_next: whether its program runs next, which then tells the user what there is to tell.
        sketches: whether nobody looks at its values, since the program runs next, or it is of a branch that is not taken: of a
            loop one turn is enough then, and ops do not refuse values.
        writing: notes what is written in place, while a loop or branch of a lifted function is recorded.
        gone: what stands for values of which a capture lets go, by node: calls keep none that were made in the step, but those
            that a gradient is still computed of, since lowering asks for what is from outside alone. Empty where values stay.
        values: what was in the arrays that calls were given.
        rules: gradient rules as programs, by what is alike of their calls; None for one that cannot be read as a whole.
        line: the user's line that runs, where it is known: while gradients are computed that of the backward pass; "" where
            nodes know no lines.
    """

    captures = True

    def __init__(self, compiles: bool = False) -> None:
        """Begin; where a whole step is compiled, nodes know their lines, for errors, and values are let go."""
        super().__init__()
        self.grads: dict[Leaf, GradUse] = {}
        self.dependencies: list[tuple[object, Callable[[], object], object]] = []
        self.outer: Capture | None = None
        self.failure: str | None = None
        self.constants: set[Node | None] = set()
        #: Tensors that stand for arrays from outside, by id.
        self._arrays: dict[int, BaseTensor] = {}
        self.runs_next = self.sketches = False
        self.writing: Writing | None = None
        self.values = Values(self.nodes)
        self.rules: dict[Hashable, Program | None] = {}
        self.line: str | None = None if compiles else ""
        #: `gone` of all nodes whose results share no memory with what is from outside; None where values stay.
        self._own: dict[Node | None, Traced] | None = {} if compiles else None
        self.gone: Mapping[Node | None, Traced] = {} if self._own is None else self._own
        #: How to put back what the step changed, by what that is, in order of change.
        self._undo: dict[Hashable, Callable[[], None]] = {}
        self._owners: set[int] = set()
        self._made: set[int] = set()
        self._origins: dict[int, tuple[Tensor, Tensor]] = {}
        #: Handles that share the array of another one.
        self._detached: list[weakref.ref[Tensor]] = []

    def __enter__(self) -> Self:
        self.outer = capturing()
        if self.outer is not None:
            self.sketches |= self.outer.sketches
            self.line = self.outer.line
            self.values = self.outer.values.inside(self.nodes)
            self.runs_next |= self.outer.runs_next
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self.outer = None

    # -- as a layer ----------------------------------------------------------------------------------------------

    def call(self, step: CallStep) -> CallStep:
        """Keep the node of each call; what it draws is put back if the capture fails."""
        traced = super().call(step)

        def recorded(call: Call) -> object:
            if self.sketches:
                _of_any_values(call)
            drawn = self._draws(call)
            before = begun()
            result = traced(call)
            for saved in drawn:
                saved.drew()
            node = call.node
            if node is not None:
                if node.line is None:
                    node.note(line=self.user_line())
                flows = tuple([n in call.parents for n in call.op.differentiable])
                self.note(node, call.picks, call.arrays[: call.count], flows)
                if call.parents and begun() != before:
                    self.compile_gradient(node, call.outputs)
            return result

        return recorded

    def traced(self, value: object) -> object:
        return self.values.as_given(super().traced(value))

    def quick(self, op: Op) -> Callable[..., object] | None:
        return None if self.sketches else functools.partial(captured, self)

    def reads_functions(self) -> bool:
        """Whether a function may be one node: a whole step is compiled, and nobody else looks at the calls in it."""
        return self._own is not None and self.gone is self._own and not self.sketches and len(local.state.layers) == 1

    def user_line(self) -> str:
        """The user's line that runs; "" where nodes know none."""
        return user_line() if self.line is None else self.line

    def note(self, node: Node, picks: Sequence[Node], outs: Sequence[Array], flows: tuple[bool, ...]) -> None:
        """Note what is known of the results of a call, and let go of values: `flows` says to which inputs gradients flow."""
        op, given = node.op, elements(node.call or {}, Traced)
        if not given or op.random or op.effect or any(isinstance(part, Tape) for part in given):
            return
        if all(part.node in self.constants for part in given if isinstance(part, Traced)):
            self.constants.update((node, *picks))
        if self._own is None or not is_own(op):
            return
        outside = set()
        for part in given:
            if isinstance(part, Traced):
                if part.node not in self._own:
                    outside.add(id(owner(part.data)))
            elif isinstance(part, np.ndarray):
                outside.add(id(owner(part)))
        if not outside or outside.isdisjoint([id(owner(array)) for array in outs]):
            for each in (node, *picks):
                self.owns(each)
        if self.gone:
            self._let_go(node, needed(op, flows))

    def owns(self, node: Node) -> None:
        """Note that the results of a node have memory of their own, or of others that have."""
        if self._own is not None:
            self._own[node] = Traced(None, node, cast("Array", _GONE))

    def compile_gradient(self, node: Node, outs: Sequence[Tensor]) -> None:
        """Have the kernels of a call's gradient compiled while the function runs on: by its rules, on a gradient of any values,
        where kernels do not run. Its own kernels were compiled in the call, so the gradient's will be too."""
        if not node.op.module.startswith(COMPUTING):
            return
        gs: Any = [np.empty_like(out._data) for out in outs]
        grads = Gradients(Tensor, False, None, None)
        with switched(layers=(), tape=None, grad=False):
            rehearse(lambda: node.pull(gs[0] if node.op.outputs == 1 else gs, grads))

    def _let_go(self, node: Node, kept: Collection[str]) -> None:
        """Keep of a node's call no values that were made in the step, but those of some arguments."""
        assert node.call is not None

        def less(value: object) -> object:
            return self.gone.get(value.node, value) if isinstance(value, Traced) else value

        for name, value in node.call.items():
            if type(value) is Traced:
                if name not in kept:
                    node.call[name] = less(value)
            elif isinstance(value, (tuple, list)) and name not in kept:
                node.call[name] = mapped(less, value, Traced)

    def released(self, node: Node) -> None:
        """Note that the gradient of a node has been computed."""
        if self.gone and _lets_go(node):
            self._let_go(node, ())

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Inside, the values of calls are kept: who enters it reads what is recorded there."""
        first, before = len(self.nodes), self.gone
        self.gone = {}
        try:
            yield
        finally:
            self.gone = before
        if before is self._own:
            for node in self.nodes[first:]:
                if _lets_go(node):
                    flows = tuple([getattr(node, n + "_node", None) is not None for n in node.op.differentiable])
                    self._let_go(node, () if node.released else needed(node.op, flows))

    def is_constant(self, tensor: BaseTensor) -> bool:
        """Whether the value of a tensor is the same at each replay."""
        return any(tensor._trace in capture.constants for capture in self._nested())

    def stands_for_array(self, tensor: BaseTensor) -> None:
        """Note that a tensor stands for an array from outside. Its value may be read, as plain NumPy may read the array: a
        compiled function compares the elements before each replay."""
        self._arrays[id(tensor)] = tensor

    def _nested(self) -> Iterator[Capture]:
        """This capture, and those around it."""
        capture: Capture | None = self
        while capture is not None:
            yield capture
            capture = capture.outer

    def _draws(self, call: Call) -> list[Saved]:
        """Have the generators that an op is about to draw from put back if the capture fails: of a random one the process's
        own, and those among its arguments; of a loop or branch those that were drawn from while its body was captured."""
        arguments = call.bound.values()
        if call.op.random:
            rngs = None, *(v for v in arguments if isinstance(v, np.random.Generator))
            found = [self.kept(("generator", id(rng)), functools.partial(Saved, rng)) for rng in rngs]
        elif any(isinstance(v, Tape) for v in arguments):
            found = self.generators()
        else:
            return []
        for saved in found:
            saved.draws()
        return found

    def reads(self, tensor: BaseTensor, what: str, hint: str) -> None:
        if self.is_constant(tensor) or any(id(tensor) in capture._arrays for capture in self._nested()):
            return
        raise self.unreadable(tensor, what, hint)

    def unreadable(self, tensor: BaseTensor, what: str, hint: str = "") -> CaptureError:
        """The error for a value that leaves the tensors, which a replay could not follow."""
        if tensor._trace is not None:
            whose = "a tensor that is being captured; a replay could not follow it"
            usual = (
                "Return the tensor from the captured function and read it there, or compute with np.where in place of a "
                "Python branch"
            )
            if what.startswith("an ndarray") and tensor._data.dtype.kind in "biu":
                usual += "; an array that it is to index has to be a tensor: tn.asarray(array)[index]"
        else:
            whose = "a tensor from outside while a step is being captured; a replay would go on with it as it is now"
            usual = (
                "Compute with the tensor itself, or with np.where in place of a Python branch; to write it assign to its "
                ".data as a whole; if it never changes, read it before"
            )
        return CaptureError(f"{user_line()} asks for {what}, the value of {whose}. {hint or usual}")

    def writes(self, tensor: Tensor, value: object, by: str) -> bool:
        """Record a write as an op."""
        key = "data", id(tensor)
        if not self.saves(key):
            values = tensor._data.copy(order="K")

            def restore() -> None:
                np.copyto(tensor._data, values)
                mutation.wrote(tensor._data, "a captured step that failed and was put back")

            self.before(key, restore)
        written = ops.assign(tensor, value.detach() if isinstance(value, Tensor) else value)
        self.touch(tensor)
        node = tensor._trace = written._trace
        assert node is not None
        call: Any = node.call
        given = call["value"]
        if isinstance(given, Traced):  # all new values of a ResNet-18's step are 88 MB
            call["value"] = self.gone.get(given.node, given)
        return True

    def notes_write(self, root: object) -> None:
        """Note that an array is about to be written in place: the tensor, or what its views share."""
        if self.writing is not None:
            self.writing.note(root)

    def rebinds(self, tensor: BaseTensor, by: str, hint: str) -> None:
        lifted = local.state.lifted
        if lifted is not None:
            if lifted.either and is_among(tensor, lifted.either):
                raise CaptureError(
                    f"{user_line()} writes by {by} to an array that is the caller's or another variable's too, or is not, as a "
                    "branch or loop before decides when the program runs. Take a copy first, a = a.copy()"
                )
            self.notes_write(tensor)
            return
        if tensor._trace is not None or type(tensor._node) is Leaf:
            return
        what, hint = "tensor", "Change a copy: t = t.copy(). What is to last from call to call belongs in an nn.Buffer"
        if any(use.before is self.origin(cast("Tensor", tensor)) for use in self.grads.values()):
            what, hint = "gradient", "Set it anew, as in w.grad = w.grad * v"
        raise CaptureError(
            f"{user_line()} changes a {what} from outside by {by} while a step is being captured; a replay would not "
            f"do it again. {hint}"
        )

    def unsupported(self, name: str) -> Exception | None:
        return CaptureError(
            f"{user_line()} gives {name} a tensor while a step is being captured. {name} is not supported on tensors, and "
            "a replay could not follow the value alone: define an op for it with tn.op(..., numpy=...), or call it "
            "outside of the captured function"
        )

    def detaches(self, made: Tensor, tensor: Tensor) -> None:
        if tensor._trace is None:
            self.alias(made, tensor)
        self._detached.append(weakref.ref(made))

    def requires_grad(self, tensor: BaseTensor) -> None:
        if self.is_outside(tensor):
            restore = functools.partial(setattr, tensor, "_node", tensor._node)
            self.before(("requires_grad", id(tensor)), restore)

    # -- what a step that fails must leave as it was -------------------------------------------------------------

    def before(self, key: Hashable, restore: Callable[[], None]) -> None:
        """Say how to put something back that is about to be changed. Of several for one `key` the first counts.

        `restore` keeps alive whatever `key` is made of the `id` of.
        """
        self._undo.setdefault(key, restore)
        if self.outer is not None:
            self.outer.before(key, restore)

    def saves(self, key: Hashable) -> bool:
        """Whether `before` was called for this key, so that nothing need be kept again."""
        return key in self._undo

    def kept(self, key: Hashable, make: Callable[[Any], Any]) -> Any:
        """What puts something back, made of what the captures around this one have for it, or None, where it is new."""
        if key not in self._undo:
            around = self.outer
            while around is not None and key not in around._undo:
                around = around.outer
            self.before(key, make(None if around is None else around._undo[key]))
        return self._undo[key]

    def generators(self) -> list[Saved]:
        """The generators that are put back."""
        return [restore for restore in self._undo.values() if isinstance(restore, Saved)]

    def rollback(self, *, shared: bool = False) -> None:
        """Put everything back that the step changed, the latest change first; where it is `shared` with other threads, not
        the generators that these have drawn from too. What an interrupt keeps it from can be done by another call."""
        while self._undo:
            key, restore = next(reversed(self._undo.items()))
            if not (shared and isinstance(restore, Saved) and restore.disturbed()):
                restore()
            del self._undo[key]

    def touch(self, tensor: Tensor) -> None:
        if tensor._trace is None:
            self.before(("trace", id(tensor)), functools.partial(setattr, tensor, "_trace", None))
        super().touch(tensor)

    def fails(self, why: str) -> None:
        if self.failure is None:
            self.failure = why
        if self.outer is not None:
            self.outer.fails(why)

    # -- what the program holds for ------------------------------------------------------------------------------

    def depend(self, owner: object, fingerprint: Callable[[], object], *, again: bool = False) -> None:
        """Say that the program holds only as long as `fingerprint()` gives what it gives now.

        Args:
            owner: what the program depends on, such as a module; kept alive. Named in messages.
            fingerprint: the state of `owner` as a value that can be compared. It may change only where `epoch` does.
            again: register this fingerprint even if its owner has registered one.
        """
        if again or not self.knows(owner):
            self._owners.add(id(owner))
            self.dependencies.append((owner, fingerprint, fingerprint()))
        if self.outer is not None:
            self.outer.depend(owner, fingerprint, again=again)

    def knows(self, owner: object) -> bool:
        """Whether `owner` has registered a fingerprint."""
        return id(owner) in self._owners

    def made(self, thing: object) -> None:
        """Note that `thing` is made in the step, which may change it."""
        self._made.add(id(thing))
        if self.outer is not None:
            self.outer.made(thing)

    def has_made(self, thing: object) -> bool:
        """Whether `thing` is made in the step."""
        return id(thing) in self._made

    # -- tensors from outside ------------------------------------------------------------------------------------

    def is_outside(self, tensor: BaseTensor) -> bool:
        """Whether a tensor is not one that was made in the step, or one that was and has been written."""
        return tensor._trace is None or id(tensor) in self._touched

    def alias(self, handle: Tensor, tensor: Tensor) -> None:
        """Note that `handle` shares the array of `tensor`, which is from outside, as `tensor.detach()` does."""
        self._origins[id(handle)] = handle, self.origin(tensor)
        if self.outer is not None:
            self.outer.alias(handle, tensor)

    def origin(self, tensor: Tensor) -> Tensor:
        """The tensor that this one was made a handle of in the step, else itself. It is the one that is told when it
        is to stand for another array."""
        return self._origins.get(id(tensor), (tensor, tensor))[1]

    # -- what became of the gradients ----------------------------------------------------------------------------

    def reads_grad(self, leaf: Leaf, *, user: bool = False) -> None:
        """Note that a leaf's gradient was asked for."""
        use = self._use(leaf)
        use.entry_read |= use.is_entry
        use.user_read |= user
        if self.outer is not None:
            self.outer.reads_grad(leaf, user=user)
        before = use.before
        if user and use.is_entry and before is not None and leaf.grad is before and local.state.tape is self:
            # A handle of its own, to which can be added, since the one from before is put back.
            leaf.grad = Tensor._of(before._data, before._node, before._trace)
            if before._trace is None:
                self.alias(leaf.grad, before)

    def consumes_grad(self, leaf: Leaf) -> None:
        """Note that an optimizer's step asked for a leaf's gradient."""
        self.reads_grad(leaf)
        capture: Capture | None = self
        while capture is not None:
            capture.grads[leaf].consumed = True
            capture = capture.outer

    def sets_grad(self, leaf: Leaf, *, adds: bool = False, clears: bool = False) -> None:
        """Note that a leaf's gradient is about to be set: added to, set to None, or replaced."""
        use = self._use(leaf)
        use.entry_read |= adds and use.is_entry
        use.is_entry = False
        use.replaced |= not adds
        if not clears:
            use.consumed = False
        if self.outer is not None:
            self.outer.sets_grad(leaf, adds=adds, clears=clears)

    def changes_grad(self, leaf: Leaf, made: Any, by: str = "backward()") -> bool:
        before = leaf.grad
        if made._node is not None or before is None or before is self._use(leaf).before:
            return False  # the one from before is put back
        trace, origin = before._trace, self.origin(before)
        for handle in (before, *[ref() for ref in self._detached]):
            if handle is not None and handle._trace is trace and (trace is not None or self.origin(handle) is origin):
                handle._become(made, by)
        return True

    def may_use_grad(self, leaf: Leaf, use: GradUse) -> None:
        """Note what is done with the gradient of a leaf where a branch is taken that was not taken now."""
        own = self._use(leaf)
        own.entry_read |= use.entry_read and own.is_entry
        own.user_read |= use.user_read
        own.consumed |= use.consumed
        own.is_entry &= use.is_entry

    def _use(self, leaf: Leaf) -> GradUse:
        use = self.grads.get(leaf)
        if use is None:
            before = leaf.grad
            use = self.grads[leaf] = GradUse(before)
            self._undo.setdefault(leaf, functools.partial(setattr, leaf, "grad", before))
        return use


class GradUse:
    """What a captured step did with the gradient of one leaf.

    Attributes:
        before: what the leaf's `.grad` was as the step began, a tensor or None.
        entry_read: whether that, None or not, had an influence on the step: a backward pass added to it, or an
            optimizer, clipping or the user read it, before it was cleared or replaced.
        user_read: whether anything read it through `.grad`, which an optimizer and clipping do not.
        consumed: whether an optimizer's step read it after it was last set to something else than None.
        is_entry: whether it is still the one from before.
        replaced: whether it was ever set otherwise than by adding to it.
    """

    __slots__ = ("before", "consumed", "entry_read", "is_entry", "replaced", "user_read")

    def __init__(self, before: Tensor | None) -> None:
        self.before = before
        self.entry_read = False
        self.user_read = False
        self.consumed = False
        self.is_entry = True
        self.replaced = False

    def __repr__(self) -> str:
        told = [name for name in ("entry_read", "user_read", "consumed") if getattr(self, name)]
        before = "None" if self.before is None else f"{self.before.dtype} {self.before.shape}"
        return f"<gradient: {before} before{''.join(', ' + name for name in told)}>"


class _Gone:
    """Stands for the array of a value that is no longer there."""

    base = None  # it shares memory with nothing

    def __array__(self, *args: object, **kwargs: object) -> Array:
        raise self._asked()

    __array_ufunc__ = __array_function__ = __array__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's protocols look these up on anything: it follows none
            raise AttributeError(name)
        raise self._asked()

    def _asked(self) -> RuntimeError:
        return RuntimeError(
            "a value is asked for of which a capture has let go: what reads the calls that it records does so inside of "
            "its keeping()"
        )


_GONE = _Gone()


def _lets_go(node: Node) -> bool:
    """Whether values of a call may be let go: it is one of an op of tapenet's that does no more than to compute its results,
    and has no body."""
    op, call = node.op, node.call
    if not call or op.effect or op.random or not is_own(op):
        return False
    return not any(isinstance(value, Tape) for value in call.values())


def capturing() -> Capture | None:
    """The capture that is running in this thread, or None."""
    tape = local.state.tape
    return tape if isinstance(tape, Capture) else None


def sketch() -> None:
    """From now on nobody looks at the values of what is captured: its program runs next."""
    capture = capturing()
    while capture is not None:
        capture.sketches = True
        capture = capture.outer


def sketching() -> bool:
    """Whether a capture runs in this thread at whose values nobody looks."""
    capture = capturing()
    return capture is not None and capture.sketches


#: The ops that read or write parts of an array.
_PARTS = frozenset({"getitem", "setitem", "index_add", "scatter_add", "scatter_sum"})


def _of_any_values(call: Call) -> None:
    """Have an op give something of the right shape and dtype, whatever values it is given, which are not those of a run: of a
    loop only one turn was made, and maybe one that there is not."""
    forward = call.forward

    def given(raw: Mapping[str, object]) -> list[Array]:
        if call.op.name in _PARTS:
            raw = _in_place(raw)
        try:
            return forward(raw)
        except (ArithmeticError, ValueError, IndexError):
            try:  # there may be no inverse of such values, no decomposition, no probability, no class
                return forward({name: _regular(value) for name, value in raw.items()})
            except Exception:
                pass
            raise

    call.forward = given


def _regular(value: object) -> object:
    """An array as one that has an inverse, of probabilities, or of classes that there are."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind in "fc":
        return np.zeros_like(value) + (np.eye(*value.shape[-2:], dtype=value.dtype) if value.ndim > 1 else 1)
    return np.zeros_like(value) if value.dtype.kind in "biu" else value


def _in_place(raw: Mapping[str, object]) -> dict[str, object]:
    """What such an op is given, with indices that name places that there are."""
    shape = cast("Shape", raw["shape"] if "shape" in raw else np.shape(cast("Array", raw["a"])))
    if "index" in raw:
        return {**raw, "index": _inside(raw["index"], shape)}
    return {**raw, "indices": [_inside(index, shape) for index in cast("list[object]", raw["indices"])]}


def _inside(index: object, shape: Shape) -> object:
    """An index whose arrays of integers name places that there are."""
    parts = index if isinstance(index, tuple) else (index,)
    if not any(isinstance(part, np.ndarray) and part.dtype.kind in "iu" for part in parts):
        return index
    taken = [part.ndim if isinstance(part, np.ndarray) and part.dtype == bool else part is not None for part in parts]
    found: list[object] = []
    axis = 0
    for part, axes in zip(parts, taken, strict=True):
        if part is Ellipsis:
            axis = len(shape) - sum(taken[len(found) + 1 :])
        else:
            if isinstance(part, np.ndarray) and part.dtype.kind in "iu" and shape[axis]:
                part = np.clip(part, -shape[axis], shape[axis] - 1)
            axis += axes
        found.append(part)
    return tuple(found)
