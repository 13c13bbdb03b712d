"""Shapes of convolutions as well-known networks have them: at batch 1 for images of 224 x 224, at 16 and 64 for smaller
ones. Layers of one shape are named once; what takes more than 2 G multiply-adds is left out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

#: Multiply-adds at most.
MOST = 2.0e9


class Convolution(NamedTuple):
    """One convolution, over one or two spatial axes of equal length."""

    net: str
    batch: int
    channels: int
    outs: int
    size: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    dilation: int = 1
    axes: int = 2

    @property
    def kind(self) -> str:
        """What the page counts together."""
        if self.axes == 1:
            return "convolution 1d"
        if self.groups > 1:
            return "depthwise convolution"
        return "convolution 1x1" if self.kernel == 1 else "convolution"

    @property
    def products(self) -> tuple[str, ...]:
        """What is timed."""
        return "forward", "by input", "by weight"

    @property
    def x(self) -> tuple[int, ...]:
        """The shape of the input."""
        return (self.batch, self.channels, *(self.size,) * self.axes)

    @property
    def weight(self) -> tuple[int, ...]:
        """The shape of the weights."""
        return (self.outs, self.channels // self.groups, *(self.kernel,) * self.axes)

    @property
    def y(self) -> tuple[int, ...]:
        """The shape of the result."""
        reach = self.dilation * (self.kernel - 1) + 1
        return (self.batch, self.outs, *((self.size + 2 * self.padding - reach) // self.stride + 1,) * self.axes)

    @property
    def multiply_adds(self) -> int:
        """Of each of the three products."""
        return math.prod(self.y) * math.prod(self.weight[1:])

    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Input, weights, gradient by the result."""
        r = np.random.default_rng(0)
        x, w, g = (r.standard_normal(s, np.float32) for s in (self.x, self.weight, self.y))
        return x, w / math.sqrt(math.prod(self.weight[1:])), g

    def __str__(self) -> str:
        text = f"{self.net} {self.batch} x {self.channels}-{self.outs} at {self.size}, {self.kernel}"
        named = {"stride": self.stride, "dilation": self.dilation, "groups": self.groups}
        return text + "".join(f" {name} {value}" for name, value in named.items() if value != 1)


#: Channels in and out, size of the input, kernel, stride; groups are as many as channels where the first is negative.
Layer = tuple[int, int, float, int, int]

#: By network: layers at an image of 1 x 1, sizes in parts of the image's, and the batches and images that are measured.
_NETS: dict[str, tuple[list[Layer], dict[int, int]]] = {
    "ResNet-18": (
        [
            (3, 64, 1, 7, 2), (64, 64, 1 / 4, 3, 1), (64, 128, 1 / 4, 3, 2), (64, 128, 1 / 4, 1, 2),
            (128, 128, 1 / 8, 3, 1), (128, 256, 1 / 8, 3, 2), (128, 256, 1 / 8, 1, 2), (256, 256, 1 / 16, 3, 1),
            (256, 512, 1 / 16, 3, 2), (256, 512, 1 / 16, 1, 2), (512, 512, 1 / 32, 3, 1),
        ],
        {1: 224, 16: 32, 64: 32},
    ),
    "ResNet-50": (
        [
            (64, 64, 1 / 4, 1, 1), (64, 256, 1 / 4, 1, 1), (256, 64, 1 / 4, 1, 1), (256, 512, 1 / 4, 1, 2),
            (128, 128, 1 / 4, 3, 2), (128, 512, 1 / 8, 1, 1), (512, 128, 1 / 8, 1, 1), (256, 256, 1 / 8, 3, 2),
            (256, 1024, 1 / 16, 1, 1), (1024, 256, 1 / 16, 1, 1), (512, 512, 1 / 16, 3, 2), (512, 2048, 1 / 32, 1, 1),
            (2048, 512, 1 / 32, 1, 1),
        ],
        {1: 224, 16: 64, 64: 32},
    ),
    "VGG": (
        [
            (3, 64, 1, 3, 1), (64, 64, 1, 3, 1), (64, 128, 1 / 2, 3, 1), (128, 128, 1 / 2, 3, 1), (128, 256, 1 / 4, 3, 1),
            (256, 256, 1 / 4, 3, 1), (256, 512, 1 / 8, 3, 1), (512, 512, 1 / 8, 3, 1), (512, 512, 1 / 16, 3, 1),
        ],
        {1: 224, 16: 32, 64: 32},
    ),
    "MobileNetV2": (
        [
            (3, 32, 1, 3, 2), (-32, 32, 1 / 2, 3, 1), (16, 96, 1 / 2, 1, 1), (-96, 96, 1 / 2, 3, 2), (96, 24, 1 / 4, 1, 1),
            (24, 144, 1 / 4, 1, 1), (-144, 144, 1 / 4, 3, 1), (-144, 144, 1 / 4, 3, 2), (32, 192, 1 / 8, 1, 1),
            (-192, 192, 1 / 8, 3, 1), (192, 64, 1 / 16, 1, 1), (64, 384, 1 / 16, 1, 1), (-384, 384, 1 / 16, 3, 1),
            (96, 576, 1 / 16, 1, 1), (-576, 576, 1 / 16, 3, 2), (160, 960, 1 / 32, 1, 1), (-960, 960, 1 / 32, 3, 1),
            (960, 320, 1 / 32, 1, 1), (320, 1280, 1 / 32, 1, 1),
        ],
        {1: 224, 16: 64, 64: 32},
    ),
    "EfficientNet": (
        [
            (-144, 144, 1 / 4, 5, 2), (40, 240, 1 / 8, 1, 1), (-240, 240, 1 / 8, 5, 1), (240, 10, 0, 1, 1),
            (10, 240, 0, 1, 1), (-480, 480, 1 / 16, 5, 1), (480, 112, 1 / 16, 1, 1), (-672, 672, 1 / 16, 5, 2),
            (192, 1152, 1 / 32, 1, 1), (-1152, 1152, 1 / 32, 5, 1), (-1152, 1152, 1 / 32, 3, 1), (1152, 48, 0, 1, 1),
        ],
        {1: 224, 16: 64, 64: 32},
    ),
    "ConvNeXt": (
        [
            (3, 96, 1, 4, 4), (-96, 96, 1 / 4, 7, 1), (96, 192, 1 / 4, 2, 2), (-192, 192, 1 / 8, 7, 1),
            (192, 384, 1 / 8, 2, 2), (-384, 384, 1 / 16, 7, 1), (384, 768, 1 / 16, 2, 2), (-768, 768, 1 / 32, 7, 1),
            (384, 1536, 1 / 16, 1, 1),
        ],
        {1: 224, 16: 64, 64: 32},
    ),
    "U-Net": (
        [
            (3, 32, 1, 3, 1), (32, 32, 1, 3, 1), (64, 64, 1 / 2, 3, 1), (64, 128, 1 / 4, 3, 1), (256, 128, 1 / 4, 3, 1),
            (256, 256, 1 / 8, 3, 1), (512, 256, 1 / 8, 3, 1), (512, 512, 1 / 16, 3, 1), (32, 64, 1, 2, 2),
            (128, 256, 1 / 4, 2, 2), (32, 2, 1, 1, 1),
        ],
        {1: 128, 16: 32, 64: 16},
    ),
}  # fmt: skip

#: Layers over sequences: channels in and out, kernel, dilation; the length is 8192, 1024 and 256.
_SEQUENCES = [
    (1, 64, 2, 1), (64, 64, 2, 1), (64, 128, 2, 16), (64, 128, 2, 128), (64, 64, 1, 1), (64, 256, 1, 1),
    (64, 64, 3, 4), (-256, 256, 31, 1), (-64, 64, 9, 2),
]  # fmt: skip


def convolutions() -> list[Convolution]:
    """All of them, no two alike but in the network's name."""
    found: dict[Convolution, Convolution] = {}
    for conv in _all():
        if conv.multiply_adds <= MOST:
            found.setdefault(conv._replace(net=""), conv)
    return list(found.values())


def _all() -> Iterator[Convolution]:
    for net, (layers, images) in _NETS.items():
        for batch, image in images.items():
            for channels, outs, part, kernel, stride in layers:
                size = max(1, round(image * part))
                padding = 0 if kernel == stride else kernel // 2
                groups = -channels if channels < 0 else 1
                yield Convolution(net, batch, abs(channels), outs, size, kernel, stride, padding, groups)
    for batch, length in {1: 8192, 16: 1024, 64: 256}.items():
        for channels, outs, kernel, dilation in _SEQUENCES:
            groups = -channels if channels < 0 else 1
            padding = (kernel - 1) * dilation // 2
            yield Convolution("WaveNet", batch, abs(channels), outs, length, kernel, 1, padding, groups, dilation, 1)
