"""Gradient descent on containers of arrays: functions of a gradient, which take `grad(x, i)` at step i and give the last x.

`callback(x, i, g)` sees each step before it is taken. For modules, and for speed, there is `tn.optim`.
"""

from __future__ import annotations

import functools

import numpy as np

from tapenet.compat.autograd.misc.flatten import flatten
from tapenet.compat.autograd.values import Function, Value


def unflatten_optimizer(optimize: Function) -> Function:
    """An optimizer of vectors made one of containers of arrays."""

    @functools.wraps(optimize)
    def on_containers(
        grad: Function, x0: Value, callback: Function | None = None, *args: object, **kwargs: object
    ) -> Value:
        vector, unflatten = flatten(x0)

        def flat_grad(x: Value, i: int) -> Value:
            return flatten(grad(unflatten(x), i))[0]

        def flat_callback(x: Value, i: int, g: Value) -> None:
            if callback is not None:
                callback(unflatten(x), i, unflatten(g))

        return unflatten(optimize(flat_grad, vector, flat_callback, *args, **kwargs))

    return on_containers


@unflatten_optimizer
def sgd(
    grad: Function, x: Value, callback: Function, num_iters: int = 200, step_size: float = 0.1, mass: float = 0.9
) -> Value:
    """Gradient descent with momentum: v = mass v - (1 - mass) g, x = x + step_size v.

    >>> round(sgd(lambda x, i: 2 * x, 1.0, num_iters=100), 4)
    np.float64(0.0042)
    """
    velocity = np.zeros(len(x))
    for i in range(num_iters):
        g = grad(x, i)
        callback(x, i, g)
        velocity = mass * velocity - (1.0 - mass) * g
        x = x + step_size * velocity
    return x


@unflatten_optimizer
def rmsprop(
    grad: Function,
    x: Value,
    callback: Function,
    num_iters: int = 100,
    step_size: float = 0.1,
    gamma: float = 0.9,
    eps: float = 1e-8,
) -> Value:
    """RMSprop: steps along g / √a, where a, 1 at first, is a running mean of g²."""
    average = np.ones(len(x))
    for i in range(num_iters):
        g = grad(x, i)
        callback(x, i, g)
        average = average * gamma + g**2 * (1 - gamma)
        x = x - step_size * g / (np.sqrt(average) + eps)
    return x


@unflatten_optimizer
def adam(
    grad: Function,
    x: Value,
    callback: Function,
    num_iters: int = 100,
    step_size: float = 0.001,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> Value:
    """Adam (Kingma and Ba, 2014)."""
    m = np.zeros(len(x))
    v = np.zeros(len(x))
    for i in range(num_iters):
        g = grad(x, i)
        callback(x, i, g)
        m = (1 - b1) * g + b1 * m
        v = (1 - b2) * g**2 + b2 * v
        x = x - step_size * (m / (1 - b1 ** (i + 1))) / (np.sqrt(v / (1 - b2 ** (i + 1))) + eps)
    return x
