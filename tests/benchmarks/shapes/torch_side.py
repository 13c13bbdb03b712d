"""PyTorch, eager."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional as F

from tests.benchmarks.shapes.convolutions import Convolution
from tests.benchmarks.shapes.grid import Call, Row
from tests.benchmarks.shapes.layers import Layer, pulled

torch.set_num_threads(1)


def calls(row: Row) -> Iterator[tuple[str, list[Call]]]:
    """Convolutions over images in either memory format."""
    if isinstance(row, Layer):
        yield "torch-eager", layer(row)
        return
    yield "torch-eager", convolution(row, torch.contiguous_format)
    if row.axes == 2:
        yield "torch-eager/channels_last", convolution(row, torch.channels_last)


def convolution(row: Convolution, form: torch.memory_format) -> list[Call]:
    """The op, and the one that autograd calls."""
    axes = row.axes
    options = [[n] * axes for n in (row.stride, row.padding, row.dilation)]
    conv = (torch.conv1d, torch.conv2d)[axes - 1]
    x, w, g = (torch.from_numpy(a).contiguous(memory_format=form) for a in row.data())

    def backward(by_input: bool, by_weight: bool) -> Any:
        mask = [by_input, by_weight, False]
        return torch.ops.aten.convolution_backward(g, x, w, None, *options, False, [0] * axes, row.groups, mask)

    return [
        functools.partial(conv, x, w, None, *options, row.groups),
        functools.partial(backward, True, False),
        functools.partial(backward, False, True),
    ]


def layer(row: Layer) -> list[Call]:
    """Without a graph; with one, and back."""
    arrays, labels = row.data()
    plain, inputs = ([torch.tensor(a, requires_grad=r) for a in arrays] for r in (False, True))
    others = list(map(torch.tensor, labels))
    with torch.no_grad():
        g = torch.tensor(pulled(row.call(F, *plain, *others).shape))

    def forward() -> Any:
        with torch.no_grad():
            return row.call(F, *plain, *others)

    def gradient() -> None:
        for x in inputs:
            x.grad = None
        row.call(F, *inputs, *others).backward(g)

    return [forward, gradient]
