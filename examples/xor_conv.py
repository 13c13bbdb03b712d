"""XOR by convolution: two pixels go in, out comes whether they differ; on a longer row that finds every edge. The seed draws
the weights to start from. From a poor start learning sticks where all outputs are 0.5: one sees a loss that stays at 0.25.
Then take another seed, or more kernels: of 2 a quarter of the seeds stick, of 6 one in a thousand."""

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
row = np.array([0, 0, 1, 1, 1, 0, 1, 0, 0, 1])
edges = net.predict(row.reshape(1, 1, 1, 10)).ravel()
print(f"loss {loss[0]:.3f}, after 100 epochs {loss[99]:.3f}, at last {loss[-1]:.4f}; edges of {row}: {edges.round(2)}")
assert np.abs(edges - (row[1:] ^ row[:-1])).max() < 0.3
