"""What is measured: the compiled steps of other suites, and the processor itself."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from tests.benchmarks.side_by_side.tasks import Workload

#: Whose workloads are taken, but for those that measure how long compiling takes.
SUITES = ("compiled", "layers", "networks")
COMPILING = ("first-call", "growth-chain", "growth-net")
#: What stands for the processor.
PROCESSOR = "processor"


class Work(NamedTuple):
    """A task of a suite; the processor has none."""

    suite: str
    work: Any = None


def _package(suite: str) -> str:
    return f"{__package__.rpartition('.')[0]}.{suite}"


def side(suite: str) -> Any:
    """The module that builds the tasks of a suite."""
    return importlib.import_module(f"{_package(suite)}.tapenet_side")


def _found() -> dict[str, Workload]:
    found = {PROCESSOR: Workload("the processor", Work(PROCESSOR), ())}
    for suite in SUITES:
        for name, w in importlib.import_module(f"{_package(suite)}.workloads").WORKLOADS.items():
            if name not in COMPILING:
                found[f"{suite}/{name}"] = Workload(w.title, Work(suite, w.task), ())
    return found


WORKLOADS = _found()
