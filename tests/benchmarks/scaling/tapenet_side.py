"""The compiled steps, and what they consist of."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.scaling.processor import rates
from tests.benchmarks.scaling.steps import of_compiled
from tests.benchmarks.scaling.workloads import PROCESSOR, Work, side
from tests.benchmarks.side_by_side.tasks import Candidate


def build(task: Work, how: str) -> Candidate:
    """The task compiled; of the processor, its rates."""
    if task.suite == PROCESSOR:
        return Candidate(rates, len, list)
    candidate: Candidate = side(task.suite).build(task.work, how)
    return candidate


def describe(step: Any) -> Any:
    """What a step consists of, as data; of the processor, its rates."""
    return rates() if step is rates else of_compiled(step)
