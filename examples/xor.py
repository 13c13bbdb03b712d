"""XOR with a 2-3-1 network, tanh and mean squared error: the smallest problem that needs a hidden layer.

python examples/xor.py
"""

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
y = np.array([[0], [1], [1], [0]], np.float32)

tn.random.seed(0)
net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1), nn.Tanh())
opt = optim.SGD(net.parameters(), lr=0.1)

for epoch in range(1000):
    # One sample after another, as in the tutorial this comes from.
    for xs, ys in tn.data.batches(x, y, batch_size=1):
        loss = F.mse_loss(net(xs), ys)
        opt.zero_grad()
        loss.backward()
        opt.step()
    if epoch % 200 == 199:
        print(f"epoch {epoch + 1:4d}  loss {F.mse_loss(net(x), y).item():.5f}")

out = net(x).numpy()
for inputs, value in zip(x, out, strict=True):
    print(f"{inputs[0]:.0f} xor {inputs[1]:.0f} = {value[0]:.3f}")

assert np.all(out[y == 1] > 0.7), out
assert np.all(out[y == 0] < 0.3), out
