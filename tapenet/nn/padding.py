"""Layers that put a border around sequences, images and volumes."""

from __future__ import annotations

from typing import ClassVar

from numpy.typing import ArrayLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn import functional as F
from tapenet.nn.layer_inputs import asarray, here
from tapenet.nn.settings_layer import SettingsLayer
from tapenet.nn.spatial_layer import SpatialLayer

Widths = int | tuple[int, ...]


class _Padding(SpatialLayer, SettingsLayer):
    """A border of the last axes."""

    padding: Widths
    #: What stands in the border; see `F.pad`.
    mode: ClassVar[str]

    def _check(self) -> None:
        given, count = self.padding, 2 * self.axes
        widths = tuple(given) if isinstance(given, (tuple, list)) else (given,) * count
        if len(widths) != count:
            raise ValueError(
                f"{type(self).__name__}: padding={given!r}: give an integer, or {count}: two for each axis, the last axis first"
            )
        self.padding = widths

    def forward(self, x: ArrayLike) -> Tensor:
        x = asarray(x)
        if x.ndim not in (self.axes + 1, self.axes + 2):
            raise ValueError(
                f"{here()} got shape {tuple(x.shape)}; it takes {self.axes + 2} axes, batch and channels first, or "
                f"{self.axes + 1} without the batch"
            )
        return F.pad(x, self.padding, self.mode)


class _ZeroPad(_Padding):
    """A border of zeros around {last}.

    Shapes: (n, c, {lengths}) gives (n, c, {padded}).

    Args:
        padding: width of the border: an integer, or {sides}; a negative one cuts off as much.
    """

    def forward(self, x: ArrayLike) -> Tensor:
        return F.pad(asarray(x), self.padding)


class _ConstantPad(_Padding):
    """A border of one number around {last}.

    Shapes: (n, c, {lengths}) gives (n, c, {padded}).

    Args:
        padding: width of the border: an integer, or {sides}; a negative one cuts off as much.
        value: the number.
    """

    value: float

    def forward(self, x: ArrayLike) -> Tensor:
        return F.pad(asarray(x), self.padding, value=self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}, value={self.value}"


class _ReflectionPad(_Padding):
    """A border in which {things} are reflected on their edges, which are not repeated.

    Shapes: (n, c, {lengths}) gives (n, c, {padded}), or without n.

    Args:
        padding: width of the border: an integer, or {sides}; a negative one cuts off as much.

    Raises:
        ValueError: a border wider than all elements of an axis but one.
    """

    mode = "reflect"


class _ReplicationPad(_Padding):
    """A border in which the edges of {things} are repeated.

    Shapes: (n, c, {lengths}) gives (n, c, {padded}), or without n.

    Args:
        padding: width of the border: an integer, or {sides}; a negative one cuts off as much.
    """

    mode = "replicate"


class _CircularPad(_Padding):
    """A border in which {things} go on at their other ends.

    Shapes: (n, c, {lengths}) gives (n, c, {padded}), or without n.

    Args:
        padding: width of the border: an integer, or {sides}; a negative one cuts off as much.

    Raises:
        ValueError: a border wider than an axis.
    """

    mode = "circular"


class ZeroPad1d(_ZeroPad, axes=1):
    """
    >>> from tapenet import nn
    >>> nn.ZeroPad1d((1, 2))([[1.0, 2.0, 3.0]]).tolist()
    [[0.0, 1.0, 2.0, 3.0, 0.0, 0.0]]
    """


class ZeroPad2d(_ZeroPad, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ZeroPad2d((1, 2, 0, 1))(np.zeros((4, 1, 3, 3))).shape
    (4, 1, 4, 6)
    """


class ZeroPad3d(_ZeroPad, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ZeroPad3d((1, 2, 0, 1, 1, 0))(np.zeros((4, 1, 2, 3, 3))).shape
    (4, 1, 3, 4, 6)
    """


class ConstantPad1d(_ConstantPad, axes=1):
    """
    >>> from tapenet import nn
    >>> nn.ConstantPad1d((1, 2), 7.0)([[1.0, 2.0, 3.0]]).tolist()
    [[7.0, 1.0, 2.0, 3.0, 7.0, 7.0]]
    """


class ConstantPad2d(_ConstantPad, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ConstantPad2d((1, 2, 0, 1), 7.0)(np.zeros((4, 1, 3, 3))).shape
    (4, 1, 4, 6)
    """


class ConstantPad3d(_ConstantPad, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ConstantPad3d((1, 2, 0, 1, 1, 0), 7.0)(np.zeros((4, 1, 2, 3, 3))).shape
    (4, 1, 3, 4, 6)
    """


class ReflectionPad1d(_ReflectionPad, axes=1):
    """
    >>> from tapenet import nn
    >>> nn.ReflectionPad1d((1, 2))([[1.0, 2.0, 3.0]]).tolist()
    [[2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """


class ReflectionPad2d(_ReflectionPad, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ReflectionPad2d((1, 2, 0, 1))(np.zeros((4, 1, 3, 3))).shape
    (4, 1, 4, 6)
    """


class ReflectionPad3d(_ReflectionPad, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ReflectionPad3d((1, 2, 0, 1, 1, 0))(np.zeros((4, 1, 2, 3, 3))).shape
    (4, 1, 3, 4, 6)
    """


class ReplicationPad1d(_ReplicationPad, axes=1):
    """
    >>> from tapenet import nn
    >>> nn.ReplicationPad1d((1, 2))([[1.0, 2.0, 3.0]]).tolist()
    [[1.0, 1.0, 2.0, 3.0, 3.0, 3.0]]
    """


class ReplicationPad2d(_ReplicationPad, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ReplicationPad2d((1, 2, 0, 1))(np.zeros((4, 1, 3, 3))).shape
    (4, 1, 4, 6)
    """


class ReplicationPad3d(_ReplicationPad, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ReplicationPad3d((1, 2, 0, 1, 1, 0))(np.zeros((4, 1, 2, 3, 3))).shape
    (4, 1, 3, 4, 6)
    """


class CircularPad1d(_CircularPad, axes=1):
    """
    >>> from tapenet import nn
    >>> nn.CircularPad1d((1, 2))([[1.0, 2.0, 3.0]]).tolist()
    [[3.0, 1.0, 2.0, 3.0, 1.0, 2.0]]
    """


class CircularPad2d(_CircularPad, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.CircularPad2d((1, 2, 0, 1))(np.zeros((4, 1, 3, 3))).shape
    (4, 1, 4, 6)
    """


class CircularPad3d(_CircularPad, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.CircularPad3d((1, 2, 0, 1, 1, 0))(np.zeros((4, 1, 2, 3, 3))).shape
    (4, 1, 3, 4, 6)
    """
