"""Dirichlet's periodic sinc function."""

from __future__ import annotations

from typing import cast

import numpy as np

from tapenet.ops.op import op
from tapenet.special.definition import scipys
from tapenet.special.orthogonal_polynomials import eval_gegenbauer
from tapenet.typing import Array


# A Gegenbauer polynomial in cos(x / 2), which loses no digits where sin(x / 2) is 0.
@op(
    vmap="leading",
    x=lambda g, x, n: -g * np.sin(x / 2) / n * eval_gegenbauer(n - 2, 2.0, np.cos(x / 2)),
)
def diric(x: Array, n: int) -> Array:
    """`scipy.special.diric`: sin(n x / 2) / (n sin(x / 2)), element by element.

    Args:
        x: an array.
        n: a whole number above 0.

    >>> import tapenet as tn
    >>> tn.special.diric(tn.tensor([0.0, 1.0]), 3)
    Tensor([1.        , 0.69353487])
    """
    return cast("Array", scipys("diric")(x, n))
