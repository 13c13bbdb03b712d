"""Recomputation in place of memory: a function whose backward pass runs it again, and keeps what a policy says alone."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, ParamSpec, TypeAlias, TypeVar, overload

import numpy as np

from tapenet import ops
from tapenet.autodiff import backward
from tapenet.autodiff.attached import attach, gradients
from tapenet.autodiff.node import BaseTensor, Node, Scope, next_number
from tapenet.autodiff.observe.autocast import autocast, without
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.layer import CallStep, Layer
from tapenet.autodiff.record import Call
from tapenet.autodiff.state import enable_grad, local, no_grad, switched
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op
from tapenet.ops.random import Saved
from tapenet.ops.tracebacks import boundary
from tapenet.program.arguments import elements
from tapenet.program.functions import Function, Given
from tapenet.program.ir import Builder, Input, Value, inline
from tapenet.program.low import is_inexact
from tapenet.program.trees import placed, replaced, stand, tree_leaves
from tapenet.transforms.recorded import Recording, end
from tapenet.transforms.rule_functions import RuleFunction, TracedRule
from tapenet.typing import Array

P = ParamSpec("P")
R = TypeVar("R")

#: What is kept of the ops that run: those of which a function says so, those of some names, or all products. None: nothing.
Policy: TypeAlias = Callable[[Op], bool] | Collection[str] | Literal["products"] | None
#: Of an op, whether its results are kept.
Keeps = Callable[[Op], bool]


@overload
def checkpoint(f: Callable[P, R], policy: Policy = None) -> Callable[P, R]: ...
@overload
def checkpoint(f: None = None, policy: Policy = None) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
@boundary
def checkpoint(f: Callable[..., object] | None = None, policy: Policy = None) -> Callable[..., object]:
    """A function that computes what `f` does, and holds nothing for the backward pass but its arguments: that runs `f`
    again, and then goes back through it.

    A model of n blocks, each of them a checkpoint, holds n arguments and what a single block needs. A step takes about a
    third longer, since a forward pass is a third of it.

    The second run draws the same random numbers, takes the precision of the first (`tn.autocast`), and finds buffers with
    the values that they had; what it writes to them (running statistics) is written once. Other effects on Python objects
    happen twice. In a compiled step the second run comes as late as it can.

    Args:
        f: a function or a module. It does the same each time that it runs. What it closes over, such as parameters, gets
            gradients too. Without it the call gives a decorator.
        policy: which results are kept, so that the ops that gave them do not run again: "products" keeps those of
            products of matrices, convolutions and attention, which take most of the time; a collection of names keeps
            those of the ops so called; a function is given an op (with its `name`) and says whether to keep what it gives.

    Returns:
        a function of the same arguments. Under `tn.no_grad()`, and while a `tn.Tape()` keeps all values, it is `f`.

    Raises:
        TypeError: `f` is no function, or `policy` is something else.
        RuntimeError: in the backward pass `f` did something else than in the forward pass.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet import nn
    >>> block = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Dropout(0.5))
    >>> x = tn.tensor(np.ones((2, 3)), requires_grad=True)
    >>> tn.checkpoint(block)(x).sum().backward()
    >>> x.grad.shape, block[0].weight.grad.shape
    ((2, 3), (3, 3))
    """
    if f is None:
        return functools.partial(checkpoint, policy=policy)
    if not callable(f):
        raise TypeError(f"tn.checkpoint: f is a function or a module, not {type(f).__name__}")
    keeps = _keeps(policy)
    name = f"checkpoint of {getattr(f, '__name__', type(f).__name__)}"

    @boundary
    def run(*args: object, **kwargs: object) -> object:
        state = local.state
        capture = capturing()
        watched = state.tape is None or isinstance(state.tape, Watch)
        if not state.grad or not (capture or watched):
            return f(*args, **kwargs)
        begin = next_number()
        if capture is not None:
            first = len(capture.nodes)
            with capture.keeping():
                out = f(*args, **kwargs)
                made = _made(out, begin)
                recording = Recording(keeps, capture, first, made)
            given = [Tensor._of(t._data, None, t._trace) for t in made]
            inputs, others = recording.inputs, recording.others
            recording.release()
            outs = attach(_Late(name, recording), inputs, given, others)
        else:
            again = _Again(name, f, keeps, args, kwargs)
            out = again.first(begin)
            made, inputs, kept = again.enter(out)
            outs = attach(again, inputs, made, kept)
        results = {id(t): own for t, own in zip(made, outs, strict=True)}
        return replaced(lambda t: results.get(id(t), t), out)

    return functools.update_wrapper(run, f) if hasattr(f, "__name__") else run


def _keeps(policy: Policy) -> Keeps | None:
    if policy is None:
        return None
    if hasattr(policy, "shape"):
        raise TypeError(
            "tn.checkpoint(f, x): in second place is the policy; tn.checkpoint(f) gives a function, which is called with "
            "arrays: tn.checkpoint(f)(x)"
        )
    if policy == "products":
        return lambda op: op.multiply_adds is not None
    if callable(policy):
        return policy
    if not isinstance(policy, str) and isinstance(policy, Collection) and all(isinstance(n, str) for n in policy):
        names = frozenset(policy)
        return lambda op: op.name in names
    raise TypeError(
        f'tn.checkpoint: policy={policy!r}; give "products", names of ops such as ["linear"], or a function of an op that '
        "says whether its result is kept"
    )


def _made(out: object, begin: int) -> list[Tensor]:
    """The tensors in a structure that have a gradient and were made since a number was taken."""
    return [t for t in tree_leaves(out) if type(t) is Tensor and t._node is not None and t._node.number > begin]


class Watch(Layer):
    """Notes what a run takes from outside, and what it gives that is kept; or gives a second run the same."""

    rank = 1

    def __init__(self, keeps: Keeps | None, begin: int, given: list[list[Array]] | None = None) -> None:
        self.keeps = keeps
        self.begin = begin
        self.outer: Layer | None = None
        #: The tensors from outside with a gradient, by node.
        self.closed: dict[Node, Tensor] = {}
        #: What ops gave that is kept, in order.
        self.kept: list[list[Array]] = []
        #: The same from the first run, in the second; what is left of it.
        self.given = given
        self.generators: dict[int, Saved] = {}
        self.written: dict[int, tuple[Tensor, Array]] = {}

    def call(self, step: CallStep) -> CallStep:
        def watched(call: Call) -> object:
            self._note(call)
            if self.keeps is None or not self.keeps(call.op):
                return step(call)
            if self.given is not None:
                arrays = self.given.pop(0) if self.given else []
                if arrays:
                    call.forward = lambda values: arrays
                return step(call)
            result = step(call)
            self.kept.append(list(call.arrays))
            return result

        return watched

    def _note(self, call: Call) -> None:
        rngs: list[np.random.Generator | None] = [None] if call.op.random else []
        for value in call.bound.values():
            for t in elements(value):
                if type(t) is Tensor:
                    self.opens(t)
                elif isinstance(t, np.random.Generator):
                    rngs.append(t)
        for rng in rngs:
            self.generators.setdefault(id(rng), Saved(rng))

    def opens(self, tensor: Tensor) -> None:
        if tensor._node is not None and tensor._node.number < self.begin:
            self.closed.setdefault(tensor._node, tensor)

    def writes(self, tensor: Tensor, value: object, by: str) -> bool:
        self.written.setdefault(id(tensor), (tensor, tensor._data.copy()))
        return self.outer is not None and self.outer.writes(tensor, value, by)

    def rebinds(self, tensor: BaseTensor, by: str, hint: str) -> None:
        if tensor._node is not None and tensor._node.number < self.begin:
            raise RuntimeError(
                f"the function of a checkpoint changes a tensor from outside by {by}, which would happen twice: it runs "
                f"again in the backward pass. {hint}"
            )

    def around(self) -> switched:
        """The block in which it watches."""
        state = local.state
        self.outer = state.tape
        return switched(tape=self, layers=tuple(sorted([*state.layers, self], key=lambda each: each.rank)))

    def outside(self, made: Sequence[Tensor], ends: Sequence[Tensor]) -> set[Node]:
        """The nodes from outside that what was made depends on, beside those where gradients end."""
        stop = {t._node for t in ends if t._node is not None}
        reached = backward.between([t._node for t in made if t._node is not None], stop)
        inside = [n for n in reached if n not in stop and n.number > self.begin]
        return {p for n in inside for p in n.parents if p.number < self.begin}


class _Again(TracedRule):
    """The rule of a checkpoint in eager mode: run the function as it was run, and go back through that."""

    def __init__(
        self,
        name: str,
        f: Callable[..., object],
        keeps: Keeps | None,
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> None:
        self.name = name
        self.f = f
        self.keeps = keeps
        #: The tensors with a gradient among the arguments, each once; then these with their places in place of tensors.
        self.given: list[Tensor] = []
        self.arguments: object = replaced(self._place, (args, kwargs))
        #: Of a module the parameters that it has, which may be others only while a block runs.
        self.parameters = None if stand(type(f)) is None else tree_leaves(f)
        self.scope: Scope = local.state.scope
        self.autocast = local.state.autocast
        #: The nodes of what it closes over.
        self.closed: list[Node] = []
        #: What it returned, and which of that gradients flow through.
        self.specs: list[str] = []
        self.places: list[int] = []
        #: How many arrays there are of each op whose results are kept.
        self.counts: list[int] = []
        self.generators: list[Saved] = []
        self.written: list[tuple[Tensor, Array]] = []

    def _place(self, value: object) -> object:
        if type(value) is not Tensor or value._node is None:
            return value
        for i, t in enumerate(self.given):
            if t is value:
                return _Place(i)
        self.given.append(value)
        return _Place(len(self.given) - 1)

    def _call(self, ends: Sequence[Tensor], watch: Watch) -> object:
        args, kwargs = replaced(lambda v: ends[v.number] if type(v) is _Place else v, self.arguments)
        other: AbstractContextManager[object] = nullcontext()
        if self.parameters is not None and not all(map(operator.is_, self.parameters, tree_leaves(self.f))):
            other = placed(self.f, self.parameters)
        with other, watch.around():
            return self.f(*args, **kwargs)

    def first(self, begin: int) -> object:
        """The first run, in which nothing is recorded. What it returns of its arguments it returns as it was given."""
        ends = [t.detach() for t in self.given]
        self.watch = Watch(self.keeps, begin)
        with no_grad():
            out = self._call(ends, self.watch)
        own = {id(t): given for t, given in zip(ends, self.given, strict=True)}
        return replaced(lambda t: own.get(id(t), t), out)

    def enter(self, out: object) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """What was made; the tensors that gradients go to, arguments and then what is closed over; and what is kept."""
        watch = self.watch
        leaves = tree_leaves(out)
        self.places = [i for i, t in enumerate(leaves) if type(t) is Tensor and t._node is None and is_inexact(t.dtype)]
        self.specs = [f"{t.dtype} {t.shape}" if type(t) is Tensor else type(t).__name__ for t in leaves]
        inputs = [*self.given, *watch.closed.values()]
        self.closed = list(watch.closed)
        self.counts = [len(arrays) for arrays in watch.kept]
        kept = [Tensor._of(np.asarray(a)) for arrays in watch.kept for a in arrays]
        self.generators = list(watch.generators.values())
        self.written = list(watch.written.values())
        del self.given, self.watch  # it is to hold no more than it must
        return [leaves[i] for i in self.places], inputs, kept

    def pull(
        self, inputs: list[Tensor], kept: list[Tensor], outs: list[Tensor], gs: list[Tensor | None]
    ) -> list[Tensor | None]:
        """The gradients by arguments and what is closed over."""
        begin = next_number()
        ends = [end(t) for t in inputs[: len(inputs) - len(self.closed)]]
        arrays = iter(kept)
        watch = Watch(self.keeps, begin, [[next(arrays)._data for _ in range(n)] for n in self.counts])
        leaves = tree_leaves(self._again(ends, watch))
        specs = [f"{t.dtype} {t.shape}" if type(t) is Tensor else type(t).__name__ for t in leaves]
        made = [leaves[i] for i in self.places] if specs == self.specs else []
        if specs != self.specs or not watch.outside(made, ends).issubset(self.closed):
            told = (
                f"gave {specs}, and {self.specs} in the forward pass" if specs != self.specs else "read other tensors"
            )
            raise RuntimeError(
                f"{self.name}: run again in the backward pass it {told}: what a checkpoint runs must do the same each "
                "time, and the tensors that it closes over must stand for the same values"
            )
        return gradients([*(t._node for t in ends), *self.closed], made, gs, release=True)

    def _again(self, ends: list[Tensor], watch: Watch) -> object:
        now = [Saved(saved.rng) for saved in self.generators]
        storages = [(tensor, tensor._data) for tensor, _ in self.written]
        precision = without() if self.autocast is None else autocast(self.autocast)
        try:
            for saved in self.generators:
                saved()
            for tensor, before in self.written:
                tensor._data = before.copy()  # what is written goes there
            with precision, switched(grad=True, scope=self.scope):
                return self._call(ends, watch)
        finally:
            for tensor, data in storages:
                tensor._data = data
            for saved in now:
                saved()


class _Place:
    """Stands for a tensor among the arguments."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


# -- while a step is captured: what it did is recorded again -----------------------------------------------------


class _Late(TracedRule):
    """The rule of a checkpoint while a step is captured: record what the function did once more, what it was computed from
    behind barriers that wait for the gradient, and go back through that."""

    def __init__(self, name: str, recording: Recording) -> None:
        self.name = name
        self.recording = recording

    def pull(
        self, inputs: list[Tensor], kept: list[Tensor], outs: list[Tensor], gs: list[Tensor | None]
    ) -> list[Tensor | None]:
        """The gradients by what the function was computed from."""
        after = next(g for g in gs if g is not None)
        ends = [end(_late(t, after)) for t in inputs]
        others = [t if i in self.recording.drawn else _late(t, after) for i, t in enumerate(kept)]
        with enable_grad():
            made = self.recording.again(ends, others)
        return gradients([t._node for t in ends], made, gs, release=False)

    def function(self, inputs: Sequence[Array], outs: Sequence[Array], kept: Sequence[Array]) -> Function:
        """The values as a function of what they were computed from."""
        return _Repeated(self, [[Tensor._of(np.array(a)) for a in part] for part in (inputs, outs, kept)])


class _Repeated(RuleFunction):
    """A checkpoint in a program: forward mode is that of what it did, which holds nothing."""

    rule: _Late

    def pushed(self, builder: Builder, inputs: Sequence[Value], tangents: dict[int, Input]) -> list[Value]:
        def run(values: list[Tensor]) -> list[Tensor]:
            given, _, kept, _ = self.parts(values)
            return self.rule.recording.again(given, kept)

        pushed = Given(self.name, self.traced(run, [])).push(list(tangents))
        return inline(builder, pushed, [*inputs, *tangents.values()])[len(self.outputs) :]


def _late(t: Tensor, after: Tensor) -> Tensor:
    """A value that was computed, not before the gradient is there. What is outside of the step is there anyway."""
    made: Tensor = t if t._trace is None else ops.barrier(t, after.detach())
    return made
