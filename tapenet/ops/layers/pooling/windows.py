"""Where the windows of a pooling lie, and how to read and write all windows at once."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from tapenet.ops.derived import derived
from tapenet.ops.layers.convolution.documentation import settings
from tapenet.ops.layers.convolution.geometry import Index, Ints, Record, Size, spread_size
from tapenet.ops.registry import Samples
from tapenet.typing import Array, Number, Shape

T = TypeVar("T")


class Windows(Record):
    """The windows of one geometry, over the last axes of an array."""

    axes: int  # how many axes they cover
    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    size: Ints  # lengths of the axes
    padded: Ints  # with borders; with ceil_mode also what windows need beyond the end
    out: Ints  # number of windows along each axis
    inside: Index  # where x lies within its borders
    apart: bool  # no two windows overlap
    whole: bool  # there is one window, which is all of x
    along: list[list[slice]]  # by axis: for each offset within a window, where it lies in all windows
    parts: list[list[Index]]  # the same as indices into x

    def around(self, x: Array, lengths: Shape) -> Shape:
        """The shape of x with other lengths of the axes that windows cover."""
        return (*x.shape[: len(x.shape) - self.axes], *lengths)

    @functools.cached_property
    def cells(self) -> list[Index]:
        """For each offset within a window, counted row by row, its index in all windows."""
        return [(Ellipsis, *offset) for offset in itertools.product(*self.along)]


@functools.lru_cache(maxsize=1024)
def _windows_of(
    size: Ints, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size, ceil_mode: bool
) -> Windows:
    """The windows over axes of these lengths."""
    axes = len(size)
    kernel = spread_size(kernel_size, axes, "kernel_size", 1)
    steps = kernel if stride is None or stride == () else spread_size(stride, axes, "stride", 1)
    borders = spread_size(padding, axes, "padding", 0)
    gaps = spread_size(dilation, axes, "dilation", 1)
    if any(2 * p > k for p, k in zip(borders, kernel, strict=True)):
        raise ValueError(f"padding={padding} is more than half of kernel_size={kernel_size}: windows would miss x")
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, gaps, strict=True))
    padded = tuple(n + 2 * p for n, p in zip(size, borders, strict=True))
    out = []
    for n, m, p, r, s in zip(size, padded, borders, reach, steps, strict=True):
        count = (m - r + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (count - 1) * s >= n + p:  # it would begin behind x and its border
            count -= 1
        out.append(count)
    if min(out) < 1:
        raise ValueError(
            f"a window of {by(reach)} does not fit into {by(size)}"
            + (f", {by(padded)} with padding" if padded != size else "")
            + ": give a smaller kernel_size, or drop a pooling layer before"
        )
    padded = tuple(max(m, (o - 1) * s + r) for m, o, s, r in zip(padded, out, steps, reach, strict=True))
    along = [
        [slice(i * d, i * d + (o - 1) * s + 1, s) for i in range(k)]
        for k, d, o, s in zip(kernel, gaps, out, steps, strict=True)
    ]
    return Windows(
        axes=axes,
        kernel=kernel,
        stride=steps,
        padding=borders,
        dilation=gaps,
        size=size,
        padded=padded,
        out=tuple(out),
        inside=(Ellipsis, *(slice(p, p + n) for p, n in zip(borders, size, strict=True))),
        apart=all(s >= r or o == 1 for s, r, o in zip(steps, reach, out, strict=True)),
        whole=kernel == size and max(out) == 1 and padded == size,
        along=along,
        parts=[
            [(Ellipsis, index, *[slice(None)] * (axes - axis)) for index in indices]
            for axis, indices in enumerate(along, 1)
        ],
    )


def windows_of(x_shape: Ints, axes: int, *options: Size | None) -> Windows:
    """The windows over the last axes of an array; options are kernel_size, stride, padding, dilation and ceil_mode."""
    if len(x_shape) < axes:
        are = "is its" if axes == 1 else "are"
        raise ValueError(
            f"x has shape {x_shape}; its last {LAST[axes]} {are} {NAMES[axes]}, so it needs at least {axes}"
        )
    return _windows_of(x_shape[len(x_shape) - axes :], *[tuple(v) if isinstance(v, list) else v for v in options])


# -- borders -----------------------------------------------------------------------------------------------------


def bordered(x: Array, windows: Windows, fill: Number) -> Array:
    """x with what windows need around it."""
    if windows.padded == windows.size:
        return x
    padded = np.full_like(x, fill, shape=windows.around(x, windows.padded))
    padded[windows.inside] = x
    return padded


def unbordered(found: Array, windows: Windows) -> Array:
    """What lies within the borders."""
    return found[windows.inside] if windows.padded != windows.size else found


def put(found: Array, windows: Windows, index: Index, values: Array) -> None:
    """Add values at one offset within all windows; set them where no two windows overlap."""
    if windows.apart:
        found[index] = values
    else:
        found[index] += values


# -- one function for each number of axes -------------------------------------------------------------------------

#: The last axes, and what they are.
LAST = {1: "axis", 2: "two axes", 3: "three axes"}
NAMES = {1: "length", 2: "height and width", 3: "depth, height and width"}


def named(function: Callable[..., T], name: str, doc: str, samples: Samples) -> Callable[..., T]:
    """One of the functions that are the same over one, two and three axes, registered by its own name."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return derived(samples=samples)(function)


def spread(size: T | tuple[T, ...] | list[T], axes: int) -> tuple[T, ...]:
    """A length for all axes as one for each; a list as a tuple."""
    return (*size,) if isinstance(size, (list, tuple)) else (size,) * axes


def label(name: str, axes: int, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size = 1) -> str:
    """What a drawing says of a pooling: the window, and what is not as usual."""
    kernel = spread(kernel_size, axes)
    steps = kernel if stride is None or stride == () else spread(stride, axes)
    return ", ".join([f"{name} {'×'.join(map(str, kernel))}", *settings(steps, padding, dilation, usual=kernel)])


def by(lengths: Ints) -> str:
    """Lengths as errors show them, such as 2 x 2."""
    return " x ".join(map(str, lengths)) if len(lengths) > 1 else f"{lengths[0]} elements"
