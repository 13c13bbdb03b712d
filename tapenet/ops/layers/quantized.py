"""Products with weights that are stored as 8-bit integers, one scale for each output."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tapenet import kernels
from tapenet.ops.op import op
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array, DType

#: Bytes of the weights in float32 that are worked on at once: what a second level cache holds beside other things.
BLOCK = 256 * 1024
#: Multiply-adds from which a kernel is quicker, and from which one of the gradient by the input is.
WORTH = 20_000
WORTH_BACK = 600_000


def quantized_weight(weight: Array) -> tuple[Array, Array]:
    """Integers and scales that stand for a weight: the largest magnitude of each row becomes 127.

    Args:
        weight: (out, in), floats.

    Returns:
        int8 (out, in) and float (out,): weight ≈ scale · integers, off by half a scale at most.

    Raises:
        ValueError: an element is nan or infinite.

    >>> integers, scale = quantized_weight(np.array([[1.0, -0.5], [0.0, 0.0]], np.float32))
    >>> integers.tolist(), (scale * 127).tolist()
    ([[127, -64], [0, 0]], [1.0, 127.0])
    """
    if not np.isfinite(weight).all():
        raise ValueError("a weight holds nan or infinity, for which there is no scale")
    largest = np.abs(weight).max(axis=1, initial=0.0)
    scale = np.where(largest > 0, largest / 127, 1.0).astype(weight.dtype)
    scale[scale == 0] = np.finfo(weight.dtype).smallest_subnormal  # of subnormal rows
    integers = np.clip(np.rint(weight / scale[:, None]), -127, 127).astype(np.int8)
    return integers, scale


def _blocks(weight: Array, dtype: DType) -> Iterator[tuple[slice, Array]]:
    """The integers as floats, some rows at a time, in one buffer: pairs of a slice of the rows and what is there."""
    rows, columns = weight.shape
    step = max(1, min(rows, BLOCK // (max(columns, 1) * np.dtype(dtype).itemsize)))
    buffer = np.empty((step, columns), dtype)
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        block = buffer[: part.stop - start]
        np.copyto(block, weight[part])
        yield part, block


def _forward(x: Array, weight: Array, scale: Array) -> Array:
    """x @ (scale · weight)ᵀ for a matrix x; the scales multiply the products, of which there are fewer."""
    if len(x) * weight.size >= WORTH and kernels.fit(x, scale):
        kernel = kernels.use("quantized")
        if kernel is not None:
            found: Array = kernel.product(*map(np.ascontiguousarray, (x, weight, scale)))
            return found
    out = np.empty((x.shape[0], weight.shape[0]), x.dtype)
    for part, block in _blocks(weight, x.dtype):
        np.multiply(x.dot(block.T), scale[part], out=out[:, part])
    return out


def _backward(y: Array, weight: Array, scale: Array) -> Array:
    """(y · scale) @ weight for a matrix y."""
    y = y * scale
    if len(y) * weight.size >= WORTH_BACK and kernels.fit(y):
        kernel = kernels.use("quantized")
        if kernel is not None:
            found: Array = kernel.transposed(*map(np.ascontiguousarray, (y, weight)))
            return found
    out = np.zeros((y.shape[0], weight.shape[1]), y.dtype)
    for part, block in _blocks(weight, y.dtype):
        out += y[:, part].dot(block)
    return out


def _check(x: Array, weight: Array, scale: Array, features: int, bias: Array | None = None) -> None:
    if weight.ndim != 2 or weight.dtype != np.int8 or scale.shape != weight.shape[:1]:
        raise ValueError(
            f"the weight is {weight.dtype} {weight.shape} and the scale has shape {scale.shape}: give int8 (out, in) and "
            "(out,), as nn.quantize makes them"
        )
    if not x.ndim or x.shape[-1] != features:
        raise ValueError(f"the last axis of x, of shape {x.shape}, must be {features} long")
    if bias is not None and bias.shape != scale.shape:
        raise ValueError(f"the bias has shape {bias.shape}, not {scale.shape}")


def _rows(x: Array) -> Array:
    return np.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def _scale_rule(g: Array, x: Array, weight: Array, scale: Array) -> Array:
    """The gradient by the scales of outputs whose gradient is `g`: they multiply the products of x with the integers."""
    return np.sum(g * quantized_linear(x, weight, np.ones_like(scale)), axis=tuple(range(g.ndim - 1)))  # type: ignore[no-any-return]


def _y_rule(g: Array, weight: Array, scale: Array) -> Array:
    return quantized_linear(g, weight, scale)


_OPAQUE = "its weights become floats block by block, on the host"


def _samples(r: np.random.Generator, size: int) -> list[Sample]:
    weight, scale = quantized_weight(r.normal(size=(2, 3)))
    shapes: list[tuple[int, ...]] = [(2, size), (size,), (1, 2, size)]
    return [sample(r.normal(size=shape), weight, scale) for shape in shapes]


def _grad_lanes(batched: frozenset[str], y: Array, weight: Array, scale: Array) -> object:
    return quantized_linear_input_grad(y, weight, scale) if batched == {"y"} else NotImplemented


@op(
    label="8-bit linear gradient",
    opaque=_OPAQUE,
    nondiff=("weight",),
    multiply_adds=lambda y_shape, weight_shape: math.prod(y_shape) * weight_shape[1],
    y=_y_rule,
    scale=lambda g, y, weight, scale: _scale_rule(y, g, weight, scale),
    formula="(y · scale) @ weight",
    vmap=_grad_lanes,
    samples=lambda r: _samples(r, 2),
)
def quantized_linear_input_grad(y: Array, weight: Array, scale: Array) -> Array:
    """The gradient of `quantized_linear` by its input, for the gradient `y` by its output.

    Args:
        y: (..., out).
        weight: (out, in), int8.
        scale: (out,).

    Returns:
        (..., in).

    >>> import numpy as np, tapenet as tn
    >>> tn.quantized_linear_input_grad(np.ones(1), np.array([[2, 3]], np.int8), np.array([0.5]))
    array([1. , 1.5])
    """
    _check(y, weight, scale, weight.shape[0])
    return np.reshape(_backward(_rows(y), weight, scale), (*y.shape[:-1], weight.shape[1]))


def _linear_lanes(batched: frozenset[str], x: Array, weight: Array, scale: Array, bias: Array | None) -> object:
    return quantized_linear(x, weight, scale, bias) if batched == {"x"} else NotImplemented


@op(
    opaque=_OPAQUE,
    label=lambda weight_shape: f"linear {weight_shape[0]} int8",
    nondiff=("weight",),
    multiply_adds=lambda x_shape, weight_shape: math.prod(x_shape) * weight_shape[0],
    x=lambda g, weight, scale: quantized_linear_input_grad(g, weight, scale),
    scale=_scale_rule,
    bias=lambda g: np.sum(g, axis=tuple(range(g.ndim - 1))),
    formula="x @ (scale · weight)ᵀ + bias",
    vmap=_linear_lanes,
    samples=lambda r: [
        *_samples(r, 3),
        sample(r.normal(size=(2, 3)), *quantized_weight(r.normal(size=(2, 3))), r.normal(size=2)),
    ],
)
def quantized_linear(x: Array, weight: Array, scale: Array, bias: Array | None = None) -> Array:
    """The affine map of weights stored as 8-bit integers with one scale for each output, as `nn.quantized.Linear` has
    them. The integers become floats some rows at a time, in a buffer that fits a cache; there is never a whole float copy.

    If the integers came from rounding a float weight, an output differs from that of `linear` by scale / 2 · Σ |x| at
    most, and by what rounding in the sums makes.

    Args:
        x: (..., in).
        weight: (out, in), int8.
        scale: (out,), floats.
        bias: (out,), or None.

    Returns:
        (..., out).

    Raises:
        ValueError: shapes that do not fit, or a weight that is not int8.

    >>> import numpy as np, tapenet as tn
    >>> tn.quantized_linear(tn.tensor([1.0, 10.0]), np.array([[2, 3]], np.int8), np.array([0.5]))
    Tensor([16.])
    """
    _check(x, weight, scale, weight.shape[-1], bias)
    out = _forward(_rows(x), weight, scale)
    if bias is not None:
        out += bias
    return np.reshape(out, (*x.shape[:-1], len(weight)))
