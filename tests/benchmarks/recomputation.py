"""What `tn.checkpoint` saves and costs: training steps of a transformer with each block a checkpoint, beside the same without.

    OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.recomputation [--layers N] [--batch N] ...

Each of the two runs in a process of its own, which takes turns with the other. Memory is the peak above what was held before a
step: in eager mode of the arrays (tracemalloc), of a compiled step what its program reserves for values between its kernels.
Times are the least of the rounds, in processor time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import numpy as np

import tapenet as tn
from tapenet import nn, optim
from tapenet.program.native.module import Module
from tapenet.typing import Array

ROOT = Path(__file__).parents[2]


class Sizes(NamedTuple):
    """What is measured."""

    layers: int
    batch: int
    length: int
    width: int
    dropout: float
    rounds: int


class Transformer(nn.Module):
    """Blocks behind each other, as they are or as checkpoints."""

    def __init__(self, sizes: Sizes, policy: str) -> None:
        width = sizes.width
        self.blocks = [
            nn.TransformerEncoderLayer(width, 4, 4 * width, dropout=sizes.dropout, batch_first=True, rng=i)
            for i in range(sizes.layers)
        ]
        self.policy = policy

    def forward(self, x: tn.Tensor) -> tn.Tensor:
        """The last block's result."""
        for block in self.blocks:
            if self.policy == "all":
                x = block(x)
            else:
                x = tn.checkpoint(block, "products" if self.policy == "products" else None)(x)
        return x


def measure(sizes: Sizes, mode: str, policy: str) -> dict[str, float]:
    """The time and the memory of a step."""
    net = Transformer(sizes, policy)
    opt = optim.SGD(net.parameters(), lr=1e-3)
    arenas: list[int] = []
    made = Module.__init__

    def noted(self: Module, *args: object, **kwargs: object) -> None:
        made(self, *args, **kwargs)  # type: ignore[arg-type]
        arenas.append(self.memory.arena_bytes)

    Module.__init__ = noted  # type: ignore[method-assign]

    def step(x: Array) -> tn.Tensor:
        loss = (net(x) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    run = tn.compile(step) if mode == "compiled" else step
    x = np.random.default_rng(0).normal(size=(sizes.batch, sizes.length, sizes.width)).astype(np.float32)
    run(x)
    run(x)
    times = []
    for _ in range(sizes.rounds):
        start = time.process_time()
        run(x)
        times.append(time.process_time() - start)
    if mode == "compiled":
        return {"seconds": min(times), "bytes": max(arenas)}
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    run(x)
    return {"seconds": min(times), "bytes": tracemalloc.get_traced_memory()[1] - before}


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, value in Sizes(12, 8, 128, 128, 0.0, 5)._asdict().items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--turns", type=int, default=3, help="how often each process is started")
    parser.add_argument("--one", nargs=2, metavar=("MODE", "POLICY"), help="measure one, in this process")
    given = vars(parser.parse_args())
    turns, one = given.pop("turns"), given.pop("one")
    sizes = Sizes(**given)
    if one is not None:
        print(json.dumps(measure(sizes, *one)))
        return
    options = [f"--{name}={value}" for name, value in sizes._asdict().items()]
    for mode in ("eager", "compiled"):
        found: dict[str, list[dict[str, float]]] = {"all": [], "nothing": [], "products": []}
        for _ in range(turns):
            for policy, results in found.items():
                command = [sys.executable, "-m", "tests.benchmarks.recomputation", *options, "--one", mode, policy]
                out = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
                results.append(json.loads(out.splitlines()[-1]))
        best = {p: [min(r[key] for r in rs) for key in ("seconds", "bytes")] for p, rs in found.items()}
        for policy, (seconds, size) in best.items():
            print(
                f"{mode:8} keeps {policy:8} {1e3 * seconds:7.1f} ms ({seconds / best['all'][0]:.2f})  "
                f"{size / 1e6:7.1f} MB ({size / best['all'][1]:.2f})"
            )


if __name__ == "__main__":
    main()
