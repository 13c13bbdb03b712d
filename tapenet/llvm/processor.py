"""What this machine offers: the processor that code is made for, its vector registers, and processors for threads."""

from __future__ import annotations

import functools
import math
import os
from pathlib import Path
from typing import NamedTuple


class Registers(NamedTuple):
    """The vector registers of a processor."""

    bytes: int
    number: int

    @property
    def wide(self) -> bool:
        """Whether they are those of AVX-512."""
        return self.bytes == 64


class Processor(NamedTuple):
    """A processor that code is made for, as LLVM names it."""

    name: str
    features: str
    registers: Registers


#: What `TAPENET_CPU` may name: the levels of x86-64, each with what it adds to the one before.
LEVELS = {
    "x86-64-v2": (Registers(16, 16), "cx16 popcnt sahf sse3 sse4.1 sse4.2 ssse3"),
    "x86-64-v3": (Registers(32, 16), "avx avx2 bmi bmi2 f16c fma lzcnt movbe xsave"),
    "x86-64-v4": (Registers(64, 32), "avx512bw avx512cd avx512dq avx512f avx512vl"),
}


@functools.cache
def processor() -> Processor:
    """This machine's, or the one that `TAPENET_CPU` names. Loads llvmlite.

    Raises:
        ValueError: `TAPENET_CPU` names none, or one whose code this machine does not run.
    """
    import llvmlite.binding as llvm  # type: ignore[import-untyped]

    features = llvm.get_host_cpu_features()
    named = os.environ.get("TAPENET_CPU")
    if named:
        return _level(named, {name for name, present in features.items() if present})
    if features.get("avx512f"):
        registers = Registers(64, 32)
    elif features.get("avx2") or features.get("avx"):
        registers = Registers(32, 16)
    else:
        registers = Registers(16, 32 if llvm.get_process_triple().startswith(("aarch64", "arm64")) else 16)
    return Processor(llvm.get_host_cpu_name(), features.flatten(), registers)


def _level(name: str, present: set[str]) -> Processor:
    """A level of x86-64, where a machine with these features runs it."""
    if name not in LEVELS:
        raise ValueError(
            f"TAPENET_CPU={name} is no processor that code can be made for: it may be {', '.join(LEVELS)}; "
            "leave it unset for this machine's own"
        )
    needed = {f for level in list(LEVELS)[: list(LEVELS).index(name) + 1] for f in LEVELS[level][1].split()}
    if not needed <= present:
        raise ValueError(
            f"TAPENET_CPU={name}: this machine does not run code for it, since it has not "
            f"{', '.join(sorted(needed - present))}; leave it unset for code that it runs"
        )
    return Processor(name, "", LEVELS[name][0])


def registers() -> Registers:
    """Those that code is made for."""
    return processor().registers


@functools.cache
def dots() -> str:
    """How many products of 8-bit integers an instruction adds to a lane of 32 bits, "four", "two" or "one": `vpdpbusd`,
    `pmaddwd`, or none of x86."""
    found = processor()
    features = set(found.features.split(","))
    if {"+avx512vnni", "+avx512vl"} <= features or ("+avxvnni" in features and found.registers.bytes == 32):
        return "four"
    needed = {16: "+sse2", 32: "+avx2", 64: "+avx512bw"}[found.registers.bytes]
    return "two" if found.name in LEVELS or needed in features else "one"


def processors() -> int:
    """How many processors this process may use: those it is bound to, as many as its control group is given the time of, and
    `OMP_NUM_THREADS` at most."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    most = int(limit) if limit.isdigit() and int(limit) else count
    return max(1, int(min(count, most, _quota())))


@functools.cache
def _quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """How many processors' time Linux's control groups (version 1 or 2) give this process, rounded up; infinity where they
    set no limit. A container's limit is one."""
    try:
        groups = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return math.inf
    found = math.inf
    for _, controllers, path in groups:
        if controllers not in ("", "cpu", "cpu,cpuacct", "cpuacct,cpu"):
            continue
        top = root / controllers
        # Its own group, those around it, and in a container, where the path may be that of outside, the top itself.
        for folder in (top / path.lstrip("/"), *(top / path.lstrip("/")).parents):
            if folder != top and top not in folder.parents:
                break
            found = min(found, _limit(folder))
    return found


def _limit(folder: Path) -> float:
    """The limit that a control group itself has."""
    try:
        if (folder / "cpu.max").exists():
            time, period = (folder / "cpu.max").read_text().split()
        else:
            time = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return math.inf if time.strip() in ("max", "-1") else max(1, math.ceil(int(time) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
