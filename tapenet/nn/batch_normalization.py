"""Layers that normalise channels and may keep running statistics: over the batch, and of each sample alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.inplace_functions import batch_norm, instance_norm
from tapenet.nn.layer_arguments import whole
from tapenet.nn.layer_inputs import asarray, cast, here
from tapenet.nn.module import Module
from tapenet.nn.module_repr import settings
from tapenet.nn.normalization import reset
from tapenet.nn.parameter import FLOAT, Buffer, Parameter, float_type


class _Running(Module):
    """What the normalisations with running statistics share."""

    #: The shapes it takes, by number of axes; and who takes others.
    _shapes: dict[int, str]
    _hint: str
    #: What the arguments are by default.
    _usual: dict[str, Any]

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        bias: bool,
        dtype: DTypeLike,
    ) -> None:
        whole(self, num_features=num_features)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.weight = Parameter(np.ones(num_features, float_type(dtype))) if affine else None
        self.bias = Parameter(np.zeros(num_features, float_type(dtype))) if affine and bias else None
        self.running_mean = Buffer(np.zeros(num_features, float_type(dtype))) if track_running_stats else None
        self.running_var = Buffer(np.ones(num_features, float_type(dtype))) if track_running_stats else None
        self.num_batches_tracked = Buffer(np.zeros((), np.int64)) if track_running_stats else None

    def reset_running_stats(self) -> None:
        """Begin the running statistics anew: mean 0, variance 1, no batches."""
        for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if buffer is not None:
                buffer.data = np.full(buffer.shape, value, buffer.dtype)

    def reset_parameters(self) -> None:
        """Begin parameters and running statistics anew: weight 1, bias 0."""
        self.reset_running_stats()
        reset(self.weight, self.bias)

    def _checked(self, x: Any) -> Any:
        like = self.weight if self.weight is not None else self.running_mean
        x = asarray(x) if like is None else cast(x, like)
        if len(x.shape) not in self._shapes or x.shape[self._channels(x)] != self.num_features:
            expected = [shape.format(self.num_features) for shape in self._shapes.values()]
            raise ValueError(f"{here()} takes {' or '.join(expected)}, not {tuple(x.shape)}{self._hint}")
        return x

    def _channels(self, x: Any) -> int:
        """The axis of the channels."""
        return 1

    def extra_repr(self) -> str:
        text = f"{self.num_features}" + settings(self, self._usual)
        return text if self.bias is not None or not self.affine else text + ", bias=False"


# -- over the batch ----------------------------------------------------------------------------------------------


class _BatchNorm(_Running):
    """What the batch normalizations for different numbers of axes share."""

    _usual = {"eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True}  # noqa: RUF012  constants

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
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    def forward(self, x: Any) -> Any:
        x = self._checked(x)
        momentum: Any = self.momentum
        batches = None
        if self.training and self.num_batches_tracked is not None:
            batches = self.num_batches_tracked + 1
            if momentum is None:
                momentum = 1.0 / batches
        out = batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            momentum,
            self.eps,
        )
        if batches is not None:  # at last, so that an input that does not fit changes nothing
            self.num_batches_tracked.data = batches  # type: ignore[union-attr]
        return out


_ARGUMENTS = """Args:
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
    _hint = "; for images use BatchNorm2d, for volumes BatchNorm3d"


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
    _hint = "; for vectors use BatchNorm1d, for volumes BatchNorm3d"


class BatchNorm3d(_BatchNorm):
    __doc__ = f"""Each channel of volumes brought to mean 0 and variance 1 over the batch and all positions, then scaled
    and shifted; see `tn.batch_norm_train`. In training by the statistics of the batch, which enter the running ones; in
    evaluation by the running ones.

    Shapes: (n, num_features, d, h, w), and the same comes out.

    {_ARGUMENTS}

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.BatchNorm3d(3)(np.zeros((2, 3, 2, 4, 4))).shape
    (2, 3, 2, 4, 4)
    """

    _shapes = {5: "(n, {}, d, h, w)"}  # noqa: RUF012
    _hint = "; for images use BatchNorm2d"


# -- of each sample alone ----------------------------------------------------------------------------------------


class _InstanceNorm(_Running):
    """What the instance normalizations for different numbers of axes share."""

    _usual = {"eps": 1e-5, "momentum": 0.1, "affine": False, "track_running_stats": False}  # noqa: RUF012

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
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    def _channels(self, x: Any) -> int:
        return len(x.shape) - max(self._shapes) + 1  # without a batch the first

    def forward(self, x: Any) -> Any:
        x = self._checked(x)
        single = self._channels(x) == 0
        out = instance_norm(
            x[None] if single else x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return out[0] if single else out


_INSTANCE = """Args:
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
        ValueError: an input of another shape, or of a single position per channel."""


class InstanceNorm1d(_InstanceNorm):
    __doc__ = f"""Each channel of each signal brought to mean 0 and variance 1; see `tn.instance_norm`.

    Shapes: (n, num_features, length) or (num_features, length), and the same comes out.

    {_INSTANCE}

    >>> from tapenet import nn
    >>> nn.InstanceNorm1d(2)([[1.0, 3.0], [0.0, 8.0]]).round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """

    _shapes = {3: "(n, {}, length)", 2: "({}, length)"}  # noqa: RUF012
    _hint = "; for images use InstanceNorm2d, for volumes InstanceNorm3d"


class InstanceNorm2d(_InstanceNorm):
    __doc__ = f"""Each channel of each image brought to mean 0 and variance 1; see `tn.instance_norm`.

    Shapes: (n, num_features, h, w) or (num_features, h, w), and the same comes out.

    {_INSTANCE}

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.InstanceNorm2d(3)(np.zeros((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    _shapes = {4: "(n, {}, h, w)", 3: "({}, h, w)"}  # noqa: RUF012
    _hint = "; for signals use InstanceNorm1d, for volumes InstanceNorm3d"


class InstanceNorm3d(_InstanceNorm):
    __doc__ = f"""Each channel of each volume brought to mean 0 and variance 1; see `tn.instance_norm`.

    Shapes: (n, num_features, d, h, w) or (num_features, d, h, w), and the same comes out.

    {_INSTANCE}

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.InstanceNorm3d(3)(np.zeros((2, 3, 2, 4, 4))).shape
    (2, 3, 2, 4, 4)
    """

    _shapes = {5: "(n, {}, d, h, w)", 4: "({}, d, h, w)"}  # noqa: RUF012
    _hint = "; for images use InstanceNorm2d"
