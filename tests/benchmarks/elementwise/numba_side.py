"""Numba: a loop over elements, without fast-math."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.elementwise.programs import FORMS, Case, loops, written
from tests.benchmarks.side_by_side.tasks import Candidate, means


def build(task: Case, how: str) -> Candidate:
    """The task; there is one way, so `how` is empty."""
    arrays = task.arrays()
    run = loops(written(task.length), np.dtype(task.dtype), arrays[0].shape, FORMS[task.form](task.size)[1])
    return Candidate(lambda: run(*arrays), len, lambda out: means([out]))
