"""Recommendations: what a user thinks of a film, from what all users thought of those they saw.

A vector for each user and one for each film are learned, whose product is the rating (Koren, Bell and Volinsky, "Matrix
factorization techniques for recommender systems", 2009). A step sees a few hundred of the rows of two large tables.
Their gradients are kept by rows, and SparseAdam updates these alone, so that a step costs what its batch reads.

python examples/embeddings.py
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

USERS, FILMS, RATINGS = 8_000, 3_000, 300_000
EPOCHS, BATCH = 3, 500


def ratings(rng: np.random.Generator, users: int, films: int, count: int) -> tuple[Any, Any]:
    """Pairs (count, 2) of a user and a film, and how the user rates it: by three tastes, and noise of variance 0.01."""
    tastes, kinds = rng.normal(size=(users, 3)), rng.normal(size=(films, 3))
    pairs = np.stack([rng.integers(0, users, count), rng.integers(0, films, count)], 1)
    scores = np.tanh((tastes[pairs[:, 0]] * kinds[pairs[:, 1]]).sum(1))
    return pairs, (scores + 0.1 * rng.normal(size=count)).astype(np.float32)


class Recommender(nn.Module):
    """The product of a user's vector and a film's, and how much the film is liked by all."""

    def __init__(self, users: int, films: int, width: int = 32) -> None:
        self.users = nn.Embedding(users, width)
        self.films = nn.Embedding(films, width)
        self.liked = nn.Embedding(films, 1)
        for table in (self.users, self.films, self.liked):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, pairs: Any) -> Any:
        user, film = pairs[:, 0], pairs[:, 1]
        return tn.tanh((self.users(user) * self.films(film)).sum(-1) + self.liked(film)[:, 0])


def main() -> None:
    """Train, try, and tell what a step costs by rows and in whole tables."""
    tn.random.seed(0)
    pairs, scores = ratings(np.random.default_rng(0), USERS, FILMS, RATINGS)
    known, new = slice(0, RATINGS * 9 // 10), slice(RATINGS * 9 // 10, None)
    net = Recommender(USERS, FILMS)
    print(f"{net.num_parameters():,} parameters, of which a step reads at most {BATCH * (2 * 32 + 1):,}")

    def step(net: nn.Module, opt: optim.Optimizer, x: Any, y: Any) -> Any:
        loss = F.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    opt = optim.SparseAdam(net.parameters(), lr=optim.linear(0.02, 0.0, EPOCHS * (RATINGS * 9 // 10) // BATCH))
    for epoch in range(1, EPOCHS + 1):
        batches = tn.data.batches(pairs[known], scores[known], batch_size=BATCH, shuffle=True, seed=epoch)
        losses = [step(net, opt, x, y).item() for x, y in batches]
        print(f"epoch {epoch}: mean squared error {np.mean(losses):.4f}")

    with tn.no_grad():
        error = ((net(pairs[new]).numpy() - scores[new]) ** 2).mean()
    print(f"of ratings not seen before: {error:.4f}; their variance is {scores[new].var():.4f}")
    assert error < 0.5 * scores[new].var(), error

    large = Recommender(10 * USERS, 10 * FILMS)
    for kind in (optim.SparseAdam, optim.Adam):
        opt = kind(large.parameters(), lr=1e-3)
        start = time.perf_counter()
        for k in range(10):
            step(large, opt, pairs[k * BATCH : (k + 1) * BATCH], scores[k * BATCH : (k + 1) * BATCH])
        print(f"a step of ten times the tables with {kind.__name__}: {(time.perf_counter() - start) * 100:.1f} ms")


if __name__ == "__main__":
    main()
