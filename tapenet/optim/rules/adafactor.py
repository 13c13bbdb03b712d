"""Adafactor, whose second moments of a matrix are a row and a column."""

from __future__ import annotations

import math

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.optim.groups import Group, check_range
from tapenet.optim.optimizer import takes_options
from tapenet.optim.rule_calls import Scalars, State, Updated
from tapenet.optim.rules.rule_parts import decoupled, shrunk, sum_of_squares
from tapenet.optim.schedules import Schedule
from tapenet.optim.storage import memory_order, shaped
from tapenet.optim.whole_parameters import WholeOptimizer
from tapenet.parameters.named import Parameters
from tapenet.typing import Array, Shape


class Adafactor(WholeOptimizer):
    """Adafactor: with β = 1 - t^beta2_decay, the means of g² over each row and over each column are averaged over
    time, r ← βr + (1 - β) mean(g², -1), c ← βc + (1 - β) mean(g², -2), and v = rc / mean(r) stands for the mean of g²;
    vectors keep v itself. Then u = g / max(√v, ε₁), scaled down to a root mean square of at most d, and
    θ ← (1 - lr · λ)θ - max(ε₂, rms(θ)) · min(lr, 1/√t) · u.

    It keeps n + m numbers of an n x m matrix, where Adam keeps 2nm. Of arrays with more axes the last two are the
    matrix, as in PyTorch.

    Args:
        params: as for every optimizer.
        lr: the largest relative step; 1/√t takes its place once that is smaller.
        beta2_decay: the exponent of 1 - β, at most 0.
        eps: ε₁ (None: the precision of the parameter's dtype) and ε₂.
        d: the root mean square that an update may have, at least 1.
        weight_decay: λ.
        maximize: ascend.

    Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost" (2018), in PyTorch's form.

    >>> import tapenet as tn
    >>> w = tn.tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True)
    >>> opt = tn.optim.Adafactor([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> {name: value.shape for name, value in opt.state_dict()["state"][0].items() if name != "step"}
    {'row_var': (2, 1), 'col_var': (1, 2)}
    """

    checked = ("weight_decay",)

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None: ...

    def check(self, options: Group) -> None:
        super().check(options)
        check_range("Adafactor", "-beta2_decay", -options["beta2_decay"], 0.0, math.inf)
        for eps in options["eps"]:
            if eps is not None:
                check_range("Adafactor", "a number of eps", eps, 0.0, math.inf)
        check_range("Adafactor", "d", options["d"], 1.0, math.inf)

    def states(self, options: Group) -> dict[str, float]:
        return {"row_var": 0.0, "col_var": 0.0, "variance": 0.0}

    def shapes(self, options: Group, shape: Shape) -> dict[str, Shape]:
        if len(shape) < 2:
            return {"variance": shape}
        return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}

    def constants(self, options: Group) -> dict[str, object]:
        return {"eps": tuple(options["eps"])}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        newest = step ** options["beta2_decay"]
        own = {"newest": newest, "rate": min(lr, 1 / math.sqrt(step)), "1 / d": 1 / options["d"]}
        return decoupled(options, lr) | own

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        eps1, eps2 = _epsilons(p, s)
        (row, column), new = _second_moment(g * g, state, s["newest"], eps1)
        update = g / np.sqrt(np.maximum(row * column, eps1 * eps1))
        return shrunk(p, s) - _factor(p, update, s, eps2) * update, new

    def update(self, p: Array, grad: Tensor, state: State, s: Scalars) -> None:
        """The rule in place, in the parameter's memory order: fresh memory costs more here than the arithmetic."""
        eps1, eps2 = _epsilons(p, s)
        g = grad._data
        work = shaped(self.scratch(p), p.shape, memory_order(p))
        (row, column), new = _second_moment(np.multiply(g, g, out=work), state, s["newest"], eps1)
        for name, value in new.items():
            state[name][...] = value
        np.multiply(row, column, out=work)
        np.maximum(work, eps1 * eps1, out=work)
        np.sqrt(work, out=work)
        np.divide(g, work, out=work)
        work *= _factor(p, work, s, eps2)
        if "shrink" in s:
            p *= s["shrink"]
        p -= work


def _epsilons(p: Array, s: Scalars) -> tuple[float, float]:
    eps1, eps2 = s["eps"]
    return float(np.finfo(p.dtype).eps) if eps1 is None else eps1, eps2


def _second_moment(
    square: Array, state: State, newest: Array, eps1: float
) -> tuple[tuple[Array, Array | float], State]:
    """The mean of g² over time as the product of two factors, a column and a row of matrices; and the new state."""
    if "variance" in state:
        v = state["variance"] + newest * (square - state["variance"])
        return (v, 1.0), {"variance": v}
    row, column = state["row_var"], state["col_var"]
    row = row + newest * (np.mean(square, axis=-1, keepdims=True) - row)
    column = column + newest * (np.mean(square, axis=-2, keepdims=True) - column)
    return (row / np.maximum(np.mean(row, axis=-2, keepdims=True), eps1), column), {"row_var": row, "col_var": column}


def _factor(p: Array, update: Array, s: Scalars, eps2: float) -> Array:
    """What the update is multiplied by."""
    size = s["rate"] * np.maximum(_root_mean_square(p), eps2)
    if "sign" in s:
        size = s["sign"] * size
    factor: Array = size / np.maximum(_root_mean_square(update) * s["1 / d"], 1.0)
    return factor


def _root_mean_square(x: Array) -> Array:
    mean: Array = np.sqrt(sum_of_squares(x) / x.dtype.type(x.size))
    return mean
