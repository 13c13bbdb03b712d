"""Normalisation: inputs brought to mean 0 and variance 1, then scaled and shifted by learned parameters.

The forwards save what they centred, so that the rules cost few passes; derivatives of higher order come from the same
formula in plain NumPy (`reference=`), where the statistics are functions of the input.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.op import op
from tapenet.ops.reductions.basic import sum as _sum
from tapenet.ops.registry import sample


def _others(ndim: int, axis: int) -> tuple[int, ...]:
    """All axes but one."""
    axis = axis % ndim
    return tuple(i for i in range(ndim) if i != axis)


def _kept(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """The shape that lets a vector along `axis` broadcast against `shape`."""
    axis = axis % len(shape)
    return tuple(n if i == axis else 1 for i, n in enumerate(shape))


def _float(x: Any) -> Any:
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _inner(a: Any, b: Any, axes: tuple[int, ...]) -> Any:
    """Σ a b over axes, which stay with length one."""
    if type(a) is type(b) is np.ndarray:  # one pass, no array of products
        every = list(range(a.ndim))
        shape = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
        return np.einsum(a, every, b, every, [i for i in every if i not in axes]).reshape(shape)
    return _sum(a * b, axes, keepdims=True)


def _moments(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any, Any]:
    """Mean, x - mean, variance and 1 / √(variance + eps)."""
    count = math.prod(x.shape[i] for i in axes)
    mean = np.add.reduce(x, axes, keepdims=True)
    mean /= count
    centred = x - mean
    var = _inner(centred, centred, axes) / count
    scale = var + eps
    np.sqrt(scale, scale)
    return mean, centred, var, np.reciprocal(scale, scale)


def _vectors(x: Any, axis: int, **vectors: Any) -> tuple[int, ...]:
    """Check that parameters are vectors along `axis` of x; the shape in which they broadcast against it."""
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"x has shape {x.shape}, which has no axis {axis} for the channels")
    length = x.shape[axis]
    for name, vector in vectors.items():
        if vector is not None and vector.shape != (length,):
            raise ValueError(
                f"{name} has shape {vector.shape}; x {x.shape} has {length} channels in axis {axis}: give ({length},)"
            )
    return _kept(x.shape, axis)


# -- batch -------------------------------------------------------------------------------------------------------


def _batch_norm_train(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, axis: int = 1) -> Any:
    kept = _vectors(x, axis, weight=weight, bias=bias)
    axes = _others(x.ndim, axis)
    if math.prod(x.shape[i] for i in axes) < 2:
        raise ValueError(
            f"x {x.shape} has fewer than two values per channel, so there is no variance to divide by: use a larger "
            "batch, or put the layer in eval mode"
        )
    mean, centred, var, scale = _moments(_float(x), axes, eps)
    out = centred * (scale if weight is None else scale * weight.reshape(kept))
    if bias is not None:
        out += bias.reshape(kept)
    return out, mean.reshape(-1), var.reshape(-1), centred, scale


def _batch_norm_train_reference(x: Any, weight: Any, bias: Any, eps: float, axis: int) -> Any:
    axes, kept = _others(x.ndim, axis), _kept(x.shape, axis)
    mean = np.mean(x, axes, keepdims=True)
    centred = x - mean
    var = np.mean(centred * centred, axes, keepdims=True)
    out = centred / np.sqrt(var + eps)
    if weight is not None:
        out = out * np.reshape(weight, kept)
    if bias is not None:
        out = out + np.reshape(bias, kept)
    return out, np.reshape(mean, -1), np.reshape(var, -1)


def _batch_norm_train_joint(g: Any, wanted: Any, weight: Any, centred: Any, scale: Any, axis: int) -> Any:
    g, g_mean, g_var = g
    axes, kept = _others(g.ndim, axis), _kept(g.shape, axis)
    total = _sum(g, axes, keepdims=True)
    found = {"bias": np.reshape(total, -1)}
    if wanted == {"bias"}:
        return found
    along = _inner(g, centred, axes) * scale  # Σ g x̂
    found["weight"] = np.reshape(along, -1)
    if "x" in wanted:
        factor = scale if weight is None else scale * np.reshape(weight, kept)
        n = math.prod(g.shape[i] for i in axes)
        # Per channel: what goes against the result itself and, by the variance and by the mean, against all x.
        by_var = (factor * scale * along - 2 * np.reshape(g_var, kept)) / n
        by_mean = (factor * total - np.reshape(g_mean, kept)) / n
        found["x"] = g * factor - (centred * by_var + by_mean)
    return found


def _params(r: np.random.Generator, n: int) -> tuple[Any, Any]:
    return r.uniform(0.5, 1.5, n), r.normal(size=n)


batch_norm_train = op(
    _batch_norm_train,
    name="batch_norm_train",
    outputs=3,
    residuals=("centred", "scale"),
    reference=_batch_norm_train_reference,
    joint=_batch_norm_train_joint,
    label="batch norm",
    formula="x̂ · weight + bias, x̂ = (x − mean)/√(var + eps)",
    gradients="x: (h − mean(h) − x̂ · mean(h · x̂))/√(var + eps), h = g · weight; weight: Σ g · x̂; bias: Σ g",
    doc="""Each channel brought to mean 0 and variance 1 over all other axes, then scaled and shifted:
    out = (x - mean) / √(var + eps) · weight + bias. Ioffe and Szegedy, arXiv:1502.03167.

    Args:
        x: (batch, channels, ...).
        weight, bias: (channels,), or None.
        eps: added to the variance.
        axis: the axis of the channels.

    Returns:
        the result, shaped like x, and each channel's mean and variance (divided by n; the running variance of PyTorch
        takes var · n / (n - 1)).

    Raises:
        ValueError: parameters of another length, or fewer than two values per channel.

    >>> import tapenet as tn
    >>> out, mean, var = tn.batch_norm_train(tn.tensor([[1.0], [3.0]]), eps=0.0)
    >>> out, mean, var
    (Tensor([[-1.],
            [ 1.]]), Tensor([2.]), Tensor([1.]))
    """,
    samples=lambda r: [
        sample(r.normal(size=(4, 2)), *_params(r, 2)),
        sample(r.normal(size=(2, 3, 2, 2)), *_params(r, 3)),
        sample(r.normal(size=(3, 2, 2)), r.uniform(0.5, 1.5, 2), None, 1e-3),
        sample(r.normal(size=(3, 2)), axis=-1),
    ],
)


def _batch_norm(
    x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, axis: int = 1
) -> Any:
    kept = _vectors(x, axis, mean=mean, var=var, weight=weight, bias=bias)
    factor = 1 / np.sqrt(var + eps)
    if weight is not None:
        factor *= weight
    shift = -mean * factor if bias is None else bias - mean * factor
    out = x * factor.reshape(kept)
    out += shift.reshape(kept)
    return out


def _batch_norm_joint(g: Any, wanted: Any, x: Any, mean: Any, var: Any, weight: Any, eps: float, axis: int) -> Any:
    axes, kept = _others(g.ndim, axis), _kept(g.shape, axis)
    scale = 1 / np.sqrt(var + eps)
    factor = scale if weight is None else scale * weight
    found = {}
    if "x" in wanted:
        found["x"] = g * np.reshape(factor, kept)
    if wanted & {"mean", "bias"}:
        total = _sum(g, axes)
        found |= {"bias": total, "mean": -factor * total}
    if wanted & {"var", "weight"}:
        along = np.reshape(_inner(g, _float(x) - np.reshape(mean, kept), axes), -1) * scale
        found |= {"weight": along, "var": along * factor * scale * -0.5}
    return found


batch_norm = op(
    _batch_norm,
    name="batch_norm",
    joint=_batch_norm_joint,
    label="batch norm",
    formula="x̂ · weight + bias, x̂ = (x − mean)/√(var + eps)",
    gradients="x: g · weight/√(var + eps); mean: −Σ g · weight/√(var + eps); "
    "var: −½ Σ g · weight · x̂/(var + eps); weight: Σ g · x̂; bias: Σ g",
    doc="""Each channel normalised by the given statistics, then scaled and shifted:
    out = (x - mean) / √(var + eps) · weight + bias, as in evaluation with running averages.

    Args:
        x: (batch, channels, ...).
        mean, var: (channels,), the statistics.
        weight, bias: (channels,), or None.
        eps: added to the variance.
        axis: the axis of the channels.

    Returns:
        an array shaped like x. There are gradients by all five arrays.

    Raises:
        ValueError: statistics or parameters of another length.

    >>> import numpy as np, tapenet as tn
    >>> tn.batch_norm(tn.tensor([[5.0], [3.0]]), np.array([3.0]), np.array([4.0]), eps=0.0)
    Tensor([[1.],
            [0.]])
    """,
    samples=lambda r: [
        sample(r.normal(size=(3, 2)), r.normal(size=2), r.uniform(0.5, 1.5, 2), *_params(r, 2)),
        sample(r.normal(size=(2, 3, 2, 2)), r.normal(size=3), r.uniform(0.5, 1.5, 3)),
        sample(r.normal(size=(2, 3)), r.normal(size=3), r.uniform(0.5, 1.5, 3), r.normal(size=3), axis=-1),
    ],
)

# -- layer -------------------------------------------------------------------------------------------------------


def _trailing(normalized_shape: Any) -> tuple[int, ...]:
    if isinstance(normalized_shape, (int, np.integer)):
        return (int(normalized_shape),)
    return tuple(int(n) for n in normalized_shape)


def _layer_norm(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    shape = _layer_fits(x, normalized_shape, weight, bias)
    n = math.prod(shape)
    rows = _float(x).reshape(-1, n)
    x_hat = rows - rows.dot(np.full(n, 1 / n, rows.dtype))[:, None]
    scale = np.vecdot(x_hat, x_hat)[:, None]
    scale /= n
    scale += eps
    np.sqrt(scale, scale)
    np.reciprocal(scale, scale)
    x_hat *= scale
    out = x_hat.copy() if weight is None else x_hat * weight.reshape(n)
    if bias is not None:
        out += bias.reshape(n)
    return out.reshape(x.shape), x_hat, scale


def _layer_fits(x: Any, normalized_shape: Any, weight: Any, bias: Any) -> tuple[int, ...]:
    """Check the shapes; that of the last axes, as a tuple."""
    shape = _trailing(normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(f"normalized_shape={normalized_shape} must be the last axes of x, which has shape {x.shape}")
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter.shape != shape:
            raise ValueError(f"{name} has shape {parameter.shape}; it must be normalized_shape, {shape}")
    return shape


def _layer_norm_lowered(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    n = math.prod(_layer_fits(x, normalized_shape, weight, bias))
    rows = np.reshape(_float(x), (-1, n))
    centred = rows - np.mean(rows, 1, keepdims=True)
    scale = 1 / np.sqrt(np.mean(centred * centred, 1, keepdims=True) + eps)
    x_hat = centred * scale
    out = x_hat if weight is None else x_hat * np.reshape(weight, n)
    if bias is not None:
        out = out + np.reshape(bias, n)
    return np.reshape(out, x.shape), x_hat, scale


def _layer_norm_reference(x: Any, normalized_shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    axes = tuple(range(-len(_trailing(normalized_shape)), 0))
    centred = x - np.mean(x, axes, keepdims=True)
    out = centred / np.sqrt(np.mean(centred * centred, axes, keepdims=True) + eps)
    if weight is not None:
        out = out * weight
    return out if bias is None else out + bias


def _layer_norm_joint(
    g: Any, wanted: Any, x_shape: Any, weight: Any, x_hat: Any, scale: Any, normalized_shape: Any
) -> Any:
    shape = _trailing(normalized_shape)
    n = math.prod(shape)
    g = np.reshape(g, (-1, n))
    found = {}
    if "bias" in wanted:
        found["bias"] = np.reshape(_sum(g, 0), shape)
    if "weight" in wanted:
        found["weight"] = np.reshape(_inner(g, x_hat, (0,)), shape)
    if "x" in wanted:
        if weight is not None:
            g = g * np.reshape(weight, n)
        along = _inner(g, x_hat, (1,)) * (scale / n)  # by the variance
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
        sample(r.normal(size=(2, 4)), 4, *_params(r, 4)),
        sample(r.normal(size=(2, 3, 2)), (3, 2), r.uniform(0.5, 1.5, (3, 2)), r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 3)), (3,)),
        sample(r.normal(size=4), 4, None, r.normal(size=4)),
    ],
)
