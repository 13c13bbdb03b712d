"""Reductions: over no axis, over axes of length 1, of what was repeated or transposed, and one after another."""

from __future__ import annotations

import math

import numpy as np

from tapenet.program.ir import Builder, Constant, Instruction, Program, Result, Value, rewrite
from tapenet.program.passes.patterns import made_by
from tapenet.program.primitives import REDUCTIONS
from tapenet.typing import Shape

Axes = Shape


def run(program: Program) -> Program:
    """Simplify reductions.

    A sum of n equal terms becomes a product with n, and two sums one after another become one: both differ from the
    program given in rounding only. (And where NumPy's sum of nothing but -0.0 is 0.0, it may be -0.0.)
    """
    if program.names.isdisjoint(REDUCTIONS):
        return program
    uses = program.uses()

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        (x,) = args
        name, axes = instruction.name, instruction.params["axes"]
        # A sum of complex numbers begins with 0, a product with 1: with an infinite part that is nan.
        if all(x.shape[i] == 1 for i in axes) and not (axes and x.dtype.kind == "c"):
            return builder.reshape(x, instruction.results[0].shape)
        # Merged only if nothing else needs the inner one: else the larger array would be reduced twice. A value that
        # this run has replaced has uses that were not counted.
        if (inner := made_by(x, name)) and x is instruction.args[0] and uses[x] == 1:
            return _nested(builder, name, inner, axes)
        if inner := made_by(x, "transpose"):
            return _transposed(builder, name, inner, axes)
        if inner := made_by(x, "broadcast"):
            return _repeated(builder, name, inner.args[0], x, axes)
        if name == "reduce_add" and (inner := made_by(x, "multiply")) and uses.get(x, 1) == 1:
            first, second = inner.args
            return _weighed(builder, first, second, x.shape, axes)
        return None

    return rewrite(program, change, REDUCTIONS)


def _reduce(builder: Builder, name: str, x: Value, axes: Axes) -> Value:
    return builder.emit(name, x, axes=axes) if axes else x


def _nested(builder: Builder, name: str, inner: Instruction, axes: Axes) -> Value:
    (source,) = inner.args
    kept = [i for i in range(source.ndim) if i not in inner.params["axes"]]
    return _reduce(builder, name, source, tuple(sorted({*inner.params["axes"], *(kept[i] for i in axes)})))


def _transposed(builder: Builder, name: str, inner: Instruction, axes: Axes) -> Value:
    """Reduce first, transpose what is left."""
    order = inner.params["axes"]
    gone = {order[i] for i in axes}
    left = [i for i in range(len(order)) if i not in gone]
    made = _reduce(builder, name, inner.args[0], tuple(sorted(gone)))
    return builder.transpose(made, tuple(left.index(i) for i in order if i not in gone))


def _weighed(builder: Builder, a: Value, b: Value, shape: Shape, axes: Axes) -> Value | None:
    """Rows or columns of a matrix, each times a number, and summed up: a product with a vector. Of a matrix that is computed
    element by element nothing has to be in memory as long as it is a sum."""
    if len(shape) != 2 or len(axes) != 1 or math.prod(shape) < _LARGE:
        return None
    axis, n = axes[0], shape[axes[0]]
    vector, matrix = (a, b) if b.shape == shape else (b, a)
    column = vector.ndim == 2 and vector.shape[axis] == n and vector.size == n
    if matrix.shape != shape or not (column or (axis == 1 and vector.shape == (n,))):
        return None
    if matrix.dtype.kind != "f" or vector.dtype != matrix.dtype:
        return None
    if isinstance(matrix, Result) and matrix.instruction.kind == "elementwise":
        return None
    if axis == 0:
        return builder.reshape(builder.emit("dot", builder.reshape(vector, (1, n)), matrix), (shape[1],))
    return builder.reshape(builder.emit("dot", matrix, builder.reshape(vector, (n, 1))), (shape[0],))


#: From how many elements on a matrix is worth a product.
_LARGE = 256


def _repeated(builder: Builder, name: str, source: Value, x: Value, axes: Axes) -> Value | None:
    """A reduction of `source` repeated to `x`: along the axes that were repeated, of one value with itself."""
    lead = x.ndim - source.ndim
    repeated = [i for i in axes if x.shape[i] != 1 and (i < lead or source.shape[i - lead] == 1)]
    if not repeated or name == "reduce_multiply":
        return None
    if name == "reduce_add":
        if x.dtype.kind not in "iuf":
            return None
        with np.errstate(over="ignore"):
            count = np.asarray(math.prod(x.shape[i] for i in repeated)).astype(x.dtype)
        if x.dtype.kind == "f" and not np.isfinite(count):
            return None
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    made = _reduce(builder, name, source, tuple(i - lead for i in axes if i >= lead))
    if name == "reduce_add":
        made = builder.emit("multiply", made, Constant(count))
    return builder.broadcast(made, shape)
