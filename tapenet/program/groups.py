"""What a backend made of a program, as data: which instructions run in one go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tapenet.program.ir import Constant, Instruction, Program, Result, Value, shown

#: How an op runs whose kernels the program calls by itself.
LAUNCHED = "kernels of an op"
BY_C = "by C functions of an op"


class Group(NamedTuple):
    """Instructions that run in one go.

    Attributes:
        instructions: in an order in which they can run.
        fused: whether all of them work on an element, or a block, before the next: only what others need is in memory.
        how: how they run, in words; "" where there is nothing to say.
    """

    instructions: tuple[Instruction, ...]
    fused: bool
    how: str


class Groups(NamedTuple):
    """A program as its backend runs it.

    Attributes:
        program: with the copies that the backend adds.
        groups: its instructions in the order in which they run; views that cost nothing are in none.
        bodies: of each loop and branch that runs this way too: those of its bodies. The native body of a loop writes
            what is carried to the inputs it came from, and gives only the other results.
    """

    program: Program
    groups: tuple[Group, ...]
    bodies: Mapping[Instruction, tuple[Groups, ...]]


def single(program: Program) -> Groups:
    """A program that no backend has seen: each instruction by itself."""
    return Groups(program, tuple(Group((i,), False, "") for i in program.body), {})


def arranged(groups: Groups) -> list[Group]:
    """The groups with all views among them: one that only a fused group needs is part of that, else it is part of the
    fused group that makes what it shows, else it stands alone before the first that needs it."""
    program = groups.program
    home = {i: at for at, group in enumerate(groups.groups) for i in group.instructions}
    users: dict[Value, set[int | None]] = {value: {None} for value in program.roots()}
    for instruction in reversed(program.body):
        at = home.get(instruction)
        if at is None:
            needed = users.get(instruction.results[0], set())
            (only,) = needed if len(needed) == 1 else (None,)
            maker = instruction.args[0].source
            for near in (only, None if maker is None else home.get(maker)):
                if near is not None and groups.groups[near].fused:
                    at = home[instruction] = near
                    break
        for arg in instruction.args:
            users.setdefault(arg, set()).add(at)
    inside: list[list[Instruction]] = [[] for _ in groups.groups]
    for instruction in program.body:
        if instruction in home:
            inside[home[instruction]].append(instruction)
    found: list[Group] = []
    placed = set(home)

    def view(value: Value) -> None:
        """Place a view that is part of no group, and those it shows."""
        chain = []
        while isinstance(value, Result) and value.instruction not in placed:
            chain.append(value.instruction)
            value = value.instruction.args[0]
        for instruction in reversed(chain):
            placed.add(instruction)
            found.append(Group((instruction,), False, ""))

    for group, instructions in zip(groups.groups, inside, strict=True):
        for instruction in instructions:
            for arg in instruction.args:
                view(arg)
        found.append(group._replace(instructions=tuple(instructions)))
    for instruction in program.body:
        view(instruction.results[0])
    return found


def traffic(groups: Groups) -> list[int]:
    """The bytes that each group reads and writes: what is given it, each array once, and what others need of it."""
    body = groups.program.body
    home = {i: at for at, group in enumerate(groups.groups) for i in group.instructions}
    read: list[dict[Value, int]] = [{} for _ in groups.groups]
    needed = {shown(value) for value in groups.program.roots()}
    for instruction in body:
        at = home.get(instruction)
        if at is None or instruction.kind == "view":
            continue
        for arg in instruction.args:
            root = shown(arg)
            if isinstance(root, Constant) and root.size == 1:
                continue
            if not isinstance(root, Result) or home.get(root.instruction) != at:
                needed.add(root)
                read[at][root] = max(read[at].get(root, 0), min(arg.nbytes, root.nbytes))
    found = []
    for group, given in zip(groups.groups, read, strict=True):
        made = sum(r.nbytes for i in group.instructions for r in i.results if r in needed)
        first = group.instructions[0]
        turns = first.params["length"] if first.name == "loop" else 1
        inner = sum(sum(traffic(b)) for b in groups.bodies.get(first, ()))
        found.append(turns * inner if inner else sum(given.values()) + made)
    return found


__all__ = ["BY_C", "LAUNCHED", "Group", "Groups", "arranged", "single", "traffic"]
