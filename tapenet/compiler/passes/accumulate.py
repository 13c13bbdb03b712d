"""A matrix product that is added to an array of its size becomes one operation: BLAS adds into the result.

For the update of a weight, w - lr * (xᵀ @ g), the gradient is then never in memory: w + xᵀ @ (-lr * g), where the
factor is applied to the smaller operand. Not among the passes that simplify, since only a backend with BLAS at hand
gains by it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tapenet.compiler.ir import Builder, Instruction, Program, Result, Value, rewrite
from tapenet.compiler.passes import dead

#: Arrays of fewer elements stay as they are.
SMALLEST = 4096


class Product(NamedTuple):
    """A product, perhaps scaled by a number: factor * (a @ b), with `ta` and `tb` for transposed operands."""

    a: Value
    b: Value
    ta: bool
    tb: bool
    factor: Value | None


def run(program: Program) -> Program:
    """Rewrite sums and differences of an array and a product."""
    uses = program.uses()

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Any:
        for old, new in zip(instruction.args, args, strict=True):
            uses.setdefault(new, uses[old])
        if instruction.name not in ("add", "subtract") or instruction.results[0].size < SMALLEST:
            return None
        (result,) = instruction.results
        sides = ((0, 1),) if instruction.name == "subtract" else ((0, 1), (1, 0))
        for i, k in sides:
            product = _product(args[k], uses)
            if product is None or args[i].shape != result.shape or args[k].shape != result.shape:
                continue
            return _accumulated(builder, args[i], product, instruction.name == "subtract")
        return None

    changed = rewrite(program, change)
    return program if changed.body == program.body else dead.run(changed)


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


def _accumulated(builder: Builder, c: Value, product: Product, minus: bool) -> Value:
    a, b, ta, tb, factor = product
    if factor is not None or minus:
        # The factor goes to the smaller operand.
        small = a if a.size <= b.size else b
        if factor is None:
            scaled = builder.elementwise("negative", small)
        else:
            number = builder.reshape(factor, ())
            number = builder.elementwise("negative", number) if minus else number
            scaled = builder.elementwise("multiply", small, number)
        a, b = (scaled, b) if small is a else (a, scaled)
    flags = {name: True for name, flag in (("ta", ta), ("tb", tb)) if flag}
    made: Value = builder.emit("dot_add", c, a, b, **flags)
    return made
