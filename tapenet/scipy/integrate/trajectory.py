"""Solutions of differential equations as functions of where they begin, of parameters and of times.

The values are a solver's. Their derivatives are solutions of further equations, by LSODA with error control of their own: in
forward mode those of the tangents, s' = ∂f/∂y s + ∂f/∂p ṗ, beside y; in reverse mode the same for every parameter at once
("forward"), or λ' = -(∂f/∂y)ᵀ λ back in time ("adjoint"). Both pull gradients back by the same linear map, whose derivatives
are those of the equation of the tangents: so every order follows from these few rules. Hindmarsh and Serban, User
documentation for CVODES; Özyurt and Barton, SIAM J. Sci. Comput. 26 (2005), on adjoints of second order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, cast

import numpy as np

from tapenet.ops.op import op
from tapenet.program.functions import Function
from tapenet.scipy.integrate.right_side import RightSide, applied, band
from tapenet.scipy.integrate.values import library
from tapenet.typing import Array

#: How derivatives are computed.
Sensitivity = Literal["auto", "forward", "adjoint"]
#: Up to so many numbers, of y and of all of its tangents, "auto" takes tangents in reverse mode.
FORWARD = 2000
#: Derivatives are computed with so much smaller tolerances than the values: errors add up on the way there and back.
SHARPER = 0.02
#: How many steps a solver of derivatives may take between two times.
STEPS = 100_000


@dataclass(frozen=True, eq=False)
class Plan:
    """How an equation is solved.

    Attributes:
        name: who asks, for errors.
        side: the right side.
        solve: gives y at times, by the user's solver: a function of ts, t0, y0, and the other arguments of the right side.
        rtol, atol: the tolerances of the values; the latter for each element of y.
        sensitivity: how gradients are pulled back.
        moving: whether derivatives by the times are wanted too; they are 0 otherwise.
        max_step: the longest step.
        known: the values, where they are there already.
    """

    name: str
    side: RightSide
    solve: Callable[[Array, Array, Array, list[Array]], Array]
    rtol: float
    atol: Array
    sensitivity: Sensitivity
    moving: bool
    max_step: float = np.inf
    known: Array | None = None

    def knowing(self, known: Array | None) -> Plan:
        """The same, with values that are there already."""
        return replace(self, known=known)

    @property
    def moved(self) -> Plan:
        """The same, with derivatives by the times."""
        return replace(self, moving=True)

    @cached_property
    def tangent(self) -> Plan:
        """That for the equation of tangents."""
        return replace(self, side=self.side.tangent(), known=None)

    @property
    def sharper(self) -> float:
        """The relative tolerance of derivatives."""
        return max(self.rtol * SHARPER, 1e-13)


# -- in numbers ------------------------------------------------------------------------------------------------------


class Banded:
    """A Jacobian of equal blocks along the diagonal, in banded storage: as odeint wants it, transposed."""

    def __init__(
        self, jacobian: Callable[[float, Array], Array], block: int, size: int, reach: int | None = None
    ) -> None:
        """
        Args:
            jacobian: gives a block.
            block: its rows.
            size: the rows of all.
            reach: how many rows have blocks; the others are 0.
        """
        self.jacobian, self.block = jacobian, block
        self.rows, self.columns = band(block)
        self.packed = np.zeros((2 * block - 1, size))
        self.count = (size if reach is None else reach) // block

    def __call__(self, t: float, y: Array) -> Array:
        one = self.packed[:, : self.block]
        one[self.rows, self.columns] = self.jacobian(t, y)
        for i in range(1, self.count):
            self.packed[:, i * self.block : (i + 1) * self.block] = one
        return self.packed.T


def lsoda(
    plan: Plan, f: Callable[[float, Array], Array], jacobian: Callable[[float, Array], Array], block: int, y0: Array,
    ts: Sequence[float], atol: Array, reach: int | None = None,
) -> Array:  # fmt: skip
    """The solution at times, of which the first is where it begins. The Jacobian is `Banded`.

    Raises:
        RuntimeError: the solver gave up.
    """
    integrate = library()

    banded = Banded(jacobian, block, y0.size, reach)
    found, told = integrate.odeint(
        f, y0, ts, Dfun=banded, col_deriv=True, tfirst=True, ml=block - 1, mu=block - 1, rtol=plan.sharper, atol=atol,
        tcrit=[ts[-1]], hmax=plan.max_step if plan.max_step < np.inf else 0.0, mxstep=STEPS, full_output=True,
    )  # fmt: skip
    if told["message"] != "Integration successful." or not np.isfinite(found).all():
        raise RuntimeError(
            f"{plan.name}: the equation of the derivatives could not be solved: LSODA says {told['message']!r} between t = "
            f"{ts[0]} and {ts[-1]}. Give other tolerances (rtol=, atol=), or another sensitivity="
        )
    values: Array = found
    return values


def in_order(t0: Array, ts: Array) -> tuple[list[float], Array]:
    """Times in the order in which a solution that begins at t0 comes to them, t0 first, and where among them the given are."""
    sign = -1.0 if ts.size and ts[np.argmax(np.abs(ts - t0))] < t0 else 1.0
    times, where = np.unique(np.concatenate([[t0], ts]) * sign, return_inverse=True)
    return list(times * sign), where[1:]


def solution(plan: Plan, side: RightSide, ts: Array, t0: Array, y0: Array, others: list[Array], scale: Array) -> Array:
    """The solution at times, by LSODA. `scale`: what the tolerances of the elements are multiplied with."""
    times, where = in_order(t0, ts)
    atol = np.resize(plan.atol, y0.shape) * scale * SHARPER
    f, jacobian = side.bound(others), side.jacobian(others)
    return lsoda(plan, f, jacobian, side.block, y0, times, atol)[where]


def scales(side: RightSide, y0: Array, params: Sequence[Array]) -> Array:
    """About how large each element is beside those of y: a tangent is as large as what moves along it is moved, relative to
    what it is. Tolerances are multiplied with that, so that numbers far from 1 are as exact as others."""
    if side.inner is None:
        return np.ones(side.size)
    half, count = side.inner.size, side.inner.count
    pairs = [(y0[:half], y0[half:]), *zip(params[:count], params[count:], strict=True)]
    moved = max(_moved(x, dot) for x, dot in pairs)
    first = scales(side.inner, y0[:half], params[:count])
    return np.concatenate([first, first * (moved or 1.0)])


def _moved(x: Array, dot: Array) -> float:
    """How far a tangent moves an array, relative to its elements."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.max(np.abs(np.where(x == 0, dot, dot / x)), initial=0.0))


def _columns(
    plan: Plan, g: Array, ts: Array, t0: Array, y0: Array, params: list[Array], fixed: list[Array]
) -> list[Array]:
    """Gradients by y0 and the parameters by the tangents along each of them, which are all solved for at once."""
    side = plan.side
    specs = [y0, *params]
    total = sum(p.size for p in specs)
    z0, dots, sizes, begin = [y0], [], [], 0
    for i, p in enumerate(specs):
        unit = np.zeros((total, p.size), p.dtype)
        scale = np.where(p == 0, 1, np.abs(p)).ravel()
        unit[begin + np.arange(p.size), np.arange(p.size)] = scale  # of the size of what moves: see `scales`
        sizes.append(scale)
        begin += p.size
        if i:
            dots.append(unit.reshape((total, *p.shape)))
        else:
            z0.append(unit.ravel())
    lanes = side.tangent(total)
    scale = np.tile(scales(side, y0, params), 1 + total)
    zs = solution(plan, lanes, ts, t0, np.concatenate(z0), [*params, *dots, *fixed], scale)
    tangents = zs[:, side.size :].reshape(ts.size, total, side.size)
    found = np.einsum("tn,tkn->k", g, tangents) / np.concatenate(sizes)
    return _apart(found, specs)


def _apart(v: Array, like: Sequence[Array]) -> list[Array]:
    found, begin = [], 0
    for p in like:
        found.append(v[begin : begin + p.size].reshape(p.shape).astype(p.dtype))
        begin += p.size
    return found


def _adjoint(
    plan: Plan, g: Array, ts: Array, t0: Array, y0: Array, params: list[Array], fixed: list[Array]
) -> list[Array]:
    """Gradients by y0 and the parameters by the adjoint equation: λ jumps by the gradient at each time, and goes back from
    one to the next. Beside λ the gradients by the parameters add up."""
    side, others = plan.side, [*params, *fixed]
    times, where = in_order(t0, ts)
    n, block = side.size, side.block
    jumps = np.zeros((len(times), n))
    np.add.at(jumps, where, g)
    y = _dense(plan, times, y0, others, scales(side, y0, params))
    pull, jacobian = side.adjoint(others), side.jacobian(others)

    def back(t: float, z: Array) -> Array:
        return -np.concatenate(pull(t, y(t), z[:n]))

    def transposed(t: float, z: Array) -> Array:
        return -jacobian(t, y(t)).T

    # As exact as a loss that has these gradients: each is multiplied with what it is the gradient by.
    size = np.maximum.reduce([np.abs(y(t)) for t in times])
    loss = float(np.max(np.abs(jumps) * size, initial=0.0)) or float(np.max(np.abs(jumps), initial=0.0))
    of = np.concatenate(
        [
            np.maximum(size, np.resize(plan.atol, n) + 1e-9 * size.max()),
            *(np.where(p == 0, 1, abs(p)).ravel() for p in params),
        ]
    )
    atol = plan.sharper * 0.1 * loss / of
    z = np.concatenate([jumps[-1], np.zeros(of.size - n)])
    for i in range(len(times) - 1, 0, -1):
        if z.any():
            span = [times[i], times[i - 1]]
            z = lsoda(plan, back, transposed, block, z, span, atol, reach=n)[-1]
        z[:n] += jumps[i - 1]
    return _apart(z, [y0, *params])


def _dense(plan: Plan, times: list[float], y0: Array, others: list[Array], scale: Array) -> Callable[[float], Array]:
    """The solution as a function of time."""
    integrate = library()

    if len(times) == 1:
        return lambda t: y0
    side = plan.side
    banded = Banded(side.jacobian(others), side.block, side.size)
    width = None if side.inner is None else side.block - 1
    found = integrate.solve_ivp(
        side.bound(others), (times[0], times[-1]), y0, "LSODA", dense_output=True, rtol=plan.sharper,
        atol=np.resize(plan.atol, y0.shape) * scale * SHARPER, lband=width, uband=width,
        max_step=plan.max_step,
        jac=banded.jacobian if width is None else lambda t, y: banded(t, y).T,
    )  # fmt: skip
    if not found.success:
        raise RuntimeError(f"{plan.name}: the equation could not be solved once more for its adjoint: {found.message}")
    sign = 1.0 if times[-1] >= times[0] else -1.0
    ends = list(sign * found.sol.ts[1:])
    pieces = [(p.t, p.h, p.yh, p.p) for p in found.sol.interpolants]

    def at(t: float) -> Array:
        end, h, yh, powers = pieces[min(bisect_left(ends, sign * t), len(pieces) - 1)]
        value: Array = yh @ ((t - end) / h) ** powers
        return value

    return at


#: In place of a plan that is not given: it always is.
_NO_PLAN = cast("Plan", ...)


# -- ops -------------------------------------------------------------------------------------------------------------


def _at_times(function: Function, ts: Array, ys: Array, others: Sequence[Array], *more: Array) -> tuple[Array, ...]:
    """A function of time, of y, of other arguments that are the same at each time, and more."""
    lanes = [True, True, *[False] * len(others), *[True] * len(more)]
    return applied(function.batch(lanes, ts.shape[0]), [ts, ys, *others, *more])


def _solve(
    ts: Array, t0: Array, y0: Array, params: Sequence[Array], fixed: Sequence[Array], plan: Plan = _NO_PLAN
) -> Array:
    side, others = plan.side, [*params, *fixed]
    if plan.known is not None:
        return plan.known
    if (ts == t0).all():  # also where a compiler asks for the shape, with numbers that it made up
        return np.repeat(y0[None], ts.size, 0)
    if side.inner is None:
        return plan.solve(ts, t0, y0, others)
    return solution(plan, side, ts, t0, y0, others, scales(side, y0, params))


def _pull_back(
    g: Array, out: Array, wanted: Collection[str], ts: Array, t0: Array, y0: Array, params: Sequence[Array],
    fixed: Sequence[Array], plan: Plan,
) -> dict[str, Array | tuple[Array, ...]]:  # fmt: skip
    """The gradients by times, start and parameters."""
    found: dict[str, Array | tuple[Array, ...]] = {"ts": np.zeros_like(ts), "t0": np.zeros_like(t0)}
    others = [*params, *fixed]
    if "ts" in wanted and plan.moving:
        found["ts"] = (g * _at_times(plan.side.function, ts, out, others)[0]).sum(-1)
    if not {"t0", "y0", "params"}.isdisjoint(wanted):
        by_y, *by_params = pull_back_op(g, ts, t0, y0, list(params), list(fixed), plan=plan)
        found["y0"], found["params"] = by_y, tuple(by_params)
        if "t0" in wanted and plan.moving:
            found["t0"] = -(by_y * applied(plan.side.function, [t0, y0, *others])[0]).sum()
    return found


def _push_forward(
    ts: Array, t0: Array, y0: Array, params: Sequence[Array], fixed: Sequence[Array], plan: Plan, out: Array,
    ts_dot: Array, t0_dot: Array, y0_dot: Array, params_dot: Sequence[Array],
) -> Array:  # fmt: skip
    """The tangent: that of the equation, and what f moves the times by."""
    others = [*params, *fixed]
    if plan.moving:
        y0_dot = y0_dot - applied(plan.side.function, [t0, y0, *others])[0] * t0_dot
    double = [*params, *params_dot]
    zs = trajectory(ts, t0, np.concatenate([y0, y0_dot]), double, list(fixed), plan=plan.tangent)
    moved: Array = zs[:, plan.side.size :]
    return moved + _at_times(plan.side.function, ts, out, others)[0] * ts_dot[:, None] if plan.moving else moved


def _solve_lanes(
    ts: Array, t0: Array, y0: Array, params: Sequence[Array], fixed: Sequence[Array], plan: Plan = _NO_PLAN
) -> Array:
    """Lanes of an equation of tangents: tangents along several directions of one solution are solved for at once."""
    inner = plan.side.inner
    assert inner is not None
    if (ts == t0).all():
        return np.repeat(y0[:, None], ts.size, 1)
    n, count = inner.size, inner.count
    base = [y0[:, :n], *params[:count]]
    if any((b != b[:1]).any() for b in base):
        return np.stack([_solve(ts, t0, y0[i], [p[i] for p in params], fixed, plan) for i in range(len(y0))])
    start, *at = (b[0] for b in base)
    scale = [scales(plan.side, y0[i], [p[i] for p in params])[n:] for i in range(len(y0))]
    scale = [scales(inner, start, at), *scale]
    others = [*at, *params[count:], *fixed]
    z0 = np.concatenate([start, y0[:, n:].ravel()])
    zs = solution(plan, inner.tangent(len(y0)), ts, t0, z0, others, np.concatenate(scale))
    ys = np.broadcast_to(zs[:, :n], (len(y0), *zs[:, :n].shape))
    moved = np.moveaxis(zs[:, n:].reshape(len(ts), len(y0), n), 1, 0)
    return np.concatenate([ys, moved], axis=2)


_lanes_op = op(
    _solve_lanes,
    name="solve_ivp_lanes",
    nondiff=True,
    opaque="a solver runs until it is done",
    doc="""Solutions of an equation of tangents for several tangents; lanes of `solve_ivp` call it.

    Args:
        ts, t0, y0, params, fixed, plan: as for the solution; y0 and params have lanes in front.

    Returns:
        the solutions, with lanes in front.
    """,
)


def _lanes(
    batched: frozenset[str], lanes: int, ts: Array, t0: Array, y0: Array, params: Sequence[Array],
    fixed: Sequence[Array], plan: Plan,
) -> object:  # fmt: skip
    if plan.side.inner is None or not batched <= {"y0", "params"}:
        return NotImplemented
    if "y0" not in batched:
        y0 = np.broadcast_to(y0, (lanes, *y0.shape))
    if "params" not in batched:
        params = [np.broadcast_to(p, (lanes, *p.shape)) for p in params]
    return _lanes_op(ts, t0, y0, list(params), list(fixed), plan=plan)


trajectory = op(
    _solve,
    name="solve_ivp",
    nondiff=("fixed",),
    sequences=("params", "fixed"),
    joint=_pull_back,
    jvp=_push_forward,
    vmap=_lanes,
    opaque="a solver runs until it is done",
    precision="same",
    label=lambda plan: plan.name,
    formula="y with y' = f(t, y), y(t0) = y0",
    gradients="all: by the equations of tangents or adjoints",
    doc="""The solution of a differential equation at times; `tn.scipy.integrate.solve_ivp` calls it.

    Args:
        ts: the times.
        t0, y0: where it begins.
        params, fixed: what the right side depends on; derivatives are taken by the first.
        plan: how it is solved.

    Returns:
        y at each of the times.
    """,
)


def _pull_numbers(
    weights: Array, ts: Array, t0: Array, y0: Array, params: Sequence[Array], fixed: Sequence[Array],
    plan: Plan = _NO_PLAN,
) -> tuple[Array, ...]:  # fmt: skip
    if (ts == t0).all():
        return weights.sum(0), *map(np.zeros_like, params)
    kind = plan.sensitivity
    if kind == "auto":
        columns = sum(p.size for p in params) + y0.size
        kind = "forward" if plan.side.size * (1 + columns) <= FORWARD else "adjoint"
    work = _columns if kind == "forward" else _adjoint
    return tuple(work(plan, weights, ts, t0, y0, list(params), list(fixed)))


def _along(weights: Array, y0: Array, by_y: Array) -> tuple[Array, Array]:
    """The start of y and a tangent, and the gradients by the tangent alone."""
    return np.concatenate([y0, by_y]), np.concatenate([np.zeros_like(weights), weights], axis=1)


def _second_pull(
    g: tuple[Array, ...], wanted: Collection[str], weights: Array, ts: Array, t0: Array, y0: Array,
    params: Sequence[Array], fixed: Sequence[Array], plan: Plan,
) -> dict[str, Array | tuple[Array, ...]]:  # fmt: skip
    """What was pulled back is the gradient of φ = Σ w y. Along v, its derivative is the gradient of Σ w s, where s is the
    tangent of y along v."""
    by_y, *by_params = g
    z0, ws = _along(weights, y0, by_y)
    double = [*params, *by_params]
    found: dict[str, Array | tuple[Array, ...]] = {}
    zs = ts
    if "weights" in wanted or ("ts" in wanted and plan.moving):
        zs = trajectory(ts, t0, z0, double, list(fixed), plan=plan.tangent)
        found["weights"] = zs[:, plan.side.size :]
    if set(wanted) - {"weights"}:
        found |= _pull_back(ws, zs, wanted, ts, t0, z0, double, fixed, plan.tangent)
    if "y0" in found:
        found["y0"], found["params"] = found["y0"][: plan.side.size], found["params"][: len(params)]
    return found


def _second_push(
    weights: Array, ts: Array, t0: Array, y0: Array, params: Sequence[Array], fixed: Sequence[Array], plan: Plan,
    weights_dot: Array, ts_dot: Array, t0_dot: Array, y0_dot: Array, params_dot: Sequence[Array],
) -> tuple[Array, ...]:  # fmt: skip
    """The gradient of what φ = Σ w y changes by along the tangents, which is that of Σ w s, beside that of Σ ẇ y."""
    count, n, others = len(params), plan.side.size, [*params, *fixed]
    moved = pull_back_op(weights_dot, ts, t0, y0, list(params), list(fixed), plan=plan)
    if plan.moving:
        y0_dot = y0_dot - applied(plan.side.function, [t0, y0, *others])[0] * t0_dot
    z0, ws = _along(weights, y0, y0_dot)
    back = plan.side.pulled(range(1, 2 + count))
    if plan.moving:  # φ also changes by Σ w f ṫ
        ys = trajectory(ts, t0, y0, list(params), list(fixed), plan=plan)
        of_y, *of_params = _at_times(back, ts, ys, others, weights * ts_dot[:, None])
        ws = np.concatenate([of_y, weights], axis=1)
    by_z, *by_double = pull_back_op(ws, ts, t0, z0, [*params, *params_dot], list(fixed), plan=plan.tangent)
    found = [by_z[:n], *by_double[:count]]
    if plan.moving:  # and s begins with -f ṫ0
        start = applied(back, [t0, y0, *others, by_z[n:] * -t0_dot])
        found = [a + b for a, b in zip(found, start, strict=True)]
        found[1:] = [a + b.sum(0) for a, b in zip(found[1:], of_params, strict=True)]
    return tuple(a + b for a, b in zip(moved, found, strict=True))


pull_back_op = op(
    _pull_numbers,
    name="solve_ivp_gradients",
    outputs=None,
    nondiff=("fixed",),
    sequences=("params", "fixed"),
    joint=_second_pull,
    jvp=_second_push,
    opaque="a solver runs until it is done",
    precision="same",
    label="gradients of solve_ivp",
    formula="the gradients by y0 and params of Σ w y",
    gradients="all: by the equation of tangents",
    doc="""Gradients of a solution pulled back to where it begins and to its parameters; the rule of `solve_ivp` calls it.

    Args:
        weights: the gradients by the solution at the times.
        ts, t0, y0, params, fixed, plan: as for the solution.

    Returns:
        the gradients by y0 and each of the parameters.
    """,
)
