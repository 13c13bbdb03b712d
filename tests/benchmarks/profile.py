"""What a profile costs: eager training steps (forward, backward, SGD) in a `tn.profile()` beside the same without.

OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.profile
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tests.benchmarks.harness import Step, interleaved, report

#: Steps that one profile keeps before another takes its place: all that a long benchmark makes would fill the memory.
KEPT = 500


def dense(sizes: list[int]) -> nn.Module:
    layers: list[Any] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers)


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 5 * 5, 10),
    )  # fmt: skip


def candidates(net: nn.Module, x: Any, y: Any, loss_of: Any) -> dict[str, Step]:
    opt = optim.SGD(net.parameters(), lr=0.01)

    def eager() -> Any:
        loss = loss_of(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    profiles = itertools.chain.from_iterable(itertools.repeat(tn.profile(), KEPT) for _ in itertools.count())

    def profiled() -> Any:
        with next(profiles):
            loss = loss_of(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
        return loss

    return {"profiled": profiled, "eager": eager}


def compare(title: str, net: nn.Module, x: Any, y: Any, loss_of: Any, rounds: int = 101) -> dict[str, float]:
    times = interleaved(candidates(net, x, y, loss_of), rounds=rounds, seconds=0.01)
    return report(title, times, {"eager": 1.10})


def main() -> None:
    """Print every comparison."""
    rng = np.random.default_rng(0)
    tn.random.seed(0)

    def batch(*shape: int) -> Any:
        return rng.uniform(size=shape).astype(np.float32)

    compare("XOR 2-3-1, batch 4", dense([2, 3, 1]), batch(4, 2), batch(4, 1), F.mse_loss)
    labels = rng.integers(0, 10, size=64)
    compare("784-100-50-10, batch 64", dense([784, 100, 50, 10]), batch(64, 784), labels, F.cross_entropy)
    compare("CNN, batch 16", convolutional(), batch(16, 1, 28, 28), labels[:16], F.cross_entropy)


if __name__ == "__main__":
    main()
