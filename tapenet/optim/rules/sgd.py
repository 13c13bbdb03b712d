"""Gradient descent, with momentum and averaged."""

from __future__ import annotations

from tapenet.optim.groups import Group
from tapenet.optim.optimizer import Optimizer, takes_options
from tapenet.optim.rule_calls import Scalars, State, Updated
from tapenet.optim.rules.rule_parts import common, gradient
from tapenet.optim.schedules import Schedule
from tapenet.parameters.named import Parameters
from tapenet.typing import Array


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

    checked = ("momentum", "weight_decay")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None: ...

    def check(self, options: Group) -> None:
        super().check(options)
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov=True needs momentum above 0 and dampening 0, not "
                f"momentum={options['momentum']} and dampening={options['dampening']}"
            )

    def states(self, options: Group) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if options["momentum"] else {}

    def local(self, options: Group) -> bool:
        return not options["momentum"] and not options["weight_decay"]

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        scalars = common(options, lr)
        if options["momentum"]:
            scalars["momentum"] = options["momentum"]
            if options["dampening"]:
                scalars["gain"] = 1.0 if step == 1 else 1 - options["dampening"]
            if options["nesterov"]:
                scalars["nesterov"] = 1.0
        return scalars

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        if "momentum" not in s:
            return p - s["lr"] * g, {}
        buffer = s["momentum"] * state["momentum_buffer"] + (s["gain"] * g if "gain" in s else g)
        update = g + s["momentum"] * buffer if "nesterov" in s else buffer
        return p - s["lr"] * update, {"momentum_buffer": buffer}


class ASGD(Optimizer):
    """Averaged gradient descent: θ ← (1 - lambd · η)θ - ηg with η = lr / (1 + lambd · lr · (t - 1))^alpha, and beside
    it the mean a of the θ since update `t0`: a ← a + (θ - a) / max(1, t - 1 - t0), found as state "ax".

    A learning rate that is a schedule enters η at once (PyTorch takes that of the step before).

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992).

    >>> import tapenet as tn
    >>> w = tn.tensor([1.0], requires_grad=True)
    >>> opt = tn.optim.ASGD([w], lr=0.1, lambd=0.0, t0=0)
    >>> for _ in range(3):
    ...     opt.zero_grad()
    ...     (w * w).sum().backward()
    ...     opt.step()
    >>> w.data.round(3), opt.state_dict()["state"][0]["ax"].round(3)    # (0.64 + 0.512) / 2
    (array([0.512]), array([0.576]))
    """

    checked = ("lambd", "alpha", "t0", "weight_decay")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None: ...

    def states(self, options: Group) -> dict[str, float]:
        return {"ax": 0.0}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        rate = lr / (1 + options["lambd"] * lr * (step - 1)) ** options["alpha"]
        keep = 1 - options["lambd"] * rate
        return common(options, rate) | {"keep": keep, "mu": 1 / max(1, step - 1 - options["t0"])}

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        p = s["keep"] * p - s["lr"] * g
        return p, {"ax": state["ax"] + s["mu"] * (p - state["ax"])}
