"""Layers whose weights are stored as 8-bit integers, for inference, and how a model gets them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn import cards, linear
from tapenet.nn.layer_inputs import cast
from tapenet.nn.module import Module
from tapenet.nn.parameter import FLOAT, Buffer
from tapenet.ops.layers.quantized import quantized_weight
from tapenet.program import low

M = TypeVar("M", bound=Module)


class Linear(Module):
    """`nn.Linear` for inference, with its weight as 8-bit integers and one scale for each output: a quarter of the bytes.

    x @ (scale · weight)ᵀ + bias. Each output differs from that of the float layer by scale / 2 · Σ |x| at most (and by
    rounding in float32). Nothing in it is learned, but gradients go through it to its input.

    Attributes:
        weight: (out_features, in_features), an int8 buffer.
        scale: (out_features,), a float buffer: the largest magnitude in each row of the float weight, divided by 127.
        bias: (out_features,), a float buffer, or None.

    Made by `from_float` or, for a whole model, by `nn.quantize`. A new one has zeros, to load a state into.

    Raises:
        ValueError: the last axis of the input is not in_features long.

    >>> from tapenet import nn
    >>> layer = nn.quantized.Linear.from_float(nn.Linear(3, 2))
    >>> layer([[1.0, 2.0, 3.0]]).shape, layer.weight.dtype
    ((1, 2), dtype('int8'))
    """

    bias: Tensor | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Buffer(np.zeros((out_features, in_features), np.int8))
        self.scale = Buffer(np.ones(out_features, FLOAT))
        self.bias = Buffer(np.zeros(out_features, FLOAT)) if bias else None

    @classmethod
    def from_float(cls, layer: linear.Linear) -> Linear:
        """The layer with its weight rounded: the largest magnitude of each row becomes 127.

        Raises:
            ValueError: the weight holds nan or infinity.
        """
        made = cls(layer.in_features, layer.out_features, layer.bias is not None)
        weight = low.widened(layer.weight.numpy())
        integers, scale = quantized_weight(np.ascontiguousarray(weight))
        made.weight = Buffer(integers)
        made.scale = Buffer(scale)
        made.bias = None if layer.bias is None else Buffer(low.widened(layer.bias.numpy()))
        made.training = layer.training
        return made

    def forward(self, x: ArrayLike) -> Tensor:
        out: Tensor = ops.quantized_linear(cast(x, self.scale), self.weight, self.scale, self.bias)
        return out

    def extra_repr(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        return f"{self.in_features}, {self.out_features}{bias}, int8"

    def card(self) -> str:
        return cards.lines(self, f"{self.in_features} → {self.out_features}", {}, "8 bits")


@overload
def quantize(model: linear.Linear, where: Callable[[str, linear.Linear], bool] | None = None) -> Linear: ...
@overload
def quantize(model: M, where: Callable[[str, linear.Linear], bool] | None = None) -> M: ...
def quantize(model: Module, where: Callable[[str, linear.Linear], bool] | None = None) -> Module:
    """A copy of a model for inference, with an `nn.quantized.Linear` in place of every `nn.Linear`.

    The model stays as it is, and the copy shares no storage with it. Layers of classes derived from `nn.Linear` are
    copied as they are, and so are those whose weight a module uses by itself, without calling them, as
    `nn.MultiheadAttention` does with its `out_proj`: a module says so by `takes_parameters_of = ("out_proj",)`.

    Args:
        model: the model, or one layer.
        where: says which layers to replace, by their name and themselves; all by default.

    Raises:
        ValueError: a weight holds nan or infinity.

    >>> from tapenet import nn
    >>> net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> nn.quantize(net, where=lambda name, layer: layer.out_features > 2)
    Sequential(
      0: Linear(8, 16, int8)
      1: ReLU()
      2: Linear(16, 2)        weight (2, 16), bias (2,)  34
    )
    34 parameters, buffers: 160
    """
    made: dict[int, object] = {}
    taken = {id(getattr(m, name)) for m in model.modules() for name in m.takes_parameters_of}
    for name, module in model.named_modules():
        if type(module) is linear.Linear and id(module) not in taken and (where is None or where(name, module)):
            try:
                made[id(module)] = Linear.from_float(module)
            except ValueError as error:
                raise ValueError(f"quantize: {name or type(module).__name__}: {error}") from None
    return copy.deepcopy(model, made)  # which takes what is in `made` for copies that are there already
