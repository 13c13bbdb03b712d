"""The three products of convolution over lanes, each as one product of the same kind.

Lanes of images alone are more of the batch. Lanes of kernels become groups of channels, as the lanes of both do; where the
images, or the gradients, of all lanes are the same, they are more output, or input, channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tapenet.ops.layers.convolution.geometry import Ints, Padding, Size
from tapenet.typing import Array

Call = Callable[..., Array]


def rules(axes: int, members: Callable[[], tuple[Call, Call, Call]]) -> tuple[Call, Call, Call]:
    """What `vmap=` of the three ops of a family is, over so many spatial axes; `members` gives these."""

    def conv(
        batched: frozenset[str],
        lanes: int,
        x: Array,
        weight: Array,
        bias: Array | None,
        stride: Size,
        padding: Padding,
        dilation: Size,
        groups: int,
    ) -> Array:
        op = members()[0]
        options = (stride, padding, dilation)
        if "weight" not in batched:
            if "x" not in batched:
                out = op(x, weight, None, *options, groups)[None]
            else:
                out = unfolded(op(folded(x, axes + 1), weight, None, *options, groups), x, axes + 1)
            return _biased(out, bias, "bias" in batched, axes)
        if "x" in batched or groups > 1:
            x, groups = channels(x, "x" in batched, lanes, axes), lanes * groups
        out = apart(op(x, joined(weight), None, *options, groups), lanes, axes)
        return _biased(out, bias, "bias" in batched, axes)

    def input_grad(
        batched: frozenset[str],
        lanes: int,
        y: Array,
        weight: Array,
        shape: Ints,
        stride: Size,
        padding: Padding,
        dilation: Size,
        groups: int,
    ) -> Array:
        op = members()[1]
        options = (stride, padding, dilation)
        shape = tuple(shape)
        *batch, count = shape[: len(shape) - axes]
        sizes = shape[len(shape) - axes :]
        if "weight" not in batched:
            image = (lanes * math.prod(batch), count, *sizes)
            return unfolded(op(folded(y, axes + 1), weight, image, *options, groups), y, axes + 1)
        y = channels(y, "y" in batched, lanes, axes)
        image = (*batch, lanes * count, *sizes)
        return apart(op(y, joined(weight), image, *options, lanes * groups), lanes, axes)

    def weight_grad(
        batched: frozenset[str],
        lanes: int,
        x: Array,
        y: Array,
        shape: Ints,
        stride: Size,
        padding: Padding,
        dilation: Size,
        groups: int,
    ) -> Array:
        op = members()[2]
        options = (stride, padding, dilation)
        outs, ins, *kernel = shape
        if groups == 1 and batched == {"x"}:
            x = channels(x, True, lanes, axes)
            found = op(x, y, (outs, lanes * ins, *kernel), *options, groups)
            return np.moveaxis(found.reshape(outs, lanes, ins, *kernel), 1, 0)
        if groups > 1 or "x" in batched:
            x, groups = channels(x, "x" in batched, lanes, axes), lanes * groups
        y = channels(y, "y" in batched, lanes, axes)
        found = op(x, y, (lanes * outs, ins, *kernel), *options, groups)
        return found.reshape(lanes, outs, ins, *kernel)

    return conv, input_grad, weight_grad


def transposed(axes: int, member: Callable[[], Call]) -> Call:
    """The same for the transposed convolution over so many spatial axes, which `member` gives."""

    def conv_transpose(
        batched: frozenset[str],
        lanes: int,
        x: Array,
        weight: Array,
        bias: Array | None,
        stride: Size,
        padding: Padding,
        output_padding: Size,
        groups: int,
        dilation: Size,
    ) -> Array:
        op = member()
        options = (stride, padding, output_padding)
        if "weight" in batched:
            x = channels(x, "x" in batched, lanes, axes)
            out = apart(op(x, joined(weight), None, *options, lanes * groups, dilation), lanes, axes)
        elif "x" in batched:
            out = unfolded(op(folded(x, axes + 1), weight, None, *options, groups, dilation), x, axes + 1)
        else:
            out = op(x, weight, None, *options, groups, dilation)[None]
        return _biased(out, bias, "bias" in batched, axes)

    return conv_transpose


def folded(x: Array, ndim: int) -> Array:
    """Images with lanes as one batch; each has `ndim` axes."""
    return x.reshape(math.prod(x.shape[: x.ndim - ndim]), *x.shape[x.ndim - ndim :])


def unfolded(out: Array, x: Array, ndim: int) -> Array:
    """The inverse for what was made of the images x."""
    return out.reshape(*x.shape[: x.ndim - ndim], *out.shape[1:])


def joined(weight: Array) -> Array:
    """Kernels with lanes as those of more output channels."""
    return weight.reshape(weight.shape[0] * weight.shape[1], *weight.shape[2:])


def channels(x: Array, has_lanes: bool, lanes: int, axes: int) -> Array:
    """Images with lanes, or the same in all, as ones with so many times the channels."""
    x = x if has_lanes else np.broadcast_to(x[None], (lanes, *x.shape))
    x = np.moveaxis(x, 0, x.ndim - axes - 2)
    *batch, count, each = x.shape[: x.ndim - axes]
    return x.reshape(*batch, count * each, *x.shape[x.ndim - axes :])


def apart(out: Array, lanes: int, axes: int) -> Array:
    """The inverse."""
    *batch, count = out.shape[: out.ndim - axes]
    return np.moveaxis(out.reshape(*batch, lanes, count // lanes, *out.shape[out.ndim - axes :]), len(batch), 0)


def _biased(out: Array, bias: Array | None, has_lanes: bool, axes: int) -> Array:
    """Images with lanes plus a bias, with lanes or one for all."""
    if bias is None:
        return out
    lead = (bias.shape[0], *(1,) * (out.ndim - axes - 2)) if has_lanes else ()
    return out + bias.reshape(*lead, bias.shape[-1], *(1,) * axes)
