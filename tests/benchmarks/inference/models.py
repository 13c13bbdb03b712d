"""The models, written once for the modules of tapenet and of PyTorch, which share names and arguments.

ResNet-8, DS-CNN, MobileNetV1 0.25 and the autoencoder are those of MLPerf Tiny (Banbury et al., arXiv:2106.07597).
"""

from __future__ import annotations

import itertools
from typing import Any

Module = Any


def _conv(
    nn: Any, ins: int, outs: int, kernel: Any, stride: Any = 1, padding: Any = 0, groups: int = 1
) -> list[Module]:
    """A convolution, batch norm."""
    made = nn.Conv2d(ins, outs, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    return [made, nn.BatchNorm2d(outs)]


def _separable(nn: Any, ins: int, outs: int, stride: int = 1) -> list[Module]:
    """A depthwise convolution, then a pointwise one."""
    return [*_conv(nn, ins, ins, 3, stride, 1, ins), nn.ReLU(), *_conv(nn, ins, outs, 1), nn.ReLU()]


def _residual(nn: Any) -> type:
    class Residual(nn.Module):  # type: ignore[misc,name-defined]
        """Two 3x3 convolutions beside the identity, or a strided 1x1 convolution."""

        def __init__(self, ins: int, outs: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(*_conv(nn, ins, outs, 3, stride, 1), nn.ReLU(), *_conv(nn, outs, outs, 3, 1, 1))
            self.side = nn.Sequential(*_conv(nn, ins, outs, 1, stride)) if stride > 1 else nn.Identity()
            self.relu = nn.ReLU()

        def forward(self, x: Any) -> Any:
            return self.relu(self.body(x) + self.side(x))

    return Residual


def resnet8(nn: Any) -> Module:
    """ResNet-8 for 32x32 images (image classification)."""
    block = _residual(nn)
    layers = [*_conv(nn, 3, 16, 3, 1, 1), nn.ReLU(), block(16, 16, 1), block(16, 32, 2), block(32, 64, 2)]
    return nn.Sequential(*layers, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10))


def ds_cnn(nn: Any) -> Module:
    """DS-CNN for spectrograms of 49x10 (keyword spotting)."""
    layers = [*_conv(nn, 1, 64, (10, 4), 2, (5, 1)), nn.ReLU()]
    for _ in range(4):
        layers += _separable(nn, 64, 64)
    return nn.Sequential(*layers, nn.AvgPool2d((25, 5)), nn.Flatten(), nn.Linear(64, 12))


def mobilenet(nn: Any) -> Module:
    """MobileNetV1 of a quarter of the width for 96x96 images (visual wake words)."""
    layers = [*_conv(nn, 3, 8, 3, 2, 1), nn.ReLU()]
    ins = 8
    for outs, stride in [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]:
        layers += _separable(nn, ins, outs, stride)
        ins = outs
    return nn.Sequential(*layers, nn.AvgPool2d(3), nn.Flatten(), nn.Linear(256, 2))


def autoencoder(nn: Any) -> Module:
    """The dense autoencoder for 640 features (anomaly detection)."""
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128]
    layers: list[Module] = []
    for ins, outs in itertools.pairwise(sizes):
        layers += [nn.Linear(ins, outs), nn.BatchNorm1d(outs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 640))


def resnet18(nn: Any) -> Module:
    """ResNet-18, 64 channels wide, for 32x32 images."""
    block = _residual(nn)
    layers = [*_conv(nn, 3, 64, 3, 1, 1), nn.ReLU()]
    ins = 64
    for outs in (64, 128, 256, 512):
        layers += [block(ins, outs, 1 if outs == ins else 2), block(outs, outs, 1)]
        ins = outs
    return nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(512, 10))


def encoder(nn: Any) -> Module:
    """Two layers of BERT-base's size, for sequences of 64 vectors."""
    layer = nn.TransformerEncoderLayer(768, 12, 3072, dropout=0.0, activation="gelu", batch_first=True)
    return (
        nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        if _is_torch(nn)
        else nn.TransformerEncoder(layer, 2)
    )


def lstm(nn: Any) -> Module:
    """An LSTM of 128 units over sequences of 32 vectors, and a dense layer on its outputs."""

    class Tagger(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(64, 128, batch_first=True)
            self.out = nn.Linear(128, 16)

        def forward(self, x: Any) -> Any:
            return self.out(self.lstm(x)[0])

    return Tagger()


def _is_torch(nn: Any) -> bool:
    return bool(nn.__name__.startswith("torch"))
