"""Activations made of straight pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.op import derive, op
from tapenet.ops.registry import sample

if TYPE_CHECKING:
    from tapenet.typing import Array


def _rising(min_val: float, max_val: float) -> None:
    if not min_val < max_val:
        raise ValueError(f"min_val={min_val} must be below max_val={max_val}")


@op(
    check=_rising,
    label=lambda min_val, max_val: {(-1, 1): "hardtanh", (0, 6): "relu6"}.get(
        (min_val, max_val), f"hardtanh {min_val:g} to {max_val:g}"
    ),
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), -0.2, 0.3)],
)
def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """x limited to [min_val, max_val], element by element.

    The derivative is 1 strictly inside the limits, else 0 (`tn.clip` has 1 at the limits too).

    >>> import tapenet as tn
    >>> tn.hardtanh(tn.tensor([-2.0, 0.5, 3.0]))
    Tensor([-1. ,  0.5,  1. ])
    """
    return np.where(x <= min_val, min_val, np.where(x >= max_val, max_val, x))


@op(
    x=derive,
    label=lambda threshold, value: f"threshold {threshold:g}, {value:g}",
    samples=lambda r: [sample(r.normal(size=(2, 3)), 0.1, 20.0), sample(r.normal(size=4), -0.2, value=-1.0)],
)
def threshold(x: Array, threshold: float, value: float) -> Array:
    """x where x > threshold, else value, element by element.

    The derivative is 1 where x > threshold, else 0.

    >>> import tapenet as tn
    >>> tn.threshold(tn.tensor([-1.0, 2.0]), 0.5, 9.0)
    Tensor([9., 2.])
    """
    return np.where(x <= threshold, value, x)


def _not_negative(lambd: float) -> None:
    if not lambd >= 0:
        raise ValueError(f"lambd={lambd} must not be negative")


@op(
    check=_not_negative,
    label=lambda lambd: f"hardshrink {lambd:g}",
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.2)],
)
def hardshrink(x: Array, lambd: float = 0.5) -> Array:
    """x where |x| > lambd, else 0, element by element.

    The derivative is 1 where |x| > lambd, else 0.

    >>> import tapenet as tn
    >>> tn.hardshrink(tn.tensor([-1.0, 0.5, 2.0]))
    Tensor([-1.,  0.,  2.])
    """
    return np.where(np.abs(x) <= lambd, 0, x)


@op(
    check=_not_negative,
    label=lambda lambd: f"softshrink {lambd:g}",
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.2)],
)
def softshrink(x: Array, lambd: float = 0.5) -> Array:
    """x brought nearer to 0 by lambd, and no further than to 0, element by element.

    The derivative is 1 where |x| > lambd, else 0.

    >>> import tapenet as tn
    >>> tn.softshrink(tn.tensor([-1.0, 0.5, 2.0]))
    Tensor([-0.5,  0. ,  1.5])
    """
    return np.where(np.abs(x) <= lambd, 0, x - lambd * np.sign(x))


def _three_lines(x: Array) -> Array:
    return np.where(x <= -3, 0, np.where(x >= 3, 1, x * (1 / 6) + 0.5))


def _beyond(r: np.random.Generator) -> Array:
    out: Array = r.uniform(3.2, 5, 4) * np.array([1, -1, 1, -1])
    return out


@op(
    samples=lambda r: [*unary_samples()(r), sample(_beyond(r))],
)
def hardsigmoid(x: Array) -> Array:
    """x/6 + 1/2 limited to [0, 1], a sigmoid of three lines, element by element.

    The derivative is 1/6 where -3 < x < 3, else 0. Courbariaux, Bengio and David, arXiv:1511.00363.

    >>> import tapenet as tn
    >>> tn.hardsigmoid(tn.tensor([-4.0, 0.0, 1.5]))
    Tensor([0.  , 0.5 , 0.75])
    """
    return _three_lines(x)


@op(
    samples=lambda r: [*unary_samples()(r), sample(_beyond(r))],
)
def hardswish(x: Array) -> Array:
    """x · hardsigmoid(x), element by element.

    The derivative is x/3 + 1/2 where -3 < x < 3, 0 below and 1 above. Howard et al., arXiv:1905.02244.

    >>> import tapenet as tn
    >>> tn.hardswish(tn.tensor([0.0, 1.5, 5.0]))
    Tensor([0.   , 1.125, 5.   ])
    """
    return x * _three_lines(x)
