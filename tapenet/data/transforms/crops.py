"""Parts of images, borders around them, mirror images, and holes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from tapenet.data.transforms.transform import Transform, filling, interval, pair, probability, replaced
from tapenet.typing import Array

Mode = Literal["constant", "edge", "reflect", "symmetric"]


class Pad(Transform):
    """A border around images: of `fill`, or by `mode` of the pixels at the edge.

    `padding` is the width of the border: one number, (left and right, top and bottom) or (left, top, right, bottom), as
    torchvision counts. `fill` is a number or one for each channel. `mode`, torchvision's `padding_mode`: "constant", "edge",
    "reflect" (not repeating the edge) or "symmetric".

    >>> Pad((1, 0))(np.array([[[1, 2]]]))
    array([[[0, 1, 2, 0]]])
    """

    def __init__(
        self, padding: int | Sequence[int], fill: float | Sequence[float] = 0, mode: Mode = "constant"
    ) -> None:
        self.padding, self.fill, self.mode = padding, fill, mode
        sides = (padding,) if isinstance(padding, (int, np.integer)) else tuple(padding)
        if len(sides) not in (1, 2, 4) or min(sides) < 0:
            raise ValueError(
                "Pad needs padding as one number, (left and right, top and bottom) or (left, top, right, bottom), got "
                f"{padding!r}"
            )
        if mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError(f"Pad needs mode as one of 'constant', 'edge', 'reflect', 'symmetric', got {mode!r}")
        self._sides = tuple(int(side) for side in sides * (4 // len(sides)))

    def __repr__(self) -> str:
        return f"Pad({self.padding!r}, fill={self.fill!r}, mode={self.mode!r})"

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        left, top, right, bottom = self._sides
        if self.mode != "constant":
            return np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right)), self.mode)
        n, c, height, width = images.shape
        out = np.empty((n, c, height + top + bottom, width + left + right), images.dtype)
        out[:] = filling("Pad", self.fill, images)
        out[:, :, top : top + height, left : left + width] = images
        return out


class CenterCrop(Transform):
    """The middle of images, `size` high and wide: one number or (height, width). Smaller images get a border of 0.

    >>> CenterCrop((1, 2))(np.arange(16).reshape(1, 4, 4))
    array([[[ 9, 10]]])
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = pair("CenterCrop", "size", size)

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        (height, width), (high, wide) = images.shape[2:], self.size
        more, wider = max(high - height, 0), max(wide - width, 0)
        if more or wider:
            images = Pad((wider // 2, more // 2, (wider + 1) // 2, (more + 1) // 2)).apply(images, rng)
            height, width = images.shape[2:]
        # Rounded as torchvision rounds: half to even.
        top, left = round((height - high) / 2.0), round((width - wide) / 2.0)
        return images[:, :, top : top + high, left : left + wide]


class RandomCrop(Transform):
    """A part of each image at a random place, `size` high and wide, after `padding` as `Pad` takes it.

    Raises ValueError if the padded images are smaller than the part.

    >>> RandomCrop(2)(np.arange(16).reshape(1, 4, 4), np.random.default_rng(0))
    array([[[ 9, 10],
            [13, 14]]])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] = 0,
        fill: float | Sequence[float] = 0,
        mode: Mode = "constant",
    ) -> None:
        self.size = pair("RandomCrop", "size", size)
        self.pad = Pad(padding, fill, mode)

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        if any(self.pad._sides):
            images = self.pad.apply(images, rng)
        down, across = images.shape[2] - self.size[0], images.shape[3] - self.size[1]
        if down < 0 or across < 0:
            raise ValueError(
                f"RandomCrop of {self.size} needs larger images, got {images.shape[2:]} with their padding; give a larger "
                "padding or put Resize before it"
            )
        out = np.empty((*images.shape[:2], *self.size), images.dtype)
        tops, lefts = rng.integers(0, (down + 1, across + 1), (len(images), 2)).T.tolist()
        for image, part, top, left in zip(images, out, tops, lefts, strict=True):
            part[:] = image[:, top : top + self.size[0], left : left + self.size[1]]
        return out


class RandomHorizontalFlip(Transform):
    """Images mirrored left to right with probability `p`.

    >>> RandomHorizontalFlip(p=1)(np.array([[[1, 2, 3]]]))
    array([[[3, 2, 1]]])
    """

    axis = -1

    def __init__(self, p: float = 0.5) -> None:
        self.p = probability(type(self).__name__, p)

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        which = rng.random(len(images)) < self.p
        return replaced(type(self).__name__, images, which, lambda some, rng: np.flip(some, self.axis), rng)


class RandomVerticalFlip(RandomHorizontalFlip):
    """Images mirrored top to bottom with probability `p`.

    >>> RandomVerticalFlip(p=1)(np.array([[[1], [2]]])).tolist()
    [[[2], [1]]]
    """

    axis = -2


class RandomErasing(Transform):
    """A rectangle of `value` at a random place, with probability `p` (Zhong et al., arXiv:1708.04896).

    Its area is a share in `scale` of the image's, its height by its width in `ratio`, uniform in its logarithm; where ten draws
    give none that fits, nothing is erased. `value` is a number, one for each channel, or "random": noise, normal in images of
    floats, any number of the dtype in images of integers (torchvision's is normal always).

    >>> erased = RandomErasing(p=1, scale=(0.25, 0.25), ratio=(1, 1))(np.ones((1, 4, 4)), np.random.default_rng(0))
    >>> erased.sum()
    np.float64(12.0)
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Sequence[float] | Literal["random"] = 0,
    ) -> None:
        self.p, self.value = probability("RandomErasing", p), value
        self.scale = interval("RandomErasing", "scale", scale, 0, 0)
        self.ratio = interval("RandomErasing", "ratio", ratio, 1e-6, 0)
        if self.scale[1] > 1:
            raise ValueError(f"RandomErasing needs scale as shares of the area, from 0 to 1, got {scale!r}")

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        out = np.array(images)
        height, width = images.shape[2:]
        value = 0 if isinstance(self.value, str) else filling("RandomErasing", self.value, images)
        for image in out:
            if rng.random() >= self.p:
                continue
            for _ in range(10):
                high, wide = rectangle(height * width, self.scale, self.ratio, rng)
                if high < height and wide < width:
                    top, left = rng.integers(0, height - high + 1), rng.integers(0, width - wide + 1)
                    hole = image[:, top : top + high, left : left + wide]
                    hole[:] = _noise(hole, rng) if isinstance(self.value, str) else value
                    break
        return out


def rectangle(
    area: float, scale: tuple[float, float], ratio: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int]:
    """Two sides of a rectangle that is a random share of an area, the first by the second in `ratio`.

    >>> rectangle(100, (0.25, 0.25), (1, 1), np.random.default_rng(0))
    (5, 5)
    """
    share = area * rng.uniform(*scale)
    aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
    return round(math.sqrt(share * aspect)), round(math.sqrt(share / aspect))


def _noise(hole: Array, rng: np.random.Generator) -> Array:
    if hole.dtype.kind == "f":
        return np.asarray(rng.standard_normal(hole.shape))
    info = np.iinfo(hole.dtype)
    return np.asarray(rng.integers(info.min, info.max, hole.shape, hole.dtype, endpoint=True))
