"""The models whose pictures are looked at: each builds its graph and returns what `tn.draw` takes.

Sizes are small where a picture does not show them (images, batches, the width of the GPT); structures are the real
ones. Modules live as long as the process: a graph names its parameters by modules that it does not keep alive.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim


@functools.cache
def kept(make: Callable[[], Any]) -> Any:
    """The one instance, made at the first call."""
    return make()


def images(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def xor() -> Any:
    rng = np.random.default_rng(0)
    w1 = tn.tensor(rng.normal(size=(2, 3)), requires_grad=True)
    b1 = tn.tensor(np.zeros(3), requires_grad=True)
    w2 = tn.tensor(rng.normal(size=(3, 1)), requires_grad=True)
    b2 = tn.tensor(np.zeros(1), requires_grad=True)
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([[0.0], [1.0], [1.0], [0.0]])
    h = np.tanh(x @ w1 + b1)
    out = np.tanh(h @ w2 + b2)
    loss = ((out - y) ** 2).mean()
    return loss


class LeNet(nn.Module):
    """LeNet-5 as it is taught: two convolutions, three dense layers."""

    def __init__(self) -> None:
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Any) -> Any:
        x = F.avg_pool2d(np.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(np.tanh(self.conv2(x)), 2)
        x = x.reshape(len(x), -1)
        x = np.tanh(self.fc1(x))
        x = np.tanh(self.fc2(x))
        return self.fc3(x)


def lenet() -> Any:
    return F.cross_entropy(kept(LeNet)(images(8, 1, 28, 28)), np.arange(8))


class Bottleneck(nn.Module):
    """Narrow, convolve, widen, and add what came in; where shapes differ, through a convolution of its own."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU()
        self.downsample: Any = None
        if stride != 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride=stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Any) -> Any:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        skip = x if self.downsample is None else self.downsample(x)
        return self.relu(out + skip)


class ResNet50(nn.Module):
    def __init__(self) -> None:
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self.stage(64, 64, 3, stride=1)
        self.layer2 = self.stage(256, 128, 4, stride=2)
        self.layer3 = self.stage(512, 256, 6, stride=2)
        self.layer4 = self.stage(1024, 512, 3, stride=2)
        self.fc = nn.Linear(2048, 1000)

    @staticmethod
    def stage(channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
        rest = (Bottleneck(4 * width, width, 1) for _ in range(blocks - 1))
        return nn.Sequential(Bottleneck(channels, width, stride), *rest)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean(axis=(2, 3)))


def resnet50() -> Any:
    return F.cross_entropy(kept(ResNet50)(images(2, 3, 64, 64)), np.array([3, 7]))


class CausalSelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        batch, length, width = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(width // self.heads).astype(np.float32)
        past = np.tri(length, dtype=bool)
        weights = tn.softmax(np.where(past, scores, np.float32(-np.inf)))
        return self.proj((weights @ v).swapaxes(1, 2).reshape(batch, length, width))


class MLP(nn.Module):
    def __init__(self, width: int) -> None:
        self.fc = nn.Linear(width, 4 * width)
        self.proj = nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        return self.proj(F.gelu(self.fc(x)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        self.ln1 = nn.LayerNorm(width)
        self.attn = CausalSelfAttention(width, heads)
        self.ln2 = nn.LayerNorm(width)
        self.mlp = MLP(width)

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(
        self, vocabulary: int = 65, length: int = 16, width: int = 48, heads: int = 4, layers: int = 12
    ) -> None:
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(length, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Any) -> Any:
        x = self.wte(tokens) + self.wpe(np.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln_f(x))


def gpt() -> Any:
    text = np.random.default_rng(0).integers(65, size=(2, 17))
    logits = kept(GPT)(text[:, :-1])
    return F.cross_entropy(logits.reshape(-1, 65), text[:, 1:].reshape(-1))


class RNNCell(nn.Module):
    def __init__(self, inputs: int, hidden: int) -> None:
        self.input = nn.Linear(inputs, hidden)
        self.hidden = nn.Linear(hidden, hidden, bias=False)

    def forward(self, x: Any, h: Any) -> Any:
        return np.tanh(self.input(x) + self.hidden(h))


class RNN(nn.Module):
    """A sequence read step by step; the last state says its class."""

    def __init__(self) -> None:
        self.cell = RNNCell(8, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, sequence: Any) -> Any:
        h = np.zeros((sequence.shape[1], 16), np.float32)
        for x in sequence:
            h = self.cell(x, h)
        return self.out(h)


def rnn() -> Any:
    return F.cross_entropy(kept(RNN)(images(100, 4, 8)), np.arange(4))


class DoubleConv(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()
        )


class Upsample(nn.Module):
    """Every pixel becomes a square of four."""

    def forward(self, x: Any) -> Any:
        n, c, h, w = x.shape
        return np.broadcast_to(x[:, :, :, None, :, None], (n, c, h, 2, w, 2)).reshape(n, c, 2 * h, 2 * w)


class UNet(nn.Module):
    """Down three times and up again, each level on the way up beside what that level was on the way down."""

    def __init__(self) -> None:
        self.down1 = DoubleConv(1, 8)
        self.down2 = DoubleConv(8, 16)
        self.down3 = DoubleConv(16, 32)
        self.bottom = DoubleConv(32, 64)
        self.up3 = DoubleConv(64 + 32, 32)
        self.up2 = DoubleConv(32 + 16, 16)
        self.up1 = DoubleConv(16 + 8, 8)
        self.pool = nn.MaxPool2d(2)
        self.upsample = Upsample()
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x: Any) -> Any:
        d1 = self.down1(x)
        d2 = self.down2(self.pool(d1))
        d3 = self.down3(self.pool(d2))
        x = self.bottom(self.pool(d3))
        x = self.up3(np.concatenate([d3, self.upsample(x)], axis=1))
        x = self.up2(np.concatenate([d2, self.upsample(x)], axis=1))
        x = self.up1(np.concatenate([d1, self.upsample(x)], axis=1))
        return self.out(x)


def unet() -> Any:
    mask = (images(2, 1, 32, 32) > 0).astype(np.float32)
    return F.binary_cross_entropy_with_logits(kept(UNet)(images(2, 1, 32, 32)), mask)


def chain(n: int = 100_000) -> Any:
    """n ops in a row, with a period of two."""
    x = tn.tensor(0.5, requires_grad=True)
    y = x
    for i in range(n):
        y = y * 1.01 if i % 2 else np.tanh(y)
    return y


def irregular_chain(n: int = 100_000) -> Any:
    """n ops in a row, drawn at random: nothing repeats."""
    ops: list[Callable[[Any], Any]] = [
        np.tanh, np.sin, np.cos, np.negative, np.abs, np.square, lambda y: y * 0.99, lambda y: y + 0.1
    ]  # fmt: skip
    x = tn.tensor(0.5, requires_grad=True)
    y = x
    for choice in np.random.default_rng(0).integers(len(ops), size=n):
        y = ops[choice](y)
    return y


class TwoHeads(nn.Module):
    """Where an object is and what it is, from one trunk."""

    def __init__(self) -> None:
        self.trunk = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.place = nn.Linear(32, 4)
        self.kind = nn.Linear(32, 5)

    def forward(self, x: Any) -> Any:
        h = self.trunk(x)
        return self.place(h), self.kind(h)


def two_losses() -> dict[str, Any]:
    place, kind = kept(TwoHeads)(images(6, 12))
    return {"place": F.smooth_l1_loss(place, images(6, 4)), "kind": F.cross_entropy(kind, np.arange(6) % 5)}


def small_net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def second_order() -> Any:
    """A gradient penalty: how far the slope of a small net is from one."""
    net = kept(small_net)
    net.zero_grad()
    x = tn.tensor(images(5, 4), requires_grad=True)
    net(x).sum().backward(create_graph=True)
    assert x.grad is not None
    slope = np.sqrt((x.grad**2).sum(axis=1))
    return ((slope - 1) ** 2).mean()


polar = tn.op(
    lambda x, y: (np.hypot(x, y), np.arctan2(y, x)),
    name="polar",
    outputs=2,
    x=lambda g, out, x, y: (g[0] * x - g[1] * y / out[0]) / out[0],
    y=lambda g, out, x, y: (g[0] * y + g[1] * x / out[0]) / out[0],
)


def two_outputs() -> Any:
    x = tn.tensor([3.0, 1.0, -2.0], requires_grad=True)
    y = tn.tensor([4.0, -1.0, 0.5], requires_grad=True)
    radius, angle = polar(x, y)
    return ((radius - 1) ** 2).mean() + np.cos(angle).mean()


@functools.cache
def compiled() -> Any:
    """A training step that has run once."""
    net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    opt = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

    @tn.compile
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    step(images(6, 4), np.arange(6) % 3)
    return step


MODELS: dict[str, Callable[[], Any]] = {
    f.__name__: f
    for f in (
        xor,
        lenet,
        resnet50,
        gpt,
        rnn,
        unet,
        chain,
        irregular_chain,
        two_losses,
        second_order,
        two_outputs,
        compiled,
    )
}
