"""The batching of a program: from one that computes something, one that computes it for many arguments at once, the lanes.

Lanes are axis 0 of whatever has them. A value that depends on no batched input has none, and is computed once. There is a
rule for every primitive, in terms of primitives: no op says anything about it, but for those that cannot be read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tapenet.program.called_ops import Hole
from tapenet.program.ir import Answer, Builder, Constant, Input, Instruction, Program, Value, rewrite
from tapenet.program.passes import dead
from tapenet.program.primitives import PRIMITIVES, Spec
from tapenet.typing import Shape


class CannotBatch(Exception):
    """A program does something that cannot be done for many arguments at once."""


def batch(program: Program, batched: Sequence[bool], size: int, everything: bool = False) -> tuple[Program, list[bool]]:
    """The program over lanes.

    Args:
        program: any program without references, hosts and writes.
        batched: which inputs have lanes: theirs get an axis 0 of length `size`.
        size: how many lanes there are.
        everything: whether outputs that do not depend on a batched input get lanes too, all the same.

    Returns:
        the new program, and which of its outputs have lanes.

    Raises:
        CannotBatch: it has an effect, or values in it say how many elements there are.
    """
    return _made(program, batched, [everything] * len(program.outputs), size)


def _made(program: Program, batched: Sequence[bool], wanted: Sequence[bool], size: int) -> tuple[Program, list[bool]]:
    """The same, of which the `wanted` outputs have lanes in any case."""
    lanes = Lanes(size)
    inputs = lanes.inputs(program, batched)
    outputs, flags = lanes.run(program, inputs, batched)
    made = Program(inputs, [], lanes.builder.body, lanes.spread(outputs, flags, wanted), [])
    return made, [flag or want for flag, want in zip(flags, wanted, strict=True)]


class Lanes:
    """A new program with lanes, while it is made.

    Attributes:
        size: how many lanes there are.
        builder: appends to the new program.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.builder = Builder()

    def inputs(self, program: Program, batched: Iterable[bool]) -> list[Input]:
        """Inputs for those of a program, some with lanes."""
        return [
            Input((self.size, *v.shape) if flag else v.shape, v.dtype)
            for v, flag in zip(program.inputs, batched, strict=True)
        ]

    def run(self, program: Program, args: Sequence[Value], batched: Sequence[bool]) -> tuple[list[Value], list[bool]]:
        """Append a program: what its outputs become, and which of them have lanes."""
        new: dict[Value, Value] = dict(zip(program.inputs, args, strict=True))
        with_lanes: set[Value] = {v for v, flag in zip(program.inputs, batched, strict=True) if flag}
        for instruction in program.body:
            self.builder.line = instruction.line
            given = [new.get(a, a) for a in instruction.args]
            flags = [a in with_lanes for a in instruction.args]
            apart = instruction.params.get("apart", False)
            if instruction.paired or apart:  # what comes from the other process may have lanes
                given, flags = self.spread(given, flags), [True] * len(flags)
            tells = _only_tells(instruction)  # it is told of all lanes at once
            both = instruction.name == "branch" and flags[0]  # it would be told of what lanes do not do
            laned = apart or any(flags)
            alters = instruction.effect and not instruction.ordered and not (is_draw(instruction) and laned)
            if alters and (both or not tells):
                raise CannotBatch(_effect(instruction))
            if (tells and instruction.name == "call") or not laned:
                kept = instruction.on(given)
                self.builder.body.append(kept)
                new.update(zip(instruction.results, kept.results, strict=True))
                continue
            found = RULES[instruction.name](self, instruction, given, flags)
            several = [(found, True)] if isinstance(found, Value) else found
            for result, (value, flag) in zip(instruction.results, several, strict=True):
                new[result] = value
                if flag:
                    with_lanes.add(result)
        return [new.get(v, v) for v in program.outputs], [v in with_lanes for v in program.outputs]

    def spread(
        self, values: Sequence[Value], flags: Sequence[bool], wanted: Sequence[bool] | None = None
    ) -> list[Value]:
        """The values, those without lanes repeated over lanes: all of them, or the `wanted` ones."""
        return [
            self.builder.broadcast(v, (self.size, *v.shape)) if want and not flag else v
            for v, flag, want in zip(values, flags, wanted or [True] * len(values), strict=True)
        ]

    def aligned(self, value: Value, flag: bool, ndim: int) -> Value:
        """A value with lanes, with axes of length 1 behind these, so that without them it has `ndim` axes. Of one without
        lanes NumPy says the same by itself."""
        if not flag or value.ndim == ndim + 1:
            return value
        return self.builder.reshape(value, (self.size, *(1,) * (ndim + 1 - value.ndim), *value.shape[1:]))

    def moved(self, value: Value, source: int, destination: int) -> Value:
        """A value with one axis moved, as `np.moveaxis`."""
        order = [i for i in range(value.ndim) if i != source]
        order.insert(destination, source)
        return self.builder.transpose(value, tuple(order))


#: Given the lanes, an instruction, its arguments in the new program and which of them have lanes (at least one): the result,
#: with lanes; or of each of several results that, and whether it has lanes.
Rule = Callable[[Lanes, Instruction, Sequence[Value], Sequence[bool]], Value | list[tuple[Value, bool]]]


def _only_tells(instruction: Instruction) -> bool:
    """Whether all that it does beside its result is to tell the user something."""
    inside = (i for p in instruction.params.values() if isinstance(p, Program) for i in p.body if i.effect)
    return instruction.tells and all(map(_only_tells, inside))


def is_draw(instruction: Instruction) -> bool:
    """Whether it is a call of an op that draws random numbers, and does nothing else beside its result."""
    return (
        instruction.effect
        and instruction.name == "call"
        and instruction.params["op"].random
        and not instruction.params["op"].effect
    )


def draw_apart(program: Program) -> None:
    """Have each lane draw its own random numbers, also where lanes have the same parameters."""
    for instruction in filter(is_draw, program.body):
        instruction.params = {**instruction.params, "apart": True}


def drawing_ops(program: Program, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """The ops in a program that draw random numbers when they are called, by name, each with whether it is `inside` of
    something: of a loop, a branch, or a function that is applied."""
    for instruction in program.body:
        if is_draw(instruction):
            yield instruction.params["op"].name, inside
        if instruction.name == "apply":
            yield from ((name, True) for name in instruction.params["function"].draws)
        for body in instruction.params.values():
            if isinstance(body, Program):
                yield from drawing_ops(body, True)


def _effect(instruction: Instruction) -> str:
    """Why an instruction with an effect is refused."""
    for name, inside in drawing_ops(Program([], [], [instruction], [], [])):
        where = f" in a {instruction.name}" if inside else ""
        return f"op {name!r}{where} draws random numbers, which lanes cannot share: draw outside and pass them"
    return f"{_named(instruction)} has an effect beside its result, which lanes cannot share"


def _named(instruction: Instruction) -> str:
    return str(instruction.params["op"].name) if instruction.name == "call" else instruction.name


# -- element by element, reductions, views -----------------------------------------------------------------------


def _elementwise(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """the same, with axes of length 1 behind the lanes of arguments with fewer axes"""
    ndim = instruction.results[0].ndim
    given = [lanes.aligned(a, flag, ndim) for a, flag in zip(args, flags, strict=True)]
    return lanes.builder.emit(instruction.name, *given, **instruction.params)


def _reduction(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """the same along axes one further"""
    return lanes.builder.emit(instruction.name, *args, axes=tuple(i + 1 for i in instruction.params["axes"]))


def _search(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """the same along the axis one further"""
    return lanes.builder.emit(instruction.name, *args, axis=instruction.params["axis"] + 1)


def _reshape(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """to the shape with lanes in front"""
    return lanes.builder.reshape(args[0], (lanes.size, *instruction.params["shape"]))


def _transpose(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """of the axes one further, lanes stay in front"""
    return lanes.builder.transpose(args[0], (0, *(i + 1 for i in instruction.params["axes"])))


def _broadcast(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """to the shape with lanes in front, axes of length 1 behind the lanes of x"""
    shape = instruction.params["shape"]
    return lanes.builder.broadcast(lanes.aligned(args[0], True, len(shape)), (lanes.size, *shape))


def _slices(lanes: Lanes, instruction: Instruction) -> tuple[tuple[int, int, int], ...]:
    return ((0, lanes.size, 1), *instruction.params["slices"])


def _slice(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """the slices, and all lanes"""
    return lanes.builder.emit("slice", *args, slices=_slices(lanes, instruction))


# -- products ----------------------------------------------------------------------------------------------------


def _dot(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """of both, one product for each lane; of one, a single product whose rows are those of all lanes"""
    builder, size = lanes.builder, lanes.size
    a, b = args
    ta, tb = bool(instruction.params.get("ta")), bool(instruction.params.get("tb"))
    if all(flags):
        return builder.emit("dot", a, b, **instruction.params)
    if flags[1]:  # (a b)ᵀ = bᵀ aᵀ: the lanes of a are rows there
        a, b, ta, tb = b, a, not tb, not ta
    rows = _exchanged(builder, a) if ta else a
    *lead, n, k = rows.shape[1:]
    folded = builder.reshape(lanes.moved(rows, 0, len(lead)), (*lead, size * n, k))
    product = builder.emit("dot", folded, b, **({"tb": True} if tb else {}))
    found = lanes.moved(builder.reshape(product, (*lead, size, n, product.shape[-1])), len(lead), 0)
    return _exchanged(builder, found) if flags[1] else found


def _exchanged(builder: Builder, value: Value) -> Value:
    """The last two axes in the other order: of a row or a column the same numbers in another shape."""
    *lead, n, m = value.shape
    if 1 in (n, m):
        return builder.reshape(value, (*lead, m, n))
    return builder.transpose(value, (*range(len(lead)), len(lead) + 1, len(lead)))


def _dot_add(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """the product as that of `dot`, then the sum"""
    both = args[1:]
    product = (
        _dot(lanes, instruction, both, flags[1:])
        if any(flags[1:])
        else lanes.builder.emit("dot", *both, **instruction.params)
    )
    return lanes.builder.elementwise("add", args[0], product)


def _barrier(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """the same; what waits for lanes is repeated"""
    (x,) = lanes.spread(args[:1], flags[:1])
    return lanes.builder.emit("barrier", x, args[1])


# -- movement ----------------------------------------------------------------------------------------------------


def _concatenate(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """along the axis one further; arrays without lanes are repeated"""
    return lanes.builder.emit("concatenate", *lanes.spread(args, flags), axis=instruction.params["axis"] + 1)


def _update(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """at the slices of all lanes; what has none is repeated"""
    return lanes.builder.emit("update", *lanes.spread(args, flags), slices=_slices(lanes, instruction))


class _Index(NamedTuple):
    """An index over lanes.

    Attributes:
        template, arrays: the index. Where it chooses lane by lane, the first array is the numbers of the lanes.
        order: the axes of what it selects, so that they come out as lanes and then as without lanes.
    """

    template: tuple[object, ...]
    arrays: tuple[Value, ...]
    order: tuple[int, ...]


def _indexed(
    lanes: Lanes,
    template: Sequence[object],
    arrays: Sequence[Value],
    flags: Sequence[bool],
    lead: bool,
    selected: int,
) -> _Index:
    """An index over lanes.

    NumPy puts the axes of index arrays where the first of them is, but in front where slices or None lie between them.

    Args:
        template: the index without lanes.
        arrays, flags: what fills its holes, and which of these have lanes.
        lead: whether what is indexed has lanes.
        selected: how many axes the index without lanes selects.
    """
    advanced = [i for i, t in enumerate(template) if t is not None and not isinstance(t, slice)]
    before = advanced[0]
    apart = advanced[-1] - before >= len(advanced)
    ndim = max((a.ndim - flag for a, flag in zip(arrays, flags, strict=True)), default=0)
    axes = range(selected + 1)
    if not any(flags):
        order = (ndim, *axes[:ndim], *axes[ndim + 1 :]) if apart else axes
        return _Index((slice(None), *template), tuple(arrays), tuple(order))
    arrays = [lanes.aligned(a, flag, ndim) for a, flag in zip(arrays, flags, strict=True)]
    if not lead:
        order = axes if apart else (before, *axes[:before], *axes[before + 1 :])
        return _Index(tuple(template), tuple(arrays), tuple(order))
    numbers = Constant(np.arange(lanes.size).reshape(lanes.size, *(1,) * ndim))
    further = tuple(Hole(t.position + 1) if isinstance(t, Hole) else t for t in template)
    middle = 1 + ndim
    order = axes if apart else (0, *axes[middle : middle + before], *axes[1:middle], *axes[middle + before :])
    return _Index((Hole(0), *further), (numbers, *arrays), tuple(order))


def _read(
    lanes: Lanes,
    instruction: Instruction,
    template: Sequence[object],
    args: Sequence[Value],
    flags: Sequence[bool],
) -> Value:
    found = _indexed(lanes, template, args[1:], flags[1:], flags[0], instruction.results[0].ndim)
    made = lanes.builder.emit("index", args[0], *found.arrays, template=found.template)
    return lanes.builder.transpose(made, found.order)


def _take(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """of x, along the axis one further; of i, the lanes moved to the front; of both, an `index` by the numbers of lanes too"""
    axis = instruction.params["axis"]
    if all(flags):
        return _read(lanes, instruction, (*(slice(None),) * axis, Hole(0)), args, flags)
    if flags[0]:
        return lanes.builder.emit("take", *args, axis=axis + 1)
    return lanes.moved(lanes.builder.emit("take", *args, axis=axis), axis, 0)


def _index(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """all lanes; where an index array has lanes, their numbers are an index too; then lanes are moved to the front"""
    return _read(lanes, instruction, instruction.params["template"], args, flags)


def _placed(lanes: Lanes, value: Value, flag: bool, selected: Shape, order: Shape) -> Value:
    """What is written where an index selects, in the order of axes that it selects in."""
    builder, ndim = lanes.builder, len(selected)
    shape = value.shape[flag:]
    shape = (*(1,) * ndim, *shape)[len(shape) :]  # with `ndim` axes: NumPy drops axes of length 1 in front, too
    full = builder.reshape(value, (lanes.size if flag else 1, *shape))
    inverse = tuple(sorted(range(ndim + 1), key=order.__getitem__))
    return builder.transpose(builder.broadcast(full, (lanes.size, *selected)), inverse)


def _selected(template: Sequence[object], arrays: Sequence[Value], shape: Shape) -> Shape:
    """The shape that an index selects."""
    (spec,) = PRIMITIVES["index"].infer(
        [Spec(shape, np.dtype(bool)), *(Spec(a.shape, a.dtype) for a in arrays)], {"template": template}
    )
    return spec.shape


def _put(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """at the `index` of all lanes; an x without lanes is repeated"""
    return _placed_at(lanes, instruction, args, flags)


def _placed_at(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    template = instruction.params["template"]
    selected = _selected(template, instruction.args[2:], instruction.args[0].shape)
    found = _indexed(lanes, template, args[2:], flags[2:], True, len(selected))
    (x,) = lanes.spread(args[:1], flags[:1])
    value = _placed(lanes, args[1], flags[1], selected, found.order)
    return lanes.builder.emit(instruction.name, x, value, *found.arrays, template=found.template)


def _scatter_add(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """at the `index` of all lanes"""
    template, shape = instruction.params["template"], tuple(instruction.params["shape"])
    selected = _selected(template, instruction.args[1:], shape)
    found = _indexed(lanes, template, args[1:], flags[1:], True, len(selected))
    values = _placed(lanes, args[0], flags[0], selected, found.order)
    shape = (lanes.size, *shape)
    return lanes.builder.emit("scatter_add", values, *found.arrays, template=found.template, shape=shape)


def _add_at(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """at the `index` of all lanes; an x without lanes is repeated"""
    return _placed_at(lanes, instruction, args, flags)


def _add_rows(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """the rows of all lanes are those of one array"""
    builder = lanes.builder
    x, values, index = lanes.spread(args, flags)
    count = x.shape[1]
    index = builder.elementwise("remainder", index, count)
    starts = Constant(np.arange(lanes.size)[:, None] * count)
    rows = [builder.reshape(v, (lanes.size * v.shape[1], *v.shape[2:])) for v in (x, values)]
    index = builder.reshape(builder.elementwise("add", index, starts), (math.prod(index.shape),))
    return builder.reshape(builder.emit("add_rows", *rows, index), x.shape)


# -- loops, branches, calls --------------------------------------------------------------------------------------


def _branch(
    lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]
) -> list[tuple[Value, bool]]:
    """a branch of batched programs; where the condition has lanes, both programs and a `where`"""
    true, false = instruction.params["true"], instruction.params["false"]
    condition, *rest = args
    if not flags[0]:
        found = zip(_flags(true, flags[1:], lanes.size), _flags(false, flags[1:], lanes.size), strict=True)
        either = [any(pair) for pair in found]
        bodies = {n: _made(instruction.params[n], flags[1:], either, lanes.size)[0] for n in ("true", "false")}
        results = lanes.builder.several("branch", *args, **{**instruction.params, **bodies})
        return list(zip(results, either, strict=True))
    ways = [zip(*lanes.run(unchecked(body), rest, flags[1:]), strict=True) for body in (true, false)]
    return [(_chosen(lanes, condition, x, y), True) for x, y in zip(*ways, strict=True)]


def unchecked(program: Program) -> Program:
    """A branch without the checks of what nobody uses (`checks`), in functions that it applies too: it is computed for lanes
    that do not take it as well, whose values it must not refuse."""

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        new = {n: unchecked(p) for n, p in instruction.params.items() if isinstance(p, Program)}
        if instruction.name == "apply":
            new = {"function": instruction.params["function"].unchecked()}
        return builder.several(instruction.name, *args, **{**instruction.params, **new}) if new else None

    return dead.run(rewrite(program, change))


def _chosen(lanes: Lanes, condition: Value, x: tuple[Value, bool], y: tuple[Value, bool]) -> Value:
    """x where a condition with lanes holds, else y; each is a value, and whether it has lanes."""
    ndim = x[0].ndim - x[1]
    given = [lanes.aligned(v, flag, ndim) for v, flag in ((condition, True), x, y)]
    return lanes.builder.emit("where", *given)


def _flags(body: Program, batched: Sequence[bool], size: int) -> list[bool]:
    """Which outputs of a program get lanes."""
    return batch(body, batched, size)[1]


def _loop(
    lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]
) -> list[tuple[Value, bool]]:
    """a loop of the batched program; what is carried has lanes if it gets them in a turn"""
    body, carries, slices = (instruction.params[name] for name in ("body", "carries", "slices"))
    carried, found = _settled([body], flags, carries, lanes.size)
    batched = [*carried, *flags[carries:]]
    starts = lanes.spread(args[:carries], flags[:carries], carried)
    xs = [
        lanes.moved(a, 0, 1) if flag else a
        for a, flag in zip(args[carries : carries + slices], flags[carries : carries + slices], strict=True)
    ]
    params = {**instruction.params, "body": _made(body, batched, found, lanes.size)[0]}
    results = lanes.builder.several("loop", *starts, *xs, *args[carries + slices :], **params)
    return _after(lanes, results, found, carries)


def _settled(
    bodies: Sequence[Program], flags: Sequence[bool], carries: int, size: int
) -> tuple[list[bool], list[bool]]:
    """Which of what is carried has lanes at each turn, and which of the results of the first body; with a second one, a test,
    all that is carried has if that has."""
    carried = list(flags[:carries])
    while True:
        found, *tests = [_flags(body, [*carried, *flags[carries:]], size) for body in bodies]
        now = [a or b or [True] in tests for a, b in zip(carried, found, strict=False)]
        if now == carried:
            return carried, [*carried, *found[carries:]]
        carried = now


def _after(lanes: Lanes, results: Sequence[Value], found: Sequence[bool], carries: int) -> list[tuple[Value, bool]]:
    """The results of a loop, those that are stacked with lanes before turns."""
    stacked = [lanes.moved(r, 1, 0) if flag else r for r, flag in zip(results[carries:], found[carries:], strict=True)]
    return list(zip([*results[:carries], *stacked], found, strict=True))


def _while(
    lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]
) -> list[tuple[Value, bool]]:
    """the same of batched programs; where the test has lanes, as long as it holds for one of them, and lanes that are done keep
    what they carry"""
    test, body, carries = (instruction.params[name] for name in ("test", "body", "carries"))
    carried, found = _settled([body, test], flags, carries, lanes.size)
    batched = [*carried, *flags[carries:]]
    starts = [*lanes.spread(args[:carries], flags[:carries], carried), *args[carries:]]
    (first,), tested = lanes.run(test, starts, batched)
    if tested == [False]:
        bodies = {n: _made(p, batched, w, lanes.size)[0] for n, p, w in (("test", test, tested), ("body", body, found))}
        results = lanes.builder.several("while", *starts, **{**instruction.params, **bodies})
        return _after(lanes, results, found, carries)
    turn = Lanes(lanes.size)
    active = Input((lanes.size,), np.dtype(bool))  # the lanes that go on
    inputs = turn.inputs(body, batched)
    outs, with_lanes = turn.run(body, inputs, batched)
    kept = [
        _chosen(turn, active, (new, flag), (old, True))
        for new, flag, old in zip(outs[:carries], with_lanes[:carries], inputs, strict=False)
    ]
    (holds,), _ = turn.run(test, [*kept, *inputs[carries:]], batched)
    still = turn.builder.emit("logical_and", active, holds)
    goes = Builder()
    params = {
        **instruction.params,
        "carries": carries + 1,
        "test": Program([active, *inputs], [], goes.body, [goes.emit("reduce_logical_or", active, axes=(0,))], []),
        "body": Program([active, *inputs], [], turn.builder.body, [still, *kept, *outs[carries:]], []),
    }
    results = lanes.builder.several("while", first, *starts, **params)[1:]
    return _after(lanes, results, found, carries)


def _apply(
    lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]
) -> list[tuple[Value, bool]]:
    """the function over lanes"""
    function = instruction.params["function"].batch(tuple(flags), lanes.size)
    return [(r, True) for r in lanes.builder.several("apply", *args, function=function)]


def first(
    lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]
) -> list[tuple[Value, bool]]:
    """the same of arguments that all have lanes: it computes once for each place in the leading axes"""
    given = lanes.spread(args, flags)
    return [(v, True) for v in lanes.builder.several(instruction.name, *given, **instruction.params)]


def along_axis(lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]) -> Value:
    """the same along the axis one further"""
    params = {**instruction.params, "axis": instruction.params["axis"] + 1}
    return lanes.builder.emit(instruction.name, *args, **params)


def looped(
    lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]
) -> list[tuple[Value, bool]]:
    """a loop over lanes whose turn is the call"""
    if instruction.params.get("sized"):
        raise CannotBatch(f"values say how many elements {_named(instruction)} gives, which may differ between lanes")
    inputs = [Input(a.shape, a.dtype) for a in instruction.args]
    turn = Instruction(
        instruction.name,
        inputs,
        instruction.params,
        [Spec(r.shape, r.dtype) for r in instruction.results],
        instruction.line,
    )
    used = [i for i, spec in enumerate(instruction.params.get("specs", instruction.results)) if spec is not None]
    order = sorted(range(len(args)), key=lambda i: not flags[i])  # those with lanes are the slices
    body = Program([inputs[i] for i in order], [], [turn], [turn.results[i] for i in used], [])
    params = {"body": body, "carries": 0, "slices": sum(flags), "length": lanes.size, "lanes": _named(instruction)}
    if instruction.effect:
        params["effect"] = True
    found = dict(zip(used, lanes.builder.several("loop", *(args[i] for i in order), **params), strict=True))
    unused = Constant(np.zeros((), bool))
    return [(found[i], True) if i in found else (unused, False) for i in range(len(instruction.results))]


def _provided(
    lanes: Lanes, instruction: Instruction, args: Sequence[Value], flags: Sequence[bool]
) -> list[tuple[Value, bool]]:
    """the same; an error of one lane is one of all"""
    x, wrong = args
    if flags[1]:
        wrong = lanes.builder.emit("reduce_logical_or", wrong, axes=(0,))
    return [(lanes.builder.emit("provided", x, wrong, **instruction.params), flags[0])]


#: By primitive.
RULES: dict[str, Rule] = {
    **{name: _elementwise for name, row in PRIMITIVES.items() if row.kind == "elementwise"},
    **{name: _reduction for name, row in PRIMITIVES.items() if row.kind == "reduction"},
    "argmax": _search,
    "argmin": _search,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast": _broadcast,
    "slice": _slice,
    "barrier": _barrier,
    "provided": _provided,
    "dot": _dot,
    "dot_add": _dot_add,
    "concatenate": _concatenate,
    "update": _update,
    "take": _take,
    "index": _index,
    "put": _put,
    "scatter_add": _scatter_add,
    "add_at": _add_at,
    "add_rows": _add_rows,
    "loop": _loop,
    "while": _while,
    "branch": _branch,
    "apply": _apply,
    "call": looped,
}

__all__ = ["RULES", "CannotBatch", "batch", "draw_apart", "drawing_ops"]
