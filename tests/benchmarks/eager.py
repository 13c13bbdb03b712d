"""Eager training steps (forward, backward, SGD) beside PyTorch's and beside backpropagation written out in NumPy.

pip install -e '.[bench]'
OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.eager
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tests.benchmarks.harness import Step, interleaved, report

torch.set_num_threads(1)


def tapenet_step(sizes: list[int], x: Any, y: Any, lr: float) -> Step:
    layers: list[Any] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.Tanh()]
    net = nn.Sequential(*layers)
    opt = optim.SGD(net.parameters(), lr=lr)

    def step() -> float:
        loss = F.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    step.parameters = [p.data for p in net.parameters()]
    return step


def torch_step(sizes: list[int], x: Any, y: Any, lr: float, start: list[Any]) -> Step:
    layers: list[Any] = []
    for a, b in itertools.pairwise(sizes):
        layers += [torch.nn.Linear(a, b), torch.nn.Tanh()]
    net = torch.nn.Sequential(*layers)
    with torch.no_grad():
        for p, value in zip(net.parameters(), start, strict=True):
            p.copy_(torch.tensor(np.ascontiguousarray(value)))
    opt = torch.optim.SGD(net.parameters(), lr=lr)
    tx, ty = torch.tensor(x), torch.tensor(y)

    def step() -> Any:
        loss = torch.nn.functional.mse_loss(net(tx), ty)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step


def numpy_step(sizes: list[int], x: Any, y: Any, lr: float, start: list[Any]) -> Step:
    """Backpropagation as one would write it by hand: weights (in, out), no graph, updates in place."""
    ws = [np.ascontiguousarray(w.T) for w in start[0::2]]
    bs = [b.copy() for b in start[1::2]]
    rate = np.float32(lr)

    def step() -> Any:
        values = [x]
        for w, b in zip(ws, bs, strict=True):
            z = values[-1].dot(w)
            z += b
            np.tanh(z, out=z)
            values.append(z)
        difference = values[-1] - y
        loss = np.vdot(difference, difference) / difference.size
        g = difference * np.float32(2 / difference.size)
        for i in range(len(ws) - 1, -1, -1):
            h = values[i + 1]
            g = g * (1 - h * h)
            dw, db = values[i].T.dot(g), np.add.reduce(g)
            if i:
                g = g.dot(ws[i].T)
            ws[i] -= rate * dw
            bs[i] -= rate * db
        return loss

    return step


def compare(title: str, sizes: list[int], batch: int, bounds: dict[str, float]) -> dict[str, float]:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(batch, sizes[0])).astype(np.float32)
    y = rng.uniform(-1, 1, size=(batch, sizes[-1])).astype(np.float32)
    tn.random.seed(0)
    mine = tapenet_step(sizes, x, y, 0.01)
    start = [p.copy() for p in mine.parameters]
    steps = {
        "tapenet": mine,
        "PyTorch": torch_step(sizes, x, y, 0.01, start),
        "NumPy": numpy_step(sizes, x, y, 0.01, start),
    }
    for _ in range(5):  # all do the same work
        losses = [float(step().item()) for step in steps.values()]
        np.testing.assert_allclose(losses, losses[0], rtol=1e-4)
    return report(title, interleaved(steps), bounds)


def main() -> None:
    """Print every comparison."""
    print(f"torch {torch.__version__}, numpy {np.__version__}")
    compare("XOR 2-3-1, batch 4", [2, 3, 1], 4, {"PyTorch": 0.30})
    compare("784-100-50-10 tanh, batch 1", [784, 100, 50, 10], 1, {})
    compare("784-100-50-10 tanh, batch 64", [784, 100, 50, 10], 64, {"PyTorch": 0.65, "NumPy": 1.15})
    compare("784-512-512-10 tanh, batch 256", [784, 512, 512, 10], 256, {})


if __name__ == "__main__":
    main()
