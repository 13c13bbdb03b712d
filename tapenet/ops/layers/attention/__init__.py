"""Attention: values looked up by comparing queries with keys; several heads of it; and positions, which it does not see
by itself."""

from __future__ import annotations

from tapenet.ops.layers.attention.heads import multi_head_attention_forward
from tapenet.ops.layers.attention.positions import alibi_bias, rotary_embedding, sinusoidal_positions
from tapenet.ops.layers.attention.product import (
    attention,
    attention_grad,
    attention_kept,
    attention_weights,
    scaled_dot_product_attention,
)

__all__ = [
    "alibi_bias",
    "attention",
    "attention_grad",
    "attention_kept",
    "attention_weights",
    "multi_head_attention_forward",
    "rotary_embedding",
    "scaled_dot_product_attention",
    "sinusoidal_positions",
]
