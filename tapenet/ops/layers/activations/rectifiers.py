"""Rectifiers: the identity above 0, another line below."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.layers.activations import machine
from tapenet.ops.layers.activations.common import documented, kept_where, negative_part, positive_part
from tapenet.ops.layers.activations.steps import hardtanh
from tapenet.ops.op import op
from tapenet.ops.random import uniform
from tapenet.ops.registry import sample


def _relu(x: Any) -> Any:
    found = machine.elementwise("relu", x)
    return positive_part(x) if found is None else found


def _relu_x(g: Any, out: Any) -> Any:
    found = machine.elementwise("relu_grad", g, out)
    return kept_where(out != 0, g) if found is None else found  # also where it is nan


relu = op(
    _relu,
    name="relu",
    formula="max(x, 0)",
    gradients="x: g where x > 0, else 0",
    x=_relu_x,
    samples=unary_samples(),
    doc=documented(
        "The rectifier max(x, 0)",
        "The derivative is 1 where x > 0, else 0 (also at 0); where x is nan it is 1, as in PyTorch.",
        "relu(tn.tensor([-1.0, 2.0]))\n    Tensor([0., 2.])",
    ),
)


def _leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    found = machine.elementwise("leaky_relu", x, numbers=(negative_slope,))
    if found is not None:
        return found
    if 0 <= negative_slope <= 1:
        return np.maximum(x, x * negative_slope)
    return np.where(x > 0, x, x * negative_slope)


def _leaky_relu_x(g: Any, x: Any, negative_slope: float) -> Any:
    found = machine.elementwise("leaky_relu_grad", g, x, numbers=(negative_slope,))
    if found is not None:
        return found
    return g * ((x > 0).astype(g.dtype) * (1 - negative_slope) + negative_slope)


leaky_relu = op(
    _leaky_relu,
    name="leaky_relu",
    label=lambda negative_slope: f"leaky relu {negative_slope:g}",
    formula="x where x > 0, else negative_slope · x",
    gradients="x: g where x > 0, else g · negative_slope",
    x=_leaky_relu_x,
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.2), sample(r.normal(size=4), 1.5)],
    doc=documented(
        "x where x > 0, else negative_slope · x",
        "The derivative is 1 where x > 0, else `negative_slope` (also at 0).",
        "leaky_relu(tn.tensor([-1.0, 2.0]), 0.1)\n    Tensor([-0.1,  2. ])",
    ),
)


@derived(samples=unary_samples())
def relu6(x: Any) -> Any:
    """min(max(x, 0), 6), element by element. The derivative is 1 where 0 < x < 6, else 0.

    >>> import tapenet as tn
    >>> tn.relu6(tn.tensor([-1.0, 2.0, 9.0]))
    Tensor([0., 2., 6.])
    """
    return hardtanh(x, 0.0, 6.0)


def _one(name: str, slope: Any, *arrays: Any) -> Any:
    """A leaky rectifier where the slope is one number."""
    if type(slope) is not np.ndarray or slope.ndim or slope.dtype != arrays[-1].dtype:
        return None
    return machine.elementwise(name, *arrays, numbers=(slope.item(),))


def _sloped_relu(x: Any, slope: Any) -> Any:
    found = _one("leaky_relu", slope, x)
    if found is not None:
        return found
    out = positive_part(x) + slope * negative_part(x)
    if out.shape != x.shape:
        raise ValueError(f"the slope of shape {slope.shape} does not broadcast to the shape of x, {x.shape}")
    return out


def _sloped_relu_x(g: Any, x: Any, slope: Any) -> Any:
    found = _one("leaky_relu_grad", slope, g, x)
    if found is not None:
        return found
    above = x > 0
    return kept_where(above, g) + kept_where(np.logical_not(above), g) * slope


sloped_relu = op(
    _sloped_relu,
    name="sloped_relu",
    label="prelu",
    broadcasts=True,
    formula="x where x > 0, else slope · x",
    gradients="x: g where x > 0, else g · slope; slope: g · min(x, 0)",
    x=_sloped_relu_x,
    slope=lambda g, x: g * negative_part(x),
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=4), r.uniform(size=4)),
        sample(r.normal(size=(2, 2)), np.array(0.3)),
    ],
    doc="""x where x > 0, else slope · x, element by element; the two broadcast.

    Args:
        x: an array of floats.
        slope: the slope below 0, an array that broadcasts to the shape of x.

    Returns:
        an array of the shape of x. At 0 the derivative by x is the slope, that by the slope 0.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.layers.activations.rectifiers import sloped_relu
    >>> sloped_relu(tn.tensor([-1.0, 2.0]), np.array([0.5, 0.5]))
    Tensor([-0.5,  2. ])
    """,
)


@derived(
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([0.2])),
        sample(r.normal(size=(2, 3)), r.normal(size=3)),
        sample(r.normal(size=(2, 3, 2)), r.normal(size=3)),
        sample(r.normal(size=3), np.array(0.3)),
    ]
)
def prelu(x: Any, weight: Any) -> Any:
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
    x, weight = array_like(x), array_like(weight)
    count = math.prod(weight.shape)
    channels = x.shape[1] if len(x.shape) > 1 else 1
    if len(weight.shape) > 1 or count not in (1, channels):
        raise ValueError(
            f"prelu: weight has shape {weight.shape}, but for x of shape {x.shape} there is one slope, (1,), or one for "
            f"each channel, ({channels},)"
        )
    if count == 1:
        return sloped_relu(x, np.reshape(weight, ()))
    return sloped_relu(x, np.reshape(weight, (-1, *(1,) * (len(x.shape) - 2))))


@derived(
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), 0.1, 0.5, True, 3),
        sample(r.normal(size=4)),
    ]
)
def rrelu(x: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, rng: Any = None) -> Any:
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
        return leaky_relu(x, (lower + upper) / 2)
    dtype = np.float64 if x.dtype.kind in "biu" else x.dtype
    return sloped_relu(x, uniform(lower, upper, x.shape, dtype, rng))
