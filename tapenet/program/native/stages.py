"""Long expressions in stages, which go one after another over a block of elements that stays in the first level cache.

What registers do not hold of one long loop LLVM keeps on the stack, a vector of each value: of a gradient of 2,000
instructions 128 KB, which the first level cache loses from the function's values to their gradients. In stages it is what a
later stage reads that is kept, and of that not what costs a few additions and products: these are done again. A stage has
few instructions, so LLVM's time grows with their number and no faster.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tapenet.llvm.scalar import COST
from tapenet.program.ir import Instruction, Value

#: Instructions from which an expression has stages, and of a stage about. Gradients of 1,200 to 2,000 instructions, on 4,096
#: numbers, take 1.0, 0.8, 0.5 and 0.45 of the time in stages (2,900, 3,350, 3,900 and 4,800 instructions; float64, one thread
#: of a Xeon with Sapphire Rapids), one of 1,000 1.2.
LONG, STAGE = 3000, 300
#: Instructions that are done again rather than to keep what they give.
AGAIN = 4


class Stage(NamedTuple):
    """A part of an expression.

    Attributes:
        members: what is computed, in order; some of it once more.
        reads: what earlier stages have kept.
        keeps: what later ones read.
    """

    members: list[Instruction]
    reads: list[Value]
    keeps: list[Value]


def split(order: Sequence[Instruction], wanted: Iterable[Value]) -> list[Stage]:
    """The stages of an expression.

    Args:
        order: its instructions, each behind those whose results it takes.
        wanted: what it is for: each is computed in the first stage that has it.
    """
    at = {member: i for i, member in enumerate(order)}
    made: dict[Value, Instruction] = {member.results[0]: member for member in order}
    count = math.ceil(len(order) / STAGE) if len(order) > LONG else 1
    home = {member: i * count // len(order) for member, i in at.items()}
    crossing = {a for m in order for a in m.args if a in made and home[made[a]] < home[m]}
    kept: set[Value] = set()
    price: dict[Value, float] = {}
    for value, member in made.items():
        again = {a for a in member.args if a in made} - kept
        price[value] = 1 + float(COST.get(member.name, 0)) + sum(price[a] for a in again)
        if value in crossing and price[value] > AGAIN:
            kept.add(value)
    roots: list[list[Value]] = [[] for _ in range(count)]
    for value in dict.fromkeys([*wanted, *(v for v in made if v in kept)]):
        if value in made:
            roots[home[made[value]]].append(value)
    stages = []
    for stage in range(count):
        found: set[Instruction] = set()
        reads: dict[Value, None] = {}
        stack = list(roots[stage])
        while stack:
            value = stack.pop()
            maker = made.get(value)
            if maker is None or maker in found:
                continue
            if value in kept and home[maker] < stage:
                reads[value] = None
            else:
                found.add(maker)
                stack += maker.args
        keeps = [v for v in roots[stage] if v in kept]
        stages.append(Stage(sorted(found, key=at.__getitem__), list(reads), keeps))
    return stages


def rows(stages: Sequence[Stage]) -> dict[Value, int]:
    """For what is kept, the number of its row; rows are used again, by values of the same dtype, behind the last stage that
    reads them."""
    last = {value: i for i, stage in enumerate(stages) for value in stage.reads}
    found: dict[Value, int] = {}
    free: dict[object, list[int]] = {}
    count = 0
    for i, stage in enumerate(stages):
        for value in stage.reads:
            if last[value] == i:
                free.setdefault(value.dtype, []).append(found[value])
        for value in stage.keeps:
            spare = free.get(value.dtype)
            if spare:
                found[value] = spare.pop()
            else:
                found[value] = count
                count += 1
    return found
