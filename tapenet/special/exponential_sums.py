"""Sums of exponentials: their logarithm, and the share of each summand. Values are SciPy's; compiled programs and lanes read
the formulas.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from tapenet import ops
from tapenet.ops.op import op
from tapenet.special.definition import scipys
from tapenet.typing import Array, Axis


def _spread(reduced: Array, a: Array, axis: Axis, keepdims: bool) -> Array:
    """What was reduced over `axis`, with the axes that are gone."""
    if keepdims or a.ndim == 0:
        return reduced
    return np.expand_dims(reduced, tuple(range(a.ndim)) if axis is None else axis)


def _slope(g: Array, out: Array, a: Array, factor: Array | None, axis: Axis, keepdims: bool) -> Array:
    """g factor exp(a - out), and 0 where the sum is 0."""
    out = _spread(out, a, axis, keepdims)
    gone = np.isneginf(np.real(out))
    found = _spread(g, a, axis, keepdims) * np.where(gone, 0, np.exp(np.where(gone, 0, a - out)))
    return found if factor is None else found * factor


def _scaled(a: Array, b: Array | None, axis: Axis) -> tuple[Array, Array]:
    """The sum of b exp(a - top), and top."""
    top = np.max(np.real(a), axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    terms = np.exp(a - top)
    return np.sum(terms if b is None else b * terms, axis=axis, keepdims=True), top


def _shaped(found: Array, axis: Axis, keepdims: bool) -> Array:
    return found if keepdims or found.ndim == 0 else np.squeeze(found, axis)


def _log_sum(a: Array, b: Array | None = None, axis: Axis = None, keepdims: bool = False) -> Array:
    total, top = _scaled(a, b, axis)
    return _shaped(np.log(total) + top, axis, keepdims)


def _log_abs_sum(a: Array, b: Array | None = None, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Array]:
    total, top = _scaled(a, b, axis)
    return _shaped(np.log(np.abs(total)) + top, axis, keepdims), _shaped(np.sign(total), axis, keepdims)


@op(
    lower=_log_sum,
    a=lambda g, out, a, b, axis, keepdims: _slope(g, out, a, b, axis, keepdims),
    b=lambda g, out, a, b, axis, keepdims: _slope(g, out, a, None, axis, keepdims),
    doc="ln Σ b exp(a) over `axis`.",
)
def log_sum(a: Array, b: Array | None = None, axis: Axis = None, keepdims: bool = False) -> Array:
    return cast("Array", scipys("logsumexp")(a, axis=axis, b=b, keepdims=keepdims))


def _must_be_real(a: Array, b: Array | None) -> None:
    if a.dtype.kind == "c" or (b is not None and np.result_type(b).kind == "c"):
        raise TypeError("return_sign=True has no derivative for complex numbers: leave it out, and take the real part")


@op(
    lower=_log_abs_sum,
    outputs=2,
    nondiff_outputs=(1,),
    check=_must_be_real,
    a=lambda g, out, a, b, axis, keepdims: _slope(g[0] * out[1], out[0], a, b, axis, keepdims),
    b=lambda g, out, a, b, axis, keepdims: _slope(g[0] * out[1], out[0], a, None, axis, keepdims),
    doc="ln |Σ b exp(a)| over `axis`, and the sign of the sum.",
)
def log_abs_sum(a: Array, b: Array | None = None, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Array]:
    return cast("tuple[Array, Array]", scipys("logsumexp")(a, axis=axis, b=b, keepdims=keepdims, return_sign=True))


def logsumexp(
    a: Array, axis: Axis = None, b: Array | None = None, keepdims: bool = False, return_sign: bool = False
) -> Array | tuple[Array, Array]:
    """`scipy.special.logsumexp`: ln Σ b exp(a), without overflow.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        b: factors of the exponentials, also negative ones; 1 if left out.
        keepdims: keep the reduced axes, with length one.
        return_sign: the logarithm of the absolute value of the sum, and its sign; of real numbers.

    >>> import tapenet as tn
    >>> tn.special.logsumexp(tn.tensor([0.0, 1.0]), b=[1.0, -1.0], return_sign=True)
    (Tensor(0.54132485), Tensor(-1.))
    """
    if b is not None and not isinstance(b, (int, float, complex)):  # the rules sum no axes that are repeated
        a, b = ops.broadcast_arrays(a, b)
    return log_abs_sum(a, b, axis, keepdims) if return_sign else log_sum(a, b, axis, keepdims)


def _softmax(x: Array, axis: Axis = None) -> Array:
    terms = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return cast("Array", terms / np.sum(terms, axis=axis, keepdims=True))


@op(lower=_softmax, x=lambda g, out, axis: out * (g - np.sum(g * out, axis=axis, keepdims=True)))
def softmax(x: Array, axis: Axis = None) -> Array:
    """`scipy.special.softmax`: exponentials by their sum over `axis`, all axes if None.

    >>> import tapenet as tn
    >>> tn.special.softmax(tn.tensor([0.0, 0.0, -1000.0]))
    Tensor([0.5, 0.5, 0. ])
    """
    return cast("Array", scipys("softmax")(x, axis))


def _log_softmax(x: Array, axis: Axis = None) -> Array:
    total, top = _scaled(x, None, axis)
    return x - top - np.log(total)


@op(lower=_log_softmax, x=lambda g, out, axis: g - np.exp(out) * np.sum(g, axis=axis, keepdims=True))
def log_softmax(x: Array, axis: Axis = None) -> Array:
    """`scipy.special.log_softmax`: the logarithm of `softmax`, without overflow.

    >>> import tapenet as tn
    >>> tn.special.log_softmax(tn.tensor([0.0, 0.0]))
    Tensor([-0.69314718, -0.69314718])
    """
    return cast("Array", scipys("log_softmax")(x, axis))
