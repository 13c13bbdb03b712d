"""SciPy's older interface to LSODA, on compiled right sides and with derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, overload

import numpy as np

from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.scipy.integrate.problems import Problem
from tapenet.scipy.integrate.states import Function, State, floats, value_of
from tapenet.scipy.integrate.trajectory import Plan, Sensitivity
from tapenet.scipy.integrate.unread import plain, read_or_plain
from tapenet.scipy.integrate.values import TensorsFound, data, library, only_values
from tapenet.typing import Array


@overload
def odeint(
    func: Callable[..., object], y0: object, t: object, args: Sequence[object] = (), Dfun: Callable[..., object] | None = None,
    col_deriv: bool = False, full_output: Literal[False] = False, *, tfirst: bool = False,
    sensitivity: Sensitivity = "auto", **options: object,
) -> Tensor: ...  # fmt: skip


@overload
def odeint(
    func: Callable[..., object], y0: object, t: object, args: Sequence[object] = (), Dfun: Callable[..., object] | None = None,
    col_deriv: bool = False, full_output: Literal[True] = ..., *, tfirst: bool = False,
    sensitivity: Sensitivity = "auto", **options: object,
) -> tuple[Tensor, dict[str, object]]: ...  # fmt: skip


@boundary
def odeint(
    func: Callable[..., object],
    y0: object,
    t: object,
    args: Sequence[object] = (),
    Dfun: Callable[..., object] | None = None,
    col_deriv: bool = False,
    full_output: bool = False,
    *,
    tfirst: bool = False,
    sensitivity: Sensitivity = "auto",
    **options: object,
) -> Tensor | tuple[Tensor, dict[str, object]]:
    """The solution of y' = func(y, t), y(t[0]) = y0 at times t, by `scipy.integrate.odeint`, with derivatives of every order.

    Where nothing but values is wanted, and `func` computes with arrays alone, it is SciPy's as it is. Else the right side is
    run once on tensors, and compiled; LSODA gets its exact Jacobian, and runs without the interpreter but for the calls of
    these: this is the fastest way to a solution at given times. Derivatives are those of `solve_ivp`.

    Args:
        func: func(y, t, *args), or with `tfirst` func(t, y, *args), gives y'.
        y0: where it begins, shape (n,), or a number.
        t: the times; the first is that of `y0`. Rising or falling.
        args: further arguments of `func` and `Dfun`.
        Dfun, col_deriv: a Jacobian of your own, and whether it is transposed.
        full_output: give a dict of how it went too; not within compiled functions.
        tfirst: whether functions take the time first.
        sensitivity: as for `solve_ivp`.
        **options: of `scipy.integrate.odeint`: rtol, atol, ml, mu, tcrit, hmax, mxstep, and so on.

    Returns:
        the solution, shape (times, n); with `full_output` also the dict.

    Raises:
        ValueError, TypeError: SciPy's.
        CaptureError: a derivative is wanted, and `func` cannot be read.

    >>> import numpy as np, tapenet as tn
    >>> times = np.array([0.0, 1.0, 2.0])
    >>> def decay(rate):
    ...     return tn.scipy.integrate.odeint(lambda y, t: -rate * y, 1.0, times, rtol=1e-8, atol=1e-10)[:, 0]
    >>> np.round(decay(0.5).numpy(), 6), np.round(tn.jacobian(decay)(0.5).numpy(), 6)
    (array([1.      , 0.606531, 0.367879]), array([ 0.      , -0.606531, -0.735759]))
    """
    name = "odeint"
    arguments = (*args,) if isinstance(args, (tuple, list)) else (args,)
    if Dfun is None and capturing() is None:
        try:
            begin, points = data(y0), data(t)
            first = np.asarray(points).ravel()[:1]
            at = (first[0], np.atleast_1d(np.asarray(begin))) if first.size else ()
            only_values(*([partial(func, *(at if tfirst else at[::-1]), *arguments)] if at else []))
            given = {n: data(v) for n, v in options.items()}
            made = library().odeint(func, begin, points, arguments, full_output=full_output, tfirst=tfirst, **given)
            return (Tensor._of(made[0]), made[1]) if full_output else Tensor._of(made)
        except TensorsFound:
            pass
    times = floats(t)
    if times.ndim != 1 or not times.size:
        raise ValueError(f"{name}: t has shape {times.shape}, and must hold at least the time of y0")
    state = State(y0 if np.ndim(y0) else [y0], name)  # type: ignore[arg-type]
    if state.complex:
        raise TypeError(f"{name}: y0 is complex, which LSODA does not take: use solve_ivp with method 'BDF'")

    def ordered(f: Callable[..., object]) -> Function:
        return (lambda t, y: f(t, y, *arguments)) if tfirst else (lambda t, y: f(y, t, *arguments))

    start = times[0]
    found = read_or_plain(name, func, lambda f: state.real(ordered(f), False), start, state, [times])
    own = {n: o._data if isinstance(o, Tensor) else o for n, o in options.items()}
    if Dfun is not None:
        own |= {"Dfun": plain(Dfun if tfirst else lambda t, y, *a: Dfun(y, t, *a), arguments), "col_deriv": col_deriv}
    if found is None:
        made = library().odeint(
            plain(ordered(func), ()), state.vector._data, times._data, tfirst=True, full_output=full_output, **own
        )
        return (Tensor._of(made[0]), made[1]) if full_output else Tensor._of(made)
    side, params, fixed = found
    exact = Dfun is None and not own.keys() & {"ml", "mu"}

    def run(ts: Array, y: Array, others: Sequence[Array], full: bool) -> tuple[Array, dict[str, object]]:
        more: dict[str, object] = {}
        if exact:
            jacobian = side.jacobian(others)
            more = {"Dfun": lambda t, y: jacobian(t, y).T, "col_deriv": True}
        found = library().odeint(side.bound(others), y, ts, tfirst=True, full_output=full, **own, **more)
        return found if full else (found, {})

    def solve(ts: Array, t0: Array, y: Array, others: list[Array]) -> Array:
        return run(ts, y, others, False)[0]

    rtol, atol = (np.asarray(v if (v := own.get(n)) is not None else 1.49012e-8, np.float64) for n in ("rtol", "atol"))
    hmax = float(own.get("hmax") or np.inf)  # type: ignore[arg-type]
    plan = Plan(
        name, side, solve, float(rtol.min()), np.atleast_1d(atol), sensitivity, times._node is not None, max_step=hmax
    )
    problem = Problem(plan, start, state, params, fixed)
    if capturing() is not None and not full_output:
        problem.known = False
        return problem.at(times)
    others = [value_of(p) for p in (*params, *fixed)]
    values, told = run(value_of(times), value_of(state.vector), others, full_output)
    problem.known = capturing() is None
    y = problem.at(times, np.asarray(values))
    return (y, told) if full_output else y
