"""Layers that normalise channels and may keep running statistics: over the batch, and of each sample alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn import cards
from tapenet.nn.inplace_functions import batch_norm, instance_norm
from tapenet.nn.layer_arguments import whole
from tapenet.nn.layer_inputs import asarray, cast, here
from tapenet.nn.normalization import Affine
from tapenet.nn.parameter import FLOAT, Buffer, float_type
from tapenet.nn.spatial_layer import SpatialLayer

_LENGTHS = {1: "length", 2: "h, w", 3: "d, h, w"}


class _Running(SpatialLayer, Affine):
    """A normalisation of channels that may keep running statistics."""

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
        bias: bool = True,
        dtype: DTypeLike = FLOAT,
    ) -> None:
        whole(self, num_features=num_features)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._learn(num_features, affine, bias, dtype)
        self.running_mean = Buffer(np.zeros(num_features, float_type(dtype))) if track_running_stats else None
        self.running_var = Buffer(np.ones(num_features, float_type(dtype))) if track_running_stats else None
        self.num_batches_tracked = Buffer(np.zeros((), np.int64)) if track_running_stats else None

    def reset_running_stats(self) -> None:
        """Reset the running statistics: mean 0, variance 1, no batches."""
        for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if buffer is not None:
                buffer.data = np.full(buffer.shape, value, buffer.dtype)

    def reset_parameters(self) -> None:
        """Reset parameters and running statistics: weight 1, bias 0."""
        self.reset_running_stats()
        super().reset_parameters()

    def _shapes(self) -> dict[int, tuple[str, int]]:
        """The inputs it takes, by number of axes: their shape, and the axis of the channels."""
        raise NotImplementedError

    def _checked(self, x: ArrayLike) -> tuple[Tensor, int]:
        """The input in the parameters' dtype, and its axis of channels."""
        like = self.weight if self.weight is not None else self.running_mean
        x = asarray(x) if like is None else cast(x, like)
        shapes = self._shapes()
        _, channels = shapes.get(x.ndim, ("", 0))
        if x.ndim not in shapes or x.shape[channels] != self.num_features:
            expected = " or ".join(shape for shape, _ in shapes.values())
            kind = type(self).__name__[:-2]
            raise ValueError(
                f"{here()} takes {expected}, not {tuple(x.shape)}; {kind}1d is for vectors and sequences, {kind}2d for images, "
                f"{kind}3d for volumes"
            )
        return x, channels

    def extra_repr(self) -> str:
        usual = {name: p.default for name, p in inspect.signature(type(self).__init__).parameters.items()}
        names = ("eps", "momentum", "affine", "track_running_stats")
        return f"{self.num_features}" + self._settings(**{name: usual[name] for name in names})

    def card(self) -> str:
        return cards.lines(self, f"{self.num_features} channels", {"eps": 1e-5, "momentum": 0.1})


# -- over the batch ----------------------------------------------------------------------------------------------


class _BatchNorm(_Running):
    """Each channel of {things} brought to mean 0 and variance 1 over the batch and all positions, then scaled and shifted;
    see `tn.batch_norm_train`. In training by the statistics of the batch, which enter the running ones; in evaluation by the
    running ones.

    Shapes: (n, num_features, {lengths}); the output has the same shape.

    Args:
        num_features: number of channels.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics; None for the mean over all batches so far.
        affine: learn a scale and a shift per channel.
        track_running_stats: keep running statistics; without them, evaluation too uses those of the batch.
        bias: learn the shift too.
        dtype: of parameters and statistics.

    Attributes:
        weight, bias: (num_features,), at first 1 and 0, or None.
        running_mean, running_var: (num_features,) buffers, at first 0 and 1, or None. The variance is the unbiased one
            (divided by n - 1), while a batch in training is divided by the root of its biased one, as in PyTorch.
        num_batches_tracked: how many batches entered the running statistics, or None.

    Raises:
        ValueError: an input of another shape, or in training of a single value per channel.
    """

    #: What computes it; `tn.parallel.synchronize_batch_norm` puts another in its place.
    normalize: Callable[..., Tensor] = staticmethod(batch_norm)

    def _shapes(self) -> dict[int, tuple[str, int]]:
        shapes = {self.axes + 2: (f"(n, {self.num_features}, {_LENGTHS[self.axes]})", 1)}
        return ({2: (f"(n, {self.num_features})", 1)} if self.axes == 1 else {}) | shapes

    def forward(self, x: ArrayLike) -> Tensor:
        x, _ = self._checked(x)
        momentum: float | Tensor | None = self.momentum
        batches = None
        if self.training and self.num_batches_tracked is not None:
            batches = self.num_batches_tracked + 1
            if momentum is None:
                momentum = 1.0 / batches
        out = self.normalize(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            0.0 if momentum is None else momentum,
            self.eps,
        )
        if batches is not None:  # at last, so that an input that does not fit changes nothing
            self.num_batches_tracked.data = batches  # type: ignore[union-attr]
        return out


class BatchNorm1d(_BatchNorm, axes=1):
    """
    Vectors (n, num_features) are taken too.

    >>> from tapenet import nn
    >>> layer = nn.BatchNorm1d(2)
    >>> layer([[1.0, 0.0], [3.0, 0.0]]).data.round(3)
    array([[-1.,  0.],
           [ 1.,  0.]], dtype=float32)
    >>> layer.running_mean.data
    array([0.2, 0. ], dtype=float32)
    """


class BatchNorm2d(_BatchNorm, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.BatchNorm2d(3)(np.zeros((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """


class BatchNorm3d(_BatchNorm, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.BatchNorm3d(3)(np.zeros((2, 3, 2, 4, 4))).shape
    (2, 3, 2, 4, 4)
    """


# -- of each sample alone ----------------------------------------------------------------------------------------


class _InstanceNorm(_Running):
    """Each channel of each of the {things} brought to mean 0 and variance 1; see `tn.instance_norm`.

    Shapes: (n, num_features, {lengths}) or (num_features, {lengths}); the output has the same shape.

    Args:
        num_features: number of channels.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics; None leaves them as they are, as in PyTorch.
        affine: learn a scale and a shift per channel.
        track_running_stats: keep running statistics, and use them in evaluation; without them, evaluation too uses
            those of each sample.
        bias: learn the shift too.
        dtype: of parameters and statistics.

    Attributes:
        weight, bias: (num_features,), at first 1 and 0, or None.
        running_mean, running_var: (num_features,) buffers, at first 0 and 1, or None.
        num_batches_tracked: a buffer that PyTorch's layer has too and never changes, or None.

    Raises:
        ValueError: an input of another shape, or of a single position per channel.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        dtype: DTypeLike = FLOAT,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias, dtype=dtype)

    def _shapes(self) -> dict[int, tuple[str, int]]:
        one = f"{self.num_features}, {_LENGTHS[self.axes]}"
        return {self.axes + 2: (f"(n, {one})", 1), self.axes + 1: (f"({one})", 0)}

    def forward(self, x: ArrayLike) -> Tensor:
        x, channels = self._checked(x)
        out = instance_norm(
            x if channels else x[None],
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return out if channels else out[0]


class InstanceNorm1d(_InstanceNorm, axes=1):
    """
    >>> from tapenet import nn
    >>> nn.InstanceNorm1d(2)([[1.0, 3.0], [0.0, 8.0]]).round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """


class InstanceNorm2d(_InstanceNorm, axes=2):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.InstanceNorm2d(3)(np.zeros((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """


class InstanceNorm3d(_InstanceNorm, axes=3):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.InstanceNorm3d(3)(np.zeros((2, 3, 2, 4, 4))).shape
    (2, 3, 2, 4, 4)
    """
