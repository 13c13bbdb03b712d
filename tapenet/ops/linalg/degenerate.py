"""What the gradients of decompositions divide by: gaps between eigenvalues, and singular values.

Where such a divisor vanishes, the vectors of a decomposition are not determined by the matrix. A gradient exists then
only if the loss does not depend on the choice, and these functions raise where it may: nothing becomes nan, and no part
of a gradient is lost in silence.
"""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.conditions import provided
from tapenet.ops.derived import array_like
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import conjugate
from tapenet.ops.registry import sample
from tapenet.program import symbols
from tapenet.typing import Array

#: How many roundings of the parts that a difference was made of may be left in it where it should be 0.
ROUNDINGS = 64


class Undetermined(np.linalg.LinAlgError):
    """The loss depends on what a matrix does not determine."""


def _negligible(x: Array, size: Array | float) -> Array:
    """Where `x`, computed from parts of magnitude `size`, is 0 but for rounding."""
    return np.abs(x) <= ROUNDINGS * float(np.finfo(np.result_type(x, np.float32)).eps) * size


def _gap_quotient_x(g: Array, gap: Array, floor: float | Array, message: str) -> Array:
    return gap_quotient(g, gap, 0.0, floor, message)


@op(
    label="÷ gap",
    broadcasts=True,
    nondiff=("size", "floor"),
    x=_gap_quotient_x,
    gap=lambda g, out, gap, floor, message: -_gap_quotient_x(g * out, gap, floor, message),
    formula="x / gap, 0 where x is 0 but for rounding",
    gradients="x: g / gap; gap: −g · out / gap",
    vmap="leading",
    lower=lambda x, gap, size, floor, message: _lower_gap_quotient(x, gap, size, floor, message),
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 2)), r.normal(size=2), 1.0, 1e-9, ""),
    ],
)
def gap_quotient(
    x: Array, gap: Array, size: Array | float = 0.0, floor: float | Array = 0.0, message: str = ""
) -> Array:
    """The quotient x / gap in the gradient of a decomposition; 0 where x is 0 but for rounding.

    Args:
        x: what is divided.
        gap: a difference or sum of eigenvalues or singular values.
        size: the magnitude of the terms of which `x` is the sum: what is left of it by rounding counts as 0.
        floor: a gap that is not larger counts as 0.
        message: the error.

    Returns:
        an array of the shape of `x` and `gap` broadcast.

    Raises:
        LinAlgError: a gap is 0 and its x is not; with `message`.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.linalg.degenerate import gap_quotient
    >>> gap_quotient(tn.tensor([2.0, 0.0]), np.array([4.0, 0.0]))
    Tensor([0.5, 0. ])
    """
    zero, closed, wrong = _gaps(x, gap, size, floor)
    if wrong.any():
        raise Undetermined(message)
    return _quotient(x, gap, zero, closed)


def _gaps(x: Array, gap: Array, size: Array | float, floor: float | Array) -> tuple[Array, Array, Array]:
    """Where x is 0 but for rounding, where there is no gap, and where there is none and x is not 0."""
    zero = _negligible(x, size)
    closed = np.abs(gap) <= floor
    return zero, closed, closed & ~zero


def _quotient(x: Array, gap: Array, zero: Array, closed: Array) -> Array:
    quotient = x / np.where(closed, np.ones((), gap.dtype), gap)
    return np.where(zero | closed, np.zeros((), quotient.dtype), quotient)


def _lower_gap_quotient(x: Array, gap: Array, size: Array | float, floor: float | Array, message: str) -> Array:
    zero, closed, wrong = _gaps(x, gap, size, floor)
    checked = symbols.provided(gap, wrong, Undetermined, message)
    return _quotient(x, checked, zero, closed)  # type: ignore[arg-type]  # a symbol, as all are


def provided_zero(value: Array, x: Array, size: Array | float, message: str) -> Array:
    """`value` as it is, provided that `x`, a sum of terms of magnitude `size`, is 0 but for rounding.

    Raises:
        LinAlgError: it is not; with `message`.
    """
    return provided(value, ~_negligible(x, size), Undetermined, message)


def _apart_rule(g: Array, values: Array, floor: Array | float, message: str) -> Array:
    return provided(g, equal(values, floor), Undetermined, message)


def equal(values: Array, floor: Array | float) -> Array:
    """Which pairs of the values, (..., n, n), are equal; none is with itself."""
    other = ~np.eye(values.shape[-1], dtype=bool)
    return array_like((np.abs(values[..., None, :] - values[..., :, None]) <= floor) & other)


# For second derivatives: where a gap is 0, a gradient that is 0 at this matrix but not near it would count, and the rule
# cannot see it.
@op(
    label="=",
    nondiff=("values", "floor"),
    value=_apart_rule,
    gradients="value: g, provided that no two values are equal",
    samples=lambda r: [sample(r.normal(size=2), np.arange(3))],
)
def apart(value: Array, values: Array, floor: float | Array = 0.0, message: str = "") -> Array:
    """`value` as it is; it can be differentiated if no two `values` are equal.

    Rules pass the vectors that they use through it, so that second derivatives are refused where eigenvalues are equal.

    Args:
        value: an array of any shape.
        values: (..., n).
        floor: a gap that is not larger counts as 0.
        message: the error.

    Raises:
        LinAlgError: in backward, if two are equal; with `message`.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.linalg.degenerate import apart
    >>> apart(tn.tensor([2.0]), np.array([1.0, 1.0]))
    Tensor([2.])
    """
    return value


def lengths(x: Array) -> Array:
    """The Euclidean length of each column, (..., 1, k)."""
    x = np.abs(x)
    return array_like(np.sqrt(np.sum(x * x, axis=-2, keepdims=True)))


def rounding(values: Array, order: int) -> Array | float:
    """How far apart eigenvalues of a matrix of `order` rows may be that are equal but for rounding, (..., 1, 1).

    LAPACK leaves up to 10 roundings of the largest in small matrices, and less than one for each row in large ones. NumPy
    computes in float64 for any dtype, so that in float32 there are those of the matrix alone.
    """
    if 0 in values.shape:
        return 0.0
    roundings = 10 if values.dtype == np.float32 or values.dtype == np.complex64 else order + 10
    largest = array_like(np.max(np.abs(values), axis=-1))[..., None, None]
    return roundings * float(np.finfo(values.dtype).eps) * largest


def over_gaps(
    name: str,
    x: Array,
    values: Array,
    floor: Array | float,
    size: Array,
    parts: tuple[Array, ...],
    g_values: Array | None,
    phases: bool,
) -> Array:
    """The quotients x[j, k] / (values[k] − values[j]), 0 on the diagonal, if they determine a gradient.

    Where two values are equal they do if x is 0 there, and if only the vectors are used (`g_values` is None), or if neither
    has a gradient there: `g_values`, and `parts` of the vectors. Else the limit depends on more than is known.

    Where `phases` are looked at, what is left of x on the diagonal must be real.
    """
    here = np.eye(values.shape[-1], dtype=bool)
    gap = np.where(here, math.inf, conjugate(values[..., None, :] - values[..., :, None]))
    closed = equal(values, floor)
    message = (
        f"{name}: two of the values are equal but for rounding (their gap is 0), so that the matrix does not determine their "
        "vectors, and the loss may depend on the choice. Use the values alone (eigvalsh, eigvals, svdvals), keep apart what "
        "depends on values and on vectors, or change the matrix a little so that the values differ"
    )
    if phases and x.dtype.kind == "c":
        phase = (
            f"{name}: the loss depends on the phases of complex vectors, which the matrix does not determine: there is no "
            "gradient. Use a function that is the same for all phases, such as one of the absolute values"
        )
        x = provided_zero(x, np.where(here, x - conjugate(x), 0), size, phase)
    if g_values is not None:
        for part in parts:
            x = provided_zero(x, np.where(closed, part, 0), size, message)
        weight = np.abs(g_values)
        wrong = closed & (weight[..., None, :] + weight[..., :, None] != 0)
        x = provided(x, wrong, Undetermined, message)
    return gap_quotient(x, gap, size, floor, message)


def once(name: str, vectors: Array, values: Array, floor: Array | float) -> Array:
    """The vectors as a rule may use them, that is not differentiated itself where two values are equal."""
    message = (
        f"{name}: two of the values are equal but for rounding (their gap is 0): there is a gradient there of some "
        "functions, but the second derivative is not known. Change the matrix a little so that the values differ"
    )
    return apart(vectors, values, floor, message)
