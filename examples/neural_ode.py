"""A neural differential equation: a network learns the right side of an equation from one trajectory of it.

y' = f(y) is a spiral, f(y) = A y³ (Chen et al., Neural Ordinary Differential Equations, 2018), observed with noise. The network
stands for f; it is fitted to short stretches of the trajectory, all of which are solved at once as one equation, by Dormand and
Prince's method. The gradients by its weights are those of the adjoint equation, back in time.

python examples/neural_ode.py
"""

from __future__ import annotations

import numpy as np

import tapenet as tn
from tapenet import nn, optim
from tapenet.typing import Array

TRUE = np.array([[-0.1, 2.0], [-2.0, -0.1]])
#: How many stretches there are in a batch, and how many observations each has after its first.
BATCH, AHEAD = 20, 10


class Slope(nn.Module):
    """f: the slope of a state. The cubes of the state are given along."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 32, dtype=np.float64)
        self.outer = nn.Linear(32, 2, dtype=np.float64)

    def forward(self, y: tn.Tensor) -> tn.Tensor:
        """The slopes of several states."""
        return self.outer(tn.tanh(self.inner(y**3)))


def solved(slope: Slope, start: Array, times: Array) -> tn.Tensor:
    """States (times, states, 2) that begin somewhere."""

    def together(t: tn.Tensor, y: tn.Tensor) -> tn.Tensor:
        return slope(y.reshape(-1, 2)).reshape(-1)

    found = tn.scipy.integrate.solve_ivp(
        together, (0.0, times[-1]), start.reshape(-1), "RK45", times, rtol=1e-4, atol=1e-6, sensitivity="adjoint"
    )
    return found.y.T.reshape(len(times), -1, 2)


def main() -> None:
    """Learn, and say how far off what follows is."""
    tn.random.seed(0)
    rng = np.random.default_rng(0)
    times = np.linspace(0.0, 10.0, 201)
    exact = tn.scipy.integrate.odeint(lambda t, y: TRUE @ y**3, [2.0, 0.0], times, tfirst=True, rtol=1e-9).numpy()
    observed = exact + 0.005 * rng.normal(size=exact.shape)

    slope = Slope()
    optimizer = optim.Adam(slope.parameters(), lr=2e-2)
    ahead = times[1 : AHEAD + 1]
    for step in range(401):
        if step in (200, 300):
            optimizer.lr /= 4
        begin = rng.integers(0, len(times) - AHEAD, BATCH)
        following = observed[begin + np.arange(1, AHEAD + 1)[:, None]]
        loss = ((solved(slope, observed[begin], ahead) - following) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step:3}: loss {loss.item():.2e}")

    # Twice as far ahead as it was trained, from everywhere.
    far = 2 * AHEAD
    with tn.no_grad():
        found = solved(slope, exact[:-far], times[1 : far + 1]).numpy()
    off = found - exact[np.arange(1, far + 1)[:, None] + np.arange(len(times) - far)]
    error = np.sqrt((off**2).sum(-1).mean())
    print(f"a second ahead it is off by {error:.3f} in the mean; the spiral is up to 4 wide")
    assert error < 0.1


if __name__ == "__main__":
    main()
