"""What running a native program takes to know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tapenet.program.c_effects import CEffect
from tapenet.program.ir import Host, Reference, Value
from tapenet.program.layout import Strides
from tapenet.program.native import costs
from tapenet.program.native.module import Call, Module, Segment

#: Cycles of a segment, as they are estimated, from which the interpreter's lock is released while it runs: some 10 µs. To
#: release it and to take it again takes 0.05 µs if no other thread wants it.
RELEASED = 30_000


@dataclass(eq=False)
class Outline:
    """See above.

    Attributes:
        inputs, outputs: its arguments and results.
        hosts: what the host computes, and whether it is read.
        references: the tensors that it reads or writes.
        written: those that it writes.
        table: the values that its memory's table has pointers to, in order (`memory.Memory`).
        strides: how these lie in memory, in elements.
        brought: what ops give.
        steps: native segments and calls of Python in order; of a program that was kept, segments have no entries.
        segments: those that do something, by name, and whether the interpreter's lock is released while they run.
        arena_bytes: the size of its scratch memory.
        alone: whether BLAS's own threads would be in the way.
        calls: whether Python runs besides native code.
        c_effects: what C functions do in it.
    """

    inputs: Sequence[Value]
    outputs: Sequence[Value]
    hosts: Sequence[tuple[Host, bool]]
    references: Sequence[Reference]
    written: Sequence[Reference]
    table: Sequence[Value]
    strides: Mapping[Value, Strides]
    brought: Sequence[Value]
    steps: Sequence[Segment | Call]
    segments: Mapping[str, bool]
    arena_bytes: int
    alone: bool
    calls: bool
    c_effects: Sequence[CEffect]


def outline(module: Module) -> Outline:
    """That of a module."""
    program, memory, layouts = module.program, module.memory, module.layouts
    read = {layouts[arg].root for instruction in program.body for arg in instruction.args}
    working = [s for s in module.steps if isinstance(s, Segment) and s.entries]
    return Outline(
        program.inputs,
        program.outputs,
        [(host, host in read) for host in program.hosts],
        program.references,
        [write.target for write in program.writes],
        memory.table,
        {v: layouts[v].strides for v in memory.table},
        memory.brought,
        module.steps,
        {
            f"segment{s.number}": costs.of_all(s.entries, module.bodies) >= RELEASED and not module.called_back
            for s in working
        },
        memory.arena_bytes,
        module.alone,
        bool(module.called_back) or not module.native,
        module.c_effects,
    )
