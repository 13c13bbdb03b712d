"""Layers that normalise each sample alone: groups of channels, the last axes, neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.nn import cards
from tapenet.nn import functional as F
from tapenet.nn.layer_arguments import whole
from tapenet.nn.layer_inputs import asarray, cast, here
from tapenet.nn.module import Module
from tapenet.nn.module_repr import settings
from tapenet.nn.op_layer import OpLayer
from tapenet.nn.parameter import FLOAT, Parameter, float_type


class Affine(Module):
    """A normalisation that may scale and shift what it gives."""

    weight: Tensor | None
    bias: Tensor | None = None

    def _learn(self, shape: int | tuple[int, ...], scale: bool, shift: bool, dtype: DTypeLike) -> None:
        """Make the parameters."""
        self.weight = Parameter(np.ones(shape, float_type(dtype))) if scale else None
        self.bias = Parameter(np.zeros(shape, float_type(dtype))) if scale and shift else None

    def reset_parameters(self) -> None:
        """Reset the parameters: weight 1, bias 0."""
        with no_grad():
            for parameter, value in ((self.weight, 1.0), (self.bias, 0.0)):
                if parameter is not None:
                    parameter[...] = value

    def _cast(self, x: ArrayLike) -> Tensor:
        return asarray(x) if self.weight is None else cast(x, self.weight)

    def _settings(self, **usual: object) -> str:
        """The settings that are not as usual, and whether there is no shift beside a scale."""
        text = settings(self, usual)
        return text if self.bias is not None or self.weight is None else text + ", bias=False"


# -- of groups of channels ---------------------------------------------------------------------------------------------


class GroupNorm(Affine):
    """Groups of channels of each sample brought to mean 0 and variance 1, then scaled and shifted channel by channel;
    see `tn.group_norm`.

    Shapes: (n, num_channels, ...); the output has the same shape.

    Args:
        num_groups: number of groups that the channels are divided into, in order.
        num_channels: number of channels.
        eps: added to the variance.
        affine: learn a scale and a shift per channel.
        bias: learn the shift too.
        dtype: of the parameters.

    Attributes:
        weight, bias: (num_channels,), at first 1 and 0, or None.

    Raises:
        ValueError: groups that do not divide the channels, or an input of other channels.

    >>> from tapenet import nn
    >>> nn.GroupNorm(1, 2)([[1.0, 3.0]]).data.round(3)
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = FLOAT,
    ) -> None:
        whole(self, 1, num_groups=num_groups)
        whole(self, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_channels} channels are not {num_groups} groups of equal size")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._learn(num_channels, affine, bias, dtype)

    def forward(self, x: ArrayLike) -> Tensor:
        x = self._cast(x)
        if len(x.shape) < 2 or x.shape[1] != self.num_channels:
            raise ValueError(f"{here()} takes (n, {self.num_channels}, ...), not {tuple(x.shape)}")
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}" + self._settings(eps=1e-5, affine=True)

    def card(self) -> str:
        groups = f"{self.num_groups} group{'s' if self.num_groups != 1 else ''}"
        return cards.lines(self, f"{self.num_channels} channels", {"eps": 1e-5}, groups)


# -- of the last axes --------------------------------------------------------------------------------------------


def _lengths(layer: Module, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not shape:
        raise ValueError(f"{type(layer).__name__}: normalized_shape={shape}: give the length of one axis or more")
    for length in shape:
        whole(layer, normalized_shape=length)
    return shape


class LayerNorm(Affine):
    """The last axes of each sample brought to mean 0 and variance 1 together, then scaled and shifted element by
    element; see `tn.layer_norm`.

    Shapes: (..., *normalized_shape); the output has the same shape.

    Args:
        normalized_shape: length of the last axis, or lengths of the last axes.
        eps: added to the variance.
        elementwise_affine: learn a scale and a shift.
        bias: learn the shift.
        dtype: of the parameters.

    Attributes:
        weight, bias: of shape normalized_shape, at first 1 and 0, or None.

    Raises:
        ValueError: an input that does not end in normalized_shape.

    >>> from tapenet import nn
    >>> nn.LayerNorm(2)([[1.0, 3.0]]).data.round(3)
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = FLOAT,
    ) -> None:
        self.normalized_shape = _lengths(self, normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._learn(self.normalized_shape, elementwise_affine, bias, dtype)

    def forward(self, x: ArrayLike) -> Tensor:
        x = self._cast(x)
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}" + self._settings(eps=1e-5, elementwise_affine=True)

    def card(self) -> str:
        return cards.lines(self, f"over {'×'.join(map(str, self.normalized_shape))}", {"eps": 1e-5})


class RMSNorm(Affine):
    """The last axes of each sample divided by their root mean square, then scaled element by element; see
    `tn.rms_norm`.

    Shapes: (..., *normalized_shape); the output has the same shape.

    Args:
        normalized_shape: length of the last axis, or lengths of the last axes.
        eps: added to the mean square; by default the spacing of the dtype's numbers at 1.
        elementwise_affine: learn a scale.
        dtype: of the scale.

    Attributes:
        weight: of shape normalized_shape, at first 1, or None.

    Raises:
        ValueError: an input that does not end in normalized_shape.

    >>> from tapenet import nn
    >>> nn.RMSNorm(2)([[3.0, -3.0]]).data.round(3)
    array([[ 1., -1.]], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike = FLOAT,
    ) -> None:
        self.normalized_shape = _lengths(self, normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(np.ones(self.normalized_shape, float_type(dtype))) if elementwise_affine else None

    def forward(self, x: ArrayLike) -> Tensor:
        x = self._cast(x)
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}" + settings(self, {"eps": None, "elementwise_affine": True})

    def card(self) -> str:
        return cards.lines(self, f"over {'×'.join(map(str, self.normalized_shape))}", {"eps": None})


# -- by the neighbours -------------------------------------------------------------------------------------------


class LocalResponseNorm(OpLayer, op="local_response_norm"):
    """Each element divided by a power of the squares around it, over neighbouring channels; see
    `tn.local_response_norm`.

    Shapes: (n, channels, positions, ...); the output has the same shape.

    Args:
        size: number of channels in a window.
        alpha, beta, k: out = x / (k + alpha / size · Σ x²)^beta.

    Raises:
        ValueError: an input of fewer than three axes.

    >>> from tapenet import nn
    >>> nn.LocalResponseNorm(1, alpha=1.0, beta=1.0)([[[1.0], [2.0]]]).tolist()
    [[[0.5], [0.4]]]
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0
