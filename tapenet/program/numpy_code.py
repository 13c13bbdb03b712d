"""A program as plain NumPy code, which runs on arrays and on tensors alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tapenet.program import generated, primitives
from tapenet.program.ir import Constant, Instruction, Program, Value
from tapenet.program.numpy_backend import steps
from tapenet.program.primitives import PRIMITIVES


def function(
    program: Program,
    others: Mapping[str, Callable[..., object]] | None = None,
    arguments: Sequence[int | None] | None = None,
    returned: Callable[[list[str]], str] = lambda names: f"[{', '.join(names)}]",
) -> Callable[..., object]:
    """The function of a program's inputs that gives its outputs.

    Args:
        program: one without references, hosts and writes.
        others: what to call for primitives, by name, in place of the function behind them; None: it is for arrays alone.
        arguments: which input each argument is, None for one that is not used; by default the inputs in their order.
        returned: the code of what is returned, by the names of the outputs; by default their list.
    """
    names: dict[Value, str] = {value: f"x{i}" for i, value in enumerate(program.inputs)}
    space: dict[str, object] = {}
    for constant in program.constants:
        names[constant] = f"c{len(names)}"
        space[names[constant]] = constant.array

    def operand(value: Value, instruction: Instruction) -> str:
        """An argument; a single float beside a tensor is a Python number, which says nothing of the dtype. Beside an array
        it stays an array: NumPy takes 0.25 us longer to make one of the number."""
        beside = others is not None and any(
            a.dtype == value.dtype and not isinstance(a, Constant) for a in instruction.args
        )
        if beside and isinstance(value, Constant) and not value.shape and value.dtype.char in "fd":
            number = value.array.item()
            if math.isfinite(number):
                return f"({number!r})"
        return names[value]

    lines = []
    for i, (instruction, args, last) in enumerate(steps(program)):
        (result,) = instruction.results
        names[result] = f"v{i}"
        row = PRIMITIVES[instruction.name]
        broadcasts = row.kind == "elementwise" and not row.gives
        run = (others or {}).get(instruction.name) or (
            primitives.function(instruction.name) if broadcasts else row.evaluate
        )
        space[f"f{i}"] = partial(run, **instruction.params) if instruction.params else run
        given = (operand(a, instruction) if broadcasts else names[a] for a in args)
        lines.append(f"v{i} = f{i}({', '.join(given)})")
        if last:
            lines.append(f"del {', '.join(names[v] for v in last)}")
    lines.append(f"return {returned([names[v] for v in program.outputs])}")
    order = range(len(program.inputs)) if arguments is None else arguments
    taken = [f"_{k}" if i is None else names[program.inputs[i]] for k, i in enumerate(order)]
    source = f"def run({', '.join(taken)}):\n" + "\n".join(f"    {x}" for x in lines) + "\n"
    return generated.function("run", source, space, "formula")
