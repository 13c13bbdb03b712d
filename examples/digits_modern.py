"""Handwritten digits with what is usual today: a residual network with batch normalisation, in mixed precision.

AdamW with decay for weights alone, a learning rate that warms up and falls along a cosine, smoothed labels, an average of
the weights, and 8-bit weights for use. On the bundled digits, of which there are few.

    python examples/digits_modern.py         # in bfloat16, which comes with the package ml_dtypes
    python examples/digits_modern.py --full  # float32 throughout
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim


class Block(nn.Module):
    """Two convolutions, and what went in beside them: with half the rows and columns if `stride` is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.SiLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.beside = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Any) -> Any:
        return F.silu(self.body(x) + self.beside(x))


def network(width: int = 16) -> nn.Sequential:
    """Three blocks, the mean over the picture that is left, and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, 2, padding=1),
        Block(width, width, 1),
        Block(width, 2 * width, 2),
        Block(2 * width, 2 * width, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(2 * width, 10),
    )


def accuracy(net: nn.Module, images: Any, labels: Any) -> float:
    """The fraction of pictures that a network in use gets right."""
    net.eval()
    with tn.no_grad():
        right = net(images).numpy().argmax(1) == labels
    net.train()
    return float(right.mean())


def main() -> None:
    """Train, average, and make the weights small."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="float32 throughout")
    low = not parser.parse_args().full
    tn.random.seed(0)
    images, labels, test_images, test_labels = tn.data.digits()
    epochs, batch = 8, 50
    steps = epochs * (len(images) // batch)
    net = network()
    print(nn.summary(net, (batch, 1, 28, 28), depth=1))

    rates = optim.warmup(optim.cosine(6e-3, steps * 9 // 10), steps // 10)
    groups = optim.param_groups(net, {lambda name, p: p.ndim < 2: {"weight_decay": 0.0}})
    opt = optim.AdamW(groups, lr=rates, weight_decay=0.05)
    average = optim.Averaged(net, decay=lambda n: min(0.98, (1 + n) / (10 + n)), use_buffers=True)
    for epoch in range(1, epochs + 1):
        losses = []
        for x, y in tn.data.batches(images, labels, batch_size=batch, shuffle=True, seed=epoch):
            with tn.autocast("bfloat16", enabled=low):
                loss = F.cross_entropy(net(x), y, label_smoothing=0.05)
            opt.zero_grad()
            loss.backward()
            optim.clip_grad_norm(net, 2.0)
            opt.step()
            average.update()
            losses.append(loss.item())
        if epoch % 2 == 0:
            print(f"epoch {epoch}: loss {np.mean(losses):.3f}")

    print(f"test accuracy {accuracy(net, test_images, test_labels):.2%}")
    average.copy_to()
    reached = accuracy(net, test_images, test_labels)
    print(f"of the averaged weights {reached:.2%}")
    small = nn.quantize(net)
    print(f"with the linear layer in 8 bits {accuracy(small, test_images, test_labels):.2%}")
    assert reached >= 0.93, reached


if __name__ == "__main__":
    main()
