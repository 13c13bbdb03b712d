"""Layers that make images smaller, and flat."""

from __future__ import annotations

import math
from typing import Any

from tapenet import ops
from tapenet.nn.casting import asarray, here
from tapenet.nn.module import Module
from tapenet.ops.layers.convolution import Size


class MaxPool2d(Module):
    """The largest element of each window of an image; see `tn.max_pool2d`.

    Shapes: (n, c, h, w) gives (n, c, h', w') with h' = (h + 2 padding - kernel_size) // stride + 1, and w' alike.

    Args:
        kernel_size: size of the windows, an int or a pair for height and width.
        stride: distance between windows; `kernel_size` by default.
        padding: border, which is never the largest.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.MaxPool2d(2)(np.zeros((4, 8, 26, 26))).shape
    (4, 8, 13, 13)
    """

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def forward(self, x: Any) -> Any:
        return ops.max_pool2d(asarray(x), self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        return _settings(self.kernel_size, self.stride, self.padding)


class AvgPool2d(Module):
    """The mean of each window of an image; see `tn.avg_pool2d`.

    Shapes: as of `MaxPool2d`.

    Args:
        kernel_size: size of the windows, an int or a pair for height and width.
        stride: distance between windows; `kernel_size` by default.
        padding: border of zeros.
        count_include_pad: divide by the size of the window, border included.

    >>> from tapenet import nn
    >>> nn.AvgPool2d(2)([[[[1.0, 2.0], [3.0, 4.0]]]]).item()
    2.5
    """

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.count_include_pad = count_include_pad

    def forward(self, x: Any) -> Any:
        return ops.avg_pool2d(asarray(x), self.kernel_size, self.stride, self.padding, self.count_include_pad)

    def extra_repr(self) -> str:
        text = _settings(self.kernel_size, self.stride, self.padding)
        return text if self.count_include_pad else text + ", count_include_pad=False"


def _settings(kernel_size: Size, stride: Size, padding: Size) -> str:
    text = f"{kernel_size}"
    if stride != kernel_size:
        text += f", stride={stride}"
    return text if padding == 0 else text + f", padding={padding}"


class Flatten(Module):
    """The axes from `start_dim` to `end_dim` as one; all but the first by default.

    Raises:
        ValueError: the input has no such axes.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Flatten()(np.zeros((4, 8, 13, 13))).shape
    (4, 1352)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Any) -> Any:
        x = asarray(x)
        shape = tuple(x.shape)
        start, end = (d + len(shape) if d < 0 else d for d in (self.start_dim, self.end_dim))
        if not 0 <= start <= end < len(shape):
            raise ValueError(
                f"{here()}: no axes from {self.start_dim} to {self.end_dim} in an input of shape {shape}; the first "
                "axis is the batch"
            )
        return ops.reshape(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))

    def extra_repr(self) -> str:
        return "" if (self.start_dim, self.end_dim) == (1, -1) else f"{self.start_dim}, {self.end_dim}"
