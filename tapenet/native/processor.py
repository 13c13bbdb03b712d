"""What this machine offers: vector registers, and processors for threads."""

from __future__ import annotations

import functools
import os
from typing import NamedTuple


class Registers(NamedTuple):
    """The vector registers of a processor."""

    bytes: int
    number: int


@functools.cache
def registers() -> Registers:
    """Those of this machine."""
    import llvmlite.binding as llvm  # type: ignore[import-untyped]

    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return Registers(64, 32)
    if features.get("avx2") or features.get("avx"):
        return Registers(32, 16)
    arm = llvm.get_process_triple().startswith(("aarch64", "arm64"))
    return Registers(16, 32 if arm else 16)


def processors() -> int:
    """How many processors this process may use: those it is bound to, `OMP_NUM_THREADS` at most."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return max(1, min(count, int(limit))) if limit.isdigit() and int(limit) else count
