"""Steps in proportion to a parameter's own norm: LAMB and LARS, for very large batches."""

from __future__ import annotations

import math

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.optim.groups import Group
from tapenet.optim.optimizer import takes_options
from tapenet.optim.rule_calls import Scalars, State, Updated
from tapenet.optim.rules.rule_parts import (
    common,
    gradient,
    running_means,
    sum_of_squares,
    weights_of_means,
)
from tapenet.optim.schedules import Schedule
from tapenet.optim.whole_parameters import WholeOptimizer, blocks, flattened
from tapenet.parameters.named import Parameters
from tapenet.typing import Array


def _trust(p: Array, update: Array, coefficient: Array | float = 1.0, eps: Array | float = 0.0) -> Array:
    """The norm of a parameter over that of its update, times a coefficient; 1 where one of them is 0."""
    size, length = np.sqrt(sum_of_squares(p)), np.sqrt(sum_of_squares(update))
    both = (size > 0) & (length > 0)
    return np.where(both, coefficient * size / (np.where(both, length, 1.0) + eps), 1.0)


class LAMB(WholeOptimizer):
    """Adam with a step for each parameter in proportion to its norm: with m̂ and v̂ as in Adam,
    u = m̂ / (√v̂ + eps) + λθ and θ ← θ - lr · (‖θ‖ / ‖u‖) · u, over a parameter's elements. Where a norm is 0, the
    ratio is 1.

    Args:
        params: as for every optimizer; each tensor has a ratio of its own.
        lr: the learning rate.
        betas, eps, weight_decay: β₁ and β₂, eps and λ.
        bias_correction: False for m and v in place of m̂ and v̂, the paper's last form.
        trust_clip: let the ratio be at most 1.
        maximize: ascend.

    You et al., "Large batch optimization for deep learning: training BERT in 76 minutes" (2020).

    >>> import tapenet as tn
    >>> w = tn.tensor([3.0, -4.0], requires_grad=True)
    >>> opt = tn.optim.LAMB([w], lr=0.1, weight_decay=0.0)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w.data.round(3)                                # 0.1 · 5 / √2 each
    array([ 2.646, -3.646])
    """

    checked = ("betas", "eps", "weight_decay")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 1e-2,
        *,
        bias_correction: bool = True,
        trust_clip: bool = False,
        maximize: bool = False,
    ) -> None: ...

    def states(self, options: Group) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        own = common(options, lr) | weights_of_means(options) | {"eps": options["eps"]}
        if options["bias_correction"]:
            # m̂ / (√v̂ + eps) is gain · m / (√v + eps') with both scaled by the root of v's correction.
            beta1, beta2 = options["betas"]
            q = math.sqrt(1 - beta2**step)
            own |= {"gain": q / (1 - beta1**step), "eps": options["eps"] * q}
        return {**own, "clip": 1.0} if options["trust_clip"] else own

    @staticmethod
    def direction(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        """The update before it gets its length, and the new state: the elementwise part of the rule."""
        if "sign" in s:
            g = s["sign"] * g
        m, v = running_means(g, state, s)
        update = m / (np.sqrt(v) + s["eps"])
        if "gain" in s:
            update = s["gain"] * update
        if "weight_decay" in s:
            update = update + s["weight_decay"] * p
        return update, {"exp_avg": m, "exp_avg_sq": v}

    @staticmethod
    def rate(p: Array, update: Array, s: Scalars) -> Array:
        """What the update is multiplied by."""
        ratio = _trust(p, update)
        if "clip" in s:
            ratio = np.minimum(ratio, s["clip"])
        rate: Array = s["lr"] * ratio
        return rate

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        update, new = LAMB.direction(p, g, state, s)
        return p - LAMB.rate(p, update, s) * update, new

    def update(self, p: Array, grad: Tensor, state: State, s: Scalars) -> None:
        flat = flattened(p, grad._data, state["exp_avg"], state["exp_avg_sq"])
        if flat is None:
            super().update(p, grad, state, s)
            return
        flat_p, g, m, v = flat
        # The same in blocks that fit the cache.
        direction = self.scratch(p)
        for at in blocks(p):
            direction[at], new = self.direction(flat_p[at], g[at], {"exp_avg": m[at], "exp_avg_sq": v[at]}, s)
            m[at], v[at] = new["exp_avg"], new["exp_avg_sq"]
        rate = self.rate(flat_p, direction, s)
        for at in blocks(p):
            flat_p[at] -= rate * direction[at]


class LARS(WholeOptimizer):
    """Momentum with a step for each parameter in proportion to its norm: with g including weight decay,
    b ← μb + lr · trust_coefficient · ‖θ‖ / (‖g‖ + eps) · g and θ ← θ - b; with Nesterov's momentum, θ ← θ - (μb + what
    was added to b). Where a norm is 0, the whole factor before g is lr.

    You, Gitman and Ginsburg, "Large batch training of convolutional networks" (2017).

    >>> import tapenet as tn
    >>> w = tn.tensor([3.0, -4.0], requires_grad=True)
    >>> opt = tn.optim.LARS([w], lr=10.0)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w.data.round(4)                                # 10 · 0.001 · 5/10 · g
    array([ 2.97, -3.96])
    """

    checked = ("momentum", "weight_decay", "trust_coefficient", "eps")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
        eps: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None: ...

    def states(self, options: Group) -> dict[str, float]:
        return {"momentum_buffer": 0.0}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        own = {name: options[name] for name in ("momentum", "trust_coefficient", "eps")}
        own |= common(options, lr)
        return {**own, "nesterov": 1.0} if options["nesterov"] else own

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        step = (s["lr"] * _trust(p, g, s["trust_coefficient"], s["eps"])) * g
        buffer = s["momentum"] * state["momentum_buffer"] + step
        update = s["momentum"] * buffer + step if "nesterov" in s else buffer
        return p - update, {"momentum_buffer": buffer}
