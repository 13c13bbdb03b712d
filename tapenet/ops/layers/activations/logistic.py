"""Activations made of the logistic function, and other smooth ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.derived import derived
from tapenet.ops.elementwise.blocks import blockwise
from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.layers.activations import machine
from tapenet.ops.layers.activations.common import at_most, documented, negative_part, over, positive_part
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats


def _sigmoid(x: Any) -> Any:
    found = machine.elementwise("sigmoid", x)
    return _sigmoid_in_blocks(x) if found is None else found


@blockwise(1)
def _sigmoid_in_blocks(x: Any) -> Any:
    # One formula is right on both sides: where exp overflows to inf the quotient is 0, as it should be.
    with np.errstate(over="ignore"):
        e = over(np.exp, x * -1.0)
    e += 1
    return over(np.reciprocal, e)


def _sigmoid_x(g: Any, out: Any) -> Any:
    found = machine.elementwise("sigmoid_grad", g, out)
    return _sigmoid_x_in_blocks(g, out) if found is None else found


@blockwise(2)
def _sigmoid_x_in_blocks(g: Any, out: Any) -> Any:
    return g * (out * (1 - out))


sigmoid = op(
    _sigmoid,
    name="sigmoid",
    formula="1/(1 + e⁻ˣ)",
    gradients="x: g · out · (1 − out)",
    x=_sigmoid_x,
    samples=unary_samples(),
    doc=documented(
        "The logistic function 1 / (1 + e^-x)",
        "Accurate in both tails. The derivative is s (1 - s), with s the result.",
        "sigmoid(tn.tensor([0.0, -1000.0]))\n    Tensor([0.5, 0. ])",
    ),
)


@blockwise(1)
def _softplus(x: Any, beta: float = 1.0, threshold: float | None = None) -> Any:
    # Ten times as fast as np.logaddexp, which has no vector code, and as accurate.
    if beta == 0:
        raise ValueError("beta=0 divides: give another number")
    x = floats(x)
    z = x if beta == 1 else x * beta
    out = over(np.log1p, over(np.exp, -np.abs(z)))
    out += positive_part(z)
    if beta != 1:
        out *= 1 / beta
    return out if threshold is None else np.where(z > threshold, x, out)


@blockwise(2)
def _softplus_x(g: Any, x: Any, beta: float, threshold: float | None) -> Any:
    z = x if beta == 1 else x * beta
    slope = sigmoid(z)
    return g * (slope if threshold is None else np.where(z > threshold, 1, slope))


softplus = op(
    _softplus,
    name="softplus",
    formula="ln(1 + e^(βx))/β",
    gradients="x: g · σ(βx)",
    x=_softplus_x,
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 2.0), sample(r.normal(size=4), 0.5, 0.3)],
    doc=documented(
        "ln(1 + e^(beta x)) / beta, a smooth rectifier",
        """Computed without overflow, so no `threshold` is needed; where one is given, the result is x itself beyond
    beta x > threshold, as in PyTorch (whose default of 20 changes it by 2e-9). The derivative is sigmoid(beta x).""",
        "softplus(tn.tensor([0.0, 1000.0]))\n    Tensor([6.93147181e-01, 1.00000000e+03])",
    ),
)


@blockwise(1)
def _logsigmoid(x: Any) -> Any:
    x = floats(x)
    return negative_part(x) - over(np.log1p, over(np.exp, -np.abs(x)))


logsigmoid = op(
    _logsigmoid,
    name="logsigmoid",
    formula="ln σ(x)",
    gradients="x: g · (1 − e^out)",
    x=blockwise(2)(lambda g, out: -g * np.expm1(out)),
    samples=unary_samples(),
    doc=documented(
        "ln sigmoid(x) = -softplus(-x), without overflow",
        "The derivative is sigmoid(-x) = 1 - e^out.",
        "logsigmoid(tn.tensor([0.0]))\n    Tensor([-0.69314718])",
    ),
)


@blockwise(1)
def _silu(x: Any) -> Any:
    s = _sigmoid(x)
    return x * s, s


@blockwise(3)
def _silu_x(g: Any, x: Any, s: Any) -> Any:
    # From x rather than from the result, which in a low type is rounded: where the slope is near 0 its terms cancel.
    return ((1 - s) * x + 1) * s * g


silu = op(
    _silu,
    name="silu",
    formula="x · σ(x)",
    gradients="x: g · s · (1 + x · (1 − s)), s = σ(x)",
    residuals=("s",),
    reference=lambda x: x * sigmoid(x),
    x=_silu_x,
    samples=unary_samples(),
    doc=documented(
        "x · sigmoid(x), also called swish",
        "The derivative is s (1 + x (1 - s)) with s = sigmoid(x). Ramachandran, Zoph and Le, arXiv:1710.05941.",
        "silu(tn.tensor([0.0, 1.0]))\n    Tensor([0.        , 0.73105858])",
    ),
)

#: Beyond this e^x (e^x + 2) + 2 differs from e^x (e^x + 2) by nothing in float64.
_MISH_LIMIT = 20.0


@blockwise(1)
def _mish(x: Any) -> Any:
    e = over(np.exp, at_most(x, _MISH_LIMIT))
    w = e + 2
    w *= e
    w /= w + 2
    w *= x
    return w, e


@blockwise(3)
def _mish_x(g: Any, x: Any, e: Any) -> Any:
    w = (e + 2) * e
    d = w + 2
    # One expression, so that NumPy works over its first part. Of a large x the first term is 0: e does not grow with it.
    return ((e + 1) / d * e * at_most(x, _MISH_LIMIT) * 4 + w) / d * g


mish = op(
    _mish,
    name="mish",
    formula="x · tanh(ln(1 + eˣ))",
    gradients="x: g · (t + x · (1 − t²) · σ(x)), t = tanh(ln(1 + eˣ))",
    residuals=("e",),  # for its rule; what is beyond the limit counts as the limit there too
    reference=lambda x: x * np.tanh(softplus(x)),
    x=_mish_x,
    samples=unary_samples(),
    doc=documented(
        "x · tanh(softplus(x))",
        """Computed with one exponential: tanh(ln(1 + e)) = w / (w + 2) with w = e (e + 2), e = e^x. The derivative is
    w / (w + 2) + 4 x e (e + 1) / (w + 2)². Misra, arXiv:1908.08681.""",
        "mish(tn.tensor([0.0, 1.0]))\n    Tensor([0.        , 0.86509839])",
    ),
)


def _halves(x: Any, axis: int) -> tuple[Any, Any]:
    axis = normalize_axis_index(axis, len(x.shape))
    length = x.shape[axis]
    if length % 2:
        raise ValueError(f"axis {axis} of x {x.shape} is halved, but its length {length} is odd")
    before = (slice(None),) * axis
    return x[(*before, slice(length // 2))], x[(*before, slice(length // 2, None))]


def _glu(x: Any, axis: int = -1) -> Any:
    a, b = _halves(x, axis)
    s = _sigmoid(b)
    return a * s, s


def _glu_reference(x: Any, axis: int) -> Any:
    a, b = _halves(x, axis)
    return a * sigmoid(b)


glu = op(
    _glu,
    name="glu",
    label="glu",
    formula="a · σ(b), a and b the halves of x",
    gradients="x: g · σ(b) for a, g · out · (1 − σ(b)) for b",
    residuals=("s",),
    reference=_glu_reference,
    x=lambda g, out, s, axis: np.concatenate([g * s, g * (out * (1 - s))], axis),
    samples=lambda r: [
        sample(r.normal(size=(2, 4))),
        sample(r.normal(size=(2, 2, 2)), 1),
        sample(r.normal(size=4), axis=0),
    ],
    doc="""The gated linear unit: the first half of x along an axis times the sigmoid of the second.

    Dauphin, Fan, Auli and Grangier, arXiv:1612.08083.

    Args:
        x: an array of floats.
        axis: the axis that is halved.

    Raises:
        ValueError: its length is odd, or `axis` is not an axis of x.

    >>> import tapenet as tn
    >>> tn.glu(tn.tensor([1.0, 2.0, 0.0, 1000.0]))
    Tensor([0.5, 2. ])
    """,
)


@derived(samples=unary_samples())
def softsign(x: Any) -> Any:
    """x / (1 + |x|), element by element.

    >>> import tapenet as tn
    >>> tn.softsign(tn.tensor([1.0]))
    Tensor([0.5])
    """
    return x / (1 + np.abs(x))


@derived(samples=unary_samples())
def tanhshrink(x: Any) -> Any:
    """x - tanh(x), element by element.

    >>> import tapenet as tn
    >>> tn.tanhshrink(tn.tensor([0.0]))
    Tensor([0.])
    """
    return x - np.tanh(x)
