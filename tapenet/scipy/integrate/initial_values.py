"""Initial value problems: SciPy's solvers on compiled right sides, with derivatives by all that the solution depends on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.scipy.integrate.ode_result import OdeResult
from tapenet.scipy.integrate.problems import Problem, Solver, as_tensors
from tapenet.scipy.integrate.right_side import read
from tapenet.scipy.integrate.states import Function, State, floats, number, value_of
from tapenet.scipy.integrate.trajectory import Plan, Sensitivity
from tapenet.scipy.integrate.unread import marked, plain, plain_event, plain_jacobian, read_or_plain, reading
from tapenet.scipy.integrate.values import TensorsFound, data, library, only_values

#: Methods of SciPy's in Python that solve with the Jacobian: they get the exact one in any case.
EXACT = ("Radau", "BDF")


@boundary
def solve_ivp(
    fun: Callable[..., object],
    t_span: Sequence[object],
    y0: object,
    method: object = "RK45",
    t_eval: object = None,
    dense_output: bool = False,
    events: object = None,
    vectorized: bool = False,
    args: Sequence[object] | None = None,
    *,
    sensitivity: Sensitivity = "auto",
    **options: object,
) -> OdeResult:
    """The solution of y' = fun(t, y), y(t0) = y0, by `scipy.integrate.solve_ivp`, with derivatives of every order.

    Where nothing but values is wanted, and `fun` computes with arrays alone, it is SciPy's as it is. Else, and for Radau and
    BDF, the right side is run once on tensors, and compiled; implicit methods get its exact Jacobian. Derivatives are by all
    that the solution depends on: `y0`, both ends of `t_span`, `t_eval`, `args`, and what `fun` and the events close over, such
    as parameters of modules. They are solutions of equations of their own, by LSODA, to a fiftieth of the tolerances: they do
    not hang on the steps that were taken.

    Args:
        fun: fun(t, y, *args) gives y' as an array, or a list of numbers. One that cannot be read on tensors, even lifted
            (`tn.lift`), is called as it stands, and has no derivatives.
        t_span: the two ends.
        y0: where it begins, shape (n,); complex too.
        method: "RK23", "RK45", "DOP853", "Radau", "BDF", "LSODA", or a class of SciPy's kind.
        t_eval: the times to give it at; else those of the solver's steps, which count as constants but for the ends. Within
            `tn.compile` it must be given, and there are no events.
        dense_output: give the solution as a function of time too, as `sol`.
        events: functions event(t, y, *args) with a root; `terminal` and `direction` are their attributes, as in SciPy. Times
            and states of events have derivatives too.
        vectorized: whether `fun` takes y of shape (n, k).
        args: further arguments of `fun`, of events and `jac`.
        sensitivity: how gradients are computed in reverse mode: "forward" solves for the tangents by y0 and all parameters
            beside y, "adjoint" for the adjoint back in time, in one stretch between two times with a gradient; "auto" takes the
            first for up to 2,000 numbers. Forward mode takes tangents in any case.
        **options: of the method: rtol, atol, max_step, jac, and so on.

    Raises:
        ValueError, TypeError: SciPy's; `fun` gives another number of values than y has; a derivative is wanted by a complex
            parameter.
        CaptureError: a derivative is wanted, and `fun` cannot be read.

    >>> import numpy as np, tapenet as tn
    >>> def end(rate):
    ...     return tn.scipy.integrate.solve_ivp(lambda t, y: -rate * y, (0, 2), [1.0], rtol=1e-8, atol=1e-10).y[0, -1]
    >>> f"{end(0.5).item():.6f} {tn.grad(end)(0.5).item():.6f} {tn.grad(tn.grad(end))(0.5).item():.6f}"
    '0.367879 -0.735759 1.471518'
    """
    name = "solve_ivp"
    if sensitivity not in ("auto", "forward", "adjoint"):
        raise ValueError(f'{name}: sensitivity={sensitivity!r}; give "auto", "forward" or "adjoint"')
    arguments = _arguments(args)
    if method not in EXACT and capturing() is None:
        try:
            span, begin, points = data(t_span), data(y0), data(t_eval)
            at = float(span[0]), np.asarray(begin)  # type: ignore[index]
            if not vectorized and at[1].ndim == 1:
                only_values(*(partial(f, *at, *arguments) for f in (fun, *([] if events is None else _listed(events)))))
                given = {n: data(v) for n, v in options.items()}
                return as_tensors(
                    library().solve_ivp(
                        fun, span, begin, method, points, dense_output, events, vectorized, args, **given
                    )
                )
        except TensorsFound:
            pass
    start, stop = (number(t, f"{name}: t_span") for t in t_span)
    state = State(y0, name)
    space = state.space
    times = None if t_eval is None else floats(t_eval)

    def wrap(f: Callable[..., object]) -> Function:
        return space.real(lambda t, y: f(t, y, *arguments), vectorized)

    found = read_or_plain(name, fun, wrap, start, state, [start, stop, times])
    if found is None:
        given = {**options, "vectorized": vectorized}
        listed = None if events is None else [plain_event(e, arguments) for e in _listed(events)]
        plain_jacobian(given, arguments)
        made = library().solve_ivp(
            plain(fun, arguments), (start.item(), stop.item()), state.given._data, method,
            None if times is None else times._data, dense_output, listed, **given,
        )  # fmt: skip
        return as_tensors(made)
    side, params, fixed = found
    moving = any(t is not None and t._node is not None for t in (start, stop, times)) or events is not None
    plain_jacobian(options, arguments)
    solver = Solver(side, space, method, options)
    plan = Plan(
        name, side, lambda ts, t0, y, others: solver.at(ts, t0, y, others), solver.rtol, solver.atol,
        sensitivity, moving, max_step=solver.max_step,
    )  # fmt: skip
    problem = Problem(plan, start, state, params, fixed)
    if capturing() is not None and times is not None and events is None and not dense_output:
        solver.stop = None if isinstance(t_span[1], Tensor) else float(stop._data)
        y = problem.at(times)
        return OdeResult(
            t=times, y=state.shown(y), sol=None, t_events=None, y_events=None, nfev=None, njev=None, nlu=None, status=0,
            message="The solver successfully reached the end of the integration interval.", success=True,
        )  # fmt: skip
    try:
        start_at, stop_at, y_start, *others = [value_of(t) for t in (start, stop, state.vector, *params, *fixed)]
        evaluated = None if times is None else value_of(times)
    except CaptureError as error:
        raise CaptureError(
            f"{name}: in a compiled function the number of times must be known: give t_eval, and neither events nor "
            f"dense_output. ({error})"
        ) from None
    listed = _listed(events) if events is not None else None
    compiled = None if listed is None else [_event(name, e, arguments, start, state) for e in listed]
    with no_grad():
        made = solver.run((float(start_at), float(stop_at)), y_start, others, evaluated, dense_output, compiled)
    problem.known = capturing() is None
    return problem.result(made, stop, times, None if listed is None else [_bound(e, arguments) for e in listed])


# -- arguments ------------------------------------------------------------------------------------------------------


def _listed(events: object) -> list[Callable[..., object]]:
    return [events] if callable(events) else list(events)  # type: ignore[call-overload]


def _arguments(args: Sequence[object] | None) -> tuple[object, ...]:
    if args is None:
        return ()
    try:
        return (*args,)
    except TypeError:
        raise TypeError(
            f"Supplied 'args' cannot be unpacked. Please supply `args` as a tuple (e.g. `args=({args},)`)"
        ) from None


def _event(
    name: str, event: Callable[..., object], args: Sequence[object], start: Tensor, state: State
) -> Callable[..., object]:
    """An event in numbers, compiled where it can be."""

    def wrap(f: Callable[..., object]) -> Function:
        bound = _bound(f, args)
        return lambda t, v: bound(t, state.joined(v))

    try:
        side, params, fixed = reading(lambda call: read(name, call, start._data, state.vector._data), wrap, event)
    except Exception:  # whatever it makes of tensors
        return plain_event(event, args)
    run = side.bound([t._data for t in (*params, *fixed)])
    return marked(lambda t, y: float(run(t, np.ascontiguousarray(state.numbers(y)))[0]), event)


def _bound(event: Callable[..., object], args: Sequence[object]) -> Function:
    return lambda t, y: event(t, y, *args)
