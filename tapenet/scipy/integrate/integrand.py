"""Functions of one number that are integrated, compiled, with the functions that the derivatives of integrals integrate."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tapenet.autodiff import programs
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.program.functions import Function, Given
from tapenet.program.ir import Program
from tapenet.program.keys import program_key
from tapenet.program.low import is_inexact
from tapenet.scipy.integrate.kept import Kept
from tapenet.scipy.integrate.right_side import compiled, in_order, parted
from tapenet.scipy.integrate.tangents import tangent
from tapenet.transforms.tracing import trace
from tapenet.typing import Array


class Integrand:
    """f(x, params, fixed).

    Attributes:
        function: of x, of the parameters that derivatives are taken by, and of those that stay fixed.
        count: how many of the first there are.
    """

    def __init__(self, function: Function, count: int) -> None:
        self.function = function
        self.count = count
        self.shape = function.outputs[0].shape

    @cached_property
    def run(self) -> Callable[..., tuple[Array, ...]]:
        """It, compiled."""
        return compiled(self.function)

    def bound(self, others: Sequence[Array]) -> Callable[[float], Array]:
        """It for given parameters."""
        run, others = self.run, in_order(others)
        return lambda x: run(np.asarray(x, np.float64), *others)[0]

    @cached_property
    def tangent(self) -> Integrand:
        """Its tangent ∂f/∂p · ṗ, of the parameters and then their tangents."""
        f, count = self.function, self.count
        pushed = tangent(f, range(1, 1 + count)).program()
        begin = len(f.inputs)
        inputs = [*pushed.inputs[: 1 + count], *pushed.inputs[begin:], *pushed.inputs[1 + count : begin]]
        return Integrand(Given("tangent", Program(inputs, [], pushed.body, pushed.outputs, [])), 2 * count)

    @cached_property
    def pulled(self) -> Function:
        """The gradients by the parameters, of x, the others, and the gradient by f."""
        return programs.pulled_function(self.function, tuple(range(1, 1 + self.count)), (True,))

    @cached_property
    def _pulled(self) -> Callable[..., tuple[Array, ...]]:
        return compiled(self.pulled)

    def gradients(self, others: Sequence[Array], weight: Array) -> Callable[[float], Array]:
        """The gradients by the parameters behind each other, for given parameters and a gradient by f."""
        run, others = self._pulled, in_order([*others, weight])
        return lambda x: np.concatenate([np.ravel(d) for d in run(np.asarray(x, np.float64), *others)])


class Read(NamedTuple):
    """A function that was read, the tensors from outside that gradients flow to, and the others."""

    integrand: Integrand
    params: list[Tensor]
    fixed: list[Tensor]


_kept: Kept[Hashable, Integrand] = Kept()


def read(name: str, f: Callable[..., object], x: float) -> Read:
    """A function of a number as one of all that it is computed from.

    Args:
        name: who asks, for errors.
        f: the function.
        x: where to run it once.

    Raises:
        CaptureError: it branches on values.
        TypeError: it gives no array.
    """
    traced = trace(name, lambda values: [_float(f(*values))], [Tensor._of(np.asarray(x, np.float64))], lanes=True)
    program, params, fixed = parted(name, traced)
    count = len(params)
    integrand = _kept.get((count, program_key(program)), lambda: Integrand(Given(name, program), count))
    return Read(integrand, params, fixed)


def _float(value: object) -> Tensor:
    made = asarray(value)
    return made if is_inexact(made.dtype) else made.astype(np.float64)
