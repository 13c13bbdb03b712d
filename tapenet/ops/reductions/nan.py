"""Reductions that ignore nan.

The rules of `nanvar` and `nanstd` are stated: composed of `var` with a mask they take 1.4 to 1.6 times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import Rule, op
from tapenet.ops.reductions.extremes import bound, extreme_more, share
from tapenet.ops.reductions.masking import conjugate, exact, mask_of, without_nan
from tapenet.ops.reductions.products import prod
from tapenet.ops.reductions.sums import spread, sum
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.typing import Array, Axis

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def _samples() -> Samples:
    """Calls with a nan here and there, over any axes."""

    def make(r: np.random.Generator) -> list[Sample]:
        def array(*shape: int) -> Array:
            a = r.normal(size=shape)
            a[(1,) * len(shape)] = np.nan
            return a

        return [
            sample(array(2, 3)),
            sample(array(2, 4), axis=-1, keepdims=True),
            sample(array(2, 3, 2), axis=(0, -1)),
            sample(array(3, 2), axis=0),
            sample(r.normal(size=())),
        ]

    return make


def _masked_samples(initial: bool) -> Samples:
    """The same, and calls with where= and, if there is such an option, initial=."""
    start = {"initial": 0.1} if initial else {}

    def make(r: np.random.Generator) -> list[Sample]:
        a = exact(r, 2, 4)
        a[0, 1] = np.nan
        masked = [
            sample(a, axis=0, where=np.array([[True], [True]]), **start),
            sample(a, where=mask_of(2, 4), **start),
            sample(a, axis=-1, keepdims=True, where=mask_of(4), **start),
        ]
        return [*_samples()(r), *masked, *([sample(a, axis=1, **start)] if start else [])]

    return make


# -- sums and products: nan counts as nothing ----------------------------------------------------------------------


def _rare(initial: ArrayLike | None, where: ArrayLike) -> dict[str, ArrayLike]:
    """The rare options that were given."""
    return ({} if initial is None else {"initial": initial}) | ({} if where is True else {"where": where})


@derived(numpy=np.nansum, samples=_masked_samples(initial=True))
def nansum(
    a: Array,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    *,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike = True,
) -> Array:
    """The sum of the elements that are not nan, with gradient 0 at those that are; 0 if all are nan.

    >>> import numpy as np, tapenet as tn
    >>> tn.nansum(tn.tensor([1.0, np.nan, 3.0]))
    Tensor(4.)
    """
    return sum(without_nan(a, 0), axis, dtype, keepdims=keepdims, **_rare(initial, where))


@derived(numpy=np.nanprod, samples=_masked_samples(initial=True))
def nanprod(
    a: Array,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    *,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike = True,
) -> Array:
    """The product of the elements that are not nan, with gradient 0 at those that are; 1 if all are nan.

    >>> import numpy as np, tapenet as tn
    >>> tn.nanprod(tn.tensor([2.0, np.nan, 3.0]))
    Tensor(6.)
    """
    return prod(without_nan(a, 1), axis, dtype, keepdims=keepdims, **_rare(initial, where))


# -- means and extremes: NumPy's own values and warnings -----------------------------------------------------------


def _valid(a: Array, where: ArrayLike) -> Array:
    """Which elements take part."""
    valid = np.logical_not(np.isnan(a))
    return valid if where is True else np.logical_and(valid, where)


def _number(valid: Array, axis: Axis, like: Array) -> Array:
    """How many elements take part, in the dtype of a gradient."""
    return np.sum(valid, axis=axis, keepdims=True, dtype=like.dtype)


def _mean_a(g: Array, a: Array, axis: Axis, keepdims: bool, where: ArrayLike) -> Array:
    valid = _valid(a, where)
    return np.where(valid, spread(g, a.shape, axis, keepdims) / _number(valid, axis, g), 0)


def _deviations(
    g: Array, a: Array, axis: Axis, ddof: float, where: ArrayLike, mean: Array, correction: float | None
) -> tuple[Array, Array]:  # fmt: skip
    """The deviations from the mean, conjugate and 0 where an element takes no part; and one over the degrees of freedom, 0
    where there are none."""
    valid = _valid(a, where)
    number = _number(valid, axis, g)
    if mean is None:
        mean = np.sum(np.where(valid, a, 0), axis=axis, keepdims=True) / np.where(number > 0, number, 1)
    freedom = number - (ddof if correction is None else correction)
    parts = np.where(freedom > 0, 1 / np.where(freedom > 0, freedom, 1), 0)
    return conjugate(np.where(valid, a - mean, 0)), parts


def _rules(root: bool) -> dict[str, Rule]:
    """The rules of a variance, or of its root."""

    def by_a(
        g: Array, out: Array, a: Array, axis: Axis, ddof: float, keepdims: bool, where: ArrayLike, mean: Array,
        correction: float | None,
    ) -> Array:  # fmt: skip
        deviations, parts = _deviations(g, a, axis, ddof, where, mean, correction)
        # 0 where the deviation is 0, as for std, and where it is nan.
        g = g / np.where(out > 0, out, 1) if root else 2 * g
        return safe_mul(spread(g, a.shape, axis, keepdims) * parts, deviations)

    def by_mean(
        g: Array, out: Array, a: Array, axis: Axis, ddof: float, keepdims: bool, where: ArrayLike, mean: Array,
        correction: float | None,
    ) -> Array:  # fmt: skip
        return -np.sum(by_a(g, out, a, axis, ddof, keepdims, where, mean, correction), axis=axis, keepdims=True)

    return {"a": by_a, "mean": by_mean}


def _given(**options: Any) -> dict[str, Any]:
    """The options that are not None, for NumPy functions whose defaults have no other name."""
    return {name: value for name, value in options.items() if value is not None}


@op(
    numpy=np.nanmean,
    nondiff=("where",),
    a=_mean_a,
    vmap="axis",
    samples=_masked_samples(initial=False),
)
def nanmean(a: Array, axis: Axis = None, dtype: Any = None, *, keepdims: bool = False, where: Any = True) -> Array:
    """The mean of the elements that are not nan; nan, with NumPy's warning, if all are. Elements that are nan have
    gradient 0.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import numpy as np, tapenet as tn
    >>> tn.nanmean(tn.tensor([1.0, np.nan, 3.0]))
    Tensor(2.)
    """
    return array_like(np.nanmean(a, axis, dtype=dtype, keepdims=keepdims, where=where))


def _moment_samples(r: np.random.Generator) -> list[Sample]:
    a = r.normal(size=(2, 4))
    a[0, 1] = np.nan
    return [
        *list(_masked_samples(initial=False)(r))[:4],
        sample(a, axis=1, ddof=1),
        sample(a, axis=(0, 1), correction=1.5),
        sample(a, axis=-1, where=np.array([True, True, True, False]), keepdims=True),
        sample(a, axis=0, mean=0.25, ddof=-1),
        sample(a, axis=1, mean=r.normal(size=(2, 1)), keepdims=True),
    ]


@op(
    numpy=np.nanvar,
    nondiff=("where",),
    grads=_rules(False),
    gradients="a: g · 2 (a − μ)/(n − ddof); mean: −Σ g · 2 (a − mean)/(n − ddof)",
    vmap="axis",
    samples=_moment_samples,
)
def nanvar(
    a: Array, axis: Axis = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False, where: Any = True,
    mean: Array | None = None, correction: float | None = None,
) -> Array:  # fmt: skip
    """The variance of the elements that are not nan; nan, with NumPy's warning and gradient 0, where n ≤ ddof. Elements
    that are nan have gradient 0.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        ddof, correction: what the number of elements is lessened by; two names for one number.
        mean: the mean, if it is known, of a shape as with keepdims.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import numpy as np, tapenet as tn
    >>> tn.nanvar(tn.tensor([1.0, np.nan, 3.0]))
    Tensor(1.)
    """
    options = _given(mean=mean, correction=correction)
    return array_like(np.nanvar(a, axis, dtype=dtype, ddof=ddof, keepdims=keepdims, where=where, **options))


@op(
    numpy=np.nanstd,
    nondiff=("where",),
    grads=_rules(True),
    gradients="a: g · (a − μ)/((n − ddof) · out); mean: −Σ g · (a − mean)/((n − ddof) · out)",
    vmap="axis",
    samples=_moment_samples,
)
def nanstd(
    a: Array, axis: Axis = None, dtype: Any = None, *, ddof: float = 0, keepdims: bool = False, where: Any = True,
    mean: Array | None = None, correction: float | None = None,
) -> Array:  # fmt: skip
    """The standard deviation of the elements that are not nan, the square root of `nanvar`; its gradient is 0 where it
    is 0. Elements that are nan have gradient 0.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        ddof, correction: what the number of elements is lessened by; two names for one number.
        mean: the mean, if it is known, of a shape as with keepdims.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import numpy as np, tapenet as tn
    >>> tn.nanstd(tn.tensor([1.0, np.nan, 3.0]))
    Tensor(1.)
    """
    options = _given(mean=mean, correction=correction)
    return array_like(np.nanstd(a, axis, dtype=dtype, ddof=ddof, keepdims=keepdims, where=where, **options))


def _extreme_more(name: str, of_two: Callable[[Array, Array], Array], sign: int) -> Callable[..., Array]:
    plain = extreme_more(name, of_two, sign)

    def more(
        a: Array,
        axis: Axis = None,
        *,
        keepdims: bool = False,
        initial: ArrayLike | None = None,
        where: ArrayLike = True,
    ) -> Array:
        if initial is None and where is True:
            return (nanmax if sign < 0 else nanmin)(a, axis, keepdims=keepdims)
        a = array_like(a)
        found = plain(without_nan(a, bound(a.dtype, sign)), axis, keepdims=keepdims, initial=initial, where=where)
        if initial is None or a.dtype.kind not in "fc":
            return found
        none = np.logical_not(np.any(_valid(a, where), axis, keepdims=keepdims))
        return np.where(np.logical_and(none, np.isnan(initial)), np.full((), np.nan, a.dtype), found)

    return more


@op(
    numpy=np.nanmax,
    a=share,
    more=_extreme_more("nanmax", np.fmax, -1),
    vmap="axis",
    samples=_masked_samples(initial=True),
)
def nanmax(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The largest element that is not nan; nan, with NumPy's warning, if all are. Equal ones share the gradient evenly.
    Elements that are nan have gradient 0.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        initial: a number that takes part in each result.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import numpy as np, tapenet as tn
    >>> tn.nanmax(tn.tensor([1.0, np.nan, 3.0]))
    Tensor(3.)
    """
    return array_like(np.nanmax(a, axis, keepdims=keepdims))


@op(
    numpy=np.nanmin,
    a=share,
    more=_extreme_more("nanmin", np.fmin, 1),
    vmap="axis",
    samples=_masked_samples(initial=True),
)
def nanmin(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The smallest element that is not nan; nan, with NumPy's warning, if all are. Equal ones share the gradient
    evenly. Elements that are nan have gradient 0.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        initial: a number that takes part in each result.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import numpy as np, tapenet as tn
    >>> tn.nanmin(tn.tensor([1.0, np.nan, 3.0]))
    Tensor(1.)
    """
    return array_like(np.nanmin(a, axis, keepdims=keepdims))


def _place_samples(r: np.random.Generator) -> list[Sample]:
    return [c for c in _samples()(r) if not isinstance(c.kwargs.get("axis"), tuple)]


def _place_hint(a: Array, *_: object) -> str:
    return "A slice in which every element is nan has none: fill it first, as with np.nan_to_num"


@op(
    numpy=np.nanargmax,
    nondiff=True,
    vmap="axis",
    samples=_place_samples,
    hint=_place_hint,
)
def nanargmax(a: Array, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The index of the largest element along `axis` that is not nan. Returns a tensor without gradient.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.

    Raises:
        ValueError: all elements of a slice are nan.

    >>> import numpy as np, tapenet as tn
    >>> tn.nanargmax(tn.tensor([np.nan, 1.0, 3.0])).item()
    2
    """
    return array_like(np.nanargmax(a, axis, keepdims=keepdims))


@op(
    numpy=np.nanargmin,
    nondiff=True,
    vmap="axis",
    samples=_place_samples,
    hint=_place_hint,
)
def nanargmin(a: Array, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The index of the smallest element along `axis` that is not nan. Returns a tensor without gradient.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.

    Raises:
        ValueError: all elements of a slice are nan.

    >>> import numpy as np, tapenet as tn
    >>> tn.nanargmin(tn.tensor([np.nan, 1.0, 3.0])).item()
    1
    """
    return array_like(np.nanargmin(a, axis, keepdims=keepdims))
