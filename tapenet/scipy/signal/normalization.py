"""Coefficients of filters in the form that SciPy computes with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.scipy.followed import scipys
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def normalize(b: ArrayLike, a: ArrayLike) -> tuple[Array, Array]:
    """The coefficients of a filter over the first of the denominator. What is 0 at the beginning is left out, which a compiled
    program, where values are not known, does not do.

    Args:
        b: the numerator; several have a row each.
        a: the denominator.

    Raises:
        ValueError: too many axes, or a denominator that is 0.

    Warns:
        scipy.signal.BadCoefficients: a numerator that begins with 0.

    >>> import tapenet as tn
    >>> tn.scipy.signal.normalize([2.0, 4.0], tn.tensor([0.0, 2.0, 1.0]))
    (Tensor([1., 2.]), Tensor([1. , 0.5]))
    """
    top, bottom = _aligned(b), np.atleast_1d(array_like(a))
    values = known(top), known(bottom)
    if all(v is not None for v in values):
        shown = scipys("signal.normalize")(*values)
        top, bottom = (c[..., c.shape[-1] - v.shape[-1] :] for c, v in zip((top, bottom), shown, strict=True))  # type: ignore[call-overload]
    if top.ndim == 2 and top.shape[0] == 1:
        top = top[0]
    return top / bottom[0], bottom / bottom[0]


def _aligned(b: ArrayLike) -> Array:
    """Numerators as an array; zeros are put in front of shorter ones."""
    if isinstance(b, (list, tuple)) or (isinstance(b, np.ndarray) and b.dtype == object):
        rows = [np.atleast_1d(array_like(row)) for row in b]
        n = max((row.shape[-1] for row in rows), default=0)
        if any(row.shape[-1] != n for row in rows):
            return np.stack([np.concatenate([np.zeros(n - row.shape[-1]), row]) for row in rows])
    return np.atleast_1d(array_like(b))
