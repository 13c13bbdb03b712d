"""What ranks do together, by the number of ranks: sums of arrays, training steps and derivatives."""

from __future__ import annotations

from typing import NamedTuple

from tests.benchmarks.networks import models
from tests.benchmarks.networks.workloads import Network
from tests.benchmarks.side_by_side.tasks import Bound, Workload

CANDIDATES = ("tapenet-eager", "tapenet-native", "torch-eager", "mpi4py")
OURS = CANDIDATES[:2]
RANKS = (2, 4)
#: Bytes of the arrays that are added up.
SIZES = tuple(1 << i for i in range(6, 27, 2))
NETWORKS = {
    "cnn": (
        "ResNet of 1.2 million parameters, 32x32, batch 128, SGD",
        Network(models.resnet((32, 64, 128, 256), (1, 1, 1, 1), False, 10), (128, 3, 32, 32), (128,), 0.01, 10),
    ),
    "transformer": (
        "GPT of 1.9 million parameters, length 128, batch 8, Adam",
        Network(models.gpt(256, 128, 192, 6, 4), (8, 128), (8, 128), 1e-3, 256, 256, True),
    ),
}
DERIVATIVES = {
    "orbits": "vmap of 4,096 orbits",
    **{f"{of.lower()}-{n}": f"{of} of a network, {n} columns" for of in ("Jacobian", "Hessian") for n in (256, 512)},
    "draws": "gradient of a mean over 20,000 draws",
}


class Task(NamedTuple):
    """A sum of so many bytes, a training step, or the derivative of a name."""

    of: int | Network | str
    ranks: int


def _workload(title: str, of: int | Network | str, n: int, *bounds: Bound) -> Workload:
    return Workload(f"{title}; {n} ranks", Task(of, n), bounds)


WORKLOADS: dict[str, Workload] = {}
for n in RANKS:
    within = [Bound(c, ("mpi4py",), 1.1) for c in OURS]
    efficient = [Bound(c, (f"{c} solo 1",), 1.11) for c in OURS if n == 2]
    WORKLOADS |= {f"allreduce-{n}-{size}": _workload(f"sum of {size:,} bytes", size, n, *within) for size in SIZES}
    WORKLOADS |= {f"{name}-{n}": _workload(title, of, n, *efficient) for name, (title, of) in NETWORKS.items()}
    WORKLOADS |= {f"{name}-{n}": _workload(title, name, n) for name, title in DERIVATIVES.items()}
ALONE = tuple(WORKLOADS)
