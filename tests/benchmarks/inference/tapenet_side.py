"""tapenet: modules under `tn.compile`, frozen or not."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import tapenet as tn
from tapenet import nn
from tests.benchmarks.inference.workloads import Task, near, values
from tests.benchmarks.side_by_side.tasks import Candidate, mean_squares


def build(task: Task, how: str) -> Candidate:
    """The task, `how` being "native", "frozen" or "8bit"."""
    module = task.module(nn)
    state = {n: v for n, v in module.state_dict().items() if not n.endswith("num_batches_tracked")}
    shapes = [(n, tuple(np.shape(v))) for n, v in state.items()]
    module.load_state_dict(dict(zip(state, values(shapes), strict=True)), strict=False)
    step = tn.compile(module, frozen=how != "native", quantize=task.examples() if how == "8bit" else None)
    check = functools.partial(_near, module, task) if how == "8bit" else numbers
    return Candidate(functools.partial(_without_grad, step, task.data()), len, check)


def _without_grad(step: Any, x: Any) -> Any:
    with tn.no_grad():
        return step(x)


def _near(module: Any, task: Task, out: Any) -> list[float]:
    return near(out.numpy(), _without_grad(module, task.data()).numpy())


def load(how: str) -> None:
    """What the first call of all brings into memory."""
    step = tn.compile(nn.Conv2d(8, 8, 3, padding=1))
    for _ in range(2):
        step(np.ones((16, 8, 14, 14), np.float32))


def numbers(out: Any) -> list[float]:
    """The mean square of the result."""
    return mean_squares([out.numpy()])
