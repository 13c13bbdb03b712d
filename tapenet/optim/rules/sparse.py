"""Adam for embeddings, of which a step sees a few rows."""

from __future__ import annotations

import math

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.optim.groups import Group
from tapenet.optim.optimizer import takes_options
from tapenet.optim.rule_calls import Scalars, State, Updated
from tapenet.optim.rules.rule_parts import gradient, running_means, weights_of_means
from tapenet.optim.schedules import Schedule
from tapenet.optim.whole_parameters import WholeOptimizer
from tapenet.parameters.named import Parameters
from tapenet.typing import Array


class SparseAdam(WholeOptimizer):
    """Adam on the rows that the gradient touches: m ← β₁m + (1 - β₁)g, v ← β₂v + (1 - β₂)g² and
    θ ← θ - lr · √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + eps) for these; the other rows, and their m and v, stay as they are.

    The rows, along the first axis, that a gradient touches are those in which it is not all 0. So an embedding costs
    what its batch reads, and not what it holds; compiled, all rows are passed over, with the same result.

    PyTorch's `SparseAdam`, which takes sparse gradients.

    >>> import numpy as np, tapenet as tn
    >>> table = tn.tensor(np.ones((4, 2)), requires_grad=True)
    >>> opt = tn.optim.SparseAdam([table], lr=0.1)
    >>> tn.embedding(np.array([1, 3, 1]), table).sum().backward()
    >>> opt.step()
    >>> table.data.round(4)
    array([[1. , 1. ],
           [0.9, 0.9],
           [1. , 1. ],
           [0.9, 0.9]])
    """

    checked = ("betas", "eps")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        maximize: bool = False,
    ) -> None: ...

    def states(self, options: Group) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        beta1, beta2 = options["betas"]
        scalars = {"lr": lr * math.sqrt(1 - beta2**step) / (1 - beta1**step), "eps": options["eps"]}
        scalars |= weights_of_means(options)
        return {**scalars, "sign": -1.0} if options["maximize"] else scalars

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        touched = np.any(g != 0, axis=tuple(range(1, len(g.shape))), keepdims=True) if len(g.shape) > 1 else g != 0
        new, kept = _adam(p, g, state, s)
        kept = {name: np.where(touched, value, state[name]) for name, value in kept.items()}
        return np.where(touched, new, p), kept

    def update(self, p: Array, grad: Tensor, state: State, s: Scalars) -> None:
        if not p.ndim:
            super().update(p, grad, state, s)
            return
        known = grad._rows
        if known is None:
            rows = np.flatnonzero(grad._data.any(axis=tuple(range(1, p.ndim))))
            g = grad._data[rows]
        else:  # a backward pass kept it by rows
            touched = known.values.any(axis=1)
            rows, g = known.rows[touched], known.values[touched].reshape(-1, *p.shape[1:])
        p[rows], kept = _adam(p[rows], g, {name: value[rows] for name, value in state.items()}, s)
        for name, value in kept.items():
            state[name][rows] = value


def _adam(p: Array, g: Array, state: State, s: Scalars) -> Updated:
    m, v = running_means(gradient(p, g, s), state, s)
    return p - s["lr"] * (m / (np.sqrt(v) + s["eps"])), {"exp_avg": m, "exp_avg_sq": v}
