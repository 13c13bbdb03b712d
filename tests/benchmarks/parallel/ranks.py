"""What each rank runs, started by `mpiexec`: the first prints what was measured as JSON.

Arguments: "train", a workload, a candidate, rounds, seconds of a round; or "allreduce" or "derivatives", rounds, seconds.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from mpi4py import MPI

from tests.benchmarks.networks import models
from tests.benchmarks.networks.workloads import Network
from tests.benchmarks.parallel.model import BUCKET
from tests.benchmarks.side_by_side.tasks import Array

Step = Callable[[], object]
OfData = Callable[..., object]
#: Bytes of the buffers that are added up.
SIZES = tuple(1 << i for i in range(6, 27, 2))
WORKLOADS = {
    "cnn": Network(models.resnet((32, 64, 128, 256), (1, 1, 1, 1), False, 10), (128, 3, 32, 32), (128,), 0.01, 10),
    "transformer": Network(models.gpt(256, 128, 192, 6, 4), (8, 128), (8, 128), 1e-3, 256, 256, True),
}
comm = MPI.COMM_WORLD


def part(task: Network, parts: int) -> Network:
    """The same with so small a part of the batch."""
    count = max(1, task.inputs[0] // parts)
    return dataclasses.replace(task, inputs=(count, *task.inputs[1:]), outputs=(count, *task.outputs[1:]))


def tapenet_step(task: Network, how: str, together: bool) -> tuple[OfData, Step]:
    """A training step, and that of its optimizer alone; `together` averages gradients over all ranks."""
    import tapenet as tn
    from tapenet.autodiff.observe.layer import of_backward
    from tests.benchmarks.networks.tapenet_side import training

    step, opt = training(task, how)
    if together:
        tn.parallel.optimizer(opt)

    def called(*data: Array) -> object:
        kept = of_backward[:]
        of_backward[:] = kept if together else []  # what averages the other module looks at each pass
        try:
            return step(*data)
        finally:
            of_backward[:] = kept

    def update() -> object:
        for slot in opt.slots:
            if slot.param.grad is None:  # a compiled step leaves none
                slot.param.grad = tn.zeros_like(slot.param)
        return opt.step()

    return called, update


def torch_step(task: Network, how: str, together: bool) -> tuple[OfData, Step]:
    """The same by PyTorch; `together` wraps the module in DistributedDataParallel over gloo."""
    import torch

    from tests.benchmarks.networks.torch_side import training

    torch.set_num_threads(1)

    def prepared(module: torch.nn.Module) -> torch.nn.Module:
        return torch.nn.parallel.DistributedDataParallel(gloo() and module) if together else module

    step, opt = training(task, how, prepared)
    return lambda *data: step(*map(torch.from_numpy, data)), opt.step


def gloo() -> Any:
    """torch.distributed, over all ranks."""
    import torch.distributed

    if not torch.distributed.is_initialized():
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "GLOO_SOCKET_IFNAME": "lo"}
        os.environ["MASTER_PORT"] = str(comm.bcast(20_000 + os.getpid() % 20_000))
        torch.distributed.init_process_group("gloo", rank=comm.rank, world_size=comm.size)
    return torch.distributed


def meet() -> None:
    """Wait for all ranks, without taking a core from those that work."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.002)


def times(steps: dict[str, Step], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Microseconds of a call, round by round, in turns. The first rank runs "solo ..." while others sleep."""
    calls = {}
    for name, step in steps.items():
        meet()
        if not name.startswith("solo") or not comm.rank:
            for _ in range(2):
                step()
            begun = time.perf_counter()
            step()
            calls[name] = max(1, int(seconds / (time.perf_counter() - begun)))
        meet()
        calls[name] = comm.bcast(calls.get(name), 0)
    found: dict[str, list[list[float]]] = {name: [] for name in steps}  # by round and rank
    for _ in range(rounds):
        for name, step in steps.items():
            meet()
            begun = time.perf_counter()
            if not name.startswith("solo") or not comm.rank:
                for _ in range(calls[name]):
                    step()
            spent = (time.perf_counter() - begun) / calls[name] * 1e6
            meet()
            found[name].append(comm.allgather(spent))
    # All are as slow as the slowest, except where the first is alone.
    return {name: [r[0] if name.startswith("solo") else max(r) for r in rows] for name, rows in found.items()}


def medians(found: dict[str, list[float]]) -> dict[str, float]:
    """Of each step."""
    return {name: round(statistics.median(values), 2) for name, values in found.items()}


def summed(buckets: list[Array]) -> None:
    """The sums of all ranks' buckets, by mpi4py."""
    for bucket in buckets:
        comm.Allreduce(MPI.IN_PLACE, bucket)


def train(workload: str, candidate: str, rounds: int, seconds: float) -> dict[str, Any]:
    """A step by one rank while others sleep, of the whole batch and of parts; by each rank for itself; by all together, of a
    batch each, and of one for all; the optimizer's step; and the sums of gradients alone, in buckets, by mpi4py."""
    library, _, how = candidate.partition("-")
    made = {"torch": torch_step, "tapenet": tapenet_step}[library]
    whole = WORKLOADS[workload]
    data = {n: part(whole, n).data() for n in (1, 2, 4)}
    alone, update = made(whole, how, False)
    together, _ = made(whole, how, True)
    size = sum(p.nbytes for p in whole.parameters())
    buckets = np.array_split(np.ones(size // 4, np.float32), math.ceil(size / BUCKET))
    steps: dict[str, Step] = {f"solo {n}": functools.partial(alone, *data[n]) for n in data} | {
        "solo update": update,
        "alone": functools.partial(alone, *data[1]),
        "weak": functools.partial(together, *data[1]),
        "strong": functools.partial(together, *data[comm.size]),
        "exchange": functools.partial(summed, buckets),
    }
    return {"size": size, "times": medians(times(steps, rounds, seconds))}


def allreduce(rounds: int, seconds: float) -> dict[str, Any]:
    """The sum of all ranks' buffers: by mpi4py, by tapenet's op, and by gloo."""
    import torch

    import tapenet as tn

    dist = gloo()
    found = {}
    for size in SIZES:
        x = np.ones(size // 4, np.float32)
        out = np.empty_like(x)
        t = torch.ones(size // 4)
        steps: dict[str, Step] = {
            "mpi4py": functools.partial(comm.Allreduce, x, out),
            "tapenet": functools.partial(tn.parallel.allreduce, x),
            "gloo": functools.partial(dist.all_reduce, t),
        }
        found[str(size)] = medians(times(steps, rounds, seconds))
    return {"times": found}


def derivatives(rounds: int, seconds: float) -> dict[str, Any]:
    """Derivatives by one rank while others sleep, and by all."""
    from tests.benchmarks.parallel.derivatives import steps

    return {"times": medians(times(steps(), rounds, seconds))}


def main() -> None:
    """Measure what the arguments say."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[comm.rank % len(cores)]})
    kind, *names, rounds, seconds = sys.argv[1:]
    plan = int(rounds), float(seconds)
    found = {"train": train, "allreduce": allreduce, "derivatives": derivatives}[kind](*names, *plan)
    if not comm.rank:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
