"""Activations made of straight pieces."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.elementwise.blocks import blockwise
from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.layers.activations import machine
from tapenet.ops.layers.activations.common import documented, kept_where
from tapenet.ops.op import op
from tapenet.ops.registry import sample


def _hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    if not min_val < max_val:
        raise ValueError(f"min_val={min_val} must be below max_val={max_val}")
    return np.clip(x, min_val, max_val)


def _hardtanh_x(g: Any, x: Any, min_val: float, max_val: float) -> Any:
    found = machine.elementwise("hardtanh_grad", g, x, numbers=(min_val, max_val))
    return kept_where(np.logical_not((x <= min_val) | (x >= max_val)), g) if found is None else found


hardtanh = op(
    _hardtanh,
    name="hardtanh",
    label=lambda min_val, max_val: (
        "hardtanh" if (min_val, max_val) == (-1, 1) else f"hardtanh {min_val:g} to {max_val:g}"
    ),
    formula="min(max(x, min_val), max_val)",
    gradients="x: g where min_val < x < max_val, else 0",
    x=_hardtanh_x,
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), -0.2, 0.3)],
    doc=documented(
        "x limited to [min_val, max_val]",
        "The derivative is 1 strictly inside the limits, else 0 (`tn.clip` has 1 at the limits too).",
        "hardtanh(tn.tensor([-2.0, 0.5, 3.0]))\n    Tensor([-1. ,  0.5,  1. ])",
    ),
)


def _threshold(x: Any, threshold: float, value: float) -> Any:
    found = machine.elementwise("threshold", x, numbers=(threshold, value))
    if found is not None:
        return found
    below = x <= threshold
    if type(x) is not np.ndarray or x.dtype.kind != "f" or not math.isfinite(value):
        return np.where(below, value, x)
    kept = kept_where(~below, x)
    return kept + below.astype(x.dtype) * value if value else kept


def _threshold_x(g: Any, x: Any, threshold: float) -> Any:
    found = machine.elementwise("threshold_grad", g, x, numbers=(threshold,))
    return kept_where(np.logical_not(x <= threshold), g) if found is None else found


threshold = op(
    _threshold,
    name="threshold",
    label=lambda threshold, value: f"threshold {threshold:g}, {value:g}",
    formula="x where x > threshold, else value",
    gradients="x: g where x > threshold, else 0",
    x=_threshold_x,
    samples=lambda r: [sample(r.normal(size=(2, 3)), 0.1, 20.0), sample(r.normal(size=4), -0.2, value=-1.0)],
    doc=documented(
        "x where x > threshold, else value",
        "The derivative is 1 where x > threshold, else 0.",
        "threshold(tn.tensor([-1.0, 2.0]), 0.5, 9.0)\n    Tensor([9., 2.])",
    ),
)


def _not_negative(lambd: float) -> None:
    if not lambd >= 0:
        raise ValueError(f"lambd={lambd} must not be negative")


def _hardshrink(x: Any, lambd: float = 0.5) -> Any:
    _not_negative(lambd)
    found = machine.elementwise("hardshrink", x, numbers=(lambd,))
    return _hardshrink_in_blocks(x, lambd) if found is None else found


@blockwise(1)
def _hardshrink_in_blocks(x: Any, lambd: float) -> Any:
    return x * (np.abs(x) > lambd)


def _shrink_x(g: Any, out: Any) -> Any:
    found = machine.elementwise("shrink_grad", g, out)
    return kept_where(out != 0, g) if found is None else found


hardshrink = op(
    _hardshrink,
    name="hardshrink",
    label=lambda lambd: f"hardshrink {lambd:g}",
    formula="x where abs(x) > λ, else 0",
    gradients="x: g where abs(x) > λ, else 0",
    x=_shrink_x,
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.2)],
    doc=documented(
        "x where |x| > lambd, else 0",
        "The derivative is 1 where |x| > lambd, else 0.",
        "hardshrink(tn.tensor([-1.0, 0.5, 2.0]))\n    Tensor([-1.,  0.,  2.])",
    ),
)


def _softshrink(x: Any, lambd: float = 0.5) -> Any:
    _not_negative(lambd)
    found = machine.elementwise("softshrink", x, numbers=(lambd,))
    return _softshrink_in_blocks(x, lambd) if found is None else found


@blockwise(1)
def _softshrink_in_blocks(x: Any, lambd: float) -> Any:
    return x - np.clip(x, -lambd, lambd)


softshrink = op(
    _softshrink,
    name="softshrink",
    label=lambda lambd: f"softshrink {lambd:g}",
    formula="x − min(max(x, −λ), λ)",
    gradients="x: g where abs(x) > λ, else 0",
    x=_shrink_x,
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.2)],
    doc=documented(
        "x brought nearer to 0 by lambd, and no further than to 0",
        "The derivative is 1 where |x| > lambd, else 0.",
        "softshrink(tn.tensor([-1.0, 0.5, 2.0]))\n    Tensor([-0.5,  0. ,  1.5])",
    ),
)


def _three_lines(x: Any) -> Any:
    return np.where(x <= -3, 0, np.where(x >= 3, 1, x * (1 / 6) + 0.5))


hardsigmoid = op(
    lambda x: _three_lines(x),
    name="hardsigmoid",
    formula="min(max(x/6 + ½, 0), 1)",
    gradients="x: g/6 where −3 < x < 3, else 0",
    samples=lambda r: [*unary_samples()(r), sample(r.uniform(3.2, 5, 4) * np.array([1, -1, 1, -1]))],
    doc=documented(
        "x/6 + 1/2 limited to [0, 1], a sigmoid of three lines",
        "The derivative is 1/6 where -3 < x < 3, else 0. Courbariaux, Bengio and David, arXiv:1511.00363.",
        "hardsigmoid(tn.tensor([-4.0, 0.0, 1.5]))\n    Tensor([0.  , 0.5 , 0.75])",
    ),
)

hardswish = op(
    lambda x: x * _three_lines(x),
    name="hardswish",
    formula="x · min(max(x/6 + ½, 0), 1)",
    gradients="x: g · (x/3 + ½) where −3 < x < 3, g where x ≥ 3, else 0",
    samples=lambda r: [*unary_samples()(r), sample(r.uniform(3.2, 5, 4) * np.array([1, -1, 1, -1]))],
    doc=documented(
        "x · hardsigmoid(x)",
        "The derivative is x/3 + 1/2 where -3 < x < 3, 0 below and 1 above. Howard et al., arXiv:1905.02244.",
        "hardswish(tn.tensor([0.0, 1.5, 5.0]))\n    Tensor([0.   , 1.125, 5.   ])",
    ),
)
