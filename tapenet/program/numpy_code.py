"""A program as plain NumPy code, which runs on arrays and on tensors alike."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from tapenet.program import generated, primitives
from tapenet.program.ir import Constant, Instruction, Program, Value
from tapenet.program.numpy_backend import statement, steps
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
        beside = any(a.dtype == value.dtype and not isinstance(a, Constant) for a in instruction.args)
        if beside and isinstance(value, Constant) and not value.shape and value.dtype.char in "fd":
            number = value.array.item()
            if math.isfinite(number):
                return f"({number!r})"
        return names[value]

    def called(i: int, instruction: Instruction, args: Sequence[Value]) -> str:
        row = PRIMITIVES[instruction.name]
        broadcasts = row.kind == "elementwise" and not row.gives
        run = (others or {}).get(instruction.name) or (
            primitives.function(instruction.name) if broadcasts else row.evaluate
        )
        space[f"f{i}"] = partial(run, **instruction.params) if instruction.params else run
        given = (operand(a, instruction) if broadcasts and others is not None else names[a] for a in args)
        return f"f{i}({', '.join(given)})"

    checked = [] if others is not None else _not_finite_seen(program)
    lines = []
    for i, (instruction, args, last) in enumerate(steps(program)):
        results = instruction.results
        names |= {r: f"v{i}" if len(results) == 1 else f"v{i}_{k}" for k, r in enumerate(results)}
        text = ""
        if checked and instruction.name == "safe_mul":
            text = f"{names[args[0]]} * {names[args[1]]}"
        elif others is None:
            text = statement(instruction, args, [names[a] for a in args], space)
        lines.append(f"{', '.join(names[r] for r in results)} = {text or called(i, instruction, args)}")
        if last:
            lines.append(f"del {', '.join(names[v] for v in last)}")
    order = range(len(program.inputs)) if arguments is None else arguments
    taken = [f"_{k}" if i is None else names[program.inputs[i]] for k, i in enumerate(order)]
    end = f"return {returned([names[v] for v in program.outputs])}"
    if checked:
        lines.append(f"t = {' + '.join(f'vdot({names[v]}, {names[v]})' for v in checked)}")
        lines.append(f"if t - t == 0: {end}  # finite, hence no nan inside")
        end = f"return careful()({', '.join(taken)})"
        space["vdot"] = np.vdot
        space["careful"] = functools.cache(lambda: function(program, {}, arguments, returned))
    source = f"def run({', '.join(taken)}):\n" + "\n".join(f"    {x}" for x in [*lines, end]) + "\n"
    return generated.function("run", source, space, "formula")


#: Primitives that are linear in arguments at these positions, of the others as they are: what is infinite or nan there is
#: so in the result too, or left out of it.
_LINEAR: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("add", "subtract", "multiply", "safe_mul", "dot"), (0, 1)),
    **dict.fromkeys(("negative", "divide", "copy", "reshape", "broadcast", "transpose", "slice", "reduce_add"), (0,)),
    "where": (1, 2),
    "update": (0, 1),
    "scatter_add": (0,),
}


def _not_finite_seen(program: Program) -> list[Value]:
    """The outputs that show whether a factor of `safe_mul` was infinite or nan: where they are finite, plain products give
    the same, and take half the time. None where such a product has another use."""
    seen: set[Value] = set()
    for instruction in program.body:
        places = [i for i, a in enumerate(instruction.args) if a in seen]
        if not set(places) <= set(_LINEAR.get(instruction.name, ())):
            return []
        if places or instruction.name == "safe_mul":
            seen.update(instruction.results)
    return [v for v in program.outputs if v in seen]
