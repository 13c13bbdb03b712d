"""Layers that reshape or reorder the elements of their input."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray, here
from tapenet.nn.op_layer import OpLayer
from tapenet.nn.settings_layer import SettingsLayer
from tapenet.ops.layers.convolution.geometry import Size


class Flatten(SettingsLayer):
    """The axes from `start_dim` to `end_dim` as one; all but the first by default.

    Raises:
        ValueError: the input has no such axes.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Flatten()(np.zeros((4, 8, 13, 13))).shape
    (4, 1352)
    """

    start_dim: int = 1
    end_dim: int = -1

    def forward(self, x: ArrayLike) -> Tensor:
        x = asarray(x)
        shape = tuple(x.shape)
        start, end = (d + len(shape) if d < 0 else d for d in (self.start_dim, self.end_dim))
        if not 0 <= start <= end < len(shape):
            raise ValueError(
                f"{here()}: no axes from {self.start_dim} to {self.end_dim} in an input of shape {shape}; the first "
                "axis is the batch"
            )
        return x.reshape(*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


class Unflatten(SettingsLayer):
    """One axis as several: the inverse of `Flatten`.

    Args:
        dim: the axis.
        unflattened_size: the lengths of the axes it becomes; one of them may be -1: it is computed from the others.

    Raises:
        ValueError: the input has no such axis, or one of another length.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Unflatten(1, (8, -1, 13))(np.zeros((4, 1352))).shape
    (4, 8, 13, 13)
    """

    dim: int
    unflattened_size: Sequence[int]

    def _check(self) -> None:
        given = self.unflattened_size
        sizes = tuple(given) if isinstance(given, (tuple, list)) else ()
        if not sizes or not all(isinstance(n, (int, np.integer)) and n >= -1 for n in sizes) or sizes.count(-1) > 1:
            raise ValueError(
                f"Unflatten: unflattened_size={given!r}: give the lengths of the new axes as a tuple, one of them perhaps -1"
            )
        self.unflattened_size = sizes

    def forward(self, x: ArrayLike) -> Tensor:
        x = asarray(x)
        shape = tuple(x.shape)
        dim = self.dim + len(shape) if self.dim < 0 else self.dim
        if not 0 <= dim < len(shape):
            raise ValueError(f"{here()}: no axis {self.dim} in an input of shape {shape}")
        n, known = shape[dim], math.prod(v for v in self.unflattened_size if v != -1)
        if (n % known if known else n) if -1 in self.unflattened_size else n != known:
            raise ValueError(
                f"{here()}: axis {self.dim} of shape {shape} is {n} long and does not become {self.unflattened_size}"
            )
        return x.reshape(*shape[:dim], *self.unflattened_size, *shape[dim + 1 :])


class Unfold(OpLayer, op="unfold"):
    """The windows of images as columns; see `tn.unfold`.

    Shapes: (n, c, h, w) gives (n, c · kh · kw, windows).

    Args:
        kernel_size, dilation, padding, stride: of the windows, each an int or a pair for height and width.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Unfold((2, 3))(np.zeros((4, 5, 3, 4))).shape
    (4, 30, 4)
    """

    kernel_size: Size
    dilation: Size = 1
    padding: Size = 0
    stride: Size = 1


class Fold(OpLayer, op="fold"):
    """Columns added up to images, each at the place of its window; see `tn.fold`.

    Shapes: (n, c · kh · kw, windows) gives (n, c, h, w).

    Args:
        output_size: (h, w), or an int for both.
        kernel_size, dilation, padding, stride: of the windows, each an int or a pair for height and width.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Fold((3, 4), (2, 3))(np.zeros((4, 30, 4))).shape
    (4, 5, 3, 4)
    """

    output_size: Size
    kernel_size: Size
    dilation: Size = 1
    padding: Size = 0
    stride: Size = 1


class PixelShuffle(OpLayer, op="pixel_shuffle"):
    """Images r times as high and wide, of r² times fewer channels; see `tn.pixel_shuffle`.

    Shapes: (..., c · r², h, w) gives (..., c, h · r, w · r).

    Args:
        upscale_factor: r.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.PixelShuffle(2)(np.zeros((4, 12, 3, 5))).shape
    (4, 3, 6, 10)
    """

    upscale_factor: int


class PixelUnshuffle(OpLayer, op="pixel_unshuffle"):
    """Images r times less high and wide, of r² times as many channels; see `tn.pixel_unshuffle`.

    Shapes: (..., c, h · r, w · r) gives (..., c · r², h, w).

    Args:
        downscale_factor: r.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.PixelUnshuffle(2)(np.zeros((4, 3, 6, 10))).shape
    (4, 12, 3, 5)
    """

    downscale_factor: int


class ChannelShuffle(OpLayer, op="channel_shuffle"):
    """The channels in another order, the first of each group first; see `tn.channel_shuffle`.

    Args:
        groups: of channels.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ChannelShuffle(2)(np.arange(6.0).reshape(1, 6, 1)).ravel()
    array([0., 3., 1., 4., 2., 5.])
    """

    groups: int
