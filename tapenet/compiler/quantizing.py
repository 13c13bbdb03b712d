"""`tn.compile(model, frozen=True, quantize=examples)`: convolutions and products with constants in integers of 8 bits.

Examples are run through the program, and each map that goes into a convolution or comes out of one gets a scale and a zero:
it is scale · (integer - zero), of integers from 0 to 255 that reach from the least to the greatest number seen, and hold 0.
Weights are scale · integer of integers from -127 to 127, with a scale for each channel of the result. What a convolution
gives to another one stays integers; all else is computed in floats.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tapenet.kernels import quantized_maps
from tapenet.ops.layers.quantized import quantized_weight
from tapenet.program.called_ops import Resized
from tapenet.program.ir import Answer, Builder, Constant, Instruction, Program, Result, Value, rewrite
from tapenet.program.passes import dead
from tapenet.program.primitives import Spec
from tapenet.program.quantized_windows import packed
from tapenet.program.windows import shape_of
from tapenet.typing import Array

#: The largest integer that is used for a number, and the most terms of a sum that 32 bits always hold.
LARGEST = 255
TERMS = (2**31 - 1) // (LARGEST * 127)
_VIEWS = ("reshape", "transpose")


class Scale(NamedTuple):
    """Of integers that stand for floats: scale · (integer - zero)."""

    scale: float
    zero: int

    @classmethod
    def of(cls, least: float, greatest: float) -> Scale:
        """That of numbers from one to another, with 0 among them."""
        least, greatest = min(least, 0.0), max(greatest, 0.0)
        scale = float(np.float32((greatest - least) / LARGEST))
        if scale < np.finfo(np.float32).tiny:  # of zeros, or of what has no reciprocal
            scale = 1.0
        return cls(scale, min(round(-least / scale), LARGEST))


class _Integers(NamedTuple):
    """Integers of the program, and what they stand for."""

    value: Value
    scale: Scale


def quantized(program: Program, examples: Sequence[Array], native: bool) -> Program:
    """The program with its convolutions in integers.

    Args:
        program: a program whose convolutions and products with constants are `convolve`.
        examples: for each argument an array of some examples along the first axis.
        native: whether it becomes machine code.

    Raises:
        ValueError: examples do not fit the arguments, or a number that comes of them is not finite.
    """
    if not all(math.prod(i.shape) for i in program.inputs):
        return program
    scales = _scales(program, examples)
    return _in_integers(program, scales, native) if scales else program


def _chosen(program: Program) -> dict[Value, Instruction]:
    """The convolutions of a program that can be in integers, by their results."""
    return {i.results[0]: i for i in program.body if i.name == "convolve" and _fits(i)}


def _maps(program: Program) -> list[Value]:
    """What goes into them, and comes out."""
    return [*dict.fromkeys(v for i in _chosen(program).values() for v in (i.args[0], *i.args[3:], i.results[0]))]


def _in_integers(program: Program, scales: dict[Value, Scale], native: bool) -> Program:
    """A program, or what a loop runs, with its convolutions in integers."""
    chosen = _chosen(program)
    #: Results that go into other convolutions.
    passed = {_origin(v) for i in chosen.values() for v in (i.args[0], *i.args[3:])}
    made: dict[Value, _Integers] = {}

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if instruction.name == "loop" and _chosen(instruction.params["body"]):
            body = _in_integers(instruction.params["body"], scales, native)
            return builder.several("loop", *args, **{**instruction.params, "body": body})
        (result, *_) = instruction.results
        if result not in chosen:
            return None
        maps = zip((instruction.args[0], *instruction.args[3:]), (args[0], *args[3:]), strict=True)
        inputs = [_integers(new, scales[old], made, builder) for old, new in maps]
        to = scales[result] if result in passed else None
        found = _convolved(instruction, inputs, to, native, builder)
        if to is None:
            return found
        out = _floats(found, to, builder)
        made[out] = _Integers(found, to)
        return out

    return rewrite(program, change)


def _fits(convolve: Instruction) -> bool:
    """Whether it is one of floats of 32 bits, without groups, whose sums 32 bits hold."""
    weight = convolve.args[1]
    alone = weight.ndim == 3
    terms = math.prod(weight.shape[:2]) if alone else math.prod(weight.shape[1:4])
    return convolve.results[0].dtype.char == "f" and "groups" not in convolve.params and terms <= TERMS


def _origin(value: Value) -> Value:
    """What it is a view of."""
    while isinstance(value, Result) and value.instruction.name in _VIEWS:
        value = value.instruction.args[0]
    return value


def _blocks(program: Program, examples: Sequence[Array]) -> Iterator[list[Array]]:
    """Examples as arguments, again from the first where the last are too few."""
    if len(examples) != len(program.inputs):
        raise ValueError(
            f"quantize: examples for {len(examples)} arguments, of {len(program.inputs)}: give an array for one argument, a "
            "tuple of arrays for several"
        )
    count = 1
    for example, given in zip(examples, program.inputs, strict=True):
        if example.shape == given.shape:
            continue
        if example.shape[1:] != given.shape[1:] or not example.size or not given.shape:
            raise ValueError(
                f"quantize: examples of shape {example.shape} for an argument of shape {given.shape}: only the number of "
                "them, along the first axis, may be another"
            )
        count = max(count, -(-len(example) // given.shape[0]))
    for example, given in zip(examples, program.inputs, strict=True):
        if example.dtype != given.dtype and not np.can_cast(example.dtype, given.dtype, "same_kind"):
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                same = np.array_equal(example.astype(given.dtype), example)
            if not same:
                raise ValueError(
                    f"quantize: examples of {example.dtype} for an argument of {given.dtype}, which has other numbers: give "
                    "examples as the arguments will be"
                )
    for i in range(count):
        yield [
            e.astype(g.dtype) if e.shape == g.shape
            else np.take(e, np.arange(i * g.shape[0], (i + 1) * g.shape[0]), axis=0, mode="wrap").astype(g.dtype)
            for e, g in zip(examples, program.inputs, strict=True)
        ]  # fmt: skip


def _scales(program: Program, examples: Sequence[Array]) -> dict[Value, Scale]:
    """The scales of the maps of a program, and of those in its loops, which are made to give them turn by turn."""
    inside: dict[Value, Value] = {}

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if instruction.name != "loop":
            return None
        body, count = instruction.params["body"], len(instruction.results)
        inner = _maps(body)
        body = Program(body.inputs, [], body.body, [*body.outputs, *inner], [])
        outs = builder.several("loop", *args, **{**instruction.params, "body": body})
        inside.update(zip(inner, outs[count:], strict=True))
        return outs[:count]

    maps = _maps(program)
    seen = rewrite(Program(program.inputs, program.hosts, program.body, maps, []), change)
    seen = Program(seen.inputs, seen.hosts, seen.body, [*seen.outputs, *inside.values()], [])
    # What a call tells the user, or does, it is not to do for each of the examples.
    uses = seen.uses()
    body = [i for i in seen.body if not i.effect or any(uses.get(r) for r in i.results)]
    seen = dead.run(Program(seen.inputs, seen.hosts, body, seen.outputs, []))
    maps += inside
    least, greatest = np.full(len(maps), np.inf), np.full(len(maps), -np.inf)
    for arguments in _blocks(program, examples) if maps else ():
        try:
            arrays = seen.evaluate(arguments)
        except Resized:
            raise ValueError(
                "quantize: values of the arguments decide how many elements there are, and other examples have other numbers "
                "of them: np.where(mask, x, 0) in place of x[mask] keeps the shape"
            ) from None
        least = np.minimum(least, [a.min() for a in arrays])
        greatest = np.maximum(greatest, [a.max() for a in arrays])
    if maps and not np.isfinite([least, greatest]).all():
        raise ValueError("quantize: examples that give nan or infinity, for which there is no scale")
    return {v: Scale.of(float(a), float(b)) for v, a, b in zip(maps, least, greatest, strict=True)}


# -- between floats and integers ------------------------------------------------------------------------------------


def _float(number: float) -> Constant:
    return Constant(np.asarray(number, np.float32))


def _integers(value: Value, scale: Scale, made: dict[Value, _Integers], builder: Builder) -> _Integers:
    """A map as integers: those it was made of, if it was, else its nearest. nan counts as the least number."""
    known = _known(value, made, builder)
    if known is not None:
        return known
    whole = builder.emit("rint", builder.emit("multiply", value, _float(1 / scale.scale)))
    moved = builder.emit("add", whole, _float(scale.zero)) if scale.zero else whole
    limited = builder.emit("fmin", builder.emit("fmax", moved, _float(0.0)), _float(LARGEST))
    made[value] = _Integers(builder.cast(limited, np.uint8), scale)
    return made[value]


def _known(value: Value, made: dict[Value, _Integers], builder: Builder) -> _Integers | None:
    if value not in made and isinstance(value, Result) and value.instruction.name in _VIEWS:
        source = value.instruction
        found = _known(source.args[0], made, builder)
        if found is not None:
            made[value] = _Integers(builder.emit(source.name, found.value, **source.params), found.scale)
    return made.get(value)


def _floats(value: Value, scale: Scale, builder: Builder) -> Value:
    """What integers stand for."""
    number = builder.cast(value, np.float32)
    if scale.zero:
        number = builder.emit("subtract", number, _float(scale.zero))
    return builder.emit("multiply", number, _float(scale.scale))


# -- convolutions ----------------------------------------------------------------------------------------------------


def _kernels(weight: Array) -> Array:
    """The kernels (height, width, channels, outs) of a `convolve`."""
    moved = weight.transpose(1, 2, 3, 0, 4)
    return moved.reshape(*moved.shape[:3], -1)


def _convolved(
    convolve: Instruction, inputs: list[_Integers], to: Scale | None, native: bool, builder: Builder
) -> Value:
    """A convolution in integers, whose result is integers of a scale, or floats."""
    _, weight, bias, *_ = convolve.args
    assert isinstance(weight, Constant)
    assert isinstance(bias, Constant)
    params = dict(convolve.params)
    maps = shape_of([Spec(a.shape, a.dtype) for a in convolve.args], params).maps
    floats = weight.array if maps.alone else _kernels(weight.array)
    integers, scale = quantized_weight(np.ascontiguousarray(floats.reshape(-1, maps.outs).T))
    kernels = integers.T.reshape(floats.shape)
    (x, of), more = inputs[0], inputs[1:]
    # In units of the result, from the exact sums of integers.
    unit, zero = (1.0, 0) if to is None else to
    factor = scale.astype(float) * of.scale / unit
    shift = bias.array / unit + zero - factor * of.zero * integers.sum(axis=1, dtype=float)
    args = [x]
    for other in more:
        params["share"] = float(np.float32(other.scale.scale / unit))
        shift = shift - params["share"] * other.scale.zero
        args.append(other.value)
    for name in ("low", "high"):
        if name in params and to is not None:
            params[name] = params[name] / unit + zero
    if to is not None:
        params["low"] = float(max(0, params.get("low", 0)))
        params["high"] = float(min(LARGEST, params.get("high", LARGEST)))
    dilated = maps.dilation[1] > 1
    width = maps.outs
    if native and not maps.alone:
        run = maps.channels * (1 if dilated else maps.kernel[1])
        turns = maps.kernel[0] * (maps.kernel[1] if dilated else 1)
        width = quantized_maps.width(maps.outs, turns * -(-run // quantized_maps.GROUP), maps.out)
    args[1:1] = [
        Constant(packed(kernels, maps.alone, dilated, width)), Constant(factor.astype(np.float32)),
        Constant(shift.astype(np.float32)),
    ]  # fmt: skip
    return builder.emit("quantized_convolve", *args, **params, kernel=maps.kernel, zero=of.zero, rounded=to is not None)
