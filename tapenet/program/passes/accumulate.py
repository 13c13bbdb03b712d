"""A matrix product that is added to an array of its size becomes one operation: BLAS adds into the result. So do rows
that are scattered over zeros and added to a table, and what is scattered to one place: the gradient of an element that a turn
of a loop reads touches no other.

For the update of a weight, w - lr * (xᵀ @ g), the gradient is then never in memory: w + xᵀ @ (-lr * g), where the
factor is applied to the smaller operand; that of a table that was read at some rows touches no others. Not among the
passes that simplify, since only a backend with BLAS at hand, and which writes in place, gains by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tapenet.program.called_ops import Hole
from tapenet.program.ir import Answer, Builder, Instruction, Program, Result, Value, rewrite
from tapenet.program.passes import dead

#: Arrays of fewer elements stay as they are.
SMALLEST = 4096


class Product(NamedTuple):
    """A product, perhaps scaled by a number: factor * (a @ b), with `ta` and `tb` for transposed operands."""

    a: Value
    b: Value
    ta: bool
    tb: bool
    factor: Value | None


class Rows(NamedTuple):
    """Zeros with values added at some rows, perhaps scaled by a number."""

    values: Value
    numbers: Value
    factor: Value | None


class Place(NamedTuple):
    """Values added at one place along the axes that are indexed."""

    values: Value
    where: Sequence[Value]
    template: object


def run(program: Program) -> Program:
    """Rewrite sums and differences of an array and a product, or of a table and rows."""
    uses = program.uses()
    # What is zeros but for what is added at single places, with that.
    places: dict[Value, list[Place]] = {}

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if instruction.name == "scatter_add" and all(i.size == 1 for i in args[1:]):
            made = builder.emit("scatter_add", *args, **instruction.params)
            places[made] = [Place(args[0], args[1:], instruction.params["template"])]
            return made
        if instruction.name == "add" and args[0].shape == args[1].shape:
            at = [k for k in (0, 1) if args[k] in places and uses[args[k]] == 1]
            if at:
                return _placed(builder, args[1 - at[-1]], args[at[-1]], places)
        if instruction.name == "scatter_add" or instruction.results[0].size < SMALLEST:
            return None
        (result,) = instruction.results
        sides = ((0, 1),) if instruction.name == "subtract" else ((0, 1), (1, 0))
        for i, k in sides:
            found = _product(args[k], uses) or _rows(args[k], uses)
            if found is None or args[i].shape != result.shape or args[k].shape != result.shape:
                continue
            minus = instruction.name == "subtract"
            if isinstance(found, Rows):
                return _added(builder, args[i], found, minus)
            return _accumulated(builder, args[i], found, minus)
        return None

    if program.names.isdisjoint(("add", "subtract")):
        return program
    changed = rewrite(program, change, ("add", "subtract", "scatter_add"), uses)
    return program if changed.body == program.body else dead.run(changed)


def _placed(builder: Builder, base: Value, value: Value, places: dict[Value, list[Place]]) -> Value:
    """A base with what is added at single places, one after the other."""
    known = places.get(base)
    for place in places[value]:
        base = builder.emit("add_at", base, place.values, *place.where, template=place.template)
    if known is not None:
        places[base] = [*known, *places[value]]
    return base


def _product(value: Value, uses: dict[Value, int]) -> Product | None:
    """The product behind a value that is used for nothing else."""
    factor: Value | None = None
    transposed = False
    while isinstance(value, Result) and uses.get(value) == 1:
        instruction = value.instruction
        args = instruction.args
        if instruction.name == "dot" and value.ndim == 2:
            a, b = args
            ta, tb = bool(instruction.params.get("ta")), bool(instruction.params.get("tb"))
            if min(a.size, b.size) >= value.size:
                return None  # nothing is gained where an operand is as large as the result
            return Product(b, a, not tb, not ta, factor) if transposed else Product(a, b, ta, tb, factor)
        if instruction.name == "transpose" and value.ndim == 2 and instruction.params["axes"] == (1, 0):
            transposed = not transposed
            value = args[0]
        elif instruction.name == "multiply" and factor is None and 1 in (args[0].size, args[1].size):
            number, value = args if args[0].size == 1 else args[::-1]
            factor = number
        elif instruction.name == "multiply" and factor is not None and 1 in (args[0].size, args[1].size):
            return None
        else:
            return None
    return None


def _rows(value: Value, uses: dict[Value, int]) -> Rows | None:
    """The rows behind a value that is used for nothing else, if they are less than the table."""
    factor: Value | None = None
    if isinstance(value, Result) and value.instruction.name == "multiply" and uses.get(value) == 1:
        args = value.instruction.args
        if 1 not in (args[0].size, args[1].size):
            return None
        factor, value = args if args[0].size == 1 else args[::-1]
    if not isinstance(value, Result) or value.instruction.name != "scatter_add" or uses.get(value) != 1:
        return None
    values, *index = value.instruction.args
    template = value.instruction.params["template"]
    by_rows = template[0] == Hole(0) and all(t == slice(None) for t in template[1:])
    fits = value.dtype.char in "fd" and by_rows and values.shape == (*index[0].shape, *value.shape[1:])
    if not fits or index[0].dtype.kind not in "iu":
        return None
    return Rows(values, index[0], factor) if 0 < values.size < value.size else None


def _added(builder: Builder, table: Value, rows: Rows, minus: bool) -> Value:
    n = rows.numbers.size
    values = _scaled(builder, rows.values, rows.factor, minus)
    values, index = builder.reshape(values, (n, *table.shape[1:])), builder.reshape(rows.numbers, (n,))
    return builder.emit("add_rows", table, values, index)


def _scaled(builder: Builder, value: Value, factor: Value | None, minus: bool) -> Value:
    """A value times a number, if one is given, and with the other sign if it is to be subtracted."""
    if factor is None:
        return builder.elementwise("negative", value) if minus else value
    number = builder.reshape(factor, ())
    return builder.elementwise("multiply", value, builder.elementwise("negative", number) if minus else number)


def _accumulated(builder: Builder, c: Value, product: Product, minus: bool) -> Value:
    a, b, ta, tb, factor = product
    if factor is not None or minus:
        # The factor goes to the smaller operand.
        small = a if a.size <= b.size else b
        scaled = _scaled(builder, small, factor, minus)
        a, b = (scaled, b) if small is a else (a, scaled)
    flags = {name: True for name, flag in (("ta", ta), ("tb", tb)) if flag}
    return builder.emit("dot_add", c, a, b, **flags)
