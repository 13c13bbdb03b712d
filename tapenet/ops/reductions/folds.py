"""Elements combined one after another by any function of two numbers: what `reduce` and `accumulate` of a ufunc compute.

Forwards are NumPy's own loops. Rules take the derivatives of one step from the op that the ufunc is, all steps at once, and
go back through them by a linear recurrence: no loop of Python over elements.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import FLAT, Op, op
from tapenet.ops.reductions import cumulative
from tapenet.ops.reductions.masking import hint, without_nan
from tapenet.ops.registry import Sample, numpy_functions, sample
from tapenet.typing import Array, Axis

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def _label(what: str) -> Callable[..., str]:
    return lambda ufunc, **_: f"{ufunc.__name__.replace('_', ' ')} {what}"


# -- without a derivative ----------------------------------------------------------------------------------------


@op(
    nondiff=("a", "initial", "where"),
    label=_label("reduce"),
    vmap="axis",
    samples=lambda r: [
        sample(np.array([[6, 3], [5, 12]]), np.bitwise_and, 1),
        sample(np.array([[6, 3], [5, 12]]), np.gcd, axis=0, keepdims=True),
        sample(r.normal(size=(2, 3)) > 0, np.logical_xor, None),
        sample(r.normal(size=(2, 3)) > 0, np.logical_and, 1, initial=False, where=np.array([True, False, True])),
    ],
)
def reduced(
    a: Array, ufunc: np.ufunc, axis: Axis = 0, *, dtype: DTypeLike | None = None, keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike = True,
) -> Array:  # fmt: skip
    """`ufunc.reduce(a, axis)` of a ufunc without a derivative. Returns a tensor without gradient.

    >>> import numpy as np, tapenet as tn
    >>> np.bitwise_xor.reduce(tn.tensor([6, 3])).item()
    5
    """
    options: dict[str, Any] = {} if initial is None else {"initial": initial}
    return array_like(ufunc.reduce(a, axis, dtype, keepdims=keepdims, where=where, **options))


@op(
    nondiff=("a",),
    label=_label("accumulate"),
    vmap="axis",
    samples=lambda r: [
        sample(np.array([[6, 3], [5, 12]]), np.bitwise_or, 1),
        sample(np.array([[6, 4], [9, 12]]), np.gcd),
    ],
)
def accumulated(a: Array, ufunc: np.ufunc, axis: int = 0, *, dtype: DTypeLike | None = None) -> Array:
    """`ufunc.accumulate(a, axis)` of a ufunc without a derivative. Returns a tensor without gradient.

    >>> import numpy as np, tapenet as tn
    >>> np.bitwise_or.accumulate(tn.tensor([4, 1])).tolist()
    [4, 5]
    """
    return ufunc.accumulate(a, axis, dtype)


# -- with one ----------------------------------------------------------------------------------------------------


def _gradient(ufunc: np.ufunc, name: str, g: Array, x: Array, y: Array | None, out: Array) -> Array:
    """The gradient of ufunc(x, y) by "x" or "y", by the rule of the op that it is."""
    made = numpy_functions[ufunc]
    assert isinstance(made, Op)
    known = {"g": g, "x": x, "y": y, "out": out}
    d = made.rules[name](**{need: known[need] for need in made.needs[name]})
    return np.zeros_like(g) if d is FLAT else d


def _through(g: Array, a: Array, out: Array, ufunc: np.ufunc, axis: int) -> Array:
    """The gradient by `a` where `out` is what has been combined so far and `g` its gradient."""
    g, a, out = (np.moveaxis(v, axis, -1) for v in (g, a, out))
    step = np.ones_like(out[..., 1:]), out[..., :-1], a[..., 1:], out[..., 1:]
    by_before, by_next = (_gradient(ufunc, name, *step) for name in ("x", "y"))
    whole = cumulative.recurrence(g, cumulative.shifted_in(by_before))
    return np.moveaxis(np.concatenate([whole[..., :1], safe_mul(whole[..., 1:], by_next)], -1), -1, axis)


#: Ufuncs whose gradient by `x` is a function of x and the result alone: that of a fold by each element is the same.
_SYMMETRIC = (np.hypot, np.logaddexp2)


def _folded_a(g: Array, a: Array, out: Array, ufunc: np.ufunc, axis: int) -> Array:
    g = np.expand_dims(g, axis)
    if ufunc in _SYMMETRIC:
        return _gradient(ufunc, "x", g, a, None, np.expand_dims(out, axis))
    if ufunc is np.subtract:
        sign: Array = np.full([n if i == axis % a.ndim else 1 for i, n in enumerate(a.shape)], -1, a.dtype)
        sign.reshape(-1)[0] = 1
        return g * sign
    before = list(a.shape)
    before[axis] -= 1
    return _through(np.concatenate([np.zeros(before, g.dtype), g], axis), a, running_fold(a, ufunc, axis), ufunc, axis)


def _samples(r: np.random.Generator) -> list[Sample]:
    a = r.uniform(0.5, 2.0, (3, 4))
    return [
        sample(a, np.hypot),
        sample(a, np.subtract, 1),
        sample(a, np.divide, axis=-1),
        sample(a, np.arctan2, 1),
        sample(a[0, :3], np.power),
        sample(a[:1], np.logaddexp2, 0),
        sample(a + 2j, np.divide, 0),
    ]


#: Where a processor has AVX-512, `reduce` of NumPy 2.4 combines of these only the first and the last element.
_SKIPPING = (np.power, np.arctan2)


@op(
    a=_folded_a,
    label=_label("reduce"),
    formula="f(… f(f(a[0], a[1]), a[2]) …, a[n])",
    gradients="a: g · ∂f/∂y of its step · Π of ∂f/∂x of later steps",
    vmap="axis",
    samples=_samples,
    hint=hint,
)
def folded(a: Array, ufunc: np.ufunc, axis: int = 0) -> Array:
    """`ufunc.reduce(a, axis)` of a ufunc f(x, y) with a derivative: the elements combined one after another.

    Args:
        a: an array of one axis or more, with an element along `axis`.
        ufunc: a ufunc of two arguments, for which an op stands.
        axis: the axis to combine along.

    >>> import numpy as np, tapenet as tn
    >>> np.subtract.reduce(tn.tensor([5.0, 1.0, 2.0]))
    Tensor(2.)
    """
    return array_like(np.take(ufunc.accumulate(a, axis), -1, axis) if ufunc in _SKIPPING else ufunc.reduce(a, axis))


@op(
    a=lambda g, a, out, ufunc, axis: _through(g, a, out, ufunc, axis),
    label=_label("accumulate"),
    formula="out[0] = a[0], out[i] = f(out[i − 1], a[i])",
    gradients="a: s · ∂f/∂y, with s[i] = g[i] + s[i + 1] · ∂f/∂x of step i + 1",
    vmap="axis",
    samples=_samples,
    hint=hint,
)
def running_fold(a: Array, ufunc: np.ufunc, axis: int = 0) -> Array:
    """`ufunc.accumulate(a, axis)` of a ufunc f(x, y) with a derivative: each result of combining element after element.

    Args:
        a: an array of one axis or more, with an element along `axis`.
        ufunc: a ufunc of two arguments, for which an op stands.
        axis: the axis to combine along.

    >>> import numpy as np, tapenet as tn
    >>> np.subtract.accumulate(tn.tensor([5.0, 1.0, 2.0]))
    Tensor([5., 4., 2.])
    """
    return ufunc.accumulate(a, axis)


def masked_fold(a: Array, ufunc: np.ufunc, axis: int, where: ArrayLike) -> Array:
    """What `folded` gives of the first element of each line along `axis` and, of the others, those that a mask chooses.

    The chosen come to the front of their line, so that the result is what has been combined after as many as they are.
    """
    first, rest = np.split(a, [1], axis)
    mask = np.broadcast_to(array_like(where), rest.shape)
    order = np.argsort(np.logical_not(mask), axis, kind="stable")
    # What is left out comes last. It is set to 1, which stays finite in every step.
    front = np.take_along_axis(np.where(mask, rest, np.ones((), a.dtype)), order, axis)
    combined = running_fold(np.concatenate([first, front], axis), ufunc, axis)
    return np.squeeze(np.take_along_axis(combined, np.sum(mask, axis, keepdims=True), axis), axis)


# -- the larger and the smaller of numbers and nan ---------------------------------------------------------------


def _extreme(plain: Callable[..., Array], worst: float) -> Callable[..., Array]:
    def extreme(
        a: Array, axis: Axis, *, keepdims: bool = False, initial: ArrayLike | None = None, where: ArrayLike = True
    ) -> Array:
        """`reduce` of fmax or fmin: the extreme of what is not nan, of which equal elements share the gradient evenly."""
        options: dict[str, Any] = {"keepdims": keepdims, "where": where}
        if a.dtype.kind != "f":
            return plain(a, axis, **options, **({} if initial is None else {"initial": initial}))
        alone = np.all(np.isnan(a), axis, **options)
        if initial is not None:
            absent = np.isnan(initial)
            alone = np.logical_and(alone, absent)
            options["initial"] = np.where(absent, worst, initial)
        return np.where(alone, math.nan, plain(without_nan(a, worst), axis, **options))

    return extreme


def _running_extreme(plain: Callable[..., Array], worst: float) -> Callable[..., Array]:
    def extreme(a: Array, axis: int) -> Array:
        """`accumulate` of fmax or fmin: the gradient goes to the first of equal elements."""
        if a.dtype.kind != "f":
            return plain(a, axis)
        alone = accumulated(np.isnan(a), np.logical_and, axis)
        return np.where(alone, math.nan, plain(without_nan(a, worst), axis))

    return extreme


largest, smallest = _extreme(np.max, -math.inf), _extreme(np.min, math.inf)
running_largest = _running_extreme(cumulative.cumulative_max, -math.inf)
running_smallest = _running_extreme(cumulative.cumulative_min, math.inf)
