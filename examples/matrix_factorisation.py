"""Recommendations: what a user thinks of a film, from what all users thought of those they saw.

A vector for each user and one for each film are learned, whose product is the rating (Koren, Bell and Volinsky, "Matrix
factorization techniques for recommender systems", 2009). A step sees a few hundred of the rows of two large tables.
Their gradients are kept by rows, and SparseAdam updates these alone, so that a step costs what its batch reads.

    python examples/matrix_factorisation.py [--out FOLDER]
"""

from typing import Any

import numpy as np
import pictures

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

USERS, FILMS, RATINGS = 8_000, 3_000, 300_000
EPOCHS, BATCH = 6, 500


def ratings(rng: np.random.Generator, users: int = USERS, films: int = FILMS, count: int = RATINGS) -> tuple[Any, Any]:
    """Pairs (n, 2) of a user and a film, and how the user rates it: by three tastes, and noise of variance 0.01."""
    tastes, kinds = rng.normal(size=(users, 3)), rng.normal(size=(films, 3))
    pairs = np.stack([rng.integers(0, users, count), rng.integers(0, films, count)], 1)
    scores = np.tanh((tastes[pairs[:, 0]] * kinds[pairs[:, 1]]).sum(1))
    return pairs, (scores + 0.1 * rng.normal(size=count)).astype(np.float32)


class Recommender(nn.Module):
    """The product of a user's vector and a film's, and how much the film is liked by all."""

    def __init__(self, users: int = USERS, films: int = FILMS, width: int = 4) -> None:
        self.users = nn.Embedding(users, width)
        self.films = nn.Embedding(films, width)
        self.liked = nn.Embedding(films, 1)
        for table in (self.users, self.films, self.liked):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, pairs: Any) -> Any:
        user, film = pairs[:, 0], pairs[:, 1]
        return tn.tanh((self.users(user) * self.films(film)).sum(-1) + self.liked(film)[:, 0])


def main() -> None:
    """Train on most ratings, and tell the others."""
    folder = pictures.folder(__doc__)
    tn.training.seed(0)
    pairs, scores = ratings(np.random.default_rng(0))
    known, new = slice(0, RATINGS * 9 // 10), slice(RATINGS * 9 // 10, None)
    net = Recommender()
    print(f"{net.num_parameters():,} parameters, of which a step reads at most {BATCH * (2 * 4 + 1):,}")
    adam = optim.SparseAdam(lr=optim.linear(0.02, 0.0, EPOCHS * (RATINGS * 9 // 10) // BATCH))
    train, test = (pairs[known], scores[known]), (pairs[new], scores[new])
    history = tn.training.fit(
        net, F.mse_loss, adam, train, epochs=EPOCHS, batch_size=BATCH, validation=test, metrics="r2"
    )

    told = tn.training.predict(net, pairs[new])
    pictures.clouds(
        folder / "matrix_factorisation.svg",
        {"ratings as they are (right) and as told (up)": np.stack([scores[new], told], 1)[:3000]},
        1.3,
        360,
    )
    reached = history["val_r2"][-1]
    print(f"of the variance of ratings not seen before, {reached:.0%} is explained")
    assert reached > 0.7, reached


if __name__ == "__main__":
    main()
