"""Functions that programs apply: what they compute, and their derivatives, as programs."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property

from tapenet.program import checks
from tapenet.program.batching import batch, drawing_ops, unchecked
from tapenet.program.ir import Answer, Builder, Input, Instruction, Program, Value, inline, rewrite
from tapenet.program.keys import Keyed, key_of
from tapenet.program.passes import simplify
from tapenet.program.primitives import Spec
from tapenet.program.pullback import pullback
from tapenet.program.pushforward import pushforward
from tapenet.typing import Array


class Function(Keyed):
    """A function of arrays of fixed shapes and dtypes.

    Attributes:
        name: what to call it.
        inputs, outputs: shapes and dtypes.
    """

    name: str
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]

    @property
    def shown(self) -> Program:
        """What a picture shows of it."""
        return self.program()

    def pull(self, wanted: Sequence[int]) -> Program:
        """What pulls gradients back: a program of the inputs, then the gradients by the outputs, that gives those by the
        `wanted` inputs."""
        return pullback(self.program(), wanted)

    def push(self, active: Sequence[int]) -> Program:
        """What pushes tangents forward: a program of the inputs, then the tangents of the `active` ones, that gives the
        outputs, then the tangents of those that are inexact."""
        return pushforward(self.program(), active)

    def batch(self, batched: Sequence[bool], size: int) -> Function:
        """The function of as many lanes, along the first axis of the inputs that are `batched` and of all outputs."""
        return Batched(self, tuple(batched), size)

    def unchecked(self) -> Function:
        """The function in a branch that is computed for lanes that do not take it: see `batching.unchecked`."""
        return Unchecked(self)

    @cached_property
    def ordered(self) -> bool:
        """Whether something in it must run at each call and in order."""
        return any(i.ordered for i in self.program().body)

    @cached_property
    def paired(self) -> bool:
        """Whether another process answers something in it."""
        return any(i.paired for i in self.program().body)

    @cached_property
    def draws(self) -> tuple[str, ...]:
        """The ops in it that draw random numbers when they are called, by name."""
        return tuple(name for name, _ in drawing_ops(self.program()))

    @cached_property
    def pulled(self) -> dict[object, Function]:
        """The functions that pull gradients back through it, as far as they were made."""
        return {}

    @cached_property
    def expanded(self) -> Program:
        """What it computes, in primitives."""
        return simplify(checks.kept(expand(self.program())))

    def evaluate(self, arrays: Sequence[Array]) -> list[Array]:
        """What it gives for arrays."""
        return self.expanded.evaluate(arrays)


class Given(Function):
    """A program as a function."""

    def __init__(self, name: str, program: Program) -> None:
        self.name = name
        self._program = program
        self.inputs, self.outputs = specs(program.inputs), specs(program.outputs)

    def key(self) -> Hashable:
        return None

    def program(self) -> Program:
        return self._program


class Changed(Function):
    """Another function (`inner`), its programs changed. A picture shows the other one."""

    inner: Function

    def changed(self) -> Program:
        """The inner function's program, changed."""
        raise NotImplementedError

    @cached_property
    def _program(self) -> Program:
        return self.changed()

    def program(self) -> Program:
        return self._program

    @cached_property
    def draws(self) -> tuple[str, ...]:
        return self.inner.draws

    @property
    def shown(self) -> Program:
        return self.inner.shown


class Batched(Changed):
    """A function of many lanes. Its derivatives are the function's own, batched: so they follow the rules that ops state."""

    def __init__(self, inner: Function, batched: tuple[bool, ...], size: int) -> None:
        self.inner, self.batched, self.size = inner, batched, size
        self.name = inner.name
        self.inputs = tuple(_laned(s, size) if b else s for s, b in zip(inner.inputs, batched, strict=True))
        self.outputs = tuple(_laned(s, size) for s in inner.outputs)

    def key(self) -> Hashable:
        return key_of(self.inner), self.batched, self.size

    def changed(self) -> Program:
        return batch(self.inner.program(), self.batched, self.size, everything=True)[0]

    def pull(self, wanted: Sequence[int]) -> Program:
        flags = [*self.batched, *[True] * len(self.outputs)]
        pulled = batch(self.inner.pull(wanted), flags, self.size, everything=True)[0]
        builder = Builder()
        builder.body = list(pulled.body)
        outputs = [
            g if self.batched[i] else builder.emit("reduce_add", g, axes=(0,))
            for i, g in zip(sorted(wanted), pulled.outputs, strict=True)
        ]
        return Program(pulled.inputs, [], builder.body, outputs, [])

    def push(self, active: Sequence[int]) -> Program:
        flags = [*self.batched, *(self.batched[i] for i in sorted(active))]
        return batch(self.inner.push(active), flags, self.size, everything=True)[0]


class Unchecked(Changed):
    """A function without the checks of what nobody uses. Its derivatives are the function's own, without them too."""

    def __init__(self, inner: Function) -> None:
        self.inner = inner
        self.name, self.inputs, self.outputs = inner.name, inner.inputs, inner.outputs

    def key(self) -> Hashable:
        return "unchecked", key_of(self.inner)

    def changed(self) -> Program:
        return unchecked(self.inner.program())

    def unchecked(self) -> Function:
        return self

    def pull(self, wanted: Sequence[int]) -> Program:
        return unchecked(self.inner.pull(wanted))

    def push(self, active: Sequence[int]) -> Program:
        return unchecked(self.inner.push(active))

    def batch(self, batched: Sequence[bool], size: int) -> Function:
        return Unchecked(self.inner.batch(batched, size))


def _laned(spec: Spec, size: int) -> Spec:
    return Spec((size, *spec.shape), spec.dtype)


def specs(values: Iterable[Value]) -> tuple[Spec, ...]:
    """Shapes and dtypes of values."""
    return tuple(Spec(v.shape, v.dtype) for v in values)


def inputs_for(given: Iterable[Spec]) -> list[Input]:
    """Inputs of such shapes and dtypes."""
    return [Input(shape, dtype) for shape, dtype in given]


def expand(program: Program) -> Program:
    """The program without `apply` and `stop`, in the bodies of loops and branches too."""
    bodies: dict[int, Program] = {}

    def inner(body: Program) -> Program:
        if id(body) not in bodies:
            bodies[id(body)] = body if (found := expand(body)) is body else simplify(checks.kept(found))
        return bodies[id(body)]

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if instruction.name == "stop":
            return args[0]
        if instruction.name == "apply":
            return tuple(inline(builder, expand(instruction.params["function"].program()), args))
        new = {n: inner(p) for n, p in instruction.params.items() if isinstance(p, Program)}
        if all(instruction.params[n] is p for n, p in new.items()):
            return None
        return builder.several(instruction.name, *args, **{**instruction.params, **new})

    return rewrite(program, change)
