"""Adam, which divides a mean of gradients by the root of a mean of their squares, and the like."""

from __future__ import annotations

import math

import numpy as np

from tapenet.optim.groups import Group
from tapenet.optim.optimizer import Optimizer, takes_options
from tapenet.optim.rule_calls import Scalars, State, Updated
from tapenet.optim.rules.rule_parts import (
    common,
    decoupled,
    gradient,
    running_means,
    shrinkage,
    shrunk,
    weights_of_means,
)
from tapenet.optim.schedules import Schedule
from tapenet.parameters.named import Parameters
from tapenet.typing import Array


class Adam(Optimizer):
    """Adam: m ← β₁m + (1 - β₁)g, v ← β₂v + (1 - β₂)g², θ ← θ - lr · m̂ / (√v̂ + eps) with m̂ = m / (1 - β₁ᵗ)
    and v̂ = v / (1 - β₂ᵗ); with `amsgrad` the largest v so far takes the place of v in v̂.

    What is kept are the sums M = m / (1 - β₁) and V = v / (1 - β₂), since M ← β₁M + g and V ← β₂V + g² take
    two passes over memory less. So where `betas` are changed midway, m and v change with them; where they are given
    as a function of the step, m and v themselves are kept.

    Kingma and Ba, "Adam: a method for stochastic optimization" (2015); Reddi et al., "On the convergence of
    Adam and beyond" (2018).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0, -2.0], requires_grad=True)
    >>> opt = tn.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w
    Tensor([ 0.9, -1.9], requires_grad=True)
    """

    checked = ("betas", "eps", "weight_decay")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None: ...

    def states(self, options: Group) -> dict[str, float]:
        names = ["exp_avg", "exp_avg_sq"] if _means(options) else ["grad_sum", "square_sum"]
        return dict.fromkeys([*names, f"max_{names[1]}"] if options["amsgrad"] else names, 0.0)

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        # With m = (1 - β₁) M and v = (1 - β₂) V the update is lr · m̂ / (q √V + eps), all over q in numbers.
        beta1, beta2 = options["betas"]
        means = _means(options)
        gain1, gain2 = (1.0, 1.0) if means else (1 - beta1, 1 - beta2)
        q = math.sqrt(gain2 / (1 - beta2**step))
        scalars = common(options, lr * gain1 / (1 - beta1**step) / q)
        scalars |= {"beta1": beta1, "beta2": beta2, "eps": options["eps"] / q}
        if means:
            scalars |= {"1 - beta1": 1 - beta1, "1 - beta2": 1 - beta2}
        return {**scalars, "amsgrad": 1.0} if options["amsgrad"] else scalars

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        first, second, *largest = state
        m = s["beta1"] * state[first] + (s["1 - beta1"] * g if "1 - beta1" in s else g)
        v = s["beta2"] * state[second] + (s["1 - beta2"] * (g * g) if "1 - beta2" in s else g * g)
        new = {first: m, second: v}
        if "amsgrad" in s:
            v = new[largest[0]] = np.maximum(state[largest[0]], v)
        return p - s["lr"] * (m / (np.sqrt(v) + s["eps"])), new


def _means(options: Group) -> bool:
    """Whether the means are kept rather than the sums: where betas follow a schedule, the sums would change with them."""
    return "betas" in options.get("scheduled", ())


class AdamW(Adam):
    """Adam with decoupled weight decay: θ ← (1 - lr · λ)θ before Adam's update, and λ not in g.

    Loshchilov and Hutter, "Decoupled weight decay regularization" (2019).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> opt = tn.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w
    Tensor([0.85], requires_grad=True)
    """

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None: ...

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        return super().scalars({**options, "weight_decay": 0.0}, lr, step) | shrinkage(options, lr)

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        return Adam.rule(shrunk(p, s), g, state, s)


class NAdam(Optimizer):
    """Adam with Nesterov's momentum: with m and v as in Adam, μₜ = β₁(1 - 0.96^(t · momentum_decay) / 2) and Mₜ the
    product of the μ up to t, θ ← θ - lr · ((1 - μₜ)g / (1 - Mₜ) + μₜ₊₁m / (1 - Mₜ₊₁)) / (√v̂ + eps). With
    `decoupled_weight_decay` the decay is AdamW's.

    Mₜ is a function of t here, not kept: where β₁ is changed midway, the M so far change with it.

    Dozat, "Incorporating Nesterov momentum into Adam" (2016).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0, -2.0], requires_grad=True)
    >>> opt = tn.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w.data.round(4)
    array([ 0.8944, -1.8944])
    """

    checked = ("betas", "eps", "weight_decay", "momentum_decay")

    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        #: By β₁ and the decay, the latest t and its product Mₜ, from which the next is one multiplication.
        self._products: dict[tuple[float, float], tuple[int, float]] = {}
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize,
        )  # fmt: skip

    def states(self, options: Group) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        beta1, beta2 = options["betas"]
        decay = options["momentum_decay"]
        q = math.sqrt(1 - beta2**step)
        mu, after = _momentum(beta1, decay, step), _momentum(beta1, decay, step + 1)
        product = self._product(beta1, decay, step)
        own = decoupled(options, lr) if options["decoupled_weight_decay"] else common(options, lr)
        own |= weights_of_means(options)
        return own | {
            "eps": options["eps"] * q,
            "lr": lr * q * (1 - mu) / (1 - product),
            "lr of momentum": lr * q * after / (1 - product * after),
        }

    def _product(self, beta1: float, decay: float, step: int) -> float:
        at, product = self._products.get((beta1, decay), (0, 1.0))
        if at > step:
            at, product = 0, 1.0
        for t in range(at + 1, step + 1):
            product *= _momentum(beta1, decay, t)
            if product < 1e-17:  # from here on 1 - product is 1
                product = 0.0
                break
        self._products[beta1, decay] = step, product
        return product

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        m, v = running_means(g, state, s)
        update = (s["lr"] * g + s["lr of momentum"] * m) / (np.sqrt(v) + s["eps"])
        return shrunk(p, s) - update, {"exp_avg": m, "exp_avg_sq": v}


def _momentum(beta1: float, decay: float, step: int) -> float:
    factor: float = 1 - 0.5 * 0.96 ** (step * decay)
    return beta1 * factor


class RAdam(Optimizer):
    """Rectified Adam: with m and v as in Adam, ρ∞ = 2 / (1 - β₂) - 1 and ρ = ρ∞ - 2tβ₂ᵗ / (1 - β₂ᵗ): while ρ ≤ 5 the
    variance is not to be relied on and θ ← θ - lr · m̂; from then on θ ← θ - lr · r · m̂ · √(1 - β₂ᵗ) / (√v + eps) with
    r² = (ρ - 4)(ρ - 2)ρ∞ / ((ρ∞ - 4)(ρ∞ - 2)ρ). With `decoupled_weight_decay` the decay is AdamW's.

    Liu et al., "On the variance of the adaptive learning rate and beyond" (2020).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0, -2.0], requires_grad=True)
    >>> opt = tn.optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w
    Tensor([ 0.8, -1.6], requires_grad=True)
    """

    checked = ("betas", "eps", "weight_decay")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None: ...

    def states(self, options: Group) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        beta1, beta2 = options["betas"]
        unbias = 1 - beta2**step
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * step * beta2**step / unbias
        own = decoupled(options, lr) if options["decoupled_weight_decay"] else common(options, lr)
        own |= weights_of_means(options)
        rate = lr / (1 - beta1**step)
        # The denominator is adapt · √v + eps: the rule is one whichever of the two holds.
        if length <= 5:
            return own | {"lr": rate, "adapt": 0.0, "eps": 1.0}
        rectified = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
        return own | {"lr": rate * math.sqrt(rectified * unbias), "adapt": 1.0, "eps": options["eps"]}

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        m, v = running_means(g, state, s)
        update = s["lr"] * (m / (s["adapt"] * np.sqrt(v) + s["eps"]))
        return shrunk(p, s) - update, {"exp_avg": m, "exp_avg_sq": v}


class Adamax(Optimizer):
    """Adam by the largest gradient: m ← β₁m + (1 - β₁)g, u ← max(β₂u, |g| + eps), θ ← θ - lr / (1 - β₁ᵗ) · m / u.

    Kingma and Ba, "Adam: a method for stochastic optimization" (2015), section 7.1.

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0, -2.0], requires_grad=True)
    >>> opt = tn.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w
    Tensor([ 0.9, -1.9], requires_grad=True)
    """

    checked = ("betas", "eps", "weight_decay")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None: ...

    def states(self, options: Group) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        beta1, beta2 = options["betas"]
        own = common(options, lr / (1 - beta1**step))
        return own | {"beta1": beta1, "1 - beta1": 1 - beta1, "beta2": beta2, "eps": options["eps"]}

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        m = s["beta1"] * state["exp_avg"] + s["1 - beta1"] * g
        u = np.maximum(s["beta2"] * state["exp_inf"], np.abs(g) + s["eps"])
        return p - s["lr"] * (m / u), {"exp_avg": m, "exp_inf": u}
