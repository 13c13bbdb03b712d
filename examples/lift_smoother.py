"""A NumPy program as it is: the level behind noisy measurements, by a Kalman filter whose noises are fitted.

The filter goes forth and the smoother back, both in loops that fill arrays. The gradient of the likelihood by the logarithms
of three variances goes to SciPy's BFGS.

python examples/lift_smoother.py [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
import pictures
from scipy.optimize import minimize

import tapenet as tn


def smooth(y, level_noise, trend_noise, noise):
    """Means of the level and its trend, and minus the logarithm of the likelihood."""
    n = len(y)
    a = np.array([[1.0, 1.0], [0.0, 1.0]])
    q = np.zeros((2, 2))
    q[0, 0], q[1, 1] = level_noise, trend_noise
    means, covs = np.zeros((n, 2)), np.zeros((n, 2, 2))
    ahead, ahead_covs = np.zeros((n, 2)), np.zeros((n, 2, 2))
    m, p = np.zeros(2), 10 * np.eye(2)
    surprise = 0.0
    for t in range(n):
        if t > 0:
            m, p = a @ m, a @ p @ a.T + q
        ahead[t], ahead_covs[t] = m, p
        s = p[0, 0] + noise
        error = y[t] - m[0]
        gain = p[:, 0] / s
        m = m + gain * error
        p = p - np.outer(gain, p[0])
        means[t], covs[t] = m, p
        surprise += 0.5 * (np.log(2 * np.pi * s) + error**2 / s)
    for t in range(n - 2, -1, -1):
        back = covs[t] @ a.T @ np.linalg.inv(ahead_covs[t + 1])
        means[t] += back @ (means[t + 1] - ahead[t + 1])
    return means, surprise


def main() -> None:
    """Fit the noises; check that the smoothed level is nearer to the truth than what was measured."""
    folder = pictures.folder(__doc__)
    r = np.random.default_rng(0)
    n = 400
    truth = np.cumsum(np.cumsum(0.02 * r.normal(size=n)) + 0.05 * r.normal(size=n))
    y = truth + 1.0 * r.normal(size=n)

    def surprise(logs):
        return smooth(y, np.exp(logs[0]), np.exp(logs[1]), np.exp(logs[2]))[1]

    both = tn.compile(tn.value_and_grad(tn.lift(surprise)))

    def by_scipy(logs):
        value, slope = both(logs)
        return value.item(), slope.numpy()

    found = minimize(by_scipy, np.zeros(3), jac=True, method="BFGS", options={"maxiter": 40})
    noises = np.exp(found.x / 2)
    means, _ = smooth(y, *np.exp(found.x))
    error, noise = (np.sqrt(np.mean((part - truth) ** 2)) for part in (means[:, 0], y))
    print(f"noises {noises}, measured with 1; the level is {error:.3f} from the truth, measurements {noise:.3f}")
    time = np.arange(n)
    series = {"measured": (time, y), "smoothed": (time, means[:, 0]), "truth": (time, truth)}
    pictures.lines(folder / "example-lift-smoother.svg", series, "time")
    assert error < 0.4 * noise, f"smoothed {error:.2f} from the truth"
    assert abs(noises[2] - 1) < 0.1, f"a noise of {noises[2]:.2f} found"


if __name__ == "__main__":
    main()
