"""The bilinear form of two vectors, one for each output."""

from __future__ import annotations

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.registry import sample
from tapenet.typing import Array


@derived(
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 2)), r.normal(size=(2, 3, 2)), r.normal(size=2)),
        sample(r.normal(size=(2, 1, 2)), r.normal(size=(2, 1, 2)), r.normal(size=(1, 2, 2))),
        sample(r.normal(size=2), r.normal(size=3), r.normal(size=(2, 2, 3))),
    ]
)
def bilinear(x1: Array, x2: Array, weight: Array, bias: Array | None = None) -> Array:
    """out[..., o] = Σᵢⱼ x1[..., i] · weight[o, i, j] · x2[..., j] + bias[o]: one product of x1 with all matrices, and of
    its rows with those of x2.

    Args:
        x1: (..., in1).
        x2: (..., in2), with the same leading axes.
        weight: (out, in1, in2).
        bias: (out,), or None.

    Returns:
        (..., out).

    Raises:
        ValueError: shapes that do not fit each other.

    >>> import tapenet as tn
    >>> tn.bilinear(tn.tensor([1.0, 2.0]), [3.0, 5.0], [[[1.0, 0.0], [0.0, 1.0]]])
    Tensor([13.])
    """
    x1, x2, weight = array_like(x1), array_like(x2), array_like(weight)
    if len(weight.shape) != 3:
        raise ValueError(f"bilinear: weight has shape {weight.shape}; it must be (out, in1, in2)")
    outs, in1, in2 = weight.shape
    for name, x, length in (("x1", x1, in1), ("x2", x2, in2)):
        if not x.shape or x.shape[-1] != length:
            raise ValueError(
                f"bilinear: {name} has shape {x.shape}; weight {weight.shape} takes (..., {length}), as (out, in1, in2)"
            )
    if x1.shape[:-1] != x2.shape[:-1]:
        raise ValueError(f"bilinear: x1 {x1.shape} and x2 {x2.shape} must have the same axes before the last")
    if bias is not None and np.shape(bias) != (outs,):
        raise ValueError(
            f"bilinear: bias has shape {np.shape(bias)}; weight {weight.shape} has {outs} outputs: give ({outs},)"
        )
    rows = np.reshape(x1, (-1, in1)) @ np.reshape(np.transpose(weight, (1, 0, 2)), (in1, outs * in2))
    rows = np.reshape(rows, (-1, outs, in2))
    out = np.reshape(rows @ np.reshape(x2, (-1, in2, 1)), (*x1.shape[:-1], outs))
    return out if bias is None else out + bias
