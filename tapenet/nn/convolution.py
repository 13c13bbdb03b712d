"""Convolution layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.casting import cast
from tapenet.nn.linear import default_init
from tapenet.nn.module import Module
from tapenet.nn.parameter import FLOAT, Parameter
from tapenet.ops.layers.convolution import Size, spread_size


class Conv2d(Module):
    """Cross-correlation of images with learned kernels, plus a bias per output channel.

    Shapes: (n, in_channels, h, w) gives (n, out_channels, h', w') with
    h' = (h + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1, and w' alike; see `tn.conv2d`.

    Args:
        in_channels, out_channels: numbers of channels; both are multiples of `groups`.
        kernel_size, stride, padding, dilation: an int, or a pair for height and width. `padding` may also be
            "valid" (0), "same" (the output is as large as the input; with stride 1), or ((top, bottom), (left, right)).
        groups: the channels are split into so many groups, each with kernels of its own.
        bias: learn a bias.
        dtype: of the parameters.
        rng: a generator for the initial values.

    Attributes:
        weight: (out_channels, in_channels / groups, kh, kw).
        bias: (out_channels,), or None.

    Both begin as U(-k, k) with k = 1 / sqrt(in_channels / groups * kh * kw), as PyTorch's do.

    Raises:
        ValueError: channels that are no multiple of `groups`, or an input of another number of channels or axes.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Conv2d(1, 8, 3)(np.zeros((4, 1, 28, 28))).shape
    (4, 8, 26, 26)
    """

    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Any = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(f"Conv2d: {in_channels} and {out_channels} channels do not split into {groups} groups")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = spread_size(kernel_size, 2, "kernel_size", 1)
        self.stride = spread_size(stride, 2, "stride", 1)
        self.padding = padding
        self.dilation = spread_size(dilation, 2, "dilation", 1)
        self.groups = groups
        self.weight = Parameter(np.empty((out_channels, in_channels // groups, *self.kernel_size), dtype))
        self.bias = Parameter(np.empty(out_channels, dtype)) if bias else None
        default_init(self.weight, self.bias, rng)

    def forward(self, x: Any) -> Any:
        x = cast(x, self.weight)
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, {self.kernel_size}"
        for name, usual in (("stride", (1, 1)), ("padding", 0), ("dilation", (1, 1)), ("groups", 1)):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text + ("" if self.bias is not None else ", bias=False")
