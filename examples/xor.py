"""XOR with a 2-3-1 network, the smallest problem that needs a hidden layer. One seed in ten sticks: see xor_conv.py."""

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn

x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array([[0], [1], [1], [0]])
tn.random.seed(0)
net = tn.Network(nn.Linear(2, 3), nn.Tanh())
net.add(nn.Linear(3, 1))
net.add(nn.Tanh())
net.use(F.mse_loss)
net.fit(x, y, epochs=1000, learning_rate=0.1, batch_size=1, verbose=0)

for inputs, output in zip(x, net.predict(x), strict=True):
    print(f"{inputs[0]} xor {inputs[1]} = {output[0]:.3f}")
assert np.abs(net.predict(x) - y).max() < 0.3
