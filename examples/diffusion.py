"""Diffusion in the plane: points of noise become points of a spiral.

Data is mixed with more and more noise, and a network learns to tell the noise from the mixture. Then it begins with noise
alone, and takes away step by step what it tells (Ho, Jain and Abbeel, "Denoising diffusion probabilistic models", 2020).

    python examples/diffusion.py [--out FOLDER]
"""

from typing import Any

import numpy as np
import pictures

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

STEPS, BATCH = 100, 500
#: How much noise each step adds, and how much of the data is left after it.
BETA = np.linspace(1e-3, 0.12, STEPS, dtype=np.float32)
LEFT = np.cumprod(1 - BETA)


def spiral(rng: np.random.Generator, count: int) -> Any:
    """Points (count, 2) near a spiral of one and a half turns, of about unit variance."""
    turn = 1.5 * np.pi * (1 + 2 * rng.random(count))
    points = np.stack([turn * np.cos(turn), turn * np.sin(turn)], 1) / 7
    return (points + rng.normal(scale=0.03, size=points.shape)).astype(np.float32)


class Denoiser(nn.Module):
    """Points (n, 2) at steps (n,) of the diffusion to the noise in them."""

    def __init__(self, width: int = 128) -> None:
        self.when = nn.Embedding(STEPS, width)
        self.where = nn.Linear(2, width)
        self.rest = nn.Sequential(
            nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2)
        )

    def forward(self, x: Any, step: Any) -> Any:
        return self.rest(self.where(x) + self.when(step))


class Mixtures:
    """Batches of the data with noise, drawn anew each time: ((mixture, step), noise)."""

    def __init__(self, data: Any, count: int, rng: np.random.Generator) -> None:
        self.data, self.count, self.rng = data, count, rng

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Any:
        for _ in range(self.count):
            x = self.data[self.rng.integers(len(self.data), size=BATCH)]
            step = self.rng.integers(STEPS, size=BATCH)
            noise = self.rng.normal(size=x.shape).astype(np.float32)
            left = LEFT[step, None]
            yield (np.sqrt(left) * x + np.sqrt(1 - left) * noise, step), noise


def sample(net: Denoiser, rng: np.random.Generator, count: int) -> list[Any]:
    """From noise to data: the points (count, 2) before each step, and in the end."""
    x = rng.normal(size=(count, 2)).astype(np.float32)
    seen = [x]
    with tn.no_grad():
        for t in reversed(range(STEPS)):
            noise = net(x, np.full(count, t)).numpy()
            x = (x - BETA[t] / np.sqrt(1 - LEFT[t]) * noise) / np.sqrt(1 - BETA[t])
            if t:
                x += np.sqrt(BETA[t]) * rng.normal(size=x.shape).astype(np.float32)
            seen.append(x)
    return seen


def nearest(points: Any, others: Any) -> Any:
    """How far from each point the nearest of the others is."""
    return np.sqrt(((points[:, None] - others) ** 2).sum(-1)).min(1)


def main() -> None:
    """Train, then make points of noise."""
    folder = pictures.folder(__doc__)
    tn.training.seed(0)
    rng = np.random.default_rng(0)
    data = spiral(rng, 10_000)
    net = Denoiser()
    epochs, batches = 10, 400
    average = optim.Averaged(net, decay=0.999)
    adam = optim.Adam(lr=optim.cosine(3e-3, epochs * batches))
    tn.training.fit(net, F.mse_loss, adam, Mixtures(data, batches, rng), epochs=epochs, average=average)

    seen = sample(net, rng, 1000)
    panels = {
        "noise": seen[0],
        "80 steps later": seen[80],
        "90 steps": seen[90],
        "100 steps": seen[-1],
        "data": data[:1000],
    }
    pictures.clouds(folder / "diffusion.svg", panels, reach=2.4)
    new = spiral(rng, 1000)
    off, missed = nearest(seen[-1], data).mean(), nearest(new, seen[-1]).mean()
    print(f"samples lie {off:.3f} from the nearest point of the data, new data {missed:.3f} from the nearest sample")
    print(f"(new data lies {nearest(new, data).mean():.3f} from the nearest of the data)")
    assert off < 0.05, off
    assert missed < 0.15, missed


if __name__ == "__main__":
    main()
