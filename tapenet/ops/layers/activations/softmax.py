"""Softmax and the like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.elementwise.steps import stop_gradient
from tapenet.ops.op import op
from tapenet.ops.random import random_draw
from tapenet.ops.registry import Sample, sample
from tapenet.ops.shapes.reshaping import floats

if TYPE_CHECKING:
    from tapenet.typing import Array

#: The lowest float, and one that vanishes beside 1, by dtype. The maximum of a row is no lower than the first, so that in a
#: row of -inf alone -inf - maximum is -inf, not nan; the sum of its exponentials no less than the second, so not 0.
LIMITS = {
    "e": (-65504.0, 6.2e-5),
    "f": (-3.4028234663852886e38, 1.2e-38),
    "d": (-1.7976931348623157e308, 2.3e-308),
    "g": (-1.7976931348623157e308, 2.3e-308),
}


def shifted(x: Array, axis: int) -> Array:
    """x - max, of integers as float64: its exponentials are finite whatever the row."""
    x = floats(x)
    out: Array = x - np.maximum.reduce(x, axis, keepdims=True, initial=LIMITS[x.dtype.char][0])
    return out


def total(e: Array, axis: int) -> Array:
    """The sum of such exponentials, kept as an axis of length one; not 0 whatever the row."""
    out: Array = np.maximum(np.add.reduce(e, axis, keepdims=True), LIMITS[e.dtype.char][1])
    return out


def _axis_hint(x: Array, axis: object) -> str:
    return f"x has {np.ndim(x)} axes; axis is one of them, an integer"


def _samples(r: np.random.Generator) -> list[Sample]:
    return [sample(r.normal(size=(2, 3))), sample(r.normal(size=(2, 3, 2)), 1), sample(r.normal(size=3), axis=0)]


@op(
    precision="wide",
    # By its result: the exponentials are not computed again.
    x=lambda g, out, axis: out * (g - np.add.reduce(g * out, axis, keepdims=True)),
    fuse=True,
    samples=_samples,
    hint=_axis_hint,
)
def softmax(x: Array, axis: int = -1) -> Array:
    """Exponentials divided by their sum along an axis: positive numbers that sum to 1.

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
    """
    e = np.exp(shifted(x, axis))
    return e * (1 / total(e, axis))


@op(
    precision="wide",
    label="log softmax",
    # By its result: the sum of the exponentials is not computed again.
    x=lambda g, out, axis: g - np.exp(out) * np.add.reduce(g, axis, keepdims=True),
    fuse=True,
    samples=_samples,
    hint=_axis_hint,
)
def log_softmax(x: Array, axis: int = -1) -> Array:
    """The logarithm of softmax along an axis, x - logsumexp(x), without overflow.

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
    """
    below = shifted(x, axis)
    return below - np.log(total(np.exp(below), axis))


@derived(samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=(2, 3)), 0)])
def softmin(x: Array, axis: int = -1) -> Array:
    """softmax(-x): positive numbers that sum to 1 along an axis, the largest where x is smallest.

    Args:
        x: an array of floats.
        axis: the axis that sums to 1.

    >>> import tapenet as tn
    >>> tn.softmin(tn.tensor([0.0, 0.0, 1000.0]))
    Tensor([0.5, 0.5, 0. ])
    """
    out: Array = softmax(-array_like(x), axis)
    return out


@derived(samples=lambda r: [sample(r.normal(size=(2, 3)), 0.7, rng=3), sample(r.normal(size=(2, 3)), axis=0, rng=3)])
def gumbel_softmax(
    logits: Array, tau: float = 1.0, hard: bool = False, axis: int = -1, rng: np.random.Generator | int | None = None
) -> Array:
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
    soft: Array = softmax((logits + noise) * (1 / tau), axis)
    if not hard:
        return soft
    chosen = np.equal(np.arange(shape[axis]), np.expand_dims(np.argmax(soft, axis), -1))
    one_hot = np.moveaxis(chosen, -1, axis).astype(dtype)
    out: Array = soft + stop_gradient(one_hot - soft)  # exactly one-hot: 1 - p + p is 1 in floating point too
    return out
