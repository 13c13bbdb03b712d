"""The kinds of layer. What is to be reached counts over all rows of a kind."""

from __future__ import annotations

from tests.benchmarks.shapes.grid import rows
from tests.benchmarks.side_by_side.tasks import Workload

CANDIDATES = ("tapenet-eager", "torch-eager", "jax")
SLOW = ("jax",)


def name(kind: str) -> str:
    """That of the workload."""
    return kind.replace(" ", "-")


WORKLOADS = {name(row.kind): Workload(f"{row.kind}, many shapes", row.kind, ()) for row in rows()}
ALONE = tuple(WORKLOADS)
