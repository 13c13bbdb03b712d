"""Positions, which attention does not see by itself: as rotations of queries and keys, as waves added to the input, and as
a bias of the scores."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import derived
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike

# -- rotations ---------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def _frequencies(pairs: int, base: float) -> Array:
    """base^(-2i/d) for i = 0 ... d/2 - 1: how far each pair turns from one position to the next."""
    made = base ** (-np.arange(pairs) / pairs)
    made.flags.writeable = False
    return made


@functools.lru_cache(maxsize=64)
def _turns(offset: int, length: int, pairs: int, base: float, dtype: str) -> tuple[Array, Array]:
    """Cosine and sine of the angles at positions in a row, (length, pairs). Angles are float64: of position times
    frequency float32 keeps too few digits."""
    angles = np.arange(offset, offset + length)[:, None] * _frequencies(pairs, base)
    made = np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)
    for array in made:
        array.flags.writeable = False
    return made


def _rotation(
    x: Array, positions: Array | None, base: float, offset: int, axis: int, inverse: bool
) -> tuple[Array, Array]:
    """Check the arguments; cosine and sine, shaped to broadcast against either half of x."""
    if x.dtype.kind != "f":
        raise TypeError(f"x holds {x.dtype}; give floats: x.astype(np.float32)")
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ValueError(f"x has shape {x.shape}; it must be (..., length, dim) with an even dim, whose pairs turn")
    if not -x.ndim <= axis < x.ndim or axis % x.ndim == x.ndim - 1:
        raise ValueError(f"axis={axis}: of x {x.shape} it must be an axis but the last, that of the positions")
    axis %= x.ndim
    pairs = x.shape[-1] // 2
    if positions is None:
        cos, sin = _turns(offset, x.shape[axis], pairs, base, x.dtype.char)
        lead: tuple[int, ...] = ()
    else:
        lead = positions.shape[:-1]
        if len(lead) > axis or positions.shape != (*x.shape[: len(lead)], x.shape[axis]):
            raise ValueError(
                f"positions have shape {positions.shape}; for x {x.shape} they must be ({x.shape[axis]},), the length of "
                f"axis {axis}, with the first axes of x in front where these have positions of their own"
            )
        angles = np.expand_dims(positions + offset, -1) * _frequencies(pairs, base)
        cos, sin = np.astype(np.cos(angles), x.dtype), np.astype(np.sin(angles), x.dtype)
    shape = (*lead, *(1,) * (axis - len(lead)), x.shape[axis], *(1,) * (x.ndim - 2 - axis), pairs)
    cos, sin = np.reshape(cos, shape), np.reshape(sin, shape)
    return cos, -sin if inverse else sin


def _halves(x: Array, interleaved: bool) -> tuple[Array, Array]:
    """The first and the second of each pair."""
    if interleaved:
        return x[..., ::2], x[..., 1::2]
    pairs = x.shape[-1] // 2
    return x[..., :pairs], x[..., pairs:]


def _turned_back(
    g: Array, positions: Array | None, base: float, interleaved: bool, offset: int, axis: int, inverse: bool
) -> Array:
    return rotary_embedding(g, positions, base, interleaved, offset, axis, not inverse)


@op(
    nondiff=("positions",),
    label="rotary embedding",
    x=_turned_back,
    formula="(a cos φ − b sin φ, b cos φ + a sin φ) for each pair (a, b)",
    gradients="x: g turned back, by −φ",
    samples=lambda r: [
        sample(r.normal(size=(3, 4))),
        sample(r.normal(size=(2, 4)), np.array([3, 1]), 100.0, False),
        sample(r.normal(size=(2, 2, 1, 2)), np.array([[0, 1], [5, 4]]), offset=2, axis=1),
    ],
)
def rotary_embedding(
    x: Array,
    positions: Array | None = None,
    base: float = 10000.0,
    interleaved: bool = True,
    offset: int = 0,
    axis: int = -2,
    inverse: bool = False,
) -> Array:
    """Vectors whose pairs of elements are turned by angles that grow with the position: pair i at position t by
    φ = t · base^(-2i/dim). The product of a query and a key then depends on the difference of their positions. Su, Lu, Pan,
    Murtadha, Wen and Liu, arXiv:2104.09864.

    Args:
        x: (..., length, dim), queries or keys, with an even dim.
        positions: (length,), the positions; with the first axes of x in front, (batch, length), where these have positions
            of their own. By default 0 to length - 1. Without gradient.
        base: of the angles.
        interleaved: pairs are neighbours (x0, x1), (x2, x3), ... as in the paper and torchtune; False: the first half of
            the vector goes with the second, (x0, x[dim/2]), ... as in GPT-NeoX and Hugging Face's Llama.
        offset: added to the positions: how many came before, when generating piece by piece.
        axis: that of the positions.
        inverse: turn back.

    Returns:
        an array shaped like x.

    Raises:
        ValueError: an odd dim, or positions that do not fit.
        TypeError: x holds no floats.

    >>> import numpy as np, tapenet as tn
    >>> x = tn.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> tn.rotary_embedding(x).numpy().round(4)
    array([[1.    , 0.    ],
           [0.5403, 0.8415]])
    """
    cos, sin = _rotation(x, positions, base, offset, axis, inverse)
    a, b = _halves(x, interleaved)
    turned = [a * cos - b * sin, b * cos + a * sin]
    return np.reshape(np.stack(turned, -1), x.shape) if interleaved else np.concatenate(turned, -1)


# -- waves -------------------------------------------------------------------------------------------------------


@derived(nondiff=True, samples=lambda r: [sample(3, 4), sample(2, 5, 1, 100.0, np.float64)])
def sinusoidal_positions(
    length: int, dim: int, offset: int = 0, base: float = 10000.0, dtype: DTypeLike = np.float32
) -> Array:
    """A vector for each position t, of waves of growing length: sin(t / base^(2i/dim)) in place 2i, the cosine of the same
    in place 2i + 1. Vaswani et al., arXiv:1706.03762, section 3.5.

    Args:
        length: how many positions.
        dim: length of the vectors.
        offset: the first position.
        base: the longest wave is 2π · base.
        dtype: of the result.

    Returns:
        (length, dim), a plain array.

    >>> import tapenet as tn
    >>> tn.sinusoidal_positions(2, 4).round(2)
    array([[0.  , 1.  , 0.  , 1.  ],
           [0.84, 0.54, 0.01, 1.  ]], dtype=float32)
    """
    angles = np.arange(offset, offset + length)[:, None] * base ** (-np.arange(0, dim, 2) / dim)
    made = np.empty((length, dim), dtype)
    made[:, ::2] = np.sin(angles)
    made[:, 1::2] = np.cos(angles[:, : dim // 2])
    return made


# -- bias --------------------------------------------------------------------------------------------------------


def _slopes(heads: int) -> Array:
    """2^(-8 (i + 1) / n) for n heads; if n is no power of two, those of the power below and every other of the next."""
    power = 2 ** int(math.log2(heads))
    steps = [*np.arange(1, power + 1) / power, *np.arange(1, 2 * (heads - power), 2) / (2 * power)]
    return 2.0 ** (-8.0 * np.array(steps))


@derived(nondiff=True, samples=lambda r: [sample(2, 3), sample(3, 1, 3, np.float64)])
def alibi_bias(num_heads: int, length: int, key_length: int | None = None, dtype: DTypeLike = np.float32) -> Array:
    """What ALiBi adds to the scores of attention: minus the distance between query and key times a slope for each head,
    2^(-8i/n) for head i = 1 ... n. Press, Smith and Lewis, arXiv:2108.12409.

    Args:
        num_heads: n. If it is no power of two, the slopes are those of the power below, and then every other one of the
            power above.
        length: number of queries.
        key_length: number of keys; the queries are at the last of their positions. By default as many.
        dtype: of the result.

    Returns:
        (num_heads, length, key_length), a plain array: an `attn_mask`, which may be used with `is_causal=True`.

    Raises:
        ValueError: no heads, or fewer keys than queries.

    >>> import tapenet as tn
    >>> tn.alibi_bias(2, 1, 3)
    array([[[-0.125     , -0.0625    ,  0.        ]],
    <BLANKLINE>
           [[-0.0078125 , -0.00390625,  0.        ]]], dtype=float32)
    """
    if num_heads < 1:
        raise ValueError(f"alibi_bias: num_heads={num_heads}; give one or more")
    keys = length if key_length is None else key_length
    if keys < length:
        raise ValueError(f"alibi_bias: {length} queries at the last of {keys} keys; give key_length={length} or more")
    positions = np.arange(keys)
    behind = -np.abs(positions[keys - length :, None] - positions)
    return (_slopes(num_heads)[:, None, None] * behind).astype(dtype)  # type: ignore[no-any-return]
