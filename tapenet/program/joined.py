"""What is joined of parts, and where each of its elements comes from.

A concatenation, and an array of one number with another written into it, as around an image. Whoever reads such an array
element by element can read the parts instead: the array is cut into boxes, in each of which all comes from one part.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tapenet.program.ir import Constant, Instruction, Result, Value
from tapenet.program.passes.patterns import number
from tapenet.typing import Shape

#: The most boxes that a domain is cut into. A five-point stencil has nine; its gradient, by slices, has twenty-five.
MOST = 36


class Box(NamedTuple):
    """A part of a domain: where it begins and how long it is along each axis."""

    begin: Shape
    lengths: Shape


def joins(instruction: Instruction) -> bool:
    """Whether what an instruction gives can be read where its parts are."""
    if instruction.name == "concatenate":
        return all(a.size for a in instruction.args)
    if instruction.name != "update" or number(instruction.args[0]) is None or not instruction.args[1].size:
        return False
    return all(step == 1 for _, _, step in instruction.params["slices"])


def parts(instruction: Instruction) -> Iterator[tuple[Shape, Value]]:
    """The parts of what is joined, with the place of the first element of each."""
    if instruction.name == "update":
        yield tuple(first for first, _, _ in instruction.params["slices"]), instruction.args[1]
        return
    axis, first = instruction.params["axis"], 0
    for arg in instruction.args:
        yield tuple(first if i == axis else 0 for i in range(arg.ndim)), arg
        first += arg.shape[axis]


def part_at(instruction: Instruction, place: Shape) -> tuple[Shape, Value] | None:
    """The part that an element comes from, with the place of its first element; None for the number around it."""
    for first, value in parts(instruction):
        if all(f <= p < f + n for f, p, n in zip(first, place, value.shape, strict=True)):
            return first, value
    return None


def around(instruction: Instruction) -> Constant:
    """The number around what is written."""
    found = number(instruction.args[0])
    assert found is not None
    return Constant(found)


def run(value: Value) -> tuple[Value, Shape]:
    """What a value is a run of places of, through slices with steps of 1, and the place where it begins there."""
    begin = (0,) * value.ndim
    while isinstance(value, Result) and value.instruction.name == "slice":
        slices = value.instruction.params["slices"]
        if any(step != 1 for _, _, step in slices):
            break
        begin = tuple(b + first for b, (first, _, _) in zip(begin, slices, strict=True))
        value = value.instruction.args[0]
    return value, begin


def _cuts(members: Sequence[Instruction], domain: Shape) -> list[list[int]]:
    """Along each axis the places where a box begins, and the end."""
    inside = set(members)
    found = [{0, n} for n in domain]
    done: set[tuple[Instruction, Shape]] = set()

    def cut(instruction: Instruction, moved: Shape) -> None:
        """Cut where the parts of a member that is read `moved` by so much begin and end."""
        if (instruction, moved) in done:
            return
        done.add((instruction, moved))
        for first, value in parts(instruction) if joins(instruction) else ():
            for axis, (f, n) in enumerate(zip(first, value.shape, strict=True)):
                found[axis].update(p for p in (f + moved[axis], f + n + moved[axis]) if 0 < p < domain[axis])
            source, begin = run(value)
            if isinstance(source, Result) and source.instruction in inside:
                cut(source.instruction, tuple(m + f - b for m, f, b in zip(moved, first, begin, strict=True)))
        if not joins(instruction):
            for arg in instruction.args:
                if isinstance(arg, Result) and arg.instruction in inside and arg.ndim == len(domain):
                    cut(arg.instruction, moved)

    for member in members:
        if member.results and member.results[0].shape == domain:
            cut(member, (0,) * len(domain))
    return [sorted(places) for places in found]


def boxes(members: Sequence[Instruction], domain: Shape) -> int | None:
    """How many boxes the parts that members read cut a domain into; None if there are too many."""
    count = 1
    for places in _cuts(members, domain):
        count *= len(places) - 1
    return count if count <= MOST else None


def cut(members: Sequence[Instruction], domain: Shape) -> Iterator[Box]:
    """These boxes."""
    for corner in itertools.product(*(itertools.pairwise(places) for places in _cuts(members, domain))):
        yield Box(tuple(first for first, _ in corner), tuple(end - first for first, end in corner))


__all__ = ["Box", "around", "boxes", "cut", "joins", "part_at", "parts", "run"]
