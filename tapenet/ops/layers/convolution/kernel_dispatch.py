"""The three products of convolution in machine code, where there is a kernel that pays: None where there is not."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np

from tapenet import kernels
from tapenet.ops.layers.convolution.geometry import Ints, Plan
from tapenet.typing import Array, DType

#: Multiply-adds from which a kernel is worth the time that it takes to compile once.
WORTH = 100_000


class _Axis(NamedTuple):
    """What the gradient by the input adds up at every `step`-th place from `start` on: `number` places, to each of which
    the taps `kernel` contribute from `offsets` in the padded output gradient."""

    start: int
    number: int
    kernel: Ints
    offsets: Ints


def conv(x: Array, weight: Array, bias: Array | None, p: Plan) -> Array | None:
    """The convolution as (outs, spatial axes, batch)."""
    made = _kernels(x, weight, p)
    if made is None:
        return None
    direct, winograd, moves = made
    if bias is None:
        bias = np.zeros(p.outs, x.dtype)
    bias = np.ascontiguousarray(bias, x.dtype)
    if _square(p):
        shape = winograd.Shape(p.channels, p.outs, *p.out, p.batch, x.shape[1:3], tuple(_befores(p)))
        if winograd.pays(x.dtype.char, shape):
            out = _result((p.outs, *p.out), x.dtype, p)
            winograd.convolve(moves.batch_last(x), weight, bias, out, shape)
            return out
    shape = _forward(direct, p)
    if not direct.takes(x.dtype.char, shape):
        return None
    out = _result((p.outs, *p.out), x.dtype, p)
    flat = np.ascontiguousarray(weight).reshape(p.outs, p.channels // p.groups, -1)
    direct.sums(_bordered(moves, x, _befores(p), p.padded), flat, bias, out, shape)
    return out


def input_grad(y: Array, weight: Array, p: Plan) -> Array | None:
    """The gradient by the input, (channels, spatial axes, batch), of an output gradient (outs, spatial axes, batch)."""
    made = _kernels(y, weight, p)
    if made is None:
        return None
    direct, winograd, moves = made
    sizes = _sizes(p)
    if _square(p):
        befores = tuple(2 - a for a in _befores(p))
        shape = winograd.Shape(p.outs, p.channels, *sizes, p.batch, p.out, befores)
        if winograd.pays(y.dtype.char, shape):
            found = _result((p.channels, *sizes), y.dtype, p)
            turned = weight[:, :, ::-1, ::-1].swapaxes(0, 1)
            bias = np.zeros(p.channels, y.dtype)
            winograd.convolve(moves.batch_last(y), turned, bias, found, shape)
            return found
    return _phases(direct, moves, y, weight, p, sizes)


def weight_grad(x: Array, y: Array, p: Plan) -> Array | None:
    """The gradient by the weights, (outs, channels / groups, kernel), of an output gradient (outs, spatial axes, batch)."""
    if p.batch == 1 and p.channels > p.groups > 1:  # sums over one image's short rows: columns take half the time
        return None
    made = _kernels(x, y, p)
    if made is None:
        return None
    direct, winograd, moves = made
    y = moves.batch_last(y)
    if _square(p):
        shape = winograd.Shape(p.channels, p.outs, *p.out, p.batch, x.shape[1:3], tuple(_befores(p)))
        if winograd.pays(x.dtype.char, shape):
            by_weight: Array = winograd.weight_grad(moves.batch_last(x), y, shape)
            return by_weight
    shape = _forward(direct, p)
    if not direct.takes(x.dtype.char, shape):
        return None
    found = np.zeros((p.outs, p.channels // p.groups, *p.kernel), x.dtype)
    direct.weight_sums(_bordered(moves, x, _befores(p), p.padded), found, y, shape)
    return found


def _kernels(a: Array, b: Array, p: Plan) -> tuple[ModuleType, ModuleType, ModuleType] | None:
    """The kernels of the direct sum, of Winograd's and of moves, if there are any for this work."""
    work = math.prod(p.out) * p.batch * p.outs * p.width
    if work < WORTH or not kernels.fit(a, b):
        return None
    direct, winograd, moves = map(kernels.use, ("convolution", "winograd", "moves"))
    return None if direct is None or winograd is None or moves is None else (direct, winograd, moves)


def _square(p: Plan) -> bool:
    """Whether Winograd's algorithm is for it."""
    return p.kernel == (3, 3) and p.stride == p.dilation == (1, 1) and p.groups == 1


def _result(shape: Ints, dtype: DType, p: Plan) -> Array:
    """Memory for a result, batch innermost."""
    axes = (*range(1, len(shape) + 1), 0) if p.batched else None
    return kernels.empty((*shape, p.batch), dtype, axes)


def _befores(p: Plan) -> list[int]:
    """The border in front of each spatial axis."""
    return [inside.start for inside in p.inside[1:]]


def _sizes(p: Plan) -> Ints:
    """The lengths of the input's spatial axes without borders."""
    return tuple(inside.stop - inside.start for inside in p.inside[1:])


def _bordered(moves: ModuleType, x: Array, befores: Sequence[int], padded: Ints) -> Array:
    """x (channels, spatial axes, batch) within zeros, C-contiguous. What does not fit in at the end is cut off."""
    if x.shape[1:-1] == tuple(padded) and not any(befores):
        return moves.batch_last(x)  # type: ignore[no-any-return]
    made = kernels.aligned((x.shape[0], *padded, x.shape[-1]), x.dtype)
    inside = []
    for axis, (before, length, n) in enumerate(zip(befores, padded, x.shape[1:-1], strict=True), 1):
        end = min(before + n, length)
        for border in (slice(0, before), slice(end, length)):
            made[(slice(None),) * axis + (border,)] = 0
        inside.append(slice(before, end))
    taken = tuple(slice(0, place.stop - place.start) for place in inside)
    moves.put(x[(slice(None), *taken)], made[(slice(None), *inside)])
    return made


def _three(values: Sequence[int], fill: int) -> Ints:
    """One value for each of depth, height and width."""
    return (fill,) * (3 - len(values)) + tuple(values)


@functools.lru_cache(maxsize=512)  # a plan is one object for all calls with the same shapes
def _forward(direct: ModuleType, p: Plan) -> object:
    taps = itertools.product(*[tuple(i * d for i in range(k)) for k, d in zip(p.kernel, p.dilation, strict=True)])
    return direct.Shape(
        channels=p.channels,
        outs=p.outs,
        groups=p.groups,
        batch=p.batch,
        x=_three(p.padded, 1),
        out=_three(p.out, 1),
        counts=_three(p.out, 1),
        step=_three(p.stride, 1),
        taps=tuple(_three(tap, 0) for tap in taps),
    )


# -- the gradient by the input -----------------------------------------------------------------------------------


def _phases(direct: ModuleType, moves: ModuleType, y: Array, weight: Array, p: Plan, sizes: Ints) -> Array | None:
    """With a stride s every s-th place sees the same taps; each of these phases is a convolution with some of them."""
    befores, padded, planned = _planned(direct, p, sizes)
    if not all(direct.takes(y.dtype.char, shape) for _, shape in planned):
        return None
    y = _bordered(moves, y, befores, padded)
    found = _result((p.channels, *sizes), y.dtype, p)
    bias = np.zeros(p.channels, y.dtype)
    # (outs, channels / groups, kernel) as (channels, outs / groups, kernel).
    grouped = weight.reshape(p.groups, p.outs // p.groups, p.channels // p.groups, *p.kernel).swapaxes(1, 2)
    for taps, shape in planned:
        flat = np.ascontiguousarray(grouped[(slice(None),) * 3 + taps]).reshape(p.channels, p.outs // p.groups, -1)
        direct.sums(y, flat, bias, found, shape)
    return found


@functools.lru_cache(maxsize=512)
def _planned(
    direct: ModuleType, p: Plan, sizes: Ints
) -> tuple[list[int], Ints, list[tuple[tuple[Array, ...], object]]]:
    """The border in front of the output gradient, its lengths with borders, and for each phase the index of its taps in
    the kernel, and its sum."""
    axes = [
        _phases_of(n, k, s, d, a)
        for n, k, s, d, a in zip(sizes, p.kernel, p.stride, p.dilation, _befores(p), strict=True)
    ]
    befores = [max(0, -min(o for phase in axis for o in phase.offsets)) for axis in axes]
    padded = tuple(
        max(before + m, max(before + max(phase.offsets) + phase.number for phase in axis))
        for axis, before, m in zip(axes, befores, p.out, strict=True)
    )
    planned = []
    for phases in itertools.product(*axes):
        taps = itertools.product(*([o + b for o in f.offsets] for f, b in zip(phases, befores, strict=True)))
        shape = direct.Shape(
            channels=p.outs,
            outs=p.channels,
            groups=p.groups,
            batch=p.batch,
            x=_three(padded, 1),
            out=_three(sizes, 1),
            counts=_three([f.number for f in phases], 1),
            step=(1, 1, 1),
            taps=tuple(_three(tap, 0) for tap in taps),
            out_step=_three(p.stride, 1),
            out_start=_three([f.start for f in phases], 0),
        )
        planned.append((np.ix_(*(f.kernel for f in phases)), shape))
    return befores, padded, planned


def _phases_of(size: int, kernel: int, stride: int, dilation: int, before: int) -> list[_Axis]:
    """The phases along one axis. Place q of the input is seen by output i through tap k if q + before = i stride + k
    dilation."""
    phases = []
    for start in range(min(stride, size)):
        taps = [k for k in range(kernel) if (start + before - k * dilation) % stride == 0]
        offsets = tuple((start + before - k * dilation) // stride for k in taps)
        phases.append(_Axis(start, -(-(size - start) // stride), tuple(taps), offsets))
    # A phase without taps has no gradient: it reads one that is all border.
    return [f if f.kernel else f._replace(kernel=(0,), offsets=(-f.number,)) for f in phases]
