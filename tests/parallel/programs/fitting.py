"""Trains by `fit`, and writes the history and the parameters.

Arguments: epochs, a folder for checkpoints or "", the file; perhaps the update in which the last rank is killed.
"""

import os
import signal
import sys

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

epochs, folder, file, *killed = sys.argv[1:]
tn.training.seed(tn.parallel.rank)
rng = np.random.default_rng(0)
x, y = rng.normal(size=(67, 20)), rng.integers(0, 10, 67)
net = nn.Sequential(
    nn.Linear(20, 32), nn.Tanh(), nn.Dropout(0.1 if tn.parallel.size == 2 else 0), nn.Linear(32, 10)
).double()
opt = tn.parallel.optimizer(optim.Adam(net, lr=0.01), net, shard_state=tn.parallel.size == 3)


@tn.training.every_batch
def kill(state):
    if killed and state.step == int(killed[0]) and tn.parallel.rank == tn.parallel.size - 1:
        os.kill(os.getpid(), signal.SIGKILL)


history = tn.training.fit(
    net, F.cross_entropy, opt, (x, y), epochs=int(epochs), batch_size=16, seed=3, metrics="accuracy", validation=(x, y),
    checkpoint=tn.training.Checkpoint(folder) if folder else None,
    callbacks=[tn.training.CSVLogger(file + ".csv"), kill],
)  # fmt: skip
if tn.parallel.rank == 0:
    np.savez(file, loss=history["loss"], accuracy=history["accuracy"], **net.state_dict())
