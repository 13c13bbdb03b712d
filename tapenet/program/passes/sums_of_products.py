"""What a loop adds up of products of few rows, turn by turn, is one product of all rows behind it: gradients by weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tapenet.program.ir import Answer, Builder, Instruction, Program, Value, rewrite
from tapenet.program.passes import dead
from tapenet.program.passes.patterns import made_by, number, plain

#: Rows of a turn up to which one product is quicker: the gradient of a GRUCell of 128 units over 30 turns of one row takes 0.7
#: of the time, of 4 rows 0.9, and of 16 would take 1.1. Elements of a sum from which it is, and of all turns' rows at most.
FEW, LARGE, MOST = 4, 256, 1 << 20


class _Sum(NamedTuple):
    """What a turn adds to a carry: leftᵀ @ right of so many rows, or its transpose."""

    left: Value
    right: Value
    rows: int
    turned: bool = False


def run(program: Program) -> Program:
    """Multiply behind loops what they only add up. Sums are in another order then: they differ in rounding."""
    return rewrite(program, _changed, ("loop",))


def _changed(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
    params = instruction.params
    body: Program = params["body"]
    carries, slices = params["carries"], params["slices"]
    uses = body.uses()
    sums = {i: found for i in range(carries) if (found := _sum(body, i, uses)) and _pays(found, params["length"])}
    if not sums:
        return None
    columns: dict[Value, Value] = dict(zip(body.inputs[carries:], args[carries : carries + slices], strict=False))
    rows = [v for v in dict.fromkeys(v for found in sums.values() for v in found[:2]) if v not in columns]
    kept = [i for i in range(len(args)) if i not in sums]
    outputs = [v for i, v in enumerate(body.outputs) if i not in sums]
    turn = dead.run(Program([body.inputs[i] for i in kept], [], body.body, [*outputs, *rows], []))
    new = {**params, "body": turn, "carries": carries - len(sums)}
    made = builder.several("loop", *(args[i] for i in kept), **new)
    columns |= zip(rows, made[len(outputs) :], strict=True)
    others = iter(made)
    return tuple(
        _product(builder, args[i], sums[i], columns) if i in sums else next(others)
        for i in range(len(instruction.results))
    )


def _sum(body: Program, i: int, uses: Mapping[Value, int]) -> _Sum | None:
    """What a carry is the sum of, if it is nothing else."""
    carried, result = body.inputs[i], body.outputs[i]
    added = made_by(result, "add")
    if added is None or carried not in added.args or uses[carried] != 1 or uses[result] != 1:
        return None
    term = added.args[added.args[0] is carried]
    if term.ndim != 2 or term.shape != carried.shape or term.dtype.char not in "fd":
        return None
    transposed = made_by(term, "transpose")
    product = made_by(term if transposed is None else transposed.args[0], "dot")
    if product is not None and product.params.get("ta") and not product.params.get("tb"):
        left, right = product.args
        return _Sum(left, right, left.shape[0], transposed is not None)
    outer = made_by(term, "multiply")
    if outer is None or {v.shape for v in outer.args} != {(term.shape[0], 1), (1, term.shape[1])}:
        return None
    left, right = sorted(outer.args, key=lambda v: v.shape != (term.shape[0], 1))
    return _Sum(plain(left), plain(right), 1)


def _pays(found: _Sum, length: int) -> bool:
    if not 0 < found.rows <= FEW:
        return False
    p, q = (v.size // found.rows for v in found[:2])
    return p * q >= LARGE and length * found.rows * (p + q) <= MOST


def _product(builder: Builder, start: Value, found: _Sum, columns: Mapping[Value, Value]) -> Value:
    """The sum over all turns."""
    left, right = (_rows(builder, columns[v], v.size // found.rows) for v in found[:2])
    product = builder.emit("dot", left, right, ta=True)
    if found.turned:
        product = builder.transpose(product, (1, 0))
    return product if number(start) == 0 else builder.emit("add", start, product)


def _rows(builder: Builder, column: Value, length: int) -> Value:
    return builder.reshape(column, (column.size // length, length))
