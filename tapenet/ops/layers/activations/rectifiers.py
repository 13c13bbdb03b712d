"""Rectifiers: the identity above 0, another line below."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.op import op
from tapenet.ops.random import uniform
from tapenet.ops.registry import sample

if TYPE_CHECKING:
    from tapenet.typing import Array


@op(
    # By its result, which the next op mostly keeps anyway: no other array is held.
    x=lambda g, out: np.where(out != 0, g, 0),  # also where it is nan
    fuse=True,
    samples=unary_samples(),
)
def relu(x: Array) -> Array:
    """The rectifier max(x, 0), element by element.

    The derivative is 1 where x > 0, else 0 (also at 0); where x is nan it is 1, as in PyTorch.

    >>> import tapenet as tn
    >>> tn.relu(tn.tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """
    return np.maximum(x, 0)


@op(
    label=lambda negative_slope: f"leaky relu {negative_slope:g}",
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.2), sample(r.normal(size=4), 1.5)],
)
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """x where x > 0, else negative_slope · x, element by element.

    The derivative is 1 where x > 0, else `negative_slope` (also at 0).

    >>> import tapenet as tn
    >>> tn.leaky_relu(tn.tensor([-1.0, 2.0]), 0.1)
    Tensor([-0.1,  2. ])
    """
    return np.where(x > 0, x, x * negative_slope)


@op(
    # By its result too: a step of MobileNetV2 takes 0.7 of the memory.
    x=lambda g, out: np.where((out != 0) & (out != 6), g, 0),
    fuse=True,
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4) * 9)],
)
def relu6(x: Array) -> Array:
    """min(max(x, 0), 6), element by element. The derivative is 1 where 0 < x < 6, else 0; at nan it is 1, as in PyTorch.

    >>> import tapenet as tn
    >>> tn.relu6(tn.tensor([-1.0, 2.0, 9.0]))
    Tensor([0., 2., 6.])
    """
    return np.minimum(np.maximum(x, 0), 6)


def _check_prelu(x: Array, weight: Array) -> None:
    channels = x.shape[1] if len(x.shape) > 1 else 1
    if len(weight.shape) > 1 or math.prod(weight.shape) not in (1, channels):
        raise ValueError(
            f"weight has shape {weight.shape}, but for x of shape {x.shape} there is one slope, (1,), or one for "
            f"each channel, ({channels},)"
        )


@op(
    check=_check_prelu,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([0.2])),
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=(2, 3, 2)), r.normal(size=3)),
        sample(r.normal(size=3), np.array(0.3)),
    ],
)
def prelu(x: Array, weight: Array) -> Array:
    """x where x > 0, else weight · x: a leaky rectifier whose slope is learned, one for all or one for each channel.

    At 0 the derivative by x is the weight, that by the weight 0. He, Zhang, Ren and Sun, arXiv:1502.01852.

    Args:
        x: (n, channels, ...), or for one slope any shape.
        weight: (1,) or (): one slope; (channels,): one for each channel.

    Raises:
        ValueError: so many slopes do not fit the channels.

    >>> import numpy as np, tapenet as tn
    >>> tn.prelu(tn.tensor([[-1.0, -1.0]]), np.array([0.1, 0.2]))
    Tensor([[-0.1, -0.2]])
    """
    one = math.prod(weight.shape) == 1
    return np.where(x > 0, x, np.reshape(weight, () if one else (-1, *(1,) * (len(x.shape) - 2))) * x)


@derived(
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), 0.1, 0.5, True, 3),
        sample(r.normal(size=4)),
    ]
)
def rrelu(
    x: Array,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    rng: np.random.Generator | int | None = None,
) -> Array:
    """x where x > 0, else a · x: in training the slope a is drawn anew for each element, evenly between `lower` and
    `upper`; else it is their middle. Xu, Wang, Chen and Li, arXiv:1505.00853.

    Args:
        x: an array of floats.
        lower, upper: the limits of the slope.
        training: whether to draw.
        rng: a generator or an integer to draw from; by default the generator that `tn.random.seed` seeds.

    Raises:
        ValueError: lower exceeds upper.

    >>> import tapenet as tn
    >>> tn.rrelu(tn.tensor([-1.0, 2.0]), 0.2, 0.4)
    Tensor([-0.3,  2. ])
    """
    if not lower <= upper:
        raise ValueError(f"rrelu: lower={lower} exceeds upper={upper}")
    x = array_like(x)
    if not training or lower == upper:
        out: Array = leaky_relu(x, (lower + upper) / 2)
        return out
    dtype = np.float64 if x.dtype.kind in "biu" else x.dtype
    return np.where(x > 0, x, uniform(lower, upper, x.shape, dtype, rng) * x)
