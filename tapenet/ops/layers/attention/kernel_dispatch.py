"""Attention in machine code, where there is a kernel that pays: None where there is not."""

from __future__ import annotations

import math
from types import ModuleType

from tapenet import kernels
from tapenet.typing import Array

#: Multiply-adds from which a kernel is quicker than NumPy: 8 heads of 16 vectors of 64 numbers (260,000) with gradients take
#: 1.4 times as long by it, 32 heads of 16 of 32 (520,000) 0.77 forward and 1.1 with gradients.
WORTH = 500_000
#: Multiply-adds up to which compiled programs compute attention by its formula.
FORMULA = 200_000


def forward(query: Array, key: Array, value: Array, causal: bool, scale: float) -> tuple[Array, Array] | None:
    """The result, and the logarithm of the sum of exponentials of each row, as `tiled.forward` gives them."""
    kernel = _kernel(query, key, value, causal)
    return None if kernel is None else kernel.forward(query, key, value, causal, scale)


def backward(
    g: Array, query: Array, key: Array, value: Array, out: Array, logsumexp: Array, causal: bool, scale: float
) -> tuple[Array, Array, Array] | None:
    """The gradients by query, key and value."""
    kernel = _kernel(query, key, value, causal) if kernels.fit(query, g, out, logsumexp) else None
    return None if kernel is None else kernel.backward(g, query, key, value, out, logsumexp, causal, scale)


def _kernel(query: Array, key: Array, value: Array, causal: bool) -> ModuleType | None:
    work = math.prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])
    if work < (2 * WORTH if causal else WORTH) or not kernels.fit(query, key, value):
        return None
    kernel = kernels.use("attention")
    return kernel if kernel is not None and kernel.takes(query, key, value) else None
