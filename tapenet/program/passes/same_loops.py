"""Loops that carry the same are one: that of a function, and the one that its gradient goes back from."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from tapenet.program.ir import Answer, Builder, Input, Instruction, Program, Value, inline, rewrite
from tapenet.program.passes import dead, duplicates


class _Joined(NamedTuple):
    """One loop in place of several; and of each of them, where its results are among those of the one."""

    loop: Instruction
    places: list[list[int]]


def run(program: Program) -> Program:
    """Let loops of as many turns that begin with the same, and carry the same from turn to turn, be one loop with the results
    of all; where nothing is carried, loops of the same. It is where the first one was: so what the others take has to be
    there by then."""
    if "loop" not in program.names:
        return program
    groups: dict[Hashable, list[Instruction]] = {}
    order: dict[Value, int] = {}
    for i, instruction in enumerate(program.body):
        order.update(dict.fromkeys(instruction.results, i))
        params = instruction.params
        if instruction.name == "loop" and instruction.results and not instruction.stays:
            begin = tuple(map(id, instruction.args[: params["carries"]] or instruction.args))
            key = params["carries"], begin, params["length"], bool(params.get("reverse"))
            groups.setdefault(key, []).append(instruction)
    joints: dict[Instruction, Instruction] = {}  # the one loop by the first of those that it is instead of
    instead: dict[Instruction, tuple[Instruction, list[int]]] = {}  # the one, and which of its results, by each of them
    for loops in groups.values():
        while len(loops) > 1:
            same, joint = loops[:1], None
            at = order[loops[0].results[0]]
            for other in loops[1:]:
                if all(order.get(a, -1) < at for a in other.args) and (more := _joined([*same, other])):
                    same, joint = [*same, other], more
            if joint is not None:
                joints[loops[0]] = joint.loop
                instead.update((each, (joint.loop, places)) for each, places in zip(same, joint.places, strict=True))
            loops = [each for each in loops if each not in same]
    if not joints:
        return program
    body = [i for each in program.body for i in ((joints[each], each) if each in joints else (each,))]
    new = set(joints.values())
    # The results of a new loop are others where it takes those of another new one.
    given: dict[Instruction, tuple[Value, ...]] = {}

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if instruction in new:
            given[instruction] = builder.again(instruction, args)
            return given[instruction]
        if instruction not in instead:
            return None
        joint, places = instead[instruction]
        return tuple(given[joint][i] for i in places)

    made = Program(program.inputs, program.hosts, body, program.outputs, program.writes)
    return dead.run(rewrite(made, change, {"loop"}))


def _joined(loops: Sequence[Instruction]) -> _Joined | None:
    """Loops as one, if they carry the same."""
    carries = loops[0].params["carries"]
    builder = Builder()
    inputs: dict[
        tuple[int, object], tuple[Value, Input]
    ] = {}  # first what is carried, then what is sliced, then the rest
    outputs: list[Sequence[Value]] = []
    for instruction in loops:
        body: Program = instruction.params["body"]
        end = carries + instruction.params["slices"]
        given = []
        for i, (arg, v) in enumerate(zip(instruction.args, body.inputs, strict=True)):
            key = (0, i) if i < carries else (1 if i < end else 2, arg)
            given.append(inputs.setdefault(key, (arg, Input(v.shape, v.dtype)))[1])
        outputs.append(inline(builder, body, given))
    kinds = sorted(inputs, key=lambda key: key[0])
    every = [inputs[key] for key in kinds]
    flat = [v for outs in outputs for v in outs]
    made = duplicates.run(Program([v for _, v in every], [], builder.body, flat, []))
    rest = iter(made.outputs)
    outputs = [[next(rest) for _ in outs] for outs in outputs]
    carried = outputs[0][:carries]
    if any(outs[:carries] != carried for outs in outputs):
        return None
    columns = list({v: None for outs in outputs for v in outs[carries:]})
    places = [[*range(carries), *(carries + columns.index(v) for v in outs[carries:])] for outs in outputs]
    body = Program(made.inputs, [], made.body, [*carried, *columns], [])
    slices = sum(1 for kind, _ in kinds if kind == 1)
    builder = Builder()
    builder.line = loops[0].line
    builder.several("loop", *(arg for arg, _ in every), **{**loops[0].params, "body": body, "slices": slices})
    return _Joined(builder.body[0], places)
