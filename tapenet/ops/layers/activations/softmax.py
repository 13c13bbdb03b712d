"""Softmax and its kin."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.elementwise.steps import stop_gradient
from tapenet.ops.layers.activations import machine
from tapenet.ops.layers.activations.common import over
from tapenet.ops.layers.activations.rows import row_dot, row_maximum, row_sum
from tapenet.ops.op import op
from tapenet.ops.random import random_draw
from tapenet.ops.reductions.sums import sum as _sum
from tapenet.ops.registry import sample

#: The lowest float, and one that vanishes beside 1, by dtype. With the first a maximum begins, so that in a row of
#: -inf alone -inf - maximum is -inf, not nan; with the second a sum of exponentials, so that there it is not 0.
LIMITS = {
    "e": (-65504.0, 6.2e-5),
    "f": (-3.4028234663852886e38, 1.2e-38),
    "d": (-1.7976931348623157e308, 2.3e-308),
    "g": (-1.7976931348623157e308, 2.3e-308),
}


def shifted(x: Any, axis: int) -> Any:
    """x - max, of integers as float64: an array of the caller's own, whose exponentials are finite whatever the row."""
    if x.dtype.char not in LIMITS:
        x = x.astype(np.float64)
    return x - row_maximum(x, axis, LIMITS[x.dtype.char][0])


def total(e: Any, axis: int) -> Any:
    """The sum of such exponentials, kept as an axis of length one; not 0 whatever the row."""
    return row_sum(e, axis, LIMITS[e.dtype.char][1])


def _axis_mend(x: Any, axis: Any) -> str:
    return f"x has {np.ndim(x)} axes; axis is one of them, an integer"


def _softmax(x: Any, axis: int = -1) -> Any:
    found = machine.rows("softmax", axis, x)
    if found is not None:
        return found
    e = over(np.exp, shifted(x, axis))
    e /= total(e, axis)
    return e


def _softmax_x(g: Any, out: Any, axis: int) -> Any:
    if type(g) is not np.ndarray or type(out) is not np.ndarray:
        return out * (g - _sum(g * out, axis, keepdims=True))
    found = machine.rows("softmax_grad", axis, g, out)
    if found is not None:
        return found
    found = g - row_dot(g, out, axis)
    found *= out
    return found


softmax = op(
    _softmax,
    name="softmax",
    x=_softmax_x,
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
    hint=_axis_mend,
)


def _log_softmax(x: Any, axis: int = -1) -> Any:
    found = machine.rows("log_softmax", axis, x)
    if found is not None:
        return found
    out = shifted(x, axis)
    out -= np.log(total(np.exp(out), axis))
    return out


def _log_softmax_x(g: Any, out: Any, axis: int) -> Any:
    if type(g) is not np.ndarray or type(out) is not np.ndarray:
        return g - np.exp(out) * _sum(g, axis, keepdims=True)
    found = machine.rows("log_softmax_grad", axis, g, out)
    if found is not None:
        return found
    found = np.exp(out)
    found *= row_sum(g, axis)
    return np.subtract(g, found, out=found)


log_softmax = op(
    _log_softmax,
    name="log_softmax",
    label="log softmax",
    x=_log_softmax_x,
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
    hint=_axis_mend,
)


@derived(samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=(2, 3)), 0)])
def softmin(x: Any, axis: int = -1) -> Any:
    """softmax(-x): positive numbers that sum to 1 along an axis, the largest where x is smallest.

    Args:
        x: an array of floats.
        axis: the axis that sums to 1.

    >>> import tapenet as tn
    >>> tn.softmin(tn.tensor([0.0, 0.0, 1000.0]))
    Tensor([0.5, 0.5, 0. ])
    """
    return softmax(-array_like(x), axis)


@derived(samples=lambda r: [sample(r.normal(size=(2, 3)), 0.7, rng=3), sample(r.normal(size=(2, 3)), axis=0, rng=3)])
def gumbel_softmax(logits: Any, tau: float = 1.0, hard: bool = False, axis: int = -1, rng: Any = None) -> Any:
    """A random sample of the Gumbel-softmax distribution: softmax((logits + noise) / tau), the noise drawn from the
    standard Gumbel distribution, so that the largest element is each class with the probability softmax(logits).

    Jang, Gu and Poole, arXiv:1611.01144; Maddison, Mnih and Teh, arXiv:1611.00712.

    Args:
        logits: scores, logarithms of probabilities that need not sum to 1.
        tau: the temperature; the lower, the closer to one-hot.
        hard: the result is one-hot, 1 at the largest element; its gradient is still that of the sample ("straight
            through").
        axis: the axis of classes.
        rng: a generator or an integer to draw from; by default the generator that `tn.random.seed` seeds.

    Raises:
        ValueError: tau is not positive.

    >>> import tapenet as tn
    >>> tn.gumbel_softmax(tn.tensor([0.0, 1000.0, 0.0]), hard=True)
    Tensor([0., 1., 0.])
    """
    if not tau > 0:
        raise ValueError(f"gumbel_softmax: tau={tau} must be positive")
    logits = array_like(logits)
    shape, dtype = logits.shape, logits.dtype
    native = np.float32 if dtype.itemsize <= 4 else np.float64
    # -ln of an exponential variable has the Gumbel distribution; one that is 0 counts as the smallest number.
    tiny = np.finfo(native).tiny
    noise = random_draw(
        lambda rng: -np.log(np.maximum(rng.standard_exponential(shape, native), tiny)).astype(dtype), rng
    )
    soft = softmax((logits + noise) * (1 / tau), axis)
    if not hard:
        return soft
    chosen = np.equal(np.arange(shape[axis]), np.expand_dims(np.argmax(soft, axis), -1))
    one_hot = np.moveaxis(chosen, -1, axis).astype(dtype)
    return soft + stop_gradient(one_hot - soft)  # exactly one-hot: 1 - p + p is 1 in floating point too
