"""The turns of recurrent layers in machine code, where there is a kernel that pays: None where there is not."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet import kernels
from tapenet.ops.layers.recurrent import products
from tapenet.ops.layers.recurrent.sequence import Turns, multiply_adds
from tapenet.typing import Array


def forward(
    kind: str,
    turns: Turns,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    bias: Array | None,
    states: Array,
    others: tuple[Any, ...],
    out: Array,
) -> Any:
    """All turns: they write `states`, `others` and the outputs, `out`; see `tapenet.kernels.recurrent`.

    Args:
        x: the inputs, sorted.
        bias: by unit for each sum of the kernel, or None.

    Returns:
        the gates.
    """
    kernel = _kernel(x, w_ih, w_hh, states) if kernels.fit(x) else None
    if kernel is None:
        return None
    units = states.shape[2]
    count = w_hh.shape[0] // units
    own = kernel.multiplies_inputs(x, w_ih, w_hh)
    if own:
        gates = turns.room(count if count > 1 else 0, *x.shape[:2], units, dtype=x.dtype)
    else:
        gates = products.project(x, w_ih, None if bias is None else bias[: count * units], count, x.dtype)
    bias = np.zeros((4, units), x.dtype) if bias is None else bias.astype(x.dtype, copy=False)
    work = kernel.Turns(turns.rows, turns.reverse)
    kernel.forward(kind, x if own else None, w_ih, w_hh, bias, gates, states, others, out, work)
    return gates


def backward(
    kind: str,
    turns: Turns,
    g: Array,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    gates: Array,
    states: Array,
    others: tuple[Any, ...],
    d: Array,
    dh: Array,
    by: Any,
) -> Any:
    """All turns backwards: they write `d` and `dh`.

    Args:
        g: the gradient by the outputs, sorted, or None.
        x: the inputs of the layer.
        by: the names of the inputs whose gradients are wanted.

    Returns:
        a tuple: the gradient by x with its rows sorted, or None if it is to be made from `d`.
    """
    kernel = _kernel(x, w_ih, w_hh, states)
    if kernel is None:
        return None
    own = "x" in by and kernel.multiplies_inputs(x, w_ih, w_hh)
    dx = turns.room(*x.shape, dtype=states.dtype) if own else None
    work = kernel.Turns(turns.rows, turns.reverse)
    kernel.backward(kind, g, w_ih, w_hh, gates, states, others, d, dh, dx, work, "h0" in by)
    return (dx,)


def _kernel(x: Array, w_ih: Array, w_hh: Array, states: Array) -> Any:
    if multiply_adds(x.shape, w_ih.shape, w_hh.shape) < products.WORTH or not kernels.fit(states, w_ih, w_hh):
        return None
    return kernels.use("recurrent")
