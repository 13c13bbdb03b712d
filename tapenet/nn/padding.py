"""Layers that put a border around sequences, images and volumes."""

from __future__ import annotations

from typing import Any

from tapenet.nn.layer_inputs import asarray, here
from tapenet.nn.module import Module
from tapenet.ops.layers.padding import pad

Widths = int | tuple[int, ...]


class _Padding(Module):
    """A border of the last axes. Subclasses say of how many (`axes`) and what stands in it (`mode`)."""

    axes: int
    mode: str

    def __init__(self, padding: Widths) -> None:
        count = 2 * self.axes
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * count
        if len(self.padding) != count:
            raise ValueError(
                f"{type(self).__name__}: padding={padding!r}: give an integer, or {count}: two for each axis, the last axis "
                "first"
            )

    def forward(self, x: Any) -> Any:
        x = asarray(x)
        if len(x.shape) not in (self.axes + 1, self.axes + 2):
            raise ValueError(
                f"{here()} got shape {tuple(x.shape)}; it takes {self.axes + 2} axes, batch and channels first, or "
                f"{self.axes + 1} without the batch"
            )
        return pad(x, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadding(_Padding):
    """A border of one number, around the last axes of any array."""

    mode = "constant"

    def __init__(self, padding: Widths, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, x: Any) -> Any:
        return pad(asarray(x), self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}, value={self.value}"


class _ZeroPadding(_ConstantPadding):
    """A border of zeros."""

    def __init__(self, padding: Widths) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPadding):
    """A border of zeros around the last axis.

    Shapes: (n, c, l) gives (n, c, left + l + right).

    Args:
        padding: width of the border: an integer, or (left, right); a negative one cuts off as much.

    >>> from tapenet import nn
    >>> nn.ZeroPad1d((1, 2))([[1.0, 2.0, 3.0]]).tolist()
    [[0.0, 1.0, 2.0, 3.0, 0.0, 0.0]]
    """

    axes = 1


class ZeroPad2d(_ZeroPadding):
    """A border of zeros around the last two axes.

    Shapes: (n, c, h, w) gives (n, c, top + h + bottom, left + w + right).

    Args:
        padding: width of the border: an integer, or (left, right, top, bottom); a negative one cuts off as much.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ZeroPad2d((1, 2, 0, 1))(np.zeros((4, 1, 3, 3))).shape
    (4, 1, 4, 6)
    """

    axes = 2


class ZeroPad3d(_ZeroPadding):
    """A border of zeros around the last three axes.

    Shapes: (n, c, d, h, w) gives (n, c, front + d + back, top + h + bottom, left + w + right).

    Args:
        padding: width of the border: an integer, or (left, right, top, bottom, front, back); a negative one cuts off as much.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ZeroPad3d((1, 2, 0, 1, 1, 0))(np.zeros((4, 1, 2, 3, 3))).shape
    (4, 1, 3, 4, 6)
    """

    axes = 3


class ConstantPad1d(_ConstantPadding):
    """A border of one number around the last axis.

    Shapes: (n, c, l) gives (n, c, left + l + right).

    Args:
        padding: width of the border: an integer, or (left, right); a negative one cuts off as much.
        value: the number.

    >>> from tapenet import nn
    >>> nn.ConstantPad1d((1, 2), 7.0)([[1.0, 2.0, 3.0]]).tolist()
    [[7.0, 1.0, 2.0, 3.0, 7.0, 7.0]]
    """

    axes = 1


class ConstantPad2d(_ConstantPadding):
    """A border of one number around the last two axes.

    Shapes: (n, c, h, w) gives (n, c, top + h + bottom, left + w + right).

    Args:
        padding: width of the border: an integer, or (left, right, top, bottom); a negative one cuts off as much.
        value: the number.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ConstantPad2d((1, 2, 0, 1), 7.0)(np.zeros((4, 1, 3, 3))).shape
    (4, 1, 4, 6)
    """

    axes = 2


class ConstantPad3d(_ConstantPadding):
    """A border of one number around the last three axes.

    Shapes: (n, c, d, h, w) gives (n, c, front + d + back, top + h + bottom, left + w + right).

    Args:
        padding: width of the border: an integer, or (left, right, top, bottom, front, back); a negative one cuts off as much.
        value: the number.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ConstantPad3d((1, 2, 0, 1, 1, 0), 7.0)(np.zeros((4, 1, 2, 3, 3))).shape
    (4, 1, 3, 4, 6)
    """

    axes = 3


class ReflectionPad1d(_Padding):
    """A border in which sequences are reflected on their edges, which are not repeated.

    Shapes: (n, c, l) gives (n, c, left + l + right), or without n.

    Args:
        padding: width of the border: an integer, or (left, right); a negative one cuts off as much.

    Raises:
        ValueError: a border wider than all elements of an axis but one.

    >>> from tapenet import nn
    >>> nn.ReflectionPad1d((1, 2))([[1.0, 2.0, 3.0]]).tolist()
    [[2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """

    axes = 1
    mode = "reflect"


class ReflectionPad2d(_Padding):
    """A border in which images are reflected on their edges, which are not repeated.

    Shapes: (n, c, h, w) gives (n, c, top + h + bottom, left + w + right), or without n.

    Args:
        padding: width of the border: an integer, or (left, right, top, bottom); a negative one cuts off as much.

    Raises:
        ValueError: a border wider than all elements of an axis but one.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ReflectionPad2d((1, 2, 0, 1))(np.zeros((4, 1, 3, 3))).shape
    (4, 1, 4, 6)
    """

    axes = 2
    mode = "reflect"


class ReflectionPad3d(_Padding):
    """A border in which volumes are reflected on their edges, which are not repeated.

    Shapes: (n, c, d, h, w) gives (n, c, front + d + back, top + h + bottom, left + w + right), or without n.

    Args:
        padding: width of the border: an integer, or (left, right, top, bottom, front, back); a negative one cuts off as much.

    Raises:
        ValueError: a border wider than all elements of an axis but one.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ReflectionPad3d((1, 2, 0, 1, 1, 0))(np.zeros((4, 1, 2, 3, 3))).shape
    (4, 1, 3, 4, 6)
    """

    axes = 3
    mode = "reflect"


class ReplicationPad1d(_Padding):
    """A border in which the edges of sequences are repeated.

    Shapes: (n, c, l) gives (n, c, left + l + right), or without n.

    Args:
        padding: width of the border: an integer, or (left, right); a negative one cuts off as much.

    >>> from tapenet import nn
    >>> nn.ReplicationPad1d((1, 2))([[1.0, 2.0, 3.0]]).tolist()
    [[1.0, 1.0, 2.0, 3.0, 3.0, 3.0]]
    """

    axes = 1
    mode = "replicate"


class ReplicationPad2d(_Padding):
    """A border in which the edges of images are repeated.

    Shapes: (n, c, h, w) gives (n, c, top + h + bottom, left + w + right), or without n.

    Args:
        padding: width of the border: an integer, or (left, right, top, bottom); a negative one cuts off as much.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ReplicationPad2d((1, 2, 0, 1))(np.zeros((4, 1, 3, 3))).shape
    (4, 1, 4, 6)
    """

    axes = 2
    mode = "replicate"


class ReplicationPad3d(_Padding):
    """A border in which the edges of volumes are repeated.

    Shapes: (n, c, d, h, w) gives (n, c, front + d + back, top + h + bottom, left + w + right), or without n.

    Args:
        padding: width of the border: an integer, or (left, right, top, bottom, front, back); a negative one cuts off as much.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.ReplicationPad3d((1, 2, 0, 1, 1, 0))(np.zeros((4, 1, 2, 3, 3))).shape
    (4, 1, 3, 4, 6)
    """

    axes = 3
    mode = "replicate"


class CircularPad1d(_Padding):
    """A border in which sequences go on at their other ends.

    Shapes: (n, c, l) gives (n, c, left + l + right), or without n.

    Args:
        padding: width of the border: an integer, or (left, right); a negative one cuts off as much.

    Raises:
        ValueError: a border wider than an axis.

    >>> from tapenet import nn
    >>> nn.CircularPad1d((1, 2))([[1.0, 2.0, 3.0]]).tolist()
    [[3.0, 1.0, 2.0, 3.0, 1.0, 2.0]]
    """

    axes = 1
    mode = "circular"


class CircularPad2d(_Padding):
    """A border in which images go on at their other ends.

    Shapes: (n, c, h, w) gives (n, c, top + h + bottom, left + w + right), or without n.

    Args:
        padding: width of the border: an integer, or (left, right, top, bottom); a negative one cuts off as much.

    Raises:
        ValueError: a border wider than an axis.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.CircularPad2d((1, 2, 0, 1))(np.zeros((4, 1, 3, 3))).shape
    (4, 1, 4, 6)
    """

    axes = 2
    mode = "circular"


class CircularPad3d(_Padding):
    """A border in which volumes go on at their other ends.

    Shapes: (n, c, d, h, w) gives (n, c, front + d + back, top + h + bottom, left + w + right), or without n.

    Args:
        padding: width of the border: an integer, or (left, right, top, bottom, front, back); a negative one cuts off as much.

    Raises:
        ValueError: a border wider than an axis.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.CircularPad3d((1, 2, 0, 1, 1, 0))(np.zeros((4, 1, 2, 3, 3))).shape
    (4, 1, 3, 4, 6)
    """

    axes = 3
    mode = "circular"
