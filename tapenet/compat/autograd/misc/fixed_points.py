"""Fixed points as functions of parameters."""

from __future__ import annotations

from tapenet.compat.autograd.differential_operators import pullback
from tapenet.compat.autograd.extend import defvjp, primitive
from tapenet.compat.autograd.values import Function, Value, zeros


@primitive
def fixed_point(f: Function, a: Value, x0: Value, distance: Function, tol: float) -> Value:
    """The fixed point of `f(a)`, reached from x0 by steps of it until `distance` of two is at most `tol`; its gradient by
    `a` is that of the equation x = f(a)(x), itself found as a fixed point.

    >>> from tapenet.compat.autograd import grad
    >>> halley = lambda a: lambda x: 0.5 * (x + a / x)
    >>> root = lambda a: fixed_point(halley, a, 1.0, lambda x, y: abs(x - y), 1e-10)
    >>> root(4.0), grad(root)(4.0)
    (2.0, np.float64(0.25))
    """
    step = f(a)
    x, before = step(x0), x0
    while distance(x, before) > tol:
        x, before = step(x), x
    return x


def _by_parameters(ans: Value, f: Function, a: Value, x0: Value, distance: Function, tol: float) -> Function:
    def gradient(g: Value) -> Value:
        def adjoint(given: Value) -> Function:
            a, x, g = given
            pull, _ = pullback(f(a), x)
            return lambda u: pull(u) + g

        u = fixed_point(adjoint, (a, ans, g), zeros(x0), distance, tol)
        return pullback(lambda a: f(a)(ans), a)[0](u)

    return gradient


defvjp(fixed_point, None, _by_parameters, None)
