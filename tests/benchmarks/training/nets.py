"""The two networks, their data, first weights and the order of the batches: the same for all libraries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BATCH, EVALUATED, EPOCHS = 64, 256, 30


class Net(NamedTuple):
    """A network.

    Attributes:
        title: in words.
        target: the accuracy on the test set at which the clock stops.
        rate, decay: Adam's learning rate in the first epoch, and what it is multiplied by from one to the next.
        shapes: of the weights, as PyTorch has them; each has a bias.
    """

    title: str
    target: float
    rate: float
    decay: float
    shapes: list[tuple[int, ...]]


NETS = {
    "dense": Net("784-100-50-10 tanh to 97.5 %", 0.975, 1e-3, 1.0, [(100, 784), (50, 100), (10, 50)]),
    "small-cnn": Net(
        "small CNN (8 and 16 channels, 3x3) to 99 %",
        0.99,
        3e-3,
        0.8,
        [(8, 1, 3, 3), (16, 8, 3, 3), (64, 400), (10, 64)],
    ),
}


def weights(net: Net) -> list[tuple[Array, Array]]:
    """Weight and bias of each layer: uniform in ± 1/sqrt(inputs), as PyTorch draws them."""
    rng = np.random.default_rng(1)
    found = []
    for shape in net.shapes:
        limit = 1 / np.sqrt(np.prod(shape[1:]))
        drawn = (rng.uniform(-limit, limit, size) for size in (shape, shape[:1]))
        weight, bias = (values.astype(np.float32) for values in drawn)
        found.append((weight, bias))
    return found


def orders(samples: int) -> Iterator[Array]:
    """The order of the samples in each epoch: that of `tn.data.batches(..., shuffle=True, seed=0)`."""
    rng = np.random.default_rng(0)
    while True:
        yield rng.permutation(samples)
