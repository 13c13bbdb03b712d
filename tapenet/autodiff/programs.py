"""The op that runs what a transformation made of a function: one node, whose derivatives are programs too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.autodiff.gradients import NO_GRADIENT
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.program.differentiating import NoDerivative
from tapenet.program.functions import Function, Given
from tapenet.program.ir import Constant, Program, Value, substitute
from tapenet.program.low import is_inexact
from tapenet.typing import Array


def run(function: Function, inputs: Sequence[Tensor]) -> list[Tensor]:
    """What a function gives for tensors, recorded as one node."""
    flows = tuple(i for i, t in enumerate(inputs) if t._node is not None and is_inexact(t.dtype) and local.state.grad)
    outs: Sequence[Tensor] = program_op(list(inputs), function=function, flows=flows)
    return list(outs)


def _run(inputs: Sequence[Array], function: Function, flows: tuple[int, ...]) -> tuple[Array, ...]:
    return tuple(function.evaluate([np.asarray(a) for a in inputs]))


def _pull(
    g: Sequence[Array | None], inputs: Sequence[Array], function: Function, flows: tuple[int, ...]
) -> tuple[object, ...]:
    """The gradients by the inputs that are flows, by the function's own program for them."""
    try:
        pulled = pulled_function(function, flows, tuple(h is not None for h in g))
    except NoDerivative as error:
        raise TypeError(str(error)) from None
    given = [*inputs, *(h for h in g if h is not None)]
    if any(isinstance(a, Tensor) for a in given):
        tensors = [a if isinstance(a, Tensor) else Tensor._of(np.asarray(a)) for a in given]
        found: Sequence[object] = run(pulled, tensors)
    else:
        found = pulled.evaluate([np.asarray(a) for a in given])
    by_place = dict(zip(flows, found, strict=True))
    return tuple(by_place.get(i, NO_GRADIENT) for i in range(len(inputs)))


def pulled_function(function: Function, flows: tuple[int, ...], used: tuple[bool, ...]) -> Function:
    """The function that pulls the gradients by the `used` outputs back to the `flows` inputs. It is made once."""
    key = flows, used
    if key not in function.pulled:
        program = function.pull(flows)
        begin = len(function.inputs)
        nothing: dict[Value, Value] = {
            v: Constant(np.broadcast_to(np.zeros((), v.dtype), v.shape))
            for v, flag in zip(program.inputs[begin:], used, strict=True)
            if not flag
        }
        inputs = [v for v in program.inputs if v not in nothing]
        changed = substitute(program, nothing)
        function.pulled[key] = Given(
            f"gradient of {function.name}", Program(inputs, [], changed.body, changed.outputs, [])
        )
    return function.pulled[key]


program_op = op(
    _run,
    name="program",
    outputs=None,
    inputs=_pull,
    precision="same",
    tell_unused=True,
    label=lambda function, **_: function.name,
    formula="function(inputs)",
    gradients="inputs: by the program that pulls g back through the function",
    doc="""What a transformation made of a function; `tn.jvp`, `tn.vmap` and the like record it.

    Args:
        inputs: what it is given, then what it reads from outside.
        function: the function (`program.functions.Function`).
        flows: the positions of the inputs to which gradients flow.

    Returns:
        what the function gives.
    """,
)
