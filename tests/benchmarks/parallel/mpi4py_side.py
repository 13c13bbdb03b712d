"""mpi4py alone, and what the other sides time beside a training step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from mpi4py import MPI

from tests.benchmarks.networks.workloads import Network
from tests.benchmarks.parallel.model import BUCKET
from tests.benchmarks.parallel.workloads import Task
from tests.benchmarks.side_by_side.ranks import comm
from tests.benchmarks.side_by_side.tasks import Array, Candidate, means

Step = Callable[..., Any]


def build(task: Task, how: str) -> Candidate:
    """A sum; there is one way, so `how` is empty."""
    assert isinstance(task.of, int)
    x = np.ones(task.of // 4, np.float32)
    out = np.empty_like(x)
    return Candidate(partial(comm.Allreduce, x, out), bool, lambda _: means([out]))


def training(task: Task, alone: Step, together: Step, update: Step) -> Candidate:
    """A step of all on a batch each. Beside it: one rank's while the others sleep, of a whole batch and of parts; the update
    alone; one by each rank for itself; one of all on one batch; and the sums of gradients alone, in buckets, by mpi4py."""
    network, ranks = task
    assert isinstance(network, Network)
    data = {n: _data(_part(network, n)) for n in (1, 2, 4)}
    size = sum(p.nbytes for p in network.parameters())
    beside: dict[str, Step] = {f"solo {n}": partial(alone, *data[n]) for n in data} | {
        "solo update": update,
        "alone": partial(alone, *data[1]),
        "strong": partial(together, *data[ranks]),
        "exchange": partial(_summed, np.array_split(np.ones(size // 4, np.float32), -(-size // BUCKET))),
    }
    return Candidate(partial(together, *data[1]), id, lambda loss: [loss.item()], beside)


def _part(network: Network, parts: int) -> Network:
    """The same with so small a part of the batch."""
    count = network.inputs[0] // parts
    return dataclasses.replace(network, inputs=(count, *network.inputs[1:]), outputs=(count, *network.outputs[1:]))


def _data(network: Network) -> tuple[Array, Array]:
    """What goes in, and what is to come out: not the same on all ranks, or gradients that are not averaged would do."""
    x, target = network.data()
    return x, np.roll(target, comm.rank, 0)


def _summed(buckets: list[Array]) -> None:
    for bucket in buckets:
        comm.Allreduce(MPI.IN_PLACE, bucket)
