"""tapenet, eager."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import tapenet as tn
from tapenet.nn import functional as F
from tests.benchmarks.shapes.convolutions import Convolution
from tests.benchmarks.shapes.grid import Call, Row
from tests.benchmarks.shapes.layers import Layer, pulled


def calls(row: Row) -> Iterator[tuple[str, list[Call]]]:
    """The one way to do it."""
    yield "tapenet-eager", convolution(row) if isinstance(row, Convolution) else layer(row)


def convolution(row: Convolution) -> list[Call]:
    """The three ops, on tensors that record nothing."""
    x, w, g = row.data()
    n = f"conv{row.axes}d"
    conv, by_input, by_weight = (getattr(tn, n + end) for end in ("", "_input_grad", "_weight_grad"))
    x, g = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, -1)), -1, 0) for a in (x, g))
    options = row.stride, row.padding, row.dilation, row.groups
    x, w, g = map(tn.tensor, (x, w, g))
    return [
        lambda: conv(x, w, None, *options),
        lambda: by_input(g, w, row.x, *options),
        lambda: by_weight(x, g, row.weight, *options),
    ]


def layer(row: Layer) -> list[Call]:
    """On tensors that record nothing; with a graph, and back. Weights lie as its own layers have them."""
    arrays, labels = row.data()
    if row.kind == "linear":
        arrays[1] = np.asfortranarray(arrays[1])
    plain, inputs = ([tn.tensor(a, requires_grad=r) for a in arrays] for r in (False, True))
    others = list(map(tn.tensor, labels))
    g = tn.tensor(pulled(row.call(F, *plain, *others).shape))

    def gradient() -> None:
        for x in inputs:
            x.grad = None
        row.call(F, *inputs, *others).backward(g)

    return [lambda: row.call(F, *plain, *others), gradient]
