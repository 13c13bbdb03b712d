"""tapenet: modules and an optimizer, eager or under `tn.compile`, called with NumPy arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import kernels, nn, optim
from tests.benchmarks.layers.models import model, step_of
from tests.benchmarks.layers.workloads import Convolution, Task
from tests.benchmarks.side_by_side.tasks import Array, Candidate, mean_squares


def build(task: Task, how: str) -> Candidate:
    """The task, `how` being "eager" or "native"."""
    if isinstance(task, Convolution):
        return convolution(task, how)
    step = compiled(how, training(task))
    return Candidate(functools.partial(step, *task.data()), tn.Tensor.item, lambda loss: [loss.item()])


def load(how: str) -> None:
    """What the first call of all brings into memory."""
    x = np.ones((16, 8, 14, 14), np.float32)
    w = np.ones((8, 8, 3, 3), np.float32)
    compiled(how, lambda x, w: tn.vjp(F.conv2d, x, w)[1](x[:, :, 1:-1, 1:-1]))(x, w)


def compiled(how: str, f: Callable[..., Any]) -> Callable[..., Any]:
    """The function as this candidate runs it."""
    return f if how == "eager" else tn.compile(f, backend=how)


def training(task: Task) -> Callable[..., Any]:
    """The step, from the initial values given."""
    found = model(task, nn, F)
    for p, value in zip(found.module.parameters(), task.parameters(), strict=True):
        p.data = value
    return step_of(found, optim.SGD(found.module.parameters(), lr=task.lr))  # type: ignore[union-attr]


def convolution(task: Convolution, how: str) -> Candidate:
    """On images as tapenet's own convolutions give them, the batch innermost in memory."""
    x, g = map(batch_innermost, task.data())
    w, b = task.parameters()

    def forward(x: Any, w: Any, b: Any) -> Any:
        with tn.no_grad():
            return F.conv2d(x, w, b, padding=1)

    def both(x: Any, w: Any, b: Any, g: Any) -> Any:
        out, pull = tn.vjp(functools.partial(F.conv2d, padding=1), x, w, b)
        return out, *pull(g)

    if task.both:
        return Candidate(functools.partial(compiled(how, both), x, w, b, g), len, numbers)
    return Candidate(functools.partial(compiled(how, forward), x, w, b), len, lambda out: numbers([out]))


def batch_innermost(x: Array) -> Array:
    """The same images (n, c, h, w) over memory (c, h, w, n), which begins with a cache line."""
    made = kernels.aligned((*x.shape[1:], x.shape[0]), x.dtype).transpose(3, 0, 1, 2)
    made[...] = x
    return made


def numbers(found: Any) -> list[float]:
    """The mean square of each tensor."""
    return mean_squares(np.asarray(value.numpy() if isinstance(value, tn.Tensor) else value) for value in found)
