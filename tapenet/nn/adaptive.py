"""Layers that pool to a given size: by even parts, or by windows whose places are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet import ops
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.module import Module
from tapenet.nn.module_repr import settings
from tapenet.ops.layers.convolution.geometry import Size
from tapenet.ops.random import generator


class _AdaptiveAvgPool(Module):
    """Adaptive average pooling over `axes` axes."""

    axes: int

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        pool = getattr(ops, f"adaptive_avg_pool{self.axes}d")
        return pool(asarray(x), self.output_size)

    def extra_repr(self) -> str:
        return f"{self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of so many parts of a sequence; see `tn.adaptive_avg_pool1d`. With 1: global pooling, the mean of each
    channel.

    Shapes: (n, c, length) gives (n, c, output_size).

    Args:
        output_size: length of the result.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveAvgPool1d(3)(np.zeros((4, 8, 7))).shape
    (4, 8, 3)
    """

    axes = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of so many parts of an image; see `tn.adaptive_avg_pool2d`. With 1: global pooling, the mean of each
    channel.

    Shapes: (n, c, h, w) gives (n, c, h', w') with (h', w') = output_size.

    Args:
        output_size: height and width of the result, an int or one for each axis; None keeps a length.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveAvgPool2d(1)(np.zeros((4, 8, 7, 7))).shape
    (4, 8, 1, 1)
    """

    axes = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The means of so many parts of a volume; see `tn.adaptive_avg_pool3d`. With 1: global pooling, the mean of each
    channel.

    Shapes: (n, c, d, h, w) gives (n, c, d', h', w') with (d', h', w') = output_size.

    Args:
        output_size: lengths of the result, an int or one for each axis; None keeps a length.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveAvgPool3d((None, 3, 3))(np.zeros((4, 8, 2, 7, 7))).shape
    (4, 8, 2, 3, 3)
    """

    axes = 3


class _AdaptiveMaxPool(Module):
    """Adaptive max pooling over `axes` axes."""

    axes: int

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, x: Any) -> Any:
        pool = getattr(ops, f"adaptive_max_pool{self.axes}d")
        return pool(asarray(x), self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"{self.output_size}" + settings(self, {"return_indices": False})


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest elements of so many parts of a sequence; see `tn.adaptive_max_pool1d`. With 1: global pooling, the
    largest element of each channel.

    Shapes: (n, c, length) gives (n, c, output_size).

    Args:
        output_size: length of the result.
        return_indices: return also where the elements are.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveMaxPool1d(3)(np.zeros((4, 8, 7))).shape
    (4, 8, 3)
    """

    axes = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest elements of so many parts of an image; see `tn.adaptive_max_pool2d`. With 1: global pooling, the
    largest element of each channel.

    Shapes: (n, c, h, w) gives (n, c, h', w') with (h', w') = output_size.

    Args:
        output_size: height and width of the result, an int or one for each axis; None keeps a length.
        return_indices: return also where the elements are.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveMaxPool2d(1)(np.zeros((4, 8, 7, 7))).shape
    (4, 8, 1, 1)
    """

    axes = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest elements of so many parts of a volume; see `tn.adaptive_max_pool3d`. With 1: global pooling, the
    largest element of each channel.

    Shapes: (n, c, d, h, w) gives (n, c, d', h', w') with (d', h', w') = output_size.

    Args:
        output_size: lengths of the result, an int or one for each axis; None keeps a length.
        return_indices: return also where the elements are.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.AdaptiveMaxPool3d(2)(np.zeros((4, 8, 5, 7, 7))).shape
    (4, 8, 2, 2, 2)
    """

    axes = 3


class _FractionalMaxPool(Module):
    """Fractional max pooling over `axes` axes."""

    axes: int
    _random_samples: Any

    def __init__(
        self,
        kernel_size: Size,
        output_size: Size | None = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{type(self).__name__}: give either output_size or output_ratio")
        self.kernel_size = kernel_size
        self.output_size = output_size
        self.output_ratio = output_ratio
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)  # part of the state, as in PyTorch
        # An integer would begin the same numbers anew at each call.
        self.rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Any:
        pool = getattr(ops, f"fractional_max_pool{self.axes}d")
        return pool(
            asarray(x),
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            self._random_samples,
            rng=self.rng,
        )

    def extra_repr(self) -> str:
        usual = {"output_size": None, "output_ratio": None, "return_indices": False}
        return f"{self.kernel_size}" + settings(self, usual)


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest elements of windows of an image whose places are drawn; see `tn.fractional_max_pool2d`.

    Shapes: (n, c, h, w) gives (n, c, h', w') with (h', w') = output_size, or that part of h and w.

    Args:
        kernel_size: size of the windows, an int or one for each axis.
        output_size: height and width of the result.
        output_ratio: in place of output_size: how long the result is relative to the input, between 0 and 1.
        return_indices: return also where the elements are.
        rng: a generator, or an integer to make one from; by default the one that `tn.random.seed` seeds.

    Raises:
        ValueError: neither or both of output_size and output_ratio.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.FractionalMaxPool2d(2, output_ratio=0.7)(np.zeros((4, 8, 20, 20))).shape
    (4, 8, 14, 14)
    """

    axes = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest elements of windows of a volume whose places are drawn; see `tn.fractional_max_pool3d`.

    Shapes: (n, c, d, h, w) gives (n, c, d', h', w') with (d', h', w') = output_size, or that part of the lengths.

    Args:
        kernel_size, output_size, output_ratio, return_indices, rng: as of `FractionalMaxPool2d`.

    Raises:
        ValueError: neither or both of output_size and output_ratio.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.FractionalMaxPool3d(2, 3)(np.zeros((4, 8, 5, 5, 5))).shape
    (4, 8, 3, 3, 3)
    """

    axes = 3
