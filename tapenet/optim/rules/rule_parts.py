"""What the update rules have in common.

In the formulas of this folder θ is the parameter, g its gradient, t the number of the update, counting from 1;
`weight_decay` λ adds λθ to g unless said otherwise, and `maximize` turns g to -g first. A term whose option is 0
or False has no scalar and is left out of the rule.
"""

from __future__ import annotations

import numpy as np

from tapenet.optim.groups import Group
from tapenet.optim.rule_calls import Scalars, State
from tapenet.program.runs import dot
from tapenet.typing import Array


def common(options: Group, lr: float) -> dict[str, float]:
    """The scalars that every optimizer has."""
    scalars = {"lr": lr}
    if options["maximize"]:
        scalars["sign"] = -1.0
    if options["weight_decay"]:
        scalars["weight_decay"] = options["weight_decay"]
    return scalars


def decoupled(options: Group, lr: float) -> dict[str, float]:
    """The scalars that every optimizer has whose weight decay is θ ← (1 - lr · λ)θ, apart from g."""
    return common({**options, "weight_decay": 0.0}, lr) | shrinkage(options, lr)


def shrinkage(options: Group, lr: float) -> dict[str, float]:
    """The scalar of decoupled weight decay, 1 - lr · λ."""
    return {"shrink": 1 - lr * options["weight_decay"]} if options["weight_decay"] else {}


def weights_of_means(options: Group) -> dict[str, float]:
    """The scalars of two running means, of β₁ and β₂."""
    beta1, beta2 = options["betas"]
    return {"beta1": beta1, "1 - beta1": 1 - beta1, "beta2": beta2, "1 - beta2": 1 - beta2}


def sum_of_squares(x: Array) -> Array:
    """Σ x² over all elements."""
    found: Array
    if type(x) is np.ndarray:
        flat = x.ravel(order="K")
        found = dot(flat, flat)
    else:
        found = np.sum(x * x)
    return found


def gradient(p: Array, g: Array, s: Scalars) -> Array:
    """The gradient of what is minimised, weight decay included."""
    if "sign" in s:
        g = s["sign"] * g
    if "weight_decay" in s:
        g = g + s["weight_decay"] * p
    return g


def shrunk(p: Array, s: Scalars) -> Array:
    """The parameter after its decoupled weight decay."""
    return s["shrink"] * p if "shrink" in s else p


def running_means(g: Array, state: State, s: Scalars) -> tuple[Array, Array]:
    """Adam's running means m of g and v of g²: the new "exp_avg" and "exp_avg_sq"."""
    m = s["beta1"] * state["exp_avg"] + s["1 - beta1"] * g
    v = s["beta2"] * state["exp_avg_sq"] + s["1 - beta2"] * (g * g)
    return m, v
