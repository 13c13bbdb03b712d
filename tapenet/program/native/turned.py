"""Matrices from outside of a loop that products in its body read across are copied to dense rows, once before the loop.

The weight of a Linear layer lies so that x @ w.T reads dense rows, and the gradient by x, g @ w, reads it across; a weight that
the user made, the other way round. A product of few rows takes longer so, or packs the matrix first, at each turn."""

from __future__ import annotations

from tapenet.program.ir import Builder, Input, Instruction, Program, Value, repeat, rewrite
from tapenet.program.layout import Layouts, view
from tapenet.program.passes.patterns import views_of

#: Rows of a product up to which dense rows are quicker; rows of all turns from which a copy pays; bytes of a matrix up to which
#: it does. The gradient of an LSTM of 128 units over (50, 5, 64) takes 0.7 of the time, over (24, 4, 64) with 256 units 0.5; in
#: 6 turns of 4 rows it would take 1.1 to 1.4; float64 matrices of 2 MB would take 1.5 to 2.2 in 20 turns of 4 or 16 rows.
FEW, ROWS, LARGEST = 32, 96, 1 << 20


def run(loop: Instruction, layouts: Layouts, builder: Builder) -> Instruction:
    """The loop with such copies as operands, which `builder` is given; the loop itself where none pays."""
    params = loop.params
    body: Program = params["body"]
    first = params["carries"] + params["slices"]
    outside: dict[Value, Value] = dict(zip(body.inputs[first:], loop.args[first:], strict=True))
    copies: dict[Value, tuple[Input, Value]] = {}
    chosen: dict[Instruction, Input] = {}
    for product in body.body:
        if product.name != "dot" or not _pays(product, params["length"]):
            continue
        matrix, turned = product.args[1], product.params.get("tb", False)
        views = views_of(matrix)
        root = views[0].args[0] if views else matrix
        if root in outside and _across(layouts, outside[root], views, turned):
            if matrix not in copies:
                known = {root: outside[root]}
                repeat(builder, views, known)
                copies[matrix] = Input(matrix.shape, matrix.dtype), _dense(builder, known[matrix], turned)
            chosen[product] = copies[matrix][0]
    if not chosen:
        return loop

    def change(product: Instruction, args: tuple[Value, ...], within: Builder) -> tuple[Value, ...] | None:
        return within.again(product, (args[0], chosen[product])) if product in chosen else None

    changed = rewrite(body, change, ("dot",))
    new = Program([*body.inputs, *(v for v, _ in copies.values())], [], changed.body, changed.outputs, [])
    specs = [(v.shape, v.dtype) for v in loop.results]
    args = [*loop.args, *(v for _, v in copies.values())]
    return Instruction("loop", args, {**params, "body": new}, specs, loop.line)


def _pays(product: Instruction, length: int) -> bool:
    rows = product.results[0].shape[-2]
    return rows <= FEW and rows * length >= ROWS and product.args[1].nbytes <= LARGEST


def _across(layouts: Layouts, source: Value, views: list[Instruction], turned: bool) -> bool:
    """Whether neighbours in a row of a matrix are far apart, and those in a column not; of its transpose if `turned`."""
    place = layouts[source]
    for instruction in views:
        shown = view(place, instruction)
        if shown is None:
            return False
        place = shown
    row, column = place.strides[-2:][:: -1 if turned else 1]
    return row == 1 != column


def _dense(builder: Builder, matrix: Value, turned: bool) -> Value:
    """A copy of a matrix in dense rows; of one that is used transposed, in dense columns."""
    *outer, row, column = range(matrix.ndim)
    axes = (*outer, column, row) if turned else (*outer, row, column)
    return builder.transpose(builder.emit("copy", builder.transpose(matrix, axes), row_major=True), axes)
