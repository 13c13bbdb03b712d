"""Attention with several heads, between projections."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.layers.attention.product import attention_weights, scaled_dot_product_attention
from tapenet.ops.layers.dropout import dropout
from tapenet.ops.products.basic import linear
from tapenet.ops.registry import sample


def projected(
    query: Any, key: Any, value: Any, weight: Any, bias: Any, separate: tuple[Any, Any, Any] | None
) -> list[Any]:
    """Queries, keys and values from the three inputs; those that are the same array take one product together."""
    if separate is not None:
        biases = [None] * 3 if bias is None else np.split(bias, 3)
        return [linear(x, w, b) for x, w, b in zip((query, key, value), separate, biases, strict=True)]
    if query is key and key is value:
        return np.split(linear(query, weight, bias), 3, axis=-1)
    width = weight.shape[0] // 3
    if key is value:
        first, rest = (None, None) if bias is None else (bias[:width], bias[width:])
        both = np.split(linear(key, weight[width:], rest), 2, axis=-1)
        return [linear(query, weight[:width], first), *both]
    weights = np.split(weight, 3)
    return projected(query, key, value, None, bias, (weights[0], weights[1], weights[2]))


def _split_heads(x: Any, heads: int) -> Any:
    """(batch, length, width) as (batch, heads, length, width / heads), a view."""
    batch, length, width = x.shape
    return np.swapaxes(np.reshape(x, (batch, length, heads, width // heads)), 1, 2)


def _join_heads(x: Any) -> Any:
    batch, heads, length, width = x.shape
    return np.reshape(np.swapaxes(x, 1, 2), (batch, length, heads * width))


def merged_mask(
    attn_mask: Any, key_padding_mask: Any, batch: int, heads: int, length: int, keys: int, more: int, dtype: Any
) -> Any:
    """One mask for `scaled_dot_product_attention` from two in which True means left out, or whose floats are added; None
    if there are none. It has `more` columns, of keys that all queries see."""
    masks = []
    if attn_mask is not None:
        mask = array_like(attn_mask)
        if mask.shape == (batch * heads, length, keys):
            mask = np.reshape(mask, (batch, heads, length, keys))
        elif mask.shape != (length, keys):
            raise ValueError(
                f"attn_mask has shape {mask.shape}; it must be (queries, keys), {(length, keys)}, or one such for each "
                f"sample and head, {(batch * heads, length, keys)}"
            )
        masks.append(("attn_mask", mask))
    if key_padding_mask is not None:
        mask = array_like(key_padding_mask)
        if mask.shape != (batch, keys):
            raise ValueError(f"key_padding_mask has shape {mask.shape}; it must be (batch, keys), {(batch, keys)}")
        masks.append(("key_padding_mask", np.reshape(mask, (batch, 1, 1, keys))))
    found: Any = None
    plain = all(mask.dtype.kind == "b" for _, mask in masks)
    for name, mask in masks:
        if mask.dtype.kind not in "bf":
            raise TypeError(f"{name} holds {mask.dtype}; give booleans, True for what is left out, or floats to be added")
        if mask.dtype.kind == "b" and not plain:
            mask = np.where(mask, np.full((), -math.inf, dtype), np.zeros((), dtype))
        elif plain:
            mask = np.logical_not(mask)
        if found is None:
            found = mask
        else:
            found = np.logical_and(found, mask) if plain else found + mask
    if found is not None and more:
        seen = np.ones((*found.shape[:-1], more), bool) if plain else np.zeros((*found.shape[:-1], more), dtype)
        found = np.concatenate([found, seen], -1)
    return found


def multi_head(
    query: Any,
    key: Any,
    value: Any,
    num_heads: int,
    projections: list[Any],
    out_proj_weight: Any,
    out_proj_bias: Any,
    bias_k: Any = None,
    bias_v: Any = None,
    add_zero_attn: bool = False,
    dropout_p: float = 0.0,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    rng: Any = None,
) -> tuple[Any, Any]:
    """Attention with several heads on (batch, length, width) inputs. `projections` are `weight`, `bias` and `separate` of
    `projected`; the other arguments are those of `multi_head_attention_forward`."""
    batch, length, _ = query.shape
    q, k, v = projected(query, key, value, *projections)
    if q.shape[-1] % num_heads:
        raise ValueError(f"the width {q.shape[-1]} does not divide into {num_heads} heads")
    more = 0
    if bias_k is not None:
        shape = (batch, 1, q.shape[-1])
        k = np.concatenate([k, np.broadcast_to(bias_k, shape)], 1)
        v = np.concatenate([v, np.broadcast_to(bias_v, shape)], 1)
        more += 1
    q, k, v = (_split_heads(x, num_heads) for x in (q, k, v))
    if static_k is not None:
        k = np.reshape(static_k, (batch, num_heads, -1, q.shape[-1]))
    if static_v is not None:
        v = np.reshape(static_v, (batch, num_heads, -1, q.shape[-1]))
    if add_zero_attn:
        zeros = np.zeros((batch, num_heads, 1, q.shape[-1]), q.dtype)
        k, v = np.concatenate([k, zeros], 2), np.concatenate([v, zeros], 2)
        more += 1
    mask = merged_mask(
        attn_mask, key_padding_mask, batch, num_heads, length, k.shape[2] - more, more, q.dtype
    )
    if is_causal and more:  # the keys that were added are seen by all
        past = np.concatenate([np.tri(length, k.shape[2] - more, dtype=bool), np.ones((length, more), bool)], 1)
        if mask is None:
            mask = past
        elif mask.dtype.kind == "b":
            mask = np.logical_and(mask, past)
        else:
            mask = np.where(past, mask, -math.inf)
        is_causal = False
    if not need_weights:
        out = scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal, rng=rng)
        return linear(_join_heads(out), out_proj_weight, out_proj_bias), None
    weights = attention_weights(q, k, mask, is_causal, None)
    if dropout_p:
        weights = dropout(weights, dropout_p, rng=rng)
    out = linear(_join_heads(np.matmul(weights, v)), out_proj_weight, out_proj_bias)
    return out, np.mean(weights, 1) if average_attn_weights else weights
