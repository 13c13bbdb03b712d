"""What may be computed in the memory of an argument, if that is read for the last time."""

from __future__ import annotations

from tapenet.program.ir import Instruction, Program, Result, Value

#: What adds to its first argument, or writes to a part of it.
ONTO = ("dot_add", "update", "put", "add_at", "add_rows")
#: Bytes up to which what loops and branches compute is kept on the stack, where a copy costs nothing.
SMALL = 64


def bases(instruction: Instruction) -> dict[Value, Value]:
    """By result, the argument that it goes on from: what a product is added to, what is written to in part, what a loop
    carries, what one side of a branch changes so."""
    if instruction.name == "branch":
        return {instruction.results[k]: instruction.args[1 + j] for k, j in changed(instruction).items()}
    count = int(instruction.params.get("carries", instruction.name in ONTO))
    return dict(zip(instruction.results[:count], instruction.args[:count], strict=True))


def changed(branch: Instruction) -> dict[int, int]:
    """The results of a branch that are one of its operands, changed by one side or both: by position, that of the operand."""
    true, false = branch.params["true"], branch.params["false"]
    found: dict[int, int] = {}
    for k, result in enumerate(branch.results):
        if result.nbytes > SMALL:
            origins = {_origin(program, program.outputs[k]) for program in (true, false)} - {None}
            if len(origins) == 1 and (j := origins.pop()) is not None and j not in found.values():
                found[k] = j
    return found


def _origin(program: Program, value: Value) -> int | None:
    """The position of the input that a value goes on from."""
    while isinstance(value, Result):
        base = bases(value.instruction).get(value)
        if base is None:
            return None
        value = base
    return program.inputs.index(value) if value in program.inputs else None
