"""Initial value problems on compiled right sides: SciPy's solver of them, and what it gives as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.state import local, no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.scipy.integrate.ode_result import OdeResult
from tapenet.scipy.integrate.right_side import RightSide
from tapenet.scipy.integrate.states import Function, Space, State, floats
from tapenet.scipy.integrate.trajectory import Plan, trajectory
from tapenet.scipy.integrate.values import library
from tapenet.transforms.implicit.roots import root
from tapenet.typing import Array

#: SciPy's methods that solve with the Jacobian.
IMPLICIT = ("Radau", "BDF", "LSODA")


class Solver:
    """SciPy's solver on a compiled right side."""

    def __init__(self, side: RightSide, space: Space, method: object, options: dict[str, object]) -> None:
        self.side, self.space, self.method = side, space, method
        self.options = {n: o._data if isinstance(o, Tensor) else o for n, o in options.items()}
        self.rtol = float(np.min(np.asarray(self.options.get("rtol", 1e-3))))
        self.atol = np.atleast_1d(np.asarray(self.options.get("atol", 1e-6), np.float64))
        self.max_step = float(self.options.get("max_step") or np.inf)  # type: ignore[arg-type]
        #: The end of the span, where it is known.
        self.stop: float | None = None

    def run(
        self,
        span: tuple[float, float],
        y0: Array,
        others: Sequence[Array],
        ts: Array | None,
        dense: bool,
        events: object,
    ) -> OdeResult:
        """What SciPy's `solve_ivp` gives, which is structured alike."""
        integrate = library()

        state, f = self.space, self.side.bound(others)
        options = dict(self.options)
        own = options.keys() & {"jac", "jac_sparsity", "lband", "uband"}
        if self.method in IMPLICIT and not own and not state.complex:
            options["jac"] = self.side.jacobian(others)
        function = f if not state.complex else lambda t, y: state.of(f(t, state.numbers(y)))
        found: OdeResult = integrate.solve_ivp(function, span, state.of(y0), self.method, ts, dense, events, **options)
        return found

    def at(self, ts: Array, t0: Array, y0: Array, others: Sequence[Array]) -> Array:
        """The solution at some times, in real numbers.

        Raises:
            RuntimeError: the solver failed.
        """
        sign = -1.0 if ts.size and ts[np.argmax(np.abs(ts - t0))] < t0 else 1.0
        times, where = np.unique(ts * sign, return_inverse=True)
        last = self.stop if self.stop is not None else float(times[-1] * sign) if ts.size else float(t0)
        found = self.run((float(t0), last), y0, others, times * sign, False, None)
        if not found.success:
            raise RuntimeError(f"solve_ivp: the solver failed: {found.message}")
        y: Array = np.asarray(found.y)
        if self.space.complex:
            y = np.concatenate([y.real, y.imag])
        return np.ascontiguousarray(y[:, where].T)


class Problem:
    """An initial value problem with all that it depends on."""

    def __init__(self, plan: Plan, start: Tensor, state: State, params: list[Tensor], fixed: list[Tensor]) -> None:
        for p in params:
            if p.dtype.kind == "c":
                raise TypeError(
                    f"{plan.name}: a derivative by a complex parameter is wanted, of shape {p.shape}: derivatives are by real "
                    "numbers here; give its real and its imaginary part, and join them in fun"
                )
        self.plan, self.start, self.state, self.params, self.fixed = plan, start, state, params, fixed
        #: Whether values that a solver gave are taken as they are.
        self.known = True

    def at(self, ts: Tensor, known: Array | None = None) -> Tensor:
        """The solution at times, in real numbers, shape (times, n)."""
        plan = self.plan.knowing(known) if self.known else self.plan
        if ts._node is not None and not plan.moving:
            plan = plan.moved
        made: Tensor = trajectory(ts, self.start, self.state.vector, self.params, self.fixed, plan=plan)
        return made

    def vectors(self, y: Array) -> Array:
        """States in columns as rows of real numbers."""
        return np.ascontiguousarray((np.concatenate([y.real, y.imag]) if self.state.complex else y).T)

    @property
    def flows(self) -> bool:
        """Whether a gradient is wanted."""
        outside = (self.start, self.state.vector, *self.params)
        return local.state.grad and any(t._node is not None for t in outside)

    def result(self, made: OdeResult, stop: Tensor, times: Tensor | None, events: list[Function] | None) -> OdeResult:
        """What SciPy gave, as tensors with derivatives."""
        found = as_tensors(made)
        if made.sol is not None:
            found["sol"] = Dense(self, made.sol)
        grows = self.flows or any(t is not None and t._node is not None for t in (stop, times))
        if not grows and capturing() is None:
            return found
        last, start = stop, float(self.start._data)
        if events is not None:
            happened = self._events(made, events)
            found["t_events"] = [ts for ts, _ in happened]
            found["y_events"] = [
                ops.transpose(self.state.shown(ys)) if ts.size else asarray(np.zeros(0)) for ts, ys in happened
            ]
            if made.status == 1:  # the last of all that happened
                last = max((ts[-1] for ts, _ in happened if ts.size), key=lambda t: abs(float(t._data) - start))
        t = asarray(np.asarray(made.t))
        if times is not None:
            t = times[: t.size] if times._node is not None else t
        elif self.start._node is not None or last._node is not None:
            t = ops.concatenate([self.start[None], t[1:-1], last[None] if made.status >= 0 else t[-1:]])
        found["t"] = t
        if t.size:
            found["y"] = self.state.shown(self.at(t, self.vectors(np.asarray(made.y))))
        return found

    def _events(self, made: OdeResult, events: list[Function]) -> list[tuple[Tensor, Tensor]]:
        """Times and states of events: the times are those where the event is 0 along the solution."""
        counts = [len(np.asarray(ts)) for ts in made.t_events or []]
        if not sum(counts):
            return [(asarray(np.zeros(0)), asarray(np.zeros(0))) for _ in events]
        known = self.vectors(np.concatenate([np.asarray(ys).T for ys in made.y_events or [] if len(ys)], axis=1))
        which = [event for event, count in zip(events, counts, strict=True) for _ in range(count)]

        def values(ts: Tensor) -> Tensor:
            ys = self.at(ts, known)
            parts = [ops.reshape(asarray(e(ts[i], self.state.joined(ys[i]))), ()) for i, e in enumerate(which)]
            found: Tensor = ops.stack(parts)
            return found

        begin = np.concatenate([np.asarray(ts) for ts in made.t_events or []])
        with no_grad():
            off = values(asarray(begin)).numpy()
        ts: Tensor = root(lambda ts: values(ts) - off, begin, solver=lambda f, x0: x0)
        ys = self.at(ts, known)
        return [(ts[a:b], ys[a:b]) for a, b in pairwise(np.cumsum([0, *counts]))]


class Dense:
    """A solution as a function of time.

    Attributes:
        ts: the times between which it is one polynomial each.
        t_min, t_max: from when to when it was computed.
    """

    def __init__(self, problem: Problem, sol: Callable[[object], object]) -> None:
        self._problem, self._sol = problem, sol
        self.ts: Array = sol.ts  # type: ignore[attr-defined]
        self.t_min: float = sol.t_min  # type: ignore[attr-defined]
        self.t_max: float = sol.t_max  # type: ignore[attr-defined]

    def __call__(self, t: object) -> Tensor:
        """The solution at a time, shape (n,), or at several, shape (n, times)."""
        times = floats(t)
        known = np.asarray(self._sol(times._data))
        problem = self._problem
        found = problem.at(ops.reshape(times, (-1,)), problem.vectors(known.reshape(known.shape[0], times.size)))
        made: Tensor = problem.state.shown(found)
        return made[:, 0] if times.ndim == 0 else made


def as_tensors(made: OdeResult) -> OdeResult:
    """What SciPy gave, with tensors in place of arrays."""
    found = OdeResult(made)
    for name in ("t", "y"):
        found[name] = asarray(np.asarray(found[name]))
    for name in ("t_events", "y_events"):
        if found[name] is not None:
            found[name] = [asarray(a) for a in found[name]]  # type: ignore[attr-defined]
    if made.sol is not None:
        sol = made.sol
        found["sol"] = lambda t: asarray(sol(floats(t)._data))
    return found
