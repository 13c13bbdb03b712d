"""Convolution, and what moves the elements of images without computing.

Each family of convolutions is closed under differentiation. `conv2d`, `conv2d_input_grad` (the transposed convolution)
and `conv2d_weight_grad` are each linear in two arrays, and the rules of each are the other two, so derivatives of every
order come from these three; over one and three axes likewise.

Images that a convolution gives are views with axes (batch, channel, height, width) of memory in which the batch is
innermost. Elementwise functions, pooling and normalisation keep that order, so that a stack of layers transposes once,
at its input. `spatial` says why.
"""

from __future__ import annotations

from tapenet.ops.layers.convolution.family import (
    conv1d,
    conv1d_input_grad,
    conv1d_weight_grad,
    conv2d,
    conv2d_input_grad,
    conv2d_weight_grad,
    conv3d,
    conv3d_input_grad,
    conv3d_weight_grad,
)
from tapenet.ops.layers.convolution.geometry import Ints, Record, Size, spread_size
from tapenet.ops.layers.convolution.shuffling import channel_shuffle, pixel_shuffle, pixel_unshuffle
from tapenet.ops.layers.convolution.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d
from tapenet.ops.layers.convolution.unfolding import fold, unfold

__all__ = [
    "Ints",
    "Record",
    "Size",
    "channel_shuffle",
    "conv1d",
    "conv1d_input_grad",
    "conv1d_weight_grad",
    "conv2d",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "conv3d",
    "conv3d_input_grad",
    "conv3d_weight_grad",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "fold",
    "pixel_shuffle",
    "pixel_unshuffle",
    "spread_size",
    "unfold",
]
