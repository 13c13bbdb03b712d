"""Powers with a fixed exponent become products, quotients and roots.

NaN, infinities and the sign of zeros stay as they are; the last place may differ from that of `pow`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet.program.ir import Builder, Constant, Instruction, Program, Value, rewrite
from tapenet.program.passes.patterns import number
from tapenet.typing import Number


def run(program: Program) -> Program:
    """Rewrite `power` with an exponent of -1, -0.5, 0, 0.5, 1, 2 or 3, and `square`."""

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        if instruction.name == "square":
            found = _power(builder, args[0], 2)
        elif instruction.name == "power":
            exponent = number(args[1])
            # NumPy itself takes the square root if the exponent is one number, and calls `pow`, which differs at -0.0
            # and -inf, if it is an array.
            if exponent is None or (args[1].shape and (exponent == 0.5 or args[0].dtype.kind == "c")):
                return None
            found = _power(builder, args[0], exponent)
        else:
            return None
        return found and builder.broadcast(found, instruction.results[0].shape)

    return rewrite(program, change, ("square", "power"))


def _power(builder: Builder, x: Value, exponent: Number) -> Value | None:
    emit: Callable[..., Value] = builder.emit
    one = Constant(np.ones((), x.dtype))
    if exponent == 0:
        return one
    if exponent == 1:
        return x
    if exponent in (2, 3):
        squared = emit("multiply", x, x)
        return squared if exponent == 2 else emit("multiply", squared, x)
    if x.dtype.kind == "c":
        return emit("reciprocal", x) if exponent == -1 else emit("sqrt", x) if exponent == 0.5 else None
    if x.dtype.kind != "f":
        return None
    if exponent == -1:
        return emit("divide", one, x)
    if exponent == 0.5:
        return emit("sqrt", x)
    if exponent == -0.5:
        # To `pow` both zeros are the same, and -inf is as good as inf.
        zero, least = (Constant(np.asarray(n, x.dtype)) for n in (0.0, -np.inf))
        inverse = emit("divide", one, emit("sqrt", emit("add", x, zero)))
        return emit("where", emit("equal", x, least), zero, inverse)
    return None
