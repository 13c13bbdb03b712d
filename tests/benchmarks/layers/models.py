"""The models and the step that trains them, written once for tapenet and PyTorch, whose layers have the same names and
arguments: `nn` and `F` are the modules of either."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.benchmarks.layers.workloads import Classifier, Depthwise, Embedding, Recurrent, Task, Transformer


class Model(NamedTuple):
    """A module, and what is to become small: of its output and what follows the input in the data."""

    module: Any
    loss: Callable[..., Any]


def mean_of_squares(out: Any) -> Any:
    """Zero is where the outputs are to go."""
    return (out**2).mean()


def model(task: Task, nn: Any, F: Any, sparse: bool = False) -> Model:
    """The model of a task; `sparse` asks for gradients of an embedding by rows."""
    if isinstance(task, Classifier):
        return Model(classifier(task, nn), F.cross_entropy)
    if isinstance(task, Depthwise):
        c = task.channels
        layers = nn.Conv2d(c, c, 3, padding=1, groups=c), nn.ReLU(), nn.Conv2d(c, c, 1), nn.ReLU()
        return Model(nn.Sequential(*layers), mean_of_squares)
    if isinstance(task, Recurrent):
        return Model(getattr(nn, task.cell)(task.inputs, task.hidden), lambda out: mean_of_squares(out[0]))
    if isinstance(task, Transformer):
        return Model(block(nn, F)(task.width, task.heads), mean_of_squares)
    assert isinstance(task, Embedding)
    return Model(nn.Embedding(task.rows, task.width, sparse=sparse), mean_of_squares)


def step_of(found: Model, opt: Any) -> Callable[..., Any]:
    """Forward, backward, update, as in every tutorial."""

    def step(x: Any, *targets: Any) -> Any:
        loss = found.loss(found.module(x), *targets)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    return step


def classifier(task: Classifier, nn: Any) -> Any:
    """Convolutions, then dense layers."""
    activation = getattr(nn, task.activation)
    layers = []
    for a, b in itertools.pairwise(task.channels):
        layers += [nn.Conv2d(a, b, 3), activation()]
        if task.pooled:
            layers.append(nn.MaxPool2d(2))
    flat = math.prod(task.flat())
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(flat, task.hidden), activation(), nn.Linear(task.hidden, 10))


@functools.cache
def block(nn: Any, F: Any) -> Any:
    """The class of a transformer block."""

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, width: int, heads: int) -> None:
            super().__init__()
            self.heads = heads
            self.norm1 = nn.LayerNorm(width)
            self.qkv = nn.Linear(width, 3 * width)
            self.output = nn.Linear(width, width)
            self.norm2 = nn.LayerNorm(width)
            self.up = nn.Linear(width, 4 * width)
            self.gelu = nn.GELU()
            self.down = nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            batch, length, width = x.shape
            qkv = self.qkv(self.norm1(x)).reshape(batch, length, 3, self.heads, width // self.heads)
            q, k, v = (qkv[:, :, i].swapaxes(1, 2) for i in range(3))
            heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.output(heads.swapaxes(1, 2).reshape(batch, length, width))
            return x + self.down(self.gelu(self.up(self.norm2(x))))

    return Block
