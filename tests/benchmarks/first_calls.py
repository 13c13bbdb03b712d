"""What the first calls of a compiled function cost, until its program has run: `python -m tests.benchmarks.first_calls`.

Each workload runs in processes of its own, first with an empty cache of code, then with what the first process left there.
The time is that of the first two calls: one is captured, the other runs the program. The third is the time of a call ever
after.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.llvm.processor import processors


class Block(nn.Module):
    """Two convolutions, and what came in added to them."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.short: Any = None
        if stride != 1 or inputs != width:
            self.short = nn.Sequential(nn.Conv2d(inputs, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Any) -> Any:
        h = F.relu(self.bn1(self.conv1(x)))
        h = self.bn2(self.conv2(h))
        return F.relu(h + (x if self.short is None else self.short(x)))


def resnet18() -> nn.Module:
    """ResNet-18 as it is for ImageNet, 64 channels wide."""
    blocks = [Block(inputs, width, stride) for width, before, step in ((64, 64, 1), (128, 64, 2), (256, 128, 2), (512, 256, 2))
              for inputs, stride in ((before, step), (width, 1))]  # fmt: skip
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1),
        *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip


def twice(inputs: int, width: int) -> nn.Sequential:
    """Two convolutions that keep the size."""
    layers: list[nn.Module] = []
    for i in (inputs, width):
        layers += [nn.Conv2d(i, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """A U-Net of four levels."""

    def __init__(self, width: int = 16, levels: int = 4) -> None:
        widths = [width << i for i in range(levels)]
        self.down = nn.ModuleList([twice(i, o) for i, o in zip([3, *widths], widths, strict=False)])
        self.widen = nn.ModuleList([nn.ConvTranspose2d(2 * o, o, 2, 2) for o in reversed(widths[:-1])])
        self.up = nn.ModuleList([twice(2 * o, o) for o in reversed(widths[:-1])])
        self.last = nn.Conv2d(width, 10, 1)

    def forward(self, x: Any) -> Any:
        beside: list[Any] = []
        for down in self.down:
            x = down(F.max_pool2d(beside[-1], 2) if beside else x)
            beside.append(x)
        beside.pop()
        for widen, up in zip(self.widen, self.up, strict=True):
            x = up(tn.concatenate([beside.pop(), widen(x)], axis=1))
        return self.last(x)


class GPTBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Any) -> Any:
        batch, length, width = x.shape
        q, k, v = self.qkv(self.ln1(x)).reshape(batch, length, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(h.swapaxes(1, 2).reshape(batch, length, width))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    """A GPT of six layers that reads characters."""

    def __init__(self, length: int = 64, width: int = 128, heads: int = 4, layers: int = 6) -> None:
        self.token, self.place = nn.Embedding(65, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(GPTBlock(width, heads) for _ in range(layers)))
        self.ln = nn.LayerNorm(width)
        self.head = nn.Linear(width, 65)

    def forward(self, tokens: Any) -> Any:
        return self.head(self.ln(self.blocks(self.token(tokens) + self.place(np.arange(tokens.shape[1])))))


def training(net: nn.Module, opt: Any, classes: int) -> Callable[[Any, Any], Any]:
    """A training step."""

    @tn.compile
    def step(x: Any, y: Any) -> Any:
        out = net(x)
        if out.ndim == 4:
            out = out.transpose(0, 2, 3, 1)
        loss = F.cross_entropy(out.reshape(-1, classes), y.reshape(-1))
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step


def make(name: str) -> Callable[[], Any]:
    """A call of a workload."""
    r = np.random.default_rng(0)
    tn.random.seed(0)
    if name.startswith("chain"):
        count = int(name[5:].replace(",", ""))
        x = np.full(4, 0.5, np.float32)
        whole = tn.value_and_grad(lambda x: functools.reduce(lambda y, _: tn.sin(y), range(count), x).sum())
        return functools.partial(tn.compile(whole), x)
    if name == "GPT":
        gpt = GPT()
        return functools.partial(
            training(gpt, optim.AdamW(gpt.parameters(), lr=1e-3), 65),
            r.integers(65, size=(8, 64)),
            r.integers(65, size=(8, 64)),
        )
    net = resnet18() if name == "ResNet-18" else UNet()
    step = training(net, optim.SGD(net.parameters(), lr=0.01, momentum=0.9), 10)
    if name == "ResNet-18":
        return functools.partial(step, r.normal(size=(16, 3, 32, 32)).astype(np.float32), r.integers(10, size=16))
    return functools.partial(step, r.normal(size=(8, 3, 64, 64)).astype(np.float32), r.integers(10, size=(8, 64, 64)))


#: Each with the seconds that it may take at most, with an empty cache.
WORKLOADS = {"ResNet-18": 2.5, "U-Net": 2.0, "GPT": 1.0, "chain 20,000": 4.0}


def once(name: str) -> list[float]:
    """Seconds of the first three calls."""
    call, times = make(name), []
    for _ in range(3):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(WORKLOADS), help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)  # what the processes are started with
    options = parser.parse_args()
    if options.once:
        print(*once(options.names[0]))
        return
    # Python's own code is there from the second process on, as where tapenet is installed, whatever the environment says.
    modules = tempfile.TemporaryDirectory()
    bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": modules.name}
    print(f"{processors()} processors; seconds: the first two calls, cold, at most; warm, part of cold; a call")
    for name in options.names:
        cold, warm, later = [], [], []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                for times in cold, warm:
                    run = subprocess.run(
                        [sys.executable, "-m", __spec__.name, "--once", name],
                        env=os.environ | {"TAPENET_CACHE": folder, **bytecode}, capture_output=True, text=True, check=True,
                    )  # fmt: skip
                    first, second, third = map(float, run.stdout.split())
                    times.append(first + second)
                    later.append(third)
        one, two = statistics.median(cold), statistics.median(warm)
        print(
            f"{name:14} {one:6.2f} {WORKLOADS.get(name, np.nan):6.2f}  {two:6.2f} {two / one:5.2f}  {min(later):7.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
