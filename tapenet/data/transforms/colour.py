"""Colours: grey, brighter, paler, another hue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.data.transforms.transform import Transform, interval, like
from tapenet.typing import Array


class Grayscale(Transform):
    """Colour images (3 channels, red, green, blue) as grey ones: 0.2989 red + 0.587 green + 0.114 blue (ITU-R 601-2).

    Of one channel, or of three equal ones. Images of one channel stay what they are.

    >>> Grayscale()(np.full((3, 1, 1), 100, np.uint8))
    array([[[100]]], dtype=uint8)
    """

    def __init__(self, channels: int = 1) -> None:
        if channels not in (1, 3):
            raise ValueError(f"Grayscale gives 1 or 3 channels, got channels={channels!r}")
        self.channels = channels

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        grey = images if _channels("Grayscale", images) == 1 else like(images, _grey(_float(images)))
        return grey if self.channels == 1 else np.repeat(grey, 3, 1)


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue of each image changed at random, in a random order.

    `brightness`, `contrast` and `saturation` are factors, drawn from (from, to), or for one number b from max(0, 1 - b) to
    1 + b; `hue` is a turn of the colour circle, of at most 0.5 either way, drawn from (from, to) or (-hue, hue). Images have
    one channel or three; saturation and hue do nothing to grey ones. As torchvision's, but values are computed in floats and
    rounded once at the end, where torchvision cuts integers off after each of the four.

    >>> bright = ColorJitter(brightness=(2, 2))(np.full((1, 1, 2), 0.25), np.random.default_rng(0))
    >>> bright
    array([[[0.5, 0.5]]])
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
    ) -> None:
        self.brightness = interval("ColorJitter", "brightness", brightness, 0, 1)
        self.contrast = interval("ColorJitter", "contrast", contrast, 0, 1)
        self.saturation = interval("ColorJitter", "saturation", saturation, 0, 1)
        self.hue = interval("ColorJitter", "hue", hue, -0.5, 0)
        if self.hue[1] > 0.5:
            raise ValueError(f"ColorJitter needs hue within -0.5 and 0.5, got {hue!r}")

    def apply(self, images: Array, rng: np.random.Generator) -> Array:
        colours = _channels("ColorJitter", images) == 3
        top = 1.0 if images.dtype.kind == "f" else float(np.iinfo(images.dtype).max)
        out = _float(images) / top
        ranges = (self.brightness, self.contrast, self.saturation, self.hue)
        for image in out:
            factors = [rng.uniform(*limits) for limits in ranges]
            for which in rng.permutation(4):
                factor = factors[which]
                if which == 0 and factor != 1:
                    image[:] = np.clip(image * factor, 0, 1)
                elif which == 1 and factor != 1:
                    mean = (_grey(image[np.newaxis]) if colours else image).mean()
                    image[:] = np.clip(factor * image + (1 - factor) * mean, 0, 1)
                elif which == 2 and factor != 1 and colours:
                    image[:] = np.clip(factor * image + (1 - factor) * _grey(image[np.newaxis])[0], 0, 1)
                elif which == 3 and factor != 0 and colours:
                    image[:] = _turned(image, factor)
        return like(images, out * top)


def _channels(who: str, images: Array) -> int:
    if images.shape[1] not in (1, 3) or images.dtype.kind not in "fu":
        raise ValueError(
            f"{who} needs images of 1 or 3 channels, of floats in [0, 1] or unsigned integers, got {images.dtype} "
            f"{images.shape[1:]}; channels come first: (C, H, W)"
        )
    return int(images.shape[1])


def _float(images: Array) -> Array:
    floats: Array = images.astype(np.float64 if images.dtype == np.float64 else np.float32)
    return floats


def _grey(images: Array) -> Array:
    weights = np.array([0.2989, 0.587, 0.114], images.dtype)
    grey: Array = np.einsum("nchw,c->nhw", images, weights)
    return grey[:, np.newaxis]


def _turned(image: Array, turn: float) -> Array:
    """An image (3, H, W) in [0, 1] with its hue turned, by way of hue, saturation and value."""
    red, green, blue = image
    value, least = image.max(0), image.min(0)
    spread = value - least
    divisor = np.where(spread == 0, 1, spread)
    hue = np.where(
        value == red,
        (green - blue) / divisor,
        np.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    hue = np.where(spread == 0, 0, hue) / 6 + turn
    # Each channel is `value` near its own place on the circle and `least` on the other side (Foley et al., 1990).
    place = (np.array([5, 3, 1], image.dtype)[:, np.newaxis, np.newaxis] + hue * 6) % 6
    turned: Array = value - spread * np.clip(np.minimum(place, 4 - place), 0, 1)
    return turned
