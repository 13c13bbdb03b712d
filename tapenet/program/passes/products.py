"""Matrix products: transposes of operands become flags, and trivial products become sums or elementwise products.

The result of a product keeps its order of axes: a transpose of it is a view, whose memory may well lie as what it is
combined with does (a Linear layer's weight is stored transposed, and so is the gradient that its rule computes). Only
where both operands are transposed too does exchanging them take transposes away.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tapenet.program.ir import Builder, Constant, Instruction, Program, Result, Value, rewrite
from tapenet.program.passes.patterns import made_by, padded, stripped
from tapenet.program.primitives import numpy_slices
from tapenet.typing import Shape


def run(program: Program) -> Program:
    """Simplify matrix products."""
    if program.names.isdisjoint(RULES):
        return program
    uses = program.uses()

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        rule = RULES[instruction.name]
        # What is behind a transpose or a sum may go only if nothing else needs it. A value that this run has replaced
        # has uses that were not counted.
        if rule is not _dot and (args != instruction.args or uses[args[0]] > 1):
            return None
        return rule(builder, *args, **instruction.params)

    return rewrite(program, change, RULES)


def _dot(builder: Builder, a: Value, b: Value, ta: bool = False, tb: bool = False) -> Value | None:
    left, right = _untransposed(a), _untransposed(b)
    changed = left is not a or right is not b
    for axis, one, other, turned, along in (
        (0, left, b, tb, ta == (left is not a)),
        (1, right, a, ta, tb != (right is not b)),
    ):
        begin = _unit_rows(one)
        if begin is not None and (along or one.shape[0] == one.shape[1]):
            other = builder.transpose(other, (1, 0)) if turned else other
            return builder.slice(other, axis, begin, begin + one.shape[0])
    ta, tb = ta != (left is not a), tb != (right is not b)
    a, b = left, right
    lead, (n, k), m = a.shape[:-2], _rows(a, ta), _rows(b, tb)[1]
    if k == 1:
        column, row = builder.reshape(a, (*lead, n, 1)), builder.reshape(b, (*lead, 1, m))
        return builder.emit("multiply", column, row)
    if lead and (math.prod(lead) == 1 or (_matrix(a) and _matrix(b))):
        product = _product(builder, _single(builder, a), _single(builder, b), ta, tb)
        return builder.broadcast(builder.reshape(product, padded((n, m), len(lead) + 2)), (*lead, n, m))
    if lead and not ta and _matrix(b):  # one matrix for all of a batch: they are the rows of one product
        product = _product(builder, builder.reshape(a, (math.prod(lead) * n, k)), _single(builder, b), ta, tb)
        return builder.reshape(product, (*lead, n, m))
    return _product(builder, a, b, ta, tb) if changed else None


def _unit_rows(x: Value) -> int | None:
    """From which row on a matrix is known to be rows of the identity, as the seeds of a Jacobian are, and a rank's part of
    them, which is a slice; None where it is not."""
    part = made_by(x, "slice")
    whole = part.args[0] if part else x
    if not isinstance(whole, Constant) or x.ndim != 2 or not 0 < x.shape[0] <= x.shape[1]:
        return None
    rows = whole.array[numpy_slices(part.params["slices"])] if part else whole.array
    (n, k), places = x.shape, np.flatnonzero(rows[0]).tolist()
    # Further down the identity ends, where np.eye goes on with rows of zeros.
    if len(places) != 1 or places[0] > k - n or not np.array_equal(rows, np.eye(n, k, places[0], x.dtype)):
        return None
    return int(places[0])


def _product(builder: Builder, a: Value, b: Value, ta: bool, tb: bool) -> Value:
    return builder.emit("dot", a, b, **_flags(ta, tb))


def _flags(ta: bool, tb: bool) -> dict[str, bool]:
    return {name: True for name, flag in (("ta", ta), ("tb", tb)) if flag}


def _rows(x: Value, transposed: bool) -> tuple[int, int]:
    n, k = x.shape[-2:]
    return (k, n) if transposed else (n, k)


def _exchanges(axes: Shape) -> bool:
    """Whether a transpose exchanges the last two axes and no others."""
    n = len(axes)
    return n >= 2 and axes == (*range(n - 2), n - 1, n - 2)


def _untransposed(x: Value) -> Value:
    """What a value is the transpose of, in its last two axes; itself, if it is none. A transposed row or column is
    written as a reshape."""
    if (inner := made_by(x, "transpose")) and _exchanges(inner.params["axes"]):
        return inner.args[0]
    if (inner := made_by(x, "reshape")) and 1 in x.shape[-2:]:
        (source,) = inner.args
        if source.shape == (*x.shape[:-2], x.shape[-1], x.shape[-2]):
            return source
    return x


def _matrix(x: Value) -> bool:
    """Whether a batch is one matrix, repeated."""
    inner = made_by(x, "broadcast")
    if inner is None:
        return False
    shape = inner.args[0].shape
    return shape[-2:] == x.shape[-2:] and math.prod(shape) == math.prod(shape[-2:])


def _single(builder: Builder, x: Value) -> Value:
    """The one matrix that a batch is."""
    inner = made_by(x, "broadcast")
    return builder.reshape(inner.args[0] if inner and _matrix(x) else x, x.shape[-2:])


def _transposed(builder: Builder, x: Value, axes: Shape) -> Value | None:
    """transpose(dot(a.T, b.T)) is dot(b, a). And where every operand of an elementwise instruction has one axis longer
    than 1, as in an outer product, its transpose is that of the operands, which costs nothing."""
    dot = made_by(x, "dot")
    if dot is not None:
        both = dot.params.get("ta") and dot.params.get("tb") and _exchanges(axes)
        return _product(builder, dot.args[1], dot.args[0], False, False) if both else None
    if not isinstance(x, Result) or x.instruction.kind != "elementwise":
        return None
    operands = []
    for arg in x.instruction.args:
        full = padded(arg.shape, x.ndim)
        long = [i for i in axes if full[i] != 1]
        if long != sorted(long):
            return None
        turned = tuple(full[i] for i in axes)
        operands.append((arg, arg.shape if stripped(turned) == stripped(arg.shape) else turned))
    return builder.emit(x.instruction.name, *(builder.reshape(*o) for o in operands), **x.instruction.params)


def _summed(builder: Builder, x: Value, axes: Shape) -> Value | None:
    """A sum of products over a whole batch is one product whose inner axis runs through the batch: the gradient of a
    matrix that a batch shares."""
    dot = made_by(x, "dot")
    if dot is None or not axes or axes != tuple(range(x.ndim - 2)):
        return None
    a, b = dot.args
    if not dot.params.get("ta") or dot.params.get("tb"):
        return None
    inner = math.prod(a.shape[:-1])
    left, right = (builder.reshape(v, (inner, v.shape[-1])) for v in (a, b))
    return _product(builder, left, right, True, False)


RULES: dict[str, Callable[..., Value | None]] = {"dot": _dot, "transpose": _transposed, "reduce_add": _summed}
