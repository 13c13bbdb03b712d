"""Passes: pure functions from a program to a better one that computes the same."""

from __future__ import annotations

from typing import NamedTuple

from tapenet.program.ir import Program, check
from tapenet.program.passes import (
    conditions,
    dead,
    duplicates,
    folding,
    identities,
    loops,
    powers,
    products,
    reductions,
    reshapes,
    views,
)

#: In the order in which they run: chains of views are short before the others look for what lies behind them, and what
#: is left over goes last.
PASSES = {
    "folding": folding.run,
    "views": views.run,
    "powers": powers.run,
    "identities": identities.run,
    "conditions": conditions.run,
    "reductions": reductions.run,
    "reshapes": reshapes.run,
    "products": products.run,
    "duplicates": duplicates.run,
    "loops": loops.run,
    "dead": dead.run,
}

#: How often all passes run at most. A program that one round leaves as it is needs no other.
ROUNDS = 4


class Step(NamedTuple):
    """What a pass did to the number of instructions."""

    name: str
    before: int
    after: int


def simplify(program: Program, steps: list[Step] | None = None) -> Program:
    """The program after all passes, each checked, until they find nothing more to do.

    Args:
        program: any program that `check` accepts.
        steps: gets what each pass that changed something did, in order, for `explain()`.

    Raises:
        ProgramError: a pass made a program that is not well formed: a defect of the pass.
    """
    for _ in range(ROUNDS):
        begin = program
        for name, run in PASSES.items():
            changed = run(program)
            if changed is not program:
                check(changed)
                if steps is not None:
                    steps.append(Step(name, len(program.body), len(changed.body)))
                program = changed
        if program is begin:
            break
    return program
