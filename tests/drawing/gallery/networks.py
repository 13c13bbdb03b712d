"""Networks for images, sets, graphs and pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tapenet.drawing.picture import Picture
from tests.drawing import models
from tests.drawing.gallery.entry import entry
from tests.drawing.models import DoubleConv, images


@entry("XOR: two layers by hand")
def xor() -> Picture:
    return tn.draw(models.xor())


@entry("LeNet-5")
def lenet() -> Picture:
    return tn.draw(models.LeNet(), images(8, 1, 28, 28))


class BasicBlock(nn.Module):
    """Two convolutions around which the input goes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: Any = None
        if stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Any) -> Any:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self) -> None:
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.fc = nn.Linear(512, 1000)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(axis=(2, 3)))


@entry("ResNet-18")
def resnet18() -> Picture:
    return tn.draw(ResNet18(), images(2, 3, 64, 64))


@entry("ResNet-18, its blocks open")
def resnet18_open() -> Picture:
    return tn.draw(ResNet18(), images(2, 3, 64, 64), depth=3, budget=None)


@entry("ResNet-50")
def resnet50() -> Picture:
    return tn.draw(models.ResNet50(), images(2, 3, 64, 64))


class UNet(nn.Module):
    """Down some levels and up again, each beside what it was on the way down."""

    def __init__(self, levels: int) -> None:
        widths = [8 * 2**i for i in range(levels + 1)]
        self.down = nn.ModuleList([DoubleConv(a, b) for a, b in zip([1, *widths], widths[:-1], strict=False)])
        self.bottom = DoubleConv(widths[-2], widths[-1])
        self.up = nn.ModuleList([DoubleConv(3 * width, width) for width in widths[-2::-1]])
        self.pool, self.upsample = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x: Any) -> Any:
        kept = []
        for down in self.down:
            kept.append(down(x))
            x = self.pool(kept[-1])
        x = self.bottom(x)
        for up in self.up:
            x = up(np.concatenate([kept.pop(), self.upsample(x)], axis=1))
        return self.out(x)


@entry("U-Net of 2 levels")
def unet2() -> Picture:
    return tn.draw(UNet(2), images(1, 1, 32, 32))


@entry("U-Net of 4 levels")
def unet4() -> Picture:
    return tn.draw(UNet(4), images(1, 1, 32, 32))


class InvertedResidual(nn.Module):
    """Widen, convolve each channel alone, narrow; around it goes what has the same shape."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        wide = 6 * inputs
        self.expand = nn.Conv2d(inputs, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.depthwise = nn.Conv2d(wide, wide, 3, stride=stride, padding=1, groups=wide, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.project = nn.Conv2d(wide, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.around = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        h = F.relu6(self.bn1(self.expand(x)))
        h = F.relu6(self.bn2(self.depthwise(h)))
        h = self.bn3(self.project(h))
        return x + h if self.around else h


class MobileNet(nn.Module):
    def __init__(self) -> None:
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        shapes = [(16, 24, 2), (24, 24, 1), (24, 32, 2), (32, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
        self.blocks = nn.Sequential(*(InvertedResidual(*shape) for shape in shapes))
        self.head = nn.Conv2d(64, 128, 1)
        self.classifier = nn.Linear(128, 10)

    def forward(self, x: Any) -> Any:
        x = F.relu6(self.head(self.blocks(F.relu6(self.stem(x)))))
        return self.classifier(x.mean(axis=(2, 3)))


@entry("MobileNetV2, short")
def mobilenet() -> Picture:
    return tn.draw(MobileNet(), images(1, 3, 64, 64))


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)

    def forward(self, x: Any) -> Any:
        return self.conv(F.relu(self.norm(x)))


class DenseNet(nn.Module):
    """Each layer sees what all before it gave."""

    def __init__(self) -> None:
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.layers = nn.ModuleList([DenseLayer(16 + 12 * i, 12) for i in range(4)])
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        found = [self.stem(x)]
        for layer in self.layers:
            found.append(layer(np.concatenate(found, axis=1)))
        return self.fc(np.concatenate(found, axis=1).mean(axis=(2, 3)))


@entry("A dense block: each layer sees all before it")
def densenet() -> Picture:
    return tn.draw(DenseNet(), images(1, 3, 16, 16))


class Inception(nn.Module):
    """Four ways beside each other."""

    def __init__(self, inputs: int) -> None:
        self.one = nn.Conv2d(inputs, 16, 1)
        self.three = nn.Sequential(nn.Conv2d(inputs, 24, 1), nn.ReLU(), nn.Conv2d(24, 32, 3, padding=1))
        self.five = nn.Sequential(nn.Conv2d(inputs, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 5, padding=2))
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(inputs, 8, 1))

    def forward(self, x: Any) -> Any:
        return F.relu(np.concatenate([self.one(x), self.three(x), self.five(x), self.pool(x)], axis=1))


@entry("Inception: four ways beside each other")
def inception() -> Picture:
    return tn.draw(nn.Sequential(Inception(32), Inception(64)), images(1, 32, 14, 14))


class Encoder(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8))


@entry("Siamese network: one encoder, used twice, and how far its answers are apart")
def siamese() -> Picture:
    encoder, first, second = Encoder(), images(4, 1, 8, 8), images(4, 1, 8, 8) + 1
    apart = np.sqrt(((encoder(first) - encoder(second)) ** 2).sum(axis=1) + 1e-6)
    loss = np.maximum(1 - apart, 0).mean()
    return tn.draw(loss)


class MixtureOfExperts(nn.Module):
    """Of each token a gate says how much of which expert."""

    def __init__(self, experts: int = 4) -> None:
        self.gate = nn.Linear(16, experts)
        self.experts = nn.ModuleList([models.MLP(16) for _ in range(experts)])

    def forward(self, x: Any) -> Any:
        weights = tn.softmax(self.gate(x))
        answers = np.stack([expert(x) for expert in self.experts], axis=-1)
        return (answers * weights[:, None, :]).sum(axis=-1)


@entry("Mixture of experts")
def mixture_of_experts() -> Picture:
    return tn.draw(MixtureOfExperts(), images(6, 16))


class GraphConvolution(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        self.own, self.near = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Any, adjacency: Any) -> Any:
        return F.relu(self.own(x) + adjacency @ self.near(x))


class GNN(nn.Module):
    def __init__(self) -> None:
        self.layers = nn.ModuleList([GraphConvolution(8, 16), GraphConvolution(16, 16), GraphConvolution(16, 16)])
        self.out = nn.Linear(16, 3)

    def forward(self, nodes: Any, adjacency: Any) -> Any:
        for layer in self.layers:
            nodes = layer(nodes, adjacency)
        return self.out(nodes.mean(axis=0))


@entry("Graph network: three rounds of messages")
def graph_network() -> Picture:
    return tn.draw(GNN(), images(10, 8), np.eye(10, dtype=np.float32))


@entry("Two heads on one trunk")
def two_heads() -> Picture:
    return tn.draw(models.TwoHeads(), images(6, 12))


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.squeeze, self.excite = nn.Linear(8, 2), nn.Linear(2, 8)

    def forward(self, x: Any) -> Any:
        x = self.conv(x)
        scale = F.sigmoid(self.excite(F.relu(self.squeeze(x.mean(axis=(2, 3))))))
        return x * scale[:, :, None, None]


@entry("Squeeze and excite: channels scaled by what is in all of the image")
def squeeze_excite() -> Picture:
    return tn.draw(SqueezeExcite(), images(2, 8, 12, 12))
