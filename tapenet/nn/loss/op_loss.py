"""The bases of losses that are an op of an input and a target."""

from __future__ import annotations

from numpy.typing import ArrayLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray, cast_optional
from tapenet.nn.op_layer import OpSettings


class OpLoss(OpSettings):
    """A loss with settings: `class HuberLoss(OpLoss, op="huber_loss")`."""

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        return self._op(asarray(input), asarray(target), **self._given())


class WeightedLoss(OpSettings):
    """A loss with weights of classes or elements, which the op gets in the dtype of the input."""

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        input = asarray(input)
        weights = {n: cast_optional(getattr(self, n), input) for n in ("weight", "pos_weight") if n in self._passed}
        return self._op(input, asarray(target), **self._given() | weights)
