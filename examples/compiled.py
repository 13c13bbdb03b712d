"""Compiling: the same training step in eager mode, as one program, and a whole epoch as one call.

Trains a small network on handwritten digits three times from the same start and shows that the losses are the same,
how long a step takes, and what the program looks like.

    python examples/compiled.py
"""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

BATCH, EPOCHS = 50, 5


class Net(nn.Module):
    """784 pixels to 10 classes."""

    def __init__(self) -> None:
        self.hidden = nn.Linear(784, 100)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(100, 10)

    def forward(self, x: Any) -> Any:
        return self.out(self.dropout(tn.tanh(self.hidden(x))))


def training(net: Net) -> tuple[Any, Any]:
    """One step, and a whole epoch, of training a network."""
    opt = optim.Adam(net.parameters(), lr=optim.cosine(2e-3, EPOCHS * 1000 // BATCH))

    def step(x: Any, y: Any) -> Any:
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    def epoch(xs: Any, ys: Any) -> Any:
        _, losses = tn.scan(lambda carry, batch: (carry, step(*batch)), None, (xs, ys))
        return losses

    return step, epoch


def main() -> None:
    """Train three times."""
    images, labels, test_images, test_labels = tn.data.digits()
    xs = images.reshape(-1, BATCH, 784)
    ys = labels.reshape(-1, BATCH)
    tn.random.seed(0)
    start = Net()
    losses: dict[str, Any] = {}
    for name in ("eager", "compiled step", "compiled epoch"):
        net = copy.deepcopy(start)
        step, epoch = training(net)
        if name == "compiled step":
            step = tn.compile(step)
        elif name == "compiled epoch":
            epoch = tn.compile(epoch)
        tn.random.seed(1)  # the same dropout masks
        found = []
        seconds = []
        for _ in range(EPOCHS):
            begin = time.perf_counter()
            if name == "compiled epoch":
                found += list(epoch(xs, ys).numpy())
            else:
                found += [step(x, y).item() for x, y in zip(xs, ys, strict=True)]
            seconds.append(time.perf_counter() - begin)
        losses[name] = np.array(found)
        with tn.no_grad():
            accuracy = float((net.eval()(test_images.reshape(-1, 784)).numpy().argmax(1) == test_labels).mean())
        per_step = min(seconds) / len(xs) * 1e6
        print(
            f"{name:15} {per_step:7.0f} µs a step, last loss {found[-1]:.4f}, {100 * accuracy:.1f} % right on new digits"
        )
        if name == "compiled step":
            explanation = str(step.explain())
    for name, values in losses.items():
        np.testing.assert_allclose(values, losses["eager"], rtol=1e-3, err_msg=name)
    assert losses["eager"][-5:].mean() < 0.5 * losses["eager"][:5].mean()
    print("all three gave the same losses\n")
    print("\n".join(explanation.splitlines()[:12]))


if __name__ == "__main__":
    main()
