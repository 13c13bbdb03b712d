"""Layers that pool: each window of the last axes becomes one element."""

from __future__ import annotations

from typing import Any

from tapenet import ops
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.module import Module
from tapenet.nn.module_repr import settings
from tapenet.ops.layers.convolution.geometry import Size

# -- maximum -----------------------------------------------------------------------------------------------------


class _MaxPool(Module):
    """Max pooling over `axes` axes."""

    axes: int

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, x: Any) -> Any:
        pool = getattr(ops, f"max_pool{self.axes}d")
        options = {"return_indices": True} if self.return_indices else {}
        return pool(asarray(x), self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, **options)

    def extra_repr(self) -> str:
        usual = {"stride": self.kernel_size, "padding": 0, "dilation": 1, "return_indices": False, "ceil_mode": False}
        return f"{self.kernel_size}" + settings(self, usual)


class MaxPool1d(_MaxPool):
    """The largest element of each window of a sequence; see `tn.max_pool1d`.

    Shapes: (n, c, length) gives (n, c, length') with length' = (length + 2 padding - kernel_size) // stride + 1.

    Args:
        kernel_size, stride, padding, dilation, return_indices, ceil_mode: as of `MaxPool2d`.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.MaxPool1d(3, stride=2)(np.zeros((4, 8, 11))).shape
    (4, 8, 5)
    """

    axes = 1


class MaxPool2d(_MaxPool):
    """The largest element of each window of an image; see `tn.max_pool2d`.

    Shapes: (n, c, h, w) gives (n, c, h', w') with h' = (h + 2 padding - kernel_size) // stride + 1, and w' alike.

    Args:
        kernel_size: size of the windows, an int or one for each axis.
        stride: distance between windows; `kernel_size` by default.
        padding: border, which is never the largest.
        dilation: distance between the elements of a window.
        return_indices: return also where the elements are, for `MaxUnpool2d`.
        ceil_mode: also a last window that reaches beyond the end.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.MaxPool2d(2)(np.zeros((4, 8, 26, 26))).shape
    (4, 8, 13, 13)
    """

    axes = 2


class MaxPool3d(_MaxPool):
    """The largest element of each window of a volume; see `tn.max_pool3d`.

    Shapes: (n, c, d, h, w) gives (n, c, d', h', w'), each length as of `MaxPool2d`.

    Args:
        kernel_size, stride, padding, dilation, return_indices, ceil_mode: as of `MaxPool2d`.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.MaxPool3d((1, 2, 2))(np.zeros((4, 8, 3, 6, 6))).shape
    (4, 8, 3, 3, 3)
    """

    axes = 3


class _MaxUnpool(Module):
    """Unpooling over `axes` axes."""

    axes: int

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def forward(self, x: Any, indices: Any, output_size: Any = None) -> Any:
        unpool = getattr(ops, f"max_unpool{self.axes}d")
        return unpool(asarray(x), indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}" + settings(self, {"stride": self.kernel_size, "padding": 0})


class MaxUnpool1d(_MaxUnpool):
    """What `MaxPool1d` found, put back where it was, in zeros; see `tn.max_unpool1d`.

    Called as `unpool(x, indices, output_size=None)`.

    Args:
        kernel_size, stride, padding: of the pooling.

    >>> from tapenet import nn
    >>> pool, unpool = nn.MaxPool1d(2, return_indices=True), nn.MaxUnpool1d(2)
    >>> unpool(*pool([[[1.0, 3.0, 5.0, 4.0]]]))
    array([[[0., 3., 5., 0.]]])
    """

    axes = 1


class MaxUnpool2d(_MaxUnpool):
    """What `MaxPool2d` found, put back where it was, in zeros; see `tn.max_unpool2d`.

    Called as `unpool(x, indices, output_size=None)`.

    Args:
        kernel_size, stride, padding: of the pooling.

    >>> from tapenet import nn
    >>> pool, unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    >>> unpool(*pool([[[[1.0, 3.0], [5.0, 4.0]]]]))
    array([[[[0., 0.],
             [5., 0.]]]])
    """

    axes = 2


class MaxUnpool3d(_MaxUnpool):
    """What `MaxPool3d` found, put back where it was, in zeros; see `tn.max_unpool3d`.

    Called as `unpool(x, indices, output_size=None)`.

    Args:
        kernel_size, stride, padding: of the pooling.

    >>> from tapenet import nn
    >>> pool, unpool = nn.MaxPool3d((1, 1, 2), return_indices=True), nn.MaxUnpool3d((1, 1, 2))
    >>> unpool(*pool([[[[[1.0, 3.0]]]]]))
    array([[[[[0., 3.]]]]])
    """

    axes = 3


# -- mean and norm -----------------------------------------------------------------------------------------------


class _AvgPool(Module):
    """Average pooling over `axes` axes."""

    axes: int

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x: Any) -> Any:
        pool = getattr(ops, f"avg_pool{self.axes}d")
        return pool(
            asarray(x),
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        usual = {
            "stride": self.kernel_size,
            "padding": 0,
            "ceil_mode": False,
            "count_include_pad": True,
            "divisor_override": None,
        }
        return f"{self.kernel_size}" + settings(self, usual)


class AvgPool1d(_AvgPool):
    """The mean of each window of a sequence; see `tn.avg_pool1d`.

    Shapes: as of `MaxPool1d`.

    Args:
        kernel_size, stride, padding, ceil_mode, count_include_pad: as of `AvgPool2d`.

    >>> from tapenet import nn
    >>> nn.AvgPool1d(2)([[[1.0, 2.0, 5.0, 6.0]]])
    array([[[1.5, 5.5]]])
    """

    axes = 1

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)


class AvgPool2d(_AvgPool):
    """The mean of each window of an image; see `tn.avg_pool2d`.

    Shapes: as of `MaxPool2d`.

    Args:
        kernel_size: size of the windows, an int or one for each axis.
        stride: distance between windows; `kernel_size` by default.
        padding: border of zeros.
        ceil_mode: also a last window that reaches beyond the end.
        count_include_pad: divide by the size of the window, border included.
        divisor_override: an integer to divide by instead.

    >>> from tapenet import nn
    >>> nn.AvgPool2d(2)([[[[1.0, 2.0], [3.0, 4.0]]]]).item()
    2.5
    """

    axes = 2


class AvgPool3d(_AvgPool):
    """The mean of each window of a volume; see `tn.avg_pool3d`.

    Shapes: as of `MaxPool3d`.

    Args:
        kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override: as of `AvgPool2d`.

    >>> from tapenet import nn
    >>> nn.AvgPool3d((1, 2, 2))([[[[[1.0, 2.0], [3.0, 4.0]]]]]).item()
    2.5
    """

    axes = 3


class _LPPool(Module):
    """Pooling by the norm of each window, over `axes` axes."""

    axes: int

    def __init__(
        self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
    ) -> None:
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, x: Any) -> Any:
        pool = getattr(ops, f"lp_pool{self.axes}d")
        return pool(asarray(x), self.norm_type, self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return f"{self.norm_type}, {self.kernel_size}" + settings(self, {"stride": None, "ceil_mode": False})


class LPPool1d(_LPPool):
    """(Σ xᵖ)^(1/p) over each window of a sequence; see `tn.lp_pool1d`.

    Args:
        norm_type: p.
        kernel_size, stride, ceil_mode: as of `AvgPool1d`.

    >>> from tapenet import nn
    >>> nn.LPPool1d(2, 2)([[[3.0, 4.0]]])
    array([[[5.]]])
    """

    axes = 1


class LPPool2d(_LPPool):
    """(Σ xᵖ)^(1/p) over each window of an image; see `tn.lp_pool2d`.

    Args:
        norm_type: p.
        kernel_size, stride, ceil_mode: as of `AvgPool2d`.

    >>> from tapenet import nn
    >>> nn.LPPool2d(2, (1, 2))([[[[3.0, 4.0]]]])
    array([[[[5.]]]])
    """

    axes = 2


class LPPool3d(_LPPool):
    """(Σ xᵖ)^(1/p) over each window of a volume; see `tn.lp_pool3d`.

    Args:
        norm_type: p.
        kernel_size, stride, ceil_mode: as of `AvgPool3d`.

    >>> from tapenet import nn
    >>> nn.LPPool3d(2, (1, 1, 2))([[[[[3.0, 4.0]]]]])
    array([[[[[5.]]]]])
    """

    axes = 3
