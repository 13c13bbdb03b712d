"""Ordinary differential equations, solved by SciPy."""

from __future__ import annotations

import importlib

import numpy as np

from tapenet import ops
from tapenet.compat.autograd.differential_operators import make_vjp
from tapenet.compat.autograd.extend import defvjp_argnums, primitive
from tapenet.compat.autograd.misc.flatten import flatten
from tapenet.compat.autograd.values import Function, Value


def odeint(func: Function, y0: Value, t: Value, args: Value = (), **kwargs: Value) -> Value:
    """The solution of dy/dt = func(y, t, *args) at the times t, from y0 at t[0], by `scipy.integrate.odeint`.

    Differentiable by `y0`, `t` and `args`, which may be containers: the adjoint equation is solved backward, by the same solver
    and with the same options, from one of the times to the one before.

    >>> from tapenet.compat.autograd import grad
    >>> decay = lambda k: odeint(lambda y, t, k: -k * y, np.array([1.0]), np.array([0.0, 1.0]), (k,), rtol=1e-9, atol=1e-9)
    >>> round(grad(lambda k: decay(k)[-1, 0])(0.5), 6)
    np.float64(-0.606531)
    """
    return _odeint(func, y0, t, args, **kwargs)


@primitive
def _odeint(func: Function, y0: Value, t: Value, args: Value, **kwargs: Value) -> Value:
    return importlib.import_module("scipy.integrate").odeint(func, y0, t, args, **kwargs)


def _adjoint(argnums: list[int], ans: Value, given: Value, kwargs: dict[str, Value]) -> Function:
    func, _, t, args = given
    times, size = np.shape(ans)
    flat_args, unflatten = flatten(args)

    def flat_func(y: Value, t: Value, flat: Value) -> Value:
        return func(y, t, *unflatten(flat))

    def backward(state: Value, t: Value, flat: Value) -> Value:
        """The rates of y, and of the gradients by it, by the time and by the arguments."""
        pull, rate = make_vjp(flat_func, (0, 1, 2))(state[:size], t, flat)
        by_y, by_t, by_args = pull(-state[size : 2 * size])
        return ops.concatenate([rate, by_y, ops.reshape(by_t, 1), by_args])

    def gradients(g: Value) -> list[Value]:
        by_y, by_start, by_args = g[-1], 0.0, np.zeros(np.size(flat_args))
        by_times: list[Value] = []
        for i in range(times - 1, 0, -1):
            by_times.append(ops.sum(func(ans[i], t[i], *args) * g[i]))  # of a later measurement
            by_start = by_start - by_times[-1]
            state = ops.concatenate([ans[i], by_y, ops.reshape(by_start, 1), by_args])
            state = odeint(backward, state, ops.stack([t[i], t[i - 1]]), (flat_args,), **kwargs)[1]
            by_y, by_start, by_args = state[size : 2 * size] + g[i - 1], state[2 * size], state[2 * size + 1 :]
        found = (None, by_y, ops.stack([by_start, *by_times[::-1]]), unflatten(by_args))
        return [found[n] for n in argnums]

    return gradients


defvjp_argnums(_odeint, _adjoint)
