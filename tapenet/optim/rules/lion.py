"""Lion, which steps by a sign alone."""

from __future__ import annotations

import numpy as np

from tapenet.optim.groups import Group
from tapenet.optim.optimizer import Optimizer, takes_options
from tapenet.optim.rule_calls import Scalars, State, Updated
from tapenet.optim.rules.rule_parts import (
    decoupled,
    gradient,
    shrunk,
    weights_of_means,
)
from tapenet.optim.schedules import Schedule
from tapenet.parameters.named import Parameters
from tapenet.typing import Array


class Lion(Optimizer):
    """Lion: θ ← (1 - lr · λ)θ - lr · sign(β₁m + (1 - β₁)g), then m ← β₂m + (1 - β₂)g.

    Every element moves by lr, so that lr is a third to a tenth of Adam's, and `weight_decay` as many times larger.

    Chen et al., "Symbolic discovery of optimization algorithms" (2023).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0, -2.0], requires_grad=True)
    >>> opt = tn.optim.Lion([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w
    Tensor([ 0.9, -1.9], requires_grad=True)
    """

    checked = ("betas", "weight_decay")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None: ...

    def states(self, options: Group) -> dict[str, float]:
        return {"exp_avg": 0.0}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        return decoupled(options, lr) | weights_of_means(options)

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        m = state["exp_avg"]
        step = s["lr"] * np.sign(s["beta1"] * m + s["1 - beta1"] * g)
        return shrunk(p, s) - step, {"exp_avg": s["beta2"] * m + s["1 - beta2"] * g}
