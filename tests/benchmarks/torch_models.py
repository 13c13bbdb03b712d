"""The models of `tests.drawing.models` in PyTorch, layer for layer, for the tools that draw those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tests.drawing.models import images


class Peer(NamedTuple):
    """A module with what it is called with, and what its result becomes when a loss is wanted."""

    model: nn.Module
    inputs: tuple[Any, ...]
    loss: Callable[[Any], Any]

    def losses(self) -> Any:
        return self.loss(self.model(*self.inputs))


def itself(out: Any) -> Any:
    return out


def randn(*shape: int) -> torch.Tensor:
    return torch.tensor(images(*shape))


def classes(n: int, of: int) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda out: F.cross_entropy(out, torch.arange(n) % of)


class XOR(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(2, 3))
        self.b1 = nn.Parameter(torch.zeros(3))
        self.w2 = nn.Parameter(torch.randn(3, 1))
        self.b2 = nn.Parameter(torch.zeros(1))

    def forward(self, x: Any) -> Any:
        h = torch.tanh(x @ self.w1 + self.b1)
        return torch.tanh(h @ self.w2 + self.b2)


def xor() -> Peer:
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    return Peer(XOR(), (x,), lambda out: ((out - y) ** 2).mean())


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Any) -> Any:
        x = F.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        x = x.reshape(len(x), -1)
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.fc3(x)


def lenet() -> Peer:
    return Peer(LeNet(), (randn(8, 1, 28, 28),), classes(8, 10))


class Bottleneck(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
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
        super().__init__()
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
        return self.fc(x.mean(dim=(2, 3)))


def resnet50() -> Peer:
    return Peer(ResNet50(), (randn(2, 3, 64, 64),), classes(2, 1000))


class CausalSelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        batch, length, width = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / (width // self.heads) ** 0.5
        past = torch.ones(length, length, dtype=torch.bool).tril()
        weights = scores.masked_fill(~past, -torch.inf).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, length, width))


class MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, 4 * width)
        self.proj = nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        return self.proj(F.gelu(self.fc(x)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
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
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(length, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Any) -> Any:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln_f(x))


def gpt() -> Peer:
    text = torch.tensor(np.random.default_rng(0).integers(65, size=(2, 17)))
    return Peer(GPT(), (text[:, :-1],), lambda logits: F.cross_entropy(logits.reshape(-1, 65), text[:, 1:].reshape(-1)))


class RNNCell(nn.Module):
    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Linear(inputs, hidden)
        self.hidden = nn.Linear(hidden, hidden, bias=False)

    def forward(self, x: Any, h: Any) -> Any:
        return torch.tanh(self.input(x) + self.hidden(h))


class RNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = RNNCell(8, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, sequence: Any) -> Any:
        h = torch.zeros(sequence.shape[1], 16)
        for x in sequence:
            h = self.cell(x, h)
        return self.out(h)


def rnn() -> Peer:
    return Peer(RNN(), (randn(100, 4, 8),), classes(4, 4))


class DoubleConv(nn.Sequential):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()
        )


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1 = DoubleConv(1, 8)
        self.down2 = DoubleConv(8, 16)
        self.down3 = DoubleConv(16, 32)
        self.bottom = DoubleConv(32, 64)
        self.up3 = DoubleConv(64 + 32, 32)
        self.up2 = DoubleConv(32 + 16, 16)
        self.up1 = DoubleConv(16 + 8, 8)
        self.pool = nn.MaxPool2d(2)
        self.upsample = nn.Upsample(scale_factor=2)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x: Any) -> Any:
        d1 = self.down1(x)
        d2 = self.down2(self.pool(d1))
        d3 = self.down3(self.pool(d2))
        x = self.bottom(self.pool(d3))
        x = self.up3(torch.cat([d3, self.upsample(x)], dim=1))
        x = self.up2(torch.cat([d2, self.upsample(x)], dim=1))
        x = self.up1(torch.cat([d1, self.upsample(x)], dim=1))
        return self.out(x)


def unet() -> Peer:
    mask = (randn(2, 1, 32, 32) > 0).float()
    return Peer(UNet(), (randn(2, 1, 32, 32),), lambda out: F.binary_cross_entropy_with_logits(out, mask))


class Chain(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, y: Any) -> Any:
        for i in range(self.n):
            y = y * 1.01 if i % 2 else torch.tanh(y)
        return y


def chain(n: int = 100_000) -> Peer:
    return Peer(Chain(n), (torch.tensor([0.5], requires_grad=True),), itself)


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
        self.place = nn.Linear(32, 4)
        self.kind = nn.Linear(32, 5)

    def forward(self, x: Any) -> Any:
        h = self.trunk(x)
        return self.place(h), self.kind(h)


def two_losses() -> Peer:
    return Peer(
        TwoHeads(),
        (randn(6, 12),),
        lambda out: (F.smooth_l1_loss(out[0], randn(6, 4)), F.cross_entropy(out[1], torch.arange(6) % 5)),
    )


class GradientPenalty(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x: Any) -> Any:
        (grad,) = torch.autograd.grad(self.net(x).sum(), x, create_graph=True)
        slope = (grad**2).sum(dim=1).sqrt()
        return ((slope - 1) ** 2).mean()


def second_order() -> Peer:
    return Peer(GradientPenalty(), (randn(5, 4).requires_grad_(),), itself)


class Polar(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        radius = torch.hypot(x, y)
        ctx.save_for_backward(x, y, radius)
        return radius, torch.atan2(y, x)

    @staticmethod
    def backward(ctx: Any, g0: Any, g1: Any) -> Any:
        x, y, r = ctx.saved_tensors
        return (g0 * x - g1 * y / r) / r, (g0 * y + g1 * x / r) / r


class TwoOutputs(nn.Module):
    def forward(self, x: Any, y: Any) -> Any:
        radius, angle = Polar.apply(x, y)
        return ((radius - 1) ** 2).mean() + torch.cos(angle).mean()


def two_outputs() -> Peer:
    x = torch.tensor([3.0, 1.0, -2.0], requires_grad=True)
    y = torch.tensor([4.0, -1.0, 0.5], requires_grad=True)
    return Peer(TwoOutputs(), (x, y), itself)


PEERS: dict[str, Callable[[], Peer]] = {
    f.__name__: f for f in (xor, lenet, resnet50, gpt, rnn, unet, chain, two_losses, second_order, two_outputs)
}
