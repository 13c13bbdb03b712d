"""Loops carry and stack only what is used."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from tapenet.program import checks
from tapenet.program.ir import Answer, Builder, Constant, Instruction, Program, Result, Value, rewrite
from tapenet.program.passes import dead
from tapenet.program.primitives import BODIES


def run(program: Program) -> Program:
    """Drop the results of loops and branches that nobody uses or that have no elements, with what is carried for them alone."""
    if program.names.isdisjoint(BODIES):
        return program
    uses = {value: number for value, number in program.uses().items() if value.size}

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if instruction.name in ("loop", "while"):
            return _loop(instruction, args, builder, uses)
        return _branch(instruction, args, builder, uses)

    changed = rewrite(program, change, BODIES)
    return program if changed.body == program.body else changed


def _loop(instruction: Instruction, args: tuple[Value, ...], builder: Builder, uses: dict[Value, int]) -> Answer:
    params = instruction.params
    whole: Program = params["body"]
    test: Program | None = params.get("test")
    carries, slices = params["carries"], params.get("slices", 0)
    tested = set() if test is None else read_at(test, test.outputs)
    turns = slice(carries, carries + slices)
    known = {v for v, a in zip(whole.inputs[turns], args[turns], strict=True) if isinstance(a, Constant)}
    used = [uses.get(r, 0) > 0 for r in instruction.results]
    # A carry is needed if its last value is used, if the test reads it, or if another result that is needed depends on it.
    needed = used[:]
    while True:
        body = _giving(whole, needed, known)
        reads = tested | read_at(body, body.outputs)
        again = [n or (i < carries and i in reads) for i, n in enumerate(needed)]
        if again == needed:
            break
        needed = again
    # What comes in: needed carries, and of the rest what is read.
    kept = [i for i in range(len(body.inputs)) if (needed[i] if i < carries else i in reads)]
    if len(kept) == len(body.inputs) and all(needed):
        return None
    if not any(used) and not instruction.must_run:
        return None  # the whole loop is dead, and not this pass's to drop
    new = dict(params)
    new["body"] = dead.run(Program([body.inputs[i] for i in kept], [], body.body, body.outputs, []))
    new["carries"] = sum(needed[:carries])
    if test is None:
        new["slices"] = sum(1 for i in kept if carries <= i < carries + slices)
    else:
        new["test"] = dead.run(Program([test.inputs[i] for i in kept], [], test.body, test.outputs, []))
    made = builder.several(instruction.name, *(args[i] for i in kept), **new)
    return _spread(instruction, needed, made)


def _branch(instruction: Instruction, args: tuple[Value, ...], builder: Builder, uses: dict[Value, int]) -> Answer:
    needed = [uses.get(r, 0) > 0 for r in instruction.results]
    bodies = [_giving(instruction.params[name], needed) for name in ("true", "false")]
    reads = [read_at(body, body.outputs) for body in bodies]
    kept = sorted(set().union(*reads))
    if (all(needed) and len(kept) == len(args) - 1) or not any(needed):
        return None
    new = dict(instruction.params)
    for name, body in zip(("true", "false"), bodies, strict=True):
        new[name] = dead.run(Program([body.inputs[i] for i in kept], [], body.body, body.outputs, []))
    made = builder.several("branch", args[0], *(args[i + 1] for i in kept), **new)
    return _spread(instruction, needed, made)


def _giving(body: Program, needed: Sequence[bool], known: Collection[Value] = ()) -> Program:
    """A body that gives what is needed alone, and raises what it did; of its inputs some are `known`."""
    outputs = [v for v, n in zip(body.outputs, needed, strict=True) if n]
    return checks.kept(Program(body.inputs, [], body.body, outputs, []), known)


def read_at(body: Program, wanted: Sequence[Value]) -> set[int]:
    """The positions of the inputs that these depend on, or that the instructions depend on that stay in any case."""
    seen = {*wanted, *(a for i in body.body if i.must_run for a in i.args)}
    stack = list(seen)
    while stack:
        value = stack.pop()
        if isinstance(value, Result):
            for arg in value.instruction.args:
                if arg not in seen:
                    seen.add(arg)
                    stack.append(arg)
    return {i for i, value in enumerate(body.inputs) if value in seen}


def _spread(instruction: Instruction, needed: list[bool], made: tuple[Value, ...]) -> tuple[Value, ...]:
    """The new results in the places of the old ones. One without elements is a constant; another that nobody uses stands for
    itself."""
    found = iter(made)
    return tuple(
        next(found) if n else r if r.size else Constant(np.zeros(r.shape, r.dtype))
        for r, n in zip(instruction.results, needed, strict=True)
    )
