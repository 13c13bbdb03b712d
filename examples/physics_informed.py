"""A physics-informed network: Burgers' equation u_t + u u_x = ν u_xx, solved by a network that fulfils it.

The derivatives by place and time are those of the network, by forward mode: `tn.jvp` of the network, and of that again. Then
reverse mode goes through them, for the gradient by the weights (Raissi et al., Physics-Informed Neural Networks, 2019). The
exact solution is known, by the Cole-Hopf transformation.

python examples/physics_informed.py [--out FOLDER]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures

import tapenet as tn
from tapenet import nn, optim

NU = 0.05


def exact(x: Any, t: Any) -> Any:
    """u(x, t) for u(x, 0) = -sin πx: heat spreads exp(-cos πx / 2πν), and -2ν times the slope of its logarithm is u."""
    places, weights = np.polynomial.hermite.hermgauss(60)
    at = np.asarray(x)[..., None] - places * np.sqrt(4 * NU * np.asarray(t))[..., None]
    heat = weights * np.exp(-np.cos(np.pi * at) / (2 * np.pi * NU))
    return -(heat * np.sin(np.pi * at)).sum(-1) / heat.sum(-1)


def main() -> None:
    """Train on random points; compare with the exact solution."""
    folder = pictures.folder(__doc__)
    tn.training.seed(0)
    rng = np.random.default_rng(0)
    net = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
    optimizer = optim.Adam(net.parameters(), lr=5e-3)

    def u(x: Any, t: Any) -> Any:
        """Right at t = 0 and at x = -1, 1, whatever the network says."""
        return -np.sin(np.pi * x) + t * (1 - x**2) * net(tn.stack([x, t], axis=1))[:, 0]

    @tn.compile
    def train(x: Any, t: Any) -> Any:
        one = tn.ones_like(x)
        value, u_t = tn.jvp(lambda t: u(x, t), (t,), (one,))
        u_x, u_xx = tn.jvp(lambda x: tn.jvp(lambda x: u(x, t), (x,), (one,))[1], (x,), (one,))
        loss = ((u_t + value * u_x - NU * u_xx) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for k in range(3001):
        x, t = rng.uniform(-1, 1, 200), rng.uniform(0, 1, 200)
        loss = train(tn.tensor(x.astype(np.float32)), tn.tensor(t.astype(np.float32)))
        optimizer.param_groups[0]["lr"] = 5e-3 * 0.5 * (1 + np.cos(np.pi * k / 3001))
        if k % 500 == 0:
            print(f"step {k:4}: mean square of the residual {loss.item():.2e}")
    grid = np.linspace(-1, 1, 201)
    x, t = (a.ravel() for a in np.meshgrid(grid, np.linspace(0, 1, 21)))
    with tn.no_grad():
        found = u(tn.tensor(x.astype(np.float32)), tn.tensor(t.astype(np.float32))).numpy()
    error = np.linalg.norm(found - exact(x, t)) / np.linalg.norm(exact(x, t))
    print(f"relative error against the exact solution: {error:.2%}")
    series = {f"t = {time:g}": (grid, found.reshape(21, 201)[int(20 * time)]) for time in (0.0, 0.5, 1.0)}
    pictures.lines(folder / "example-physics-informed.svg", series, "x")
    assert error < 0.02, f"{error:.2%} is too far from the exact solution"


if __name__ == "__main__":
    main()
