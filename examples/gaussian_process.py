"""Plain NumPy, differentiated: a Gaussian process learns its length scale, its noise and its frequency.

The model below is what anyone would write in NumPy: `np.exp`, `np.subtract.outer`, `np.linalg.cholesky`,
`np.linalg.solve`, `np.diagonal`. Given tensors it has gradients, and the marginal likelihood is maximised by SciPy's L-BFGS
with these, compiled (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapter 5). The Hessian says how
sure the parameters are, and the implicit function theorem how they would move with each observation. A Fourier transform then
finds the frequency of what was predicted.

python examples/gaussian_process.py [--out FOLDER]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures

import tapenet as tn

NAMES = ("log_length", "log_scale", "log_noise")


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


def of_parameters(p: Any, x: Any, y: Any) -> Any:
    """The same of a dict of parameters."""
    return surprise(x, y, **p)


def learned(x: Any, y: Any) -> Any:
    """SciPy's result for the parameters that surprise the least."""
    start = {"log_length": -2.0, "log_scale": 0.0, "log_noise": -1.0}
    return tn.optimize.minimize(of_parameters, start, args=(x, y), method="L-BFGS-B", tol=1e-12)


def predicted(grid: Any, x: Any, y: Any, p: Any) -> tuple[Any, Any]:
    """Mean and standard deviation at points of a grid."""
    noise = np.exp(2 * p["log_noise"]) * np.eye(len(x))
    given = {name: value for name, value in p.items() if name != "log_noise"}
    across = kernel(grid, x, **given)
    weights = np.linalg.solve(kernel(x, x, **given) + noise, across.T).T
    variance = np.exp(2 * p["log_scale"]) - (weights * across).sum(1)
    return weights @ y, np.sqrt(np.maximum(variance, 0.0))


def main() -> None:
    """Learn from 60 noisy values of a sine of frequency 3; check what was learned."""
    folder = pictures.folder(__doc__)
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(0, 1, 60))
    y = np.sin(2 * np.pi * 3 * x) + 0.1 * rng.normal(size=60)
    tn.testing.check_grads(lambda *p: surprise(x, y, *p), [np.array(-1.0), np.array(0.1), np.array(-1.0)], order=2)

    found = learned(x, y)
    slope = max(abs(g.item()) for g in found.jac.values())
    print(f"{found.nfev} evaluations: surprise {found.fun.item():.4f}, its largest slope {slope:.1e}")
    values = np.array([found.x[name].item() for name in NAMES])
    hessian = tn.hessian(lambda v: surprise(x, y, *v))(values).numpy() * len(x)
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)))  # of the logarithms: relative errors
    for name, value, error in zip(NAMES, np.exp(values), errors, strict=True):
        print(f"{name.removeprefix('log_'):>7} {value:.3f} ± {value * error:.3f}")
    noise = np.exp(values[2])

    # How the learned noise would change with each observation, beside learning anew.
    moves = tn.grad(lambda y: learned(x, y).x["log_noise"])(y).numpy()
    most = int(np.argmax(np.abs(moves)))
    step = 1e-3 * np.eye(60)[most]
    anew = (learned(x, y + step).x["log_noise"].item() - learned(x, y - step).x["log_noise"].item()) / 2e-3
    print(f"the noise rests most on the value at x = {x[most]:.2f}: by {moves[most]:.5f}; learned anew {anew:.5f}")

    # The frequency of what is predicted between the points.
    grid = np.arange(64) / 64
    mean, deviation = (t.numpy() for t in predicted(grid, x, y, found.x))
    frequency = int(np.argmax(np.abs(np.fft.rfft(mean))))
    inside = np.abs(mean - np.sin(2 * np.pi * 3 * grid)) < 2 * deviation
    print(f"strongest frequency {frequency}; the sine is within two deviations at {inside.mean():.0%} of the points")
    bands = {"mean": (grid, mean), "mean + 2 deviations": (grid, mean + 2 * deviation)}
    bands["mean - 2 deviations"] = (grid, mean - 2 * deviation)
    pictures.lines(folder / "example-gaussian-process.svg", bands | {"observed": (x, y)}, "x", size=(760, 260))
    assert found.success
    assert found.nfev < 60
    assert slope < 1e-5
    assert abs(noise - 0.1) < 2 * errors[2] * noise
    assert abs(moves[most] - anew) < 1e-3 * abs(anew)
    assert frequency == 3
    assert inside.mean() > 0.9


if __name__ == "__main__":
    main()
