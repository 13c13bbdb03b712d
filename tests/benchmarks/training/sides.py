"""One library on the way to an accuracy: python -m tests.benchmarks.training.sides CANDIDATE NET [SAMPLES EPOCHS]

Prints as JSON how long it took, from a model that is built and data that is in memory, with all compilation, and the
accuracy on the test set after each epoch. After each epoch the whole test set is evaluated. With SAMPLES, it trains on the
first so many and tests on a sixth as many, for so many epochs: from two such runs one can tell what an epoch takes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.side_by_side import clock
from tests.benchmarks.training.nets import BATCH, EPOCHS, EVALUATED, NETS, Net, orders, weights

Data = tuple[Any, Any, Any, Any]
#: Begins training; gives the accuracy after each epoch.
Run = Callable[[int], list[float]]


def _model(nn: Any, net: Net) -> Any:
    """The network of modules of tapenet or PyTorch."""
    layers: dict[str, Callable[[], Any]] = {
        "dense": lambda: [
            nn.Flatten(), nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 50), nn.Tanh(), nn.Linear(50, 10),
        ],
        "small-cnn": lambda: [
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(400, 64), nn.ReLU(), nn.Linear(64, 10),
        ],
    }  # fmt: skip
    return nn.Sequential(*layers[_name(net)]())


def tapenet(net: Net, data: Data) -> Run:
    import tapenet as tn
    import tapenet.nn.functional as F
    from tapenet import nn, optim

    model = _model(nn, net)
    given = iter(array for pair in weights(net) for array in pair)
    for param in model.parameters():
        param.data = next(given)
    x, y, test_x, test_y = data

    steps = -(-len(x) // BATCH)
    rate = net.rate if net.decay == 1 else lambda k: net.rate * net.decay ** (k // steps)

    def stop(state: Any) -> None:
        state.stop = state.logs["val_accuracy"] >= net.target

    def run(epochs: int) -> list[float]:
        history = tn.training.fit(
            model, F.cross_entropy, optim.Adam(model, lr=rate), (x, y), epochs=epochs, batch_size=BATCH, seed=0,
            validation=tn.data.batches(test_x, test_y, batch_size=EVALUATED), metrics="accuracy", callbacks=stop,
        )  # fmt: skip
        return history["val_accuracy"]

    return run


def torch(net: Net, data: Data, loader: bool) -> Run:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    model = _model(nn, net)
    given = iter(array for pair in weights(net) for array in pair)
    with torch.no_grad():
        for param in model.parameters():
            param.copy_(torch.from_numpy(next(given)))
    opt = torch.optim.Adam(model.parameters(), lr=net.rate)
    criterion = nn.CrossEntropyLoss()
    x, y, test_x, test_y = map(torch.from_numpy, data)

    class Ordered(torch.utils.data.Sampler):  # type: ignore[misc, type-arg, unused-ignore]
        def __init__(self) -> None:
            self.orders = orders(len(x))

        def __iter__(self) -> Any:
            return iter(next(self.orders).tolist())

        def __len__(self) -> int:
            return len(x)

    def by_index() -> Any:
        for order in orders(len(x)):
            rows = torch.from_numpy(order)
            yield ((x[r], y[r]) for r in (rows[i : i + BATCH] for i in range(0, len(rows), BATCH)))

    def by_loader(loaded: Any) -> Any:
        while True:
            yield loaded

    def run(epochs: int) -> list[float]:
        ordered = DataLoader(TensorDataset(x, y), batch_size=BATCH, sampler=Ordered())
        passes = by_loader(ordered) if loader else by_index()
        found = []
        for epoch in range(epochs):
            model.train()
            opt.param_groups[0]["lr"] = net.rate * net.decay**epoch
            right = total = 0.0
            for a, b in next(passes):
                opt.zero_grad()
                output = model(a)
                loss = criterion(output, b)
                loss.backward()
                opt.step()
                right += (output.argmax(1) == b).sum().item()
                total += loss.item() * len(a)
            model.eval()
            with torch.no_grad():
                tested = (
                    (test_x[i : i + EVALUATED], test_y[i : i + EVALUATED]) for i in range(0, len(test_x), EVALUATED)
                )
                hits = sum((model(a).argmax(1) == b).sum().item() for a, b in tested)
            found.append(hits / len(test_x))
            if found[-1] >= net.target:
                break
        return found

    return run


def keras(net: Net, data: Data) -> Run:
    os.environ["KERAS_BACKEND"] = "jax"
    import keras  # type: ignore[import-untyped, unused-ignore]
    from keras import layers

    def conv(filters: int) -> Any:
        return layers.Conv2D(filters, 3, activation="relu")

    made: dict[str, Callable[[], Any]] = {
        "dense": lambda: [
            layers.Flatten(), layers.Dense(100, activation="tanh"), layers.Dense(50, activation="tanh"), layers.Dense(10),
        ],
        # The first dense layer takes the elements in an order of its own, which its weights are put into.
        "small-cnn": lambda: [
            conv(8), layers.MaxPooling2D(), conv(16), layers.MaxPooling2D(), layers.Flatten(),
            layers.Dense(64, activation="relu"), layers.Dense(10),
        ],
    }  # fmt: skip
    images, y, test_images, test_y = data
    x, test_x = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (images, test_images))
    model = keras.Sequential([keras.Input((28, 28, 1)), *made[_name(net)]()])
    arrays = []
    for weight, bias in weights(net):
        if weight.ndim == 4:
            weight = weight.transpose(2, 3, 1, 0)
        elif weight.shape[1] == 400:
            weight = weight.reshape(64, 16, 5, 5).transpose(2, 3, 1, 0).reshape(400, 64)
        else:
            weight = weight.T
        arrays += [weight, bias]
    model.set_weights(arrays)
    model.compile(
        optimizer=keras.optimizers.Adam(net.rate, epsilon=1e-8),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )

    def run(epochs: int) -> list[float]:
        found: list[float] = []
        for order in orders(len(x)):
            model.optimizer.learning_rate = net.rate * net.decay ** len(found)
            model.fit(x[order], y[order], batch_size=BATCH, shuffle=False, verbose=0)
            found.append(model.evaluate(test_x, test_y, batch_size=EVALUATED, verbose=0)[1])
            if found[-1] >= net.target or len(found) == epochs:
                break
        return found

    return run


CANDIDATES: dict[str, Callable[[Net, Data], Run]] = {
    "tapenet": tapenet,
    "torch": lambda net, data: torch(net, data, loader=True),
    "torch, by index": lambda net, data: torch(net, data, loader=False),
    "keras": keras,
}


def _name(net: Net) -> str:
    return next(name for name, one in NETS.items() if one is net)


def main() -> None:
    from tapenet.data import mnist

    candidate, name, *part = sys.argv[1:]
    net, epochs = NETS[name], EPOCHS
    images, labels, test_images, test_labels = mnist(download=False)
    if part:
        samples, epochs = map(int, part)
        images, labels, tested = images[:samples], labels[:samples], samples // 6
        test_images, test_labels = test_images[:tested], test_labels[:tested]
    data = images, labels, test_images, test_labels
    run = CANDIDATES[candidate](net, data)
    start = clock()
    accuracies = run(epochs)
    print(json.dumps({"seconds": clock() - start, "accuracies": accuracies}))


if __name__ == "__main__":
    main()
