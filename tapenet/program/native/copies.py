"""Copies of values where memory demands them, before memory is planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tapenet.program.ir import (
    Answer,
    Builder,
    Input,
    Instruction,
    Program,
    Result,
    Value,
    shown,
    substitute,
)
from tapenet.program.layout import Layouts, Order, Strides, alike, c_strides, materialise, ordered_strides
from tapenet.program.native import (
    batches,
    c_effects,
    callbacks,
    families,
    launches,
    products,
    reading_order,
    recomputed,
    sums,
    turned,
)
from tapenet.program.native.kernels import fusible
from tapenet.program.passes import accumulate, dead, pairs

#: Arguments of this size in bytes are copied if they are read so many times.
LEAST, MOST, OFTEN = 1024, 16384, 16


def run(program: Program, layouts: Layouts, body: bool, orders: Sequence[Order | None]) -> Program:
    """The program with copies where memory demands them: views are free, BLAS gets operands it can read, each output
    and each write has a value of its own. Of a loop's body outputs are row-major, and what reads an array runs before what
    writes to it. `orders` as for `Module`."""

    def dense(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if instruction.kind == "elementwise" and not body:
            return None  # it reads any strides
        if shared := {v for v in launches.images(instruction) if readers[v] > 1}:
            for old, given in zip(instruction.args, args, strict=True):
                if old in shared and given not in copies:
                    copies[given] = launches.innermost(given, layouts, builder) or given
            args = tuple(copies.get(a, a) for a in args)
        now = instruction if args == instruction.args else instruction.on(args)
        if now.name == "loop":
            now = turned.run(now, layouts, builder)
        if now.name == "call" and (plan := launches.record(now, args, layouts)):
            return builder.several("call", *args, **now.params, plan=plan)
        done = c_effects.prepared(now, args, layouts, builder)
        if done is None and body and not _is_native(now):
            done = callbacks.prepared(now, args, builder)
        if done is not None:
            return done
        family = families.of(now)
        scattered = family.scattered(now, layouts) if family else []
        if (other := products.elsewise(now, args, scattered, layouts, builder)) is not None:
            return other
        if scattered:
            new = list(args)
            for position in scattered:
                new[position] = builder.emit("copy", args[position], row_major=True)
            now = now.on(new)
        if now is instruction:
            return None
        builder.body.append(now)
        return now.results

    program = sums.run(accumulate.run(dead.run(pairs.run(program))))
    program = _aligned(program if body else batches.run(recomputed.run(program)))
    readers = Counter(v for i in program.body for v in launches.images(i))
    orders = orders or [None] * len(program.outputs)
    readers.update(v for v, order in zip(program.outputs, orders, strict=True) if order is not None)
    copies: dict[Value, Value] = {}
    program = materialise(program, layouts, dense)
    for instruction in program.body:
        for result in instruction.results:
            layouts[result]  # in order here too
    builder = Builder()
    builder.body = list(program.body)
    taken: set[Value] = set()

    def own(value: Value, strides: Strides | None = None) -> Value:
        fresh = isinstance(value, Result) and value.instruction.kind != "view" and value not in taken
        if not fresh or (strides is not None and not alike(value.shape, layouts[value].strides, strides)):
            value = builder.emit("copy", value)
            if strides is not None:
                layouts.put(value, strides)
        taken.add(value)
        return value

    outputs = []
    for v, order in zip(program.outputs, orders, strict=True):
        if order is None:
            outputs.append(own(v, c_strides(v.shape) if body else None))
        else:
            outputs.append(own(copies.get(v, v), ordered_strides(v.shape, tuple(axis - 1 for axis in order[1:]))))
    writes = [write._replace(value=own(write.value)) for write in program.writes]
    made = Program(program.inputs, program.hosts, builder.body, outputs, writes)
    return reading_order.run(made) if body else made


def _aligned(program: Program) -> Program:
    """The program with a copy of each small argument that is read again and again: in scratch memory it begins at a
    cache line, and vectors of it do not lie across two, which costs a third where a row is read for each of a hundred."""
    often: dict[Value, None] = {}
    for instruction in program.body:
        if instruction.kind == "elementwise":
            for arg in instruction.args:
                root = shown(arg)
                if isinstance(root, Input) and instruction.results[0].size >= OFTEN * root.size:
                    often[root] = None
    written = {write.target for write in program.writes}
    builder = Builder()
    copies = {v: builder.emit("copy", v) for v in often if LEAST <= v.nbytes <= MOST and v not in written}
    if not copies:
        return program
    made = substitute(program, copies)
    return Program(made.inputs, made.hosts, [*builder.body, *made.body], made.outputs, made.writes)


def _is_native(instruction: Instruction) -> bool:
    """Whether there is code for an instruction, or there is none to be: of a view."""
    return instruction.kind in ("view", "control") or fusible(instruction) or families.supports(instruction)
