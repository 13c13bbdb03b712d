"""Handwritten digits with dense layers: 1,000 of MNIST's, one at a time, squared error against one-hot targets."""

import numpy as np

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn

images, labels, test_images, test_labels = tn.data.digits()
tn.random.seed(0)
net = tn.Network(nn.Flatten())
net.add(nn.Linear(28 * 28, 100)).add(nn.Tanh())
net.add(nn.Linear(100, 50)).add(nn.Tanh())
net.add(nn.Linear(50, 10)).add(nn.Tanh())
net.use(F.mse_loss)
net.fit(images, np.eye(10)[labels], epochs=35, learning_rate=0.1, batch_size=1)

right = (net.predict(test_images).argmax(axis=1) == test_labels).mean()
print(f"test accuracy {right:.1%}")
assert right > 0.85
