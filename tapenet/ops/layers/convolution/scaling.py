"""Factors for the channels of a convolution's result, moved into its kernels: s · conv(x, w) = conv(x, s · w)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet.ops.layers.convolution import family, transposed
from tapenet.ops.op import Op
from tapenet.typing import Array

#: The kernels with each output channel's times its factor: a function of kernels, factors and the number of groups.
Scaled = Callable[[Array, Array, int], Array]


def _first(weight: Array, factors: Array, groups: int) -> Array:
    """Of kernels (out, in / groups, ...)."""
    return weight * factors.reshape(-1, *(1,) * (weight.ndim - 1))


def _second(weight: Array, factors: Array, groups: int) -> Array:
    """Of kernels (in, out / groups, ...), those of a transposed convolution."""
    per_input = np.repeat(factors.reshape(groups, -1), len(weight) // groups, axis=0)
    return weight * per_input.reshape(*weight.shape[:2], *(1,) * (weight.ndim - 2))


#: By op: how its kernels are scaled, and over how many spatial axes it goes, which stand behind the channels.
SCALED: dict[Op, tuple[Scaled, int]] = {
    family.conv1d: (_first, 1),
    family.conv2d: (_first, 2),
    family.conv3d: (_first, 3),
    transposed.conv_transpose1d: (_second, 1),
    transposed.conv_transpose2d: (_second, 2),
    transposed.conv_transpose3d: (_second, 3),
}
