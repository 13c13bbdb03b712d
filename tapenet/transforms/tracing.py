"""A function of tensors as a function that programs apply: run once, on values, and recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tapenet import ops
from tapenet.autodiff.control.body import Body, Flat, close
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.node import BaseTensor
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import enable_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.compiler.lowering import Evaluate, Lowering
from tapenet.ops.op import op
from tapenet.ops.stack_frames import user_line
from tapenet.program.functions import Given
from tapenet.program.ir import Constant, Input, Program, Value, substitute
from tapenet.program.low import is_inexact
from tapenet.transforms.lost_numbers import LostNumbers
from tapenet.typing import Array


class Traced(NamedTuple):
    """What a function was found to compute.

    Attributes:
        function: it, as a function of the given tensors, then of what it reads from outside, then of random numbers.
        closed: the tensors from outside.
        draws: what draws the random numbers.
    """

    function: Given
    closed: list[Tensor]
    draws: list[Evaluate]

    def further(self) -> list[Tensor]:
        """What the function takes beside the tensors that were given: random numbers are drawn now."""
        return [*self.closed, *self.drawn(None)]

    def drawn(self, lanes: int | None) -> list[Tensor]:
        """The random numbers, drawn now: for each of so many lanes, or once."""
        return [asarray(drawn(evaluate, lanes)) for evaluate in self.draws]


class _Recording(Body):
    """A function on its way to become a program."""

    def __init__(self, name: str, lanes: bool) -> None:
        super().__init__()
        self.name = name
        self.lanes = lanes
        self.runs_next = True

    def reads(self, tensor: BaseTensor, what: str, hint: str) -> None:
        if self.is_constant(tensor):
            return
        if self.lanes and self._inside(tensor):
            raise CaptureError(
                f"{user_line()} asks for {what} of a tensor inside of tn.{self.name}, which has another value in each lane. "
                "Compute with np.where in place of a Python branch, or tn.cond, tn.while_loop"
            )
        if self.outer is not None:
            self.outer.reads(tensor, what, hint)

    def writes(self, tensor: Tensor, value: object, by: str) -> bool:
        if not self._inside(tensor):
            return super().writes(tensor, value, by)
        # A value of the function's own, such as a buffer that it was given: it stands for another from now on.
        new = ops.copy(asarray(value).detach())
        tensor._become(new if new.dtype == tensor.dtype else new.astype(tensor.dtype), by)
        return True

    def _inside(self, tensor: BaseTensor) -> bool:
        """Whether the value of a tensor may depend on what the function was given."""
        return tensor._trace is not None and tensor._trace.number > self.number


def trace(name: str, function: Flat, given: Sequence[Tensor], lanes: bool = False) -> Traced:
    """Run a function of flat lists of tensors, and record what it does.

    Args:
        name: of the transformation, for errors.
        function: what to run.
        given: the values to run it on.
        lanes: whether these stand for others: then a value may not be asked for.

    Raises:
        CaptureError: the function does something beside returning values.
    """
    body = _Recording(name, lanes)
    numbers = LostNumbers()
    outs: list[Tensor] = []

    def run(values: list[Tensor]) -> list[Tensor]:
        outs[:] = function(values)
        return outs

    with numbers, enable_grad():
        body.trace(run, given, [is_inexact(t.dtype) for t in given])
    try:
        numbers.check(name, [node for node in body.inputs if node.differentiable], outs)
        if body.effects or body.left:
            what = f"has effects ({', '.join(body.effects)})" if body.effects else "leaves gradients at leaves"
            raise CaptureError(
                f"tn.{name}: the function {what}, and what it changes outside of itself would be lost, or done in another "
                "number. Return the new values; buffers are given by tn.functional_call(module, (params, buffers), x), "
                "and returned"
            )
        closed, _ = close(body)
        work = Lowering(body, applies=True)
        known = [_constant(t) for t in closed]
        values: list[Value] = [Input(tuple(node.shape), node.dtype) for node in body.inputs]
        values = [*values[: len(given)], *(c or v for c, v in zip(known, values[len(given) :], strict=True))]
        work.values.update((node, (value,)) for node, value in zip(body.inputs, values, strict=True))
        inputs = [v for v in values if isinstance(v, Input)]
        closed = [t for t, c in zip(closed, known, strict=True) if c is None]
        for node in body.nodes:
            if node not in work.values:
                work.node(node)
        outputs = [work.cut(work.given(v), end) for v, end in zip(body.results, body.ends, strict=True)]
    finally:
        body.discard()
    drawn_inputs: dict[Value, Input] = {host: Input(host.shape, host.dtype) for host in work.hosts}
    program = substitute(Program(inputs, [], work.builder.body, outputs, []), drawn_inputs)
    program = Program([*inputs, *drawn_inputs.values()], [], program.body, program.outputs, [])
    return Traced(Given(name, program), closed, [host.evaluate for host in work.hosts])


def _constant(t: Tensor) -> Constant | None:
    """A tensor from outside as it is now, if it holds integers and the function is used at once: values of indices and masks
    say what is read, and how many elements there are."""
    if capturing() is not None or t.dtype.kind not in "biu":
        return None
    return Constant(t._data.copy())


@op(random=True, nondiff=True, opaque="it draws random numbers")
def drawn(evaluate: Callable[[], Array], lanes: int | None) -> Array:
    """Random numbers that a transformed function draws.

    Args:
        evaluate: draws them.
        lanes: how many times, stacked; None for once.
    """
    if lanes is None:
        return np.asarray(evaluate())
    return np.stack([np.asarray(evaluate()) for _ in range(lanes)])
