"""Handwritten digits with dense layers, 784-100-50-10 and tanh.

    python examples/mnist_fc.py             # mini-batches, all of MNIST if it is there, else the bundled digits
    python examples/mnist_fc.py --tutorial  # the original setting: one sample at a time, squared error

MNIST is looked for in $TAPENET_DATA and in the user's cache; `python -c "import tapenet; tapenet.data.mnist()"`
downloads it once.
"""

import argparse
from collections.abc import Callable

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim


def load() -> tuple[tn.data.LabelledImages, bool]:
    """All of MNIST if it is on this machine, else the digits that come with tapenet; and which."""
    try:
        return tn.data.mnist(download=False), True
    except FileNotFoundError:
        print("MNIST is not on this machine: using the 2,000 bundled digits")
        return tn.data.digits(), False


def accuracy(net: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of images whose largest output is at the right digit."""
    net.eval()
    with tn.no_grad():
        right = [(net(x).argmax(axis=1) == y).data for x, y in tn.data.batches(images, labels, batch_size=500)]
    net.train()
    return float(np.concatenate(right).mean())


def fit(net: nn.Module, opt: optim.Optimizer, batches: tn.data.Batches, epochs: int, loss_of: Callable) -> None:
    """Train, and print the mean loss of each epoch."""
    for epoch in range(epochs):
        total = 0.0
        for x, y in batches:
            loss = loss_of(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item()
        print(f"epoch {epoch + 1:3d}/{epochs}  loss {total / len(batches):.6f}")


def train(net: nn.Module, data: tn.data.LabelledImages, epochs: int) -> float:
    """Mini-batches of 64, cross-entropy, Adam with a falling learning rate."""
    batches = tn.data.batches(data.train_images, data.train_labels, batch_size=64, shuffle=True, seed=0)
    opt = optim.Adam(net.parameters(), lr=optim.cosine(2e-3, epochs * len(batches)))
    fit(net, opt, batches, epochs, F.cross_entropy)
    return accuracy(net, data.test_images, data.test_labels)


def tutorial(net: nn.Module, data: tn.data.LabelledImages, epochs: int) -> float:
    """The first 1,000 images, one at a time, mean squared error against one-hot targets, rate 0.1."""
    targets = np.eye(10, dtype=np.float32)[data.train_labels[:1000]]
    batches = tn.data.batches(data.train_images[:1000], targets, batch_size=1)
    fit(net, optim.SGD(net.parameters(), lr=0.1), batches, epochs, F.mse_loss)
    return accuracy(net, data.test_images, data.test_labels)


def dense(*last: nn.Module) -> nn.Sequential:
    """784-100-50-10 with tanh between."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 50), nn.Tanh(), nn.Linear(50, 10), *last
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tutorial", action="store_true", help="the original setting, one sample at a time")
    options = parser.parse_args()
    tn.random.seed(0)
    data, full = load()
    if options.tutorial:
        reached, goal = tutorial(dense(nn.Tanh()), data, epochs=35), 0.80
    else:
        reached, goal = train(dense(), data, epochs=10 if full else 30), 0.975 if full else 0.88
    print(f"test accuracy {reached:.2%}")
    assert reached >= goal, f"{reached:.2%} is below {goal:.2%}"
