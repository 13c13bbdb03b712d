"""Conditions on values: errors of results, and of gradients, that do not exist for all values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, known
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.program import symbols
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _provided_lanes(
    batched: frozenset[str], value: Array, wrong: Array, error: type[Exception], message: str
) -> object:
    return provided(value, wrong, error, message) if "value" in batched else NotImplemented


@op(
    nondiff=("wrong",),
    value=lambda g: g,
    vmap=_provided_lanes,
    lower=symbols.provided,
    samples=lambda r: [sample(r.normal(size=(2, 3)), np.zeros(2, bool), ValueError, "")],
)
def provided(value: Array, wrong: Array, error: type[Exception], message: str) -> Array:
    """`value` as it is, provided that nothing is `wrong`.

    Args:
        value: an array of any shape.
        wrong: truth values of any shape.
        error, message: what is raised.

    Raises:
        `error`: one of the truth values holds; with `message`.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.conditions import provided
    >>> provided(tn.tensor([2.0]), np.array([False, False]), ValueError, "something is wrong")
    Tensor([2.])
    """
    if np.any(wrong):
        raise error(message)
    return value


def checked(value: Array, wrong: Callable[[Array], ArrayLike], error: type[Exception], message: str) -> Array:
    """A value as it is, of which nothing is `wrong`. One that is not known yet, while a step is captured, is looked at when
    the program runs.

    Raises:
        `error`: with `message`.
    """
    numbers = known(value)
    if numbers is None:
        return provided(value, array_like(wrong(value)), error, message)
    if np.any(wrong(numbers)):
        raise error(message)
    return value
