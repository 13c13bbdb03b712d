"""Trains a small network on parts of batches, and writes what came of it: the same for any number of ranks.

Arguments: one or several ways, as "eager-batches": eager or compiled, and a kind of data; the file.
"""

import sys

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

# 67 samples: the last batch of 16 has 3, fewer than 4 ranks.
rng = np.random.default_rng(0)
x, y = rng.normal(size=(67, 20)), rng.integers(0, 10, 67)
KINDS = {
    "batches": lambda: tn.data.batches(x, y, batch_size=16, shuffle=True, seed=1),
    "loader": lambda: tn.data.DataLoader((x, y), 16, shuffle=True, seed=1, workers=2),
    "list": lambda: [(x[i : i + 16], y[i : i + 16]) for i in range(0, 67, 16)],
}


def trained(mode, kind):
    tn.random.seed(tn.parallel.rank)  # rank 0 gives its parameters to all
    net = nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 10)).double()
    assert tn.parallel.equal(net) == (tn.parallel.size == 1)
    tn.parallel.synchronize_batch_norm(net)
    net[1].running_mean.data = np.full(64, float(tn.parallel.rank))  # and its buffers
    opt = tn.parallel.optimizer(optim.SGD(net, lr=0.3, momentum=0.9), net)
    assert tn.parallel.equal(net)
    assert tn.parallel.equal({"mean": net[1].running_mean.numpy() + tn.parallel.rank}) == (tn.parallel.size == 1)
    data = KINDS[kind]()

    def step(x, y):
        opt.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optim.clip_grad_norm(net.parameters(), 0.5)  # by the norm of the gradient of the whole batch
        opt.step()
        return loss

    step = tn.compile(step) if mode == "compiled" else step
    for _ in range(4):
        for batch in tn.parallel.shard(data):
            step(*map(tn.asarray, batch))
    assert tn.parallel.equal(net)
    return net.state_dict()


*ways, file = sys.argv[1:]
found = {f"{way} {name}": values for way in ways for name, values in trained(*way.split("-")).items()}
if tn.parallel.rank == 0:
    np.savez(file, **found)
