"""Draw the graph of a model, of a custom op, and of a second derivative.

python examples/draw_graph.py [--out DIR]
"""

import argparse
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn


class Net(nn.Module):
    """A small convolutional classifier with a residual connection."""

    def __init__(self) -> None:
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.again = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 14 * 14, 10)

    def forward(self, x: tn.Tensor) -> tn.Tensor:
        h = F.relu(self.conv(x))
        h = h + F.relu(self.again(h))
        h = F.max_pool2d(h, 2)
        return self.fc(h.reshape(len(h), -1))


parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
parser.add_argument("--out", type=Path, default=Path.cwd(), help="folder for the pictures (default: the current one)")
out = parser.parse_args().out
out.mkdir(parents=True, exist_ok=True)

tn.random.seed(0)
rng = np.random.default_rng(0)
net = Net()
loss = F.cross_entropy(net(rng.uniform(size=(16, 1, 28, 28))), rng.integers(0, 10, 16))
loss.backward()  # the picture is there before backward and after

saved = [
    tn.draw(loss).save(out / "net.svg"),
    tn.draw(loss, depth=1).save(out / "net_folded.svg"),
]

# A tape keeps everything that ran inside it, needed for a gradient or not.
with tn.Tape() as tape:
    x = tn.tensor([1.0, 2.0, 3.0])
    y = np.where(x > 1.5, np.sqrt(x), 0.0).sum()
print(tape)
saved.append(tn.draw(tape).save(out / "tape.svg"))

# The graph of a gradient: what a second derivative differentiates.
w = tn.tensor(2.0, requires_grad=True)
cube = w**3
cube.backward(create_graph=True)
saved.append(tn.draw(w.grad).save(out / "second_order.svg"))

for path in saved:
    root = ElementTree.parse(path).getroot()
    assert root.tag.endswith("svg"), path
    assert len(list(root.iter())) > 10, path
    print(f"saved {path}")
