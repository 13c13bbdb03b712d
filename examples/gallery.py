"""Draw what people draw: a training step, a residual network, a GPT, a lecture that moves, a comparison, a page.

python examples/gallery.py [--out DIR]
"""

import argparse
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim


class LeNet(nn.Module):
    """LeNet-5 with average pooling (LeCun et al., 1998)."""

    def __init__(self) -> None:
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, image):
        h = F.avg_pool2d(tn.tanh(self.conv1(image)), 2)
        h = F.avg_pool2d(tn.tanh(self.conv2(h)), 2)
        h = tn.tanh(self.fc1(h.reshape(len(h), -1)))
        return self.fc3(tn.tanh(self.fc2(h)))


class Residual(nn.Module):
    """Two convolutions around which the input goes unchanged (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        h = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(h)))


class ResNet(nn.Module):
    """A stem, five residual blocks, and a classifier."""

    def __init__(self) -> None:
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.Sequential(*[Residual(16) for _ in range(5)])
        self.head = nn.Linear(16, 10)

    def forward(self, image):
        return self.head(self.blocks(F.relu(self.stem(image))).mean(axis=(2, 3)))


class Attention(nn.Module):
    """Causal self-attention with several heads (Vaswani et al., 2017)."""

    def __init__(self, width: int, heads: int) -> None:
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.transpose(2, 0, 3, 1, 4)
        scores = q @ k.swapaxes(-1, -2) / (width // self.heads) ** 0.5
        past = np.tri(length, dtype=bool)
        weights = tn.softmax(np.where(past, scores, -np.inf))
        return self.proj((weights @ v).swapaxes(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        self.ln1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    """A decoder-only transformer."""

    def __init__(self, layers: int = 12, width: int = 48, vocabulary: int = 65, length: int = 16) -> None:
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(length, width)
        self.blocks = nn.ModuleList([Block(width, 4) for _ in range(layers)])
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(np.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln_f(x))


def xor(x, w1, b1, w2, b2, target):
    """The loss of a network of two layers."""
    h = np.tanh(x @ w1 + b1)
    y = np.tanh(h @ w2 + b2)
    return np.mean((y - target) ** 2)


parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
parser.add_argument("--out", type=Path, default=Path.cwd(), help="folder for the pictures (default: the current one)")
out = parser.parse_args().out
out.mkdir(parents=True, exist_ok=True)

tn.random.seed(0)
rng = np.random.default_rng(0)
saved = []

# A training step: forward, the gradients' way back, and what the optimizer does with them.
net = LeNet()
opt = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
images, labels = rng.normal(size=(8, 1, 28, 28)).astype(np.float32), rng.integers(10, size=8)
loss = F.cross_entropy(net(images), labels)
step = tn.draw(loss, optimizer=opt, title="A training step of LeNet", legend=True)
saved.append(step.save(out / "training.svg"))

# Five equal blocks are drawn once; the connection around the convolutions is seen as such.
photos = rng.normal(size=(4, 3, 32, 32)).astype(np.float32)
picture = tn.draw(ResNet(), photos, title="A residual network")
saved.append(picture.save(out / "resnet.svg"))

# The same, painted by what each part costs: the model is run and timed.
costs = tn.draw(ResNet(), photos, color_by="time", depth=1, title="Where the time goes")
saved.append(costs.save(out / "time.svg"))

# Twelve transformer blocks.
tokens = rng.integers(65, size=(2, 16))
gpt = GPT()
saved.append(tn.draw(gpt, tokens, depth=2, title="A GPT of 12 layers").save(out / "gpt.svg"))
page = tn.draw(gpt, tokens, backward=True, title="A GPT of 12 layers").save(out / "gpt.html")
assert "</html>" in page.read_text(encoding="utf-8")

# A lecture: every step of the forward and of the backward pass, with its formula and its numbers.
x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
target = np.array([[0.0], [1.0], [1.0], [0.0]])
weights = [rng.normal(size=size).round(1) for size in ((2, 3), (3,), (3, 1), (1,))]
lecture = tn.draw(xor, x, *weights, target, backward=True, compact=False).animate()
saved.append(lecture.save(out / "xor.svg"))
print(lecture.text.splitlines()[0])

# What changed between two versions of a model.
before, after = tn.draw(GPT(layers=4), tokens), tn.draw(GPT(layers=5, width=64), tokens)
difference = tn.draw.diff(before, after, title="Wider, and one layer more")
saved.append(difference.save(out / "difference.svg"))
print(difference)

for path in saved:
    root = ElementTree.parse(path).getroot()
    assert root.tag.endswith("svg"), path
    assert len(list(root.iter())) > 30, path
    print(f"saved {path}")
