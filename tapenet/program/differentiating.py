"""What both directions of differentiation share: which values change, rules of elementwise primitives, and definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import cast

import numpy as np

from tapenet.program import linear_algebra as _rows  # noqa: F401  adds to the table of primitives
from tapenet.program import low
from tapenet.program import ordering as _more_rows  # noqa: F401
from tapenet.program import symbol_compositions as _functions  # noqa: F401  fills the table of what symbols know
from tapenet.program import transforms as _transforms  # noqa: F401
from tapenet.program.called_ops import Hole
from tapenet.program.derivatives import FLAT, RULES, arguments, safe_mul
from tapenet.program.ir import Builder, Constant, Input, Instruction, Program, Value
from tapenet.program.passes.patterns import number
from tapenet.program.primitives import ADDED, PRIMITIVES, Params
from tapenet.program.symbols import FUNCTIONS, CannotLower, Symbol, array_of, builder_of, elementwise
from tapenet.typing import Array, DType, Shape


class NoDerivative(CannotLower, TypeError):
    """A program has a primitive whose derivative is not known."""


FUNCTIONS[safe_mul] = lambda a, d: elementwise(builder_of(a, d), "safe_mul", a, d)


def is_inexact(value: Value) -> bool:
    """Whether a value has gradients and tangents: floats and complex numbers do."""
    return low.is_inexact(value.dtype)


def zeros(builder: Builder, shape: Shape, dtype: DType) -> Value:
    """Zeros of a shape."""
    return builder.broadcast(Constant(np.zeros((), dtype)), shape)


def spread(builder: Builder, value: Value, instruction: Instruction) -> Value:
    """What is there once per reduction, for each element of what it takes in."""
    (arg,) = instruction.args
    axes = instruction.params["axes"]
    kept = tuple(1 if i in axes else n for i, n in enumerate(arg.shape))
    return builder.broadcast(builder.reshape(value, kept), arg.shape)


def is_zero(value: Value) -> bool:
    """Whether a value is known to be zeros."""
    found = number(value)
    return found is not None and found == 0


def unknown(instruction: Instruction) -> NoDerivative:
    """The error of a primitive without a derivative."""
    if instruction.name in ADDED:
        computes = PRIMITIVES[instruction.name].computes
        return NoDerivative(f"{computes} has none: make an op of it that has rules, tn.op(f, x=lambda g, x: ...)")
    if instruction.name != "call":
        return NoDerivative(f"no derivative of {instruction.name} is known")
    name = instruction.params["op"].name
    return NoDerivative(f"op {name!r} is called as it stands: it has neither a formula nor a rule that can be read")


# -- which values change -----------------------------------------------------------------------------------------


def is_flat(instruction: Instruction) -> bool:
    """Whether the derivative of an instruction is 0 wherever it has one.

    Raises:
        NoDerivative: it is the sign of complex numbers, which turns with these; there is no rule for it.
    """
    if instruction.name == "sign" and instruction.args[0].dtype.kind == "c":
        raise NoDerivative(
            "there is no derivative of the sign of complex numbers, nor a second one of their absolute value"
        )
    return instruction.name in FLAT


def changing(program: Program, inputs: Iterable[int]) -> set[Value]:
    """The inexact values that may change with some of the inputs, and have a derivative by them."""
    found: set[Value] = {v for i in inputs if is_inexact(v := program.inputs[i])}
    for instruction in program.body:
        if found.isdisjoint(instruction.args) and not instruction.paired:
            continue
        if is_flat(instruction) or instruction.name == "stop":
            continue
        flags = [True] * len(instruction.results)
        if instruction.name in ("loop", "while"):
            flags = turning(instruction, found)[1]
        elif instruction.name == "branch":
            flags = [any(pair) for pair in zip(*taking(instruction, found), strict=True)]
        found.update(r for r, flag in zip(instruction.results, flags, strict=True) if flag and is_inexact(r))
    return found


def turning(instruction: Instruction, active: set[Value]) -> tuple[list[bool], list[bool]]:
    """Which inputs and which outputs of a loop's body change in any turn, given the values outside that change."""
    body: Program = instruction.params["body"]
    carries: int = instruction.params["carries"]
    flags = [a in active for a in instruction.args]
    while True:
        found = changing(body, [i for i, flag in enumerate(flags) if flag])
        after = [v in found for v in body.outputs]
        more = [flag or (i < carries and after[i]) for i, flag in enumerate(flags)]
        if more == flags:
            return flags, [*flags[:carries], *after[carries:]]
        flags = more


def taking(instruction: Instruction, active: set[Value]) -> tuple[list[bool], list[bool]]:
    """Which results of either branch change, given the values outside that change."""
    _, *args = instruction.args
    positions = [i for i, a in enumerate(args) if a in active]
    bodies: list[Program] = [instruction.params["true"], instruction.params["false"]]
    true, false = (changing(body, positions) for body in bodies)
    return [v in true for v in bodies[0].outputs], [v in false for v in bodies[1].outputs]


# -- elementwise primitives --------------------------------------------------------------------------------------


def ruled(builder: Builder, instruction: Instruction, name: str, g: Value) -> Value | None:
    """The rule of an elementwise instruction for the argument of a name, applied: `g` is the gradient by the result, or the
    tangent of the argument in the shape of the result, as the rule is linear in it, element by element. None if the
    derivative is 0."""
    rule = RULES[instruction.name].get(name)
    if rule is None:
        return None
    names = arguments(instruction.name)
    known = {n: _operand(builder, v) for n, v in zip(names, instruction.args, strict=False)}
    known |= {"g": Symbol(builder, g, shared=True), "out": Symbol(builder, instruction.results[0], shared=True)}
    needs = rule.__code__.co_varnames[: rule.__code__.co_argcount]
    with np.errstate(all="ignore"):
        return array_of(builder, rule(*(known[n] for n in needs))).value


def _operand(builder: Builder, value: Value) -> Symbol | float:
    """An argument as a rule is given it: a single constant is a Python number, so that rules see exponents."""
    if isinstance(value, Constant) and not value.shape and value.dtype.kind in "biuf":
        number: float = value.array.item()
        return number
    return Symbol(builder, value, shared=True)


# -- what is differentiated as what it is made of ----------------------------------------------------------------


def _dot_add(builder: Builder, args: Sequence[Value], params: Params) -> Value:
    c, a, b = args
    return builder.emit("add", c, builder.emit("dot", a, b, **params))


def _add_at(builder: Builder, args: Sequence[Value], params: Params) -> Value:
    x, values, *index = args
    return builder.emit("add", x, builder.emit("scatter_add", values, *index, shape=x.shape, **params))


def _add_rows(builder: Builder, args: Sequence[Value], params: Params) -> Value:
    x, values, index = args
    return builder.emit("add", x, builder.emit("scatter_add", values, index, template=(Hole(0),), shape=x.shape))


def _reduce_multiply(builder: Builder, args: Sequence[Value], params: Params) -> Value:
    """The one half times the other, again and again: of products alone the derivatives are right where there are zeros,
    to any order, and take as long as the product."""
    (x,) = args
    rest = tuple(n for i, n in enumerate(x.shape) if i not in params["axes"])
    if 0 in x.shape:
        return builder.broadcast(Constant(np.ones((), x.dtype)), rest)
    for axis in params["axes"]:
        odd = []
        while (n := x.shape[axis]) > 1:
            if n % 2:
                odd.append(_part(builder, x, axis, n - 1, n))
            x = builder.emit("multiply", *(_part(builder, x, axis, i, i + n // 2) for i in (0, n // 2)))
        for each in odd:
            x = builder.emit("multiply", x, each)
    return builder.reshape(x, rest)


def _part(builder: Builder, x: Value, axis: int, begin: int, end: int) -> Value:
    return builder.emit(
        "slice", x, slices=tuple((begin, end, 1) if i == axis else (0, n, 1) for i, n in enumerate(x.shape))
    )


def _solve_triangular(builder: Builder, args: Sequence[Value], params: Params) -> Value:
    """The solution for a matrix that is 0 elsewhere."""
    a, b = args
    i = np.arange(a.shape[-1])
    read = (i[:, None] > i) if params["lower"] else (i[:, None] < i)
    if params["unit"]:
        a = builder.elementwise("where", Constant(np.eye(len(i), dtype=bool)), 1.0, a)
    a = builder.elementwise("where", Constant(read | np.eye(len(i), dtype=bool)), a, 0.0)
    if params["transposed"]:
        a = builder.transpose(a, (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2))
    return builder.emit("solve", a, b)


def _running_extreme(builder: Builder, args: Sequence[Value], params: Params, *, name: str) -> Value:
    """The elements that they are: of equal ones, and from the first nan on, the first."""
    axis: int = params["axis"]
    held = builder.emit(name, builder.emit("stop", args[0]), axis=axis)

    def moved(value: Value) -> Array:
        return np.moveaxis(cast("Array", Symbol(builder, value, shared=True)), axis, 0)

    out = moved(held)
    before, here = out[:-1], out[1:]
    stays = (before == here) | (np.isnan(before) & np.isnan(here))
    later = np.where(stays, 0, np.arange(1, len(out)).reshape(-1, *(1,) * (out.ndim - 1)))
    began = array_of(builder, np.concatenate([np.zeros((1, *out.shape[1:]), np.intp), later]))
    places = Symbol(builder, builder.emit("cummax", began.value, axis=0))
    found = np.take_along_axis(moved(args[0]), cast("Array", places), 0)
    return array_of(builder, np.moveaxis(found, 0, axis)).value


#: What an instruction is made of, of one result or several, by primitive. `ops.functions` adds NumPy's functions that ops
#: stand for.
DEFINITIONS: dict[str, Callable[[Builder, Sequence[Value], Params], Value | Sequence[Value]]] = {
    "add_at": _add_at,
    "add_rows": _add_rows,
    "cummax": partial(_running_extreme, name="cummax"),
    "cummin": partial(_running_extreme, name="cummin"),
    "dot_add": _dot_add,
    "reduce_multiply": _reduce_multiply,
    "solve_triangular": _solve_triangular,
}


def defined(instruction: Instruction) -> Program:
    """What an instruction is made of, as a program of its arguments."""
    builder = Builder()
    builder.line = instruction.line
    inputs = [Input(a.shape, a.dtype) for a in instruction.args]
    found = DEFINITIONS[instruction.name](builder, inputs, instruction.params)
    return Program(inputs, [], builder.body, [found] if isinstance(found, Value) else found, [])
