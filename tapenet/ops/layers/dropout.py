"""Dropout: elements or whole channels are set to a fixed value at random, in training only.

All are one forward and one rule, and differ in how many elements share a draw, and in what a dropped element becomes.
The mask is kept as truths, a byte each. It is applied to the bits of the numbers: -1 has all bits set and 0 none, so
that `and` keeps a number or makes it 0, also an infinite one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.layers.activations.exponential import SELU_ALPHA, SELU_SCALE
from tapenet.ops.op import Op, op
from tapenet.ops.random import Chances, generator, probability
from tapenet.ops.registry import Samples, sample
from tapenet.typing import Array, Shape

#: The value of a dropped element in alpha dropout, where selu saturates, is -ALPHA.
ALPHA = SELU_SCALE * SELU_ALPHA


def _masked(x: Array, mask: Array, factor: float) -> Array:
    """x · factor where the mask is true, else 0."""
    if type(x) is not np.ndarray or type(mask) is not np.ndarray or x.dtype.char not in "efd":
        found: Array = safe_mul(mask, x * factor)
        return found
    whole = f"i{x.itemsize}"
    bits = np.negative(mask.view(np.int8)).astype(whole)
    if bits.shape == x.shape:
        bits &= x.view(whole)
    else:
        bits = np.bitwise_and(bits, x.view(whole), np.empty_like(x, whole))
    found = bits.view(x.dtype)
    found *= factor
    return found


def _numbers(p: float, alpha: bool) -> tuple[float, float, float]:
    """What a kept element is multiplied by, and what is added to kept and to dropped ones."""
    if p == 1:  # all are dropped: the factor does not matter, and 0 · inf would
        return 0.0, 0.0, 0.0
    if not alpha:
        return 1 / (1 - p), 0.0, 0.0
    a = 1 / math.sqrt((1 - p) * (1 + p * ALPHA**2))
    return a, a * ALPHA * p, a * ALPHA * (p - 1)


def _apply(x: Array, mask: Array, p: float, alpha: bool) -> Array:
    factor, kept, dropped = _numbers(p, alpha)
    out = _masked(x, mask, factor)
    if kept == dropped:
        return out
    shift = mask.astype(out.dtype) * (kept - dropped) + dropped
    return np.add(out, shift, out) if type(out) is np.ndarray else out + shift


def _member(name: str, mask_shape: Callable[[Shape], Shape], alpha: bool = False, **options: object) -> Op:
    """One of the family: `mask_shape` gives the shape of the draws, which broadcasts against that of x."""

    def read(
        x: Array, p: float, training: bool, rng: np.random.Generator | int | None, draw: Callable[..., Array]
    ) -> tuple[Array, Array | bool]:
        """The forward, also for a compiler: there the draw is one of the program's."""
        probability(p)
        shape = mask_shape(x.shape)
        if not training or p == 0:
            return x, True
        mask = draw(Chances(shape, p, False), rng, shape, np.bool_)  # true where an element is kept
        if isinstance(x, np.ndarray) and shape == x.shape and not x.flags.c_contiguous:
            # In the memory order of x, so that the result is too; which element gets which draw does not depend on it.
            mask, drawn = np.empty_like(x, np.bool_), mask
            mask[...] = drawn
        return _apply(x, mask, p, alpha), mask

    def forward(
        x: Array, p: float = 0.5, training: bool = True, rng: np.random.Generator | int | None = None
    ) -> tuple[Array, Array | bool]:
        return read(x, p, training, rng, lambda sample, rng, shape, dtype: sample(generator(rng)))

    def rule(g: Array, mask: Array, p: float, training: bool) -> Array:
        return _masked(g, mask, _numbers(p, alpha)[0]) if training and p > 0 else g

    title = name.replace("_", " ")
    made: Op = op(
        forward,
        name=name,
        label=lambda p, training: f"{title} {p:g}" if training else f"{title} off",
        x=rule,
        residuals=("mask",),
        random=True,
        lower=read,  # the draw is one of the program's
        **options,
    )
    made.__module__ = __name__
    return made


_ARGUMENTS = """p: probability of dropping.
        training: False: nothing happens.
        rng: a generator or an integer to draw from; by default the generator that `tn.random.seed` seeds."""

# -- elements and channels, set to 0 -----------------------------------------------------------------------------

dropout = _member(
    "dropout",
    lambda shape: shape,
    doc=f"""In training, each element is set to 0 with probability `p` and the others are divided by 1 - p, so that the
    mean stays; else `x` itself. Srivastava et al., JMLR 15 (2014).

    Args:
        x: an array of floats.
        {_ARGUMENTS}

    Raises:
        ValueError: `p` is not between 0 and 1.

    >>> import tapenet as tn
    >>> tn.dropout(tn.tensor([1.0, 2.0]), 0.5, training=False)
    Tensor([1., 2.])
    >>> tn.dropout(tn.tensor([1.0, 2.0]), p=1.0)
    Tensor([0., 0.])
    """,
    samples=lambda r: [
        sample(r.normal(size=(4, 3)), 0.4, rng=3),
        sample(r.normal(size=(2, 3)), 0.4, False),
        sample(r.normal(size=3), 0.0),
        sample(r.normal(size=3), 1.0),
        sample(r.normal(size=()), 0.2, rng=1),
    ],
)


def _channels(name: str, axes: int, words: str, samples: Samples) -> Op:
    """Dropout of whole channels of `axes` axes each."""
    wanted = {1: (2, 3), 2: (3, 4), 3: (4, 5)}[axes]

    def mask_shape(shape: Shape) -> Shape:
        if len(shape) not in wanted:
            raise ValueError(
                f"x has shape {shape}; it must have {wanted[0]} or {wanted[1]} axes, {words}; tn.dropout drops elements "
                "of any shape"
            )
        # As in PyTorch, an array of three axes given to dropout2d is a batch of signals.
        spatial = 1 if axes == 2 and len(shape) == 3 else axes
        return shape[:-spatial] + (1,) * spatial

    return _member(
        name,
        mask_shape,
        doc=f"""In training, each channel of each sample is set to 0 as a whole with probability `p` and the others are
    divided by 1 - p; else `x` itself. Neighbours in a channel are so alike that dropping single elements would change
    little: Tompson et al., arXiv:1411.4280.

    Args:
        x: {words}.
        {_ARGUMENTS}

    Raises:
        ValueError: `p` is not between 0 and 1, or x has another number of axes.

    >>> import numpy as np, tapenet as tn
    >>> out = tn.{name}(np.ones({(1, 5, *(2,) * axes)}), 0.5, rng=0)
    >>> sorted({{float(channel.min()) for channel in out[0]}} | {{float(channel.max()) for channel in out[0]}})
    [0.0, 2.0]
    """,
        samples=samples,
    )


dropout1d = _channels(
    "dropout1d",
    1,
    "(batch, channels, length) or without the batch",
    lambda r: [sample(r.normal(size=(2, 3, 2)), 0.4, rng=3), sample(r.normal(size=(3, 2)), 0.5, True, 1)],
)
dropout2d = _channels(
    "dropout2d",
    2,
    "(batch, channels, height, width) or (batch, channels, length)",
    lambda r: [sample(r.normal(size=(2, 3, 1, 2)), 0.4, rng=3), sample(r.normal(size=(2, 2, 2)), 0.4, False)],
)
dropout3d = _channels(
    "dropout3d",
    3,
    "(batch, channels, depth, height, width) or without the batch",
    lambda r: [sample(r.normal(size=(2, 3, 1, 2, 1)), 0.4, rng=3), sample(r.normal(size=(3, 1, 2, 2)), 1.0)],
)

# -- for networks of selu ----------------------------------------------------------------------------------------

_ALPHA_DETAILS = f"""with α = {ALPHA:.4f}, to which selu saturates, and a = 1/√((1 - p)(1 + p α²)), so that mean 0
    and variance 1 stay; with p = 1 all is 0. Else `x` itself. Klambauer et al., arXiv:1706.02515."""

alpha_dropout = _member(
    "alpha_dropout",
    lambda shape: shape,
    alpha=True,
    formula="a · (x where mask, else −α) + a · α · p, mask 0 with probability p",
    doc=f"""Dropout for networks of `selu`: in training, each element is set to -α with probability `p`, and then all become
    a · x + a · α · p, {_ALPHA_DETAILS}

    Args:
        x: an array of floats.
        {_ARGUMENTS}

    Raises:
        ValueError: `p` is not between 0 and 1.

    >>> import tapenet as tn
    >>> tn.alpha_dropout(tn.tensor([1.0, 2.0]), 0.5, training=False)
    Tensor([1., 2.])
    """,
    samples=lambda r: [
        sample(r.normal(size=(4, 3)), 0.4, rng=3),
        sample(r.normal(size=(2, 3)), 0.4, False),
        sample(r.normal(size=3), 1.0),
    ],
)


def _features(shape: Shape) -> Shape:
    if len(shape) < 2:
        raise ValueError(f"x has shape {shape}; it must be (batch, channels, ...), or use tn.alpha_dropout")
    return shape[:2] + (1,) * (len(shape) - 2)


feature_alpha_dropout = _member(
    "feature_alpha_dropout",
    _features,
    alpha=True,
    formula="a · (x where mask, else −α) + a · α · p, one mask per channel",
    doc=f"""Alpha dropout of whole channels: in training, each channel of each sample is set to -α as a whole with
    probability `p`, and then all become a · x + a · α · p, {_ALPHA_DETAILS}

    Args:
        x: (batch, channels, ...), floats.
        {_ARGUMENTS}

    Raises:
        ValueError: `p` is not between 0 and 1, or x has fewer than two axes.

    >>> import numpy as np, tapenet as tn
    >>> out = tn.feature_alpha_dropout(np.zeros((1, 4, 3)), 0.5, rng=0)
    >>> bool((out == out[..., :1]).all())
    True
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3, 2)), 0.4, rng=3), sample(r.normal(size=(2, 2)), 0.4, False)],
)
