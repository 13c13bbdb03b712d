"""Optimal control: a pendulum with a weak motor swings up, by gradients through its motion.

`tn.scan` runs the physics: 200 steps of 0.03 s. The gradient of the cost by all torques goes back through them, and SciPy's
L-BFGS takes it. The motor cannot lift the pendulum at once: it has to swing back first.

python examples/optimal_control.py [--out FOLDER]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures
from scipy.optimize import minimize

import tapenet as tn

STEPS, STEP, MOTOR = 200, 0.03, 3.0  # gravity's torque is 9.81 at most


def motion(wishes: Any) -> tuple[Any, Any]:
    """Angles (0 hangs, π stands) and torques over time, for wishes that the motor limits."""

    def turn(state: Any, wish: Any) -> Any:
        angle, speed = state
        torque = MOTOR * np.tanh(wish)
        speed = speed + STEP * (torque - 9.81 * np.sin(angle) - 0.05 * speed)
        angle = angle + STEP * speed
        return (angle, speed), (angle, speed, torque)

    _, (angles, speeds, torques) = tn.scan(turn, (tn.tensor(0.0), tn.tensor(0.0)), wishes)
    return (angles, speeds), torques


def cost(wishes: Any) -> Any:
    """How far from standing still the last half second is, and a little for the work of the motor."""
    (angles, speeds), torques = motion(wishes)
    end = (1 + np.cos(angles[-16:])).mean() + 0.05 * (speeds[-16:] ** 2).mean()
    return 10 * end + 0.002 * (torques**2).mean()


def main() -> None:
    """Swing up; check that the pendulum stands."""
    folder = pictures.folder(__doc__)
    both = tn.compile(tn.value_and_grad(cost))

    def by_scipy(wishes: Any) -> tuple[float, Any]:
        value, slope = both(tn.tensor(wishes))
        return value.item(), slope.numpy()

    start = np.sin(np.sqrt(9.81) * STEP * np.arange(STEPS))
    found = minimize(by_scipy, start, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    (angles, speeds), torques = motion(tn.tensor(found.x))
    off = np.abs(np.pi - np.abs(angles.numpy()[-16:])).max()
    print(f"{found.nfev} runs: at most {np.degrees(off):.2f} degrees from standing in the last half second")
    print(f"torque at most {np.abs(torques.numpy()).max():.2f}, final speed {speeds[-1].item():.3f}")
    time = STEP * np.arange(STEPS)
    series = {"angle, of π": (time, angles.numpy() / np.pi), "torque, of the most": (time, torques.numpy() / MOTOR)}
    pictures.lines(folder / "example-optimal-control.svg", series, "seconds")
    assert off < np.radians(2), f"the pendulum is {np.degrees(off):.1f} degrees from standing"


if __name__ == "__main__":
    main()
