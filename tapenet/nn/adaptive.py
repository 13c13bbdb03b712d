"""Layers that pool to a given size: by even parts, or by windows whose places are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY

import numpy as np
from numpy.typing import ArrayLike

from tapenet.nn.op_layer import OpLayer
from tapenet.nn.spatial_layer import SpatialLayer
from tapenet.ops.layers.convolution.geometry import Size

#: A length for all axes, or one for each; None keeps a length.
OutputSize = int | Sequence[int | None] | None


class _AdaptiveAvgPool(SpatialLayer, OpLayer, op="adaptive_avg_pool{axes}d"):
    """The means of so many parts of {thing}; see `tn.adaptive_avg_pool{axes}d`. With 1: global pooling, the mean of each
    channel.

    Shapes: (n, c, {lengths}) gives (n, c, {results}) with ({results}) = output_size.

    Args:
        output_size: lengths of the result, {ints}; None keeps a length.
    """

    output_size: OutputSize


class AdaptiveAvgPool1d(_AdaptiveAvgPool, axes=1):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveAvgPool1d(3)(np.zeros((4, 8, 7))).shape
    (4, 8, 3)
    """


class AdaptiveAvgPool2d(_AdaptiveAvgPool, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveAvgPool2d(1)(np.zeros((4, 8, 7, 7))).shape
    (4, 8, 1, 1)
    """


class AdaptiveAvgPool3d(_AdaptiveAvgPool, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveAvgPool3d((None, 3, 3))(np.zeros((4, 8, 2, 7, 7))).shape
    (4, 8, 2, 3, 3)
    """


class _AdaptiveMaxPool(SpatialLayer, OpLayer, op="adaptive_max_pool{axes}d"):
    """The largest elements of so many parts of {thing}; see `tn.adaptive_max_pool{axes}d`. With 1: global pooling, the
    largest element of each channel.

    Shapes: (n, c, {lengths}) gives (n, c, {results}) with ({results}) = output_size.

    Args:
        output_size: lengths of the result, {ints}; None keeps a length.
        return_indices: return also where the elements are.
    """

    output_size: OutputSize
    return_indices: bool = False


class AdaptiveMaxPool1d(_AdaptiveMaxPool, axes=1):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveMaxPool1d(3)(np.zeros((4, 8, 7))).shape
    (4, 8, 3)
    """


class AdaptiveMaxPool2d(_AdaptiveMaxPool, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveMaxPool2d(1)(np.zeros((4, 8, 7, 7))).shape
    (4, 8, 1, 1)
    """


class AdaptiveMaxPool3d(_AdaptiveMaxPool, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveMaxPool3d(2)(np.zeros((4, 8, 5, 7, 7))).shape
    (4, 8, 2, 2, 2)
    """


class _FractionalMaxPool(SpatialLayer, OpLayer, op="fractional_max_pool{axes}d"):
    """The largest elements of windows of {thing} whose places are drawn; see `tn.fractional_max_pool{axes}d`.

    Shapes: (n, c, {lengths}) gives (n, c, {results}) with ({results}) = output_size, or that part of the lengths.

    Args:
        kernel_size: size of the windows, {ints}.
        output_size: lengths of the result.
        output_ratio: in place of output_size: how long the result is relative to the input, between 0 and 1.
        return_indices: return also where the elements are.
        rng: a generator, or an integer to make one from; by default the one that `tn.random.seed` seeds.

    Raises:
        ValueError: neither or both of output_size and output_ratio.
    """

    kernel_size: Size
    output_size: Size | None = None
    output_ratio: float | Sequence[float] | None = None
    return_indices: bool = False
    _random_samples: ArrayLike | None = None
    _: KW_ONLY
    rng: np.random.Generator | int | None = None

    def _check(self) -> None:
        if (self.output_size is None) == (self.output_ratio is None):
            raise ValueError(f"{type(self).__name__}: give either output_size or output_ratio")


class FractionalMaxPool2d(_FractionalMaxPool, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.FractionalMaxPool2d(2, output_ratio=0.7)(np.zeros((4, 8, 20, 20))).shape
    (4, 8, 14, 14)
    """


class FractionalMaxPool3d(_FractionalMaxPool, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.FractionalMaxPool3d(2, 3)(np.zeros((4, 8, 5, 5, 5))).shape
    (4, 8, 3, 3, 3)
    """
