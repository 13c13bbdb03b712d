"""Where the windows of a convolution lie: its arguments checked against each other, and all numbers that follow."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from types import EllipsisType

import numpy as np

from tapenet.typing import Array

Ints = tuple[int, ...]
#: An int for all spatial axes, or one per axis.
Size = int | tuple[int, ...] | list[int]
#: An index into an array.
Index = tuple[slice | EllipsisType, ...]
#: Borders, the same on both sides or as pairs (before, after); or "same" or "valid".
Padding = str | int | Sequence[int | Sequence[int]]
#: What the spatial axes are called, by their number.
AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


class Record:
    """A few named values. Plain, since making a NamedTuple or dataclass costs as much time at import as 20 ops."""

    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


class Plan(Record):
    """All numbers of one convolution."""

    batched: bool
    batch: int
    groups: int
    channels: int  # of the input
    outs: int  # channels of the output
    kernel: Ints
    stride: Ints
    dilation: Ints
    padded: Ints  # lengths of the input's spatial axes with their borders
    inside: tuple[slice, ...]  # the input within its borders
    bordered: bool
    out: Ints  # lengths of the output's spatial axes
    width: int  # of a column: input channels of a group, times kernel offsets

    @functools.cached_property
    def places(self) -> int:
        """Of the output, in all of the batch."""
        return math.prod(self.out) * self.batch

    @functools.cached_property
    def work(self) -> int:
        """Multiply-adds."""
        return self.places * self.outs * self.width

    @functools.cached_property
    def sizes(self) -> Ints:
        """Lengths of the input's spatial axes without borders."""
        return tuple(inside.stop - inside.start for inside in self.inside[1:])

    @functools.cached_property
    def befores(self) -> Ints:
        """The border in front of each spatial axis."""
        return tuple(inside.start for inside in self.inside[1:])

    @functools.cached_property
    def alone(self) -> bool:
        """Whether each place is all that a window sees."""
        return math.prod(self.kernel) * math.prod(self.stride) == 1

    @functools.cached_property
    def single(self) -> bool:
        """Whether there is one place, of all channels. One that is all border has no input to multiply."""
        return self.alone and self.places == self.groups == 1 and not self.bordered

    @functools.cached_property
    def apart(self) -> bool:
        """Whether windows of all channels do not overlap, nor see borders."""
        options = zip(self.kernel, self.stride, self.dilation, strict=True)
        apart = len(self.kernel) <= 2 and all(k == 1 or (k <= s and d == 1) for k, s, d in options)
        return self.groups == 1 and not self.bordered and (self.alone or apart)

    @functools.cached_property
    def taps(self) -> list[tuple[Ints, tuple[slice, ...]]]:
        """Each offset in the kernel, row by row, and its elements in all windows of the padded input."""
        reach = [
            [slice(t * d, t * d + (n - 1) * s + 1, s) for t in range(k)]
            for k, d, n, s in zip(self.kernel, self.dilation, self.out, self.stride, strict=True)
        ]
        offsets = itertools.product(*map(range, self.kernel))
        return list(zip(offsets, itertools.product(*reach), strict=True))


def plan(x_shape: Ints, weight_shape: Ints, *options: object) -> Plan:
    """The plan of a convolution; options are stride, padding, dilation, groups and the number of spatial axes."""
    try:
        return _plan(x_shape, weight_shape, *options)
    except TypeError:  # lists cannot be looked up
        return _plan(x_shape, weight_shape, *map(_frozen, options))


def _frozen(value: object) -> object:
    return tuple(_frozen(v) for v in value) if isinstance(value, (list, tuple)) else value


@functools.lru_cache(maxsize=512)
def _plan(
    x_shape: Ints, weight_shape: Ints, stride: Size, padding: Padding, dilation: Size, groups: int, axes: int
) -> Plan:
    """Check the arguments of a convolution over `axes` spatial axes against each other."""
    check_axes(x_shape, axes)
    check_weight(weight_shape, axes, "output channels, input channels per group")
    outs, per_group, *lengths = weight_shape
    kernel = tuple(lengths)
    channels, *sizes = x_shape[len(x_shape) - axes - 1 :]
    batched = len(x_shape) == axes + 2
    batch = x_shape[0] if batched else 1
    if not isinstance(groups, (int, np.integer)) or groups < 1 or outs % groups:
        raise ValueError(f"the {outs} output channels of weight do not divide into groups={groups}")
    if channels != per_group * groups:
        raise ValueError(
            f"weight {weight_shape} with groups={groups} takes {per_group * groups} input channels, x has {channels}"
            + channel_hint(x_shape, per_group * groups, axes)
        )
    stride = spread_size(stride, axes, "stride", 1)
    dilation = spread_size(dilation, axes, "dilation", 1)
    reach = reaches(kernel, dilation)
    borders = borders_of(padding, reach, stride)
    padded = tuple(n + a + b for n, (a, b) in zip(sizes, borders, strict=True))
    if any(r > n or r < 1 for r, n in zip(reach, padded, strict=True)):
        raise ValueError(
            f"the kernel of {_by(kernel)}"
            + (f", {_by(reach)} with its dilation," if tuple(reach) != kernel else "")
            + f" does not fit into the input of {_by(sizes)}"
            + (f", {_by(padded)} with its padding" if padded != tuple(sizes) else "")
            + ": give a smaller kernel or more padding"
        )
    out = tuple((n - r) // s + 1 for n, r, s in zip(padded, reach, stride, strict=True))
    width = per_group * math.prod(kernel)
    return Plan(
        batched=batched,
        batch=batch,
        groups=int(groups),
        channels=channels,
        outs=outs,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padded=padded,
        inside=(slice(None), *(slice(a, a + n) for n, (a, _) in zip(sizes, borders, strict=True))),
        bordered=padded != tuple(sizes),
        out=out,
        width=width,
    )


def _by(lengths: Iterable[int]) -> str:
    return " x ".join(str(n) for n in lengths)


# -- the parts of the check --------------------------------------------------------------------------------------


def check_axes(x_shape: Ints, axes: int) -> None:
    """Raise unless `x` has channels, so many spatial axes, and perhaps a batch in front."""
    if len(x_shape) not in (axes + 1, axes + 2):
        hint = ": add the missing axes, as in x[None, None]" if len(x_shape) == axes else ""
        raise ValueError(
            f"x has shape {x_shape}; it must have {axes + 2} axes, (batch, channels, {', '.join(AXES[axes])}), or "
            f"{axes + 1} without the batch{hint}"
        )


def check_weight(weight_shape: Ints, axes: int, channels: str) -> None:
    """Raise unless `weight` has two axes of channels and so many spatial ones."""
    if len(weight_shape) != axes + 2:
        raise ValueError(
            f"weight has shape {weight_shape}; it must have {axes + 2} axes: {channels}, and the kernel's lengths"
        )


def check_bias(bias: Array | None, outs: int) -> None:
    """Raise unless a bias that is given has a number for each output channel."""
    if bias is not None and bias.shape != (outs,):
        raise ValueError(f"bias has shape {bias.shape}; it must be ({outs},), one per output channel")


def channel_hint(x_shape: Ints, expected: int, axes: int) -> str:
    """What an input with the wrong number of channels probably is."""
    if x_shape[-1] == expected:
        return f". Its last axis looks like the channels; they come before the spatial axes: np.moveaxis(x, -1, {-1 - axes})"
    if expected == 1 and len(x_shape) == axes + 1:
        return ". If x is a batch of images without an axis for the channel, add one: x[:, None]"
    return ". Give x as (batch, channels, ...) with that many channels, or make the layer for the channels x has"


def spread_size(value: object, axes: int, name: str, least: int) -> Ints:
    """An int, or one per spatial axis, as a tuple; a ValueError if it is neither or too small."""
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    found = tuple(int(v) for v in numbers if isinstance(v, (int, np.integer)) and v >= least)
    if not len(found) == len(numbers) == axes:
        raise ValueError(f"{name}={value!r}: give an integer of {least} or more, or {axes} of them")
    return found


def reaches(kernel: Ints, dilation: Ints) -> list[int]:
    """How far a window reaches along each axis."""
    return [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]


def borders_of(padding: Padding, reach: list[int], stride: Ints) -> list[tuple[int, int]]:
    """How much to add before and after each spatial axis."""
    if padding == "valid":
        return [(0, 0)] * len(reach)
    if padding == "same":
        if math.prod(stride) != 1:
            raise ValueError(f"padding='same' needs stride 1, not {stride}: give the padding as numbers")
        return [((r - 1) // 2, r - 1 - (r - 1) // 2) for r in reach]
    if isinstance(padding, str):
        raise ValueError(f"padding={padding!r}: it is 'valid', 'same', an integer or one per axis")
    if isinstance(padding, (tuple, list)) and padding and all(isinstance(p, (tuple, list)) for p in padding):
        if any(len(p) != 2 for p in padding):
            raise ValueError(f"padding={padding!r}: give a pair (before, after) for each axis")
        befores, afters = zip(*padding, strict=True)
        both = (spread_size(b, len(reach), "padding", 0) for b in (befores, afters))
        return list(zip(*both, strict=True))
    return [(p, p) for p in spread_size(padding, len(reach), "padding", 0)]
