"""Attention: values looked up by comparing queries with keys; several heads of it; and positions, which it does not see
by itself."""

from __future__ import annotations

from tapenet.ops.layers.attention.product import (
    attention,
    attention_grad,
    attention_kept,
    attention_weights,
    scaled_dot_product_attention,
)

__all__ = [
    "attention",
    "attention_grad",
    "attention_kept",
    "attention_weights",
    "scaled_dot_product_attention",
]
