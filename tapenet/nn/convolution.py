"""Convolution layers, and their transposes, over one, two and three spatial axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn import cards
from tapenet.nn.layer_arguments import whole
from tapenet.nn.layer_inputs import cast, here
from tapenet.nn.linear import default_init
from tapenet.nn.module_repr import settings
from tapenet.nn.parameter import FLOAT, Parameter, float_type
from tapenet.nn.spatial_layer import SpatialLayer
from tapenet.ops.layers.convolution.family import conv1d, conv2d, conv3d
from tapenet.ops.layers.convolution.geometry import Ints, Size, borders_of, reaches, spread_size
from tapenet.ops.layers.convolution.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d
from tapenet.ops.layers.padding import pad

#: "same", "valid", a number, one for each axis, or a pair for each.
Padding = str | Size | Sequence[Size]
_MODES = ("zeros", "reflect", "replicate", "circular")


class _Layer(SpatialLayer):
    """Kernels and biases, and how they begin: those of a convolution."""

    #: The function of the layer, which each class has.
    conv: ClassVar[Callable[..., Tensor]]
    #: Whether kernels have the input's channels first.
    _transposed: ClassVar[bool] = False
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        name = type(self).__name__
        whole(self, in_channels=in_channels, out_channels=out_channels)
        whole(self, 1, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: {in_channels} and {out_channels} channels do not split into {groups} groups")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = spread_size(kernel_size, self.axes, f"{name}: kernel_size", 1)
        self.stride = spread_size(stride, self.axes, f"{name}: stride", 1)
        self.padding = padding
        self.dilation = spread_size(dilation, self.axes, f"{name}: dilation", 1)
        self.groups = groups
        first, second = (in_channels, out_channels) if self._transposed else (out_channels, in_channels)
        self.weight = Parameter(np.empty((first, second // groups, *self.kernel_size), float_type(dtype)))
        self.bias = Parameter(np.empty(out_channels, float_type(dtype))) if bias else None
        default_init(self.weight, self.bias, rng)
        self._borders()  # raises for a padding that is not valid
        if padding_mode not in _MODES:
            raise ValueError(f"{name}: padding_mode={padding_mode!r} is none of {', '.join(map(repr, _MODES))}")
        self.padding_mode = padding_mode

    def _borders(self) -> list[tuple[int, int]]:
        """How wide the border is before and after each axis."""
        try:
            return borders_of(self.padding, reaches(self.kernel_size, self.dilation), self.stride)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None

    def _settings(self, **usual: object) -> str:
        """The arguments as text; of those named, what is not as usual."""
        text = f"{self.in_channels}, {self.out_channels}, {self.kernel_size}"
        ones = (1,) * self.axes
        text += settings(self, {"stride": ones, "padding": 0, "dilation": ones, "groups": 1, **usual})
        return text + ("" if self.bias is not None else ", bias=False")

    def _card(self, **usual: object) -> str:
        """The kernel, of those named and the others what is not as usual, and the channels."""
        ones = (1,) * self.axes
        usual = {"stride": ones, "padding": 0, "dilation": ones, "groups": 1, **usual}
        kernel = "×".join(map(str, self.kernel_size)) if self.axes > 1 else f"kernel {self.kernel_size[0]}"
        return cards.lines(self, f"{self.in_channels} → {self.out_channels}", usual, kernel)


class _Conv(_Layer):
    """Cross-correlation of {things} with learned kernels, plus a bias per output channel.

    Shapes: (n, in_channels, {lengths}) gives (n, out_channels, {results}) with
    {length}' = ({length} + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1{alike}; see `tn.conv{axes}d`.

    Args:
        in_channels, out_channels: numbers of channels; both are multiples of `groups`.
        kernel_size, stride, padding, dilation: {ints}. `padding` may also be
            "valid" (0), "same" (the output is as large as the input; with stride 1), or {pairs}.
        groups: the channels are split into so many groups, each with kernels of its own.
        bias: learn a bias.
        padding_mode: what stands in the border: "zeros", "reflect", "replicate" or "circular"; see `F.pad`.
        dtype: of the parameters.
        rng: a generator for the initial values.

    Attributes:
        weight: (out_channels, in_channels / groups, {kernel}).
        bias: (out_channels,), or None.

    Both begin as U(-k, k) with k = 1 / sqrt(in_channels / groups * {window}), as PyTorch's do.

    Raises:
        ValueError: channels that are no multiple of `groups`, or an input of another number of channels or axes.
    """

    def forward(self, x: ArrayLike) -> Tensor:
        x, padding = cast(x, self.weight), self.padding
        if self.padding_mode != "zeros":
            x = pad(x, [width for pair in reversed(self._borders()) for width in pair], self.padding_mode)
            padding = 0
        return self.conv(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        return self._settings(padding_mode="zeros")

    def card(self) -> str:
        return self._card(padding_mode="zeros")


class _ConvTranspose(_Layer):
    """The transpose of a convolution of {things} with learned kernels, plus a bias per output channel: it makes larger what
    `Conv{axes}d` makes smaller.

    Shapes: (n, in_channels, {lengths}) gives (n, out_channels, {results}) with
    {length}' = ({length} - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1{alike}; see
    `tn.conv_transpose{axes}d`. Called with `output_size=`, the lengths of the result's spatial axes, it chooses
    output_padding itself.

    Args:
        in_channels, out_channels: numbers of channels; both are multiples of `groups`.
        kernel_size, stride, padding, output_padding, dilation: {ints}. `padding` may
            also be {pairs}.
        groups: the channels are split into so many groups, each with kernels of its own.
        bias: learn a bias.
        padding_mode: "zeros".
        dtype: of the parameters.
        rng: a generator for the initial values.

    Attributes:
        weight: (in_channels, out_channels / groups, {kernel}).
        bias: (out_channels,), or None.

    Both begin as U(-k, k) with k = 1 / sqrt(out_channels / groups * {window}), as PyTorch's do.

    Raises:
        ValueError: channels that are no multiple of `groups`, an input of another number of channels or axes, or an
            output_size that no output_padding below the stride gives.
    """

    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(
                f"{type(self).__name__}: padding_mode={padding_mode!r}: a transposed convolution has 'zeros' only"
            )
        if isinstance(padding, str):
            raise ValueError(f"{type(self).__name__}: padding={padding!r}: give numbers")
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, dtype=dtype, rng=rng
        )
        self.output_padding = spread_size(output_padding, self.axes, f"{type(self).__name__}: output_padding", 0)

    def forward(self, x: ArrayLike, output_size: Size | None = None) -> Tensor:
        """The result, of `output_size` if that is given: the lengths of its spatial axes, or of all its axes."""
        x = cast(x, self.weight)
        extra = self.output_padding if output_size is None else self._extra(tuple(x.shape), output_size)
        return self.conv(x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, shape: Ints, size: Size) -> Ints:
        """The output_padding that gives a result of this size."""
        size = tuple(size) if isinstance(size, (tuple, list)) else (size,) * self.axes
        wanted = size[-self.axes :]
        least = tuple(
            (n - 1) * s + r - before - after
            for n, s, r, (before, after) in zip(
                shape[-self.axes :], self.stride, reaches(self.kernel_size, self.dilation), self._borders(), strict=True
            )
        )
        if len(size) not in (self.axes, len(shape)) or not all(
            low <= n < low + s for n, low, s in zip(wanted, least, self.stride, strict=True)
        ):
            most = tuple(low + s - 1 for low, s in zip(least, self.stride, strict=True))
            raise ValueError(
                f"{here()}: output_size={size}: of an input of shape {shape} the result's spatial axes are from {least} to "
                f"{most} long"
            )
        return tuple(n - low for n, low in zip(wanted, least, strict=True))

    def extra_repr(self) -> str:
        return self._settings(output_padding=(0,) * self.axes)

    def card(self) -> str:
        return self._card(output_padding=(0,) * self.axes)


class Conv1d(_Conv, axes=1):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Conv1d(1, 8, 3)(np.zeros((4, 1, 28))).shape
    (4, 8, 26)
    """

    conv = conv1d


class Conv2d(_Conv, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Conv2d(1, 8, 3)(np.zeros((4, 1, 28, 28))).shape
    (4, 8, 26, 26)
    """

    conv = conv2d


class Conv3d(_Conv, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Conv3d(1, 8, 3)(np.zeros((4, 1, 9, 9, 9))).shape
    (4, 8, 7, 7, 7)
    """

    conv = conv3d


class ConvTranspose1d(_ConvTranspose, axes=1):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> up = nn.ConvTranspose1d(8, 4, 2, stride=2)
    >>> up(np.zeros((4, 8, 13))).shape
    (4, 4, 26)
    """

    conv = conv_transpose1d


class ConvTranspose2d(_ConvTranspose, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> up = nn.ConvTranspose2d(8, 4, 2, stride=2)
    >>> up(np.zeros((4, 8, 13, 13))).shape
    (4, 4, 26, 26)
    """

    conv = conv_transpose2d


class ConvTranspose3d(_ConvTranspose, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> up = nn.ConvTranspose3d(8, 4, 2, stride=2)
    >>> up(np.zeros((4, 8, 13, 13, 13))).shape
    (4, 4, 26, 26, 26)
    """

    conv = conv_transpose3d
