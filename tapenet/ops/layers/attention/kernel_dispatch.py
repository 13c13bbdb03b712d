"""Attention in machine code, where there is a kernel that pays: None where there is not."""

from __future__ import annotations

import math
from types import ModuleType

from tapenet import kernels
from tapenet.typing import Array

#: Multiply-adds from which a kernel is quicker than NumPy: 8 heads of 16 vectors of 64 numbers (260,000) with gradients take
#: 1.27 times as long by it, 32 heads of 16 of 32 (520,000) 0.76 forward and 1.0 with gradients. Up to them compiled programs
#: compute the formula: of these 8 heads, with a mask and gradients, in 49 µs, which are 53 by a kernel and 196 in NumPy.
WORTH = 500_000


def worth(causal: bool) -> int:
    """`WORTH`, counting all scores, also those that a causal mask hides."""
    return 2 * WORTH if causal else WORTH


def forward(
    query: Array, key: Array, value: Array, mask: Array | None, seed: Array | None, dropout_p: float, causal: bool,
    scale: float,
) -> tuple[Array, Array] | None:  # fmt: skip
    """The result, and of each row of scores the maximum and the sum of exponentials, as `tiled.forward` gives them."""
    kernel = _kernel(query, key, value, mask, seed, causal)
    return None if kernel is None else kernel.forward(query, key, value, mask, seed, dropout_p, causal, scale)


def backward(
    g: Array, query: Array, key: Array, value: Array, mask: Array | None, out: Array, normalizers: Array,
    seed: Array | None, dropout_p: float, causal: bool, scale: float, mask_gradient: bool,
) -> tuple[Array, ...] | None:  # fmt: skip
    """The gradients by query, key and value and, with `mask_gradient`, by the scores."""
    kernel = _kernel(query, key, value, mask, seed, causal) if kernels.fit(query, g, out, normalizers) else None
    if kernel is None:
        return None
    options = seed, dropout_p, causal, scale, mask_gradient
    return kernel.backward(g, query, key, value, mask, out, normalizers, *options)  # type: ignore[no-any-return]


def _kernel(
    query: Array, key: Array, value: Array, mask: Array | None, seed: Array | None, causal: bool
) -> ModuleType | None:
    work = math.prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])
    added = None if mask is None or mask.dtype.kind == "b" else mask
    drawn = seed is None or seed.dtype.kind == "b"
    if work < worth(causal) or not drawn or not kernels.fit(query, key, value, added):
        return None
    kernel = kernels.use("attention")
    return kernel if kernel is not None and kernel.takes(query, key, value) else None
