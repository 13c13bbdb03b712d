"""A stiff kinetic model fitted to data: Robertson's three reactions, whose rates are apart by a factor of a billion.

    A → B (k1),   B + B → C + B (k2),   B + C → A + C (k3)

The model is solved by LSODA with its exact Jacobian, on a compiled right side; the residuals' Jacobian by the rates comes from
the equation of the tangents, solved beside it. So Gauss and Newton's method finds the rates in a few steps, and the standard
errors are those of the curvature at the minimum. (Hairer and Wanner, Solving Ordinary Differential Equations II, 1996.)

python examples/kinetics.py
"""

from __future__ import annotations

import numpy as np
from scipy import optimize

import tapenet as tn
from tapenet.typing import Array

TIMES = np.concatenate([[0.0], np.logspace(-3, 4, 40)])
TRUE = np.array([0.04, 3e7, 1e4])
#: How exact each concentration is measured: B is never more than a hundred-thousandth.
NOISE = np.array([1e-2, 4e-7, 1e-2])


def concentrations(log_rates: tn.Tensor) -> tn.Tensor:
    """The concentrations of A, B and C at the times, of rates that are given by their logarithms."""
    k1, k2, k3 = np.exp(log_rates)

    def reactions(t: tn.Tensor, y: tn.Tensor) -> list[tn.Tensor]:
        first, second, third = k1 * y[0], k2 * y[1] ** 2, k3 * y[1] * y[2]
        return [third - first, first - second - third, second]

    return tn.scipy.integrate.odeint(
        reactions, [1.0, 0.0, 0.0], TIMES, tfirst=True, rtol=1e-8, atol=1e-12, mxstep=10_000
    )


def main() -> None:
    """Measure, fit from rates that are wrong by a factor of five, and compare."""
    rng = np.random.default_rng(0)
    exact = concentrations(tn.tensor(np.log(TRUE))).numpy()
    measured = exact + NOISE * rng.normal(size=exact.shape)

    def residuals(log_rates: tn.Tensor) -> tn.Tensor:
        return ((concentrations(log_rates) - measured) / NOISE).reshape(-1)

    jacobian = tn.jacobian(residuals)

    def value(log_rates: Array) -> Array:
        return residuals(tn.tensor(log_rates)).numpy()

    def slope(log_rates: Array) -> Array:
        found: Array = jacobian(log_rates).numpy()
        return found

    begin = np.log(TRUE * np.array([5.0, 0.2, 5.0]))
    h = 1e-3
    for i in range(3):  # the Jacobian beside differences
        step = h * np.eye(3)[i]
        difference = (value(begin + step) - value(begin - step)) / (2 * h)
        assert np.abs(slope(begin)[:, i] - difference).max() < 1e-3 * np.abs(difference).max()

    found = optimize.least_squares(value, begin, jac=slope, method="lm")
    errors = np.sqrt(np.diagonal(np.linalg.inv(found.jac.T @ found.jac)))
    print(f"{found.nfev} evaluations, {found.njev} Jacobians; χ² per point {2 * found.cost / measured.size:.3f}")
    for i, (log_rate, error, true) in enumerate(zip(found.x, errors, TRUE, strict=True), 1):
        print(f"k{i} = {np.exp(log_rate):.4g} ± {100 * error:.1f} % (true: {true:.4g})")
    assert 0.7 < 2 * found.cost / measured.size < 1.3
    assert np.all(np.abs(found.x - np.log(TRUE)) < 4 * errors)

    # What the concentration of B at its peak depends on, to second order.
    peak = int(np.argmax(exact[:, 1]))
    curvature = tn.hessian(lambda p: np.log(concentrations(p)[peak, 1]))(found.x)
    print("second derivatives of the logarithm of B's peak by those of the rates:")
    print(np.round(curvature.numpy(), 4))


if __name__ == "__main__":
    main()
