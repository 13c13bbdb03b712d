"""What a loop multiplies by one matrix at each turn, and knows before it begins, is one product of matrices before the loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tapenet.program.ir import Answer, Builder, Constant, Input, Instruction, Program, Value, repeat, rewrite
from tapenet.program.passes.patterns import made_by, plain, views_of

#: From how many elements on a matrix is worth it, and how often as large as it all products may be.
_LARGE, _MOST = 256, 4
#: Of products of slices: elements of a matrix from which this pays, rows of a turn up to which, and elements of all products at
#: most. A GRUCell of 128 units over 30 turns of one row takes 0.7 of the time, of 16 rows 1.0, with gradients 0.65 and 0.95.
LEAST, FEW, MOST = 1024, 32, 1 << 20


def run(program: Program) -> Program:
    """Multiply the rows that loops take of an array, turn by turn, by a matrix at once; slices of few rows too."""
    return rewrite(program, _changed, ("loop",))


class _Row(NamedTuple):
    """A product of a row that a turn takes of an array: its place in the body, the array, along which axis, and at which
    slice; the matrix, what part of it, and whether its columns are what is multiplied."""

    product: Instruction
    source: int
    axis: int
    number: int
    matrix: int
    part: dict[str, object] | None
    columns: bool


def _changed(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
    params = instruction.params
    body: Program = params["body"]
    first = params["carries"] + params["slices"]
    rows = [row for step in body.body if step.name == "dot" and (row := _row(step, body, params["carries"], first))]
    rows = [
        row for row in rows if args[row.matrix].size * _MOST >= args[row.number].shape[0] * row.product.results[0].size
    ]
    made = {row.product: _all(builder, args, row) for row in rows}
    given: list[tuple[Value, Value]] = list(zip(body.inputs, args, strict=True))
    sliced, outside = dict(given[params["carries"] : first]), dict(given[first:])
    for step in body.body:
        if step.name == "dot" and step not in made and (found := _slices(builder, step, sliced, outside)) is not None:
            made[step] = found
    if not made:
        return None
    inner = {product: Input(value.shape[1:], value.dtype) for product, value in made.items()}

    def change(step: Instruction, given: tuple[Value, ...], within: Builder) -> Answer:
        return within.reshape(inner[step], step.results[0].shape) if step in inner else None

    changed = rewrite(body, change)
    inputs = [*body.inputs[:first], *inner.values(), *body.inputs[first:]]
    new = dict(params, slices=params["slices"] + len(inner))
    new["body"] = Program(inputs, [], changed.body, changed.outputs, [])
    return builder.several("loop", *args[:first], *made.values(), *args[first:], **new)


def _row(product: Instruction, body: Program, carries: int, first: int) -> _Row | None:
    """How a product of a body is that of a row with a matrix which is the same at each turn."""
    places: dict[Value, int] = {value: i for i, value in enumerate(body.inputs)}
    flags = [product.params.get(name, False) for name in ("ta", "tb")]
    for side in (0, 1):
        vector, matrix = product.args[side], product.args[1 - side]
        if vector.ndim != 2 or vector.shape[side != flags[side]] != 1 or matrix.size < _LARGE:
            continue
        vector = plain(vector)
        taken = made_by(vector, "take")
        if taken is None or vector.ndim != 1:
            continue
        source, number = taken.args
        part = made_by(matrix, "slice")
        if part is not None:
            (matrix,) = part.args
        found = [places.get(value, -1) for value in (source, number, matrix)]
        if found[0] >= first and carries <= found[1] < first and found[2] >= first and number.ndim == 0:
            columns = flags[1] if side == 0 else not flags[0]
            return _Row(
                product,
                found[0],
                taken.params["axis"],
                found[1],
                found[2],
                None if part is None else dict(part.params),
                columns,
            )
    return None


def _all(builder: Builder, args: tuple[Value, ...], row: _Row) -> Value:
    """The products of all turns, one in each row."""
    source, numbers, matrix = args[row.source], args[row.number], args[row.matrix]
    if row.part is not None:
        matrix = builder.emit("slice", matrix, **row.part)
    known = isinstance(numbers, Constant) and np.array_equal(numbers.array, np.arange(source.shape[row.axis]))
    rows: Value = source if known else builder.emit("take", source, numbers, axis=row.axis)
    flags = {"ta": True} if row.axis == 1 else {}
    return builder.emit("dot", rows, matrix, **flags, **({"tb": True} if row.columns else {}))


def _slices(
    builder: Builder, product: Instruction, sliced: Mapping[Value, Value], outside: Mapping[Value, Value]
) -> Value | None:
    """The products of all turns, one behind the other, where each is that of a slice, perhaps repeated, with a matrix from
    outside of the loop."""
    (factor, matrix), (result,) = product.args, product.results
    repeated = made_by(factor, "broadcast")
    once = factor if repeated is None else repeated.args[0]
    source = plain(once)
    *batch, n, k = factor.shape
    views = views_of(matrix)
    root = views[0].args[0] if views else matrix
    if source not in sliced or source.size != n * k or once.shape[-2:] not in ((n, k), (k,)):
        return None  # not a slice, or one that is repeated along a row too
    if not (root in outside or isinstance(root, Constant)):
        return None
    length, axis = sliced[source].shape[0], len(batch)
    if product.params.get("ta") or n > FEW or matrix.size < LEAST or length * result.size > MOST:
        return None
    known = {root: outside.get(root, root)}
    repeat(builder, views, known)
    rows = builder.broadcast(builder.reshape(sliced[source], (length * n, k)), (*batch, length * n, k))
    found = builder.emit("dot", rows, known[matrix], **product.params)
    found = builder.reshape(found, (*batch, length, *result.shape[-2:]))
    return builder.transpose(found, (axis, *range(axis), axis + 1, axis + 2))
