"""Transposed convolution: the gradient of a convolution by its input, as a function in its own right.

The result's shape does not follow from the arguments of the convolution, which rounds down where its stride does not
divide; `output_padding` says which of the possible ones it is.
"""

from __future__ import annotations

import functools
import math
from types import EllipsisType

import numpy as np

from tapenet.ops.layers.convolution import documentation, family, kernel_dispatch, lanes
from tapenet.ops.layers.convolution.geometry import (
    AXES,
    Ints,
    Padding,
    Record,
    Size,
    borders_of,
    channel_hint,
    check_axes,
    check_bias,
    check_weight,
    reaches,
    spread_size,
)
from tapenet.ops.op import Op, op
from tapenet.ops.registry import Samples, sample
from tapenet.typing import Array, Shape


class _Target(Record):
    """The convolution of which a transposed one is the gradient."""

    outs: int  # channels of the result
    shape: Ints  # of its input
    padding: Padding  # its borders
    beyond: Ints  # how much of the result, at the end of each spatial axis, lies beyond that input
    within: tuple[slice | EllipsisType, ...]  # the result but for that
    work: int  # multiply-adds


def _target(x_shape: Ints, weight_shape: Ints, *options: object) -> _Target:
    """The target for the options stride, padding, output_padding, groups, dilation and the number of spatial axes."""
    try:
        return _found(x_shape, weight_shape, *options)
    except TypeError:  # lists cannot be looked up
        return _found.__wrapped__(x_shape, weight_shape, *options)


@functools.lru_cache(maxsize=512)
def _found(
    x_shape: Ints,
    weight_shape: Ints,
    stride: Size,
    padding: Padding,
    output_padding: Size,
    groups: int,
    dilation: Size,
    axes: int,
) -> _Target:
    check_axes(x_shape, axes)
    check_weight(weight_shape, axes, "input channels, output channels per group")
    channels, *sizes = x_shape[len(x_shape) - axes - 1 :]
    ins, per_group, *kernel = weight_shape
    if not isinstance(groups, (int, np.integer)) or groups < 1 or ins % groups:
        raise ValueError(f"the {ins} input channels of weight do not divide into groups={groups}")
    if channels != ins:
        raise ValueError(
            f"weight {weight_shape} takes {ins} input channels, x has {channels}{channel_hint(x_shape, ins, axes)}"
        )
    strides = spread_size(stride, axes, "stride", 1)
    dilations = spread_size(dilation, axes, "dilation", 1)
    extra = spread_size(output_padding, axes, "output_padding", 0)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f"padding={padding!r}: a transposed convolution takes numbers, or 'valid' for 0")
    reach = reaches(tuple(kernel), dilations)
    shape, borders, beyond = [], [], []
    for n, r, s, d, o, (before, after) in zip(
        sizes, reach, strides, dilations, extra, borders_of(padding, reach, strides), strict=True
    ):
        if o >= max(s, d):
            raise ValueError(f"output_padding={output_padding} must be smaller than stride={stride} or than dilation")
        length = (n - 1) * s + r - before - after
        if length + o < 1:
            raise ValueError(f"padding={padding} leaves nothing of a result of length {length + before + after}")
        # Beside its last window a convolution passes over less than a stride.
        cut = max(0, o - after - s + 1)
        shape.append(length + o - cut)
        borders.append((before, after if o < s else max(after - o, 0)))
        beyond.append(cut)
    return _Target(
        outs=per_group * groups,
        shape=(*x_shape[: len(x_shape) - axes - 1], per_group * groups, *shape),
        padding=tuple(borders),
        beyond=tuple(beyond),
        within=(..., *(slice(0, n) for n in shape)) if any(beyond) else (),
        work=math.prod(x_shape) * math.prod(weight_shape[1:]),
    )


def _transposed(axes: int, members: tuple[Op, Op, Op], samples: Samples) -> Op:
    """The op over so many spatial axes, made of a family of convolutions."""
    conv, by_input, by_weight = members
    name = f"conv_transpose{axes}d"

    def forward(
        x: Array,
        weight: Array,
        bias: Array | None = None,
        stride: Size = 1,
        padding: Padding = 0,
        output_padding: Size = 0,
        groups: int = 1,
        dilation: Size = 1,
    ) -> Array:
        t = _target(x.shape, weight.shape, stride, padding, output_padding, groups, dilation, axes)
        check_bias(bias, t.outs)
        out: Array = by_input.forward(x, weight, t.shape, stride, t.padding, dilation, groups)
        if any(t.beyond):
            out = np.pad(out, [(0, 0)] * (out.ndim - axes) + [(0, n) for n in t.beyond])
        if bias is not None and not kernel_dispatch.add_bias(out, bias, axes, t.work):
            out = np.add(out, np.reshape(bias, (-1, *(1,) * axes)), out=out if isinstance(out, np.ndarray) else None)
        return out

    def by_x(
        g: Array,
        weight: Array,
        x_shape: Shape,
        stride: Size,
        padding: Padding,
        output_padding: Size,
        groups: int,
        dilation: Size,
    ) -> Array:
        t = _target(x_shape, weight.shape, stride, padding, output_padding, groups, dilation, axes)
        return conv(g[t.within] if t.within else g, weight, None, stride, t.padding, dilation, groups)  # type: ignore[no-any-return]

    def by_kernels(
        g: Array,
        x: Array,
        weight_shape: Shape,
        stride: Size,
        padding: Padding,
        output_padding: Size,
        groups: int,
        dilation: Size,
    ) -> Array:
        t = _target(x.shape, weight_shape, stride, padding, output_padding, groups, dilation, axes)
        return by_weight(g[t.within] if t.within else g, x, weight_shape, stride, t.padding, dilation, groups)  # type: ignore[no-any-return]

    several = f"an integer or one for each of {documentation.spatial(axes)}" if axes > 1 else "an integer"
    ones = (1,) * (axes - 1)
    made: Op = op(
        forward,
        name=name,
        multiply_adds=lambda x_shape, weight_shape: math.prod(x_shape) * math.prod(weight_shape[1:]),
        memory=family.batch_last(axes),
        label=lambda weight_shape, stride, padding, dilation, groups: documentation.label(
            "transposed conv", weight_shape[2:], weight_shape[1] * groups, stride, padding, dilation, groups, up=True
        ),
        x=by_x,
        weight=by_kernels,
        bias=lambda g: family.bias_grad(g, axes),
        formula="Σ of the kernels, each times the element of x at its place, + bias",
        gradients="x: g correlated with weight; weight: g correlated with x",
        doc=f"""The transposed convolution of {family.WHAT[axes]} with kernels, plus a bias: each element of x adds the
    kernel, times itself, to the result at its place. It is the gradient by its input of the convolution with the same
    arguments (Dumoulin and Visin 2016).

    Args:
        x: (batch, channels, {documentation.spatial(axes)}), or without the batch.
        weight: (channels, out / groups, {documentation.spatial(axes, "kernel ")}).
        bias: (out,), or None.
        stride: distance between the places of neighbours, {several}.
        padding: how much to cut off the result on both sides: {several}, or pairs (before, after) for each axis.
        output_padding: how much longer to make the result, at its end; smaller than stride or dilation.
        groups: channels are split into so many groups; each input channel adds to its group of output channels.
        dilation: distance between the elements of a kernel, {several}.

    Returns:
        (batch, out, {documentation.spatial(axes, after="'")}) with {AXES[axes][0]}' = ({AXES[axes][0]} - 1) stride - 2 padding
        + dilation (kernel - 1) + output_padding + 1. In memory the batch is the innermost axis.

    Raises:
        ValueError: channels, groups, kernel, bias, padding or number of axes do not fit each other.

    >>> import numpy as np, tapenet as tn
    >>> x, weight = tn.tensor(np.reshape([1.0, 10.0], {(1, 1, *ones, 2)})), np.ones({(1, 1, *ones, 2)})
    >>> tn.{name}(x, weight, stride={(*ones, 2)}).tolist()
    {family.nested([1.0, 1.0, 10.0, 10.0], axes + 1)}
    """,
        vmap=lanes.transposed(axes, lambda: made),
        samples=samples,
    )
    return made


conv_transpose1d = _transposed(
    1,
    (family.conv1d, family.conv1d_input_grad, family.conv1d_weight_grad),
    lambda r: [
        sample(r.normal(size=(2, 3, 2)), r.normal(size=(3, 2, 2)), r.normal(size=2)),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 1, 3)), r.normal(size=2), 2, 1, 2, 2, 3),
    ],
)
conv_transpose2d = _transposed(
    2,
    (family.conv2d, family.conv2d_input_grad, family.conv2d_weight_grad),
    lambda r: [
        sample(r.normal(size=(2, 2, 2, 3)), r.normal(size=(2, 1, 3, 2)), r.normal(size=1), 2, (1, 0), (1, 0)),
        # A result longer than what the kernels reach.
        sample(r.normal(size=(1, 2, 2, 2)), r.normal(size=(2, 1, 2, 1)), None, 1, 0, (2, 0), 2, (3, 1)),
    ],
)
conv_transpose3d = _transposed(
    3,
    (family.conv3d, family.conv3d_input_grad, family.conv3d_weight_grad),
    lambda r: [
        sample(r.normal(size=(2, 1, 2, 1, 2)), r.normal(size=(1, 2, 2, 1, 1)), r.normal(size=2), (2, 1, 1), (1, 0, 0)),
        sample(
            r.normal(size=(2, 1, 2, 1)), r.normal(size=(2, 1, 1, 2, 2)), None, 1, ((0, 0), (1, 0), (0, 1)), groups=2
        ),
    ],
)
