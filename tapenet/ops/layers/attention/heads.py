"""Attention with several heads, between projections."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.layers.attention.product import attention_weights, scaled_dot_product_attention, usual_scale
from tapenet.ops.layers.dropout import dropout
from tapenet.ops.products.matmul import linear
from tapenet.ops.registry import Sample, sample
from tapenet.ops.shapes.reshaping import astype
from tapenet.typing import Array, DType

#: Who it is that errors come from.
_NAME = "multi_head_attention_forward"


def projected(
    inputs: list[Array], weight: Array | None, bias: Array | None, separate: Sequence[Array | None]
) -> list[Array]:
    """Queries, keys and values from the three inputs: by one weight, of which those that are the same array take one product
    together, or by three."""
    query, key, value = inputs
    if weight is None:
        biases = [None] * 3 if bias is None else np.split(bias, 3)
        return [linear(x, w, b) for x, w, b in zip(inputs, separate, biases, strict=True)]
    if query is key and key is value:
        return np.split(linear(query, weight, bias), 3, axis=-1)
    width = weight.shape[0] // 3
    if key is value:
        first, rest = (None, None) if bias is None else (bias[:width], bias[width:])
        both = np.split(linear(key, weight[width:], rest), 2, axis=-1)
        return [linear(query, weight[:width], first), *both]
    return projected(inputs, None, bias, np.split(weight, 3))


def _split_heads(x: Array, heads: int) -> Array:
    """(batch, length, width) as (batch, heads, length, width / heads), a view."""
    batch, length, width = x.shape
    return np.swapaxes(np.reshape(x, (batch, length, heads, width // heads)), 1, 2)


def _join_heads(x: Array) -> Array:
    batch, heads, length, width = x.shape
    return np.reshape(np.swapaxes(x, 1, 2), (batch, length, heads * width))


def merged_mask(
    attn_mask: Array | None,
    key_padding_mask: Array | None,
    future: Array | None,
    batch: int,
    heads: int,
    length: int,
    keys: int,
    more: int,
    dtype: DType,
) -> Array | None:
    """One mask for `scaled_dot_product_attention` from those in which True means left out, or whose floats are added; None
    if there are none. It has `more` columns, of keys that all queries see."""
    masks = []
    if attn_mask is not None:
        mask = array_like(attn_mask)
        if mask.shape == (batch * heads, length, keys):
            mask = np.reshape(mask, (batch, heads, length, keys))
        elif mask.shape != (length, keys):
            raise ValueError(
                f"{_NAME}: attn_mask has shape {mask.shape}; it must be (queries, keys), {(length, keys)}, or one such for "
                f"each sample and head, {(batch * heads, length, keys)}"
            )
        masks.append(("attn_mask", mask))
    if key_padding_mask is not None:
        mask = array_like(key_padding_mask)
        if batch == 1 and mask.shape == (keys,):
            mask = np.expand_dims(mask, 0)
        if mask.shape != (batch, keys):
            raise ValueError(
                f"{_NAME}: key_padding_mask has shape {mask.shape}; it must be (batch, keys), {(batch, keys)}"
            )
        masks.append(("key_padding_mask", np.reshape(mask, (batch, 1, 1, keys))))
    if future is not None:
        masks.append(("future", future))
    found: Array | None = None
    plain = all(mask.dtype.kind == "b" for _, mask in masks)
    for name, mask in masks:
        if mask.dtype.kind not in "bf":
            raise TypeError(
                f"{_NAME}: {name} holds {mask.dtype}; give booleans, True for what is left out, or floats to be added"
            )
        if plain:
            mask = np.logical_not(mask)
        elif mask.dtype.kind == "b":
            mask = np.where(mask, np.full((), -math.inf, dtype), np.zeros((), dtype))
        elif mask.dtype != dtype:
            mask = astype(mask, dtype)
        if found is None:
            found = mask
        else:
            found = np.logical_and(found, mask) if plain else found + mask
    if found is not None and more:
        seen = np.ones((*found.shape[:-1], more), bool) if plain else np.zeros((*found.shape[:-1], more), dtype)
        found = np.concatenate([found, seen], -1)
    return found


def _batch_first(query: Array, key: Array, value: Array, batch_first: bool) -> list[Array]:
    """The inputs as (batch, length, width), as views; what was one array stays one."""
    made: dict[int, Array] = {}
    for name, given in (("query", query), ("key", key), ("value", value)):
        if id(given) in made:
            continue
        x = array_like(given)
        if x.ndim not in (2, 3) or x.ndim != np.ndim(query):
            raise ValueError(
                f"{_NAME}: {name} has shape {x.shape} beside a query of shape {np.shape(query)}; both must be "
                f"{'(batch, length, width)' if batch_first else '(length, batch, width)'}, or both (length, width)"
            )
        if x.ndim == 2:
            x = np.expand_dims(x, 0)
        elif not batch_first:
            x = np.swapaxes(x, 0, 1)
        made[id(given)] = x
    found = [made[id(x)] for x in (query, key, value)]
    if not found[0].shape[0] == found[1].shape[0] == found[2].shape[0] or found[1].shape[1] != found[2].shape[1]:
        raise ValueError(
            f"{_NAME}: query {np.shape(query)}, key {np.shape(key)} and value {np.shape(value)} must have the same "
            "batch, key and value the same length"
        )
    return found


def _with_more(
    k: Array,
    v: Array,
    bias_k: Array | None,
    bias_v: Array | None,
    static_k: Array | None,
    static_v: Array | None,
    zeros: bool,
    heads: int,
) -> tuple[Array, Array, int]:
    """Keys and values by heads, and how many there are at the end that all queries see."""
    more = 0
    if bias_k is not None and bias_v is not None:
        shape = (k.shape[0], 1, k.shape[2])
        k = np.concatenate([k, np.broadcast_to(array_like(bias_k), shape)], 1)
        v = np.concatenate([v, np.broadcast_to(array_like(bias_v), shape)], 1)
        more += 1
    by_heads = (k.shape[0], heads, -1, k.shape[2] // heads)
    k = _split_heads(k, heads) if static_k is None else np.reshape(array_like(static_k), by_heads)
    v = _split_heads(v, heads) if static_v is None else np.reshape(array_like(static_v), by_heads)
    if zeros:
        nothing = np.zeros((*k.shape[:2], 1, k.shape[3]), k.dtype)
        k, v = np.concatenate([k, nothing], 2), np.concatenate([v, nothing], 2)
        more += 1
    return k, v, more


def _head_sample(r: np.random.Generator, **options: object) -> Sample:
    shapes = [(2, 1, 2), (3, 1, 2), (3, 1, 2)]
    weights: list[Array | None] = [r.normal(size=s) for s in ((6, 2), (6,), (1, 1, 2), (1, 1, 2))]
    if options.pop("plain", False):
        weights[1:] = [None, None, None]
    out_proj = r.normal(size=(2, 2)), r.normal(size=2)
    arrays = [r.normal(size=s) for s in shapes]
    return sample(*arrays, 2, 2, *weights, options.pop("zero", False), 0.0, *out_proj, **options)


@derived(
    samples=lambda r: [
        _head_sample(r, plain=True),
        _head_sample(r, zero=True, attn_mask=np.array([[True, False, False], [False, True, False]])),
    ]
)
def multi_head_attention_forward(
    query: Array,
    key: Array,
    value: Array,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Array,
    in_proj_bias: Array | None,
    bias_k: Array | None,
    bias_v: Array | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Array,
    out_proj_bias: Array | None,
    training: bool = True,
    key_padding_mask: Array | None = None,
    need_weights: bool = True,
    attn_mask: Array | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Array | None = None,
    k_proj_weight: Array | None = None,
    v_proj_weight: Array | None = None,
    static_k: Array | None = None,
    static_v: Array | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    batch_first: bool = False,
    rng: np.random.Generator | int | None = None,
) -> tuple[Array, Array | None]:
    """Attention with several heads: query, key and value are projected and cut into heads, each of which attends by itself;
    the results are put side by side and projected. Vaswani et al., arXiv:1706.03762, section 3.2.2. The computation of
    `nn.MultiheadAttention`, with PyTorch's arguments.

    Args:
        query: (L, batch, E), or (L, E) without a batch.
        key, value: (S, batch, K) and (S, batch, V), or likewise without a batch.
        embed_dim_to_check: E.
        num_heads: how many heads; they divide E.
        in_proj_weight: (3 E, E), the three projections below each other; with `use_separate_proj_weight` they are instead
            `q_proj_weight` (E, E), `k_proj_weight` (E, K) and `v_proj_weight` (E, V).
        in_proj_bias: (3 E,), or None.
        bias_k, bias_v: (1, 1, E), one more key and its value, which all queries see; or None.
        add_zero_attn: add a key and a value of zeros, which all queries see.
        dropout_p: probability with which each weight is dropped in `training`.
        out_proj_weight, out_proj_bias: (E, E) and (E,), of the last projection; the bias may be None.
        key_padding_mask: (batch, S), True for keys that are left out, or floats that are added to the scores.
        need_weights: return the weights too; without, the result takes less time and memory.
        attn_mask: (L, S) or (batch · heads, L, S), True for keys that the query does not see (in
            `scaled_dot_product_attention` it is the other way round), or floats that are added.
        static_k, static_v: (batch · heads, S, E / heads), used in place of the projected key and value.
        average_attn_weights: return the mean of the weights over the heads.
        is_causal: query i sees keys 0 to i only; holds beside the masks, and needs none.
        batch_first: the batch is the first axis of inputs and result.
        rng: a generator or an integer for dropout to draw from.

    Returns:
        the result, shaped like the query, and the weights (batch, L, S), or (batch, heads, L, S) without the mean; None if
        they are not needed. A query that sees no key has weights 0, where PyTorch with `need_weights` has nan.

    Raises:
        ValueError: the shapes do not fit.
        TypeError: a mask of integers.

    >>> import numpy as np, tapenet as tn
    >>> x = tn.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> in_proj, out_proj = np.concatenate([np.eye(2)] * 3), np.eye(2)
    >>> out, weights = tn.multi_head_attention_forward(
    ...     x, x, x, 2, 1, in_proj, None, None, None, False, 0.0, out_proj, None, is_causal=True)
    >>> weights.numpy().round(2)
    array([[1.  , 0.  ],
           [0.33, 0.67]])
    """
    inputs = _batch_first(query, key, value, batch_first)
    batch, length, width = inputs[0].shape
    if width != embed_dim_to_check or width % num_heads:
        raise ValueError(
            f"{_NAME}: query has vectors of {width}; they must be as long as embed_dim={embed_dim_to_check}, and divide into "
            f"{num_heads} heads"
        )
    together = None if use_separate_proj_weight else in_proj_weight
    q, k, v = projected(inputs, together, in_proj_bias, (q_proj_weight, k_proj_weight, v_proj_weight))
    q = _split_heads(q, num_heads)
    k, v, more = _with_more(k, v, bias_k, bias_v, static_k, static_v, add_zero_attn, num_heads)
    keys = k.shape[2] - more
    future = ~np.tri(length, keys, dtype=bool) if is_causal and more else None  # a key at the end all queries see
    is_causal = is_causal and not more
    mask = merged_mask(attn_mask, key_padding_mask, future, batch, num_heads, length, keys, more, q.dtype)
    p = dropout_p if training else 0.0
    weights: Array | None = None
    if need_weights:
        weights = attention_weights(q, k, mask, is_causal, usual_scale(q))
        if p > 0:
            weights = dropout(weights, p, rng=rng)
        out = np.matmul(weights, v)
    else:
        out = scaled_dot_product_attention(q, k, v, mask, p, is_causal, rng=rng)
    out = linear(_join_heads(out), out_proj_weight, out_proj_bias)
    if weights is not None and average_attn_weights:
        weights = weights.mean(1)
    if np.ndim(query) == 2:
        return out[0], None if weights is None else weights[0]
    return out if batch_first else np.swapaxes(out, 0, 1), weights
