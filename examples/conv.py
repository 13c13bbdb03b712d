"""Three valid 3x3 convolutions turn a random 10x10x1 image into a random 4x4x2 target.

python examples/conv.py
"""

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

rng = np.random.default_rng(0)
image = rng.uniform(size=(1, 1, 10, 10)).astype(np.float32)
target = rng.uniform(size=(1, 2, 4, 4)).astype(np.float32)

tn.random.seed(0)
net = nn.Sequential(
    nn.Conv2d(1, 4, 3), nn.Tanh(),
    nn.Conv2d(4, 4, 3), nn.Tanh(),
    nn.Conv2d(4, 2, 3), nn.Tanh(),
)  # fmt: skip
opt = optim.SGD(net.parameters(), lr=0.3)

first = F.mse_loss(net(image), target).item()
for step in range(1000):
    loss = F.mse_loss(net(image), target)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 200 == 199:
        print(f"step {step + 1:4d}  loss {loss.item():.6f}")

last = F.mse_loss(net(image), target).item()
print(f"the loss fell from {first:.4f} to {last:.6f}, {first / last:.0f} times")
assert last < first / 100, (first, last)
