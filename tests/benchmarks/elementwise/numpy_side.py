"""NumPy: the function on arrays."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.elementwise.programs import Case, function, written
from tests.benchmarks.side_by_side.tasks import Candidate, means


def build(task: Case, how: str) -> Candidate:
    """The task; there is one way, so `how` is empty."""
    f = function(written(task.length), {"sqrt": np.sqrt, "log": np.log})
    arrays = task.arrays()
    return Candidate(lambda: f(*arrays), len, lambda out: means([out]))
