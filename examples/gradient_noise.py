"""Gradient noise: the gradient of every sample at once, and the batch size that it says is enough.

`tn.vmap` of `tn.grad` gives a gradient for each of 1,000 digits. Their covariance C and mean g give the noise scale tr C / g·g
(McCandlish et al., An Empirical Model of Large-Batch Training, 2018): with batches much smaller than it a step is mostly
noise, with much larger ones most of the work is wasted. It grows as training goes on.

python examples/gradient_noise.py [--out FOLDER]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim


def main() -> None:
    """Train, and measure on the way; check the covariance by the gradients of whole batches."""
    folder = pictures.folder(__doc__)
    tn.training.seed(0)
    rng = np.random.default_rng(0)
    images, labels, _, _ = tn.data.digits()
    x = tn.tensor(images.reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, 196))  # 14 by 14
    y = tn.tensor(labels)
    net = nn.Sequential(nn.Linear(196, 32), nn.Tanh(), nn.Linear(32, 10))
    optimizer = optim.SGD(net.parameters(), lr=0.2)

    def loss(params: Any, x: Any, y: Any) -> Any:
        return F.cross_entropy(tn.functional_call(net, params, x), y)

    each = tn.compile(tn.vmap(tn.grad(loss), in_axes=(None, 0, 0)))

    def gradients() -> Any:
        """The gradient of each sample, a row."""
        found = each(dict(net.named_parameters()), x, y)
        return np.hstack([g.numpy().reshape(len(x), -1) for g in tn.tree.leaves(found)]).astype(np.float64)

    @tn.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        value = F.cross_entropy(net(x), y)
        value.backward()
        optimizer.step()
        return value

    steps, scales = np.arange(0, 601, 60), []
    for k in steps:
        rows = gradients()
        mean, variance = rows.mean(0), rows.var(0, ddof=1).sum()
        scales.append(variance / (mean @ mean))
        print(f"step {k:3}: |g| {np.linalg.norm(mean):.4f}, noise scale {scales[-1]:7.1f} samples")
        for _ in range(60):
            chosen = rng.integers(len(x), size=20)
            step(x[chosen], y[chosen])
    # A batch of 20 has a twentieth of the variance: that of 400 gradients of batches, taken one by one.
    whole = tn.compile(tn.grad(loss))
    rows, batches = gradients(), rng.integers(len(x), size=(400, 20))
    found = [tn.tree.leaves(whole(dict(net.named_parameters()), x[b], y[b])) for b in batches]
    measured = np.array([np.concatenate([g.numpy().ravel() for g in gs]) for gs in found]).var(0, ddof=1).sum()
    ratio = measured / (rows.var(0).sum() / 20)
    print(f"variance of batches of 20 over a twentieth of that of samples: {ratio:.3f}")
    pictures.lines(
        folder / "example-gradient-noise.svg", {"noise scale, in samples": (steps * 1.0, np.array(scales))}, "step"
    )
    assert abs(ratio - 1) < 0.15, ratio
    assert scales[-1] > 4 * scales[0], "the noise scale should grow"


if __name__ == "__main__":
    main()
