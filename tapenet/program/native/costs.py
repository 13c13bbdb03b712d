"""Roughly how many cycles what runs in a program takes: whether it is worth threads, and the release of a lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from tapenet.program.fusion import Entry, Kernel
from tapenet.program.ir import Instruction
from tapenet.program.native import convolutions, kernels, launches, products

#: Turns of a loop that nobody knows.
TURNS = 1000
#: Cycles for an element of what others' functions compute.
FOREIGN = 30
#: Cycles for an element of what takes fewer; sorting takes 2 to 22, the fewest where vectors do it.
_QUICK = {**dict.fromkeys(("argmax", "argmin", "cummax", "cummin", "cumprod", "cumsum"), 1), "sort": 2}


class Entries(Protocol):
    """A module, as far as it is needed here."""

    @property
    def entries(self) -> Sequence[Entry]: ...
    @property
    def bodies(self) -> Mapping[Instruction, Sequence[Entries]]: ...


def of_all(entries: Iterable[Entry], bodies: Mapping[Instruction, Sequence[Entries]]) -> float:
    """Of entries one after another, with the bodies of the loops and branches among them."""
    return sum(_of(entry, bodies) for entry in entries)


def _of(entry: Entry, bodies: Mapping[Instruction, Sequence[Entries]]) -> float:
    if isinstance(entry, Kernel):
        return kernels.cycles(entry)
    if plan := launches.find(entry):
        return plan.cycles
    if entry.kind == "product":
        return products.cycles(entry)
    if entry.kind == "convolution":
        return convolutions.cycles(entry)
    if entry.kind == "control":
        each = [of_all(body.entries, body.bodies) for body in bodies.get(entry, ())]
        if entry.name == "branch":
            return max(each, default=0)
        return (1 + sum(each)) * (entry.params["length"] if entry.name == "loop" else TURNS)
    moved = sum(v.size for v in (*entry.args, *entry.results))
    return moved * (1 if entry.kind == "movement" else _QUICK.get(entry.name, FOREIGN))
