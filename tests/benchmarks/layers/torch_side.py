"""PyTorch: modules and an optimizer.

Compiled, the whole step is one function: loss, gradients by `torch.func` and SGD's updates in one `torch.compile`. For an LSTM
or GRU that takes twice the time of the eager step, whose fused kernels `torch.func` does not reach; there the step with
`loss.backward()` in it is compiled. (Written out as 32 steps of elementary functions, the LSTM took 80 s to compile and half
as long again as eager.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tests.benchmarks.layers.models import Model, model, step_of
from tests.benchmarks.layers.workloads import Convolution, Recurrent, Task
from tests.benchmarks.side_by_side.tasks import Candidate, mean_squares

Step = Callable[..., torch.Tensor]


def build(task: Task, how: str) -> Candidate:
    """The task, `how` being "eager" or "compiled", perhaps with "/channels_last" or "/sparse" behind it."""
    how, _, variant = how.partition("/")
    if isinstance(task, Convolution):
        return convolution(task, how, variant)
    found = model(task, nn, F, sparse=variant == "sparse")
    with torch.no_grad():
        for p, value in zip(found.module.parameters(), task.parameters(), strict=True):
            p.copy_(torch.from_numpy(value))
    data = [torch.from_numpy(a) for a in task.data()]
    if variant == "channels_last":
        found.module.to(memory_format=torch.channels_last)
        data[0] = data[0].contiguous(memory_format=torch.channels_last)
    eager = step_of(found, torch.optim.SGD(found.module.parameters(), lr=task.lr))
    if how == "eager":
        step = eager
    elif isinstance(task, Recurrent):
        step = torch.compile(eager)
    else:
        step = compiled_step(found, task.lr)
    return Candidate(functools.partial(step, *data), torch.Tensor.item, lambda loss: [loss.item()])


def load(how: str) -> None:
    """What the first call of all brings into memory."""
    x = torch.ones((2, 2), requires_grad=True)
    step = lambda x: torch.autograd.grad((x @ x).tanh().sum(), x)
    (torch.compile(step) if how.startswith("compiled") else step)(x)


def compiled_step(found: Model, lr: float) -> Step:
    """Loss, gradients and SGD's updates in one compiled function."""
    module, loss_of = found
    values = {name: p.detach() for name, p in module.named_parameters()}

    def loss(values: dict[str, torch.Tensor], x: torch.Tensor, *targets: torch.Tensor) -> torch.Tensor:
        return loss_of(torch.func.functional_call(module, values, (x,)), *targets)

    @torch.compile
    def step(x: torch.Tensor, *targets: torch.Tensor) -> torch.Tensor:
        found, value = torch.func.grad_and_value(loss)(values, x, *targets)
        for name, p in values.items():
            p.sub_(found[name], alpha=lr)
        return value

    return step


def convolution(task: Convolution, how: str, variant: str) -> Candidate:
    """Images and weight contiguous or, as the variant, in channels_last."""
    layout = torch.channels_last if variant else torch.contiguous_format
    w, b, x, g = map(torch.from_numpy, [*task.parameters(), *task.data()])
    w, x, g = (a.contiguous(memory_format=layout) for a in (w, x, g))
    f = functools.partial(F.conv2d, padding=1)

    def forward(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> Any:
        with torch.no_grad():
            return f(x, w, b)

    def both(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, g: torch.Tensor) -> Any:
        out = f(x, w, b)
        return out, *torch.autograd.grad(out, (x, w, b), g)

    def pulled(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor, g: torch.Tensor) -> Any:
        out, pull = torch.func.vjp(f, x, w, b)
        return out, *pull(g)

    if not task.both:
        run = forward if how == "eager" else torch.compile(forward)
        return Candidate(functools.partial(run, x, w, b), len, lambda out: numbers([out]))
    if how == "eager":
        return Candidate(functools.partial(both, *(a.requires_grad_() for a in (x, w, b)), g), len, numbers)
    return Candidate(functools.partial(torch.compile(pulled), x, w, b, g), len, numbers)


def numbers(found: Any) -> list[float]:
    """The mean square of each tensor."""
    return mean_squares(value.detach().numpy() for value in found)
