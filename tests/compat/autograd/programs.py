"""Short programs as they are written for autograd, each a function that gives its figures.

`values.json` is what they give under autograd 1.9.1: this file, with `tapenet.compat.autograd` replaced by `autograd` in its
imports, printed it.
"""

from __future__ import annotations

import json
import sys

import numpy as onp
from scipy.optimize import minimize

import tapenet.compat.autograd.numpy as np
import tapenet.compat.autograd.numpy.random as npr
import tapenet.compat.autograd.scipy.stats.multivariate_normal as mvn
import tapenet.compat.autograd.scipy.stats.norm as norm
from tapenet.compat.autograd import (
    elementwise_grad,
    grad,
    grad_and_aux,
    hessian,
    hessian_vector_product,
    holomorphic_grad,
    jacobian,
    make_ggnvp,
    make_hvp,
    make_jvp,
    make_vjp,
    value_and_grad,
)
from tapenet.compat.autograd.builtins import isinstance, tuple
from tapenet.compat.autograd.extend import defjvp, defvjp, primitive
from tapenet.compat.autograd.misc.fixed_points import fixed_point
from tapenet.compat.autograd.misc.flatten import flatten
from tapenet.compat.autograd.misc.optimizers import adam, rmsprop, sgd
from tapenet.compat.autograd.scipy.integrate import odeint
from tapenet.compat.autograd.scipy.signal import convolve
from tapenet.compat.autograd.scipy.special import gammaln, logsumexp
from tapenet.compat.autograd.scipy.stats import gamma, t

PROGRAMS = []


def program(f):
    PROGRAMS.append(f)
    return f


@program
def derivatives_of_a_curve():
    x = np.linspace(-2, 2, 5)
    curve = lambda x: np.tanh(x) * np.exp(-x / 3)
    first = elementwise_grad(curve)
    second = elementwise_grad(first)
    return [*curve(x), *first(x), *second(x), *elementwise_grad(second)(x)]


@program
def classifier_with_nested_parameters():
    rs = npr.RandomState(0)
    x, labels = rs.randn(30, 4), rs.randint(3, size=30)
    targets = np.array(labels[:, None] == np.arange(3), dtype=float)
    params = [(0.1 * rs.randn(m, n), np.zeros(n)) for m, n in [(4, 6), (6, 3)]]

    def predict(params, inputs):
        for w, b in params:
            outputs = np.dot(inputs, w) + b
            inputs = np.tanh(outputs)
        return outputs - logsumexp(outputs, axis=1, keepdims=True)

    def objective(params, i):
        flat, _ = flatten(params)
        return -np.sum(predict(params, x) * targets) + 0.1 * np.dot(flat, flat)

    losses = []
    trained = adam(
        grad(objective), params, lambda p, i, g: losses.append(objective(p, i)), num_iters=25, step_size=0.05
    )
    assert isinstance(trained, list)
    assert isinstance(trained[0], tuple)
    return [losses[0], losses[-1], np.sum(trained[0][0] ** 2), *trained[1][1]]


@program
def letters_through_time():
    rs = npr.RandomState(1)
    text = onp.array([rs.randint(4, size=9) for _ in range(3)])
    codes = np.eye(4)[text]
    params = {
        "in": 0.2 * rs.randn(9, 5), "out": 0.2 * rs.randn(6, 4), "start": 0.2 * rs.randn(1, 5)
    }  # fmt: skip

    def joined(*parts):
        return np.hstack([*parts, np.ones((np.shape(parts[0])[0], 1))])

    def loss(params, i=0):
        hidden = np.repeat(params["start"], 3, axis=0)
        total = 0.0
        for now, after in zip(codes.swapaxes(0, 1)[:-1], codes.swapaxes(0, 1)[1:], strict=True):
            hidden = np.tanh(np.dot(np.concatenate([now, hidden], axis=1), params["in"]))
            scores = np.dot(joined(hidden), params["out"])
            total = total - np.sum(after * (scores - logsumexp(scores, axis=1, keepdims=True)))
        return total / 27

    params = rmsprop(grad(loss), params, num_iters=10, step_size=0.02)
    slope = grad(loss)(params)
    return [loss(params), *(np.sum(slope[k] ** 2) for k in sorted(slope))]


@program
def gaussian_process():
    rs = npr.RandomState(2)
    x = rs.rand(8, 1) * 4
    y = np.sin(x[:, 0]) + 0.1 * rs.randn(8)

    def kernel(params, a, b):
        gaps = (np.expand_dims(a, 1) - np.expand_dims(b, 0)) / np.exp(params[1:])
        return np.exp(params[0]) * np.exp(-0.5 * np.sum(gaps**2, axis=2))

    def objective(params):
        mean, noise = params[0], np.exp(params[1]) + 1e-4
        cov = kernel(params[2:], x, x) + noise * np.eye(8)
        return -mvn.logpdf(y, mean * np.ones(8), cov)

    start = np.array([0.1, -1.0, 0.2, 0.3])
    value, slope = value_and_grad(objective)(start)
    found = minimize(value_and_grad(objective), start, jac=True, method="CG", options={"maxiter": 4})
    return [value, *slope, found.fun]


@program
def newton_steps_on_a_mixture():
    rs = npr.RandomState(3)
    data = np.concatenate([rs.randn(20) - 2, 0.5 * rs.randn(20) + 1])

    def objective(params):
        weights, means, scales = params[:2], params[2:4], np.exp(params[4:])
        weights = weights - logsumexp(weights)
        each = [weights[k] + norm.logpdf(data, means[k], scales[k]) for k in range(2)]
        return -np.sum(logsumexp(np.vstack(each), axis=0))

    start = np.array([0.1, -0.1, -1.0, 1.0, 0.2, -0.2])
    slope, h = grad(objective)(start), hessian(objective)(start)
    v = np.arange(6.0)
    product = hessian_vector_product(objective)(start, v)
    hvp, _ = make_hvp(objective)(start)
    assert np.allclose(product, h @ v)
    assert np.allclose(hvp(v), h @ v)
    return [objective(start), *slope, *np.diag(h), *product]


@program
def variational_bound():
    rs = npr.RandomState(4)

    def density(z, t):
        mu, log_sigma = z[:, 0], z[:, 1]
        return norm.logpdf(log_sigma, 0, 1.35) + norm.logpdf(mu, 0, np.exp(log_sigma))

    noise = rs.randn(50, 2)

    def bound(params, t):
        mean, log_std = params[:2], params[2:]
        return -np.sum(log_std) - np.mean(density(mean + noise * np.exp(log_std), t))

    params = sgd(grad(bound), np.array([-1.0, -1.0, -2.0, -2.0]), num_iters=20, step_size=0.3)
    return [bound(params, 0), *params]


@program
def smoke_on_a_grid():
    rs = npr.RandomState(5)
    smoke, wish = rs.rand(6, 6), rs.rand(6, 6)

    def advance(f, vx, vy):
        rows, cols = f.shape
        ys, xs = np.meshgrid(np.arange(rows), np.arange(cols))
        left, top = np.floor(xs - vx).astype(int), np.floor(ys - vy).astype(int)
        rw, bw = (xs - vx) - left, (ys - vy) - top
        left, right = np.mod(left, rows), np.mod(left + 1, rows)
        top, bottom = np.mod(top, cols), np.mod(top + 1, cols)
        upper = (1 - rw) * f[left, top] + rw * f[right, top]
        return (1 - bw) * upper + bw * ((1 - rw) * f[left, bottom] + rw * f[right, bottom])

    def loss(flat):
        vx, vy = np.reshape(flat[:36], (6, 6)), np.reshape(flat[36:], (6, 6))
        f = smoke
        for _ in range(3):
            vx = (vx + np.roll(vx, 1, axis=0) + np.roll(vx, -1, axis=1)) / 3
            f = advance(f, vx, vy)
        return np.mean((f - wish) ** 2)

    value, slope = value_and_grad(loss)(0.7 * rs.randn(72))
    return [value, *slope[::9]]


@program
def oscillator_seen_at_some_times():
    times = np.linspace(0.0, 2.0, 5)

    def force(y, t, k, params):
        return np.array([y[1], -k * y[0] - params["drag"] * y[1]])

    def loss(y0, k, params, times):
        path = odeint(force, y0, times, tuple((k, params)), rtol=1e-9, atol=1e-9)
        return np.sum(path[:, 0] ** 2) + path[-1, 1]

    y0, params = np.array([1.0, 0.5]), {"drag": 0.3}
    by_y0, by_k, by_params, by_times = grad(loss, (0, 1, 2, 3))(y0, 2.0, params, times)
    return [loss(y0, 2.0, params, times), *by_y0, by_k, by_params["drag"], *by_times]


@program
def images_convolved():
    rs = npr.RandomState(6)
    images, kernels = rs.randn(2, 3, 6, 5), rs.randn(3, 4, 3, 2)
    found = []
    for mode in ("valid", "full"):
        layer = lambda x, w, mode=mode: convolve(x, w, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode=mode)
        by_x, by_w = grad(lambda x, w, layer=layer: np.sum(np.tanh(0.1 * layer(x, w))), (0, 1))(images, kernels)
        found += [np.sum(layer(images, kernels)), *by_x[0, 0, 0], *by_w[0, :, 1, 1]]
    return found


@program
def functions_with_their_own_derivatives():
    @primitive
    def soft(x):
        return onp.logaddexp(0, x)

    defvjp(soft, lambda ans, x: lambda g: g * np.exp(x - ans))
    defjvp(soft, lambda g, ans, x: g * np.exp(x - ans))

    @primitive
    def scaled(x, y, power=1):
        return x * y**power

    defvjp(scaled, lambda ans, x, y, power=1: lambda g: g * y**power, None)
    x = np.array([-1.0, 0.5, 30.0])
    value, push = make_jvp(soft)(x)(np.ones(3))
    return [
        *grad(lambda x: np.sum(soft(x)))(x),
        *elementwise_grad(elementwise_grad(soft))(x),
        *value,
        *push,
        *grad(lambda x, y: np.sum(scaled(x, y, power=2) * y), (0, 1))(x, 2.0 * np.ones(3))[0],
        *grad(lambda x, y: np.sum(scaled(x, y, power=2) * y), (0, 1))(x, 2.0 * np.ones(3))[1],
    ]


@program
def roots_as_fixed_points():
    babylon = lambda a: lambda x: 0.5 * (x + a / x)
    root = lambda a: fixed_point(babylon, a, 3.0, lambda x, y: np.abs(x - y), 1e-12)
    return [root(2.0), grad(root)(2.0), grad(grad(root))(2.0)]


@program
def complex_numbers():
    z = np.array([0.3 + 0.4j, -1.0 + 0.1j])
    size = grad(lambda z: np.sum(np.abs(z) ** 3))(z)
    spectrum = grad(lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2 * np.arange(4.0)))(np.array([1.0, -2.0, 0.5, 3.0]))
    analytic = holomorphic_grad(lambda z: np.sin(z) * z)(0.5 + 0.2j)
    pull, value = make_vjp(lambda z: z * (1 + 2j))(z)
    out = [*size, *spectrum, analytic, *pull(np.array([1.0 + 1j, 2.0])), *value]
    return [part for number in out for part in (np.real(number), np.imag(number))]


@program
def jacobians_of_arrays():
    x = np.array([[0.1, 0.7], [-0.4, 1.2]])
    j = jacobian(lambda x: np.array([[np.sum(x**2), x[0, 1]], [np.prod(x), np.linalg.det(x)]]))(x)
    gauss = make_ggnvp(lambda x: np.tanh(np.dot(x, x)), lambda y: np.sum(np.exp(y)))(x)
    slope, aux = grad_and_aux(lambda x: (np.sum(np.sin(x)), x * 2))(x)
    assert j.shape == (2, 2, 2, 2)
    return [*j.ravel(), *gauss(np.ones((2, 2))).ravel(), *slope.ravel(), *aux.ravel()]


@program
def likelihoods_of_other_kinds():
    counts = np.array([3.0, 0.0, 7.0, 2.0])

    def negative_binomial(params):
        r, p = np.exp(params[0]), 1 / (1 + np.exp(-params[1]))
        return np.sum(gammaln(r + counts) - gammaln(r) - gammaln(counts + 1) + counts * np.log(p) + r * np.log(1 - p))

    heavy = grad(lambda loc, scale: np.sum(t.logpdf(counts, 2.4, loc, scale)), (0, 1))(1.0, 0.7)
    rate = grad(lambda a: np.sum(gamma.logpdf(counts + 1, a)))(2.5)
    return [*value_and_grad(negative_binomial)(np.array([0.5, 0.2]))[1], *heavy, rate]


@program
def parts_put_together():
    def f(x):
        table = np.full((2, 3), x[0])
        steps = np.array([[x[1] ** k for k in range(3)], list(x)])
        both = np.append(table, steps, axis=0)
        chosen = np.where(both > 0.5, both, 0.1 * both)
        return np.sum(chosen[::2] * np.ones_like(chosen[1::2])) + np.max([x[0] * x[2], x[1]]) + np.std([x[0], x[1] * 2])

    return [f(np.array([0.4, 1.3, -0.6])), *grad(f)(np.array([0.4, 1.3, -0.6]))]


if __name__ == "__main__":
    json.dump({each.__name__: [float(v) for v in each()] for each in PROGRAMS}, sys.stdout, indent=0)
