"""Images of another size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tapenet.data.transforms.crops import rectangle
from tapenet.data.transforms.transform import Transform, interval, like, pair
from tapenet.typing import Array

Filter = Literal["nearest", "bilinear", "bicubic"]


class Resize(Transform):
    """Images of another size: `size` is (height, width), or one number for the shorter side, the other in proportion.

    `interpolation` is "bilinear", "bicubic" or "nearest". With `antialias`, as by default, each pixel of a smaller image is a
    mean of all those it stands for (as Pillow and torchvision do); without it only the nearest two or four in each direction
    count. Images of integers are rounded to nearest, as Pillow's are, up to 1 from it.

    >>> Resize((1, 2))(np.array([[[1.0, 3.0, 5.0, 7.0]]]))
    array([[[2.42857143, 5.57142857]]])
    >>> Resize(4)(np.zeros((3, 8, 16))).shape
    (3, 4, 8)
    """

    def __init__(self, size: int | Sequence[int], interpolation: Filter = "bilinear", antialias: bool = True) -> None:
        self.size: int | tuple[int, int] = size if isinstance(size, int) else pair("Resize", "size", size)
        if isinstance(size, int):
            pair("Resize", "size", size)
        self.interpolation, self.antialias = checked_filter("Resize", interpolation), antialias

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        height, width = images.shape[2:]
        if isinstance(self.size, tuple):
            size = self.size
        else:
            short = max(1, min(height, width))
            size = (max(1, int(self.size * height / short)), max(1, int(self.size * width / short)))
        return resized(images, size, self.interpolation, self.antialias)


class RandomResizedCrop(Transform):
    """A random part of each image, brought to `size` (one number or height and width).

    The part's area is a share in `scale` of the image's, its width by its height in `ratio`, uniform in its logarithm. Where
    ten draws give none that fits, it is the middle, as large as `ratio` lets it be.

    >>> crop = RandomResizedCrop(4)
    >>> crop(np.ones((3, 8, 8), np.float32), np.random.default_rng(0)).shape
    (3, 4, 4)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: Filter = "bilinear",
        antialias: bool = True,
    ) -> None:
        self.size = pair("RandomResizedCrop", "size", size)
        self.scale = interval("RandomResizedCrop", "scale", scale, 0, 0)
        self.ratio = interval("RandomResizedCrop", "ratio", ratio, 1e-6, 0)
        self.interpolation, self.antialias = checked_filter("RandomResizedCrop", interpolation), antialias

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        out = np.empty((*images.shape[:2], *self.size), images.dtype)
        for i in range(len(images)):
            top, left, high, wide = self._part(images.shape[2], images.shape[3], rng)
            part = images[i : i + 1, :, top : top + high, left : left + wide]
            out[i] = resized(part, self.size, self.interpolation, self.antialias)[0]
        return out

    def _part(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        for _ in range(10):
            wide, high = rectangle(height * width, self.scale, self.ratio, rng)
            if 0 < wide <= width and 0 < high <= height:
                return int(rng.integers(0, height - high + 1)), int(rng.integers(0, width - wide + 1)), high, wide
        wide, high = width, height
        if width / height < self.ratio[0]:
            high = min(height, max(1, round(width / self.ratio[0])))
        elif width / height > self.ratio[1]:
            wide = min(width, max(1, round(height * self.ratio[1])))
        return (height - high) // 2, (width - wide) // 2, high, wide


def checked_filter(who: str, interpolation: Filter) -> Filter:
    """The interpolation, if there is one of that name.

    >>> checked_filter("Resize", "lanczos")
    Traceback (most recent call last):
    ValueError: Resize needs interpolation as one of 'nearest', 'bilinear', 'bicubic', got 'lanczos'
    """
    if interpolation not in ("nearest", "bilinear", "bicubic"):
        raise ValueError(f"{who} needs interpolation as one of 'nearest', 'bilinear', 'bicubic', got {interpolation!r}")
    return interpolation


def resized(images: Array, size: tuple[int, int], interpolation: Filter, antialias: bool) -> Array:
    """Images (N, C, H, W) as (N, C, *size): first along the width, then along the height.

    >>> resized(np.arange(4).reshape(1, 1, 2, 2), (1, 1), "nearest", True)
    array([[[[0]]]])
    """
    if images.shape[2:] == size:
        return images
    if 0 in images.shape[2:]:
        raise ValueError(f"images of shape {images.shape[2:]} cannot be resized: they have no pixels")
    if interpolation == "nearest":
        rows, columns = (np.arange(new) * old // new for new, old in zip(size, images.shape[2:], strict=True))
        return images[:, :, rows[:, np.newaxis], columns]
    kind = np.float64 if images.dtype == np.float64 else np.float32
    values: Array = images.astype(kind)
    if size[1] != images.shape[3]:
        # All rows of all images in one product.
        rows = values.reshape(-1, images.shape[3])
        rows = rows @ _weights(images.shape[3], size[1], interpolation, antialias).astype(kind).T
        values = rows.reshape(*images.shape[:3], size[1])
    if size[0] != images.shape[2]:
        values = _weights(images.shape[2], size[0], interpolation, antialias).astype(kind) @ values
    return like(images, values)


def _weights(old: int, new: int, interpolation: Filter, antialias: bool) -> NDArray[np.float64]:
    """How much each of `old` pixels counts for each of `new` ones, (new, old)."""
    scale = old / new
    stretch = max(scale, 1.0) if antialias else 1.0
    centres = (np.arange(new) + 0.5) * scale
    distance = (np.arange(old) + 0.5 - centres[:, np.newaxis]) / stretch
    if antialias:
        weights = _FILTERS[interpolation](distance, -0.5)
        weights /= weights.sum(1, keepdims=True)
        return weights
    # What lies beyond the edge counts for the edge.
    reach = 1 if interpolation == "bilinear" else 2
    first = np.floor(centres - 0.5).astype(int) - (reach - 1)
    weights = np.zeros((new, old), np.float64)
    for step in range(2 * reach):
        place = first + step
        part = _FILTERS[interpolation](place + 0.5 - centres, -0.75)
        np.add.at(weights, (np.arange(new), np.clip(place, 0, old - 1)), part)
    return weights


def _triangle(x: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    kernel: NDArray[np.float64] = np.maximum(1 - np.abs(x), 0)
    return kernel


def _cubic(x: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """Keys (1981), with the slope `a` at 1: -0.5 as Pillow, -0.75 as PyTorch without antialias."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    kernel: NDArray[np.float64] = np.where(x < 1, near, np.where(x < 2, far, 0))
    return kernel


_FILTERS = {"bilinear": _triangle, "bicubic": _cubic}
