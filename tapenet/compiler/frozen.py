"""`tn.compile(f, frozen=True)`: what is computed from parameters alone is computed once, when the program is made.

Parameters become constants. What depends on constants alone is evaluated, and a factor and a shift for each channel that
follow a product or a convolution, as an evaluated batch norm is, move into its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, TypeGuard

import numpy as np

from tapenet.autodiff.observe.tape import CaptureError
from tapenet.compiler import images, innermost, quantizing, turns
from tapenet.compiler.variant import Plan
from tapenet.ops.layers.convolution.scaling import SCALED
from tapenet.program.called_ops import Hole
from tapenet.program.ir import (
    Answer,
    Builder,
    Constant,
    Instruction,
    Program,
    Result,
    Value,
    check,
    rewrite,
    substitute,
)
from tapenet.program.passes import ROUNDS, Step, dead, simplify
from tapenet.program.passes.folding import KINDS, LIMIT
from tapenet.program.primitives import PRIMITIVES
from tapenet.typing import Array

#: How many times larger than the largest of its operands a result may be that is computed ahead.
GROWTH = 2


def refuse(title: str, program: Program, plan: Plan) -> None:
    """Raise if a function changes what it would be frozen with.

    Raises:
        CaptureError: says what it does, and the fix.
    """
    written = [f"a tensor of shape {w.target.shape}" for w in program.writes]
    written += ["the gradient of a tensor" for target, _ in plan.grads if not isinstance(target, int)]
    if written:
        raise CaptureError(
            f"{title} is compiled with frozen=True, which takes what it reads from outside as constants, and writes "
            f"{written[0]}: put modules into eval mode (a batch norm in training mode writes its running statistics), or "
            "leave frozen=True out where a function trains"
        )


class Freezing(NamedTuple):
    """How a program is frozen.

    Attributes:
        native: whether it becomes machine code.
        examples: for each argument, some along the first axis, by which convolutions and products are put into integers of 8
            bits; None to leave them floats.
    """

    native: bool
    examples: tuple[Array, ...] | None


def freeze(program: Program, steps: list[Step], how: Freezing) -> Program:
    """The program with what is outside of it as constants, after all passes.

    Args:
        program: a program that writes nothing outside.
        steps: gets what each pass did.
        how: what becomes of it.
    """
    program = substitute(program, {r: Constant(np.array(r.tensor._data, order="C")) for r in program.references})

    def run(name: str, of: Callable[[Program], Program]) -> bool:
        nonlocal program
        changed = of(program)
        if changed is program:
            return False
        before, program = len(program.body), dead.run(check(changed))
        steps.append(Step(name, before, len(program.body)))
        return True

    if how.examples is not None:
        run("recurrent layers", partial(turns.run, every=True))
    elif how.native:
        run("recurrent layers", turns.run)
    for _ in range(ROUNDS):
        while run("constants", computed_ahead) | run("scales", scales_moved):
            pass
        run("loops", turns.closed)
        if how.examples is not None:
            run("convolutions", partial(innermost.run, every=True))
        elif how.native:
            run("convolutions", innermost.run)
        program, before = simplify(program, steps), program
        if program is before:
            break
    if how.examples is not None:
        run("8 bits", partial(quantizing.quantized, examples=how.examples, native=how.native))
        program = simplify(program, steps)
    elif how.native:
        run("images", images.run)
    for constant in program.constants:
        constant.array.flags.writeable = False  # so that kernels keep what they make of it
    return program


def computed_ahead(program: Program) -> Program:
    """Evaluate what depends on constants alone, unless it is much larger than these. A broadcast stays, whose operand says
    as much."""
    arrays: dict[Value, Array] = {}
    made: dict[Value, Constant] = {}

    def array(value: Value) -> Array | None:
        return value.array if isinstance(value, Constant) else arrays.get(value)

    for instruction in program.body:
        if instruction.kind not in KINDS or instruction.name == "broadcast" or not instruction.args:
            continue
        given = [array(a) for a in instruction.args]
        known = [a for a in given if a is not None]
        (result,) = instruction.results
        if len(known) < len(given) or result.size > max(LIMIT, GROWTH * max(a.size for a in known)):
            continue
        try:
            with np.errstate(all="ignore"):
                arrays[result] = np.asarray(PRIMITIVES[instruction.name].evaluate(*known, **instruction.params))
        except (ValueError, IndexError):
            continue  # an error when it is run, if it is ever run

    def constant(value: Value) -> Value:
        if value not in arrays:
            return value
        if value not in made:  # no view, which would keep all that it is a view of
            made[value] = Constant(np.array(arrays[value], order="C"))
        return made[value]

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if all(r in arrays for r in instruction.results):
            return instruction.results  # nobody uses them any more
        new = tuple(map(constant, args))
        return None if new == args else builder.several(instruction.name, *new, **instruction.params)

    if not arrays:
        return program
    found = rewrite(program, change)
    return Program(found.inputs, found.hosts, found.body, map(constant, found.outputs), found.writes)


# -- factors and shifts --------------------------------------------------------------------------------------------


def scales_moved(program: Program) -> Program:
    """Move factors and shifts by channel into the weights and biases of the products and convolutions that they follow.

    A sum is exchanged with a factor that follows it, so that both come to stand at the product, and sums of constants are
    joined.
    """
    uses = program.uses()

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if instruction.name not in ("multiply", "add", "subtract") or instruction.results[0].dtype.kind != "f":
            return None
        for before, value, other in zip(instruction.args, args, args[::-1], strict=True):
            if not isinstance(other, Constant) or uses[before] > 1 or not isinstance(value, Result):
                continue
            if value.shape != instruction.results[0].shape or value.dtype != other.dtype:
                continue
            if instruction.name == "subtract" and value is not args[0]:
                continue
            array = -other.array if instruction.name == "subtract" else other.array
            found = _moved(value, array, instruction.name == "multiply", builder)
            if found is not None:
                return found
        return None

    return rewrite(program, change)


def _moved(value: Result, other: Array, factor: bool, builder: Builder) -> Value | None:
    """The product of a value with a constant, or their sum, as the value that a product with other weights gives."""
    source = value.instruction
    if source.name == "call" and source.params["op"] in SCALED:
        return _convolved(source, other, factor, builder)
    if source.name == "dot" and factor and isinstance(source.args[1], Constant):
        return _multiplied(source, other, builder)
    if source.name == "add" and isinstance(source.args[1], Constant) and _is_product(source.args[0]):
        first, shift = source.args[0], source.args[1].array
        if not factor:
            return builder.emit("add", first, Constant(shift + other))
        scaled = _moved(first, other, True, builder)
        return None if scaled is None else builder.emit("add", scaled, Constant(shift * other))
    return None


def _is_product(value: Value) -> TypeGuard[Result]:
    return isinstance(value, Result) and value.instruction.name == "dot"


def _along(array: Array, ndim: int, axis: int, length: int) -> Array | None:
    """The elements along an axis, of an array that is the same along all others."""
    shape = (1,) * (ndim - array.ndim) + array.shape
    if any(n != 1 for i, n in enumerate(shape) if i != axis):
        return None
    return np.broadcast_to(array.reshape(-1), (length,))


def _multiplied(source: Instruction, factors: Array, builder: Builder) -> Value | None:
    """A product of matrices, the columns of its result times factors."""
    (result,) = source.results
    weight = source.args[1]
    assert isinstance(weight, Constant)
    found = _along(factors, result.ndim, result.ndim - 1, result.shape[-1])
    if found is None or weight.dtype != factors.dtype:
        return None
    by_column = found[:, None] if source.params.get("tb") else found
    return builder.emit("dot", source.args[0], Constant(weight.array * by_column), **source.params)


def _convolved(source: Instruction, other: Array, factor: bool, builder: Builder) -> Value | None:
    """A convolution, its channels times factors or plus a shift."""
    template: Mapping[str, object] = source.params["template"]
    scaled, axes = SCALED[source.params["op"]]
    (result,) = source.results
    axis = result.ndim - axes - 1
    vector = _along(other, result.ndim, axis, result.shape[axis])
    places = [template["x"], template["weight"], template["bias"]]
    if vector is None or not isinstance(places[0], Hole) or not isinstance(places[1], Hole):
        return None
    weight = source.args[places[1].position]
    bias = source.args[places[2].position] if isinstance(places[2], Hole) else places[2]
    if not isinstance(weight, Constant) or weight.dtype != other.dtype or not isinstance(bias, (Constant, type(None))):
        return None
    kernels, shift = weight.array, None if bias is None else bias.array
    if factor:
        groups = template["groups"]
        assert isinstance(groups, (int, np.integer))
        kernels = scaled(kernels, vector, int(groups))
        shift = None if shift is None else shift * vector
    else:
        shift = vector if shift is None else shift + vector
    given = [source.args[places[0].position], Constant(kernels)]
    new = {**template, "x": Hole(0), "weight": Hole(1), "bias": None}
    if shift is not None:
        given.append(Constant(np.array(shift)))
        new["bias"] = Hole(2)
    return builder.emit("call", *given, **{**source.params, "template": new})


__all__ = ["Freezing", "freeze", "refuse"]
