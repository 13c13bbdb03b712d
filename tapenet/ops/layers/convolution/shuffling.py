"""Channels made into pixels, pixels into channels, and channels in another order: copies, one each."""

from __future__ import annotations

import numpy as np

from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.typing import Array

Ints = tuple[int, ...]


#: How to move elements: the axes taken apart, their order, and the shape that they are joined to.
Move = tuple[Ints, Ints, Ints]


def _moved(x: Array, move: Move) -> Array:
    apart, order, shape = move
    made = np.empty_like(x, shape=shape)  # in the order of memory that x has
    made[...] = x.reshape(apart).transpose(order).reshape(shape)
    return made


def _check_factor(name: str, factor: int) -> None:
    if not isinstance(factor, (int, np.integer)) or factor < 1:
        raise ValueError(f"{name}={factor!r}: give an integer of 1 or more")


def _shuffle(shape: Ints, r: int) -> Move:
    _check_factor("upscale_factor", r)
    if len(shape) < 3 or shape[-3] % (r * r):
        raise ValueError(
            f"x has shape {shape}; it must be (..., channels, height, width) with channels a multiple of "
            f"upscale_factor² = {r * r}"
        )
    *outer, c, h, w = shape
    n = len(outer)
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return (*outer, c // (r * r), r, r, h, w), order, (*outer, c // (r * r), h * r, w * r)


def _unshuffle(shape: Ints, r: int) -> Move:
    _check_factor("downscale_factor", r)
    if len(shape) < 3 or shape[-2] % r or shape[-1] % r:
        raise ValueError(
            f"x has shape {shape}; it must be (..., channels, height, width) with height and width multiples of "
            f"downscale_factor={r}"
        )
    *outer, c, h, w = shape
    n = len(outer)
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return (*outer, c, h // r, r, w // r, r), order, (*outer, c * r * r, h // r, w // r)


def _channels(shape: Ints, groups: int) -> Move:
    _check_factor("groups", groups)
    if len(shape) < 3 or shape[1] % groups:
        raise ValueError(
            f"x has shape {shape}; it must be (batch, channels, ...) with channels a multiple of groups={groups}"
        )
    n, c, *inner = shape
    return (n, groups, c // groups, *inner), (0, 2, 1, *range(3, len(shape) + 1)), shape


def _shuffle_x(g: Array, upscale_factor: int) -> Array:
    return pixel_unshuffle(g, upscale_factor)


def _channels_x(g: Array, groups: int) -> Array:
    return channel_shuffle(g, g.shape[1] // groups)  # type: ignore[no-any-return]


@op(
    label=lambda upscale_factor: f"pixel shuffle ×{upscale_factor}",
    x=_shuffle_x,
    formula="channels of x as pixels",
    samples=lambda r: [sample(r.normal(size=(2, 4, 1, 2)), 2), sample(r.normal(size=(9, 1, 1)), 3)],
)
def pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    """Images r times as high and wide, of r² times fewer channels: each r x r pixels are the channels of one.

    out[c, r·h + i, r·w + j] = x[r²·c + r·i + j, h, w]: the last step of a network that enlarges images (Shi and others
    2016, "sub-pixel convolution").

    Args:
        x: (..., channels · r², height, width).
        upscale_factor: r.

    Returns:
        (..., channels, height · r, width · r).

    Raises:
        ValueError: channels that are no multiple of r².

    >>> import numpy as np, tapenet as tn
    >>> tn.pixel_shuffle(tn.tensor(np.arange(8.0).reshape(4, 1, 2)), 2)
    Tensor([[[0., 2., 1., 3.],
             [4., 6., 5., 7.]]])
    """
    return _moved(x, _shuffle(x.shape, upscale_factor))


@op(
    label=lambda downscale_factor: f"pixel unshuffle /{downscale_factor}",
    x=lambda g, downscale_factor: pixel_shuffle(g, downscale_factor),
    formula="pixels of x as channels",
    samples=lambda r: [sample(r.normal(size=(2, 1, 2, 4)), 2), sample(r.normal(size=(1, 3, 3)), 3)],
)
def pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    """Images r times less high and wide, of r² times as many channels: the inverse of `pixel_shuffle`.

    Args:
        x: (..., channels, height · r, width · r).
        downscale_factor: r.

    Returns:
        (..., channels · r², height, width).

    Raises:
        ValueError: a height or width that is no multiple of r.

    >>> import numpy as np, tapenet as tn
    >>> tn.pixel_unshuffle(tn.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2).tolist()
    [[[1.0]], [[2.0]], [[3.0]], [[4.0]]]
    """
    return _moved(x, _unshuffle(x.shape, downscale_factor))


@op(
    label=lambda groups: f"channel shuffle {groups}",
    x=_channels_x,
    formula="the channels of x in another order",
    samples=lambda r: [sample(r.normal(size=(2, 6, 1)), 2), sample(r.normal(size=(1, 4, 2, 1)), 2)],
)
def channel_shuffle(x: Array, groups: int) -> Array:
    """The first channel of each group, then the second of each, and so on, so that the groups of the next convolution
    see channels of all groups of this one (Zhang and others 2018, "ShuffleNet").

    Args:
        x: (batch, channels, ...).
        groups: how many; channels is a multiple of it.

    Raises:
        ValueError: channels that are no multiple of groups.

    >>> import numpy as np, tapenet as tn
    >>> tn.channel_shuffle(tn.tensor(np.arange(6.0).reshape(1, 6, 1)), 2).reshape(-1)
    Tensor([0., 3., 1., 4., 2., 5.])
    """
    return _moved(x, _channels(x.shape, groups))
