"""Activations made of the logistic function, and other smooth ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.derived import derived
from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats

if TYPE_CHECKING:
    from tapenet.typing import Array


@op(
    # By its result, which spares the second exponential.
    x=lambda g, out: g * (out * (1 - out)),
    fuse=True,
    samples=unary_samples(),
)
def sigmoid(x: Array) -> Array:
    """The logistic function 1 / (1 + e^-x), element by element.

    Accurate in both tails. The derivative is s (1 - s), with s the result.

    >>> import tapenet as tn
    >>> tn.sigmoid(tn.tensor([0.0, -1000.0]))
    Tensor([0.5, 0. ])
    """
    # One formula is right on both sides: where exp overflows to inf the quotient is 0, as it should be.
    with np.errstate(over="ignore"):
        out: Array = np.reciprocal(np.exp(-floats(x)) + 1)
        return out


def _check_beta(beta: float) -> None:
    if beta == 0:
        raise ValueError("beta=0 divides: give another number")


def _softplus_x(g: Array, x: Array, out: Array, beta: float, threshold: float | None) -> Array:
    """σ(βx), by the result, which spares an exponential and a logarithm."""
    slope = -g * np.expm1(-out if beta == 1 else out * -beta)
    return slope if threshold is None else np.where(x * beta > threshold, g, slope)


@op(
    x=_softplus_x,
    fuse=True,
    check=_check_beta,
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 2.0), sample(r.normal(size=4), 0.5, 0.3)],
)
def softplus(x: Array, beta: float = 1.0, threshold: float | None = None) -> Array:
    """ln(1 + e^(beta x)) / beta, a smooth rectifier, element by element.

    Computed without overflow, so no `threshold` is needed; where one is given, the result is x itself beyond
    beta x > threshold, as in PyTorch (whose default of 20 changes it by 2e-9). The derivative is sigmoid(beta x).

    >>> import tapenet as tn
    >>> tn.softplus(tn.tensor([0.0, 1000.0]))
    Tensor([6.93147181e-01, 1.00000000e+03])
    """
    x = floats(x)
    z = x if beta == 1 else x * beta
    # Ten times as fast as np.logaddexp, which has no vector code, and as accurate.
    out = np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0)
    if beta != 1:
        out = out * (1 / beta)
    return out if threshold is None else np.where(z > threshold, x, out)


@op(
    # By its result, which spares an exponential and a logarithm.
    x=lambda g, out: -g * np.expm1(out),
    fuse=True,
    samples=unary_samples(),
)
def logsigmoid(x: Array) -> Array:
    """ln sigmoid(x) = -softplus(-x), without overflow, element by element.

    The derivative is sigmoid(-x) = 1 - e^out.

    >>> import tapenet as tn
    >>> tn.logsigmoid(tn.tensor([0.0]))
    Tensor([-0.69314718])
    """
    x = floats(x)
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


@op(samples=unary_samples())
def silu(x: Array) -> Array:
    """x · sigmoid(x), also called swish, element by element.

    The derivative is s (1 + x (1 - s)) with s = sigmoid(x). Ramachandran, Zoph and Le, arXiv:1710.05941.

    >>> import tapenet as tn
    >>> tn.silu(tn.tensor([0.0, 1.0]))
    Tensor([0.        , 0.73105858])
    """
    out: Array = x * sigmoid(x)
    return out


#: Beyond this e^x (e^x + 2) + 2 differs from e^x (e^x + 2) by nothing in float64.
_MISH_LIMIT = 20.0


@op(
    formula="x · tanh(ln(1 + eˣ))",
    samples=unary_samples(),
)
def mish(x: Array) -> Array:
    """x · tanh(softplus(x)), element by element.

    Computed with one exponential: tanh(ln(1 + e)) = w / (w + 2) with w = e (e + 2), e = e^x. The derivative is
    w / (w + 2) + 4 x e (e + 1) / (w + 2)². Misra, arXiv:1908.08681.

    >>> import tapenet as tn
    >>> tn.mish(tn.tensor([0.0, 1.0]))
    Tensor([0.        , 0.86509839])
    """
    e = np.exp(np.minimum(x, _MISH_LIMIT))
    w = e * (e + 2)
    out: Array = x * (w / (w + 2))
    return out


def _check_halves(x: Array, axis: int) -> None:
    axis = normalize_axis_index(axis, len(x.shape))
    if x.shape[axis] % 2:
        raise ValueError(f"axis {axis} of x {x.shape} is halved, but its length {x.shape[axis]} is odd")


@op(
    check=_check_halves,
    label="glu",
    formula="a · σ(b), a and b the halves of x",
    samples=lambda r: [
        sample(r.normal(size=(2, 4))),
        sample(r.normal(size=(2, 2, 2)), 1),
        sample(r.normal(size=4), axis=0),
    ],
)
def glu(x: Array, axis: int = -1) -> Array:
    """The gated linear unit: the first half of x along an axis times the sigmoid of the second.

    Dauphin, Fan, Auli and Grangier, arXiv:1612.08083.

    Args:
        x: an array of floats.
        axis: the axis that is halved.

    Raises:
        ValueError: its length is odd, or `axis` is not an axis of x.

    >>> import tapenet as tn
    >>> tn.glu(tn.tensor([1.0, 2.0, 0.0, 1000.0]))
    Tensor([0.5, 2. ])
    """
    half = x.shape[axis] // 2
    before = (slice(None),) * normalize_axis_index(axis, len(x.shape))
    out: Array = x[(*before, slice(half))] * sigmoid(x[(*before, slice(half, None))])
    return out


@derived(samples=unary_samples())
def softsign(x: Array) -> Array:
    """x / (1 + |x|), element by element.

    >>> import tapenet as tn
    >>> tn.softsign(tn.tensor([1.0]))
    Tensor([0.5])
    """
    out: Array = x / (1 + np.abs(x))
    return out


@derived(samples=unary_samples())
def tanhshrink(x: Array) -> Array:
    """x - tanh(x), element by element.

    >>> import tapenet as tn
    >>> tn.tanhshrink(tn.tensor([0.0]))
    Tensor([0.])
    """
    return x - np.tanh(x)
