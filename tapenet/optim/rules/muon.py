"""Muon, which steps by an orthogonal matrix."""

from __future__ import annotations

import math

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.optim.groups import Group, check_range
from tapenet.optim.optimizer import takes_options
from tapenet.optim.rule_calls import Scalars, State, Updated
from tapenet.optim.rules.rule_parts import decoupled, gradient, shrunk, sum_of_squares
from tapenet.optim.schedules import Schedule
from tapenet.optim.whole_parameters import WholeOptimizer
from tapenet.parameters.named import Parameters
from tapenet.typing import Array

#: How much larger the step of an n x m matrix is than lr.
_ADJUSTED = {
    "original": lambda n, m: math.sqrt(max(1.0, n / m)),
    "match_rms_adamw": lambda n, m: 0.2 * math.sqrt(max(n, m)),
    "spectral_unclamped": lambda n, m: math.sqrt(n / m),
}


class Muon(WholeOptimizer):
    """Muon, for matrices: b ← μb + (1 - μ)g, u = b (with Nesterov's momentum (1 - μ)g + μb), and
    θ ← (1 - lr · λ)θ - lr · s · orthogonal(u), where orthogonal(u) is near the UVᵀ of u = UΣVᵀ.

    It is found by `ns_steps` steps of a Newton-Schulz iteration, X ← aX + (bA + cA²)X with A = XXᵀ, from
    X = u / max(‖u‖, eps). With the default coefficients a, b, c small singular values rise fast, and end between 0.7 and
    1.2 rather than at 1. It runs in the parameter's dtype (PyTorch's in bfloat16, with three digits).

    Biases, norms, embeddings and the last layer are for another optimizer, such as AdamW; reshape the weight of a
    convolution, or leave it to that one too.

    Args:
        params: matrices only.
        lr: the learning rate.
        weight_decay: λ, decoupled.
        momentum: μ.
        nesterov: Nesterov's momentum.
        ns_coefficients: a, b and c.
        eps: the least norm that u is divided by.
        ns_steps: how many steps of the iteration.
        adjust_lr_fn: the factor s for an n x m matrix: "original" (or None), √max(1, n / m), "match_rms_adamw",
            0.2 √max(n, m), with which the learning rate and the decay of AdamW may stay, or "spectral_unclamped", √(n / m).
        maximize: ascend.

    Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); the second factor from Liu et al.,
    "Muon is scalable for LLM training" (2025).

    >>> import numpy as np, tapenet as tn
    >>> w = tn.tensor([[2.0, 0.0], [0.0, -2.0]], requires_grad=True)
    >>> opt = tn.optim.Muon([w], lr=0.1, weight_decay=0.0)
    >>> (w * w).sum().backward()
    >>> opt.step()
    >>> w.data.round(2)
    array([[ 1.89,  0.  ],
           [ 0.  , -1.89]])
    """

    checked = ("weight_decay", "momentum", "eps")

    @takes_options
    def __init__(
        self,
        params: Parameters = None,
        lr: float | Schedule = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        maximize: bool = False,
    ) -> None: ...

    def check(self, options: Group) -> None:
        super().check(options)
        check_range("Muon", "ns_steps", options["ns_steps"], 0, 100)
        if len(options["ns_coefficients"]) != 3:
            raise ValueError(f"Muon: ns_coefficients={options['ns_coefficients']} must be three numbers")
        if options["adjust_lr_fn"] not in (None, *_ADJUSTED):
            raise ValueError(
                f"Muon: adjust_lr_fn={options['adjust_lr_fn']!r} must be None or one of {', '.join(_ADJUSTED)}"
            )

    def check_parameter(self, where: str, name: str, param: Tensor) -> None:
        super().check_parameter(where, name, param)
        if param.ndim != 2:
            raise ValueError(
                f"{where}: {name} has shape {param.shape}, and Muon is for matrices: give such parameters to another "
                "optimizer, as in optim.Muon([p for p in net.parameters() if p.ndim == 2]) beside "
                "optim.AdamW([p for p in net.parameters() if p.ndim != 2])"
            )

    def states(self, options: Group) -> dict[str, float]:
        return {"momentum_buffer": 0.0}

    def constants(self, options: Group) -> dict[str, object]:
        names = ("nesterov", "eps", "ns_steps", "adjust_lr_fn")
        return {name: options[name] for name in names} | {"ns_coefficients": tuple(options["ns_coefficients"])}

    def scalars(self, options: Group, lr: float, step: int) -> dict[str, float]:
        return decoupled(options, lr) | {"momentum": options["momentum"], "1 - momentum": 1 - options["momentum"]}

    @staticmethod
    def rule(p: Array, g: Array, state: State, s: Scalars) -> Updated:
        g = gradient(p, g, s)
        buffer = s["momentum"] * state["momentum_buffer"] + s["1 - momentum"] * g
        update = s["1 - momentum"] * g + s["momentum"] * buffer if s["nesterov"] else buffer
        update = orthogonal(update, s["ns_coefficients"], s["ns_steps"], s["eps"])
        factor = _ADJUSTED[s["adjust_lr_fn"] or "original"](*p.shape)
        return shrunk(p, s) - (s["lr"] * factor) * update, {"momentum_buffer": buffer}


def orthogonal(matrix: Array, coefficients: tuple[float, float, float], steps: int, eps: float) -> Array:
    """Near the U Vᵀ of a matrix U Σ Vᵀ, by a Newton-Schulz iteration of fifth order."""
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix  # the products below are the smaller for it
    x = x / np.maximum(np.sqrt(sum_of_squares(x)), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x
