"""Reductions that pass over nan."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import Op, Rule, op
from tapenet.ops.reductions.masking import ARGS, INITIAL, WHERE, conjugate, exact, mask_of, without_nan
from tapenet.ops.reductions.sums import bound, extreme_more, prod, share, spread, sum
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.typing import Array, Axis

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def _samples(exactly: bool = False) -> Samples:
    """Calls with a nan here and there, over any axes."""

    def make(r: np.random.Generator) -> list[Sample]:
        def array(*shape: int) -> Array:
            a = exact(r, *shape) if exactly else r.normal(size=shape)
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
    """The deviations from the mean, conjugate and 0 where an element takes no part; and one over the degrees of freedom,
    0 where there are none."""
    valid = _valid(a, where)
    number = _number(valid, axis, g)
    if mean is None:
        mean = np.sum(np.where(valid, a, 0), axis=axis, keepdims=True) / np.where(number > 0, number, 1)
    freedom = number - (ddof if correction is None else correction)
    parts = np.where(freedom > 0, 1 / np.where(freedom > 0, freedom, 1), 0)
    return conjugate(np.where(valid, a - mean, 0)), parts


def _var_a(
    g: Array, a: Array, axis: Axis, ddof: float, keepdims: bool, where: ArrayLike, mean: Array, correction: float | None
) -> Array:  # fmt: skip
    deviations, parts = _deviations(g, a, axis, ddof, where, mean, correction)
    return safe_mul(spread(g, a.shape, axis, keepdims) * (2 * parts), deviations)


def _var_mean(
    g: Array, a: Array, axis: Axis, ddof: float, keepdims: bool, where: ArrayLike, mean: Array, correction: float | None
) -> Array:  # fmt: skip
    return -np.sum(_var_a(g, a, axis, ddof, keepdims, where, mean, correction), axis=axis, keepdims=True)


def _std_a(
    g: Array,
    out: Array,
    a: Array,
    axis: Axis,
    ddof: float,
    keepdims: bool,
    where: ArrayLike,
    mean: Array,
    correction: float | None,
) -> Array:
    # 0 where the deviation is 0, as for std, and where it is nan.
    deviations, parts = _deviations(g, a, axis, ddof, where, mean, correction)
    g = g / np.where(out > 0, out, 1)
    return safe_mul(spread(g, a.shape, axis, keepdims) * parts, deviations)


def _std_mean(
    g: Array,
    out: Array,
    a: Array,
    axis: Axis,
    ddof: float,
    keepdims: bool,
    where: ArrayLike,
    mean: Array,
    correction: float | None,
) -> Array:
    return -np.sum(_std_a(g, out, a, axis, ddof, keepdims, where, mean, correction), axis=axis, keepdims=True)


def _given(**options: Any) -> dict[str, Any]:
    """The options that are not None, for NumPy functions whose defaults have no other name."""
    return {name: value for name, value in options.items() if value is not None}


def _reduction(
    forward: Callable[..., object], numpy: object, name: str, summary: str,
    example: str, options: str,
    samples: Samples, more: Callable[..., Array] | None = None, gradients: str | None = None,
    **rules: Rule,
) -> Op:  # fmt: skip
    made: Op = op(
        forward,
        name=name,
        numpy=numpy,
        nondiff=() if more else ("where",),
        gradients=gradients,
        doc=f"{summary} Elements that are nan have gradient 0.\n{ARGS}{options}{WHERE}\n\n"
        f"    >>> import numpy as np, tapenet as tn\n    >>> tn.{example}\n    ",
        samples=samples,
        more=more,
        grads=rules,
    )
    made.__module__ = __name__
    return made


nanmean = _reduction(
    lambda a, axis=None, dtype=None, *, keepdims=False, where=True: np.nanmean(
        a, axis, dtype=dtype, keepdims=keepdims, where=where
    ),
    np.nanmean,
    "nanmean",
    "The mean of the elements that are not nan; nan, with NumPy's warning, if all are.",
    "nanmean(tn.tensor([1.0, np.nan, 3.0]))\n    Tensor(2.)",
    "",
    _masked_samples(initial=False),
    a=_mean_a,
)

_MOMENT = """
        ddof, correction: what the number of elements is lessened by; two names for one number.
        mean: the mean, if it is known, of a shape as with keepdims."""


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


nanvar = _reduction(
    lambda a, axis=None, dtype=None, *, ddof=0, keepdims=False, where=True, mean=None, correction=None: np.nanvar(
        a, axis, dtype=dtype, ddof=ddof, keepdims=keepdims, where=where, **_given(mean=mean, correction=correction)
    ),
    np.nanvar,
    "nanvar",
    "The variance of the elements that are not nan; nan, with NumPy's warning and gradient 0, where n ≤ ddof.",
    "nanvar(tn.tensor([1.0, np.nan, 3.0]))\n    Tensor(1.)",
    _MOMENT,
    _moment_samples,
    gradients="a: g · 2 (a − μ)/(n − ddof); mean: −Σ g · 2 (a − mean)/(n − ddof)",
    a=_var_a,
    mean=_var_mean,
)
nanstd = _reduction(
    lambda a, axis=None, dtype=None, *, ddof=0, keepdims=False, where=True, mean=None, correction=None: np.nanstd(
        a, axis, dtype=dtype, ddof=ddof, keepdims=keepdims, where=where, **_given(mean=mean, correction=correction)
    ),
    np.nanstd,
    "nanstd",
    "The standard deviation of the elements that are not nan, the square root of `nanvar`; its gradient is 0 where it is 0.",
    "nanstd(tn.tensor([1.0, np.nan, 3.0]))\n    Tensor(1.)",
    _MOMENT,
    _moment_samples,
    gradients="a: g · (a − μ)/((n − ddof) · out); mean: −Σ g · (a − mean)/((n − ddof) · out)",
    a=_std_a,
    mean=_std_mean,
)


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


nanmax = _reduction(
    lambda a, axis=None, *, keepdims=False: np.nanmax(a, axis, keepdims=keepdims),
    np.nanmax,
    "nanmax",
    "The largest element that is not nan; nan, with NumPy's warning, if all are. Equal ones share the gradient evenly.",
    "nanmax(tn.tensor([1.0, np.nan, 3.0]))\n    Tensor(3.)",
    INITIAL,
    _masked_samples(initial=True),
    _extreme_more("nanmax", np.fmax, -1),
    a=share,
)
nanmin = _reduction(
    lambda a, axis=None, *, keepdims=False: np.nanmin(a, axis, keepdims=keepdims),
    np.nanmin,
    "nanmin",
    "The smallest element that is not nan; nan, with NumPy's warning, if all are. Equal ones share the gradient evenly.",
    "nanmin(tn.tensor([1.0, np.nan, 3.0]))\n    Tensor(1.)",
    INITIAL,
    _masked_samples(initial=True),
    _extreme_more("nanmin", np.fmin, 1),
    a=share,
)


def _place(numpy: Callable[..., object], name: str, which: str, example: str) -> Op:
    made: Op = op(
        lambda a, axis=None, *, keepdims=False: numpy(a, axis, keepdims=keepdims),
        name=name,
        numpy=numpy,
        nondiff=("a",),
        doc=f"""The index of the {which} element along `axis` that is not nan. Returns a tensor without gradient.
{ARGS}

    Raises:
        ValueError: all elements of a slice are nan.

    >>> import numpy as np, tapenet as tn
    >>> tn.{example}
    """,
        samples=lambda r: [c for c in _samples()(r) if not isinstance(c.kwargs.get("axis"), tuple)],
        hint=lambda a, *_: "A slice in which every element is nan has none: fill it first, as with np.nan_to_num",
    )
    made.__module__ = __name__
    return made


nanargmax = _place(np.nanargmax, "nanargmax", "largest", "nanargmax(tn.tensor([np.nan, 1.0, 3.0])).item()\n    2")
nanargmin = _place(np.nanargmin, "nanargmin", "smallest", "nanargmin(tn.tensor([np.nan, 1.0, 3.0])).item()\n    1")
