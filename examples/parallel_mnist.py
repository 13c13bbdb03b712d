"""Handwritten digits on several ranks: each computes the gradients of its part of a batch, and all update by their mean.

Then every rank trains the same network alone on whole batches, and the parameters of both are compared: they differ by
rounding. There are 1,000 digits: of MNIST if it is on this machine, or those that come with tapenet.

    mpiexec -n 4 python examples/parallel_mnist.py
"""

from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim, parallel

SAMPLES, EPOCHS = 1000, 6


def digits() -> Any:
    """Images and labels for training and for testing. In double precision two runs stay close for longer."""
    try:
        data = tn.data.mnist(download=False)
    except FileNotFoundError:
        data = tn.data.digits()
    images, labels, test_images, test_labels = (part[:SAMPLES] for part in data)
    return images.astype(np.float64), labels, test_images.astype(np.float64), test_labels


def trained(images: Any, labels: Any, together: bool) -> nn.Module:
    """The network after some epochs, by all ranks together or by each alone."""
    tn.training.seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(288, 64), nn.ReLU(), nn.Linear(64, 10),
    ).double()  # fmt: skip
    sgd = optim.SGD(net, lr=0.05, momentum=0.9)
    if together:
        net = parallel.synchronize_batch_norm(net)
        sgd = parallel.optimizer(sgd, net)
    verbose = 1 if together else 0
    tn.training.fit(net, F.cross_entropy, sgd, (images, labels), epochs=EPOCHS, batch_size=60, seed=0, verbose=verbose)
    return net


def main() -> None:
    """Train in both ways, compare, and test."""
    images, labels, test_images, test_labels = digits()
    net, alone = (trained(images, labels, together) for together in (True, False))
    assert parallel.equal(net), "the ranks have other parameters"
    parts = zip(net.state_dict().values(), alone.state_dict().values(), strict=True)
    apart = max(float(np.abs(one - other).max()) for one, other in parts)
    reached = tn.training.evaluate(net, F.cross_entropy, (test_images, test_labels), metrics="accuracy")["accuracy"]
    if parallel.rank == 0:
        print(f"{parallel.size} ranks and one differ by {apart:.1e} at most; test accuracy {reached:.1%}")
    assert apart < 1e-8, apart
    assert reached > 0.85, reached


if __name__ == "__main__":
    main()
