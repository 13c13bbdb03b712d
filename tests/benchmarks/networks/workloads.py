"""What is measured, defined once for all candidates: networks, data, optimizers, and the bounds to meet.

Everything is float32, labels and words int64. A call is a training step: SGD with momentum 0.9 for networks of
convolutions, Adam for the others, with PyTorch's defaults. `SMALL` are the same networks, narrow and shallow, in which
the tests compare the sides. Learning rates are such that three steps change the loss far more than candidates may differ:
tiny for deep networks with batch norms of few images, whose gradients differ by 5 % where a float32 is rounded otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.networks import models
from tests.benchmarks.networks.layers import Layers, parameters
from tests.benchmarks.side_by_side.tasks import Array, Bound, Workload

CANDIDATES = ("tapenet-eager", "tapenet-native", "torch-eager", "torch-compiled", "jax")
PEERS = ("torch-eager", "torch-compiled", "jax")
SLOW = ("torch-compiled",)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Network:
    """A training step.

    Attributes:
        inputs: of a batch: images, or numbers of words if `words` says of how many.
        outputs: the shape of the labels; of the images to come close to, where there are no classes.
        classes: cross entropy with labels below that, or the mean of squared differences.
        adam: whether Adam updates the parameters, not SGD.
    """

    layers: Layers
    inputs: Shape
    outputs: Shape
    lr: float
    classes: int = 0
    words: int = 0
    adam: bool = False

    def data(self) -> tuple[Array, Array]:
        """What goes in, and what is to come out."""
        return _drawn(1, self.words, self.inputs), _drawn(3, self.classes, self.outputs)

    def parameters(self) -> list[Array]:
        """Initial values in order."""
        return parameters(self.layers)


def _drawn(seed: int, below: int, shape: Shape) -> Array:
    r = np.random.default_rng(seed)
    return r.integers(below, size=shape) if below else r.standard_normal(shape, np.float32)


def _images(layers: Layers, batch: int, size: int, lr: float, classes: int = 10, adam: bool = False) -> Network:
    return Network(layers, (batch, 3, size, size), (batch,), lr, classes, adam=adam)


def _unet(widths: Shape, batch: int, size: int) -> Network:
    return Network(models.unet(1, widths), (batch, 1, size, size), (batch, 1, size, size), 0.01)


def _gpt(words: int, batch: int, length: int, width: int, heads: int, depth: int) -> Network:
    shape = (batch, length)
    return Network(models.gpt(words, length, width, heads, depth), shape, shape, 1e-3, words, words, True)


def _bert(words: int, batch: int, length: int, width: int, heads: int, depth: int) -> Network:
    layers = models.bert(words, length, width, heads, depth, 2)
    return Network(layers, (batch, length), (batch,), 1e-3, 2, words, True)


def _tagger(words: int, batch: int, length: int, width: int, hidden: int) -> Network:
    shape = (batch, length)
    return Network(models.tagger(words, width, hidden, 20), shape, shape, 1e-3, 20, words, True)


_CHANNELS_LAST = dict.fromkeys(("torch-eager", "torch-compiled"), ("channels_last",))


def _workload(title: str, task: Network, variants: Mapping[str, tuple[str, ...]] = {}) -> Workload:
    return Workload(title, task, (Bound("tapenet-eager", PEERS, 1.0), Bound("tapenet-native", PEERS, 0.8)), variants)


#: What the peak of memory, and what is kept between steps, may be over the least of the peers'.
MEMORY = tuple(Bound(c, PEERS, 0.8) for c in ("tapenet-eager", "tapenet-native"))

WORKLOADS = {
    "resnet-18": _workload(
        "ResNet-18, 32x32, batch 16",
        _images(models.resnet((64, 128, 256, 512), (2, 2, 2, 2), False, 10), 16, 32, 1e-3),
        _CHANNELS_LAST,
    ),
    "resnet-50": _workload(
        "ResNet-50, 64x64, batch 8",
        _images(models.resnet((64, 128, 256, 512), (3, 4, 6, 3), True, 10), 8, 64, 2e-8),
        _CHANNELS_LAST,
    ),
    "mobilenet": _workload(
        "MobileNetV2, 32x32, batch 16",
        _images(models.mobilenet(models.INVERTED, 1280, 10), 16, 32, 1e-5),
        _CHANNELS_LAST,
    ),
    "unet": _workload("U-Net 32 to 256, 64x64, batch 8", _unet((32, 64, 128, 256), 8, 64), _CHANNELS_LAST),
    "gpt": _workload("GPT, 6 layers, 192 wide, length 128, batch 8", _gpt(256, 8, 128, 192, 6, 6)),
    "vit": _workload(
        "ViT-tiny, 12 layers, 192 wide, 32x32, patch 4, batch 32",
        _images(models.vit(4, 32, 192, 3, 12, 10), 32, 32, 1e-3, adam=True),
    ),
    "bert": _workload("BERT-mini, 4 layers, 256 wide, length 128, batch 8", _bert(30_522, 8, 128, 256, 4, 4)),
    "tagger": _workload("GRU tagger, both directions of 128, length 40, batch 32", _tagger(10_000, 32, 40, 128, 128)),
}

SMALL = {
    "resnet-18": _images(models.resnet((4, 8), (1, 2), False, 10), 8, 16, 0.01),
    "resnet-50": _images(models.resnet((4, 8), (1, 2), True, 10), 8, 16, 0.01),
    "mobilenet": _images(models.mobilenet(((1, 8, 1, 1), (6, 8, 2, 2)), 16, 10), 4, 8, 0.01),
    "unet": _unet((4, 8), 2, 8),
    "gpt": _gpt(16, 2, 8, 8, 2, 1),
    "vit": _images(models.vit(4, 8, 8, 2, 1, 10), 2, 8, 1e-2, adam=True),
    "bert": _bert(16, 4, 8, 8, 2, 1),
    "tagger": _tagger(16, 2, 5, 4, 4),
}
