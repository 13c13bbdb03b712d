"""What the gradients of decompositions divide by: gaps between eigenvalues, and singular values.

Where such a divisor vanishes, the vectors of a decomposition are not determined by the matrix. A gradient exists then
only if the loss does not depend on the choice, and these ops raise where it does: nothing becomes nan in silence.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.op import op, sample

#: How many roundings of the parts that a difference was made of may be left in it where it should be 0.
ROUNDINGS = 64


def _negligible(x: Any, size: Any) -> Any:
    """Where `x`, computed from parts of magnitude `size`, is 0 but for rounding."""
    return np.abs(x) <= ROUNDINGS * float(np.finfo(np.result_type(x, np.float32)).eps) * size


def _gap_quotient(x: Any, gap: Any, size: Any = 0.0, floor: Any = 0.0, where: str = "", mend: str = "") -> Any:
    zero = _negligible(x, size)
    closed = np.abs(gap) <= floor
    wrong = closed & ~zero
    if wrong.any():
        at = np.unravel_index(np.argmax(wrong), wrong.shape)
        found = float(np.broadcast_to(np.abs(gap), wrong.shape)[at])
        raise np.linalg.LinAlgError(
            f"{where}: the gradient divides by a gap that is {found:.3g}, which is 0 but for rounding: there the vectors "
            f"are not determined by the matrix, and the loss depends on how they were chosen. {mend}"
        )
    zero, divisor = zero | closed, np.where(closed, np.ones((), gap.dtype), gap)
    return np.where(zero, np.zeros((), x.dtype), x / divisor)


gap_quotient = op(
    _gap_quotient,
    name="gap_quotient",
    label="÷ gap",
    broadcasts=True,
    nondiff=("size", "floor"),
    x=lambda g, gap, floor, where, mend: gap_quotient(g, gap, 0.0, floor, where, mend),
    gap=lambda g, out, gap, floor, where, mend: -gap_quotient(g * out, gap, 0.0, floor, where, mend),
    formula="x / gap, 0 where x is 0 but for rounding",
    gradients="x: g / gap; gap: −g · out / gap",
    doc="""The quotient x / gap in the gradient of a decomposition; 0 where x is 0 but for rounding.

    Args:
        x: what is divided.
        gap: a difference or sum of eigenvalues or singular values, real.
        size: the magnitude of the terms of which `x` is the sum: what is left of it by rounding counts as 0.
        floor: a gap that is not larger counts as 0.
        where: the name of the decomposition, for the error.
        mend: what to do about it, for the error.

    Returns:
        an array of the shape of `x` and `gap` broadcast, of the dtype of `x`.

    Raises:
        LinAlgError: a gap is 0 and its x is not.

    >>> import numpy as np, tapenet as tn
    >>> tn.linalg.gap_quotient(tn.tensor([2.0, 0.0]), np.array([4.0, 0.0]))
    Tensor([0.5, 0. ])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 2)), r.normal(size=2), 1.0, 1e-9, "svd", ""),
    ],
)


def _provided(value: Any, x: Any, size: Any, message: str = "") -> Any:
    if not _negligible(x, size).all():
        raise np.linalg.LinAlgError(message)
    return value


provided = op(
    _provided,
    name="provided",
    nondiff=("x", "size"),
    value=lambda g: g,
    formula="value, provided that x is 0 but for rounding",
    gradients="value: g",
    doc="""`value` as it is, provided that `x` is 0 but for rounding: a condition for a gradient to exist.

    Args:
        value: an array of any shape.
        x: what has to vanish.
        size: the magnitude of the terms of which `x` is the sum.
        message: the error.

    Raises:
        LinAlgError: `x` does not vanish; with `message`.

    >>> import numpy as np, tapenet as tn
    >>> tn.linalg.provided(tn.tensor([2.0]), np.zeros(3), 1.0)
    Tensor([2.])
    """,
    samples=lambda r: [sample(r.normal(size=(2, 3)), np.zeros(2, int), 1.0)],
)
