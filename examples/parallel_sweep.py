"""A sweep and a search from many starts, split over ranks: `parallel.map` gives each rank its part of the work, and all the
results.

Small networks learn the iris data with each of several learning rates and widths; what is best depends on no number of ranks,
as each training has its own seed. Then a function with many valleys is minimised from many starts.

    mpiexec -n 4 python examples/parallel_sweep.py
"""

import itertools
from typing import Any

import numpy as np
from tabular import IRISES, network

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import optim, parallel

SETTINGS = [{"lr": lr, "decay": decay} for lr, decay in itertools.product((1e-4, 1e-3, 1e-2), (0.0, 0.1))]


def accuracy(setting: dict[str, float]) -> float:
    """Train with a setting, and test."""
    tn.training.seed(0)
    table = tn.data.csv(IRISES, target="species", standardize=True)
    train, test = table.split(test=1 / 3, seed=0)
    net = network(train.x.shape[1], len(table.classes))
    adam = optim.AdamW(lr=setting["lr"], weight_decay=setting["decay"])
    tn.training.fit(net, F.cross_entropy, adam, (train.x, train.y), epochs=20, verbose=0)
    return float(tn.training.evaluate(net, F.cross_entropy, (test.x, test.y), metrics="accuracy")["accuracy"])


def valleys(x: Any) -> Any:
    """Rastrigin's function: a bowl with a valley at each point of integers, the deepest at 0."""
    return 10 * x.size + (x**2 - 10 * np.cos(2 * np.pi * x)).sum()


def main() -> None:
    """Sweep, then search."""
    reached = parallel.map(accuracy, SETTINGS)
    best = int(np.argmax(reached))
    starts = np.random.default_rng(0).uniform(-4, 4, (60, 2))
    found = parallel.map(lambda start: tn.optimize.minimize(valleys, start), starts)
    deepest = min(found, key=lambda result: result.fun.item())
    if parallel.rank == 0:
        for setting, each in zip(SETTINGS, reached, strict=True):
            print(f"lr {setting['lr']:<6g} decay {setting['decay']:<3g} accuracy {each:.0%}")
        print(f"{parallel.size} ranks: best is {SETTINGS[best]}")
        print(f"the deepest of {len(found)} valleys has {deepest.fun.item():.3f}, at {deepest.x.numpy().round(3)}")
    assert reached[best] > 0.9, reached
    assert deepest.fun.item() < 2, deepest


if __name__ == "__main__":
    main()
