"""PyTorch: modules and fused optimizers. Compiled, forward and loss are one function, whose gradient is compiled with it."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from tests.benchmarks.layers.torch_side import load
from tests.benchmarks.networks.modules import loss_of, network
from tests.benchmarks.networks.workloads import Network
from tests.benchmarks.side_by_side.tasks import Candidate

__all__ = ["build", "load"]


def build(task: Network, how: str) -> Candidate:
    """The task, `how` being "eager" or "compiled", perhaps with "/channels_last" behind it."""
    how, _, variant = how.partition("/")
    x, target = map(torch.from_numpy, task.data())
    if variant:
        x = x.contiguous(memory_format=torch.channels_last)
    step, _ = training(task, how, lambda module: module.to(memory_format=torch.channels_last) if variant else module)
    return Candidate(functools.partial(step, x, target), torch.Tensor.item, lambda loss: [loss.item()])


def training(
    task: Network, how: str, prepared: Callable[[nn.Module], nn.Module]
) -> tuple[Callable[..., torch.Tensor], torch.optim.Optimizer]:
    """A step as a function of data, and its optimizer.

    Args:
        prepared: what to run, given the module.
    """
    module = network(task.layers, nn, F, torch.cat)
    with torch.no_grad():
        for p, value in zip(module.parameters(), task.parameters(), strict=True):
            p.copy_(torch.from_numpy(value))
    if task.adam:
        opt: torch.optim.Optimizer = torch.optim.Adam(module.parameters(), lr=task.lr, fused=True)
    else:
        opt = torch.optim.SGD(module.parameters(), lr=task.lr, momentum=0.9, fused=True)
    forward = functools.partial(loss_of, prepared(module), F)
    if how == "compiled":
        forward = torch.compile(forward)

    def step(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = forward(x, target)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step, opt
