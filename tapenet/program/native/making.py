"""Programs that are compiled: what the runner asks of their modules. One that is found in the cache (`kept`) has none, and
loads neither this file nor the passes and plans behind it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tapenet.program.groups import Groups
from tapenet.program.ir import Instruction, Program, Value
from tapenet.program.layout import Strides, alike, c_strides
from tapenet.program.linear_algebra import ROWS
from tapenet.program.native import costs, entry, report
from tapenet.program.native.callbacks import CallBack
from tapenet.program.native.calls import Body, Calls
from tapenet.program.native.draws import Draw, Lending
from tapenet.program.native.memory import INDEXING, Slot, members
from tapenet.program.native.module import Module, mostly_called
from tapenet.program.native.outline import Outline, Segment
from tapenet.program.native.scratch import Scratch
from tapenet.program.native.strided import Way, reading, worth
from tapenet.typing import Array

#: Cycles of a segment, as they are estimated, from which the interpreter's lock is released while it runs: some 10 µs. To
#: release it and to take it again takes 0.05 µs if no other thread wants it.
RELEASED = 30_000
#: How many lines an error names at most.
_LINES = 5


class Making:
    """What is compiled of a program.

    Attributes:
        module: what is compiled.
    """

    def __init__(self, program: Program, lying: Way | None) -> None:
        """Make it.

        Args:
            program: what to compile.
            lying: how its arguments lie, where it is not how the program says.
        """
        strides: dict[Value, Strides] = {}
        for given, steps in zip(program.inputs, lying or (), strict=lying is not None):
            if steps is not None:
                strides[given] = tuple(s // given.dtype.itemsize for s in steps)
        self.module = Module(reading(program, strides) if strides else program, strides=strides)

    @functools.cached_property
    def outline(self) -> Outline:
        """What running it takes to know of it."""
        module = self.module
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

    @property
    def draws(self) -> bool:
        """Whether native code draws random numbers."""
        return any(map(Draw.takes, self.module.instructions()))

    def calls(
        self, scratch: Scratch, table: Array, arrays: Mapping[Value, Array], space: dict[str, object],
        made: Callable[[Program], Body],
    ) -> Calls:  # fmt: skip
        """Its calls of Python."""
        return Calls(self.module, scratch, table, arrays, space, made)

    def entries(self, ahead: Sequence[int], end: int, objects: int, guards: Sequence[int]) -> str:
        """The code that looks at arrays and puts their pointers into the table.

        Args:
            ahead: the positions of the results that are made ahead.
            end: where the pointers end in the table.
            objects: where it has the dtypes of arrays.
            guards: where it has the ranges of memory that is written.
        """
        module = self.module
        inputs = module.program.inputs
        dtypes = iter(range(objects, objects + len(inputs) + len(module.memory.brought)))

        def strides(value: Value) -> Strides | None:
            found = module.layouts[value].strides
            return None if alike(value.shape, found, c_strides(value.shape)) else found

        given = [entry.Bound(v, strides(v), 2 + i, next(dtypes), guards) for i, v in enumerate(inputs)]
        brought = []
        for value in module.memory.brought:
            buffer = module.memory.buffer(value)
            assert isinstance(buffer, Slot)
            brought.append(entry.Bound(value, strides(value), buffer.position, next(dtypes), alone=True))
        return entry.text(given, [2 + len(inputs) + i for i in ahead], brought, end)

    def lending(self, segment: Segment) -> Lending | None:
        """What lends generators to a native segment; None where it draws nothing."""
        inside = list(self.module.instructions(segment.entries))
        places = [i.params["place"] for i in inside if Draw.takes(i)]
        if not places:
            return None
        made = Lending(places)
        for instruction in inside:
            if CallBack.takes(instruction):
                instruction.params["back"].wrap(made.outside)
        return made

    def dead(self) -> dict[int, list[Value]]:
        """What ops gave that nobody needs after a step, by its number: its memory is free then."""
        module = self.module
        last: dict[Value, int] = {}
        for at, step in enumerate(module.steps):
            for made in step.entries if isinstance(step, Segment) else [step.instruction]:
                for instruction in members(made):
                    last |= {module.layouts[v].root: at for v in (*instruction.args, *instruction.results)}
        found: dict[int, list[Value]] = {}
        for value in module.memory.brought:
            if value not in module.program.outputs:
                found.setdefault(last[value], []).append(value)
        return found

    def worth(self, lying: Way) -> bool:
        """Whether code for arguments that lie so saves much of the time."""
        module = self.module
        if not module.native:
            return False
        cycles = sum(costs.of_all(s.entries, module.bodies) for s in module.steps if isinstance(s, Segment))
        return worth(lying, module.program.inputs, cycles)

    @property
    def mostly_called(self) -> bool:
        """Whether most of what it computes is computed by what it calls from Python."""
        return mostly_called(self.module)

    def report(self, full: bool) -> str:
        """What was made of the program, in words."""
        return report.report(self.module, full)

    def groups(self) -> Groups:
        """What runs in one go."""
        return report.groups(self.module)

    def indexing(self) -> str:
        """The lines of the user's code whose indices may be out of bounds, each with what it computes of."""
        return _one_of(i.origin for i in _all(self.module.program) if i.name in INDEXING)

    def raising(self, text: str) -> str:
        """The lines of the user's code that raise an error of such a text, each with what it computes of."""
        return _one_of(i.origin for i in _all(self.module.program) if _error(i) == text)


def _error(instruction: Instruction) -> str:
    """The text of the error that native code raises where an instruction fails; "" of those that do not say it."""
    if instruction.kind == "linear algebra":
        return ROWS[instruction.name].error
    return str(instruction.params["text"]) if instruction.name == "provided" else ""


def _one_of(given: Iterable[str]) -> str:
    lines = list(dict.fromkeys(line for line in given if line))
    more = ", ..." if len(lines) > _LINES else ""
    return f"{'one of ' if lines[1:] else ''}{', '.join(lines[:_LINES])}{more}"


def _all(program: Program) -> Iterator[Instruction]:
    """Instructions, also of bodies."""
    for instruction in program.body:
        yield instruction
        for value in instruction.params.values():
            if isinstance(value, Program):
                yield from _all(value)
