"""What reads an array runs before what writes to a part of it: then that may be written where it is, and nothing is copied."""

from __future__ import annotations

from tapenet.program.in_place import bases
from tapenet.program.ir import Constant, Instruction, Program, Result, Value, shown


def overwriting(program: Program) -> dict[Value, list[Instruction]]:
    """By array what would write to it.

    Constants are left out, since what writes to one writes to a copy: derivatives begin many arrays with the same zeros.
    """
    found: dict[Value, list[Instruction]] = {}
    for instruction in program.body:
        for base in map(shown, bases(instruction).values()):
            if not isinstance(base, Constant):
                found.setdefault(base, []).append(instruction)
    return found


def run(program: Program) -> Program:
    """The same instructions in an order in which readers come first where they can."""
    writers = overwriting(program)
    if not writers or any(i.stays for i in program.body):
        return program
    needs = {i: [a.instruction for a in i.args if isinstance(a, Result)] for i in program.body}
    position = {instruction: at for at, instruction in enumerate(program.body)}
    moved = False
    for reader in program.body:
        for root in {shown(a) for a in reader.args}:
            for writer in writers.get(root, ()):
                late = position[reader] > position[writer] and reader.kind != "view"
                if late and not _depends(needs, reader, writer):
                    needs[writer].append(reader)
                    moved = True
    if not moved:
        return program
    done: dict[Instruction, None] = {}
    for instruction in program.body:
        _append(needs, instruction, done)
    return Program(program.inputs, program.hosts, done, program.outputs, program.writes)


def _depends(needs: dict[Instruction, list[Instruction]], instruction: Instruction, on: Instruction) -> bool:
    """Whether an instruction has to run after another."""
    seen = {instruction}
    stack = [instruction]
    while stack:
        for maker in needs[stack.pop()]:
            if maker is on:
                return True
            if maker not in seen:
                seen.add(maker)
                stack.append(maker)
    return False


def _append(needs: dict[Instruction, list[Instruction]], last: Instruction, done: dict[Instruction, None]) -> None:
    """Append an instruction, after what has to run before it."""
    stack = [last]
    while stack:
        waits = [i for i in needs[stack[-1]] if i not in done]
        if waits:
            stack += reversed(waits)
        else:
            done[stack.pop()] = None
