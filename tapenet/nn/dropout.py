"""Layers that act in training only, and the one that never acts."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import TypeVar

import numpy as np

from tapenet.nn.layer_arguments import probability
from tapenet.nn.module import Module
from tapenet.nn.op_layer import OpLayer
from tapenet.nn.spatial_layer import SpatialLayer

T = TypeVar("T")


class _Dropout(OpLayer):
    """A layer that sets elements to 0 in training."""

    p: float = 0.5
    _: KW_ONLY
    rng: np.random.Generator | int | None = None

    def _check(self) -> None:
        probability(self, p=self.p)

    def extra_repr(self) -> str:
        return f"{self.p}"


class Dropout(_Dropout, op="dropout"):
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


class _ChannelDropout(SpatialLayer, _Dropout, op="dropout{axes}d"):
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


class Dropout2d(_ChannelDropout, axes=2):
    """
    Shapes: (n, channels, h, w) or (n, channels, length); the output has the same shape.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Dropout2d(1.0)(np.ones((1, 2, 1, 1))).tolist()
    [[[[0.0]], [[0.0]]]]
    """


class Dropout3d(_ChannelDropout, axes=3):
    """
    Shapes: (n, channels, d, h, w) or (channels, d, h, w); the output has the same shape.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Dropout3d(0.5)(np.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """


class AlphaDropout(_Dropout, op="alpha_dropout"):
    """Dropout for networks of SELU, which keeps mean 0 and variance 1; outside of training nothing. See
    `tn.alpha_dropout`. Arguments as of `Dropout`.

    >>> from tapenet import nn
    >>> nn.AlphaDropout(0.5).eval()([1.0, 2.0])
    array([1., 2.])
    """


class FeatureAlphaDropout(_Dropout, op="feature_alpha_dropout"):
    """Alpha dropout of whole channels of each sample; outside of training nothing. See `tn.feature_alpha_dropout`.
    Arguments as of `Dropout`.

    Shapes: (n, channels, ...); the output has the same shape.

    >>> from tapenet import nn
    >>> nn.FeatureAlphaDropout(0.5).eval()([[1.0, 2.0]])
    array([[1., 2.]])
    """


class Identity(Module):
    """The input itself: a place for a layer that is not there, whose arguments it takes, and forgets.

    >>> from tapenet import nn
    >>> nn.Identity()(3)
    3
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def forward(self, x: T) -> T:
        return x
