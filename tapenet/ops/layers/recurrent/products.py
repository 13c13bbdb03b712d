"""The products that recurrent layers make for all turns at once, with weights (gates · units, ins) and arrays
(gate, time, batch, units)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tapenet import kernels
from tapenet.kernels.constants import made_of
from tapenet.typing import Array

#: Multiply-adds from which a kernel is worth the time that it takes to compile once.
WORTH = 200_000


def plain(*values: Array | None) -> bool:
    """Whether these are arrays and no tensors, or None."""
    return all(v is None or isinstance(v, np.ndarray) for v in values)


def blocks(weight: Array, gates: int) -> Array:
    """A weight (gates · units, ins) as (gates, units, ins)."""
    return np.reshape(weight, (gates, weight.shape[0] // gates, weight.shape[1]))


def columns(weight: Array, gates: int) -> Array:
    """A weight (gates · units, ins) as a matrix (ins, units) for each gate, whose rows are runs of memory: those that a
    product from the left reads fast. A view of a weight in Fortran order, and of a tensor."""
    parts = np.swapaxes(blocks(weight, gates), 1, 2)
    if not isinstance(parts, np.ndarray) or parts.strides[-1] == parts.itemsize:
        return parts
    return made_of(weight, ("columns", gates), lambda: np.ascontiguousarray(parts))


def rows(weight: Array, gates: int) -> Array:
    """A weight (gates · units, ins) as a matrix (units, ins) for each gate, whose rows are runs of memory."""
    return np.ascontiguousarray(blocks(weight, gates))


def project(x: Array, weight: Array, bias: Array | None, gates: int) -> Array:
    """The inputs' share of all pre-activations, (gate, time, batch, units): one product for each gate."""
    steps, batch, ins = x.shape
    units = weight.shape[0] // gates
    factors = np.reshape(x, (steps * batch, ins)), columns(weight, gates)
    if not plain(*factors, bias):
        flat = np.matmul(*factors)
        flat = flat if bias is None else flat + np.reshape(bias, (gates, 1, units))
    else:
        flat = kernels.empty((gates, steps, batch, units), x.dtype).reshape(gates, steps * batch, units)
        np.matmul(*factors, out=flat)
        if bias is not None:
            flat += bias.reshape(gates, 1, units)
    return np.reshape(flat, (gates, steps, batch, units))


def weight_gradient(parts: Sequence[Array], x: Array) -> Array:
    """The gradient by a weight: Σ dᵀ x over time and batch, as (gates · units, ins) in Fortran order.

    Args:
        parts: the gradient by the pre-activations, in arrays of some gates each, (gates, time, batch, units).
        x: what was multiplied by the weight, (time, batch, ins).
    """
    steps, batch, ins = x.shape
    units = parts[0].shape[3]
    count = sum(map(len, parts))
    out = kernels.empty((ins, count * units), parts[0].dtype, (1, 0)).reshape(ins, count, units)
    x, first = kernels.dense(x), 0
    flat = x.reshape(steps * batch, ins).T
    kernel = kernels.use("recurrent") if out.size * steps * batch >= WORTH and kernels.fit(out, x, *parts) else None
    for d in parts:
        gates = len(d)
        room = out[:, first : first + gates]
        if kernel is None or not kernel.weight_gradient(d, x, room):
            np.matmul(flat, d.reshape(gates, steps * batch, units), out=room.swapaxes(0, 1))
        first += gates
    return out.reshape(ins, first * units).T


def bias_gradient(d: Array) -> Array:
    """The gradient by a bias: Σ d over time and batch, (gates, units). BLAS sums faster than `np.add.reduce`."""
    gates, steps, batch, units = d.shape
    with kernels.alone():
        return np.matmul(np.ones(steps * batch, d.dtype), d.reshape(gates, steps * batch, units))  # type: ignore[no-any-return]


def input_gradient(parts: Sequence[Array], weight: Array) -> Array:
    """The gradient by the inputs: Σ d @ weight over the gates, (time, batch, ins). Arguments as for `weight_gradient`."""
    _, steps, batch, units = parts[0].shape
    gates = (gate.reshape(steps * batch, units) for d in parts for gate in d)
    shares: Iterator[Array] = (
        gate @ block for gate, block in zip(gates, blocks(weight, sum(map(len, parts))), strict=True)
    )
    out = next(shares)
    for share in shares:
        out += share
    return out.reshape(steps, batch, weight.shape[1])
