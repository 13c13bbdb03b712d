"""Activation functions.

None of them warns or gives nan at large finite arguments, in the forward or in the rules. Masks multiply gradients
rather than choose with `np.where`: on a mask without pattern its branches cost ten times as much. `zmul(mask, g)`
keeps what `where` promises: where the mask is false the gradient is 0, also if an infinite one arrives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.derived import derived
from tapenet.ops.elementwise.basic import unary_samples, zmul
from tapenet.ops.elementwise.special import erf
from tapenet.ops.op import Op, op
from tapenet.ops.reductions.basic import sum as _sum
from tapenet.ops.registry import sample


def _activation(
    forward: Any, name: str, summary: str, details: str, example: str, samples: Any = None, **options: Any
) -> Op:
    doc = f"""{summary}, element by element.

    {details}

    >>> import tapenet as tn
    >>> tn.{example}
    """
    made: Op = op(forward, name=name, doc=doc, samples=unary_samples() if samples is None else samples, **options)
    made.__module__ = __name__
    return made


# -- rectifiers --------------------------------------------------------------------------------------------------

relu = _activation(
    lambda x: np.maximum(x, 0),
    "relu",
    "The rectifier max(x, 0)",
    "The derivative is 1 where x > 0, else 0 (also at 0).",
    "relu(tn.tensor([-1.0, 2.0]))\n    Tensor([0., 2.])",
    formula="max(x, 0)",
    gradients="x: g where x > 0, else 0",
    x=lambda g, out: zmul(out > 0, g),
)


def _leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    if 0 <= negative_slope <= 1:
        return np.maximum(x, x * negative_slope)
    return np.where(x > 0, x, x * negative_slope)


leaky_relu = _activation(
    _leaky_relu,
    "leaky_relu",
    "x where x > 0, else negative_slope · x",
    "The derivative is 1 where x > 0, else `negative_slope` (also at 0).",
    "leaky_relu(tn.tensor([-1.0, 2.0]), 0.1)\n    Tensor([-0.1,  2. ])",
    label=lambda negative_slope: f"leaky relu {negative_slope:g}",
    formula="x where x > 0, else negative_slope · x",
    gradients="x: g where x > 0, else g · negative_slope",
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.2), sample(r.normal(size=4), 1.5)],
    x=lambda g, x, negative_slope: g * ((x > 0).astype(g.dtype) * (1 - negative_slope) + negative_slope),
)


def _elu(x: Any, alpha: float = 1.0) -> Any:
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0))


def _elu_x(g: Any, x: Any, alpha: float) -> Any:
    slope = np.exp(np.minimum(x, 0))
    if alpha != 1:
        slope = slope * alpha + (x > 0).astype(g.dtype) * (1 - alpha)
    return g * slope


elu = _activation(
    _elu,
    "elu",
    "The exponential linear unit: x where x > 0, else alpha (e^x - 1)",
    "The derivative is 1 where x > 0, else alpha e^x. Clevert, Unterthiner and Hochreiter, arXiv:1511.07289.",
    "elu(tn.tensor([-1.0, 2.0]))\n    Tensor([-0.63212056,  2.        ])",
    label=lambda alpha: "elu" if alpha == 1 else f"elu {alpha:g}",
    formula="x where x > 0, else α · (eˣ − 1)",
    gradients="x: g where x > 0, else g · α · eˣ",
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.5), sample(r.normal(size=4), alpha=1.7)],
    x=_elu_x,
)


def _hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    if not min_val < max_val:
        raise ValueError(f"min_val={min_val} must be below max_val={max_val}")
    return np.minimum(np.maximum(x, min_val), max_val)


hardtanh = _activation(
    _hardtanh,
    "hardtanh",
    "x limited to [min_val, max_val]",
    "The derivative is 1 strictly inside the limits, else 0 (`tn.clip` has 1 at the limits too).",
    "hardtanh(tn.tensor([-2.0, 0.5, 3.0]))\n    Tensor([-1. ,  0.5,  1. ])",
    label=lambda min_val, max_val: (
        "hardtanh" if (min_val, max_val) == (-1, 1) else f"hardtanh {min_val:g} to {max_val:g}"
    ),
    formula="min(max(x, min_val), max_val)",
    gradients="x: g where min_val < x < max_val, else 0",
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), -0.2, 0.3)],
    x=lambda g, x, min_val, max_val: zmul((x > min_val) & (x < max_val), g),
)


@derived(samples=unary_samples())
def relu6(x: Any) -> Any:
    """min(max(x, 0), 6), element by element. The derivative is 1 where 0 < x < 6, else 0.

    >>> import tapenet as tn
    >>> tn.relu6(tn.tensor([-1.0, 2.0, 9.0]))
    Tensor([0., 2., 6.])
    """
    return hardtanh(x, 0.0, 6.0)


# -- logistic ----------------------------------------------------------------------------------------------------


def _sigmoid(x: Any) -> Any:
    # One formula is right on both sides: where exp overflows to inf the quotient is 0, as it should be.
    e = x * -1.0
    own = e if type(e) is np.ndarray else None  # a 0-d result is a NumPy scalar
    with np.errstate(over="ignore"):
        e = np.exp(e, out=own)
    e += 1
    return np.reciprocal(e, out=own)


sigmoid = _activation(
    _sigmoid,
    "sigmoid",
    "The logistic function 1 / (1 + e^-x)",
    "Accurate in both tails. The derivative is s (1 - s), with s the result.",
    "sigmoid(tn.tensor([0.0, -1000.0]))\n    Tensor([0.5, 0. ])",
    formula="1/(1 + e⁻ˣ)",
    gradients="x: g · out · (1 − out)",
    x=lambda g, out: g * (out * (1 - out)),
)


def _softplus(x: Any, beta: float = 1.0, threshold: float | None = None) -> Any:
    # Ten times as fast as np.logaddexp, which has no vector code, and as accurate.
    z = x if beta == 1 else x * beta
    out = np.log1p(np.exp(-np.abs(z)))
    out += np.maximum(z, 0)
    if beta != 1:
        out *= 1 / beta
    return out if threshold is None else np.where(z > threshold, x, out)


def _softplus_x(g: Any, x: Any, beta: float, threshold: float | None) -> Any:
    z = x if beta == 1 else x * beta
    slope = sigmoid(z)
    return g * (slope if threshold is None else np.where(z > threshold, 1, slope))


softplus = _activation(
    _softplus,
    "softplus",
    "ln(1 + e^(beta x)) / beta, a smooth rectifier",
    """Computed without overflow, so no `threshold` is needed; where one is given, the result is x itself beyond
    beta x > threshold, as in PyTorch (whose default of 20 changes it by 2e-9). The derivative is sigmoid(beta x).""",
    "softplus(tn.tensor([0.0, 1000.0]))\n    Tensor([6.93147181e-01, 1.00000000e+03])",
    formula="ln(1 + e^(βx))/β",
    gradients="x: g · σ(βx)",
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 2.0), sample(r.normal(size=4), 0.5, 0.3)],
    x=_softplus_x,
)


@derived(samples=unary_samples())
def logsigmoid(x: Any) -> Any:
    """ln sigmoid(x) = -softplus(-x), element by element, without overflow.

    >>> import tapenet as tn
    >>> tn.logsigmoid(tn.tensor([0.0]))
    Tensor([-0.69314718])
    """
    return -softplus(-x)


def _silu(x: Any) -> Any:
    s = _sigmoid(x)
    return x * s, s


silu = _activation(
    _silu,
    "silu",
    "x · sigmoid(x), also called swish",
    "The derivative is s (1 + x (1 - s)) with s = sigmoid(x). Ramachandran, Zoph and Le, arXiv:1710.05941.",
    "silu(tn.tensor([0.0, 1.0]))\n    Tensor([0.        , 0.73105858])",
    formula="x · σ(x)",
    gradients="x: g · s · (1 + x · (1 − s)), s = σ(x)",
    residuals=("s",),
    reference=lambda x: x * sigmoid(x),
    x=lambda g, out, s: g * (s + out * (1 - s)),
)


@derived(samples=unary_samples())
def mish(x: Any) -> Any:
    """x · tanh(softplus(x)), element by element. Misra, arXiv:1908.08681.

    >>> import tapenet as tn
    >>> tn.mish(tn.tensor([0.0, 1.0]))
    Tensor([0.        , 0.86509839])
    """
    return x * np.tanh(softplus(x))


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


# -- gelu --------------------------------------------------------------------------------------------------------

_ROOT = math.sqrt(0.5)
_TANH = math.sqrt(2 / math.pi)
_CUBIC = 0.044715 * _TANH


def _gelu_share(x: Any, approximate: str) -> Any:
    """The factor c of gelu(x) = x c: the normal distribution function, or its approximation."""
    if approximate == "none":
        return 0.5 * (1 + erf(x * _ROOT))
    if approximate == "tanh":
        return 0.5 * (1 + np.tanh(x * (_TANH + _CUBIC * x * x)))
    raise ValueError(f"approximate={approximate!r}: it is 'none' or 'tanh'")


def _gelu(x: Any, approximate: str = "none") -> Any:
    share = _gelu_share(x, approximate)
    return x * share, share


def _gelu_x(g: Any, x: Any, share: Any, approximate: str) -> Any:
    if approximate == "none":
        slope = np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
    else:
        slope = 2 * share * (1 - share) * (_TANH + 3 * _CUBIC * x * x)
    return g * (share + x * slope)


gelu = _activation(
    _gelu,
    "gelu",
    "The Gaussian error linear unit x Φ(x), Φ being the normal distribution function",
    """With approximate="tanh": 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))), several times as fast. The derivative of the
    exact form is Φ(x) + x φ(x), φ being the normal density. Hendrycks and Gimpel, arXiv:1606.08415.""",
    "gelu(tn.tensor([0.0, 1.0]))\n    Tensor([0.        , 0.84134475])",
    formula="x · Φ(x), Φ the normal distribution function",
    gradients="x: g · (Φ(x) + x · φ(x)), φ the normal density",
    samples=lambda r: [*unary_samples()(r), *(sample(*s.args, "tanh") for s in unary_samples()(r))],
    residuals=("share",),  # erf is dear: not computed twice
    reference=lambda x, approximate: x * _gelu_share(x, approximate),
    x=_gelu_x,
)

# -- softmax -----------------------------------------------------------------------------------------------------

#: The lowest float, and one that vanishes beside 1, by dtype. With the first a maximum begins, so that in a row of
#: -inf alone -inf - maximum is -inf, not nan; with the second a sum of exponentials, so that there it is not 0.
_LIMITS = {
    "e": (-65504.0, 6.2e-5),
    "f": (-3.4028234663852886e38, 1.2e-38),
    "d": (-1.7976931348623157e308, 2.3e-308),
    "g": (-1.7976931348623157e308, 2.3e-308),
}


def shifted_exp(x: Any, axis: int) -> tuple[Any, Any, Any]:
    """x - max, its exponential, and that one's sum (kept as an axis of length one), the last two finite and the sum not
    0 whatever the row. The three are the caller's to write in."""
    limits = _LIMITS.get(x.dtype.char)
    if limits is None:
        x = x.astype(np.float64)
        limits = _LIMITS["d"]
    shifted = x - np.maximum.reduce(x, axis, keepdims=True, initial=limits[0])
    e = np.exp(shifted)
    return shifted, e, np.add.reduce(e, axis, keepdims=True, initial=limits[1])


def _axis_mend(x: Any, axis: Any) -> str:
    return f"x has {np.ndim(x)} axes; axis is one of them, an integer"


def _softmax(x: Any, axis: int = -1) -> Any:
    _, e, total = shifted_exp(x, axis)
    e /= total
    return e


softmax = op(
    _softmax,
    name="softmax",
    x=lambda g, out, axis: out * (g - _sum(g * out, axis, keepdims=True)),
    formula="eˣ / Σ eˣ",
    gradients="x: out · (g − Σ g · out)",
    doc="""Exponentials divided by their sum along an axis: positive numbers that sum to 1.

    A row of -inf alone gives zeros, with zero gradients (PyTorch: nan), so that a fully masked row of attention
    contributes nothing. The gradient is s (g - Σ g s).

    Args:
        x: an array of floats.
        axis: the axis that sums to 1.

    Raises:
        ValueError: `axis` is not an axis of x.

    >>> import tapenet as tn
    >>> tn.softmax(tn.tensor([0.0, 0.0, -1000.0]))
    Tensor([0.5, 0.5, 0. ])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3, 2)), 1),
        sample(r.normal(size=3), axis=0),
    ],
    mend=_axis_mend,
)


def _log_softmax(x: Any, axis: int = -1) -> Any:
    shifted, _, total = shifted_exp(x, axis)
    shifted -= np.log(total)
    return shifted


log_softmax = op(
    _log_softmax,
    name="log_softmax",
    label="log softmax",
    x=lambda g, out, axis: g - np.exp(out) * _sum(g, axis, keepdims=True),
    formula="x − ln Σ eˣ",
    gradients="x: g − e^out · Σ g",
    doc="""The logarithm of softmax along an axis, x - logsumexp(x), without overflow.

    A row of -inf alone gives -inf, and its gradient is the one that arrives: finite. The gradient is
    g - softmax(x) Σ g.

    Args:
        x: an array of floats.
        axis: the axis along which the exponentials of the result sum to 1.

    Raises:
        ValueError: `axis` is not an axis of x.

    >>> import tapenet as tn
    >>> tn.log_softmax(tn.tensor([0.0, 0.0]))
    Tensor([-0.69314718, -0.69314718])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3, 2)), 1),
        sample(r.normal(size=3), axis=0),
    ],
    mend=_axis_mend,
)
