"""The program: a typed linear intermediate representation in static single assignment form.

A program is a list of instructions over values of known shape and dtype. Nothing in it is changed in place: what a
step writes to parameters and state is a list of (reference, value) pairs, stored when the program has run. So a pass
may drop, merge and reorder instructions as long as each value is computed before it is used; only instructions with
an effect (calls of ops that draw random numbers or ask the host) keep their order.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tapenet.program.called_ops import note_line
from tapenet.program.primitives import PRIMITIVES, Params, Spec, function, loop_dtypes
from tapenet.typing import Array, Number, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


class ProgramError(RuntimeError):
    """A program that is not well formed: a defect of a pass, never of the user."""


class Value:
    """Something a program computes with. Where it comes from is its class."""

    __slots__ = ("dtype", "shape")

    #: The instruction that computes it, or what it is a view of; None for what comes from outside.
    source: Instruction | None = None

    def __init__(self, shape: Shape, dtype: np.dtype) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def spec(self) -> str:
        """Dtype and shape, as text."""
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


class Input(Value):
    """An argument, given anew at each call. It is dense in memory; `order` are its axes from the slowest there to the
    fastest, None for the usual order."""

    __slots__ = ("order",)

    def __init__(self, shape: Shape, dtype: np.dtype, order: Shape | None = None) -> None:
        super().__init__(shape, dtype)
        self.order = order


class Reference(Value):
    """A tensor from outside (a parameter, a buffer, optimizer state), read where it is at each call."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Any) -> None:
        super().__init__(tensor._data.shape, tensor._data.dtype)
        self.tensor = tensor


class Constant(Value):
    """An array known when the program is made."""

    __slots__ = ("array",)

    def __init__(self, array: ArrayLike) -> None:
        self.array: Array = np.asarray(array)
        super().__init__(self.array.shape, self.array.dtype)


class Host(Value):
    """An array that the host program computes anew at the beginning of each call: a learning rate, random draws.

    Attributes:
        evaluate: gives it.
        title: what to call it; of a vector of numbers that have names, these, separated by commas.
    """

    __slots__ = ("evaluate", "title")

    def __init__(self, shape: Shape, dtype: np.dtype, evaluate: Callable[[], object], title: str = "") -> None:
        super().__init__(shape, dtype)
        self.evaluate = evaluate
        self.title = title


class Result(Value):
    """What an instruction computes."""

    __slots__ = ("instruction", "source")

    def __init__(self, shape: Shape, dtype: np.dtype, instruction: Instruction, source: Instruction | None) -> None:
        self.shape = shape
        self.dtype = dtype
        self.instruction = instruction
        self.source = source


#: Primitives in which there may be others, and calls.
_HOLDERS = frozenset({"call", "apply", "loop", "while", "branch"})


class Instruction:
    """One primitive applied to values. `line` is the line of the user's code that it comes from, for errors."""

    __slots__ = ("args", "kind", "line", "name", "params", "results")

    def __init__(
        self, name: str, args: Iterable[Value], params: Params, specs: Iterable[tuple[Shape, np.dtype]], line: str = ""
    ) -> None:
        self.name = name
        #: That of its primitive: elementwise, reduction, view, product, movement, control, order, transform and others.
        self.kind = PRIMITIVES[name].kind
        self.args = tuple(args)
        self.params = params
        self.line = line
        source = self.args[0].source if self.seen_through else self
        self.results = tuple([Result(shape, dtype, self, source) for shape, dtype in specs])

    def on(self, args: Iterable[Value], line: str = "") -> Instruction:
        """The same of other arguments, of the same shapes and dtypes."""
        made = object.__new__(Instruction)  # `__init__` would look up what this one knows
        made.name, made.kind, made.params, made.line = self.name, self.kind, self.params, line or self.line
        made.args = tuple(args)
        source = made.args[0].source if self.seen_through else made
        made.results = tuple([Result(r.shape, r.dtype, made, source) for r in self.results])
        return made

    @property
    def origin(self) -> str:
        """The line of the user's code, and what this is computed of, for errors; "" where no line is known."""
        args = [f"{a.dtype} {a.shape}" for a in self.args if self.name != "provided" or a.dtype != bool]
        if len(args) > 8:  # of a list of arrays
            args[6:] = [f"{len(args) - 6} more"]
        return f"{self.line}, of {', '.join(args)}" if self.line and args else self.line

    def note(self, error: BaseException) -> None:
        """Say in an error that this raised where it comes from."""
        op = f" by op {self.params['op'].name!r}" if self.name == "call" else ""
        note_line(error, self.origin, f"raised{op}")

    @property
    def seen_through(self) -> bool:
        """Whether who reads its result may as well read the argument: it is a view, but for one that has to wait."""
        return self.kind == "view" and self.name != "barrier"

    @property
    def effect(self) -> bool:
        """Whether it must run at each call and in order, even if nobody needs its results."""
        return bool(self.params.get("effect")) or (self.name in _HOLDERS and self.ordered)

    @property
    def ordered(self) -> bool:
        """Whether something in it must run at each call and in order, but has a derivative all the same."""
        if self.name == "call":
            return getattr(self.params["op"], "ordered", None) is not None
        if self.name == "apply":
            return bool(self.params["function"].ordered)
        return any(i.ordered for p in self.params.values() if isinstance(p, Program) for i in p.body)

    @property
    def paired(self) -> bool:
        """Whether another process answers something in it: what comes from there may vary, whatever this one gave."""
        if self.name not in _HOLDERS:
            return False
        if self.name == "call":
            return bool(getattr(self.params["op"], "paired", False))
        if self.name == "apply":
            return bool(self.params["function"].paired)
        return any(i.paired for p in self.params.values() if isinstance(p, Program) for i in p.body)

    @property
    def tells(self) -> bool:
        """Whether it tells the user something, or something in it does, which is no part of a derivative."""
        return bool(self.params.get("tells"))

    @property
    def stays(self) -> bool:
        """Whether it must run at each call: it has an effect, or values say how many elements it gives, and the program
        holds for that number, which the function may have read without any of them."""
        return self.effect or bool(self.params.get("sized"))

    @property
    def must_run(self) -> bool:
        """Whether it is not to be dropped though nobody uses its results: it stays, or may make too many turns, which is an
        error, or something in it may raise."""
        if self.stays or self.params.get("always") or (self.name == "while" and self.params.get("length") is not None):
            return True
        return any(i.must_run for p in self.params.values() if isinstance(p, Program) for i in p.body)


class Write(NamedTuple):
    """A tensor from outside gets a new value when the program has run."""

    target: Reference
    value: Value


class Program:
    """Instructions between inputs and outputs.

    Attributes:
        inputs: the arguments in order.
        hosts: what the host computes at the beginning of each call, in this order.
        body: the instructions, each after those whose results it uses.
        outputs: the results, in order.
        writes: what is stored into tensors from outside at the end.
    """

    def __init__(
        self,
        inputs: Iterable[Input],
        hosts: Iterable[Host],
        body: Iterable[Instruction],
        outputs: Iterable[Value],
        writes: Iterable[Write],
    ) -> None:
        self.inputs = tuple(inputs)
        self.hosts = tuple(hosts)
        self.body = tuple(body)
        self.outputs = tuple(outputs)
        self.writes = tuple(writes)
        self._names: frozenset[str] | None = None
        self._uses: dict[Value, int] | None = None

    @property
    def names(self) -> frozenset[str]:
        """The primitives in it."""
        if self._names is None:
            self._names = frozenset([i.name for i in self.body])
        return self._names

    def roots(self) -> Iterator[Value]:
        """What the program is run for."""
        yield from self.outputs
        for write in self.writes:
            yield write.target
            yield write.value

    def values(self) -> Iterator[Value]:
        """Every value that is used or computed, each once."""
        mentioned: list[Iterable[Value]] = [self.inputs, self.hosts]
        for instruction in self.body:
            mentioned += (instruction.args, instruction.results)
        mentioned.append(self.roots())
        return iter(dict.fromkeys(itertools.chain.from_iterable(mentioned)))

    @functools.cached_property
    def references(self) -> list[Reference]:
        return [v for v in self.values() if isinstance(v, Reference)]

    @property
    def constants(self) -> list[Constant]:
        return [v for v in self.values() if isinstance(v, Constant)]

    def uses(self) -> dict[Value, int]:
        """How often each value is an argument or a root; to be changed at will."""
        if self._uses is None:
            count: dict[Value, int] = {}
            for instruction in self.body:
                for arg in instruction.args:
                    count[arg] = count.get(arg, 0) + 1
            for value in self.roots():
                count[value] = count.get(value, 0) + 1
            self._uses = count
        return dict(self._uses)

    def evaluate(self, arrays: Sequence[Array], store: bool = True) -> list[Array]:
        """The results, computed primitive by primitive: what a program means. Backends are held against it.

        Args:
            arrays: the arguments.
            store: whether what it writes is written.
        """
        known: dict[Value, Array] = dict(zip(self.inputs, arrays, strict=True))
        for host in self.hosts:
            known[host] = np.asarray(host.evaluate(), host.dtype).reshape(host.shape)

        def value(v: Value) -> Array:
            if isinstance(v, Constant):
                return v.array
            return v.tensor._data if isinstance(v, Reference) else known[v]

        with np.errstate(all="ignore"):
            for instruction in self.body:
                evaluate = PRIMITIVES[instruction.name].evaluate
                try:
                    results = evaluate(*map(value, instruction.args), **instruction.params)
                except Exception as error:
                    instruction.note(error)
                    raise
                several = results if isinstance(results, tuple) else (results,)
                known.update(zip(instruction.results, map(np.asarray, several), strict=True))
        outputs = [np.array(value(v)) for v in self.outputs]
        if store:
            new = [np.array(value(w.value)) for w in self.writes]
            for write, array in zip(self.writes, new, strict=True):
                np.copyto(write.target.tensor._data, array)
        return outputs


def _beyond(operand: Value | Array | Number, dtype: np.dtype) -> bool:
    """Whether an operand is a Python integer that a dtype of integers does not hold."""
    if type(operand) is not int or dtype.kind not in "iu":
        return False
    return not np.iinfo(dtype).min <= operand <= np.iinfo(dtype).max


class Builder:
    """Appends instructions, inferring the shape and dtype of their results. `line` is where they come from."""

    def __init__(self) -> None:
        self.body: list[Instruction] = []
        self.line = ""
        #: What an op called inside of a formula or rule becomes, if it is to be a function of its own: given the builder, the
        #: op and its arguments, what the op gives; None for an op that is to be read as a part of the formula.
        self.applies: Callable[..., object] | None = None
        #: What stands for a function of NumPy's that is no primitive, where there is something: an op, to be applied.
        self.stands_for: Callable[[object], Callable[..., object] | None] = lambda function: None
        #: Whether it is for a turn of a loop, or a branch.
        self.turn = False
        #: Whether residuals of the op that is read are used, as a gradient does.
        self.kept = False
        #: Inside of a loop or branch that is read: weak references to the symbols that were changed in place there.
        self.changed: list[Callable[[], object]] | None = None

    def emit(self, name: str, *args: Value, **params: object) -> Value:
        """Append one instruction that has one result, and return that.

        Raises:
            ProgramError: the arguments do not fit the primitive.
        """
        (result,) = self.several(name, *args, **params)
        return result

    def several(self, name: str, *args: Value, **params: object) -> tuple[Value, ...]:
        """Append one instruction, and return its results."""
        instruction = Instruction(name, args, params, infer(name, args, params), self.line)
        self.body.append(instruction)
        return instruction.results

    def again(self, instruction: Instruction, args: Iterable[Value]) -> tuple[Value, ...]:
        """Append an instruction on other arguments, of the same shapes and dtypes, and return its results."""
        self.body.append(instruction.on(args, self.line))
        return self.body[-1].results

    def elementwise(self, name: str, *operands: Value | Array | Number) -> Value:
        """Apply an elementwise primitive to values and Python numbers under NumPy's promotion rules, casting as NumPy
        casts."""
        dtypes = loop_dtypes(name, tuple(v.dtype if isinstance(v, Value) else type(v) for v in operands))
        if any(_beyond(o, d) for o, d in zip(operands, dtypes, strict=False)):
            # NumPy refuses such a number, or compares with it: then the answer is the same for each element.
            examples = (np.zeros((), o.dtype) if isinstance(o, Value) else o for o in operands)
            shape = np.broadcast_shapes(*(o.shape for o in operands if isinstance(o, Value)))
            return self.broadcast(Constant(np.asarray(function(name)(*examples))), shape)
        args = []
        for operand, dtype in zip(operands, dtypes, strict=False):
            if not isinstance(operand, Value):
                operand = Constant(np.asarray(operand).astype(dtype))
            args.append(self.cast(operand, dtype))
        return self.emit(name, *args)

    def cast(self, value: Value, dtype: DTypeLike) -> Value:
        """The value in another dtype."""
        dtype = np.dtype(dtype)
        if value.dtype == dtype:
            return value
        if isinstance(value, Constant):
            return Constant(value.array.astype(dtype))
        return self.emit("cast", value, dtype=dtype)

    def reshape(self, value: Value, shape: Shape) -> Value:
        """The value in another shape, in row-major order."""
        if value.shape == shape:
            return value
        return self.emit("reshape", value, shape=shape)

    def broadcast(self, value: Value, shape: Shape) -> Value:
        """The value repeated to a shape."""
        if value.shape == shape:
            return value
        return self.emit("broadcast", value, shape=shape)

    def slice(self, value: Value, axis: int, begin: int, end: int) -> Value:
        """A part along one axis; the value itself if that is all."""
        if (begin, end) == (0, value.shape[axis]):
            return value
        slices = [(0, n, 1) for n in value.shape]
        slices[axis] = begin, end, 1
        return self.emit("slice", value, slices=tuple(slices))

    def transpose(self, value: Value, axes: Shape) -> Value:
        """The value with its axes in another order."""
        if axes == tuple(range(value.ndim)):
            return value
        return self.emit("transpose", value, axes=axes)


def infer(name: str, args: Iterable[Value], params: Params) -> list[Spec]:
    """Shapes and dtypes of the results of a primitive."""
    args = tuple(args)
    try:
        return PRIMITIVES[name].infer([Spec(a.shape, a.dtype) for a in args], params)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise ProgramError(f"{name}({', '.join(a.spec for a in args)}) {dict(params)}: {error}") from error


def check(program: Program) -> Program:
    """The program itself, if it is well formed.

    Raises:
        ProgramError: a value is used before it is computed, or a shape or dtype is not what the primitive gives.
    """
    known: set[Value] = {*program.inputs, *program.hosts}

    def use(value: Value, where: str) -> None:
        if isinstance(value, (Reference, Constant)) or value in known:
            return
        raise ProgramError(f"{where} uses the {type(value).__name__.lower()} {value.spec} before it is there")

    for instruction in program.body:
        for arg in instruction.args:
            use(arg, instruction.name)
        specs = infer(instruction.name, instruction.args, instruction.params)
        found = [Spec(r.shape, r.dtype) for r in instruction.results]
        if specs != found:
            raise ProgramError(f"{instruction.name} gives {specs}, not {found}")
        known.update(instruction.results)
    for value in program.outputs:
        use(value, "an output")
    for target, value in program.writes:
        use(value, "a write")
        if (target.shape, target.dtype) != (value.shape, value.dtype):
            raise ProgramError(f"a write of {value.spec} to {target.spec}")
    if len({target for target, _ in program.writes}) != len(program.writes):
        raise ProgramError("a reference is written twice")
    return program


def shown(value: Value) -> Value:
    """What a value is, or shows as a view."""
    while isinstance(value, Result) and value.instruction.kind == "view":
        value = value.instruction.args[0]
    return value


#: What stands for the results of an instruction in a new program; None for the instruction as it is.
Answer = Value | tuple[Value, ...] | None


def rewrite(
    program: Program,
    change: Callable[[Instruction, tuple[Value, ...], Builder], Answer],
    names: Collection[str] | None = None,
    uses: dict[Value, int] | None = None,
) -> Program:
    """The program with every instruction passed through `change(instruction, args, builder)`.

    Args:
        program: any program.
        change: is given an instruction, its arguments in the new program (the same tuple where these are the old ones), and
            what appends to that; it returns the value (or values) that stand for the results, or None to keep the
            instruction as it is.
        names: the primitives whose instructions it is given; all by default.
        uses: how often values are used (`Program.uses`): what is new gets the uses of what it stands for.

    Returns:
        the new program, or the given one itself if nothing changed.
    """
    if names is not None and program.names.isdisjoint(names):
        return program
    builder = Builder()
    body = builder.body
    replaced: dict[Value, Value] = {}
    changed = False

    get = replaced.get

    for instruction in program.body:
        args = instruction.args
        for arg in args if replaced else ():
            if arg in replaced:
                args = tuple([get(a, a) for a in args])
                break
        answer = None
        if names is None or instruction.name in names:
            builder.line = instruction.line
            answer = change(instruction, args, builder)
        if answer is None:
            if args is instruction.args:
                body.append(instruction)
                continue
            body.append(instruction.on(args))
            answer = body[-1].results
        changed = True
        answers = answer if isinstance(answer, tuple) else (answer,)
        for old, new in zip(instruction.results, answers, strict=True):
            if new is not old:
                replaced[old] = new
                if uses is not None and old in uses:
                    uses.setdefault(new, uses[old])
    if not changed:
        return program
    return Program(
        program.inputs,
        program.hosts,
        body,
        [get(v, v) for v in program.outputs],
        [Write(target, get(value, value)) for target, value in program.writes],
    )


def inline(builder: Builder, program: Program, args: Sequence[Value]) -> list[Value]:
    """Append what a program computes for these arguments, and return its outputs."""
    known: dict[Value, Value] = dict(zip(program.inputs, args, strict=True))
    repeat(builder, program.body, known)
    return [known.get(v, v) for v in program.outputs]


def repeat(builder: Builder, body: Iterable[Instruction], known: dict[Value, Value], line: str | None = None) -> None:
    """Append instructions with other values in place of those that are known, which their results are then too. All come from
    one line, if it is given, be it "" where none is known."""
    for instruction in body:
        given = [known.get(a, a) for a in instruction.args]
        made = instruction.on(given)
        made.line = instruction.line or builder.line if line is None else line
        builder.body.append(made)
        known.update(zip(instruction.results, made.results, strict=True))


def substitute(program: Program, replaced: Mapping[Value, Value]) -> Program:
    """The program with values replaced wherever they are used."""

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        new = tuple(replaced.get(a, a) for a in args)
        return None if new == args else builder.again(instruction, new)

    made = rewrite(program, change)
    outputs = [replaced.get(v, v) for v in made.outputs]
    writes = [Write(w.target, replaced.get(w.value, w.value)) for w in made.writes]
    return Program(made.inputs, made.hosts, made.body, outputs, writes)
