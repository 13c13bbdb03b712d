"""The model: the time of a step by what its entries compute and move, on a processor of known rates.

An entry takes the time of its operations or that of its bytes, whichever is more; by several threads it takes that of the
largest share of its parts, and no less than the bandwidth that the cores have together allows. To that is added what a call
from Python takes, and the sharing of work. Rates are measured for each processor; what the programs reach of them, the
coefficients, is fitted to the times of workloads, the same for all processors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.side_by_side.tasks import Array

#: The kinds of entries that compute, and what each computes at.
KINDS = {"kernel": "kernel", "product": "product", "convolution": "product", "layer": "product", "other": "kernel"}
#: What is fitted, with the values to begin with: of rates, the part that is reached; of the time of an empty call, times that
#: a step begins with; microseconds of a call from Python, and of sharing work; of what is called from Python, the part that one
#: thread does alone.
START = {**dict.fromkeys(KINDS, 0.7), "memory": 0.7, "begin": 1.5, "call": 20.0, "share": 5.0, "alone": 0.3}
#: What bounds an entry.
BOUNDS = ("compute", "memory", "calls", "too few parts")


class Processor(NamedTuple):
    """Rates of a processor, or of one that is imagined, by so many threads.

    Attributes:
        threads: how many there are.
        kernel, product: operations and multiply-adds in a nanosecond, of one core.
        near: bytes of a core's own caches.
        shared: bytes of the cache that all share.
        bandwidth: GB/s of a core from its own caches, of a core from the shared one and from memory.
        most: GB/s of all cores from the shared cache and from memory.
        call: microseconds of a compiled call that does next to nothing.
    """

    threads: int
    kernel: float
    product: float
    near: float
    shared: float
    bandwidth: tuple[float, float, float]
    most: tuple[float, float]
    call: float


def measured(where: Mapping[str, Any], width: str, threads: int) -> Processor:
    """A processor as it was measured."""
    one, rates = where["rates"][f"{width}/1"], where["rates"][f"{width}/{threads}"]
    levels = ("second", "third", "memory")
    single = tuple(one["bandwidth"][level] for level in levels)
    most = tuple(rates["bandwidth"][level] for level in levels[1:])
    return Processor(
        threads, one["kernel"], one["product"], where["near"], where["shared"], single, most, one["call"]
    )  # fmt: skip


class Steps:
    """The entries of a step as columns."""

    def __init__(self, rows: Sequence[Sequence[Any]]) -> None:
        kinds, operations, moved, parts, called, times = zip(*rows, strict=True)
        self.kinds = np.array(kinds)
        self.operations, self.moved, self.parts, self.times = (
            np.array(column, float) for column in (operations, moved, parts, times)
        )
        self.called = np.array(called, bool)
        #: Of each kind, where it is.
        self.where = {kind: self.kinds == kind for kind in KINDS}


def times(steps: Steps, p: Processor, c: Mapping[str, float]) -> dict[str, Array]:
    """Microseconds of all entries, by what bounds them."""
    rate = np.empty(len(steps.kinds))
    for kind, where in steps.where.items():
        rate[where] = c[kind] * getattr(p, KINDS[kind])
    alone = np.where(steps.called, c["alone"], 0.0)

    def by(threads: Array) -> Array:
        """The part of the work that the busiest of so many threads does."""
        return alone + (1 - alone) * np.ceil(steps.parts / threads) / steps.parts

    threads = np.minimum(steps.parts, p.threads)
    compute = steps.operations / rate / 1e3 * by(threads)
    level = np.where(steps.moved <= p.near * threads, 0, np.where(steps.moved <= p.shared, 1, 2))
    single = np.array(p.bandwidth)[level] * threads
    memory = steps.moved / (c["memory"] * np.minimum(single, np.array([math.inf, *p.most])[level])) / 1e3
    whole = steps.operations / rate / 1e3 / p.threads
    few = np.where((threads < p.threads) | steps.called, np.maximum(np.maximum(compute, memory) - whole, 0), 0)
    few = np.where(np.maximum(compute, memory) > 2 * whole, few, 0) * (p.threads > 1) * (memory <= compute)
    calls = c["call"] * steps.called + c["share"] * (threads > 1)
    found = {
        "compute": np.where(compute > memory, compute - few, 0),
        "memory": np.where(compute > memory, 0, memory),
        "calls": calls,
        "too few parts": few,
    }
    return {bound: value * steps.times for bound, value in found.items()}


def total(steps: Steps, p: Processor, c: Mapping[str, float]) -> float:
    """Microseconds of a step."""
    return c["begin"] * p.call + float(sum(value.sum() for value in times(steps, p, c).values()))


def serial(steps: Steps, p: Processor, c: Mapping[str, float]) -> float:
    """The part of one thread's time that no number of threads would shorten."""
    one, many = p._replace(threads=1), p._replace(threads=1 << 20, most=(math.inf, math.inf))
    return total(steps, many, {**c, "share": 0.0}) / total(steps, one, c)


class Case(NamedTuple):
    """A time that was measured: of which workload, its steps, where."""

    workload: str
    steps: Steps
    processor: Processor
    time: float


def cases(where: Mapping[str, Any]) -> list[Case]:
    """All that was measured of workloads on a processor."""
    found = []
    for name, w in where["workloads"].items():
        made = {width: Steps(rows) for width, rows in w["steps"].items()}
        for key, time in w["times"].items():
            width, _, threads = key.partition("/")
            found.append(Case(name, made[width], measured(where, width, int(threads)), time))
    return found


def fit(known: Iterable[Case]) -> dict[str, float]:
    """The coefficients that come closest, by the squares of the logarithms of ratios."""
    from scipy.optimize import least_squares

    known = list(known)

    def residuals(logs: Array) -> list[float]:
        c = dict(zip(START, np.exp(logs), strict=True))
        c["alone"] = min(c["alone"], 1.0)
        # What the data say nothing of stays where it began.
        held = [0.02 * float(value - math.log(first)) for value, first in zip(logs, START.values(), strict=True)]
        return [math.log(total(k.steps, k.processor, c) / k.time) for k in known] + held

    begin = np.log(list(START.values()))
    found = least_squares(residuals, begin, loss="soft_l1", f_scale=0.3)
    c = dict(zip(START, map(float, np.exp(found.x)), strict=True))
    return c | {"alone": min(c["alone"], 1.0)}


def left_out(known: Sequence[Case]) -> dict[str, dict[str, float]]:
    """For each workload, the coefficients fitted to all others."""
    return {name: fit(k for k in known if k.workload != name) for name in dict.fromkeys(k.workload for k in known)}


def typical(errors: Iterable[float]) -> float:
    """The mean size of errors, which are ratios, as a ratio."""
    logs = [abs(math.log(e)) for e in errors]
    return math.exp(sum(logs) / len(logs))
