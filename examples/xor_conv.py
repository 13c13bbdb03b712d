"""XOR by convolution: two pixels go in, and out comes whether they differ. On a longer row that finds every edge.

The seed draws the weights to start from. From a poor start learning sticks where every output is 0.5, and one sees it in the
loss, which stays at 0.25. Take another seed, or more kernels: of 2 a quarter of the seeds stick, of 6 one in a thousand."""

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]).reshape(4, 1, 1, 2)  # images: (samples, channels, height, width)
y = np.array([0, 1, 1, 0]).reshape(4, 1, 1, 1)

tn.random.seed(0)
net = tn.Network(nn.Conv2d(1, 6, kernel_size=(1, 2)), nn.Tanh(), nn.Conv2d(6, 1, kernel_size=1), nn.Tanh())
net.use(F.mse_loss, optim.Adam(lr=0.01))
loss = net.fit(x, y, epochs=1000, batch_size=1, verbose=0)["loss"]
print(f"loss {loss[0]:.3f} after the first epoch, {loss[99]:.3f} after 100, {loss[-1]:.4f} after all")

row = np.array([0, 0, 1, 1, 1, 0, 1, 0, 0, 1])
edges = net.predict(row.reshape(1, 1, 1, 10)).ravel()
print("pixels", row, "edges", edges.round(2))
assert np.abs(edges - (row[1:] ^ row[:-1])).max() < 0.3
