"""Resizing: the last axes of an array made longer or shorter, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.layers.convolution.geometry import Size
from tapenet.ops.layers.pooling.adaptive import adaptive_avg_pool
from tapenet.ops.layers.resampling import taps as _taps
from tapenet.ops.layers.resampling.axis import resample
from tapenet.ops.registry import sample
from tapenet.typing import Array, Shape

#: By mode: of how many axes it is, None for any.
_MODES: dict[str, int | None] = {
    "nearest": None,
    "nearest-exact": None,
    "area": None,
    "linear": 1,
    "bilinear": 2,
    "bicubic": 2,
    "trilinear": 3,
}


@derived(
    samples=lambda r: [
        sample(r.normal(size=(1, 2, 3)), 5),
        sample(r.normal(size=(1, 1, 2, 3)), scale_factor=(1.6, 0.7), mode="nearest-exact"),
        sample(r.normal(size=(1, 1, 2, 3)), (3, 2), mode="bilinear"),
        sample(r.normal(size=(1, 1, 2, 3)), scale_factor=1.7, mode="bicubic", align_corners=True),
        sample(r.normal(size=(1, 1, 4, 3)), (2, 3), mode="bilinear", antialias=True),
        sample(r.normal(size=(1, 5)).reshape(1, 1, 5), 3, mode="area"),
    ]
)
def interpolate(
    x: Array,
    size: Size | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    """Images, sequences or volumes in another size.

    Each axis is resampled by itself, those that get shorter first; the result is linear in x.

    Args:
        x: (batch, channels, length), (batch, channels, height, width) or (batch, channels, depth, height, width).
        size: lengths of the result, an integer or one for each axis.
        scale_factor: in place of size: how much longer, a number or one for each axis. Lengths are rounded down.
        mode: "nearest" (by where elements begin), "nearest-exact" (by their middles), "area" (means, see
            `adaptive_avg_pool2d`); "linear", "bilinear" or "trilinear", by the number of axes; or "bicubic" (Keys 1981,
            with a = -0.75).
        align_corners: the middles of the first and of the last element keep their places; else the outer edges do.
        recompute_scale_factor: compute places by the rounded lengths, not by scale_factor.
        antialias: of "bilinear" and "bicubic": a smaller result weighs all elements it stands for, as Pillow does.

    Returns:
        (batch, channels, ...), float64 for integers unless they are only copied.

    Raises:
        ValueError: the mode does not fit the number of axes, or an option the mode; neither or both of size and
            scale_factor; a length of 0.

    >>> import tapenet as tn
    >>> tn.interpolate(tn.tensor([[[1.0, 3.0]]]), scale_factor=2, mode="linear")
    Tensor([[[1. , 1.5, 2.5, 3. ]]])
    """
    x = array_like(x)
    axes = len(x.shape) - 2
    _check(x, axes, mode, align_corners, antialias)
    lengths = tuple(x.shape[2:])
    outs, scales = _sizes(lengths, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        return adaptive_avg_pool(x, outs)
    for axis in sorted(range(axes), key=lambda a: outs[a] / lengths[a]):
        arguments = (lengths[axis], outs[axis])
        scale = None if _by_lengths(*arguments, axes, mode, antialias) else scales[axis]
        if mode.startswith("nearest"):
            taps = _taps.nearest(*arguments, mode == "nearest-exact", scale)
        elif antialias:
            taps = _taps.antialiased(*arguments, mode == "bicubic", bool(align_corners), scale)
        else:
            kind = _taps.cubic if mode == "bicubic" else _taps.linear
            taps = kind(*arguments, bool(align_corners), scale)
        x = resample(x, taps, axis + 2)
    return x


def _by_lengths(length: int, out: int, axes: int, mode: str, antialias: bool) -> bool:
    """Whether places are computed by the lengths whatever the factor, as in PyTorch: an axis that keeps its length is copied,
    and of images by "nearest" one that comes to twice its length has each element twice."""
    if mode == "nearest":
        return axes == 2 and out in (length, 2 * length)
    return out == length and (antialias or mode in ("linear", "bilinear", "trilinear"))


def _check(x: Array, axes: int, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if mode not in _MODES:
        raise ValueError(f"interpolate: mode={mode!r} is none of {', '.join(_MODES)}")
    if not 1 <= axes <= 3:
        raise ValueError(
            f"interpolate: x has shape {tuple(x.shape)}; it must have a batch, channels, and one to three axes to resize: "
            "add the missing ones, as in x[None, None]"
        )
    if _MODES[mode] not in (None, axes):
        fitting = ", ".join(m for m, n in _MODES.items() if n in (None, axes))
        raise ValueError(
            f"interpolate: mode={mode!r} is for {_MODES[mode]} axes after batch and channels; x has shape "
            f"{tuple(x.shape)}: choose from {fitting}"
        )
    if align_corners is not None and _MODES[mode] is None:
        raise ValueError(f"interpolate: align_corners means nothing for mode={mode!r}: leave it out")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolate: antialias=True is for 'bilinear' and 'bicubic', not for mode={mode!r}")


def _sizes(
    lengths: Shape, size: Size | None, scale_factor: float | Sequence[float] | None, recompute: bool | None
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The lengths of the result, and by which factors places are computed (None: by the lengths)."""
    given = size if scale_factor is None else scale_factor
    if given is None or (size is not None and scale_factor is not None):
        raise ValueError("interpolate: give either size or scale_factor")
    each = [*given] if isinstance(given, (Sequence, np.ndarray)) else [given] * len(lengths)
    name = "size" if scale_factor is None else "scale_factor"
    if len(each) != len(lengths):
        raise ValueError(
            f"interpolate: {name}={given!r} has {len(each)} numbers; x has {len(lengths)} axes after batch and channels"
        )
    scales: tuple[float | None, ...] = (None,) * len(each)
    if scale_factor is None:
        if recompute:
            raise ValueError("interpolate: recompute_scale_factor needs a scale_factor, not a size")
        outs = tuple(int(n) for n in each if isinstance(n, (int, np.integer)))
        if len(outs) != len(each):
            raise TypeError(f"interpolate: size={size!r}: give an integer, or {len(lengths)} of them")
    else:
        outs = tuple(math.floor(n * float(s)) for n, s in zip(lengths, each, strict=True))
        scales = scales if recompute else tuple(map(float, each))
    if min(outs) < 1 or min(lengths) < 1:
        raise ValueError(f"interpolate: {name}={given!r} makes lengths {outs} of {lengths}; they must be 1 or more")
    return outs, scales
