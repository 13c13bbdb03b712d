"""Layers that bring their inputs to mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.casting import asarray, cast, here
from tapenet.nn.functional import batch_norm
from tapenet.nn.module import Module
from tapenet.nn.parameter import FLOAT, Buffer, Parameter


class _BatchNorm(Module):
    """What the batch normalizations for different numbers of axes share."""

    #: The shapes it takes, by number of axes; and who takes others.
    _shapes: dict[int, str]
    _hint: str

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: DTypeLike = FLOAT,
    ) -> None:
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight = Parameter(np.ones(num_features, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_features, dtype)) if affine else None
        self.running_mean = Buffer(np.zeros(num_features, dtype)) if track_running_stats else None
        self.running_var = Buffer(np.ones(num_features, dtype)) if track_running_stats else None
        self.num_batches_tracked = Buffer(np.zeros((), np.int64)) if track_running_stats else None

    def forward(self, x: Any) -> Any:
        like = self.weight if self.weight is not None else self.running_mean
        x = asarray(x) if like is None else cast(x, like)
        if len(x.shape) not in self._shapes or x.shape[1] != self.num_features:
            raise ValueError(f"{here()} takes {' or '.join(self._expected())}, not {tuple(x.shape)}{self._hint}")
        momentum: Any = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.data = self.num_batches_tracked + 1
            if momentum is None:
                momentum = 1.0 / self.num_batches_tracked
        return batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum,
            self.eps,
        )

    def _expected(self) -> list[str]:
        return [shape.format(self.num_features) for shape in self._shapes.values()]

    def extra_repr(self) -> str:
        text = f"{self.num_features}"
        for name, usual in (
            ("eps", 1e-5),
            ("momentum", 0.1),
            ("affine", True),
            ("track_running_stats", True),
        ):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text


_ARGUMENTS = """Args:
        num_features: number of channels.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics; None for the mean over all batches so far.
        affine: learn a scale and a shift per channel.
        track_running_stats: keep running statistics; without them, evaluation too uses those of the batch.
        dtype: of parameters and statistics.

    Attributes:
        weight, bias: (num_features,), at first 1 and 0, or None.
        running_mean, running_var: (num_features,) buffers, at first 0 and 1, or None. The variance is the unbiased one
            (divided by n - 1), while a batch in training is divided by the root of its biased one, as in PyTorch.
        num_batches_tracked: how many batches entered the running statistics, or None.

    Raises:
        ValueError: an input of another shape, or in training of a single value per channel."""


class BatchNorm1d(_BatchNorm):
    __doc__ = f"""Each feature brought to mean 0 and variance 1 over the batch, then scaled and shifted; see
    `tn.batch_norm_train`. In training by the statistics of the batch, which enter the running ones; in evaluation by
    the running ones.

    Shapes: (n, num_features) or (n, num_features, length), and the same comes out.

    {_ARGUMENTS}

    >>> from tapenet import nn
    >>> layer = nn.BatchNorm1d(2)
    >>> layer([[1.0, 0.0], [3.0, 0.0]]).data.round(3)
    array([[-1.,  0.],
           [ 1.,  0.]], dtype=float32)
    >>> layer.running_mean.data
    array([0.2, 0. ], dtype=float32)
    """

    _shapes = {2: "(n, {})", 3: "(n, {}, length)"}  # noqa: RUF012  constants
    _hint = "; for images use BatchNorm2d"


class BatchNorm2d(_BatchNorm):
    __doc__ = f"""Each channel of images brought to mean 0 and variance 1 over the batch and all positions, then scaled
    and shifted; see `tn.batch_norm_train`. In training by the statistics of the batch, which enter the running ones; in
    evaluation by the running ones.

    Shapes: (n, num_features, h, w), and the same comes out.

    {_ARGUMENTS}

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.BatchNorm2d(3)(np.zeros((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    _shapes = {4: "(n, {}, h, w)"}  # noqa: RUF012
    _hint = "; for vectors use BatchNorm1d"


class LayerNorm(Module):
    """The last axes of each sample brought to mean 0 and variance 1 together, then scaled and shifted element by
    element; see `tn.layer_norm`.

    Shapes: (..., *normalized_shape), and the same comes out.

    Args:
        normalized_shape: length of the last axis, or lengths of the last axes.
        eps: added to the variance.
        elementwise_affine: learn a scale and a shift.
        bias: learn the shift.
        dtype: of the parameters.

    Attributes:
        weight, bias: of shape normalized_shape, at first 1 and 0, or None.

    Raises:
        ValueError: an input that does not end in normalized_shape.

    >>> from tapenet import nn
    >>> nn.LayerNorm(2)([[1.0, 3.0]]).data.round(3)
    array([[-1.,  1.]], dtype=float32)
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = FLOAT,
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
        self.normalized_shape = shape
        self.eps = eps
        self.weight = Parameter(np.ones(shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(shape, dtype)) if elementwise_affine and bias else None

    def forward(self, x: Any) -> Any:
        x = asarray(x) if self.weight is None else cast(x, self.weight)
        return ops.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        text = f"{self.normalized_shape}" if self.eps == 1e-5 else f"{self.normalized_shape}, eps={self.eps}"
        if self.weight is None:
            return text + ", elementwise_affine=False"
        return text if self.bias is not None else text + ", bias=False"
