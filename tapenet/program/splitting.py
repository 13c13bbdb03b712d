"""A program in two: what is known when some inputs are, and the rest."""

from __future__ import annotations

from collections.abc import Collection

from tapenet.program.ir import Constant, Input, Instruction, Program, Value, substitute
from tapenet.program.passes import dead


def split(program: Program, known: Collection[int]) -> tuple[Program, Program]:
    """A program as two, run one after the other.

    Args:
        program: a program without references, hosts and writes.
        known: positions of the inputs that the first program is given.

    Returns:
        the first program, of the `known` inputs in their order: all that does not depend on the others, of which it gives
        what the second needs. And the second, of that and then of the other inputs: it gives what the program gives.
        Instructions are in one or the other as they are: a loop that the other inputs enter is in the second, whole.
    """
    others = [v for i, v in enumerate(program.inputs) if i not in known]
    late: set[Value] = set(others)
    first: list[Instruction] = []
    second: list[Instruction] = []
    for instruction in program.body:
        if late.isdisjoint(instruction.args):
            first.append(instruction)
        else:
            second.append(instruction)
            late.update(instruction.results)
    handed = {v: None for v in (*(a for i in second for a in i.args), *program.outputs) if _is_handed(v, late)}
    for instruction in reversed(first):  # what is only repeated is repeated again, not handed over
        if instruction.name == "broadcast" and instruction.results[0] in handed:
            del handed[instruction.results[0]]
            second.insert(0, instruction)
            handed |= {v: None for v in instruction.args if _is_handed(v, late)}
    given = {v: Input(v.shape, v.dtype) for v in handed}
    one = Program([program.inputs[i] for i in sorted(known)], [], first, handed, [])
    other = Program([*given.values(), *others], [], second, program.outputs, [])
    return dead.run(one), substitute(other, given)


def _is_handed(value: Value, late: set[Value]) -> bool:
    return not isinstance(value, Constant) and value not in late
