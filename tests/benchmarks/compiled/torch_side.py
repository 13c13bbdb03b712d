"""PyTorch: modules and an optimizer; compiled, the whole step as one function.

Of the ways to compile a step the fastest is taken: loss, gradients by `torch.func` and SGD's updates in one
`torch.compile`. A step with `loss.backward()` and `optimizer.step()` in it is cut into several graphs: on the XOR net
it takes 275 µs, with only the loss compiled 224, eager 159, and as one function 53. Adam is the fused one, behind
compiled gradients: 1.66 ms on 670,000 parameters, against 1.97 compiled with them.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tests.benchmarks.compiled.workloads import BlackScholes, Dense, Logistic, Update
from tests.benchmarks.side_by_side.tasks import Candidate, mean_squares, means

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def build(task: Dense | Logistic | BlackScholes | Update, how: str) -> Candidate:
    """The task, `how` being "eager" or "compiled"."""
    if isinstance(task, Update):
        return update(task, how)
    data = [torch.from_numpy(a) for a in task.data()]
    if isinstance(task, BlackScholes):
        prices = black_scholes_eager if how == "eager" else black_scholes_compiled
        return Candidate(
            functools.partial(prices, *data), lambda out: out[0].item(), lambda out: means(map(detached, out))
        )
    module = net(task) if isinstance(task, Dense) else Regression(task)
    loss_of = F.mse_loss if isinstance(task, Dense) else F.binary_cross_entropy_with_logits
    adam = isinstance(task, Dense) and task.adam
    step = (eager_step if how == "eager" else compiled_step)(module, loss_of, task.lr, adam)
    if isinstance(task, Dense) and task.batches:
        epoch = lambda: [step(*batch) for batch in zip(*data, strict=True)]
        return Candidate(epoch, lambda losses: losses[-1].item(), lambda losses: means([list(map(detached, losses))]))
    return Candidate(functools.partial(step, *data), torch.Tensor.item, lambda loss: [loss.item()])


def update(task: Update, how: str) -> Candidate:
    """A step of Adam: the fused one, or compiled from its formulas."""
    p = nn.Parameter(torch.from_numpy(task.parameters()))
    p.grad = torch.from_numpy(task.data())
    opt = torch.optim.Adam([p], lr=task.lr, **({"fused": True} if how == "eager" else {"foreach": True}))
    step = opt.step if how == "eager" else torch.compile(opt.step)
    return Candidate(step, lambda _: None, lambda _: mean_squares([detached(p)]))


def detached(value: torch.Tensor) -> Any:
    """The value as an array."""
    return value.detach().numpy()


def net(task: Dense) -> nn.Module:
    """The net, with the values given."""
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(task.sizes):
        layers += [nn.Linear(a, b), nn.Tanh()]
    module = nn.Sequential(*layers)
    with torch.no_grad():
        for p, value in zip(module.parameters(), task.parameters(), strict=True):
            p.copy_(torch.from_numpy(value))
    return module


class Regression(nn.Module):
    """x @ w + b."""

    def __init__(self, task: Logistic) -> None:
        super().__init__()
        self.w, self.b = (nn.Parameter(torch.from_numpy(value)) for value in task.parameters())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.w + self.b


def eager_step(module: nn.Module, loss_of: Step, lr: float, adam: bool) -> Step:
    """As in every tutorial; of the three kinds of Adam the fused one is the fastest here."""
    parameters = module.parameters()
    opt = torch.optim.Adam(parameters, lr=lr, fused=True) if adam else torch.optim.SGD(parameters, lr=lr)

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = loss_of(module(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step


def compiled_step(module: nn.Module, loss_of: Step, lr: float, adam: bool) -> Step:
    """Loss, gradients and SGD's updates in one compiled function; behind it Adam, fused."""
    named = dict(module.named_parameters())
    values = {name: p.detach() for name, p in named.items()}
    opt = torch.optim.Adam(named.values(), lr=lr, fused=True)

    def loss(values: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return loss_of(torch.func.functional_call(module, values, (x,)), y)

    gradients = torch.compile(torch.func.grad_and_value(loss))

    @torch.compile
    def descend(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        found, value = torch.func.grad_and_value(loss)(values, x, y)
        for name, p in values.items():
            p.sub_(found[name], alpha=lr)
        return value

    def step(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        found, value = gradients(values, x, y)
        for name, p in named.items():
            p.grad = found[name]
        opt.step()
        return value

    return step if adam else descend


def total(s: torch.Tensor, k: torch.Tensor, r: torch.Tensor, v: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The sum of the prices."""
    spread = v * torch.sqrt(t)
    d1 = (torch.log(s / k) + (r + 0.5 * v * v) * t) / spread
    n1, n2 = (0.5 + 0.5 * torch.erf(d * math.sqrt(0.5)) for d in (d1, d1 - spread))
    return (s * n1 - k * torch.exp(-r * t) * n2).sum()


def black_scholes_eager(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The sum and its gradients."""
    ends = [a.requires_grad_() for a in inputs]
    out = total(*ends)
    return out, *torch.autograd.grad(out, ends)


@torch.compile
def black_scholes_compiled(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The sum and its gradients, in one graph."""
    gradients, value = torch.func.grad_and_value(total, argnums=(0, 1, 2, 3, 4))(*inputs)
    return value, *gradients
