"""Variational inference: the posterior is looked for in a family, by gradients of the evidence lower bound through draws.

First where the family holds the posterior, so that the answer is known: shares of five outcomes, seen in counts, with
Dirichlet's family. Its draws are differentiated implicitly. Then a logistic regression with the family of normal
distributions, beside a Laplace approximation, whose covariance is the inverse of the Hessian.

python examples/variational.py [--out FOLDER]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pictures

import tapenet as tn
from tapenet import optim

R = tn.random


def maximise(bound: Callable[[Any], Any], start: dict[str, Any], steps: int, rate: float) -> tuple[dict[str, Any], Any]:
    """Follow gradients of a bound that is estimated anew at each step, with a rate that falls to 0."""
    q = {name: tn.tensor(value, requires_grad=True) for name, value in start.items()}
    optimizer = optim.Adam(list(q.values()), lr=rate)

    @tn.compile
    def step() -> Any:
        value = bound(q)
        (-value).backward()
        optimizer.step()
        optimizer.zero_grad()
        return value

    values = np.empty(steps)
    for k in range(steps):
        optimizer.lr = rate * (1 - k / steps)
        values[k] = step().item()
    return {name: value.detach().numpy() for name, value in q.items()}, values


def shares(out: Any) -> None:
    """Counts of five outcomes; the posterior of their shares is Dirichlet's with the prior plus the counts."""
    prior, counts = np.ones(5), np.array([3.0, 12.0, 0.0, 5.0, 20.0])

    def bound(q: dict[str, Any]) -> Any:
        alpha = np.exp(q["log_alpha"])
        z = R.dirichlet(alpha, size=64)
        joint = np.sum((prior + counts - 1) * np.log(z), axis=-1)
        return np.mean(joint - R.dirichlet.log_prob(z, alpha))

    found, values = maximise(bound, {"log_alpha": np.zeros(5)}, 1500, 0.05)
    alpha = np.exp(found["log_alpha"])
    print("shares: alpha", np.round(alpha, 2), "exact", prior + counts)
    assert np.abs(alpha / (prior + counts) - 1).max() < 0.1
    pictures.lines(out / "variational.svg", {"bound": (np.arange(200.0), values[:200])}, "step")


def regression() -> None:
    """A logistic regression with three weights and a normal prior."""
    rng = np.random.default_rng(0)
    X = np.concatenate([np.ones((200, 1)), rng.normal(size=(200, 2))], 1)
    y = (rng.random(200) < 1 / (1 + np.exp(-X @ [0.5, -1.0, 2.0]))).astype(float)

    def log_joint(w: Any) -> Any:
        logits = w @ X.T
        return np.sum(y * logits - np.logaddexp(0, logits), axis=-1) - np.sum(w * w, axis=-1) / 8

    def bound(q: dict[str, Any]) -> Any:
        factor = np.tril(q["factor"], -1) + np.diag(np.exp(q["log_diagonal"]))
        w = q["mean"] + R.normal(size=(32, 3)) @ factor.T
        return np.mean(log_joint(w)) + np.sum(q["log_diagonal"])  # the entropy, but for a constant

    start = {"mean": np.zeros(3), "factor": np.zeros((3, 3)), "log_diagonal": np.full(3, -1.0)}
    found, _ = maximise(bound, start, 2000, 0.03)
    factor = np.tril(found["factor"], -1) + np.diag(np.exp(found["log_diagonal"]))
    deviation = np.sqrt(np.diag(factor @ factor.T))
    mode = tn.optimize.minimize(lambda w: -log_joint(w), np.zeros(3), method="trust-exact").x
    laplace = np.sqrt(np.diag(np.linalg.inv(tn.hessian(lambda w: -log_joint(w))(mode).numpy())))
    for k in range(3):
        print(f"weight {k}: {found['mean'][k]:.3f} ± {deviation[k]:.3f}, Laplace {mode[k]:.3f} ± {laplace[k]:.3f}")
        assert abs(found["mean"][k] - mode[k]) < 0.5 * laplace[k]
        assert abs(deviation[k] / laplace[k] - 1) < 0.15


def main() -> None:
    """Both."""
    out = pictures.folder(__doc__)
    R.seed(0)
    shares(out)
    regression()


if __name__ == "__main__":
    main()
