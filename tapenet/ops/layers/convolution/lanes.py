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
            inner = None if "bias" in batched else bias
            if "x" not in batched:
                out = op(x, weight, None, *options, groups)[None]
            else:
                out = unfolded(op(folded(x, axes + 1), weight, inner, *options, groups), x, axes + 1)
            return out if inner is bias else out + _beside(bias, lanes, out.ndim, axes)
        if "x" in batched or groups > 1:
            x, groups = channels(x, "x" in batched, lanes, axes), lanes * groups
        out = apart(op(x, joined(weight), None, *options, groups), lanes, axes)
        return out if bias is None else out + _beside(bias, lanes if "bias" in batched else 1, out.ndim, axes)

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


def _beside(bias: Array | None, lanes: int, ndim: int, axes: int) -> Array:
    """A bias with lanes, or 1, beside images with them."""
    assert bias is not None
    return bias.reshape(lanes, *(1,) * (ndim - axes - 2), bias.shape[-1], *(1,) * axes)
