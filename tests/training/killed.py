"""Training runs that are killed at random moments and go on, in processes of their own.

    python -m tests.training.killed RUN FOLDER KILLS SEED

RUN is one of `RUNS`. The parent imports everything once and forks the runs, so that there are many kills in a second. After
each kill it loads what is there: nothing may be damaged, and nothing that was there before may be gone. Each run that ends is
compared with one that was not killed, bit by bit. What came of it is printed as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim, training

UPDATES = 40


def _data(rows: int, seed: int) -> tuple[Any, Any]:
    x = np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)
    return x, x.sum(axis=1, keepdims=True)


def _net() -> Any:
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))


def by_hand(folder: Path) -> dict[str, Any]:
    """A loop of one's own, saved after every update: dropout, running statistics, a schedule, averages."""
    tn.random.seed(0)
    net = _net()
    opt = optim.AdamW(net.parameters(), lr=optim.cosine(0.05, UPDATES))
    mean = optim.Averaged(net, decay=0.9)
    x, y = _data(64, 1)
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
        loss = F.mse_loss(net(x[rows]), y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        mean.update()
        losses.append(loss.item())
        if checkpoint.due(step=step + 1):
            state = {"net": net, "opt": opt, "mean": mean, "random": tn.random.get_state()}
            checkpoint.save({**state, "losses": losses, "order": order}, step + 1)
    return {"net": net, "mean": mean, "losses": losses}


def _noisy(batch: Any, rng: np.random.Generator) -> Any:
    x, y = batch
    return x + rng.normal(scale=0.01, size=x.shape).astype(np.float32), y


def compiled(folder: Path) -> dict[str, Any]:
    """`fit` as it is by default, saved within epochs too: a loader that draws, averages, metrics, callbacks that keep
    something, and others that draw from everybody's generators."""
    training.seed(0)
    net = _net()
    opt = optim.AdamW(lr=optim.cosine(0.05, UPDATES))
    mean = optim.Averaged(net, decay=0.9)
    best = training.KeepBest(restore=False)

    @training.every_batch
    def draws(state: Any) -> None:
        random.random()
        np.random.rand()

    history = training.fit(
        net,
        F.mse_loss,
        opt,
        tn.data.DataLoader(_data(70, 1), batch_size=16, shuffle=True, seed=5, transform=_noisy, workers=2),
        epochs=UPDATES // 5,
        validation=_data(20, 2),
        metrics="mae",
        callbacks=[best, draws],
        clip_norm=1.0,
        average=mean,
        checkpoint=training.Checkpoint(folder, keep=2, steps=2),
        verbose=0,
    )
    drawn = [tn.random.uniform(), random.random(), np.random.rand()]
    return {"net": net, "opt": opt, "mean": mean, "history": history.epochs, "drawn": drawn, "best": best.weights}


def in_parts(folder: Path) -> dict[str, Any]:
    """`fit` with several batches to an update, in float16 with a scaled loss, a rate that falls on plateaus, arrays that it
    shuffles itself."""
    training.seed(0)
    net = _net()
    plateau = optim.Plateau(0.05, patience=0, factor=0.5)
    opt = optim.SGD(net, lr=plateau, momentum=0.9)
    history = training.fit(
        net,
        F.mse_loss,
        opt,
        _data(70, 1),
        batch_size=8,
        epochs=UPDATES // 5,
        accumulate=2,
        precision="float16",
        compile=False,
        checkpoint=training.Checkpoint(folder, keep=3, steps=3),
        verbose=0,
    )
    return {"net": net, "opt": opt, "plateau": plateau, "history": history.epochs}


RUNS = {"by_hand": by_hand, "compiled": compiled, "in_parts": in_parts}


def forked(run: str, folder: Path) -> int:
    """A process that trains, and writes what comes of it beside the folder."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        tn.save(RUNS[run](folder), folder.with_suffix(".safetensors"))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main(run: str, folder: Path, kills: int, seed: int) -> dict[str, int]:
    """Kill so many times, over as many runs as that takes."""
    warnings.simplefilter("error")  # a damaged file would be passed over with a warning
    rng = random.Random(seed)
    RUNS[run](folder / "first")  # here, so that those that are forked find machine code that is there
    start = time.perf_counter()
    assert os.waitpid(forked(run, folder / "whole"), 0)[1] == 0
    whole = time.perf_counter() - start
    expected = folder.joinpath("whole.safetensors").read_bytes()
    killed = runs = 0
    while killed < kills:
        runs += 1
        mine = folder / f"run{runs}"
        known = -1
        while True:
            child = forked(run, mine)
            # Some are killed at once, most while they train and save; now and then one comes to its end.
            end = time.perf_counter() + rng.uniform(0.0, 0.8 * whole)
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
            checkpoint = training.Checkpoint(mine)
            checkpoint.load()
            step = -1 if checkpoint.latest is None else int(checkpoint.latest.stem.rpartition("-")[2])
            assert step >= known, "what was saved before is gone"
            known = step
        assert mine.with_suffix(".safetensors").read_bytes() == expected, "not the run that was not stopped"
        assert all(path.suffix == ".safetensors" for path in mine.iterdir()), "something was left behind"
    return {"killed": killed, "runs": runs}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
