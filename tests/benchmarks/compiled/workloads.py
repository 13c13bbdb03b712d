"""What is measured, defined once for all candidates: data, initial values, hyperparameters, and the bounds to meet.

Everything is float32. A candidate is `side` or `side-how`: `torch-compiled` is built by `torch_side.build(task,
"compiled")`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.side_by_side.tasks import Array, Bound, Workload

CANDIDATES = (
    "tapenet-eager",
    "tapenet-plan",
    "tapenet-native",
    "torch-eager",
    "torch-compiled",
    "jax",
    "numpy",
    "numba",
)
PEERS = ("torch-eager", "torch-compiled", "jax")
SLOW = ("torch-compiled",)

#: Numbers of nodes for the growth of compile time.
COUNTS = (10, 100, 1000, 10_000)


@dataclass(frozen=True)
class Dense:
    """A training step of a net of linear layers, each with a tanh behind it, with the mean squared error.

    Attributes:
        batches: 0 for a step; else one call is an epoch of as many steps, each with a batch of its own.
    """

    sizes: tuple[int, ...]
    batch: int
    lr: float
    adam: bool = False
    batches: int = 0

    def data(self) -> tuple[Array, Array]:
        """Inputs in [0, 1), targets in [-0.8, 0.8)."""
        r = np.random.default_rng(1)
        rows = (self.batches, self.batch) if self.batches else (self.batch,)
        x = r.random((*rows, self.sizes[0]), np.float32)
        y = r.random((*rows, self.sizes[-1]), np.float32)
        return x, y * np.float32(1.6) - np.float32(0.8)

    def parameters(self) -> list[Array]:
        """Weight (out, in) and bias of each layer, from PyTorch's default distribution."""
        r = np.random.default_rng(2)
        return [
            (r.uniform(-1, 1, shape) / np.sqrt(a)).astype(np.float32)
            for a, b in itertools.pairwise(self.sizes)
            for shape in ((b, a), (b,))
        ]

    def products(self) -> list[tuple[int, int, int]]:
        """(m, k, n) of the matrix products of a call; with one row there are none, only matrix-vector products."""
        if self.batch == 1:
            return []
        layers = list(itertools.pairwise(self.sizes))
        forward = [(self.batch, a, b) for a, b in layers]
        by_weight = [(a, self.batch, b) for a, b in layers]
        by_input = [(self.batch, b, a) for a, b in layers[1:]]
        return (forward + by_weight + by_input) * max(1, self.batches)

    def traffic(self) -> list[tuple[int, int]]:
        """(bytes, working set) of what has to be touched outside of the matrix products.

        Weights, SGD: nothing, since the product that makes a gradient can add it; with one row, where no product counts,
        all of them forward and backward. Adam: weight and two moments. Activations: tanh in place, and h and g in
        g(1 - h²). The data of an epoch.
        """
        weights = sum(p.size for p in self.parameters())
        activations = self.batch * sum(self.sizes[1:])
        per_weight = 12 if self.adam else 8 if self.batch == 1 else 0
        steps = max(1, self.batches)
        touched = [
            (steps * per_weight * weights, (12 if self.adam else 4) * weights),
            (steps * 12 * activations, 8 * activations),
        ]
        if self.batches:
            data = 4 * steps * self.batch * (self.sizes[0] + self.sizes[-1])
            touched.append((data, data))
        return touched


@dataclass(frozen=True)
class Logistic:
    """A step of gradient descent on the whole batch: binary cross-entropy of x @ w + b with logits."""

    rows: int
    columns: int
    lr: float

    def data(self) -> tuple[Array, Array]:
        """Normal inputs, and labels drawn by a model of the kind that is fitted."""
        r = np.random.default_rng(1)
        x = r.standard_normal((self.rows, self.columns), np.float32)
        logits = x @ r.standard_normal(self.columns, np.float32)
        return x, (r.random(self.rows) < 1 / (1 + np.exp(-logits))).astype(np.float32)

    def parameters(self) -> list[Array]:
        """The weight vector and the bias."""
        return [np.zeros(self.columns, np.float32), np.zeros((), np.float32)]

    def products(self) -> list[tuple[int, int, int]]:
        """None: both products are with a vector."""
        return []

    def traffic(self) -> list[tuple[int, int]]:
        """x and y, read once: a block of rows can be used for the loss and the gradient while it is in the cache."""
        data = 4 * self.rows * (self.columns + 1)
        return [(data, data)]


@dataclass(frozen=True)
class BlackScholes:
    """Prices of European calls, Φ by erf, and the gradient of their sum by all five inputs."""

    options: int

    def data(self) -> tuple[Array, ...]:
        """Spot, strike, rate, volatility and time."""
        r = np.random.default_rng(1)
        ranges = ((80, 120), (80, 120), (0.01, 0.05), (0.1, 0.4), (0.25, 2))
        return tuple(r.uniform(low, high, self.options).astype(np.float32) for low, high in ranges)

    def products(self) -> list[tuple[int, int, int]]:
        """None."""
        return []

    def traffic(self) -> list[tuple[int, int]]:
        """Five inputs read, five gradients written."""
        touched = 4 * self.options * 10
        return [(touched, touched)]


@dataclass(frozen=True)
class Update:
    """A step of Adam on parameters whose gradients are there."""

    count: int
    lr: float = 1e-3

    def parameters(self) -> Array:
        """The values to begin with."""
        return np.random.default_rng(2).standard_normal(self.count, np.float32)

    def data(self) -> Array:
        """The gradients."""
        return np.random.default_rng(1).standard_normal(self.count, np.float32)

    def products(self) -> list[tuple[int, int, int]]:
        """None."""
        return []

    def traffic(self) -> list[tuple[int, int]]:
        """Parameters and two moments are read and written, gradients read."""
        return [(16 * self.count, 16 * self.count)]


@dataclass(frozen=True)
class FirstCall:
    """The first call of a task's step in a fresh process, with a cold or a warm cache on disk."""

    task: Dense


@dataclass(frozen=True)
class Growth:
    """Time to capture and compile, against the number of nodes: of a `chain` of sines and its gradient, or of the
    training step of a `net` of linear layers 8 wide with tanh, two nodes a layer."""

    shape: str


def _dense(over: tuple[str, ...], at_most: float) -> tuple[Bound, ...]:
    return Bound("tapenet-native", over, at_most), Bound("tapenet-plan", ("torch-eager",), 0.8)


_SMALL = (784, 100, 50, 10)
_LARGE = (784, 512, 512, 10)
_GROWTH = tuple(Bound(f"{c} 10,000", (f"{c} 1,000",), 1.5) for c in ("tapenet-plan", "tapenet-native"))

WORKLOADS = {
    "xor": Workload("XOR 2-3-1 tanh, batch 4", Dense((2, 3, 1), 4, 0.05), _dense(("jax",), 0.20)),
    "dense-1": Workload("784-100-50-10 tanh, batch 1", Dense(_SMALL, 1, 0.01), _dense(("jax",), 0.35)),
    "dense-64": Workload("784-100-50-10 tanh, batch 64", Dense(_SMALL, 64, 0.01), _dense(PEERS, 0.9)),
    "large-256": Workload("784-512-512-10 tanh, batch 256", Dense(_LARGE, 256, 0.01), _dense(PEERS, 1.02)),
    "logistic": Workload(
        "logistic regression 200,000 x 20", Logistic(200_000, 20, 0.5), (Bound("tapenet-native", PEERS, 0.8),)
    ),
    "black-scholes": Workload(
        "Black-Scholes and 5 gradients, 1,000,000 options",
        BlackScholes(1_000_000),
        (Bound("tapenet-native", PEERS, 0.8),),
    ),
    "adam": Workload(
        "784-512-512-10 tanh, batch 32, Adam",
        Dense(_LARGE, 32, 1e-3, adam=True),
        (Bound("tapenet-native", PEERS, 0.9),),
    ),
    "update": Workload("Adam on 10,000,000 parameters", Update(10_000_000), (Bound("tapenet-native", PEERS, 0.9),)),
    "epoch": Workload(
        "784-100-50-10 tanh, an epoch of 937 batches of 64",
        Dense(_SMALL, 64, 0.01, batches=937),
        (Bound("tapenet-native", ("jax",), 0.9),),
    ),
    "first-call": Workload(
        "first call of 784-100-50-10, batch 64",
        FirstCall(Dense(_SMALL, 64, 0.01)),
        (Bound("tapenet-native cold", ("jax cold",), 8), Bound("tapenet-native warm", ("jax cold",), 1.0)),
    ),
    "growth-chain": Workload("compiling a chain, per node", Growth("chain"), _GROWTH),
    "growth-net": Workload("compiling a net, per node", Growth("net"), _GROWTH),
}

#: What is written as a loop for Numba.
LOOPS = ("logistic", "black-scholes", "update")
#: What says nothing of several threads.
ALONE = ("first-call", "growth-chain", "growth-net")
