"""Images turned, moved, scaled and sheared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from tapenet.data.transforms.transform import Transform, filling, interval, like
from tapenet.typing import Array

Sampling = Literal["nearest", "bilinear"]


class RandomAffine(Transform):
    """Images turned about their middle, moved, scaled and sheared at random.

    `degrees`: the angle, clockwise, from (from, to) or (-degrees, degrees). `translate`: the largest move, as shares of width
    and height, whole pixels. `scale`: factors (from, to). `shear`: an angle along x in degrees, (from, to) or (-shear, shear),
    or four numbers, along x and along y. `interpolation`: "nearest", the default as in torchvision, or "bilinear". `fill`: what
    is put where no image is, a number or one for each channel.

    >>> half = RandomAffine(degrees=(180, 180))
    >>> half(np.array([[[1, 2], [3, 4]]])).tolist()
    [[[4, 3], [2, 1]]]
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: Sampling = "nearest",
        fill: float | Sequence[float] = 0,
    ) -> None:
        who = type(self).__name__
        self.degrees = interval(who, "degrees", degrees, -math.inf, 0)
        self.translate = (0.0, 0.0) if translate is None else tuple(translate)
        if len(self.translate) != 2 or not all(0 <= share <= 1 for share in self.translate):
            raise ValueError(f"{who} needs translate as two shares of width and height, from 0 to 1, got {translate!r}")
        self.scale = (1.0, 1.0) if scale is None else interval(who, "scale", scale, 1e-9, 1)
        shears = (0.0, 0.0, 0.0, 0.0)
        if shear is not None:
            if isinstance(shear, (int, float)) or len(shear) == 2:
                shears = (*interval(who, "shear", shear, -math.inf, 0), 0.0, 0.0)
            elif len(shear) == 4:
                shears = (
                    *interval(who, "shear", shear[:2], -math.inf, 0),
                    *interval(who, "shear", shear[2:], -math.inf, 0),
                )
            else:
                raise ValueError(f"{who} needs shear as one, two or four numbers, got {shear!r}")
        self.shear = shears
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(f"{who} needs interpolation as 'nearest' or 'bilinear', got {interpolation!r}")
        self.interpolation, self.fill = interpolation, fill

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        height, width = images.shape[2:]
        out = np.empty_like(images)
        fill = filling(type(self).__name__, self.fill, images)
        for i in range(len(images)):
            angle = rng.uniform(*self.degrees)
            moves = [
                round(rng.uniform(-1, 1) * share * side)
                for share, side in zip(self.translate, (width, height), strict=True)
            ]
            scale = rng.uniform(*self.scale)
            shear = rng.uniform(*self.shear[:2]), rng.uniform(*self.shear[2:])
            out[i] = warped(images[i], inverse(angle, moves, scale, shear), self.interpolation, fill)
        return out


class RandomRotation(RandomAffine):
    """Images turned about their middle, counter-clockwise, by an angle from (from, to) or (-degrees, degrees).

    Their size stays; corners that leave it are lost. `interpolation` and `fill` are as in `RandomAffine`.

    >>> quarter = RandomRotation((90, 90))
    >>> quarter(np.array([[[1, 2], [3, 4]]])).tolist()
    [[[2, 4], [1, 3]]]
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: Sampling = "nearest",
        fill: float | Sequence[float] = 0,
    ) -> None:
        low, high = interval("RandomRotation", "degrees", degrees, -math.inf, 0)
        super().__init__((-high, -low), interpolation=interpolation, fill=fill)


def inverse(
    angle: float, move: Sequence[float], scale: float, shear: tuple[float, float]
) -> tuple[float, float, float, float, float, float]:
    """Where a point of the result was before it was sheared, turned by degrees clockwise, scaled and moved.

    `(a, b, c, d, e, f)`: the point (x, y), counted from the middle, was at (a x + b y + c, d x + e y + f).

    >>> [round(number, 6) for number in inverse(90, (0, 0), 1, (0, 0))]
    [0.0, 1.0, -0.0, -1.0, 0.0, 0.0]
    """
    turn, along, down = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    # Turned by R(turn), after shears along y and x: RSS of torchvision's documentation.
    a = math.cos(turn - down) / math.cos(down)
    b = -a * math.tan(along) - math.sin(turn)
    c = math.sin(turn - down) / math.cos(down)
    d = -c * math.tan(along) + math.cos(turn)
    m = (d / scale, -b / scale, -c / scale, a / scale)
    return m[0], m[1], -m[0] * move[0] - m[1] * move[1], m[2], m[3], -m[2] * move[0] - m[3] * move[1]


def warped(image: Array, where: Sequence[float], interpolation: Sampling, fill: Array) -> Array:
    """An image (C, H, W) of which each pixel comes from where `inverse` says; `fill` (C, 1, 1) beyond its edges.

    >>> moved = warped(np.array([[[1, 2, 3]]]), (1, 0, -1, 0, 1, 0), "nearest", np.zeros((1, 1, 1), int))
    >>> moved.tolist()
    [[[0, 1, 2]]]
    """
    height, width = image.shape[1:]
    x = np.arange(width) - (width - 1) / 2
    y = np.arange(height)[:, np.newaxis] - (height - 1) / 2
    from_x = where[0] * x + where[1] * y + where[2] + (width - 1) / 2
    from_y = where[3] * x + where[4] * y + where[5] + (height - 1) / 2
    if interpolation == "nearest":
        # Angles of 90 degrees give coordinates of exactly one half: rounding errors must not decide how they are
        # rounded.
        column, row = np.rint(from_x.round(6)).astype(np.int64), np.rint(from_y.round(6)).astype(np.int64)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        found = image[:, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
        return np.where(inside, found, fill)
    left, top = np.floor(from_x), np.floor(from_y)
    right, below = from_x - left, from_y - top
    kind = np.float64 if image.dtype == np.float64 else np.float32
    above = image.astype(kind) - fill.astype(kind)  # so that 0 beyond the edges is `fill`
    out: Array = np.zeros(image.shape, kind)
    for down, share_y in ((0, 1 - below), (1, below)):
        for across, share_x in ((0, 1 - right), (1, right)):
            row, column = (top + down).astype(np.int64), (left + across).astype(np.int64)
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            found = above[:, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
            out += found * np.where(inside, share_x * share_y, 0).astype(kind)
    return like(image, out + fill)
