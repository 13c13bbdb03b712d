"""What `fit` takes beside a compiled loop that is written by hand, on 784-100-50-10 with batches of 64.

They run in one process and take turns, in an order that is drawn for each round: an epoch each. All have their data from
`tn.data.batches` and sum the loss; `fit` shows its bar, on a terminal that nobody sees.
"""

from __future__ import annotations

import io
import queue
import random
import statistics
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tests.benchmarks.side_by_side import clock

BATCHES = 937


def _made() -> tuple[Any, Any, Any]:
    tn.random.seed(0)
    r = np.random.default_rng(0)
    x, y = r.normal(size=(64 * BATCHES, 784)).astype(np.float32), r.integers(0, 10, 64 * BATCHES)
    net = nn.Sequential(nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 50), nn.Tanh(), nn.Linear(50, 10))
    return net, optim.SGD(net, lr=0.1), tn.data.batches(x, y, batch_size=64, shuffle=True, seed=0)


def _by_hand() -> Iterator[float]:
    """Seconds of one epoch after the other."""
    net, opt, data = _made()

    @tn.compile
    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    while True:
        start = clock()
        total = 0.0
        for x, y in data:
            total += step(x, y).item()
        yield clock() - start


class _Terminal(io.StringIO):
    """Where the bar goes."""

    def isatty(self) -> bool:
        return True


def _fit(rounds: int, **options: Any) -> Iterator[float]:
    """The same of one call of `fit`, in a thread of its own that waits between epochs."""
    net, opt, data = _made()
    turns, found = queue.Queue[None](), queue.Queue[float]()

    def epoch(state: tn.training.State) -> None:
        found.put(clock() - begun[0])
        turns.get()
        begun[0] = clock()

    begun = [0.0]

    def run() -> None:
        turns.get()
        begun[0] = clock()
        tn.training.fit(net, F.cross_entropy, opt, data, epochs=rounds, callbacks=epoch, **options)

    threading.Thread(target=run, daemon=True).start()
    for _ in range(rounds):
        turns.put(None)
        yield found.get()


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """The median seconds of an epoch of each, and the median of what it takes over the loop by hand in the same round."""
    rounds += 1  # the first is for programs to be made
    sys.stderr = _Terminal()
    try:
        loops = {
            "by hand": _by_hand(),
            "fit": _fit(rounds + 1),
            "fit, accuracy": _fit(rounds + 1, metrics=["accuracy"]),
        }
        times: dict[str, list[float]] = {name: [] for name in loops}
        for number in range(rounds):
            for name in random.Random(number).sample(list(loops), len(loops)):
                times[name].append(next(loops[name]))
    finally:
        sys.stderr = sys.__stderr__
    base = times["by hand"][1:]
    return {
        name: {
            "µs": 1e6 * statistics.median(found[1:]) / BATCHES,
            "ratio": statistics.median(one / other for one, other in zip(found[1:], base, strict=True)),
        }
        for name, found in times.items()
    }
