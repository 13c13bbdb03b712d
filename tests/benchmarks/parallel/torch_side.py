"""PyTorch: torch.distributed and DistributedDataParallel, over gloo."""

from __future__ import annotations

import os
from functools import partial

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from tests.benchmarks.networks.torch_side import training
from tests.benchmarks.networks.workloads import Network
from tests.benchmarks.parallel import mpi4py_side
from tests.benchmarks.parallel.workloads import Task
from tests.benchmarks.side_by_side.ranks import comm
from tests.benchmarks.side_by_side.tasks import Array, Candidate, means


def build(task: Task, how: str) -> Candidate:
    """A sum, or a training step; `how` is "eager"."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
    os.environ["MASTER_PORT"] = str(comm.bcast(20_000 + os.getpid() % 20_000))
    distributed.init_process_group("gloo", rank=comm.rank, world_size=comm.size)
    if isinstance(task.of, int):
        x = torch.ones(task.of // 4)

        def once(_: object) -> list[float]:
            distributed.all_reduce(x.fill_(1))  # it is in place, and has been called before
            return means([x])

        return Candidate(partial(distributed.all_reduce, x), id, once)
    assert isinstance(task.of, Network)
    step, opt = training(task.of, how, lambda module: module)
    averaged, _ = training(task.of, how, DistributedDataParallel)

    def given(step: mpi4py_side.Step, *data: Array) -> torch.Tensor:
        found: torch.Tensor = step(*map(torch.from_numpy, data))
        return found

    return mpi4py_side.training(task, partial(given, step), partial(given, averaged), opt.step)
