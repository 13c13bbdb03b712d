"""Goes wrong on one rank, or on all. Arguments: how, on which rank, after how many exchanges."""

import os
import signal
import sys

import numpy as np

import tapenet as tn
from tapenet import nn, optim
from tapenet import parallel as P

how, where, after = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
P.init()
x = np.ones(3)
for _ in range(after):
    P.allreduce(x)
here = P.rank == where
if how == "exception" and here:
    raise ValueError("what went wrong")
if how == "kill" and here:
    os.kill(os.getpid(), signal.SIGKILL)
if how == "exit" and here:
    sys.exit(3)
if how == "leaves" and here:
    sys.exit(0)
if how == "shape" and here:
    x = np.ones(4)
if how == "dtype" and here:
    x = x.astype(np.float32)
if how == "call" and here:
    P.allgather(x)
if how == "model":
    P.optimizer(optim.SGD(nn.Linear(2, 3 + here), lr=0.1))
if how == "recv" and here:
    P.recv(x, (P.rank + 1) % P.size)
if how == "receive each other":
    P.recv(x, (P.rank + 1) % P.size)
if how == "unreceived" and here:
    P.send(x, (P.rank + 1) % P.size)
if how == "other array":
    if here:
        P.send(np.ones(5), (P.rank + 1) % P.size)
    elif P.rank == (where + 1) % P.size:
        P.recv(x, where)
if how in ("steps", "killed step"):
    net = nn.Linear(2, 3)
    opt = P.optimizer(optim.SGD(net, lr=0.1), net)
    for i in range(5 + here):
        if i == 3 and here and how == "killed step":
            os.kill(os.getpid(), signal.SIGKILL)
        net(np.ones((2, 2), np.float32)).sum().backward()
        opt.step()
if how == "data":
    for _ in P.shard(tn.data.batches(np.ones(8), batch_size=4, shuffle=True, seed=int(here))):
        pass
P.allreduce(x)
