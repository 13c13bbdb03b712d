"""Convolutions of frozen programs as `convolve`: channels innermost, kernels packed for it, and what follows inside.

The transposes around one cancel with those around the next, so that maps stay as they are from the first to the last.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.kernels import channels_last, winograd_maps
from tapenet.ops.layers.convolution import family
from tapenet.ops.layers.convolution.geometry import Plan, plan
from tapenet.ops.op import Op
from tapenet.program import windows
from tapenet.program.called_ops import filled
from tapenet.program.ir import Answer, Builder, Constant, Instruction, Program, Value, rewrite
from tapenet.program.passes.patterns import made_by, number
from tapenet.typing import Shape

#: The ops that become it, with the number of their spatial axes.
OPS: dict[Op, int] = {family.conv1d: 1, family.conv2d: 2}
#: Images from which Winograd's algorithm may be quicker.
IMAGES = 16
_INNERMOST, _BACK = (0, 2, 3, 1), (0, 3, 1, 2)


def run(program: Program, every: bool = False) -> Program:
    """Put `convolve` in the place of calls of convolutions whose kernels are constants, and of products with constants; sums of
    maps and limits that follow go into it. Of `every` one, for any machine, or where floats are quicker so on this one."""
    if not every and _winograd(program):
        return program
    return rewrite(program, _Convolutions(program.uses(), every).change)


class _Convolutions:
    """The convolutions of a program, and what becomes part of them.

    Attributes:
        uses: how often each value is used.
        every: as for `run`.
        maps: of each convolution, by its result with channels in front.
        rows: of each product, by its result, or that in another shape.
    """

    def __init__(self, uses: dict[Value, int], every: bool) -> None:
        self.uses = uses
        self.every = every
        self.maps: dict[Value, Instruction] = {}
        self.rows: dict[Value, Instruction] = {}

    def change(self, instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        """What stands for an instruction."""
        found: Instruction | None
        match instruction.name:
            case "loop":
                before = instruction.params["body"]
                body = run(before, self.every)
                if body is not before:
                    return builder.several("loop", *args, **{**instruction.params, "body": body})
            case "dot":
                found = _product(instruction, args, builder, self.every)
                return None if found is None else self._as_rows(found, instruction.results[0].shape, builder)
            case "call" if instruction.params["op"] in OPS:
                found = _convolve(instruction, args, builder, self.every)
                return None if found is None else self._as_maps(found, instruction.results[0].shape, builder)
            case "reshape":
                return self._reshaped(instruction, args[0], builder)
            case "maximum" | "minimum" | "where":
                return self._within(instruction, args, builder)
            case "add":
                return self._with_bias(instruction, args, builder) or self._with_map(instruction, args, builder)
        return None

    def _as_maps(self, convolve: Instruction, shape: Shape, builder: Builder) -> Value:
        found = builder.reshape(builder.transpose(convolve.results[0], _BACK), shape)
        self.maps[found] = convolve
        return found

    def _as_rows(self, convolve: Instruction, shape: Shape, builder: Builder) -> Value:
        found = builder.reshape(convolve.results[0], shape)
        self.rows[found] = convolve
        return found

    def _reshaped(self, reshape: Instruction, value: Value, builder: Builder) -> Value | None:
        """A product in another shape with the same columns."""
        source, shape = self.rows.get(value), reshape.results[0].shape
        if source is None or self.uses[reshape.args[0]] > 1 or not shape or shape[-1] != value.shape[-1]:
            return None
        return self._as_rows(source, shape, builder)

    def _within(self, instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        """Limits, which are part of the convolution or product before them."""
        limited = _limited(instruction, args, self.uses)
        if limited is None:
            return None
        (value, limits), shape = limited, instruction.results[0].shape
        source = self.rows.get(value, self.maps.get(value))
        if source is None or value.shape != shape or "high" in source.params or limits.keys() & source.params.keys():
            return None
        made = _appended(builder, *source.args, **source.params, **limits)
        return (self._as_rows if value in self.rows else self._as_maps)(made, shape, builder)

    def _with_bias(self, add: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        """A product and a constant: one number for all, or one for each column, and not for each row."""
        shape = add.results[0].shape
        for i, value in enumerate(args):
            source, other = self.rows.get(value), args[1 - i]
            if source is None or self.uses[add.args[i]] > 1 or _ends(source) or value.shape != shape:
                continue
            if not isinstance(other, Constant) or other.size not in (1, *other.shape[-1:]):
                continue
            x, weight, bias = source.args
            assert isinstance(bias, Constant)
            bias = Constant(bias.array + other.array.reshape(-1))
            return self._as_rows(_appended(builder, x, weight, bias, **source.params), shape, builder)
        return None

    def _with_map(self, add: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        """A convolution and another map; of two convolutions the later one is added to."""
        shape = add.results[0].shape
        for i, value in reversed(list(enumerate(args))):
            source, other = self.maps.get(value), args[1 - i]
            if source is None or self.uses[add.args[i]] > 1 or _ends(source):
                continue
            if len(source.args) == 3 and other.shape == value.shape == shape:
                n, height, width, c = source.results[0].shape
                more = _innermost(other, (n, c, height, width), builder)
                return self._as_maps(_appended(builder, *source.args, more, **source.params), shape, builder)
        return None


def _appended(builder: Builder, *args: Value, **params: object) -> Instruction:
    """A `convolve` at the end of a program."""
    builder.several("convolve", *args, **params)
    return builder.body[-1]


def _ends(convolve: Instruction) -> bool:
    """Whether it keeps its results within limits, behind which nothing can be added."""
    return "low" in convolve.params or "high" in convolve.params


def _limited(
    instruction: Instruction, args: tuple[Value, ...], uses: dict[Value, int]
) -> tuple[Value, dict[str, float]] | None:
    """What an instruction that is the only one to use it keeps within limits, and these: a maximum or minimum, or two choices,
    as those of `tn.hardtanh`."""
    if instruction.name in ("maximum", "minimum"):
        for i, value in enumerate(args):
            limit = number(args[1 - i])
            if limit is not None and limit == limit and uses[instruction.args[i]] == 1:  # all is nan within nan
                return value, {"low" if instruction.name == "maximum" else "high": float(limit)}
    elif instruction.name == "where" and (inner := made_by(args[2], "where")) is not None:
        before = made_by(instruction.args[2], "where")
        below, above = made_by(args[0], "less_equal"), made_by(inner.args[0], "greater_equal")
        if before is not None and below is not None and above is not None:
            value, low, high = inner.args[2], number(args[1]), number(inner.args[1])
            same = below.args[0] is above.args[0] is value and (number(below.args[1]), number(above.args[1])) == (
                low,
                high,
            )
            alone = uses[before.args[2]] == 3 and uses[instruction.args[2]] == 1
            if same and alone and low is not None and high is not None and float(low) < float(high):
                return value, {"low": float(low), "high": float(high)}
    return None


def _winograd(program: Program) -> bool:
    """Whether Winograd's algorithm, which wants images innermost, saves more: there are enough of them, and most of the work
    is convolutions for it. (A ResNet-18 on 32 images of 32x32 takes 0.62 of the time so, and ResNet-8, of whose work it takes
    a third, 1.12.)"""
    total = saved = 0
    for call in program.body:
        if call.name == "call" and call.params["op"] in OPS:
            p = _plan(call, call.args)
            if p is None or p.batch < IMAGES:
                return False
            work = math.prod(p.out) * p.batch * p.outs * p.width
            total += work
            small = p.channels * p.outs < 12 * (p.channels + p.outs)
            saved += 0 if small or p.groups > 1 or p.kernel != (3, 3) or p.stride != (1, 1) else work
    return 2 * saved > total


def _plan(call: Instruction, args: tuple[Value, ...]) -> Plan | None:
    """The numbers of a convolution; None if its images are no value of the program."""
    given: dict[str, Any] = {n: filled(t, args) for n, t in call.params["template"].items()}
    if not isinstance(given["x"], Value) or not isinstance(given["weight"], Value):
        return None
    options = (given[n] for n in ("stride", "padding", "dilation", "groups"))
    found: Plan = plan(given["x"].shape, given["weight"].shape, *options, OPS[call.params["op"]])
    return found


def _four(shape: Shape, batched: bool) -> Shape:
    """The shape with a batch and two spatial axes."""
    shape = shape if batched else (1, *shape)
    return (*shape[:2], *(1,) * (4 - len(shape)), *shape[2:])


def _innermost(value: Value, shape: Shape, builder: Builder) -> Value:
    """Maps (batch, channels, height, width) as (batch, height, width, channels). One spatial axis is the width."""
    return builder.transpose(builder.reshape(value, shape), _INNERMOST)


def _convolve(call: Instruction, args: tuple[Value, ...], builder: Builder, every: bool) -> Instruction | None:
    """The `convolve` of a call, if there is one for it."""
    given: dict[str, Any] = {n: filled(t, args) for n, t in call.params["template"].items()}
    x, weight, bias = given["x"], given["weight"], given["bias"]
    if not isinstance(weight, Constant) or not isinstance(bias, (Constant, type(None))) or not isinstance(x, Value):
        return None
    p = _plan(call, args)
    assert p is not None
    alone = p.groups == p.channels == p.outs and p.groups > 1
    dtype = call.results[0].dtype
    if dtype.char not in "fd" or {x.dtype, weight.dtype} != {dtype}:
        return None
    if alone and np.prod(p.kernel) > windows.MOST_TAPS:
        return None
    if not alone and p.groups == p.channels > 1:  # a channel for several outs fills no vector: twice the time of a call
        return None
    one = (1,) * (2 - len(p.kernel))
    kernels = weight.array.reshape(*weight.shape[:2], *one, *p.kernel)
    borders = tuple((i.start, n - i.stop) for i, n in zip(p.inside[1:], p.padded, strict=True))
    params: dict[str, Any] = {
        "stride": one + tuple(p.stride),
        "dilation": one + tuple(p.dilation),
        "borders": ((0, 0),) * len(one) + borders,
    }
    if p.groups > 1 and not alone:  # 16 images take 0.5 to 0.75 of the time through a ResNeXt's blocks, one 0.7 to 1
        params["groups"] = p.groups
    maps = _innermost(x, _four(x.shape, p.batched), builder)
    found = windows.geometry(maps.shape, (*one, *p.kernel), p.outs, p.outs, alone, params)
    if alone:
        kernels = kernels[:, 0].transpose(1, 2, 0)
    elif not every and winograd_maps.pays(found, dtype.itemsize):
        kernels = winograd_maps.packed(kernels, found)
    else:
        width = p.outs // p.groups
        width = width if every else channels_last.width(width, p.width, (*one, *p.out), dtype.itemsize)
        kernels = kernels.reshape(-1, width, *kernels.shape[1:]).transpose(0, 3, 4, 2, 1)
    shift = np.zeros(p.outs, dtype) if bias is None else bias.array
    return _appended(builder, maps, Constant(np.ascontiguousarray(kernels)), Constant(shift), **params)


#: Turns and columns from which a product is one with packed weights. For each block of weights it reads its other operand, of
#: so many bytes at most. (An LSTM of 128 units on one sequence takes 0.91 of the time so.)
TURNS, COLUMNS, MOST = 16, 4, 1 << 20


def _product(dot: Instruction, args: tuple[Value, ...], builder: Builder, every: bool) -> Instruction | None:
    """The product of a matrix and a constant one as the convolution of a row of places: the weights are read from end to
    end, where a library would pack them at each call."""
    x, weight = args
    if not isinstance(weight, Constant) or x.ndim != 2 or dot.params.get("ta") or x.dtype.char not in "fd":
        return None
    kernels = weight.array.T if dot.params.get("tb") else weight.array
    n, (turns, outs) = x.shape[0], kernels.shape
    if not every and (turns < TURNS or outs < COLUMNS or x.nbytes > MOST):
        return None
    width = outs if every else channels_last.width(outs, turns, (1, n), x.dtype.itemsize)
    packed = np.ascontiguousarray(kernels.reshape(turns, -1, width).transpose(1, 0, 2)).reshape(-1, 1, 1, turns, width)
    row, shift = builder.reshape(x, (1, 1, n, turns)), Constant(np.zeros(outs, x.dtype))
    geometry = {"stride": (1, 1), "dilation": (1, 1), "borders": ((0, 0), (0, 0))}
    return _appended(builder, row, Constant(packed), shift, **geometry)
