"""Forward mode of a program: from one that computes a formula, one that pushes tangents forward beside it.

An elementwise rule of `derivatives` takes a tangent as well as a gradient: it multiplies each element by a number. What is
linear is applied to the tangents themselves. So nothing is stated here that the pullback knows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from tapenet.program.derivatives import FLAT, RULES, arguments
from tapenet.program.differentiating import (
    DEFINITIONS,
    NoDerivative,
    defined,
    is_inexact,
    is_zero,
    ruled,
    spread,
    taking,
    turning,
    unknown,
    zeros,
)
from tapenet.program.ir import Builder, Input, Instruction, Program, Value, inline
from tapenet.program.passes import simplify

#: The tangent of a value; None if it is zeros.
Tangent = Value | None


def pushforward(program: Program, active: Collection[int]) -> Program:
    """The program that pushes tangents forward.

    Args:
        program: any program without references, hosts and writes.
        active: positions of the inputs that have tangents, which are floats.

    Returns:
        a program of the same inputs, and of a tangent for each of the `active` ones after them, in their order; it gives the
        same outputs, and after them a tangent for each that is inexact.

    Raises:
        NoDerivative: a primitive on the way has none, or complex numbers are.
    """
    work = _Pushforward(program, active)
    tangents = [work.full(v) for v in program.outputs if is_inexact(v)]
    outputs = [*map(work.value, program.outputs), *tangents]
    return Program([*program.inputs, *work.given.values()], [], work.builder.body, outputs, [])


class _Pushforward:
    """The work of one pushforward.

    Attributes:
        builder: has the instructions of the program and those of its tangents.
        given: the tangents of the active inputs, by these.
    """

    def __init__(self, program: Program, active: Iterable[int]) -> None:
        self.builder = Builder()
        self.given = {v: Input(v.shape, v.dtype) for v in (program.inputs[i] for i in sorted(active))}
        self._values: dict[Value, Value] = {}
        self._tangents: dict[Value, Value] = {}
        for v, t in self.given.items():
            self._set(v, t)
        for instruction in program.body:
            self._push(instruction)

    def value(self, v: Value) -> Value:
        """What stands for a value of the program."""
        return self._values.get(v, v)

    def full(self, v: Value) -> Value:
        """The tangent of a value of the program, zeros too."""
        found = self._tangents.get(self.value(v))
        return zeros(self.builder, v.shape, v.dtype) if found is None else found

    def _set(self, v: Value, t: Tangent) -> None:
        if t is None or is_zero(t):
            return
        if t.dtype.kind == "c":
            raise NoDerivative(f"forward mode knows real numbers alone, and here is {t.dtype}")
        self._tangents[v] = t

    def _push(self, old: Instruction) -> None:
        builder, name = self.builder, old.name
        builder.line = old.line
        args = tuple(map(self.value, old.args))
        instruction = old if args == old.args else old.on(args)
        tangents = [self._tangents.get(a) for a in args]
        if old.paired:
            tangents = [_full(builder, a, t) if is_inexact(a) else None for a, t in zip(args, tangents, strict=True)]
        values: Sequence[Value] = instruction.results
        found: Sequence[Tangent] = [None] * len(values)
        if (
            not any(t is not None for t in tangents)
            or name in FLAT
            or name == "stop"
            or not any(map(is_inexact, values))
        ):
            builder.body.append(instruction)
        elif name in WHOLE:
            values, found = WHOLE[name](builder, instruction, tangents)
        elif name in DEFINITIONS:
            active = [i for i, t in enumerate(tangents) if t is not None]
            pushed = pushforward(defined(instruction), active)
            made = inline(builder, pushed, [*instruction.args, *_known(tangents)])
            values, own = made[: len(values)], iter(made[len(values) :])
            found = [next(own) if is_inexact(v) else None for v in values]
        else:
            builder.body.append(instruction)
            found = [_tangent(builder, instruction, tangents)]
        if values is not old.results:
            self._values.update(zip(old.results, values, strict=True))
        for v, t in zip(values, found, strict=True):
            self._set(v, t)


def _tangent(builder: Builder, instruction: Instruction, tangents: Sequence[Tangent]) -> Tangent:
    """The tangent of the one result of an instruction."""
    name = instruction.name
    if name in LINEAR:
        places = range(len(tangents))[LINEAR[name]]
        if all(tangents[i] is None for i in places):
            return None
        args = [_full(builder, a, t) if i in places else a for i, (a, t) in enumerate(_pairs(instruction, tangents))]
        return builder.emit(name, *args, **instruction.params)
    if name in OTHERS:
        return OTHERS[name](builder, instruction, tangents)
    if name not in RULES:
        raise unknown(instruction)
    (out,) = instruction.results
    total: Tangent = None
    for argument, t in zip(arguments(name), tangents, strict=False):
        if t is not None:
            d = ruled(builder, instruction, argument, builder.broadcast(builder.cast(t, out.dtype), out.shape))
            total = _sum(builder, total, d and builder.broadcast(builder.cast(d, out.dtype), out.shape))
    return total


def _pairs(instruction: Instruction, tangents: Sequence[Tangent]) -> Iterable[tuple[Value, Tangent]]:
    return zip(instruction.args, tangents, strict=True)


def _known(tangents: Iterable[Tangent]) -> list[Value]:
    return [t for t in tangents if t is not None]


def _full(builder: Builder, value: Value, t: Tangent) -> Value:
    return zeros(builder, value.shape, value.dtype) if t is None else t


def _sum(builder: Builder, a: Tangent, b: Tangent) -> Tangent:
    return b if a is None else a if b is None else builder.elementwise("add", a, b)


#: By primitive, the arguments in which it is linear, all together: it is applied to the tangents of these.
LINEAR = {
    "cast": slice(None),
    "reshape": slice(None),
    "transpose": slice(None),
    "broadcast": slice(None),
    "slice": slice(None),
    "reduce_add": slice(None),
    "concatenate": slice(None),
    "where": slice(1, 3),
    "update": slice(2),
    "put": slice(2),
    "take": slice(1),
    "index": slice(1),
    "scatter_add": slice(1),
}


def _extreme(builder: Builder, instruction: Instruction, tangents: Sequence[Tangent]) -> Tangent:
    """The mean of the tangents of the elements that are as large."""
    ((x, t),), (out,), axes = _pairs(instruction, tangents), instruction.results, instruction.params["axes"]
    assert t is not None
    equal = builder.elementwise("equal", x, spread(builder, out, instruction))
    total = builder.emit("reduce_add", builder.elementwise("where", equal, t, 0), axes=axes)
    return builder.elementwise("divide", total, builder.emit("reduce_add", builder.cast(equal, x.dtype), axes=axes))


def _product(builder: Builder, instruction: Instruction, tangents: Sequence[Tangent]) -> Tangent:
    (a, ta), (b, tb) = _pairs(instruction, tangents)
    parts = [builder.emit("dot", *pair, **instruction.params) for pair in ((ta, b), (a, tb)) if None not in pair]
    return _sum(builder, *parts) if len(parts) == 2 else parts[0]


#: By primitive, what gives the tangent of its result from those of its arguments.
OTHERS: dict[str, Callable[[Builder, Instruction, Sequence[Tangent]], Tangent]] = {
    "barrier": lambda builder, instruction, tangents: tangents[0],
    "provided": lambda builder, instruction, tangents: tangents[0],
    "copy": lambda builder, instruction, tangents: tangents[0],
    "dot": _product,
    "reduce_maximum": _extreme,
    "reduce_minimum": _extreme,
}

# -- loops, branches and applied functions -----------------------------------------------------------------------

#: What stands for the results of an instruction, and their tangents.
Pushed = tuple[Sequence[Value], Sequence[Tangent]]


def _apply(builder: Builder, instruction: Instruction, tangents: Sequence[Tangent]) -> Pushed:
    """As the function itself says."""
    active = [i for i, t in enumerate(tangents) if t is not None]
    pushed: Program = instruction.params["function"].push(active)
    results = instruction.results
    made = inline(builder, pushed, [*instruction.args, *_known(tangents)])
    own = iter(made[len(results) :])
    return made[: len(results)], [next(own) if is_inexact(r) else None for r in results]


def _loop(builder: Builder, instruction: Instruction, tangents: Sequence[Tangent]) -> Pushed:
    """A loop that takes the tangents along: of what is carried, sliced, closed over and stacked."""
    params = instruction.params
    body: Program = params["body"]
    carries, slices = params["carries"], params.get("slices", 0)
    entering, leaving = turning(instruction, {a for a, t in _pairs(instruction, tangents) if t is not None})
    work = _Pushforward(body, [i for i, flag in enumerate(entering) if flag])
    inputs: list[Input] = []
    args: list[Value] = []
    ends = []
    for part in (slice(carries), slice(carries, carries + slices), slice(carries + slices, None)):
        moving = [i for i in range(len(entering))[part] if entering[i]]
        inputs += [*body.inputs[part], *(work.given[body.inputs[i]] for i in moving)]
        args += [*instruction.args[part], *(_full(builder, instruction.args[i], tangents[i]) for i in moving)]
        ends.append(len(inputs))
    outputs: list[Value] = []
    own: list[int] = []  # which result each output is, those of tangents counted on
    for part in (slice(carries), slice(carries, None)):
        places = range(len(leaving))[part]
        moving = [i for i in places if leaving[i]]
        outputs += [*map(work.value, body.outputs[part]), *(work.full(body.outputs[i]) for i in moving)]
        own += [*places, *(len(leaving) + i for i in moving)]
    made = simplify(Program(inputs, [], work.builder.body, outputs, []))
    new = {**params, "body": made, "carries": ends[0]}
    if "test" in params:  # it is given the tangents too, and reads none
        test: Program = params["test"]
        values = dict(zip(body.inputs, test.inputs, strict=True))
        new["test"] = Program(
            [values.get(v) or Input(v.shape, v.dtype) for v in inputs], [], test.body, test.outputs, []
        )
    else:
        new["slices"] = ends[1] - ends[0]
    found = dict(zip(own, builder.several(instruction.name, *args, **new), strict=True))
    return [found[i] for i in range(len(leaving))], [found.get(len(leaving) + i) for i in range(len(leaving))]


def _branch(builder: Builder, instruction: Instruction, tangents: Sequence[Tangent]) -> Pushed:
    """A branch of the pushforwards."""
    flags = taking(instruction, {a for a, t in _pairs(instruction, tangents) if t is not None})
    leaving = [a or b for a, b in zip(*flags, strict=True)]
    bodies = {}
    for which in ("true", "false"):
        body: Program = instruction.params[which]
        work = _Pushforward(body, [i for i, t in enumerate(tangents[1:]) if t is not None])
        outputs = [work.full(v) for v, flag in zip(body.outputs, leaving, strict=True) if flag]
        outputs = [*map(work.value, body.outputs), *outputs]
        bodies[which] = simplify(Program([*body.inputs, *work.given.values()], [], work.builder.body, outputs, []))
    made = builder.several("branch", *instruction.args, *_known(tangents), **{**instruction.params, **bodies})
    own = iter(made[len(leaving) :])
    return made[: len(leaving)], [next(own) if flag else None for flag in leaving]


#: By primitive, what gives its results together with their tangents.
WHOLE: dict[str, Callable[[Builder, Instruction, Sequence[Tangent]], Pushed]] = {
    "apply": _apply,
    "branch": _branch,
    "loop": _loop,
    "while": _loop,
}

__all__ = ["pushforward"]
