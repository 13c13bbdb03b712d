"""Integrals as functions of limits and parameters.

The values are SciPy's. A derivative by parameters is the integral of that of the integrand, with error control of its own;
one by a limit is the integrand there (Leibniz' rule). The gradients by all parameters are integrals too, whose derivatives
are those of the integral of the tangent: so every order follows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from tapenet.ops.op import op
from tapenet.program.functions import Function
from tapenet.scipy.integrate.integrand import Integrand
from tapenet.scipy.integrate.right_side import applied
from tapenet.typing import Array

#: Integrates a function, of some shape, from one limit to another.
Rule = Callable[[Callable[[float], Array], float, float], Array]


@dataclass(frozen=True, eq=False)
class Plan:
    """How something is integrated.

    Attributes:
        name: who asks, for errors.
        integrand: what is integrated.
        values: integrates it.
        several: integrates many functions at once, the gradients.
        limits: whether derivatives by each limit are wanted; they are 0 otherwise, and at infinity.
        known: the value, where it is there already.
    """

    name: str
    integrand: Integrand
    values: Rule
    several: Rule
    limits: tuple[bool, bool]
    known: Array | None = None

    def knowing(self, known: Array) -> Plan:
        """The same, with a value that is there already."""
        return replace(self, known=known)

    def of(self, integrand: Integrand) -> Plan:
        """The same for another integrand."""
        return replace(self, integrand=integrand, known=None)


#: In place of a plan that is not given: it always is.
_NO_PLAN = cast("Plan", ...)


def _ends(plan: Plan, function: Function, a: Array, b: Array, *others: Array) -> list[tuple[Array, ...] | None]:
    """A function at each of the limits by which derivatives are wanted."""
    return [applied(function, [x, *others]) if wanted else None for x, wanted in zip((a, b), plan.limits, strict=True)]


def _integrate(a: Array, b: Array, params: Sequence[Array], fixed: Sequence[Array], plan: Plan = _NO_PLAN) -> Array:
    if plan.known is not None:
        return plan.known
    if a == b:  # also where a compiler asks for the shape, with numbers that it made up
        return np.zeros(*plan.integrand.function.outputs[0])
    return np.asarray(plan.values(plan.integrand.bound([*params, *fixed]), float(a), float(b)))


def _pull_back(
    g: Array, wanted: Collection[str], a: Array, b: Array, params: Sequence[Array], fixed: Sequence[Array], plan: Plan,
) -> dict[str, Array | tuple[Array, ...]]:  # fmt: skip
    """The gradients by limits and parameters."""
    found: dict[str, Array | tuple[Array, ...]] = {"a": np.zeros_like(a), "b": np.zeros_like(b)}
    if "params" in wanted:
        found["params"] = tuple(gradients_op(g, a, b, list(params), list(fixed), plan=plan)) if params else ()
    for name, sign, at in zip("ab", (-1, 1), _ends(plan, plan.integrand.function, a, b, *params, *fixed), strict=True):
        if at is not None and name in wanted:
            found[name] = sign * (g * at[0]).sum()
    return found


def _push_forward(
    a: Array, b: Array, params: Sequence[Array], fixed: Sequence[Array], plan: Plan, out: Array, a_dot: Array,
    b_dot: Array, params_dot: Sequence[Array],
) -> Array:  # fmt: skip
    """The integral of the tangent, and what moving limits add."""
    moved = np.zeros_like(out)
    if params:
        moved = integral(a, b, [*params, *params_dot], list(fixed), plan=plan.of(plan.integrand.tangent))
    at_a, at_b = _ends(plan, plan.integrand.function, a, b, *params, *fixed)
    moved = moved if at_a is None else moved - at_a[0] * a_dot
    return moved if at_b is None else moved + at_b[0] * b_dot


integral = op(
    _integrate,
    name="integral",
    nondiff=("fixed",),
    sequences=("params", "fixed"),
    joint=_pull_back,
    jvp=_push_forward,
    opaque="a quadrature runs until it is done",
    precision="same",
    label=lambda plan: plan.name,
    formula="∫ f(x) dx from a to b",
    gradients="a: -g f(a); b: g f(b); params: g ∫ ∂f/∂p dx",
    doc="""An integral; `tn.scipy.integrate.quad` and its kin call it.

    Args:
        a, b: the limits.
        params, fixed: what the integrand depends on; derivatives are taken by the first.
        plan: how it is integrated.

    Returns:
        the integral.
    """,
)


def _gradients(
    weights: Array, a: Array, b: Array, params: Sequence[Array], fixed: Sequence[Array], plan: Plan = _NO_PLAN
) -> tuple[Array, ...]:
    if a == b:
        return tuple(map(np.zeros_like, params))
    f = plan.integrand.gradients([*params, *fixed], weights)
    found = plan.several(f, float(a), float(b))
    ends = np.cumsum([p.size for p in params])[:-1]
    parts = np.split(np.asarray(found), ends)
    return tuple(v.reshape(p.shape).astype(p.dtype) for v, p in zip(parts, params, strict=True))


def _second_pull(
    g: tuple[Array, ...], wanted: Collection[str], weights: Array, a: Array, b: Array, params: Sequence[Array],
    fixed: Sequence[Array], plan: Plan,
) -> dict[str, Array | tuple[Array, ...]]:  # fmt: skip
    """What was pulled back is the gradient of w · ∫ f; along v, its derivative is the gradient of w times the integral of the
    tangent of f along v."""
    tangent, double = plan.of(plan.integrand.tangent), [*params, *g]
    found = _pull_back(weights, set(wanted) - {"weights"}, a, b, double, fixed, tangent)
    if "params" in found:
        found["params"] = found["params"][: len(params)]
    if "weights" in wanted:
        found["weights"] = integral(a, b, double, list(fixed), plan=tangent)
    return found


def _second_push(
    weights: Array, a: Array, b: Array, params: Sequence[Array], fixed: Sequence[Array], plan: Plan, weights_dot: Array,
    a_dot: Array, b_dot: Array, params_dot: Sequence[Array],
) -> tuple[Array, ...]:  # fmt: skip
    """The same by symmetry, for tangents."""
    moved = list(gradients_op(weights_dot, a, b, list(params), list(fixed), plan=plan))
    tangent = plan.of(plan.integrand.tangent)
    turned = gradients_op(weights, a, b, [*params, *params_dot], list(fixed), plan=tangent)
    moved = [m + t for m, t in zip(moved, turned, strict=False)]
    for sign, at, dot in zip(
        (-1, 1), _ends(plan, plan.integrand.pulled, a, b, *params, *fixed, weights), (a_dot, b_dot), strict=True
    ):
        if at is not None:
            moved = [m + sign * d * dot for m, d in zip(moved, at, strict=True)]
    return tuple(moved)


gradients_op = op(
    _gradients,
    name="integral_gradients",
    outputs=None,
    nondiff=("fixed",),
    sequences=("params", "fixed"),
    joint=_second_pull,
    jvp=_second_push,
    opaque="a quadrature runs until it is done",
    precision="same",
    label="gradients of an integral",
    formula="∫ (∂f/∂p)ᵀ w dx from a to b",
    gradients="all: by the integral of the tangent",
    doc="""The gradients of an integral by the parameters; the rule of `integral` calls it.

    Args:
        weights: the gradient by the integral.
        a, b, params, fixed, plan: as for the integral.

    Returns:
        the gradients by each of the parameters.
    """,
)
