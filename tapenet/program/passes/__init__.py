"""Passes: pure functions from a program to a better one that computes the same."""

from __future__ import annotations

from typing import NamedTuple

from tapenet.program.ir import Answer, Builder, Instruction, Program, Value, check, rewrite
from tapenet.program.passes import (
    conditions,
    dead,
    duplicates,
    folding,
    identities,
    invariants,
    joins,
    loops,
    pools,
    powers,
    products,
    products_of_rows,
    reductions,
    reshapes,
    residuals,
    same_loops,
    sums_of_products,
    views,
    written,
)
from tapenet.program.primitives import BODIES

#: In the order in which they run: chains of views are short before the others look for what lies behind them, and what
#: is left over goes last.
PASSES = {
    "folding": folding.run,
    "views": views.run,
    "joins": joins.run,
    "written": written.run,
    "powers": powers.run,
    "identities": identities.run,
    "conditions": conditions.run,
    "pools": pools.run,
    "reductions": reductions.run,
    "reshapes": reshapes.run,
    "products": products.run,
    "duplicates": duplicates.run,
    "same_loops": same_loops.run,
    "invariants": invariants.run,
    "products_of_rows": products_of_rows.run,
    "sums_of_products": sums_of_products.run,
    "residuals": residuals.run,
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


class Simplified:
    """A captured program after all passes, which run when it is asked for, once it is checked. A program that is found in the
    cache was checked by the process that made it.

    Attributes:
        captured: the program before.
        by_passes: whether nothing but passes makes the other one of it.
    """

    def __init__(self, captured: Program, made: tuple[Program, list[Step]] | None = None) -> None:
        self.captured = captured
        self.by_passes = made is None
        self._made = made

    def _all(self) -> tuple[Program, list[Step]]:
        if self._made is None:
            steps: list[Step] = []
            self._made = simplify(check(self.captured), steps), steps
        return self._made

    @property
    def program(self) -> Program:
        """The program after all passes."""
        return self._all()[0]

    @property
    def steps(self) -> list[Step]:
        """What the passes did."""
        return self._all()[1]


def simplify(program: Program, steps: list[Step] | None = None) -> Program:
    """The program after all passes, until they find nothing more to do. It is checked at the end; where that or a pass fails,
    all passes run again, each checked, so that the error says which program was wrong first.

    Args:
        program: any program that `check` accepts.
        steps: gets what each pass that changed something did, in order, for `explain()`.

    Raises:
        ProgramError: a pass made a program that is not well formed: a defect of the pass.
    """
    made: list[Step] = []
    try:
        found = check(_simplified(program, made, each=False))
    except Exception:
        made.clear()
        found = _simplified(program, made, each=True)
    if steps is not None:
        steps += made
    return found


def _simplified(program: Program, steps: list[Step], each: bool) -> Program:
    """The program after all passes; with `each` it is checked after each."""
    settled: dict[str, Program] = {}  # what each pass has left as it is
    for _ in range(ROUNDS):
        begin = program
        program = _with_simple_bodies(program)
        for name, run in PASSES.items():
            if settled.get(name) is program:
                continue
            changed = run(program)
            if changed is program:
                settled[name] = program
            else:
                if each:
                    check(changed)
                steps.append(Step(name, len(program.body), len(changed.body)))
                program = changed
        if program is begin:
            break
    return program


def _with_simple_bodies(program: Program) -> Program:
    """The program with the bodies of its loops and branches simplified."""

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        bodies = {name: instruction.params[name] for name in BODIES[instruction.name]}
        simple = {name: simplify(body) for name, body in bodies.items()}
        if simple == bodies:
            return None
        return builder.several(instruction.name, *args, **{**instruction.params, **simple})

    return rewrite(program, change, BODIES)
