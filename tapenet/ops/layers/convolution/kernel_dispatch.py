"""The three products of convolution in machine code, where there is a kernel that pays: None where there is not."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from tapenet import kernels
from tapenet.ops.layers.convolution.geometry import Ints, Plan
from tapenet.typing import Array, DType

#: Multiply-adds from which a kernel is worth the time that it takes to compile once.
WORTH = 100_000
#: Channels from which the taps of a sum see places beside x, where its weights, which are brought into their order, are fewer
#: numbers than a copy of x within borders: 128-128 channels on 64 images of 8 x 8, 3 x 3, stride 2, take 0.85 of the time so.
BEYOND = 32
#: From so many weights of one place on, an outer product saves more time than asking for its kernel takes.
ASKED = 20_000
#: Columns up to which an input's gradient is made of a product, and numbers of the output's gradient from which it is.
NARROW, LARGE = 32, 1 << 17
#: Multiply-adds that bringing a weight into another order costs.
TURNED = 20
#: Where one product takes the place of that: the most taps (the code that adds up columns grows with them), the fewest outputs,
#: the most places for each output, and the most numbers of columns, as far as it was measured.
FEW_TAPS, MANY_OUTS, FEW_PLACES, COLUMNS = 9, 128, 8, 5 << 18


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
    direct, winograd, gathered, moves = made
    # What windows of a batch see is quicker gathered than copied first. Of one image 3-96 channels at 224, 4 x 4, stride 4,
    # take 0.77 of the time so, 64-128 at 56, 1 x 1, stride 2, 0.85; but 32-64 at 128, 2 x 2, stride 2, 1.1 to 1.4.
    copied = p.batch == 1 and (math.prod(p.kernel) == 1 or p.stride[-1] > 2 or p.places < gathered.COLUMNS)
    if (p.alone or copied) and (product := _product(p, (100, 800))) is not None:
        out = _result((p.outs, *p.out), x.dtype, p)
        product(np.ascontiguousarray(weight).reshape(p.outs, -1), _columns(moves, x, p), out.reshape(p.outs, -1))
        if bias is not None:
            moves.add_to_rows(out.reshape(p.outs, -1), np.ascontiguousarray(bias, x.dtype))
        return out
    if bias is None:
        bias = moves.zeros(p.outs, x.dtype)
    bias = np.ascontiguousarray(bias, x.dtype)
    if (square := _by_winograd(winograd, x.dtype.char, p, False)) is not None:
        out = _result((p.outs, *p.out), x.dtype, p)
        (_strided() if square.stride > 1 else winograd).convolve(moves.batch_last(x), weight, bias, out, square)
        return out
    by_channels = _by_channels(x.dtype.char, p, False)
    if by_channels is not None:
        out = _result((p.outs, *p.out), x.dtype, p)
        alone = np.ascontiguousarray(weight).reshape(p.outs, -1)
        by_channels[0].sums(moves.batch_last(x), alone, bias, out, by_channels[1])
        return out
    shape, taps, planes = _forward(direct, p, _comes_apart(moves, x, p))
    gather = _gathers(direct, gathered, x.dtype.char, shape, gathered.pays)
    if gather is None:
        return None
    if gather and p.apart:  # what no other window sees is brought together as it is gathered
        shape, taps, planes = _forward(direct, p, False)
    out = _result((p.outs, *p.out), x.dtype, p)
    channels = p.channels // p.groups
    flat = np.ascontiguousarray(weight).reshape(p.outs, channels, -1)
    small = flat.size <= p.channels * math.prod(p.padded) * p.batch
    if gather and p.bordered and small and channels >= BEYOND and gathered.reads_beyond(p.batch, x.dtype.char):
        shape, taps, _ = _forward(direct, p, False, True)
        lie = gathered.Weights(channels, 1, tuple(i * p.outs * channels for i in range(len(taps))))
        gathered.sums(moves.batch_last(x), gathered.by_taps(flat, taps), lie, bias, out, shape)
        return out
    x = _windows_of(moves, x, p, planes)
    if gather:
        lie = gathered.Weights(p.width, flat.shape[2], taps)
        gathered.sums(x, flat, lie, bias, out, shape)
    else:
        direct.sums(
            x, flat if len(taps) == flat.shape[2] else moves.picked(flat, p.groups, taps, False), bias, out, shape
        )
    return out


def input_grad(y: Array, weight: Array, p: Plan) -> Array | None:
    """The gradient by the input, (channels, spatial axes, batch), of an output gradient (outs, spatial axes, batch)."""
    made = _kernels(y, weight, p)
    if made is None:
        return None
    direct, winograd, gathered, moves = made
    sizes = p.sizes
    beside = all(n == m * k for n, m, k in zip(sizes, p.out, p.kernel, strict=True))  # what windows see
    if beside and (product := _product(p, (1, 800))) is not None:
        found = _result((p.channels, *sizes), y.dtype, p)
        columns = (
            found
            if p.width == p.channels
            else kernels.aligned((p.channels, *_two(p.kernel), *_two(p.out), p.batch), y.dtype)
        )
        flat = moves.batch_last(y).reshape(p.outs, -1)
        product(np.ascontiguousarray(weight).reshape(p.outs, -1), flat, columns.reshape(p.width, -1), "left")
        if columns is not found:
            moves.from_patches(columns, found.reshape(p.channels, *_two(sizes), p.batch))
        return found
    by_channels = _by_channels(y.dtype.char, p, True)
    if by_channels is not None:
        found = _result((p.channels, *sizes), y.dtype, p)
        bias, flat = moves.zeros(p.channels, y.dtype), np.ascontiguousarray(weight).reshape(p.outs, -1)
        by_channels[0].sums(moves.batch_last(y), flat, bias, found, by_channels[1])
        return found
    if (square := _by_winograd(winograd, y.dtype.char, p, True, back=True)) is not None:
        found = _result((p.channels, *sizes), y.dtype, p)
        if square.stride > 1:
            _strided().input_grad(moves.batch_last(y), weight, found, square)
            return found
        winograd.convolve(moves.batch_last(y), weight, moves.zeros(p.channels, y.dtype), found, square, flipped=True)
        return found
    return _phases(direct, gathered, moves, y, weight, p, sizes)


def add_bias(out: Array, bias: Array, axes: int, work: int) -> bool:
    """Add a bias to the channels of what so much work has given, (channels, spatial axes) with or without a batch in
    front, innermost in memory. False, and nothing is done, where no kernel pays."""
    if work < WORTH or not isinstance(out, np.ndarray) or not (kernels.fit(out, bias) and kernels.on()):
        return False
    rows = out if out.ndim == axes + 1 else np.moveaxis(out, 0, -1)
    if rows.flags.c_contiguous:
        *_, moves = _modules()
        moves.add_to_rows(rows.reshape(len(rows), -1), np.ascontiguousarray(bias))
    return rows.flags.c_contiguous


def weight_grad(x: Array, y: Array, p: Plan) -> Array | None:
    """The gradient by the weights, (outs, channels / groups, kernel), of an output gradient (outs, spatial axes, batch)."""
    if p.work >= ASKED and p.single and (outer := _outer(x, y, p)) is not None:
        return outer
    made = _kernels(x, y, p)
    if made is None:
        return None
    direct, winograd, gathered, moves = made
    # Of few columns other sums, of which threads share the places, are quicker: 32 by 16 over 16 images of 32 x 32 would take
    # 1.9 of the time on two, as each brings all columns into panels. Many rows are worth it: 96 by 16 takes 0.85 of the time,
    # on two threads 0.87 to 1.03.
    many = p.width >= 24 or (p.width >= 16 and p.outs >= 64)
    if many and (product := _product(p, (1, 64))) is not None:
        found = kernels.empty((p.outs, p.channels, *p.kernel), x.dtype)
        product(moves.batch_last(y).reshape(p.outs, -1), _columns(moves, x, p), found.reshape(p.outs, -1), "right")
        return found
    y = moves.batch_last(y)
    if (square := _by_winograd(winograd, x.dtype.char, p, True)) is not None:
        by_weight: Array = winograd.weight_grad(moves.batch_last(x), y, square)
        return by_weight
    by_channels = _by_channels(x.dtype.char, p, False)
    if by_channels is not None:
        alone = kernels.empty((p.outs, 1, *p.kernel), x.dtype)
        moves.clear(alone)
        by_channels[0].weight_sums(moves.batch_last(x), y, alone, by_channels[1])
        return alone
    shape, taps, planes = _forward(direct, p, _comes_apart(moves, x, p))
    gather = _gathers(direct, gathered, x.dtype.char, shape, gathered.weights_pay)
    if gather is None:
        return None
    found = kernels.empty((p.outs, p.channels // p.groups, *p.kernel), x.dtype)
    flat = found.reshape(p.outs, p.channels // p.groups, -1)
    if gather:
        shape, taps, _ = _forward(direct, p, False, True)
        gathered.weight_sums(moves.batch_last(x), y, shape, taps, flat)
        return found
    x = _windows_of(moves, x, p, planes)
    if len(taps) == flat.shape[2]:
        direct.weight_sums(x, flat, y, shape)
    else:
        some = kernels.aligned((*flat.shape[:2], len(taps)), x.dtype)
        direct.weight_sums(x, some, y, shape)
        moves.put_taps(some, taps, flat)
    return found


def _outer(x: Array, y: Array, p: Plan) -> Array | None:
    """The gradient by the weights of one place."""
    linear = kernels.use("linear") if kernels.fit(x, y) and kernels.on() else None
    if linear is None or not linear.takes("weight_grad", 1, p.outs, p.width):
        return None
    found: Array = linear.weight_grad(*(np.ascontiguousarray(a).reshape(1, -1) for a in (y, x)))
    return found.reshape(p.outs, p.channels, *p.kernel)


def _kernels(a: Array, b: Array, p: Plan) -> tuple[ModuleType, ModuleType, ModuleType, ModuleType] | None:
    """The kernels of the direct sum, of Winograd's, of products and of moves, if there are any for this work."""
    return _modules() if p.work >= WORTH and kernels.fit(a, b) and kernels.on() else None


@functools.cache
def _modules() -> tuple[ModuleType, ModuleType, ModuleType, ModuleType]:
    """Those that are used."""
    made = map(kernels.use, ("convolution", "winograd", "gathered", "moves"))
    direct, winograd, gathered, moves = (module for module in made if module is not None)
    return direct, winograd, gathered, moves


def _product(p: Plan, blas: tuple[int, int]) -> Callable[..., None] | None:
    """What writes a product of two matrices in C order, with the "left" or the "right" one transposed, if windows do not
    overlap.

    With wide registers that is a product in panels, which takes 0.7 to 1.0 of the time of gathered columns, and of few rows 0.4
    to 0.9 of that of direct sums. Else BLAS takes 0.6 to 1.0 of that for so many places that each is all that a window sees,
    and of more up to 1.4 times as long.
    """
    if not p.apart:
        return None
    linear = kernels.use("linear")
    if linear is not None and linear.wide() and p.places >= 32:
        panelled: Callable[..., None] = linear.panelled
        return panelled
    return _blas_product if p.alone and blas[0] <= p.places <= blas[1] else None


def _columns(moves: ModuleType, x: Array, p: Plan) -> Array:
    """What windows that do not overlap see of x (channels, spatial axes, batch), as a matrix."""
    x = moves.batch_last(x)
    if not p.alone:
        flat = x.reshape(len(x), *_two(x.shape[1:-1]), p.batch)
        x = moves.patches(flat, *map(_two, (p.out, p.kernel, p.stride)))
    return x.reshape(p.width, -1)


def _two(lengths: Ints) -> tuple[int, int]:
    """Those of one axis or two as those of height and width."""
    height, width = (1, *lengths)[-2:]
    return height, width


def _blas_product(a: Array, b: Array, out: Array, transposed: str = "") -> None:
    """By BLAS."""
    a, b = a.T if transposed == "left" else a, b.T if transposed == "right" else b
    products = kernels.use("products")
    if products is None or products.product(a, b, out) is None:
        with kernels.alone():
            np.matmul(a, b, out=out)


def _gathers(
    direct: ModuleType, gathered: ModuleType, char: str, shape: Any, pays: Callable[[Any, bool], bool]
) -> bool | None:  # fmt: skip
    """Whether the columns are gathered (True) or the sum is direct (False); None if neither is quicker than NumPy."""
    quick: bool = direct.takes(char, shape)
    if gathered.takes(char, shape) and pays(shape, not quick):
        return True
    return False if quick else None


@functools.lru_cache(maxsize=512)  # a plan is one object for all calls with the same shapes
def _by_winograd(winograd: ModuleType, char: str, p: Plan, gradient: bool, back: bool = False) -> Any:
    """The shape for Winograd's algorithm, or that of the gradient by the input, where that pays."""
    if not (p.kernel == (3, 3) and p.stride in ((1, 1), (2, 2)) and p.dilation == (1, 1) and p.groups == 1):
        return None
    strided = p.stride == (2, 2)
    if strided and gradient and not (back and p.befores == (1, 1)):
        return None
    if back and not strided:
        befores = tuple(2 - a for a in p.befores)
        shape = winograd.Shape(p.outs, p.channels, *p.sizes, p.batch, p.out, befores)
    else:
        shape = winograd.Shape(p.channels, p.outs, *p.out, p.batch, p.sizes, p.befores, p.stride[0])
    return shape if winograd.pays(char, shape, gradient) else None


@functools.lru_cache(maxsize=512)
def _by_channels(char: str, p: Plan, back: bool) -> tuple[ModuleType, Any] | None:
    """The kernels of channels by themselves, and the shape for them, where they are for it."""
    if not p.channels == p.outs == p.groups or len(p.kernel) > 2:
        return None
    module = kernels.use("depthwise")
    assert module is not None  # there are others
    shape = _channelwise(module, p, back)
    if not module.takes(char, shape):
        return None
    places = kernels.use("depthwise_places")
    assert places is not None
    return (places if places.takes(char, shape) else module, shape)


def _channelwise(module: ModuleType, p: Plan, back: bool) -> Any:
    """The sums over each channel, or those of the gradient by the input."""
    axes = [module.Axis(1, 1, 1, 1, (module.Phase(0, 1, (0,), (0,)),))] * (2 - len(p.kernel))
    for n, m, k, s, d, a in zip(p.sizes, p.out, p.kernel, p.stride, p.dilation, p.befores, strict=True):
        if back:
            phases = (module.Phase(*phase) for phase in _phases_of(n, m, k, s, d, a))
            axes.append(module.Axis(m, n, 1, s, tuple(phases)))
        else:
            seen = [i for i in range(k) if _sees(n, m, i * d - a, s)]
            # Without gaps, since they are looped over; those between see borders.
            taps = tuple(range(seen[0], seen[-1] + 1)) if seen else ()
            phase = module.Phase(0, m, taps, tuple(i * d - a for i in taps))
            axes.append(module.Axis(n, m, s, 1, (phase,)))
    kernel = (1,) * (2 - len(p.kernel)) + p.kernel
    return module.Shape(p.channels, p.batch, kernel, tuple(axes))


def _strided() -> ModuleType:
    """The kernels of Winograd's algorithm with stride 2."""
    found = kernels.use("winograd_strided")
    assert found is not None  # there are others
    return found


def _result(shape: Ints, dtype: DType, p: Plan) -> Array:
    """Memory for a result, batch innermost."""
    axes = (*range(1, len(shape) + 1), 0) if p.batched else None
    return kernels.empty((*shape, p.batch), dtype, axes)


def _three(values: Sequence[int], fill: int) -> Ints:
    """One value for each of depth, height and width."""
    return (fill,) * (3 - len(values)) + tuple(values)


def _comes_apart(moves: ModuleType, x: Array, p: Plan) -> bool:
    """Whether rows are copied such that every stride-th place lies together, as windows of some places see them: where a batch
    is no run. Weights of 3 channels of one image of 224 x 224 (7 x 7, stride 2) have their gradient in 0.54 of the time so."""
    strided = p.stride[-1] > 1 and math.prod(p.kernel) > 1 and len(p.kernel) <= 2
    return strided and bool(moves.narrow(p.batch, x.dtype))


def _windows_of(moves: ModuleType, x: Array, p: Plan, planes: tuple[int, Ints]) -> Array:
    """What windows see: x within its border, every stride-th place together if there are planes."""
    if not planes[0]:
        found: Array = moves.bordered(x, p.befores, p.padded)
        return found
    above, before = (0, *p.befores)[-2:]
    flat = moves.batch_last(x).reshape(len(x), *(1, *x.shape[1:-1])[-2:], p.batch)
    places = flat.shape[2], -before, p.stride[-1], planes[0]
    found = moves.apart(flat, (above, (1, *p.padded)[-2]), places, planes[1])
    return found


@functools.lru_cache(maxsize=512)
def _forward(direct: ModuleType, p: Plan, apart: bool, beyond: bool = False) -> tuple[Any, Ints, tuple[int, Ints]]:
    """The sum over those taps that see anything but border; which of the kernel's these are; and, if every stride-th place of a
    row lies together, how many places are in such a plane, and which planes there are. There are no borders if taps may see
    places `beyond`."""
    axes = [
        [i for i in range(k) if _sees(n, m, i * d - a, s)]
        for k, d, n, m, a, s in zip(p.kernel, p.dilation, p.sizes, p.out, p.befores, p.stride, strict=True)
    ]
    places = np.arange(math.prod(p.kernel)).reshape(p.kernel)[np.ix_(*axes)].ravel()
    offsets = [[i * d for i in axis] for axis, d in zip(axes, p.dilation, strict=True)]
    step, padded, plane = p.stride, p.padded, 0
    if beyond:
        offsets, padded = [[i - a for i in axis] for axis, a in zip(offsets, p.befores, strict=True)], p.sizes
    which: Ints = ()
    if apart and offsets[-1]:
        side = step[-1]
        which = tuple(sorted({o % side for o in offsets[-1]}))
        plane = p.out[-1] + max(offsets[-1]) // side
        offsets[-1] = [which.index(o % side) * plane + o // side for o in offsets[-1]]
        step, padded = (*step[:-1], 1), (*padded[:-1], len(which) * plane)
    shape = direct.Shape(
        channels=p.channels,
        outs=p.outs,
        groups=p.groups,
        batch=p.batch,
        x=_three(padded, 1),
        out=_three(p.out, 1),
        counts=_three(p.out, 1),
        step=_three(step, 1),
        taps=tuple(_three(tap, 0) for tap in itertools.product(*offsets)),
    )
    return shape, tuple(map(int, places)), (plane, which)


def _sees(length: int, windows: int, offset: int, stride: int) -> bool:
    """Whether a tap at this offset from the first element sees any of so many, in any window."""
    return any(0 <= i * stride + offset < length for i in range(windows))


# -- the gradient by the input -----------------------------------------------------------------------------------


def _phases(
    direct: ModuleType, gathered: ModuleType, moves: ModuleType, y: Array, weight: Array, p: Plan, sizes: Ints
) -> Array | None:
    """With a stride s every s-th place sees the same taps; each of these phases is a convolution with some of them. A phase
    that no tap sees has no gradient."""
    for beyond in (gathered.reads_beyond(p.batch, y.dtype.char), False):
        befores, padded, planned = _planned(direct, p, sizes, beyond)
        gather = [_gathers(direct, gathered, y.dtype.char, shape, gathered.pays) for _, shape in planned]
        if all(gather):
            break
    few = not any(gather) and 2 * p.width <= p.outs and p.width <= NARROW and y.size >= LARGE
    pays = few or _turning_costs(direct, p, sizes, beyond)
    if p.groups == 1 and pays and (found := _by_columns(moves, y, weight, p)) is not None:
        return found
    if None in gather:
        return None
    y = moves.bordered(y, befores, padded)
    found = _result((p.channels, *sizes), y.dtype, p)
    if sum(math.prod(shape.counts) for _, shape in planned) < math.prod(sizes):
        moves.clear(found)
    bias = moves.zeros(p.channels, y.dtype)
    channels = p.channels // p.groups
    flat = np.ascontiguousarray(weight).reshape(p.outs, channels, -1)
    used = sorted({t for some, (taps, _) in zip(gather, planned, strict=True) if some for t in taps})
    if 2 * len(used) > flat.shape[2]:
        used = list(range(flat.shape[2]))
    by_taps = gathered.by_taps(flat, tuple(used)) if used else None
    for some, (taps, shape) in zip(gather, planned, strict=True):
        if some:
            lie = gathered.Weights(1, channels, tuple(used.index(t) * p.outs * channels for t in taps))
            gathered.sums(y, by_taps, lie, bias, found, shape)
        else:
            direct.sums(y, moves.picked(flat, p.groups, taps, True), bias, found, shape)
    return found


@functools.lru_cache(maxsize=512)
def _turning_costs(direct: ModuleType, p: Plan, sizes: Ints, beyond: bool) -> bool:
    """Whether sums over taps take longer than one product. The sums leave out taps that see nothing but border, but bring the
    weights into another order first, which counts where these are many and places few."""
    *_, planned = _planned(direct, p, sizes, beyond)
    taps = sum(len(taps) for taps, _ in planned)
    sums = sum(shape.multiply_adds for _, shape in planned) + TURNED * p.outs * p.channels * taps
    few = p.places <= (FEW_PLACES if p.batch > 1 else 1) * p.outs and p.width * p.places <= COLUMNS
    return 1 < math.prod(p.kernel) <= FEW_TAPS and p.outs >= MANY_OUTS and few and p.work <= sums


def _by_columns(moves: ModuleType, y: Array, weight: Array, p: Plan) -> Array | None:
    """The gradient by the input as a product whose columns are added up where their windows are: that reads y and the weights
    once, as they lie. `_turning_costs` says where it is taken for many weights.

    Of few channels sums over taps take 3 to 4 times as long for one channel and two taps, for 3 channels and 3 x 3 1.6 to 2.2
    times; of less than 2^17 numbers, or with more columns, this would take up to 1.6 times as long. Of many weights
    and few places this takes 0.62 to 0.99 of the time (3 x 3, 512-512 channels on one map of 7 x 7 0.75). Columns of one
    image are added up number by number: of more places than outputs it would take up to 1.05 with stride 2."""
    linear = kernels.use("linear")
    if linear is None or not linear.wide():
        return None
    found = _result((p.channels, *p.sizes), y.dtype, p)
    columns = kernels.aligned((p.channels, *_three(p.kernel, 1), *_three(p.out, 1), p.batch), y.dtype)
    flat = moves.batch_last(y).reshape(p.outs, -1)
    linear.panelled(np.ascontiguousarray(weight).reshape(p.outs, -1), flat, columns.reshape(p.width, -1), "left")
    windows = zip(_three(p.stride, 1), _three(p.dilation, 1), _three(p.befores, 0), strict=True)
    moves.from_columns(columns, found.reshape(p.channels, *_three(p.sizes, 1), p.batch), tuple(windows))
    return found


@functools.lru_cache(maxsize=512)
def _planned(direct: ModuleType, p: Plan, sizes: Ints, beyond: bool) -> tuple[list[int], Ints, list[tuple[Ints, Any]]]:
    """The border in front of the output gradient, its lengths with borders, and for each phase that has any its taps among
    the kernel's, and its sum. There are no borders if taps may see places `beyond`."""
    axes = [
        [f for f in _phases_of(n, m, k, s, d, a) if f.kernel]
        for n, m, k, s, d, a in zip(sizes, p.out, p.kernel, p.stride, p.dilation, p.befores, strict=True)
    ]
    befores = [max(0, -min((o for phase in axis for o in phase.offsets), default=0)) for axis in axes]
    if beyond:
        befores = [0] * len(axes)
    padded = (
        p.out
        if beyond
        else tuple(
            max(before + m, max((before + max(phase.offsets) + phase.number for phase in axis), default=0))
            for axis, before, m in zip(axes, befores, p.out, strict=True)
        )
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
        places = np.arange(math.prod(p.kernel)).reshape(p.kernel)[np.ix_(*(f.kernel for f in phases))]
        planned.append((tuple(map(int, places.ravel())), shape))
    return befores, padded, planned


def _phases_of(size: int, windows: int, kernel: int, stride: int, dilation: int, before: int) -> list[_Axis]:
    """The phases along one axis, with those taps that any of the windows sees them by, perhaps none. Place q of the input is
    seen by output i through tap k if q + before = i stride + k dilation."""
    phases = []
    for start in range(min(stride, size)):
        taps = [k for k in range(kernel) if (start + before - k * dilation) % stride == 0]
        number = -(-(size - start) // stride)
        places = {k: (start + before - k * dilation) // stride for k in taps}
        seen = [k for k, offset in places.items() if offset < windows and offset + number > 0]
        phases.append(_Axis(start, number, tuple(seen), tuple(places[k] for k in seen)))
    return phases
