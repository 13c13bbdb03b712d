"""A recurrent network that adds: it reads a sequence of numbers, two of which are marked, and gives their sum.

To do so it must keep the first marked number through the noise until the second comes, and add that: the task on which
Hochreiter and Schmidhuber (1997) showed what long short-term memory is for. Sequences have unequal lengths.

python examples/recurrent.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

STEPS, BATCH = 400, 64
SHORTEST, LONGEST = 10, 25


def additions(rng: np.random.Generator, batch: int) -> tuple[Any, Any, Any]:
    """Sequences (time, batch, 2) of a number between 0 and 1 and whether it is marked; their lengths; the sums."""
    lengths = rng.integers(SHORTEST, LONGEST + 1, batch)
    x = np.zeros((LONGEST, batch, 2), np.float32)
    x[..., 0] = rng.uniform(size=(LONGEST, batch))
    for row, length in enumerate(lengths):
        x[rng.choice(length, 2, replace=False), row, 1] = 1
    sums = (x[..., 0] * x[..., 1]).sum(0)
    return x, lengths, sums[:, None]


class Adder(nn.Module):
    """Reads with a GRU and tells the sum from its last state."""

    def __init__(self, units: int = 32) -> None:
        self.read = nn.GRU(2, units)
        self.tell = nn.Linear(units, 1)

    def forward(self, x: Any, lengths: Any = None) -> Any:
        _, last = self.read(x, lengths=lengths)
        return self.tell(last[0])


def main() -> None:
    """Train, and try."""
    tn.random.seed(0)
    rng = np.random.default_rng(0)
    net = Adder()
    opt = optim.Adam(net.parameters(), lr=optim.cosine(0.02, STEPS))

    def step(x: Any, lengths: Any, sums: Any) -> Any:
        loss = F.mse_loss(net(x, lengths), sums)
        opt.zero_grad()
        loss.backward()
        optim.clip_grad_norm(net.parameters(), 1.0)
        opt.step()
        return loss

    print("a network that always answers 1 has a mean squared error of 0.167")
    for n in range(1, STEPS + 1):
        loss = step(*additions(rng, BATCH))
        if n % 100 == 0:
            print(f"step {n}: {loss.item():.4f}")

    x, lengths, sums = additions(rng, 1000)
    with tn.no_grad():
        told = net(x, lengths).numpy()
    error = ((told - sums) ** 2).mean()
    for k in range(3):
        marked = x[x[:, k, 1] == 1, k, 0]
        print(f"{marked[0]:.2f} + {marked[1]:.2f} = {told[k, 0]:.2f}, in a sequence of {lengths[k]}")
    print(f"mean squared error on 1000 new sequences: {error:.5f}")
    assert error < 0.01, error


if __name__ == "__main__":
    main()
