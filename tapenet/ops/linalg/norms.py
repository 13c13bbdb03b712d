"""Norms of vectors and matrices, and what is made of them."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.derived import array_like, derived, known
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.linalg.matrices import by_matrix, identity_where, regular
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import conjugate
from tapenet.ops.reductions.sums import kept_shape, spread
from tapenet.ops.registry import Sample, sample
from tapenet.program.runs import dot
from tapenet.typing import Array, Axis

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

Order: TypeAlias = float | str | None


def _vector_norm_x(g: Array, out: Array, x: Array, axis: int, keepdims: bool, ord: float | None) -> Array:
    if ord == 0:  # it counts
        return np.zeros_like(x)
    g, norm = (spread(v, x.shape, axis, keepdims) for v in (g, out))
    safe = np.where(norm == 0, math.inf, norm)  # at norm 0 the gradient is taken as 0, and so is its derivative
    if ord is None or ord == 2:
        return g * (conjugate(x) / safe)
    size = np.abs(x)
    direction = np.sign(x) if x.dtype.kind != "c" else np.conj(x) / np.where(size == 0, math.inf, size)
    if ord == 1:
        return g * direction
    if abs(ord) == math.inf:
        chosen = size == norm
        ties = np.sum(chosen, axis=axis, keepdims=True).astype(g.dtype)
        return np.where(chosen, g / ties, 0) * direction
    return safe_mul(np.where(norm == 0, 0, g * direction), np.where(size == 0, 1, size / safe) ** (ord - 1))


def _vectors(r: np.random.Generator) -> list[Sample]:
    """Calls of `vector_norm` with every order, and over no, one and several axes."""
    orders: list[float] = [2, 1, 0, 3, 2.5, 0.5, -1, -2, -1.5, math.inf, -math.inf]
    calls = [sample(r.uniform(0.5, 2, 4) * np.array([1, -1, 1, -1]), ord=p) for p in orders]
    for p in (2, 1, 3, math.inf):
        calls += [
            sample(r.normal(size=(2, 3)), axis=-1, ord=p),
            sample(r.normal(size=(2, 2, 2)), axis=(0, -1), keepdims=True, ord=p),
            sample(r.normal(size=(2, 3)), keepdims=True, ord=p),
        ]
    return [*calls, sample(r.normal(size=())), sample(np.empty((0, 2)), axis=0), sample(np.empty(0), ord=math.inf)]


@op(
    numpy=np.linalg.vector_norm,
    label=lambda ord, **_: "norm" if ord == 2 else f"norm {ord}",
    x=_vector_norm_x,
    formula="(Σ abs(x)ᵖ)^(1/p), p = ord",
    gradients="x: g · sign(x) · (abs(x)/out)ᵖ⁻¹",
    samples=_vectors,
    hint=lambda x, *_: f"axis must lie within the {np.ndim(x)} axes of x, and ord be a number",
)
def vector_norm(x: Array, *, axis: Any = None, keepdims: Any = False, ord: Any = 2) -> Array:
    """The norm of the elements over `axis` as one vector.

    The gradient is 0 where the norm is 0, and finite everywhere: an element that is 0 gets 0. Elements that tie for the
    largest (or smallest) share the gradient evenly. A count (order 0) has none.

    Args:
        x: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep these axes, with length one.
        ord: 2; any other number p for (Σ |x|ᵖ)^(1/p); inf or -inf for the largest or smallest |x|; 0 for the number of
            elements that are not 0.

    >>> import tapenet as tn
    >>> tn.linalg.vector_norm(tn.tensor([[3.0, 4.0], [0.0, -2.0]]), axis=1)
    Tensor([5., 2.])
    """
    if type(x) is np.ndarray and ord == 2 and x.dtype.kind == "f" and x.ndim:  # as `norm` does, without its questions
        if axis is None and not keepdims:
            flat = x.ravel("K")
            found: Array = np.sqrt(dot(flat, flat))
        else:
            found = np.sqrt(np.add.reduce(x * x, axis=axis, keepdims=keepdims))
        return found
    found = np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)
    return found


def _matrices(r: np.random.Generator) -> list[Sample]:
    """Calls of `norm` with every order of matrices."""
    orders: list[Order] = [None, "fro", "nuc", math.inf, -math.inf, 1, -1, 2, -2]
    calls = [sample(r.normal(size=(2, 3)), p) for p in orders]
    calls += [sample(r.normal(size=(2, 2, 2)), p, axis=(-1, 0)) for p in orders[1:]]
    calls += [sample(r.normal(size=(2, 2, 2)), p, axis=(0, 2), keepdims=True) for p in ("fro", "nuc", 1, -math.inf)]
    return calls


@derived(
    numpy=np.linalg.norm,
    samples=lambda r: [
        *_matrices(r),
        sample(r.normal(size=3)),
        sample(r.normal(size=())),
        sample(r.normal(size=(2, 2, 2)), keepdims=True),
        sample(r.normal(size=(2, 3)), 3, axis=-1),
        sample(r.normal(size=(2, 3)), math.inf, axis=0, keepdims=True),
        sample(r.normal(size=4), -math.inf),
        sample(r.normal(size=(2, 3)), axis=(1,)),
        *(sample(np.empty((2, 0)), p) for p in ("fro", "nuc", 1, math.inf, 2)),
    ],
)
def norm(x: Array, ord: Order = None, axis: Axis = None, keepdims: bool = False) -> Array:
    """The norm of a vector or a matrix, or of each along `axis`.

    The gradient is 0 where the norm is 0. What ties for an extreme shares the gradient evenly. The orders 2, -2 and
    "nuc" of matrices are differentiated through their singular values.

    Args:
        x: an array.
        ord: the order. For vectors as in `vector_norm`. For matrices "fro" (the root of Σ |x|²), "nuc" (the sum of the
            singular values), 2 or -2 (the largest, the smallest of them), 1 or -1 (the largest, the smallest sum of |x|
            over a column), inf or -inf (that over a row). None is 2 for vectors and "fro" for matrices.
        axis: an axis with vectors, a pair of axes with matrices (rows, then columns), or None: `x` is one vector or one
            matrix, or if `ord` is None too an array of any shape taken as one vector.
        keepdims: keep these axes, with length one.

    Raises:
        ValueError: an order that vectors or matrices do not have, or more than two axes.

    >>> import tapenet as tn
    >>> x = tn.tensor([[3.0, 0.0], [0.0, 4.0]])
    >>> tn.linalg.norm(x), tn.linalg.norm(x, "nuc"), tn.linalg.norm(x, 1, axis=1)
    (Tensor(5.), Tensor(7.), Tensor([3., 4.]))
    """
    x = array_like(x)
    if axis is None:
        if ord is None:
            return vector_norm(x, keepdims=keepdims)
        axis = tuple(range(x.ndim))
    elif not isinstance(axis, tuple):
        axis = (operator.index(axis),)
    axis = tuple(normalize_axis_index(i, x.ndim) for i in axis)
    if len(axis) == 1:
        return vector_norm(x, axis=axis[0], keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axis) != 2:
        raise ValueError(
            f"norm: ord={ord!r} is for vectors and matrices, not for {len(axis)} axes: name one or two by axis=, or leave "
            "ord out"
        )
    if axis[0] == axis[1]:
        raise ValueError(f"norm: axis={axis} names one axis twice")
    if ord is None or ord in ("fro", "f"):
        return vector_norm(x, axis=axis, keepdims=keepdims)
    return _matrix_norm(x, ord, axis, keepdims)


def _matrix_norm(x: Array, ord: float | str, axis: tuple[int, int], keepdims: bool) -> Array:
    if x.dtype.kind not in "fc":
        x = x * 1.0
    if ord in ("nuc", 2, -2):
        # abs: where a singular value is 0 its derivative has no direction, and is taken as 0.
        values = np.abs(np.linalg.svdvals(np.moveaxis(x, axis, (-2, -1))))
        found = np.sum(values, axis=-1) if ord == "nuc" else _extreme(values, -1, ord == 2)
    elif ord in (1, -1, math.inf, -math.inf):
        summed, other = axis if ord in (1, -1) else axis[::-1]
        sums = np.sum(np.abs(x), axis=summed)
        found = _extreme(sums, other - (other > summed), ord in (1, math.inf))
    else:
        raise ValueError(
            f"norm: no order {ord!r} for matrices; there are 'fro', 'nuc', 2, -2, 1, -1, inf and -inf. For any other p "
            "take the elements as a vector: np.linalg.vector_norm(x, axis=..., ord=p)"
        )
    return np.reshape(found, kept_shape(x.shape, axis)) if keepdims else found


def _extreme(values: Array, axis: int, largest: bool) -> Array:
    """The largest value along an axis, 0 if there is none; or the smallest."""
    if not largest:
        found: Array = np.min(values, axis=axis)
    else:
        found = np.max(values, axis=axis) if values.shape[axis] else np.sum(values, axis=axis)
    return found


@derived(
    numpy=np.linalg.matrix_norm,
    samples=lambda r: [
        sample(r.normal(size=(2, 2, 3))),
        *(sample(r.normal(size=(2, 3)), ord=p) for p in ("nuc", 1, -1, 2, -2, math.inf, -math.inf)),
        sample(r.normal(size=(2, 1, 2)), keepdims=True, ord=1),
    ],
)
def matrix_norm(x: ArrayLike, *, keepdims: bool = False, ord: Order = "fro") -> Array:
    """The norm of a matrix, or of each in a stack: `norm` over the last two axes.

    Args:
        x: (..., m, n).
        keepdims: keep these axes, with length one.
        ord: the order, as in `norm`.

    >>> import tapenet as tn
    >>> tn.linalg.matrix_norm(tn.tensor([[3.0, 0.0], [0.0, 4.0]]), ord=2)
    Tensor(4.)
    """
    return norm(x, ord, (-2, -1), keepdims)


@op(
    nondiff=("x",),
    # Stated, since it has a convention of its own.
    value=lambda g, out: np.where(out < 1 / float(np.finfo(out.dtype).eps), g, np.zeros((), g.dtype)),
    gradients="value: g, 0 where out is 1/eps or more, eps being a rounding",
    samples=lambda r: [sample(r.normal(size=2), r.normal(size=(2, 1, 2)))],
)
def condition(value: Array, x: Array) -> Array:
    """The condition numbers of the matrices `x`: `value`, but infinite where that is nan and `x` is not.

    A matrix whose condition number is as large as the reciprocal of a rounding is singular but for rounding. What that
    number is, is chance, and so its gradient is 0.

    Args:
        value: (...).
        x: (..., m, n).

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.linalg.norms import condition
    >>> condition(tn.tensor([2.0, np.nan]), np.ones((2, 1, 1)))
    Tensor([ 2., inf])
    """
    lost = np.isnan(value) & ~np.any(np.isnan(x), axis=(-2, -1))
    return np.where(lost, np.full((), math.inf, value.dtype), value)


def _svdvals_or_nan(x: Array) -> Array:
    """The singular values, nan for matrices with an element that is not finite: LAPACK finds none for these."""
    numbers = known(x)
    if numbers is None or np.isfinite(numbers).all():
        return np.linalg.svdvals(x)
    whole = np.isfinite(numbers).all((-2, -1))
    values = np.linalg.svdvals(identity_where(by_matrix(~whole), x))
    return np.where(whole[..., None], values, math.nan)


@derived(
    numpy=np.linalg.cond,
    samples=lambda r: [
        *(sample(regular(r, 2, 2), p) for p in (None, 2, -2, "fro", "nuc", 1, -1, math.inf, -math.inf)),
        sample(regular(r, 2, 2, 2)),
        sample(regular(r, 2, 2, 2), 1),
        sample(r.normal(size=(2, 3))),
    ],
)
def cond(x: ArrayLike, p: float | str | None = None) -> Array:
    """The condition number of a matrix, or of each in a stack: norm(x) times that of the inverse.

    Where it is infinite but for rounding, as for a singular matrix, its gradient is 0.

    Args:
        x: (..., n, n); (..., m, n) if `p` is None, 2 or -2.
        p: the order of the norm. None is 2: the largest singular value over the smallest; -2 is the reverse.

    Raises:
        LinAlgError: an empty matrix; or one that is not square, for other orders.

    >>> import tapenet as tn
    >>> tn.linalg.cond(tn.tensor([[4.0, 0.0], [0.0, 2.0]]))
    Tensor(2.)
    """
    x = array_like(x)
    if 0 in x.shape[-2:]:
        raise np.linalg.LinAlgError(f"cond: an empty matrix has no condition number: x has the shape {x.shape}")
    with np.errstate(all="ignore"):
        if p is None or p in (2, -2):
            values = _svdvals_or_nan(x)
            first, last = values[..., 0], values[..., -1]
            return condition(last / first if p == -2 else first / last, x)
        singular = np.linalg.slogdet(x).sign == 0
        safe = identity_where(by_matrix(singular), x)
        found = norm(safe, p, (-2, -1)) * norm(np.linalg.inv(safe), p, (-2, -1))
        return condition(np.where(singular, math.inf, found), x)
