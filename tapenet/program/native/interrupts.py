"""When a loop asks whether there is an interrupt (Ctrl-C): in native code Python does not."""

from __future__ import annotations

from tapenet.program.ir import Instruction, Program
from tapenet.program.native.products import multiply_adds
from tapenet.program.native.raising import locked

#: Elements that may be computed between two questions: some milliseconds, while a question takes some nanoseconds.
_BETWEEN = 1 << 20
#: Runs Python's handlers of the signals that have come; not 0 if one of them raised.
CHECK = locked("i32", "PyErr_CheckSignals")


def turns(loop: Instruction) -> int | None:
    """After how many turns a loop asks each time, a power of two; None if it is over before."""
    work = sum(_work(p) for p in loop.params.values() if isinstance(p, Program))
    count = max(_BETWEEN // work, 1)
    count = 1 << (count.bit_length() - 1)
    return count if loop.name == "while" or count <= loop.params["length"] else None


def _work(program: Program) -> int:
    """About how many elements a program computes."""
    found = 1
    for instruction in program.body:
        if instruction.name == "loop":
            found += instruction.params["length"] * _work(instruction.params["body"])
        elif instruction.name == "while":  # of one turn: where there are many, it asks itself
            found += _work(instruction.params["test"]) + _work(instruction.params["body"])
        elif instruction.name == "branch":
            found += max(_work(instruction.params["true"]), _work(instruction.params["false"]))
        elif instruction.kind == "product":
            found += multiply_adds(instruction)
        elif instruction.kind != "view":
            found += max(value.size for value in (*instruction.args, *instruction.results))
    return found
