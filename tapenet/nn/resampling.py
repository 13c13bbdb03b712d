"""Layers that resize images, sequences and volumes."""

from __future__ import annotations

from collections.abc import Sequence

from tapenet.nn.op_layer import OpLayer


class Upsample(OpLayer, op="interpolate"):
    """The input in another size; see `tn.interpolate`.

    Shapes: (n, c, length), (n, c, h, w) or (n, c, d, h, w); the axes behind the channels get the new lengths.

    Args:
        size: lengths of the result, an int or one for each axis.
        scale_factor: in place of size: how much longer, a number or one for each axis.
        mode: "nearest", "linear", "bilinear", "bicubic" or "trilinear".
        align_corners: the middles of the first and of the last element keep their places; else the outer edges do.
        recompute_scale_factor: compute places by the rounded lengths, not by scale_factor.

    >>> from tapenet import nn
    >>> nn.Upsample(scale_factor=2)([[[1.0, 2.0]]])
    array([[[1., 1., 2., 2.]]])
    """

    size: int | Sequence[int] | None = None
    scale_factor: float | Sequence[float] | None = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None

    def extra_repr(self) -> str:
        given = f"scale_factor={self.scale_factor}" if self.size is None else f"size={self.size}"
        return f"{given}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """An image in another size, by the nearest elements; `Upsample` with mode="nearest".

    Args:
        size: height and width of the result, an int or one for each.
        scale_factor: in place of size: how much longer.

    >>> from tapenet import nn
    >>> nn.UpsamplingNearest2d((1, 4))([[[[1.0, 2.0]]]])
    array([[[[1., 1., 2., 2.]]]])
    """

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """An image in another size, straight between elements; `Upsample` with mode="bilinear" and align_corners=True.

    Args:
        size: height and width of the result, an int or one for each.
        scale_factor: in place of size: how much longer.

    >>> from tapenet import nn
    >>> nn.UpsamplingBilinear2d((1, 3))([[[[1.0, 2.0]]]])
    array([[[[1. , 1.5, 2. ]]]])
    """

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True)
