"""Learning to learn: a network that fits a new sine wave from ten points, after a few steps of gradient descent.

Model-agnostic meta-learning (Finn, Abbeel and Levine, ICML 2017): the parameters are trained such that a step of gradient
descent on a task's ten points makes the error on other points of that task small. So the gradient goes through a gradient:
`tn.grad` of a function that calls `tn.grad`. All tasks of a batch are computed at once, each with parameters of its own,
and the whole step is one compiled program.

python examples/maml.py [--out FOLDER]
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pictures

import tapenet as tn
from tapenet import optim

TASKS, SHOTS, WIDTH = 25, 10, 40
#: How far an inner step goes.
RATE = 0.02
STEPS = 4000


def waves(rng: np.random.Generator, tasks: int, points: int) -> tuple[Any, Any]:
    """Points of sine waves of random height and phase: (tasks, points, 1) each."""
    height, phase = rng.uniform(0.1, 5, (tasks, 1, 1)), rng.uniform(0, np.pi, (tasks, 1, 1))
    x = rng.uniform(-5, 5, (tasks, points, 1))
    return x.astype(np.float32), (height * np.sin(x - phase)).astype(np.float32)


def initial(rng: np.random.Generator) -> list[tn.Tensor]:
    """Weights and biases of a network with two hidden layers."""
    sizes = ((1, WIDTH), (WIDTH, WIDTH), (WIDTH, 1))
    values = [v for n, m in sizes for v in (rng.normal(size=(n, m)) / np.sqrt(n), np.zeros((1, m)))]
    return [tn.tensor(v.astype(np.float32), requires_grad=True) for v in values]


def errors(parameters: Any, x: Any, y: Any) -> Any:
    """The mean squared error of each task. Parameters may be shared, or have a first axis of tasks."""
    w1, b1, w2, b2, w3, b3 = parameters
    out = np.tanh(np.tanh(x @ w1 + b1) @ w2 + b2) @ w3 + b3
    return ((out - y) ** 2).mean(axis=(1, 2))


def adapted(parameters: Any, x: Any, y: Any, steps: int = 1) -> Any:
    """The parameters of each task after some steps of gradient descent on its points."""
    own = [np.broadcast_to(p, (len(x), *p.shape)) for p in parameters]
    for _ in range(steps):
        gradients = tn.grad(lambda own: errors(own, x, y).sum())(own)
        own = [p - RATE * g for p, g in zip(own, gradients, strict=True)]
    return own


def main() -> None:
    """Train, and compare with the same network trained on all waves at once."""
    out = pictures.folder(__doc__)
    rng = np.random.default_rng(0)
    meta, plain = initial(rng), initial(rng)
    optimizers = optim.Adam(meta, lr=2e-3), optim.Adam(plain, lr=2e-3)

    def meta_loss(parameters: Any, x: Any, y: Any) -> Any:
        return errors(adapted(parameters, x[:, :SHOTS], y[:, :SHOTS]), x[:, SHOTS:], y[:, SHOTS:]).mean()

    def plain_loss(parameters: Any, x: Any, y: Any) -> Any:
        return errors(parameters, x, y).mean()

    @tn.compile
    def step(x: Any, y: Any) -> Any:
        losses = []
        for f, parameters, opt in ((meta_loss, meta, optimizers[0]), (plain_loss, plain, optimizers[1])):
            loss, gradients = tn.value_and_grad(f)(parameters, x, y)
            for p, g in zip(parameters, gradients, strict=True):
                p.grad = g
            opt.step()
            losses.append(loss)
        return losses

    for i in range(STEPS):
        losses = step(*waves(rng, TASKS, 2 * SHOTS))
        if i % (STEPS // 4) == 0:
            print(f"step {i:5}: error after one inner step {losses[0].item():.3f}, without {losses[1].item():.3f}")

    x, y = waves(np.random.default_rng(1), 500, SHOTS + 100)
    found = {}
    for name, parameters in (("learned to learn", meta), ("learned all at once", plain)):
        found[name] = [
            errors(adapted(parameters, x[:, :SHOTS], y[:, :SHOTS], n), x[:, SHOTS:], y[:, SHOTS:]).mean().item()
            for n in range(11)
        ]
        first, one, *_, last = found[name]
        print(f"{name}: error {first:.2f} at first, {one:.2f} after 1 step, {last:.2f} after 10")

    across = np.linspace(-5, 5, 200, dtype=np.float32).reshape(1, -1, 1)
    wave = 4 * np.sin(across - 1)
    x, y = across[:, 12:100:9], wave[:, 12:100:9]  # points in its left half alone
    curves = {"the wave": wave}
    for steps in (0, 1, 10):
        w1, b1, w2, b2, w3, b3 = adapted(meta, x, y, steps)
        shown = np.tanh(np.tanh(across @ w1 + b1) @ w2 + b2) @ w3 + b3
        curves[f"after {steps} step{'s' * (steps != 1)}"] = shown.numpy()
    series = {name: (across.ravel(), values.ravel()) for name, values in curves.items()}
    pictures.lines(out / "maml.svg", series, "ten points were given, all left of 0", (760, 260))
    assert found["learned to learn"][1] < 0.6
    assert found["learned to learn"][10] < 0.35
    assert found["learned all at once"][1] > 1.5


if __name__ == "__main__":
    main()
