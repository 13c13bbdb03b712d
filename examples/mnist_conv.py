"""Handwritten digits with convolutions.

    python examples/mnist_conv.py             # a small CNN, all of MNIST if it is there, else the bundled digits
    python examples/mnist_conv.py --tutorial  # the original setting: one channel, one sample at a time

MNIST is looked for in $TAPENET_DATA and in the user's cache; `python -c "import tapenet; tapenet.data.mnist()"`
downloads it once.
"""

import argparse

from mnist_fc import load, train, tutorial

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn


class Net(nn.Module):
    """Two convolutions with pooling, then two dense layers."""

    def __init__(self) -> None:
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.fc1 = nn.Linear(32 * 5 * 5, 128)
        self.fc2 = nn.Linear(128, 10)
        self.drop = nn.Dropout(0.3)

    def forward(self, x: tn.Tensor) -> tn.Tensor:
        h = F.max_pool2d(F.relu(self.conv1(x)), 2)
        h = F.max_pool2d(F.relu(self.conv2(h)), 2)
        h = self.drop(F.relu(self.fc1(h.reshape(len(h), -1))))
        return self.fc2(h)


def original() -> nn.Sequential:
    """The tutorial's network: one 3x3 convolution to one channel, two dense layers, tanh after each."""
    return nn.Sequential(
        nn.Conv2d(1, 1, 3), nn.Tanh(), nn.Flatten(),
        nn.Linear(26 * 26, 100), nn.Tanh(), nn.Linear(100, 10), nn.Tanh(),
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tutorial", action="store_true", help="the original setting, one sample at a time")
    options = parser.parse_args()
    tn.random.seed(0)
    data, full = load()
    if options.tutorial:
        reached, goal = tutorial(original(), data, epochs=100), 0.80
    else:
        reached, goal = train(Net(), data, epochs=5 if full else 30), 0.988 if full else 0.92
    print(f"test accuracy {reached:.2%}")
    assert reached >= goal, f"{reached:.2%} is below {goal:.2%}"
