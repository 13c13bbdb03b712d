"""The derivative of a program: from one that computes a formula, one that pulls gradients back through it.

Elementwise primitives are differentiated by the rules of `derivatives`, which run on symbols; those of all others are here,
in terms of primitives. Axes that were broadcast are summed over here, so that no rule has to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tapenet.program.called_ops import Hole
from tapenet.program.derivatives import RULES, arguments
from tapenet.program.differentiating import (
    DEFINITIONS,
    NoDerivative,
    changing,
    defined,
    is_flat,
    is_inexact,
    is_zero,
    ruled,
    spread,
    turning,
    unknown,
    zeros,
)
from tapenet.program.ir import (
    Answer,
    Builder,
    Constant,
    Input,
    Instruction,
    Program,
    Result,
    Value,
    inline,
    rewrite,
    substitute,
)
from tapenet.program.passes import simplify
from tapenet.program.passes.loops import read_at
from tapenet.program.passes.patterns import number

#: What turns are counted in.
COUNT = np.dtype(np.int64)
#: The gradient by a value; None if it is zeros.
Gradient = Value | None


def pullback(program: Program, wanted: Collection[int]) -> Program:
    """The program that pulls gradients back.

    Args:
        program: any program without references, hosts and writes; each output is a float, or has no derivative.
        wanted: positions of the inputs whose gradients are given.

    Returns:
        a program of the same inputs, and of the gradients by the outputs after them; it gives a gradient for each of the
        `wanted` inputs, of its shape and dtype, in their order. It computes anew what it needs of the forward.

    Raises:
        NoDerivative: a primitive on the way has none.
    """
    program = _silent(program)
    for instruction in program.body:
        if instruction.effect and not instruction.ordered:
            name = f"op {instruction.params['op'].name!r}" if instruction.name == "call" else f"a {instruction.name}"
            raise NoDerivative(f"{name} has an effect, which what pulls gradients back would repeat")
    work = _Pullback(program, wanted, range(len(program.outputs)))
    results = [work.full(program.inputs[i]) for i in sorted(wanted)]
    return Program([*program.inputs, *work.given], [], work.builder.body, results, [])


def _silent(program: Program) -> Program:
    """A program that tells the user nothing: what runs forward has told it."""

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if not instruction.tells:
            return None
        if instruction.name == "call":
            return tuple(Constant(np.zeros(r.shape, r.dtype)) for r in instruction.results)
        params = {name: _silent(v) if isinstance(v, Program) else v for name, v in instruction.params.items()}
        del params["tells"], params["effect"]
        if any(i.effect for v in params.values() if isinstance(v, Program) for i in v.body):
            params["effect"] = True
        return tuple(builder.several(instruction.name, *args, **params))

    return rewrite(program, change)


class _Pullback:
    """The work of one pullback.

    Attributes:
        builder: has the instructions of the program and those of the gradients.
        given: the gradients by the outputs that are `seeded`.
    """

    def __init__(self, program: Program, wanted: Collection[int], seeded: Iterable[int]) -> None:
        self.builder = Builder()
        #: Of a `while` what each carry is when a turn begins, stacked, and the number of turns.
        self.entered: dict[Instruction, Sequence[Value]] = {}
        self.grads: dict[Value, Value] = {}
        #: Of a gradient that is 0 where a condition does not hold, or where it does: each such condition, outermost first.
        self.branches: dict[Value, tuple[tuple[Value, bool], ...]] = {}
        self.conditions: dict[tuple[object, ...], Value] = {}
        program = self._remembering(program, changing(program, wanted))
        self.builder.body = list(program.body)
        self.active = changing(program, wanted)
        outputs = [program.outputs[i] for i in seeded]
        self.given = [Input(v.shape, v.dtype) for v in outputs]
        for value, g in zip(outputs, self.given, strict=True):
            self.add(value, g)
        for instruction in reversed(program.body):
            self._pull(instruction)

    def _remembering(self, program: Program, active: set[Value]) -> Program:
        """The program whose `while`s stack what they carry too."""

        def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
            if instruction.name != "while" or active.isdisjoint(instruction.results):
                return None
            made, self.entered[builder.body[-1]] = _remembered(builder, instruction, args)
            return tuple(made)

        return rewrite(program, change)

    def add(self, value: Value, g: Gradient) -> None:
        """Add to the gradient by a value. What came through the two branches of a choice is chosen from, not added up."""
        if g is None or value not in self.active or is_zero(g):
            return
        before = self.grads.get(value)
        if before is None:
            self.grads[value] = g
            return
        ours, others = self.branches.get(before, ()), self.branches.get(g, ())
        n = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(ours, others, strict=False)))
        if len(ours) > n < len(others) and ours[n][0] is others[n][0]:
            chosen = (before, g) if ours[n][1] else (g, before)
            total = self.builder.elementwise("where", ours[n][0], *chosen)
        else:
            total = self.builder.elementwise("add", before, g)
        self.grads[value] = total
        if n:
            self.branches[total] = ours[:n]

    def full(self, value: Value) -> Value:
        """The gradient by a value, zeros too."""
        found = self.grads.get(value)
        return zeros(self.builder, value.shape, value.dtype) if found is None else found

    def _pull(self, instruction: Instruction) -> None:
        """Pull the gradients by what an instruction gives back to its arguments."""
        gs = [self.grads.pop(r, None) for r in instruction.results]
        builder, name = self.builder, instruction.name
        asked = name == "apply" and instruction.paired  # by another process
        if not (asked or any(g is not None for g in gs)) or is_flat(instruction):
            return
        builder.line = instruction.line
        if name in WHOLE:
            for arg, d in zip(instruction.args, WHOLE[name](self, instruction, gs), strict=True):
                self.add(arg, d)
            return
        if name in DEFINITIONS:
            wanted = [i for i, a in enumerate(instruction.args) if a in self.active]
            given = [_full(builder, r, g) for r, g in zip(instruction.results, gs, strict=True)]
            pulled = pullback(defined(instruction), wanted)
            for i, d in zip(wanted, inline(builder, pulled, [*instruction.args, *given]), strict=True):
                self.add(instruction.args[i], d)
            return
        (out, *more), g = instruction.results, gs[0]
        if more or g is None:
            raise unknown(instruction)
        if name in STRUCTURE:
            for position, arg in enumerate(instruction.args):
                if arg in self.active:
                    self.add(arg, fitted(builder, STRUCTURE[name](builder, position, g, out, instruction), arg))
        elif name in RULES:
            self._elementwise(instruction, g, out)
        else:
            raise unknown(instruction)

    def _elementwise(self, instruction: Instruction, g: Value, out: Value) -> None:
        for name, arg in zip(arguments(instruction.name), instruction.args, strict=False):
            if arg not in self.active:
                continue
            found = ruled(self.builder, instruction, name, g)
            if found is None:
                continue
            d = fitted(self.builder, found, arg)
            if arg.shape == out.shape and d is not g:  # else there are sums between
                branches = self.branches.get(g, ())
                if instruction.name == "where" and instruction.args[0].shape == out.shape:
                    branches = (*branches, (self._condition(instruction.args[0]), name == "x"))
                self.branches[d] = branches
            self.add(arg, d)

    def _condition(self, value: Value) -> Value:
        """The first condition that compares the same, where a formula says it twice."""
        if not isinstance(value, Result):
            return value
        numbers = [(a, number(a)) for a in value.instruction.args]
        return self.conditions.setdefault(
            (value.instruction.name, *(id(a) if n is None else n for a, n in numbers)), value
        )


def fitted(builder: Builder, d: Value, arg: Value) -> Value:
    """A gradient in the shape and dtype of an argument: summed over the axes that were broadcast, or broadcast itself."""
    d = builder.cast(d, arg.dtype)
    if d.shape == arg.shape:
        return d
    lead = d.ndim - arg.ndim
    axes = tuple(i for i, n in enumerate(d.shape) if i < lead or (arg.shape[i - lead] == 1 and n != 1))
    if lead >= 0 and axes:
        d = builder.emit("reduce_add", d, axes=axes)
        d = builder.reshape(d, tuple(1 if arg.shape[i] == 1 else n for i, n in enumerate(arg.shape)))
    return builder.broadcast(d, arg.shape)


# -- what is not elementwise -------------------------------------------------------------------------------------

#: Given a builder, the position of an argument, the gradient by the result, the result, and the instruction.
Structure = Callable[[Builder, int, Value, Value, Instruction], Value]


def _extreme(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    """Elements that are as large share the gradient."""
    (arg,) = instruction.args
    equal = builder.elementwise("equal", arg, spread(builder, out, instruction))
    count = builder.emit("reduce_add", builder.cast(equal, arg.dtype), axes=instruction.params["axes"])
    share = spread(builder, builder.elementwise("divide", g, count), instruction)
    return builder.elementwise("where", equal, share, 0)


def _product(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    a, b = instruction.args
    ta, tb = bool(instruction.params.get("ta")), bool(instruction.params.get("tb"))
    if position == 0:
        made = builder.emit("dot", b, g, ta=tb, tb=True) if ta else builder.emit("dot", g, b, tb=not tb)
    else:
        made = builder.emit("dot", g, a, ta=True, tb=ta) if tb else builder.emit("dot", a, g, ta=not ta)
    return made


def _joined(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    axis = instruction.params["axis"]
    begin = sum(a.shape[axis] for a in instruction.args[:position])
    end = begin + instruction.args[position].shape[axis]
    slices = tuple((begin, end, 1) if i == axis else (0, n, 1) for i, n in enumerate(g.shape))
    return builder.emit("slice", g, slices=slices)


def _slice(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    (arg,) = instruction.args
    return builder.emit("update", zeros(builder, arg.shape, g.dtype), g, slices=instruction.params["slices"])


def _update(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    slices = instruction.params["slices"]
    if position == 1:
        return builder.emit("slice", g, slices=slices)
    made = builder.emit("update", g, zeros(builder, instruction.args[1].shape, g.dtype), slices=slices)
    return made


def _take(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    arg, index = instruction.args
    template = (*(slice(None),) * instruction.params["axis"], Hole(0))
    return builder.emit("scatter_add", g, index, template=template, shape=arg.shape)


def _index(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    arg, *index = instruction.args
    return builder.emit("scatter_add", g, *index, template=instruction.params["template"], shape=arg.shape)


def _scatter_add(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    return builder.emit("index", g, *instruction.args[1:], template=instruction.params["template"])


def _put(builder: Builder, position: int, g: Value, out: Value, instruction: Instruction) -> Value:
    _, value, *index = instruction.args
    template = instruction.params["template"]
    if position == 1:
        read = builder.emit("index", g, *index, template=template)
        # Of what is written to one place the last one stays: each is told by its number.
        numbers = Constant(np.arange(read.size).reshape(read.shape))
        kept = builder.emit("put", zeros(builder, out.shape, numbers.dtype), numbers, *index, template=template)
        stays = builder.elementwise("equal", builder.emit("index", kept, *index, template=template), numbers)
        return builder.elementwise("where", stays, read, 0)
    nothing = zeros(builder, value.shape, g.dtype)
    made = builder.emit("put", g, nothing, *index, template=template)
    return made


def _inverse(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


STRUCTURE: dict[str, Structure] = {
    "cast": lambda builder, position, g, out, instruction: g,
    "copy": lambda builder, position, g, out, instruction: g,
    "barrier": lambda builder, position, g, out, instruction: zeros(builder, (), g.dtype) if position else g,
    "provided": lambda builder, position, g, out, instruction: g,
    "broadcast": lambda builder, position, g, out, instruction: g,  # which is summed up again, as everywhere
    "reshape": lambda builder, position, g, out, instruction: builder.reshape(g, instruction.args[0].shape),
    "transpose": lambda builder, position, g, out, instruction: builder.transpose(
        g, _inverse(instruction.params["axes"])
    ),
    "slice": _slice,
    "reduce_add": lambda builder, position, g, out, instruction: spread(builder, g, instruction),
    "reduce_maximum": _extreme,
    "reduce_minimum": _extreme,
    "dot": _product,
    "concatenate": _joined,
    "update": _update,
    "take": _take,
    "index": _index,
    "scatter_add": _scatter_add,
    "put": _put,
}

# -- loops, branches and applied functions -----------------------------------------------------------------------


def _apply(work: _Pullback, instruction: Instruction, gs: Sequence[Gradient]) -> list[Gradient]:
    """As the function itself says."""
    builder = work.builder
    paired = instruction.paired
    wanted = [i for i, a in enumerate(instruction.args) if a in work.active or (paired and is_inexact(a))]
    pulled: Program = instruction.params["function"].pull(wanted)
    given = [_full(builder, r, g) for r, g in zip(instruction.results, gs, strict=True)]
    found = dict(zip(wanted, inline(builder, pulled, [*instruction.args, *given]), strict=True))
    return [found.get(i) for i in range(len(instruction.args))]


def _branch(work: _Pullback, instruction: Instruction, gs: Sequence[Gradient]) -> list[Gradient]:
    """A branch of the pullbacks, which compute the forward of the branch anew."""
    seeded = [i for i, g in enumerate(gs) if g is not None]
    wanted = [i for i, a in enumerate(instruction.args[1:]) if a in work.active]
    bodies = {}
    for which in ("true", "false"):
        body: Program = instruction.params[which]
        inner = _Pullback(body, wanted, seeded)
        results = [inner.full(body.inputs[i]) for i in wanted]
        bodies[which] = simplify(Program([*body.inputs, *inner.given], [], inner.builder.body, results, []))
    made = work.builder.several(
        "branch", *instruction.args, *(g for g in gs if g is not None), **{**instruction.params, **bodies}
    )
    found = dict(zip(wanted, made, strict=True))
    return [None, *(found.get(i) for i in range(len(instruction.args) - 1))]


def _remembered(
    builder: Builder, instruction: Instruction, args: Sequence[Value]
) -> tuple[Sequence[Value], Sequence[Value]]:
    """Append a `while` that also counts its turns and stacks what is carried into each.

    Returns:
        the results of the instruction itself; and what is stacked, then the count.

    Raises:
        NoDerivative: how many turns there are at most is not known.
    """
    params = instruction.params
    if "length" not in params:
        raise NoDerivative(
            "tn.while_loop: a gradient goes back through each turn, and how many these are at most is not known: give "
            "max_turns=, or use forward mode, tn.jvp, which needs none"
        )
    body: Program = params["body"]
    carries: int = params["carries"]
    carried = body.inputs[:carries]
    outputs = list(body.outputs)
    for v in carried:
        if v not in outputs[carries:]:
            outputs.append(v)
    places = [outputs.index(v, carries) for v in carried]
    count = len(instruction.results)
    test: Program = params["test"]
    turns, one, zero = Input((), COUNT), Constant(np.ones((), COUNT)), Constant(np.zeros((), COUNT))
    counting = Builder()
    counting.body = list(body.body)
    outputs.insert(carries, counting.emit("add", turns, one))
    wider = Program([*carried, turns, *body.inputs[carries:]], [], counting.body, outputs, [])
    inputs = [*test.inputs[:carries], Input((), COUNT), *test.inputs[carries:]]
    new = {"body": wider, "test": Program(inputs, [], test.body, test.outputs, []), "carries": carries + 1}
    found = builder.several("while", *args[:carries], zero, *args[carries:], **{**params, **new})
    stacks = [found[i + 1] for i in places]
    return [*found[:carries], *found[carries + 1 : count + 1]], [*stacks, found[carries]]


class _Turn(NamedTuple):
    """What pulls gradients back through one turn of a loop.

    Attributes:
        live: the carries whose gradients are carried back.
        ys: the stacked outputs that have gradients.
        sliced, closed: the inputs that get gradients, of what is sliced and of what is closed over.
        program: of the gradients of `live`, the sums for `closed`, what is carried and sliced, the gradients of `ys` and what
            is closed over; it gives the gradients of `live` before the turn, the sums after it, and the gradients of `sliced`.
    """

    live: list[int]
    ys: list[int]
    sliced: list[int]
    closed: list[int]
    program: Program


def _turn(work: _Pullback, instruction: Instruction, gs: Sequence[Gradient]) -> _Turn:
    params = instruction.params
    body: Program = params["body"]
    carries, slices = params["carries"], params.get("slices", 0)
    changes, _ = turning(instruction, work.active)
    # The outputs whose gradients are not 0 in some turn, and the inputs that they change with.
    seeded = {i for i, g in enumerate(gs) if g is not None}
    while True:
        wanted = [i for i in sorted(read_at(body, [body.outputs[i] for i in seeded])) if changes[i]]
        if seeded.issuperset(more := {i for i in wanted if i < carries}):
            break
        seeded |= more
    live, ys = [i for i in sorted(seeded) if i < carries], [i for i in sorted(seeded) if i >= carries]
    inner = _Pullback(body, wanted, [*live, *ys])
    sliced = [i for i in wanted if carries <= i < carries + slices]
    closed = [i for i in wanted if i >= carries + slices]
    totals = [Input(body.inputs[i].shape, body.inputs[i].dtype) for i in closed]
    sums = []
    for i, total in zip(closed, totals, strict=True):
        d = inner.grads.get(body.inputs[i])
        sums.append(total if d is None else inner.builder.elementwise("add", total, d))
    g_live, g_ys = inner.given[: len(live)], inner.given[len(live) :]
    inputs = [*g_live, *totals, *body.inputs[: carries + slices], *g_ys, *body.inputs[carries + slices :]]
    outputs = [*(inner.full(body.inputs[i]) for i in live), *sums, *(inner.full(body.inputs[i]) for i in sliced)]
    program = simplify(Program(inputs, [], inner.builder.body, outputs, []))
    return _Turn(live, ys, sliced, closed, program)


def _loop(work: _Pullback, instruction: Instruction, gs: Sequence[Gradient]) -> list[Gradient]:
    """A loop in the other direction. It takes the gradients of what is carried along, stacks those of slices, and adds up
    those of what is closed over. What it needs of the forward of a turn is stacked by another loop in the direction of the
    first, which becomes one with that (`passes.same_loops`)."""
    builder, params = work.builder, instruction.params
    body: Program = params["body"]
    carries, slices = params["carries"], params["slices"]
    live, ys, sliced, closed, program = _turn(work, instruction, gs)
    early, kept = _kept(program, body, carries + slices)
    rows = [Input(v.shape, v.dtype) for v in kept]
    end = len(program.inputs) - len(instruction.args) + carries + slices
    taken = Program([*program.inputs[:end], *rows, *program.inputs[end:]], [], program.body, program.outputs, [])
    own = set(body.body)
    forward = [*body.body, *(i for i in early if i not in own)]
    outputs = [*body.outputs[:carries], *body.inputs[:carries], *kept]
    stacking = simplify(Program(body.inputs, [], forward, outputs, []))
    stacks = builder.several("loop", *instruction.args, **{**params, "body": stacking})[carries:] if outputs else ()
    found = builder.several(
        "loop",
        *(_full(builder, instruction.results[i], gs[i]) for i in live),
        *(zeros(builder, v.shape, v.dtype) for v in program.inputs[len(live) : len(live) + len(closed)]),
        *stacks[:carries],
        *instruction.args[carries : carries + slices],
        *(_full(builder, instruction.results[i], gs[i]) for i in ys),
        *stacks[carries:],
        *instruction.args[carries + slices :],
        body=simplify(substitute(taken, dict(zip(kept, rows, strict=True)))),
        carries=len(live) + len(closed),
        slices=carries + slices + len(ys) + len(rows),
        length=params["length"],
        reverse=not params.get("reverse"),
    )
    gradients = dict(zip([*live, *closed, *sliced], found, strict=True))
    return [gradients.get(i) for i in range(len(instruction.args))]


def _kept(program: Program, body: Program, varying: int) -> tuple[list[Instruction], list[Value]]:
    """What is kept of the forward of a turn, so that it need not be computed anew: all that is made of products and that the
    gradients need; or if that takes less memory, the products, the rest being computed anew from these.

    Args:
        program: what pulls gradients back through a turn.
        body: the turn.
        varying: how many of its inputs, the first ones, differ from turn to turn.

    Returns:
        the instructions of the program that are forward; and the values.
    """
    differs: dict[Value, bool] = {v: i < varying for i, v in enumerate(body.inputs)}
    early: list[Instruction] = []
    read = dict.fromkeys(program.outputs)
    for instruction in program.body:
        args = [a for a in instruction.args if not isinstance(a, Constant)]
        if all(a in differs for a in args):
            early.append(instruction)
            differs.update(dict.fromkeys(instruction.results, any(differs[a] for a in args)))
        else:
            read |= dict.fromkeys(args)
    costly: dict[Value, None] = {}
    made: set[Value] = set()  # of what is costly
    for instruction in early:
        if instruction.kind in ("product", "control", "call"):
            costly |= dict.fromkeys(r for r in instruction.results if differs[r])
        if instruction.kind in ("product", "control", "call") or not made.isdisjoint(instruction.args):
            made.update(r for r in instruction.results if differs[r])
    direct = [v for v in read if v in made]
    behind = dict.fromkeys(direct)
    for instruction in reversed(early):
        if costly.keys().isdisjoint(instruction.results) and not behind.keys().isdisjoint(instruction.results):
            behind |= dict.fromkeys(a for a in instruction.args if a in made)
    products = [v for v in behind if v in costly]
    return early, min((direct, products), key=lambda values: sum(v.nbytes for v in values))


def _while(work: _Pullback, instruction: Instruction, gs: Sequence[Gradient]) -> list[Gradient]:
    """As many turns back as there were, each as that of a loop: their number is counted down, and says which row to take of
    what was stacked."""
    builder = work.builder
    *entered, count = work.entered[instruction]
    live, ys, _, closed, program = _turn(work, instruction, gs)
    stacks = [*entered, *(_full(builder, instruction.results[i], gs[i]) for i in ys)]
    others = instruction.args[instruction.params["carries"] :]
    number, *carried = [Input(v.shape, v.dtype) for v in (count, *program.inputs[: len(live) + len(closed)])]
    rows = [Input(v.shape, v.dtype) for v in stacks]
    around = [Input(v.shape, v.dtype) for v in others]
    turn = Builder()
    before = turn.emit("subtract", number, Constant(np.ones((), COUNT)))
    row = [turn.emit("take", v, before, axis=0) for v in rows]
    # The last of what is carried is the number of turns before this one.
    made = inline(turn, program, [*carried, *row[: len(entered)], before, *row[len(entered) :], *around])
    tested = [Input(v.shape, v.dtype) for v in (number, *carried, *rows, *around)]
    test = Builder()
    more = test.emit("greater", tested[0], Constant(np.zeros((), COUNT)))
    found = builder.several(
        "while",
        count,
        *(_full(builder, instruction.results[i], gs[i]) for i in live),
        *(zeros(builder, v.shape, v.dtype) for v in carried[len(live) :]),
        *stacks,
        *others,
        test=Program(tested, [], test.body, [more], []),
        body=simplify(Program([number, *carried, *rows, *around], [], turn.body, [before, *made], [])),
        carries=1 + len(made),
        length=instruction.params["length"],
    )
    gradients = dict(zip([*live, *closed], found[1:], strict=True))
    return [gradients.get(i) for i in range(len(instruction.args))]


def _full(builder: Builder, value: Value, g: Gradient) -> Value:
    return zeros(builder, value.shape, value.dtype) if g is None else g


#: By primitive, what gives the gradient by each argument from those by the results.
WHOLE: dict[str, Callable[[_Pullback, Instruction, Sequence[Gradient]], list[Gradient]]] = {
    "apply": _apply,
    "branch": _branch,
    "loop": _loop,
    "while": _while,
}

__all__ = ["NoDerivative", "pullback"]
