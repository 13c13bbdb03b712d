"""Plain NumPy, differentiated: a Gaussian process learns its length scale, its noise and its frequency.

The model below is what anyone would write in NumPy: `np.exp`, `np.subtract.outer`, `np.linalg.cholesky`,
`np.linalg.solve`, `np.diagonal`. Given tensors it has gradients, and the marginal likelihood is maximised by Adam
(Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapter 5). A Fourier transform then finds the
frequency of what was predicted.

python examples/gaussian_process.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn
from tapenet import optim


def kernel(a: Any, b: Any, log_length: Any, log_scale: Any) -> Any:
    """The covariance of the values at points `a` with those at points `b`."""
    distance = np.subtract.outer(a, b) / np.exp(log_length)
    return np.exp(2 * log_scale - 0.5 * np.square(distance))


def surprise(x: Any, y: Any, log_length: Any, log_scale: Any, log_noise: Any) -> Any:
    """The negative logarithm of the marginal likelihood of values `y` at points `x`, for each of them."""
    covariance = kernel(x, x, log_length, log_scale) + np.exp(2 * log_noise) * np.eye(len(x))
    root = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(root, y)
    half = np.log(np.diagonal(root)).sum()
    return (0.5 * np.vdot(whitened, whitened) + half) / len(x) + 0.5 * np.log(2 * np.pi)


def main() -> None:
    """Learn from 60 noisy values of a sine of frequency 3; check what was learned."""
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 1, 60))
    y = np.sin(2 * np.pi * 3 * x) + 0.1 * rng.normal(size=60)
    names = ("log_length", "log_scale", "log_noise")
    parameters = {
        name: tn.tensor(value, requires_grad=True) for name, value in zip(names, (-2.0, 0.0, -1.0), strict=True)
    }
    tn.testing.check_grads(lambda *p: surprise(x, y, *p), [np.array(-1.0), np.array(0.1), np.array(-1.0)], order=2)

    optimizer = optim.Adam(list(parameters.values()), lr=0.1)
    for step in range(151):
        loss = surprise(x, y, **parameters)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step:3}: surprise {loss.item():7.3f}")
    length, scale, noise = (np.exp(p.item()) for p in parameters.values())
    print(f"length scale {length:.3f}, scale {scale:.2f}, noise {noise:.3f} (true: 0.1)")

    # What is predicted between the points, and how it would change with each observation.
    grid = np.arange(64) / 64
    observed = tn.tensor(y, requires_grad=True)
    with tn.no_grad():
        given = {name: p for name, p in parameters.items() if name != "log_noise"}
        weights = np.linalg.inv(kernel(x, x, **given) + noise**2 * np.eye(60))
        predictor = kernel(grid, x, **given) @ weights
    predicted = predictor @ observed
    power = np.abs(np.fft.rfft(predicted)) ** 2
    frequency = int(np.argmax(power))
    power[frequency].backward()
    most = int(np.argmax(np.abs(observed.grad)))
    print(f"strongest frequency {frequency}; it rests most on the value at x = {x[most]:.2f}")
    assert loss.item() < 0.0
    assert abs(noise - 0.1) < 0.03
    assert frequency == 3


if __name__ == "__main__":
    main()
