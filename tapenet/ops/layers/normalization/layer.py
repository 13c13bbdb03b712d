"""Normalisation of the last axes of each sample: layer normalisation, and by the root mean square alone.

The work is on the rows of a matrix, a block of rows at a time, in place in the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.layers.normalization import kernel_dispatch
from tapenet.ops.layers.normalization.common import (
    as_rows,
    blocks,
    inverse_root,
    mean_of,
    params,
    row_products,
    usable,
)
from tapenet.ops.op import op
from tapenet.ops.reductions.sums import sum as _sum
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats
from tapenet.program.runs import column_sums, row_sums


def _trailing(normalized_shape: Any) -> tuple[int, ...]:
    if isinstance(normalized_shape, (int, np.integer)):
        return (int(normalized_shape),)
    return tuple(int(n) for n in normalized_shape)


def _fits(x: Any, normalized_shape: Any, **parameters: Any) -> tuple[int, ...]:
    """Check the shapes; that of the last axes, as a tuple."""
    shape = _trailing(normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(f"normalized_shape={normalized_shape} must be the last axes of x, which has shape {x.shape}")
    for name, parameter in parameters.items():
        if parameter is not None and parameter.shape != shape:
            raise ValueError(f"{name} has shape {parameter.shape}; it must be normalized_shape, {shape}")
    return shape


def _forward(rows: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    """The result, x̂ and 1 / √(variance + eps) of each row of a matrix; weight and bias are vectors along the rows."""
    kernel = kernel_dispatch.kernel(rows, weight, bias)
    if kernel is not None:
        return kernel.layer_norm(rows, weight, bias, eps)  # type: ignore[no-any-return]
    count, n = rows.shape
    x_hat, scale = np.empty(rows.shape, rows.dtype), np.empty((count, 1), rows.dtype)
    out = np.empty(rows.shape, rows.dtype)
    for i in blocks(count, n) if n else ():
        own, factor = x_hat[i], scale[i]
        np.subtract(rows[i], usable(row_sums(rows[i]) / n, rows[i, 0])[:, None], own)
        factor[:, 0] = inverse_root(row_products(own, own) / n, eps)
        own *= factor
        if weight is None:
            out[i] = own
        else:
            np.multiply(own, weight, out[i])
        if bias is not None:
            out[i] += bias
    return out, x_hat, scale


def _backward(g: Any, weight: Any, x_hat: Any, scale: Any, inner: bool) -> tuple[Any, Any, Any]:
    """The gradients by the rows (if `inner`), weight and bias."""
    kernel = kernel_dispatch.kernel(g, x_hat, weight, scale)
    if kernel is not None:
        return kernel.layer_norm_grad(g, weight, x_hat, scale)  # type: ignore[no-any-return]
    count, n = g.shape
    dx = np.empty(g.shape, g.dtype) if inner else None
    by_weight, by_bias = np.zeros((2, n), g.dtype)
    for i in blocks(count, n) if n else ():
        products = g[i] * x_hat[i]
        by_weight += column_sums(products)
        by_bias += column_sums(g[i])
        if dx is not None:
            # With h = g · weight: x gets (h - mean(h) - x̂ · mean(h x̂)) · scale.
            along = (row_sums(products) if weight is None else products @ weight) / n
            total = (row_sums(g[i]) if weight is None else g[i] @ weight) / n
            own = dx[i]
            np.multiply(x_hat[i], along[:, None], products)
            if weight is None:
                np.subtract(g[i], products, own)
            else:
                np.multiply(g[i], weight, own)
                own -= products
            own -= total[:, None]
            own *= scale[i]
    return dx, by_weight, by_bias


def _vector(parameter: Any) -> Any:
    return None if parameter is None else parameter.reshape(-1)


def _layer_norm(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    rows = as_rows(floats(x), _fits(x, normalized_shape, weight=weight, bias=bias))
    out, x_hat, scale = _forward(rows, _vector(weight), _vector(bias), eps)
    return out.reshape(x.shape), x_hat, scale


def _layer_norm_lowered(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    rows = as_rows(floats(x), _fits(x, normalized_shape, weight=weight, bias=bias))
    n = rows.shape[1]
    centred = rows - mean_of(rows, (1,))
    scale = 1 / np.sqrt(np.mean(centred * centred, 1, keepdims=True) + eps)
    x_hat = centred * scale
    out = x_hat if weight is None else x_hat * np.reshape(weight, n)
    if bias is not None:
        out = out + np.reshape(bias, n)
    return np.reshape(out, x.shape), x_hat, scale


def _layer_norm_reference(x: Any, normalized_shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    axes = tuple(range(-len(_trailing(normalized_shape)), 0))
    centred = x - mean_of(x, axes)
    out = centred / np.sqrt(np.mean(centred * centred, axes, keepdims=True) + eps)
    if weight is not None:
        out = out * weight
    return out if bias is None else out + bias


def _layer_norm_joint(
    g: Any, wanted: Any, x_shape: Any, weight: Any, x_hat: Any, scale: Any, normalized_shape: Any
) -> Any:
    shape = _trailing(normalized_shape)
    g = as_rows(g, shape)
    n = g.shape[1] or 1
    if type(g) is np.ndarray:
        dx, along, total = _backward(g, _vector(weight), x_hat, scale, "x" in wanted)
        return {
            "x": dx if dx is None else dx.reshape(x_shape),
            "weight": along.reshape(shape),
            "bias": total.reshape(shape),
        }
    found = {"bias": np.reshape(_sum(g, 0), shape), "weight": np.reshape(_sum(g * x_hat, 0), shape)}
    if "x" in wanted:
        if weight is not None:
            g = g * np.reshape(weight, -1)
        along = _sum(g * x_hat, 1, keepdims=True) * (scale / n)  # by the variance
        found["x"] = np.reshape(g * scale - (x_hat * along + _sum(g, 1, keepdims=True) * (scale / n)), x_shape)
    return found


layer_norm = op(
    _layer_norm,
    name="layer_norm",
    lower=_layer_norm_lowered,
    nondiff=("normalized_shape",),
    residuals=("x_hat", "scale"),
    reference=_layer_norm_reference,
    joint=_layer_norm_joint,
    label=lambda: "layer norm",  # without the number that normalized_shape may be
    formula="x̂ · weight + bias, x̂ = (x − mean)/√(var + eps)",
    gradients="x: (h − mean(h) − x̂ · mean(h · x̂))/√(var + eps), h = g · weight; weight: Σ g · x̂; bias: Σ g",
    doc="""The last axes brought to mean 0 and variance 1 together, then scaled and shifted element by element:
    out = (x - mean) / √(var + eps) · weight + bias. Ba, Kiros and Hinton, arXiv:1607.06450.

    Args:
        x: (..., *normalized_shape).
        normalized_shape: an integer for the last axis, or the lengths of the last axes.
        weight, bias: of shape normalized_shape, or None.
        eps: added to the variance.

    Returns:
        an array shaped like x.

    Raises:
        ValueError: x does not end in normalized_shape, or a parameter has another shape.

    >>> import tapenet as tn
    >>> tn.layer_norm(tn.tensor([[1.0, 3.0]]), 2, eps=0.0)
    Tensor([[-1.,  1.]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 4)), 4, *params(r, 4)),
        sample(r.normal(size=(2, 3, 2)), (3, 2), r.uniform(0.5, 1.5, (3, 2)), r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 3)), (3,)),
        sample(r.normal(size=4), 4, None, r.normal(size=4)),
    ],
)


# -- by the root mean square -------------------------------------------------------------------------------------


def _eps(x: Any, eps: float | None) -> float:
    """What is added to the mean square: by default, as in PyTorch, the spacing of the dtype's numbers at 1."""
    return float(np.finfo(x.dtype).eps) if eps is None else eps


def _rms_forward(rows: Any, weight: Any, eps: float) -> tuple[Any, Any]:
    """The result and 1 / √(mean square + eps) of each row of a matrix."""
    kernel = kernel_dispatch.kernel(rows, weight)
    if kernel is not None:
        return kernel.rms_norm(rows, weight, eps)  # type: ignore[no-any-return]
    count, n = rows.shape
    out, scale = np.empty(rows.shape, rows.dtype), np.empty((count, 1), rows.dtype)
    for i in blocks(count, n) if n else ():
        scale[i, 0] = inverse_root(row_products(rows[i], rows[i]) / n, eps)
        np.multiply(rows[i], scale[i], out[i])
        if weight is not None:
            out[i] *= weight
    return out, scale


def _rms_backward(g: Any, rows: Any, weight: Any, scale: Any, inner: bool) -> tuple[Any, Any]:
    """The gradients by the rows (if `inner`) and weight."""
    kernel = kernel_dispatch.kernel(g, rows, weight, scale)
    if kernel is not None:
        return kernel.rms_norm_grad(g, rows, weight, scale)  # type: ignore[no-any-return]
    count, n = g.shape
    dx = np.empty(g.shape, g.dtype) if inner else None
    by_weight = np.zeros(n, g.dtype)
    for i in blocks(count, n) if n else ():
        products = g[i] * rows[i]
        by_weight += scale[i, 0] @ products
        if dx is not None:
            # With h = g · weight: x gets h · scale - x · scale³ · mean(h x).
            along = (row_sums(products) if weight is None else products @ weight) / n
            along *= scale[i, 0] ** 3
            own = dx[i]
            np.multiply(rows[i], along[:, None], products)
            if weight is None:
                np.multiply(g[i], scale[i], own)
            else:
                np.multiply(g[i], weight, own)
                own *= scale[i]
            own -= products
    return dx, by_weight


def _rms_norm(x: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    rows = as_rows(floats(x), _fits(x, normalized_shape, weight=weight))
    out, scale = _rms_forward(rows, _vector(weight), _eps(rows, eps))
    return out.reshape(x.shape), scale


def _rms_norm_lowered(x: Any, normalized_shape: Any, weight: Any, eps: float | None) -> Any:
    rows = as_rows(floats(x), _fits(x, normalized_shape, weight=weight))
    scale = 1 / np.sqrt(np.mean(rows * rows, 1, keepdims=True) + _eps(rows, eps))
    out = rows * scale
    return np.reshape(out if weight is None else out * np.reshape(weight, -1), x.shape), scale


def _rms_norm_reference(x: Any, normalized_shape: Any, weight: Any, eps: float | None) -> Any:
    axes = tuple(range(-len(_trailing(normalized_shape)), 0))
    x = floats(x)
    out = x / np.sqrt(np.mean(x * x, axes, keepdims=True) + _eps(x, eps))
    return out if weight is None else out * weight


def _rms_norm_joint(g: Any, wanted: Any, x: Any, weight: Any, scale: Any, normalized_shape: Any) -> Any:
    shape = _trailing(normalized_shape)
    rows, g = as_rows(floats(x), shape), as_rows(g, shape)
    n = g.shape[1] or 1
    if type(g) is type(rows) is np.ndarray:
        dx, along = _rms_backward(g, rows, _vector(weight), scale, "x" in wanted)
        return {"x": dx if dx is None else dx.reshape(x.shape), "weight": along.reshape(shape)}
    found = {"weight": np.reshape(_sum(g * rows * scale, 0), shape)}
    if "x" in wanted:
        if weight is not None:
            g = g * np.reshape(weight, -1)
        along = _sum(g * rows, 1, keepdims=True) * (scale * scale * scale / n)
        found["x"] = np.reshape(g * scale - rows * along, x.shape)
    return found


rms_norm = op(
    _rms_norm,
    name="rms_norm",
    lower=_rms_norm_lowered,
    nondiff=("normalized_shape", "eps"),
    residuals=("scale",),
    reference=_rms_norm_reference,
    joint=_rms_norm_joint,
    label=lambda: "rms norm",
    formula="x · s · weight, s = 1/√(mean(x²) + eps)",
    gradients="x: h · s − x · s³ · mean(h · x), h = g · weight; weight: Σ g · x · s",
    doc="""The last axes divided by their root mean square, then scaled element by element:
    out = x / √(mean(x²) + eps) · weight. Zhang and Sennrich, arXiv:1910.07467.

    Args:
        x: (..., *normalized_shape).
        normalized_shape: an integer for the last axis, or the lengths of the last axes.
        weight: of shape normalized_shape, or None.
        eps: added to the mean square; by default `np.finfo(x.dtype).eps`.

    Returns:
        an array shaped like x.

    Raises:
        ValueError: x does not end in normalized_shape, or weight has another shape.

    >>> import tapenet as tn
    >>> tn.rms_norm(tn.tensor([[1.0, -1.0], [3.0, 3.0]]), 2, eps=0.0)
    Tensor([[ 1., -1.],
            [ 1.,  1.]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 4)), 4, r.uniform(0.5, 1.5, 4)),
        sample(r.normal(size=(2, 3, 2)), (3, 2), r.uniform(0.5, 1.5, (3, 2)), 1e-3),
        sample(r.normal(size=4), 4, None, 0.1),
    ],
)
