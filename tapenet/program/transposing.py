"""The transpose of a program that is linear: from what pulls gradients back, what pushes tangents forward, and the reverse."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from tapenet.program.differentiating import NoDerivative
from tapenet.program.ir import Constant, Program, Value, substitute
from tapenet.program.passes import simplify
from tapenet.program.pullback import pullback


def transposed(program: Program, linear: Collection[int]) -> Program:
    """The transpose of a program in some of its inputs.

    Args:
        program: a program without references, hosts and writes, whose outputs are linear in the `linear` inputs taken together.
        linear: positions of inputs.

    Returns:
        a program of the other inputs, and of a cotangent for each output after them; it gives a cotangent for each of the
        `linear` inputs, in their order.

    Raises:
        NoDerivative: a primitive on the way has none, or the program is not linear: its derivative depends on these inputs.
    """
    pulled = simplify(pullback(program, linear))
    dropped: set[Value] = {pulled.inputs[i] for i in linear}
    if not dropped.isdisjoint([*(a for i in pulled.body for a in i.args), *pulled.outputs]):
        pulled = simplify(substitute(pulled, _anywhere(pulled, dropped)))
    return Program([v for v in pulled.inputs if v not in dropped], [], pulled.body, pulled.outputs, [])


#: What looks whether a number is 0, or one at all, as code does that leaves out what would be 0 or nan.
_LOOKS = frozenset({"equal", "not_equal", "isfinite", "isinf", "isnan"})


def _anywhere(program: Program, dropped: set[Value]) -> dict[Value, Value]:
    """Numbers for the inputs that a linear program is taken by, where its derivative compares these: code that looks whether a
    gradient is 0 leaves something out where it is. What it does for any other gradient is the derivative."""
    tainted = set(dropped)
    for instruction in program.body:
        if not tainted.isdisjoint(instruction.args):
            tainted.update(instruction.results if instruction.name not in _LOOKS else ())
    if not tainted.isdisjoint(program.outputs):
        raise NoDerivative(
            "a program that is to be transposed is not linear: its derivative depends on what it is taken by"
        )
    draw = np.random.default_rng(0).normal
    return {v: Constant(draw(size=v.shape).astype(v.dtype)) for v in dropped}
