"""Windows of images as columns, and columns added up to images again: each the gradient of the other."""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.layers.convolution import documentation
from tapenet.ops.layers.convolution.geometry import Index, Ints, Padding, Plan, Size, plan, spread_size
from tapenet.ops.layers.convolution.lowered import bordered
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.typing import Array, Shape


def _plan_of(shape: Ints, kernel_size: Size, stride: Size, padding: Padding, dilation: Size) -> Plan:
    """The plan of a convolution of one channel, whose windows these are."""
    if len(shape) not in (3, 4):
        raise ValueError(f"x has shape {shape}; it must have 4 axes, (batch, channels, height, width), or 3")
    kernel = spread_size(kernel_size, 2, "kernel_size", 1)
    return plan((1, 1, *shape[-2:]), (1, 1, *kernel), stride, padding, dilation, 1, 2)


def _folding(
    x: Array, output_size: Size, kernel_size: Size, stride: Size, padding: Padding, dilation: Size
) -> tuple[Plan, Ints]:
    """The plan, and the shape of x with its axes taken apart."""
    size = spread_size(output_size, 2, "output_size", 1)
    if len(x.shape) not in (2, 3):
        raise ValueError(f"x has shape {x.shape}; it must have 3 axes, (batch, channels · kernel, windows), or 2")
    p = _plan_of((1, *size), kernel_size, stride, padding, dilation)
    *batch, rows, places = x.shape
    cells, count = math.prod(p.kernel), math.prod(p.out)
    if rows % cells:
        raise ValueError(f"the {rows} rows of x do not divide into windows of {p.kernel[0]} x {p.kernel[1]}")
    if places != count:
        raise ValueError(
            f"x has {places} columns; an image of {size[0]} x {size[1]} has {p.out[0]} x {p.out[1]} = {count} windows"
        )
    return p, (*batch, rows // cells, *p.kernel, *p.out)


def _label(name: str, kernel_size: Size, stride: Size, padding: Padding, dilation: Size) -> str:
    kernel = "×".join(map(str, spread_size(kernel_size, 2, "kernel_size", 1)))
    return ", ".join([f"{name} {kernel}", *documentation.settings(stride, padding, dilation)])


def _unfold_x(g: Array, x_shape: Shape, kernel_size: Size, dilation: Size, padding: Padding, stride: Size) -> Array:
    return fold(g, x_shape[-2:], kernel_size, dilation, padding, stride)


@op(
    label=lambda kernel_size, dilation, padding, stride: _label("unfold", kernel_size, stride, padding, dilation),
    x=_unfold_x,
    formula="the windows of x as columns",
    samples=lambda r: [
        sample(r.normal(size=(2, 1, 3, 2)), (2, 1)),
        sample(r.normal(size=(2, 3, 4)), 2, (2, 1), (1, 0), (1, 2)),
    ],
)
def unfold(x: Array, kernel_size: Size, dilation: Size = 1, padding: Padding = 0, stride: Size = 1) -> Array:
    """The windows of images as columns ("im2col").

    A convolution is a product of matrices with them: with `weight.reshape(out, -1) @ unfold(x, kernel_size)` one has the
    result of `conv2d(x, weight)`, its places in one axis.

    Args:
        x: (batch, channels, height, width), or without the batch.
        kernel_size: of the windows, an integer or (height, width).
        dilation: distance between the elements of a window.
        padding: zeros around the image: an integer, one for each of height and width, or pairs (before, after).
        stride: distance between windows.

    Returns:
        (batch, channels · kernel height · kernel width, windows), windows counted row by row.

    Raises:
        ValueError: a window larger than the padded image, or another number of axes.

    >>> import numpy as np, tapenet as tn
    >>> tn.unfold(tn.tensor(np.arange(6.0).reshape(1, 2, 3)), 2)
    Tensor([[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]])
    """
    p = _plan_of(x.shape, kernel_size, stride, padding, dilation)
    x = bordered(x, p)
    places: list[Index] = [(..., *reach) for _, reach in p.taps]
    windows = np.stack([x[place] for place in places], len(x.shape) - 2)
    return windows.reshape(*x.shape[:-3], x.shape[-3] * math.prod(p.kernel), math.prod(p.out))


@op(
    label=lambda kernel_size, dilation, padding, stride: _label("fold", kernel_size, stride, padding, dilation),
    x=lambda g, kernel_size, dilation, padding, stride: unfold(g, kernel_size, dilation, padding, stride),
    formula="the columns of x added up at their places",
    samples=lambda r: [
        sample(r.normal(size=(2, 2, 4)), (3, 2), (2, 1)),
        sample(r.normal(size=(4, 6)), (3, 4), 2, (2, 1), (1, 0), (1, 2)),
    ],
)
def fold(
    x: Array, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Padding = 0, stride: Size = 1
) -> Array:
    """Columns added up to images, each where `unfold` takes it from ("col2im").

    Where windows overlap their elements are summed, so that `fold(unfold(x, ...))` is x times the number of windows that
    each element is in, which is `fold(unfold(ones, ...))`.

    Args:
        x: (batch, channels · kernel height · kernel width, windows), or without the batch.
        output_size: of the images, an integer or (height, width).
        kernel_size: of the windows, an integer or (height, width).
        dilation: distance between the elements of a window.
        padding: zeros around the image: an integer, one for each of height and width, or pairs (before, after).
        stride: distance between windows.

    Returns:
        (batch, channels, height, width).

    Raises:
        ValueError: rows that are no multiple of the kernel's elements, or another number of windows.

    >>> import numpy as np, tapenet as tn
    >>> tn.fold(tn.tensor(np.ones((4, 2))), (2, 3), 2)
    Tensor([[[1., 2., 1.],
             [1., 2., 1.]]])
    """
    p, shape = _folding(x, output_size, kernel_size, stride, padding, dilation)
    columns = x.reshape(shape)
    found = np.zeros_like(x, shape=(*shape[:-4], *p.padded))
    for tap, reach in p.taps:
        place: Index = (..., *reach)
        found[place] += np.moveaxis(columns, (-4, -3), (0, 1))[tap]
    place = (..., *p.inside[1:])
    return found[place] if p.bordered else found
