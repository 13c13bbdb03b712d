"""tapenet: the function of NumPy on arrays, eager or compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn
from tests.benchmarks.elementwise.programs import Case, function, written
from tests.benchmarks.layers.tapenet_side import compiled
from tests.benchmarks.side_by_side.tasks import Candidate, means


def build(task: Case, how: str) -> Candidate:
    """The task, `how` being "eager" or "native"."""
    f = function(written(task.length), {"sqrt": tn.sqrt, "log": tn.log})
    arrays = task.arrays()
    if task.gradient:
        run = compiled(how, tn.value_and_grad(lambda x, y, z: f(x, y, z).sum(), argnums=(0, 1, 2)))
        numbers = lambda out: means(np.asarray(t.numpy()) for t in (out[0], *out[1]))
        return Candidate(lambda: run(*arrays), len, numbers)
    run = compiled(how, f)
    given: list[Any] = [tn.tensor(a) for a in arrays] if how == "eager" else list(arrays)
    return Candidate(lambda: run(*given), len, lambda out: means([out.numpy()]))
