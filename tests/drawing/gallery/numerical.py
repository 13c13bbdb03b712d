"""Computations that are no networks, and what is very long."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn
from tapenet import nn
from tapenet.drawing.picture import Picture
from tests.drawing import models
from tests.drawing.gallery.entry import entry
from tests.drawing.models import images, kept


def _small(inputs: int = 2, outputs: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 8), nn.Tanh(), nn.Linear(8, outputs))


@entry("Neural ODE: twenty steps of Runge and Kutta")
def neural_ode() -> Picture:
    slope, y, dt = _small(), tn.tensor(images(4, 2)), 0.05
    for _ in range(20):
        k1 = slope(y)
        k2 = slope(y + dt / 2 * k1)
        k3 = slope(y + dt / 2 * k2)
        k4 = slope(y + dt * k3)
        y = y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return tn.draw(y)


@entry("The Hessian of a function of three numbers")
def hessian() -> Picture:
    x = np.array([0.3, -0.2, 0.5])
    return tn.draw(tn.hessian(lambda x: np.exp(x).sum() * (x**2).sum()), x)


@entry("Physics loss: the heat equation of a network")
def physics() -> Picture:
    u, x, t = _small(outputs=1), images(16), images(16)
    one = tn.ones_like(x)

    def at(x: Any, t: Any) -> Any:
        return u(tn.stack([x, t], axis=1))[:, 0]

    u_t = tn.jvp(lambda t: at(x, t), (t,), (one,))[1]
    u_xx = tn.jvp(lambda x: tn.jvp(lambda x: at(x, t), (x,), (one,))[1], (x,), (one,))[1]
    return tn.draw({"residual": ((u_t - 0.1 * u_xx) ** 2).mean()})


@entry("Kalman filter: one step")
def kalman() -> Picture:
    def step(x: Any, P: Any, z: Any, A: Any, H: Any, Q: Any, R: Any) -> Any:
        x, P = A @ x, A @ P @ A.T + Q
        S = H @ P @ H.T + R
        K = np.linalg.solve(S, H @ P).T
        return x + K @ (z - H @ x), P - K @ H @ P

    n, m = np.eye(4), np.eye(2)
    return tn.draw(step, np.ones(4), n, np.ones(2), n, n[:2], n, m)


@entry("Kalman filter: over thirty measurements")
def kalman_filter() -> Picture:
    A, Q, R = np.array([[1.0, 0.1], [0.0, 1.0]]), 0.1 * np.eye(2), tn.tensor(0.5, requires_grad=True)
    x, P, loss = np.zeros(2), np.eye(2), 0
    for z in np.sin(np.arange(30.0)):
        x, P = A @ x, A @ P @ A.T + Q
        gain = P[:, 0] / (P[0, 0] + R)
        error = z - x[0]
        x, P = x + gain * error, P - np.outer(gain, P[0])
        loss = loss + error**2
    return tn.draw({"loss": loss})


@entry("A filter by the Fourier transform")
def fft_filter() -> Picture:
    sound, response = images(64), tn.tensor(np.ones(33), requires_grad=True)
    filtered = np.fft.irfft(np.fft.rfft(sound) * response)
    return tn.draw({"error": ((filtered - np.sin(np.arange(64))) ** 2).mean()})


@entry("Black-Scholes: the price of an option")
def black_scholes() -> Picture:
    def price(S: Any, K: Any, T: Any, r: Any, sigma: Any) -> Any:
        d1 = (np.log(S / K) + (r + sigma**2 / 2) * T) / (sigma * np.sqrt(T))
        d2 = d1 - sigma * np.sqrt(T)
        return S * tn.special.ndtr(d1) - K * np.exp(-r * T) * tn.special.ndtr(d2)

    return tn.draw(price, *np.array([100.0, 105.0, 1.0, 0.02, 0.3]))


soft_clip = tn.op(
    lambda x, limit=1.0: limit * np.tanh(x / limit),
    name="soft_clip",
    x=lambda g, out, x, limit=1.0: g * (1 - (out / limit) ** 2),
)


@entry("Ops of your own: one of two results, one with an option")
def custom_ops() -> Picture:
    x, y = (tn.tensor(images(3) + i, requires_grad=True) for i in (2, 3))
    radius, angle = models.polar(x, y)
    return tn.draw((soft_clip(radius, limit=2.0) * np.cos(angle)).sum())


@entry("A chain of 10,000 ops in which nothing repeats")
def chain_10000() -> Picture:
    return tn.draw(models.irregular_chain(10_000))


@entry("A chain of 100,000 ops")
def chain_100000() -> Picture:
    return tn.draw(models.chain(100_000))


@entry("Gaussian process: the likelihood of its parameters")
def gaussian_process() -> Picture:
    x, y = np.linspace(0, 1, 8), np.sin(np.linspace(0, 6, 8))
    scale, noise = (tn.tensor(value, requires_grad=True) for value in (0.3, 0.1))
    K = np.exp(-0.5 * ((x[:, None] - x) / scale) ** 2) + noise * np.eye(8)
    L = np.linalg.cholesky(K)
    alpha = np.linalg.solve(K, y)
    return tn.draw({"likelihood": -0.5 * y @ alpha - np.log(np.diagonal(L)).sum()})


@entry("Where the first nan was born")
def first_nan() -> Picture:
    x = np.array([1.0, 0.0, -1.0])
    return tn.draw(lambda x: (np.sqrt(x) * np.exp(x)).sum() / np.tanh(x).max(), x)


@entry("Matrix factorisation: one array, used three times")
def factorisation() -> Picture:
    A, W = np.ones((4, 4)), tn.tensor(np.ones((4, 4)), requires_grad=True)
    return tn.draw(((A @ W @ A - A) ** 2).sum())


@entry("The second derivative of a small network")
def second_order() -> Picture:
    kept(models.small_net)
    return tn.draw(models.second_order())
