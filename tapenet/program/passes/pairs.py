"""Loops that write complex numbers into arrays compute with pairs of floats: native code has no complex numbers.

An array of complex numbers becomes one of floats with one axis more, of length two: real and imaginary parts. Only loops all
of whose operations can be said so; others stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.program.called_ops import Hole, PlainFunction
from tapenet.program.ir import Answer, Builder, Constant, Input, Instruction, Program, Value, rewrite
from tapenet.program.primitives import Spec
from tapenet.typing import Array

#: What does to each part what it does to the whole.
_BY_PARTS = ("add", "subtract", "negative", "positive", "copy", "take", "concatenate")
_BOTH = (0, 2, 1)


def _pairs(array: Array) -> Array:
    return np.stack((array.real, array.imag), -1)


def _of_pairs(array: Array) -> Array:
    found: Array = np.ascontiguousarray(array).view(array.dtype.char.upper())[..., 0]
    return found


_TO, _FROM = PlainFunction("pairs", _pairs, ["x"]), PlainFunction("of_pairs", _of_pairs, ["x"])


def _converted(builder: Builder, op: PlainFunction, value: Value, spec: Spec) -> Value:
    return builder.emit("call", value, op=op, template={"x": Hole(0)}, specs=[spec])


class _Other(Exception):
    """An operation that is not said in pairs."""


def run(program: Program) -> Program:
    """Rewrite the loops of a program."""
    return rewrite(program, _changed) if any(map(_wanted, program.body)) else program


def _wanted(instruction: Instruction) -> bool:
    """Whether an instruction is a loop that writes complex numbers into what it carries."""
    return instruction.name == "loop" and any(
        (i.name == "put" and _is_complex(i.results[0])) or _wanted(i) for i in instruction.params["body"].body
    )


def _changed(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
    if not _wanted(instruction):
        return None
    try:
        body = _body(instruction.params["body"])
    except _Other:
        return None
    given = [_split(builder, a) if _is_complex(a) else a for a in args]
    results = builder.several("loop", *given, **{**instruction.params, "body": body})
    return tuple(
        _converted(builder, _FROM, new, Spec(old.shape, old.dtype)) if _is_complex(old) else new
        for old, new in zip(instruction.results, results, strict=True)
    )


def _is_complex(value: Value) -> bool:
    return value.dtype.char in "FD"


def _real(dtype: np.dtype) -> np.dtype:
    return np.dtype(dtype.char.lower())


def _split(builder: Builder, value: Value) -> Value:
    if isinstance(value, Constant):
        return Constant(_pairs(value.array))
    return _converted(builder, _TO, value, Spec((*value.shape, 2), _real(value.dtype)))


def _body(program: Program) -> Program:
    """A body in pairs.

    Raises:
        _Other: there is none.
    """
    builder = Builder()
    known: dict[Value, Value] = {}

    def now(value: Value) -> Value:
        if isinstance(value, Constant) and _is_complex(value):
            return Constant(_pairs(value.array))
        return known.get(value, value)

    for value in program.inputs:
        known[value] = Input((*value.shape, 2), _real(value.dtype)) if _is_complex(value) else value
    for instruction in program.body:
        builder.line = instruction.line
        made = _said(builder, instruction, [now(a) for a in instruction.args])
        known.update(zip(instruction.results, made, strict=True))
    if program.hosts or program.writes:
        raise _Other
    inputs = [now(v) for v in program.inputs]
    return Program(inputs, [], builder.body, [now(v) for v in program.outputs], [])  # type: ignore[arg-type]


def _said(builder: Builder, instruction: Instruction, args: Sequence[Value]) -> Sequence[Value]:
    """An instruction on pairs."""
    name, params, old = instruction.name, dict(instruction.params), instruction.args
    if instruction.kind == "call":  # Python would be called in any case
        raise _Other
    if not any(map(_is_complex, (*old, *instruction.results))):
        return builder.several(name, *args, **params)
    x = args[0]
    match name:
        case "multiply":
            (a, b), (c, d) = (_parts(builder, v) for v in args)
            real = builder.emit("subtract", builder.emit("multiply", a, c), builder.emit("multiply", b, d))
            imaginary = builder.emit("add", builder.emit("multiply", a, d), builder.emit("multiply", b, c))
            return [builder.emit("concatenate", real, imaginary, axis=real.ndim - 1)]
        case "cast" if not _is_complex(old[0]):
            real = builder.reshape(builder.cast(x, _real(instruction.results[0].dtype)), (*x.shape, 1))
            zero = builder.broadcast(Constant(np.zeros((), real.dtype)), real.shape)
            return [builder.emit("concatenate", real, zero, axis=real.ndim - 1)]
        case "reshape" | "broadcast":
            return [builder.emit(name, x, shape=(*params["shape"], 2))]
        case "transpose":
            return [builder.emit(name, x, axes=(*params["axes"], x.ndim - 1))]
        case "slice" | "update":
            return [builder.emit(name, *args, slices=(*params["slices"], _BOTH))]
        case "loop":
            return builder.several(name, *args, **{**params, "body": _body(params["body"])})
        case "index" | "put":
            return [builder.emit(name, *args, template=_template(instruction))]
    if name not in _BY_PARTS:
        raise _Other
    return builder.several(name, *args, **params)


def _parts(builder: Builder, value: Value) -> tuple[Value, Value]:
    """Real and imaginary parts, each with an axis of length one at the end."""
    whole = [(0, n, 1) for n in value.shape[:-1]]
    return (
        builder.emit("slice", value, slices=(*whole, (0, 1, 1))),
        builder.emit("slice", value, slices=(*whole, (1, 2, 1))),
    )


def _template(instruction: Instruction) -> tuple[object, ...]:
    """An index that takes whole pairs."""
    template = instruction.params["template"]
    if type(template) is not tuple or not all(isinstance(t, (Hole, int, slice)) for t in template):
        raise _Other
    numbers = instruction.args[2 if instruction.name == "put" else 1 :]
    if any(v.dtype.kind not in "iu" for v in numbers) or any(t is True or t is False for t in template):
        raise _Other
    return (*template, *(slice(None),) * (instruction.args[0].ndim - len(template) + 1))


__all__ = ["run"]
