"""Layers that pool: each window of the last axes becomes one element."""

from __future__ import annotations

from numpy.typing import ArrayLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.op_layer import OpLayer, OpSettings
from tapenet.nn.spatial_layer import SpatialLayer
from tapenet.ops.layers.convolution.geometry import Size


class _Pool(SpatialLayer, OpSettings):
    """A layer with windows, whose distance is their size where it is not given."""

    kernel_size: Size
    stride: Size | None = None

    def _check(self) -> None:
        if self.stride is None:
            self.stride = self.kernel_size

    def _usual(self) -> dict[str, object]:
        return super()._usual() | {"stride": self.kernel_size}


# -- maximum -----------------------------------------------------------------------------------------------------


class _MaxPool(_Pool, OpLayer, op="max_pool{axes}d"):
    """The largest element of each window of {thing}; see `tn.max_pool{axes}d`.

    Shapes: (n, c, {lengths}) gives (n, c, {results}) with
    {length}' = ({length} + 2 padding - kernel_size) // stride + 1{alike}.

    Args:
        kernel_size: size of the windows, {ints}.
        stride: distance between windows; `kernel_size` by default.
        padding: border, which is never the largest.
        dilation: distance between the elements of a window.
        return_indices: return also where the elements are, for `MaxUnpool{axes}d`.
        ceil_mode: also a last window that reaches beyond the end.
    """

    padding: Size = 0
    dilation: Size = 1
    return_indices: bool = False
    ceil_mode: bool = False

    def forward(self, x: ArrayLike) -> Tensor:
        return self._op(asarray(x), return_indices=True, **self._given()) if self.return_indices else super().forward(x)


class MaxPool1d(_MaxPool, axes=1):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.MaxPool1d(3, stride=2)(np.zeros((4, 8, 11))).shape
    (4, 8, 5)
    """


class MaxPool2d(_MaxPool, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.MaxPool2d(2)(np.zeros((4, 8, 26, 26))).shape
    (4, 8, 13, 13)
    """


class MaxPool3d(_MaxPool, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.MaxPool3d((1, 2, 2))(np.zeros((4, 8, 3, 6, 6))).shape
    (4, 8, 3, 3, 3)
    """


class _MaxUnpool(_Pool, op="max_unpool{axes}d"):
    """What `MaxPool{axes}d` found, put back where it was, in zeros; see `tn.max_unpool{axes}d`.

    Called as `unpool(x, indices, output_size=None)`.

    Args:
        kernel_size, stride, padding: of the pooling.
    """

    padding: Size = 0

    def forward(self, x: ArrayLike, indices: ArrayLike, output_size: Size | None = None) -> Tensor:
        return self._op(asarray(x), indices, output_size=output_size, **self._given())


class MaxUnpool1d(_MaxUnpool, axes=1):
    """
    >>> from tapenet import nn
    >>> pool, unpool = nn.MaxPool1d(2, return_indices=True), nn.MaxUnpool1d(2)
    >>> unpool(*pool([[[1.0, 3.0, 5.0, 4.0]]]))
    array([[[0., 3., 5., 0.]]])
    """


class MaxUnpool2d(_MaxUnpool, axes=2):
    """
    >>> from tapenet import nn
    >>> pool, unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    >>> unpool(*pool([[[[1.0, 3.0], [5.0, 4.0]]]]))
    array([[[[0., 0.],
             [5., 0.]]]])
    """


class MaxUnpool3d(_MaxUnpool, axes=3):
    """
    >>> from tapenet import nn
    >>> pool, unpool = nn.MaxPool3d((1, 1, 2), return_indices=True), nn.MaxUnpool3d((1, 1, 2))
    >>> unpool(*pool([[[[[1.0, 3.0]]]]]))
    array([[[[[0., 3.]]]]])
    """


# -- mean and norm -----------------------------------------------------------------------------------------------


class _AvgPool(_Pool, OpLayer, op="avg_pool{axes}d"):
    """The mean of each window of {thing}; see `tn.avg_pool{axes}d`.

    Shapes: as of `MaxPool{axes}d`.

    Args:
        kernel_size: size of the windows, {ints}.
        stride: distance between windows; `kernel_size` by default.
        padding: border of zeros.
        ceil_mode: also a last window that reaches beyond the end.
        count_include_pad: divide by the size of the window, border included.
        divisor_override: an integer to divide by instead; `AvgPool1d` takes none.
    """

    padding: Size = 0
    ceil_mode: bool = False
    count_include_pad: bool = True


class AvgPool1d(_AvgPool, axes=1):
    """
    >>> from tapenet import nn
    >>> nn.AvgPool1d(2)([[[1.0, 2.0, 5.0, 6.0]]])
    array([[[1.5, 5.5]]])
    """


class AvgPool2d(_AvgPool, axes=2):
    """
    >>> from tapenet import nn
    >>> nn.AvgPool2d(2)([[[[1.0, 2.0], [3.0, 4.0]]]]).item()
    2.5
    """

    divisor_override: int | None = None


class AvgPool3d(_AvgPool, axes=3):
    """
    >>> from tapenet import nn
    >>> nn.AvgPool3d((1, 2, 2))([[[[[1.0, 2.0], [3.0, 4.0]]]]]).item()
    2.5
    """

    divisor_override: int | None = None


class _LPPool(SpatialLayer, OpLayer, op="lp_pool{axes}d"):
    """(Σ xᵖ)^(1/p) over each window of {thing}; see `tn.lp_pool{axes}d`.

    Args:
        norm_type: p.
        kernel_size, stride, ceil_mode: as of `AvgPool{axes}d`.
    """

    norm_type: float
    kernel_size: Size
    stride: Size | None = None
    ceil_mode: bool = False


class LPPool1d(_LPPool, axes=1):
    """
    >>> from tapenet import nn
    >>> nn.LPPool1d(2, 2)([[[3.0, 4.0]]])
    array([[[5.]]])
    """


class LPPool2d(_LPPool, axes=2):
    """
    >>> from tapenet import nn
    >>> nn.LPPool2d(2, (1, 2))([[[[3.0, 4.0]]]])
    array([[[[5.]]]])
    """


class LPPool3d(_LPPool, axes=3):
    """
    >>> from tapenet import nn
    >>> nn.LPPool3d(2, (1, 1, 2))([[[[[3.0, 4.0]]]]])
    array([[[[[5.]]]]])
    """
