"""Training runs that are killed at random moments and go on, in processes of their own.

    python -m tests.training.killed FOLDER KILLS SEED

The parent imports everything once and forks the runs, so that there are many kills in a second. After each kill it loads
what is there: nothing may be damaged, and nothing that was there before may be gone. Each run that ends is compared with
one that was not killed, bit by bit. What came of it is printed as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim, training

UPDATES = 40


def train(folder: Path) -> dict[str, Any]:
    """A run by hand, from where the checkpoint is: dropout, running statistics, a schedule, averages."""
    tn.random.seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))
    opt = optim.AdamW(net.parameters(), lr=optim.cosine(0.05, UPDATES))
    mean = optim.Averaged(net, decay=0.9)
    x = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
    y = x.sum(axis=1, keepdims=True)

    def update(x: Any, y: Any) -> Any:
        loss = F.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        mean.update()
        return loss

    checkpoint = training.Checkpoint(folder, keep=2, steps=1)
    losses: list[float] = []
    order: Any = []
    saved = checkpoint.load()
    if saved is not None:
        net.load_state_dict(saved["net"])
        opt.load_state_dict(saved["opt"])
        mean.load_state_dict(saved["mean"])
        tn.random.set_state(saved["random"])
        losses, order = saved["losses"], saved["order"]
    for step in range(len(losses), UPDATES):
        if not len(order):
            order = tn.random.permutation(len(x))
        rows, order = order[:16], order[16:]
        losses.append(update(x[rows], y[rows]).item())
        state = {"net": net, "opt": opt, "mean": mean, "random": tn.random.get_state()}
        if checkpoint.due(step=step + 1):
            checkpoint.save({**state, "losses": losses, "order": order}, step + 1)
    return {"net": net.state_dict(), "mean": mean.state_dict(), "losses": losses}


def forked(folder: Path) -> int:
    """A process that trains, and writes what comes of it beside the folder."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        result = train(folder)
        tn.save(result, folder.with_suffix(".safetensors"))
        code = 0
    finally:
        os._exit(code)


def main(folder: Path, kills: int, seed: int) -> dict[str, int]:
    """Kill so many times, over as many runs as that takes."""
    warnings.simplefilter("error")  # a damaged file would be passed over with a warning
    rng = random.Random(seed)
    start = time.perf_counter()
    assert os.waitpid(forked(folder / "whole"), 0)[1] == 0
    whole = time.perf_counter() - start
    expected = folder.joinpath("whole.safetensors").read_bytes()
    killed = runs = 0
    while killed < kills:
        runs += 1
        mine = folder / f"run{runs}"
        known = 0
        while True:
            child = forked(mine)
            # Most of them while it trains and saves, some at once; all go on where they are fast enough to end.
            delay = rng.uniform(0.0, 0.4 * whole)
            end = time.perf_counter() + delay
            done = 0
            while not done and time.perf_counter() < end:
                time.sleep(min(0.002, max(0.0, end - time.perf_counter())))
                done, status = os.waitpid(child, os.WNOHANG)
            if not done:
                os.kill(child, signal.SIGKILL)
                _, status = os.waitpid(child, 0)
            if os.WIFEXITED(status):
                assert os.WEXITSTATUS(status) == 0
                break
            killed += 1
            saved = training.Checkpoint(mine).load()
            step = 0 if saved is None else len(saved["losses"])
            assert step >= known, "what was saved before is gone"
            known = step
        assert mine.with_suffix(".safetensors").read_bytes() == expected, "not the run that was not stopped"
        left = sorted(path.name for path in mine.iterdir())
        assert left == [f"checkpoint-{n:06d}-step-{n}.safetensors" for n in (UPDATES - 1, UPDATES)], left
    return {"killed": killed, "runs": runs}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
