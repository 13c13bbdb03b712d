"""Samples from a posterior by NUTS, the sampler without U-turns, beside the posterior that is known.

A regression with three weights and unknown noise. With a prior that fits (normal weights given the noise, inverse gamma noise)
its posterior is a formula. NUTS knows the logarithm of the density alone, a function of nested parameters, and its compiled
gradient.

Hoffman and Gelman, "The No-U-Turn sampler", JMLR 15 (2014); Betancourt, arXiv:1701.02434 (2017).

python examples/nuts.py [--out FOLDER]
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pictures

import tapenet as tn

R = tn.random


class Point(NamedTuple):
    """A place, the momentum there, the logarithm of the density and its gradient."""

    q: Any
    p: Any
    log_density: float
    slope: Any

    @property
    def energy(self) -> float:
        """Minus the logarithm of the joint density of place and momentum."""
        return 0.5 * float(self.p @ self.p) - self.log_density


class Tree(NamedTuple):
    """Points along a trajectory: its two ends, one of them chosen by weight, the sum of weights, and whether it goes on."""

    left: Point
    right: Point
    chosen: Point
    weight: float
    goes_on: bool
    accepted: float
    count: int


class Nuts:
    """Samples from exp(log_density) of a vector."""

    def __init__(self, density: Callable[[Any], tuple[Any, Any]], rng: np.random.Generator) -> None:
        self.density, self.rng, self.size, self.gradients = density, rng, 0.1, 0

    def at(self, q: Any, p: Any) -> Point:
        """A point."""
        self.gradients += 1
        value, slope = self.density(q)
        return Point(q, p, value.item(), slope.numpy())

    def step(self, z: Point, direction: int) -> Point:
        """One leapfrog step."""
        length = direction * self.size
        half = z.p + length / 2 * z.slope
        there = self.at(z.q + length * half, half)
        return there._replace(p=half + length / 2 * there.slope)

    def tree(self, z: Point, direction: int, depth: int, start: float) -> Tree:
        """A trajectory of 2**depth steps from a point."""
        if depth == 0:
            there = self.step(z, direction)
            gain = start - there.energy
            gain = gain if np.isfinite(gain) else -np.inf
            return Tree(
                there, there, there, np.exp(min(gain, 700.0)), gain > -1000, min(1.0, np.exp(min(gain, 0.0))), 1
            )
        first = self.tree(z, direction, depth - 1, start)
        if not first.goes_on:
            return first
        second = self.tree(first.right if direction > 0 else first.left, direction, depth - 1, start)
        return self.joined(first, second, direction, second.weight / max(first.weight + second.weight, 1e-300))

    def joined(self, one: Tree, two: Tree, direction: int, chance: float) -> Tree:
        """Two trajectories that follow each other; the point of the second is chosen with this chance."""
        left, right = (one.left, two.right) if direction > 0 else (two.left, one.right)
        chosen = two.chosen if two.goes_on and self.rng.random() < chance else one.chosen
        span = right.q - left.q
        turns = span @ left.p < 0 or span @ right.p < 0
        return Tree(
            left, right, chosen, one.weight + two.weight, two.goes_on and not turns,
            one.accepted + two.accepted, one.count + two.count,
        )  # fmt: skip

    def draw(self, q: Any) -> tuple[Any, float]:
        """The next sample, and how likely its points were accepted on average."""
        z = self.at(q, self.rng.standard_normal(q.size))
        whole = Tree(z, z, z, 1.0, True, 0.0, 0)
        for depth in range(9):
            direction = 1 if self.rng.random() < 0.5 else -1
            more = self.tree(whole.right if direction > 0 else whole.left, direction, depth, z.energy)
            whole = self.joined(whole, more, direction, more.weight / whole.weight)
            if not whole.goes_on:
                break
        return whole.chosen.q, whole.accepted / max(whole.count, 1)

    def samples(self, q: Any, warmup: int, count: int) -> Any:
        """Samples, after so many in which the step is tuned by dual averaging to accept four of five."""
        middle, total, smooth = np.log(10 * self.size), 0.0, 0.0
        found = []
        for k in range(1, warmup + count + 1):
            q, accepted = self.draw(q)
            if k <= warmup:
                total += (0.8 - accepted - total) / (k + 10)
                log_size = middle - np.sqrt(k) / 0.05 * total
                smooth += k**-0.75 * (log_size - smooth)
                self.size = float(np.exp(log_size if k < warmup else smooth))
            else:
                found.append(q)
        return np.array(found)


def main() -> None:
    """Draw, and compare means and standard deviations with the exact ones."""
    out = pictures.folder(__doc__)
    rng = np.random.default_rng(0)
    n, truth = 60, np.array([1.0, -2.0, 0.5])
    X = np.stack([np.ones(n), rng.normal(size=n), rng.normal(size=n)], 1)
    y = X @ truth + 0.7 * rng.normal(size=n)

    def log_posterior(parameters: Any) -> Any:
        variance = np.exp(parameters["log_variance"])
        weights = parameters["weights"]
        prior = (
            R.inverse_gamma.log_prob(variance, 2.0, 1.0) + R.normal.log_prob(weights, 0.0, 3 * np.sqrt(variance)).sum()
        )
        return prior + R.normal.log_prob(y, X @ weights, np.sqrt(variance)).sum() + parameters["log_variance"]

    start, nested = tn.tree.ravel({"weights": np.zeros(3), "log_variance": np.array(0.0)})
    density = tn.compile(tn.value_and_grad(lambda q: log_posterior(nested(q))))
    sampler = Nuts(density, rng)
    begin = time.perf_counter()
    drawn = sampler.samples(start.numpy(), 300, 2000)
    spent = time.perf_counter() - begin
    print(
        f"2,000 samples in {spent:.1f} s: {spent / sampler.gradients * 1e6:.0f} µs a gradient, step {sampler.size:.2f}"
    )
    # The exact posterior: variance is inverse gamma, the weights are Student's t.
    precision = X.T @ X + np.eye(3) / 9
    mean = np.linalg.solve(precision, X.T @ y)
    shape, scale = 2 + n / 2, 1 + (y @ y - mean @ precision @ mean) / 2
    deviation = np.sqrt(scale / (shape - 1) * np.diag(np.linalg.inv(precision)))
    found = [nested(q) for q in drawn]
    weights = np.array([f["weights"].numpy() for f in found])
    variance = np.array([np.exp(f["log_variance"].item()) for f in found])
    rows = [*zip(weights.T, mean, deviation, strict=True)]
    rows.append((variance, scale / (shape - 1), scale / (shape - 1) / np.sqrt(shape - 2)))
    for name, (sample, exact, spread) in zip(["weight 0", "weight 1", "weight 2", "variance"], rows, strict=True):
        print(f"{name}: {sample.mean():.3f} ± {sample.std():.3f}, exact {exact:.3f} ± {spread:.3f}")
        assert abs(sample.mean() - exact) < 0.15 * spread
        assert abs(sample.std() / spread - 1) < 0.12
    steps = np.arange(400.0)
    pictures.lines(
        out / "nuts.svg", {"weight 1": (steps, weights[:400, 1]), "weight 2": (steps, weights[:400, 2])}, "sample"
    )


if __name__ == "__main__":
    main()
