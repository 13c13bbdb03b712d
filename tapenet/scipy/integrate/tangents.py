"""Tangents of functions that are called by solvers."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from tapenet import ops
from tapenet.autodiff import programs
from tapenet.autodiff.tensor import Tensor
from tapenet.program.differentiating import NoDerivative
from tapenet.program.functions import Function, Given
from tapenet.program.ir import Program
from tapenet.program.passes import dead
from tapenet.transforms.tracing import trace


def tangent(function: Function, wanted: Sequence[int]) -> Function:
    """The tangent of a function's only output, as a function of its arguments and then the tangents of some."""
    try:
        pushed = function.push(wanted)
        return Given("tangent", dead.run(Program(pushed.inputs, [], pushed.body, pushed.outputs[1:], [])))
    except NoDerivative:  # of complex numbers on the way there are gradients alone
        return _by_gradients(function, wanted)


def _by_gradients(function: Function, wanted: Sequence[int]) -> Function:
    """The same from the gradients of every element of the output."""
    count, shape = len(function.inputs), function.outputs[0].shape
    size = int(np.prod(shape))
    rows = programs.pulled_function(function, tuple(wanted), (True,)).batch([*[False] * count, True], size)
    unit = np.eye(size).reshape((size, *shape)).copy()
    unit.flags.writeable = False  # a constant of programs

    def run(values: list[Tensor]) -> list[Tensor]:
        found = programs.run(rows, [*values[:count], Tensor._of(unit)])
        parts = [ops.reshape(m, (size, -1)) @ ops.ravel(dot) for m, dot in zip(found, values[count:], strict=True)]
        return [ops.reshape(functools.reduce(ops.add, parts), shape)]

    specs = [*function.inputs, *(function.inputs[i] for i in wanted)]
    return trace("tangent", run, [Tensor._of(np.ones(s.shape, s.dtype)) for s in specs]).function
