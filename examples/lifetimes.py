"""Maximum likelihood with standard errors: how long lamps last, from a test that ended before most of them failed.

Lamps run at three temperatures, and their lifetimes have a Weibull distribution whose scale falls with the temperature (W. Q.
Meeker and L. A. Escobar, Statistical Methods for Reliability Data, 1998, chapter 17). A lamp that failed adds its density to
the likelihood, and one that still burned at the end of the test the probability of that. The Hessian of the likelihood says
how sure the estimates are, and with the gradient of a quantile how sure a prediction is: simulated tests scatter by as much.

python examples/lifetimes.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn

TRUE = np.array([8.0, -0.9, np.log(1.6)])
END = 2500.0
HEAT = np.repeat([0.0, 1.0, 2.0], 60)


def scale(theta: Any, heat: Any) -> Any:
    """The characteristic life at a temperature."""
    return np.exp(theta[0] + theta[1] * heat)


def surprise(theta: Any, hours: Any, failed: Any) -> Any:
    """The negative logarithm of the likelihood."""
    lamps = tn.scipy.stats.weibull_min(np.exp(theta[2]), 0.0, scale(theta, HEAT))
    return -np.where(failed, lamps.logpdf(hours), lamps.logsf(hours)).sum()


def early(theta: Any) -> Any:
    """The hours in which one of a hundred lamps fails at the lowest temperature."""
    return tn.scipy.stats.weibull_min.ppf(0.01, np.exp(theta[2]), 0.0, scale(theta, 0.0))


def tested(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A test: hours until each lamp failed or the test ended, and which failed."""
    hours = scale(TRUE, HEAT) * rng.weibull(np.exp(TRUE[2]), HEAT.size)
    return np.minimum(hours, END), hours < END


def learned(hours: Any, failed: Any) -> Any:
    """The estimates."""
    found = tn.optimize.minimize(surprise, np.array([7.0, 0.0, 0.0]), args=(hours, failed), method="BFGS", tol=1e-6)
    return np.asarray(found.x)


def main() -> None:
    rng = np.random.default_rng(1)
    hours, failed = tested(rng)
    theta = learned(hours, failed)
    slope = np.abs(tn.grad(surprise)(theta, hours, failed).numpy()).max()
    covariance = np.linalg.inv(tn.hessian(surprise)(theta, hours, failed).numpy())
    errors = np.sqrt(np.diagonal(covariance))
    for name, value, error, true in zip(("log life", "by heat", "log shape"), theta, errors, TRUE, strict=True):
        print(f"{name:10} {value:7.3f} ± {error:.3f}, in truth {true:.3f}")
    moved = tn.grad(early)(theta).numpy()
    hours_early, error_early = early(theta).item(), np.sqrt(moved @ covariance @ moved)
    print(
        f"one of a hundred fails within {hours_early:.0f} ± {error_early:.0f} hours, in truth {early(TRUE).item():.0f}"
    )

    again = np.array([learned(*tested(rng)) for _ in range(100)])
    scatter = again.std(axis=0)
    print("errors beside the scatter of 100 simulated tests:", (errors / scatter).round(2))
    assert slope < 1e-3
    assert np.all(np.abs(theta - TRUE) < 3 * errors)
    assert abs(hours_early - early(TRUE).item()) < 3 * error_early
    assert np.all(np.abs(np.log(errors / scatter)) < 0.4)


if __name__ == "__main__":
    main()
