"""Layers that act in training only, and the one that never acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.nn.layer_arguments import probability
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.module import Module
from tapenet.ops.layers import dropout as drops
from tapenet.ops.random import generator


class _Dropout(Module):
    """What the dropout layers share."""

    #: What it does to an array, given p, training and rng.
    _drop: Callable[..., Any]

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | int | None = None) -> None:
        probability(self, p=p)
        self.p = p
        # An integer would begin the same numbers anew at each call.
        self.rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Any:
        return type(self)._drop(asarray(x), self.p, self.training, self.rng)

    def extra_repr(self) -> str:
        return f"{self.p}"


_ARGUMENTS = """Args:
        p: probability of dropping.
        rng: a generator, or an integer to make one from; by default the one that `tn.random.seed` seeds.

    Raises:
        ValueError: `p` is not between 0 and 1"""


class Dropout(_Dropout):
    __doc__ = f"""In training, each element is set to 0 with probability `p` and the others are divided by 1 - p; else
    nothing. See `tn.dropout`.

    {_ARGUMENTS}.

    >>> from tapenet import nn
    >>> nn.Dropout(0.5).eval()([1.0, 2.0])
    array([1., 2.])
    """

    _drop = staticmethod(lambda *args: drops.dropout(*args))


class Dropout1d(_Dropout):
    __doc__ = f"""In training, each channel of each signal is set to 0 as a whole with probability `p` and the others are
    divided by 1 - p; else nothing. See `tn.dropout1d`.

    Shapes: (n, channels, length) or (channels, length), and the same comes out.

    {_ARGUMENTS}, or an input of another number of axes.

    >>> from tapenet import nn
    >>> nn.Dropout1d(0.5).eval()([[1.0, 2.0]])
    array([[1., 2.]])
    """

    _drop = staticmethod(lambda *args: drops.dropout1d(*args))


class Dropout2d(_Dropout):
    __doc__ = f"""In training, each channel of each image is set to 0 as a whole with probability `p` and the others are
    divided by 1 - p; else nothing. See `tn.dropout2d`.

    Shapes: (n, channels, h, w) or (n, channels, length), and the same comes out.

    {_ARGUMENTS}, or an input of another number of axes.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Dropout2d(1.0)(np.ones((1, 2, 1, 1))).tolist()
    [[[[0.0]], [[0.0]]]]
    """

    _drop = staticmethod(lambda *args: drops.dropout2d(*args))


class Dropout3d(_Dropout):
    __doc__ = f"""In training, each channel of each volume is set to 0 as a whole with probability `p` and the others are
    divided by 1 - p; else nothing. See `tn.dropout3d`.

    Shapes: (n, channels, d, h, w) or (channels, d, h, w), and the same comes out.

    {_ARGUMENTS}, or an input of another number of axes.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.Dropout3d(0.5)(np.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    _drop = staticmethod(lambda *args: drops.dropout3d(*args))


class AlphaDropout(_Dropout):
    __doc__ = f"""Dropout for networks of SELU, which keeps mean 0 and variance 1; outside of training nothing. See
    `tn.alpha_dropout`.

    {_ARGUMENTS}.

    >>> from tapenet import nn
    >>> nn.AlphaDropout(0.5).eval()([1.0, 2.0])
    array([1., 2.])
    """

    _drop = staticmethod(lambda *args: drops.alpha_dropout(*args))


class FeatureAlphaDropout(_Dropout):
    __doc__ = f"""Alpha dropout of whole channels of each sample; outside of training nothing. See
    `tn.feature_alpha_dropout`.

    Shapes: (n, channels, ...), and the same comes out.

    {_ARGUMENTS}, or an input of fewer than two axes.

    >>> from tapenet import nn
    >>> nn.FeatureAlphaDropout(0.5).eval()([[1.0, 2.0]])
    array([[1., 2.]])
    """

    _drop = staticmethod(lambda *args: drops.feature_alpha_dropout(*args))


class Identity(Module):
    """The input itself: a place for a layer that is not there, whose arguments it takes, and forgets.

    >>> from tapenet import nn
    >>> nn.Identity()(3)
    3
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        return x
