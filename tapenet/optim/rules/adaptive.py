"""Steps scaled element by element by the gradients so far: RMSprop, Adagrad, Adadelta, Rprop."""

from __future__ import annotations

import math

import numpy as np

from tapenet.optim.groups import Group, check_range
from tapenet.optim.optimizer import Optimizer, takes_options
from tapenet.optim.rule_calls import Scalars, State, Updated
from tapenet.optim.rules.rule_parts import common, gradient
from tapenet.optim.schedules import Schedule
from tapenet.parameters.named import Parameters
from tapenet.typing import Array


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

    checked = ("eps", "weight_decay", "momentum")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None: ...

    def check(self, options: Group) -> None:
        super().check(options)
        check_range("RMSprop", "alpha", options["alpha"], 0.0, 1.0)

    def states(self, options: Group) -> dict[str, float]:
        states = {"square_avg": 0.0}
        if options["centered"]:
            states["grad_avg"] = 0.0
        if options["momentum"]:
            states["momentum_buffer"] = 0.0
        return states

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        alpha = options["alpha"]
        scalars = common(options, lr) | {"alpha": alpha, "1 - alpha": 1 - alpha, "eps": options["eps"]}
        if options["momentum"]:
            scalars["momentum"] = options["momentum"]
        return {**scalars, "centered": 1.0} if options["centered"] else scalars

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
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

    checked = ("lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None: ...

    def states(self, options: Group) -> dict[str, float]:
        return {"sum": options["initial_accumulator_value"]}

    def local(self, options: Group) -> bool:
        return not options["weight_decay"]

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        return common(options, lr / (1 + (step - 1) * options["lr_decay"])) | {"eps": options["eps"]}

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        v = state["sum"] + g * g
        return p - s["lr"] * (g / (np.sqrt(v) + s["eps"])), {"sum": v}


class Adadelta(Optimizer):
    """Adadelta: v ← ρv + (1 - ρ)g², δ = g · √(a + eps) / √(v + eps), a ← ρa + (1 - ρ)δ², θ ← θ - lr · δ.

    Zeiler, "ADADELTA: an adaptive learning rate method" (2012).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> opt = tn.optim.Adadelta([w], lr=100.0)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> round(w.item(), 3)
    0.684
    """

    checked = ("eps", "weight_decay")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None: ...

    def check(self, options: Group) -> None:
        super().check(options)
        check_range("Adadelta", "rho", options["rho"], 0.0, math.nextafter(1.0, 2.0))

    def states(self, options: Group) -> dict[str, float]:
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        rho = options["rho"]
        return common(options, lr) | {"rho": rho, "1 - rho": 1 - rho, "eps": options["eps"]}

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        v = s["rho"] * state["square_avg"] + s["1 - rho"] * (g * g)
        delta = g * np.sqrt((state["acc_delta"] + s["eps"]) / (v + s["eps"]))
        a = s["rho"] * state["acc_delta"] + s["1 - rho"] * (delta * delta)
        return p - s["lr"] * delta, {"square_avg": v, "acc_delta": a}


class Rprop(Optimizer):
    """Resilient propagation: each element has a step size d of its own, at first lr. Where g has the sign that it had at
    the update before, d grows by the factor `etas[1]`; where it has the other one, d shrinks by `etas[0]` and g counts
    as 0 this once; d stays within `step_sizes`. Then θ ← θ - d · sign(g).

    For full batches: only the sign of g counts. The learning rate is read once, before the first update.

    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm" (1993).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0, -2.0], requires_grad=True)
    >>> opt = tn.optim.Rprop([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> opt.step()
    >>> w
    Tensor([ 0.78, -1.78], requires_grad=True)
    """

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        maximize: bool = False,
    ) -> None: ...

    def check(self, options: Group) -> None:
        low, high = options["etas"]
        if not 0 < low < 1 < high:
            raise ValueError(
                f"Rprop: etas={options['etas']} must be one number below 1 and one above, such as (0.5, 1.2)"
            )
        low, high = options["step_sizes"]
        if not 0 <= low <= high:
            raise ValueError(f"Rprop: step_sizes={options['step_sizes']} must be the smallest and the largest step")

    def states(self, options: Group) -> dict[str, float]:
        return {"prev": 0.0, "step_size": options["lr"]}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        shrink, grow = options["etas"]
        low, high = options["step_sizes"]
        scalars = {"growth": grow - 1, "shrinkage": 1 - shrink, "smallest": low, "largest": high}
        return {**scalars, "sign": -1.0} if options["maximize"] else scalars

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        turn = g * state["prev"]  # above 0: the same sign as before, below 0: the other
        size = state["step_size"]
        size = size + (s["growth"] * size) * (turn > 0.0) - (s["shrinkage"] * size) * (turn < 0.0)
        size = np.minimum(np.maximum(size, s["smallest"]), s["largest"])
        g = g * (turn >= 0.0)
        return p - size * np.sign(g), {"prev": g, "step_size": size}
