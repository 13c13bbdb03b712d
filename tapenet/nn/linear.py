"""The affine layer, and the bilinear one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn import cards, init
from tapenet.nn import functional as F
from tapenet.nn.layer_arguments import whole
from tapenet.nn.layer_inputs import cast
from tapenet.nn.module import Module
from tapenet.nn.parameter import FLOAT, Parameter, float_type
from tapenet.ops.random import generator


class Linear(Module):
    """x @ weightᵀ + bias, over the last axis of x.

    Shapes: (..., in_features) gives (..., out_features).

    Attributes:
        weight: (out_features, in_features), in Fortran order, so that both products with it are fast.
        bias: (out_features,), or None.

    Both begin as U(-k, k) with k = 1 / sqrt(in_features), as PyTorch's do.

    Raises:
        ValueError: the last axis of the input is not in_features long.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> layer = nn.Linear(3, 2, rng=np.random.default_rng(0))
    >>> layer([[1.0, 2.0, 3.0]]).shape
    (1, 2)
    """

    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        whole(self, in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(np.empty((out_features, in_features), float_type(dtype), order="F"))
        self.bias = Parameter(np.empty(out_features, float_type(dtype))) if bias else None
        default_init(self.weight, self.bias, rng)

    def forward(self, x: ArrayLike) -> Tensor:
        weight = self.weight
        # The usual case, spelled out: small nets spend their time on calls like this one.
        data = x._data if type(x) is Tensor else x
        if type(data) is not np.ndarray or type(weight) is not Tensor or data.dtype is not weight._data.dtype:
            x = cast(x, weight)
        return F.linear(x, weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")

    def card(self) -> str:
        return cards.lines(self, f"{self.in_features} → {self.out_features}", {})


class Bilinear(Module):
    """x1ᵀ · weight · x2 + bias, over the last axes of two inputs; see `tn.bilinear`.

    Shapes: (..., in1_features) and (..., in2_features) give (..., out_features).

    Attributes:
        weight: (out_features, in1_features, in2_features).
        bias: (out_features,), or None.

    Both begin as U(-k, k) with k = 1 / sqrt(in1_features), as PyTorch's do.

    Raises:
        ValueError: inputs of other shapes.

    >>> from tapenet import nn
    >>> nn.Bilinear(2, 3, 4)([[1.0, 2.0]], [[1.0, 2.0, 3.0]]).shape
    (1, 4)
    """

    bias: Tensor | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        whole(self, 1, in1_features=in1_features)
        whole(self, in2_features=in2_features, out_features=out_features)
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(np.empty((out_features, in1_features, in2_features), float_type(dtype)))
        self.bias = Parameter(np.empty(out_features, float_type(dtype))) if bias else None
        self.reset_parameters(rng)

    def reset_parameters(self, rng: np.random.Generator | int | None = None) -> None:
        """Draw new initial values of weight and bias."""
        rng = generator(rng)  # one for both, also where it is given as an integer
        bound = 1 / math.sqrt(self.in1_features)
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                init.uniform_(parameter, -bound, bound, rng=rng)

    def forward(self, x1: ArrayLike, x2: ArrayLike) -> Tensor:
        return F.bilinear(cast(x1, self.weight), cast(x2, self.weight), self.weight, self.bias)

    def extra_repr(self) -> str:
        text = f"{self.in1_features}, {self.in2_features}, {self.out_features}"
        return text + ("" if self.bias is not None else ", bias=False")

    def card(self) -> str:
        return cards.lines(self, f"{self.in1_features}, {self.in2_features} → {self.out_features}", {})


def default_init(weight: Tensor, bias: Tensor | None, rng: np.random.Generator | int | None) -> None:
    """PyTorch's default for linear and convolution layers: U(-k, k) with k = 1 / sqrt(fan_in), for both."""
    rng = generator(rng)  # one for both, also where it is given as an integer
    init.kaiming_uniform_(weight, a=math.sqrt(5), rng=rng)
    if bias is not None:
        fan_in, _ = init.fans(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
        init.uniform_(bias, -bound, bound, rng=rng)
