"""The transpose of a program that is linear: from what pulls gradients back, what pushes tangents forward, and the reverse."""

from __future__ import annotations

from collections.abc import Collection

from tapenet.program.differentiating import NoDerivative
from tapenet.program.ir import Program
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
    dropped = {pulled.inputs[i] for i in linear}
    for value in (*(a for i in pulled.body for a in i.args), *pulled.outputs):
        if value in dropped:
            raise NoDerivative(
                "a program that is to be transposed is not linear: its derivative depends on what it is taken by"
            )
    return Program([v for v in pulled.inputs if v not in dropped], [], pulled.body, pulled.outputs, [])
