"""tapenet: modules and an optimizer, eager or under `tn.compile`, called with NumPy arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tests.benchmarks.layers.tapenet_side import compiled, load
from tests.benchmarks.networks.modules import loss_of, network
from tests.benchmarks.networks.workloads import Network
from tests.benchmarks.side_by_side.tasks import Candidate

__all__ = ["build", "load"]


def build(task: Network, how: str) -> Candidate:
    """The task, `how` being "eager" or "native"."""
    step, _ = training(task, how)
    return Candidate(functools.partial(step, *task.data()), tn.Tensor.item, lambda loss: [loss.item()])


def training(task: Network, how: str) -> tuple[Callable[..., Any], optim.Optimizer]:
    """A step as a function of data, and its optimizer."""
    module = network(task.layers, nn, F, tn.concatenate)
    for p, value in zip(module.parameters(), task.parameters(), strict=True):
        p.data = value
    if task.adam:
        opt: Any = optim.Adam(module.parameters(), lr=task.lr)
    else:
        opt = optim.SGD(module.parameters(), lr=task.lr, momentum=0.9)

    def step(x: Any, target: Any) -> Any:
        loss = loss_of(module, F, x, target)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return compiled(how, step), opt
