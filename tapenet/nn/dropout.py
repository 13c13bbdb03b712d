"""Layers that act in training only, and the one that never acts."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_arguments import probability
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.module import Module
from tapenet.nn.settings_layer import SettingsLayer
from tapenet.nn.spatial_layer import SpatialLayer
from tapenet.ops.layers import dropout

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


class _Dropout(SettingsLayer):
    """A layer that sets elements to 0 in training, by the op of the name `_op`."""

    _op: ClassVar[str]

    p: float = 0.5
    _: KW_ONLY
    rng: np.random.Generator | int | None = None

    def _check(self) -> None:
        probability(self, p=self.p)

    def forward(self, x: ArrayLike) -> Tensor:
        return getattr(dropout, self._op)(asarray(x), self.p, self.training, self.rng)

    def extra_repr(self) -> str:
        return f"{self.p}"


class Dropout(_Dropout):
    """In training, each element is set to 0 with probability `p` and the others are divided by 1 - p; else nothing. See
    `tn.dropout`.

    Args:
        p: probability of dropping.
        rng: a generator, or an integer to make one from; by default the one that `tn.random.seed` seeds.

    Raises:
        ValueError: `p` is not between 0 and 1.

    >>> from tapenet import nn
    >>> nn.Dropout(0.5).eval()([1.0, 2.0])
    array([1., 2.])
    """

    _op = "dropout"


class _ChannelDropout(SpatialLayer, _Dropout):
    """In training, each channel of each of the {things} is set to 0 as a whole with probability `p` and the others are
    divided by 1 - p; else nothing. See `tn.dropout{axes}d`.

    Args:
        p: probability of dropping.
        rng: a generator, or an integer to make one from; by default the one that `tn.random.seed` seeds.

    Raises:
        ValueError: `p` is not between 0 and 1, or an input of another number of axes.
    """


class Dropout1d(_ChannelDropout, axes=1):
    """
    Shapes: (n, channels, length) or (channels, length); the output has the same shape.

    >>> from tapenet import nn
    >>> nn.Dropout1d(0.5).eval()([[1.0, 2.0]])
    array([[1., 2.]])
    """

    _op = "dropout1d"


class Dropout2d(_ChannelDropout, axes=2):
    """
    Shapes: (n, channels, h, w) or (n, channels, length); the output has the same shape.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Dropout2d(1.0)(np.ones((1, 2, 1, 1))).tolist()
    [[[[0.0]], [[0.0]]]]
    """

    _op = "dropout2d"


class Dropout3d(_ChannelDropout, axes=3):
    """
    Shapes: (n, channels, d, h, w) or (channels, d, h, w); the output has the same shape.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Dropout3d(0.5)(np.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    _op = "dropout3d"


class AlphaDropout(_Dropout):
    """Dropout for networks of SELU, which keeps mean 0 and variance 1; outside of training nothing. See
    `tn.alpha_dropout`. Arguments as of `Dropout`.

    >>> from tapenet import nn
    >>> nn.AlphaDropout(0.5).eval()([1.0, 2.0])
    array([1., 2.])
    """

    _op = "alpha_dropout"


class FeatureAlphaDropout(_Dropout):
    """Alpha dropout of whole channels of each sample; outside of training nothing. See `tn.feature_alpha_dropout`.
    Arguments as of `Dropout`.

    Shapes: (n, channels, ...); the output has the same shape.

    >>> from tapenet import nn
    >>> nn.FeatureAlphaDropout(0.5).eval()([[1.0, 2.0]])
    array([[1., 2.]])
    """

    _op = "feature_alpha_dropout"


class Identity(Module):
    """The input itself: a place for a layer that is not there, whose arguments it takes, and forgets.

    >>> from tapenet import nn
    >>> nn.Identity()(3)
    3
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def forward(self, x: Any) -> Tensor:
        return x
