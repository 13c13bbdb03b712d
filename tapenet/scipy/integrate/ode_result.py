"""What solvers of differential equations give."""

from __future__ import annotations

from collections.abc import Callable

from tapenet.autodiff.tensor import Tensor


class Result(dict[str, object]):
    """A dict whose items are attributes too, as of SciPy's."""

    def __getattr__(self, name: str) -> object:
        if name not in self:
            raise AttributeError(name)
        return self[name]

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:>{width}}: {value!r}" for name, value in self.items())


class OdeResult(Result):
    """What `solve_ivp` gives.

    Attributes:
        t: the times, shape (m,).
        y: the solution at these, shape (n, m).
        sol: the solution as a function of time, with `dense_output=True`; else None.
        t_events: for each event when it happened; None without events.
        y_events: for each event the state then, shape (times, n).
        nfev, njev, nlu: how often the right side and the Jacobian were evaluated, and a matrix factorised; None in compiled
            functions.
        status: 0 for the end of the span, 1 for an event that ends it, -1 for a solver that failed.
        message: the status in words.
        success: whether the solver got to the end.
    """

    t: Tensor
    y: Tensor
    sol: Callable[[object], Tensor] | None
    t_events: list[Tensor] | None
    y_events: list[Tensor] | None
    nfev: int | None
    njev: int | None
    nlu: int | None
    status: int
    message: str
    success: bool
