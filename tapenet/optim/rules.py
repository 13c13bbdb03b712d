"""The update rules, with PyTorch's names, defaults and formulas.

Each optimizer is a configuration: which options there are, what is kept per parameter (`states`), the numbers
of one update (`scalars`), and the pure `rule`. A term whose option is 0 or False has no scalar and is left
out of the rule.

In the formulas θ is the parameter, g its gradient, t the number of the update, counting from 1;
`weight_decay` λ adds λθ to g unless said otherwise, and `maximize` turns g to -g first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.optim.groups import Group, check_range
from tapenet.optim.optimizer import Optimizer, State
from tapenet.optim.parameters import Parameters
from tapenet.optim.schedules import Schedule


def _common(options: Group, lr: float) -> dict[str, float]:
    """The scalars that every optimizer has."""
    scalars = {"lr": lr}
    if options["maximize"]:
        scalars["sign"] = -1.0
    if options["weight_decay"]:
        scalars["weight_decay"] = options["weight_decay"]
    return scalars


def _gradient(p: Any, g: Any, s: dict[str, Any]) -> Any:
    """The gradient of what is minimised, weight decay included."""
    if "sign" in s:
        g = s["sign"] * g
    if "weight_decay" in s:
        g = g + s["weight_decay"] * p
    return g


class SGD(Optimizer):
    """Gradient descent: θ ← θ - lr · g; with momentum μ and dampening τ, b ← μb + (1 - τ)g (at first b = g)
    and θ ← θ - lr · b; with Nesterov's, θ ← θ - lr · (g + μb).

    Sutskever et al., "On the importance of initialization and momentum in deep learning" (2013).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> opt = tn.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w
    Tensor([0.8, 1.6], requires_grad=True)
    """

    def __init__(
        self,
        params: Parameters,
        lr: float | Schedule = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
            nesterov=nesterov, maximize=maximize,
        )  # fmt: skip

    def check(self, options: Group) -> None:
        check_range("SGD", "momentum", options["momentum"], 0.0, math.inf)
        check_range("SGD", "weight_decay", options["weight_decay"], 0.0, math.inf)
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov=True needs momentum above 0 and dampening 0, not "
                f"momentum={options['momentum']} and dampening={options['dampening']}"
            )

    def states(self, options: Group) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if options["momentum"] else {}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        scalars = _common(options, lr)
        if options["momentum"]:
            scalars["momentum"] = options["momentum"]
            if options["dampening"]:
                scalars["gain"] = 1.0 if step == 1 else 1 - options["dampening"]
            if options["nesterov"]:
                scalars["nesterov"] = 1.0
        return scalars

    @staticmethod
    def rule(p: Any, g: Any, state: State, s: dict[str, Any]) -> tuple[Any, State]:
        g = _gradient(p, g, s)
        if "momentum" not in s:
            return p - s["lr"] * g, {}
        buffer = s["momentum"] * state["momentum_buffer"] + (s["gain"] * g if "gain" in s else g)
        update = g + s["momentum"] * buffer if "nesterov" in s else buffer
        return p - s["lr"] * update, {"momentum_buffer": buffer}


class Adam(Optimizer):
    """Adam: m ← β₁m + (1 - β₁)g, v ← β₂v + (1 - β₂)g², θ ← θ - lr · m̂ / (√v̂ + eps) with m̂ = m / (1 - β₁ᵗ)
    and v̂ = v / (1 - β₂ᵗ); with `amsgrad` the largest v so far takes the place of v in v̂.

    What is kept are the sums M = m / (1 - β₁) and V = v / (1 - β₂), since M ← β₁M + g and V ← β₂V + g² take
    two passes over memory less. So where `betas` are changed midway, m and v change with them.

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

    def __init__(
        self,
        params: Parameters,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize
        )

    def check(self, options: Group) -> None:
        name = type(self).__name__
        if not isinstance(options["betas"], (tuple, list)) or len(options["betas"]) != 2:
            raise ValueError(f"{name}: betas={options['betas']!r} must be two numbers, such as (0.9, 0.999)")
        for beta in options["betas"]:
            check_range(name, "a number of betas", beta, 0.0, 1.0)
        check_range(name, "eps", options["eps"], 0.0, math.inf)
        check_range(name, "weight_decay", options["weight_decay"], 0.0, math.inf)

    def states(self, options: Group) -> dict[str, float]:
        states = {"grad_sum": 0.0, "square_sum": 0.0}
        return {**states, "max_square_sum": 0.0} if options["amsgrad"] else states

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        # With m = (1 - β₁) M and v = (1 - β₂) V the update is lr · m̂ / (q √V + eps), all over q in numbers.
        beta1, beta2 = options["betas"]
        q = math.sqrt((1 - beta2) / (1 - beta2**step))
        scalars = _common(options, lr * (1 - beta1) / (1 - beta1**step) / q)
        scalars |= {"beta1": beta1, "beta2": beta2, "eps": options["eps"] / q}
        return {**scalars, "amsgrad": 1.0} if options["amsgrad"] else scalars

    @staticmethod
    def rule(p: Any, g: Any, state: State, s: dict[str, Any]) -> tuple[Any, State]:
        g = _gradient(p, g, s)
        m = s["beta1"] * state["grad_sum"] + g
        v = s["beta2"] * state["square_sum"] + g * g
        new = {"grad_sum": m, "square_sum": v}
        if "amsgrad" in s:
            v = new["max_square_sum"] = np.maximum(state["max_square_sum"], v)
        return p - s["lr"] * (m / (np.sqrt(v) + s["eps"])), new


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

    def __init__(
        self,
        params: Parameters,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        scalars = super().scalars({**options, "weight_decay": 0.0}, lr, step)
        if options["weight_decay"]:
            scalars["shrink"] = 1 - lr * options["weight_decay"]
        return scalars

    @staticmethod
    def rule(p: Any, g: Any, state: State, s: dict[str, Any]) -> tuple[Any, State]:
        return Adam.rule(s["shrink"] * p if "shrink" in s else p, g, state, s)


class RMSprop(Optimizer):
    """RMSprop: v ← αv + (1 - α)g², θ ← θ - lr · g / (√v + eps); with `centered`, a ← αa + (1 - α)g and √(v -
    a²) in place of √v; with momentum μ, b ← μb + g / (√v + eps) and θ ← θ - lr · b.

    v - a² is a variance: where rounding makes it negative, it counts as 0 (PyTorch gives nan).

    Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning" (2012).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> opt = tn.optim.RMSprop([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> round(w.item(), 6)
    0.0
    """

    def __init__(
        self,
        params: Parameters,
        lr: float | Schedule = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
            centered=centered, maximize=maximize,
        )  # fmt: skip

    def check(self, options: Group) -> None:
        check_range("RMSprop", "alpha", options["alpha"], 0.0, 1.0)
        for name in ("eps", "weight_decay", "momentum"):
            check_range("RMSprop", name, options[name], 0.0, math.inf)

    def states(self, options: Group) -> dict[str, float]:
        states = {"square_avg": 0.0}
        if options["centered"]:
            states["grad_avg"] = 0.0
        if options["momentum"]:
            states["momentum_buffer"] = 0.0
        return states

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        alpha = options["alpha"]
        scalars = _common(options, lr) | {"alpha": alpha, "1 - alpha": 1 - alpha, "eps": options["eps"]}
        if options["momentum"]:
            scalars["momentum"] = options["momentum"]
        return {**scalars, "centered": 1.0} if options["centered"] else scalars

    @staticmethod
    def rule(p: Any, g: Any, state: State, s: dict[str, Any]) -> tuple[Any, State]:
        g = _gradient(p, g, s)
        v = s["alpha"] * state["square_avg"] + s["1 - alpha"] * (g * g)
        new = {"square_avg": v}
        if "centered" in s:
            mean = new["grad_avg"] = s["alpha"] * state["grad_avg"] + s["1 - alpha"] * g
            v = np.maximum(v - mean * mean, 0.0)
        update = g / (np.sqrt(v) + s["eps"])
        if "momentum" in s:
            update = new["momentum_buffer"] = s["momentum"] * state["momentum_buffer"] + update
        return p - s["lr"] * update, new


class Adagrad(Optimizer):
    """Adagrad: v ← v + g², θ ← θ - lr / (1 + (t - 1) · lr_decay) · g / (√v + eps); v starts at
    `initial_accumulator_value`.

    Duchi et al., "Adaptive subgradient methods for online learning and stochastic optimization" (2011).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> opt = tn.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w
    Tensor([0.9], requires_grad=True)
    """

    def __init__(
        self,
        params: Parameters,
        lr: float | Schedule = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, eps=eps, maximize=maximize,
        )  # fmt: skip

    def check(self, options: Group) -> None:
        for name in ("lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            check_range("Adagrad", name, options[name], 0.0, math.inf)

    def states(self, options: Group) -> dict[str, float]:
        return {"sum": options["initial_accumulator_value"]}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        return _common(options, lr / (1 + (step - 1) * options["lr_decay"])) | {"eps": options["eps"]}

    @staticmethod
    def rule(p: Any, g: Any, state: State, s: dict[str, Any]) -> tuple[Any, State]:
        g = _gradient(p, g, s)
        v = state["sum"] + g * g
        return p - s["lr"] * (g / (np.sqrt(v) + s["eps"])), {"sum": v}
